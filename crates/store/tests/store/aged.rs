//! Stores of many small segments that tests of damage, scrubbing, repair and history change the files of.

use std::fs;
use std::path::{Path, PathBuf};

use statlas_core::BlobId;
use statlas_store::testing::{token, version};
use statlas_store::{
    Batch, CompactOptions, Durability, Engine, Expected, Location, NotedHead, Options, RecordKey, Store,
};

const SEGMENT_HEADER_BYTES: usize = 96;

/// Options of a store whose every few batches fill a file, and that keeps the history of so many revisions
/// when it is compacted.
pub(crate) fn options(history_revisions: u64) -> Options {
    Options { segment_bytes: 4096, maintenance: false, history_revisions, ..Options::default() }
}

pub(crate) fn open(path: &Path) -> Store {
    Store::open(&Location::Disk(path.to_owned()), &options(u64::MAX)).expect("the store opens")
}

pub(crate) fn record_key(text: &str) -> RecordKey {
    RecordKey::new("c", text).expect("a legal key")
}

/// A batch with something of everything; later ones remove what earlier ones stored.
pub(crate) fn batch(number: usize) -> Batch {
    let mut batch = Batch::new();
    let head = version("a", number).with_attachments(Some(token(number as u32)), Some(BlobId::of(b"x")));
    batch.put_entity(head);
    batch.put_entity(version(&format!("id {number}"), 0));
    batch.put_entity(version(&format!("stays {number}"), 0));
    batch.put_blob(format!("blob {number}").into_bytes());
    if number > 1 {
        batch.remove_entity(version(&format!("id {}", number - 2), 0).address());
        batch.remove_blob(BlobId::of(format!("blob {}", number - 2).as_bytes()));
        batch.remove_record(record_key(&format!("brief {}", number - 2)), Expected::Any);
    }
    batch.put_record(record_key("same"), format!("value {number}").into_bytes(), Expected::Any);
    batch.put_record(record_key(&format!("brief {number}")), Vec::new(), Expected::Absent);
    batch.put_record(record_key(&format!("stays {number}")), number.to_le_bytes().into(), Expected::Absent);
    batch
}

/// Commits batches with these numbers, and returns the head behind each.
pub(crate) fn fill(store: &Store, numbers: std::ops::Range<usize>) -> Vec<NotedHead> {
    let commit = |number| {
        store.commit(batch(number), Durability::Written).expect("the batch is legal");
        head(store.engine())
    };
    numbers.map(commit).collect()
}

/// The present head.
pub(crate) fn head(engine: &dyn Engine) -> NotedHead {
    let stats = engine.stats();
    format!("{}:{}", stats.revision, stats.chain_head).parse().expect("a head")
}

/// Compacts everything that has any garbage.
pub(crate) fn compact(store: &Store) {
    let options = CompactOptions { garbage_part: 0.01, bytes_per_second: 0 };
    let report = store.engine().compact(&options, &mut |_, _| {}).expect("it can be compacted");
    assert!(report.segments > 0, "there is something to compact");
}

/// A frame of a file of the log.
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    pub(crate) offset: usize,
    pub(crate) bytes: usize,
    pub(crate) kind: u8,
    pub(crate) key: Vec<u8>,
}

/// The frames of a file of the log, which is whole.
pub(crate) fn frames(segment: &Path) -> Vec<Frame> {
    let bytes = fs::read(segment).expect("the segment can be read");
    let (mut at, mut frames) = (SEGMENT_HEADER_BYTES, Vec::new());
    while at < bytes.len() {
        let payload = u32::from_le_bytes(bytes[at + 4..at + 8].try_into().expect("four bytes")) as usize;
        let key = usize::from(u16::from_le_bytes([bytes[at + 10], bytes[at + 11]]));
        let length = (16 + key + payload).next_multiple_of(8);
        frames.push(Frame {
            offset: at,
            bytes: length,
            kind: bytes[at + 8],
            key: bytes[at + 16..at + 16 + key].into(),
        });
        at += length;
    }
    frames
}

/// Flips a bit of a file.
pub(crate) fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).expect("the file can be read");
    bytes[at] ^= 1;
    fs::write(path, bytes).expect("the file can be written");
}

/// Flips a bit inside one of the occurrences of a text in a file, counted from 0, and returns where.
pub(crate) fn flip_inside(path: &Path, text: &[u8], occurrence: usize) -> usize {
    let bytes = fs::read(path).expect("the file can be read");
    let mut found = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(text));
    let at = found.nth(occurrence).expect("the text is there") + text.len() / 2;
    flip(path, at);
    at
}

/// Copies a store.
pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder can be made");
    for entry in fs::read_dir(from).expect("it can be listed") {
        let path = entry.expect("it can be listed").path();
        let target = to.join(path.file_name().expect("it has a name"));
        if path.is_dir() {
            copy(&path, &target)
        } else {
            fs::copy(&path, target).expect("it can be copied");
        }
    }
}

/// All files of a folder with their content, to see whether it changed.
pub(crate) fn content(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("it can be listed") {
        let path = entry.expect("it can be listed").path();
        if path.is_dir() {
            files.extend(content(&path));
        } else {
            let bytes = fs::read(&path).expect("it can be read");
            files.push((path, bytes));
        }
    }
    files.sort();
    files
}
