//! Whole stores on a simulated disk, of which the input is a part.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use statlas_core::{Address, BlobId};
use statlas_store::testing::{Crash, Random, SimulatedDisk, crowd, neighbours, varied, version};
use statlas_store::{
    Batch, Durability, ErrorKind, Expected, Filter, Options, Query, RecordKey, ScrubOptions, Store,
    TokenQuery,
};

use super::files::{seal, seal_segment};

const FIRST_SEGMENT: &str = "log/00000001.seg";
const STORE_ID_AT: std::ops::Range<usize> = 16..32;
const STORE_ID: [u8; 16] = [0x5a; 16];
const SEGMENT_HEADER_BYTES: usize = 96;
const COLLECTION: &str = "notes";

/// A store and what was put into it.
pub struct Sample {
    /// Its files; it was closed in order.
    pub disk: SimulatedDisk,
    entities: HashMap<Address, Vec<u8>>,
    ids: HashMap<String, HashSet<Address>>,
    blobs: HashSet<BlobId>,
    /// Every value that a record ever had.
    records: HashMap<String, HashSet<Vec<u8>>>,
}

fn options() -> Options {
    let memory_bytes_max = Some(16 << 20);
    Options { segment_bytes: 4096, memory_bytes_max, maintenance: false, ..Options::default() }
}

/// The same store every time: a few segments with everything that a store can hold.
///
/// # Panics
///
/// If the store does not work.
#[must_use]
pub fn sample() -> Sample {
    let disk = empty_disk();
    let store = disk.open_store(&options()).expect("the store opens");
    let mut sample = Sample {
        disk: disk.clone(),
        entities: HashMap::new(),
        ids: HashMap::new(),
        blobs: HashSet::new(),
        records: HashMap::new(),
    };
    let mut random = Random::new(1);
    for number in 0..24 {
        let batch = sample.batch(&mut random, number);
        store.commit(batch, Durability::Synced).expect("the batch is stored");
    }
    store.close().expect("the store closes");
    sample
}

/// A disk with a store in which nothing is yet, and whose id is always the same.
fn empty_disk() -> SimulatedDisk {
    let disk = SimulatedDisk::new();
    let store = disk.open_store(&options()).expect("the store opens");
    let copy = disk.crash(Crash::Everything, &mut Random::new(0));
    drop(store);
    for name in ["STATLAS", FIRST_SEGMENT] {
        let mut bytes = copy.content(name).expect("the file is there");
        bytes[STORE_ID_AT].copy_from_slice(&STORE_ID);
        let header_bytes = bytes.len().min(SEGMENT_HEADER_BYTES);
        seal(&mut bytes[..header_bytes]);
        copy.set_content(name, Some(&bytes));
    }
    copy
}

impl Sample {
    fn batch(&mut self, random: &mut Random, number: usize) -> Batch {
        let mut batch = Batch::new();
        let adjacency = neighbours(random);
        for entity in [varied(random, &format!("e{number}"), adjacency), version("v", number)] {
            let (id, canonical) = (entity.id().to_owned(), entity.canonical());
            let address = batch.put_entity(entity);
            self.entities.insert(address, canonical);
            self.ids.entry(id).or_default().insert(address);
        }
        let bytes = if number == 9 { 3000 } else { number * 7 };
        self.blobs.insert(batch.put_blob(random.bytes(bytes)));
        let (name, value) = (format!("r{}", number % 5), random.bytes(number));
        let key = RecordKey::new(COLLECTION, &name).expect("the name is legal");
        batch.put_record(key, value.clone(), Expected::Any);
        self.records.entry(name).or_default().insert(value);
        if number % 4 == 3 {
            let gone = self.ids[&format!("e{}", number - 2)].iter().next().expect("each has a version");
            batch.remove_entity(*gone);
            let key = RecordKey::new(COLLECTION, "r0").expect("the name is legal");
            batch.remove_record(key, Expected::Any);
        }
        batch
    }

    /// What a store says is what was once put into it, or an error.
    fn check(&self, store: &Store) {
        let engine = store.engine();
        for (address, canonical) in &self.entities {
            if let Ok(Some(entity)) = engine.entity(address) {
                assert_eq!(entity.canonical(), canonical, "{address} has another text");
            }
        }
        for (id, addresses) in &self.ids {
            let versions = engine.versions(id).unwrap_or_default();
            assert!(versions.iter().all(|version| addresses.contains(version)), "{id} has another version");
        }
        for id in &self.blobs {
            if let Ok(Some(blob)) = engine.blob(id) {
                assert_eq!(BlobId::of(&blob.bytes), *id, "a blob has other bytes");
            }
        }
        for record in engine.records(COLLECTION, None, 100).unwrap_or_default() {
            let values = self.records.get(record.key.key()).expect("there are no other records");
            assert!(values.contains(&record.value), "{:?} has another value", record.key);
        }
        if let Ok(page) = engine.find(&Query { limit: 1000, ..Query::default() }) {
            for entity in page.entities {
                let canonical = self.entities.get(&entity.address());
                assert_eq!(canonical.map(Vec::as_slice), Some(entity.canonical()), "another entity is found");
            }
        }
    }
}

