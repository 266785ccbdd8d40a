//! Restoring and verifying backups: nothing of a backup is believed before it was read and compared.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::audit::Audit;
use super::manifest::{Manifest, SegmentCopy};
use super::{FOLDER, Original, check_goes_on};
use crate::engine::disk::format::{SEGMENT_HEADER_BYTES, Salt, SegmentHeader, SegmentId, StoreHeader};
use crate::engine::disk::log::LogFile;
use crate::engine::disk::scan::{Depth, Window, scan, scan_in_order};
use crate::engine::disk::storage::{
    Directory, ProcessLock, Storage, StorageFile, Unborn, bear, is_inside, make_directory,
};
use crate::engine::disk::{DiskEngine, HEADER_NAME, LOCK_NAME, hex};
use crate::engine::{BackupOptions, Engine as _, ProgressFn, RestoreReport};
use crate::error::{Error, ErrorKind, Result};
use crate::store::Options;

/// The file `STATLAS` of a store that is being restored, until all of it was verified: without that file nobody
/// else takes it for a store, and what an interrupted restore left is known by this one.
pub(in crate::engine::disk) const RESTORING_NAME: &str = "RESTORING";
/// Damaged places of a file that an error names.
const PLACES_TOLD_MAX: usize = 8;
/// Files that are open at a time.
const FILES_TOGETHER: usize = 64;

/// Makes a store of the backup in a directory: the same store, at the revision and with the hash chain of the
/// backup. `to` must be empty or absent; the store appears there only when all of it was verified.
///
/// # Errors
///
/// [`ErrorKind::NotAStore`] if there is no backup, [`ErrorKind::Invalid`] if something is at `to`,
/// [`ErrorKind::Corrupt`] if the backup is not what was written, and errors of the operating system; then
/// nothing is left at `to`. A store that was damaged when it was backed up is restored with its damage, which
/// the report lists, unless the options are strict.
pub fn restore(
    from: &Path,
    to: &Path,
    options: &BackupOptions<'_>,
    progress: ProgressFn<'_>,
) -> Result<RestoreReport> {
    let (source, place) = (Directory::new(from), from.display().to_string());
    let manifest = read_manifest(&source, &place)?;
    let is_new = prepare_target(from, to)?;
    let failed = |error| Error::io(format!("{}: restoring failed", to.display()), error);
    let restored = ProcessLock::take(&to.join(LOCK_NAME)).map_err(failed)?.map_err(|_| {
        Error::new(ErrorKind::Busy, format!("{}: another process is at work here", to.display()))
    });
    // Another process that restores there cleans up by itself.
    let lock = restored?;
    let restored = clear_target(to)
        .map_err(failed)
        .and_then(|()| restore_on(&source, &manifest, Directory::new(to), to, options, progress));
    if restored.is_err() {
        drop(clear_target(to));
        drop(std::fs::remove_file(to.join(RESTORING_NAME)));
    }
    drop(lock);
    if restored.is_err() {
        drop(std::fs::remove_file(to.join(LOCK_NAME)));
        if is_new {
            drop(std::fs::remove_dir(to));
        }
    }
    restored
}

/// Reads and verifies the backup in a directory without restoring it: the SHA-256 of every file, every frame,
/// the SHA-256 of every entity and blob, the hash chain. Damage is no error: the report lists it.
///
/// # Errors
///
/// [`ErrorKind::NotAStore`] if there is no backup, [`ErrorKind::Corrupt`] if its file `BACKUP` is damaged, and
/// errors of the operating system.
pub fn verify_backup(
    from: &Path,
    options: &BackupOptions<'_>,
    progress: ProgressFn<'_>,
) -> Result<RestoreReport> {
    let (source, place) = (Directory::new(from), from.display().to_string());
    verify_on(&source, &read_manifest(&source, &place)?, options, progress)
}

/// The manifest of a whole backup.
pub(crate) fn read_manifest(from: &dyn Storage, place: &str) -> Result<Manifest> {
    let none = |what: &str| Error::new(ErrorKind::NotAStore, format!("{place}: {what}"));
    match Manifest::read(from, place)? {
        None => Err(none("no backup is here: there is no file BACKUP")),
        Some(manifest) if manifest.number == 0 => {
            Err(none("no backup is here: the first one into this directory did not get to its end"))
        }
        Some(manifest) => Ok(manifest),
    }
}

