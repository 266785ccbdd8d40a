//! The disk engine after crashes, cuts and flipped bits, made by changing copies of its files.
//!
//! A copy of the files of an open store is what a killed process leaves: everything that was written.
//! Power cuts that lose what was not synced need a simulated disk and are not tested here.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use statlas_core::{Address, BlobId, Entity};
use statlas_store::testing::{Model, Twin, crowd, token, version};
use statlas_store::{
    Batch, Durability, ErrorKind, Expected, Location, Options, Query, RecordKey, Result, Store,
};
use tempfile::TempDir;

/// So small that a few batches fill a file of the log.
const SEGMENT_BYTES_SMALL: u64 = 2048;
const SEGMENT_HEADER_BYTES: u64 = 80;

fn options(segment_bytes: u64) -> Options {
    Options { segment_bytes, ..Options::default() }
}

fn try_open(path: &Path) -> Result<Store> {
    Store::open(&Location::Disk(path.to_owned()), &options(SEGMENT_BYTES_SMALL))
}

pub(crate) fn open(path: &Path) -> Store {
    try_open(path).expect("the store opens")
}

/// A folder in memory where there is such a thing: stores are opened thousands of times here, and waiting
/// for a device would tell nothing.
pub(crate) fn folder() -> TempDir {
    let in_memory = tempfile::tempdir_in("/dev/shm");
    in_memory.or_else(|_| tempfile::tempdir()).expect("a temporary folder can be made")
}

/// Copies all files of a store, as they are now, to a new place.
pub(crate) fn image(store: &Path, target: &Path) {
    if target.exists() {
        fs::remove_dir_all(target).expect("the old image can be removed");
    }
    fs::create_dir_all(target.join("log")).expect("a folder can be made");
    for name in ["STATLAS", "LOCK"] {
        fs::copy(store.join(name), target.join(name)).expect("the file can be copied");
    }
    for segment in segments(store) {
        let name = segment.file_name().expect("a file has a name");
        fs::copy(&segment, target.join("log").join(name)).expect("the segment can be copied");
    }
}

/// The files of the log, in order.
pub(crate) fn segments(store: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(store.join("log")).expect("the log can be listed");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry can be read").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "seg"));
    paths.sort();
    paths
}

pub(crate) fn last_segment(store: &Path) -> PathBuf {
    segments(store).pop().expect("there is a segment")
}

fn length(path: &Path) -> u64 {
    fs::metadata(path).expect("the file is there").len()
}

/// A batch with something of everything.
fn batch(number: usize) -> Batch {
    let mut batch = Batch::new();
    batch.put_entity(
        version("a", number).with_attachments(Some(token(number as u32)), Some(BlobId::of(b"x"))),
    );
    batch.put_entity(version(&format!("id {number}"), 0));
    batch.put_blob(format!("blob {number}").into_bytes());
    if number > 1 {
        batch.remove_entity(version(&format!("id {}", number - 2), 0).address());
        batch.remove_blob(BlobId::of(format!("blob {}", number - 2).as_bytes()));
    }
    let key = |text: &str| RecordKey::new("c", text).expect("a legal key");
    batch.put_record(key("same"), format!("value {number}").into_bytes(), Expected::Any);
    batch.put_record(key(&number.to_string()), Vec::new(), Expected::Absent);
    batch
}

fn assert_agrees(store: Store, model: &Model, what: &str) {
    if let Err(failure) = Twin::with_model(store, model.clone()).compare_all() {
        panic!("{what}: {failure}");
    }
}

#[test]
fn what_is_acknowledged_as_written_or_synced_survives_a_killed_process() {
    for segment_bytes in [SEGMENT_BYTES_SMALL, 64 << 20] {
        let folder = folder();
        let (path, copy) = (folder.path().join("store"), folder.path().join("image"));
        let store =
            Store::open(&Location::Disk(path.clone()), &options(segment_bytes)).expect("the store opens");
        let mut twin = Twin::new(store);
        for number in 0..40 {
            let durability = [Durability::Synced, Durability::Written][number % 2];
            twin.commit(&batch(number), durability).expect("both agree").expect("the batch is legal");
            image(&path, &copy);
            let image = open(&copy);
            assert_eq!(image.engine().stats().damage, Vec::<String>::new());
            assert_agrees(image, twin.model(), &format!("image after batch {number}"));
        }
    }
}

