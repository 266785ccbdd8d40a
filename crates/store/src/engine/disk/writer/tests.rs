//! Groups in which something goes wrong: memory is refused, a write fails, a bug ends the thread.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, OnceLock, Weak};

use statlas_core::{BlobId, Entity};

use super::Request;
use crate::batch::Batch;
use crate::engine::disk::DiskEngine;
use crate::engine::disk::format::SegmentId;
use crate::engine::disk::storage::Hooked;
use crate::engine::{Durability, Engine};
use crate::error::ErrorKind;
use crate::query::Filter;
use crate::store::Options;
use crate::testing::{Call, Crash, Fault, Operation, Plan, Random, SimulatedDisk, crowd, version};

fn batch_of(entities: &[Entity]) -> Batch {
    let mut batch = Batch::new();
    for entity in entities {
        batch.put_entity(entity.clone());
    }
    batch
}

/// Commits two batches as a group, in which every reservation of memory behind the first `count` is refused; which of
/// them were stored, and whether the indexes were let go of.
fn commit_with_refusals(engine: &DiskEngine, batches: [Batch; 2], count: u64) -> ([bool; 2], bool) {
    let [first, second] = batches.map(|batch| Request::new(engine.encode(batch), Durability::Written));
    let indexes = || Arc::clone(&engine.log.view.load().indexes);
    let before = indexes();
    engine.budget.refusals().refuse_after(count, 1);
    engine.commit_group(&mut engine.writer.lock(), &[Arc::clone(&first), Arc::clone(&second)]);
    engine.budget.refusals().end();
    let is_stored = |request: Arc<Request>| match request.take_answer() {
        Ok(_) => true,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::NoMemory, "{error}");
            false
        }
    };
    ([is_stored(first), is_stored(second)], !Arc::ptr_eq(&before, &indexes()))
}

/// Lets the next call of a kind about the segment that is being written fail.
fn strike(disk: &SimulatedDisk, engine: &DiskEngine, operation: Operation, fault: Fault) {
    let name = engine.writer.lock().segment.id.file_name();
    let is_alike = |call: &Call| call.operation == operation && *call.name == *name;
    let number = disk.calls().iter().filter(|call| is_alike(call)).count() as u32;
    let call = Call { name: name.as_str().into(), operation, number };
    disk.plan(Some(Plan { call, fault, for_good: false }));
}

#[test]
fn a_batch_is_found_though_the_indexes_are_let_go_of_for_one_behind_it_in_its_group() {
    let mut replaced = 0;
    for count in 0..40 {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let engine = DiskEngine::open(&folder.path().join("store"), &Options::default()).expect("it opens");
        let crowds = [crowd(count, 10), crowd(count + 1000, 400)];
        let batch = |entities: &Vec<Entity>| {
            let mut batch = batch_of(entities);
            batch.put_blob(entities[0].canonical());
            batch
        };
        let (stored, is_replaced) = commit_with_refusals(&engine, crowds.each_ref().map(batch), count);
        replaced += u32::from(is_replaced);
        for (entities, _) in crowds.iter().zip(stored).filter(|(_, is_stored)| *is_stored) {
            for entity in entities {
                let found = engine.entity(&entity.address()).expect("it is sound");
                assert!(found.is_some(), "reservation {count}: {} is lost", entity.address());
            }
            let blob = BlobId::of(&entities[0].canonical());
            assert!(engine.has_blob(&blob).expect("it is sound"), "reservation {count}: a blob is lost");
        }
    }
    assert!(replaced > 1, "no indexes were let go of: the test itself is at fault");
}

