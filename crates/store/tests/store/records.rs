//! Records: many more than the memory has room for, and listings that go through many segments.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use statlas_store::testing::Random;
use statlas_store::{
    Batch, CompactOptions, Durability, ErrorKind, Expected, Location, Options, Record, RecordKey, Store,
};

use crate::aged::{compact, copy, flip, frames};
use crate::durability::{folder, segments};

/// What a store holds: the value of each record, and the revision that set it.
#[derive(Default)]
struct Expectation(BTreeMap<RecordKey, (Vec<u8>, u64)>);

impl Expectation {
    /// A page of a listing.
    fn page(&self, collection: &str, after: Option<&str>, limit: usize) -> Vec<Record> {
        let is_asked =
            |key: &RecordKey| key.collection() == collection && after.is_none_or(|after| key.key() > after);
        let records = self.0.iter().filter(|(key, _)| is_asked(key)).take(limit);
        let record = |(key, (value, revision)): (&RecordKey, &(Vec<u8>, u64))| Record {
            key: key.clone(),
            value: value.clone(),
            revision: *revision,
        };
        records.map(record).collect()
    }

    /// What a batch has to expect so that it goes through.
    fn expected(&self, key: &RecordKey) -> Expected {
        self.0.get(key).map_or(Expected::Absent, |(_, revision)| Expected::Revision(*revision))
    }

    fn assert_holds(&self, store: &Store, random: &mut Random) {
        let engine = store.engine();
        assert_eq!(engine.stats().records, self.0.len() as u64);
        for collection in COLLECTIONS {
            assert_eq!(
                engine.records(collection, None, usize::MAX).expect("it is sound"),
                self.page(collection, None, usize::MAX)
            );
            for _ in 0..5 {
                let (after, limit) = (name(random), random.below(9));
                assert_eq!(
                    engine.records(collection, Some(&after), limit).expect("it is sound"),
                    self.page(collection, Some(&after), limit),
                    "{limit} behind {after}"
                );
            }
        }
        for _ in 0..20 {
            let key = key(random);
            let found = engine.record(&key).expect("it is sound").map(|found| (found.value, found.revision));
            assert_eq!(found.as_ref(), self.0.get(&key), "{key:?}");
        }
    }
}

const COLLECTIONS: [&str; 3] = ["a", "b", "bb"];

fn name(random: &mut Random) -> String {
    format!("key {}", random.below(150))
}

fn key(random: &mut Random) -> RecordKey {
    RecordKey::new(random.pick(&COLLECTIONS), &name(random)).expect("a legal name")
}

/// Stores and removes some records in one batch.
fn change(store: &Store, expectation: &mut Expectation, random: &mut Random) {
    let (mut batch, mut changed) = (Batch::new(), BTreeMap::new());
    for _ in 0..1 + random.below(20) {
        let key = key(random);
        if changed.contains_key(&key) {
            continue;
        }
        let value = random.below(3) > 0;
        let value = value.then(|| vec![random.bits() as u8; random.below(60)]);
        match &value {
            Some(value) => batch.put_record(key.clone(), value.clone(), expectation.expected(&key)),
            None => batch.remove_record(key.clone(), expectation.expected(&key)),
        }
        changed.insert(key, value);
    }
    let revision = store.commit(batch, Durability::Written).expect("it is as expected").revision;
    for (key, value) in changed {
        match value {
            Some(value) => drop(expectation.0.insert(key, (value, revision))),
            None => drop(expectation.0.remove(&key)),
        }
    }
}

fn open(path: &Path, history_revisions: u64) -> Store {
    let options =
        Options { segment_bytes: 2048, maintenance: false, history_revisions, ..Options::default() };
    Store::open(&Location::Disk(path.to_owned()), &options).expect("the store opens")
}

/// Removes some of the sidecars of a store that is closed.
fn lose_sidecars(path: &Path, random: &mut Random) {
    for segment in segments(path) {
        if random.chance(30) {
            drop(fs::remove_file(segment.with_extension("idx")));
        }
    }
}

fn assert_sound(store: &Store) {
    let report = store.engine().check(&mut |_, _| {}).expect("the log can be read");
    assert_eq!(report.damage, Vec::<String>::new());
}

