//! What is where: everything that leads from names to places in the log, and how a batch changes it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::RwLock;
use statlas_core::{Address, BlobId};

use super::active::Active;
use super::damaged::Damaged;
use super::format::{Location, SegmentId};
use super::indexes::{IndexChange, Indexes};
use super::log::{Log, Reader, corrupt};
use super::lookup::{Version, entity_at, head_of, is_of_id, place_of, versions_kept};
use super::records::{RecordPlace, newest_record, record_hash};
use super::scan::{Change, Placed};
use super::sidecar::{EffectKind, Removal, RemovalKind, TableId};
use super::suspects::Suspects;
use super::view::{Sealed, row_at};
use crate::batch::RecordKey;
use crate::columns::{Bit, ColumnId, Draft, RowLists, Rows};
use crate::error::Result;
use crate::index::key_of;
use crate::overlay::LOOKED_AHEAD;

/// What must be seen to change at once. Only the thread that holds the commit lock changes it.
pub(super) struct Tables {
    pub(super) inner: RwLock<Inner>,
    /// Odd while a batch is made visible that may take entries out of the indexes, or put others in their place.
    hiding: AtomicU64,
}

/// A batch that hides entries before it is visible, until this is dropped.
struct Hiding<'a>(&'a AtomicU64);

impl<'a> Hiding<'a> {
    fn begin(counter: &'a AtomicU64) -> Self {
        counter.fetch_add(1, Ordering::AcqRel);
        Self(counter)
    }
}

impl Drop for Hiding<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }
}

pub(super) struct Inner {
    pub(super) active: Active,
    /// Changes of the indexes, noted while others are built that will take their place.
    pub(super) shadow: Option<Vec<IndexChange>>,
    /// Entities and blobs whose frames were damaged when the log was read.
    pub(super) damaged: HashMap<(TableId, [u8; 32]), Damaged>,
    pub(super) entities_live: u64,
    pub(super) blobs_live: u64,
    pub(super) ids_live: u64,
    pub(super) records_live: u64,
}

/// The changes of a batch in their order, and the lists of its rows.
#[derive(Clone, Copy)]
pub(super) struct AppliedBatch<'a> {
    pub(super) revision: u64,
    pub(super) changes: &'a [Placed],
    pub(super) lists: &'a RowLists,
    pub(super) suspects: &'a Suspects,
    /// For each change whether the indexes have it already; none if nothing was entered.
    pub(super) entered: &'a [bool],
}

/// Enters the entities and blobs of a batch into the indexes that nothing can be stored under yet, right after it was
/// judged: what the indexes know of their keys is in the cache then, and no more after a write and a sync. Returns for
/// each change whether that was done.
///
/// They stand behind the end of what is published, so nobody finds them before the batch is visible. If it never will be,
/// nothing else is published either until the store is opened again. Until then the indexes must stay the same.
///
/// # Errors
///
/// [`ErrorKind::NoMemory`](crate::ErrorKind::NoMemory) if the system refuses memory that the budget had. Part of the batch
/// may have been entered then.
pub(super) fn enter_new(reader: &Reader<'_>, changes: &[Placed], suspects: &Suspects) -> Result<Vec<bool>> {
    let indexes = &reader.view.indexes;
    let mut entered = Vec::with_capacity(changes.len());
    let mut enter = |placed: &Placed| -> Result<()> {
        entered.push(match key_in_table(&placed.change) {
            Some((table, key)) if !suspects.may_hold(table, key) => {
                indexes.of(table).insert_new(key, placed.location.0)?
            }
            _ => false,
        });
        Ok(())
    };
    for chunk in changes.chunks(LOOKED_AHEAD) {
        if changes.len() > LOOKED_AHEAD {
            indexes.touch(chunk.iter().filter_map(|placed| key_in_table(&placed.change)));
        }
        chunk.iter().try_for_each(&mut enter)?;
    }
    Ok(entered)
}

/// Where the indexes have the entity or blob that a change adds.
fn key_in_table(change: &Change) -> Option<(TableId, u64)> {
    match change {
        Change::Entity { address, .. } => Some((TableId::Entities, key_of(&address.0))),
        Change::Blob(id) => Some((TableId::Blobs, key_of(&id.0))),
        _ => None,
    }
}

