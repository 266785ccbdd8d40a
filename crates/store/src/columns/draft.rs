//! A row before it has a place: made from an entity in whatever thread has it, cheap to hand over.

use std::ops::Range;

use statlas_core::{CanonicalHead, Dimensions, EntityError, EntityHead, Identifier, Token};
use xxhash_rust::xxh3::xxh3_64;

use super::RowLists;
use super::codes::{neighbour_hash, profile_code, units};

/// The columns of one entity, its names not yet numbers. Every entity on its way has one in an allocation of its own, and
/// 200 bytes are what the allocator has a place for: a few more make a load slower by 8 percent.
#[derive(Debug, Clone)]
pub(crate) struct Draft {
    pub(crate) id_hash: u64,
    /// Realm of the coordinates, realm of the entity, horizon, type.
    pub(crate) names: [Identifier; 4],
    pub(crate) created_at: i64,
    pub(crate) lineage: u32,
    pub(crate) profile: u8,
    /// Resonance, velocity and density in hundred-millionths; 0 for the other profile.
    pub(crate) stat7: [i32; 3],
    /// In hundred-millionths; 0 for the other profile, like all that follow.
    pub(crate) luminosity: i64,
    pub(crate) dimensionality: u32,
    pub(crate) polarity: u8,
    pub(crate) alignment: u8,
    /// Members of the adjacency, duplicates counted.
    pub(crate) adjacency_len: u32,
    /// Where the hashes of its distinct neighbours stand in the list that they were put into.
    pub(super) neighbours: Range<u32>,
    /// Where its token stands in the list that it was put into, if it has one.
    pub(super) token: Option<u32>,
}

const _: () = assert!(size_of::<Draft>() <= 200);

impl Draft {
    /// The row of an entity and its token; its part of the lists is appended to `lists`.
    pub(crate) fn of(head: &EntityHead<'_>, token: Option<&Token>, lists: &mut RowLists) -> Self {
        let from = lists.neighbours.len();
        let place = &head.coordinates;
        lists.neighbours.extend(place.adjacency.iter().map(neighbour_hash));
        let names = [place.realm, head.realm, place.horizon, head.entity_type];
        let draft = Self::new(&head.id, names, &place.dimensions);
        Self { created_at: head.created_at.unix_ms(), lineage: place.lineage, ..draft }
            .with_neighbours(&mut lists.neighbours, from)
            .with_token(token, &mut lists.tokens)
    }

    /// The row of an entity whose canonical text and token are given; its part of the lists is appended to `lists`.
    pub(crate) fn read(
        canonical: &[u8],
        token: Option<&Token>,
        lists: &mut RowLists,
    ) -> Result<Self, EntityError> {
        let from = lists.neighbours.len();
        let head = CanonicalHead::read(canonical, |id| lists.neighbours.push(neighbour_hash(id)))?;
        let names = [head.coordinate_realm, head.realm, head.horizon, head.entity_type];
        let draft = Self::new(&head.id, names, &head.dimensions);
        let draft = Self { created_at: head.created_at.unix_ms(), lineage: head.lineage, ..draft };
        Ok(draft.with_neighbours(&mut lists.neighbours, from).with_token(token, &mut lists.tokens))
    }

    /// The hashes of its distinct neighbours, sorted, in the lists that they were put into.
    pub(crate) fn neighbours<'a>(&self, lists: &'a RowLists) -> &'a [u64] {
        &lists.neighbours[self.neighbours.start as usize..self.neighbours.end as usize]
    }

    /// Its token, in the lists that it was put into.
    pub(crate) fn token<'a>(&self, lists: &'a RowLists) -> Option<&'a Token> {
        self.token.map(|at| &lists.tokens[at as usize])
    }

    /// The hash of the id, by which indexes of ids look for it.
    pub(crate) fn id_hash(&self) -> u64 {
        self.id_hash
    }

    fn new(id: &str, names: [Identifier; 4], dimensions: &Dimensions) -> Self {
        let mut draft = Self {
            id_hash: xxh3_64(id.as_bytes()),
            names,
            created_at: 0,
            lineage: 0,
            profile: profile_code(dimensions.profile()),
            stat7: [0; 3],
            luminosity: 0,
            dimensionality: 0,
            polarity: 0,
            alignment: 0,
            adjacency_len: 0,
            neighbours: 0..0,
            token: None,
        };
        match dimensions {
            // At most 1e8 units each way.
            Dimensions::Stat7(own) => {
                draft.stat7 =
                    [own.resonance(), own.velocity(), own.density()].map(|value| units(value) as i32);
            }
            Dimensions::FractalStat(own) => {
                draft.luminosity = units(own.luminosity());
                draft.dimensionality = own.dimensionality;
                draft.polarity = own.polarity.ordinal();
                draft.alignment = own.alignment.ordinal();
            }
        }
        draft
    }

    /// Sorts the neighbours that stand in the list behind `from`, and leaves each there once.
    fn with_neighbours(mut self, neighbours: &mut Vec<u64>, from: usize) -> Self {
        // At most 65,536 members.
        self.adjacency_len = (neighbours.len() - from) as u32;
        neighbours[from..].sort_unstable();
        let mut kept = from;
        for at in from..neighbours.len() {
            if at == from || neighbours[at] != neighbours[kept - 1] {
                neighbours[kept] = neighbours[at];
                kept += 1;
            }
        }
        neighbours.truncate(kept);
        // What a segment or a batch may hold has fewer than that.
        self.neighbours = from as u32..kept as u32;
        self
    }

    /// Puts its token into the list.
    fn with_token(self, token: Option<&Token>, tokens: &mut Vec<Token>) -> Self {
        let Some(token) = token else { return self };
        tokens.push(*token);
        // As above.
        Self { token: Some(tokens.len() as u32 - 1), ..self }
    }
}
