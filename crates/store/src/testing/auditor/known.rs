//! Everything that was ever stored: what may come back right, and what must be absent.

use std::collections::{BTreeMap, BTreeSet};

use statlas_core::{Address, BlobId};

use crate::batch::{Batch, Operation, RecordKey};
use crate::engine::{Engine, Record, StoredBlob, StoredEntity};
use crate::testing::Failure;
use crate::testing::twin::same;

/// Names and contents that a store was told of, whatever became of them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Known {
    /// With each set of attachments that it ever had.
    pub(super) entities: BTreeMap<Address, Vec<StoredEntity>>,
    pub(super) ids: BTreeMap<String, BTreeSet<Address>>,
    pub(super) blobs: BTreeMap<BlobId, StoredBlob>,
    /// With each value that it ever had.
    pub(super) records: BTreeMap<RecordKey, BTreeSet<Vec<u8>>>,
    /// What batches set records to, and their revisions; within a batch, what another change followed, too.
    past_records: BTreeSet<(RecordKey, u64, Vec<u8>)>,
}

impl Known {
    /// Notes what a batch would store.
    pub(crate) fn learn(&mut self, batch: &Batch) {
        for operation in batch.operations() {
            match operation {
                Operation::PutEntity(change) => {
                    let (bytes, canonical) = (change.canonical.clone(), 0..change.canonical.len());
                    let (address, token) = (change.address, change.token.map(Box::new));
                    let entity = StoredEntity { address, bytes, canonical, token, blob: change.blob };
                    let seen = self.entities.entry(address).or_default();
                    if !seen.contains(&entity) {
                        seen.push(entity);
                    }
                    self.ids.entry(change.head.id.to_string()).or_default().insert(address);
                }
                Operation::PutBlob { id, form, bytes } => {
                    let blob = || StoredBlob { form: *form, bytes: bytes.clone() };
                    self.blobs.entry(*id).or_insert_with(blob);
                }
                Operation::PutRecord { key, value, .. } => {
                    self.records.entry(key.clone()).or_default().insert(value.clone());
                }
                Operation::RemoveEntity(_) | Operation::RemoveBlob(_) | Operation::RemoveRecord { .. } => {}
            }
        }
    }

    /// Notes the revision of a batch that was stored.
    pub(super) fn date(&mut self, batch: &Batch, revision: u64) {
        for operation in batch.operations() {
            if let Operation::PutRecord { key, value, .. } = operation {
                self.past_records.insert((key.clone(), revision, value.clone()));
            }
        }
    }

    /// Whether a record was once set to what was found, at the revision that it tells.
    pub(super) fn was_record(&self, found: &Record) -> bool {
        self.past_records.contains(&(found.key.clone(), found.revision, found.value.clone()))
    }

    /// Whether all of it is stored as it is known; of a record, one of its values.
    pub(crate) fn check_stored(&self, engine: &dyn Engine) -> Result<(), Failure> {
        for (address, variants) in &self.entities {
            let found = engine.entity(address)?.ok_or_else(|| format!("entity {address} is absent"))?;
            same("text of an entity", &found.canonical(), &variants[0].canonical())?;
        }
        for (id, blob) in &self.blobs {
            same("blob", &engine.blob(id)?.map(|blob| blob.bytes).as_ref(), &Some(&blob.bytes))?;
        }
        for (key, values) in &self.records {
            let found = engine.record(key)?.ok_or_else(|| format!("record {key:?} is absent"))?;
            same("whether the record is right", &values.contains(&found.value), &true)?;
        }
        Ok(())
    }
}
