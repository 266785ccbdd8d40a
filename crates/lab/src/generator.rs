//! Entities made from a seed.

use std::fmt::Write;

use statlas_core::{
    Adjacency, Alignment, Coordinates, Dimensions, ENTITY_TYPES, Entity, EntityParts, FractalStat, HORIZONS,
    Identifier, Polarity, Profile, REALMS, Stat7, State, Timestamp,
};

use crate::random::SplitMix64;
use crate::state_text::write_state;

/// An endless sequence of varied, valid entities that depends on a seed and a profile only.
///
/// Entity `n` depends on the seed, the profile and `n` alone, so the sequence can be made by many threads
/// and any part of it again. Ids are unique, in the sequence and among all sequences of other seeds and
/// profiles, so that all of them can share a store. The neighbours of an entity come before it in the
/// sequence: of the first `n` entities none has a neighbour that is not among them.
///
/// Canonical texts have about 300 bytes on average. Entities carry no tokens and no files.
#[derive(Debug, Clone)]
pub struct Generator {
    seed: u64,
    profile: Option<Profile>,
    names: Names,
    next: u64,
}

/// The names that entities are given, checked once.
#[derive(Debug, Clone)]
struct Names {
    realms: Vec<Identifier>,
    horizons: Vec<Identifier>,
    entity_types: Vec<Identifier>,
}

/// Legal names that are not among the known ones; a few entities bear them.
const OTHER_REALMS: [&str; 3] = ["archive", "telemetry", "lab_7"];
const OTHER_HORIZONS: [&str; 2] = ["dormancy", "rebirth"];
const OTHER_ENTITY_TYPES: [&str; 3] = ["mesh_node", "policy", "image2d"];

/// What ids begin with. The number that follows makes them unique.
const ID_STEMS: [&str; 12] = [
    "node",
    "img",
    "doc",
    "mesh",
    "note",
    "policy",
    "sensor",
    "clip",
    "Übersicht",
    "файл",
    "図面",
    "say \"hi\" \\ 🚀",
];

const NEIGHBOURS_MAX: u64 = 6;
/// Half of the neighbours are found among this many entities just before, the others anywhere before.
const NEARBY: u64 = 64;

/// 2015-01-01T00:00:00.000Z.
const CREATED_MS_MIN: i64 = 1_420_070_400_000;
/// Ten years, two of them leap years.
const CREATED_MS_SPAN: u64 = 315_532_800_000;

impl Generator {
    /// The sequence of a seed: entities of one profile, or of both, mixed, for `None`.
    #[must_use]
    pub fn new(seed: u64, profile: Option<Profile>) -> Self {
        Self { seed, profile, names: Names::new(), next: 0 }
    }

    /// Entity number `n`, counted from 0. Costs about a microsecond.
    #[must_use]
    pub fn entity(&self, n: u64) -> Entity {
        let mut random = self.random(n);
        let id = id(self.seed, self.letter(), n, &mut random);
        let realm = pick(&self.names.realms, REALMS.len(), &mut random);
        let coordinates = Coordinates {
            realm: if random.chance(9, 10) {
                realm
            } else {
                pick(&self.names.realms, REALMS.len(), &mut random)
            },
            lineage: lineage(&mut random),
            adjacency: self.adjacency(n, &mut random),
            horizon: pick(&self.names.horizons, HORIZONS.len(), &mut random),
            dimensions: self.dimensions(&mut random),
        };
        let mut text = Vec::with_capacity(256);
        write_state(&mut random, &mut text);
        Entity::new(EntityParts {
            id: id.into(),
            entity_type: pick(&self.names.entity_types, ENTITY_TYPES.len(), &mut random),
            realm,
            coordinates,
            created_at: created_at(&mut random),
            state: State::from_json(&text).expect("generated states are legal"),
            token: None,
            blob: None,
        })
        .expect("generated ids are short and not empty")
    }

    /// The id of entity number `n`; cheaper than the entity.
    #[must_use]
    pub fn id(&self, n: u64) -> String {
        id(self.seed, self.letter(), n, &mut self.random(n))
    }

    /// The random numbers of entity `n`; the first of them make its id.
    fn random(&self, n: u64) -> SplitMix64 {
        SplitMix64::new(SplitMix64::nth(self.seed, n))
    }

    /// Tells the sequences of one seed apart. No hex digit, so that an id reads back in one way only.
    fn letter(&self) -> char {
        match self.profile {
            Some(Profile::Stat7) => 's',
            Some(Profile::FractalStat) => 't',
            None => 'm',
        }
    }

