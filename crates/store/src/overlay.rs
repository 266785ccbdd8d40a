//! Decides what a batch will do, without doing it.
//!
//! A batch is stored as a whole or not at all, so every change is judged first: against what the store
//! holds, what earlier batches of the same group will do, and what earlier changes of this batch will do.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use statlas_core::{Address, BlobId, EntityHead, Token, check_new_version};
use xxhash_rust::xxh3::xxh3_64;

use crate::batch::{Batch, BlobForm, EntityChange, Expected, Operation, RecordKey};
use crate::engine::{Commit, StoredEntity};
use crate::error::{Error, ErrorKind, Result};

/// Operations that are looked at together before each is judged: what an index knows of their keys fits into the second
/// level of the cache.
pub(crate) const LOOKED_AHEAD: usize = 2048;

/// What an engine holds, as far as rules look at it.
pub(crate) trait Holdings {
    /// Told which operations are judged next, so that what is known of their keys can be brought near.
    fn look_ahead(&self, _operations: &[Operation]) {}
    fn entity(&self, address: &Address) -> Result<Option<StoredEntity>>;
    fn has_entity(&self, address: &Address) -> Result<bool>;
    /// Whether an entity was stored once and its bytes are damaged; an error if others could not take its place.
    fn is_damaged(&self, _address: &Address) -> Result<bool> {
        Ok(false)
    }
    /// Whether an entity is there to be removed; an error if what that changes can't be read.
    fn is_removable(&self, address: &Address) -> Result<bool> {
        self.has_entity(address)
    }
    /// An error if what the removal of a version of an id changes can't be read.
    fn check_versions(&self, _id: &str) -> Result<()> {
        Ok(())
    }
    /// The addresses of an id in the order of their commits.
    fn versions(&self, id: &str) -> Result<Vec<Address>>;
    /// The last of the addresses of an id.
    fn head(&self, id: &str) -> Result<Option<Address>>;
    /// How a blob is stored, if it is and is sound.
    fn blob_form(&self, id: &BlobId) -> Result<Option<BlobForm>>;
    /// Whether a blob is there to be removed; an error if it is damaged.
    fn is_removable_blob(&self, id: &BlobId) -> Result<bool> {
        Ok(self.blob_form(id)?.is_some())
    }
    /// The revision of a record; [`UNKNOWN_REVISION`] where it is damaged.
    fn record_revision(&self, key: &RecordKey) -> Result<Option<u64>>;
}

/// The revision of a record that is damaged. No batch has it.
pub(crate) const UNKNOWN_REVISION: u64 = 0;

/// What will have changed when the batches that were judged so far are stored.
#[derive(Default)]
pub(crate) struct Overlay {
    /// Which of the versions an entity is that was added; `None` for those that were removed.
    entities: HashMap<Address, Option<usize>, Uniform>,
    /// The entities added, in order; some may have been removed again.
    versions: Vec<Version>,
    /// The last of the versions added whose id has a hash.
    newest: HashMap<u64, usize, Uniform>,
    /// Whether an entity was removed: only then can a stored head be none.
    removes_entities: bool,
    /// How blobs that were added will be stored; `None` for those that were removed.
    blobs: HashMap<BlobId, Option<BlobForm>, Uniform>,
    records: HashMap<RecordKey, Option<u64>>,
}

struct Version {
    address: Address,
    head: Arc<EntityHead<'static>>,
    token: Option<Box<Token>>,
    blob: Option<BlobId>,
    /// The version added before whose id has the same hash.
    previous: Option<usize>,
}

/// Takes eight bytes of keys that are uniformly distributed as their hash.
type Uniform = BuildHasherDefault<UniformHasher>;

#[derive(Default)]
pub(crate) struct UniformHasher(u64);

impl Hasher for UniformHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        // A key of 32 bytes comes with its length in a write of its own.
        if let Some(first) = bytes.first_chunk() {
            self.0 = u64::from_le_bytes(*first);
        }
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }

    fn write_usize(&mut self, _length: usize) {}
}

impl Overlay {
    /// One with room for what a batch may change.
    fn for_batch(batch: &Batch) -> Self {
        let (mut entities, mut blobs) = (0, 0);
        for operation in batch.operations() {
            match operation {
                Operation::PutEntity(_) | Operation::RemoveEntity(_) => entities += 1,
                Operation::PutBlob { .. } | Operation::RemoveBlob(_) => blobs += 1,
                Operation::PutRecord { .. } | Operation::RemoveRecord { .. } => {}
            }
        }
        let mut overlay = Self::default();
        overlay.entities.reserve(entities);
        overlay.versions.reserve(entities);
        overlay.newest.reserve(entities);
        overlay.blobs.reserve(blobs);
        overlay
    }

    fn add_version(&mut self, version: Version) {
        let hash = xxh3_64(version.head.id.as_bytes());
        let previous = self.newest.insert(hash, self.versions.len());
        self.entities.insert(version.address, Some(self.versions.len()));
        self.versions.push(Version { previous, ..version });
    }