/// Makes the directory, or finds out that something is in it; whether it was made.
fn prepare_target(from: &Path, to: &Path) -> Result<bool> {
    let place = to.display();
    let failed = |error| Error::io(format!("{place}: restoring failed"), error);
    let refused = |what: &str| Err(Error::new(ErrorKind::Invalid, format!("{place}: {what}")));
    let inside = || refused("the store would lie inside the backup; name another directory");
    match std::fs::read_dir(to) {
        Ok(entries) => {
            let names: Vec<_> = entries.flatten().map(|entry| entry.file_name()).collect();
            let is_there = |name: &str| names.iter().any(|found| found == name);
            if is_there(HEADER_NAME) {
                return refused(
                    "a store is here; a backup is restored into a directory that is empty or new",
                );
            }
            let is_interrupted = is_there(RESTORING_NAME);
            let may_go = |name: &std::ffi::OsString| {
                name == LOCK_NAME || (is_interrupted && (name == RESTORING_NAME || name == FOLDER))
            };
            if !names.iter().all(may_go) {
                return refused(
                    "something is here; a backup is restored into a directory that is empty or new",
                );
            }
            if is_inside(to, from).map_err(failed)? { inside() } else { Ok(false) }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if is_inside(to, from).map_err(failed)? {
                return inside();
            }
            make_directory(to).map_err(failed)?;
            Ok(true)
        }
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            refused("it is a file, and a store is a directory")
        }
        Err(error) => Err(failed(error)),
    }
}

/// Removes what an interrupted restore left.
fn clear_target(to: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(to.join(FOLDER)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Restores a backup into an empty storage, which is called `path` in messages.
pub(crate) fn restore_on<S: Storage + Clone + 'static>(
    from: &dyn Storage,
    manifest: &Manifest,
    to: S,
    path: &Path,
    options: &BackupOptions<'_>,
    progress: ProgressFn<'_>,
) -> Result<RestoreReport> {
    let place = &path.display().to_string();
    let failed = |error| Error::io(format!("{place}: restoring failed"), error);
    let header = StoreHeader { store_id: manifest.store_id };
    to.write(RESTORING_NAME, &header.encode()).map_err(failed)?;
    to.create_folder(FOLDER).and_then(|()| to.sync_folder(".")).map_err(failed)?;
    let (bytes, mut done) = (manifest.bytes(), 0);
    // Everything is read twice.
    let total = bytes * 2;
    for copy in &manifest.segments {
        restore_file(from, copy, &manifest.store_id, (&to, place), &mut |copied| {
            progress(done + copied, total);
            check_goes_on(options)
        })?;
        done += copy.bytes;
    }
    to.sync_folder(FOLDER).map_err(failed)?;
    let engine =
        DiskEngine::on(Box::new(Unborn::new(to.clone(), RESTORING_NAME)), path, None, &Options::default())?;
    let check = engine.check_log(&mut |checked, _| progress(bytes + checked, total))?;
    let mut damage = engine.damage.clone();
    damage.extend(check.damage.iter().filter(|place| !engine.damage.contains(place)).cloned());
    let report = RestoreReport {
        revision: engine.revision.load(Ordering::Acquire),
        chain_head: check.chain_head,
        files: manifest.segments.len() as u64,
        bytes,
        commits: check.commits,
        entities: check.entities,
        blobs: check.blobs,
        records: check.records,
        damage,
    };
    check_same(manifest, &report)?;
    if let Some(first) = report.damage.first().filter(|_| options.strict || manifest.damage == 0) {
        let message = format!("the restored store is damaged, and so it was removed: {first}");
        return Err(Error::new(ErrorKind::Corrupt, message));
    }
    engine.close()?;
    drop(engine);
    bear(&to, RESTORING_NAME).map_err(failed)?;
    Ok(report)
}

/// Copies a file back.
fn restore_file(
    from: &dyn Storage,
    copy: &SegmentCopy,
    store_id: &[u8; 16],
    (to, place): (&dyn Storage, &str),
    pace: &mut dyn FnMut(u64) -> Result<()>,
) -> Result<()> {
    let corrupt = |reason: String| Error::new(ErrorKind::Corrupt, format!("the backup is damaged: {reason}"));
    let (original, bytes) = open_copy(from, copy)?.map_err(corrupt)?;
    let original = Original { file: &*original, name: copy.name(), bytes };
    if original.copy_to(to, place, &copy.id.file_name(), pace)? != copy.sha256 {
        let places = damaged_places(&original, copy.id, store_id)?;
        return Err(corrupt([vec![other_sha256(copy)], places].concat().join("; ")));
    }
    Ok(())
}

/// The first damaged places of a copy that is not what was written.
fn damaged_places(original: &Original<'_>, id: SegmentId, store_id: &[u8; 16]) -> Result<Vec<String>> {
    let failed = |error| Error::io(format!("reading {} failed", original.name), error);
    let mut buffer = Vec::new();
    let mut window = Window::new(original.file, original.bytes, Salt::of(store_id, id), &mut buffer);
    let mut audit = Audit::new(*store_id);
    audit.content(&scan(id, &mut window, Depth::Checksums).map_err(failed)?);
    audit.damage.truncate(PLACES_TOLD_MAX);
    Ok(audit.damage)
}

/// A file of a backup and how long it is, or what is wrong with it.
type OpenedCopy = std::result::Result<(Box<dyn StorageFile>, u64), String>;

fn open_copy(from: &dyn Storage, copy: &SegmentCopy) -> Result<OpenedCopy> {
    let name = copy.name();
    let failed = |error| Error::io(format!("reading {name} failed"), error);
    let file = match from.open_to_read(&name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(Err(format!("{name}: the file is missing")));
        }
        file => file.map_err(failed)?,
    };
    let bytes = file.len().map_err(failed)?;
    if bytes != copy.bytes {
        return Ok(Err(format!("{name}: the file has {bytes} bytes, and had {}", copy.bytes)));
    }
    Ok(Ok((file, bytes)))
}

