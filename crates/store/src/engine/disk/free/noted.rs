//! What others name while blobs are freed.

use std::collections::HashSet;
use std::hash::BuildHasherDefault;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use statlas_core::BlobId;

use crate::batch::{Batch, BlobForm, Operation};
use crate::budget::{Budget, MemoryUse, Reservation};
use crate::files::chunk_ids;
use crate::overlay::UniformHasher;

/// Bytes that an id takes in the set, also while that grows.
const ID_BYTES: u64 = 100;

/// The blobs that batches have named since somebody began to look for unneeded ones.
#[derive(Default)]
pub(in crate::engine::disk) struct Noted {
    is_on: AtomicBool,
    set: Mutex<Option<Set>>,
}

struct Set {
    ids: HashSet<BlobId, BuildHasherDefault<UniformHasher>>,
    memory: Reservation,
    /// Whether something is missing, since there was no memory for it.
    is_full: bool,
}

impl Noted {
    /// Begins anew. Whatever was committed before is in the log already.
    pub(super) fn begin(&self, budget: &Arc<Budget>) {
        let memory = budget.hold(MemoryUse::Maintenance, 0);
        *self.set.lock() = Some(Set { ids: HashSet::default(), memory, is_full: false });
        self.is_on.store(true, Ordering::Release);
    }

    pub(super) fn end(&self) {
        self.is_on.store(false, Ordering::Release);
        *self.set.lock() = None;
    }

    /// Whether a blob may have been named.
    pub(super) fn has(&self, id: &BlobId) -> bool {
        self.set.lock().as_ref().is_none_or(|set| set.is_full || set.ids.contains(id))
    }

    pub(super) fn is_full(&self) -> bool {
        self.set.lock().as_ref().is_none_or(|set| set.is_full)
    }

    /// Notes what a batch names that is about to be stored. The caller holds the commit lock.
    #[inline]
    pub(in crate::engine::disk) fn note(&self, batch: &Batch) {
        if self.is_on.load(Ordering::Acquire)
            && let Some(set) = &mut *self.set.lock()
        {
            batch.operations().iter().for_each(|operation| set.note(operation));
        }
    }
}

impl Set {
    fn note(&mut self, operation: &Operation) {
        match operation {
            Operation::PutEntity(change) => self.add(change.blob),
            Operation::PutBlob { form: BlobForm::Chunk, .. } => {}
            Operation::PutBlob { id, form: BlobForm::Whole, .. } => self.add([*id]),
            Operation::PutBlob { id, form: BlobForm::Manifest, bytes } => {
                self.add([*id]);
                match chunk_ids(id, bytes) {
                    Ok(chunks) => self.add(chunks),
                    // Nobody knows what it names.
                    Err(_) => self.is_full = true,
                }
            }
            Operation::RemoveEntity(_)
            | Operation::RemoveBlob(_)
            | Operation::PutRecord { .. }
            | Operation::RemoveRecord { .. } => {}
        }
    }

    fn add(&mut self, ids: impl IntoIterator<Item = BlobId>) {
        for id in ids {
            if self.ids.len() == self.ids.capacity() {
                let wanted = (self.ids.capacity() as u64 * 2).max(64);
                if self.is_full || !self.memory.try_resize(wanted * ID_BYTES) {
                    self.is_full = true;
                    return;
                }
                self.ids.reserve(self.ids.capacity().max(32));
            }
            self.ids.insert(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use statlas_core::BlobId;

    use super::Noted;
    use crate::batch::Batch;
    use crate::budget::{Budget, MEMORY_BYTES_MIN, MemoryUse};

    #[test]
    fn what_can_not_be_noted_makes_every_blob_one_that_may_be_named() {
        let budget = Budget::new(MEMORY_BYTES_MIN);
        let (noted, other) = (Noted::default(), BlobId::of(b"other"));
        let mut batch = Batch::new();
        let id = batch.put_blob(b"named".to_vec());
        assert!(noted.has(&other), "nobody notes anything");
        noted.begin(&budget);
        assert!(!noted.has(&id));
        noted.note(&batch);
        assert!(noted.has(&id) && !noted.has(&other) && !noted.is_full());
        noted.begin(&budget);
        assert!(!noted.has(&id), "what was noted before is in the log");
        let full = budget.hold(MemoryUse::Index, MEMORY_BYTES_MIN);
        noted.note(&batch);
        assert!(noted.is_full() && noted.has(&other));
        noted.end();
        drop(full);
        assert_eq!(budget.total(), 0);
    }
}
