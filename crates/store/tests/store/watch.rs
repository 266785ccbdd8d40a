//! Changes that are read from the log on disk: over segments, compactions, lost sidecars and damage.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use statlas_store::testing::version;
use statlas_store::{
    Batch, Change, ChangeKind, CompactOptions, Durability, ErrorKind, Expected, Location, Options, RecordKey,
    Store,
};
use tempfile::TempDir;

const ROUNDS: u64 = 120;
/// A file of the log takes a few batches.
const SEGMENT_BYTES: u64 = 4096;

/// A store in a folder of its own, closed and opened as a test wants it.
struct Place {
    folder: TempDir,
    history_revisions: u64,
}

impl Place {
    fn new(history_revisions: u64) -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder can be made"), history_revisions }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("store")
    }

    fn open(&self) -> Store {
        self.open_at(&self.path())
    }

    fn open_at(&self, path: &Path) -> Store {
        let history_revisions = self.history_revisions;
        let options = Options {
            segment_bytes: SEGMENT_BYTES,
            history_revisions,
            maintenance: false,
            ..Options::default()
        };
        Store::open(&Location::Disk(path.to_owned()), &options).expect("the store opens")
    }

    /// The files of the log with an ending, in the order of their names.
    fn files(&self, ending: &str) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.path().join("log")).expect("the log is there");
        let paths = entries.map(|entry| entry.expect("an entry").path());
        let mut files: Vec<PathBuf> =
            paths.filter(|path| path.extension().is_some_and(|e| e == ending)).collect();
        files.sort();
        files
    }
}

fn key(number: u64) -> RecordKey {
    RecordKey::new("c", &format!("k{}", number % 7)).expect("a legal name")
}

/// One revision of everything: most of what it puts, a later one removes or sets anew.
fn round(number: u64) -> Batch {
    let mut batch = Batch::new();
    batch.put_entity(version(&format!("id {}", number % 5), number as usize));
    batch.put_blob(format!("blob {number}").repeat(30).into_bytes());
    batch.put_record(key(number), number.to_le_bytes().repeat(20), Expected::Any);
    if let Some(earlier) = number.checked_sub(3) {
        batch.remove_blob(statlas_blob(earlier));
        if !earlier.is_multiple_of(4) {
            batch.remove_entity(version(&format!("id {}", earlier % 5), earlier as usize).address());
        }
    }
    if number % 9 == 8 {
        batch.remove_record(key(number), Expected::Any);
    }
    batch
}

fn statlas_blob(number: u64) -> statlas_core::BlobId {
    statlas_core::BlobId::of(format!("blob {number}").repeat(30).as_bytes())
}

/// What [`round`] changes: everything in it.
fn changes_of(number: u64) -> Vec<Change> {
    let mut kinds = vec![
        ChangeKind::EntityPut(version(&format!("id {}", number % 5), number as usize).address()),
        ChangeKind::BlobPut(statlas_blob(number)),
        ChangeKind::RecordPut(key(number)),
    ];
    if let Some(earlier) = number.checked_sub(3) {
        kinds.push(ChangeKind::BlobRemoved(statlas_blob(earlier)));
        if !earlier.is_multiple_of(4) {
            let address = version(&format!("id {}", earlier % 5), earlier as usize).address();
            kinds.push(ChangeKind::EntityRemoved(address));
        }
    }
    if number % 9 == 8 {
        kinds.push(ChangeKind::RecordRemoved(key(number)));
    }
    let change = |(ordinal, kind)| Change { revision: number + 1, ordinal, kind };
    (0..).zip(kinds).map(change).collect()
}

/// Commits rounds, and returns all changes up to the last of them.
fn fill(store: &Store, rounds: std::ops::Range<u64>) -> Vec<Change> {
    for number in rounds.clone() {
        let durability = [Durability::Buffered, Durability::Written][number as usize % 2];
        let commit = store.commit(round(number), durability).expect("it can be stored");
        assert_eq!(commit.revision, number + 1);
    }
    (0..rounds.end).flat_map(changes_of).collect()
}

fn behind(changes: &[Change], after: u64) -> Vec<Change> {
    changes.iter().filter(|change| change.revision > after).cloned().collect()
}

/// The pages behind a revision, put together, and the error that ended them if one did.
fn watch(store: &Store, after: u64, limit: usize) -> (Vec<Change>, Option<statlas_store::Error>) {
    let (mut found, mut revision) = (Vec::new(), after);
    loop {
        match store.engine().changes(revision, limit) {
            Ok(page) if page.revision == revision => return (found, None),
            Ok(page) => {
                found.extend(page.changes);
                revision = page.revision;
            }
            Err(error) => return (found, Some(error)),
        }
    }
}

