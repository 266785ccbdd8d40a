//! Freeing blobs beside everything else that a store does: what is needed stays, and the rest gives its space back.

use std::io::{self, Read};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use statlas_core::{Address, BlobId, Entity};
use statlas_store::testing::{Random, version};
use statlas_store::{
    Batch, BlobForm, CompactOptions, Durability, ErrorKind, FreeOptions, FreeReport, Location, Options, Store,
};

use crate::places::memory;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

const UNNAMED: FreeOptions = FreeOptions { unnamed: true, dry_run: false, bytes_per_second: 0 };

fn options() -> Options {
    Options {
        segment_bytes: 2 << 20,
        durability: Durability::Written,
        maintenance: false,
        ..Options::default()
    }
}

fn disk(folder: &tempfile::TempDir) -> Store {
    Store::open(&Location::Disk(folder.path().join("store")), &options()).expect("the store opens")
}

fn free(store: &Store, options: &FreeOptions) -> FreeReport {
    store.engine().free_blobs(options, &mut |_, _| {}).expect("the store is sound")
}

fn naming(id: &str, blob: BlobId) -> Entity {
    version(id, 1).with_attachments(None, Some(blob))
}

fn remove(store: &Store, address: Address) {
    let mut batch = Batch::new();
    batch.remove_entity(address);
    store.commit(batch, Durability::Written).expect("it can be removed");
}

fn remove_blob(store: &Store, id: BlobId) {
    let mut batch = Batch::new();
    batch.remove_blob(id);
    store.commit(batch, Durability::Written).expect("it can be removed");
}

fn read_back(store: &Store, id: &BlobId) -> Vec<u8> {
    let file = store.files().read_range(id, 0, usize::MAX).expect("all of it is there and sound");
    file.expect("the file is there")
}

fn chunks(store: &Store, file: &BlobId) -> Vec<BlobId> {
    let manifest = store.engine().blob(file).expect("it is sound").expect("it is there");
    assert_eq!(manifest.form, BlobForm::Manifest);
    let id = |entry: &[u8]| BlobId(entry[..32].try_into().expect("32 bytes"));
    manifest.bytes[20..].chunks_exact(36).map(id).collect()
}

#[test]
fn compaction_gives_the_space_of_freed_files_back() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let store = disk(&folder);
    let contents: Vec<Vec<u8>> = (0..6).map(|seed| Random::new(seed).bytes(2 * MIB)).collect();
    let mut addresses = Vec::new();
    for (number, bytes) in contents.iter().enumerate() {
        let file = store.files().put(&mut &bytes[..]).expect("it can be stored");
        addresses.push(store.put(naming(&format!("file {number}"), file.id)).expect("it can be stored"));
    }
    let before = store.engine().stats().disk_bytes;
    addresses[..5].iter().for_each(|address| remove(&store, *address));
    let report = free(&store, &FreeOptions::default());
    assert_eq!((report.manifests, report.is_complete), (5, true), "{report:?}");
    assert!(report.bytes > 10 * MIB as u64 && report.passes == 2, "{report:?}");
    store.engine().compact(&CompactOptions::default(), &mut |_, _| {}).expect("it can be compacted");
    let after = store.engine().stats().disk_bytes;
    // The file that is being written is not compacted.
    assert!(before - after > 8 * MIB as u64, "{before} bytes before, {after} after");
    assert!(read_back(&store, &BlobId::of(&contents[5])) == contents[5]);
    drop(store);
    let store = disk(&folder);
    assert!(read_back(&store, &BlobId::of(&contents[5])) == contents[5]);
    assert_eq!(free(&store, &UNNAMED).blobs(), 0);
    assert_eq!(store.engine().check(&mut |_, _| {}).expect("it can be checked").damage, Vec::<String>::new());
}

/// Yields bytes, and frees blobs each time so many were read.
struct FreesMeanwhile<'a> {
    store: &'a Store,
    bytes: &'a [u8],
    until_free: usize,
}

impl Read for FreesMeanwhile<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = buffer.len().min(self.until_free).min(64 * KIB);
        let read = self.bytes.read(&mut buffer[..most])?;
        self.until_free -= read;
        if self.until_free == 0 || read == 0 {
            free(self.store, &UNNAMED);
            self.until_free = MIB;
        }
        Ok(read)
    }
}

#[test]
fn chunks_that_a_file_shares_stay_while_it_is_being_stored() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    for store in [memory()(), disk(&folder)] {
        let bytes = Random::new(1).bytes(8 * MIB);
        let first = store.files().put(&mut &bytes[..]).expect("it can be stored");
        // Its chunks are there, and nothing needs them.
        remove_blob(&store, first.id);
        let longer = [&bytes[..], b"and more"].concat();
        // Freed only in the end, when all chunks but a few were found.
        let mut reader = FreesMeanwhile { store: &store, bytes: &longer, until_free: longer.len() };
        let second = store.files().put(&mut reader).expect("it can be stored");
        assert!(read_back(&store, &second.id) == longer);
        // And again and again while all of it is new.
        let other = Random::new(2).bytes(6 * MIB);
        let mut reader = FreesMeanwhile { store: &store, bytes: &other, until_free: MIB };
        let third = store.files().put(&mut reader).expect("it can be stored");
        assert!(read_back(&store, &third.id) == other);
        drop((first, second, third));
        free(&store, &UNNAMED);
        assert_eq!(store.engine().stats().blobs, 0);
    }
}

