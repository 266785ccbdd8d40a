//! What a store is told to do while things go wrong: varied, and the same for the same seed.

use std::sync::OnceLock;

use statlas_core::{Address, BlobId, Entity};

use crate::batch::{Batch, BlobForm, Expected, RecordKey};
use crate::engine::{Durability, StoredEntity};
use crate::store::Options;
use crate::testing::sample::{adjacency, token, varied, version};
use crate::testing::simulated_disk::SimulatedDisk;
use crate::testing::{Model, Random};

/// One thing that is done to a store. What engines learn later becomes a step here.
#[derive(Debug, Clone)]
pub(super) enum Step {
    Commit(Batch, Durability),
    Sync,
    /// Reads and verifies everything.
    Check,
    /// Gives back the space of what was removed.
    Compact,
    /// What the store would do by itself from time to time.
    Maintain,
    /// Removes the blobs that no entity names, and chunks that no manifest names.
    FreeBlobs,
    /// Makes a backup, which must give back what the store shows.
    Backup,
    /// Closes the store and opens it again.
    Reopen,
    /// The process is killed, and the next one opens the store.
    Kill,
}

/// Steps that follow from a seed and from what the store holds.
#[derive(Debug, Clone)]
pub(super) struct Workload {
    random: Random,
    number: usize,
}

const IDS: usize = 24;
const KEYS: usize = 10;

impl Workload {
    pub(super) fn new(seed: u64) -> Self {
        Self { random: Random::new(seed ^ 0x5747_4c41_5445_5320), number: 0 }
    }

    /// How the stores of this workload are opened: small segments, so that there are many; some with little
    /// memory, some with a short history.
    pub(super) fn options(seed: u64) -> Options {
        let mut random = Random::new(seed);
        Options {
            segment_bytes: random.pick(&[16, 24, 64]) << 10,
            memory_bytes_max: Some(random.pick(&[1, 64]) << 20),
            history_revisions: random.pick(&[10, 1_000_000]),
            compression: random.pick(&[false, true]),
            ..Options::default()
        }
    }

    /// The next step for a store that holds what the model holds.
    pub(super) fn next(&mut self, model: &Model) -> Step {
        self.number += 1;
        match self.random.below(100) {
            0..5 => Step::Sync,
            5..7 => Step::Check,
            7..11 => Step::Reopen,
            11..14 => Step::Kill,
            14..17 => Step::Compact,
            17..19 => Step::Maintain,
            19..22 => Step::Backup,
            22..24 => Step::FreeBlobs,
            _ => {
                let durability =
                    self.random.pick(&[Durability::Synced, Durability::Written, Durability::Buffered]);
                Step::Commit(self.batch(model), durability)
            }
        }
    }

    /// A batch that stores something that no other batch does.
    pub(super) fn batch(&mut self, model: &Model) -> Batch {
        let mut batch = Batch::new();
        for _ in 0..1 + self.random.below(4) {
            self.add(model, &mut batch);
        }
        batch
    }

    fn add(&mut self, model: &Model, batch: &mut Batch) {
        let number = self.number * 8 + batch.len();
        match self.random.below(20) {
            0..6 => {
                batch.put_entity(self.entity(model, number));
            }
            6 => {
                // One that may be there already, or may have been removed.
                batch.put_entity(version("again", self.random.below(4)));
            }
            7 | 8 => self.remove_entity(model, batch),
            9 | 10 => {
                batch.put_blob(self.content(number));
            }
            11 => self.put_chunk(model, batch, number),
            12 => {
                let removed = self.stored_blob(model).unwrap_or_else(|| BlobId::of(b"absent"));
                batch.remove_blob(removed);
            }
            13..18 => {
                let key = self.key();
                let expected = self.expected(model, &key);
                let size = self.random.pick(&[0, 10, 100, 600]);
                let value = [format!("value {number} ").into_bytes(), self.random.bytes(size)].concat();
                batch.put_record(key, value, expected);
            }
            _ => {
                let key = self.key();
                let expected = self.expected(model, &key);
                batch.remove_record(key, expected);
            }
        }
    }

