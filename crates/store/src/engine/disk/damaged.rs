//! Damaged places of the log: what is known of them, and how they are told.

use statlas_core::{Address, BlobId};

use super::format::Location;
use super::scan::{Damage, ScannedBatch, Seems};

/// Where the damaged frame of an entity or blob stands, and the place in history that it had.
#[derive(Debug, Clone, Copy)]
pub(super) struct Damaged {
    pub(super) location: Location,
    pub(super) age: (u64, u32),
}

impl Damaged {
    /// What the batches of its segment tell of a damaged frame.
    pub(super) fn new(place: &Damage, batches: &[ScannedBatch]) -> Self {
        Self { location: place.start, age: age_of(place, batches) }
    }
}

/// The place in history that a damaged frame had, as far as the frames around it tell.
fn age_of(place: &Damage, batches: &[ScannedBatch]) -> (u64, u32) {
    let offset = place.start.offset();
    let Some(batch) = batches.iter().find(|batch| batch.end > offset) else { return (u64::MAX, 0) };
    let before = batch.changes.iter().rev().find(|placed| placed.location.offset() < offset);
    (batch.commit.revision, before.map_or(0, |placed| placed.ordinal + 1))
}

/// A damaged place in words.
pub(super) fn describe(place: &Damage) -> String {
    let Damage { start, bytes, reason, seems } = place;
    let what = match seems {
        Some(Seems::Entity(key)) => format!(", it seems to be about entity {}", Address(*key)),
        Some(Seems::Blob(key)) => format!(", it seems to be about blob {}", BlobId(*key)),
        Some(Seems::Record(key)) => {
            format!(", it seems to be about record {:?} in collection {:?}", key.key(), key.collection())
        }
        Some(Seems::Dictionary) => ", it is one of two copies of the segment's dictionary".to_owned(),
        None => String::new(),
    };
    format!("{start}: {bytes} bytes are damaged: {reason}{what}")
}