/// Asks a store for everything; whatever it says, it must not panic.
fn use_store(store: &Store) {
    let engine = store.engine();
    let everything = Query { limit: 1000, ..Query::default() };
    let found = engine.find(&everything).map(|page| page.entities).unwrap_or_default();
    for entity in &found {
        let Ok(whole) = entity.entity() else { continue };
        assert_eq!(Address::of(entity.canonical()), entity.address(), "an entity has another address");
        drop(engine.versions(whole.id()));
        drop(engine.near(whole.coordinates(), 2, None));
        drop(store.neighbours(whole.id(), 2, 10));
        drop(whole.token().map(|token| engine.near_token(&TokenQuery::new(*token, 3))));
    }
    drop(engine.count(&Filter { latest: true, ..Filter::default() }));
    drop(engine.records(COLLECTION, None, 100));
    for change in engine.changes(0, 1000).map(|changes| changes.changes).unwrap_or_default() {
        if let statlas_store::ChangeKind::BlobPut(id) = change.kind {
            drop(engine.blob(&id));
            drop(store.files().read_range(&id, 0, 1000));
        }
    }
    drop(engine.check(&mut |_, _| ()));
    drop(engine.check_quick(&mut |_, _| ()));
    drop(engine.verify_history(None, &mut |_, _| ()));
    std::hint::black_box(engine.stats());
}

/// Stores something, and reads it back now and after opening again.
fn go_on(disk: &SimulatedDisk, store: Store) {
    let mut batch = Batch::new();
    let addresses: Vec<Address> = crowd(7, 3).into_iter().map(|entity| batch.put_entity(entity)).collect();
    let stored = store.commit(batch, Durability::Synced);
    if let Ok(commit) = &stored {
        for address in &addresses {
            assert!(store.get(address).is_ok_and(|found| found.is_some()), "{address} is gone at {commit:?}");
        }
    }
    drop(store.close());
    drop(store);
    let store = match disk.open_store(&options()) {
        Ok(store) => store,
        Err(error) if stored.is_err() => return drop(error),
        Err(error) => panic!("a store that was open and written to does not open again: {error}"),
    };
    if stored.is_ok() {
        for address in &addresses {
            assert!(store.get(address).is_ok_and(|found| found.is_some()), "{address} is gone");
        }
    }
}

/// Opens a store whose only segment is the input with its checksums made right, and uses it.
pub fn opened_log(bytes: &[u8]) {
    static EMPTY: LazyLock<SimulatedDisk> = LazyLock::new(empty_disk);
    let disk = EMPTY.crash(Crash::Everything, &mut Random::new(0));
    let mut log = bytes.to_vec();
    if let Some(id) = log.get_mut(STORE_ID_AT) {
        id.copy_from_slice(&STORE_ID);
    }
    seal_segment(&mut log, &STORE_ID);
    disk.set_content(FIRST_SEGMENT, Some(&log));
    if let Ok(store) = disk.open_store(&options()) {
        use_store(&store);
        go_on(&disk, store);
    }
}

static SAMPLE: LazyLock<Sample> = LazyLock::new(sample);

/// Changes the files of a sound store as the input says. What the store then says is what was put into it, or
/// an error.
///
/// A change is 6 bytes: which file, what to do, where (2 bytes), and a length or a mask (2 bytes).
pub fn damaged_store(bytes: &[u8]) {
    let disk = SAMPLE.disk.crash(Crash::Everything, &mut Random::new(0));
    let names = disk.names();
    for edit in bytes.chunks_exact(6).take(8) {
        let name = &names[usize::from(edit[0]) % names.len()];
        let Some(mut content) = disk.content(name) else { continue };
        let at = usize::from(u16::from_le_bytes([edit[2], edit[3]])) % (content.len() + 1);
        let end = (at + usize::from(edit[4])).min(content.len());
        match edit[1] % 6 {
            0 => content[at..].iter_mut().take(1).for_each(|byte| *byte ^= edit[4].max(1)),
            1 => content.truncate(at),
            2 => content[at..end].fill(edit[5]),
            3 => drop(content.splice(at..at, std::iter::repeat_n(edit[5], usize::from(edit[4])))),
            4 => drop(content.drain(at..end)),
            _ if edit[4] == 0 => {
                disk.set_content(name, None);
                continue;
            }
            _ => {
                let other = &names[usize::from(edit[4]) % names.len()];
                content = disk.content(other).unwrap_or_default();
            }
        }
        disk.set_content(name, Some(&content));
    }
    match disk.open_store(&options()) {
        Ok(store) => {
            SAMPLE.check(&store);
            use_store(&store);
            go_on(&disk, store);
        }
        Err(error) => {
            let told = [ErrorKind::Corrupt, ErrorKind::NotAStore, ErrorKind::NewerFormat];
            assert!(told.contains(&error.kind()), "damage is told as {:?}: {error}", error.kind());
        }
    }
}

/// The file `SCRUB`, as it is and with its checksum made right. A made-up one may lead a pass astray.
pub fn scrub_state(bytes: &[u8]) {
    let mut sealed = bytes.to_vec();
    seal(&mut sealed);
    for bytes in [bytes, &sealed] {
        let disk = SAMPLE.disk.crash(Crash::Everything, &mut Random::new(0));
        disk.set_content("SCRUB", Some(bytes));
        let store = disk.open_store(&options()).expect("the file is no part of what is stored");
        std::hint::black_box(store.engine().stats());
        let some = ScrubOptions { bytes_max: 4096, ..ScrubOptions::default() };
        let rest = ScrubOptions::default();
        for options in [some, rest] {
            let report = store.engine().scrub(&options, &mut |_, _| ()).expect("a sound store can be read");
            assert!(report.damage.is_empty(), "a sound store is found damaged: {:?}", report.damage);
        }
        SAMPLE.check(&store);
    }
}
