//! What became of the entities of a segment whose sidecar is gone, where later segments can't tell.
//!
//! Later segments noted what they did to the files that were compacted, not to the one that took their place;
//! only its sidecar knew that. They noted rows by their numbers, which are others if a frame is damaged. And what
//! a segment did to earlier ones can't be repeated on one that was compacted later, and lacks what was removed
//! since. So it is found out again, from what is stored.

use std::collections::{HashMap, HashSet};

use super::active::Active;
use super::format::{Location, SegmentId};
use super::log::Reader;
use super::lookup::{entity_at, versions_kept};
use super::sidecar::{EffectKind, RemovalKind, TableId};
use super::view::{Sealed, Segment, row_place};
use crate::columns::{Bit, ColumnId, Rows};
use crate::error::{ErrorKind, Result};

/// Marks the removed rows of one of the segments, all of which are complete.
pub(super) fn derive_removed(reader: &Reader<'_>, segments: &[Segment], id: SegmentId) -> Result<()> {
    let Some(at) = segments.iter().position(|segment| segment.log.id == id) else { return Ok(()) };
    let Some(sealed) = &segments[at].sealed else { return Ok(()) };
    let removed = removed_since(&segments[at..])?;
    let (sidecar, bits) = (&sealed.sidecar, sealed.sidecar.bits());
    for row in 0..sidecar.len() {
        let location = Location::at(id, row_place(sidecar, row)?);
        let revision = sidecar.value(row, ColumnId::Revision)?.cast_unsigned();
        let last_removal = removed.get(&(RemovalKind::Entity, reader.key(location)?));
        if last_removal.is_some_and(|removal| *removal > revision) {
            bits.set(row, Bit::Removed, true);
            sealed.remove(location.place());
        }
    }
    Ok(())
}

/// Marks the blobs of one of the segments, all of which are complete, that later ones removed or took the place of.
pub(super) fn derive_removed_blobs(reader: &Reader<'_>, segments: &[Segment], id: SegmentId) -> Result<()> {
    let Some(at) = segments.iter().position(|segment| segment.log.id == id) else { return Ok(()) };
    let Some(sealed) = &segments[at].sealed else { return Ok(()) };
    let later = &segments[at + 1..];
    let removed = removed_since(later)?;
    for (key, place) in sealed.sidecar.range(TableId::Blobs, 0, u64::MAX)? {
        let location = Location::at(id, place);
        if sealed.is_removed(place) {
            continue;
        }
        let sha256 = reader.key(location)?;
        if removed.contains_key(&(RemovalKind::Blob, sha256)) || has_blob(reader, later, key, &sha256)? {
            sealed.remove_blob(place);
            sealed.add_garbage(reader.frame_bytes(location).unwrap_or(0));
        }
    }
    Ok(())
}

