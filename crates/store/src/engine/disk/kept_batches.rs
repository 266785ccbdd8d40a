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
    let log = id.file_name();
    let place = format!("{:08}-{}", id.number(), cut.start);
    let mut bytes = vec![0; (cut.end - cut.start) as usize];
    storage
        .open(&log, false)
        .and_then(|file| file.read_at(cut.start, &mut bytes))
        .map_err(|error| Error::io(format!("reading {log} from offset {} on failed", cut.start), error))?;
    let failed = |error| {
        let context = format!(
            "{log} has batches behind offset {} that must be cut off, and keeping them in {FOLDER}/{place}.frames \
             failed; make room there and see to it that it can be written",
            cut.start
        );
        Error::io(context, error)
    };
    storage.create_folder(FOLDER).map_err(failed)?;
    let names = storage.list(FOLDER).map_err(failed)?;
    let mut name = format!("{place}.frames");
    let mut number = 1;
    // If the log was cut there before, something else was written since.
    while names.contains(&name) && !is_kept(storage, &name, &bytes) {
        number += 1;
        name = format!("{place}-{number}.frames");
    }
    let is_new = !names.contains(&name);
    if is_new && let Err(error) = storage.write(&format!("{FOLDER}/{name}"), &bytes) {
        // It takes room that may be what is missing.
        drop(storage.remove(&format!("{FOLDER}/{name}.new")));
        return Err(failed(error));
    }
    // They must be safe before the log is cut, whoever wrote them.
    storage.sync_folder(FOLDER).and_then(|()| storage.sync_folder(".")).map_err(failed)?;
    Ok(is_new.then(|| line_about(&name)))
}

/// Whether a file is there that can be read and holds just these bytes.
fn is_kept(storage: &dyn Storage, name: &str, bytes: &[u8]) -> bool {
    storage.read(&format!("{FOLDER}/{name}"), bytes.len()).is_ok_and(|kept| kept == bytes)
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
    use crate::testing::{Crash, Random, SimulatedDisk};

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

    #[test]
    fn what_can_not_be_read_of_earlier_ones_is_left_as_it_is() {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let storage = Directory::new(folder.path());
        std::fs::create_dir_all(folder.path().join("log")).expect("it can be made");
        std::fs::create_dir_all(folder.path().join("cut/00000001-4.frames")).expect("it can be made");
        let huge =
            std::fs::File::create(folder.path().join("cut/00000001-4-2.frames")).expect("it can be made");
        huge.set_len(1 << 40).expect("nothing of it is there");
        let id = SegmentId::written(1);
        std::fs::write(folder.path().join(id.file_name()), "log one").expect("it can be written");
        let line = keep_batches(&storage, id, 4..7).expect("it has another name").expect("it is told");
        assert!(line.starts_with("cut/00000001-4-3.frames: "), "{line}");
        assert_eq!(std::fs::read(folder.path().join("cut/00000001-4-3.frames")).expect("it is kept"), b"one");
        std::fs::remove_dir_all(folder.path().join("cut")).expect("it is there");
        std::fs::write(folder.path().join("cut"), "no folder").expect("it can be written");
        let refused = keep_batches(&storage, id, 4..7).expect_err("there is no folder").to_string();
        assert!(refused.starts_with("log/00000001.seg has batches behind offset 4"), "{refused}");
        assert!(refused.contains("cut/00000001-4.frames failed; make room there"), "{refused}");
    }

    #[test]
    fn what_is_kept_survives_a_power_cut_before_the_log_is_cut() {
        let disk = SimulatedDisk::new();
        disk.create_folder("log").expect("it can be made");
        let id = SegmentId::written(1);
        disk.write(&id.file_name(), b"log one").expect("it can be written");
        disk.sync_folder("log").and_then(|()| disk.sync_folder(".")).expect("it can be synced");
        keep_batches(&disk, id, 4..7).expect("they can be kept").expect("it is told");
        let after = disk.crash(Crash::Nothing, &mut Random::new(1));
        assert_eq!(after.content("cut/00000001-4.frames").as_deref(), Some(&b"one"[..]));
    }
}
