//! What a sidecar holds, as the engine gives it and gets it back.

use std::collections::BTreeMap;

use crate::batch::RecordKey;
use crate::columns::{Bits, Names, PackedBlock};

/// Which segment file a sidecar describes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity {
    /// The store that the segment belongs to.
    pub(crate) store_id: [u8; 16],
    /// The number of the segment, 24 bits.
    pub(crate) segment: u32,
    /// The length of the segment's file: a complete segment never changes, so another length means that
    /// another file is meant.
    pub(crate) log_bytes: u64,
}

/// Numbers about the segment as a whole, kept in the header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Summary {
    /// The first revision that stands in the segment.
    pub(crate) first_revision: u64,
    /// The last revision that stands in the segment.
    pub(crate) last_revision: u64,
    /// The head of the hash chain behind the segment.
    pub(crate) chain: [u8; 32],
    /// The revision at which bits and garbage were counted.
    pub(crate) state_revision: u64,
    /// Bytes of the segment that nobody needs any more.
    pub(crate) garbage_bytes: u64,
    /// Bytes of husks in the segment, which need not be kept for ever.
    pub(crate) husk_bytes: u64,
    /// Records that the store has behind the segment.
    pub(crate) records_live: u64,
}

/// A table of pairs of a key and a value. Keys may be equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(usize)]
pub(crate) enum TableId {
    /// From the first 8 bytes of an entity's address to its packed place.
    Entities,
    /// From the first 8 bytes of a blob's SHA-256 to its packed place.
    Blobs,
    /// From the hash of an id to the number of a row.
    Ids,
    /// From the hash of a record's name to its number in the list of records.
    Records,
}

impl TableId {
    /// Every table, in the order of the file.
    pub(crate) const ALL: [Self; 4] = [Self::Entities, Self::Blobs, Self::Ids, Self::Records];
    /// The tables that there is an index in memory for.
    pub(crate) const INDEXED: [Self; 3] = [Self::Entities, Self::Blobs, Self::Ids];
}

/// How many tables there are.
pub(super) const TABLES: usize = TableId::ALL.len();

/// What a batch of the segment changed about a row or a blob of an earlier segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Effect {
    /// The revision of the batch.
    pub(crate) revision: u64,
    /// The earlier segment, 24 bits.
    pub(crate) segment: u32,
    /// The row or the packed place there, or how many units of 64 bytes records took.
    pub(crate) target: u32,
    /// What became of it.
    pub(crate) kind: EffectKind,
}

/// What became of a row or a blob of an earlier segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub(crate) enum EffectKind {
    /// The row's entity was removed.
    EntityRemoved = 1,
    /// A newer version of the row's id was stored.
    Superseded = 2,
    /// The row is the newest version of its id again, since newer ones were removed.
    Newest = 3,
    /// The blob was removed.
    BlobRemoved = 4,
    /// Records were removed or set to other values. Nobody needs to know which: the newest segment that names a
    /// record has its newest change. So one effect says how much of the earlier segment is garbage by that.
    RecordsReplaced = 5,
}

impl EffectKind {
    pub(super) const ALL: [Self; 5] =
        [Self::EntityRemoved, Self::Superseded, Self::Newest, Self::BlobRemoved, Self::RecordsReplaced];
}

/// An entity, a blob or a chunk of one that a batch of the segment removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Removal {
    /// What was removed.
    pub(crate) kind: RemovalKind,
    /// Its address or SHA-256.
    pub(crate) key: [u8; 32],
    /// The revision of the batch.
    pub(crate) revision: u64,
}

/// What a removal is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub(crate) enum RemovalKind {
    /// An entity.
    Entity = 1,
    /// A blob.
    Blob = 2,
    /// A chunk of a large blob.
    Chunk = 3,
}

impl RemovalKind {
    /// The table that held what was removed.
    pub(crate) const fn table(self) -> TableId {
        match self {
            Self::Entity => TableId::Entities,
            Self::Blob | Self::Chunk => TableId::Blobs,
        }
    }

    pub(super) const ALL: [Self; 3] = [Self::Entity, Self::Blob, Self::Chunk];
}

/// The last change of a record in the segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RecordEntry {
    /// The packed place of the frame.
    pub(crate) place: u32,
    /// The revision of the batch.
    pub(crate) revision: u64,
    /// Whether the record was removed, rather than set.
    pub(crate) removed: bool,
}

/// A row that was stored again after its first frame was damaged, and takes that one's place in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mended {
    /// The row.
    pub(crate) row: u32,
    /// The revision that it counts as.
    pub(crate) revision: u64,
    /// Its ordinal there.
    pub(crate) ordinal: u32,
}

/// Where the commit frame of a revision begins; only some revisions have one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    /// The revision.
    pub(crate) revision: u64,
    /// The offset in the segment, in bytes.
    pub(crate) offset: u64,
}

/// All that goes into a sidecar.
pub(crate) struct Contents<'a> {
    /// Which segment it describes.
    pub(crate) identity: Identity,
    /// Numbers about the segment.
    pub(crate) summary: Summary,
    /// The tables of entities, blobs and ids, their pairs in any order. That of records follows from their list.
    pub(crate) tables: [Vec<(u64, u32)>; TABLES - 1],
    /// The blocks, each full but for the last.
    pub(crate) blocks: Vec<&'a PackedBlock>,
    /// Rows in all blocks.
    pub(crate) rows: usize,
    /// The names whose codes stand in the columns.
    pub(crate) names: &'a Names,
    /// What may change about the rows, as it was at [`Summary::state_revision`].
    pub(crate) bits: &'a Bits,
    /// What batches of the segment changed about earlier ones.
    pub(crate) effects: &'a [Effect],
    /// What they removed.
    pub(crate) removals: &'a [Removal],
    /// What they changed about records.
    pub(crate) records: &'a BTreeMap<RecordKey, RecordEntry>,
    /// Rows that take an older one's place.
    pub(crate) mended: &'a [Mended],
    /// Where some commits stand, ascending.
    pub(crate) marks: &'a [Mark],
}
