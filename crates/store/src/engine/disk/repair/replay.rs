//! The batches of a damaged log, committed again to the new store.

use std::collections::HashMap;

use statlas_core::{Address, Entity, EntityHead};

use super::losses::{Losses, Subject, claimed_kind, damaged_tail};
use super::source::Source;
use super::{Outline, check_goes_on, stored_entities};
use crate::batch::{Batch, Expected, Operation};
use crate::engine::disk::DiskEngine;
use crate::engine::disk::dictionary::PlainTexts;
use crate::engine::disk::format::{COMMIT_FRAME_BYTES, Frame, Kind, Location};
use crate::engine::disk::scan::{Change, Damage, Depth, Placed, ScannedBatch, Seems, Window};
use crate::engine::{Durability, Engine, RepairOptions, RepairReport};
use crate::error::{ErrorKind, Result};
use crate::limits::{BATCH_BYTES_MAX, BATCH_OPERATIONS_MAX, PAYLOAD_BYTES_MAX};

/// The new store while it is filled.
pub(super) struct Replay<'a> {
    engine: &'a DiskEngine,
    losses: Losses,
    outlines: &'a [Outline],
    options: &'a RepairOptions<'a>,
    /// Where entities stand whole that earlier frames stored as well, which are damaged.
    mended: HashMap<[u8; 32], Location>,
    /// Of the file that is read.
    texts: PlainTexts,
}

/// Something that stands at a place: what it is, or how it is damaged.
enum Event<'a> {
    Whole(&'a Placed),
    Damaged(&'a Damage, Option<Kind>),
}

impl Event<'_> {
    fn offset(&self) -> u64 {
        match self {
            Self::Whole(placed) => placed.location.offset(),
            Self::Damaged(damage, _) => damage.start.offset(),
        }
    }
}

impl<'a> Replay<'a> {
    pub(super) fn new(
        engine: &'a DiskEngine,
        losses: Losses,
        outlines: &'a [Outline],
        options: &'a RepairOptions<'a>,
    ) -> Result<Self> {
        let (mended, texts) = (HashMap::new(), PlainTexts::default());
        let mut replay = Self { engine, losses, outlines, options, mended, texts };
        let wanted: HashMap<[u8; 32], usize> = outlines
            .iter()
            .enumerate()
            .flat_map(|(at, outline)| outline.damaged.iter().map(move |key| (*key, at)))
            .collect();
        let Some(from) = wanted.values().min().copied() else { return Ok(replay) };
        for outline in &outlines[from..] {
            let mut find = |changes: &[Placed]| {
                // The last one is it, whatever stood before the damaged one.
                let found = stored_entities(changes).filter(|(key, _)| wanted.contains_key(key));
                replay.mended.extend(found);
            };
            let rest = outline.source.scan(Depth::Checksums, &mut |batch, _| {
                find(&batch.changes);
                check_goes_on(options)
            })?;
            find(&rest.uncommitted);
        }
        Ok(replay)
    }

