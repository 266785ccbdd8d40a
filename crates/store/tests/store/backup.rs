//! Backups of stores that are at work, and stores made of them.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use statlas_core::BlobId;
use statlas_store::testing::{Model, Twin, token, version};
use statlas_store::{
    BackupOptions, BackupReport, Batch, CompactOptions, Durability, ErrorKind, Expected, Location, Options,
    RecordKey, RestoreReport, Result, Store, restore, verify_backup,
};

use crate::durability::{folder, segments};

fn options() -> Options {
    Options { segment_bytes: 4096, history_revisions: 0, maintenance: false, ..Options::default() }
}

fn open(path: &Path) -> Store {
    Store::open(&Location::Disk(path.to_owned()), &options()).expect("the store opens")
}

fn back_up(store: &Store, to: &Path) -> Result<BackupReport> {
    store.engine().backup(to, &BackupOptions::default(), &mut |_, _| {})
}

fn verified(backup: &Path) -> RestoreReport {
    let report = verify_backup(backup, &BackupOptions::default(), &mut |_, _| {}).expect("it can be read");
    assert_eq!(report.damage, Vec::<String>::new());
    report
}

fn restored(backup: &Path, to: &Path) -> Store {
    restore(backup, to, &BackupOptions::default(), &mut |_, _| {}).expect("the backup is sound");
    open(to)
}

fn refused<T>(outcome: Result<T>, said: &str) -> ErrorKind {
    let error = outcome.map(drop).expect_err("it is refused");
    assert!(error.to_string().contains(said), "{error}");
    error.kind()
}

/// A batch that removes most of what an earlier one of the same writer stored.
fn batch(writer: usize, number: usize) -> Batch {
    let name = |number: usize| format!("{writer}-{number}");
    let mut batch = Batch::new();
    let entity = version(&format!("id {writer}"), number);
    batch.put_entity(entity.with_attachments(Some(token(number as u32)), Some(BlobId::of(b"x"))));
    batch.put_entity(version(&name(number), 0));
    batch.put_blob(name(number).repeat(30).into_bytes());
    if number > 1 {
        batch.remove_entity(version(&name(number - 2), 0).address());
        batch.remove_blob(BlobId::of(name(number - 2).repeat(30).as_bytes()));
    }
    let key = |text: &str| RecordKey::new("c", text).expect("a legal key");
    batch.put_record(key(&format!("same {writer}")), name(number).into_bytes(), Expected::Any);
    batch.put_record(key("shared"), name(number).into_bytes(), Expected::Any);
    batch
}

fn fill(store: &Store, writer: usize, numbers: std::ops::Range<usize>) {
    for number in numbers {
        store.commit(batch(writer, number), Durability::Buffered).expect("it is stored");
    }
}

/// All files below a directory with their contents.
fn files(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).expect("a list").flatten() {
        match entry.path() {
            path if path.is_dir() => found.extend(files(&path)),
            path => found.push((path.clone(), fs::read(&path).expect("bytes"))),
        }
    }
    found.sort();
    found
}

/// Two threads write and one compacts while `meanwhile` is done again and again, the last time when all is
/// written; returns the batches by their revisions.
fn write_and_compact(store: &Store, mut meanwhile: impl FnMut()) -> Vec<(u64, Batch)> {
    let (log, done) = (Mutex::new(Vec::new()), AtomicBool::new(false));
    thread::scope(|scope| {
        let writers = [0, 1].map(|writer| {
            let log = &log;
            scope.spawn(move || {
                for number in 0..150 {
                    let batch = batch(writer, number);
                    let commit = store.commit(batch.clone(), Durability::Buffered).expect("it is stored");
                    log.lock().expect("nobody died").push((commit.revision, batch));
                }
            })
        });
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                store.engine().compact(&CompactOptions::default(), &mut |_, _| {}).expect("it compacts");
                thread::yield_now();
            }
        });
        // Whatever happens here, the other thread must come to its end.
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            while !writers.iter().all(thread::ScopedJoinHandle::is_finished) {
                meanwhile();
            }
            meanwhile();
        }));
        done.store(true, Ordering::Relaxed);
        ended.unwrap_or_else(|reason| std::panic::resume_unwind(reason));
    });
    let mut log = log.into_inner().expect("nobody died");
    log.sort_by_key(|(revision, _)| *revision);
    log
}

