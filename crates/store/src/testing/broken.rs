//! Engines that are broken on purpose, to see that every check can fail.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use statlas_core::{Address, AddressPrefix, BlobId, Coordinates, Entity};

use super::{CONFORMANCE, Check, PERSISTENCE};
use crate::batch::{Batch, BlobForm, Expected, Operation, RecordKey};
use crate::engine::memory::MemoryEngine;
use crate::engine::{
    CheckReport, Commit, Durability, Engine, Neighbour, Page, ProgressFn, Record, Stats, StoredBlob,
    StoredEntity,
};
use crate::error::Result;
use crate::query::{Filter, Interval, OrderBy, Query};
use crate::store::Store;

/// What is wrong with an engine. Everything else is as it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    StoresEachOperationByItself,
    DropsWhatIsRefused,
    IgnoresRemovals,
    IgnoresExpectations,
    IgnoresLimitsOfBatches,
    CountsNothing,
    CountsEveryBatchAsRevision,
    LosesAttachments,
    CutsLargeContents,
    LooksAtEightBytesOfAnAddress,
    TakesBlobsForEntities,
    ReversesLists,
    IgnoresLimitsOfLists,
    SkipsTheFirst,
    JoinsCollectionAndKey,
    FoldsCaseOfIds,
    IgnoresConditionsOfProfiles,
    IgnoresNeighbours,
    IgnoresLatest,
    IgnoresOrder,
    IgnoresCursor,
    FailsAtInfinity,
    FindsUnknownNames,
    ForgetsRowsBehind65536,
    NearForgetsWhatToLeaveOut,
    ReportsDamage,
    NeverCloses,
}

const FAULTS: [Fault; 27] = [
    Fault::StoresEachOperationByItself,
    Fault::DropsWhatIsRefused,
    Fault::IgnoresRemovals,
    Fault::IgnoresExpectations,
    Fault::IgnoresLimitsOfBatches,
    Fault::CountsNothing,
    Fault::CountsEveryBatchAsRevision,
    Fault::LosesAttachments,
    Fault::CutsLargeContents,
    Fault::LooksAtEightBytesOfAnAddress,
    Fault::TakesBlobsForEntities,
    Fault::ReversesLists,
    Fault::IgnoresLimitsOfLists,
    Fault::SkipsTheFirst,
    Fault::JoinsCollectionAndKey,
    Fault::FoldsCaseOfIds,
    Fault::IgnoresConditionsOfProfiles,
    Fault::IgnoresNeighbours,
    Fault::IgnoresLatest,
    Fault::IgnoresOrder,
    Fault::IgnoresCursor,
    Fault::FailsAtInfinity,
    Fault::FindsUnknownNames,
    Fault::ForgetsRowsBehind65536,
    Fault::NearForgetsWhatToLeaveOut,
    Fault::ReportsDamage,
    Fault::NeverCloses,
];

struct Broken {
    inner: MemoryEngine,
    fault: Fault,
    commits: AtomicU64,
}

fn store(fault: Fault) -> Store {
    Store::with_engine(Arc::new(Broken { inner: MemoryEngine::new(), fault, commits: AtomicU64::new(0) }))
}

/// Adds an operation that was taken out of another batch.
fn push(batch: &mut Batch, operation: Operation) {
    match operation {
        Operation::PutEntity(change) => {
            let entity = Entity::from_canonical(&change.canonical).expect("a batch holds canonical texts");
            batch.put_entity(entity.with_attachments(change.token, change.blob));
        }
        Operation::RemoveEntity(address) => batch.remove_entity(address),
        Operation::PutBlob { id, form, bytes } => batch.push_blob(id, form, bytes),
        Operation::RemoveBlob(id) => batch.remove_blob(id),
        Operation::PutRecord { key, value, expected } => batch.put_record(key, value, expected),
        Operation::RemoveRecord { key, expected } => batch.remove_record(key, expected),
    }
}

impl Broken {
    fn has(&self, fault: Fault) -> bool {
        self.fault == fault
    }

    fn limit(&self, limit: usize) -> usize {
        if self.has(Fault::IgnoresLimitsOfLists) { usize::MAX >> 1 } else { limit }
    }

    /// A list in the order, and without the rows, that the fault makes of it.
    fn list<T>(&self, mut list: Vec<T>) -> Vec<T> {
        if self.has(Fault::ReversesLists) {
            list.reverse();
        }
        if self.has(Fault::SkipsTheFirst) && !list.is_empty() {
            list.remove(0);
        }
        list
    }

    fn key(&self, key: &RecordKey) -> Result<RecordKey> {
        if self.has(Fault::JoinsCollectionAndKey) {
            return RecordKey::new("joined", &format!("{}{}", key.collection(), key.key()));
        }
        Ok(key.clone())
    }

