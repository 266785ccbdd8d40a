//! Compaction: segments of which much is garbage are written anew without it, while the store goes on.
//!
//! The new file stands for a run of old ones. It is made beside them, synced and renamed; then, in one step
//! that writers wait for and readers don't, lookups are led to it, and the old files are removed. A crash
//! before the rename leaves the old files, one behind it leaves the new one, which says what it stands for.
//!
//! Content that nobody can reach any more is dropped at once. Of each dropped frame a husk stays, which is
//! what the hash chain covers of it, until its revision is older than the history that is kept.

mod choose;
mod copy;
mod output;
#[cfg(all(test, feature = "testing"))]
mod tests;
mod throttle;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use self::copy::{Copied, Copying};
pub(super) use self::throttle::Throttle;
use super::DiskEngine;
use super::files::remove_segment;
use super::format::{Location, SegmentId};
use super::indexes::IndexChange;
use super::log::LogFile;
use super::records::{note_replaced, replaced_since};
use super::seal::keep_sidecar;
use super::sidecar::{Effect, EffectKind, Identity, TableId};
use super::view::{Sealed, Segment, View};
use super::writer::Writer;
use crate::columns::{Bit, Rows as _};
use crate::engine::{CompactOptions, CompactReport, Durability, ProgressFn};
use crate::error::{Error, ErrorKind, Result};

/// How often making the sidecar is tried beside the writers before they have to wait for it.
const TRIES: u32 = 3;

/// What the store compacts by itself: files that are half garbage, and enough of it to be worth a file.
const WORTHWHILE_PART: f64 = 0.5;
const WORTHWHILE_BYTES: u64 = 4 << 20;
/// How fast it does that.
const WORTHWHILE_BYTES_PER_SECOND: u64 = 32 << 20;

impl DiskEngine {
    /// Compacts as long as there is a segment with enough garbage. Those that turn out to be damaged are passed over; the
    /// first is told at the end.
    pub(super) fn compact_all(
        &self,
        options: &CompactOptions,
        progress: ProgressFn<'_>,
    ) -> Result<CompactReport> {
        let mut done = CompactReport::default();
        let garbage = || {
            let view = self.log.view.load();
            view.segments.iter().filter_map(|segment| Some(segment.sealed.as_ref()?.garbage())).sum::<u64>()
        };
        let total = garbage();
        // What is made on the way is not compacted again, so that this ends whatever others do meanwhile.
        let newest = self.newest_compacted(&self.log.view.load());
        let mut damage = None;
        self.upkeep.leave_none_out();
        loop {
            let left_out = self.upkeep.left_out();
            match self.compact_run(options.garbage_part, options.bytes_per_second, newest) {
                Ok(Some(report)) => done += report,
                Ok(None) => break,
                // Without that segment the others can be compacted.
                Err(error) if error.kind() == ErrorKind::Corrupt && self.upkeep.left_out() > left_out => {
                    damage.get_or_insert(error);
                }
                Err(error) => return Err(error),
            }
            progress(total.saturating_sub(garbage()), total);
        }
        damage.map_or(Ok(done), Err)
    }

    /// Compacts one run of segments if that is worth it; whether it was.
    pub(super) fn compact_if_worthwhile(&self) -> Result<bool> {
        let is_worthwhile = {
            let view = self.log.view.load();
            let whole = view.segments.iter().filter(|segment| !self.upkeep.is_left_out(segment.log.id));
            let sealed = whole.filter_map(|segment| Some((segment, segment.sealed.as_ref()?)));
            sealed.map(|(segment, sealed)| (segment.log.written(), sealed.garbage())).any(
                |(bytes, garbage)| {
                    garbage >= WORTHWHILE_BYTES && garbage as f64 >= bytes as f64 * WORTHWHILE_PART
                },
            )
        };
        let rate = WORTHWHILE_BYTES_PER_SECOND;
        Ok(is_worthwhile && self.compact_run(WORTHWHILE_PART, rate, u32::MAX)?.is_some())
    }

