//! Finding places: through the indexes in memory, and through sidecars where those do not reach.

use statlas_core::Address;
use xxhash_rust::xxh3::xxh3_64;

use super::active::Active;
use super::format::{FRAME_HEADER_BYTES, Frame, Kind, Location, Text};
use super::log::{Reader, corrupt};
use super::sidecar::TableId;
use super::view::{is_head, row_place};
use crate::columns::{Bit, ColumnId, Rows};
use crate::engine::StoredEntity;
use crate::error::{ErrorKind, Result};
use crate::index::key_of;

/// A version of an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Version {
    /// Revision and ordinal: its place among the versions.
    pub(super) age: (u64, u32),
    pub(super) location: Location,
}

/// Where the entity or blob with a key stands, of those before `end`.
pub(super) fn place_of(
    reader: &Reader<'_>,
    table: TableId,
    key: &[u8; 32],
    end: u64,
) -> Result<Option<Location>> {
    let is_same = |location: Location| match reader.key(location) {
        Ok(found) if found == *key => Some(Ok(location)),
        Ok(_) => None,
        Err(error) => Some(Err(error)),
    };
    let index = reader.view.indexes.of(table);
    let covered = index.find(key_of(key), |value| if value < end { is_same(Location(value)) } else { None });
    match covered {
        Some(found) => found.map(Some),
        None => reader.view.find_uncovered(table, key_of(key), is_same)?.transpose(),
    }
}

/// The frame with a key, of those before `end`; `use_frame` makes something of it while it is in the buffer.
#[inline]
pub(super) fn read_by_key<T>(
    reader: &Reader<'_>,
    table: TableId,
    key: &[u8; 32],
    end: u64,
    mut use_frame: impl FnMut(Location, &mut Vec<u8>) -> Result<T>,
) -> Result<Option<T>> {
    let (index, mut buffer) = (reader.view.indexes.of(table), Vec::new());
    // A frame that is damaged is an error even where its key differs: the index says it is this one.
    let mut read = |location| match reader.frame(location, &mut buffer).map(|frame| frame.key() == key) {
        Ok(true) => Some(use_frame(location, &mut buffer)),
        Ok(false) => None,
        Err(error) => Some(Err(error)),
    };
    let covered = index.find(key_of(key), |value| if value < end { read(Location(value)) } else { None });
    match covered {
        Some(found) => found.map(Some),
        None if reader.view.covered_from == 0 => Ok(None),
        None => reader.view.find_uncovered(table, key_of(key), read)?.transpose(),
    }
}

/// The entity whose frame stands at a location.
pub(super) fn entity_at(reader: &Reader<'_>, location: Location) -> Result<StoredEntity> {
    let mut bytes = Vec::new();
    reader.frame(location, &mut bytes)?;
    stored_entity(location, &mut bytes)
}

/// Makes an entity of a verified frame, and takes the buffer.
#[inline]
pub(super) fn stored_entity(location: Location, buffer: &mut Vec<u8>) -> Result<StoredEntity> {
    let frame = Frame::decode_verified(buffer).filter(|frame| frame.header.kind == Kind::Entity);
    let (frame, parts) = frame
        .and_then(|frame| Some((frame, frame.entity_parts()?)))
        .ok_or_else(|| corrupt(location, "the frame holds no entity"))?;
    let (address, token, blob) = (Address(frame.sha256()), parts.token.map(Box::new), parts.blob);
    // What reads frames makes texts plain.
    let Text::Plain(text) = parts.text else {
        return Err(corrupt(location, "the text is compressed"));
    };
    let end = FRAME_HEADER_BYTES + frame.header.key_bytes + frame.header.payload_bytes;
    let canonical = end - text.len()..end;
    Ok(StoredEntity { address, bytes: std::mem::take(buffer), canonical, token, blob })
}