#[test]
fn listings_agree_with_a_map_while_segments_fill_and_are_compacted_and_sidecars_are_lost() {
    for seed in 0..6 {
        println!("seed {seed}");
        let random = &mut Random::new(seed);
        let history = if seed % 2 == 0 { u64::MAX } else { 0 };
        let (folder, mut expectation) = (folder(), Expectation::default());
        let path = folder.path().join("store");
        let mut store = open(&path, history);
        for step in 0..250 {
            change(&store, &mut expectation, random);
            match random.below(25) {
                0 => {
                    drop(store);
                    lose_sidecars(&path, random);
                    store = open(&path, history);
                }
                1 => {
                    let options = CompactOptions { garbage_part: 0.2, bytes_per_second: 0 };
                    store.engine().compact(&options, &mut |_, _| {}).expect("it can be compacted");
                }
                2 => {
                    drop(store);
                    store = open(&path, history);
                }
                _ => {}
            }
            if step % 10 == 0 {
                expectation.assert_holds(&store, random);
            }
        }
        expectation.assert_holds(&store, random);
        assert_sound(&store);
        compact(&store);
        expectation.assert_holds(&store, random);
        drop(store);
        let store = open(&path, history);
        expectation.assert_holds(&store, random);
        assert_sound(&store);
    }
}

#[test]
fn the_number_of_records_is_right_after_a_crash_behind_a_compaction() {
    let random = &mut Random::new(9);
    let (folder, mut expectation) = (folder(), Expectation::default());
    let (path, image) = (folder.path().join("store"), folder.path().join("image"));
    let store = open(&path, u64::MAX);
    for round in 0..20 {
        for _ in 0..10 {
            change(&store, &mut expectation, random);
        }
        compact(&store);
        if random.chance(50) {
            change(&store, &mut expectation, random);
        }
        // What a killed process leaves.
        drop(fs::remove_dir_all(&image));
        copy(&path, &image);
        expectation.assert_holds(&open(&image, u64::MAX), random);
        println!("round {round}");
    }
}

#[test]
fn a_damaged_record_is_an_error_and_not_an_absence_until_it_is_set_again() {
    let folder = folder();
    let path = folder.path().join("store");
    let (mut expectation, random) = (Expectation::default(), &mut Random::new(3));
    let store = open(&path, u64::MAX);
    let damaged = RecordKey::new("a", "it").expect("a legal name");
    let set = |store: &Store, expectation: &mut Expectation| {
        let (mut batch, value) = (Batch::new(), b"whole".to_vec());
        batch.put_record(damaged.clone(), value.clone(), Expected::Any);
        let revision = store.commit(batch, Durability::Written).expect("it can be set").revision;
        expectation.0.insert(damaged.clone(), (value, revision));
    };
    change(&store, &mut expectation, random);
    set(&store, &mut expectation);
    while store.engine().stats().segments < 4 {
        change(&store, &mut expectation, random);
    }
    drop(store);
    let segment = &segments(&path)[0];
    let frame = frames(segment).into_iter().find(|frame| frame.key.ends_with(b"ait")).expect("it is there");
    fs::remove_file(segment.with_extension("idx")).expect("it has a sidecar");
    flip(segment, frame.offset + frame.bytes - 8);

    let store = open(&path, u64::MAX);
    assert_eq!(store.engine().record(&damaged).expect_err("it is damaged").kind(), ErrorKind::Corrupt);
    let listed = store.engine().records("a", None, usize::MAX);
    assert_eq!(listed.expect_err("one of them is damaged").kind(), ErrorKind::Corrupt);
    assert_eq!(store.engine().stats().records, expectation.0.len() as u64);
    set(&store, &mut expectation);
    expectation.assert_holds(&store, random);
    drop(store);
    let store = open(&path, u64::MAX);
    expectation.assert_holds(&store, random);
    for _ in 0..40 {
        change(&store, &mut expectation, random);
    }
    expectation.assert_holds(&store, random);
    let mut batch = Batch::new();
    batch.remove_record(damaged.clone(), Expected::Any);
    store.commit(batch, Durability::Written).expect("it can be removed");
    expectation.0.remove(&damaged);
    drop(store);
    expectation.assert_holds(&open(&path, u64::MAX), random);
}

