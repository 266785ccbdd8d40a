//! A store under load, and the memory of what it acknowledged.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use statlas_core::{Address, BlobId, Coordinates, Identifier, REALMS};
use statlas_store::{
    Batch, Durability, Error, ErrorKind, Expected, Filter, Interval, Query, RecordKey, Store,
};

use crate::data::{COLLECTION, Keys, counter_of, record_key, record_value};
use crate::distribution::{Chooser, Distribution};
use crate::generator::Generator;
use crate::operation::Operation;
use crate::random::SplitMix64;
use crate::target::{Outcome, Target, Worker};
use crate::workload::Workload;

/// Rows of `find`, and neighbours of `near`.
const FIND_LIMIT: usize = 100;
const NEAR_K: usize = 10;

/// A store, and what is known to be in it.
pub(crate) struct StoreTarget<'a> {
    pub(crate) store: &'a Store,
    pub(crate) workload: &'a Workload,
    generator: Generator,
    keys: Keys,
    record_revisions: Vec<AtomicU64>,
    /// What each thread has done: a thread changes only its own, others look at it.
    stripes: Vec<Stripe>,
}

/// What one thread stored and removed.
#[derive(Default)]
struct Stripe {
    /// New entities that were acknowledged.
    entities: RwLock<Vec<Address>>,
    /// How many entities it began to remove, and how many removals were acknowledged. Thread `t` removes those with the
    /// numbers `t`, `t + threads` and so on of those that were there at first, the first ones first, and then the new
    /// ones that it stored itself.
    removing: AtomicU64,
    removed: AtomicU64,
    /// The revisions of new records that were acknowledged.
    records: RwLock<Vec<AtomicU64>>,
    /// Changes of records by compare-and-swap that were acknowledged.
    updates: AtomicU64,
    /// Writes that failed: of these nobody knows whether they happened.
    failed_writes: AtomicU64,
}

fn read<T>(lock: &RwLock<Vec<T>>) -> RwLockReadGuard<'_, Vec<T>> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn push<T>(lock: &RwLock<Vec<T>>, items: impl IntoIterator<Item = T>) {
    lock.write().unwrap_or_else(PoisonError::into_inner).extend(items);
}

/// What a store must hold.
pub(crate) struct Acknowledged {
    /// Entities that must be there.
    pub(crate) present: Vec<Address>,
    /// Entities that must not be there.
    pub(crate) absent: Vec<Address>,
    /// For each record its number and the revision that last changed it.
    pub(crate) records: Vec<(u64, u64)>,
    /// Changes by compare-and-swap that the counters of all records together must show; `None` if something else
    /// changed records, too.
    pub(crate) updates: Option<u64>,
    pub(crate) files: Vec<(BlobId, u64)>,
    /// Writes that failed, so that more may be there than was acknowledged.
    pub(crate) failed_writes: u64,
}

impl<'a> StoreTarget<'a> {
    pub(crate) fn new(store: &'a Store, workload: &'a Workload, keys: Keys) -> Self {
        let stripes = (0..workload.load.threads).map(|_| Stripe::default()).collect();
        let record_revisions = keys.records.iter().copied().map(AtomicU64::new).collect();
        let generator = Generator::new(workload.seed, workload.data.profile);
        Self { store, workload, generator, keys, record_revisions, stripes }
    }

    /// What was acknowledged until now; nobody works on the store any more.
    pub(crate) fn acknowledged(&self) -> Acknowledged {
        let threads = self.stripes.len() as u64;
        let (mut present, mut absent) = (Vec::new(), Vec::new());
        for (number, address) in self.keys.entities.iter().enumerate() {
            let number = number as u64;
            let stripe = &self.stripes[(number % threads) as usize];
            let turn = number / threads;
            if turn >= stripe.removing.load(Ordering::Relaxed) {
                present.push(*address);
            } else if turn < stripe.removed.load(Ordering::Relaxed) {
                absent.push(*address);
            }
        }
        for (thread, stripe) in self.stripes.iter().enumerate() {
            let removed = |count: &AtomicU64| self.of_new(thread, count.load(Ordering::Relaxed));
            let new = read(&stripe.entities);
            absent.extend_from_slice(&new[..removed(&stripe.removed)]);
            present.extend_from_slice(&new[removed(&stripe.removing)..]);
        }
        let first = self.record_revisions.len() as u64;
        let revision = |revision: &AtomicU64| revision.load(Ordering::Relaxed);
        let mut records: Vec<_> = (0..).zip(self.record_revisions.iter().map(revision)).collect();
        for (thread, stripe) in (0..).zip(&self.stripes) {
            let new = read(&stripe.records);
            let known = (0..).zip(new.iter().map(revision)).filter(|(_, at)| *at > 0);
            records.extend(known.map(|(turn, at): (u64, u64)| (first + turn * threads + thread, at)));
        }
        let writes_blindly = self.workload.operations().any(|operation| operation == Operation::WriteRecord);
        let sum =
            |of: fn(&Stripe) -> &AtomicU64| self.stripes.iter().map(|stripe| revision(of(stripe))).sum();
        Acknowledged {
            present,
            absent,
            records,
            updates: (!writes_blindly).then(|| sum(|stripe| &stripe.updates)),
            files: self.keys.files.clone(),
            failed_writes: sum(|stripe| &stripe.failed_writes),
        }
    }

