//! Compaction of what is damaged, and compaction that fails in its last moment.

use std::path::Path;
use std::sync::{Arc, OnceLock, Weak};

use statlas_core::BlobId;

use super::copy::Copying;
use crate::batch::Batch;
use crate::engine::disk::DiskEngine;
use crate::engine::disk::storage::{Hooked, Storage};
use crate::engine::{CompactOptions, Durability, Engine};
use crate::error::ErrorKind;
use crate::query::Filter;
use crate::store::Options;
use crate::testing::{SimulatedDisk, plain, version};

const MEBIBYTE: usize = 1 << 20;

fn blob(number: u8) -> Vec<u8> {
    vec![number; MEBIBYTE]
}

/// A store whose first two segments are nearly all garbage.
fn wasteful(disk: &SimulatedDisk) -> Arc<DiskEngine> {
    let options = Options { segment_bytes: 8 << 20, history_revisions: 0, ..Options::default() };
    let engine = disk.open_engine(&options).expect("it opens");
    let commit = |batch| engine.commit(batch, Durability::Written).expect("it is stored");
    for number in 0..20 {
        let mut batch = Batch::new();
        batch.put_blob(blob(number));
        batch.put_entity(plain(&format!("entity {number}"), |_| {}));
        commit(batch);
    }
    let mut batch = Batch::new();
    (0..12).for_each(|number| batch.remove_blob(BlobId::of(&blob(number))));
    commit(batch);
    engine
}

/// Flips a bit of the last blob of the first segment, and tells how that is called.
fn damage(disk: &SimulatedDisk) -> &'static str {
    disk.flip("log/00000001.seg", 6 * MEBIBYTE, 1);
    "segment 1 offset"
}

/// How many calls wrote files of compaction.
fn writes(disk: &SimulatedDisk) -> usize {
    disk.calls().iter().filter(|call| call.name.starts_with("log/c")).count()
}