/// What a store must hold at a revision.
fn model_at(log: &[(u64, Batch)], revision: u64) -> Model {
    let mut model = Model::default();
    for (number, batch) in log.iter().filter(|(number, _)| *number <= revision) {
        assert_eq!(model.commit(batch).expect("the store took it").revision, *number);
    }
    model
}

#[test]
fn a_backup_beside_writers_and_compaction_is_the_store_at_its_revision() {
    let folder = folder();
    let (store, target) = (open(&folder.path().join("store")), folder.path().join("backup"));
    let mut reports = Vec::new();
    let log = write_and_compact(&store, || {
        let report = back_up(&store, &target).expect("it is made");
        let to = folder.path().join(format!("restored {}", reports.len()));
        let restored = restore(&target, &to, &BackupOptions::default(), &mut |_, _| {}).expect("it is sound");
        assert_eq!((restored.revision, &restored.chain_head), (report.revision, &report.chain_head));
        assert_eq!((report.damage.len(), restored.damage.len()), (0, 0));
        reports.push((report, to));
    });
    let last = reports.last().map(|(report, _)| report.revision);
    assert_eq!(last, log.last().map(|(revision, _)| *revision), "the last backup has all");
    for (report, to) in reports {
        let twin = Twin::with_model(open(&to), model_at(&log, report.revision));
        twin.compare_all().unwrap_or_else(|failure| panic!("revision {}: {failure}", report.revision));
        assert_eq!(twin.engine().stats().chain_head, report.chain_head);
    }
}

#[test]
fn a_log_that_was_compacted_beside_writers_needs_no_sidecars() {
    for round in 0..10 {
        let folder = folder();
        let path = folder.path().join("store");
        let store = open(&path);
        let log = write_and_compact(&store, || store.engine().sync().expect("it syncs"));
        store.close().expect("it closes");
        drop(store);
        for entry in fs::read_dir(path.join("log")).expect("a list").flatten() {
            if entry.path().extension().is_some_and(|ending| ending == "idx") {
                fs::remove_file(entry.path()).expect("a sidecar can be removed");
            }
        }
        let twin = Twin::with_model(open(&path), model_at(&log, u64::MAX));
        twin.compare_all().unwrap_or_else(|failure| panic!("round {round}: {failure}"));
    }
}

#[test]
fn a_later_backup_copies_only_what_is_new() {
    let folder = folder();
    let (store, target) = (open(&folder.path().join("store")), folder.path().join("backup"));
    fill(&store, 0, 0..50);
    let first = back_up(&store, &target).expect("it is made");
    assert!(first.files > 5, "{first:?}");
    assert_eq!((first.files_copied, first.bytes_copied), (first.files, first.bytes));
    let again = back_up(&store, &target).expect("it is made");
    assert_eq!(again, BackupReport { files_copied: 0, bytes_copied: 0, ..first.clone() });
    fill(&store, 0, 50..60);
    let third = back_up(&store, &target).expect("it is made");
    // The file that was being written has grown.
    assert_eq!(third.files_copied, third.files - first.files + 1);
    store.engine().compact(&CompactOptions::default(), &mut |_, _| {}).expect("it compacts");
    let compacted = back_up(&store, &target).expect("it is made");
    assert!(compacted.bytes < third.bytes, "{compacted:?}");
    fill(&store, 1, 0..1);
    let last = back_up(&store, &target).expect("it is made");
    assert_eq!(last.files_copied, 1 + last.files - compacted.files);
    let report = verified(&target);
    assert_eq!((report.files, report.bytes, report.revision), (last.files, last.bytes, last.revision));
    assert_eq!(segments_and_copies(&target), report.files as usize, "nothing else is left");
}

fn segments_and_copies(backup: &Path) -> usize {
    fs::read_dir(backup.join("log")).expect("a list").count()
}

