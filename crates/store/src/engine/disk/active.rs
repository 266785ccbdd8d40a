//! What is in the segment that is being written, and what its batches did to earlier segments: all that its
//! sidecar will hold.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::BuildHasherDefault;
use std::ops::Bound;

use statlas_core::Address;

use super::format::{Location, SegmentId};
use super::records::RecordPlace;
use super::sidecar::{Contents, Effect, EffectKind, Identity, Mark, Mended, RecordEntry, Removal, Summary};
use crate::batch::RecordKey;
use crate::columns::{Draft, GrowingRows, RowLists, RowPlace, Rows};
use crate::index::key_of;
use crate::overlay::UniformHasher;

/// Bytes of the log between two marks, from which somebody who looks for a revision reads on.
const MARK_BYTES: u64 = 64 << 10;

/// What the garbage that records leave in earlier segments is counted in.
pub(super) const REPLACED_UNIT_BYTES: u64 = 64;

/// The segment that is being written, in memory.
pub(super) struct Active {
    pub(super) id: SegmentId,
    pub(super) rows: GrowingRows,
    /// Puts in the order of the log, with their places; some are removed again.
    entities: Vec<(u64, u32)>,
    blobs: Vec<(u64, u32)>,
    /// Places of entities and blobs of this segment that were removed.
    removed: HashSet<u32>,
    /// The hash of the id of each row.
    id_hashes: Vec<u64>,
    /// The last row of each hash, and for each row the one before with its hash.
    newest: HashMap<u64, u32, BuildHasherDefault<UniformHasher>>,
    previous: Vec<Option<u32>>,
    effects: Vec<Effect>,
    removals: Vec<Removal>,
    /// The last change of each record.
    records: BTreeMap<RecordKey, RecordEntry>,
    record_name_bytes: usize,
    /// Bytes of earlier segments that records took until batches of this one removed or replaced them.
    replaced_bytes: HashMap<SegmentId, u64>,
    mended: Vec<Mended>,
    marks: Vec<Mark>,
    pub(super) garbage: u64,
    /// Bytes of husks, which need not be kept for ever.
    pub(super) husk_bytes: u64,
    first_revision: u64,
    last_revision: u64,
    /// Removals that got their revision from [`Active::stamp`].
    stamped: usize,
    /// Removed records that have yet to get theirs.
    unstamped: Vec<RecordKey>,
    /// Of a compacted segment, which knows what became of it later: the last revision that it knows.
    state_revision: Option<u64>,
}

impl Active {
    /// An empty segment behind a revision.
    pub(super) fn new(id: SegmentId, revision: u64) -> Self {
        Self {
            id,
            rows: GrowingRows::new(),
            entities: Vec::new(),
            blobs: Vec::new(),
            removed: HashSet::new(),
            id_hashes: Vec::new(),
            newest: HashMap::default(),
            previous: Vec::new(),
            effects: Vec::new(),
            removals: Vec::new(),
            records: BTreeMap::new(),
            record_name_bytes: 0,
            replaced_bytes: HashMap::new(),
            mended: Vec::new(),
            marks: Vec::new(),
            garbage: 0,
            husk_bytes: 0,
            first_revision: revision + 1,
            last_revision: revision,
            stamped: 0,
            unstamped: Vec::new(),
            state_revision: None,
        }
    }

    /// Notes that a batch begins at an offset.
    pub(super) fn begin_batch(&mut self, revision: u64, offset: u64) {
        self.last_revision = revision;
        if self.marks.last().is_none_or(|mark| mark.offset + MARK_BYTES <= offset) {
            self.marks.push(Mark { revision, offset });
        }
    }

    /// Forgets where batches begin, for the next one to be the first.
    pub(super) fn forget_marks(&mut self) {
        self.marks.clear();
    }

    /// Adds an entity, and returns its row.
    pub(super) fn add_entity(
        &mut self,
        address: &Address,
        draft: &Draft,
        lists: &RowLists,
        location: Location,
        (revision, ordinal): (u64, u32),
    ) -> usize {
        let place = location.place();
        self.entities.push((key_of(&address.0), place));
        let row = self.rows.push(draft, lists, RowPlace { place: place.into(), revision, ordinal });
        let hash = draft.id_hash();
        self.id_hashes.push(hash);
        // A segment has fewer rows than bytes, and those have 28 bits.
        self.previous.push(self.newest.insert(hash, row as u32));
        row
    }