impl Tables {
    /// Empty ones, whose batches come behind a revision into a segment.
    pub(super) fn new(active: SegmentId, revision: u64) -> Self {
        Self {
            inner: RwLock::new(Inner {
                active: Active::new(active, revision),
                shadow: None,
                damaged: HashMap::new(),
                entities_live: 0,
                blobs_live: 0,
                ids_live: 0,
                records_live: 0,
            }),
            hiding: AtomicU64::new(0),
        }
    }

    /// What `find` finds without a lock in the indexes. It is asked again if it finds nothing while a batch is made
    /// visible that removes or replaces something: then the entry may be gone already and the batch not there yet.
    #[inline]
    pub(super) fn find<T>(&self, mut find: impl FnMut() -> Result<Option<T>>) -> Result<Option<T>> {
        loop {
            let (found, is_certain) = self.observe(&mut find)?;
            if found.is_some() || is_certain {
                return Ok(found);
            }
            // Until the batch is visible.
            drop(self.inner.read());
        }
    }

    /// What `list` lists of the indexes, without a lock if nothing is made visible meanwhile that hides entries.
    pub(super) fn list<T>(&self, mut list: impl FnMut() -> Result<T>) -> Result<T> {
        let (listed, is_certain) = self.observe(&mut list)?;
        if is_certain {
            return Ok(listed);
        }
        let _nothing_is_made_visible = self.inner.read();
        list()
    }

    /// What `read` reads, and whether no entry was hidden meanwhile.
    #[inline]
    fn observe<T>(&self, read: &mut impl FnMut() -> Result<T>) -> Result<(T, bool)> {
        let before = self.hiding.load(Ordering::Acquire);
        let found = read()?;
        Ok((found, before.is_multiple_of(2) && self.hiding.load(Ordering::Acquire) == before))
    }

    /// Makes a batch visible; `publish` is called when all of it is in place, before anybody can see it.
    pub(super) fn apply(&self, log: &Log, batch: &AppliedBatch<'_>, publish: impl FnOnce()) -> Result<()> {
        let view = log.view.load();
        let reader = log.reader(&view);
        // A batch becomes visible to queries in one step, so the lock is held for all of it.
        let mut inner = self.inner.write();
        let mut replaced = Vec::new();
        if let Some(first) = batch.changes.first() {
            inner.active.begin_batch(batch.revision, first.location.offset());
        }
        let hides = |(at, placed): (usize, &Placed)| {
            let is_entered = batch.entered.get(at).is_some_and(|is_entered| *is_entered);
            !is_entered
                && !matches!(placed.change, Change::Record(_) | Change::RecordRemoved(_) | Change::Husk)
        };
        let _hiding = batch.changes.iter().enumerate().any(hides).then(|| Hiding::begin(&self.hiding));
        let mut entered = batch.entered.iter().copied().chain(std::iter::repeat(false));
        for chunk in batch.changes.chunks(LOOKED_AHEAD) {
            let entered: Vec<bool> = entered.by_ref().take(chunk.len()).collect();
            look_ahead(&view.indexes, chunk.iter().zip(entered.iter().copied()));
            for (placed, is_entered) in chunk.iter().zip(entered) {
                let (revision, suspects, replaced) = (batch.revision, batch.suspects, &mut replaced);
                Applying { reader, revision, suspects, replaced, inner: &mut inner }.change(
                    placed,
                    batch.lists,
                    is_entered,
                )?;
            }
        }
        // Who sees anything of the batch from here on sees all of it.
        publish();
        // Until now, readers need what blobs of the batch take the place of.
        let (revision, suspects, replaced) = (batch.revision, batch.suspects, &mut replaced);
        Applying { reader, revision, suspects, replaced, inner: &mut inner }.take_replaced(None)
    }
}

