//! Bits of a store at rest flip: each is found, and everything around it is served.

use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::at_rest::{AtRest, FileAtRest};
use super::layout::{Subject, subject};
use super::run::unopened;
use super::{Campaign, FaultOptions, States, Tally, Tried, try_all};
use crate::batch::Batch;
use crate::engine::{CompactOptions, Durability, StoredEntity};
use crate::error::ErrorKind;
use crate::testing::auditor::{Answers, Hit, compare};
use crate::testing::twin::same;
use crate::testing::{Failure, Random, SimulatedDisk};

/// What the store takes on disk, about.
const STORE_BYTES: usize = 256 << 10;

pub(super) fn run(options: &FaultOptions<'_>) -> Tally {
    let mut tally = Tally::new(Campaign::Flips.name(), true);
    let store = match AtRest::make(options.seed, STORE_BYTES) {
        Ok(store) => store,
        Err(failure) => {
            tally.fail_undisturbed(options.seed, &failure);
            return tally;
        }
    };
    let bits: u64 = store.files.iter().map(|file| file.bytes.len() as u64 * 8).sum();
    // One bit of each stretch, so that every part of every file gets its share.
    let stride = (bits / options.states.clamp(1, bits)).max(1);
    let number = |at: u64| at * stride + Random::new(options.seed ^ at).below(stride as usize) as u64;
    let (answers, healed) = (Mutex::new(Answers::default()), AtomicU64::new(0));
    let try_bit = |bit: u64| {
        // The lock is taken for the sum alone: the left side of `+=` comes first, and all would wait for each other.
        let found = try_bit(&store, bit, &healed)?;
        *answers.lock() += found;
        Ok(Tried::Sound)
    };
    let states = States { seed: options.seed, count: bits / stride, number: &number };
    try_all(&mut tally, options, &states, &try_bit);
    let Answers { refused, absent, outdated } = answers.into_inner();
    let healed = healed.into_inner();
    let which = if stride == 1 { "every bit".to_owned() } else { format!("one of {stride} bits") };
    let which = options.part_of(which);
    tally.scope = format!(
        "{which} of a store of {} bytes in {} files; about what was hit {refused} answers were errors, {absent} \
         absent, {outdated} out of date; {healed} bits flipped back behind what was written",
        bits / 8,
        store.files.len()
    );
    tally
}

/// Flips the bit with a number, counted over all files, and judges all answers.
fn try_bit(store: &AtRest, bit: u64, healed: &AtomicU64) -> Result<Answers, Failure> {
    let mut at = (bit / 8) as usize;
    for file in &store.files {
        if at < file.bytes.len() {
            let place = format!("byte {at} of {}, bit {}", file.name, bit % 8);
            let flip = Flip { file, at, mask: 1 << (bit % 8), healed };
            return try_flip(store, &flip).map_err(|failure| format!("{place}: {failure}").into());
        }
        at -= file.bytes.len();
    }
    Err("the store has no such bit".into())
}

fn try_flip(store: &AtRest, flip: &Flip<'_>) -> Result<Answers, Failure> {
    let Flip { file, at, mask, .. } = *flip;
    let flipped = || {
        let disk = store.disk();
        disk.flip(&file.name, at, mask);
        disk
    };
    let disk = flipped();
    let opened = disk.open_store(&store.options);
    if file.is_header() {
        // Which store it is, is not known any more.
        let error = opened.err().ok_or("the store opens, though it is not known whose it is")?;
        let allowed = [ErrorKind::NotAStore, ErrorKind::NewerFormat, ErrorKind::Corrupt];
        return if allowed.contains(&error.kind()) { Ok(Answers::default()) } else { Err(error.into()) };
    }
    let opened = opened.map_err(|error| unopened(&error))?;
    let Some(place) = file.segment() else {
        store.auditor.compare_refusing(&opened)?;
        let damage = opened.engine().check(&mut |_, _| {})?.damage;
        if let Some(line) = damage.iter().find(|line| !line.contains(&*file.name)) {
            return Err(format!("the check names something else: {line}").into());
        }
        // What was found to be damaged is made again.
        opened.close()?;
        let healed = disk.open_store(&store.options).map_err(|error| unopened(&error))?;
        store.auditor.compare(&healed)?;
        return write_on(store, &flipped(), flip, None).map(|()| Answers::default());
    };
    let piece =
        file.pieces.iter().find(|piece| piece.bytes.contains(&at)).ok_or("the byte is in no piece")?;
    let about = format!("in the piece {:?} about {:?}", piece.bytes, piece.subject);
    // The flipped bit may make it look like something about another name, which is then in doubt too.
    let mut damaged = file.bytes[piece.bytes.clone()].to_vec();
    damaged[at - piece.bytes.start] ^= mask;
    let mut hit = piece.subject.hit();
    hit.extend(subject(&damaged).map(|subject| subject.hit()).unwrap_or_default());
    if piece.subject == Subject::Commit {
        hit.undated = file.undated(piece.bytes.start);
    }
    let judge = || {
        let (engine, model) = (opened.engine(), store.auditor.model());
        same("revision", &engine.stats().revision, &model.revision())?;
        let answers = store.auditor.known().check_damaged(engine, model, &hit)?;
        let damage = [engine.stats().damage, engine.check(&mut |_, _| {})?.damage].concat();
        let is_told = damage.iter().any(|line| line.contains(&*place));
        // The frame that says that the log was closed in order holds nothing, and is missed by nobody.
        let is_harmless = piece.subject == Subject::Mark && file.name == store.last_segment();
        if !is_told && !is_harmless {
            return Err(format!("not noticed: {damage:?}").into());
        }
        write_on(store, &flipped(), flip, Some(&hit))?;
        Ok(answers)
    };
    judge().map_err(|failure: Failure| format!("{about}: {failure}").into())
}