    fn entity_as_read(&self, mut entity: StoredEntity) -> StoredEntity {
        if self.has(Fault::LosesAttachments) {
            (entity.token, entity.blob) = (None, None);
        }
        if self.has(Fault::CutsLargeContents) && entity.canonical.len() > 10_000 {
            entity.canonical.end -= 1;
        }
        entity
    }

    fn filter(&self, filter: &Filter) -> Filter {
        let mut filter = filter.clone();
        match self.fault {
            Fault::IgnoresConditionsOfProfiles => {
                filter.profile.clear();
                filter.resonance = Interval::default();
            }
            Fault::IgnoresNeighbours => {
                filter.adjacent.pop();
            }
            Fault::IgnoresLatest => filter.latest = false,
            Fault::FindsUnknownNames => filter.realm.retain(|name| name.as_str() != "unheard_of"),
            Fault::FailsAtInfinity => {
                let ends = [filter.resonance.min, filter.resonance.max];
                assert!(ends.iter().flatten().all(|end| end.is_finite()), "infinity is too much");
            }
            _ => {}
        }
        filter
    }

    fn query(&self, query: &Query) -> Query {
        let mut query = Query { filter: self.filter(&query.filter), ..query.clone() };
        match self.fault {
            Fault::IgnoresOrder => query.order_by = OrderBy::Commit,
            Fault::IgnoresCursor => query.after = None,
            Fault::IgnoresLimitsOfLists => query.limit = query.limit.max(1) * 2,
            _ => {}
        }
        query
    }

    /// The batch that the fault makes of a batch.
    fn batch(&self, batch: Batch) -> Result<Batch> {
        let mut changed = Batch::new();
        for operation in batch.into_operations() {
            match operation {
                Operation::RemoveEntity(_) | Operation::RemoveBlob(_) | Operation::RemoveRecord { .. }
                    if self.has(Fault::IgnoresRemovals) => {}
                Operation::PutRecord { key, value, expected } => {
                    let ignores = self.has(Fault::IgnoresExpectations);
                    changed.put_record(
                        self.key(&key)?,
                        value,
                        if ignores { Expected::Any } else { expected },
                    );
                }
                Operation::RemoveRecord { key, expected } => changed.remove_record(self.key(&key)?, expected),
                Operation::PutBlob { bytes, .. }
                    if self.has(Fault::IgnoresLimitsOfBatches) && bytes.len() > 8 << 20 => {}
                other => push(&mut changed, other),
            }
        }
        Ok(changed)
    }
}

impl Engine for Broken {
    fn commit(&self, batch: Batch, durability: Durability) -> Result<Commit> {
        let mut batch = self.batch(batch)?;
        let number = self.commits.fetch_add(1, Ordering::Relaxed) + 1;
        if self.has(Fault::StoresEachOperationByItself) && batch.len() < 1000 {
            let mut commit = self.inner.commit(Batch::new(), durability)?;
            for operation in batch.into_operations() {
                let mut one = Batch::new();
                push(&mut one, operation);
                commit += self.inner.commit(one, durability)?;
            }
            return Ok(commit);
        }
        let mut committed = self.inner.commit(batch.clone(), durability);
        while let (Fault::DropsWhatIsRefused, Err(error)) = (self.fault, &committed) {
            let Some(refused) = error.operation() else { break };
            let mut rest = Batch::new();
            let operations = batch.into_operations().into_iter().enumerate();
            operations
                .filter(|(index, _)| *index != refused)
                .for_each(|(_, operation)| push(&mut rest, operation));
            batch = rest;
            committed = self.inner.commit(batch.clone(), durability);
        }
        let commit = committed?;
        Ok(match self.fault {
            Fault::CountsNothing => Commit { revision: commit.revision, ..Commit::default() },
            Fault::CountsEveryBatchAsRevision => Commit { revision: number, ..commit },
            _ => commit,
        })
    }

    fn sync(&self) -> Result<()> {
        self.inner.sync()
    }

    fn entity(&self, address: &Address) -> Result<Option<StoredEntity>> {
        let mut found = self.inner.entity(address)?;
        if found.is_none() && self.has(Fault::LooksAtEightBytesOfAnAddress) {
            let prefix: AddressPrefix = address.to_string()[..16].parse()?;
            let other = self.inner.addresses(&prefix, 1)?;
            found = other.first().map(|other| self.inner.entity(other)).transpose()?.flatten();
        }
        if found.is_none() && self.has(Fault::TakesBlobsForEntities) {
            found = self.inner.blob(&BlobId(address.0))?.map(|blob| {
                let canonical = 0..blob.bytes.len();
                StoredEntity { address: *address, bytes: blob.bytes, canonical, token: None, blob: None }
            });
        }
        Ok(found.map(|entity| self.entity_as_read(entity)))
    }

    fn entities(&self, addresses: &[Address]) -> Result<Vec<Option<StoredEntity>>> {
        Ok(self.list(addresses.iter().map(|address| self.entity(address)).collect::<Result<_>>()?))
    }