    /// The versions of an id that were added, the newest first.
    fn versions_of(&self, id: &str) -> impl Iterator<Item = &Version> {
        let newest =
            if self.newest.is_empty() { None } else { self.newest.get(&xxh3_64(id.as_bytes())).copied() };
        let chain = std::iter::successors(newest, |at| self.versions[*at].previous);
        chain.map(|at| &self.versions[at]).filter(move |version| version.head.id == id)
    }

    /// Takes over what a batch that was judged with this overlay beneath it will change.
    pub(crate) fn absorb(&mut self, batch: Self) {
        if self.entities.is_empty() && self.blobs.is_empty() && self.records.is_empty() {
            // Most groups are of one batch.
            *self = batch;
            return;
        }
        batch.versions.into_iter().for_each(|version| self.add_version(version));
        self.entities.extend(batch.entities.into_iter().filter(|(_, added)| added.is_none()));
        self.removes_entities |= batch.removes_entities;
        self.blobs.extend(batch.blobs);
        self.records.extend(batch.records);
    }
}

/// What a batch will do.
#[derive(Default)]
pub(crate) struct Plan {
    /// For each operation whether it changes anything.
    pub(crate) changes: Vec<bool>,
    /// The counts; the revision is set when the batch is stored.
    pub(crate) commit: Commit,
}

/// Judges a batch that will be stored as `revision`.
pub(crate) fn judge(
    holdings: &dyn Holdings,
    below: &Overlay,
    batch: &Batch,
    revision: u64,
) -> Result<(Plan, Overlay)> {
    let above = Overlay::for_batch(batch);
    let mut judge = Judge { holdings, below, above, plan: Plan::default(), revision };
    judge.plan.changes.reserve(batch.len());
    for chunk in batch.operations().chunks(LOOKED_AHEAD) {
        holdings.look_ahead(chunk);
        for operation in chunk {
            let index = judge.plan.changes.len();
            let changes = judge.operation(operation).map_err(|error| error.for_operation(index))?;
            judge.plan.changes.push(changes);
        }
    }
    Ok((judge.plan, judge.above))
}

struct Judge<'a> {
    holdings: &'a dyn Holdings,
    below: &'a Overlay,
    above: Overlay,
    plan: Plan,
    revision: u64,
}