#[test]
fn a_version_takes_the_place_of_one_in_a_segment_that_is_let_go_of_for_a_batch_behind_it_in_its_group() {
    const IDS: usize = 10;
    let versions =
        |number| -> Vec<Entity> { (0..IDS).map(|id| version(&format!("id-{id}"), number)).collect() };
    let mut replaced = 0;
    for count in 0..40 {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let options = Options { maintenance: false, ..Options::default() };
        let engine = DiskEngine::open(&folder.path().join("store"), &options).expect("it opens");
        engine.commit(batch_of(&versions(0)), Durability::Written).expect("it is stored");
        engine.roll(&mut engine.writer.lock()).expect("it can be sealed");
        let batches = [batch_of(&versions(1)), batch_of(&crowd(count, 400))];
        let ([first, second], is_replaced) = commit_with_refusals(&engine, batches, count);
        replaced += u32::from(is_replaced);
        let ids = (IDS + if second { 400 } else { 0 }) as u64;
        let latest = Filter { latest: true, ..Filter::default() };
        assert_eq!(engine.count(&latest).expect("nothing is damaged"), ids, "reservation {count}");
        assert_eq!(engine.stats().ids, ids, "reservation {count}");
        let expected = if first { 2 } else { 1 };
        for id in 0..IDS {
            let versions = engine.versions(&format!("id-{id}")).expect("nothing is damaged");
            assert_eq!(versions.len(), expected, "reservation {count}");
        }
    }
    assert!(replaced > 1, "no indexes were let go of: the test itself is at fault");
}

#[test]
fn nothing_is_stored_behind_a_commit_that_a_bug_ended_and_nothing_of_it_is_seen() {
    let disk = SimulatedDisk::new();
    let options = Options { maintenance: false, ..Options::default() };
    let engine = disk.open_engine(&options).expect("it opens");
    let entities = crowd(1, 3);
    engine.commit(batch_of(&entities[..1]), Durability::Written).expect("it is stored");
    strike(&disk, &engine, Operation::Write, Fault::Panic);
    let commit = || engine.commit(batch_of(&entities[1..2]), Durability::Written);
    assert!(catch_unwind(AssertUnwindSafe(commit)).is_err(), "the disk did not strike");
    let refused = engine.commit(batch_of(&entities[2..]), Durability::Written);
    assert_eq!(refused.expect_err("it must not be stored").kind(), ErrorKind::Poisoned);
    let is_there = |entity: &Entity| engine.entity(&entity.address()).expect("it is sound").is_some();
    assert_eq!(entities.iter().map(is_there).collect::<Vec<_>>(), [true, false, false]);
}

#[test]
fn nothing_is_written_to_a_store_that_has_failed_by_those_who_waited_for_the_commit_lock() {
    let disk = SimulatedDisk::new();
    let options = Options { maintenance: false, ..Options::default() };
    let engine = disk.open_engine(&options).expect("it opens");
    let entities = crowd(1, 2);
    engine.commit(batch_of(&entities[..1]), Durability::Synced).expect("it is stored");
    strike(&disk, &engine, Operation::Write, Fault::NoSpace);
    let refused = engine.commit(batch_of(&entities[1..]), Durability::Written).expect_err("it is full");
    assert!(refused.to_string().contains("the batch was not stored"), "{refused}");
    let mut writer = engine.writer.lock();
    let reached = engine.reach(&mut writer, Durability::Synced);
    assert_eq!(reached.expect_err("it has failed").kind(), ErrorKind::Poisoned);
    let rolled = engine.roll(&mut writer);
    assert_eq!(rolled.expect_err("it has failed").kind(), ErrorKind::Poisoned);
    drop(writer);
    let left = disk.kill().open_engine(&options).expect("it opens");
    let is_there = |entity: &Entity| left.entity(&entity.address()).expect("it is sound").is_some();
    assert_eq!(entities.iter().map(is_there).collect::<Vec<_>>(), [true, false]);
}

