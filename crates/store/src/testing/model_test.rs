//! Random operations against a store and the model, all answers compared; what fails is shrunk.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};

use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use statlas_core::{Address, AddressPrefix, BlobId, Entity};

use super::sample::{adjacency, neighbours, query, token, token_query, varied};
use super::twin::{Twin, same, same_entities};
use super::{Failure, Place, Random};
use crate::batch::{Batch, BlobForm, Expected, RecordKey};
use crate::engine::{CompactOptions, Durability, FreeOptions, StoredEntity};
use crate::files::manifest_of;
use crate::query::TokenQuery;

/// How much the model test does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModelOptions {
    /// Runs, each on a store of its own.
    pub runs: u32,
    /// Steps of a run at most; a step is a commit, a question or opening the store again.
    pub steps: usize,
    /// Determines every step.
    pub seed: u64,
    /// Whether the store keeps its contents, so that it can be opened again between steps.
    pub reopens: bool,
    /// Whether the store may forget what removed entities named, so that it frees fewer of those blobs.
    pub forgets: bool,
}

impl ModelOptions {
    /// What `STATLAS_SEED`, `STATLAS_STEPS` and `STATLAS_RUNS` say; without them a new seed, 400 steps and
    /// 10 runs. The store is not opened again.
    ///
    /// # Panics
    ///
    /// If one of them is no number.
    #[must_use]
    pub fn from_environment() -> Self {
        let number = |name: &str| {
            let text = std::env::var(name).ok()?;
            Some(text.parse::<u64>().unwrap_or_else(|_| panic!("{name}: found {text:?}; allowed: a number")))
        };
        Self {
            runs: number("STATLAS_RUNS").map_or(10, |runs| u32::try_from(runs).unwrap_or(u32::MAX)),
            steps: number("STATLAS_STEPS").map_or(400, |steps| usize::try_from(steps).unwrap_or(usize::MAX)),
            seed: number("STATLAS_SEED").unwrap_or_else(|| RandomState::new().hash_one(())),
            reopens: false,
            forgets: false,
        }
    }
}

/// Compares a store with the model over random steps. `place` returns a place that was not used before.
///
/// # Panics
///
/// If they disagree: with the seed, and with the fewest steps found that show it.
pub fn model_test(place: &dyn Fn() -> Place, options: &ModelOptions) {
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&options.seed.to_le_bytes());
    let config = Config {
        cases: options.runs,
        failure_persistence: None,
        max_shrink_iters: 4000,
        ..Config::default()
    };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &seed));
    let steps = vec(step(), 1..=options.steps);
    let result = runner.run(&steps, |steps| {
        run(&place(), &steps, options).map_err(|failure| TestCaseError::fail(failure.to_string()))
    });
    if let Err(error) = result {
        let ModelOptions { runs, steps, seed, .. } = options;
        panic!("STATLAS_SEED={seed} STATLAS_STEPS={steps} STATLAS_RUNS={runs} show it again: {error}");
    }
}

/// Numbers below are taken modulo what there is, so that every step is legal at any time.
#[derive(Debug, Clone)]
enum Step {
    Commit(Vec<Change>, Durability),
    Ask(Question),
    Reopen {
        close: bool,
    },
    /// Takes the space of garbage back, where this percentage of a file or more is garbage.
    Compact {
        percent: u8,
    },
    /// Lets an engine with a budget have as little memory as it can work with, or plenty.
    Memory {
        scarce: bool,
    },
    Maintain,
    Free {
        unnamed: bool,
        dry_run: bool,
    },
}

#[derive(Debug, Clone)]
enum Change {
    PutEntity {
        id: usize,
        kind: Version,
        seed: u64,
    },
    /// One that was made before, stored or not, with what was attached to it or with another token.
    PutKnown {
        known: usize,
        token: Option<u32>,
    },
    RemoveKnown(usize),
    PutBlob(usize),
    PutChunk(usize),
    PutManifest(usize),
    RemoveBlob(usize),
    PutRecord {
        key: usize,
        value: u8,
        wish: Wish,
    },
    RemoveRecord {
        key: usize,
        wish: Wish,
    },
}

/// How an entity follows the head of its id.
#[derive(Debug, Clone, Copy)]
enum Version {
    /// It keeps the neighbours, and may have one more.
    Follows,
    /// It has any neighbours.
    Strays,
}

