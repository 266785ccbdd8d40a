//! Whole batches behind one that was not whole: they are cut off with it, but not thrown away.

use std::io;
use std::ops::Range;

use super::format::SegmentId;
use super::storage::Storage;
use crate::error::{Error, Result};

/// Where they are kept.
const FOLDER: &str = "cut";

/// Keeps what is about to be cut off a segment, unless an opening that was interrupted did; returns a line about it.
pub(super) fn keep_batches(storage: &dyn Storage, id: SegmentId, cut: Range<u64>) -> Result<Option<String>> {
    if cut.is_empty() {
        return Ok(None);
    }
    let failed = |error| Error::io("keeping the cut tail of the log failed", error);
    let file = storage.open(&id.file_name(), false).map_err(failed)?;
    let mut bytes = vec![0; (cut.end - cut.start) as usize];
    file.read_at(cut.start, &mut bytes).map_err(failed)?;
    storage.create_folder(FOLDER).map_err(failed)?;
    let place = format!("{:08}-{}", id.number(), cut.start);
    let mut name = format!("{place}.frames");
    let mut number = 1;
    let is_new = loop {
        match kept(storage, &format!("{FOLDER}/{name}")) {
            // The log was cut there before, and something else was written since.
            Ok(kept) if kept != bytes => {
                number += 1;
                name = format!("{place}-{number}.frames");
            }
            Ok(_) => break false,
            Err(error) if error.kind() == io::ErrorKind::NotFound => break true,
            Err(error) => return Err(failed(error)),
        }
    };
    if is_new {
        storage.write(&format!("{FOLDER}/{name}"), &bytes).map_err(failed)?;
    }
    // They must be safe before the log is cut, whoever wrote them.
    storage.sync_folder(FOLDER).and_then(|()| storage.sync_folder(".")).map_err(failed)?;
    Ok(is_new.then(|| line_about(&name)))
}

fn kept(storage: &dyn Storage, path: &str) -> io::Result<Vec<u8>> {
    let file = storage.open(path, false)?;
    let mut bytes = vec![0; usize::try_from(file.len()?).map_err(io::Error::other)?];
    file.read_at(0, &mut bytes)?;
    Ok(bytes)
}

/// A line for each piece that was cut off, now or when the store was opened before.
pub(super) fn kept_batches(storage: &dyn Storage) -> Result<Vec<String>> {
    let mut names = match storage.list(FOLDER) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        listed => listed.map_err(|error| Error::io(format!("listing the folder {FOLDER} failed"), error))?,
    };
    // One that was being written when the power failed is written again.
    names.retain(|name| name.ends_with(".frames"));
    names.sort_unstable();
    Ok(names.iter().map(|name| line_about(name)).collect())
}

fn line_about(name: &str) -> String {
    format!(
        "{FOLDER}/{name}: batches behind one that was not whole were cut off and are kept here; nothing else needs the \
         file: move it elsewhere or remove it"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::disk::storage::Directory;

    #[test]
    fn what_is_cut_off_at_one_place_twice_is_kept_twice_and_told_once_each() {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let storage = Directory::new(folder.path());
        storage.create_folder("log").expect("it can be made");
        let id = SegmentId::written(1);
        let keep = |text: &str| {
            std::fs::write(folder.path().join(id.file_name()), text).expect("it can be written");
            keep_batches(&storage, id, 4..text.len() as u64).expect("they can be kept")
        };
        let first = keep("log one").expect("it is told");
        assert!(first.starts_with("cut/00000001-4.frames: "), "{first}");
        assert_eq!(keep("log one"), None, "an opening was interrupted before it cut");
        let second = keep("log two").expect("it is told");
        assert!(second.starts_with("cut/00000001-4-2.frames: "), "{second}");
        assert_eq!(keep("log "), None);
        std::fs::write(folder.path().join("cut/00000001-9.frames.new"), "torn").expect("it can be written");
        assert_eq!(kept_batches(&storage).expect("it can be listed"), [second, first]);
        let kept = |name: &str| std::fs::read(folder.path().join("cut").join(name)).expect("it is kept");
        assert_eq!(kept("00000001-4.frames"), b"one");
        assert_eq!(kept("00000001-4-2.frames"), b"two");
    }
}