/// One of so many bytes is written behind, since it takes as long as all else that is done to a bit.
const WRITTEN_ON: usize = 8;

/// One of so many of these is to be compacted, too, and its bit flips back.
const FLIPPED_BACK: usize = 4;

/// What is flipped.
struct Flip<'a> {
    file: &'a FileAtRest,
    at: usize,
    mask: u8,
    /// How many were flipped back.
    healed: &'a AtomicU64,
}

impl Flip<'_> {
    /// Whether the file is what it was but for the flip, and maybe longer.
    fn is_there(&self, disk: &SimulatedDisk) -> bool {
        let mut damaged = self.file.bytes.clone();
        damaged[self.at] ^= self.mask;
        disk.content(&self.file.name).is_some_and(|now| now.starts_with(&damaged))
    }
}

/// Removes and stores entities in a store that is damaged: each batch is stored, or refused because of the damage, and none
/// of them is the last. Without `hit` all answers must be right where there are any. Then the bit may flip back, and all
/// of them must be.
fn write_on(store: &AtRest, disk: &SimulatedDisk, flip: &Flip<'_>, hit: Option<&Hit>) -> Result<(), Failure> {
    if !flip.at.is_multiple_of(WRITTEN_ON) {
        return Ok(());
    }
    let mut model = store.auditor.model().clone();
    let mut random = Random::new(flip.at as u64);
    let entities: Vec<StoredEntity> = model.entities().cloned().collect();
    let opened = disk.open_store(&store.options).map_err(|error| unopened(&error))?;
    for _ in 0..3 {
        let Some(entity) = entities.get(random.below(entities.len().max(1))) else { break };
        if hit.is_some_and(|hit| hit.entity(&entity.address())) {
            // It can be mended, which no model knows of.
            continue;
        }
        let (mut removed, mut again) = (Batch::new(), Batch::new());
        removed.remove_entity(entity.address());
        again.remove_entity(entity.address());
        again.put_entity(entity.entity()?);
        for batch in [again, removed] {
            match opened.commit(batch.clone(), Durability::Written) {
                Ok(_) => drop(model.commit(&batch).map_err(|refused| format!("it stores {refused:?}"))?),
                Err(error) if error.kind() == ErrorKind::Corrupt => {}
                // An older version can't always be the newest.
                Err(error) if model.commit(&batch).is_err_and(|(kind, _)| kind == error.kind()) => {}
                Err(error) => return Err(format!("a batch on a damaged store: {error}").into()),
            }
        }
    }
    // The file that is being written is full with this, and is sealed, damaged or not.
    let mut large = Batch::new();
    large.put_blob((0..=store.options.segment_bytes).map(|at| (at % 251) as u8).collect());
    opened.commit(large.clone(), Durability::Written)?;
    model.commit(&large).map_err(|refused| format!("it stores {refused:?}"))?;
    let is_flipped_back = flip.at.is_multiple_of(WRITTEN_ON * FLIPPED_BACK);
    if is_flipped_back {
        let is_damaged = !opened.engine().stats().damage.is_empty();
        match opened.engine().compact(&CompactOptions::default(), &mut |_, _| {}) {
            Err(error) if error.kind() != ErrorKind::Corrupt => return Err(error.into()),
            Ok(_) if is_damaged => return Err("a damaged store is compacted".into()),
            _ => {}
        }
    }
    opened.close()?;
    drop(opened);
    let opened = disk.open_store(&store.options).map_err(|error| unopened(&error))?;
    match hit {
        Some(hit) => store.auditor.known().check_damaged(opened.engine(), &model, hit).map(drop),
        None => store.auditor.known().check_refusing(opened.engine(), &model),
    }
    .map_err(|failure| format!("after batches on a damaged store: {failure}"))?;
    opened.close()?;
    drop(opened);
    // Unless it was cut off, or what is damaged was made anew.
    if is_flipped_back && flip.is_there(disk) {
        disk.flip(&flip.file.name, flip.at, flip.mask);
        flip.healed.fetch_add(1, Ordering::Relaxed);
        // First from the log, then from what was made of it.
        for _ in 0..2 {
            let opened = disk.open_store(&store.options).map_err(|error| unopened(&error))?;
            compare(opened.engine(), &model, store.auditor.known())
                .map_err(|failure| format!("when the bit had flipped back: {failure}"))?;
            opened.close()?;
        }
    }
    Ok(())
}
