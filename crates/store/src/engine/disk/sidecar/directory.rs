//! The directory: where each chunk stands, its checksum, and what is wanted of it before it is read.

use super::contents::{TABLES, TableId};
use super::filter::FilterShape;
use super::header::HEADER_BYTES;
use super::layout::{ALIGNMENT, BLOCK_LISTS, COLUMNS, Counts, SECTIONS, Section};
use crate::columns::{ColumnId, Extent};

/// A piece of the file with a checksum of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Chunk {
    pub(super) start: usize,
    pub(super) bytes: usize,
    /// Of the bytes and of the zeros that fill up the last 64.
    pub(super) crc: u32,
}

impl Chunk {
    /// Where the next chunk begins.
    pub(super) fn end(&self) -> usize {
        self.start + self.bytes.next_multiple_of(ALIGNMENT)
    }
}

/// The directory, in memory.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Directory {
    pub(super) counts: Counts,
    /// The number of the first chunk of each section.
    first_chunks: [usize; SECTIONS],
    /// The filter of each table, if it has one.
    pub(super) filters: [Option<FilterShape>; TABLES],
    /// Every chunk, in the order of the file.
    pub(super) chunks: Vec<Chunk>,
    /// The first key of each chunk of each table.
    pub(super) first_keys: [Vec<u64>; TABLES],
    /// Of each column of each block, block by block.
    pub(super) extents: Vec<Extent>,
}

impl Directory {
    /// The directory of as many chunks as the counts say.
    pub(super) fn new(
        counts: Counts,
        filters: [Option<FilterShape>; TABLES],
        chunks: Vec<Chunk>,
        first_keys: [Vec<u64>; TABLES],
        extents: Vec<Extent>,
    ) -> Self {
        debug_assert_eq!(chunks.len() as u64, counts.all_chunks());
        debug_assert_eq!(extents.len() as u64, counts.extents());
        let first_chunks = Section::ALL.map(|section| counts.first_chunk(section) as usize);
        Self { counts, first_chunks, filters, chunks, first_keys, extents }
    }

    /// Bytes that the directory of a sidecar takes in the file; saturates where no file could hold it.
    pub(super) fn encoded_bytes(counts: &Counts) -> u64 {
        let filters = 16 * TABLES as u64;
        let chunks = counts.all_chunks().saturating_mul(16);
        let (first_keys, extents) =
            (counts.table_chunks().saturating_mul(8), counts.extents().saturating_mul(16));
        let bytes = filters.saturating_add(chunks).saturating_add(first_keys).saturating_add(extents);
        bytes.checked_next_multiple_of(ALIGNMENT as u64).unwrap_or(u64::MAX)
    }

    /// The directory as words, little-endian in the file.
    pub(super) fn encode(&self) -> Vec<u64> {
        let mut words = Vec::new();
        for shape in &self.filters {
            words.extend(shape.map_or([0; 2], FilterShape::words));
        }
        for chunk in &self.chunks {
            words.extend([chunk.bytes as u64, chunk.crc.into()]);
        }
        words.extend(self.first_keys.iter().flatten());
        for extent in &self.extents {
            words.extend([extent.min.cast_unsigned(), extent.max.cast_unsigned()]);
        }
        words.resize(words.len().next_multiple_of(ALIGNMENT / 8), 0);
        words
    }

    /// The directory, whose chunks end where `chunks_end` says; or what is wrong with it. As many words as
    /// [`Directory::encoded_bytes`] says must be there.
    pub(super) fn decode(words: &[u64], counts: Counts, chunks_end: usize) -> Result<Self, String> {
        let expected_words = Self::encoded_bytes(&counts) / 8;
        if words.len() as u64 != expected_words {
            return Err("the directory's length is not the one of the header's counts".to_owned());
        }
        // All counts are bounded by the length of the directory from here on.
        let mut words = words.iter().copied();
        let mut next = || words.next().unwrap_or(0);
        let mut filters = [None; TABLES];
        for (table, shape) in TableId::ALL.into_iter().zip(&mut filters) {
            let fingerprints = counts.get(Section::of_filter(table));
            *shape = FilterShape::from_words([next(), next()], fingerprints)
                .ok_or("the directory's shape of a filter is impossible")?;
        }
        let mut chunks = Vec::with_capacity(counts.all_chunks() as usize);
        let mut start = HEADER_BYTES;
        for _ in 0..counts.all_chunks() {
            let (bytes, crc) = (next(), next());
            let bytes =
                usize::try_from(bytes).ok().filter(|bytes| *bytes <= chunks_end.saturating_sub(start));
            let (bytes, crc) = bytes
                .zip(u32::try_from(crc).ok())
                .ok_or("the directory's length or checksum of a chunk is impossible")?;
            let chunk = Chunk { start, bytes, crc };
            start = chunk.end();
            chunks.push(chunk);
        }
        if start != chunks_end {
            return Err("the directory's chunks don't fill the file".to_owned());
        }
        let first_keys =
            TableId::ALL.map(|table| (0..counts.chunks(Section::of_table(table))).map(|_| next()).collect());
        let mut extent = || Extent { min: next().cast_signed(), max: next().cast_signed() };
        let extents = (0..counts.extents()).map(|_| extent()).collect();
        if words.any(|word| word != 0) {
            return Err("the directory goes on where it should end".to_owned());
        }
        let directory = Self::new(counts, filters, chunks, first_keys, extents);
        directory.check_lengths()?;
        Ok(directory)
    }

    /// Checks the lengths of chunks, as far as they follow from the counts.
    fn check_lengths(&self) -> Result<(), String> {
        for section in Section::ALL {
            for at in 0..self.counts.chunks(section) as usize {
                let bytes = self.chunks[self.number(section, at)].bytes as u64;
                let extent = if section == Section::Columns { self.extents.get(at).copied() } else { None };
                let expected = self.counts.chunk_bytes(section, at, extent);
                let list = BLOCK_LISTS.iter().find(|(list, ..)| *list == section);
                let is_odd = list.is_some_and(|(_, item, _)| !bytes.is_multiple_of(*item as u64));
                if is_odd || expected.is_some_and(|expected| expected != bytes) {
                    return Err(format!("the length of {} is impossible", section.part(at)));
                }
            }
        }
        for (section, item, what) in BLOCK_LISTS {
            let bytes = |block: usize| self.chunks[self.number(section, block)].bytes as u64;
            let bytes: u64 = (0..self.counts.blocks() as usize).map(bytes).sum();
            if self.counts.get(section).checked_mul(item as u64) != Some(bytes) {
                return Err(format!("the number of {what} is impossible"));
            }
        }
        Ok(())
    }

    /// The number of the chunk `at` of a section.
    #[inline]
    pub(super) fn number(&self, section: Section, at: usize) -> usize {
        self.first_chunks[section as usize] + at
    }

    pub(super) fn extent(&self, block: usize, column: ColumnId) -> Option<Extent> {
        self.extents.get(block.checked_mul(COLUMNS)?.checked_add(column as usize)?).copied()
    }

    /// Bytes allocated.
    pub(super) fn heap_bytes(&self) -> u64 {
        let first_keys: usize = self.first_keys.iter().map(|keys| size_of_val(&**keys)).sum();
        (first_keys + size_of_val(&*self.chunks) + size_of_val(&*self.extents)) as u64
    }
}