#[test]
fn a_damaged_segment_is_tried_once_and_the_others_are_compacted() {
    let disk = SimulatedDisk::new();
    let engine = wasteful(&disk);
    let damaged = damage(&disk);
    assert_eq!(engine.stats().maintenance_error, None);
    let error = engine.maintain().expect_err("the run reaches the damage");
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    let told = engine.stats().maintenance_error.expect("it is told");
    assert!(told.starts_with("compacting: ") && told.contains(damaged), "{told}");
    assert!(disk.content("log/00000001.idx").is_none(), "the next opening reads the segment");
    // The next one is due after a second; whenever it is, only the other segment is compacted.
    while !engine.maintain().expect("what is whole can be compacted") {
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    while engine.maintain().expect("there is nothing more to do") {}
    assert!(disk.content("log/00000002.seg").is_none(), "it was compacted");
    let before = writes(&disk);
    for _ in 0..50 {
        assert!(!engine.maintain().expect("the damaged one is let alone"));
    }
    assert_eq!(writes(&disk), before);
    assert!(engine.stats().maintenance_error.is_some_and(|told| told.contains(damaged)));
    assert!(!disk.names().iter().any(|name| name.ends_with(".new")), "{:?}", disk.names());
    assert!(engine.blob(&BlobId::of(&blob(15))).expect("it is whole").is_some());
}

#[test]
fn a_sidecar_that_an_interrupted_compaction_left_is_removed_by_the_next_opening() {
    let disk = SimulatedDisk::new();
    let engine = wasteful(&disk);
    let left = "log/00000002.idx";
    let sidecar = disk.content(left).expect("the segment is complete");
    while engine.maintain().expect("all of it is whole") {}
    assert_eq!((disk.content("log/00000002.seg"), disk.content(left)), (None, None), "it was compacted");
    drop(engine);
    let sound = disk.names();
    disk.set_content(left, Some(&sidecar));
    let engine = disk.open_engine(&Options::default()).expect("it is sound");
    assert_eq!(disk.names(), sound);
    assert!(engine.blob(&BlobId::of(&blob(15))).expect("it is whole").is_some());
}

#[test]
fn who_asks_for_compaction_is_told_of_damage_and_gets_the_rest() {
    let disk = SimulatedDisk::new();
    let engine = wasteful(&disk);
    let damaged = damage(&disk);
    for _ in 0..2 {
        let error = engine.compact(&CompactOptions::default(), &mut |_, _| {}).expect_err("it is damaged");
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(error.to_string().contains(damaged), "{error}");
    }
    assert!(disk.content("log/00000002.seg").is_none() && disk.content("log/00000001.seg").is_some());
}

/// Compacts while entities are removed and a byte of the new sidecar flips. Whether that was noticed.
fn compact_meddled(flipped: usize) -> bool {
    let disk = SimulatedDisk::new();
    let options = Options { segment_bytes: 4 << 10, history_revisions: 0, ..Options::default() };
    let entities: Vec<_> = (0..12).map(|number| version(&format!("id {number}"), 0)).collect();
    // One of the victims stands in the segment that is compacted, the other one does not.
    let (victims, cause) = ([entities[1].address(), entities[9].address()], entities[2].address());
    let meddler: Arc<OnceLock<Weak<DiskEngine>>> = Arc::default();
    let (meddled, of_engine) = (disk.clone(), Arc::clone(&meddler));
    let meddle = move |from: &str| {
        if from.starts_with("log/c") && from.ends_with(".idx.new") {
            if let Some(engine) = of_engine.get().and_then(Weak::upgrade) {
                let mut batch = Batch::new();
                victims.iter().for_each(|victim| batch.remove_entity(*victim));
                // They may be removed already.
                drop(engine.commit(batch, Durability::Buffered));
            }
            let bytes = meddled.content(from).map_or(0, |content| content.len());
            if flipped < bytes {
                meddled.flip(from, flipped, 1);
            }
        }
    };
    let open = |storage: Box<dyn Storage>| {
        DiskEngine::on(storage, Path::new("simulated"), None, &options).map(Arc::new).expect("it opens")
    };
    let engine = open(Box::new(Hooked::new(&disk, Box::new(meddle))));
    meddler.set(Arc::downgrade(&engine)).expect("it is set once");
    let commit = |engine: &DiskEngine, batch| drop(engine.commit(batch, Durability::Written));
    let put = |engine: &DiskEngine, entity| {
        let mut batch = Batch::new();
        batch.put_entity(entity);
        commit(engine, batch);
    };
    entities.into_iter().for_each(|entity| put(&engine, entity));
    let mut batch = Batch::new();
    batch.remove_entity(cause);
    commit(&engine, batch);
    let all = CompactOptions { garbage_part: 0.01, bytes_per_second: 0 };
    let outcome = engine.compact(&all, &mut |_, _| {});
    // What was noted of the removals is still there, unless the store takes no more of them.
    let noted = engine.tables.inner.read().active.effects().len();
    assert!(noted >= victims.len() || engine.sync().is_err(), "byte {flipped}: {noted} effects are left");
    // What is removed stays so, also when the segment that says so is complete and nobody reads it again.
    let is_gone = |engine: &DiskEngine| {
        for removed in [victims[0], victims[1], cause] {
            // What is damaged is an error.
            assert!(!matches!(engine.entity(&removed), Ok(Some(_))), "byte {flipped}: {removed} is back");
        }
    };
    is_gone(&engine);
    (0..40).for_each(|number| put(&engine, version(&format!("later {number}"), 0)));
    drop(engine.close());
    drop(engine);
    for _ in 0..2 {
        let engine = open(Box::new(disk.kill()));
        is_gone(&engine);
        engine.close().expect("it closes");
    }
    outcome.is_err_and(|error| error.kind() == ErrorKind::Corrupt)
}

#[test]
fn what_is_removed_while_a_compacted_file_gets_its_place_stays_removed_whatever_fails() {
    let noticed = (0..4000).step_by(29).filter(|at| compact_meddled(*at)).count();
    assert!(noticed > 0, "no flipped byte of the sidecar was in the way of the removal");
}

#[test]
fn a_version_that_is_removed_while_it_is_copied_leaves_the_one_before_after_a_crash() {
    let disk = SimulatedDisk::new();
    let options = Options { segment_bytes: 64 << 10, history_revisions: 0, ..Options::default() };
    let engine = disk.open_engine(&options).expect("it opens");
    let commit = |change: &dyn Fn(&mut Batch)| {
        let mut batch = Batch::new();
        change(&mut batch);
        engine.commit(batch, Durability::Written).expect("it is stored");
    };
    let versions = [version("the id", 1), version("the id", 2)];
    let addresses = versions.clone().map(|version| version.address());
    versions.into_iter().for_each(|version| commit(&|batch| _ = batch.put_entity(version.clone())));
    (0..3).for_each(|number| commit(&|batch| _ = batch.put_blob(vec![number; 50_000])));
    commit(&|batch| batch.remove_blob(BlobId::of(&[0; 50_000])));
    engine.roll(&mut engine.writer.lock()).expect("it is sealed");
    let view = engine.log.view.load_full();
    let (inputs, id) = (&view.segments[..1], engine.next_compacted_id(&view));
    let mut reached = inputs[0].log.id;
    let copying = Copying::new(&engine, &view, inputs, id, &mut reached).expect("it is sound");
    commit(&|batch| batch.remove_entity(addresses[1]));
    let copied = copying.run(&mut reached, |_| Ok(())).expect("it is sound");
    engine.replace(copied, inputs).expect("it gets its place");
    let of_newest = Filter { latest: true, ..Filter::default() };
    let engine = disk.kill().open_engine(&options).expect("it opens");
    assert_eq!(engine.versions("the id").expect("it is sound"), addresses[..1]);
    assert_eq!(engine.count(&of_newest).expect("it is sound"), 1);
    assert_eq!((engine.stats().entities, engine.stats().ids), (1, 1));
    assert!(engine.check(&mut |_, _| {}).expect("it can be checked").damage.is_empty());
}
