//! Files of tokens that are read.

use std::fs::File;
use std::io;
use std::ops::Deref;
use std::path::{Path, PathBuf};

use memmap2::Mmap;
use statlas_core::Token;
use zerocopy::{FromBytes, IntoBytes};

use super::header::{BLOCK_TOKENS, DATA_AT, Found, Header, TABLE_AT, read_header};
use super::medium::Medium;
use super::{Result, corrupt, failed, refuse_no_file};

/// The tokens of a file, mapped: opening takes the same time however many there are, and reading one reads its page.
///
/// Nothing of the tokens is verified unless [`MappedTokens::check`] is called, which reads all of them: a block whose
/// checksum is compared has been read as a whole, which is what mapping is there to save. Until then they are what their
/// bytes are, and no method of a token minds.
///
/// It has the tokens that the file had when it was mapped, whatever is appended or saved in its place meanwhile. The file
/// must not be changed by anything but a [`TokenFile`](crate::TokenFile) as long as this lives. If another program cuts it,
/// or the device can't read a page, the system ends the process that reads there (SIGBUS).
#[derive(Debug)]
pub struct MappedTokens {
    path: PathBuf,
    /// `None` for no tokens: nothing can't be mapped.
    map: Option<Mmap>,
    /// The checksums of whole blocks.
    table: Vec<u8>,
    found: Found,
}

impl MappedTokens {
    /// Maps the tokens that a file has now. Only the header is read.
    ///
    /// # Errors
    ///
    /// [`TokenFileError::Io`](crate::TokenFileError::Io), and [`TokenFileError::Corrupt`](crate::TokenFileError::Corrupt)
    /// if it is no file of tokens, of another version, or cut.
    pub fn open(path: &Path) -> Result<Self> {
        refuse_no_file(path)?;
        let file = File::open(path).map_err(failed(path, "opening it"))?;
        Self::of(&file, path, read_header(&file, path)?)
    }

    /// The tokens that a header counts.
    pub(super) fn of(file: &File, path: &Path, found: Found) -> Result<Self> {
        let tokens = found.header.tokens();
        let mut table = vec![0; (tokens / BLOCK_TOKENS * 4) as usize];
        file.read_at(TABLE_AT, &mut table).map_err(failed(path, "reading its checksums"))?;
        let bytes = usize::try_from(tokens).ok().and_then(|tokens| tokens.checked_mul(Token::BYTES));
        let map = match bytes {
            Some(0) => Ok(None),
            Some(bytes) => map(file, bytes).map(Some),
            None => Err(io::ErrorKind::OutOfMemory.into()),
        };
        let map = map.map_err(failed(path, "mapping it"))?;
        Ok(Self { path: path.to_owned(), map, table, found })
    }

    /// Reads every token, and compares the checksums of all blocks and the rules that tokens keep; also whether every copy
    /// of the header that was read is whole.
    ///
    /// # Errors
    ///
    /// [`TokenFileError::Corrupt`](crate::TokenFileError::Corrupt) with the first tokens that are damaged.
    pub fn check(&self) -> Result<()> {
        if let Some(damage) = &self.found.damage {
            return Err(corrupt(&self.path, damage.as_str()));
        }
        for (number, block) in self.chunks(BLOCK_TOKENS as usize).enumerate() {
            let first = number as u64 * BLOCK_TOKENS;
            let last = first + block.len() as u64 - 1;
            let expected = self.table.as_chunks().0.get(number).map(|crc| u32::from_le_bytes(*crc));
            if crc32c::crc32c(block.as_bytes()) != expected.unwrap_or(self.header().tail_crc()) {
                let reason = format!("the checksum of tokens {first} to {last} is wrong");
                return Err(corrupt(&self.path, reason));
            }
            for (at, token) in block.iter().enumerate() {
                let wrong = |wrong| corrupt(&self.path, format!("token {}: {wrong}", first + at as u64));
                token.check().map_err(wrong)?;
            }
        }
        Ok(())
    }

    fn header(&self) -> &Header {
        &self.found.header
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
