//! A store that is too simple to be wrong: lists that are walked from end to end.
//!
//! It answers everything that an engine answers, so that both can be compared. It keeps nothing durable
//! and knows one thread.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use statlas_core::{
    Address, AddressPrefix, BlobId, Coordinates, Dimensions, EntityHead, FractalStat, Stat7,
    check_new_version, similarity,
};
use statlas_tokens::Metric;

use crate::batch::{Batch, BlobForm, EntityChange, Expected, Operation, RecordKey};
use crate::engine::freeing::REMOVALS_TOGETHER;
use crate::engine::{Commit, NearToken, Neighbour, Record, StoredBlob, StoredEntity};
use crate::error::ErrorKind;
use crate::query::{Filter, OrderBy, Query, TokenQuery};

/// The contents of a store and the rules for changing them.
#[derive(Debug, Clone, Default)]
pub struct Model {
    /// In the order of their commits.
    rows: Vec<Row>,
    blobs: BTreeMap<BlobId, StoredBlob>,
    /// The blobs that removed entities named.
    named_once: BTreeSet<BlobId>,
    records: BTreeMap<RecordKey, Record>,
    revision: u64,
}

#[derive(Debug, Clone)]
struct Row {
    entity: StoredEntity,
    head: EntityHead<'static>,
    /// The revision that stored it.
    revision: u64,
}

/// Why a batch is refused, and which operation is at fault.
pub type Refused = (ErrorKind, usize);

impl Model {
    /// The revision of the last batch that changed anything.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Stores a batch, all of it or nothing.
    ///
    /// # Errors
    ///
    /// The kind of error that an engine must return, and the operation that it must name.
    pub fn commit(&mut self, batch: &Batch) -> Result<Commit, Refused> {
        let mut next = self.clone();
        let mut commit = Commit::default();
        let mut changed = false;
        for (index, operation) in batch.operations().iter().enumerate() {
            changed |= next.apply(operation, &mut commit).map_err(|kind| (kind, index))?;
        }
        next.revision += u64::from(changed);
        commit.revision = next.revision;
        *self = next;
        Ok(commit)
    }

    /// The batches with which an engine that knows every removed entity frees blobs. Nothing is pinned.
    #[must_use]
    pub fn batches_that_free(&self, unnamed: bool) -> Vec<Batch> {
        let is_named = |id: &BlobId| self.rows.iter().any(|row| row.entity.blob.as_ref() == Some(id));
        let was_named = |id: &BlobId| unnamed || self.named_once.contains(id);
        let is_chunk_of = |id: &BlobId, file: &BlobId, blob: &StoredBlob| {
            let chunks = (blob.form == BlobForm::Manifest).then(|| {
                crate::files::chunk_ids(file, &blob.bytes).expect("the model holds what files wrote")
            });
            chunks.is_some_and(|mut chunks| chunks.any(|chunk| chunk == *id))
        };
        let is_chunk = |id: &BlobId, without: &[BlobId]| {
            let mut blobs = self.blobs.iter().filter(|(file, _)| !without.contains(file));
            blobs.any(|(file, blob)| is_chunk_of(id, file, blob))
        };
        let of_form = |is_right: fn(BlobForm) -> bool| {
            self.blobs.iter().filter(move |(_, blob)| is_right(blob.form)).map(|(id, _)| *id)
        };
        let files: Vec<BlobId> = of_form(|form| form != BlobForm::Chunk)
            .filter(|id| !is_named(id) && was_named(id) && !is_chunk(id, &[]))
            .collect();
        let chunks: Vec<BlobId> =
            of_form(|form| form == BlobForm::Chunk).filter(|id| !is_chunk(id, &files)).collect();
        let together = |ids: &[BlobId]| {
            let mut batch = Batch::new();
            ids.iter().for_each(|id| batch.remove_blob(*id));
            batch
        };
        let (files, chunks) = (files.chunks(REMOVALS_TOGETHER), chunks.chunks(REMOVALS_TOGETHER));
        files.chain(chunks).map(together).collect()
    }

