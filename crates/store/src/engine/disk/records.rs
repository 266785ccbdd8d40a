//! Records: where the newest change of each stands, and listing them in order.
//!
//! No index leads to records. The segment that is being written has its changes in memory, every complete one in
//! its sidecar, and of those that name a record the newest decides, be it that it sets or that it removes it. So
//! the memory that records take does not grow with their number.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::DiskEngine;
use super::active::Active;
use super::format::{Location, SegmentId};
use super::log::{Reader, corrupt};
use super::sidecar::{RecordEntry, Sidecar, SidecarRecord, TableId, name_hash};
use super::tables::Inner;
use super::view::{Sealed, Segment, View, complete};
use crate::batch::RecordKey;
use crate::engine::Record;
use crate::error::{Error, ErrorKind, Result};
use crate::overlay::UNKNOWN_REVISION;

/// Where the newest change of a record stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RecordPlace {
    pub(super) location: Location,
    pub(super) revision: u64,
    /// Whether the change removed it.
    pub(super) removed: bool,
}

impl RecordPlace {
    pub(super) fn at(segment: SegmentId, entry: RecordEntry) -> Self {
        let RecordEntry { place, revision, removed } = entry;
        Self { location: Location::at(segment, place), revision, removed }
    }

    /// Nothing where the record was removed.
    pub(super) fn live(self) -> Option<Self> {
        (!self.removed).then_some(self)
    }
}

/// The key of a record in tables and filters.
pub(super) fn record_hash(key: &RecordKey) -> u64 {
    name_hash(key.collection(), key.key())
}

/// The newest change of a record in some complete segments, which come the newest first.
pub(super) fn newest_record<'a>(
    complete: impl Iterator<Item = (SegmentId, &'a Sealed)>,
    key: &RecordKey,
) -> Result<Option<RecordPlace>> {
    let hash = record_hash(key);
    for (id, sealed) in complete {
        if !sealed.sidecar.may_hold(TableId::Records, hash) {
            continue;
        }
        if let Some(entry) = sealed.sidecar.find_record(key.collection(), key.key())? {
            return Ok(Some(RecordPlace::at(id, entry)));
        }
    }
    Ok(None)
}

/// How many records there are in complete segments, counted one by one.
pub(super) fn count_records(segments: &[Segment]) -> Result<u64> {
    let mut changes = NewestChanges::behind(segments, None, ("", ""))?;
    let mut records = 0;
    while let Some((_, place)) = changes.next()? {
        records += u64::from(!place.removed);
    }
    Ok(records)
}

impl Inner {
    /// Puts a damaged place, or one whose revision is not known, in that of a record: what that was before is out of
    /// date, and who reads it is told.
    pub(super) fn set_damaged_record(
        &mut self,
        view: &View,
        key: &RecordKey,
        location: Location,
    ) -> Result<()> {
        let before = match self.active.record(key) {
            None => newest_record(view.complete(), key)?,
            found => found,
        };
        self.records_live += u64::from(before.and_then(RecordPlace::live).is_none());
        self.active.add_record(key, location, UNKNOWN_REVISION, false);
        Ok(())
    }
}

/// Bytes that records of a copied segment take whose newest change stands in segments behind `known`, the last that
/// was complete when it was copied.
pub(super) fn replaced_since(copied: &Active, segments: &[Segment], known: SegmentId) -> Result<u64> {
    let Some(at) = segments.iter().position(|segment| segment.log.id == known) else { return Ok(0) };
    let mut bytes = 0;
    for (_, sealed) in complete(&segments[at + 1..]) {
        for number in 0..sealed.sidecar.records_len() {
            let SidecarRecord { collection, key, .. } = sealed.sidecar.record_at(number)?;
            bytes += live_bytes(copied, &RecordKey::bound(collection, key));
        }
    }
    Ok(bytes)
}

