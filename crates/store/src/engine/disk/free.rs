//! Finds the blobs that nothing needs any more and removes them, while everybody else goes on.
//!
//! First go whole blobs and manifests that entities named once and that none names now, then chunks that no
//! manifest names. What is needed is found by reading the log; as many ids as fit into memory are looked at in
//! one pass. What is named while a pass is under way is noted under the commit lock. A removal is committed under
//! that lock and under the lock of the pins, and leaves alone what was noted or is pinned: so nobody can name a
//! blob between the decision and the removal.
//!
//! It promises that whatever an entity or a manifest names stays, and that a store that is damaged is left as it
//! is, since what is damaged may name anything. It leaves out what no frame tells any more: that an entity named
//! a blob whose husk was compacted away.

mod ids;
mod noted;

use std::collections::HashSet;

use parking_lot::Mutex;
use statlas_core::{Address, BlobId};

use self::ids::Ids;
pub(super) use self::noted::Noted;
use super::DiskEngine;
use super::check::Extent;
use super::compact::Throttle;
use super::format::{Frame, Kind, Location};
use super::log::corrupt;
use super::scan::Window;
use crate::batch::{Batch, BlobForm};
use crate::budget::{MemoryUse, Reservation};
use crate::engine::freeing::REMOVALS_TOGETHER;
use crate::engine::{Durability, Engine, FreeOptions, FreeReport, ProgressFn};
use crate::error::{Error, ErrorKind, Result};
use crate::files::chunk_ids;

/// The freeing of a store.
#[derive(Default)]
pub(super) struct Freeing {
    /// Held by the one who frees.
    running: Mutex<()>,
    pub(super) noted: Noted,
}

/// What is looked for. Chunks come last, so that those of the manifests freed before go with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Files,
    Chunks,
}

impl Phase {
    fn frees(self, form: BlobForm) -> bool {
        match self {
            Self::Files => form != BlobForm::Chunk,
            Self::Chunks => form == BlobForm::Chunk,
        }
    }
}

impl DiskEngine {
    pub(super) fn free(&self, options: &FreeOptions, progress: ProgressFn<'_>) -> Result<FreeReport> {
        self.check_usable()?;
        let _one_at_a_time = self.freeing.running.lock();
        if self.may_miss_entities() {
            let message = "freeing blobs: the store is damaged, and what is damaged may name any of them; \
                           see what `statlas check` says";
            return Err(Error::new(ErrorKind::Corrupt, message));
        }
        let mut run = Run {
            engine: self,
            options,
            throttle: Throttle::new(options.bytes_per_second),
            report: FreeReport { is_complete: true, ..FreeReport::default() },
            doomed: HashSet::new(),
            doomed_memory: self.budget.hold(MemoryUse::Maintenance, 0),
            read: 0,
            progress,
        };
        let done = run.phase(Phase::Files).and_then(|()| run.phase(Phase::Chunks));
        self.freeing.noted.end();
        done?;
        if !options.dry_run {
            self.sync()?;
        }
        Ok(FreeReport { waited: run.throttle.waited, ..run.report })
    }

    /// How a blob is stored and how many bytes its frame takes, if it is stored.
    fn stored_blob(&self, id: &BlobId) -> Result<Option<(BlobForm, u64)>> {
        let Some(header) = self.blob_header(id)? else { return Ok(None) };
        Ok(Some((header.blob_form(), header.frame_bytes() as u64)))
    }
}

/// A run under way.
struct Run<'a> {
    engine: &'a DiskEngine,
    options: &'a FreeOptions,
    throttle: Throttle,
    report: FreeReport,
    /// Manifests that would be freed if this were no dry run, as many as there is memory for.
    doomed: HashSet<BlobId>,
    doomed_memory: Reservation,
    /// Bytes that earlier passes have read.
    read: u64,
    progress: ProgressFn<'a>,
}