#[test]
fn the_frame_that_closed_a_log_is_not_taken_to_be_safe() {
    let disk = SimulatedDisk::new();
    let options = Options { maintenance: false, ..Options::default() };
    let engine = disk.open_engine(&options).expect("it opens");
    let entities = crowd(1, 3);
    engine.commit(batch_of(&entities[..1]), Durability::Synced).expect("it is stored");
    // In a file that holds no batch, nothing is cut off after a failure.
    engine.roll(&mut engine.writer.lock()).expect("it can be sealed");
    strike(&disk, &engine, Operation::Sync, Fault::SyncKept);
    engine.close().expect_err("the frame is not safe");
    disk.plan(None);
    let disk = disk.kill();
    let engine = disk.open_engine(&options).expect("the frame can be read");
    for entity in &entities[1..] {
        engine.commit(batch_of(std::slice::from_ref(entity)), Durability::Synced).expect("it is stored");
    }
    let after = disk.crash(Crash::Nothing, &mut Random::new(0)).open_engine(&options).expect("it opens");
    assert_eq!(after.stats().damage, Vec::<String>::new());
    assert_eq!(after.stats().entities, 3);
}

/// Flips a bit in the text of an entity in the file that is being written, or was written last.
fn damage(disk: &SimulatedDisk, entity: &Entity) {
    let text = entity.canonical();
    let is_it = |name: &String| name.ends_with(".seg");
    for name in disk.names().into_iter().filter(is_it) {
        let content = disk.content(&name).expect("it is there");
        if let Some(at) = content.windows(text.len()).position(|window| window == text) {
            return disk.flip(&name, at + text.len() / 2, 1);
        }
    }
    panic!("the entity is in no file");
}

#[test]
fn a_damaged_segment_gets_no_sidecar_when_it_is_sealed_whether_opening_found_it_or_a_check() {
    let options = Options { maintenance: false, ..Options::default() };
    let entities = crowd(1, 3);
    for is_found_on_opening in [true, false] {
        let disk = SimulatedDisk::new();
        let mut engine = disk.open_engine(&options).expect("it opens");
        engine.commit(batch_of(&entities), Durability::Synced).expect("it is stored");
        if is_found_on_opening {
            engine.close().expect("it closes");
            drop(engine);
            damage(&disk, &entities[0]);
            engine = disk.open_engine(&options).expect("it opens");
        } else {
            damage(&disk, &entities[0]);
            assert_eq!(engine.check(&mut |_, _| {}).expect("it can be read").damage.len(), 1);
        }
        engine.roll(&mut engine.writer.lock()).expect("it can be sealed");
        engine.close().expect("it closes");
        drop(engine);
        for _ in 0..2 {
            let engine = disk.open_engine(&options).expect("it opens");
            assert_eq!(engine.stats().damage.len(), 1, "{:?}", engine.stats().damage);
            let error = engine.entity(&entities[0].address()).expect_err("it is damaged");
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
            assert!(engine.entity(&entities[1].address()).expect("it is sound").is_some());
            engine.close().expect("it closes");
        }
    }
}

#[test]
fn a_segment_that_turns_out_to_be_damaged_while_its_sidecar_is_made_has_none_then() {
    let (disk, options) = (SimulatedDisk::new(), Options { maintenance: false, ..Options::default() });
    let entities = crowd(1, 3);
    let checked: Arc<OnceLock<Weak<DiskEngine>>> = Arc::default();
    let (damaged, of_engine, entity) = (disk.clone(), Arc::clone(&checked), entities[0].clone());
    let check = move |from: &str| {
        if from.ends_with(".idx.new") {
            damage(&damaged, &entity);
            let engine = of_engine.get().and_then(Weak::upgrade).expect("it is set before");
            let (view, id) = (engine.log.view.load_full(), SegmentId::written(1));
            // As a check does that has found it.
            engine.forget_sidecar(&view, id);
        }
    };
    let storage = Box::new(Hooked::new(&disk, Box::new(check)));
    let engine =
        DiskEngine::on(storage, Path::new("simulated"), None, &options).map(Arc::new).expect("it opens");
    checked.set(Arc::downgrade(&engine)).expect("it is set once");
    engine.commit(batch_of(&entities), Durability::Synced).expect("it is stored");
    engine.roll(&mut engine.writer.lock()).expect("it can be sealed");
    engine.close().expect("it closes");
    drop(engine);
    let engine = disk.open_engine(&options).expect("it opens");
    assert_eq!(engine.stats().damage.len(), 1, "{:?}", engine.stats().damage);
}
