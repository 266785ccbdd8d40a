//! Freeing blobs: everything is in memory, so one look while nobody writes tells what is needed.

use std::collections::HashSet;
use std::time::Duration;

use statlas_core::BlobId;

use super::Held;
use crate::batch::{Batch, BlobForm};
use crate::engine::freeing::{PinsGuard, REMOVALS_TOGETHER};
use crate::engine::{FreeOptions, FreeReport, StoredEntity};
use crate::error::Result;
use crate::files::chunk_ids;

impl Held {
    /// Removes blobs that nothing needs: first whole blobs and manifests, then chunks.
    pub(super) fn free(&mut self, options: &FreeOptions, pins: &PinsGuard<'_>) -> Result<FreeReport> {
        let mut report = FreeReport { is_complete: true, waited: Duration::ZERO, ..FreeReport::default() };
        let entities = self.addresses.values().filter_map(|row| self.at(*row));
        let named: HashSet<BlobId> = entities.filter_map(StoredEntity::blob).collect();
        let chunks = self.chunks_named(&HashSet::new())?;
        let files = self.unneeded(pins, |id, form| {
            let was_named = options.unnamed || self.named_once.contains(id);
            form != BlobForm::Chunk && was_named && !named.contains(id) && !chunks.contains(id)
        });
        self.remove_blobs(&files, options, &mut report)?;
        let chunks = self.chunks_named(&files.iter().copied().collect())?;
        let unneeded = self.unneeded(pins, |id, form| form == BlobForm::Chunk && !chunks.contains(id));
        self.remove_blobs(&unneeded, options, &mut report)?;
        Ok(report)
    }

    /// The chunks that manifests name, but for those of some manifests.
    fn chunks_named(&self, except: &HashSet<BlobId>) -> Result<HashSet<BlobId>> {
        let mut chunks = HashSet::new();
        for (id, blob) in self.blobs.iter().filter(|(id, _)| !except.contains(id)) {
            if blob.form == BlobForm::Manifest {
                chunks.extend(chunk_ids(id, &blob.bytes)?);
            }
        }
        Ok(chunks)
    }

    /// The blobs that are not pinned and that `is_unneeded`, sorted.
    fn unneeded(&self, pins: &PinsGuard<'_>, is_unneeded: impl Fn(&BlobId, BlobForm) -> bool) -> Vec<BlobId> {
        let blobs = self.blobs.iter().filter(|(id, blob)| is_unneeded(id, blob.form) && !pins.is_pinned(id));
        let mut ids: Vec<BlobId> = blobs.map(|(id, _)| *id).collect();
        ids.sort_unstable();
        ids
    }

    fn remove_blobs(&mut self, ids: &[BlobId], options: &FreeOptions, report: &mut FreeReport) -> Result<()> {
        report.passes += 1;
        for blob in ids.iter().filter_map(|id| self.blobs.get(id)) {
            report.bytes += blob.bytes.len() as u64;
            match blob.form {
                BlobForm::Whole => report.wholes += 1,
                BlobForm::Manifest => report.manifests += 1,
                BlobForm::Chunk => report.chunks += 1,
            }
        }
        for together in ids.chunks(REMOVALS_TOGETHER).filter(|_| !options.dry_run) {
            let mut batch = Batch::new();
            together.iter().for_each(|id| batch.remove_blob(*id));
            self.commit(batch)?;
        }
        Ok(())
    }
}