    /// Compacts one run of segments whose garbage is at least a part of them, if there is one. Compacted
    /// files with numbers above `newest` are let alone.
    fn compact_run(
        &self,
        garbage_part: f64,
        bytes_per_second: u64,
        newest: u32,
    ) -> Result<Option<CompactReport>> {
        let _one_at_a_time = self.compacting.lock();
        self.check_usable()?;
        self.check_undamaged()?;
        let view = self.log.view.load_full();
        let Some(run) = self.choose_run(&view, garbage_part, newest)? else { return Ok(None) };
        self.seal_effects(&view.segments[run.start..run.end])?;
        let view = self.log.view.load_full();
        let inputs = &view.segments[run.start..run.end];
        let bytes_before: u64 = inputs.iter().map(|segment| segment.log.written()).sum();
        let id = self.next_compacted_id(&view);
        let mut throttle = Throttle::new(bytes_per_second);
        let mut reached = inputs[0].log.id;
        let copied = Copying::new(self, &view, inputs, id, &mut reached).and_then(|copying| {
            copying.run(&mut reached, |bytes| {
                throttle.wait(bytes, &mut || self.check_open().is_ok());
                self.check_open()
            })
        });
        let replaced = copied.and_then(|copied| {
            let bytes_after = copied.log.written();
            self.replace(copied, inputs).map(|()| bytes_after)
        });
        let bytes_after = replaced.inspect_err(|error| {
            self.leave_out_damaged(&view, reached, error);
            self.remove_unfinished_copy(id);
        })?;
        Ok(Some(CompactReport {
            segments: inputs.len() as u64,
            bytes_before,
            bytes_after,
            waited: throttle.waited,
        }))
    }

    /// An error if something was damaged when the store was opened. What is damaged or missing may need what looks like garbage
    /// without it: the removal of something whose frame can be read the next time, or an older value.
    fn check_undamaged(&self) -> Result<()> {
        if !self.is_damaged {
            return Ok(());
        }
        let first = self.damage.first().map_or("", String::as_str);
        let message = format!(
            "compacting: the store was damaged when it was opened, and what is damaged may need what looks like garbage; \
             `statlas repair` makes a fresh store, see what `statlas check` says; {first}"
        );
        Err(Error::new(ErrorKind::Corrupt, message))
    }

    /// Removes what a run that failed wrote, which only takes space, unless it may be part of the log already. It is
    /// removed when the store is opened, too.
    fn remove_unfinished_copy(&self, id: SegmentId) {
        if self.poisoned.lock().is_some() || self.log.view.load().file(id).is_some() {
            return;
        }
        drop(self.storage.remove(&format!("{}.new", id.file_name())));
        drop(self.storage.remove(&id.sidecar_name()));
    }

    /// Begins a new segment if the one that is being written removed something from these: what it removed
    /// must stay until it is sealed.
    fn seal_effects(&self, inputs: &[Segment]) -> Result<()> {
        let mut writer = self.writer.lock();
        let is_input = |segment: u32| inputs.iter().any(|input| input.log.id.0 == segment);
        let has_effects = {
            let inner = self.tables.inner.read();
            inner.active.effects().iter().any(|effect| is_input(effect.segment))
        };
        if has_effects { self.roll(&mut writer) } else { Ok(()) }
    }

    pub(super) fn newest_compacted(&self, view: &View) -> u32 {
        let numbers = view.segments.iter().map(|segment| segment.log.id).filter(|id| id.is_compacted());
        numbers.map(SegmentId::number).max().unwrap_or(0)
    }

    /// A number that no compacted file has, larger than all of them.
    fn next_compacted_id(&self, view: &View) -> SegmentId {
        let newest = self.newest_compacted(view);
        let last = self.compacted_last.fetch_max(newest, Ordering::Relaxed).max(newest);
        self.compacted_last.store(last + 1, Ordering::Relaxed);
        SegmentId::compacted(last + 1)
    }

    /// Puts a copied file in the place of its inputs.
    fn replace(&self, mut copied: Copied, inputs: &[Segment]) -> Result<()> {
        for _ in 0..TRIES {
            let sealed_before = self.log.view.load().segments.len();
            {
                let _writer = self.writer.lock();
                copied.take_state(inputs, &self.log.view.load().segments, &self.tables.inner.read().active);
            }
            let sealed = self.finish_file(&mut copied)?;
            let mut writer = self.writer.lock();
            // A segment that was sealed meanwhile holds effects on the inputs, which nobody could find again.
            if self.log.view.load().segments.len() == sealed_before {
                return self.swap(&mut writer, copied, sealed, inputs);
            }
        }
        let mut writer = self.writer.lock();
        copied.take_state(inputs, &self.log.view.load().segments, &self.tables.inner.read().active);
        let sealed = self.finish_file(&mut copied)?;
        self.swap(&mut writer, copied, sealed, inputs)
    }

