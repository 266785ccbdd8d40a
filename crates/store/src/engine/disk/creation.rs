//! Making a store, and the files of its log.

use std::path::Path;
use std::sync::Arc;

use super::backup;
use super::dictionary::Dictionary;
use super::files::segment_ids;
use super::format::{SEGMENT_HEADER_BYTES, STORE_HEADER_BYTES, Salt, SegmentHeader, SegmentId, StoreHeader};
use super::log::LogFile;
use super::repair::REPAIRING_NAME;
use super::storage::{Directory, Storage, make_directory};
use super::writer::SEGMENT_ROOM_BYTES;
use super::{HEADER_NAME, LOCK_NAME};
use crate::error::{Error, ErrorKind, Result};

/// Makes the directory, or finds out that it is none of ours.
pub(super) fn prepare_directory(path: &Path, place: &str, create: bool) -> Result<()> {
    let failed = |error| Error::io(format!("{place}: opening the store failed"), error);
    match path.join(HEADER_NAME).try_exists() {
        Ok(true) => return Ok(()),
        Ok(false) => {}
        // What that means is told below.
        Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => {}
        Err(error) => return Err(failed(error)),
    }
    let not_a_store = |what: &str| Err(Error::new(ErrorKind::NotAStore, format!("{place}: {what}")));
    let make = || {
        let failed = |error| Error::io(format!("{place}: making the store failed"), error);
        make_directory(path).map_err(failed)
    };
    match std::fs::read_dir(path) {
        Ok(mut entries) => {
            // An interrupted creation leaves these behind.
            let ours = |name: &str| [LOCK_NAME, "log", "STATLAS.new"].contains(&name);
            let foreign = entries.any(|entry| entry.is_ok_and(|e| !ours(&e.file_name().to_string_lossy())));
            match (foreign, create) {
                _ if path.join(backup::MANIFEST_NAME).is_file() => not_a_store(
                    "this is a backup of a store, not a store; restore it into another directory with `statlas restore`",
                ),
                _ if path.join(backup::RESTORING_NAME).is_file() => not_a_store(
                    "a backup was being restored here and that did not get to its end; restore it again",
                ),
                _ if path.join(REPAIRING_NAME).is_file() => not_a_store(
                    "what `statlas repair` was saving into this directory did not get to its end; run it again with \
                     the same --to, or remove the directory",
                ),
                _ if path.join("log").is_dir() && has_batches(&Directory::new(path))? => {
                    Err(without_header(place))
                }
                (true, _) => {
                    not_a_store("not a Statlas store: the directory holds other files and no file STATLAS")
                }
                (false, false) if path.join("log").is_dir() => not_a_store(
                    "no store is here: making one did not get to its end, and nothing was stored in it",
                ),
                (false, false) => not_a_store("no store is here: the directory is empty"),
                (false, true) => make(),
            }
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && create => make(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            not_a_store("no store is here; one is made by storing something")
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => {
            not_a_store("not a Statlas store: it is a file, and a store is a directory")
        }
        Err(error) => Err(failed(error)),
    }
}

/// The error of a store that lost its file STATLAS.
fn without_header(place: &str) -> Error {
    let message = format!(
        "{place}: the store is not whole: the file STATLAS is missing beside its log; put it back, or save what is \
         stored into a fresh store with `statlas repair --to DIR`"
    );
    Error::new(ErrorKind::Corrupt, message)
}

/// Whether a log holds more than the first segment's header, which an interrupted creation leaves.
pub(super) fn has_batches(storage: &dyn Storage) -> Result<bool> {
    let failed = |error| Error::io("reading the log failed", error);
    Ok(match segment_ids(storage)?.as_slice() {
        [] => false,
        [first] if *first == SegmentId::written(1) => {
            let file = storage.open(&first.file_name(), false).map_err(failed)?;
            file.len().map_err(failed)? > SEGMENT_HEADER_BYTES as u64
        }
        _ => true,
    })
}

pub(super) fn read_or_create_header(
    storage: &dyn Storage,
    place: &str,
    segment_bytes: u64,
) -> Result<[u8; 16]> {
    match storage.read(HEADER_NAME, STORE_HEADER_BYTES) {
        Ok(bytes) => {
            let header = StoreHeader::decode(&bytes, place)?;
            // Who made it may have been killed before the name was safe.
            let failed = |error| Error::io(format!("{place}: syncing the folder of the store failed"), error);
            storage.sync_folder(".").map_err(failed)?;
            return Ok(header.store_id);
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {
            let message = format!("{place}: the store's file STATLAS is damaged: {error}");
            return Err(Error::new(ErrorKind::Corrupt, message));
        }
        Err(error) => return Err(Error::io(format!("{place}: reading the file STATLAS failed"), error)),
    }
    let failed = |error| Error::io(format!("{place}: making the store failed"), error);
    storage.create_folder("log").map_err(failed)?;
    if has_batches(storage)? {
        return Err(without_header(place));
    }
    let store_id = storage.new_store_id();
    // The file STATLAS comes last: with it, the store is there.
    storage.sync_folder(".").map_err(failed)?;
    let header = SegmentHeader::written(1, store_id, 1, [0; 32]);
    create_segment(storage, header, segment_bytes, None)?;
    storage.write(HEADER_NAME, &StoreHeader { store_id }.encode()).map_err(failed)?;
    storage.sync_folder(".").map_err(failed)?;
    Ok(store_id)
}

/// Makes a segment whose header and name survive a power cut.
pub(super) fn create_segment(
    storage: &dyn Storage,
    mut header: SegmentHeader,
    segment_bytes: u64,
    dictionary: Option<&Arc<Dictionary>>,
) -> Result<LogFile> {
    let name = header.id.file_name();
    header.dictionary_bytes = dictionary.map_or(0, |dictionary| dictionary.frames_bytes());
    let mut start = header.encode().to_vec();
    if let Some(dictionary) = dictionary {
        dictionary.write(Salt::of(&header.store_id, header.id), &mut start);
    }
    let create = || {
        let file = storage.open(&name, true)?;
        file.set_len(0)?;
        file.write_at(0, &start)?;
        file.sync()?;
        storage.sync_folder("log")?;
        let map = file.map((segment_bytes + SEGMENT_ROOM_BYTES) as usize)?;
        let created = LogFile::new(&header, file, map, start.len() as u64);
        drop(created.dictionary.set(dictionary.map(Arc::clone)));
        Ok(created)
    };
    create().map_err(|error| Error::io(format!("making {name} failed"), error))
}
