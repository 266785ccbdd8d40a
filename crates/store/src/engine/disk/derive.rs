//! What became of the entities of a compacted or damaged segment whose sidecar is gone.
//!
//! Later segments noted what they did to the files that were compacted, not to the one that took their place;
//! only its sidecar knew that. And they noted rows by their numbers, which are others if a frame is damaged. So
//! it is found out again, from what is stored.

use std::collections::HashMap;

use super::active::Active;
use super::format::SegmentId;
use super::log::Reader;
use super::lookup::{entity_at, versions_of};
use super::sidecar::RemovalKind;
use super::view::{Segment, row_place};
use crate::columns::{Bit, ColumnId, Rows};
use crate::error::{ErrorKind, Result};

/// Marks the removed rows of one of the segments, all of which are complete.
pub(super) fn derive_removed(reader: &Reader<'_>, segments: &[Segment], id: SegmentId) -> Result<()> {
    let Some(at) = segments.iter().position(|segment| segment.log.id == id) else { return Ok(()) };
    let Some(sealed) = &segments[at].sealed else { return Ok(()) };
    let removed = removed_since(&segments[at..])?;
    let (sidecar, bits) = (&sealed.sidecar, sealed.sidecar.bits());
    for row in 0..sidecar.len() {
        let location = super::format::Location::at(id, row_place(sidecar, row)?);
        let revision = sidecar.value(row, ColumnId::Revision)?.cast_unsigned();
        let last_removal = removed.get(&(RemovalKind::Entity, reader.key(location)?));
        if last_removal.is_some_and(|removal| *removal > revision) {
            bits.set(row, Bit::Removed, true);
            sealed.remove(location.place());
        }
    }
    Ok(())
}

/// Marks the superseded rows of one of the segments, all of which but the active one are complete. Which rows
/// are removed is known of all of them.
pub(super) fn derive_superseded(
    reader: &Reader<'_>,
    segments: &[Segment],
    active: &Active,
    id: SegmentId,
) -> Result<()> {
    let Some(sealed) = segments.iter().find(|segment| segment.log.id == id) else { return Ok(()) };
    let Some(sealed) = &sealed.sealed else { return Ok(()) };
    let (sidecar, bits) = (&sealed.sidecar, sealed.sidecar.bits());
    for row in (0..sidecar.len()).filter(|row| !bits.get(*row, Bit::Removed)) {
        let location = super::format::Location::at(id, row_place(sidecar, row)?);
        let entity = entity_at(reader, location)?;
        let newest = match versions_of(reader, active, &entity.head()?.id) {
            Ok(mut versions) => versions.pop(),
            // Another version is damaged, which whoever reads it is told.
            Err(error) if error.kind() == ErrorKind::Corrupt => continue,
            Err(error) => return Err(error),
        };
        bits.set(row, Bit::Superseded, newest.is_some_and(|newest| newest.location != location));
    }
    Ok(())
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
