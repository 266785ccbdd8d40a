//! Compressed texts: smaller, and in nothing else different from plain ones.

use std::fs;
use std::path::Path;

use statlas_core::{Address, Entity};
use statlas_store::testing::{crowd, version};
use statlas_store::{
    Batch, CompactOptions, Durability, ErrorKind, HistoryOutcome, Location, Options, RepairOptions, Store,
    repair,
};

use crate::durability::{folder, segments};

const SEGMENT_BYTES: u64 = 16 << 10;
const SEGMENT_HEADER_BYTES: usize = 96;

fn options(compression: bool) -> Options {
    Options { segment_bytes: SEGMENT_BYTES, compression, maintenance: false, ..Options::default() }
}

fn open(path: &Path, compression: bool) -> Store {
    Store::open(&Location::Disk(path.to_owned()), &options(compression)).expect("it opens")
}

/// Stores entities in batches of ten.
fn fill(store: &Store, entities: &[Entity]) -> Vec<Address> {
    let mut addresses = Vec::new();
    for entities in entities.chunks(10) {
        let mut batch = Batch::new();
        addresses.extend(entities.iter().map(|entity| batch.put_entity(entity.clone())));
        store.commit(batch, Durability::Written).expect("it can be stored");
    }
    addresses
}

fn assert_holds(store: &Store, entities: &[Entity]) {
    for entity in entities {
        let stored = store.get(&entity.address()).expect("it is sound").expect("it is there");
        assert_eq!(stored.canonical(), entity.canonical());
    }
    let damage = store.engine().check(&mut |_, _| {}).expect("it can be checked").damage;
    assert_eq!(damage, Vec::<String>::new());
}

/// Bytes of the dictionary's frames in a segment.
fn dictionary_bytes(segment: &[u8]) -> usize {
    u32::from_le_bytes(segment[88..92].try_into().expect("four bytes")) as usize
}

/// A store of compressed texts, closed.
fn compressed(path: &Path) -> Vec<Entity> {
    let entities = crowd(7, 400);
    let store = open(path, true);
    fill(&store, &entities);
    store.close().expect("it closes");
    entities
}

#[test]
fn compressed_texts_take_less_space_and_have_the_same_history() {
    let folder = folder();
    let entities = crowd(7, 400);
    let stats = [false, true].map(|compression| {
        let path = folder.path().join(format!("{compression}"));
        let store = open(&path, compression);
        fill(&store, &entities);
        assert_holds(&store, &entities);
        drop(store);
        let store = open(&path, compression);
        assert_holds(&store, &entities);
        let proof = store.engine().verify_history(None, &mut |_, _| {}).expect("it can be read");
        assert!(matches!(proof.outcome, HistoryOutcome::Proved { from: 0, .. }), "{:?}", proof.outcome);
        store.engine().stats()
    });
    assert_eq!(stats[0].chain_head, stats[1].chain_head);
    assert!(stats[1].disk_bytes * 4 < stats[0].disk_bytes * 3, "{stats:?}");
    let held = |at: usize| stats[at].memory.iter().find(|held| held.user == "compression");
    assert!(held(0).is_some_and(|held| held.bytes == 0) && held(1).is_some_and(|held| held.bytes > 0));
}

#[test]
fn a_store_is_read_and_written_with_compression_and_without_in_turn() {
    let folder = folder();
    let path = folder.path().join("store");
    let entities = crowd(9, 600);
    for (at, part) in entities.chunks(100).enumerate() {
        let store = open(&path, at % 2 == 1);
        fill(&store, part);
        assert_holds(&store, &entities[..(at + 1) * 100]);
    }
    let store = open(&path, false);
    store.engine().compact(&CompactOptions::default(), &mut |_, _| {}).expect("it can be compacted");
    assert_holds(&store, &entities);
}