/// Brings what the indexes know of changes into the cache, but for what was entered already.
fn look_ahead<'a>(indexes: &Indexes, changes: impl Iterator<Item = (&'a Placed, bool)>) {
    indexes.touch(changes.flat_map(|(placed, is_entered)| {
        let key = key_in_table(&placed.change).filter(|_| !is_entered);
        let id = match &placed.change {
            Change::Entity { draft: Some(draft), .. } => Some((TableId::Ids, draft.id_hash())),
            Change::BlobRemoved(id) => Some((TableId::Blobs, key_of(&id.0))),
            _ => None,
        };
        key.into_iter().chain(id)
    }));
}

/// An entity that is being made visible.
struct NewEntity<'a> {
    address: &'a Address,
    draft: &'a Draft,
    lists: &'a RowLists,
    location: Location,
    ordinal: u32,
    /// Whether the index has it already.
    is_entered: bool,
}

/// A batch that is being made visible.
struct Applying<'a> {
    reader: Reader<'a>,
    revision: u64,
    suspects: &'a Suspects,
    /// Blobs whose place others have taken, and that readers need until the batch is visible.
    replaced: &'a mut Vec<(BlobId, Location)>,
    inner: &'a mut Inner,
}

impl<'a> Applying<'a> {
    /// Changes an entry of an index.
    fn index(
        &mut self,
        table: TableId,
        key: u64,
        old: Option<Location>,
        new: Option<Location>,
    ) -> Result<()> {
        let change = IndexChange { table, key, old: old.map(|old| old.0), new: new.map(|new| new.0) };
        self.reader.view.indexes.change(&change)?;
        if let Some(shadow) = &mut self.inner.shadow {
            shadow.push(change);
        }
        Ok(())
    }

    /// Makes an older version the newest of its id. Where the index does not cover that, its segment is asked anyway, and the
    /// entry goes: else the versions before what is removed would fill the index of a segment that holds none of them.
    fn move_head(&mut self, hash: u64, old: Location, new: Location) -> Result<()> {
        let view = self.reader.view;
        let is_covered = !view.uncovered().any(|(id, _)| id == new.segment());
        let change = |new| IndexChange { table: TableId::Ids, key: hash, old: Some(old.0), new };
        view.indexes.change(&change(is_covered.then_some(new.0)))?;
        if let Some(shadow) = &mut self.inner.shadow {
            // The indexes that are being built may cover it.
            shadow.push(change(Some(new.0)));
        }
        Ok(())
    }

    /// Adds an entry to an index if nothing can be stored under its key; whether it did, or it was entered before.
    fn index_new(&mut self, table: TableId, key: u64, new: Location, is_entered: bool) -> Result<bool> {
        let is_new = is_entered
            || (!self.suspects.may_hold(table, key)
                && self.reader.view.indexes.of(table).insert_new(key, new.0)?);
        if let (true, Some(shadow)) = (is_new, &mut self.inner.shadow) {
            shadow.push(IndexChange { table, key, old: None, new: Some(new.0) });
        }
        Ok(is_new)
    }

    fn change(&mut self, placed: &Placed, lists: &RowLists, is_entered: bool) -> Result<()> {
        let Placed { change, location, ordinal } = placed;
        let location = *location;
        match change {
            // A later frame about it is damaged: what it says is not known, but this one is out of date.
            Change::Entity { address, .. } if self.is_outdated(TableId::Entities, &address.0, location) => {
                Ok(())
            }
            Change::Blob(id) if self.is_outdated(TableId::Blobs, &id.0, location) => Ok(()),
            Change::Record(key) | Change::RecordRemoved(key) if self.is_record_outdated(key, location) => {
                Ok(())
            }
            Change::Entity { address, draft } => {
                let draft = draft.as_ref().ok_or_else(|| corrupt(location, "the row was not read"))?;
                let ordinal = *ordinal;
                self.add_entity(&NewEntity { address, draft, lists, location, ordinal, is_entered })
            }
            Change::Blob(id) => {
                self.mend(TableId::Blobs, &id.0, location);
                self.take_replaced(Some(id))?;
                if !self.index_new(TableId::Blobs, key_of(&id.0), location, is_entered)? {
                    let old = place_of(&self.reader, TableId::Blobs, &id.0, u64::MAX)?;
                    self.replaced.extend(old.map(|old| (*id, old)));
                    self.index(TableId::Blobs, key_of(&id.0), None, Some(location))?;
                }
                self.inner.active.add_blob(key_of(&id.0), location);
                self.inner.blobs_live += 1;
                Ok(())
            }
            Change::Record(key) => self.set_record(key, location),
            Change::EntityRemoved(address) => self.remove_entity(address, location),
            Change::BlobRemoved(id) => self.remove_blob(id, location),
            Change::RecordRemoved(key) => self.remove_record(key, location),
            Change::Husk => Ok(()),
        }
    }

