//! Making the bytes of a sidecar.

use std::collections::BTreeMap;

use statlas_core::Identifier;
use zerocopy::IntoBytes;

use super::contents::{Contents, Identity, RecordEntry, Summary, TABLES, TableId};
use super::directory::{Chunk, Directory};
use super::filter::{self, FilterShape};
use super::header::{HEADER_BYTES, Header};
use super::layout::{
    ALIGNMENT, Counts, RECORD_CHUNK_ENTRIES, Section, TABLE_CHUNK_ENTRIES, TABLE_ENTRY_BYTES,
};
use super::lists::{Entry, write_bits};
use super::records::{name_hash, write_records};
use crate::batch::RecordKey;
use crate::columns::{BLOCK_ROWS, Extent, PackedBlock};

/// Room for what is not counted beforehand: most sidecars have short lists.
const SLACK_BYTES: usize = 1 << 20;

impl Contents<'_> {
    /// The whole sidecar. The same contents give the same bytes.
    pub(crate) fn encode(mut self) -> Vec<u8> {
        debug_assert_eq!(self.blocks.len(), self.rows.div_ceil(BLOCK_ROWS));
        let tables = self.take_tables();
        let built = self.build_filters(&tables);
        let mut file = Draft::with_capacity(self.expected_bytes(&tables));
        for (table, entries) in TableId::ALL.into_iter().zip(&tables) {
            file.table(table, entries);
        }
        let mut filters = [None; TABLES];
        for ((table, built), shape) in TableId::ALL.into_iter().zip(built).zip(&mut filters) {
            if let Some((built_shape, fingerprints)) = built {
                *shape = Some(built_shape);
                file.counts.set(Section::of_filter(table), fingerprints.len());
                file.chunk(|out| out.extend_from_slice(fingerprints.as_bytes()));
            }
        }
        let extents = file.blocks(&self.blocks, self.rows);
        file.list::<Identifier>(Section::Names, self.names.identifiers());
        file.counts.set(Section::Bits, self.rows);
        if self.rows > 0 {
            file.chunk(|out| write_bits(self.bits, out));
        }
        file.list(Section::Effects, self.effects);
        file.list(Section::Removals, self.removals);
        file.records(self.records);
        file.list(Section::Mended, self.mended);
        file.list(Section::Marks, self.marks);
        let first_keys =
            tables.map(|entries| entries.chunks(TABLE_CHUNK_ENTRIES).map(|chunk| chunk[0].0).collect());
        file.finish(self.identity, self.summary, filters, first_keys, extents)
    }

    /// All tables, sorted.
    fn take_tables(&mut self) -> [Vec<(u64, u32)>; TABLES] {
        let [entities, blobs, ids] = std::mem::take(&mut self.tables);
        // A segment has fewer records than bytes, and those have 28 bits.
        let records = (0_u32..).zip(self.records.keys());
        let records = records.map(|(at, key)| (name_hash(key.collection(), key.key()), at)).collect();
        let mut tables = [entities, blobs, ids, records];
        tables.iter_mut().for_each(|table| table.sort_unstable());
        tables
    }

    /// A filter for each table. Its seed depends on the head of the hash chain behind the segment, which
    /// nobody can know who still chooses what the segment shall hold.
    fn build_filters(
        &self,
        tables: &[Vec<(u64, u32)>; TABLES],
    ) -> [Option<(FilterShape, Box<[u16]>)>; TABLES] {
        let secret = [self.identity.store_id.as_slice(), &self.summary.chain].concat();
        std::array::from_fn(|table| filter::build(&tables[table], &secret))
    }

    /// About how many bytes the sidecar will have, lists left out.
    fn expected_bytes(&self, tables: &[Vec<(u64, u32)>; TABLES]) -> usize {
        let entries: usize = tables.iter().map(Vec::len).sum();
        let block = |block: &&PackedBlock| {
            let columns: usize = block.columns.iter().map(|column| column.bytes().len()).sum();
            columns + size_of_val(&*block.neighbours) + size_of_val(&*block.tokens)
        };
        // A filter takes three bytes a key at most, where it is large enough to matter.
        entries * (TABLE_ENTRY_BYTES + 3) + self.blocks.iter().map(block).sum::<usize>() + SLACK_BYTES
    }
}