    /// How many things of a kind have the numbers from 0 on without a gap, those included that threads stored meanwhile.
    fn count(&self, at_first: usize, of: fn(&Stripe) -> usize) -> u64 {
        let least = self.stripes.iter().map(of).min().unwrap_or(0);
        (at_first + least * self.stripes.len()) as u64
    }

    /// The address of the entity with a number; `None` if it is removed, or is being removed.
    fn entity_address(&self, number: u64) -> Option<Address> {
        let threads = self.stripes.len() as u64;
        let first = self.keys.entities.len() as u64;
        if number < first {
            let stripe = &self.stripes[(number % threads) as usize];
            let is_removed = number / threads < stripe.removing.load(Ordering::Acquire);
            return (!is_removed).then(|| self.keys.entities[number as usize]);
        }
        let (thread, turn) = (((number - first) % threads) as usize, ((number - first) / threads) as usize);
        let stripe = &self.stripes[thread];
        let is_removed = turn < self.of_new(thread, stripe.removing.load(Ordering::Acquire));
        if is_removed { None } else { read(&stripe.entities).get(turn).copied() }
    }

    /// How many of the entities that were there at first a thread removes.
    fn of_first(&self, thread: usize) -> usize {
        self.keys.entities.len().saturating_sub(thread).div_ceil(self.stripes.len())
    }

    /// How many of a thread's removals are of entities that it stored itself.
    fn of_new(&self, thread: usize, removals: u64) -> usize {
        (removals as usize).saturating_sub(self.of_first(thread))
    }

    /// Whether a thread has begun to remove an entity: then it may be there or not.
    fn is_being_removed(&self, address: &Address) -> bool {
        let threads = self.stripes.len();
        // Few workloads remove anything, and in those few lookups meet this.
        let is_it = |(thread, stripe): (usize, &Stripe)| {
            let turns = stripe.removing.load(Ordering::Acquire) as usize;
            let mut first = self.keys.entities.iter().skip(thread).step_by(threads).take(turns);
            let new = self.of_new(thread, turns as u64);
            first.any(|removed| removed == address) || read(&stripe.entities)[..new].contains(address)
        };
        self.stripes.iter().enumerate().any(is_it)
    }

    /// Whether a record with a number was acknowledged: of others nobody knows.
    fn is_acknowledged(&self, number: u64) -> bool {
        let first = self.record_revisions.len() as u64;
        let Some(behind) = number.checked_sub(first) else { return true };
        let threads = self.stripes.len() as u64;
        let new = read(&self.stripes[(behind % threads) as usize].records);
        new.get((behind / threads) as usize).is_some_and(|revision| revision.load(Ordering::Relaxed) > 0)
    }

    /// Notes the revision that changed a record.
    fn note_record(&self, number: u64, revision: u64) {
        let first = self.record_revisions.len() as u64;
        if number < first {
            self.record_revisions[number as usize].fetch_max(revision, Ordering::Relaxed);
            return;
        }
        let threads = self.stripes.len() as u64;
        let (thread, turn) = ((number - first) % threads, (number - first) / threads);
        if let Some(known) = read(&self.stripes[thread as usize].records).get(turn as usize) {
            known.fetch_max(revision, Ordering::Relaxed);
        }
    }
}

impl Target for StoreTarget<'_> {
    fn worker(&self, thread: usize) -> Box<dyn Worker + '_> {
        let seed = SplitMix64::nth(self.workload.seed ^ 0x1ab, thread as u64);
        let realms = REALMS.iter().filter_map(|realm| Identifier::new(realm)).collect();
        let chooser = |count: usize| Chooser::new(self.workload.keys, count as u64);
        let files = match self.workload.keys {
            // Files are not added, so the newest one is any.
            Distribution::Latest { theta } => Distribution::Zipfian { theta },
            other => other,
        };
        Box::new(StoreWorker {
            target: self,
            own: &self.stripes[thread],
            thread: thread as u64,
            random: SplitMix64::new(seed),
            entities: chooser(self.keys.entities.len()),
            records: chooser(self.record_revisions.len()),
            files: Chooser::new(files, self.keys.files.len() as u64),
            realms,
            durability: self.workload.store.durability,
            made: 0,
            prepared: Prepared::Impossible("nothing was prepared"),
            found: Found::Nothing,
        })
    }
}