    /// Whether a damaged frame about a key stands behind a place.
    fn is_outdated(&self, table: TableId, key: &[u8; 32], location: Location) -> bool {
        let damaged = &self.inner.damaged;
        !damaged.is_empty()
            && damaged.get(&(table, *key)).is_some_and(|damaged| stands_behind(damaged.location, location))
    }

    fn is_record_outdated(&self, key: &RecordKey, location: Location) -> bool {
        self.inner.active.record(key).is_some_and(|place| stands_behind(place.location, location))
    }

    /// A key that is stored again or removed is no longer damaged; returns what was damaged.
    fn mend(&mut self, table: TableId, key: &[u8; 32], location: Location) -> Option<Damaged> {
        if self.inner.damaged.is_empty() || self.is_outdated(table, key, location) {
            return None;
        }
        self.inner.damaged.remove(&(table, *key))
    }

    /// Puts a new row in the place of one whose frame is damaged.
    fn replace_entity(&mut self, old: Location, row: usize, entity: &NewEntity<'_>) -> Result<()> {
        let NewEntity { address, draft, location, .. } = *entity;
        self.index(TableId::Entities, key_of(&address.0), Some(old), Some(location))?;
        if let Some(age) = self.row_age(old)? {
            self.inner.active.add_mended(row, age);
        }
        if self.bit(old, Bit::Superseded)? {
            self.set_bit(location, Bit::Superseded, true)?;
        } else {
            self.index(TableId::Ids, draft.id_hash(), Some(old), Some(location))?;
        }
        self.set_bit(old, Bit::Removed, true)?;
        self.remove_place(old, old.bytes_to_fetch() as u64);
        Ok(())
    }

    fn rows(&self, location: Location) -> &dyn Rows {
        match self.reader.view.sealed(location.segment()) {
            Some(sealed) => &sealed.sidecar,
            None => &self.inner.active.rows,
        }
    }

    fn bit(&self, location: Location, bit: Bit) -> Result<bool> {
        let rows = self.rows(location);
        Ok(row_at(rows, location.place())?.is_some_and(|row| rows.bits().get(row, bit)))
    }

    /// The revision and ordinal of the row of an entity.
    fn row_age(&self, location: Location) -> Result<Option<(u64, u32)>> {
        let rows = self.rows(location);
        let Some(row) = row_at(rows, location.place())? else { return Ok(None) };
        let revision = rows.value(row, ColumnId::Revision)?.cast_unsigned();
        // Ordinals have 32 bits.
        Ok(Some((revision, rows.value(row, ColumnId::Ordinal)? as u32)))
    }

