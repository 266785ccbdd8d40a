//! Answers that come from columns, and from ranges of keys.

use std::sync::Arc;

use statlas_core::{Address, AddressPrefix, Coordinates};

use super::DiskEngine;
use super::active::Active;
use super::format::{Location, SegmentId};
use super::log::Reader;
use super::lookup::{entity_at, place_of};
use super::sidecar::TableId;
use super::tables::Inner;
use super::view::{View, row_at};
use crate::budget::MemoryUse;
use crate::columns::{self, ColumnId, RowId, Rows};
use crate::engine::{NearToken, Neighbour, Page, StoredEntity};
use crate::error::{Error, ErrorKind, Result};
use crate::index::key_of;
use crate::query::{Filter, Query, TokenQuery};

/// What an entity of an answer takes beside its bytes, about.
const ENTITY_BYTES: u64 = 160;
/// An answer of so many bytes is given whatever else the budget is used for; it is some pages of what programs list.
const ANSWER_BYTES_FREE: u64 = 4 << 20;
/// A larger one takes memory from the budget in such steps.
const ANSWER_BYTES_STEP: u64 = 1 << 20;

/// The rows of all segments, in the order of the log.
struct Parts<'a> {
    rows: Vec<&'a dyn Rows>,
    ids: Vec<SegmentId>,
}

impl<'a> Parts<'a> {
    fn new(view: &'a View, active: &'a Active) -> Self {
        let sealed = view.segments.iter().filter_map(|segment| Some((segment, segment.sealed.as_deref()?)));
        let mut parts = Self { rows: Vec::new(), ids: Vec::new() };
        for (segment, sealed) in sealed {
            parts.rows.push(&sealed.sidecar);
            parts.ids.push(segment.log.id);
        }
        parts.rows.push(&active.rows);
        parts.ids.push(active.id);
        parts
    }

    fn location(&self, row: RowId, place: i64) -> Location {
        // Places have 32 bits.
        Location::at(self.ids[row.part], place as u32)
    }

    /// Tells whether an entity has every neighbour that a filter asks for; reads it.
    fn has_neighbours<'b>(
        &'b self,
        reader: Reader<'b>,
        filter: &'b Filter,
    ) -> impl FnMut(RowId) -> Result<bool> + 'b {
        move |row| {
            let place = self.rows[row.part].value(row.row, ColumnId::Place)?;
            let entity = entity_at(&reader, self.location(row, place))?;
            let adjacency = entity.head()?.coordinates.adjacency;
            Ok(filter.adjacent.iter().all(|id| adjacency.contains(id)))
        }
    }
}

impl DiskEngine {
    /// What `answer` makes of all rows, which do not change meanwhile, and the view that they were seen in.
    fn with_parts<T>(
        &self,
        answer: impl FnOnce(&Parts<'_>, Reader<'_>, &Inner) -> Result<T>,
    ) -> Result<(T, Arc<View>)> {
        // The lock comes first: under it, rows do not move from the active segment into a sidecar.
        let inner = self.tables.inner.read();
        let view = self.log.view.load_full();
        let answer = answer(&Parts::new(&view, &inner.active), self.log.reader(&view), &inner)?;
        Ok((answer, view))
    }

    pub(super) fn find_rows(&self, query: &Query) -> Result<Page> {
        query.check_cursor()?;
        self.check_open()?;
        let ((places, next), view) = self.with_parts(|parts, reader, _| {
            let mut has_neighbours = parts.has_neighbours(reader, &query.filter);
            let (hits, more) = columns::find(&parts.rows, query, &mut has_neighbours)?;
            let next = hits.last().filter(|_| more).map(|hit| query.cursor(hit.cursor));
            let places: Vec<Location> = hits.iter().map(|hit| parts.location(hit.row, hit.place)).collect();
            Ok((places, next))
        })?;
        Ok(Page { entities: self.read_answer(&self.log.reader(&view), places)?, next })
    }

    pub(super) fn count_rows(&self, filter: &Filter) -> Result<u64> {
        self.check_open()?;
        let (count, _) = self.with_parts(|parts, reader, _| {
            columns::count(&parts.rows, filter, &mut parts.has_neighbours(reader, filter))
        })?;
        Ok(count)
    }

    pub(super) fn near_rows(
        &self,
        position: &Coordinates,
        k: usize,
        except: Option<&Address>,
    ) -> Result<Vec<Neighbour>> {
        self.check_open()?;
        let (found, view) = self.with_parts(|parts, reader, inner| {
            let except = self.row_left_out(parts, &reader, inner, except)?;
            let found = columns::near(&parts.rows, position, k, except)?.into_iter();
            Ok(found.map(|near| (near.similarity, parts.location(near.row, near.place))).unzip())
        })?;
        let (similarities, places): (Vec<f64>, Vec<Location>) = found;
        let entities = self.read_answer(&self.log.reader(&view), places)?.into_iter();
        let neighbours = entities.zip(similarities);
        Ok(neighbours.map(|(entity, similarity)| Neighbour { similarity, entity }).collect())
    }

