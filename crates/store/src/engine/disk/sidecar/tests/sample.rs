//! Contents of sidecars to test with.

use std::collections::BTreeMap;

use statlas_core::Identifier;

use crate::batch::RecordKey;
use crate::columns::{BLOCK_ROWS, Bit, Bits, ColumnId, Names, PackedBlock, PackedColumn};
use crate::engine::disk::sidecar::{
    AlignedBytes, Contents, Effect, EffectKind, Identity, Mark, Mended, RecordEntry, Removal, RemovalKind,
    Sidecar, SidecarMemory, Summary, TableId, name_hash,
};
use crate::testing::{Random, varied_token};

/// How much of everything there is.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sizes {
    pub(super) rows: usize,
    pub(super) blobs: usize,
    /// Entries of each list.
    pub(super) entries: usize,
    /// Keys of tables differ in so few bits that many are equal.
    pub(super) equal_keys: bool,
}

/// A block, and the values that it was packed from.
pub(super) struct Block {
    pub(super) columns: [Vec<i64>; ColumnId::ALL.len()],
    pub(super) packed: PackedBlock,
}

/// Contents that make sense.
pub(super) struct Sample {
    pub(super) identity: Identity,
    pub(super) summary: Summary,
    pub(super) tables: [Vec<(u64, u32)>; 3],
    pub(super) blocks: Vec<Block>,
    pub(super) rows: usize,
    pub(super) names: Names,
    pub(super) bits: Bits,
    pub(super) effects: Vec<Effect>,
    pub(super) removals: Vec<Removal>,
    pub(super) records: BTreeMap<RecordKey, RecordEntry>,
    pub(super) mended: Vec<Mended>,
    pub(super) marks: Vec<Mark>,
}

/// Where a packed place of a sample is in its segment.
pub(super) fn offset_of(place: u32) -> u64 {
    u64::from(place) * 8
}

impl Sample {
    pub(super) fn new(seed: u64, sizes: Sizes) -> Self {
        let Sizes { rows, blobs, entries, equal_keys } = sizes;
        let random = &mut Random::new(seed);
        let key_mask = if equal_keys { 7 << 61 } else { u64::MAX };
        let identity = Identity {
            store_id: [7; 16],
            segment: 1 + random.below(1 << 20) as u32,
            log_bytes: 80 + 8 * (rows + blobs + entries + 1) as u64,
        };
        let summary = Summary {
            first_revision: 10,
            last_revision: 10 + random.bits() % 1000,
            chain: std::array::from_fn(|_| random.bits() as u8),
            state_revision: 5000,
            garbage_bytes: random.bits(),
            husk_bytes: random.bits(),
            records_live: random.bits(),
        };
        let mut pairs = |count: usize| -> Vec<(u64, u32)> {
            (0..count).map(|n| (random.bits() & key_mask, n as u32)).collect()
        };
        let tables = [pairs(rows), pairs(blobs), pairs(rows)];
        let names: Names =
            ["data", "system", "void", "echo"].into_iter().filter_map(Identifier::new).collect();
        let blocks = (0..rows).step_by(BLOCK_ROWS);
        let blocks =
            blocks.map(|first| block(random, first, (rows - first).min(BLOCK_ROWS), &names)).collect();
        let bits = Bits::with_rows(rows);
        for row in 0..rows {
            bits.set(row, Bit::Removed, random.chance(10));
            bits.set(row, Bit::Superseded, random.chance(20));
        }
        let revision = |n: usize| 10 + n as u64;
        let effect = |n: usize| Effect {
            revision: revision(n),
            segment: n as u32 % identity.segment,
            target: random.bits() as u32,
            kind: random.pick(&EffectKind::ALL),
        };
        let effects = (0..entries).map(effect).collect();
        let removal = |n: usize| Removal {
            kind: random.pick(&RemovalKind::ALL),
            key: std::array::from_fn(|_| random.bits() as u8),
            revision: revision(n),
        };
        let removals = (0..entries).map(removal).collect();
        let record = |n: usize| {
            let key = RecordKey::new(&"c".repeat(1 + n * 40 % 255), &format!("key {n} ü"));
            let place = 10 + random.below(entries) as u32;
            let entry = RecordEntry { place, revision: revision(n), removed: random.chance(30) };
            (key.expect("it is short"), entry)
        };
        let records = (0..entries).map(record).collect();
        let mended = |n: usize| Mended {
            row: random.below(rows) as u32,
            revision: revision(n),
            ordinal: random.bits() as u32,
        };
        let mended = if rows > 0 { (0..entries).map(mended).collect() } else { Vec::new() };
        let marks = (0..entries).map(|n| Mark { revision: revision(n), offset: 80 + 8 * n as u64 }).collect();
        Self {
            identity,
            summary,
            tables,
            blocks,
            rows,
            names,
            bits,
            effects,
            removals,
            records,
            mended,
            marks,
        }
    }

    /// The entries of a table, sorted.
    pub(super) fn table(&self, table: TableId) -> Vec<(u64, u32)> {
        let hash = |key: &RecordKey| name_hash(key.collection(), key.key());
        let mut entries = match self.tables.get(table as usize) {
            Some(entries) => entries.clone(),
            None => self.records.keys().map(hash).zip(0..).collect(),
        };
        entries.sort_unstable();
        entries
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let contents = Contents {
            identity: self.identity,
            summary: self.summary,
            tables: self.tables.clone(),
            blocks: self.blocks.iter().map(|block| &block.packed).collect(),
            rows: self.rows,
            names: &self.names,
            bits: &self.bits,
            effects: &self.effects,
            removals: &self.removals,
            records: &self.records,
            mended: &self.mended,
            marks: &self.marks,
        };
        contents.encode()
    }

    pub(super) fn open(&self) -> Sidecar {
        open(&self.encode(), &self.identity).unwrap_or_else(|reason| panic!("it was just made: {reason}"))
    }
}

pub(super) fn open(bytes: &[u8], identity: &Identity) -> Result<Sidecar, String> {
    Sidecar::open(SidecarMemory::Heap(AlignedBytes::from(bytes)), "log/00000007.idx".to_owned(), identity)
}

fn block(random: &mut Random, first: usize, rows: usize, names: &Names) -> Block {
    let (mut neighbours, mut tokens) = (Vec::new(), Vec::new());
    let mut columns: [Vec<i64>; ColumnId::ALL.len()] = Default::default();
    for row in 0..rows {
        let mut own: Vec<u64> = (0..random.below(4)).map(|_| random.bits()).collect();
        own.sort_unstable();
        neighbours.extend(own);
        if random.chance(40) {
            tokens.push(varied_token(random));
        }
        for column in ColumnId::ALL {
            let value = match column {
                ColumnId::Place => 10 + (first + row) as i64,
                ColumnId::Realm | ColumnId::EntityRealm | ColumnId::Horizon | ColumnId::EntityType => {
                    random.below(names.identifiers().len()) as i64
                }
                ColumnId::NeighboursEnd => neighbours.len() as i64,
                ColumnId::TokensEnd => tokens.len() as i64,
                // All alike, spread over all numbers, or a few of them.
                ColumnId::Profile => 1,
                ColumnId::Resonance => random.bits().cast_signed(),
                _ => random.below(1 << (column as usize * 2)) as i64 - 40,
            };
            columns[column as usize].push(value);
        }
    }
    let packed = std::array::from_fn(|column| PackedColumn::pack(&columns[column]));
    Block {
        columns,
        packed: PackedBlock { columns: packed, neighbours: neighbours.into(), tokens: tokens.into() },
    }
}
