//! How alike two positions are: entanglement in STAT7, similarity in FractalStat.
//!
//! The arithmetic stands apart from [`Coordinates`], on plain numbers, so that a scan over columns calls
//! the same functions without building coordinates. It uses only operations that IEEE 754 rounds
//! correctly, so every machine gets the same figures. It leaves out what to do with them: searching and
//! ranking belong to the store.

use std::cmp::Ordering;

use crate::adjacency::Adjacency;
use crate::coordinates::{Coordinates, Dimensions};
use crate::identifier::{HORIZONS, Identifier, REALMS};

/// Two positions in STAT7 are entangled if their score is this or more.
pub const ENTANGLEMENT_THRESHOLD: f64 = 0.85;

/// At this lineage and above, the vector of a position does not change any more.
const LINEAGE_SATURATION: f64 = 100.0;
/// With this many neighbours and more, the vector of a position does not change any more.
const NEIGHBOURS_SATURATION: f64 = 5.0;
/// What a generation apart leaves of lineage affinity.
const LINEAGE_DECAY: f64 = 0.9;
const ADJACENT_REALM_AFFINITY: f64 = 0.7;

const DATA: u8 = 1 << 0;
const NARRATIVE: u8 = 1 << 1;
const SYSTEM: u8 = 1 << 2;
const FACULTY: u8 = 1 << 3;
const EVENT: u8 = 1 << 4;
const PATTERN: u8 = 1 << 5;
const VOID: u8 = 1 << 6;

/// The realms that are adjacent as seen from each realm, by its ordinal. From system there is no
/// narrative, although there is a system from narrative.
const ADJACENT_REALMS: [u8; REALMS.len()] = [
    NARRATIVE | SYSTEM | EVENT | PATTERN,
    DATA | SYSTEM | FACULTY | EVENT | PATTERN,
    DATA | FACULTY | PATTERN | VOID,
    NARRATIVE | SYSTEM | EVENT,
    DATA | NARRATIVE | FACULTY | PATTERN,
    DATA | NARRATIVE | SYSTEM | EVENT | VOID,
    SYSTEM | PATTERN,
];

/// How alike two positions are by the rule of their profile, or `None` if their profiles differ.
///
/// Between 0 and 1. See [`entanglement`] and [`fractalstat_similarity`].
#[must_use]
pub fn similarity(a: &Coordinates, b: &Coordinates) -> Option<f64> {
    entanglement(a, b).or_else(|| fractalstat_similarity(a, b))
}

/// The entanglement of two positions in STAT7, or `None` if one of them lies elsewhere. Costs a walk over
/// both adjacency lists; the formula is that of [`Entanglement`].
#[must_use]
pub fn entanglement(a: &Coordinates, b: &Coordinates) -> Option<f64> {
    let (from, to) = (Stat7Features::of(a)?, Stat7Features::of(b)?);
    Some(Entanglement::of(&from, &to, &Stat7Relation::of(a, b)).score())
}

/// The similarity of two positions in FractalStat, or `None` if one of them lies elsewhere. The formula
/// is that of [`FractalStatRelation::similarity`].
#[must_use]
pub fn fractalstat_similarity(a: &Coordinates, b: &Coordinates) -> Option<f64> {
    FractalStatRelation::of(a, b).map(|relation| relation.similarity())
}

/// What entanglement looks at in one position of STAT7.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stat7Features {
    /// Where the realm stands in [`REALMS`], `None` for other realms.
    pub realm: Option<u8>,
    /// Generations from the common ancestor.
    pub lineage: u32,
    /// How many neighbours are listed, duplicates counted.
    pub adjacency_len: usize,
    /// Where the horizon stands in [`HORIZONS`], `None` for other horizons.
    pub horizon: Option<u8>,
    /// Resonance, in [-1, 1].
    pub resonance: f64,
    /// Velocity, in [-1, 1].
    pub velocity: f64,
    /// Density, in [0, 1].
    pub density: f64,
}

