//! Backups: a copy of the log in another directory, made while the store goes on.
//!
//! A backup is the log up to one revision. The file `BACKUP` names its files, and is replaced in one step
//! when all of them are there and synced; what the present one names is never changed in place. So whatever
//! happens on the way, the directory holds the backup before or the new one, whole. Files that the backup
//! before has already are not copied again. Sidecars are left out: they can be made again.

mod audit;
mod manifest;
mod restore;
#[cfg(all(test, feature = "testing"))]
mod tests;

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::Path;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use self::audit::Audit;
pub(super) use self::manifest::MANIFEST_NAME;
pub(super) use self::manifest::{Manifest, parse_copy_name};
use self::manifest::{SegmentCopy, copy_name};
pub(super) use self::restore::RESTORING_NAME;
#[cfg(feature = "faults")]
pub(crate) use self::restore::{read_manifest, restore_on};
pub use self::restore::{restore, verify_backup};
use super::format::{COMMIT_FRAME_BYTES, SEGMENT_HEADER_BYTES, SegmentId};
use super::log::LogFile;
use super::scan::{Depth, Window, scan};
use super::storage::{Directory, ProcessLock, Storage, StorageFile, is_inside, make_directory};
use super::{DiskEngine, HEADER_NAME, LOCK_NAME, hex};
use crate::engine::{BackupOptions, BackupReport, Durability, ProgressFn};
use crate::error::{Error, ErrorKind, Result};

/// Bytes that are copied at once.
const PIECE_BYTES: usize = 1 << 20;
/// The folder of the copies.
const FOLDER: &str = "log";

/// A file of the log, as far as it belongs into the backup.
struct Source {
    log: Arc<LogFile>,
    bytes: u64,
    /// Whether it never changes again.
    is_sealed: bool,
}

/// The store at one revision.
struct Snapshot {
    /// In the order of the log.
    sources: Vec<Source>,
    revision: u64,
    chain: [u8; 32],
}

/// A file that is copied.
struct Original<'a> {
    file: &'a dyn StorageFile,
    name: String,
    bytes: u64,
}

impl DiskEngine {
    /// Makes a backup in a directory, or brings the one that is there up to date.
    pub(super) fn backup_to_directory(
        &self,
        to: &Path,
        options: &BackupOptions<'_>,
        progress: ProgressFn<'_>,
    ) -> Result<BackupReport> {
        let place = to.display().to_string();
        self.check_usable()?;
        self.prepare_target(to, &place)?;
        let failed = |error| Error::io(format!("{place}: locking the backup failed"), error);
        let _lock = ProcessLock::take(&to.join(LOCK_NAME)).map_err(failed)?.map_err(|_| {
            Error::new(ErrorKind::Busy, format!("{place}: another backup into this directory is being made"))
        })?;
        self.backup_to(&Directory::new(to), &place, options, progress)
    }

