//! What the dimensions of an entity are as numbers in columns.

use statlas_core::{Coordinates, Profile};
use xxhash_rust::xxh3::xxh3_64;

/// Coordinates have eight decimals: columns hold them in hundred-millionths, exactly.
const UNITS_PER_ONE: f64 = 1e8;

/// The nearest number of hundred-millionths.
pub(super) fn units(value: f64) -> i64 {
    (value * UNITS_PER_ONE).round() as i64
}

/// The float that `units` hundred-millionths stand for.
pub(super) fn from_units(units: i64) -> f64 {
    units as f64 / UNITS_PER_ONE
}

pub(super) fn profile_code(profile: Profile) -> u8 {
    match profile {
        Profile::Stat7 => 0,
        Profile::FractalStat => 1,
    }
}

pub(super) fn neighbour_hash(id: &str) -> u64 {
    xxh3_64(id.as_bytes())
}

/// Hashes of the distinct neighbours, sorted.
pub(super) fn neighbour_hashes(coordinates: &Coordinates) -> Vec<u64> {
    let mut hashes: Vec<u64> = coordinates.adjacency.iter().map(neighbour_hash).collect();
    hashes.sort_unstable();
    hashes.dedup();
    hashes
}
