//! The files of a damaged store, which are only read.

use std::collections::{HashMap, HashSet};
use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;

use crate::engine::RepairReport;
use crate::engine::disk::backup::{MANIFEST_NAME, Manifest, parse_copy_name};
use crate::engine::disk::dictionary::PlainTexts;
use crate::engine::disk::files::log_bytes;
use crate::engine::disk::format::{
    ALIGNMENT, SEGMENT_HEADER_BYTES, STORE_HEADER_BYTES, Salt, SegmentHeader, SegmentId, StoreHeader,
};
use crate::engine::disk::kept_batches::kept_batches;
use crate::engine::disk::scan::{Damage, Depth, ScannedBatch, ScannedSegment, Window, scan_batches};
use crate::engine::disk::storage::{Directory, Mapping, Storage, StorageFile};
use crate::engine::disk::{HEADER_NAME, LOCK_NAME};
use crate::error::{Error, ErrorKind, Result};

/// What can't be read is left out in pieces of this size.
const UNREADABLE_BYTES: usize = 4096;

/// A file of the damaged log.
pub(super) struct Source {
    pub(super) id: SegmentId,
    pub(super) bytes: u64,
    pub(super) header: std::result::Result<SegmentHeader, &'static str>,
    name: String,
    file: ReadOnly,
    salt: Salt,
}

impl Source {
    /// The files that writers made and that this one stands for, if that is known.
    pub(super) fn range(&self) -> Option<(u32, u32)> {
        match self.header {
            Ok(header) => Some((header.first, header.last)),
            Err(_) if self.id.is_compacted() => None,
            Err(_) => Some((self.id.number(), self.id.number())),
        }
    }

    /// Reads the file and hands its batches over one by one, each with what was damaged before its end.
    pub(super) fn scan(
        &self,
        depth: Depth,
        visit: &mut dyn FnMut(ScannedBatch, Vec<Damage>) -> Result<()>,
    ) -> Result<ScannedSegment> {
        let (mut buffer, mut outcome) = (Vec::new(), Ok(()));
        let scanned = scan_batches(self.id, &mut self.window(&mut buffer), depth, &mut |batch, damage| {
            outcome = visit(batch, damage);
            outcome.is_ok()
        });
        outcome?;
        scanned.map_err(|error| self.failed(error))
    }

    pub(super) fn window<'a>(&'a self, buffer: &'a mut Vec<u8>) -> Window<'a> {
        Window::new(&self.file, self.bytes, self.salt, buffer)
    }

    /// What makes the texts of the file plain.
    pub(super) fn texts(&self) -> Result<PlainTexts> {
        PlainTexts::of(&self.file, self.bytes, self.salt).map_err(|error| self.failed(error))
    }

    /// The salt that the frames themselves show, for when no header is left that says which store they are of.
    fn learn_salt(&self) -> io::Result<Salt> {
        let mut buffer = Vec::new();
        let mut window = self.window(&mut buffer);
        let mut before = None;
        let mut at = SEGMENT_HEADER_BYTES as u64;
        while at < self.bytes {
            let Some((salt, next)) = window.salt_of_frame(at)? else {
                (before, at) = (None, at + ALIGNMENT as u64);
                continue;
            };
            // One may be an accident, two that agree are none.
            if before == Some(salt) {
                return Ok(salt);
            }
            (before, at) = (Some(salt), next);
        }
        Ok(before.unwrap_or(self.salt))
    }

    pub(super) fn failed(&self, error: io::Error) -> Error {
        Error::io(format!("reading {} failed", self.name), error)
    }
}

/// A file that is read as far as it can be: zeros stand for what the device does not give back, so that the
/// checksums of the frames there are wrong.
struct ReadOnly(Box<dyn StorageFile>);

fn refused() -> io::Error {
    io::ErrorKind::PermissionDenied.into()
}

impl StorageFile for ReadOnly {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn set_len(&self, _bytes: u64) -> io::Result<()> {
        Err(refused())
    }

    fn pwrite(&self, _offset: u64, _bytes: &[u8]) -> io::Result<usize> {
        Err(refused())
    }

