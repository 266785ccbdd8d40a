//! Sealing: a complete segment gets its sidecar, and the next one begins.

use std::sync::Arc;

use super::DiskEngine;
use super::active::Active;
use super::format::SegmentId;
use super::log::LogFile;
use super::sidecar::{Identity, Sidecar, SidecarMemory};
use super::storage::{Mapping, Storage, StorageFile};
use super::view::{Sealed, Segment};
use crate::error::{Error, ErrorKind, Result};

impl DiskEngine {
    /// Puts the sidecar of the segment that was ended in the place of its tables, and begins the next one.
    /// Only the holder of the commit lock may do this.
    pub(super) fn seal(
        &self,
        ended: &Arc<LogFile>,
        bytes: u64,
        chain: [u8; 32],
        next: Arc<LogFile>,
    ) -> Result<()> {
        self.tables.inner.write().active.finish();
        // Nobody else changes the tables, and readers may go on while the sidecar is made.
        let identity = Identity { store_id: self.store_id, segment: ended.id.0, log_bytes: bytes };
        let encoded = {
            let inner = self.tables.inner.read();
            inner.active.encode(identity, chain, inner.records_live)
        };
        // Of one that is damaged the next opening must know, so it is read again. So is one that was written beside
        // damage: if that goes away again, rows of earlier segments have other numbers than now.
        let is_for_now = self.is_damaged || ended.is_damaged();
        let keep = if is_for_now { keep_sidecar_for_now } else { keep_sidecar };
        let sidecar = keep(&*self.storage, ended.id, encoded, &identity)?;
        if !is_for_now && ended.is_damaged() {
            // Found meanwhile by somebody who looked for the sidecar before it was there.
            remove_sidecar(&*self.storage, ended.id);
        }
        let mut inner = self.tables.inner.write();
        let revision = self.revision.load(std::sync::atomic::Ordering::Acquire);
        inner.active = Active::new(next.id, revision);
        let view = self.log.view.load();
        let mut segments = view.segments.clone();
        if let Some(last) = segments.last_mut() {
            last.sealed = Some(Arc::new(Sealed::new(sidecar)));
        }
        segments.push(Segment { log: next, sealed: None });
        let covered_from = view.covered_from;
        self.log.view.store(Arc::new(view.with_segments(segments, covered_from, &[])));
        drop(inner);
        self.account_columns();
        Ok(())
    }
}

/// Writes a sidecar and maps it. It is synced before it gets its name: its rows are only checked when they
/// are read, so one that a power cut tore must never be found. It can be made again at any time, so one that
/// can't be written is kept in memory.
pub(super) fn keep_sidecar(
    storage: &dyn Storage,
    id: SegmentId,
    encoded: Vec<u8>,
    identity: &Identity,
) -> Result<Sidecar> {
    let name = id.sidecar_name();
    let write = || {
        let (file, temporary) = write_temporary(storage, &name, &encoded)?;
        storage.rename(&temporary, &name)?;
        file.map(encoded.len())
    };
    open_new(write(), name, &encoded, identity)
}

/// Writes a sidecar that the next opening is not to use, and maps it.
pub(super) fn keep_sidecar_for_now(
    storage: &dyn Storage,
    id: SegmentId,
    encoded: Vec<u8>,
    identity: &Identity,
) -> Result<Sidecar> {
    let name = id.sidecar_name();
    let write = || {
        let (file, _) = write_temporary(storage, &name, &encoded)?;
        file.map(encoded.len())
    };
    open_new(write(), name, &encoded, identity)
}

/// Takes the file of a sidecar away, if there is one, so that the next opening reads the segment.
pub(super) fn remove_sidecar(storage: &dyn Storage, id: SegmentId) {
    // It can be made again at any time, so nothing is lost. If it can't be removed, damage is found again by a check.
    drop(storage.remove(&id.sidecar_name()).and_then(|()| storage.sync_folder("log")));
}

/// Writes a file under a name that the next opening removes, and syncs it: what is read again after a write that failed
/// unnoticed would be something else.
fn write_temporary(
    storage: &dyn Storage,
    name: &str,
    bytes: &[u8],
) -> std::io::Result<(Box<dyn StorageFile>, String)> {
    let temporary = format!("{name}.new");
    let file = storage.open(&temporary, true)?;
    file.set_len(0)?;
    file.write_at(0, bytes)?;
    file.sync()?;
    Ok((file, temporary))
}

/// Opens a sidecar that was just written, or if it could not be, keeps it in memory.
fn open_new(
    written: std::io::Result<Box<dyn Mapping>>,
    name: String,
    encoded: &[u8],
    identity: &Identity,
) -> Result<Sidecar> {
    if let Ok(map) = written
        && let Ok(sidecar) = Sidecar::open(SidecarMemory::Mapped(map), name.clone(), identity)
    {
        return Ok(sidecar);
    }
    let unusable =
        |reason| Error::new(ErrorKind::Corrupt, format!("{name}: a new sidecar is unusable: {reason}"));
    Sidecar::open(SidecarMemory::Heap(encoded.into()), name.clone(), identity).map_err(unusable)
}

/// The sidecar of a complete segment, if it is there and describes that file; else why not.
pub(super) fn open_sidecar(
    storage: &dyn Storage,
    identity: &Identity,
) -> std::result::Result<Sidecar, String> {
    let name = SegmentId(identity.segment).sidecar_name();
    let open = || {
        let file = storage.open(&name, false)?;
        let bytes = file.len()?;
        // A crash may leave it empty; nothing can't be mapped, and behind its end no byte may be read.
        if bytes == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        file.map(usize::try_from(bytes).unwrap_or(usize::MAX))
    };
    let map = open().map_err(|error| error.to_string())?;
    Sidecar::open(SidecarMemory::Mapped(map), name, identity)
}