#[test]
fn a_killed_process_leaves_whole_batches_in_order() {
    let folder = folder();
    let (path, copy) = (folder.path().join("store"), folder.path().join("image"));
    let mut twin = Twin::new(open(&path));
    let mut models = vec![twin.model().clone()];
    for number in 0..20 {
        twin.commit(&batch(number), Durability::Buffered).expect("both agree").expect("the batch is legal");
        models.push(twin.model().clone());
        image(&path, &copy);
        let image = open(&copy);
        let revision = image.engine().stats().revision as usize;
        assert_agrees(image, &models[revision], &format!("image after batch {number}"));
    }
}

#[test]
fn a_torn_last_batch_is_gone_and_all_batches_before_it_are_there() {
    let folder = folder();
    let (path, copy) = (folder.path().join("store"), folder.path().join("image"));
    let mut twin =
        Twin::new(Store::open(&Location::Disk(path.clone()), &options(64 << 20)).expect("it opens"));
    for number in 0..3 {
        twin.commit(&batch(number), Durability::Synced).expect("both agree").expect("the batch is legal");
    }
    let (before, start) = (twin.model().clone(), length(&last_segment(&path)));
    twin.commit(&batch(3), Durability::Synced).expect("both agree").expect("the batch is legal");
    let (after, end) = (twin.model().clone(), length(&last_segment(&path)));
    let whole = fs::read(last_segment(&path)).expect("the segment can be read");
    image(&path, &copy);
    let segment = last_segment(&copy);
    for cut in start..=end {
        // The file may be shorter, or as long as it should be with old blocks of the device behind the cut.
        let written = &whole[..cut as usize];
        let filled = |byte: u8| [written, &vec![byte; (end - cut) as usize]].concat();
        for content in [written.to_vec(), filled(0), filled(0xa5)] {
            let sound = content == whole;
            fs::write(&segment, content).expect("the segment can be written");
            let store = open(&copy);
            assert_eq!(store.engine().stats().damage, Vec::<String>::new(), "cut at {cut} of {start}..{end}");
            let model = if sound { &after } else { &before };
            assert_agrees(store, model, &format!("cut at {cut} of {start}..{end}"));
        }
    }
}

#[test]
fn after_a_torn_batch_the_store_goes_on() {
    let folder = folder();
    let path = folder.path().join("store");
    let mut twin = Twin::new(open(&path));
    for round in 0..5 {
        twin.commit(&batch(2 * round), Durability::Synced).expect("both agree").expect("the batch is legal");
        let before = twin.model().clone();
        let (segment, start) = (last_segment(&path), length(&last_segment(&path)));
        twin.commit(&batch(2 * round + 1), Durability::Synced)
            .expect("both agree")
            .expect("the batch is legal");
        let same_segment = last_segment(&path) == segment;
        let copy = folder.path().join(format!("image {round}"));
        image(&path, &copy);
        let torn = last_segment(&copy);
        let keep = if same_segment { start } else { SEGMENT_HEADER_BYTES } + 99;
        fs::OpenOptions::new()
            .write(true)
            .open(&torn)
            .and_then(|file| file.set_len(keep))
            .expect("it can be cut");
        let mut image = Twin::with_model(open(&copy), before);
        image.compare_all().expect("all before the torn batch is there");
        for number in 100..110 {
            image
                .commit(&batch(number), Durability::Synced)
                .expect("both agree")
                .expect("the batch is legal");
        }
        let image = image.reopen(&|| open(&copy), true).expect("it closes");
        image.compare_all().expect("what was stored after the torn batch is there");
        let report = image.engine().check(&mut |_, _| {}).expect("it can be checked");
        assert_eq!(report.damage, Vec::<String>::new());
    }
}

#[test]
fn a_bit_that_flips_in_what_was_not_synced_leaves_whole_batches_or_is_reported() {
    let folder = folder();
    let (path, copy) = (folder.path().join("store"), folder.path().join("image"));
    let mut twin =
        Twin::new(Store::open(&Location::Disk(path.clone()), &options(64 << 20)).expect("it opens"));
    twin.commit(&batch(0), Durability::Synced).expect("both agree").expect("the batch is legal");
    let start = length(&last_segment(&path));
    let mut models = vec![Model::default(), twin.model().clone()];
    for number in 1..4 {
        twin.commit(&batch(number), Durability::Written).expect("both agree").expect("the batch is legal");
        models.push(twin.model().clone());
    }
    let whole = fs::read(last_segment(&path)).expect("the segment can be read");
    for at in (start as usize..whole.len()).step_by(7) {
        image(&path, &copy);
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 8);
        fs::write(last_segment(&copy), bytes).expect("the segment can be written");
        let store = open(&copy);
        let revision = store.engine().stats().revision as usize;
        if store.engine().stats().damage.is_empty() {
            assert!((1..4).contains(&revision), "the flipped byte {at} was not noticed: revision {revision}");
            assert_agrees(store, &models[revision], &format!("bit flipped at {at}"));
            continue;
        }
        let report = store.engine().check(&mut |_, _| {}).expect("it can be checked");
        assert!(!report.damage.is_empty(), "the check does not see the flipped byte {at}");
        let query = Query { limit: 1000, ..Query::default() };
        for entity in store.engine().find(&query).expect("what is whole is served").entities {
            entity.entity().expect("what is served is right");
        }
    }
}

