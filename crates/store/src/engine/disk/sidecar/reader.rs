//! An open sidecar, and its chunks.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use statlas_core::Token;
use zerocopy::FromBytes;

use super::contents::{Effect, Identity, Mark, Mended, Removal, Summary, TABLES, TableId};
use super::directory::Directory;
use super::header::{HEADER_BYTES, Header};
use super::layout::{ALIGNMENT, COLUMNS, Section};
use super::lists::{Entry, read_all, read_bits, read_names};
use super::memory::SidecarMemory;
use crate::columns::{Bits, Column, ColumnId, Names, Rows};
use crate::error::{Error, ErrorKind, Result};

/// A sidecar to read from, by any number of threads.
///
/// Header, directory, names and bits were verified and copied when it was opened. Every other chunk is
/// verified when it is first used; who asks for a damaged one gets an error of the kind
/// [`ErrorKind::Corrupt`] each time.
pub(crate) struct Sidecar {
    memory: SidecarMemory,
    /// What the file is called in messages.
    name: String,
    pub(super) header: Header,
    pub(super) directory: Directory,
    pub(super) names: Names,
    pub(super) bits: Bits,
    /// A bit for each chunk that was found to be whole.
    verified: Box<[AtomicU64]>,
    /// Whether a chunk was found to be damaged.
    is_damaged: AtomicBool,
    /// The fingerprints of each table, if they were loaded.
    pub(super) filters: OnceLock<[Box<[u16]>; TABLES]>,
}

impl Sidecar {
    /// Opens the sidecar of a segment; the file is called `name` in messages.
    ///
    /// # Errors
    ///
    /// Why the file is not to be used: it is damaged, of another format, or describes something else than
    /// `expected`.
    pub(crate) fn open(
        memory: SidecarMemory,
        name: String,
        expected: &Identity,
    ) -> std::result::Result<Self, String> {
        let bytes = memory.bytes();
        let header = Header::decode(bytes)?;
        if let Some(reason) = header.identity.differs_from(expected) {
            return Err(reason);
        }
        memory.will_need(usize::try_from(header.directory_at).unwrap_or(usize::MAX)..bytes.len());
        let directory = read_directory(bytes, &header)?;
        let verified = (0..directory.chunks.len().div_ceil(64)).map(|_| AtomicU64::new(0)).collect();
        let (names, bits) = Default::default();
        let filters = OnceLock::new();
        let mut sidecar = Self {
            memory,
            name,
            header,
            directory,
            names,
            bits,
            verified,
            is_damaged: AtomicBool::new(false),
            filters,
        };
        let text = |error: Error| error.to_string();
        let (rows, names) = (sidecar.len(), header.counts.get(Section::Names));
        sidecar.names = sidecar.list(Section::Names, |bytes| read_names(bytes, names)).map_err(text)?;
        sidecar.bits = sidecar.list(Section::Bits, |bytes| read_bits(bytes, rows)).map_err(text)?;
        Ok(sidecar)
    }

    /// Which segment it describes.
    pub(crate) fn identity(&self) -> &Identity {
        &self.header.identity
    }

    /// Numbers about the segment.
    pub(crate) fn summary(&self) -> &Summary {
        &self.header.summary
    }

    /// How many entries a table has.
    pub(crate) fn entries_of(&self, table: TableId) -> u64 {
        self.header.counts.get(Section::of_table(table))
    }

    /// Bytes of the file.
    pub(crate) fn bytes(&self) -> u64 {
        self.header.file_bytes
    }

    /// Bytes allocated: directory, bits and names, the filters if they were loaded, and the file if it was
    /// read rather than mapped.
    pub(crate) fn heap_bytes(&self) -> u64 {
        let filters = self.filters.get().into_iter().flatten();
        let filters: usize = filters.map(|fingerprints| size_of_val(&**fingerprints)).sum();
        let verified = size_of_val(&*self.verified);
        let lists = self.names.bytes() + self.bits.bytes();
        (filters + verified) as u64 + self.directory.heap_bytes() + lists + self.memory.heap_bytes()
    }

    /// What the segment's batches changed about rows and blobs of earlier segments.
    pub(crate) fn effects(&self) -> Result<Vec<Effect>> {
        self.entries_in(Section::Effects)
    }

    /// What the segment's batches removed.
    pub(crate) fn removals(&self) -> Result<Vec<Removal>> {
        self.entries_in(Section::Removals)
    }

    /// Rows that take an older one's place in order.
    pub(crate) fn mended(&self) -> Result<Vec<Mended>> {
        self.entries_in(Section::Mended)
    }

    /// Where some commits stand, ascending.
    pub(crate) fn marks(&self) -> Result<Vec<Mark>> {
        self.entries_in(Section::Marks)
    }

    fn entries_in<T: Entry>(&self, section: Section) -> Result<Vec<T>> {
        self.list(section, |bytes| read_all(bytes, self.header.counts.get(section)))
    }

    /// What `read` makes of the only chunk of a section, or of no bytes if it has none.
    fn list<T>(&self, section: Section, read: impl FnOnce(&[u8]) -> Option<T>) -> Result<T> {
        let has_chunk = self.header.counts.chunks(section) > 0;
        let bytes = if has_chunk { self.chunk(section, 0)? } else { &[] };
        read(bytes).ok_or_else(|| self.corrupt(section, 0, "its content is impossible"))
    }