    /// Commits the batches of a segment.
    pub(super) fn segment(&mut self, source: &Source, is_last: bool) -> Result<()> {
        let mut buffer = Vec::new();
        let mut window = source.window(&mut buffer);
        self.texts = source.texts()?;
        let mut synced = None;
        let scanned = source.scan(Depth::Hashes, &mut |batch, damage| {
            check_goes_on(self.options)?;
            synced = synced.max(Some(batch.commit.synced));
            let damage = with_kinds(source, &mut window, &damage)?;
            let damaged = damage.iter().map(|(place, kind)| Event::Damaged(place, *kind));
            let events = batch.changes.iter().map(Event::Whole).chain(damaged).collect();
            self.batch(source, &mut window, &batch, events)
        })?;
        let tail = damaged_tail(source, &scanned)?;
        let damage = with_kinds(source, &mut window, &scanned.damage)?;
        let mut events: Vec<Event<'_>> = scanned.uncommitted.iter().map(Event::Whole).collect();
        events.extend(damage.iter().map(|(place, kind)| Event::Damaged(place, *kind)));
        events.extend(tail.iter().map(|(place, kind)| Event::Damaged(place, *kind)));
        let holds_nothing = |event: &Event<'_>| match event {
            Event::Whole(_) => false,
            Event::Damaged(_, kind) => kind.is_some_and(|kind| kind.ends_batch()),
        };
        if events.iter().all(holds_nothing) {
            return self.events(source, &mut window, events);
        }
        let start = Location::new(source.id, scanned.end);
        if is_last && synced.is_none_or(|synced| start >= synced) {
            self.leave_unfinished(start, &events);
            return Ok(());
        }
        self.losses
            .note(format!("{start}: the last batch has no commit frame; what is whole of it was saved"));
        self.events(source, &mut window, events)
    }

    /// What a process was writing when it ended: it was never acknowledged as synced.
    fn leave_unfinished(&mut self, start: Location, events: &[Event<'_>]) {
        self.losses.lose(format!(
            "{start}: the last batch is not whole and was left out, as opening the store does"
        ));
        for event in events {
            match event {
                Event::Whole(placed) => {
                    let line = match Subject::of(&placed.change) {
                        Some(Subject::Entity(key)) => format!("entity {}", Address(key)),
                        Some(Subject::Blob(key)) => format!("blob {}", statlas_core::BlobId(key)),
                        Some(Subject::Record(key)) => {
                            format!("record {:?} in collection {:?}", key.key(), key.collection())
                        }
                        None => continue,
                    };
                    self.losses.lose(format!("{}: left out, about {line}", placed.location));
                }
                Event::Damaged(place, kind) => self.losses.damage(place, *kind),
            }
        }
    }

    fn batch(
        &mut self,
        source: &Source,
        window: &mut Window<'_>,
        batch: &ScannedBatch,
        mut events: Vec<Event<'_>>,
    ) -> Result<()> {
        events.sort_by_key(Event::offset);
        if !batch.is_damaged {
            return self.events(source, window, events);
        }
        // Frames before the batch's own belong to one whose commit frame is damaged.
        let own_start =
            (batch.end - COMMIT_FRAME_BYTES as u64).saturating_sub(batch.commit.batch_bytes.into());
        let own = events.split_off(events.partition_point(|event| event.offset() < own_start));
        if events.is_empty() && own.iter().all(|event| matches!(event, Event::Whole(_))) {
            let place = batch.start;
            self.losses
                .lose(format!("{place}: the batch of revision {} lacks frames", batch.commit.revision));
        }
        self.events(source, window, events)?;
        self.events(source, window, own)
    }

    /// Commits what stands at places one after another, together.
    fn events(&mut self, source: &Source, window: &mut Window<'_>, events: Vec<Event<'_>>) -> Result<()> {
        let mut batch = Batch::new();
        for event in events {
            // A batch with what was saved of two may be larger than one may be.
            if batch.len() + 1 >= BATCH_OPERATIONS_MAX || batch.bytes() + PAYLOAD_BYTES_MAX > BATCH_BYTES_MAX
            {
                self.commit(std::mem::take(&mut batch))?;
            }
            match event {
                Event::Damaged(place, kind) => {
                    self.losses.damage(place, kind);
                    if let (Some(Seems::Entity(key)), Some(Kind::Entity)) = (&place.seems, kind) {
                        self.mend(*key, &mut batch)?;
                    }
                }
                Event::Whole(placed) => {
                    let failed = |error| source.failed(error);
                    let frame = window.frame(placed.location.offset()).map_err(failed)?;
                    let done = frame
                        .map_err(str::to_owned)
                        .and_then(|frame| add(&mut batch, &placed.change, &frame, &mut self.texts));
                    match (done, Subject::of(&placed.change)) {
                        (Ok(()), Some(subject)) => self.losses.settle(&subject),
                        (Ok(()), None) => {}
                        (Err(reason), _) => self.losses.lose(format!("{}: {reason}", placed.location)),
                    }
                }
            }
        }
        self.commit(batch)
    }

    /// Puts an entity that is stored again later where its damaged frame stands.
    fn mend(&mut self, key: [u8; 32], batch: &mut Batch) -> Result<()> {
        let Some(location) = self.mended.get(&key) else { return Ok(()) };
        let outline = self.outlines.iter().find(|outline| outline.source.id == location.segment());
        let Some(outline) = outline else { return Ok(()) };
        let mut buffer = Vec::new();
        let mut window = outline.source.window(&mut buffer);
        let mut texts = outline.source.texts()?;
        let frame = window.frame(location.offset()).map_err(|error| outline.source.failed(error))?;
        // What is wrong with it is told where it stands.
        if let Some(entity) =
            frame.ok().filter(|frame| frame.key() == key).and_then(|frame| entity(&frame, &mut texts).ok())
        {
            batch.put_entity(entity);
        }
        Ok(())
    }

    fn commit(&mut self, batch: Batch) -> Result<()> {
        if batch.is_empty() {
            return Ok(());
        }
        match self.engine.commit(batch.clone(), Durability::Buffered) {
            Ok(_) => Ok(()),
            Err(error) if is_refusal(error.kind()) => self.commit_singly(batch),
            Err(error) => Err(error),
        }
    }

    /// Commits the operations of a batch one by one, since what came before it is not what it was.
    fn commit_singly(&mut self, batch: Batch) -> Result<()> {
        for operation in batch.into_parts().0 {
            let outcome = self.engine.commit(single(&operation), Durability::Buffered);
            match (outcome, &operation) {
                (Ok(_), _) => {}
                (Err(error), Operation::PutEntity(change)) if is_refusal(error.kind()) => {
                    self.remove_contradicted(&change.head.id, change.address)?;
                    self.engine.commit(single(&operation), Durability::Buffered)?;
                }
                (Err(error), _) => return Err(error),
            }
        }
        Ok(())
    }

    /// Removes the versions that a later one contradicts: they must have been removed before it was stored.
    fn remove_contradicted(&mut self, id: &str, by: Address) -> Result<()> {
        let mut removal = Batch::new();
        for version in self.engine.versions(id)? {
            removal.remove_entity(version);
            self.losses.outdate(format!(
                "entity {version}: left out, since entity {by} of the same id could not have followed it; its \
                 removal must be among what is lost"
            ));
        }
        self.engine.commit(removal, Durability::Buffered).map(drop)
    }

    pub(super) fn finish(self, report: &mut RepairReport) -> Result<()> {
        self.losses.finish(self.engine, report)
    }
}