impl Judge<'_> {
    /// Whether the operation changes anything.
    fn operation(&mut self, operation: &Operation) -> Result<bool> {
        match operation {
            Operation::PutEntity(change) => self.put_entity(change),
            Operation::RemoveEntity(address) => self.remove_entity(*address),
            Operation::PutBlob { id, form, .. } => {
                let stored = self.blob_form(id)?;
                let changes = form.replaces(stored);
                if changes {
                    self.above.blobs.insert(*id, Some(*form));
                    match stored {
                        None => self.plan.commit.blobs_new += 1,
                        Some(_) => self.plan.commit.others += 1,
                    }
                }
                Ok(changes)
            }
            Operation::RemoveBlob(id) => {
                let there = match self.overlaid_blob(id) {
                    Some(form) => form.is_some(),
                    None => self.holdings.is_removable_blob(id)?,
                };
                if there {
                    self.above.blobs.insert(*id, None);
                    self.plan.commit.others += 1;
                }
                Ok(there)
            }
            Operation::PutRecord { key, expected, .. } => {
                self.expect(key, *expected)?;
                self.above.records.insert(key.clone(), Some(self.revision));
                self.plan.commit.others += 1;
                Ok(true)
            }
            Operation::RemoveRecord { key, expected } => {
                let there = self.expect(key, *expected)?.is_some();
                if there {
                    self.above.records.insert(key.clone(), None);
                    self.plan.commit.others += 1;
                }
                Ok(there)
            }
        }
    }

    fn put_entity(&mut self, change: &EntityChange) -> Result<bool> {
        if self.has_entity(&change.address)? {
            self.check_attachments(change)?;
            self.plan.commit.entities_present += 1;
            return Ok(false);
        }
        // One that is stored again in the place of its damaged self was judged when it was new.
        if self.holdings.is_damaged(&change.address)? {
            self.holdings.check_versions(&change.head.id)?;
        } else if let Some(head) = self.head(&change.head.id)? {
            check_new_version(&head, &change.head)?;
        }
        self.above.add_version(Version {
            address: change.address,
            head: Arc::clone(&change.head),
            token: change.token.map(Box::new),
            blob: change.blob,
            previous: None,
        });
        self.plan.commit.entities_new += 1;
        Ok(true)
    }

    /// An entity never changes, and neither does what is attached to it. Of one that comes twice in a batch
    /// the first counts.
    fn check_attachments(&self, change: &EntityChange) -> Result<()> {
        let (token, blob) = (change.token.as_ref(), change.blob);
        if (token.is_none() && blob.is_none()) || self.above.entities.contains_key(&change.address) {
            return Ok(());
        }
        let differs = |stored: Option<&Token>, file: Option<BlobId>| match (stored, file) {
            (None, _) if token.is_some() => Some("without a token"),
            (stored, _) if token.is_some() && token != stored => Some("with another token"),
            (_, None) if blob.is_some() => Some("without a file"),
            (_, file) if blob.is_some() && blob != file => Some("with another file"),
            _ => None,
        };
        let difference =
            match self.below.versions_of(&change.head.id).find(|version| version.address == change.address) {
                Some(version) => differs(version.token.as_deref(), version.blob),
                None => match self.holdings.entity(&change.address)? {
                    Some(stored) => differs(stored.token(), stored.blob()),
                    None => None,
                },
            };
        let Some(difference) = difference else { return Ok(()) };
        let message = format!(
            "entity {}: it is stored already {difference}, which never changes; remove it first, or store a new version",
            change.address
        );
        Err(Error::new(ErrorKind::Conflict, message))
    }

    /// What will have become of an entity, if anything.
    fn overlaid(&self, address: &Address) -> Option<bool> {
        let overlays = [&self.above, self.below];
        overlays.into_iter().find_map(|overlay| overlay.entities.get(address)).map(Option::is_some)
    }

    /// The id of an entity that will have been added.
    fn added_id(&self, address: &Address) -> Option<&str> {
        let overlays = [&self.above, self.below];
        let (overlay, added) = overlays
            .into_iter()
            .find_map(|overlay| overlay.entities.get(address).map(|added| (overlay, *added)))?;
        Some(&overlay.versions[added?].head.id)
    }

    fn has_entity(&self, address: &Address) -> Result<bool> {
        self.overlaid(address).map_or_else(|| self.holdings.has_entity(address), Ok)
    }

    fn remove_entity(&mut self, address: Address) -> Result<bool> {
        let there = match self.overlaid(&address) {
            Some(there) => there,
            None => self.holdings.is_removable(&address)?,
        };
        if there {
            if let Some(id) = self.added_id(&address) {
                self.holdings.check_versions(id)?;
            }
            self.above.entities.insert(address, None);
            self.above.removes_entities = true;
            self.plan.commit.others += 1;
        }
        Ok(there)
    }

    /// The newest version of an id: the last one added, else the last stored, that is not removed.
    fn head(&self, id: &str) -> Result<Option<Arc<EntityHead<'static>>>> {
        let kept = |address: &Address| self.overlaid(address) != Some(false);
        for overlay in [&self.above, self.below] {
            if let Some(version) = overlay.versions_of(id).find(|version| kept(&version.address)) {
                return Ok(Some(Arc::clone(&version.head)));
            }
        }
        let address = if self.above.removes_entities || self.below.removes_entities {
            self.holdings.versions(id)?.into_iter().rfind(kept)
        } else {
            self.holdings.head(id)?
        };
        let Some(address) = address else { return Ok(None) };
        let Some(entity) = self.holdings.entity(&address)? else {
            let message = format!("id {id:?}: the address of its newest version is damaged");
            return Err(Error::new(ErrorKind::Corrupt, message));
        };
        Ok(Some(Arc::new(entity.head()?.into_owned())))
    }

    fn blob_form(&self, id: &BlobId) -> Result<Option<BlobForm>> {
        self.overlaid_blob(id).map_or_else(|| self.holdings.blob_form(id), Ok)
    }

    fn overlaid_blob(&self, id: &BlobId) -> Option<Option<BlobForm>> {
        self.above.blobs.get(id).or_else(|| self.below.blobs.get(id)).copied()
    }

    /// The record's revision, if it is what the operation expects.
    fn expect(&self, key: &RecordKey, expected: Expected) -> Result<Option<u64>> {
        let revision = match self.above.records.get(key).or_else(|| self.below.records.get(key)) {
            Some(revision) => *revision,
            None => self.holdings.record_revision(key)?,
        };
        let wanted = match expected {
            Expected::Any => return Ok(revision),
            Expected::Absent => None,
            Expected::Revision(revision) => Some(revision),
        };
        let (collection, name) = (key.collection(), key.key());
        if revision == Some(UNKNOWN_REVISION) {
            let message = format!(
                "record {name:?} in collection {collection:?} is damaged, and what it is now is not known; \
                 set or remove it whatever it is"
            );
            return Err(Error::new(ErrorKind::Corrupt, message));
        }
        if revision == wanted {
            return Ok(revision);
        }
        let describe =
            |revision: Option<u64>| revision.map_or("absent".to_owned(), |n| format!("at revision {n}"));
        let message = format!(
            "record {name:?} in collection {collection:?}: found it {}; expected it {}",
            describe(revision),
            describe(wanted),
        );
        Err(Error::new(ErrorKind::Conflict, message))
    }
}