/// As many as an import of a large tree makes, in the smallest budget.
#[test]
fn records_take_no_memory_by_their_number() {
    const RECORDS: u32 = 200_000;
    const BATCH: u32 = 2000;
    let folder = folder();
    let path = folder.path().join("store");
    let options = |memory_bytes_max| Options {
        segment_bytes: 4 << 20,
        memory_bytes_max: Some(memory_bytes_max),
        maintenance: false,
        history_revisions: 0,
        ..Options::default()
    };
    let open = |bytes| Store::open(&Location::Disk(path.clone()), &options(bytes)).expect("the store opens");
    // Spread, so that every segment has some of everywhere.
    let spread = |number: u32| number.wrapping_mul(2_654_435_761) % RECORDS;
    let key = |number: u32| {
        RecordKey::new("import", &format!("a/folder/with/files/{number:08}.data")).expect("a legal name")
    };
    let commit =
        |store: &Store, batch| store.commit(batch, Durability::Written).expect("there is memory").revision;
    let assert_memory = |store: &Store| {
        let stats = store.engine().stats();
        let held: u64 = stats.memory.iter().map(|held| held.bytes).sum();
        assert!(held <= stats.memory_bytes_max, "{:?}", stats.memory);
    };
    let store = open(16 << 20);
    let mut revisions = BTreeMap::new();
    let numbers: Vec<u32> = {
        // A multiplication may lead two to one.
        let mut numbers: Vec<u32> = (0..RECORDS).collect();
        numbers.sort_unstable_by_key(|number| (spread(*number), *number));
        numbers
    };
    for numbers in numbers.chunks(BATCH as usize) {
        let mut batch = Batch::new();
        for number in numbers {
            batch.put_record(key(*number), number.to_le_bytes().to_vec(), Expected::Absent);
        }
        let revision = commit(&store, batch);
        revisions.extend(numbers.iter().map(|number| (*number, revision)));
        assert_memory(&store);
    }
    assert_eq!(store.engine().stats().records, u64::from(RECORDS));
    // Every seventh is set again as expected, every fifth removed.
    for first in (0..RECORDS).step_by(BATCH as usize) {
        let mut batch = Batch::new();
        for number in first..first + BATCH {
            let expected = Expected::Revision(revisions[&number]);
            match number {
                number if number % 5 == 0 => batch.remove_record(key(number), expected),
                number if number % 7 == 0 => batch.put_record(key(number), b"again".to_vec(), expected),
                _ => {}
            }
        }
        commit(&store, batch);
        assert_memory(&store);
    }
    let left = u64::from(RECORDS - RECORDS / 5);
    let assert_holds = |store: &Store| {
        assert_memory(store);
        assert_eq!(store.engine().stats().records, left);
        let (mut after, mut listed) = (None::<String>, 0);
        let mut expected = (0..RECORDS).filter(|number| number % 5 > 0);
        loop {
            let page = store.engine().records("import", after.as_deref(), 10_007).expect("it is sound");
            let Some(last) = page.last() else { break };
            after = Some(last.key.key().to_owned());
            listed += page.len() as u64;
            for record in page {
                let number = expected.next().expect("so many are left");
                assert_eq!(record.key, key(number));
                let again = number % 7 == 0;
                assert_eq!(
                    record.value,
                    if again { b"again".to_vec() } else { number.to_le_bytes().to_vec() }
                );
                assert!(again || record.revision == revisions[&number]);
            }
        }
        assert_eq!(listed, left);
        assert_eq!(store.engine().record(&key(5)).expect("it is sound"), None);
        assert!(store.engine().record(&key(6)).expect("it is sound").is_some());
    };
    assert_holds(&store);
    compact(&store);
    assert_holds(&store);
    drop(store);
    // With memory for all, and with little again.
    for bytes in [1 << 30, 16 << 20] {
        let store = open(bytes);
        assert_holds(&store);
        assert_sound(&store);
        drop(store);
        let paths = segments(&path);
        paths.iter().for_each(|path| drop(fs::remove_file(path.with_extension("idx"))));
        assert_holds(&open(bytes));
    }
    // What was stored with much memory can be removed with little.
    let store = open(16 << 20);
    for first in (0..RECORDS).step_by(BATCH as usize) {
        let mut batch = Batch::new();
        (first..first + BATCH).for_each(|number| batch.remove_record(key(number), Expected::Any));
        commit(&store, batch);
        assert_memory(&store);
    }
    assert_eq!(store.engine().stats().records, 0);
    assert_eq!(store.engine().records("import", None, 1).expect("it is sound"), Vec::new());
    compact(&store);
    assert_eq!(store.engine().records("import", None, 1).expect("it is sound"), Vec::new());
    assert_sound(&store);
}