    fn pread(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let read = |buffer: &mut [u8]| self.0.pread(offset, buffer);
        let unreadable = |error: &io::Error| error.kind() != io::ErrorKind::Interrupted;
        match read(buffer) {
            Err(error) if unreadable(&error) => {}
            done => return done,
        }
        // Up to the next whole piece, so that no more is given up than must be.
        let piece = UNREADABLE_BYTES - (offset % UNREADABLE_BYTES as u64) as usize;
        let end = piece.min(buffer.len());
        let buffer = &mut buffer[..end];
        match read(buffer) {
            Err(error) if unreadable(&error) => {
                buffer.fill(0);
                Ok(buffer.len())
            }
            done => done,
        }
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    fn map(&self, _bytes: usize) -> io::Result<Box<dyn Mapping>> {
        Err(refused())
    }
}

/// Keeps others from opening the store while it is read, if they could have; nothing is written for that.
pub(super) fn lock(from: &Path) -> Result<Option<File>> {
    // A store without the file is open in no process.
    let Ok(file) = File::open(from.join(LOCK_NAME)) else { return Ok(None) };
    match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => {
            let message =
                format!("{}: the store is open in another process; close that first", from.display());
            Err(Error::new(ErrorKind::Busy, message))
        }
        // On a file system without locks nobody else has one either.
        Ok(()) | Err(TryLockError::Error(_)) => Ok(Some(file)),
    }
}

/// The files of the log, but for those that belong to another store and those that a compacted one stands for.
pub(super) fn find_sources(from: &Path, report: &mut RepairReport) -> Result<Vec<Source>> {
    let place = from.display();
    let names = std::fs::read_dir(from.join("log")).and_then(|entries| {
        let name =
            |entry: io::Result<std::fs::DirEntry>| Ok(entry?.file_name().to_string_lossy().into_owned());
        entries.map(name).collect::<io::Result<Vec<String>>>()
    });
    let mut names = names.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
            Error::new(ErrorKind::NotAStore, format!("{place}: no store is here: there is no folder log"))
        }
        _ => Error::io(format!("{place}: listing the folder log failed"), error),
    })?;
    names.sort_unstable();
    let backup = Backup::of(from, report)?;
    let mut sources: Vec<Source> = Vec::new();
    for name in names {
        let id = match &backup {
            None => SegmentId::parse(&name, ".seg"),
            Some(backup) => backup.id_of(&name),
        };
        let Some(id) = id else { continue };
        match open(from, &name, id) {
            Ok((source, found)) => {
                if found > source.bytes {
                    report.notes.push(format!(
                        "{id}: log/{name} has {found} bytes; no frame can stand behind the first {}",
                        source.bytes
                    ));
                }
                // Of several copies of a file the longest has most of it: the others are older or unfinished.
                match sources.iter_mut().find(|other| other.id == id) {
                    Some(other) if other.bytes <= source.bytes => *other = source,
                    Some(_) => {}
                    None => sources.push(source),
                }
            }
            Err(error) => report.lost.push(format!("{id}: log/{name} can't be opened: {error}")),
        }
    }
    if sources.is_empty() {
        return Err(Error::new(
            ErrorKind::NotAStore,
            format!("{place}: the log is gone: there is no segment to read"),
        ));
    }
    report.notes.extend(
        kept_batches(&Directory::new(from))?
            .into_iter()
            .map(|kept| format!("{kept}; repair does not read it and left it there")),
    );
    let own = own_store(from, &sources, backup, report)?;
    let mut sources = without_replaced(without_foreign(sources, own, report), report);
    for source in &mut sources {
        source.salt = match own {
            Some(store_id) => Salt::of(&store_id, source.id),
            None => source.learn_salt().map_err(|error| source.failed(error))?,
        };
    }
    Ok(sources)
}

/// A file, and how long it is.
fn open(from: &Path, name: &str, id: SegmentId) -> io::Result<(Source, u64)> {
    let file = ReadOnly(Directory::new(from).open_to_read(&format!("log/{name}"))?);
    let (bytes, found) = (log_bytes(&file)?, file.len()?);
    let mut header = vec![0; bytes.min(SEGMENT_HEADER_BYTES as u64) as usize];
    file.read_at(0, &mut header)?;
    let (name, header) = (format!("log/{name}"), SegmentHeader::decode(&header));
    Ok((Source { id, bytes, header, name, file, salt: Salt::of(&[0; 16], id) }, found))
}

/// What is known of a backup.
struct Backup {
    /// What its file `BACKUP` says, if that is whole.
    manifest: Option<Manifest>,
    /// The files that it names.
    names: HashSet<String>,
}

