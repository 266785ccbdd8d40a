//! Files of tokens that are appended to.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};

use statlas_core::Token;
use zerocopy::IntoBytes;

use super::header::{BLOCK_TOKENS, DATA_AT, Found, Header, TABLE_AT, TOKENS_MAX, is_unfinished, read_header};
use super::mapped::MappedTokens;
use super::medium::Medium;
use super::{Result, TokenFileError, behind_links, failed, lock, refuse_no_file, sync_folder};

/// A file of tokens that is appended to, by one process at a time.
#[derive(Debug)]
pub struct TokenFile {
    appender: Appender<File>,
    /// The process that has the lock: one that was forked from it has the file, too, and not the lock.
    process: u32,
}

impl Drop for TokenFile {
    /// Lets go of the lock, which would be held as long as anything of the file is mapped or a forked process has it.
    fn drop(&mut self) {
        if self.process == std::process::id() {
            // Closing the file does it, if nobody else has it.
            drop(self.appender.medium.unlock());
        }
    }
}

impl TokenFile {
    /// Opens a file for appending, or makes one without tokens. What an earlier process left unsynced is brought to the
    /// device. A file that a crash left before its first header was written counts as one without tokens; any other file
    /// that is no file of tokens is refused and left as it is.
    ///
    /// # Errors
    ///
    /// As [`MappedTokens::open`], and [`TokenFileError::Busy`].
    pub fn open(path: &Path) -> Result<Self> {
        refuse_no_file(path)?;
        let path = behind_links(path)?;
        let file = loop {
            let mut options = OpenOptions::new();
            let file = options.read(true).write(true).create(true).truncate(false).open(&path);
            let file = file.map_err(failed(&path, "opening it"))?;
            lock(&file, &path)?;
            // Another one may have been saved in its place before it was locked.
            if has_name(&file, &path) {
                break file;
            }
        };
        let opened = Appender::open(file, path)?;
        // Whoever made it may have died before its name was safe.
        sync_folder(&opened.path)?;
        Ok(Self { appender: opened, process: std::process::id() })
    }

    /// How many tokens it has.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.appender.header.tokens()
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
    /// [`TokenFileError::Io`]: who opens the file again finds the tokens that it had, or the new ones, too, if only the last
    /// step failed. Until then this refuses with [`TokenFileError::Poisoned`]. [`TokenFileError::TooMany`] above
    /// [`TOKENS_MAX`] and [`TokenFileError::Invalid`] for a token that breaks a rule, which change nothing.
    /// [`TokenFileError::Forked`] in a process that was forked from the one that
    /// opened it.
    pub fn append(&mut self, tokens: &[Token]) -> Result<()> {
        self.append_while(tokens, &mut || true)
    }

    /// As [`append`](Self::append), and asks `goes_on` behind every 4 MiB that it has written; syncing what was written,
    /// which a slow device takes long for, is not ended.
    ///
    /// # Errors
    ///
    /// As [`append`](Self::append); [`TokenFileError::Interrupted`] if `goes_on` says no: then nothing was appended, and
    /// appending may go on.
    pub fn append_while(&mut self, tokens: &[Token], goes_on: &mut dyn FnMut() -> bool) -> Result<()> {
        if self.process != std::process::id() {
            return Err(TokenFileError::Forked { path: self.appender.path.clone(), process: self.process });
        }
        self.appender.append_while(tokens, goes_on)
    }

    /// The tokens that it has now.
    ///
    /// # Errors
    ///
    /// [`TokenFileError::Io`].
    pub fn map(&self) -> Result<MappedTokens> {
        let Appender { medium, path, header, .. } = &self.appender;
        MappedTokens::of(medium, path, Found::sound(*header))
    }
}

/// Whether the file has this name still.
#[cfg(unix)]
fn has_name(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let identity = |metadata: std::fs::Metadata| (metadata.dev(), metadata.ino());
    let (named, opened) = (std::fs::metadata(path).map(identity), file.metadata().map(identity));
    named.ok().zip(opened.ok()).is_some_and(|(named, opened)| named == opened)
}

/// As above; elsewhere nothing tells.
#[cfg(not(unix))]
fn has_name(_file: &File, _path: &Path) -> bool {
    true
}

/// What appends, on whatever it stands.
#[derive(Debug)]
pub(super) struct Appender<M> {
    medium: M,
    path: PathBuf,
    header: Header,
    /// Whether something failed, so that what stands on the device is not known.
    is_poisoned: bool,
}

