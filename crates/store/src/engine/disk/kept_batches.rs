//! Whole batches behind one that was not whole: they are cut off with it, but not thrown away.

use std::io;
use std::ops::Range;

use super::format::SegmentId;
use super::storage::Storage;
use crate::error::{Error, Result};

/// Where they are kept.
const FOLDER: &str = "cut";

/// Keeps what is about to be cut off a segment; returns a line about it, none about nothing.
pub(super) fn keep_batches(storage: &dyn Storage, id: SegmentId, cut: Range<u64>) -> Result<Option<String>> {
    if cut.is_empty() {
        return Ok(None);
    }
    let failed = |error| Error::io("keeping the cut tail of the log failed", error);
    let file = storage.open(&id.file_name(), false).map_err(failed)?;
    let mut bytes = vec![0; (cut.end - cut.start) as usize];
    file.read_at(cut.start, &mut bytes).map_err(failed)?;
    storage.create_folder(FOLDER).map_err(failed)?;
    let name = format!("{:08}-{}.frames", id.number(), cut.start);
    storage.write(&format!("{FOLDER}/{name}"), &bytes).map_err(failed)?;
    // They must be safe before the log is cut.
    storage.sync_folder(FOLDER).and_then(|()| storage.sync_folder(".")).map_err(failed)?;
    Ok(Some(line_about(&name)))
}

/// A line for each piece that was cut off, now or when the store was opened before.
pub(super) fn kept_batches(storage: &dyn Storage) -> Result<Vec<String>> {
    let mut names = match storage.list(FOLDER) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        listed => listed.map_err(|error| Error::io(format!("listing the folder {FOLDER} failed"), error))?,
    };
    names.sort_unstable();
    Ok(names.iter().map(|name| line_about(name)).collect())
}

fn line_about(name: &str) -> String {
    format!("{FOLDER}/{name}: batches behind one that was not whole were cut off and are kept here")
}