    /// Whether the operation changes anything.
    fn apply(&mut self, operation: &Operation, commit: &mut Commit) -> Result<bool, ErrorKind> {
        let changed = match operation {
            Operation::PutEntity(change) => return self.put_entity(change, commit),
            Operation::RemoveEntity(address) => {
                let before = self.rows.len();
                let removed = self.rows.iter().filter(|row| row.entity.address == *address);
                self.named_once.extend(removed.filter_map(|row| row.entity.blob));
                self.rows.retain(|row| row.entity.address != *address);
                self.rows.len() < before
            }
            Operation::PutBlob { id, form, bytes } => {
                let stored = self.blobs.get(id).map(|blob| blob.form);
                let is_promoted = stored == Some(BlobForm::Chunk) && *form != BlobForm::Chunk;
                if stored.is_none() || is_promoted {
                    self.blobs.insert(*id, StoredBlob { form: *form, bytes: bytes.clone() });
                }
                commit.blobs_new += u64::from(stored.is_none());
                commit.others += u64::from(is_promoted);
                return Ok(stored.is_none() || is_promoted);
            }
            Operation::RemoveBlob(id) => self.blobs.remove(id).is_some(),
            Operation::PutRecord { key, value, expected } => {
                self.expect(key, *expected)?;
                let record = Record { key: key.clone(), value: value.clone(), revision: self.revision + 1 };
                self.records.insert(key.clone(), record);
                true
            }
            Operation::RemoveRecord { key, expected } => {
                self.expect(key, *expected)?;
                self.records.remove(key).is_some()
            }
        };
        commit.others += u64::from(changed);
        Ok(changed)
    }

    fn put_entity(&mut self, change: &EntityChange, commit: &mut Commit) -> Result<bool, ErrorKind> {
        if let Some(row) = self.rows.iter().find(|row| row.entity.address == change.address) {
            // Of two in one batch the first counts, whatever is attached to the second.
            if row.revision <= self.revision && !keeps_attachments(change, &row.entity) {
                return Err(ErrorKind::Conflict);
            }
            commit.entities_present += 1;
            return Ok(false);
        }
        if let Some(head) = self.rows.iter().rev().map(|row| &row.head).find(|head| head.id == change.head.id)
        {
            check_new_version(head, &change.head).map_err(|_| ErrorKind::Mutability)?;
        }
        let EntityChange { address, canonical: bytes, token, blob, .. } = change.clone();
        let token = token.map(Box::new);
        let (canonical, head) = (0..bytes.len(), EntityHead::clone(&change.head));
        let entity = StoredEntity { address, bytes, canonical, token, blob };
        self.rows.push(Row { entity, head, revision: self.revision + 1 });
        commit.entities_new += 1;
        Ok(true)
    }

    fn expect(&self, key: &RecordKey, expected: Expected) -> Result<(), ErrorKind> {
        let revision = self.records.get(key).map(|record| record.revision);
        let met = match expected {
            Expected::Any => true,
            Expected::Absent => revision.is_none(),
            Expected::Revision(wanted) => revision == Some(wanted),
        };
        if met { Ok(()) } else { Err(ErrorKind::Conflict) }
    }

    /// The entity at an address.
    #[must_use]
    pub fn entity(&self, address: &Address) -> Option<StoredEntity> {
        self.rows.iter().map(|row| &row.entity).find(|entity| entity.address == *address).cloned()
    }

    /// Every entity in the order of the commits.
    pub fn entities(&self) -> impl Iterator<Item = &StoredEntity> {
        self.rows.iter().map(|row| &row.entity)
    }

    /// The addresses with a prefix, in order, at most `limit`.
    #[must_use]
    pub fn addresses(&self, prefix: &AddressPrefix, limit: usize) -> Vec<Address> {
        let text = prefix.to_string();
        let found = self.entities().map(|entity| entity.address);
        let found: BTreeSet<Address> =
            found.filter(|address| address.to_string().starts_with(&text)).collect();
        found.into_iter().take(limit).collect()
    }