/// The newest version of the id with a hash that `is_same` knows when it reads a place. Sidecars of segments
/// that the indexes do not cover are asked if `may_be_uncovered`.
pub(super) fn head_of(
    reader: &Reader<'_>,
    hash: u64,
    may_be_uncovered: bool,
    is_same: impl Fn(Location) -> Result<bool>,
) -> Result<Option<Location>> {
    let check = |location| match is_same(location) {
        Ok(true) => Some(Ok(location)),
        Ok(false) => None,
        Err(error) => Some(Err(error)),
    };
    if let Some(found) = reader.view.indexes.ids.find(hash, |value| check(Location(value))) {
        return found.map(Some);
    }
    let uncovered = reader.view.uncovered().filter(|_| may_be_uncovered);
    for (id, sealed) in uncovered {
        let sidecar = &sealed.sidecar;
        if !sidecar.may_hold(TableId::Ids, hash) {
            continue;
        }
        let found = sidecar.find(TableId::Ids, hash, |row| {
            if !is_head(sidecar, row as usize) {
                return None;
            }
            match row_place(sidecar, row as usize) {
                Ok(place) => check(Location::at(id, place)),
                Err(error) => Some(Err(error)),
            }
        })?;
        if found.is_some() {
            return found.transpose();
        }
    }
    Ok(None)
}

/// The newest version of an id.
pub(super) fn head_of_id(reader: &Reader<'_>, id: &str) -> Result<Option<Location>> {
    let is_same = |location| Ok(entity_at(reader, location)?.head()?.id == id);
    head_of(reader, xxh3_64(id.as_bytes()), true, is_same)
}

/// The versions of an id that were not removed, the oldest first.
///
/// # Errors
///
/// [`ErrorKind::Corrupt`] if one of them is damaged.
pub(super) fn versions_of(reader: &Reader<'_>, active: &Active, id: &str) -> Result<Vec<Version>> {
    find_versions(reader, active, id, |location| Ok(entity_at(reader, location)?.head()?.id == id))
}

/// As [`versions_of`], with those that are damaged: whoever reads them is told, and what is done to the others must not
/// depend on them.
pub(super) fn versions_kept(reader: &Reader<'_>, active: &Active, id: &str) -> Result<Vec<Version>> {
    find_versions(reader, active, id, |location| is_of_id(reader, location, id))
}

/// Whether an entity whose id has the hash of `id` is one of its versions. One that is damaged is: but for one in 2^64.
pub(super) fn is_of_id(reader: &Reader<'_>, location: Location, id: &str) -> Result<bool> {
    match entity_at(reader, location) {
        Ok(entity) => Ok(entity.head()?.id == id),
        Err(error) if error.kind() == ErrorKind::Corrupt => Ok(true),
        Err(error) => Err(error),
    }
}

/// The versions of what `is_same` of the entities whose ids have the hash of `id`.
fn find_versions(
    reader: &Reader<'_>,
    active: &Active,
    id: &str,
    is_same: impl Fn(Location) -> Result<bool>,
) -> Result<Vec<Version>> {
    let hash = xxh3_64(id.as_bytes());
    let mut found = Vec::new();
    let mut take = |rows: &dyn Rows, row: usize, segment, mended: Option<(u64, u32)>| -> Result<()> {
        let location = Location::at(segment, row_place(rows, row)?);
        if rows.bits().get(row, Bit::Removed) || !is_same(location)? {
            return Ok(());
        }
        let revision = rows.value(row, ColumnId::Revision)?.cast_unsigned();
        // Ordinals have 32 bits.
        let ordinal = rows.value(row, ColumnId::Ordinal)? as u32;
        found.push(Version { age: mended.unwrap_or((revision, ordinal)), location });
        Ok(())
    };
    for segment in &reader.view.segments {
        let Some(sealed) = &segment.sealed else { continue };
        let sidecar = &sealed.sidecar;
        if !sidecar.may_hold(TableId::Ids, hash) {
            continue;
        }
        let mut rows = Vec::new();
        sidecar.find(TableId::Ids, hash, |row| {
            rows.push(row as usize);
            None::<()>
        })?;
        if rows.is_empty() {
            continue;
        }
        let mended = sidecar.mended()?;
        for row in rows {
            let age = mended.iter().find(|mended| mended.row as usize == row);
            take(sidecar, row, segment.log.id, age.map(|mended| (mended.revision, mended.ordinal)))?;
        }
    }
    for row in active.rows_of(hash) {
        take(&active.rows, row, active.id, active.mended_age(row))?;
    }
    found.sort_unstable_by_key(|version| (version.age, version.location));
    Ok(found)
}

/// Addresses of versions.
pub(super) fn addresses_of(reader: &Reader<'_>, versions: &[Version]) -> Result<Vec<Address>> {
    versions.iter().map(|version| reader.key(version.location).map(Address)).collect()
}