impl Run<'_> {
    fn phase(&mut self, phase: Phase) -> Result<()> {
        let mut low = Some(0);
        while let Some(from) = low {
            let mut ids = Ids::from(from, &self.engine.budget);
            self.pass(phase, &mut ids)?;
            low = ids.high().checked_add(1);
            let (unneeded, _memory) = ids.into_unneeded();
            for together in unneeded.chunks(REMOVALS_TOGETHER) {
                self.remove(phase, together)?;
            }
        }
        Ok(())
    }

    /// Reads the log, as far as it goes now, and finds out which blobs are there and which of them are needed.
    fn pass(&mut self, phase: Phase, ids: &mut Ids) -> Result<()> {
        self.engine.freeing.noted.begin(&self.engine.budget);
        // Whatever is not noted from here on is in what is read.
        let Extent { view: _view, segments, .. } = self.engine.extent()?;
        let all: u64 = segments.iter().map(|(_, bytes)| bytes).sum();
        let mut buffer = Vec::new();
        let mut read = 0;
        for (log, bytes) in &segments {
            let failed = |error| Error::io(format!("reading {} failed", log.id.file_name()), error);
            let mut window = Window::new(&*log.file, *bytes, log.salt, &mut buffer);
            let mut at = log.data_start;
            while at < *bytes {
                let place = Location::new(log.id, at);
                let frame = window.frame(at).map_err(failed)?.map_err(|reason| corrupt(place, reason))?;
                let frame_bytes = frame.header.frame_bytes() as u64;
                self.frame(phase, &frame, ids)?;
                at += frame_bytes;
                read += frame_bytes;
                self.throttle.wait(frame_bytes, &mut || self.engine.check_open().is_ok());
                self.engine.check_open()?;
            }
            let later = if phase == Phase::Files { all } else { 0 };
            (self.progress)(self.read + read, self.read + all + later);
        }
        self.read += read;
        self.report.passes += 1;
        Ok(())
    }

    fn frame(&mut self, phase: Phase, frame: &Frame<'_>, ids: &mut Ids) -> Result<()> {
        if frame.header.kind == Kind::Blob {
            let (id, form) = (BlobId(frame.sha256()), frame.blob_form());
            let is_candidate = phase == Phase::Chunks || self.options.unnamed;
            if phase.frees(form) && is_candidate {
                ids.add(id, false);
            }
            return if form == BlobForm::Manifest { self.manifest(id, ids) } else { Ok(()) };
        }
        let Some(blob) = frame.attached_blob().filter(|blob| phase == Phase::Files && ids.holds(blob)) else {
            return Ok(());
        };
        // The entity of a husk is gone from this place; where it is stored again another frame tells.
        let is_needed = frame.header.kind == Kind::Entity && {
            let entity = self.engine.entity(&Address(frame.sha256()))?;
            entity.is_some_and(|entity| entity.blob() == Some(blob))
        };
        ids.add(blob, is_needed);
        Ok(())
    }

    /// Notes the chunks of a manifest that is still there. They are needed in both phases: one may be a whole
    /// blob too.
    fn manifest(&self, id: BlobId, ids: &mut Ids) -> Result<()> {
        if self.doomed.contains(&id) {
            return Ok(());
        }
        if let Some(stored) = self.engine.blob(&id)?.filter(|stored| stored.form == BlobForm::Manifest) {
            chunk_ids(&id, &stored.bytes)?.for_each(|chunk| ids.add(chunk, true));
        }
        Ok(())
    }

    /// Removes those of some blobs that are still not needed.
    fn remove(&mut self, phase: Phase, ids: &[BlobId]) -> Result<()> {
        // Finding them once before brings what is needed for that into memory, so that writers wait less.
        let ids: Vec<BlobId> = self.stored(phase, ids)?.into_iter().map(|(id, ..)| id).collect();
        let engine = self.engine;
        let mut writer = engine.writer.lock();
        let pins = engine.pins.lock();
        let noted = &engine.freeing.noted;
        self.report.is_complete &= !noted.is_full();
        let mut found = self.stored(phase, &ids)?;
        found.retain(|(id, ..)| !noted.has(id) && !pins.is_pinned(id));
        if found.is_empty() {
            return Ok(());
        }
        if self.options.dry_run {
            drop((pins, writer));
            self.doom(&found);
        } else {
            let mut batch = Batch::new();
            found.iter().for_each(|(id, ..)| batch.remove_blob(*id));
            // When this returns, the removal is visible.
            engine.commit_under_lock(&mut writer, batch, Durability::Written)?;
            drop((pins, writer));
        }
        for (_, form, bytes) in found {
            self.report.bytes += bytes;
            match form {
                BlobForm::Whole => self.report.wholes += 1,
                BlobForm::Manifest => self.report.manifests += 1,
                BlobForm::Chunk => self.report.chunks += 1,
            }
        }
        Ok(())
    }

    /// Those of some blobs that are stored in a form that the phase frees.
    fn stored(&self, phase: Phase, ids: &[BlobId]) -> Result<Vec<(BlobId, BlobForm, u64)>> {
        let mut found = Vec::with_capacity(ids.len());
        for id in ids {
            if let Some((form, bytes)) = self.engine.stored_blob(id)?.filter(|(form, _)| phase.frees(*form)) {
                found.push((*id, form, bytes));
            }
        }
        Ok(found)
    }

    /// Notes manifests that would be gone, so that their chunks are counted.
    fn doom(&mut self, found: &[(BlobId, BlobForm, u64)]) {
        let manifests = found.iter().filter(|(_, form, _)| *form == BlobForm::Manifest);
        for (id, ..) in manifests {
            // A table that grows is there twice.
            let bytes = (self.doomed.len() as u64 + 1) * 3 * size_of::<BlobId>() as u64;
            if bytes > self.doomed_memory.bytes() && !self.doomed_memory.try_resize(bytes * 2) {
                self.report.is_complete = false;
                return;
            }
            self.doomed.insert(*id);
        }
    }
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use std::path::Path;

    use statlas_core::BlobId;

    use crate::batch::Batch;
    use crate::engine::disk::DiskEngine;
    use crate::engine::{Durability, Engine, FreeOptions};
    use crate::store::Options;
    use crate::testing::{SimulatedDisk, version};

    #[test]
    fn with_little_memory_the_log_is_read_more_often_and_the_same_is_freed() {
        const BLOBS: u64 = 12_000;
        let options = Options { memory_bytes_max: Some(0), segment_bytes: 1 << 20, ..Options::default() };
        let disk = Box::new(SimulatedDisk::new());
        let engine = DiskEngine::on(disk, Path::new("simulated"), None, &options).expect("it opens");
        let mut batch = Batch::new();
        for number in 0..BLOBS {
            let id = batch.put_blob(number.to_le_bytes().to_vec());
            if number % 100 == 0 {
                batch.put_entity(version(&number.to_string(), 0).with_attachments(None, Some(id)));
            }
        }
        engine.commit(batch, Durability::Written).expect("it is stored");
        engine.budget.refusals().refuse_after(0, 0);
        let options = FreeOptions { unnamed: true, ..FreeOptions::default() };
        let report = engine.free_blobs(&options, &mut |_, _| {}).expect("it is sound");
        assert_eq!((report.wholes, report.is_complete), (BLOBS - BLOBS / 100, true));
        assert!(report.passes > 2, "{report:?}");
        for number in 0..BLOBS {
            let id = BlobId::of(&number.to_le_bytes());
            assert_eq!(engine.has_blob(&id).expect("it is sound"), number % 100 == 0);
        }
    }
}
