//! Files of tokens, mapped back without a copy.
//!
//! A file is a header of 64 KiB and the tokens behind it as they stand in memory; `docs/FORMAT.md` has every byte. The
//! header counts the tokens and has a checksum for each block of them. It has two slots that are written in turn, so that
//! an appending process that dies leaves the old count or the new one.

mod header;

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Deref;
use std::path::{Path, PathBuf};

use memmap2::Mmap;
use statlas_core::Token;
use zerocopy::{FromBytes, IntoBytes};

pub use self::header::TOKENS_MAX;
use self::header::{BLOCK_TOKENS, DATA_AT, Header, SLOTS, TABLE_AT};

/// Why a file of tokens can't be used.
#[derive(Debug, thiserror::Error)]
pub enum TokenFileError {
    /// The system refused something.
    #[error("{path}: {what} failed: {source}", path = .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What was tried.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// It is not what it should be.
    #[error("{path}: {reason}", path = .path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        reason: String,
    },
    /// Another process appends to it.
    #[error("{path}: another process has it open for appending; wait for it or end it", path = .path.display())]
    Busy {
        /// The file.
        path: PathBuf,
    },
    /// More tokens than a file holds.
    #[error("{path}: found {count} tokens; allowed: {TOKENS_MAX} in a file", path = .path.display())]
    TooMany {
        /// The file.
        path: PathBuf,
        /// So many would be in it.
        count: u64,
    },
}

type Result<T> = std::result::Result<T, TokenFileError>;

/// Adds the file and what was tried to an error of the system.
fn failed<'a>(path: &'a Path, what: &'static str) -> impl FnOnce(io::Error) -> TokenFileError + 'a {
    move |source| TokenFileError::Io { path: path.to_owned(), what, source }
}

fn corrupt(path: &Path, reason: impl Into<String>) -> TokenFileError {
    TokenFileError::Corrupt { path: path.to_owned(), reason: reason.into() }
}

/// Writes tokens to a file, which is the old one or has all of them, whatever happens meanwhile; both are on the device
/// then.
///
/// # Errors
///
/// [`TokenFileError::Io`], and [`TokenFileError::TooMany`] above [`TOKENS_MAX`].
pub fn save(path: &Path, tokens: &[Token]) -> Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let temporary = path.with_file_name(name);
    drop(std::fs::remove_file(&temporary));
    TokenFile::open(&temporary)?.append(tokens)?;
    std::fs::rename(&temporary, path).map_err(failed(path, "giving it its name"))?;
    sync_folder(path)
}

/// Makes the name of a file survive a power cut.
fn sync_folder(path: &Path) -> Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Only some systems can, and only those need it.
    if cfg!(unix) {
        File::open(folder)
            .and_then(|folder| folder.sync_all())
            .map_err(failed(path, "syncing its folder"))?;
    }
    Ok(())
}

/// The newest sound header of a file that has been written at least once, and the slot that it stands in.
fn read_header(file: &File, path: &Path) -> Result<(Header, usize)> {
    let mut newest: Option<(Header, usize)> = None;
    let mut reason = String::new();
    for (slot, at) in SLOTS.into_iter().enumerate() {
        let mut bytes = [0; Header::BYTES];
        match read_at(file, at, &mut bytes) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                reason = "it is too short for a file of tokens".to_owned();
                continue;
            }
            read => read.map_err(failed(path, "reading its header"))?,
        }
        let header: Header = zerocopy::transmute!(bytes);
        match header.check() {
            Ok(header) if newest.is_none_or(|(newest, _)| newest.sequence() < header.sequence()) => {
                newest = Some((header, slot));
            }
            Ok(_) => {}
            // What is wrong with the first slot is what is wrong with the file.
            Err(wrong) if reason.is_empty() => reason = wrong,
            Err(_) => {}
        }
    }
    let Some((header, slot)) = newest else { return Err(corrupt(path, reason)) };
    let bytes = file.metadata().map_err(failed(path, "asking for its length"))?.len();
    let expected = DATA_AT + header.tokens() * Token::BYTES as u64;
    if bytes < expected {
        let tokens = header.tokens();
        return Err(corrupt(path, format!("found {bytes} bytes; {tokens} tokens need {expected}")));
    }
    Ok((header, slot))
}