#[test]
fn compaction_leaves_compressed_texts_as_they_are_and_the_history_provable() {
    let folder = folder();
    let path = folder.path().join("store");
    let entities = compressed(&path);
    for compression in [true, false] {
        let store = open(&path, compression);
        let (removed, kept) = if compression { (0, 2) } else { (1, 4) };
        let mut batch = Batch::new();
        let out = entities.iter().enumerate().filter(|(at, _)| at % kept == removed);
        out.for_each(|(_, entity)| batch.remove_entity(entity.address()));
        store.commit(batch, Durability::Written).expect("it can be stored");
        let report = store.engine().compact(&CompactOptions::default(), &mut |_, _| {}).expect("it works");
        assert!(report.segments > 0 && report.bytes_after < report.bytes_before, "{report:?}");
        let left = entities.iter().skip(1).step_by(2);
        let left: Vec<Entity> =
            if compression { left.cloned().collect() } else { left.skip(1).step_by(2).cloned().collect() };
        assert_holds(&store, &left);
        let proof = store.engine().verify_history(None, &mut |_, _| {}).expect("it can be read");
        assert!(matches!(proof.outcome, HistoryOutcome::Proved { from: 0, .. }), "{:?}", proof.outcome);
        drop(store);
        assert_holds(&open(&path, compression), &left);
    }
}

#[test]
fn one_damaged_copy_of_a_dictionary_is_reported_and_loses_nothing() {
    let folder = folder();
    let path = folder.path().join("store");
    let entities = compressed(&path);
    let segment = segments(&path)[2].clone();
    let sound = fs::read(&segment).expect("it can be read");
    let copy = dictionary_bytes(&sound) / 2;
    for at in [SEGMENT_HEADER_BYTES + copy / 2, SEGMENT_HEADER_BYTES + copy + 8] {
        let mut damaged = sound.clone();
        damaged[at] ^= 1;
        fs::write(&segment, &damaged).expect("it can be written");
        for with_sidecar in [true, false] {
            if !with_sidecar {
                // The check has taken it away, as it does where something is damaged.
                assert!(!segment.with_extension("idx").exists());
            }
            let store = open(&path, true);
            for entity in &entities {
                let stored = store.get(&entity.address()).expect("it is sound").expect("it is there");
                assert_eq!(stored.canonical(), entity.canonical());
            }
            assert_eq!(store.get(&version("absent", 1).address()).expect("nothing else is damaged"), None);
            let found = store.engine().check(&mut |_, _| {}).expect("it can be checked").damage;
            assert!(
                found.iter().any(|line| line.contains("copies of the segment's dictionary")),
                "{found:?}"
            );
            assert_eq!(found.len(), 1, "{found:?}");
            store.close().expect("it closes");
        }
        let to = folder.path().join(format!("repaired-{at}"));
        let report =
            repair(&path, &to, &RepairOptions::default(), &mut |_, _| {}).expect("it can be repaired");
        assert_eq!((report.entities, report.lost.len()), (entities.len() as u64, 0), "{report:?}");
        fs::write(&segment, &sound).expect("it can be written");
        drop(open(&path, true));
    }
}

#[test]
fn without_its_dictionary_a_text_is_damaged_and_not_absent() {
    let folder = folder();
    let path = folder.path().join("store");
    let entities = compressed(&path);
    let segment = segments(&path)[2].clone();
    let mut bytes = fs::read(&segment).expect("it can be read");
    let copy = dictionary_bytes(&bytes) / 2;
    bytes[SEGMENT_HEADER_BYTES + copy / 2] ^= 1;
    bytes[SEGMENT_HEADER_BYTES + copy + copy / 2] ^= 1;
    fs::write(&segment, &bytes).expect("it can be written");
    for with_sidecar in [true, false] {
        if !with_sidecar {
            drop(fs::remove_file(segment.with_extension("idx")));
        }
        let store = open(&path, true);
        let mut damaged = 0;
        for entity in &entities {
            match store.get(&entity.address()) {
                Ok(stored) => assert_eq!(stored.expect("it is there").canonical(), entity.canonical()),
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
                    damaged += 1;
                }
            }
        }
        assert!(damaged > 10 && damaged < entities.len() / 2, "{damaged}");
        store.close().expect("it closes");
    }
    // Storing them again mends them.
    let store = open(&path, true);
    fill(&store, &entities);
    for entity in &entities {
        assert!(store.get(&entity.address()).expect("it is sound").is_some());
    }
}

#[test]
fn batches_that_many_threads_write_while_dictionaries_change_can_all_be_read() {
    let folder = folder();
    let path = folder.path().join("store");
    let options = Options { segment_bytes: 4096, ..options(true) };
    let store = Store::open(&Location::Disk(path), &options).expect("it opens");
    let all: Vec<Vec<Entity>> = (0..4).map(|seed| crowd(100 + seed, 200)).collect();
    std::thread::scope(|scope| {
        for entities in &all {
            let store = &store;
            scope.spawn(move || fill(store, entities));
        }
    });
    all.iter().for_each(|entities| assert_holds(&store, entities));
}