/// Every change behind every revision, in pages small and large.
fn expect_all(store: &Store, expected: &[Change], from: u64) {
    for after in from..=expected.last().map_or(0, |change| change.revision) {
        let limit = [usize::MAX, 1, 20][after as usize % 3];
        let (found, error) = watch(store, after, limit);
        assert!(error.is_none(), "after {after}: {error:?}");
        assert!(found == behind(expected, after), "after {after}: other changes than were made");
    }
}

fn compact(store: &Store) {
    let options = CompactOptions { garbage_part: 0.0, bytes_per_second: 0 };
    let report = store.engine().compact(&options, &mut |_, _| {}).expect("it can be compacted");
    assert!(report.segments > 0 && report.bytes_after < report.bytes_before, "{report:?}");
}

#[test]
fn changes_are_found_over_many_segments_with_and_without_sidecars() {
    let place = Place::new(u64::MAX);
    let store = place.open();
    let expected = fill(&store, 0..ROUNDS);
    expect_all(&store, &expected, 0);
    drop(store);
    assert!(place.files("seg").len() > 10, "{:?}", place.files("seg"));
    expect_all(&place.open(), &expected, 0);
    place.files("idx").iter().for_each(|file| fs::remove_file(file).expect("it can be removed"));
    expect_all(&place.open(), &expected, 0);
}

#[test]
fn compaction_with_history_loses_no_change() {
    let place = Place::new(u64::MAX);
    let store = place.open();
    let mut expected = Vec::new();
    for turn in 0..3 {
        expected = fill(&store, turn * ROUNDS..(turn + 1) * ROUNDS);
        compact(&store);
        expect_all(&store, &expected, 0);
    }
    drop(store);
    assert!(place.files("seg").iter().any(|file| file.to_string_lossy().contains("/c")));
    expect_all(&place.open(), &expected, 0);
    place.files("idx").iter().for_each(|file| fs::remove_file(file).expect("it can be removed"));
    expect_all(&place.open(), &expected, 0);
}

#[test]
fn compaction_keeps_the_newest_revisions_and_says_what_it_does_not() {
    for history_revisions in [0, 1, 50] {
        let place = Place::new(history_revisions);
        let store = place.open();
        let expected = fill(&store, 0..ROUNDS);
        compact(&store);
        let is_expired = |store: &Store, after: u64| match store.engine().changes(after, 9) {
            Ok(_) => false,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Expired, "{error}");
                true
            }
        };
        let first =
            (0..=ROUNDS).find(|after| !is_expired(&store, *after)).expect("the newest can be watched from");
        assert!(first > 0 && first <= ROUNDS - history_revisions, "{first}");
        let error = store.engine().changes(first - 1, 9).expect_err("it is expired").to_string();
        assert!(error.contains(&format!("start from revision {first} ")), "{error}");
        expect_all(&store, &expected, first);
        drop(store);
        let store = place.open();
        assert!(is_expired(&store, 0) && is_expired(&store, first - 1));
        let expected = fill(&store, ROUNDS..ROUNDS + 20);
        expect_all(&store, &expected, first);
    }
}

#[test]
fn a_watcher_goes_on_while_others_write_and_compact() {
    let place = Place::new(u64::MAX);
    let store = place.open();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            fill(&store, 0..ROUNDS * 4);
            done.store(true, Ordering::Release);
        });
        scope.spawn(|| {
            let options = CompactOptions { garbage_part: 0.1, bytes_per_second: 0 };
            while !done.load(Ordering::Acquire) {
                store.engine().compact(&options, &mut |_, _| {}).expect("it can be compacted");
            }
        });
        for _ in 0..2 {
            scope.spawn(|| {
                let (mut watch, mut found) = (store.watch(0), Vec::new());
                while watch.revision() < ROUNDS * 4 {
                    let page = watch.next_within(Duration::from_secs(60)).expect("nothing is lost");
                    found.extend(page.expect("there are more").changes);
                }
                assert!(found == (0..ROUNDS * 4).flat_map(changes_of).collect::<Vec<_>>());
            });
        }
    });
}