/// The frame that ends a segment or the log.
const MARK_BYTES: u64 = 80;

/// A store that was closed, what it holds, and where the frame of each entity and blob stands.
struct Closed {
    folder: TempDir,
    entities: Vec<(Entity, usize, Range<usize>)>,
    blobs: Vec<(Vec<u8>, usize, Range<usize>)>,
    segments: Vec<Vec<u8>>,
}

impl Closed {
    fn new() -> Self {
        let folder = folder();
        let path = folder.path().join("store");
        let store = open(&path);
        let stored = crowd(20, 5);
        for (number, entities) in stored.chunks(2).enumerate() {
            let mut batch = Batch::new();
            for entity in entities {
                batch.put_entity(entity.clone());
            }
            batch.put_blob(format!("blob {number}").into_bytes());
            let key = RecordKey::new("c", "k").expect("a legal key");
            batch.put_record(key, number.to_string().into_bytes(), Expected::Any);
            store.commit(batch, Durability::Synced).expect("the batch is legal");
        }
        store.close().expect("it closes");
        let read = |path: PathBuf| fs::read(path).expect("the segment can be read");
        let segments: Vec<Vec<u8>> = segments(&path).into_iter().map(read).collect();
        let entities = stored
            .into_iter()
            .map(|entity| {
                let (segment, frame) = frame(&segments, &entity.address().0);
                (entity, segment, frame)
            })
            .collect();
        let blobs = (0..3).map(|number: usize| {
            let bytes = format!("blob {number}").into_bytes();
            let (segment, frame) = frame(&segments, &BlobId::of(&bytes).0);
            (bytes, segment, frame)
        });
        Self { blobs: blobs.collect(), folder, entities, segments }
    }

    /// A copy with other bytes in one of the files of the log.
    fn image(&self, segment: usize, bytes: &[u8]) -> PathBuf {
        let copy = self.folder.path().join("image");
        image(&self.folder.path().join("store"), &copy);
        fs::write(&segments(&copy)[segment], bytes).expect("the segment can be written");
        copy
    }
}

/// In which segment and where the frame with a key stands, by its own length.
fn frame(segments: &[Vec<u8>], key: &[u8; 32]) -> (usize, Range<usize>) {
    for (number, bytes) in segments.iter().enumerate() {
        if let Some(at) = bytes.windows(32).position(|window| window == key) {
            let start = at - 16;
            let payload = u32::from_le_bytes(bytes[start + 4..start + 8].try_into().expect("four bytes"));
            return (number, start..start + (48 + payload as usize).next_multiple_of(8));
        }
    }
    panic!("no segment holds {}", Address(*key));
}

/// What a read of something stored may give: itself, or, if it is hit, an error that says so or nothing.
fn assert_right_or_reported<T: PartialEq>(found: Result<Option<T>>, expected: &T, hit: bool, what: &str) {
    match found {
        Ok(Some(found)) => assert!(found == *expected, "{what}: wrong content was returned"),
        Ok(None) => assert!(hit, "{what}: it is absent though it is not damaged"),
        Err(error) => {
            assert!(hit, "{what}: {error}, though it is not damaged");
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{what}: {error}");
        }
    }
}

/// Opens a damaged copy and reads all there is; returns what the store says is damaged.
fn read_all(
    closed: &Closed,
    copy: &Path,
    is_hit: &dyn Fn(usize, &Range<usize>) -> bool,
    what: &str,
) -> Vec<String> {
    let store = open(copy);
    for (entity, segment, frame) in &closed.entities {
        let found =
            store.get(&entity.address()).and_then(|found| found.map(|found| found.entity()).transpose());
        assert_right_or_reported(found, entity, is_hit(*segment, frame), &format!("{what}: {}", entity.id()));
    }
    for (bytes, segment, frame) in &closed.blobs {
        let found = store.engine().blob(&BlobId::of(bytes)).map(|found| found.map(|blob| blob.bytes));
        assert_right_or_reported(found, bytes, is_hit(*segment, frame), &format!("{what}: a blob"));
    }
    let report = store.engine().check(&mut |_, _| {}).expect("it can be checked");
    [store.engine().stats().damage, report.damage].concat()
}