    fn add_entity(&mut self, entity: &NewEntity<'_>) -> Result<()> {
        let NewEntity { address, draft, lists, location, ordinal, is_entered } = *entity;
        let mended = self.mend(TableId::Entities, &address.0, location);
        let is_new = self.index_new(TableId::Entities, key_of(&address.0), location, is_entered)?;
        let old =
            if is_new { None } else { place_of(&self.reader, TableId::Entities, &address.0, u64::MAX)? };
        let row = self.inner.active.add_entity(address, draft, lists, location, (self.revision, ordinal));
        if let Some(old) = old {
            return self.replace_entity(old, row, entity);
        }
        if !is_new {
            self.index(TableId::Entities, key_of(&address.0), None, Some(location))?;
        }
        self.inner.entities_live += 1;
        if let Some(damaged) = mended {
            self.inner.active.add_mended(row, damaged.age);
        }
        let hash = draft.id_hash();
        if self.index_new(TableId::Ids, hash, location, false)? {
            self.inner.ids_live += 1;
            return Ok(());
        }
        let entity = entity_at(&self.reader, location)?;
        let id = &entity.head()?.id;
        let is_same = |other| is_of_id(&self.reader, other, id);
        let may_be_uncovered = self.suspects.may_hold(TableId::Ids, hash);
        let Some(head) = head_of(&self.reader, hash, may_be_uncovered, is_same)? else {
            self.index(TableId::Ids, hash, None, Some(location))?;
            self.inner.ids_live += 1;
            return Ok(());
        };
        // A version that replaces a damaged one takes its place; any other is the newest.
        let is_newest = match mended {
            Some(damaged) => self.age_of(id, head)? < damaged.age,
            None => true,
        };
        if is_newest {
            self.index(TableId::Ids, hash, Some(head), Some(location))?;
            self.set_bit(head, Bit::Superseded, true)
        } else {
            self.set_bit(location, Bit::Superseded, true)
        }
    }

    /// Where an entity stands among the versions of its id.
    fn age_of(&self, id: &str, location: Location) -> Result<(u64, u32)> {
        let versions = versions_kept(&self.reader, &self.inner.active, id)?;
        let version = versions.iter().find(|version| version.location == location);
        Ok(version.map_or((0, 0), |version| version.age))
    }

    /// Sets or clears a bit of the row of an entity, and notes it if the segment is an earlier one.
    fn set_bit(&mut self, location: Location, bit: Bit, value: bool) -> Result<()> {
        let (id, place) = (location.segment(), location.place());
        if id == self.inner.active.id {
            let active = &self.inner.active;
            if let Some(row) = row_at(&active.rows, place)? {
                active.rows.bits().set(row, bit, value);
            }
            return Ok(());
        }
        let Some(sealed) = self.sealed_before(id) else { return Ok(()) };
        let Some(row) = row_at(&sealed.sidecar, place)? else { return Ok(()) };
        if sealed.sidecar.bits().set(row, bit, value) != value {
            let kind = match (bit, value) {
                (Bit::Removed, _) => EffectKind::EntityRemoved,
                (Bit::Superseded, true) => EffectKind::Superseded,
                (Bit::Superseded, false) => EffectKind::Newest,
            };
            self.inner.active.add_effect(self.revision, id, row as u32, kind);
        }
        Ok(())
    }

    fn remove_entity(&mut self, address: &Address, location: Location) -> Result<()> {
        self.mend(TableId::Entities, &address.0, location);
        let removal = Removal { kind: RemovalKind::Entity, key: address.0, revision: self.revision };
        self.inner.active.add_removal(removal);
        let Some(place) = place_of(&self.reader, TableId::Entities, &address.0, u64::MAX)? else {
            return Ok(());
        };
        let entity = entity_at(&self.reader, place)?;
        let id = entity.head()?.id;
        let hash = xxhash_rust::xxh3::xxh3_64(id.as_bytes());
        let versions = versions_kept(&self.reader, &self.inner.active, &id)?;
        self.index(TableId::Entities, key_of(&address.0), Some(place), None)?;
        self.set_bit(place, Bit::Removed, true)?;
        self.remove_place(place, self.reader.frame_bytes(place).unwrap_or(0));
        self.inner.entities_live -= 1;
        let (last, others): (Option<&Version>, &[Version]) = match versions.split_last() {
            Some((last, others)) => (Some(last), others),
            None => (None, &[]),
        };
        if last.is_none_or(|last| last.location != place) {
            return Ok(());
        }
        match others.last() {
            Some(head) => {
                self.move_head(hash, place, head.location)?;
                self.set_bit(head.location, Bit::Superseded, false)
            }
            None => {
                self.index(TableId::Ids, hash, Some(place), None)?;
                self.inner.ids_live -= 1;
                Ok(())
            }
        }
    }

