//! Which chunks a sidecar has: their order, their number and their lengths follow from a few counts.

use statlas_core::Token;

use super::contents::{TABLES, TableId};
use crate::columns::{BLOCK_ROWS, ColumnId, Extent};

/// Chunks begin at multiples of this many bytes, so that integers and whole cache lines lie well.
pub(super) const ALIGNMENT: usize = 64;
/// Entries of a table in a chunk: few enough to verify a chunk for one lookup, enough for a small directory.
pub(super) const TABLE_CHUNK_ENTRIES: usize = 256;
/// Bytes of an entry of a table: a key and a value.
pub(super) const TABLE_ENTRY_BYTES: usize = 12;
/// Entries of the list of records in a chunk: their names make it longer.
pub(super) const RECORD_CHUNK_ENTRIES: usize = 256;
pub(super) const COLUMNS: usize = ColumnId::ALL.len();
/// The lists of each block, the bytes of one of their items, and what these are.
pub(super) const BLOCK_LISTS: [(Section, usize, &str); 2] =
    [(Section::Neighbours, size_of::<u64>(), "neighbours"), (Section::Tokens, Token::BYTES, "tokens")];

/// Chunks of one sort.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub(super) enum Section {
    Entities,
    Blobs,
    Ids,
    Records,
    EntitiesFilter,
    BlobsFilter,
    IdsFilter,
    RecordsFilter,
    Columns,
    Neighbours,
    Tokens,
    Names,
    Bits,
    Effects,
    Removals,
    RecordList,
    Mended,
    Marks,
}

pub(super) const SECTIONS: usize = Section::ALL.len();

impl Section {
    /// Every section, in the order of the file.
    pub(super) const ALL: [Self; 18] = [
        Self::Entities,
        Self::Blobs,
        Self::Ids,
        Self::Records,
        Self::EntitiesFilter,
        Self::BlobsFilter,
        Self::IdsFilter,
        Self::RecordsFilter,
        Self::Columns,
        Self::Neighbours,
        Self::Tokens,
        Self::Names,
        Self::Bits,
        Self::Effects,
        Self::Removals,
        Self::RecordList,
        Self::Mended,
        Self::Marks,
    ];

    pub(super) fn of_table(table: TableId) -> Self {
        Self::ALL[table as usize]
    }

    pub(super) fn of_filter(table: TableId) -> Self {
        Self::ALL[TABLES + table as usize]
    }

    /// What the chunk number `at` of the section is, for messages.
    pub(super) fn part(self, at: usize) -> String {
        match self {
            Self::Entities => format!("chunk {at} of the index of entities"),
            Self::Blobs => format!("chunk {at} of the index of blobs"),
            Self::Ids => format!("chunk {at} of the index of ids"),
            Self::Records => format!("chunk {at} of the index of records"),
            Self::EntitiesFilter => "the filter of entities".to_owned(),
            Self::BlobsFilter => "the filter of blobs".to_owned(),
            Self::IdsFilter => "the filter of ids".to_owned(),
            Self::RecordsFilter => "the filter of records".to_owned(),
            Self::Columns => format!("column {:?} of block {}", ColumnId::ALL[at % COLUMNS], at / COLUMNS),
            Self::Neighbours => format!("the neighbours of block {at}"),
            Self::Tokens => format!("the tokens of block {at}"),
            Self::Names => "the list of names".to_owned(),
            Self::Bits => "the bits of rows".to_owned(),
            Self::Effects => "the list of effects".to_owned(),
            Self::Removals => "the list of removals".to_owned(),
            Self::RecordList => format!("chunk {at} of the list of records"),
            Self::Mended => "the list of mended rows".to_owned(),
            Self::Marks => "the list of marks".to_owned(),
        }
    }
}

/// How many items each section has: entries of a table or list, fingerprints of a filter, rows of the columns
/// and of the bits, neighbours, tokens, names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Counts(pub(super) [u64; SECTIONS]);

impl Counts {
    pub(super) fn get(&self, section: Section) -> u64 {
        self.0[section as usize]
    }

    pub(super) fn set(&mut self, section: Section, items: usize) {
        self.0[section as usize] = items as u64;
    }

    pub(super) fn rows(&self) -> u64 {
        self.get(Section::Columns)
    }

    pub(super) fn blocks(&self) -> u64 {
        self.rows().div_ceil(BLOCK_ROWS as u64)
    }

    /// Rows of a block; all but the last are full.
    pub(super) fn rows_of_block(&self, block: usize) -> usize {
        let before = (block as u64).saturating_mul(BLOCK_ROWS as u64);
        self.rows().saturating_sub(before).min(BLOCK_ROWS as u64) as usize
    }

    /// How many chunks a section has.
    pub(super) fn chunks(&self, section: Section) -> u64 {
        match section {
            Section::Entities | Section::Blobs | Section::Ids | Section::Records => {
                self.get(section).div_ceil(TABLE_CHUNK_ENTRIES as u64)
            }
            Section::RecordList => self.get(section).div_ceil(RECORD_CHUNK_ENTRIES as u64),
            Section::Columns => self.blocks().saturating_mul(COLUMNS as u64),
            Section::Neighbours | Section::Tokens => self.blocks(),
            _ => self.get(section).min(1),
        }
    }

    /// How many chunks stand before those of a section.
    pub(super) fn first_chunk(&self, section: Section) -> u64 {
        let before = &Section::ALL[..section as usize];
        before.iter().fold(0_u64, |chunks, section| chunks.saturating_add(self.chunks(*section)))
    }

    pub(super) fn all_chunks(&self) -> u64 {
        self.first_chunk(Section::Marks).saturating_add(self.chunks(Section::Marks))
    }

    /// Chunks of all tables, each of which has its first key in the directory.
    pub(super) fn table_chunks(&self) -> u64 {
        self.first_chunk(Section::EntitiesFilter)
    }

    /// Columns of all blocks, each of which has its extent in the directory.
    pub(super) fn extents(&self) -> u64 {
        self.chunks(Section::Columns)
    }

    /// Bytes of the chunk number `at` of a section, where they follow from the counts; `extent` is that of
    /// the column, if it is one.
    pub(super) fn chunk_bytes(&self, section: Section, at: usize, extent: Option<Extent>) -> Option<u64> {
        let items = self.get(section);
        match section {
            Section::Entities | Section::Blobs | Section::Ids | Section::Records => {
                let before = at as u64 * TABLE_CHUNK_ENTRIES as u64;
                let entries = items.saturating_sub(before).min(TABLE_CHUNK_ENTRIES as u64);
                Some(entries * TABLE_ENTRY_BYTES as u64)
            }
            Section::EntitiesFilter | Section::BlobsFilter | Section::IdsFilter | Section::RecordsFilter => {
                Some(items.saturating_mul(2))
            }
            Section::Columns => Some((self.rows_of_block(at / COLUMNS) * extent?.width()) as u64),
            Section::Bits => Some(items.div_ceil(64).saturating_mul(16)),
            Section::Effects | Section::Mended | Section::Marks => Some(items.saturating_mul(16)),
            Section::Removals => Some(items.saturating_mul(48)),
            Section::Neighbours | Section::Tokens | Section::Names | Section::RecordList => None,
        }
    }
}