/// One thread at work with a store.
struct StoreWorker<'a> {
    target: &'a StoreTarget<'a>,
    own: &'a Stripe,
    thread: u64,
    random: SplitMix64,
    entities: Chooser,
    records: Chooser,
    files: Chooser,
    realms: Vec<Identifier>,
    durability: Durability,
    /// New entities that were made, whether they were acknowledged or not.
    made: u64,
    prepared: Prepared,
    found: Found,
}

/// What the next operation needs.
enum Prepared {
    /// There is nothing that the operation could be done to, and why.
    Impossible(&'static str),
    Store(Batch, Vec<Address>),
    Remove(Address),
    Get(Address),
    GetAbsent(Address),
    GetMany(Vec<Address>),
    Find(Box<Query>),
    Near(Box<Coordinates>),
    ReadFile(BlobId, u64),
    ReadRecord(u64),
    WriteRecord(u64, Vec<u8>),
    InsertRecord(u64, Vec<u8>),
    UpdateRecord(u64),
    Scan(u64, usize),
}

/// What the operation found or was told.
enum Found {
    Nothing,
    /// These were acknowledged.
    Stored(Vec<Address>),
    Removed,
    /// Something is not as it should be.
    Wrong(String),
    Record(u64, Option<Vec<u8>>),
    /// A record was written at this revision.
    Written {
        number: u64,
        revision: u64,
    },
    Inserted {
        revision: u64,
    },
    /// A write failed, and nobody knows whether it happened.
    FailedWrite,
}

impl StoreWorker<'_> {
    /// The address of an entity that is there.
    fn choose_entity(&mut self) -> Option<Address> {
        let target = self.target;
        let count = target.count(target.keys.entities.len(), |stripe| read(&stripe.entities).len());
        if count == 0 {
            return None;
        }
        let chosen = self.entities.choose(count, &mut self.random);
        // One that was removed gives way to another one.
        target.entity_address(chosen).or_else(|| {
            let mut others = (0..64).map(|_| self.random.below(count));
            others.find_map(|other| target.entity_address(other))
        })
    }

    fn choose_record(&mut self) -> u64 {
        let target = self.target;
        let count = target.count(target.record_revisions.len(), |stripe| read(&stripe.records).len());
        self.records.choose(count, &mut self.random)
    }

    fn value(&self, number: u64, counter: u64) -> Vec<u8> {
        // A workload is checked for at most 1 MiB.
        record_value(number, counter, self.target.workload.data.record_bytes.0.max(16) as usize)
    }

    /// New entities, which no other thread makes.
    fn new_entities(&mut self, count: u64) -> Prepared {
        let threads = self.target.stripes.len() as u64;
        let first = self.target.keys.entities.len() as u64;
        let mut batch = Batch::new();
        let numbers = (self.made..self.made + count).map(|turn| first + turn * threads + self.thread);
        let addresses =
            numbers.map(|number| batch.put_entity(self.target.generator.entity(number))).collect();
        self.made += count;
        Prepared::Store(batch, addresses)
    }

    fn remove(&self) -> Prepared {
        let (target, thread) = (self.target, self.thread as usize);
        let turn = self.own.removing.load(Ordering::Relaxed);
        let address = match (turn as usize).checked_sub(target.of_first(thread)) {
            None => target.keys.entities.get(turn as usize * target.stripes.len() + thread).copied(),
            Some(new) => read(&self.own.entities).get(new).copied(),
        };
        let Some(address) = address else {
            return Prepared::Impossible("everything is removed; give more entities, or store some, too");
        };
        // Others stop asking for it before it goes.
        self.own.removing.store(turn + 1, Ordering::Release);
        Prepared::Remove(address)
    }

    /// A realm, and lineages of which about every tenth has one.
    fn query(&mut self) -> Query {
        let realm = self.realms[self.random.index(self.realms.len())];
        let min = self.random.below(200) as u32;
        let lineage = Interval { min: Some(min), max: Some(min + min / 8) };
        let filter = Filter { realm: vec![realm], lineage, ..Filter::default() };
        Query { filter, limit: FIND_LIMIT, ..Query::default() }
    }