fn other_sha256(copy: &SegmentCopy) -> String {
    format!("{}: the file is not what was written: its SHA-256 is another one", copy.name())
}

/// The log must end where the backup says.
fn check_same(manifest: &Manifest, report: &RestoreReport) -> Result<()> {
    if report.revision == manifest.revision && report.chain_head == hex(&manifest.chain) {
        return Ok(());
    }
    let RestoreReport { revision, chain_head, .. } = report;
    let message = format!(
        "the log ends at revision {revision} with the hash chain {chain_head}; the backup is of revision {} with {}",
        manifest.revision,
        hex(&manifest.chain)
    );
    Err(Error::new(ErrorKind::Corrupt, message))
}

/// Verifies a backup.
pub(super) fn verify_on(
    from: &dyn Storage,
    manifest: &Manifest,
    options: &BackupOptions<'_>,
    progress: ProgressFn<'_>,
) -> Result<RestoreReport> {
    let mut audit = Audit::new(manifest.store_id);
    let (mut done, total) = (0, manifest.bytes() * 2);
    for group in manifest.segments.chunks(FILES_TOGETHER) {
        let mut opened = Vec::new();
        for copy in group {
            let bytes = copy.bytes;
            let file = verify_file(from, copy, &mut audit, &mut |read| {
                progress(done + read, total);
                check_goes_on(options)
            })?;
            done += bytes;
            opened.extend(file.map(|log| (log, bytes)));
        }
        let mut order = opened.clone().into_iter().peekable();
        scan_in_order(&opened, Depth::Hashes, |scanned| {
            if let Some((log, bytes)) = order.next() {
                audit.place(log.first, log.last);
                done += bytes;
            }
            audit.content(&scanned);
            progress(done, total);
            check_goes_on(options)
        })?;
    }
    let chain_head = hex(&audit.chain.unwrap_or_default());
    let Audit { revision, commits, entities, blobs, records, damage, .. } = audit;
    let (files, bytes) = (manifest.segments.len() as u64, manifest.bytes());
    let mut report =
        RestoreReport { revision, chain_head, files, bytes, commits, entities, blobs, records, damage };
    if report.damage.is_empty()
        && let Err(error) = check_same(manifest, &report)
    {
        report.damage.push(error.to_string());
    }
    Ok(report)
}

/// Compares a file with what is known of it. One that can be read goes on to have its frames verified.
fn verify_file(
    from: &dyn Storage,
    copy: &SegmentCopy,
    audit: &mut Audit,
    pace: &mut dyn FnMut(u64) -> Result<()>,
) -> Result<Option<Arc<LogFile>>> {
    let (file, bytes) = match open_copy(from, copy)? {
        Ok(opened) => opened,
        Err(reason) => {
            audit.damage.push(reason);
            return Ok(None);
        }
    };
    let original = Original { file: &*file, name: copy.name(), bytes };
    if original.read(&mut |at, piece| pace(at + piece.len() as u64))? != copy.sha256 {
        audit.damage.push(other_sha256(copy));
    }
    let failed = |error| Error::io(format!("reading {} failed", copy.name()), error);
    let mut header = vec![0; bytes.min(SEGMENT_HEADER_BYTES as u64) as usize];
    file.read_at(0, &mut header).map_err(failed)?;
    let assumed =
        SegmentHeader { id: copy.id, ..SegmentHeader::written(copy.id.number(), [0; 16], 1, [0; 32]) };
    let header = SegmentHeader::decode(&header).ok().filter(|header| header.id == copy.id).unwrap_or(assumed);
    let map = file.map(bytes.max(1) as usize).map_err(failed)?;
    Ok(Some(Arc::new(LogFile::new(&header, file, map, bytes))))
}