    /// Writes the sidecar of a copied file, and makes both survive a power cut under a temporary name.
    fn finish_file(&self, copied: &mut Copied) -> Result<Sealed> {
        let identity =
            Identity { store_id: self.store_id, segment: copied.log.id.0, log_bytes: copied.log.written() };
        let encoded = copied.tables.encode(identity, copied.chain, copied.records_live);
        keep_sidecar(&*self.storage, copied.log.id, encoded, &identity).map(Sealed::new)
    }

    /// Leads everybody to the new file.
    fn swap(&self, writer: &mut Writer, copied: Copied, sealed: Sealed, inputs: &[Segment]) -> Result<()> {
        // What was left out is out of date because of what was written meanwhile: that must not be lost now.
        self.reach(writer, Durability::Synced)?;
        // Only the holder of the commit lock adds effects. What can fail is done before the file gets its name: a
        // file that is in its place without the removals of the last moment would bring back what they removed.
        let effects = copied.catch_up(&sealed, inputs, self.tables.inner.read().active.effects())?;
        let name = copied.log.id.file_name();
        let failed = |error| Error::io(format!("putting {name} in its place failed"), error);
        self.storage.rename(&format!("{name}.new"), &name).map_err(failed)?;
        if let Err(error) = self.storage.sync_folder("log") {
            // Which files the next opening finds is not known: what is written now might be about others.
            return Err(self.poison(writer, failed(error)));
        }
        let mut inner = self.tables.inner.write();
        let view = self.log.view.load_full();
        let first = inputs[0].log.id;
        let Some(start) = view.segments.iter().position(|segment| segment.log.id == first) else {
            return Ok(());
        };
        let (output, sealed) = (Arc::clone(&copied.log), Arc::new(sealed));
        let mut segments = view.segments.clone();
        segments.splice(
            start..start + inputs.len(),
            [Segment { log: output, sealed: Some(Arc::clone(&sealed)) }],
        );
        let covered_from = match view.covered_from {
            from if from <= start => from,
            from => from - (inputs.len() - 1),
        };
        let old: Vec<Arc<LogFile>> = inputs.iter().map(|segment| Arc::clone(&segment.log)).collect();
        // Both the old files and the new one can be read while the indexes are led over.
        self.log.view.store(Arc::new(view.with_segments(segments.clone(), covered_from, &old)));
        inner.active.set_effects(effects);
        let is_covered = view.covered_from <= start;
        for change in copied.moves(&sealed, inputs, is_covered) {
            lead_over(&view, &change);
            if let Some(shadow) = &mut inner.shadow {
                shadow.push(change);
            }
        }
        note_replaced(&copied.tables, &sealed, inputs, &mut inner.active);
        self.log.view.store(Arc::new(view.with_segments(segments, covered_from, &[])));
        drop(inner);
        self.load_filters(&self.log.view.load());
        for segment in inputs {
            remove_segment(&*self.storage, segment.log.id)?;
        }
        self.account_columns();
        Ok(())
    }
}

/// Changes an entry of the indexes if there is one.
fn lead_over(view: &View, change: &IndexChange) {
    if let (Some(old), Some(new)) = (change.old, change.new) {
        view.indexes.of(change.table).replace(change.key, old, new);
    }
}