    /// A chunk whose checksum is right.
    #[inline]
    pub(super) fn chunk(&self, section: Section, at: usize) -> Result<&[u8]> {
        let number = self.directory.number(section, at);
        let chunk = self.directory.chunks[number];
        let is_verified = self.verified[number / 64].load(Ordering::Relaxed) & 1 << (number % 64) != 0;
        if !is_verified {
            self.verify_chunk(section, at)?;
            self.verified[number / 64].fetch_or(1 << (number % 64), Ordering::Relaxed);
        }
        // The directory was checked to stay within the file.
        Ok(&self.memory.bytes()[chunk.start..chunk.start + chunk.bytes])
    }

    /// Reads a chunk and checks it, whether that was done before or not.
    #[cold]
    pub(super) fn verify_chunk(&self, section: Section, at: usize) -> Result<()> {
        let chunk = self.directory.chunks[self.directory.number(section, at)];
        self.memory.will_need(chunk.start..chunk.end());
        let bytes = &self.memory.bytes()[chunk.start..chunk.end()];
        if crc32c::crc32c(bytes) != chunk.crc {
            self.is_damaged.store(true, Ordering::Relaxed);
            let reason =
                "its checksum is wrong; the file is made again when the store was closed and is opened";
            return Err(self.corrupt(section, at, reason));
        }
        if section == Section::Columns && !self.ends_fit(at, &bytes[..chunk.bytes]) {
            let what =
                if ColumnId::ALL[at % COLUMNS] == ColumnId::TokensEnd { "tokens" } else { "neighbours" };
            return Err(self.corrupt(section, at, &format!("it names {what} that are not there")));
        }
        Ok(())
    }

    /// Whether a column, if it has the ends of a list, ascends and stays within the list of the block, so that who slices
    /// the list with it need not ask. Each row has one token at most, and all of them belong to a row.
    fn ends_fit(&self, at: usize, bytes: &[u8]) -> bool {
        let (block, column) = (at / COLUMNS, ColumnId::ALL[at % COLUMNS]);
        let items = |list: Section, item: usize| {
            (self.directory.chunks[self.directory.number(list, block)].bytes / item) as i64
        };
        let (items, step) = match column {
            ColumnId::NeighboursEnd => (items(Section::Neighbours, size_of::<u64>()), i64::MAX),
            ColumnId::TokensEnd => (items(Section::Tokens, Token::BYTES), 1),
            _ => return true,
        };
        let Some(ends) = self.packed(block, column, bytes) else { return false };
        let mut before = 0;
        let do_ascend = (0..ends.len()).all(|row| {
            let (begin, end) = (before, ends.get(row));
            before = end;
            begin <= end && end <= begin.saturating_add(step) && end <= items
        });
        do_ascend && (column == ColumnId::NeighboursEnd || before == items)
    }

    /// Reads and verifies every chunk, so that nobody waits for that later.
    pub(crate) fn preload(&self) -> Result<()> {
        for section in Section::ALL {
            for at in 0..self.directory.counts.chunks(section) as usize {
                self.chunk(section, at)?;
            }
        }
        Ok(())
    }

    /// Whether a damaged chunk was met.
    pub(crate) fn is_damaged(&self) -> bool {
        self.is_damaged.load(Ordering::Relaxed)
    }

    /// The column that packed bytes hold.
    #[inline]
    pub(super) fn packed<'a>(&self, block: usize, column: ColumnId, bytes: &'a [u8]) -> Option<Column<'a>> {
        let rows = self.header.counts.rows_of_block(block);
        Column::packed(self.directory.extent(block, column)?, rows, bytes)
    }

    /// An error that names the file and what of it is damaged.
    #[cold]
    pub(super) fn corrupt(&self, section: Section, at: usize, reason: &str) -> Error {
        let (name, part) = (&self.name, section.part(at));
        Error::new(ErrorKind::Corrupt, format!("{name}: {part}: {reason}"))
    }

    /// The header and the directory as the file has them now.
    pub(super) fn read_again(&self) -> std::result::Result<(), String> {
        let header = Header::decode(self.memory.bytes())?;
        let same = header == self.header && read_directory(self.memory.bytes(), &header)? == self.directory;
        if same { Ok(()) } else { Err("the file was changed while it was open".to_owned()) }
    }

    /// Names the file in front of a reason.
    pub(super) fn message(&self, reason: &str) -> String {
        format!("{}: {reason}", self.name)
    }
}

/// The directory that a header leads to.
fn read_directory(bytes: &[u8], header: &Header) -> std::result::Result<Directory, String> {
    if header.file_bytes != bytes.len() as u64 {
        return Err(format!("it has {} bytes where its header says {}", bytes.len(), header.file_bytes));
    }
    let start = usize::try_from(header.directory_at).ok();
    let start = start.filter(|start| *start >= HEADER_BYTES && start.is_multiple_of(ALIGNMENT));
    let encoded = start.and_then(|start| Some((start, bytes.get(start..)?)));
    let (start, encoded) = encoded.ok_or("the directory's place is impossible")?;
    if crc32c::crc32c(encoded) != header.directory_crc {
        return Err("the directory's checksum is wrong".to_owned());
    }
    // Chunks are read in place like these words, so that an ill-placed mapping is noticed here.
    let words = <[u64]>::ref_from_bytes(encoded)
        .map_err(|_| "its bytes are not where integers may be in memory, or not whole".to_owned())?;
    Directory::decode(words, header.counts, start)
}
