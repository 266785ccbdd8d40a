//! Files of tokens, mapped back without a copy.
//!
//! A file is a header of 64 KiB and the tokens behind it as they stand in memory; `docs/FORMAT.md` has every byte. The
//! header counts the tokens and has a checksum for each block of them. It has two slots that are written in turn, so that
//! an appending process that dies leaves the old count or the new one.
//!
//! What others do to a file is not guarded against: a program that cuts a file which is mapped has every process ended
//! that reads there (SIGBUS).

mod append;
mod header;
mod mapped;
mod medium;
mod save;

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use statlas_core::EntityError;

pub use self::append::TokenFile;
pub use self::header::TOKENS_MAX;
pub use self::mapped::MappedTokens;
pub use self::save::{save, save_while};

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
    /// A [`TokenFile`] has it, or [`save`] writes it, in this process or in another.
    #[error("{path}: it is being appended to or saved; wait until that is done", path = .path.display())]
    Busy {
        /// The file.
        path: PathBuf,
    },
    /// Another process opened it, which this one was forked from.
    #[error("{path}: process {process} opened it, and this one was forked from it; open it here once the other one has \
             closed it", path = .path.display())]
    Forked {
        /// The file.
        path: PathBuf,
        /// The number of the process that opened it.
        process: u32,
    },
    /// An earlier append failed while it wrote, so that nobody knows what reached the device.
    #[error("{path}: an append to it failed before; open it again to go on", path = .path.display())]
    Poisoned {
        /// The file.
        path: PathBuf,
    },
    /// A token breaks a rule, which tokens can whose bytes were changed in place.
    #[error("{path}: token {number}: {reason}", path = .path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Which of the tokens that were to be written, counted from 0.
        number: usize,
        /// What is wrong with it.
        reason: EntityError,
    },
    /// Whoever asked for it wanted an end.
    #[error("{path}: writing it was interrupted, and nothing changed", path = .path.display())]
    Interrupted {
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

/// Refuses what is there and is no file, before it is opened: that of a pipe would wait for a writer.
fn refuse_no_file(path: &Path) -> Result<()> {
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => Err(failed(path, "opening it")(io::ErrorKind::IsADirectory.into())),
        Ok(found) if !found.is_file() => Err(corrupt(path, "it is no regular file")),
        // What is not there is told where it is missed.
        _ => Ok(()),
    }
}

/// Keeps others from appending as long as the file is open.
fn lock(file: &File, path: &Path) -> Result<()> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(TokenFileError::Busy { path: path.to_owned() }),
        Err(TryLockError::Error(error)) => Err(failed(path, "locking it")(error)),
    }
}

/// The path behind links, so that a link stays one and leads to what is written.
fn behind_links(path: &Path) -> Result<PathBuf> {
    match path.canonicalize() {
        Ok(path) => Ok(path),
        // It is to be made, or what a link leads to is: that is in another folder, which is there and has no loops.
        Err(error) if error.kind() == io::ErrorKind::NotFound => match fs::read_link(path) {
            Ok(target) => behind_links(&folder_of(path).join(target)),
            Err(_) => Ok(path.to_owned()),
        },
        Err(error) => Err(failed(path, "looking for it")(error)),
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Makes the name of a file survive a power cut. Only some systems can, and only those need it.
fn sync_folder(path: &Path) -> Result<()> {
    if cfg!(unix) {
        let synced = File::open(folder_of(path)).and_then(|folder| folder.sync_all());
        synced.map_err(failed(path, "syncing its folder"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