    /// The addresses of an id in the order of their commits.
    #[must_use]
    pub fn versions(&self, id: &str) -> Vec<Address> {
        self.rows.iter().filter(|row| row.head.id == id).map(|row| row.entity.address).collect()
    }

    /// The ids that have an entity.
    #[must_use]
    pub fn ids(&self) -> BTreeSet<String> {
        self.rows.iter().map(|row| row.head.id.to_string()).collect()
    }

    /// All rows that meet a query, whatever its limit and its cursor.
    #[must_use]
    pub fn find(&self, query: &Query) -> Vec<StoredEntity> {
        let mut rows: Vec<&Row> = self.rows.iter().filter(|row| self.meets(row, &query.filter)).collect();
        rows.retain(|row| {
            query.order_by.profile().is_none_or(|profile| row.head.coordinates.profile() == profile)
        });
        match (query.order_by, query.descending) {
            (OrderBy::Commit, false) => {}
            (OrderBy::Commit, true) => rows.reverse(),
            // Both sorts are stable: rows that are equal keep the order of their commits.
            (order_by, false) => rows.sort_by(|a, b| compare(&a.head, &b.head, order_by)),
            (order_by, true) => rows.sort_by(|a, b| compare(&b.head, &a.head, order_by)),
        }
        rows.into_iter().map(|row| row.entity.clone()).collect()
    }

    /// How many rows meet a filter.
    #[must_use]
    pub fn count(&self, filter: &Filter) -> u64 {
        self.rows.iter().filter(|row| self.meets(row, filter)).count() as u64
    }

    fn meets(&self, row: &Row, filter: &Filter) -> bool {
        let head = &row.head;
        let at = &head.coordinates;
        one_of(&at.profile(), &filter.profile)
            && one_of(&at.realm, &filter.realm)
            && one_of(&head.realm, &filter.entity_realm)
            && one_of(&head.entity_type, &filter.entity_type)
            && one_of(&at.horizon, &filter.horizon)
            && filter.lineage.contains(&at.lineage)
            && filter.created_at.contains(&head.created_at)
            && match &at.dimensions {
                Dimensions::Stat7(own) => meets_stat7(own, filter),
                Dimensions::FractalStat(own) => meets_fractalstat(own, filter),
            }
            && filter.adjacent.iter().all(|id| at.adjacency.iter().any(|member| member == id))
            && (!filter.latest || self.versions(&head.id).last() == Some(&row.entity.address))
    }

    /// The `k` entities most similar to a position, ties in the order of their commits.
    #[must_use]
    pub fn near(&self, position: &Coordinates, k: usize, except: Option<&Address>) -> Vec<Neighbour> {
        let neighbour = |row: &Row| {
            let similarity = similarity(position, &row.head.coordinates)?;
            Some(Neighbour { similarity, entity: row.entity.clone() })
        };
        let mut neighbours: Vec<Neighbour> = self.rows.iter().filter_map(neighbour).collect();
        neighbours.retain(|neighbour| Some(&neighbour.entity.address) != except);
        neighbours.sort_by(|a, b| b.similarity.total_cmp(&a.similarity));
        neighbours.truncate(k);
        neighbours
    }

    /// The entities whose tokens are nearest to one, ties in the order of their commits.
    #[must_use]
    pub fn near_token(&self, query: &TokenQuery) -> Vec<NearToken> {
        let near = |row: &Row| {
            let token = row.entity.token.as_deref()?;
            let distance = match query.metric {
                Metric::Euclidean => query.token.distance(token, query.spaces)?,
                Metric::Cosine => 1.0 - query.token.cosine(token, query.spaces)?,
            };
            Some(NearToken { distance, entity: row.entity.clone() })
        };
        let mut found: Vec<NearToken> = self.rows.iter().filter_map(near).collect();
        found.retain(|near| Some(near.entity.address) != query.except);
        found.retain(|near| query.radius.is_none_or(|radius| near.distance <= radius));
        found.sort_by(|a, b| a.distance.total_cmp(&b.distance));
        found.truncate(query.k);
        found
    }