/// What a change of a record expects to find.
#[derive(Debug, Clone, Copy)]
enum Wish {
    Any,
    Absent,
    /// The revision that it has, if it is there.
    Right,
    /// The revision before that.
    Stale,
    /// The revision that the batch will have.
    Own,
}

#[derive(Debug, Clone)]
enum Question {
    Entities(Vec<usize>),
    Versions(usize),
    Prefix { known: usize, digits: usize, limit: usize },
    Find(u64),
    Near { known: usize, seed: u64, k: usize },
    NearToken { except: Option<usize>, seed: u64 },
    Blob(usize),
    Record(usize),
    Records { key: usize, after: Option<usize>, limit: usize },
    Everything,
}

const IDS: [&str; 6] = ["a", "b", "bc-0001", "née", "n0", "n1"];
/// Collections and keys; joined, some of them are the same.
const RECORDS: [(&str, &str); 6] = [("a", "k"), ("a", "k2"), ("a", "é"), ("ak", "2"), ("b", "k"), ("b", "0")];

fn step() -> impl Strategy<Value = Step> {
    let durability = prop_oneof![
        2 => Just(Durability::Buffered),
        2 => Just(Durability::Written),
        1 => Just(Durability::Synced),
    ];
    prop_oneof![
        60 => (vec(change(), 0..6), durability).prop_map(|(changes, durability)| Step::Commit(changes, durability)),
        30 => question().prop_map(Step::Ask),
        4 => any::<bool>().prop_map(|close| Step::Reopen { close }),
        3 => (0..60_u8).prop_map(|percent| Step::Compact { percent }),
        2 => any::<bool>().prop_map(|scarce| Step::Memory { scarce }),
        2 => Just(Step::Maintain),
        2 => (proptest::bool::weighted(0.3), proptest::bool::weighted(0.2))
            .prop_map(|(unnamed, dry_run)| Step::Free { unnamed, dry_run }),
    ]
}

fn change() -> impl Strategy<Value = Change> {
    let number = || 0..64_usize;
    let wish = || {
        prop_oneof![
            6 => Just(Wish::Any),
            2 => Just(Wish::Absent),
            6 => Just(Wish::Right),
            1 => Just(Wish::Stale),
            1 => Just(Wish::Own),
        ]
    };
    let kind = prop_oneof![12 => Just(Version::Follows), 1 => Just(Version::Strays)];
    prop_oneof![
        8 => (number(), kind, any::<u64>()).prop_map(|(id, kind, seed)| Change::PutEntity { id, kind, seed }),
        2 => (number(), proptest::option::weighted(0.2, 0..3_u32))
            .prop_map(|(known, token)| Change::PutKnown { known, token }),
        3 => number().prop_map(Change::RemoveKnown),
        2 => number().prop_map(Change::PutBlob),
        1 => number().prop_map(Change::PutChunk),
        1 => number().prop_map(Change::PutManifest),
        1 => number().prop_map(Change::RemoveBlob),
        4 => (number(), any::<u8>(), wish()).prop_map(|(key, value, wish)| Change::PutRecord { key, value, wish }),
        2 => (number(), wish()).prop_map(|(key, wish)| Change::RemoveRecord { key, wish }),
    ]
}

fn question() -> impl Strategy<Value = Question> {
    let number = || 0..64_usize;
    prop_oneof![
        3 => vec(number(), 0..4).prop_map(Question::Entities),
        3 => number().prop_map(Question::Versions),
        2 => (number(), 4..=64_usize, 0..3_usize)
            .prop_map(|(known, digits, limit)| Question::Prefix { known, digits, limit }),
        8 => any::<u64>().prop_map(Question::Find),
        4 => (number(), any::<u64>(), 0..8_usize).prop_map(|(known, seed, k)| Question::Near { known, seed, k }),
        3 => (proptest::option::of(number()), any::<u64>())
            .prop_map(|(except, seed)| Question::NearToken { except, seed }),
        2 => number().prop_map(Question::Blob),
        2 => number().prop_map(Question::Record),
        2 => (number(), proptest::option::of(number()), 0..4_usize)
            .prop_map(|(key, after, limit)| Question::Records { key, after, limit }),
        1 => Just(Question::Everything),
    ]
}

