//! Taking over a complete segment from its sidecar, without reading the segment.

use std::sync::atomic::Ordering;

use super::active::REPLACED_UNIT_BYTES;
use super::format::{Location, SegmentId};
use super::sidecar::{EffectKind, TableId};
use super::tables::Inner;
use super::view::{Sealed, Segment, row_place};
use crate::columns::{Bit, Rows};
use crate::error::Result;
use crate::index::key_of;

/// What a segment is taken over into.
pub(super) struct Takeover<'a> {
    /// The complete segments before it.
    pub(super) segments: &'a [Segment],
    /// Those of them that have other rows than when their sidecar was made, since frames are damaged.
    pub(super) shifted: &'a [SegmentId],
    pub(super) inner: &'a mut Inner,
}

impl Takeover<'_> {
    /// Does what the batches of a segment did.
    pub(super) fn take(&mut self, segment: &Segment) -> Result<()> {
        let Some(sealed) = &segment.sealed else { return Ok(()) };
        for effect in sealed.sidecar.effects()? {
            let Some(target) = self.segment(SegmentId(effect.segment)) else { continue };
            // What became of those rows is found out from what is stored.
            let is_row = !matches!(effect.kind, EffectKind::BlobRemoved | EffectKind::RecordsReplaced);
            if is_row && self.shifted.contains(&SegmentId(effect.segment)) {
                continue;
            }
            // What a compacted segment was made after is in it already.
            if effect.revision > target.sidecar.summary().state_revision {
                apply_effect(target, effect.kind, effect.target)?;
            }
        }
        self.mend(sealed)
    }

    fn segment(&self, id: SegmentId) -> Option<&Sealed> {
        let segment = self.segments.iter().rev().find(|segment| segment.log.id == id);
        segment.and_then(|segment| segment.sealed.as_deref())
    }

    /// What was damaged in an earlier segment and is stored again or removed in this one is mended.
    fn mend(&mut self, sealed: &Sealed) -> Result<()> {
        if self.inner.damaged.is_empty() {
            return Ok(());
        }
        for removal in sealed.sidecar.removals()? {
            self.inner.damaged.remove(&(removal.kind.table(), removal.key));
        }
        let damaged: Vec<(TableId, [u8; 32])> = self.inner.damaged.keys().copied().collect();
        for (table, key) in damaged {
            if sealed.sidecar.find(table, key_of(&key), |_| Some(()))?.is_some() {
                self.inner.damaged.remove(&(table, key));
            }
        }
        Ok(())
    }
}

impl Sealed {
    /// Entities of the segment that were not removed.
    pub(super) fn entities_live(&self) -> u64 {
        self.count_rows(|removed, _| removed)
    }

    /// Entities of the segment that are the newest version of their id. Every id has one in some segment.
    pub(super) fn heads(&self) -> u64 {
        self.count_rows(|removed, superseded| removed | superseded)
    }

    /// The rows whose bits of `without`, which makes one word of two, are clear.
    fn count_rows(&self, without: impl Fn(u64, u64) -> u64) -> u64 {
        let bits = self.sidecar.bits();
        let words = 0..self.sidecar.len().div_ceil(64);
        let without = |at| without(bits.word(at, Bit::Removed), bits.word(at, Bit::Superseded));
        let count: u64 = words.map(|at| u64::from(without(at).count_ones())).sum();
        self.sidecar.len() as u64 - count
    }

    /// Blobs of the segment that were not removed.
    pub(super) fn blobs_live(&self) -> u64 {
        let all = self.sidecar.entries_of(TableId::Blobs);
        all.saturating_sub(self.blobs_removed.load(Ordering::Relaxed))
    }
}

/// What an effect of a later segment does to this one.
pub(super) fn apply_effect(sealed: &Sealed, kind: EffectKind, target: u32) -> Result<()> {
    let bits = sealed.sidecar.bits();
    let row = target as usize;
    match kind {
        EffectKind::EntityRemoved if row < sealed.sidecar.len() => {
            bits.set(row, Bit::Removed, true);
            let place = row_place(&sealed.sidecar, row)?;
            sealed.remove(place);
            sealed.add_garbage(Location::at(SegmentId(0), place).bytes_to_fetch() as u64);
        }
        EffectKind::Superseded if row < sealed.sidecar.len() => {
            bits.set(row, Bit::Superseded, true);
        }
        EffectKind::Newest if row < sealed.sidecar.len() => {
            bits.set(row, Bit::Superseded, false);
        }
        EffectKind::BlobRemoved => {
            sealed.remove_blob(target);
            sealed.add_garbage(Location::at(SegmentId(0), target).bytes_to_fetch() as u64);
        }
        EffectKind::RecordsReplaced => sealed.add_garbage(u64::from(target) * REPLACED_UNIT_BYTES),
        _ => {}
    }
    Ok(())
}