fn read_at(mut file: &File, at: u64, bytes: &mut [u8]) -> io::Result<()> {
    file.seek(SeekFrom::Start(at))?;
    file.read_exact(bytes)
}

fn write_at(mut file: &File, at: u64, bytes: &[u8]) -> io::Result<()> {
    file.seek(SeekFrom::Start(at))?;
    file.write_all(bytes)
}

/// The tokens of a file, mapped: opening takes the same time however many there are, and reading one reads its page.
///
/// The file must not be changed by anything but a [`TokenFile`] as long as this lives. If the device can't read a page, the
/// system ends the process (SIGBUS).
#[derive(Debug)]
pub struct MappedTokens {
    path: PathBuf,
    /// `None` for no tokens: nothing can't be mapped.
    map: Option<Mmap>,
    /// The checksums of whole blocks.
    table: Vec<u8>,
    header: Header,
}

impl MappedTokens {
    /// Maps the tokens that a file has now. Only the header is read; [`MappedTokens::check`] reads the rest.
    ///
    /// # Errors
    ///
    /// [`TokenFileError::Io`], and [`TokenFileError::Corrupt`] if it is no file of tokens, of another version, or cut.
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(failed(path, "opening it"))?;
        Self::of(&file, path, read_header(&file, path)?.0)
    }

    fn of(file: &File, path: &Path, header: Header) -> Result<Self> {
        let mut table = vec![0; (header.tokens() / BLOCK_TOKENS * 4) as usize];
        read_at(file, TABLE_AT, &mut table).map_err(failed(path, "reading its checksums"))?;
        let bytes = (header.tokens() as usize) * Token::BYTES;
        let map = if bytes == 0 { None } else { Some(map(file, bytes).map_err(failed(path, "mapping it"))?) };
        Ok(Self { path: path.to_owned(), map, table, header })
    }

    /// Reads every token, and compares the checksums of all blocks and the rules that tokens keep.
    ///
    /// # Errors
    ///
    /// [`TokenFileError::Corrupt`] with the first tokens that are damaged.
    pub fn check(&self) -> Result<()> {
        for (number, block) in self.chunks(BLOCK_TOKENS as usize).enumerate() {
            let first = number as u64 * BLOCK_TOKENS;
            let last = first + block.len() as u64 - 1;
            let expected = self.table[..].as_chunks().0.get(number).map(|crc| u32::from_le_bytes(*crc));
            if crc32c::crc32c(block.as_bytes()) != expected.unwrap_or(self.header.tail_crc()) {
                return Err(corrupt(
                    &self.path,
                    format!("the checksum of tokens {first} to {last} is wrong"),
                ));
            }
            for (at, token) in block.iter().enumerate() {
                let token = token.check();
                token
                    .map_err(|wrong| corrupt(&self.path, format!("token {}: {wrong}", first + at as u64)))?;
            }
        }
        Ok(())
    }
}

#[expect(unsafe_code, reason = "a mapping changes if its file does")]
fn map(file: &File, bytes: usize) -> io::Result<Mmap> {
    let mut options = memmap2::MmapOptions::new();
    // SAFETY: nobody changes tokens that a header counts: a `TokenFile` writes behind them, and there is one at a time, which
    // its lock is for. Other programs that write to the file break this, as they would break any program that maps one.
    unsafe { options.offset(DATA_AT).len(bytes).map(file) }
}

impl Deref for MappedTokens {
    type Target = [Token];

    fn deref(&self) -> &[Token] {
        let bytes = self.map.as_deref().unwrap_or_default();
        <[Token]>::ref_from_bytes(bytes).expect("as many bytes are mapped as whole tokens take")
    }
}