#[test]
fn what_is_named_while_blobs_are_looked_for_stays() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let store = disk(&folder);
    let bytes = Random::new(3).bytes(5 * MIB);
    let file = store.files().put(&mut &bytes[..]).expect("it can be stored").id;
    let address = store.put(naming("a", file)).expect("it can be stored");
    remove(&store, address);
    // Every time a part was read, and the last time when all was.
    let mut calls = 0;
    let mut names = |_, _| {
        calls += 1;
        store.put(naming(&format!("b {calls}"), file)).expect("it can be stored");
        remove(&store, naming(&format!("b {}", calls - 1), file).address());
    };
    let report = store.engine().free_blobs(&FreeOptions::default(), &mut names).expect("the store is sound");
    assert_eq!((report.blobs(), report.is_complete), (0, true));
    assert!(read_back(&store, &file) == bytes);

    // The chunks are there and the manifest is not, until a file of them is stored while chunks are looked for.
    remove(&store, naming(&format!("b {calls}"), file).address());
    remove_blob(&store, file);
    let mut calls = 0;
    let mut names = |_, _| {
        calls += 1;
        let again = store.files().put(&mut &bytes[..]).expect("it can be stored");
        assert_eq!((again.id, again.bytes_new), (file, 0), "all of its chunks are there");
        store.put(naming("c", file)).expect("it can be stored");
        if calls == 1 {
            remove_blob(&store, file);
        }
    };
    store.engine().free_blobs(&FreeOptions::default(), &mut names).expect("the store is sound");
    assert!(calls > 3 && read_back(&store, &file) == bytes);
}

#[test]
fn files_that_many_threads_store_come_back_while_blobs_are_freed() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    for store in [memory()(), disk(&folder)] {
        store_and_free(&store);
    }
}

const THREADS: usize = 3;
const ROUNDS: usize = 30;

/// Some threads store overlapping files, another one removes them again, and the last one frees.
fn store_and_free(store: &Store) {
    let seed = std::env::var("STATLAS_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(11_u64);
    println!("STATLAS_SEED={seed}");
    let pieces: Vec<Vec<u8>> = (0..5).map(|piece| Random::new(seed + piece).bytes(600 * KIB)).collect();
    let content = |random: &mut Random| -> Vec<u8> {
        let count = random.pick(&[1, 2, 2, 3]);
        (0..count).flat_map(|_| pieces[random.below(pieces.len())].clone()).collect()
    };
    let stored: Mutex<Vec<(Address, Vec<u8>)>> = Mutex::default();
    let is_done = AtomicBool::new(false);
    let freed = std::thread::scope(|scope| {
        let (stored, is_done, content) = (&stored, &is_done, &content);
        let writers: Vec<_> = (0..THREADS)
            .map(|thread| {
                scope.spawn(move || {
                    let mut random = Random::new(seed ^ (thread as u64 + 1) << 32);
                    for round in 0..ROUNDS {
                        let bytes = content(&mut random);
                        let file = store.files().put(&mut &bytes[..]).expect("it can be stored");
                        if random.chance(50) {
                            std::thread::yield_now();
                        }
                        let id = format!("{thread} {round}");
                        let address = store.put(naming(&id, file.id)).expect("it can be stored");
                        drop(file);
                        // Only what is listed is removed by others.
                        assert!(read_back(store, &BlobId::of(&bytes)) == bytes);
                        stored.lock().expect("nobody panics with it").push((address, bytes));
                    }
                })
            })
            .collect();
        scope.spawn(move || {
            let mut random = Random::new(seed);
            while !is_done.load(Ordering::Relaxed) {
                let removed = {
                    let mut stored = stored.lock().expect("nobody panics with it");
                    if stored.is_empty() { None } else { Some(random.below(stored.len())) }
                        .map(|at| stored.swap_remove(at))
                };
                if let Some((address, _)) = removed {
                    remove(store, address);
                }
                std::thread::yield_now();
            }
        });
        let freer = scope.spawn(move || {
            let (mut freed, mut runs) = (0, 0);
            while !is_done.load(Ordering::Relaxed) {
                let options = FreeOptions { unnamed: runs % 2 == 0, ..FreeOptions::default() };
                freed += free(store, &options).blobs();
                runs += 1;
                if runs % 3 == 0 {
                    store.engine().compact(&CompactOptions::default(), &mut |_, _| {}).expect("it is sound");
                }
            }
            freed
        });
        let outcomes: Vec<_> = writers.into_iter().map(|writer| writer.join()).collect();
        is_done.store(true, Ordering::Relaxed);
        let freed = freer.join().expect("the freeing does not fail");
        outcomes.into_iter().for_each(|outcome| outcome.expect("a writer finds all that it stored"));
        freed
    });
    assert!(freed > 0, "the threads never met");
    free(store, &UNNAMED);
    let stored = stored.into_inner().expect("nobody panics with it");
    for (address, bytes) in &stored {
        let entity = store.get(address).expect("it is sound").expect("it is there");
        assert!(read_back(store, &entity.blob().expect("it names a file")) == *bytes);
    }
    stored.iter().for_each(|(address, _)| remove(store, *address));
    // A whole blob that is a chunk, too, goes when no manifest names it any more.
    free(store, &UNNAMED);
    free(store, &UNNAMED);
    assert_eq!(store.engine().stats().blobs, 0);
    assert_eq!(store.engine().check(&mut |_, _| {}).expect("it can be checked").damage, Vec::<String>::new());
}

#[test]
fn a_chunk_is_never_absent_while_it_becomes_a_blob() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let store = &disk(&folder);
    let bytes = Random::new(4).bytes(16 * MIB);
    let file = store.files().put(&mut &bytes[..]).expect("it can be stored");
    let chunks = &chunks(store, &file.id);
    let is_done = &AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(move || {
                while !is_done.load(Ordering::Relaxed) {
                    for chunk in chunks {
                        assert!(store.engine().has_blob(chunk).expect("it is sound"), "{chunk} is absent");
                        assert!(store.engine().blob_form(chunk).expect("it is sound").is_some(), "{chunk}");
                    }
                }
            });
        }
        for chunk in chunks {
            let bytes = store.engine().blob(chunk).expect("it is sound").expect("it is there").bytes;
            let mut batch = Batch::new();
            batch.put_blob(bytes);
            let commit = store.commit(batch, Durability::Buffered).expect("it can be stored");
            assert_eq!((commit.blobs_new, commit.others), (0, 1));
        }
        is_done.store(true, Ordering::Relaxed);
    });
    let forms = chunks.iter().map(|chunk| store.engine().blob_form(chunk).expect("it is sound"));
    assert!(forms.into_iter().all(|form| form == Some(BlobForm::Whole)));
    assert!(read_back(store, &file.id) == bytes);
}