    fn entity(&mut self, model: &Model, number: usize) -> Entity {
        let random = &mut self.random;
        let id = format!("id-{}", random.below(IDS));
        let head = model.versions(&id).last().and_then(|address| model.entity(address));
        let head = head.as_ref().and_then(|entity| entity.head().ok());
        // Neighbours may be added, and none may go.
        let mut members: Vec<String> = head
            .map_or_else(Vec::new, |head| head.coordinates.adjacency.iter().map(ToOwned::to_owned).collect());
        if random.chance(30) {
            members.push(format!("id-{}", random.below(IDS)));
        }
        let members: Vec<&str> = members.iter().map(String::as_str).collect();
        let entity = varied(random, &id, adjacency(&members));
        if random.chance(20) {
            let attached = Some(token(number as u32));
            // One that is there, so that it is not freed, or one that never was.
            let stored = if self.random.chance(70) { self.stored_blob(model) } else { None };
            let file = stored.unwrap_or_else(|| BlobId::of(&number.to_le_bytes()));
            return entity.with_attachments(attached, Some(file));
        }
        entity
    }

    /// A chunk, or a blob that takes the place of one.
    fn put_chunk(&mut self, model: &Model, batch: &mut Batch, number: usize) {
        let stored = self.stored_blob(model).and_then(|id| model.blob(&id));
        match stored.filter(|blob| blob.form == BlobForm::Chunk) {
            Some(chunk) => {
                batch.put_blob(chunk.bytes);
            }
            None => {
                let bytes = self.content(number);
                batch.push_blob(BlobId::of(&bytes), BlobForm::Chunk, bytes);
            }
        }
    }

    fn remove_entity(&mut self, model: &Model, batch: &mut Batch) {
        let stored: Vec<Address> = model.entities().map(StoredEntity::address).collect();
        let absent = version("absent", 0).address();
        batch.remove_entity(if stored.is_empty() { absent } else { self.random.pick(&stored) });
    }

    fn stored_blob(&mut self, model: &Model) -> Option<BlobId> {
        let stored: Vec<BlobId> = model.blobs().map(|(id, _)| *id).collect();
        if stored.is_empty() { None } else { Some(self.random.pick(&stored)) }
    }

    /// The content of a blob: among random bytes also what looks like a lost write or like a log.
    fn content(&mut self, number: usize) -> Vec<u8> {
        let size = self.random.pick(&[0, 1, 40, 300, 512, 1000, 1000, 3000, 5000]);
        match self.random.below(10) {
            0 => vec![0; size + number],
            1 => foreign_log(self.random.below(FOREIGN_SEGMENTS)).to_vec(),
            2 if self.number.is_multiple_of(8) => self.random.bytes(18_000),
            _ => self.random.bytes(size),
        }
    }

    fn key(&mut self) -> RecordKey {
        let (collection, key) = (["one", "two"][self.random.below(2)], self.random.below(KEYS / 2));
        RecordKey::new(collection, &format!("key {key}")).expect("the names above are legal")
    }

    fn expected(&mut self, model: &Model, key: &RecordKey) -> Expected {
        let revision = model.record(key).map(|record| record.revision);
        match (self.random.below(20), revision) {
            (0..8, _) => Expected::Any,
            // A wrong expectation now and then: the batch is refused.
            (8, _) => Expected::Absent,
            (9, revision) => Expected::Revision(revision.unwrap_or(1) + 1),
            (_, None) => Expected::Absent,
            (_, Some(revision)) => Expected::Revision(revision),
        }
    }
}

/// Segments of the other store that are stored as blobs.
const FOREIGN_SEGMENTS: usize = 3;

/// A segment of a copy of the store: somebody may keep a copy of a log as a file, and nothing of
/// what stands in a file may ever be taken for a frame of the log that it is stored in.
fn foreign_log(at: usize) -> &'static [u8] {
    static LOG: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    let log = LOG.get_or_init(|| {
        // It has the same id as the store around it, as a copy of that store would have.
        let disk = SimulatedDisk::new();
        let options = Options { segment_bytes: 1500, ..Options::default() };
        let store = disk.open_store(&options).expect("nothing is in the way");
        for number in 0..60 {
            store.put(version("foreign", number)).expect("nothing is in the way");
        }
        let names = disk.names().into_iter().filter(|name| name.ends_with(".seg"));
        let mut segments: Vec<Vec<u8>> = names.filter_map(|name| disk.content(&name)).collect();
        // An early one, and the last two: they name places that the store around them has not reached.
        let (last, before) = (segments.len() - 1, segments.len() - 2);
        [0, before, last].map(|at| segments[at].split_off(SEGMENT_HEADER_BYTES)).into()
    });
    &log[at]
}

/// As `docs/FORMAT.md` says.
const SEGMENT_HEADER_BYTES: usize = 96;