/// A file on its way: chunk follows chunk behind the room for the header.
struct Draft {
    bytes: Vec<u8>,
    chunks: Vec<Chunk>,
    counts: Counts,
}

impl Draft {
    fn with_capacity(bytes: usize) -> Self {
        let mut file =
            Self { bytes: Vec::with_capacity(bytes), chunks: Vec::new(), counts: Counts::default() };
        file.bytes.resize(HEADER_BYTES, 0);
        file
    }

    /// Adds a chunk: what `write` appends.
    fn chunk(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.bytes.len();
        write(&mut self.bytes);
        let bytes = self.bytes.len() - start;
        self.bytes.resize(self.bytes.len().next_multiple_of(ALIGNMENT), 0);
        let crc = crc32c::crc32c(&self.bytes[start..]);
        self.chunks.push(Chunk { start, bytes, crc });
    }

    fn table(&mut self, table: TableId, entries: &[(u64, u32)]) {
        self.counts.set(Section::of_table(table), entries.len());
        let (mut keys, mut values) = ([0; TABLE_CHUNK_ENTRIES], [0; TABLE_CHUNK_ENTRIES]);
        for chunk in entries.chunks(TABLE_CHUNK_ENTRIES) {
            for (at, (key, value)) in chunk.iter().enumerate() {
                (keys[at], values[at]) = (*key, *value);
            }
            self.chunk(|out| {
                out.extend_from_slice(keys[..chunk.len()].as_bytes());
                out.extend_from_slice(values[..chunk.len()].as_bytes());
            });
        }
    }

    /// Adds the columns of all blocks, then their neighbours, then their tokens; returns the extents of the columns.
    fn blocks(&mut self, blocks: &[&PackedBlock], rows: usize) -> Vec<Extent> {
        let mut extents = Vec::new();
        self.counts.set(Section::Columns, rows);
        self.counts.set(Section::Neighbours, blocks.iter().map(|block| block.neighbours.len()).sum());
        self.counts.set(Section::Tokens, blocks.iter().map(|block| block.tokens.len()).sum());
        for column in blocks.iter().flat_map(|block| &block.columns) {
            extents.push(column.extent());
            self.chunk(|out| out.extend_from_slice(column.bytes()));
        }
        for block in blocks {
            self.chunk(|out| out.extend_from_slice(block.neighbours.as_bytes()));
        }
        for block in blocks {
            self.chunk(|out| out.extend_from_slice(block.tokens.as_bytes()));
        }
        extents
    }

    fn list<T: Entry>(&mut self, section: Section, entries: &[T]) {
        self.counts.set(section, entries.len());
        if !entries.is_empty() {
            self.chunk(|out| entries.iter().for_each(|entry| entry.write(out)));
        }
    }

    fn records(&mut self, records: &BTreeMap<RecordKey, RecordEntry>) {
        self.counts.set(Section::RecordList, records.len());
        let mut left = records.iter();
        for first in (0..records.len()).step_by(RECORD_CHUNK_ENTRIES) {
            let entries = (records.len() - first).min(RECORD_CHUNK_ENTRIES);
            self.chunk(|out| write_records(left.by_ref().take(entries), entries, out));
        }
    }

    /// Adds the directory and fills in the header.
    fn finish(
        mut self,
        identity: Identity,
        summary: Summary,
        filters: [Option<FilterShape>; TABLES],
        first_keys: [Vec<u64>; TABLES],
        extents: Vec<Extent>,
    ) -> Vec<u8> {
        let directory = Directory::new(self.counts, filters, self.chunks, first_keys, extents).encode();
        debug_assert_eq!(size_of_val(&*directory) as u64, Directory::encoded_bytes(&self.counts));
        let directory_at = self.bytes.len() as u64;
        self.bytes.extend_from_slice(directory.as_bytes());
        let header = Header {
            identity,
            summary,
            file_bytes: self.bytes.len() as u64,
            directory_at,
            directory_crc: crc32c::crc32c(directory.as_bytes()),
            counts: self.counts,
        };
        self.bytes[..HEADER_BYTES].copy_from_slice(&header.encode());
        self.bytes
    }
}
