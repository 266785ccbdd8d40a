//! Entities and questions to test with: valid, varied, and the same for the same seed.

use statlas_core::{
    AXES, Adjacency, Alignment, BlobId, Coordinates, Dimensions, Entity, EntityParts, FractalStat,
    Identifier, Polarity, Profile, Space, SpaceSet, Stat7, State, Timestamp, Token, TokenParts, TokenType,
    UNDEFINED,
};

use statlas_tokens::Metric;

use super::random::Random;
use crate::query::TokenQuery;
use crate::query::{Filter, Interval, OrderBy, Query};

const REALM_NAMES: [&str; 5] = ["data", "void", "system", "narrative", "a_realm_of_its_own_with_32_bytes"];
const HORIZON_NAMES: [&str; 3] = ["genesis", "peak", "elsewhere"];
const TYPE_NAMES: [&str; 3] = ["concept", "agent", "thing"];
const NEIGHBOURS: [&str; 6] = ["n0", "n1", "n2", "née", "n/4", "bc-0001"];
/// 2025-01-01T00:00:00Z.
const NEW_YEAR_MS: i64 = 1_735_689_600_000;

/// The identifier `text`.
pub(super) fn name(text: &str) -> Identifier {
    Identifier::new(text).expect("tests use legal identifiers")
}

/// The adjacency list of `members`.
pub(super) fn adjacency(members: &[&str]) -> Adjacency {
    let members = members.iter().map(|id| (*id).into()).collect();
    Adjacency::new(members).expect("tests use legal ids")
}

/// The time `ms` milliseconds after the beginning of 2025.
pub(super) fn time(ms: i64) -> Timestamp {
    Timestamp::from_unix_ms(NEW_YEAR_MS + ms).expect("tests use legal times")
}

/// The state that `json` says.
pub(super) fn state(json: &str) -> State {
    State::from_json(json.as_bytes()).expect("tests use legal states")
}

/// A plain entity of STAT7; a test changes the parts that it is about.
///
/// # Panics
///
/// If `id` is no legal id.
#[must_use]
pub fn plain(id: &str, change: impl FnOnce(&mut EntityParts)) -> Entity {
    let mut parts = EntityParts {
        id: id.into(),
        entity_type: name("concept"),
        realm: name("data"),
        coordinates: Coordinates {
            realm: name("data"),
            lineage: 1,
            adjacency: Adjacency::default(),
            horizon: name("genesis"),
            dimensions: stat7(0.5, 0.25, 0.75),
        },
        created_at: time(0),
        state: State::default(),
        token: None,
        blob: None,
    };
    change(&mut parts);
    Entity::new(parts).expect("tests use legal ids")
}

