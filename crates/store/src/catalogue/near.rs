//! The rows most similar to a position: one pass over the columns of its profile.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use statlas_core::{
    Coordinates, Dimensions, Entanglement, FractalStat, FractalStatRelation, HORIZONS, Identifier, REALMS,
    Stat7Features, Stat7Relation,
};

use super::Catalogue;
use super::block::{BLOCK_ROWS, Block, from_units, neighbour_hashes, profile_code};

/// A row and its similarity; the greatest is the one to drop first.
struct Scored {
    similarity: f64,
    row: u32,
    location: u64,
}

impl Ord for Scored {
    fn cmp(&self, other: &Self) -> Ordering {
        other.similarity.total_cmp(&self.similarity).then(self.row.cmp(&other.row))
    }
}

impl PartialOrd for Scored {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Scored {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Scored {}

/// The position that rows are compared with, in the terms of the columns.
struct Origin<'a> {
    coordinates: &'a Coordinates,
    realm: Option<u32>,
    neighbours: Vec<u64>,
    /// The ordinals of the known realms and horizons by the codes of their names.
    realm_ordinals: Vec<Option<u8>>,
    horizon_ordinals: Vec<Option<u8>>,
}

impl Origin<'_> {
    fn similarity(&self, block: &Block, at: usize) -> f64 {
        match &self.coordinates.dimensions {
            Dimensions::Stat7(_) => self.entanglement(block, at),
            Dimensions::FractalStat(own) => self.fractalstat(own, block, at),
        }
    }

    fn entanglement(&self, block: &Block, at: usize) -> f64 {
        let Some(own) = Stat7Features::of(self.coordinates) else { return 0.0 };
        let row = Stat7Features {
            realm: self.realm_ordinals[block.realm[at] as usize],
            lineage: block.lineage[at],
            adjacency_len: block.adjacency_len[at] as usize,
            horizon: self.horizon_ordinals[block.horizon[at] as usize],
            resonance: from_units(block.resonance[at].into()),
            velocity: from_units(block.velocity[at].into()),
            density: from_units(block.density[at].into()),
        };
        let neighbours = block.neighbours(at);
        let shared_neighbours = shared(&self.neighbours, neighbours);
        let relation = Stat7Relation {
            same_realm: self.realm == Some(block.realm[at]),
            shared_neighbours,
            all_neighbours: self.neighbours.len() + neighbours.len() - shared_neighbours,
        };
        Entanglement::of(&own, &row, &relation).score()
    }

    fn fractalstat(&self, own: &FractalStat, block: &Block, at: usize) -> f64 {
        let luminosity = from_units(block.luminosity[at]);
        let relation = FractalStatRelation {
            same_realm: self.realm == Some(block.realm[at]),
            same_polarity: own.polarity.ordinal() == block.polarity[at],
            luminosity_distance: (own.luminosity() - luminosity).abs()
                / FractalStatRelation::LUMINOSITY_SCALE,
            dimensionality_distance: own.dimensionality.abs_diff(block.dimensionality[at]),
        };
        relation.similarity()
    }
}

/// How many numbers two sorted lists share.
fn shared(a: &[u64], b: &[u64]) -> usize {
    let (mut count, mut b) = (0, b.iter().peekable());
    for value in a {
        while b.next_if(|other| *other < value).is_some() {}
        count += usize::from(b.next_if_eq(&value).is_some());
    }
    count
}

impl Catalogue {
    /// The similarity and the location of the `k` rows most similar to a position, the most similar first,
    /// ties in the order of commits. The row at `except` is left out.
    pub(crate) fn near(&self, position: &Coordinates, k: usize, except: Option<u64>) -> Vec<(f64, u64)> {
        let ordinals = |known: &[&str]| {
            let ordinal = |name: &Identifier| {
                known.iter().position(|text| *text == name.as_str()).and_then(|at| u8::try_from(at).ok())
            };
            self.names.identifiers.iter().map(ordinal).collect()
        };
        let origin = Origin {
            coordinates: position,
            realm: self.names.codes.get(&position.realm).copied(),
            neighbours: neighbour_hashes(position),
            realm_ordinals: ordinals(&REALMS),
            horizon_ordinals: ordinals(&HORIZONS),
        };
        let profile = profile_code(position.profile());
        let mut best: BinaryHeap<Scored> = BinaryHeap::new();
        for (number, block) in self.blocks.iter().enumerate() {
            for at in 0..block.len() {
                let location = block.location[at];
                if block.profile[at] != profile || block.removed[at] || except == Some(location) {
                    continue;
                }
                // Rows are numbered with 32 bits.
                let row = (number * BLOCK_ROWS + at) as u32;
                let scored = Scored { similarity: origin.similarity(block, at), row, location };
                if best.len() < k {
                    best.push(scored);
                } else if let Some(mut worst) = best.peek_mut()
                    && scored < *worst
                {
                    *worst = scored;
                }
            }
        }
        best.into_sorted_vec().into_iter().map(|scored| (scored.similarity, scored.location)).collect()
    }
}
