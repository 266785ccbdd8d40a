//! Group commit, publication, sealing and compaction under thousands of schedules.
//!
//! The code is the store's own, on the simulated disk; only its locks are others (see `locks`). Every lock, every
//! look-up in an index and every call of the disk is a place where another thread may go on. `STATLAS_SCHEDULES`
//! says how many schedules each test tries, `STATLAS_SEED` which; what fails prints a schedule that shuttle
//! repeats.

use std::collections::BTreeSet;
use std::time::Duration;

use shuttle::scheduler::{PctScheduler, RandomScheduler};
use shuttle::sync::Arc;
use shuttle::thread;
use shuttle::{Config, Runner};
use statlas_core::Address;
use statlas_store::testing::{Call, Crash, Fault, Operation, Plan, Random, SimulatedDisk, version};
use statlas_store::{Batch, CompactOptions, Durability, ErrorKind, Filter, Options, Query, Store};

/// Changes of priority in a schedule of PCT: it finds every bug that needs so many.
const DEPTH: usize = 3;

fn from_environment(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Runs a test under many schedules, half of them at random, half by priorities.
fn explore(test: impl Fn() + Send + Sync + Copy + 'static) {
    let schedules = from_environment("STATLAS_SCHEDULES", 1000) as usize;
    let seed = from_environment("STATLAS_SEED", 1);
    println!("{schedules} schedules from seed {seed}");
    let config = || {
        let mut config = Config::new();
        // The store's own stack is deeper than shuttle expects.
        config.stack_size = 1 << 20;
        config
    };
    let random = RandomScheduler::new_from_seed(seed, schedules.div_ceil(2));
    Runner::new(random, config()).run(test);
    Runner::new(PctScheduler::new_from_seed(seed, DEPTH, schedules / 2), config()).run(test);
}

fn options() -> Options {
    Options { maintenance: false, memory_bytes_max: Some(16 << 20), ..Options::default() }
}

/// As [`options`], with a new segment after a batch or two.
fn small_segments() -> Options {
    Options { segment_bytes: 1, ..options() }
}

fn open(disk: &SimulatedDisk, options: &Options) -> Arc<Store> {
    Arc::new(disk.open_store(options).expect("the store opens"))
}

/// A batch of two entities, the `number`-th versions of two ids.
fn pair(name: &str, number: usize) -> (Batch, [Address; 2]) {
    let mut batch = Batch::new();
    let addresses = ["a", "b"].map(|end| batch.put_entity(version(&format!("{name}-{end}"), number)));
    (batch, addresses)
}

/// What a store on the disk would have after a power cut now.
fn after_power_cut(disk: &SimulatedDisk) -> Store {
    let disk = disk.crash(Crash::Nothing, &mut Random::new(0));
    disk.open_store(&options()).expect("the store opens after a power cut")
}

fn holds(store: &Store, addresses: &[Address]) -> bool {
    let found: Vec<bool> =
        addresses.iter().map(|address| store.get(address).expect("nothing is damaged").is_some()).collect();
    assert!(found.iter().all(|is_there| *is_there == found[0]), "half a batch is there");
    found[0]
}

#[test]
fn what_is_acknowledged_is_synced_and_revisions_have_no_gap() {
    explore(|| {
        let disk = SimulatedDisk::new();
        let store = open(&disk, &options());
        let writers: Vec<_> = (0..3)
            .map(|writer| {
                let (store, disk) = (Arc::clone(&store), disk.clone());
                thread::spawn(move || {
                    [0, 1].map(|number| {
                        let (batch, addresses) = pair(&format!("w{writer}"), number);
                        let commit = store.commit(batch, Durability::Synced).expect("it is stored");
                        assert!(holds(&after_power_cut(&disk), &addresses), "acknowledged, and not synced");
                        assert!(holds(&store, &addresses), "acknowledged, and not visible");
                        commit.revision
                    })
                })
            })
            .collect();
        let revisions: Vec<u64> =
            writers.into_iter().flat_map(|writer| writer.join().expect("it ends")).collect();
        let distinct: BTreeSet<u64> = revisions.iter().copied().collect();
        assert_eq!(distinct, (1..=6).collect(), "{revisions:?}");
        let changes = store.engine().changes(0, 1000).expect("nothing is damaged");
        let reported: Vec<u64> = changes.changes.iter().map(|change| change.revision).collect();
        assert_eq!(reported, [1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6]);
        assert!(store.engine().stats().syncs <= 6, "a commit was synced twice");
    });
}

/// Reads a batch of two in every way, while it is being stored: all of it or nothing.
fn read_whole(store: &Store, addresses: &[Address; 2]) {
    let engine = store.engine();
    let both = engine.entities(addresses).expect("nothing is damaged");
    // One is looked for after the other; the batch may have appeared between them.
    assert!(both[0].is_none() || both[1].is_some(), "half a batch is read");
    for [first, second] in [[0, 1], [1, 0]] {
        if engine.entity(&addresses[first]).expect("nothing is damaged").is_some() {
            let other = engine.entity(&addresses[second]).expect("nothing is damaged");
            assert!(other.is_some(), "half a batch is read, one after the other");
        }
    }
    let page = engine.find(&Query { limit: 100, ..Query::default() }).expect("nothing is damaged");
    let found = addresses.map(|address| page.entities.iter().any(|entity| entity.address() == address));
    assert_eq!(found[0], found[1], "half a batch is found");
    assert!(!found[0] || holds(store, addresses), "what is found can't be read");
    let latest = Filter { latest: true, ..Filter::default() };
    let count = engine.count(&latest).expect("nothing is damaged");
    assert_eq!(count % 2, 0, "half a batch is counted");
}

/// Readers and writers on a store whose options say when segments are sealed.
fn read_while_writing(options: &Options) {
    let disk = SimulatedDisk::new();
    let store = open(&disk, options);
    let numbers = 0..3;
    let addresses = numbers.clone().map(|number| pair("x", number).1).collect::<Vec<_>>();
    let writer = {
        let store = Arc::clone(&store);
        thread::spawn(move || {
            for number in numbers {
                store.commit(pair("x", number).0, Durability::Written).expect("it is stored");
            }
        })
    };
    let readers: Vec<_> = (0..2)
        .map(|_| {
            let (store, addresses) = (Arc::clone(&store), addresses.clone());
            thread::spawn(move || {
                let mut last = 0;
                for pair in &addresses {
                    read_whole(&store, pair);
                    let versions = ["x-a", "x-b"].map(|id| store.engine().versions(id));
                    let [a, b] = versions.map(|versions| versions.expect("nothing is damaged").len());
                    // The second was looked at later.
                    assert!(a <= b && last <= a, "versions are gone: {last}, then {a} and {b}");
                    last = a;
                }
            })
        })
        .collect();
    writer.join().expect("it ends");
    readers.into_iter().for_each(|reader| reader.join().expect("it ends"));
    assert!(addresses.iter().all(|pair| holds(&store, pair)));
    store.close().expect("it closes");
}

#[test]
fn readers_see_whole_batches() {
    explore(|| read_while_writing(&options()));
}

#[test]
fn readers_see_whole_batches_while_segments_are_sealed() {
    explore(|| read_while_writing(&small_segments()));
}

#[test]
fn readers_find_everything_while_segments_are_compacted() {
    explore(|| {
        let disk = SimulatedDisk::new();
        let store = open(&disk, &Options { history_revisions: 0, ..small_segments() });
        let mut kept = Vec::new();
        for number in 0..3 {
            let (batch, addresses) = pair("kept", number);
            store.commit(batch, Durability::Written).expect("it is stored");
            kept.push(addresses);
            let (batch, [gone, _]) = pair("gone", number);
            store.commit(batch, Durability::Written).expect("it is stored");
            let mut batch = Batch::new();
            batch.remove_entity(gone);
            store.commit(batch, Durability::Written).expect("it is stored");
        }
        let compactor = {
            let store = Arc::clone(&store);
            thread::spawn(move || {
                let all = CompactOptions { garbage_part: 0.0, bytes_per_second: 0 };
                store.engine().compact(&all, &mut |_, _| ()).expect("it is compacted")
            })
        };
        let reader = {
            let (store, kept) = (Arc::clone(&store), kept.clone());
            thread::spawn(move || {
                for pair in kept.iter().cycle().take(4 * kept.len()) {
                    assert!(holds(&store, pair), "a compaction hides a batch");
                    let versions = store.engine().versions("kept-a").expect("nothing is damaged");
                    assert!(versions.len() >= 3, "a compaction hides a version: {versions:?}");
                }
            })
        };
        let (batch, addresses) = pair("kept", 3);
        store.commit(batch, Durability::Synced).expect("it is stored");
        reader.join().expect("it ends");
        let report = compactor.join().expect("it ends");
        assert!(report.segments > 0, "nothing was compacted");
        kept.push(addresses);
        assert!(kept.iter().all(|pair| holds(&store, pair)));
        let later = after_power_cut(&disk);
        assert!(kept.iter().all(|pair| holds(&later, pair)), "a compaction loses a batch");
    });
}

#[test]
fn a_failed_sync_is_told_to_all_who_wait_for_it() {
    explore(|| {
        let disk = SimulatedDisk::new();
        let store = open(&disk, &options());
        let name = "log/00000001.seg";
        let syncs = disk.calls();
        let syncs =
            syncs.iter().filter(|call| call.operation == Operation::Sync && *call.name == *name).count();
        let call = Call { name: name.into(), operation: Operation::Sync, number: syncs as u32 + 1 };
        disk.plan(Some(Plan { call, fault: Fault::SyncLost, for_good: false }));
        let writers: Vec<_> = (0..4)
            .map(|writer| {
                let (store, disk) = (Arc::clone(&store), disk.clone());
                thread::spawn(move || {
                    let (batch, addresses) = pair(&format!("w{writer}"), 0);
                    let answer = store.commit(batch, Durability::Synced);
                    if answer.is_ok() {
                        assert!(holds(&after_power_cut(&disk), &addresses), "acknowledged, and not synced");
                    }
                    (answer.map(|commit| commit.revision).map_err(|error| error.kind()), addresses)
                })
            })
            .collect();
        let answers: Vec<_> = writers.into_iter().map(|writer| writer.join().expect("it ends")).collect();
        let refused = answers.iter().filter(|(answer, _)| answer.is_err()).count();
        // All four in one group need one sync, and the second is the one that fails.
        assert_eq!(refused > 0, disk.has_struck(), "{answers:?}");
        for (answer, addresses) in &answers {
            let told = matches!(answer, Ok(_) | Err(ErrorKind::Io | ErrorKind::Poisoned));
            assert!(told, "{answers:?}");
            assert_eq!(holds(&store, addresses), answer.is_ok(), "{answers:?}");
        }
        if refused > 0 {
            let error = store.commit(pair("late", 0).0, Durability::Buffered).expect_err("it is poisoned");
            assert_eq!(error.kind(), ErrorKind::Poisoned);
        }
    });
}

#[test]
fn what_a_batch_removes_goes_when_what_it_stores_comes() {
    explore(|| {
        let disk = SimulatedDisk::new();
        let store = open(&disk, &options());
        let (batch, [kept, gone]) = pair("x", 0);
        store.commit(batch, Durability::Buffered).expect("it is stored");
        let mut batch = Batch::new();
        batch.remove_entity(kept);
        batch.put_entity(version("x-a", 0));
        batch.remove_entity(gone);
        let come = batch.put_entity(version("y", 0));
        let writer = {
            let store = Arc::clone(&store);
            thread::spawn(move || store.commit(batch, Durability::Buffered).expect("it is stored"))
        };
        let is_there = |address: &Address| store.get(address).expect("nothing is damaged").is_some();
        for _ in 0..2 {
            assert!(is_there(&kept), "it is stored again by the batch that removes it");
            assert!(is_there(&gone) || is_there(&come), "the removal is seen before the rest of its batch");
            assert!(!is_there(&come) || !is_there(&gone), "the removal is seen after the rest of its batch");
        }
        writer.join().expect("it ends");
        assert!(is_there(&kept) && is_there(&come) && !is_there(&gone));
    });
}

#[test]
fn who_waits_for_a_change_is_woken() {
    explore(|| {
        let disk = SimulatedDisk::new();
        let store = open(&disk, &options());
        let watchers: Vec<_> = (0..2)
            .map(|_| {
                let store = Arc::clone(&store);
                thread::spawn(move || {
                    let mut revision = 0;
                    while revision < 2 {
                        let newer = store.engine().wait_for_change(revision, Duration::MAX);
                        let newer = newer.expect("the store is open");
                        assert!(newer > revision, "woken for nothing");
                        revision = newer;
                    }
                })
            })
            .collect();
        for number in 0..2 {
            store.commit(pair("x", number).0, Durability::Buffered).expect("it is stored");
        }
        watchers.into_iter().for_each(|watcher| watcher.join().expect("it ends"));
    });
}

#[test]
fn closing_waits_for_commits_and_wakes_those_who_wait() {
    explore(|| {
        let disk = SimulatedDisk::new();
        let store = open(&disk, &options());
        let writer = {
            let store = Arc::clone(&store);
            thread::spawn(move || {
                let (batch, addresses) = pair("x", 0);
                (store.commit(batch, Durability::Buffered).map_err(|error| error.kind()), addresses)
            })
        };
        let watcher = {
            let store = Arc::clone(&store);
            thread::spawn(move || store.engine().wait_for_change(1, Duration::MAX))
        };
        store.close().expect("it closes");
        let (answer, addresses) = writer.join().expect("it ends");
        let watched = watcher.join().expect("it ends").expect_err("it was closed");
        assert_eq!(watched.kind(), ErrorKind::Closed);
        assert!(matches!(answer, Ok(_) | Err(ErrorKind::Closed)), "{answer:?}");
        // Closing syncs what was acknowledged at any level.
        assert_eq!(holds(&after_power_cut(&disk), &addresses), answer.is_ok(), "{answer:?}");
    });
}