    fn adjacency(&self, n: u64, random: &mut SplitMix64) -> Adjacency {
        // The smallest of three draws: few have many neighbours.
        let mut draw = || random.below(NEIGHBOURS_MAX + 1);
        let count = draw().min(draw()).min(draw()).min(n);
        let mut members: Vec<Box<str>> = Vec::new();
        for _ in 0..count {
            let back = if random.chance(1, 2) { random.below(n.min(NEARBY)) } else { random.below(n) };
            let member = self.id(n - 1 - back).into_boxed_str();
            if !members.contains(&member) {
                members.push(member);
            }
        }
        Adjacency::new(members).expect("generated neighbours are few and have legal ids")
    }

    fn dimensions(&self, random: &mut SplitMix64) -> Dimensions {
        let profile = self
            .profile
            .unwrap_or_else(|| if random.chance(1, 2) { Profile::Stat7 } else { Profile::FractalStat });
        match profile {
            Profile::Stat7 => {
                let (resonance, velocity, density) = (signed(random), signed(random), coordinate(random));
                Dimensions::Stat7(Stat7::new(resonance, velocity, density).expect("within the ranges"))
            }
            Profile::FractalStat => {
                let luminosity = 100.0 * coordinate(random);
                let polarity = Polarity::ALL[random.index(Polarity::ALL.len())];
                // Up to 11 dimensions, one in a hundred with far more.
                let dimensionality =
                    if random.chance(1, 100) { random.below(1 << 20) } else { random.below(12) };
                let dimensionality = u32::try_from(dimensionality).expect("below 2^20");
                let alignment = Alignment::ALL[random.index(Alignment::ALL.len())];
                let fractal = FractalStat::new(luminosity, polarity, dimensionality, alignment);
                Dimensions::FractalStat(fractal.expect("within the range"))
            }
        }
    }
}

impl Iterator for Generator {
    type Item = Entity;

    fn next(&mut self) -> Option<Entity> {
        let entity = self.entity(self.next);
        self.next = self.next.checked_add(1)?;
        Some(entity)
    }
}

impl Names {
    fn new() -> Self {
        let legal = |known: &[&str], others: &[&str]| {
            let names = known.iter().chain(others);
            names.map(|name| Identifier::new(name).expect("a legal name")).collect()
        };
        Self {
            realms: legal(&REALMS, &OTHER_REALMS),
            horizons: legal(&HORIZONS, &OTHER_HORIZONS),
            entity_types: legal(&ENTITY_TYPES, &OTHER_ENTITY_TYPES),
        }
    }
}

/// A stem, the seed, the letter of the profile and the number, which no other entity has together.
fn id(seed: u64, letter: char, n: u64, random: &mut SplitMix64) -> String {
    // The common stems come first; one id in 16 has a stem of any sort.
    let stem = if random.chance(1, 16) { random.index(ID_STEMS.len()) } else { random.index(6) };
    let mut id = String::with_capacity(32);
    id.push_str(ID_STEMS[stem]);
    write!(id, "-{seed:x}{letter}{n:x}").expect("a string takes everything");
    id
}

/// One of the `known` names at the front, the first ones more often; one time in 32 any of them all.
fn pick(names: &[Identifier], known: usize, random: &mut SplitMix64) -> Identifier {
    if random.chance(1, 32) {
        return names[random.index(names.len())];
    }
    names[random.index(known).min(random.index(known))]
}

/// A lineage whose logarithm is even: half of all are below 100 or so, a few have ten digits.
fn lineage(random: &mut SplitMix64) -> u32 {
    let bits = random.below(14) + if random.chance(1, 64) { 18 } else { 0 };
    let value = random.next_u64() & ((1 << bits) - 1);
    u32::try_from(value).expect("at most 31 bits")
}

/// A coordinate in [0, 1]: mostly with more decimals than are kept, often with few, sometimes an end.
fn coordinate(random: &mut SplitMix64) -> f64 {
    match random.below(16) {
        0 => 0.0,
        1 => 1.0,
        2..=4 => random.below(101) as f64 / 100.0,
        5..=6 => random.below(100_001) as f64 / 100_000.0,
        7 => random.below(100_000_001) as f64 / 100_000_000.0,
        // Below the eighth decimal, so that it is rounded to next to nothing.
        8 => random.unit() / 50_000_000.0,
        _ => random.unit(),
    }
}

/// A coordinate in [-1, 1]; minus zero is among them.
fn signed(random: &mut SplitMix64) -> f64 {
    let value = coordinate(random);
    if random.chance(1, 2) { -value } else { value }
}

fn created_at(random: &mut SplitMix64) -> Timestamp {
    let offset = random.below(CREATED_MS_SPAN);
    // Sources with a resolution of a second are as common as others.
    let offset = if random.chance(1, 2) { offset / 1000 * 1000 } else { offset };
    let ms = CREATED_MS_MIN.saturating_add_unsigned(offset);
    Timestamp::from_unix_ms(ms).expect("a year from 2015 to 2024")
}