impl Stat7Features {
    /// The features of a position, or `None` if it does not lie in STAT7.
    #[must_use]
    pub fn of(coordinates: &Coordinates) -> Option<Self> {
        let Dimensions::Stat7(stat7) = coordinates.dimensions else { return None };
        Some(Self {
            realm: ordinal(&coordinates.realm, &REALMS),
            lineage: coordinates.lineage,
            adjacency_len: coordinates.adjacency.len(),
            horizon: ordinal(&coordinates.horizon, &HORIZONS),
            resonance: stat7.resonance(),
            velocity: stat7.velocity(),
            density: stat7.density(),
        })
    }

    /// The vector whose direction polarity resonance compares: realm ordinal / 6, lineage / 100 up to 1,
    /// neighbours / 5 up to 1, horizon ordinal / 4, resonance, velocity, density.
    ///
    /// As in the reference, a realm without an ordinal counts as the last one, and a horizon without an
    /// ordinal as the first.
    #[must_use]
    pub fn vector(&self) -> [f64; 7] {
        [
            self.realm.map_or(1.0, |realm| f64::from(realm) / last_ordinal(&REALMS)),
            (f64::from(self.lineage) / LINEAGE_SATURATION).min(1.0),
            (self.adjacency_len as f64 / NEIGHBOURS_SATURATION).min(1.0),
            self.horizon.map_or(0.0, |horizon| f64::from(horizon) / last_ordinal(&HORIZONS)),
            self.resonance,
            self.velocity,
            self.density,
        ]
    }
}

/// What entanglement looks at between two positions of STAT7 and that their features do not tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat7Relation {
    /// Whether both realms are the same identifier, known or not.
    pub same_realm: bool,
    /// How many different ids both adjacency lists have.
    pub shared_neighbours: usize,
    /// How many different ids both adjacency lists have together.
    pub all_neighbours: usize,
}

impl Stat7Relation {
    /// The relation of two positions. Costs a walk over both adjacency lists.
    #[must_use]
    pub fn of(a: &Coordinates, b: &Coordinates) -> Self {
        let (shared_neighbours, all_neighbours) = count_neighbours(&a.adjacency, &b.adjacency);
        Self { same_realm: a.realm == b.realm, shared_neighbours, all_neighbours }
    }
}

/// The five components of entanglement, each between 0 and 1.
///
/// Score = 0.5 polarity resonance + 0.15 realm affinity + 0.2 adjacency overlap + 0.1 luminosity proximity
/// + 0.05 lineage affinity, clamped to [0, 1].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Entanglement {
    /// (cos + 1) / 2 over [`Stat7Features::vector`]; cos is 0 if one of the vectors is.
    pub polarity_resonance: f64,
    /// 1 for the same realm, 0.7 if the second is adjacent as seen from the first, else 0. Realms outside
    /// [`REALMS`] have no adjacent ones. Not symmetric: from system there is no narrative.
    pub realm_affinity: f64,
    /// Jaccard index of the sets of neighbours; 1 if both are empty.
    pub adjacency_overlap: f64,
    /// 1 - |difference of densities|.
    pub luminosity_proximity: f64,
    /// 0.9 to the power of |difference of lineages|.
    pub lineage_affinity: f64,
}

impl Entanglement {
    /// The components for two positions, as seen from the first.
    #[must_use]
    pub fn of(from: &Stat7Features, to: &Stat7Features, relation: &Stat7Relation) -> Self {
        Self {
            polarity_resonance: f64::midpoint(cosine(&from.vector(), &to.vector()), 1.0),
            realm_affinity: match (from.realm, to.realm) {
                _ if relation.same_realm => 1.0,
                (Some(from), Some(to)) if is_adjacent(from, to) => ADJACENT_REALM_AFFINITY,
                _ => 0.0,
            },
            adjacency_overlap: match relation.all_neighbours {
                0 => 1.0,
                all => relation.shared_neighbours as f64 / all as f64,
            },
            luminosity_proximity: 1.0 - (from.density - to.density).abs(),
            lineage_affinity: power(LINEAGE_DECAY, from.lineage.abs_diff(to.lineage)),
        }
    }

