//! Which files make up the log.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use super::format::{
    COMMIT_FRAME_BYTES, Frame, Kind, OFFSET_MAX, SEGMENT_HEADER_BYTES, Salt, SegmentHeader, SegmentId,
};
use super::log::LogFile;
use super::scan::Window;
use super::storage::{Storage, StorageFile};
use super::writer::SEGMENT_ROOM_BYTES;
use crate::error::{Error, Result};

/// The header of a file, or what is wrong with it.
type Header = std::result::Result<SegmentHeader, &'static str>;

/// A file of the log, opened.
pub(super) struct FoundFile {
    pub(super) log: Arc<LogFile>,
    /// Its header, or what is wrong with that.
    pub(super) header: Header,
    pub(super) is_last: bool,
    /// Whether it belongs to another store or another place of this one.
    pub(super) is_foreign: bool,
}

/// Which files that writers made are missing, in words; `None` if the range is empty.
pub(super) fn missing_segments(missing: Range<u32>) -> Option<String> {
    match missing.len() {
        0 => None,
        1 => Some(format!("segment {} is missing", missing.start)),
        _ => Some(format!("segments {} to {} are missing", missing.start, missing.end - 1)),
    }
}

/// How much of a file of the log can hold anything: no frame begins behind the last place that can be told, so that
/// more is treated as the garbage that it is.
pub(super) fn log_bytes(file: &dyn StorageFile) -> std::io::Result<u64> {
    file.len().map(|bytes| bytes.min(OFFSET_MAX))
}

/// The names of the files in the folder of the log.
fn log_names(storage: &dyn Storage) -> Result<Vec<String>> {
    storage.list("log").map_err(|error| Error::io("listing the folder log failed", error))
}

/// The ids of the segments in a store, by name.
pub(super) fn segment_ids(storage: &dyn Storage) -> Result<Vec<SegmentId>> {
    let mut ids = ids_of(&log_names(storage)?, ".seg");
    ids.sort_unstable();
    Ok(ids)
}

/// The ids that names with an ending stand for.
fn ids_of(names: &[String], ending: &str) -> Vec<SegmentId> {
    names.iter().filter_map(|name| SegmentId::parse(name, ending)).collect()
}

/// The files of the log in its order. Files that a compacted one stands for are removed, as is a last one
/// whose making was interrupted.
pub(super) fn find_files(
    storage: &dyn Storage,
    store_id: [u8; 16],
    segment_bytes: u64,
) -> Result<Vec<FoundFile>> {
    // A process that was killed may have left what the system has and the device has not. From here on it is
    // built upon, so it is made safe first: files are removed since others are there, and what follows it
    // will be synced.
    storage.sync_folder("log").map_err(|error| Error::io("syncing the folder log failed", error))?;
    remove_unfinished(storage)?;
    let mut ids = segment_ids(storage)?;
    drop_unborn_segment(storage, &store_id, &mut ids)?;
    sync_written(storage, &ids)?;
    let mut headers = Vec::new();
    for id in ids {
        headers.push((id, read_header(storage, id)?));
    }
    remove_compacted(storage, &mut headers, store_id)?;
    let mut ranges = Vec::new();
    for (id, header) in &headers {
        ranges.push(match header {
            Ok(header) if id.is_compacted() => (header.first, header.last),
            Err(_) if id.is_compacted() => range_of_batches(storage, store_id, *id, &headers)?,
            _ => (id.number(), id.number()),
        });
    }
    let mut headers: Vec<_> = headers.into_iter().zip(ranges).collect();
    headers.sort_by_key(|(_, range)| *range);
    let last = headers.len().saturating_sub(1);
    let mut found = Vec::new();
    for (at, ((id, header), (first_number, last_number))) in headers.into_iter().enumerate() {
        let is_foreign = header.is_ok_and(|header| header.id != id || header.store_id != store_id);
        // One without a header is taken for what its name says.
        let assumed = SegmentHeader {
            id,
            first: first_number,
            last: last_number,
            ..SegmentHeader::written(id.number(), store_id, 1, [0; 32])
        };
        let named = header.ok().filter(|header| header.id == id).unwrap_or(assumed);
        let log = Arc::new(open_log_file(storage, &named, segment_bytes, at == last)?);
        found.push(FoundFile { log, header, is_last: at == last, is_foreign });
    }
    Ok(found)
}