/// Damaged places with what each says it is.
fn with_kinds<'a>(
    source: &Source,
    window: &mut Window<'_>,
    damage: &'a [Damage],
) -> Result<Vec<(&'a Damage, Option<Kind>)>> {
    let with_kind = |place: &'a Damage| Ok((place, claimed_kind(window, place)?));
    damage.iter().map(with_kind).collect::<std::io::Result<_>>().map_err(|error| source.failed(error))
}

/// Whether a batch does not fit what is stored.
fn is_refusal(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Mutability | ErrorKind::Conflict)
}

/// A batch of one operation of another.
fn single(operation: &Operation) -> Batch {
    let mut batch = Batch::new();
    match operation {
        Operation::PutEntity(change) => {
            // It was read from this text.
            if let Ok(entity) = Entity::from_canonical(&change.canonical) {
                batch.put_entity(entity.with_attachments(change.token, change.blob));
            }
        }
        Operation::RemoveEntity(address) => batch.remove_entity(*address),
        Operation::PutBlob { id, form, bytes } => batch.push_blob(*id, *form, bytes.clone()),
        Operation::RemoveBlob(id) => batch.remove_blob(*id),
        Operation::PutRecord { key, value, .. } => {
            batch.put_record(key.clone(), value.clone(), Expected::Any)
        }
        Operation::RemoveRecord { key, .. } => batch.remove_record(key.clone(), Expected::Any),
    }
    batch
}

/// The entity in a frame, if its text has its address.
fn entity(frame: &Frame<'_>, texts: &mut PlainTexts) -> std::result::Result<Entity, String> {
    let address = Address(frame.sha256());
    let parts = frame.entity_parts().ok_or("the entity's attachments are damaged")?;
    let text = texts.text(parts.text)?;
    if Address::of(text) != address {
        let id = EntityHead::read_canonical(text)
            .map_or(String::new(), |(head, _)| format!(" (id {:?})", head.id));
        return Err(format!("the text of entity {address}{id} has another SHA-256"));
    }
    let entity = Entity::from_canonical(text).map_err(|error| format!("entity {address}: {error}"))?;
    Ok(entity.with_attachments(parts.token, parts.blob))
}

/// Adds what a frame did to a batch.
fn add(
    batch: &mut Batch,
    change: &Change,
    frame: &Frame<'_>,
    texts: &mut PlainTexts,
) -> std::result::Result<(), String> {
    match change {
        Change::Entity { .. } => {
            batch.put_entity(entity(frame, texts)?);
        }
        Change::Blob(id) => batch.push_blob(*id, frame.blob_form(), frame.payload().to_vec()),
        Change::Record(key) => batch.put_record(key.clone(), frame.payload().to_vec(), Expected::Any),
        Change::EntityRemoved(address) => batch.remove_entity(*address),
        Change::BlobRemoved(id) => batch.remove_blob(*id),
        Change::RecordRemoved(key) => batch.remove_record(key.clone(), Expected::Any),
        Change::Husk => {}
    }
    Ok(())
}
