//! Backups on simulated disks: whatever happens on the way, one backup is there and whole.

use std::path::Path;

use statlas_core::BlobId;

use super::manifest::{Manifest, SegmentCopy};
use super::restore::{read_manifest, restore_on, verify_on};
use crate::batch::{Batch, Expected, RecordKey};
use crate::engine::disk::DiskEngine;
use crate::engine::disk::storage::Storage;
use crate::engine::{BackupOptions, CompactOptions, Durability, Engine, RestoreReport};
use crate::error::{Error, ErrorKind, Result};
use crate::store::Options;
use crate::testing::{Crash, Fault, Plan, Random, SimulatedDisk, version};

const PLACE: &str = "the backup";
const CRASHES: [Crash; 6] =
    [Crash::Killed, Crash::Nothing, Crash::Everything, Crash::Subset, Crash::Torn(512), Crash::Reordered];

/// A store that changes from backup to backup.
struct Source {
    engine: DiskEngine,
    steps: usize,
    /// From this number on, contents differ from those of other stores, and their sizes don't.
    differs_from: usize,
}

fn options() -> Options {
    Options { segment_bytes: 2048, history_revisions: 0, ..Options::default() }
}

impl Source {
    fn new() -> Self {
        let disk = Box::new(SimulatedDisk::new());
        let engine = DiskEngine::on(disk, Path::new("simulated"), None, &options()).expect("it opens");
        Self { engine, steps: 0, differs_from: usize::MAX }
    }

    fn blob(&self, number: usize) -> Vec<u8> {
        let byte = if number < self.differs_from { number as u8 } else { !(number as u8) };
        vec![byte; 300]
    }

    /// Stores some, removes some, and compacts now and then.
    fn step(&mut self) {
        for number in self.steps * 8..self.steps * 8 + 8 {
            let mut batch = Batch::new();
            batch.put_entity(version("a", number));
            batch.put_blob(self.blob(number));
            let key = RecordKey::new("c", "same").expect("legal");
            batch.put_record(key, self.blob(number), Expected::Any);
            if number >= 8 {
                batch.remove_entity(version("a", number - 8).address());
                batch.remove_blob(BlobId::of(&self.blob(number - 8)));
            }
            self.engine.commit(batch, Durability::Buffered).expect("it is stored");
        }
        self.steps += 1;
        if self.steps.is_multiple_of(2) {
            self.engine.compact(&CompactOptions::default(), &mut |_, _| {}).expect("it compacts");
        }
    }

    fn backup(&self, target: &SimulatedDisk) -> Result<crate::BackupReport> {
        self.engine.backup_to(target, PLACE, &BackupOptions::default(), &mut |_, _| {})
    }
}

fn verify(target: &SimulatedDisk) -> Result<RestoreReport> {
    verify_on(target, &read_manifest(target, PLACE)?, &BackupOptions::default(), &mut |_, _| {})
}

fn restore(target: &SimulatedDisk, to: &SimulatedDisk) -> Result<RestoreReport> {
    let manifest = read_manifest(target, PLACE)?;
    let path = Path::new("restored");
    restore_on(target, &manifest, to.clone(), path, &BackupOptions::default(), &mut |_, _| {})
}

