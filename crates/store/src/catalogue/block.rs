//! 65,536 rows, a column per dimension.

use statlas_core::{Coordinates, Profile};
use xxhash_rust::xxh3::xxh3_64;

use super::draft::Draft;

/// Rows in a block. A condition is evaluated for a block at a time, into a bitmap that fits the cache.
pub(super) const BLOCK_ROWS: usize = 1 << 16;
/// The row number that stands for none.
pub(super) const NO_ROW: u32 = u32::MAX;
/// Coordinates have eight decimals: columns hold them in hundred-millionths, exactly.
const UNITS_PER_ONE: f64 = 1e8;

/// What a row knows beside the entity's head.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    pub(crate) location: u64,
    pub(crate) revision: u64,
    pub(crate) ordinal: u32,
    /// Where the damaged frame stands that this one replaces: that keeps its place among the versions.
    pub(crate) mended: Option<u64>,
}

/// The columns. A dimension that the row's profile lacks holds 0.
#[derive(Default)]
pub(super) struct Block {
    pub(super) location: Vec<u64>,
    pub(super) ordinal: Vec<u32>,
    /// The row of the version before, or [`NO_ROW`].
    pub(super) previous: Vec<u32>,
    pub(super) removed: Vec<bool>,
    /// Whether a newer version of the id is there.
    pub(super) superseded: Vec<bool>,
    pub(super) profile: Vec<u8>,
    pub(super) realm: Vec<u32>,
    pub(super) entity_realm: Vec<u32>,
    pub(super) horizon: Vec<u32>,
    pub(super) entity_type: Vec<u32>,
    pub(super) polarity: Vec<u8>,
    pub(super) alignment: Vec<u8>,
    pub(super) lineage: Vec<u32>,
    pub(super) dimensionality: Vec<u32>,
    pub(super) resonance: Vec<i32>,
    pub(super) velocity: Vec<i32>,
    pub(super) density: Vec<i32>,
    pub(super) luminosity: Vec<i64>,
    pub(super) created_at: Vec<i64>,
    /// Members of the adjacency, duplicates counted.
    pub(super) adjacency_len: Vec<u32>,
    /// Where the row's neighbours end in `neighbours`; they begin where those of the row before end.
    neighbours_end: Vec<u32>,
    /// Hashes of the distinct neighbours of each row, sorted.
    neighbours: Vec<u64>,
}

pub(super) fn profile_code(profile: Profile) -> u8 {
    match profile {
        Profile::Stat7 => 0,
        Profile::FractalStat => 1,
    }
}

pub(super) fn units(value: f64) -> i64 {
    (value * UNITS_PER_ONE).round() as i64
}

/// The float that `units` hundred-millionths stand for.
pub(super) fn from_units(units: i64) -> f64 {
    units as f64 / UNITS_PER_ONE
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

impl Block {
    pub(super) fn len(&self) -> usize {
        self.location.len()
    }

    pub(super) fn neighbours(&self, at: usize) -> &[u64] {
        let start = if at == 0 { 0 } else { self.neighbours_end[at - 1] };
        &self.neighbours[start as usize..self.neighbours_end[at] as usize]
    }

    /// Adds a row; `codes` are those of the draft's names.
    pub(super) fn push(
        &mut self,
        draft: &Draft,
        neighbours: &[u64],
        codes: [u32; 4],
        row: Row,
        previous: u32,
    ) {
        let [realm, entity_realm, horizon, entity_type] = codes;
        self.location.push(row.location);
        self.ordinal.push(row.ordinal);
        self.previous.push(previous);
        self.removed.push(false);
        self.superseded.push(false);
        self.profile.push(draft.profile);
        self.realm.push(realm);
        self.entity_realm.push(entity_realm);
        self.horizon.push(horizon);
        self.entity_type.push(entity_type);
        self.lineage.push(draft.lineage);
        self.created_at.push(draft.created_at);
        self.resonance.push(draft.stat7[0]);
        self.velocity.push(draft.stat7[1]);
        self.density.push(draft.stat7[2]);
        self.luminosity.push(draft.luminosity);
        self.polarity.push(draft.polarity);
        self.dimensionality.push(draft.dimensionality);
        self.alignment.push(draft.alignment);
        self.adjacency_len.push(draft.adjacency_len);
        self.neighbours.extend_from_slice(neighbours);
        // At most 65,536 neighbours a row and as many rows a block.
        self.neighbours_end.push(self.neighbours.len() as u32);
    }

    /// Bytes allocated.
    pub(super) fn bytes(&self) -> u64 {
        let per_row = 8 * 3 + 4 * 13 + 5;
        (self.location.capacity() * per_row + self.neighbours.capacity() * 8) as u64
    }
}