fn run(place: &Place, steps: &[Step], options: &ModelOptions) -> Result<(), Failure> {
    let mut state = Run { twin: Twin::new(place()), known: BTreeMap::new() };
    for (number, step) in steps.iter().enumerate() {
        state = state
            .step(place, step, options)
            .map_err(|failure| format!("step {number}, {step:?}: {failure}"))?;
    }
    state.twin.compare_all()?;
    if options.reopens {
        state.twin = state.twin.reopen(&**place, true)?;
        state.twin.compare_all()?;
    }
    let report = state.twin.engine().check(&mut |_, _| {})?;
    same("damage", &report.damage, &Vec::new())
}

struct Run {
    twin: Twin,
    /// Every entity that was made, also those refused, by address so that their order is random.
    known: BTreeMap<Address, Entity>,
}

impl Run {
    fn step(mut self, place: &Place, step: &Step, options: &ModelOptions) -> Result<Self, Failure> {
        match step {
            Step::Commit(changes, durability) => {
                let mut batch = Batch::new();
                changes.iter().for_each(|change| self.add(change, &mut batch));
                self.twin.commit(&batch, *durability)?;
            }
            Step::Ask(question) => self.ask(question)?,
            Step::Reopen { close } if options.reopens => {
                self.twin = self.twin.reopen(&**place, *close)?;
                self.twin.compare_all()?;
            }
            Step::Reopen { .. } => {}
            Step::Compact { percent } => {
                let options =
                    CompactOptions { garbage_part: f64::from(*percent) / 100.0, bytes_per_second: 0 };
                self.twin.engine().compact(&options, &mut |_, _| {})?;
                self.twin.compare_all()?;
            }
            Step::Memory { scarce } => {
                self.twin.engine().set_memory_bytes_max(if *scarce { 0 } else { 1 << 30 })?;
            }
            Step::Maintain => while self.twin.engine().maintain()? {},
            Step::Free { unnamed, dry_run } => {
                let unnamed = *unnamed || options.forgets;
                let options = FreeOptions { unnamed, dry_run: *dry_run, bytes_per_second: 0 };
                self.twin.free_blobs(&options)?;
                self.twin.compare_all()?;
            }
        }
        Ok(self)
    }

    fn known(&self, number: usize) -> Option<&Entity> {
        self.known.values().nth(number % self.known.len().max(1))
    }

    fn add(&mut self, change: &Change, batch: &mut Batch) {
        match change {
            Change::PutEntity { id, kind, seed } => {
                let entity = self.version(IDS[id % IDS.len()], *kind, *seed);
                self.known.insert(batch.put_entity(entity.clone()), entity);
            }
            Change::PutKnown { known, token: other } => {
                if let Some(entity) = self.known(*known).cloned() {
                    let attached = other.map(token).or(entity.token().copied());
                    let blob = entity.blob();
                    batch.put_entity(entity.with_attachments(attached, blob));
                }
            }
            Change::RemoveKnown(number) => {
                if let Some(entity) = self.known(*number) {
                    batch.remove_entity(entity.address());
                }
            }
            Change::PutBlob(number) => {
                batch.put_blob(blob(*number));
            }
            Change::PutChunk(number) => {
                let bytes = blob(*number);
                batch.push_blob(BlobId::of(&bytes), BlobForm::Chunk, bytes);
            }
            Change::PutManifest(number) => {
                let (id, manifest) = manifest(*number);
                batch.push_blob(id, BlobForm::Manifest, manifest);
            }
            Change::RemoveBlob(number) => batch.remove_blob(BlobId::of(&blob(*number))),
            Change::PutRecord { key, value, wish } => {
                let key = record_key(*key);
                let expected = self.expected(&key, *wish);
                batch.put_record(key, vec![*value; usize::from(*value)], expected);
            }
            Change::RemoveRecord { key, wish } => {
                let key = record_key(*key);
                let expected = self.expected(&key, *wish);
                batch.remove_record(key, expected);
            }
        }
    }

    fn version(&self, id: &str, kind: Version, seed: u64) -> Entity {
        let mut random = Random::new(seed);
        let model = self.twin.model();
        let head = model.versions(id).last().and_then(|address| model.entity(address));
        let adjacency = match (kind, head) {
            (Version::Follows, Some(head)) => {
                let head = head.head().expect("the model holds what entities wrote");
                let mut members: Vec<&str> = head.coordinates.adjacency.iter().collect();
                if random.chance(30) {
                    members.push(random.pick(&IDS));
                }
                adjacency(&members)
            }
            _ => neighbours(&mut random),
        };
        let entity = varied(&mut random, id, adjacency);
        if random.chance(30) {
            let number = random.below(8);
            let file = if random.chance(50) { BlobId::of(&blob(number)) } else { manifest(number).0 };
            let token = entity.token().copied();
            return entity.with_attachments(token, Some(file));
        }
        entity
    }