    fn addresses(&self, prefix: &AddressPrefix, limit: usize) -> Result<Vec<Address>> {
        Ok(self.list(self.inner.addresses(prefix, self.limit(limit))?))
    }

    fn versions(&self, id: &str) -> Result<Vec<Address>> {
        let mut versions = self.inner.versions(id)?;
        if self.has(Fault::FoldsCaseOfIds) && id.len() < 9 {
            versions.extend(self.inner.versions(&id.to_uppercase())?);
        }
        Ok(self.list(versions))
    }

    fn find(&self, query: &Query) -> Result<Page> {
        let Page { entities, next } = self.inner.find(&self.query(query))?;
        let entities = self.list(entities.into_iter().map(|entity| self.entity_as_read(entity)).collect());
        let forgets = self.has(Fault::ForgetsRowsBehind65536) && self.inner.stats().entities > 65_536;
        Ok(Page { entities, next: next.filter(|_| !forgets) })
    }

    fn count(&self, filter: &Filter) -> Result<u64> {
        self.inner.count(&self.filter(filter))
    }

    fn near(&self, position: &Coordinates, k: usize, except: Option<&Address>) -> Result<Vec<Neighbour>> {
        let except = except.filter(|_| !self.has(Fault::NearForgetsWhatToLeaveOut));
        Ok(self.list(self.inner.near(position, k, except)?))
    }

    fn blob(&self, id: &BlobId) -> Result<Option<StoredBlob>> {
        let mut found = self.inner.blob(id)?;
        if let Some(StoredBlob { form: BlobForm::Whole, bytes }) = &mut found
            && self.has(Fault::CutsLargeContents)
            && bytes.len() > 10_000
        {
            bytes.pop();
        }
        Ok(found)
    }

    fn has_blob(&self, id: &BlobId) -> Result<bool> {
        let taken = self.has(Fault::LooksAtEightBytesOfAnAddress) && id.0[0] % 2 == 0;
        Ok(taken || self.inner.has_blob(id)?)
    }

    fn record(&self, key: &RecordKey) -> Result<Option<Record>> {
        let Some(mut record) = self.inner.record(&self.key(key)?)? else { return Ok(None) };
        record.key = key.clone();
        if self.has(Fault::CutsLargeContents) && record.value.len() > 10_000 {
            record.value.pop();
        }
        if self.has(Fault::CountsEveryBatchAsRevision) {
            record.revision = self.commits.load(Ordering::Relaxed);
        }
        Ok(Some(record))
    }

    fn records(&self, collection: &str, after: Option<&str>, limit: usize) -> Result<Vec<Record>> {
        Ok(self.list(self.inner.records(collection, after, self.limit(limit))?))
    }

    fn stats(&self) -> Stats {
        let stats = self.inner.stats();
        if self.has(Fault::CountsNothing) {
            Stats { revision: stats.revision, ..Stats::default() }
        } else {
            stats
        }
    }

    fn check(&self, progress: ProgressFn<'_>) -> Result<CheckReport> {
        let mut report = self.inner.check(progress)?;
        if self.has(Fault::ReportsDamage) {
            report.damage.push("everything".to_owned());
        }
        Ok(report)
    }

    fn close(&self) -> Result<()> {
        if self.has(Fault::NeverCloses) { Ok(()) } else { self.inner.close() }
    }
}

fn fails(check: &Check, place: &dyn Fn() -> Store) -> bool {
    catch_unwind(AssertUnwindSafe(|| check.run(place))).is_err()
}

#[test]
fn every_check_fails_for_some_broken_engine() {
    for check in CONFORMANCE {
        let caught = FAULTS.iter().find(|fault| fails(check, &|| store(**fault)));
        assert!(caught.is_some(), "{} passes whatever is broken", check.name);
    }
}

#[test]
fn every_broken_engine_fails_some_check() {
    for fault in FAULTS {
        let caught = CONFORMANCE.iter().find(|check| fails(check, &|| store(fault)));
        assert!(caught.is_some(), "no check notices an engine that {fault:?}");
    }
}

#[test]
fn every_check_of_persistence_fails_for_an_engine_that_forgets() {
    for check in PERSISTENCE {
        assert!(fails(check, &|| store(Fault::ReportsDamage)), "{} passes without persistence", check.name);
    }
}
#[test]
fn tmp_matrix() {
    for check in CONFORMANCE {
        if check.name.contains("65536") || check.name.contains("beyond_its") {
            continue;
        }
        let caught: Vec<_> = FAULTS.iter().filter(|fault| fails(check, &|| store(**fault))).collect();
        std::fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open("/tmp/matrix.txt")
            .map(|mut f| {
                use std::io::Write;
                writeln!(f, "{} {caught:?}", check.name)
            })
            .unwrap()
            .unwrap();
    }
}
