//! Freeing blobs that nothing needs any more: what it is told, what it reports, and what it must leave alone.
//!
//! A blob that somebody has found present and is about to name must not go between the two. So whoever asks for
//! a blob to use it pins it first, and whoever frees blobs holds [`Pins::lock`] from the moment at which it looks
//! for pins until the removal is visible: who pins before that keeps the blob, and who pins later finds it absent.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use statlas_core::BlobId;

/// Blobs that are removed with one batch.
pub(crate) const REMOVALS_TOGETHER: usize = 512;

/// Which blobs are freed, and how fast.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FreeOptions {
    /// Free blobs too that no entity ever named. Somebody may hold their ids elsewhere, and so they stay without
    /// this.
    pub unnamed: bool,
    /// Count and free nothing.
    pub dry_run: bool,
    /// Most bytes of the log that are read a second; 0 for as fast as it goes.
    pub bytes_per_second: u64,
}

/// What was freed, or would be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FreeReport {
    /// Small files, and other blobs stored as they are.
    pub wholes: u64,
    /// Large files: their lists of chunks.
    pub manifests: u64,
    /// Chunks that no file needed any more.
    pub chunks: u64,
    /// The bytes that all of them took. On disk, compaction gives them back.
    pub bytes: u64,
    /// How often the log was read: at least twice, more often if memory was short.
    pub passes: u64,
    /// How long it waited to keep to its rate.
    pub waited: Duration,
    /// Whether everything was freed that could be. It was not if others stored so much meanwhile that there was
    /// no memory to note it; then the rest is left for the next time.
    pub is_complete: bool,
}

impl FreeReport {
    /// How many blobs and chunks there were.
    #[must_use]
    pub fn blobs(&self) -> u64 {
        self.wholes + self.manifests + self.chunks
    }
}

/// The blobs of an open store that must not be freed, since somebody is about to name them. Costs about 50
/// bytes for each.
#[derive(Default)]
pub struct Pins {
    counts: Mutex<HashMap<BlobId, u32>>,
}

impl Pins {
    /// The pins as they are, and as they stay until the guard is dropped.
    #[must_use]
    pub fn lock(&self) -> PinsGuard<'_> {
        PinsGuard(self.counts.lock())
    }
}

impl fmt::Debug for Pins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pins({})", self.counts.lock().len())
    }
}

/// While this is held nobody pins a blob or lets go of one.
pub struct PinsGuard<'a>(MutexGuard<'a, HashMap<BlobId, u32>>);

impl PinsGuard<'_> {
    /// Whether a blob must stay.
    #[must_use]
    pub fn is_pinned(&self, id: &BlobId) -> bool {
        self.0.contains_key(id)
    }
}

/// Blobs that somebody holds pinned until this is dropped.
#[derive(Debug)]
pub(crate) struct Pinned {
    /// `None` in an engine that frees nothing.
    pins: Option<Arc<Pins>>,
    ids: Vec<BlobId>,
}

impl Pinned {
    pub(crate) fn new(pins: Option<&Arc<Pins>>) -> Self {
        Self { pins: pins.cloned(), ids: Vec::new() }
    }

    /// Pins one more blob. From here on, one that is found present stays.
    pub(crate) fn add(&mut self, id: BlobId) {
        if let Some(pins) = &self.pins {
            *pins.counts.lock().entry(id).or_insert(0) += 1;
            self.ids.push(id);
        }
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        let Some(pins) = &self.pins else { return };
        let mut counts = pins.counts.lock();
        for id in &self.ids {
            if let Some(count) = counts.get_mut(id) {
                *count -= 1;
                if *count == 0 {
                    counts.remove(id);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use statlas_core::BlobId;

    use super::{Pinned, Pins};

    #[test]
    fn a_blob_is_pinned_as_long_as_anybody_holds_it() {
        let pins = Arc::new(Pins::default());
        let (one, other) = (BlobId::of(b"one"), BlobId::of(b"other"));
        let mut first = Pinned::new(Some(&pins));
        let mut second = Pinned::new(Some(&pins));
        first.add(one);
        first.add(one);
        second.add(one);
        second.add(other);
        drop(first);
        assert!(pins.lock().is_pinned(&one) && pins.lock().is_pinned(&other));
        drop(second);
        assert!(!pins.lock().is_pinned(&one) && !pins.lock().is_pinned(&other));
        assert!(pins.counts.lock().is_empty());
    }
}