#[test]
fn damage_is_named_and_what_stands_around_it_is_reported() {
    let place = Place::new(u64::MAX);
    let store = place.open();
    let expected = fill(&store, 0..ROUNDS);
    drop(store);
    let files = place.files("seg");
    let segment = &files[files.len() / 2];
    let sound = fs::read(segment).expect("it can be read");
    for at in (96..sound.len()).step_by(61) {
        let mut bytes = sound.clone();
        bytes[at] ^= 4;
        fs::write(segment, &bytes).expect("it can be written");
        if at % 2 == 0 {
            // Without its sidecar the segment is read when the store is opened.
            drop(fs::remove_file(segment.with_extension("idx")));
        }
        let store = place.open();
        let (before, error) = watch(&store, 0, 1);
        let last = before.last().map_or(0, |change| change.revision);
        assert!(before == expected[..before.len()], "byte {at}: other changes than were made");
        match error {
            Some(error) => {
                assert_eq!(error.kind(), ErrorKind::Corrupt, "byte {at}: {error}");
                assert!(error.to_string().contains("offset"), "byte {at}: {error}");
                assert!(error.to_string().contains(&format!("revision {}", last + 1)), "byte {at}: {error}");
            }
            // The frame that ends a segment holds no changes.
            None => {
                assert!(before.len() == expected.len() && at > sound.len() - 88, "byte {at} is not noticed")
            }
        }
        // At most one revision is hit, and behind it everything is there.
        let (behind_it, error) = watch(&store, (last + 1).min(ROUNDS), 50);
        assert!(error.is_none(), "byte {at}: {error:?}");
        assert!(behind_it == behind(&expected, last + 1), "byte {at}: other changes than were made");
    }
}

#[test]
fn revisions_go_on_after_a_crash_when_the_newest_were_compacted_away() {
    let place = Place::new(0);
    let store = place.open();
    let put = |bytes: usize| {
        let mut batch = Batch::new();
        let blob = batch.put_blob(vec![bytes as u8; bytes]);
        store.commit(batch, Durability::Written).expect("it can be stored");
        blob
    };
    // Each has a file of its own. The first is compacted first, and that ends the file with the removals, so
    // that it is compacted along with the last.
    let (first, _, last) = (put(8001), put(3902), put(3903));
    let mut batch = Batch::new();
    batch.remove_blob(first);
    batch.remove_blob(last);
    store.commit(batch, Durability::Written).expect("it can be stored");
    compact(&store);
    // What a killed process leaves.
    let copy = place.folder.path().join("copy");
    copy_folder(&place.path(), &copy);
    assert_eq!(store.engine().stats().revision, 4);
    let copied = place.open_at(&copy);
    assert_eq!(copied.engine().stats().revision, 4);
    assert_eq!(copied.engine().changes(3, 9).expect_err("it is gone").kind(), ErrorKind::Expired);
    let changes = copied.engine().changes(4, 9).expect("the newest can be watched from");
    assert_eq!((changes.changes.len(), changes.revision), (0, 4));
    let saved = copied.put(version("a", 1)).expect("it can be stored");
    let found = copied.engine().changes(4, 9).expect("it is there").changes;
    assert_eq!(found, [Change { revision: 5, ordinal: 0, kind: ChangeKind::EntityPut(saved) }]);
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("it can be made");
    for entry in fs::read_dir(from).expect("a list") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), &target).expect("it can be copied");
        }
    }
}

#[test]
fn a_damaged_removal_does_not_hide_the_whole_revisions_before_it() {
    let place = Place::new(u64::MAX);
    let store = place.open();
    let first = store.put(version("first", 1)).expect("it is stored");
    let mut number = 0;
    while place.files("seg").len() < 2 {
        store.put(version("a", number)).expect("it is stored");
        number += 1;
    }
    let begun = store.engine().stats().revision;
    for number in 0..5 {
        store.put(version("b", number)).expect("it is stored");
    }
    let mut batch = Batch::new();
    batch.remove_entity(first);
    let removed = store.commit(batch, Durability::Synced).expect("it is stored").revision;
    store.close().expect("it closes");
    drop(store);
    let name = place.files("seg").pop().expect("it is there");
    let mut bytes = fs::read(&name).expect("it can be read");
    let at = bytes.windows(32).rposition(|window| window == first.0).expect("it is there");
    // The checksum, so that the key stays readable.
    bytes[at - 16] ^= 1;
    fs::write(&name, bytes).expect("it can be written");
    let store = place.open();
    assert_eq!(store.engine().stats().damage.len(), 1);
    for after in begun..removed - 1 {
        let changes = store.engine().changes(after, 1).expect("they are whole");
        assert_eq!(changes.changes.first().map(|change| change.revision), Some(after + 1));
    }
    store.engine().changes(removed - 1, 1).expect_err("it is damaged");
}