    fn position(&mut self) -> Option<Coordinates> {
        let address = self.choose_entity()?;
        let entity = self.target.store.get(&address).ok()??.entity().ok()?;
        Some(entity.coordinates().clone())
    }

    /// Does what was prepared; how often it was begun again.
    fn try_to(&mut self) -> Result<u32, Error> {
        let (store, engine) = (self.target.store, self.target.store.engine());
        self.found = Found::Nothing;
        match &mut self.prepared {
            Prepared::Impossible(why) => return Err(Error::new(ErrorKind::Invalid, *why)),
            Prepared::Store(batch, addresses) => {
                self.found = Found::FailedWrite;
                store.commit(std::mem::take(batch), self.durability)?;
                self.found = Found::Stored(std::mem::take(addresses));
            }
            Prepared::Remove(address) => {
                let mut batch = Batch::new();
                batch.remove_entity(*address);
                self.found = Found::FailedWrite;
                store.commit(batch, self.durability)?;
                self.found = Found::Removed;
            }
            Prepared::Get(address) => match store.get(address)? {
                Some(entity) if entity.address() == *address => {}
                // Another thread may have removed it meanwhile.
                _ if self.target.is_being_removed(address) => {}
                _ => self.found = Found::Wrong(format!("get: {address} was acknowledged and is not found")),
            },
            Prepared::GetAbsent(address) => {
                if store.get(address)?.is_some() {
                    self.found = Found::Wrong(format!("get_absent: something is found at {address}"));
                }
            }
            Prepared::GetMany(addresses) => {
                let found = engine.entities(addresses)?;
                let missing =
                    addresses.iter().zip(&found).filter(|(_, found)| found.is_none()).map(|(a, _)| a);
                let lost = missing.filter(|address| !self.target.is_being_removed(address)).count();
                if lost > 0 || found.len() != addresses.len() {
                    self.found =
                        Found::Wrong(format!("get_many: {lost} of {} are not found", addresses.len()));
                }
            }
            Prepared::Find(query) => {
                let page = engine.find(query)?;
                if page.entities.len() > query.limit {
                    self.found =
                        Found::Wrong(format!("find: {} rows and not {}", page.entities.len(), query.limit));
                }
            }
            Prepared::Near(position) => {
                if engine.near(position, NEAR_K, None)?.is_empty() {
                    self.found = Found::Wrong("near: nothing is near an entity, not even itself".to_owned());
                }
            }
            Prepared::ReadFile(id, bytes) => {
                let read = match store.files().open(id)? {
                    Some(mut file) => io::copy(&mut file, &mut io::sink()).map_err(|error| {
                        error.downcast::<Error>().unwrap_or_else(|error| Error::io("reading", error))
                    })?,
                    None => u64::MAX,
                };
                if read != *bytes {
                    self.found = Found::Wrong(format!("read_file: {id} has not its {bytes} bytes"));
                }
            }
            Prepared::ReadRecord(number) => {
                self.found =
                    Found::Record(*number, engine.record(&record_key(*number))?.map(|record| record.value));
            }
            Prepared::WriteRecord(number, value) => {
                let number = *number;
                let value = std::mem::take(value);
                self.found = Found::FailedWrite;
                let revision = write(store, number, value, Expected::Any, self.durability)?;
                self.found = Found::Written { number, revision };
            }
            Prepared::InsertRecord(number, value) => {
                let (number, value) = (*number, std::mem::take(value));
                self.found = Found::Inserted { revision: 0 };
                let revision = write(store, number, value, Expected::Absent, self.durability)?;
                self.found = Found::Inserted { revision };
            }
            Prepared::UpdateRecord(number) => {
                let number = *number;
                return self.update_record(number);
            }
            Prepared::Scan(from, limit) => {
                let after = from.checked_sub(1).map(record_key);
                let rows = engine.records(COLLECTION, after.as_ref().map(RecordKey::key), *limit)?;
                let first = record_key(*from);
                if rows.first().is_none_or(|row| row.key != first) && self.target.is_acknowledged(*from) {
                    self.found = Found::Wrong(format!("scan: it does not begin with {}", first.key()));
                }
            }
        }
        Ok(0)
    }