#[test]
fn a_damaged_store_frees_nothing() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let store = disk(&folder);
    let file = store.files().put(&mut &Random::new(5).bytes(5 * MIB)[..]).expect("it can be stored").id;
    let blobs = store.engine().stats().blobs;
    store.close().expect("it closes");
    drop(store);
    let segment = folder.path().join("store/log/00000001.seg");
    let mut bytes = std::fs::read(&segment).expect("there is one");
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
    std::fs::write(&segment, bytes).expect("it can be written");
    let store = disk(&folder);
    let error = store.engine().free_blobs(&UNNAMED, &mut |_, _| {}).expect_err("it is damaged");
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert_eq!(store.engine().stats().blobs, blobs);
    assert!(store.engine().has_blob(&file).expect("it is sound"));
}

#[test]
fn what_was_removed_while_its_file_was_compacted_stays_gone_without_the_sidecar() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let path = folder.path().join("store");
    let options = Options { segment_bytes: 64 << 10, history_revisions: 0, ..options() };
    let open = || Store::open(&Location::Disk(path.clone()), &options).expect("the store opens");
    let blob = |number: u64| Random::new(number).bytes(1000);
    let put = |store: &Store, number: u64| {
        let mut batch = Batch::new();
        let id = batch.put_blob(blob(number));
        store.commit(batch, Durability::Written).expect("it can be stored");
        id
    };
    let store = open();
    let ids: Vec<BlobId> = (0..1000).map(|number| put(&store, number)).collect();
    ids.iter().step_by(2).for_each(|id| remove_blob(&store, *id));
    // The removals are in complete files.
    for number in 1000..1100 {
        put(&store, number);
    }
    std::thread::scope(|scope| {
        let compacting = scope.spawn(|| {
            let options = CompactOptions { bytes_per_second: 2 << 20, ..CompactOptions::default() };
            store.engine().compact(&options, &mut |_, _| {}).expect("it is sound")
        });
        let mut number = 2000;
        for id in ids.iter().skip(1).step_by(4) {
            remove_blob(&store, *id);
            for _ in 0..4 {
                put(&store, number);
                number += 1;
            }
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        assert!(compacting.join().expect("it does not panic").segments > 0);
    });
    let is_there = |store: &Store| -> Vec<bool> {
        ids.iter().map(|id| store.engine().has_blob(id).expect("it is sound")).collect()
    };
    let (expected, blobs) = (is_there(&store), store.engine().stats().blobs);
    store.close().expect("it closes");
    drop(store);
    for entry in std::fs::read_dir(path.join("log")).expect("a folder") {
        let file = entry.expect("a file").path();
        let name = file.file_name().expect("a name").to_string_lossy().into_owned();
        if name.starts_with('c') && name.ends_with(".idx") {
            std::fs::remove_file(file).expect("it can be removed");
        }
    }
    let store = open();
    assert!(is_there(&store) == expected, "a blob is there again that was removed");
    assert_eq!(store.engine().stats().blobs, blobs);
}