#[test]
fn no_flipped_bit_gives_wrong_bytes_or_hides_what_it_does_not_hit() {
    let closed = Closed::new();
    assert!(closed.segments.len() > 1, "the test itself needs several segments");
    for (number, whole) in closed.segments.iter().enumerate() {
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << (at % 8);
            let copy = closed.image(number, &bytes);
            let what = format!("segment {}, byte {at}", number + 1);
            let is_hit = |segment: usize, frame: &Range<usize>| segment == number && frame.contains(&at);
            let damage = read_all(&closed, &copy, &is_hit, &what);
            // Only the frame that says that the log was closed in order may go unmissed.
            let closing = number + 1 == closed.segments.len() && at >= whole.len() - 80;
            let place = format!("segment {}", number + 1);
            let named = damage.iter().any(|line| line.contains(&place));
            assert!(named || closing, "{what}: the check names no place in {place}: {damage:?}");
        }
    }
}

#[test]
fn a_missing_segment_is_reported_and_the_others_are_served() {
    let closed = Closed::new();
    for number in 0..closed.segments.len() - 1 {
        let copy = closed.image(number, &[]);
        fs::remove_file(&segments(&copy)[number]).expect("the segment can be removed");
        let what = format!("without segment {}", number + 1);
        let damage = read_all(&closed, &copy, &|segment, _| segment == number, &what);
        let expected = format!("segment {} is missing", number + 1);
        assert!(damage.iter().any(|line| line.contains(&expected)), "{what}: {damage:?}");
    }
}

#[test]
fn a_damaged_store_still_takes_batches() {
    let closed = Closed::new();
    let (entity, segment, frame) = &closed.entities[3];
    let mut bytes = closed.segments[*segment].clone();
    bytes[frame.end - 20] ^= 1;
    let copy = closed.image(*segment, &bytes);
    let store = open(&copy);
    let error = store.get(&entity.address()).expect_err("its text is damaged");
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    let place = format!("segment {} offset {}", segment + 1, frame.start);
    assert!(error.to_string().contains(&place), "{error} must name {place}");
    // Putting it again mends it.
    let other = store.put(version("new", 1)).expect("it can be stored");
    store.put(entity.clone()).expect("it can be stored again");
    store.close().expect("it closes");
    let store = open(&copy);
    let found = store.get(&entity.address()).expect("the new copy is sound").expect("it is there");
    assert_eq!(found.entity().expect("it is sound"), *entity);
    assert!(store.get(&other).expect("it is sound").is_some());
}

#[test]
fn a_segment_whose_making_was_interrupted_is_no_damage() {
    let folder = folder();
    let (path, copy) = (folder.path().join("store"), folder.path().join("image"));
    let store = open(&path);
    store.close().expect("it closes");
    drop(store);
    image(&path, &copy);
    for cut in 0..=SEGMENT_HEADER_BYTES {
        let bytes = fs::read(last_segment(&path)).expect("the segment can be read");
        fs::write(last_segment(&copy), &bytes[..cut as usize]).expect("the segment can be written");
        // The file STATLAS comes last.
        fs::remove_file(copy.join("STATLAS")).expect("it is there");
        let store = open(&copy);
        assert_eq!(store.engine().stats().damage, Vec::<String>::new(), "cut at {cut}");
        let revision = store.put(version("a", 1)).map(|_| store.engine().stats().revision);
        assert_eq!(revision.expect("it can be stored"), 1, "cut at {cut}");
        drop(store);
        image(&path, &copy);
    }
    // The same for one that was begun when another was full.
    let mut twin = Twin::new(open(&path));
    let mut number = 0;
    while segments(&path).len() < 3 {
        twin.commit(&batch(number), Durability::Synced).expect("both agree").expect("the batch is legal");
        number += 1;
    }
    image(&path, &copy);
    let (last, mut model) = (last_segment(&copy), Model::default());
    for number in 0..number - 1 {
        model.commit(&batch(number)).expect("the batch is legal");
    }
    let header = fs::read(&last).expect("the segment can be read");
    for cut in 0..=SEGMENT_HEADER_BYTES {
        fs::write(&last, &header[..cut as usize]).expect("the segment can be written");
        // The segment before says that this one is there only when it is.
        let before = segments(&copy).len() - 2;
        let before = segments(&copy).swap_remove(before);
        let end = length(&before) - MARK_BYTES;
        fs::OpenOptions::new()
            .write(true)
            .open(&before)
            .and_then(|file| file.set_len(end))
            .expect("it can be cut");
        let store = open(&copy);
        assert_eq!(store.engine().stats().damage, Vec::<String>::new(), "cut at {cut}");
        assert_agrees(store, &model, &format!("cut at {cut}"));
        image(&path, &copy);
    }
}

