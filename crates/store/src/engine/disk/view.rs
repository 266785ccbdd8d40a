//! What the log is made of at one moment. A view never changes; another one takes its place.

use std::collections::HashMap;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::RwLock;

use super::format::{Location, SegmentId};
use super::indexes::Indexes;
use super::log::LogFile;
use super::sidecar::{Sidecar, TableId};
use crate::columns::{Bit, ColumnId, Rows};
use crate::error::Result;

/// The segments, and the indexes that are in memory.
#[derive(Clone)]
pub(super) struct View {
    /// In the order of the log; the last one is being written.
    pub(super) segments: Vec<Segment>,
    files: Files,
    pub(super) indexes: Arc<Indexes>,
    /// Segments from this position on are covered by the indexes; those before are looked up in their
    /// sidecars.
    pub(super) covered_from: usize,
}

/// A segment of the log.
#[derive(Clone)]
pub(super) struct Segment {
    pub(super) log: Arc<LogFile>,
    /// Of all but the one that is being written.
    pub(super) sealed: Option<Arc<Sealed>>,
}

/// A segment that is complete: what is in it, and what became of that.
pub(super) struct Sealed {
    pub(super) sidecar: Sidecar,
    /// Places of entities and blobs that were removed since the sidecar was made.
    removed: RwLock<HashSet<u32>>,
    /// Whether there is any: most segments have none, and are asked often.
    has_removed: AtomicBool,
    pub(super) blobs_removed: AtomicU64,
    /// Bytes of frames that nobody can reach any more.
    garbage: AtomicU64,
}

/// Files by their ids.
#[derive(Clone, Default)]
struct Files {
    /// Those that writers made, by number from `first` on.
    written: Vec<Option<Arc<LogFile>>>,
    first: usize,
    compacted: HashMap<SegmentId, Arc<LogFile>>,
}

impl Files {
    fn new<'a>(files: impl Iterator<Item = &'a Arc<LogFile>> + Clone) -> Self {
        let numbers =
            files.clone().filter(|file| !file.id.is_compacted()).map(|file| file.id.number() as usize);
        let first = numbers.min().unwrap_or(0);
        let mut found = Self { first, ..Self::default() };
        for file in files {
            if file.id.is_compacted() {
                found.compacted.insert(file.id, Arc::clone(file));
                continue;
            }
            let at = file.id.number() as usize - first;
            if found.written.len() <= at {
                found.written.resize(at + 1, None);
            }
            found.written[at] = Some(Arc::clone(file));
        }
        found
    }
}

impl Sealed {
    pub(super) fn new(sidecar: Sidecar) -> Self {
        let garbage = AtomicU64::new(sidecar.summary().garbage_bytes);
        Self {
            sidecar,
            removed: RwLock::default(),
            has_removed: AtomicBool::new(false),
            blobs_removed: AtomicU64::new(0),
            garbage,
        }
    }

    /// Whether what stands at a place was removed since the sidecar was made.
    pub(super) fn is_removed(&self, place: u32) -> bool {
        self.has_removed.load(Ordering::Acquire) && self.removed.read().contains(&place)
    }

    pub(super) fn remove(&self, place: u32) {
        self.removed.write().insert(place);
        self.has_removed.store(true, Ordering::Release);
    }

    pub(super) fn remove_blob(&self, place: u32) {
        self.remove(place);
        self.blobs_removed.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn garbage(&self) -> u64 {
        self.garbage.load(Ordering::Relaxed)
    }

    pub(super) fn add_garbage(&self, bytes: u64) {
        self.garbage.fetch_add(bytes, Ordering::Relaxed);
    }
}

impl View {
    /// A view of nothing, until a log is opened.
    pub(super) fn empty() -> Self {
        Self {
            segments: Vec::new(),
            files: Files::default(),
            indexes: Arc::new(Indexes::new()),
            covered_from: 0,
        }
    }