    pub(super) fn add_blob(&mut self, key: u64, location: Location) {
        self.blobs.push((key, location.place()));
    }

    /// Notes the newest change of a record.
    pub(super) fn add_record(&mut self, key: &RecordKey, location: Location, revision: u64, removed: bool) {
        let entry = RecordEntry { place: location.place(), revision, removed };
        if self.records.insert(key.clone(), entry).is_none() {
            self.record_name_bytes += key.collection().len() + key.key().len();
        }
    }

    /// Notes that a record is removed by a batch whose revision [`Active::stamp`] will tell.
    pub(super) fn add_unstamped_removal(&mut self, key: RecordKey, location: Location) {
        self.add_record(&key, location, 0, true);
        self.unstamped.push(key);
    }

    /// The last change of a record in this segment.
    pub(super) fn record(&self, key: &RecordKey) -> Option<RecordPlace> {
        self.records.get(key).map(|entry| RecordPlace::at(self.id, *entry))
    }

    /// The last changes of all records of this segment, in the order of their names.
    pub(super) fn records(&self) -> impl Iterator<Item = (&RecordKey, RecordPlace)> {
        self.records.iter().map(|(key, entry)| (key, RecordPlace::at(self.id, *entry)))
    }

    /// The last changes of the records behind a name, in the order of their names.
    pub(super) fn records_after(
        &self,
        collection: &str,
        key: &str,
    ) -> std::collections::btree_map::Range<'_, RecordKey, RecordEntry> {
        let name = RecordKey::bound(collection, key);
        self.records.range((Bound::Excluded(name), Bound::Unbounded))
    }

    /// Notes that a record of an earlier segment was removed or replaced.
    pub(super) fn add_replaced(&mut self, segment: SegmentId, bytes: u64) {
        *self.replaced_bytes.entry(segment).or_default() += bytes;
    }

    /// Forgets what records of a segment took, since that is written anew.
    pub(super) fn forget_replaced(&mut self, segment: SegmentId) {
        self.replaced_bytes.remove(&segment);
    }

    /// Notes that a removal stands in this segment, of whatever segment that is which it removes from.
    pub(super) fn add_removal(&mut self, removal: Removal) {
        self.removals.push(removal);
    }

    /// Gives the removals since the last time their revision.
    pub(super) fn stamp(&mut self, revision: u64) {
        self.removals[self.stamped..].iter_mut().for_each(|removal| removal.revision = revision);
        self.stamped = self.removals.len();
        for key in self.unstamped.drain(..) {
            // It may have been set again by the same batch.
            if let Some(entry) = self.records.get_mut(&key).filter(|entry| entry.removed) {
                entry.revision = revision;
            }
        }
    }

    /// Notes that an entity or blob of this segment was removed.
    pub(super) fn remove(&mut self, place: u32) {
        self.removed.insert(place);
    }

    /// Notes what a batch of this segment did to an earlier one.
    pub(super) fn add_effect(&mut self, revision: u64, segment: SegmentId, target: u32, kind: EffectKind) {
        self.effects.push(Effect { revision, segment: segment.0, target, kind });
    }

    /// What batches of this segment did to earlier ones, in their order.
    pub(super) fn effects(&self) -> &[Effect] {
        &self.effects
    }

    /// Puts others in their place.
    pub(super) fn set_effects(&mut self, effects: Vec<Effect>) {
        self.effects = effects;
    }

    pub(super) fn push_effect(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    /// Notes which entities and blobs of this segment were removed, and none else.
    pub(super) fn set_removed(&mut self, places: impl IntoIterator<Item = u32>) {
        self.removed = places.into_iter().collect();
    }

    /// Where some batches begin, ascending.
    pub(super) fn marks(&self) -> &[Mark] {
        &self.marks
    }

    pub(super) fn first_revision(&self) -> u64 {
        self.first_revision
    }

    /// Notes up to which revision the bits are known.
    pub(super) fn set_state_revision(&mut self, revision: u64) {
        self.state_revision = Some(revision);
    }

    /// Notes that a row takes the place among versions of one that was damaged.
    pub(super) fn add_mended(&mut self, row: usize, (revision, ordinal): (u64, u32)) {
        self.mended.push(Mended { row: row as u32, revision, ordinal });
    }

    /// Where a row stands among the versions of its id, if not at its own revision.
    pub(super) fn mended_age(&self, row: usize) -> Option<(u64, u32)> {
        let mended = self.mended.iter().find(|mended| mended.row as usize == row)?;
        Some((mended.revision, mended.ordinal))
    }

    /// Keys and places of the entities that were not removed.
    pub(super) fn live_entities(&self) -> impl Iterator<Item = (u64, u32)> + '_ {
        self.live(&self.entities)
    }

    /// Keys and places of the blobs that were not removed.
    pub(super) fn live_blobs(&self) -> impl Iterator<Item = (u64, u32)> + '_ {
        self.live(&self.blobs)
    }

    fn live<'a>(&'a self, entries: &'a [(u64, u32)]) -> impl Iterator<Item = (u64, u32)> + 'a {
        let kept = |(_, place): &&(u64, u32)| self.removed.is_empty() || !self.removed.contains(place);
        entries.iter().filter(kept).copied()
    }

    /// The hash of the id of each row.
    pub(super) fn id_hashes(&self) -> &[u64] {
        &self.id_hashes
    }

    /// The rows whose ids have a hash, the last first.
    pub(super) fn rows_of(&self, hash: u64) -> impl Iterator<Item = usize> + '_ {
        let newest = self.newest.get(&hash).copied();
        std::iter::successors(newest, |row| self.previous[*row as usize]).map(|row| row as usize)
    }

    /// About how many bytes all of this takes.
    pub(super) fn bytes(&self) -> u64 {
        let lists = (self.entities.capacity() + self.blobs.capacity()) * 16
            + self.removed.capacity() * 8
            + self.id_hashes.capacity() * 8
            + self.newest.capacity() * 24
            + self.previous.capacity() * 8
            + self.effects.capacity() * size_of::<Effect>()
            + self.removals.capacity() * size_of::<Removal>()
            + self.marks.capacity() * size_of::<Mark>()
            + self.replaced_bytes.capacity() * 24;
        lists as u64 + self.record_bytes() + self.rows.bytes()
    }

    /// About how many bytes of that the records' names and places take.
    pub(super) fn record_bytes(&self) -> u64 {
        // An entry of the tree, and what two short allocations cost beside their bytes.
        let entries = self.records.len() * (size_of::<(RecordKey, RecordEntry)>() + 32);
        (self.record_name_bytes + entries) as u64
    }

    /// What batches of this segment did to earlier ones, with what became of records there.
    fn all_effects(&self) -> Vec<Effect> {
        let revision = self.last_revision;
        let effect = |(segment, bytes): (&SegmentId, &u64)| {
            // A segment has fewer bytes than that.
            let target = u32::try_from(bytes / REPLACED_UNIT_BYTES).unwrap_or(u32::MAX);
            Effect { revision, segment: segment.0, target, kind: EffectKind::RecordsReplaced }
        };
        let mut replaced: Vec<Effect> = self.replaced_bytes.iter().map(effect).collect();
        replaced.sort_unstable_by_key(|effect| effect.segment);
        [&*self.effects, &*replaced].concat()
    }

    /// Makes ready for [`Active::encode`]. Nothing may be added any more.
    pub(super) fn finish(&mut self) {
        self.rows.pack_last();
    }

    /// The file that keeps all of this, and how many records the store has behind the segment.
    pub(super) fn encode(&self, identity: Identity, chain: [u8; 32], records_live: u64) -> Vec<u8> {
        let ids = (0_u32..).zip(&self.id_hashes).map(|(row, hash)| (*hash, row)).collect();
        let summary = Summary {
            first_revision: self.first_revision,
            last_revision: self.last_revision,
            chain,
            state_revision: self.state_revision.unwrap_or(self.last_revision),
            garbage_bytes: self.garbage,
            husk_bytes: self.husk_bytes,
            records_live,
        };
        let tables = [self.live_entities().collect(), self.live_blobs().collect(), ids];
        let blocks = (0..self.rows.blocks()).map(|block| self.rows.packed(block)).collect();
        Contents {
            identity,
            summary,
            tables,
            blocks,
            rows: self.rows.len(),
            names: self.rows.names(),
            bits: self.rows.bits(),
            effects: &self.all_effects(),
            removals: &self.removals,
            records: &self.records,
            mended: &self.mended,
            marks: &self.marks,
        }
        .encode()
    }
}