    /// Makes the directory, or finds out that it is not for backups of this store.
    fn prepare_target(&self, to: &Path, place: &str) -> Result<()> {
        let failed = |error| Error::io(format!("{place}: making the backup failed"), error);
        let refused = |what: &str| Err(Error::new(ErrorKind::Invalid, format!("{place}: {what}")));
        if is_inside(to, &self.path).map_err(failed)? {
            return refused("the backup would lie inside the store; name another directory");
        }
        let entries = match std::fs::read_dir(to) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return make_directory(to).map_err(failed);
            }
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
                return refused("it is a file, and a backup is a directory");
            }
            entries => entries.map_err(failed)?,
        };
        let names: Vec<_> =
            entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        if names.iter().any(|name| name == HEADER_NAME) {
            return refused("a store is here; name another directory for the backup");
        }
        // An interrupted beginning leaves the other two.
        let is_ours = |name: &String| [LOCK_NAME, "BACKUP.new"].contains(&name.as_str());
        if names.iter().any(|name| name == MANIFEST_NAME) || names.iter().all(is_ours) {
            return Ok(());
        }
        refused("the directory holds other files and no file BACKUP; name one that is empty, new or a backup")
    }

    /// Makes a backup in a storage, which is called `place` in messages.
    pub(crate) fn backup_to(
        &self,
        target: &dyn Storage,
        place: &str,
        options: &BackupOptions<'_>,
        progress: ProgressFn<'_>,
    ) -> Result<BackupReport> {
        let old = match Manifest::read(target, place)? {
            Some(old) if old.store_id != self.store_id => {
                let message = format!("{place}: the backup of another store is here; name another directory");
                return Err(Error::new(ErrorKind::Invalid, message));
            }
            Some(old) => old,
            // From here on the directory is known as a backup, so that what is in it may be replaced.
            None => {
                let unfinished = Manifest::unfinished(self.store_id);
                unfinished.write(target, place)?;
                unfinished
            }
        };
        let failed = |error| Error::io(format!("{place}: making the folder {FOLDER} failed"), error);
        target.create_folder(FOLDER).and_then(|()| target.sync_folder(".")).map_err(failed)?;
        let (manifest, report) = match self.copy_log(target, place, &old, options, progress) {
            Ok(done) => done,
            Err(error) => {
                // What was copied in vain would only take space.
                remove_others(target, &old);
                return Err(error);
            }
        };
        manifest.write(target, place)?;
        remove_others(target, &manifest);
        Ok(report)
    }

    /// Copies what the old backup lacks.
    fn copy_log(
        &self,
        target: &dyn Storage,
        place: &str,
        old: &Manifest,
        options: &BackupOptions<'_>,
        progress: ProgressFn<'_>,
    ) -> Result<(Manifest, BackupReport)> {
        let snapshot = self.snapshot()?;
        let Snapshot { revision, chain, .. } = snapshot;
        let mut copying = Copying {
            engine: self,
            target,
            place,
            old,
            copies: old.segments.iter().map(|copy| (copy.id, copy)).collect(),
            follows_old: snapshot.follows(old, target)?,
            options,
            progress,
            total: snapshot.sources.iter().map(|source| source.bytes).sum(),
            audit: Audit::new(self.store_id),
            buffer: Vec::new(),
            report: BackupReport { revision, chain_head: hex(&chain), ..BackupReport::default() },
        };
        let sources = snapshot.sources.iter();
        let segments = sources.map(|source| copying.file(source)).collect::<Result<Vec<_>>>()?;
        let Copying { audit, mut report, .. } = copying;
        target
            .sync_folder(FOLDER)
            .map_err(|error| Error::io(format!("{place}: syncing the folder {FOLDER} failed"), error))?;
        report.damage = audit.damage;
        let damage = report.damage.len() as u64;
        let number = old.number + 1;
        Ok((Manifest { store_id: self.store_id, number, revision, chain, damage, segments }, report))
    }

    /// Notes what the store is made of now. Files that are compacted away later stay open.
    fn snapshot(&self) -> Result<Snapshot> {
        let mut writer = self.writer.lock();
        self.check_usable()?;
        // A backup must not know more than the store does after a power cut.
        self.reach(&mut writer, Durability::Synced)?;
        let active = writer.segment.id;
        let source = |log: &Arc<LogFile>| {
            let is_sealed = log.id != active;
            Source {
                log: Arc::clone(log),
                bytes: if is_sealed { log.written() } else { writer.end },
                is_sealed,
            }
        };
        let view = self.log.view.load();
        let sources = view.segments.iter().map(|segment| source(&segment.log)).collect();
        Ok(Snapshot { sources, revision: writer.revision, chain: writer.chain })
    }
}

impl Snapshot {
    /// Whether the log of an old backup is known to be the beginning of this one.
    fn follows(&self, old: &Manifest, target: &dyn Storage) -> Result<bool> {
        let Some(last) = old.segments.last() else { return Ok(false) };
        let source = self.sources.iter().find(|source| source.log.id == last.id);
        source.map_or(Ok(false), |source| source.begins_as(last, target))
    }
}

