//! The directory into which a store is repaired: it is a store only when everything was saved.

use std::io;
use std::path::{Path, PathBuf};

use crate::engine::RepairReport;
use crate::engine::disk::creation::has_batches;
use crate::engine::disk::storage::{Directory, ProcessLock, Unborn, bear, is_inside, make_directory};
use crate::engine::disk::{DiskEngine, LOCK_NAME};
use crate::error::{Error, ErrorKind, Result};
use crate::store::Options;

/// The file `STATLAS` of a repaired store, until all that can be saved is in it.
pub(in crate::engine::disk) const REPAIRING_NAME: &str = "REPAIRING";
/// What an engine puts beside its log before it is a store.
const UNFINISHED_NAME: &str = "STATLAS.new";

/// The directory, and what is known of it.
pub(super) struct Target {
    path: PathBuf,
    /// Whether an interrupted repair was at work here before.
    is_begun: bool,
    is_new: bool,
    lock: Option<ProcessLock>,
}

impl Target {
    /// Finds out whether a store can be made there without touching the old one; nothing is made yet.
    pub(super) fn of(from: &Path, path: &Path) -> Result<Self> {
        let refused = |what: &str| Err(Error::new(ErrorKind::Invalid, format!("{}: {what}", path.display())));
        let names = match std::fs::read_dir(path) {
            Ok(entries) => entries.flatten().map(|entry| entry.file_name()).collect::<Vec<_>>(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => {
                let message = format!("{}: a repaired store can't be made here", path.display());
                return Err(Error::io(message, error));
            }
        };
        let is_there = |name: &str| names.iter().any(|found| found == name);
        let is_begun = is_there(REPAIRING_NAME);
        let may_go = |name: &std::ffi::OsString| {
            [LOCK_NAME, "log", UNFINISHED_NAME, REPAIRING_NAME].iter().any(|own| name == own)
        };
        // Before the file has its name, the log is empty.
        let is_empty = is_begun || !is_there("log") || !has_batches(&Directory::new(path))?;
        if !is_empty || !names.iter().all(may_go) {
            return refused("a repaired store needs a new or empty directory; this one holds files");
        }
        // What can't be looked at is told when it is read.
        if is_inside(path, from).unwrap_or(false) {
            return refused("a repaired store can't be inside the damaged one");
        }
        Ok(Self { path: path.to_owned(), is_begun, is_new: !path.exists(), lock: None })
    }

    /// Makes the directory, removes what an interrupted repair left there, and opens a store in it that nobody else
    /// takes for one.
    pub(super) fn open(&mut self, options: &Options, report: &mut RepairReport) -> Result<DiskEngine> {
        let place = self.path.display();
        let failed = |error| Error::io(format!("{place}: making the repaired store failed"), error);
        make_directory(&self.path).map_err(failed)?;
        let lock = ProcessLock::take(&self.path.join(LOCK_NAME)).map_err(failed)?.map_err(|_| {
            Error::new(ErrorKind::Busy, format!("{place}: another process is at work here; wait for it"))
        })?;
        self.lock = Some(lock);
        self.clear().map_err(failed)?;
        if self.is_begun {
            report
                .notes
                .push(format!("{place}: what an interrupted repair had saved here was removed first"));
        }
        let storage = Unborn::new(Directory::new(&self.path), REPAIRING_NAME);
        DiskEngine::on(Box::new(storage), &self.path, None, options)
    }

    /// Makes what was saved a store.
    pub(super) fn finish(&self) -> Result<()> {
        let failed = |error| Error::io(format!("{}: ending the repair failed", self.path.display()), error);
        bear(&Directory::new(&self.path), REPAIRING_NAME).map_err(failed)
    }

    /// Leaves nothing of what was saved. What can't be removed is known as unfinished.
    pub(super) fn abandon(mut self) {
        let Some(lock) = self.lock.take() else { return };
        drop(self.clear());
        drop(lock);
        drop(std::fs::remove_file(self.path.join(LOCK_NAME)));
        if self.is_new {
            drop(std::fs::remove_dir(&self.path));
        }
    }

    /// Removes what is there. The file that tells what it is goes last.
    fn clear(&self) -> io::Result<()> {
        let is_gone = |removed: io::Result<()>| match removed {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        };
        is_gone(std::fs::remove_dir_all(self.path.join("log")))?;
        is_gone(std::fs::remove_file(self.path.join(UNFINISHED_NAME)))?;
        is_gone(std::fs::remove_file(self.path.join(REPAIRING_NAME)))
    }
}