/// Notes what records of a copied segment take that the segment that is being written has changed since.
pub(super) fn note_replaced(copied: &Active, sealed: &Sealed, inputs: &[Segment], active: &mut Active) {
    inputs.iter().for_each(|input| active.forget_replaced(input.log.id));
    let bytes = active.records().map(|(key, _)| live_bytes(copied, key)).sum();
    if bytes > 0 {
        sealed.add_garbage(bytes);
        active.add_replaced(copied.id, bytes);
    }
}

fn live_bytes(copied: &Active, key: &RecordKey) -> u64 {
    let place = copied.record(key).and_then(RecordPlace::live);
    place.map_or(0, |place| place.location.bytes_to_fetch() as u64)
}

/// The collection and the key of a record.
type Name<'a> = (&'a str, &'a str);

/// The changes of records in one segment, in the order of their names.
enum Run<'a> {
    Sidecar { id: SegmentId, sidecar: &'a Sidecar, next: usize },
    Active { id: SegmentId, changes: std::collections::btree_map::Range<'a, RecordKey, RecordEntry> },
}

impl<'a> Run<'a> {
    fn next(&mut self) -> Result<Option<(Name<'a>, RecordPlace)>> {
        match self {
            Self::Sidecar { sidecar, next, .. } if *next >= sidecar.records_len() => Ok(None),
            Self::Sidecar { id, sidecar, next } => {
                let SidecarRecord { collection, key, entry } = sidecar.record_at(*next)?;
                *next += 1;
                Ok(Some(((collection, key), RecordPlace::at(*id, entry))))
            }
            Self::Active { id, changes } => {
                let change = changes.next();
                Ok(change.map(|(key, entry)| ((key.collection(), key.key()), RecordPlace::at(*id, *entry))))
            }
        }
    }
}

/// The newest change of each record, in the order of their names: the sorted runs of all segments, merged.
struct NewestChanges<'a> {
    /// The newest segment first.
    runs: Vec<Run<'a>>,
    /// The next change of each run. Where names are equal, the change of the newest segment comes first.
    next: BinaryHeap<Reverse<(Name<'a>, usize, RecordPlace)>>,
}

impl<'a> NewestChanges<'a> {
    /// The changes behind a name.
    fn behind(segments: &'a [Segment], active: Option<&'a Active>, name: Name<'_>) -> Result<Self> {
        let mut runs = Vec::new();
        if let Some(active) = active {
            runs.push(Run::Active { id: active.id, changes: active.records_after(name.0, name.1) });
        }
        for segment in segments.iter().rev() {
            let Some(sealed) = segment.sealed.as_deref() else { continue };
            let (id, sidecar) = (segment.log.id, &sealed.sidecar);
            let next = sidecar.records_after(name.0, name.1)?;
            if next < sidecar.records_len() {
                runs.push(Run::Sidecar { id, sidecar, next });
            }
        }
        let mut changes = Self { next: BinaryHeap::with_capacity(runs.len()), runs };
        (0..changes.runs.len()).try_for_each(|run| changes.advance(run))?;
        Ok(changes)
    }

    fn advance(&mut self, run: usize) -> Result<()> {
        let next = self.runs[run].next()?;
        self.next.extend(next.map(|(name, place)| Reverse((name, run, place))));
        Ok(())
    }

    fn next(&mut self) -> Result<Option<(Name<'a>, RecordPlace)>> {
        let Some(Reverse((name, run, place))) = self.next.pop() else { return Ok(None) };
        self.advance(run)?;
        // What older segments say of it is out of date.
        while self.next.peek().is_some_and(|Reverse((other, ..))| *other == name) {
            if let Some(Reverse((_, run, _))) = self.next.pop() {
                self.advance(run)?;
            }
        }
        Ok(Some((name, place)))
    }
}

impl DiskEngine {
    pub(super) fn read_record(&self, key: &RecordKey) -> Result<Option<Record>> {
        let (view, active) = {
            // The lock comes first: under it, records do not move from the active segment into a sidecar.
            let inner = self.tables.inner.read();
            (self.log.view.load_full(), inner.active.record(key))
        };
        let newest = match active {
            None => newest_record(view.complete(), key)?,
            found => found,
        };
        // Files that are compacted away meanwhile stay open as long as the view is held.
        let reader = self.log.reader(&view);
        newest.and_then(RecordPlace::live).map(|place| record_at(&reader, key, place)).transpose()
    }

    pub(super) fn list_records(
        &self,
        collection: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Record>> {
        let mut places = Vec::new();
        let view = {
            let inner = self.tables.inner.read();
            let view = self.log.view.load_full();
            let name = (collection, after.unwrap_or_default());
            let mut changes = NewestChanges::behind(&view.segments, Some(&inner.active), name)?;
            while places.len() < limit
                && let Some(((found, key), place)) = changes.next()?
                && found == collection
            {
                if let Some(place) = place.live() {
                    places.push((RecordKey::new(found, key)?, place));
                }
            }
            drop(changes);
            view
        };
        let reader = self.log.reader(&view);
        places.iter().map(|(key, place)| record_at(&reader, key, *place)).collect()
    }
}

fn record_at(reader: &Reader<'_>, key: &RecordKey, place: RecordPlace) -> Result<Record> {
    let named = |error: Error| {
        let (collection, name) = (key.collection(), key.key());
        let kind = error.kind();
        let is_damaged = kind == ErrorKind::Corrupt;
        let message = || format!("record {name:?} in collection {collection:?}: {error}");
        if is_damaged { Error::new(kind, message()) } else { error }
    };
    let mut bytes = Vec::new();
    let frame = reader.frame(place.location, &mut bytes).map_err(named)?;
    if frame.record_key().as_ref() != Some(key) {
        return Err(named(corrupt(place.location, "the frame holds another record")));
    }
    if place.revision == UNKNOWN_REVISION {
        let reason = "the commit frame that tells the revision of the record is lost";
        return Err(named(corrupt(place.location, reason)));
    }
    Ok(Record { key: key.clone(), value: frame.payload().to_vec(), revision: place.revision })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::batch::{Batch, Expected, RecordKey};
    use crate::engine::disk::DiskEngine;
    use crate::engine::disk::active::Active;
    use crate::engine::disk::sidecar::{AlignedBytes, Sidecar, SidecarMemory};
    use crate::engine::disk::view::Sealed;
    use crate::engine::{Durability, Engine};
    use crate::store::Options;

    #[test]
    fn a_check_notices_a_sidecar_that_lacks_a_record() {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let engine = DiskEngine::open(&folder.path().join("store"), &Options::default()).expect("it opens");
        let mut batch = Batch::new();
        let key = RecordKey::new("c", "k").expect("a legal name");
        batch.put_record(key, b"value".to_vec(), Expected::Any);
        engine.commit(batch, Durability::Written).expect("it is legal");
        engine.roll(&mut engine.writer.lock()).expect("it can be ended");
        let damage = || engine.check(&mut |_, _| {}).expect("it can be read").damage;
        assert_eq!(damage(), Vec::<String>::new());

        let view = engine.log.view.load_full();
        let mut segments = view.segments.clone();
        let sealed = segments[0].sealed.as_ref().expect("it is complete");
        let (identity, summary) = (*sealed.sidecar.identity(), *sealed.sidecar.summary());
        let mut empty = Active::new(segments[0].log.id, 0);
        empty.begin_batch(summary.last_revision, 96);
        empty.finish();
        let encoded = empty.encode(identity, summary.chain, 1);
        let memory = SidecarMemory::Heap(AlignedBytes::from(&*encoded));
        let sidecar = Sidecar::open(memory, "it".to_owned(), &identity).expect("it was just made");
        segments[0].sealed = Some(Arc::new(Sealed::new(sidecar)));
        engine.log.view.store(Arc::new(view.with_segments(segments, view.covered_from, &[])));
        let found = damage().join("; ");
        assert!(
            found.contains("record \"k\" in collection \"c\" is in the log but not in the index"),
            "{found}"
        );
    }
}