impl Copied {
    /// Sets the bits to what they were when the segment that is being written was begun: what that one
    /// did to the inputs is noted in it, and found again there.
    fn take_state(&mut self, inputs: &[Segment], segments: &[Segment], active: &super::active::Active) {
        let bits = self.tables.rows.bits();
        for (row, origin) in self.rows.iter().enumerate() {
            let Some(sealed) = &inputs[origin.input as usize].sealed else { continue };
            for bit in [Bit::Removed, Bit::Superseded] {
                bits.set(row, bit, sealed.sidecar.bits().get(origin.row as usize, bit));
            }
        }
        for effect in active.effects().iter().rev() {
            if let Some(row) = self.row_of(inputs, effect.segment, effect.target, effect.kind) {
                match effect.kind {
                    EffectKind::EntityRemoved => bits.set(row, Bit::Removed, false),
                    EffectKind::Superseded => bits.set(row, Bit::Superseded, false),
                    EffectKind::Newest => bits.set(row, Bit::Superseded, true),
                    EffectKind::BlobRemoved | EffectKind::RecordsReplaced => false,
                };
            }
        }
        let is_removed =
            |(row, origin): (usize, &copy::Origin)| bits.get(row, Bit::Removed).then_some(origin.place);
        let mut removed: Vec<u32> = self.rows.iter().enumerate().filter_map(is_removed).collect();
        let removed_by_active: std::collections::HashSet<(u32, u32)> = active
            .effects()
            .iter()
            .filter(|effect| effect.kind == EffectKind::BlobRemoved)
            .map(|effect| (effect.segment, effect.target))
            .collect();
        for blob in &self.blobs {
            let input = &inputs[blob.input as usize];
            let is_removed = input.sealed.as_ref().is_some_and(|sealed| sealed.is_removed(blob.old));
            if is_removed && !removed_by_active.contains(&(input.log.id.0, blob.old)) {
                removed.push(blob.new);
            }
        }
        // What was removed while it was copied stands in the file, and is in no table of its sidecar. It counts as
        // garbage, at least a byte each, so that the removals are known to be needed still.
        let bytes = |place: &u32| Location::at(SegmentId(0), *place).bytes_to_fetch().max(1) as u64;
        // A damaged chunk is told to whoever needs what is in it.
        let replaced = replaced_since(&self.tables, segments, self.known).unwrap_or(0);
        self.tables.garbage = removed.iter().map(bytes).sum::<u64>() + replaced;
        self.tables.set_removed(removed);
        self.tables.set_state_revision(active.first_revision() - 1);
    }

    /// The new row of the target of an effect, if it is about a row that was kept.
    fn row_of(&self, inputs: &[Segment], segment: u32, target: u32, kind: EffectKind) -> Option<usize> {
        if matches!(kind, EffectKind::BlobRemoved | EffectKind::RecordsReplaced) {
            return None;
        }
        // Inputs are few.
        let input = inputs.iter().position(|input| input.log.id.0 == segment)? as u32;
        let key = |origin: &copy::Origin| (origin.input, origin.row);
        self.rows.binary_search_by_key(&(input, target), key).ok()
    }

    /// Does to the new segment what the segment that is being written did to the inputs; returns its effects
    /// under the new name.
    fn catch_up(&self, sealed: &Sealed, inputs: &[Segment], effects: &[Effect]) -> Result<Vec<Effect>> {
        let mut effects = effects.to_vec();
        for effect in &mut effects {
            if let Some(row) = self.row_of(inputs, effect.segment, effect.target, effect.kind) {
                (effect.segment, effect.target) = (self.log.id.0, row as u32);
                super::takeover::apply_effect(sealed, effect.kind, effect.target)?;
            } else if effect.kind == EffectKind::BlobRemoved
                && let Some(blob) = self.blob_of(inputs, effect.segment, effect.target)
            {
                (effect.segment, effect.target) = (self.log.id.0, blob.new);
                super::takeover::apply_effect(sealed, effect.kind, effect.target)?;
            }
        }
        Ok(effects)
    }

    fn blob_of(&self, inputs: &[Segment], segment: u32, place: u32) -> Option<&copy::MovedBlob> {
        let input = inputs.iter().position(|input| input.log.id.0 == segment)? as u32;
        let at = self.blobs.binary_search_by_key(&(input, place), |blob| (blob.input, blob.old)).ok()?;
        self.blobs.get(at)
    }

    /// How entries of the indexes change. Entries of entities and blobs are there if the inputs are covered;
    /// those of ids may be in any case.
    fn moves(&self, sealed: &Sealed, inputs: &[Segment], is_covered: bool) -> Vec<IndexChange> {
        let mut changes = Vec::new();
        let id = self.log.id;
        let old = |input: u32, place: u32| Location::at(inputs[input as usize].log.id, place).0;
        for (row, origin) in self.rows.iter().enumerate() {
            if sealed.sidecar.bits().get(row, Bit::Removed) {
                continue;
            }
            let new = Location::at(id, origin.place).0;
            let old = Some(old(origin.input, origin.old_place));
            if is_covered {
                changes.push(IndexChange { table: TableId::Entities, key: origin.key, old, new: Some(new) });
            }
            if !sealed.sidecar.bits().get(row, Bit::Superseded) {
                changes.push(IndexChange { table: TableId::Ids, key: origin.id_hash, old, new: Some(new) });
            }
        }
        for blob in self.blobs.iter().filter(|blob| is_covered && !sealed.is_removed(blob.new)) {
            let (old, new) = (Some(old(blob.input, blob.old)), Some(Location::at(id, blob.new).0));
            changes.push(IndexChange { table: TableId::Blobs, key: blob.key, old, new });
        }
        changes
    }
}