#[test]
fn a_store_is_open_once_at_a_time() {
    let folder = folder();
    let path = folder.path().join("store");
    let first = open(&path);
    first.put(version("a", 1)).expect("it can be stored");
    let error = try_open(&path).err().expect("it is open already");
    assert_eq!(error.kind(), ErrorKind::Busy);
    assert!(error.is_retryable());
    let pid = std::process::id().to_string();
    assert!(error.to_string().contains(&pid), "{error} must name process {pid}");
    first.put(version("a", 2)).expect("the first is not disturbed");
    first.close().expect("it closes");
    // Closing lets go of it, though a clone lives on.
    let second = open(&path);
    assert_eq!(second.engine().versions("a").expect("it is sound").len(), 2);
    drop(first);
    assert_eq!(try_open(&path).err().expect("it is open already").kind(), ErrorKind::Busy);
    drop(second);
    open(&path);
}

#[test]
fn what_is_no_store_is_refused_and_left_as_it_is() {
    let folder = folder();
    let file = folder.path().join("a file");
    fs::write(&file, "text").expect("a file can be written");
    let foreign = folder.path().join("foreign");
    fs::create_dir(&foreign).expect("a folder can be made");
    fs::write(foreign.join("photo.jpg"), "jpg").expect("a file can be written");
    let wrong = folder.path().join("wrong");
    fs::create_dir(&wrong).expect("a folder can be made");
    fs::write(wrong.join("STATLAS"), "something else that is called so").expect("a file can be written");
    for path in [&file, &foreign, &wrong] {
        let error = try_open(path).err().expect("it is no store");
        assert_eq!(error.kind(), ErrorKind::NotAStore, "{error}");
        assert!(error.to_string().contains(&*path.to_string_lossy()), "{error} must name {}", path.display());
    }
    assert_eq!(
        fs::read_dir(&foreign).expect("it can be listed").count(),
        1,
        "nothing may be added to the folder"
    );
    let empty = folder.path().join("empty");
    fs::create_dir(&empty).expect("a folder can be made");
    let only_open = Options { create: false, ..Options::default() };
    for path in [&empty, &folder.path().join("absent")] {
        let error = Store::open(&Location::Disk(path.clone()), &only_open).err().expect("there is no store");
        assert_eq!(error.kind(), ErrorKind::NotAStore, "{error}");
    }
    assert_eq!(
        fs::read_dir(&empty).expect("it can be listed").count(),
        0,
        "nothing may be made in the folder"
    );
    assert!(!folder.path().join("absent").exists());
    open(&empty);
    Store::open(&Location::Disk(empty), &only_open).expect("now there is one");
}

#[test]
fn a_store_of_a_newer_format_is_refused_and_left_as_it_is() {
    let folder = folder();
    let path = folder.path().join("store");
    open(&path).put(version("a", 1)).expect("it can be stored");
    let header = path.join("STATLAS");
    let sound = fs::read(&header).expect("it can be read");
    let mut newer = sound.clone();
    newer[8] += 1;
    fs::write(&header, &newer).expect("it can be written");
    let error = try_open(&path).err().expect("the format is newer");
    assert_eq!(error.kind(), ErrorKind::NewerFormat);
    assert!(error.to_string().contains("format 2"), "{error} must name the format");
    fs::write(&header, &sound).expect("it can be written");
    assert_eq!(open(&path).engine().stats().entities, 1);
}

#[test]
fn a_damaged_header_of_the_store_is_reported() {
    let folder = folder();
    let path = folder.path().join("store");
    open(&path).put(version("a", 1)).expect("it can be stored");
    let header = path.join("STATLAS");
    let sound = fs::read(&header).expect("it can be read");
    for at in 0..sound.len() {
        let mut bytes = sound.clone();
        bytes[at] ^= 1 << (at % 8);
        fs::write(&header, &bytes).expect("it can be written");
        let kind = try_open(&path).err().expect("the header is damaged").kind();
        let expected = match at {
            0..8 => [ErrorKind::NotAStore; 2],
            8..12 => [ErrorKind::NewerFormat, ErrorKind::Corrupt],
            _ => [ErrorKind::Corrupt; 2],
        };
        assert!(expected.contains(&kind), "byte {at}: {kind:?}");
    }
    fs::remove_file(&header).expect("it can be removed");
    assert_eq!(try_open(&path).err().expect("the header is missing").kind(), ErrorKind::Corrupt);
    fs::write(&header, &sound).expect("it can be written");
    assert_eq!(open(&path).engine().stats().entities, 1);
}