    /// Reads a record, counts on, and writes it if nobody else did meanwhile.
    fn update_record(&mut self, number: u64) -> Result<u32, Error> {
        let store = self.target.store;
        for retries in 0.. {
            let Some(mut record) = store.engine().record(&record_key(number))? else {
                self.found =
                    Found::Wrong(format!("update_record: {} is not found", record_key(number).key()));
                return Ok(retries);
            };
            let Some(counter) = record.value.get_mut(8..16) else { break };
            let next = u64::from_le_bytes(counter.try_into().unwrap_or_default()).wrapping_add(1);
            counter.copy_from_slice(&next.to_le_bytes());
            let expected = Expected::Revision(record.revision);
            match write(store, number, record.value, expected, self.durability) {
                Ok(revision) => {
                    self.own.updates.fetch_add(1, Ordering::Relaxed);
                    self.found = Found::Written { number, revision };
                    return Ok(retries);
                }
                Err(error) if error.kind() == ErrorKind::Conflict => {}
                Err(error) => {
                    self.found = Found::FailedWrite;
                    return Err(error);
                }
            }
        }
        self.found =
            Found::Wrong(format!("update_record: {} has too short a value", record_key(number).key()));
        Ok(0)
    }
}

fn write(
    store: &Store,
    number: u64,
    value: Vec<u8>,
    expected: Expected,
    durability: Durability,
) -> Result<u64, Error> {
    let mut batch = Batch::new();
    batch.put_record(record_key(number), value, expected);
    store.commit(batch, durability).map(|commit| commit.revision)
}

impl Worker for StoreWorker<'_> {
    fn prepare(&mut self, operation: Operation) {
        let batch = self.target.workload.load.batch;
        let nothing = Prepared::Impossible("every entity that was tried is removed; give more of them");
        self.prepared = match operation {
            Operation::Put => self.new_entities(1),
            Operation::PutBatch => self.new_entities(batch as u64),
            Operation::Remove => self.remove(),
            Operation::Get => self.choose_entity().map_or(nothing, Prepared::Get),
            Operation::GetAbsent => {
                let mut address = [0; 32];
                address
                    .chunks_mut(8)
                    .for_each(|part| part.copy_from_slice(&self.random.next_u64().to_le_bytes()));
                Prepared::GetAbsent(Address(address))
            }
            Operation::GetMany => {
                let chosen: Vec<_> = (0..batch).filter_map(|_| self.choose_entity()).collect();
                if chosen.is_empty() { nothing } else { Prepared::GetMany(chosen) }
            }
            Operation::Find => Prepared::Find(Box::new(self.query())),
            Operation::Near => self.position().map_or(nothing, |position| Prepared::Near(Box::new(position))),
            Operation::ReadFile => {
                let files = &self.target.keys.files;
                let (id, bytes) = files[self.files.choose(files.len() as u64, &mut self.random) as usize];
                Prepared::ReadFile(id, bytes)
            }
            Operation::ReadRecord => Prepared::ReadRecord(self.choose_record()),
            Operation::WriteRecord => {
                let (number, counter) = (self.choose_record(), self.random.next_u64());
                Prepared::WriteRecord(number, self.value(number, counter))
            }
            Operation::InsertRecord => {
                let (threads, first) = (self.target.stripes.len(), self.target.record_revisions.len());
                let number = (first + read(&self.own.records).len() * threads) as u64 + self.thread;
                Prepared::InsertRecord(number, self.value(number, 0))
            }
            Operation::UpdateRecord => Prepared::UpdateRecord(self.choose_record()),
            Operation::Scan => {
                let length = 1 + self.random.index(self.target.workload.load.scan_length);
                Prepared::Scan(self.choose_record(), length)
            }
        };
    }

    fn perform(&mut self) -> Outcome {
        match self.try_to() {
            Ok(retries) => Outcome::Done { retries },
            Err(error) => Outcome::Failed(error.to_string()),
        }
    }

    fn settle(&mut self) -> Option<String> {
        match std::mem::replace(&mut self.found, Found::Nothing) {
            Found::Nothing => None,
            Found::Stored(addresses) => {
                push(&self.own.entities, addresses);
                None
            }
            Found::Removed => {
                self.own.removed.store(self.own.removing.load(Ordering::Relaxed), Ordering::Relaxed);
                None
            }
            Found::Wrong(message) => Some(message),
            Found::Record(number, Some(value)) if counter_of(number, &value).is_some() => None,
            Found::Record(number, None) if !self.target.is_acknowledged(number) => None,
            Found::Record(number, value) => {
                let what = if value.is_some() {
                    "has another value than any that was written"
                } else {
                    "is not found"
                };
                Some(format!("read_record: {} {what}", record_key(number).key()))
            }
            Found::Written { number, revision } => {
                self.target.note_record(number, revision);
                None
            }
            Found::Inserted { revision } => {
                if revision == 0 {
                    self.own.failed_writes.fetch_add(1, Ordering::Relaxed);
                }
                push(&self.own.records, [AtomicU64::new(revision)]);
                None
            }
            Found::FailedWrite => {
                self.own.failed_writes.fetch_add(1, Ordering::Relaxed);
                None
            }
        }
    }
}