/// Removes what an interrupted sealing or compaction left behind: files that were not whole yet, and sidecars without
/// segments, of which the latter were removed first. They can be made again if a segment comes back. One that can't be
/// removed takes space and does no other harm.
fn remove_unfinished(storage: &dyn Storage) -> Result<()> {
    let names = log_names(storage)?;
    for name in names.iter().filter(|name| name.ends_with(".new")) {
        storage
            .remove(&format!("log/{name}"))
            .map_err(|error| Error::io(format!("removing the unfinished log/{name} failed"), error))?;
    }
    let segments: HashSet<SegmentId> = ids_of(&names, ".seg").into_iter().collect();
    for orphan in ids_of(&names, ".idx").iter().filter(|id| !segments.contains(id)) {
        drop(storage.remove(&orphan.sidecar_name()));
    }
    Ok(())
}

/// A crash while a segment was made leaves a last file without a whole header, or one that the segment before
/// does not lead to. Neither ever held a batch.
fn drop_unborn_segment(storage: &dyn Storage, store_id: &[u8; 16], ids: &mut Vec<SegmentId>) -> Result<()> {
    // The first segment is older than the store itself, so it was whole once; so was one whose predecessor was
    // compacted.
    let [.., before, last] = written_ids(ids)[..] else { return Ok(()) };
    if before.number() + 1 != last.number() {
        return Ok(());
    }
    let name = last.file_name();
    let failed = |error| Error::io(format!("opening {name} failed"), error);
    let bytes = storage.open(&name, false).and_then(|file| log_bytes(&*file)).map_err(failed)?;
    let header = read_header(storage, last)?;
    // Behind a header that is lost only a dictionary can stand if the making was interrupted.
    let is_empty = match header {
        Ok(header) => bytes <= header.data_start(),
        Err(_) => bytes <= SEGMENT_HEADER_BYTES as u64 || !has_batch(storage, store_id, last)?,
    };
    let is_lost = header.is_err() && bytes <= SEGMENT_HEADER_BYTES as u64;
    if is_empty && (is_lost || !is_continued(storage, store_id, before)?) {
        storage
            .remove(&name)
            .map_err(|error| Error::io(format!("removing the unfinished {name} failed"), error))?;
        ids.retain(|id| *id != last);
    }
    Ok(())
}

/// Whether the end of a batch stands anywhere in a segment.
fn has_batch(storage: &dyn Storage, store_id: &[u8; 16], id: SegmentId) -> Result<bool> {
    let failed = |error| Error::io(format!("reading {} failed", id.file_name()), error);
    let file = storage.open(&id.file_name(), false).map_err(failed)?;
    let mut buffer = Vec::new();
    let bytes = log_bytes(&*file).map_err(failed)?;
    let mut window = Window::new(&*file, bytes, Salt::of(store_id, id), &mut buffer);
    Ok(window.first_revision().map_err(failed)?.is_some())
}

/// Whether a segment ends with the frame that says that another follows.
fn is_continued(storage: &dyn Storage, store_id: &[u8; 16], id: SegmentId) -> Result<bool> {
    let name = id.file_name();
    let failed = |error| Error::io(format!("reading {name} failed"), error);
    let file = storage.open(&name, false).map_err(failed)?;
    let bytes = file.len().map_err(failed)?;
    ends_in_order(&*file, Salt::of(store_id, id), bytes).map_err(failed)
}

/// Whether so many bytes of a file end with the frame that says that another segment follows.
pub(super) fn ends_in_order(file: &dyn StorageFile, salt: Salt, bytes: u64) -> std::io::Result<bool> {
    let Some(start) = bytes.checked_sub(COMMIT_FRAME_BYTES as u64) else { return Ok(false) };
    let mut frame = [0; COMMIT_FRAME_BYTES];
    file.read_at(start, &mut frame)?;
    Ok(Frame::decode(&frame, salt.at(start)).is_ok_and(|frame| frame.header.kind == Kind::Continued))
}

/// What is said of a complete segment that ends at an offset without that frame.
pub(super) fn end_missing(id: SegmentId, end: u64) -> String {
    format!("{id} offset {end}: the end of the file is missing")
}

