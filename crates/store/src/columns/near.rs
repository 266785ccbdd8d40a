//! The rows most similar to a position: one pass over the columns of its profile.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use statlas_core::{
    Coordinates, Dimensions, Entanglement, FractalStat, FractalStatRelation, HORIZONS, Identifier, REALMS,
    Stat7Features, Stat7Relation,
};

use super::codes::{from_units, neighbour_hashes};
use super::conditions::Conditions;
use super::{BLOCK_ROWS, Column, ColumnId, Names, Neighbours, RowId, Rows, whole_column};
use crate::error::Result;
use crate::query::{Filter, OrderBy};

/// A row and how similar it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Near {
    pub(crate) similarity: f64,
    pub(crate) row: RowId,
    pub(crate) place: i64,
}

/// The `k` rows most similar to a position, the most similar first, ties in the order of commits. The row
/// `except` is left out. The oldest part comes first.
pub(crate) fn near(
    parts: &[&dyn Rows],
    position: &Coordinates,
    k: usize,
    except: Option<RowId>,
) -> Result<Vec<Near>> {
    let filter = Filter { profile: vec![position.profile()], ..Filter::default() };
    let conditions = Conditions::new(&filter, OrderBy::Commit);
    let (own, neighbours) = (Stat7Features::of(position), neighbour_hashes(position));
    let mut best = Best { k, rows: BinaryHeap::new() };
    for (part, rows) in parts.iter().enumerate() {
        let Some(conditions) = conditions.of_part(*rows) else { continue };
        let codes = Codes::of(rows.names(), position);
        for block in 0..rows.blocks() {
            let selection = conditions.select(block, 0..rows.block_rows(block), None)?;
            if selection.is_empty() {
                continue;
            }
            let row_of = |at: usize| RowId { part, row: block * BLOCK_ROWS + at };
            let wanted = selection.rows().filter(|at| except != Some(row_of(*at)));
            if let Some(own) = &own {
                let columns = Stat7Columns::of(*rows, block)?;
                wanted
                    .for_each(|at| best.offer(columns.similarity(own, &neighbours, &codes, at), row_of(at)));
            } else if let Dimensions::FractalStat(own) = &position.dimensions {
                let columns = FractalStatColumns::of(*rows, block)?;
                wanted.for_each(|at| best.offer(columns.similarity(own, &codes, at), row_of(at)));
            }
        }
    }
    let near = |Scored { similarity, row }: Scored| {
        Ok(Near { similarity, row, place: parts[row.part].value(row.row, ColumnId::Place)? })
    };
    best.rows.into_sorted_vec().into_iter().map(near).collect()
}

/// What the codes of a part say about a position and its neighbours in the known lists.
struct Codes {
    /// The realm of the position, if the part has it.
    realm: Option<i64>,
    /// The ordinals of the known realms and horizons by the codes of their names.
    realm_ordinals: Vec<Option<u8>>,
    horizon_ordinals: Vec<Option<u8>>,
}

impl Codes {
    fn of(names: &Names, position: &Coordinates) -> Self {
        let ordinals = |known: &[&str]| {
            let ordinal = |name: &Identifier| {
                known.iter().position(|text| *text == name.as_str()).and_then(|at| u8::try_from(at).ok())
            };
            names.identifiers().iter().map(ordinal).collect()
        };
        Self {
            realm: names.code(&position.realm).map(i64::from),
            realm_ordinals: ordinals(&REALMS),
            horizon_ordinals: ordinals(&HORIZONS),
        }
    }
}

/// The entry of a code; none for a code that no name has.
fn by_code(ordinals: &[Option<u8>], code: i64) -> Option<u8> {
    ordinals.get(code as usize).copied().flatten()
}

/// What entanglement looks at, of the rows of a block.
struct Stat7Columns<'a> {
    realm: Column<'a>,
    lineage: Column<'a>,
    adjacency_len: Column<'a>,
    horizon: Column<'a>,
    resonance: Column<'a>,
    velocity: Column<'a>,
    density: Column<'a>,
    neighbours: Neighbours<'a>,
}

impl<'a> Stat7Columns<'a> {
    fn of(rows: &'a dyn Rows, block: usize) -> Result<Self> {
        let column = |column| whole_column(rows, block, column);
        Ok(Self {
            realm: column(ColumnId::Realm)?,
            lineage: column(ColumnId::Lineage)?,
            adjacency_len: column(ColumnId::AdjacencyLen)?,
            horizon: column(ColumnId::Horizon)?,
            resonance: column(ColumnId::Resonance)?,
            velocity: column(ColumnId::Velocity)?,
            density: column(ColumnId::Density)?,
            neighbours: Neighbours::of(rows, block)?,
        })
    }

    fn similarity(&self, from: &Stat7Features, near: &[u64], codes: &Codes, at: usize) -> f64 {
        let realm = self.realm.get(at);
        let row = Stat7Features {
            realm: by_code(&codes.realm_ordinals, realm),
            // Both came from 32 bits.
            lineage: self.lineage.get(at) as u32,
            adjacency_len: self.adjacency_len.get(at) as usize,
            horizon: by_code(&codes.horizon_ordinals, self.horizon.get(at)),
            resonance: from_units(self.resonance.get(at)),
            velocity: from_units(self.velocity.get(at)),
            density: from_units(self.density.get(at)),
        };
        let own = self.neighbours.get(at);
        let shared_neighbours = shared(near, own);
        let relation = Stat7Relation {
            same_realm: codes.realm == Some(realm),
            shared_neighbours,
            all_neighbours: near.len() + own.len() - shared_neighbours,
        };
        Entanglement::of(from, &row, &relation).score()
    }
}

/// What similarity in FractalStat looks at, of the rows of a block.
struct FractalStatColumns<'a> {
    realm: Column<'a>,
    polarity: Column<'a>,
    luminosity: Column<'a>,
    dimensionality: Column<'a>,
}

impl<'a> FractalStatColumns<'a> {
    fn of(rows: &'a dyn Rows, block: usize) -> Result<Self> {
        let column = |column| whole_column(rows, block, column);
        Ok(Self {
            realm: column(ColumnId::Realm)?,
            polarity: column(ColumnId::Polarity)?,
            luminosity: column(ColumnId::Luminosity)?,
            dimensionality: column(ColumnId::Dimensionality)?,
        })
    }

    fn similarity(&self, from: &FractalStat, codes: &Codes, at: usize) -> f64 {
        let luminosity = from_units(self.luminosity.get(at));
        // What is stored came from 32 bits.
        let dimensionality = self.dimensionality.get(at) as u32;
        let relation = FractalStatRelation {
            same_realm: codes.realm == Some(self.realm.get(at)),
            same_polarity: self.polarity.get(at) == i64::from(from.polarity.ordinal()),
            luminosity_distance: (from.luminosity() - luminosity).abs()
                / FractalStatRelation::LUMINOSITY_SCALE,
            dimensionality_distance: from.dimensionality.abs_diff(dimensionality),
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

/// The best rows so far.
struct Best {
    k: usize,
    rows: BinaryHeap<Scored>,
}

impl Best {
    #[inline]
    fn offer(&mut self, similarity: f64, row: RowId) {
        let scored = Scored { similarity, row };
        if self.rows.len() < self.k {
            self.rows.push(scored);
        } else if let Some(mut worst) = self.rows.peek_mut()
            && scored < *worst
        {
            *worst = scored;
        }
    }
}

/// A row and its similarity; the greatest is the one to drop first.
struct Scored {
    similarity: f64,
    row: RowId,
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