    /// The weighted sum.
    #[must_use]
    pub fn score(&self) -> f64 {
        let sum = 0.5 * self.polarity_resonance
            + 0.15 * self.realm_affinity
            + 0.2 * self.adjacency_overlap
            + 0.1 * self.luminosity_proximity
            + 0.05 * self.lineage_affinity;
        sum.clamp(0.0, 1.0)
    }
}

/// What similarity in FractalStat looks at between two positions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FractalStatRelation {
    /// Whether both realms are the same identifier.
    pub same_realm: bool,
    /// Whether both polarities are the same.
    pub same_polarity: bool,
    /// |difference of luminosities| / 100, so that it lies in [0, 1].
    pub luminosity_distance: f64,
    /// |difference of dimensionalities|.
    pub dimensionality_distance: u32,
}

impl FractalStatRelation {
    /// Luminosity goes from 0 to this. The reference forgot to divide by it.
    pub const LUMINOSITY_SCALE: f64 = 100.0;

    /// The relation of two positions, or `None` if one of them does not lie in FractalStat.
    #[must_use]
    pub fn of(a: &Coordinates, b: &Coordinates) -> Option<Self> {
        let (Dimensions::FractalStat(own), Dimensions::FractalStat(other)) = (a.dimensions, b.dimensions)
        else {
            return None;
        };
        Some(Self {
            same_realm: a.realm == b.realm,
            same_polarity: own.polarity == other.polarity,
            luminosity_distance: (own.luminosity() - other.luminosity()).abs() / Self::LUMINOSITY_SCALE,
            dimensionality_distance: own.dimensionality.abs_diff(other.dimensionality),
        })
    }

    /// 0.35 (1 if same realm, else 0.6) + 0.35 (1 if same polarity, else 0.7)
    /// + 0.2 max(0, 1 - 0.5 luminosity distance) + 0.1 / (1 + 0.2 dimensionality distance).
    #[must_use]
    pub fn similarity(&self) -> f64 {
        let realm = if self.same_realm { 1.0 } else { 0.6 };
        let polarity = if self.same_polarity { 1.0 } else { 0.7 };
        let luminosity = (1.0 - 0.5 * self.luminosity_distance).max(0.0);
        let dimensionality = 1.0 / (1.0 + 0.2 * f64::from(self.dimensionality_distance));
        0.35 * realm + 0.35 * polarity + 0.2 * luminosity + 0.1 * dimensionality
    }
}

fn ordinal(name: &Identifier, known: &[&str]) -> Option<u8> {
    known.iter().position(|text| *text == name.as_str()).and_then(|at| u8::try_from(at).ok())
}

fn last_ordinal(known: &[&str]) -> f64 {
    (known.len() - 1) as f64
}

fn is_adjacent(from: u8, to: u8) -> bool {
    let adjacent = ADJACENT_REALMS.get(usize::from(from)).copied().unwrap_or_default();
    usize::from(to) < REALMS.len() && adjacent >> to & 1 == 1
}

fn cosine(a: &[f64; 7], b: &[f64; 7]) -> f64 {
    let product = |a: &[f64; 7], b: &[f64; 7]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let norms = product(a, a).sqrt() * product(b, b).sqrt();
    if norms == 0.0 { 0.0 } else { (product(a, b) / norms).clamp(-1.0, 1.0) }
}

/// `base` to the power of `exponent` by squaring. The precision of `powi` is not specified; this one's is the
/// same everywhere.
fn power(mut base: f64, mut exponent: u32) -> f64 {
    let mut result = 1.0;
    while exponent > 0 {
        if exponent & 1 == 1 {
            result *= base;
        }
        base *= base;
        exponent >>= 1;
    }
    result
}

