//! Files of tokens that are written as a whole.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};

use statlas_core::Token;

use super::append::Appender;
use super::header::{TOKENS_MAX, has_magic, is_unfinished, read_header};
use super::{
    Result, TokenFileError, behind_links, corrupt, failed, folder_of, lock, refuse_no_file, sync_folder,
};

/// Writes tokens to a file, which is the old one or has all of them, whatever happens meanwhile; both are on the device
/// then.
///
/// They are written to a file beside it that then takes its name, so whoever has the old one mapped keeps it. A link stays a
/// link, and the permissions stay as they are. A file that is no file of tokens is refused: remove it if it should go.
///
/// # Errors
///
/// [`TokenFileError::Io`]; [`TokenFileError::Busy`] while a [`TokenFile`](crate::TokenFile) has the file, whose appends
/// would be lost; [`TokenFileError::Corrupt`] if something else is there; [`TokenFileError::TooMany`] above
/// [`TOKENS_MAX`]; [`TokenFileError::Invalid`] for a token that breaks a rule. What is there then is what was there before, but after a failed sync of its folder.
pub fn save(path: &Path, tokens: &[Token]) -> Result<()> {
    save_while(path, tokens, &mut || true)
}

/// As [`save`], and asks `goes_on` behind every 4 MiB that it has written; syncing what was written, which a slow device
/// takes long for, is not ended.
///
/// # Errors
///
/// As [`save`]; [`TokenFileError::Interrupted`] if `goes_on` says no: then what is there is what was there before.
pub fn save_while(path: &Path, tokens: &[Token], goes_on: &mut dyn FnMut() -> bool) -> Result<()> {
    if tokens.len() as u64 > TOKENS_MAX {
        return Err(TokenFileError::TooMany { path: path.to_owned(), count: tokens.len() as u64 });
    }
    refuse_no_file(path)?;
    let path = &behind_links(path)?;
    if path.file_name().is_none() {
        return Err(failed(path, "making it")(io::ErrorKind::InvalidInput.into()));
    }
    // The lock is held until the other file has the name.
    let old = open_old(path)?;
    let mut new = Temporary::beside(path)?;
    if let Some(old) = &old {
        let kept = old.metadata().and_then(|metadata| new.file.set_permissions(metadata.permissions()));
        kept.map_err(failed(path, "keeping its permissions"))?;
    }
    Appender::open(&new.file, path.clone())?.append_while(tokens, goes_on)?;
    fs::rename(&new.path, path).map_err(failed(path, "giving it its name"))?;
    new.has_name = true;
    sync_folder(path)
}

/// Opens and locks the file that goes, if there is one, unless it is something else.
fn open_old(path: &Path) -> Result<Option<File>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(failed(path, "opening it"))?,
    };
    lock(&file, path)?;
    if is_unfinished(&file).map_err(failed(path, "reading its header"))? {
        return Ok(Some(file));
    }
    match read_header(&file, path) {
        // One that is damaged may be replaced by one that is whole.
        Ok(_) => Ok(Some(file)),
        Err(TokenFileError::Corrupt { .. }) if has_magic(&file) => Ok(Some(file)),
        Err(TokenFileError::Corrupt { reason, .. }) => {
            Err(corrupt(path, format!("{reason}; remove it if it should be replaced")))
        }
        Err(error) => Err(error),
    }
}

/// A file that is removed unless it gets its name.
struct Temporary {
    file: File,
    path: PathBuf,
    has_name: bool,
}

/// How many there were in this process, so that no two have one name.
static TEMPORARIES: AtomicU64 = AtomicU64::new(0);

impl Temporary {
    fn beside(path: &Path) -> Result<Self> {
        loop {
            let number = TEMPORARIES.fetch_add(1, Ordering::Relaxed);
            let name = format!(".tokens-{}-{number}.new", process::id());
            let temporary = folder_of(path).join(name);
            match OpenOptions::new().read(true).write(true).create_new(true).open(&temporary) {
                Ok(file) => return Ok(Self { file, path: temporary, has_name: false }),
                // What a process left that had this one's number.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(failed(path, "making a file beside it")(error)),
            }
        }
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.has_name {
            // It is in nobody's way if it stays.
            drop(fs::remove_file(&self.path));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::Temporary;

    #[test]
    fn a_file_that_gets_no_name_is_removed_and_its_own_one_is_left_alone() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let names = || fs::read_dir(folder.path()).expect("it can be listed").count();
        let (one, two) =
            (Temporary::beside(&folder.path().join("x")), Temporary::beside(&folder.path().join("x")));
        let (one, mut two) = (one.expect("it is made"), two.expect("it is made"));
        assert_eq!((one.path == two.path, names()), (false, 2));
        drop(one);
        assert_eq!(names(), 1);
        two.has_name = true;
        drop(two);
        assert_eq!(names(), 1, "what has a name was removed");
    }
}