    pub(super) fn near_token_rows(&self, query: &TokenQuery) -> Result<Vec<NearToken>> {
        query.check()?;
        self.check_open()?;
        let (found, view) = self.with_parts(|parts, reader, inner| {
            let except = self.row_left_out(parts, &reader, inner, query.except.as_ref())?;
            let found = columns::near_token(&parts.rows, query, except)?.into_iter();
            Ok(found.map(|near| (near.distance, parts.location(near.row, near.place))).unzip())
        })?;
        let (distances, places): (Vec<f64>, Vec<Location>) = found;
        let entities = self.read_answer(&self.log.reader(&view), places)?.into_iter();
        Ok(entities.zip(distances).map(|(entity, distance)| NearToken { distance, entity }).collect())
    }

    /// Reads the entities of an answer without the lock, but in the view that they were found in: compaction may have
    /// moved them in another one. What a large answer takes the budget must have.
    fn read_answer(&self, reader: &Reader<'_>, places: Vec<Location>) -> Result<Vec<StoredEntity>> {
        let mut memory = self.budget.hold(MemoryUse::Answers, 0);
        let (mut entities, mut bytes) = (Vec::new(), 0);
        let count = places.len();
        for place in places {
            let entity = entity_at(reader, place)?;
            bytes += entity.bytes.capacity() as u64 + ENTITY_BYTES;
            if bytes > ANSWER_BYTES_FREE.max(memory.bytes()) {
                let wanted = bytes + ANSWER_BYTES_STEP;
                let has_room = memory.try_resize(wanted)
                    || ((self.buffers.let_go() | self.cache.let_go()) && memory.try_resize(wanted));
                if !has_room {
                    let (place, max) = (self.path.display(), self.budget.bytes_max());
                    let message = format!(
                        "{place}: an answer of {count} entities does not fit into the memory of {max} bytes; ask for \
                         fewer, or raise memory_bytes_max"
                    );
                    return Err(Error::new(ErrorKind::NoMemory, message));
                }
            }
            entities.push(entity);
        }
        Ok(entities)
    }

    /// The row of an entity that an answer is to leave out, if there is one.
    fn row_left_out(
        &self,
        parts: &Parts<'_>,
        reader: &Reader<'_>,
        inner: &Inner,
        address: Option<&Address>,
    ) -> Result<Option<RowId>> {
        let Some(address) = address else { return Ok(None) };
        let published = self.published.load(std::sync::atomic::Ordering::Acquire);
        let Some(place) = place_of(reader, TableId::Entities, &address.0, published)? else {
            self.check_undamaged_in(inner, TableId::Entities, &address.0)?;
            return Ok(None);
        };
        let Some(part) = parts.ids.iter().position(|id| *id == place.segment()) else { return Ok(None) };
        let row = row_at(parts.rows[part], place.place())?;
        Ok(row.map(|row| RowId { part, row }))
    }

    /// The addresses with a prefix, in order, at most `limit`.
    pub(super) fn addresses_with(
        &self,
        reader: &Reader<'_>,
        prefix: &AddressPrefix,
        limit: usize,
    ) -> Result<Vec<Address>> {
        let published = self.published.load(std::sync::atomic::Ordering::Acquire);
        let (low, high) = (key_of(&prefix.low().0), key_of(&prefix.high().0));
        let covered = reader.view.indexes.entities.range(low, high).into_iter();
        let mut places: Vec<(u64, Location)> = covered
            .filter(|(_, place)| *place < published)
            .map(|(key, place)| (key, Location(place)))
            .collect();
        for (id, sealed) in reader.view.uncovered() {
            let found = sealed.sidecar.range(TableId::Entities, low, high)?.into_iter();
            let live = found.filter(|(_, place)| !sealed.is_removed(*place));
            places.extend(live.map(|(key, place)| (key, Location::at(id, place))));
        }
        // Keys sort like addresses; where the first eight bytes are equal the whole is looked at.
        places.sort_unstable();
        places.dedup();
        let mut found = Vec::new();
        let mut last_key = None;
        for (key, place) in places {
            if found.len() >= limit && last_key != Some(key) {
                break;
            }
            let address = Address(reader.key(place)?);
            if prefix.matches(&address) {
                found.push(address);
                last_key = Some(key);
            }
        }
        found.sort_unstable();
        found.dedup();
        found.truncate(limit);
        Ok(found)
    }
}