    fn expected(&self, key: &RecordKey, wish: Wish) -> Expected {
        let revision = self.twin.model().record(key).map(|record| record.revision);
        match (wish, revision) {
            (Wish::Any, _) => Expected::Any,
            (Wish::Absent, _) | (Wish::Right, None) => Expected::Absent,
            (Wish::Right, Some(revision)) => Expected::Revision(revision),
            (Wish::Stale, revision) => Expected::Revision(revision.unwrap_or(1) - 1),
            (Wish::Own, _) => Expected::Revision(self.twin.model().revision() + 1),
        }
    }

    fn ask(&self, question: &Question) -> Result<(), Failure> {
        let (engine, model) = (self.twin.engine(), self.twin.model());
        match question {
            Question::Entities(numbers) => {
                let known = numbers.iter().filter_map(|number| self.known(*number));
                let addresses: Vec<Address> = known.map(Entity::address).collect();
                let (found, expected): (Vec<_>, Vec<_>) = (
                    engine.entities(&addresses)?,
                    addresses.iter().map(|address| model.entity(address)).collect(),
                );
                let there = |entities: &[Option<StoredEntity>]| -> Vec<bool> {
                    entities.iter().map(Option::is_some).collect()
                };
                same("which are there", &there(&found), &there(&expected))?;
                let flat = |entities: Vec<Option<StoredEntity>>| -> Vec<StoredEntity> {
                    entities.into_iter().flatten().collect()
                };
                same_entities("entities", &flat(found), &flat(expected))
            }
            Question::Versions(id) => self.twin.compare_versions(IDS[id % IDS.len()]),
            Question::Prefix { known, digits, limit } => {
                let Some(entity) = self.known(*known) else { return Ok(()) };
                let prefix: AddressPrefix = entity.address().to_string()[..*digits].parse()?;
                same("addresses", &engine.addresses(&prefix, *limit)?, &model.addresses(&prefix, *limit))
            }
            Question::Find(seed) => self.twin.compare_find(&query(&mut Random::new(*seed))),
            Question::Near { known, seed, k } => {
                let Some(entity) = self.known(*known) else { return Ok(()) };
                let mut random = Random::new(*seed);
                let adjacency = neighbours(&mut random);
                let position = varied(&mut random, entity.id(), adjacency).coordinates().clone();
                self.twin.compare_near(&position, *k, random.chance(50).then_some(&entity.address()))
            }
            Question::NearToken { except, seed } => {
                let except = except.and_then(|known| self.known(known)).map(|entity| entity.address());
                let query = token_query(&mut Random::new(*seed));
                self.twin.compare_near_token(&TokenQuery { except, ..query })
            }
            Question::Blob(number) => {
                let id = BlobId::of(&blob(*number));
                same("whether the blob is there", &engine.has_blob(&id)?, &model.blob(&id).is_some())?;
                same("blob", &engine.blob(&id)?, &model.blob(&id))
            }
            Question::Record(key) => {
                let key = record_key(*key);
                same("record", &engine.record(&key)?, &model.record(&key))
            }
            Question::Records { key, after, limit } => {
                let (collection, _) = RECORDS[key % RECORDS.len()];
                let after = after.map(|after| RECORDS[after % RECORDS.len()].1);
                let expected = model.records(collection, after, *limit);
                same("records", &engine.records(collection, after, *limit)?, &expected)
            }
            Question::Everything => self.twin.compare_all(),
        }
    }
}

/// A few small blobs; the third is a thousand times as long as the others.
fn blob(number: usize) -> Vec<u8> {
    let number = number % 8;
    Random::new(number as u64).bytes(if number == 2 { 7000 } else { number })
}

/// A file of two of those blobs: its id and its manifest.
fn manifest(number: usize) -> (BlobId, Vec<u8>) {
    let chunks = [blob(number % 7 + 1), blob(number % 5 + 3)];
    (BlobId::of(&chunks.concat()), manifest_of(&chunks))
}

fn record_key(number: usize) -> RecordKey {
    let (collection, key) = RECORDS[number % RECORDS.len()];
    RecordKey::new(collection, key).expect("the names above are legal")
}