    /// A view of segments of which none but the last is covered by the indexes.
    pub(super) fn new(segments: Vec<Segment>, indexes: Indexes) -> Self {
        let covered_from = segments.len().saturating_sub(1);
        let files = Files::new(segments.iter().map(|segment| &segment.log));
        Self { segments, files, indexes: Arc::new(indexes), covered_from }
    }

    /// The same indexes over other segments; `also` are files that indexes may still lead to.
    pub(super) fn with_segments(
        &self,
        segments: Vec<Segment>,
        covered_from: usize,
        also: &[Arc<LogFile>],
    ) -> Self {
        let files = Files::new(segments.iter().map(|segment| &segment.log).chain(also));
        Self { segments, files, indexes: Arc::clone(&self.indexes), covered_from }
    }

    /// The same segments with other indexes.
    pub(super) fn with_indexes(&self, indexes: Arc<Indexes>, covered_from: usize) -> Self {
        Self { indexes, covered_from, ..self.clone() }
    }

    #[inline]
    pub(super) fn file(&self, id: SegmentId) -> Option<&LogFile> {
        if id.is_compacted() {
            return self.files.compacted.get(&id).map(|file| &**file);
        }
        self.files.written.get((id.number() as usize).wrapping_sub(self.files.first))?.as_deref()
    }

    /// The numbers of the files that writers made and that a segment stands for, the last included.
    pub(super) fn range(&self, id: SegmentId) -> (u32, u32) {
        self.file(id).map_or((id.number(), id.number()), |file| (file.first, file.last))
    }

    /// The complete segment with an id.
    pub(super) fn sealed(&self, id: SegmentId) -> Option<&Sealed> {
        let segment = self.segments.iter().rev().find(|segment| segment.log.id == id);
        segment.and_then(|segment| segment.sealed.as_deref())
    }

    /// Complete segments, the newest first.
    pub(super) fn complete(&self) -> impl Iterator<Item = (SegmentId, &Sealed)> {
        complete(&self.segments)
    }

    /// Complete segments that the indexes do not cover, the newest first.
    pub(super) fn uncovered(&self) -> impl Iterator<Item = (SegmentId, &Sealed)> {
        complete(&self.segments[..self.covered_from])
    }

    /// The first answer of `visit` about what the sidecars of segments that are not covered hold for a key
    /// and was not removed.
    pub(super) fn find_uncovered<T>(
        &self,
        table: TableId,
        key: u64,
        mut visit: impl FnMut(Location) -> Option<T>,
    ) -> Result<Option<T>> {
        for (id, sealed) in self.uncovered() {
            if !sealed.sidecar.may_hold(table, key) {
                continue;
            }
            let found = sealed.sidecar.find(table, key, |place| {
                if sealed.is_removed(place) { None } else { visit(Location::at(id, place)) }
            })?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }
}

/// Those of some segments that are complete, the newest first.
pub(super) fn complete(segments: &[Segment]) -> impl Iterator<Item = (SegmentId, &Sealed)> {
    segments.iter().rev().filter_map(|segment| Some((segment.log.id, segment.sealed.as_deref()?)))
}

/// The row of the entity at a place. Rows are in the order of their places.
pub(super) fn row_at(rows: &dyn Rows, place: u32) -> Result<Option<usize>> {
    let (mut low, mut high) = (0, rows.len());
    while low < high {
        let middle = low + (high - low) / 2;
        if rows.value(middle, ColumnId::Place)? < i64::from(place) { low = middle + 1 } else { high = middle }
    }
    let found = low < rows.len() && rows.value(low, ColumnId::Place)? == i64::from(place);
    Ok(found.then_some(low))
}

/// The place of a row within its segment.
pub(super) fn row_place(rows: &dyn Rows, row: usize) -> Result<u32> {
    // Places have 32 bits.
    Ok(rows.value(row, ColumnId::Place)? as u32)
}

/// Whether a row is the newest version of its id.
pub(super) fn is_head(rows: &dyn Rows, row: usize) -> bool {
    let bits = rows.bits();
    !bits.get(row, Bit::Removed) && !bits.get(row, Bit::Superseded)
}