impl Backup {
    /// The backup in a directory, if there is one and not a store.
    fn of(from: &Path, report: &mut RepairReport) -> Result<Option<Self>> {
        if from.join(HEADER_NAME).exists() || !from.join(MANIFEST_NAME).exists() {
            return Ok(None);
        }
        let manifest = match Manifest::read(&Directory::new(from), &from.display().to_string()) {
            Err(error) if error.kind() == ErrorKind::NewerFormat => return Err(error),
            Err(error) => {
                report.notes.push(format!("{error}; the longest copy of each file was read"));
                None
            }
            Ok(manifest) => manifest,
        };
        let names: HashSet<String> = manifest.iter().flat_map(Manifest::names).collect();
        for name in &names {
            if !from.join(name).exists() {
                report.lost.push(format!("{name}: the backup names the file, and it is missing"));
            }
        }
        Ok(Some(Self { manifest, names }))
    }

    /// The file of the log that a copy is of. Copies that the backup does not name are old or unfinished.
    fn id_of(&self, name: &str) -> Option<SegmentId> {
        let is_named = self.names.is_empty() || self.names.contains(&format!("log/{name}"));
        parse_copy_name(name).filter(|_| is_named).map(|(id, _)| id)
    }
}

/// The id of the store that most files belong to; the file STATLAS, or BACKUP, decides between as many.
fn own_store(
    from: &Path,
    sources: &[Source],
    backup: Option<Backup>,
    report: &mut RepairReport,
) -> Result<Option<[u8; 16]>> {
    let mut votes: HashMap<[u8; 16], (usize, bool)> = HashMap::new();
    for header in sources.iter().filter_map(|source| source.header.ok()) {
        votes.entry(header.store_id).or_default().0 += 1;
    }
    let read = match backup {
        Some(Backup { manifest, .. }) => manifest.map(|manifest| Ok(manifest.store_id)),
        None => Some(
            Directory::new(from)
                .read(HEADER_NAME, STORE_HEADER_BYTES)
                .map_err(|error| {
                    Error::new(ErrorKind::Io, format!("the file STATLAS can't be read: {error}"))
                })
                .and_then(|bytes| StoreHeader::decode(&bytes, &from.display().to_string()))
                .map(|header| header.store_id),
        ),
    };
    match read {
        None => {}
        Some(Ok(store_id)) => {
            let vote = votes.entry(store_id).or_default();
            *vote = (vote.0 + 1, true);
        }
        Some(Err(error)) if error.kind() == ErrorKind::NewerFormat => return Err(error),
        Some(Err(error)) => report.notes.push(format!("{error}; the repaired store has a new one")),
    }
    Ok(votes.into_iter().max_by_key(|(id, vote)| (*vote, *id)).map(|(id, _)| id))
}

/// Leaves out what belongs to another store, and gives files that were renamed their place back.
fn without_foreign(sources: Vec<Source>, own: Option<[u8; 16]>, report: &mut RepairReport) -> Vec<Source> {
    let mut kept: Vec<Source> = Vec::new();
    let mut renamed = Vec::new();
    for source in sources {
        match source.header {
            Ok(header) if Some(header.store_id) != own => {
                report
                    .lost
                    .push(format!("{}: the file belongs to another store and was left out", source.id));
            }
            Ok(header) if header.id != source.id => renamed.push(source),
            _ => kept.push(source),
        }
    }
    for mut source in renamed {
        let Ok(header) = source.header else { continue };
        if kept.iter().any(|other| other.id == header.id) {
            let message = format!("{}: the file is another {}, and was left out", source.name, header.id);
            report.lost.push(message);
            continue;
        }
        report.notes.push(format!(
            "{}: the file is {} by its header, and was taken for that",
            source.name, header.id
        ));
        source.id = header.id;
        kept.push(source);
    }
    kept
}

/// Leaves out the files that a compacted one stands for: what they hold beyond that is garbage.
fn without_replaced(sources: Vec<Source>, report: &mut RepairReport) -> Vec<Source> {
    let compacted: Vec<SegmentHeader> =
        sources.iter().filter_map(|source| source.header.ok().filter(|_| source.id.is_compacted())).collect();
    let is_replaced = |source: &Source| {
        let Some((first, last)) = source.range() else { return false };
        compacted.iter().any(|by| {
            let is_newer = !source.id.is_compacted() || source.id < by.id;
            by.id != source.id && by.first <= first && last <= by.last && is_newer
        })
    };
    let (replaced, kept): (Vec<Source>, Vec<Source>) = sources.into_iter().partition(is_replaced);
    let note = |source: &Source| format!("{}: a compacted file stands for it", source.id);
    report.notes.extend(replaced.iter().map(note));
    kept
}