impl Source {
    /// Whether it begins with what a copy holds, by what stands at both ends: the head of the hash chain is
    /// in the header and in the frame that ends a batch or a segment.
    fn begins_as(&self, copy: &SegmentCopy, target: &dyn Storage) -> Result<bool> {
        let header = copy.bytes.min(SEGMENT_HEADER_BYTES as u64);
        let frame = copy.bytes.min(COMMIT_FRAME_BYTES as u64);
        let ends = [(0, header), (copy.bytes.saturating_sub(frame), frame)];
        let ends_of = |file: &dyn StorageFile| -> io::Result<Vec<u8>> {
            let mut read = Vec::new();
            for (at, bytes) in ends {
                let mut end = vec![0; bytes as usize];
                file.read_at(at, &mut end)?;
                read.extend(end);
            }
            Ok(read)
        };
        let copied = || -> io::Result<Option<Vec<u8>>> {
            let file = target.open_to_read(&copy.name())?;
            let fits = file.len()? == copy.bytes && self.bytes >= copy.bytes;
            if fits { ends_of(&*file).map(Some) } else { Ok(None) }
        };
        // A copy that can't be read is made again.
        let Ok(Some(copied)) = copied() else { return Ok(false) };
        let failed = |error| Error::io(format!("reading {} failed", self.log.id.file_name()), error);
        Ok(ends_of(&*self.log.file).map_err(failed)? == copied)
    }
}

/// A backup that is being made.
struct Copying<'a, 'p> {
    engine: &'a DiskEngine,
    target: &'a dyn Storage,
    /// What the directory of the backup is called in messages.
    place: &'a str,
    old: &'a Manifest,
    copies: HashMap<SegmentId, &'a SegmentCopy>,
    /// Whether the old backup is known to be of the past of this store, and not of a copy that went another
    /// way.
    follows_old: bool,
    options: &'a BackupOptions<'a>,
    progress: ProgressFn<'p>,
    total: u64,
    audit: Audit,
    buffer: Vec<u8>,
    report: BackupReport,
}

impl Copying<'_, '_> {
    /// Sees to it that a file of the log is in the backup.
    fn file(&mut self, source: &Source) -> Result<SegmentCopy> {
        self.audit.place(source.log.first, source.log.last);
        let copy = match self.copy_at_hand(source)? {
            Some(copy) => {
                self.audit.skip();
                copy
            }
            None => self.copy(source)?,
        };
        if let Some(first) = self.audit.damage.first().filter(|_| self.options.strict) {
            let message = format!("the store is damaged, and so nothing was backed up: {first}");
            return Err(Error::new(ErrorKind::Corrupt, message));
        }
        self.report.files += 1;
        self.report.bytes += copy.bytes;
        (self.progress)(self.report.bytes, self.total);
        Ok(copy)
    }

    /// The copy that the old backup has of a file. A damaged one is made again: to report the damage, and
    /// because reading may be what failed.
    fn copy_at_hand(&self, source: &Source) -> Result<Option<SegmentCopy>> {
        let id = source.log.id;
        let Some(copy) = self.copies.get(&id).map(|copy| **copy) else { return Ok(None) };
        // Compacted files of stores that parted may be alike at both ends.
        let is_known = !id.is_compacted() || self.follows_old;
        let is_whole = !copy.is_damaged && copy.bytes == source.bytes;
        let is_at_hand = is_known && is_whole && source.begins_as(&copy, self.target)?;
        Ok(is_at_hand.then_some(copy))
    }