/// How many different ids both lists have, and how many they have together.
fn count_neighbours(a: &Adjacency, b: &Adjacency) -> (usize, usize) {
    let (mut a, mut b) = (a.iter().peekable(), b.iter().peekable());
    let (mut shared, mut all) = (0, 0);
    loop {
        // The lists are sorted, so the least id that is left comes first in one of them.
        let (least, is_shared) = match (a.peek().copied(), b.peek().copied()) {
            (None, None) => return (shared, all),
            (Some(id), None) | (None, Some(id)) => (id, false),
            (Some(own), Some(other)) => match own.cmp(other) {
                Ordering::Less => (own, false),
                Ordering::Equal => (own, true),
                Ordering::Greater => (other, false),
            },
        };
        shared += usize::from(is_shared);
        all += 1;
        while a.next_if_eq(&least).is_some() {}
        while b.next_if_eq(&least).is_some() {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coordinates::{Alignment, FractalStat, Polarity, Stat7};

    fn at(realm: &str, neighbours: &[&str], dimensions: Dimensions) -> Coordinates {
        let members = neighbours.iter().map(|id| (*id).into()).collect();
        Coordinates {
            realm: Identifier::new(realm).expect("legal realm"),
            lineage: 0,
            adjacency: Adjacency::new(members).expect("legal adjacency"),
            horizon: Identifier::new("genesis").expect("legal horizon"),
            dimensions,
        }
    }

    fn stat7(realm: &str, neighbours: &[&str], density: f64) -> Coordinates {
        at(realm, neighbours, Dimensions::Stat7(Stat7::new(0.0, 0.0, density).expect("legal dimensions")))
    }

    fn fractalstat(realm: &str) -> Coordinates {
        let dimensions =
            FractalStat::new(50.0, Polarity::Logic, 3, Alignment::Harmonic).expect("legal dimensions");
        at(realm, &[], Dimensions::FractalStat(dimensions))
    }

    fn components(a: &Coordinates, b: &Coordinates) -> Entanglement {
        let (from, to) = (Stat7Features::of(a).expect("stat7"), Stat7Features::of(b).expect("stat7"));
        Entanglement::of(&from, &to, &Stat7Relation::of(a, b))
    }

    #[test]
    fn positions_of_different_profiles_cannot_be_compared() {
        let (a, b) = (stat7("data", &[], 0.5), fractalstat("data"));
        for (a, b) in [(&a, &b), (&b, &a)] {
            assert_eq!(
                (similarity(a, b), entanglement(a, b), fractalstat_similarity(a, b)),
                (None, None, None)
            );
        }
        assert_eq!(similarity(&b, &b), fractalstat_similarity(&b, &b));
        assert_eq!(similarity(&a, &a), entanglement(&a, &a));
    }

    #[test]
    fn a_position_is_fully_similar_to_itself() {
        let (a, b) = (stat7("void", &["n", "n"], 0.5), fractalstat("data"));
        assert!((entanglement(&a, &a).expect("stat7") - 1.0).abs() < 1e-15);
        assert!((fractalstat_similarity(&b, &b).expect("fractalstat") - 1.0).abs() < 1e-15);
    }

    #[test]
    fn a_vector_of_zeros_has_no_direction() {
        let origin = stat7("data", &[], 0.0);
        let parts = components(&origin, &stat7("data", &[], 1.0));
        assert_eq!((parts.polarity_resonance, parts.luminosity_proximity), (0.5, 0.0));
        assert_eq!(components(&origin, &origin).polarity_resonance, 0.5);
    }

    #[test]
    fn neighbours_overlap_as_sets_although_their_number_counts_duplicates() {
        let none = stat7("data", &[], 0.5);
        let twice = stat7("data", &["n1", "n1", "n2"], 0.5);
        let other = stat7("data", &["n2", "n3", "n3", "n3", "n4"], 0.5);
        assert_eq!(components(&none, &none).adjacency_overlap, 1.0);
        assert_eq!(components(&none, &twice).adjacency_overlap, 0.0);
        assert_eq!(components(&twice, &other).adjacency_overlap, 0.25);
        assert_eq!(components(&other, &twice).adjacency_overlap, 0.25);
        assert_eq!(Stat7Features::of(&twice).expect("stat7").vector()[2], 0.6);
    }

    #[test]
    fn adjacent_realms_are_those_of_the_table_and_system_does_not_see_narrative() {
        let adjacent = [
            ("data", "narrative system event pattern"),
            ("narrative", "data system faculty event pattern"),
            ("system", "data faculty pattern void"),
            ("faculty", "narrative system event"),
            ("event", "data narrative faculty pattern"),
            ("pattern", "data narrative system event void"),
            ("void", "system pattern"),
        ];
        for (from, seen) in adjacent {
            for to in REALMS {
                let affinity = components(&stat7(from, &[], 0.5), &stat7(to, &[], 0.5)).realm_affinity;
                let is_seen = seen.split(' ').any(|name| name == to);
                assert_eq!(
                    affinity,
                    if from == to {
                        1.0
                    } else if is_seen {
                        0.7
                    } else {
                        0.0
                    },
                    "{from} {to}"
                );
            }
        }
    }

    #[test]
    fn an_unknown_realm_counts_as_the_last_one_and_has_no_adjacent_realms() {
        let (unknown, other, data) =
            (stat7("moon", &[], 0.5), stat7("sun", &[], 0.5), stat7("data", &[], 0.5));
        let features = Stat7Features::of(&unknown).expect("stat7");
        assert_eq!((features.realm, features.vector()[0]), (None, 1.0));
        assert_eq!(components(&unknown, &unknown).realm_affinity, 1.0);
        for to in [&other, &data] {
            assert_eq!(components(&unknown, to).realm_affinity, 0.0);
            assert_eq!(components(to, &unknown).realm_affinity, 0.0);
        }
        assert!(!is_adjacent(7, 0) && !is_adjacent(0, 7) && !is_adjacent(255, 255));
    }

    #[test]
    fn vectors_saturate_and_lineage_affinity_decays_to_nothing() {
        let mut far = stat7("data", &["a", "b", "c", "d", "e", "f"], 0.5);
        far.lineage = u32::MAX;
        assert_eq!(Stat7Features::of(&far).expect("stat7").vector()[1..3], [1.0, 1.0]);
        assert_eq!(components(&far, &stat7("data", &[], 0.5)).lineage_affinity, 0.0);
        for exponent in 0..200 {
            let expected = (0..exponent).fold(1.0, |product, _| product * 0.9);
            assert!((power(0.9, exponent) - expected).abs() < 1e-14);
        }
    }

    #[test]
    fn similarity_in_fractalstat_weighs_realm_polarity_luminosity_and_dimensionality() {
        let near = FractalStatRelation {
            same_realm: true,
            same_polarity: true,
            luminosity_distance: 0.0,
            dimensionality_distance: 0,
        };
        for (relation, expected) in [
            (near, 1.0),
            (FractalStatRelation { same_realm: false, ..near }, 0.86),
            (FractalStatRelation { same_polarity: false, ..near }, 0.895),
            (FractalStatRelation { luminosity_distance: 1.0, ..near }, 0.9),
            (FractalStatRelation { luminosity_distance: 2.5, ..near }, 0.8),
            (FractalStatRelation { dimensionality_distance: 5, ..near }, 0.95),
        ] {
            assert!((relation.similarity() - expected).abs() < 1e-15, "{relation:?}");
        }
        let relation =
            FractalStatRelation::of(&fractalstat("data"), &fractalstat("void")).expect("fractalstat");
        assert_eq!(relation, FractalStatRelation { same_realm: false, ..near });
    }
}