/// Whether some segments hold a blob, removed or not.
fn has_blob(reader: &Reader<'_>, segments: &[Segment], key: u64, sha256: &[u8; 32]) -> Result<bool> {
    for segment in segments {
        let Some(sealed) = &segment.sealed else { continue };
        if !sealed.sidecar.may_hold(TableId::Blobs, key) {
            continue;
        }
        let is_same = |place| match reader.key(Location::at(segment.log.id, place)) {
            Ok(found) => (found == *sha256).then_some(Ok(())),
            Err(error) => Some(Err(error)),
        };
        if sealed.sidecar.find(TableId::Blobs, key, is_same)?.transpose()?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Marks the superseded rows of all segments but the active one, which all are complete; which rows are removed
/// is known. What changes is noted in the active segment, unless it is about a segment of `underived`: those
/// are asked again at every opening.
pub(super) fn derive_superseded(
    reader: &Reader<'_>,
    segments: &[Segment],
    underived: &[SegmentId],
    active: &mut Active,
) -> Result<()> {
    let sealed: Vec<(SegmentId, &Sealed)> =
        segments.iter().filter_map(|segment| Some((segment.log.id, segment.sealed.as_deref()?))).collect();
    let rows: u64 = sealed.iter().map(|(_, sealed)| sealed.sidecar.len() as u64).sum();
    // So many rows at a time, that little memory is taken.
    let width = u64::MAX / (rows / ROWS_TOGETHER + 1);
    let mut noted = Vec::new();
    let mut note = |id: SegmentId, row: usize, kind: EffectKind| {
        if !underived.contains(&id) {
            noted.push((id, row as u32, kind));
        }
    };
    let mut low = 0_u64;
    loop {
        let high = low.saturating_add(width);
        for ids in equal_hashes(&sealed, low, high)?.chunk_by(|one, next| one.0 == next.0) {
            let ids = without_stored_again(reader, &sealed, ids, &mut note)?;
            for (segment, row, is_superseded) in judge_versions(reader, &sealed, active, &ids)? {
                let (id, sealed) = sealed[segment];
                let before = sealed.sidecar.bits().set(row, Bit::Superseded, is_superseded);
                if before != is_superseded {
                    let kind = if is_superseded { EffectKind::Superseded } else { EffectKind::Newest };
                    note(id, row, kind);
                }
            }
        }
        let Some(next) = high.checked_add(1) else { break };
        low = next;
    }
    let revision = active.first_revision();
    noted.into_iter().for_each(|(id, row, kind)| active.add_effect(revision, id, row, kind));
    Ok(())
}

/// Rows whose ids are looked at together.
const ROWS_TOGETHER: u64 = 100_000;

/// The hash of an id, which of the segments, and the row there.
type IdRow = (u64, usize, usize);

/// The rows that were not removed and whose ids have a hash in a range, sorted.
fn equal_hashes(sealed: &[(SegmentId, &Sealed)], low: u64, high: u64) -> Result<Vec<IdRow>> {
    let mut found = Vec::new();
    for (at, (_, sealed)) in sealed.iter().enumerate() {
        let rows = sealed.sidecar.range(TableId::Ids, low, high)?.into_iter();
        let rows = rows.map(|(hash, row)| (hash, at, row as usize));
        found.extend(rows.filter(|(_, _, row)| !sealed.sidecar.bits().get(*row, Bit::Removed)));
    }
    found.sort_unstable();
    Ok(found)
}

/// The rows, without those of entities that are stored again in a later segment: each was removed between, by a
/// frame that is lost.
fn without_stored_again(
    reader: &Reader<'_>,
    sealed: &[(SegmentId, &Sealed)],
    rows: &[IdRow],
    note: &mut impl FnMut(SegmentId, usize, EffectKind),
) -> Result<Vec<IdRow>> {
    if rows.len() < 2 {
        return Ok(rows.to_vec());
    }
    let (mut seen, mut kept) = (HashSet::new(), Vec::new());
    // They are sorted like the segments.
    for (hash, segment, row) in rows.iter().rev().copied() {
        let (id, sealed) = sealed[segment];
        let place = row_place(&sealed.sidecar, row)?;
        if seen.insert(reader.key(Location::at(id, place))?) {
            kept.push((hash, segment, row));
            continue;
        }
        sealed.sidecar.bits().set(row, Bit::Removed, true);
        sealed.remove(place);
        note(id, row, EffectKind::EntityRemoved);
    }
    kept.reverse();
    Ok(kept)
}

/// Whether each of the rows whose ids have one hash is superseded.
fn judge_versions(
    reader: &Reader<'_>,
    sealed: &[(SegmentId, &Sealed)],
    active: &Active,
    rows: &[IdRow],
) -> Result<Vec<(usize, usize, bool)>> {
    if let [(_, segment, row)] = rows {
        return Ok(vec![(*segment, *row, false)]);
    }
    let mut judged = Vec::new();
    for (_, segment, row) in rows {
        let (id, sealed) = sealed[*segment];
        let location = Location::at(id, row_place(&sealed.sidecar, *row)?);
        let versions =
            entity_at(reader, location).and_then(|entity| versions_kept(reader, active, &entity.head()?.id));
        match versions {
            Ok(versions) => {
                let newest = versions.last().map(|newest| newest.location);
                judged.push((*segment, *row, newest.is_some_and(|newest| newest != location)));
            }
            // A version is damaged, which whoever reads it is told.
            Err(error) if error.kind() == ErrorKind::Corrupt => {}
            Err(error) => return Err(error),
        }
    }
    Ok(judged)
}

/// The last revision that removed each key, of those that segments noted.
fn removed_since(segments: &[Segment]) -> Result<HashMap<(RemovalKind, [u8; 32]), u64>> {
    let mut removed = HashMap::new();
    for sealed in segments.iter().filter_map(|segment| segment.sealed.as_ref()) {
        for removal in sealed.sidecar.removals()? {
            let last = removed.entry((removal.kind, removal.key)).or_insert(0);
            *last = removal.revision.max(*last);
        }
    }
    Ok(removed)
}