    fn copy(&mut self, source: &Source) -> Result<SegmentCopy> {
        let Source { log, bytes, is_sealed } = source;
        let is_named = self.copies.get(&log.id).is_some_and(|copy| copy.made_by == 0);
        let made_by = if *is_sealed && !is_named { 0 } else { self.old.number + 1 };
        let name = copy_name(log.id, made_by);
        let original = Original { file: &*log.file, name: log.id.file_name(), bytes: *bytes };
        let (done, total) = (self.report.bytes, self.total);
        let sha256 = original.copy_to(self.target, self.place, &name, &mut |copied| {
            (self.progress)(done + copied, total);
            self.engine.check_open()?;
            check_goes_on(self.options)
        })?;
        let damage_before = self.audit.damage.len();
        self.audit_copy(log, &name)?;
        self.report.files_copied += 1;
        self.report.bytes_copied += bytes;
        let is_damaged = self.audit.damage.len() > damage_before;
        Ok(SegmentCopy { id: log.id, made_by, bytes: *bytes, sha256, is_damaged })
    }

    /// Verifies the frames of a copy: what is in the backup counts.
    fn audit_copy(&mut self, log: &LogFile, name: &str) -> Result<()> {
        let failed = |error| Error::io(format!("{}: reading the copy {name} failed", self.place), error);
        let file = self.target.open_to_read(name).map_err(failed)?;
        let bytes = file.len().map_err(failed)?;
        let mut window = Window::new(&*file, bytes, log.salt, &mut self.buffer);
        let scanned = scan(log.id, &mut window, Depth::Checksums).map_err(failed)?;
        self.audit.content(&scanned);
        Ok(())
    }
}

impl Original<'_> {
    /// Copies the file to `target`, which is called `place` in messages, and makes the content of the copy survive a power
    /// cut; returns its SHA-256. `pace` is told of bytes that were copied, and may stop it.
    fn copy_to(
        &self,
        target: &dyn Storage,
        place: &str,
        name: &str,
        pace: &mut dyn FnMut(u64) -> Result<()>,
    ) -> Result<[u8; 32]> {
        let failed = |error| Error::io(format!("{place}: writing the copy {name} failed"), error);
        // An interrupted backup may have left one, and somebody may have linked that: it is not written to.
        match target.remove(name) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        let copy = target.open(name, true).map_err(failed)?;
        let sha256 = self.read(&mut |at, piece| {
            copy.write_at(at, piece).map_err(failed)?;
            pace(at + piece.len() as u64)
        })?;
        copy.sync().map_err(failed)?;
        Ok(sha256)
    }

    /// Reads the file in pieces; returns its SHA-256.
    fn read(&self, visit: &mut dyn FnMut(u64, &[u8]) -> Result<()>) -> Result<[u8; 32]> {
        let failed = |error| Error::io(format!("reading {} failed", self.name), error);
        let mut hash = Sha256::new();
        let mut piece = vec![0; PIECE_BYTES];
        let mut at = 0;
        while at < self.bytes {
            let piece = &mut piece[..(self.bytes - at).min(PIECE_BYTES as u64) as usize];
            self.file.read_at(at, piece).map_err(failed)?;
            hash.update(&*piece);
            visit(at, piece)?;
            at += piece.len() as u64;
        }
        Ok(hash.finalize().into())
    }
}

/// Removes copies that do not belong to a backup. What can't be removed is tried again by the next one.
fn remove_others(target: &dyn Storage, manifest: &Manifest) {
    let named: HashSet<String> = manifest.segments.iter().map(SegmentCopy::name).collect();
    for name in target.list(FOLDER).unwrap_or_default() {
        let path = format!("{FOLDER}/{name}");
        if parse_copy_name(&name).is_some() && !named.contains(&path) {
            drop(target.remove(&path));
        }
    }
}

/// Whether the caller still wants what is being done.
fn check_goes_on(options: &BackupOptions<'_>) -> Result<()> {
    if (options.goes_on)() {
        return Ok(());
    }
    Err(Error::io("stopped before the end", io::ErrorKind::Interrupted.into()))
}