    /// A blob.
    #[must_use]
    pub fn blob(&self, id: &BlobId) -> Option<StoredBlob> {
        self.blobs.get(id).cloned()
    }

    /// Every blob, by id.
    pub fn blobs(&self) -> impl Iterator<Item = (&BlobId, &StoredBlob)> {
        self.blobs.iter()
    }

    /// A record.
    #[must_use]
    pub fn record(&self, key: &RecordKey) -> Option<Record> {
        self.records.get(key).cloned()
    }

    /// The records of a collection in the order of their keys, those after `after`, at most `limit`.
    #[must_use]
    pub fn records(&self, collection: &str, after: Option<&str>, limit: usize) -> Vec<Record> {
        let in_collection = self.records.values().filter(|record| record.key.collection() == collection);
        let wanted = in_collection.filter(|record| after.is_none_or(|after| record.key.key() > after));
        wanted.take(limit).cloned().collect()
    }

    /// Every record.
    pub fn all_records(&self) -> impl Iterator<Item = &Record> {
        self.records.values()
    }
}

/// Whether a change attaches nothing but what is attached to the stored entity.
fn keeps_attachments(change: &EntityChange, stored: &StoredEntity) -> bool {
    (change.token.is_none() || change.token.as_ref() == stored.token())
        && (change.blob.is_none() || change.blob == stored.blob)
}

fn one_of<T: PartialEq>(value: &T, values: &[T]) -> bool {
    values.is_empty() || values.contains(value)
}

fn meets_stat7(own: &Stat7, filter: &Filter) -> bool {
    filter.resonance.contains(&own.resonance())
        && filter.velocity.contains(&own.velocity())
        && filter.density.contains(&own.density())
        && filter.luminosity.is_open()
        && filter.dimensionality.is_open()
        && filter.polarity.is_empty()
        && filter.alignment.is_empty()
}

fn meets_fractalstat(own: &FractalStat, filter: &Filter) -> bool {
    filter.resonance.is_open()
        && filter.velocity.is_open()
        && filter.density.is_open()
        && filter.luminosity.contains(&own.luminosity())
        && filter.dimensionality.contains(&own.dimensionality)
        && one_of(&own.polarity, &filter.polarity)
        && one_of(&own.alignment, &filter.alignment)
}

fn compare(a: &EntityHead<'_>, b: &EntityHead<'_>, order_by: OrderBy) -> Ordering {
    let float = |a: f64, b: f64| a.partial_cmp(&b).expect("coordinates are finite");
    match (&a.coordinates.dimensions, &b.coordinates.dimensions, order_by) {
        (_, _, OrderBy::Commit) => Ordering::Equal,
        (_, _, OrderBy::CreatedAt) => a.created_at.cmp(&b.created_at),
        (_, _, OrderBy::Lineage) => a.coordinates.lineage.cmp(&b.coordinates.lineage),
        (Dimensions::Stat7(a), Dimensions::Stat7(b), OrderBy::Resonance) => {
            float(a.resonance(), b.resonance())
        }
        (Dimensions::Stat7(a), Dimensions::Stat7(b), OrderBy::Velocity) => float(a.velocity(), b.velocity()),
        (Dimensions::Stat7(a), Dimensions::Stat7(b), OrderBy::Density) => float(a.density(), b.density()),
        (Dimensions::FractalStat(a), Dimensions::FractalStat(b), OrderBy::Luminosity) => {
            float(a.luminosity(), b.luminosity())
        }
        (Dimensions::FractalStat(a), Dimensions::FractalStat(b), OrderBy::Dimensionality) => {
            a.dimensionality.cmp(&b.dimensionality)
        }
        _ => panic!("rows without the dimension of the order are left out before they are sorted"),
    }
}