/// The revision of the backup, which must be whole; `None` if there is none yet.
fn revision_of(target: &SimulatedDisk) -> Option<u64> {
    match verify(target) {
        Ok(report) => {
            assert_eq!(report.damage, Vec::<String>::new());
            Some(report.revision)
        }
        Err(error) if error.kind() == ErrorKind::NotAStore => None,
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn a_crash_at_any_moment_leaves_the_old_backup_or_the_new_one() {
    let (mut source, target) = (Source::new(), SimulatedDisk::new());
    let mut random = Random::new(1);
    let mut old = None;
    for _ in 0..5 {
        source.step();
        target.note_moments();
        let report = source.backup(&target).expect("nothing fails");
        for moment in target.take_moments() {
            for crash in CRASHES {
                let image = moment.crash(crash, &mut random);
                let found = revision_of(&image);
                assert!(found == old || found == Some(report.revision), "{crash:?}: {found:?}, {old:?}");
                // What is left of the crash does not stand in the way of the next one.
                if random.chance(10) {
                    source.backup(&image).expect("it goes on");
                    assert_eq!(revision_of(&image), Some(report.revision));
                }
            }
        }
        let durable = target.crash(Crash::Nothing, &mut random);
        assert_eq!(revision_of(&durable), Some(report.revision), "it was said to be there");
        old = Some(report.revision);
    }
}

#[test]
fn a_failing_call_leaves_the_old_backup_or_the_new_one() {
    let (mut source, first) = (Source::new(), SimulatedDisk::new());
    source.step();
    let old = source.backup(&first).expect("nothing fails").revision;
    source.step();
    let mut random = Random::new(2);
    let copy = || first.crash(Crash::Nothing, &mut Random::new(0));
    let calls = {
        let target = copy();
        source.backup(&target).expect("nothing fails");
        target.calls()
    };
    let mut failed = 0;
    for call in calls {
        for fault in call.operation.faults().iter().copied().chain([Fault::Gone]) {
            let for_good = fault == Fault::Gone;
            let target = copy();
            target.plan(Some(Plan { call: call.clone(), fault, for_good }));
            let done = source.backup(&target);
            target.plan(None);
            if let Err(error) = &done {
                failed += 1;
                assert!(error.to_string().starts_with(PLACE), "{call}, {fault:?}: {error}");
            }
            let new = source.engine.stats().revision;
            let after = [target.clone(), target.crash(Crash::Nothing, &mut random)];
            for (at, target) in after.iter().enumerate() {
                let found = revision_of(target).expect("one is there");
                assert!(found == new || (done.is_err() && found == old), "{call}, {fault:?}, {at}: {found}");
            }
            source.backup(&target).expect("nothing fails any more");
            assert_eq!(revision_of(&target), Some(new), "{call}, {fault:?}");
        }
    }
    assert!(failed > 100, "{failed} calls failed");
}

#[test]
fn a_store_appears_only_when_all_of_it_was_restored() {
    let (mut source, target) = (Source::new(), SimulatedDisk::new());
    (0..3).for_each(|_| source.step());
    let report = source.backup(&target).expect("nothing fails");
    let to = SimulatedDisk::new();
    to.note_moments();
    let restored = restore(&target, &to).expect("it is sound");
    assert_eq!((restored.revision, &restored.chain_head), (report.revision, &report.chain_head));
    let mut random = Random::new(3);
    let mut appeared = 0;
    for moment in to.take_moments() {
        for crash in CRASHES {
            let image = moment.crash(crash, &mut random);
            if image.content("STATLAS").is_none_or(|header| header.is_empty()) {
                continue;
            }
            appeared += 1;
            let store = image.open_store(&Options::default()).expect("it opens");
            let stats = store.engine().stats();
            assert_eq!((stats.revision, stats.chain_head), (report.revision, report.chain_head.clone()));
            assert_eq!(stats.damage, Vec::<String>::new());
        }
    }
    assert!(appeared > 0, "it was restored");
}

#[test]
fn every_flipped_bit_and_every_cut_of_a_backup_is_found() {
    let (mut source, target) = (Source::new(), SimulatedDisk::new());
    (0..2).for_each(|_| source.step());
    source.backup(&target).expect("nothing fails");
    source.step();
    source.backup(&target).expect("nothing fails");
    let copy = || target.crash(Crash::Everything, &mut Random::new(0));
    let mut random = Random::new(4);
    let find = |image: &SimulatedDisk, what: &str| {
        let found = verify(image);
        assert!(!found.is_ok_and(|report| report.damage.is_empty()), "verify: {what}");
        let to = SimulatedDisk::new();
        let error = restore(image, &to).expect_err(what);
        assert!(
            matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::NotAStore | ErrorKind::NewerFormat),
            "{error}"
        );
        assert!(to.content("STATLAS").is_none(), "{what}");
    };
    for name in target.names() {
        let bytes = target.content(&name).expect("it is there");
        for _ in 0..30 {
            let (image, at) = (copy(), random.below(bytes.len()));
            image.flip(&name, at, 1 << random.below(8));
            find(&image, &format!("{name} flipped at {at}"));
        }
        for bytes in [&bytes[..bytes.len() - 1], &bytes[..bytes.len() / 2], &[], &[&bytes[..], b"x"].concat()]
        {
            let image = copy();
            image.set_content(&name, Some(bytes));
            find(&image, &format!("{name} with {} bytes", bytes.len()));
        }
        let image = copy();
        image.set_content(&name, None);
        find(&image, &format!("{name} removed"));
    }
}

#[test]
fn a_backup_whose_manifest_says_another_end_is_not_restored() {
    let (mut source, target) = (Source::new(), SimulatedDisk::new());
    source.step();
    source.backup(&target).expect("nothing fails");
    let sound = read_manifest(&target, PLACE).expect("it is there");
    let lies = [
        Manifest { chain: [1; 32], ..sound.clone() },
        Manifest { revision: sound.revision + 1, ..sound.clone() },
        Manifest { store_id: [9; 16], ..sound.clone() },
        Manifest { segments: sound.segments[1..].to_vec(), ..sound.clone() },
        Manifest { segments: sound.segments[..1].to_vec(), ..sound.clone() },
        // Checksums of frames would not tell another file that is sound.
        Manifest { segments: vec![SegmentCopy { sha256: [1; 32], ..sound.segments[0] }], ..sound.clone() },
    ];
    for lie in lies {
        lie.write(&target, PLACE).expect("nothing fails");
        let report = verify(&target).expect("it can be read");
        assert!(!report.damage.is_empty(), "{lie:?}");
        assert_eq!(restore(&target, &SimulatedDisk::new()).expect_err("not so").kind(), ErrorKind::Corrupt);
    }
}

#[test]
fn a_store_that_went_another_way_is_not_mixed_with_the_backup_before() {
    let (mut source, target) = (Source::new(), SimulatedDisk::new());
    (0..2).for_each(|_| source.step());
    source.backup(&target).expect("nothing fails");
    let disk = SimulatedDisk::new();
    restore(&target, &disk).expect("it is sound");
    let engine = DiskEngine::on(Box::new(disk), Path::new("other"), None, &options()).expect("it opens");
    assert_eq!(engine.store_id, source.engine.store_id);
    let mut other = Source { engine, steps: source.steps, differs_from: source.steps * 8 };
    // Both go on, and both make a backup in the same place.
    let sizes = |target: &SimulatedDisk| {
        let manifest = read_manifest(target, PLACE).expect("it is there");
        let size = |copy: &SegmentCopy| ((copy.id, copy.bytes), copy.sha256);
        manifest.segments.iter().map(size).collect::<std::collections::HashMap<_, _>>()
    };
    source.step();
    source.backup(&target).expect("nothing fails");
    let before = sizes(&target);
    other.step();
    let report = other.backup(&target).expect("it is made");
    let after = sizes(&target);
    let alike = after.iter().filter(|(size, sha256)| before.get(*size).is_some_and(|old| old != *sha256));
    assert!(alike.count() > 0, "files of both stores have the same name and length");
    assert_eq!(revision_of(&target), Some(report.revision));
    let restored = SimulatedDisk::new();
    restore(&target, &restored).expect("it is sound");
    let store = restored.open_store(&Options::default()).expect("it opens");
    let last = BlobId::of(&other.blob(other.steps * 8 - 1));
    assert!(store.engine().has_blob(&last).expect("sound"), "it is the other store");
}

#[test]
fn what_is_stopped_leaves_the_backup_before() {
    let (mut source, target) = (Source::new(), SimulatedDisk::new());
    source.step();
    let old = source.backup(&target).expect("nothing fails").revision;
    source.step();
    let before = target.names();
    let options = BackupOptions { goes_on: &|| false, ..BackupOptions::default() };
    let stopped =
        source.engine.backup_to(&target, PLACE, &options, &mut |_, _| {}).expect_err("it was stopped");
    let source_of = |error: &Error| {
        let source =
            std::error::Error::source(error).and_then(|source| source.downcast_ref::<std::io::Error>());
        source.map(std::io::Error::kind)
    };
    assert_eq!(source_of(&stopped), Some(std::io::ErrorKind::Interrupted));
    assert_eq!((revision_of(&target), target.names()), (Some(old), before));
    let manifest = read_manifest(&target, PLACE).expect("it is there");
    let verified = verify_on(&target, &manifest, &options, &mut |_, _| {}).expect_err("it was stopped");
    assert_eq!(source_of(&verified), Some(std::io::ErrorKind::Interrupted));
    assert!(target.list("log").expect("a folder").len() > 1);
}