/// Syncs the segments that were written to last: the newest, and the one before it, whose end may have been
/// written just before the newest was begun.
fn sync_written(storage: &dyn Storage, ids: &[SegmentId]) -> Result<()> {
    for id in written_ids(ids).iter().rev().take(2) {
        let name = id.file_name();
        let sync = || storage.open(&name, false)?.sync();
        sync().map_err(|error| Error::io(format!("syncing {name} failed"), error))?;
    }
    Ok(())
}

/// The ids of the segments that writers made, in order.
fn written_ids(ids: &[SegmentId]) -> Vec<SegmentId> {
    ids.iter().copied().filter(|id| !id.is_compacted()).collect()
}

/// Removes the files that a compacted one stands for.
fn remove_compacted(
    storage: &dyn Storage,
    headers: &mut Vec<(SegmentId, Header)>,
    store_id: [u8; 16],
) -> Result<()> {
    let compacted: Vec<SegmentHeader> = headers
        .iter()
        .filter_map(|(id, header)| header.ok().filter(|header| id.is_compacted() && header.id == *id))
        .filter(|header| header.store_id == store_id)
        .collect();
    let is_replaced = |id: SegmentId, header: &Header| {
        let (first, last) = match header {
            Ok(header) if id.is_compacted() => (header.first, header.last),
            _ if id.is_compacted() => return false,
            _ => (id.number(), id.number()),
        };
        compacted.iter().any(|by| {
            by.first <= first && last <= by.last && by.id != id && (!id.is_compacted() || id < by.id)
        })
    };
    for (id, _) in headers.iter().filter(|(id, header)| is_replaced(*id, header)) {
        remove_segment(storage, *id)?;
    }
    headers.retain(|(id, header)| !is_replaced(*id, header));
    Ok(())
}

/// What a compacted file without a header stands for: the files that are missing where the revisions of its
/// batches belong.
fn range_of_batches(
    storage: &dyn Storage,
    store_id: [u8; 16],
    id: SegmentId,
    headers: &[(SegmentId, Header)],
) -> Result<(u32, u32)> {
    let name = id.file_name();
    let failed = |error| Error::io(format!("reading {name} failed"), error);
    let file = storage.open(&name, false).map_err(failed)?;
    let mut buffer = Vec::new();
    let bytes = log_bytes(&*file).map_err(failed)?;
    let mut window = Window::new(&*file, bytes, Salt::of(&store_id, id), &mut buffer);
    let revision = window.first_revision().map_err(failed)?.unwrap_or(0);
    let others = || headers.iter().filter_map(|(_, header)| header.ok());
    let is_before = |header: &SegmentHeader| header.first_revision <= revision;
    let before = others().filter(is_before).map(|header| header.last).max().unwrap_or(0);
    let behind = others().filter(|header| !is_before(header)).map(|header| header.first).min();
    Ok((before + 1, behind.map_or(before + 1, |first| (first - 1).max(before + 1))))
}

/// Removes a segment and its sidecar.
pub(super) fn remove_segment(storage: &dyn Storage, id: SegmentId) -> Result<()> {
    let name = id.file_name();
    storage.remove(&name).map_err(|error| Error::io(format!("removing {name} failed"), error))?;
    // It may have none.
    drop(storage.remove(&id.sidecar_name()));
    Ok(())
}

fn read_header(storage: &dyn Storage, id: SegmentId) -> Result<Header> {
    let name = id.file_name();
    let failed = |error| Error::io(format!("reading {name} failed"), error);
    let file = storage.open(&name, false).map_err(failed)?;
    let bytes = file.len().map_err(failed)?.min(SEGMENT_HEADER_BYTES as u64);
    let mut header = vec![0; bytes as usize];
    file.read_at(0, &mut header).map_err(failed)?;
    Ok(SegmentHeader::decode(&header))
}

/// Opens a file of the log. The last one is mapped with room for what is yet to be written.
pub(super) fn open_log_file(
    storage: &dyn Storage,
    header: &SegmentHeader,
    segment_bytes: u64,
    is_last: bool,
) -> Result<LogFile> {
    let name = header.id.file_name();
    let failed = |error| Error::io(format!("opening {name} failed"), error);
    let file = storage.open(&name, false).map_err(failed)?;
    let bytes = log_bytes(&*file).map_err(failed)?;
    let room = if is_last { (segment_bytes + SEGMENT_ROOM_BYTES).max(bytes) } else { bytes.max(1) };
    let map = file.map(room as usize).map_err(failed)?;
    Ok(LogFile::new(header, file, map, bytes))
}
