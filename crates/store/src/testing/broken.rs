//! Engines that are broken on purpose, to see that every check can fail.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use statlas_core::{Address, AddressPrefix, BlobId, Coordinates, Entity};

use super::{CONFORMANCE, Check, PERSISTENCE};
use crate::batch::{Batch, BlobForm, Expected, Operation, RecordKey};
use crate::change::{Change, ChangeKind, Changes};
use crate::engine::memory::MemoryEngine;
use crate::engine::{
    CheckReport, Commit, Durability, Engine, NearToken, Neighbour, Page, ProgressFn, Record, Stats,
    StoredBlob, StoredEntity,
};
use crate::engine::{FreeOptions, FreeReport, Pins};
use crate::error::Result;
use crate::query::{Filter, Interval, OrderBy, Query, TokenQuery};
use crate::store::Store;

/// What is wrong with an engine. Everything else is as it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Nothing,
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
    FindsOnlyOneVersion,
    TakesAnyRadius,
    ReportsDamage,
    MakesChangesUp,
    NeverWaits,
    NeverCloses,
    TakesChunksForBlobs,
    FreesNothing,
    FreesWhatWasNeverNamed,
    KeepsChunks,
    ForgetsPins,
    FreesInDryRuns,
}

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
        for operation in batch.into_parts().0 {
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
                Operation::PutBlob { id, form: BlobForm::Chunk, bytes }
                    if self.has(Fault::TakesChunksForBlobs) =>
                {
                    changed.push_blob(id, BlobForm::Whole, bytes);
                }
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
            for operation in batch.into_parts().0 {
                let mut one = Batch::new();
                push(&mut one, operation);
                commit += self.inner.commit(one, durability)?;
                std::thread::yield_now();
                // So that other threads have time to see it.
                std::thread::sleep(Duration::from_micros(300));
            }
            return Ok(commit);
        }
        let mut committed = self.inner.commit(batch.clone(), durability);
        while let (Fault::DropsWhatIsRefused, Err(error)) = (self.fault, &committed) {
            let Some(refused) = error.operation() else { break };
            let mut rest = Batch::new();
            let operations = batch.into_parts().0.into_iter().enumerate();
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

    fn near_token(&self, query: &TokenQuery) -> Result<Vec<NearToken>> {
        let mut query = query.clone();
        match self.fault {
            Fault::NearForgetsWhatToLeaveOut => query.except = None,
            Fault::FindsOnlyOneVersion => {
                let mut found = self.inner.near_token(&query)?;
                let mut ids = HashSet::new();
                found.retain(|near| near.entity.head().is_ok_and(|head| ids.insert(head.id.to_string())));
                return Ok(found);
            }
            Fault::TakesAnyRadius => query.radius = query.radius.map(|radius| radius.max(0.0)),
            _ => {}
        }
        Ok(self.list(self.inner.near_token(&query)?))
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
        let taken = self.has(Fault::LooksAtEightBytesOfAnAddress) && id.0[0].is_multiple_of(2);
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

    fn changes(&self, after: u64, limit: usize) -> Result<Changes> {
        let after = if self.has(Fault::IgnoresCursor) { 0 } else { after };
        let Changes { changes, revision } = self.inner.changes(after, self.limit(limit))?;
        let mut changes = self.list(changes);
        if changes.is_empty() && self.has(Fault::MakesChangesUp) {
            changes.push(Change { revision, ordinal: 0, kind: ChangeKind::BlobPut(BlobId([0; 32])) });
        }
        Ok(Changes { changes, revision })
    }

    fn wait_for_change(&self, after: u64, at_most: Duration) -> Result<u64> {
        if self.has(Fault::NeverWaits) { Ok(after) } else { self.inner.wait_for_change(after, at_most) }
    }

    fn stats(&self) -> Stats {
        let stats = self.inner.stats();
        if self.has(Fault::CountsNothing) {
            Stats { revision: stats.revision, ..Stats::default() }
        } else {
            stats
        }
    }

    fn pins(&self) -> Option<&Arc<Pins>> {
        self.inner.pins().filter(|_| !self.has(Fault::ForgetsPins))
    }

    fn free_blobs(&self, options: &FreeOptions, progress: ProgressFn<'_>) -> Result<FreeReport> {
        let mut options = *options;
        match self.fault {
            Fault::FreesNothing => options.dry_run = true,
            Fault::FreesInDryRuns => options.dry_run = false,
            Fault::FreesWhatWasNeverNamed => options.unnamed = true,
            Fault::KeepsChunks => return Ok(FreeReport { is_complete: true, ..FreeReport::default() }),
            _ => {}
        }
        self.inner.free_blobs(&options, progress)
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

/// For each check a fault that it must notice.
const NOTICED: [(&str, Fault); 79] = [
    ("an_entity_comes_back_as_it_was_put", Fault::LosesAttachments),
    ("an_absent_entity_is_none", Fault::LooksAtEightBytesOfAnAddress),
    ("what_is_attached_to_an_entity_comes_back", Fault::LosesAttachments),
    ("entities_come_back_in_the_order_asked_for", Fault::ReversesLists),
    ("putting_an_entity_again_changes_nothing", Fault::CountsEveryBatchAsRevision),
    ("an_entity_that_is_removed_is_absent", Fault::IgnoresRemovals),
    ("a_removed_entity_can_be_put_again", Fault::ReversesLists),
    ("putting_and_removing_an_entity_in_one_batch_leaves_nothing", Fault::StoresEachOperationByItself),
    ("the_addresses_with_a_prefix_come_in_order", Fault::IgnoresLimitsOfLists),
    ("large_entities_come_back", Fault::CutsLargeContents),
    ("versions_are_in_the_order_of_their_commits", Fault::ReversesLists),
    ("versions_in_one_batch_are_in_the_order_of_the_batch", Fault::SkipsTheFirst),
    ("ids_that_look_alike_are_told_apart", Fault::FoldsCaseOfIds),
    ("a_version_that_changes_what_must_not_change_is_refused", Fault::DropsWhatIsRefused),
    ("two_versions_in_one_batch_obey_the_mutability_rules", Fault::DropsWhatIsRefused),
    ("the_version_before_a_removed_head_is_the_head", Fault::IgnoresRemovals),
    ("rules_look_at_the_head_that_is_left", Fault::DropsWhatIsRefused),
    ("removing_in_a_batch_is_seen_by_the_rules_of_that_batch", Fault::IgnoresRemovals),
    ("a_blob_comes_back_as_it_was_put", Fault::CutsLargeContents),
    ("an_absent_blob_is_none", Fault::LooksAtEightBytesOfAnAddress),
    ("putting_a_blob_again_changes_nothing", Fault::CountsEveryBatchAsRevision),
    ("a_removed_blob_is_absent_and_can_be_put_again", Fault::IgnoresRemovals),
    ("entities_and_blobs_live_in_separate_key_spaces", Fault::TakesBlobsForEntities),
    ("a_file_comes_back_as_it_was_put", Fault::CutsLargeContents),
    ("a_whole_blob_takes_the_place_of_a_chunk_and_no_other_way_round", Fault::TakesChunksForBlobs),
    ("what_removed_entities_named_is_freed_and_what_no_entity_named_stays", Fault::FreesWhatWasNeverNamed),
    ("blobs_that_no_entity_ever_named_are_freed_on_demand", Fault::FreesNothing),
    ("chunks_live_as_long_as_a_manifest_names_them", Fault::KeepsChunks),
    ("a_file_stays_as_long_as_somebody_holds_it", Fault::ForgetsPins),
    ("a_dry_run_frees_nothing_and_counts_what_would_go", Fault::FreesInDryRuns),
    ("a_record_comes_back_with_the_revision_that_set_it", Fault::CountsEveryBatchAsRevision),
    ("a_record_that_is_removed_is_absent", Fault::IgnoresRemovals),
    ("a_record_changes_only_if_it_is_as_expected", Fault::IgnoresExpectations),
    ("of_two_changes_of_a_record_in_one_batch_the_last_counts", Fault::IgnoresRemovals),
    ("an_expectation_looks_at_earlier_changes_of_its_batch", Fault::StoresEachOperationByItself),
    ("the_same_key_in_two_collections_is_two_records", Fault::JoinsCollectionAndKey),
    ("records_are_listed_in_the_order_of_their_keys", Fault::ReversesLists),
    ("records_of_every_legal_size_come_back", Fault::CutsLargeContents),
    ("a_refused_operation_leaves_nothing_of_its_batch", Fault::StoresEachOperationByItself),
    ("a_batch_beyond_its_limits_is_refused", Fault::IgnoresLimitsOfBatches),
    ("a_token_that_breaks_the_rules_of_tokens_is_refused", Fault::DropsWhatIsRefused),
    ("the_revision_grows_by_one_with_each_batch_that_changes_something", Fault::IgnoresRemovals),
    ("a_batch_that_changes_nothing_keeps_the_revision", Fault::CountsEveryBatchAsRevision),
    ("a_commit_counts_what_it_did", Fault::CountsNothing),
    ("figures_count_what_is_there", Fault::CountsNothing),
    ("a_check_finds_a_sound_store_sound", Fault::ReportsDamage),
    ("every_condition_selects_the_rows_that_meet_it", Fault::IgnoresConditionsOfProfiles),
    ("conjunctions_select_the_rows_that_meet_all_conditions", Fault::IgnoresNeighbours),
    ("every_order_goes_both_ways", Fault::IgnoresOrder),
    ("an_open_or_infinite_end_excludes_nothing", Fault::FailsAtInfinity),
    ("names_that_nothing_has_find_nothing", Fault::FindsUnknownNames),
    ("adjacent_asks_for_every_neighbour", Fault::IgnoresNeighbours),
    ("latest_asks_for_the_newest_version_that_is_left", Fault::IgnoresLatest),
    ("removed_entities_are_not_found", Fault::IgnoresRemovals),
    ("paging_sees_each_row_once_while_rows_come_and_go", Fault::IgnoresCursor),
    ("a_cursor_survives_as_text", Fault::IgnoresCursor),
    ("a_limit_of_nothing_finds_nothing", Fault::IgnoresLimitsOfLists),
    ("answers_are_right_beyond_65536_rows", Fault::ForgetsRowsBehind65536),
    ("near_is_what_comparing_with_every_entity_finds", Fault::SkipsTheFirst),
    ("entities_that_are_equally_near_come_in_the_order_of_their_commits", Fault::ReversesLists),
    ("near_leaves_out_one_entity_and_those_removed", Fault::NearForgetsWhatToLeaveOut),
    ("near_token_is_what_comparing_with_every_token_finds", Fault::SkipsTheFirst),
    ("tokens_that_are_equally_near_come_in_the_order_of_their_commits", Fault::ReversesLists),
    ("near_token_leaves_out_one_entity_and_those_removed", Fault::NearForgetsWhatToLeaveOut),
    ("versions_are_found_by_the_tokens_that_they_carry", Fault::FindsOnlyOneVersion),
    ("a_radius_that_is_no_distance_is_refused", Fault::TakesAnyRadius),
    ("readers_see_whole_batches_only", Fault::StoresEachOperationByItself),
    ("concurrent_increments_of_a_record_lose_none", Fault::IgnoresExpectations),
    ("an_entity_that_many_put_at_once_is_new_once", Fault::CountsNothing),
    ("batches_of_many_threads_are_all_there", Fault::StoresEachOperationByItself),
    ("every_change_is_reported_once_in_order_with_its_revision", Fault::ReversesLists),
    ("changes_come_in_pages_of_whole_revisions", Fault::IgnoresLimitsOfLists),
    ("watching_goes_on_where_it_was_left", Fault::IgnoresCursor),
    ("a_batch_that_changes_nothing_makes_no_change", Fault::MakesChangesUp),
    ("a_revision_of_the_future_is_refused", Fault::IgnoresCursor),
    ("waiting_ends_when_something_changes", Fault::NeverWaits),
    ("closing_wakes_those_who_wait", Fault::NeverWaits),
    ("watchers_see_every_batch_of_many_writers_whole", Fault::StoresEachOperationByItself),
    ("after_close_every_call_says_so", Fault::NeverCloses),
];

#[test]
fn every_check_notices_the_fault_that_it_is_there_for() {
    let checks: Vec<&str> = CONFORMANCE.iter().map(|check| check.name).collect();
    assert_eq!(checks, NOTICED.map(|(name, _)| name), "every check needs its fault");
    for (check, (name, fault)) in CONFORMANCE.iter().zip(NOTICED) {
        assert!(fails(check, &|| store(fault)), "{name} passes with an engine that {fault:?}");
    }
}

#[test]
fn every_check_of_persistence_notices_an_engine_that_forgets() {
    for check in PERSISTENCE {
        // Opening the place again gives an empty store.
        assert!(fails(check, &|| store(Fault::Nothing)), "{} passes without persistence", check.name);
    }
}

fn fails(check: &Check, place: &dyn Fn() -> Store) -> bool {
    catch_unwind(AssertUnwindSafe(|| check.run(place))).is_err()
}