/// A file of tokens that is appended to, by one process at a time.
#[derive(Debug)]
pub struct TokenFile {
    path: PathBuf,
    file: File,
    header: Header,
    slot: usize,
}

impl TokenFile {
    /// Opens a file for appending, or makes one without tokens.
    ///
    /// # Errors
    ///
    /// As [`MappedTokens::open`], and [`TokenFileError::Busy`].
    pub fn open(path: &Path) -> Result<Self> {
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).open(path);
        let file = file.map_err(failed(path, "opening it"))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(TokenFileError::Busy { path: path.to_owned() }),
            Err(TryLockError::Error(error)) => return Err(failed(path, "locking it")(error)),
        }
        let is_empty = file.metadata().map_err(failed(path, "asking for its length"))?.len() == 0;
        if is_empty {
            let header = Header::new(0, 0, 0);
            let new = Self { path: path.to_owned(), file, header, slot: 1 };
            new.file.set_len(DATA_AT).map_err(failed(path, "making its header"))?;
            let new = new.with_header(header)?;
            sync_folder(path)?;
            return Ok(new);
        }
        let (header, slot) = read_header(&file, path)?;
        Ok(Self { path: path.to_owned(), file, header, slot })
    }

    /// How many tokens it has.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.header.tokens()
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends tokens, all or none; they are on the device when this returns. Whoever has mapped the file goes on seeing what
    /// it had then.
    ///
    /// # Errors
    ///
    /// [`TokenFileError::Io`]; the file has the tokens that it had. [`TokenFileError::TooMany`] above [`TOKENS_MAX`].
    pub fn append(&mut self, tokens: &[Token]) -> Result<()> {
        let before = self.header.tokens();
        let count = before + tokens.len() as u64;
        if count > TOKENS_MAX {
            return Err(TokenFileError::TooMany { path: self.path.clone(), count });
        }
        let failed = |what| failed(&self.path, what);
        write_at(&self.file, DATA_AT + before * Token::BYTES as u64, tokens.as_bytes())
            .map_err(failed("writing tokens"))?;
        // The block that the file ended in goes on.
        let mut crc = self.header.tail_crc();
        let (mut at, mut rest) = (before, tokens);
        while !rest.is_empty() {
            let room = (BLOCK_TOKENS - at % BLOCK_TOKENS).min(rest.len() as u64);
            let (block, behind) = rest.split_at(room as usize);
            crc = crc32c::crc32c_append(crc, block.as_bytes());
            (at, rest) = (at + room, behind);
            if at.is_multiple_of(BLOCK_TOKENS) {
                let entry = TABLE_AT + (at / BLOCK_TOKENS - 1) * 4;
                write_at(&self.file, entry, &crc.to_le_bytes()).map_err(failed("writing a checksum"))?;
                crc = 0;
            }
        }
        self.file.sync_data().map_err(failed("syncing tokens"))?;
        let header = Header::new(self.header.sequence() + 1, count, crc);
        let slot = 1 - self.slot;
        write_at(&self.file, SLOTS[slot], header.as_bytes()).map_err(failed("writing its header"))?;
        self.file.sync_data().map_err(failed("syncing its header"))?;
        (self.header, self.slot) = (header, slot);
        Ok(())
    }

    fn with_header(self, header: Header) -> Result<Self> {
        let slot = 1 - self.slot;
        write_at(&self.file, SLOTS[slot], header.as_bytes())
            .map_err(failed(&self.path, "writing its header"))?;
        self.file.sync_data().map_err(failed(&self.path, "syncing its header"))?;
        Ok(Self { header, slot, ..self })
    }

    /// The tokens that it has now.
    ///
    /// # Errors
    ///
    /// [`TokenFileError::Io`].
    pub fn map(&self) -> Result<MappedTokens> {
        MappedTokens::of(&self.file, &self.path, self.header)
    }
}