impl<M: Medium> Appender<M> {
    pub(super) fn open(medium: M, path: PathBuf) -> Result<Self> {
        let is_new = is_unfinished(&medium).map_err(failed(&path, "reading its header"))?;
        let header = if is_new {
            let nothing = [0; DATA_AT as usize];
            medium.write_at(0, &nothing).map_err(failed(&path, "making its header"))?;
            Header::first()
        } else {
            let found = read_header(&medium, &path)?;
            found.refuse_uncounted(&path)?;
            found.header
        };
        let mut opened = Self { medium, path, header, is_poisoned: false };
        // What is read may never have reached the device: after a failed sync a system shows what was written. The next
        // append is about to overwrite the header before, so this one must be safe. Its tokens were synced before it was
        // written.
        opened.put_header(header)?;
        Ok(opened)
    }

    /// How many tokens there are.
    #[cfg(test)]
    pub(super) fn tokens(&self) -> u64 {
        self.header.tokens()
    }

    /// Counts so many from now on.
    #[cfg(test)]
    pub(super) fn pretend(&mut self, tokens: u64) {
        self.header = self.header.next(tokens, 0);
    }

    #[cfg(test)]
    pub(super) fn append(&mut self, tokens: &[Token]) -> Result<()> {
        self.append_while(tokens, &mut || true)
    }

    pub(super) fn append_while(&mut self, tokens: &[Token], goes_on: &mut dyn FnMut() -> bool) -> Result<()> {
        if self.is_poisoned {
            return Err(TokenFileError::Poisoned { path: self.path.clone() });
        }
        let count = self.header.tokens() + tokens.len() as u64;
        if count > TOKENS_MAX {
            return Err(TokenFileError::TooMany { path: self.path.clone(), count });
        }
        if tokens.is_empty() {
            return Ok(());
        }
        for (number, token) in tokens.iter().enumerate() {
            if let Err(reason) = token.check() {
                return Err(TokenFileError::Invalid { path: self.path.clone(), number, reason });
            }
        }
        // Until all is done.
        self.is_poisoned = true;
        let Some(tail_crc) = self.put_tokens(tokens, goes_on)? else {
            // Nobody counts what was written.
            self.is_poisoned = false;
            return Err(TokenFileError::Interrupted { path: self.path.clone() });
        };
        self.put_header(self.header.next(count, tail_crc))?;
        self.is_poisoned = false;
        Ok(())
    }

    /// Writes tokens behind those that there are, and syncs them; the checksum of those behind the last whole block, or
    /// `None` if it was to go on no longer.
    fn put_tokens(&self, tokens: &[Token], goes_on: &mut dyn FnMut() -> bool) -> Result<Option<u32>> {
        let failed = |what| failed(&self.path, what);
        let before = self.header.tokens();
        let (mut at, mut crc, mut rest) = (before, self.header.tail_crc(), tokens);
        let mut table = Vec::new();
        while !rest.is_empty() {
            let room = (BLOCK_TOKENS - at % BLOCK_TOKENS).min(rest.len() as u64);
            let (block, behind) = rest.split_at(room as usize);
            let place = DATA_AT + at * Token::BYTES as u64;
            self.medium.write_at(place, block.as_bytes()).map_err(failed("writing tokens"))?;
            crc = crc32c::crc32c_append(crc, block.as_bytes());
            (at, rest) = (at + room, behind);
            if at.is_multiple_of(BLOCK_TOKENS) {
                table.extend_from_slice(&crc.to_le_bytes());
                crc = 0;
            }
            if !goes_on() {
                return Ok(None);
            }
        }
        if !table.is_empty() {
            let place = TABLE_AT + before / BLOCK_TOKENS * 4;
            self.medium.write_at(place, &table).map_err(failed("writing checksums"))?;
        }
        self.medium.sync().map_err(failed("syncing tokens"))?;
        Ok(Some(crc))
    }

    /// Makes a header the newest one of the file.
    fn put_header(&mut self, header: Header) -> Result<()> {
        for place in header.places() {
            self.medium
                .write_at(place, header.as_bytes())
                .map_err(failed(&self.path, "writing its header"))?;
        }
        self.medium.sync().map_err(failed(&self.path, "syncing its header"))?;
        self.header = header;
        Ok(())
    }
}