/// A plain entity with a number in its state: another number makes another version.
#[must_use]
pub fn version(id: &str, number: usize) -> Entity {
    plain(id, |parts| parts.state = state(&format!(r#"{{"version":{number}}}"#)))
}

/// Dimensions of STAT7.
pub(super) fn stat7(resonance: f64, velocity: f64, density: f64) -> Dimensions {
    Dimensions::Stat7(Stat7::new(resonance, velocity, density).expect("tests use legal coordinates"))
}

/// A token that differs for each `local_id`.
///
/// # Panics
///
/// If `local_id` is too large.
#[must_use]
pub fn token(local_id: u32) -> Token {
    let mut parts =
        TokenParts { local_id, entity_type: TokenType::Concept, weight: 1.5, ..TokenParts::default() };
    parts.spaces[2] = Some([Some(1.25), None, Some(-3.0)]);
    Token::new(parts).expect("tests use legal tokens")
}

/// A token that defines some spaces, whose values are often one of a few so that there are ties.
pub fn varied_token(random: &mut Random) -> Token {
    let mut token = token(random.below(1000) as u32);
    for space in random.some(&Space::ALL[..4]) {
        let raws = [0; AXES].map(|_| random.pick(&[0, 0, 1, -1, 100, i16::MAX, UNDEFINED]));
        token.set_axes(space, raws);
    }
    token
}

/// A query for the entities with the nearest tokens, sometimes within a radius that is often the distance of some.
pub fn token_query(random: &mut Random) -> TokenQuery {
    let token = varied_token(random);
    let metric = random.pick(&[Metric::Euclidean, Metric::Cosine]);
    let spaces: SpaceSet = random.some(&Space::ALL[..4]).into_iter().collect();
    let spaces = if random.chance(50) { SpaceSet::ALL } else { spaces };
    let radius = random.chance(50).then(|| match varied_token(random).distance(&token, spaces) {
        Some(distance) if random.chance(80) => distance,
        _ => random.unit(),
    });
    TokenQuery { radius, spaces, metric, ..TokenQuery::new(token, random.pick(&[0, 1, 2, 5, 1000])) }
}

/// A number from -1 to 1, often one of a few so that there are ties.
fn signed(random: &mut Random) -> f64 {
    if random.chance(50) {
        random.pick(&[-1.0, -0.5, -0.0, 0.0, 0.1, 1.0])
    } else {
        random.unit() * 2.0 - 1.0
    }
}

fn dimensions(random: &mut Random, profile: Profile) -> Dimensions {
    match profile {
        Profile::Stat7 => stat7(signed(random), signed(random), signed(random).abs()),
        Profile::FractalStat => {
            let luminosity = signed(random).abs() * 100.0;
            let (polarity, alignment) = (random.pick(&Polarity::ALL[..4]), random.pick(&Alignment::ALL[8..]));
            let fractal = FractalStat::new(luminosity, polarity, random.below(4) as u32, alignment);
            Dimensions::FractalStat(fractal.expect("the ranges are those allowed"))
        }
    }
}

/// A varied entity. What must not change from version to version follows from `id` alone, but for the
/// adjacency list, which is `neighbours`.
///
/// # Panics
///
/// If `id` is no legal id.
pub fn varied(random: &mut Random, id: &str, neighbours: Adjacency) -> Entity {
    let mut fixed = Random::new(id.bytes().fold(0, |seed, byte| seed * 31 % 1_000_003 + u64::from(byte)));
    let profile = fixed.pick(&[Profile::Stat7, Profile::FractalStat]);
    let mut parts = EntityParts {
        id: id.into(),
        entity_type: name(fixed.pick(&TYPE_NAMES)),
        realm: name(fixed.pick(&REALM_NAMES)),
        coordinates: Coordinates {
            realm: name(fixed.pick(&REALM_NAMES)),
            lineage: fixed.pick(&[0, 1, 2, 3, 100, u32::MAX]),
            adjacency: neighbours,
            horizon: name(random.pick(&HORIZON_NAMES)),
            dimensions: dimensions(random, profile),
        },
        created_at: time(fixed.pick(&[-1, 0, 1, 86_400_000, fixed.clone().below(1_000_000_000) as i64])),
        state: state(&format!(r#"{{"n":{},"text":"\u00e9\n"}}"#, random.below(1000))),
        token: None,
        blob: None,
    };
    if random.chance(30) {
        // Of its own numbers, of which there may be more or fewer.
        parts.token = Some(varied_token(&mut Random::new(random.below(1000) as u64)));
    }
    if random.chance(30) {
        parts.blob = Some(BlobId::of(&[random.below(4) as u8]));
    }
    Entity::new(parts).expect("tests use legal ids")
}

/// An adjacency list that may have duplicates, and may be empty.
pub fn neighbours(random: &mut Random) -> Adjacency {
    let count = random.below(4);
    let members: Vec<&str> = (0..count).map(|_| random.pick(&NEIGHBOURS)).collect();
    adjacency(&members)
}

/// `count` varied entities with ids that no other seed gives.
#[must_use]
pub fn crowd(seed: u64, count: usize) -> Vec<Entity> {
    let mut random = Random::new(seed);
    let entity = |number: usize| {
        let neighbours = neighbours(&mut random);
        varied(&mut random, &format!("crowd-{seed}-{number}"), neighbours)
    };
    (0..count).map(entity).collect()
}

fn interval<T: PartialOrd + Copy>(
    random: &mut Random,
    mut value: impl FnMut(&mut Random) -> T,
) -> Interval<T> {
    let (one, other) = (value(random), value(random));
    // Now and then nothing lies between the ends.
    let (low, high) = if one <= other || random.chance(5) { (one, other) } else { (other, one) };
    Interval { min: random.chance(60).then_some(low), max: random.chance(60).then_some(high) }
}

/// A filter of up to a few conditions, most of which some entities meet and some do not.
pub fn filter(random: &mut Random) -> Filter {
    let mut filter = Filter::default();
    for _ in 0..random.below(4) {
        add_condition(random, &mut filter);
    }
    filter
}

fn add_condition(random: &mut Random, filter: &mut Filter) {
    let names = |random: &mut Random, names: &[&str]| -> Vec<Identifier> {
        random.some(names).into_iter().chain(random.chance(20).then_some("unheard_of")).map(name).collect()
    };
    match random.below(17) {
        0 => filter.profile = random.some(&[Profile::Stat7, Profile::FractalStat]),
        1 => filter.realm = names(random, &REALM_NAMES),
        2 => filter.entity_realm = names(random, &REALM_NAMES),
        3 => filter.entity_type = names(random, &TYPE_NAMES),
        4 => filter.horizon = names(random, &HORIZON_NAMES),
        5 => filter.polarity = random.some(Polarity::ALL),
        6 => filter.alignment = random.some(Alignment::ALL),
        7 => filter.lineage = interval(random, |random| random.pick(&[0, 1, 2, 3, 99, 100, u32::MAX])),
        8 => filter.dimensionality = interval(random, |random| random.below(5) as u32),
        9 => filter.resonance = interval(random, signed),
        10 => filter.velocity = interval(random, signed),
        11 => filter.density = interval(random, |random| signed(random).abs()),
        12 => filter.luminosity = interval(random, |random| signed(random).abs() * 100.0),
        13 => filter.created_at = interval(random, |random| time(random.pick(&[-1, 0, 1, 500_000_000]))),
        14 | 15 => filter.adjacent = random.some(&NEIGHBOURS[..2]).into_iter().map(str::to_owned).collect(),
        _ => filter.latest = true,
    }
}

/// A query with a filter, an order and a limit from 1 to 9.
pub fn query(random: &mut Random) -> Query {
    let (order_by, _) = random.pick(&OrderBy::ALL);
    let (filter, descending) = (filter(random), random.chance(50));
    Query { filter, order_by, descending, limit: 1 + random.below(9), after: None }
}