#[test]
fn a_restored_store_goes_on_and_so_does_its_backup() {
    let folder = folder();
    let path = |name: &str| folder.path().join(name);
    let store = open(&path("store"));
    fill(&store, 0, 0..30);
    let first = back_up(&store, &path("backup")).expect("it is made");
    store.close().expect("it closes");
    assert_eq!(refused(back_up(&store, &path("backup")), "closed"), ErrorKind::Closed);
    let mut model = Model::default();
    for number in 0..30 {
        model.commit(&batch(0, number)).expect("legal");
    }
    let mut twin = Twin::with_model(restored(&path("backup"), &path("new")), model);
    twin.compare_all().expect("they agree");
    for number in 30..50 {
        twin.commit(&batch(0, number), Durability::Synced).expect("they agree");
    }
    twin.compare_all().expect("they agree");
    let second = twin.engine().backup(&path("backup"), &BackupOptions::default(), &mut |_, _| {});
    let second = second.expect("it is the same store");
    assert!(second.files_copied < first.files, "{second:?}");
    assert_eq!(verified(&path("backup")).chain_head, twin.engine().stats().chain_head);
    assert_eq!(second.revision, 50);
}

#[test]
fn an_empty_store_can_be_backed_up() {
    let folder = folder();
    let store = open(&folder.path().join("store"));
    let target = folder.path().join("deep/er/backup");
    assert_eq!(back_up(&store, &target).expect("it is made").revision, 0);
    verified(&target);
    let restored = restored(&target, &folder.path().join("new"));
    assert_eq!(restored.engine().stats().chain_head, store.engine().stats().chain_head);
}

#[test]
fn a_directory_that_is_no_backup_of_this_store_is_left_alone() {
    let folder = folder();
    let path = |name: &str| folder.path().join(name);
    let (store, other) = (open(&path("store")), open(&path("other")));
    fill(&store, 0, 0..3);
    fill(&other, 1, 0..3);
    back_up(&other, &path("backup of other")).expect("it is made");
    fs::create_dir(path("full")).and_then(|()| fs::write(path("full/mine"), "x")).expect("made");
    fs::create_dir_all(path("headless/log")).expect("made");
    fs::copy(&segments(&path("other"))[0], path("headless/log/00000001.seg")).expect("copied");
    fs::write(path("file"), "x").expect("made");
    let before = files(folder.path());
    let refusals = [
        ("other", "a store is here"),
        ("store", "inside the store"),
        ("store/log/backup", "inside the store"),
        ("full", "other files"),
        ("headless", "other files"),
        ("file", "a file"),
        ("backup of other", "another store"),
    ];
    for (name, said) in refusals {
        assert_eq!(refused(back_up(&store, &path(name)), said), ErrorKind::Invalid, "{name}");
    }
    assert_eq!(files(folder.path()).len(), before.len());
    verified(&path("backup of other"));
    let memory = Store::open(&Location::Memory, &Options::default()).expect("memory");
    assert_eq!(refused(back_up(&memory, &path("new")), "no backup"), ErrorKind::Invalid);
}

#[test]
fn nothing_is_restored_over_something() {
    let folder = folder();
    let path = |name: &str| folder.path().join(name);
    let restore =
        |from: &str, to: &str| restore(&path(from), &path(to), &BackupOptions::default(), &mut |_, _| {});
    let store = open(&path("store"));
    fill(&store, 0, 0..20);
    back_up(&store, &path("backup")).expect("it is made");
    fs::create_dir(path("full")).and_then(|()| fs::write(path("full/mine"), "x")).expect("made");
    fs::write(path("file"), "x").expect("made");
    let before = files(folder.path());
    for (to, said) in [
        ("store", "a store is here"),
        ("backup", "something is here"),
        ("full", "something"),
        ("file", "a file"),
    ] {
        assert_eq!(refused(restore("backup", to), said), ErrorKind::Invalid, "{to}");
    }
    for (from, said) in [("nowhere", "no backup is here"), ("store", "no backup is here")] {
        assert_eq!(refused(restore(from, "new"), said), ErrorKind::NotAStore);
    }
    assert_eq!(files(folder.path()), before);
    assert!(!path("new").exists());
    // What an interrupted restore left is not something.
    fs::create_dir_all(path("new/log")).and_then(|()| fs::write(path("new/RESTORING"), "")).expect("made");
    fs::write(path("new/log/00000099.seg"), "half a file").expect("made");
    let opened = Store::open(&Location::Disk(path("new")), &options());
    assert_eq!(refused(opened, "did not get to its end"), ErrorKind::NotAStore);
    restore("backup", "new").expect("it is sound");
    assert_eq!(open(&path("new")).engine().stats().damage, Vec::<String>::new());
}