    /// A complete segment that does not know yet what the batch does. A compacted one that was made later does,
    /// and what happened since: when a segment is read again, that must not be undone.
    fn sealed_before(&self, id: SegmentId) -> Option<&'a Sealed> {
        let knows = |sealed: &&Sealed| sealed.sidecar.summary().state_revision >= self.revision;
        self.reader.view.sealed(id).filter(|sealed| !knows(sealed))
    }

    /// Notes that what stands at a place was removed.
    fn remove_place(&mut self, location: Location, bytes: u64) {
        if location.segment() == self.inner.active.id {
            self.inner.active.remove(location.place());
            self.inner.active.garbage += bytes;
        } else if let Some(sealed) = self.sealed_before(location.segment()) {
            sealed.remove(location.place());
            sealed.add_garbage(bytes);
        }
    }

    /// Takes the blobs away whose place others have taken, all or those with an id.
    fn take_replaced(&mut self, id: Option<&BlobId>) -> Result<()> {
        let is_asked = |(replaced, _): &mut (BlobId, Location)| id.is_none_or(|id| id == replaced);
        let taken: Vec<(BlobId, Location)> = self.replaced.extract_if(.., is_asked).collect();
        for (id, old) in taken {
            self.index(TableId::Blobs, key_of(&id.0), Some(old), None)?;
            self.remove_blob_at(old);
        }
        Ok(())
    }

    fn remove_blob(&mut self, id: &BlobId, location: Location) -> Result<()> {
        self.mend(TableId::Blobs, &id.0, location);
        self.take_replaced(Some(id))?;
        let removal = Removal { kind: RemovalKind::Blob, key: id.0, revision: self.revision };
        self.inner.active.add_removal(removal);
        let Some(place) = place_of(&self.reader, TableId::Blobs, &id.0, u64::MAX)? else { return Ok(()) };
        self.index(TableId::Blobs, key_of(&id.0), Some(place), None)?;
        self.remove_blob_at(place);
        Ok(())
    }

    fn remove_blob_at(&mut self, place: Location) {
        // One whose length can't be read is damaged, and smaller than its garbage would be.
        let bytes = self.reader.frame_bytes(place).unwrap_or(0);
        if place.segment() == self.inner.active.id {
            self.remove_place(place, bytes);
        } else if let Some(sealed) = self.sealed_before(place.segment()) {
            sealed.remove_blob(place.place());
            sealed.add_garbage(bytes);
            let kind = EffectKind::BlobRemoved;
            self.inner.active.add_effect(self.revision, place.segment(), place.place(), kind);
        }
        self.inner.blobs_live -= 1;
    }

    fn set_record(&mut self, key: &RecordKey, location: Location) -> Result<()> {
        let old = self.record_before(key)?;
        self.inner.active.add_record(key, location, self.revision, false);
        match old {
            Some(old) => self.add_record_garbage(old.location),
            None => self.inner.records_live += 1,
        }
        Ok(())
    }

    fn remove_record(&mut self, key: &RecordKey, location: Location) -> Result<()> {
        let old = self.record_before(key)?;
        self.inner.active.add_record(key, location, self.revision, true);
        if let Some(old) = old {
            self.add_record_garbage(old.location);
            self.inner.records_live -= 1;
        }
        Ok(())
    }

    /// Where a record stands until the batch changes it.
    fn record_before(&self, key: &RecordKey) -> Result<Option<RecordPlace>> {
        let newest = match self.inner.active.record(key) {
            None if self.suspects.may_hold(TableId::Records, record_hash(key)) => {
                newest_record(self.reader.view.complete(), key)?
            }
            found => found,
        };
        Ok(newest.and_then(RecordPlace::live))
    }

    fn add_record_garbage(&mut self, location: Location) {
        let (id, bytes) = (location.segment(), location.bytes_to_fetch() as u64);
        if id == self.inner.active.id {
            self.inner.active.garbage += bytes;
        } else if let Some(sealed) = self.sealed_before(id) {
            sealed.add_garbage(bytes);
            self.inner.active.add_replaced(id, bytes);
        }
    }
}

/// Whether one place of the log stands behind another of the same segment. Segments are read in order, so
/// that places of other segments stand before those that are asked about.
fn stands_behind(place: Location, other: Location) -> bool {
    place.segment() == other.segment() && place.offset() > other.offset()
}