#[test]
fn a_backup_is_not_taken_for_a_store() {
    let folder = folder();
    let (store, target) = (open(&folder.path().join("store")), folder.path().join("backup"));
    back_up(&store, &target).expect("it is made");
    for create in [false, true] {
        let opened = Store::open(&Location::Disk(target.clone()), &Options { create, ..options() });
        assert_eq!(refused(opened, "statlas restore"), ErrorKind::NotAStore);
    }
    verified(&target);
}

#[test]
fn a_damaged_backup_leaves_nothing_where_it_is_restored() {
    let folder = folder();
    let (store, target) = (open(&folder.path().join("store")), folder.path().join("backup"));
    fill(&store, 0, 0..20);
    back_up(&store, &target).expect("it is made");
    for (path, bytes) in files(&target).into_iter().filter(|(path, _)| !path.ends_with("LOCK")) {
        let mut damaged = bytes.clone();
        damaged[bytes.len() / 2] ^= 1;
        fs::write(&path, damaged).expect("written");
        let to = folder.path().join("new");
        let error = restore(&target, &to, &BackupOptions::default(), &mut |_, _| {}).expect_err("damaged");
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
        assert!(!to.exists());
        let found = verify_backup(&target, &BackupOptions::default(), &mut |_, _| {});
        assert!(!found.is_ok_and(|report| report.damage.is_empty()), "{}", path.display());
        fs::write(&path, bytes).expect("written");
    }
    verified(&target);
}

#[test]
fn a_damaged_store_is_backed_up_with_its_damage_unless_that_is_refused() {
    let folder = folder();
    let path = |name: &str| folder.path().join(name);
    let store = open(&path("store"));
    fill(&store, 0, 0..20);
    let whole = back_up(&store, &path("old")).expect("it is made");
    // What is damaged after it was backed up does not spoil the backup.
    let segment = &segments(&path("store"))[1];
    let mut bytes = fs::read(segment).expect("bytes");
    bytes[1000] ^= 1;
    fs::write(segment, bytes).expect("written");
    assert_eq!(back_up(&store, &path("old")).expect("nothing is copied").damage, Vec::<String>::new());
    let strict = BackupOptions { strict: true, ..BackupOptions::default() };
    let error = store.engine().backup(&path("backup"), &strict, &mut |_, _| {});
    assert_eq!(refused(error, "segment 2"), ErrorKind::Corrupt);
    assert_eq!(
        refused(verify_backup(&path("backup"), &strict, &mut |_, _| {}), "its end"),
        ErrorKind::NotAStore
    );
    for _ in 0..2 {
        let report = back_up(&store, &path("backup")).expect("it is made");
        assert!(!report.damage.is_empty() && report.damage[0].starts_with("segment 2 offset"), "{report:?}");
    }
    let again = back_up(&store, &path("backup")).expect("it is made");
    assert_eq!((again.files_copied, again.files), (1, whole.files), "only what is damaged is copied again");
    let found = verify_backup(&path("backup"), &strict, &mut |_, _| {}).expect("it can be read");
    assert!(!found.damage.is_empty());
    let refusal = restore(&path("backup"), &path("new"), &strict, &mut |_, _| {});
    assert_eq!(refused(refusal, "damaged"), ErrorKind::Corrupt);
    let report = restore(&path("backup"), &path("new"), &BackupOptions::default(), &mut |_, _| {});
    assert!(!report.expect("it is as damaged as the store").damage.is_empty());
    assert!(!open(&path("new")).engine().stats().damage.is_empty());
}
