//! Files of a store at rest are cut, filled up, emptied, removed, doubled and exchanged.
//!
//! Nothing of it may be taken for sound, but for one thing that cannot be seen: a log that ends where a
//! crash might have cut it. Whatever is done, no answer is wrong, and new batches are kept.

use super::at_rest::{AtRest, FileAtRest};
use super::crashes::later_batch;
use super::layout::Subject;
use super::run::unopened;
use super::{Campaign, FaultOptions, States, Tally, Tried, try_all};
use crate::engine::Durability;
use crate::error::ErrorKind;
use crate::store::Store;
use crate::testing::auditor::{Hit, Known, only_cut_tails};
use crate::testing::simulated_disk::SimulatedDisk;
use crate::testing::{Failure, Random};

/// What the store takes on disk, about.
const STORE_BYTES: usize = 128 << 10;

pub(super) fn run(options: &FaultOptions<'_>) -> Tally {
    let mut tally = Tally::new(Campaign::Cuts.name(), true);
    let store = match AtRest::make(options.seed, STORE_BYTES) {
        Ok(store) => store,
        Err(failure) => {
            tally.fail_undisturbed(options.seed, &failure);
            return tally;
        }
    };
    let wholes = whole_files(&store);
    let (whole, cuts) =
        (wholes.len() as u64, store.files.iter().map(|file| file.bytes.len() as u64).sum::<u64>());
    // All that is done to whole files, and one length of each stretch of lengths.
    let stride = (cuts / options.states.saturating_sub(whole).clamp(1, cuts)).max(1);
    let number = |at: u64| match at.checked_sub(whole) {
        None => at,
        Some(cut) => whole + cut * stride + Random::new(options.seed ^ at).below(stride as usize) as u64,
    };
    let try_state = |state: u64| {
        let change = match state.checked_sub(whole) {
            None => wholes[state as usize].clone(),
            Some(bytes) => cut_at(&store, bytes as usize)?,
        };
        try_change(&store, &change, state)
            .map_err(|failure| format!("{}: {failure}", change.describe(&store)))?;
        Ok(Tried::Sound)
    };
    let states = States { seed: options.seed, count: whole + cuts / stride, number: &number };
    try_all(&mut tally, options, &states, &try_state);
    let which = if stride == 1 { "every length".to_owned() } else { format!("one of {stride} lengths") };
    let which = options.part_of(which);
    tally.scope = format!(
        "{which} of {} files of together {cuts} bytes, and {whole} changes of whole files",
        store.files.len()
    );
    tally
}

/// What is done to the files; they are named by their place in the list.
#[derive(Debug, Clone)]
enum Change {
    Cut {
        file: usize,
        bytes: usize,
    },
    Append {
        file: usize,
        byte: u8,
        bytes: usize,
    },
    Remove(usize),
    /// The first takes the place of the second.
    Copy(usize, usize),
    Swap(usize, usize),
    /// It stands once more behind the last segment.
    Double(usize),
    RemoveAllSegments,
}

impl Change {
    fn describe(&self, store: &AtRest) -> String {
        let name = |file: &usize| &store.files[*file].name;
        match self {
            Self::Cut { file, bytes } => {
                format!("{} of {} bytes is cut to {bytes}", name(file), store.files[*file].bytes.len())
            }
            Self::Append { file, byte, bytes } => format!("{bytes} times {byte} follow {}", name(file)),
            Self::Remove(file) => format!("{} is removed", name(file)),
            Self::Copy(from, to) => format!("{} takes the place of {}", name(from), name(to)),
            Self::Swap(one, other) => format!("{} and {} are exchanged", name(one), name(other)),
            Self::Double(file) => format!("{} stands once more behind the last segment", name(file)),
            Self::RemoveAllSegments => "all segments are removed".to_owned(),
        }
    }

    fn apply(&self, store: &AtRest, disk: &SimulatedDisk) {
        let file = |at: &usize| &store.files[*at];
        let set = |at: &usize, bytes: Option<&[u8]>| disk.set_content(&file(at).name, bytes);
        match self {
            Self::Cut { file: at, bytes } => set(at, Some(&file(at).bytes[..*bytes])),
            Self::Append { file: at, byte, bytes } => {
                set(at, Some(&[&file(at).bytes[..], &vec![*byte; *bytes]].concat()));
            }
            Self::Remove(at) => set(at, None),
            Self::Copy(from, to) => set(to, Some(&file(from).bytes)),
            Self::Swap(one, other) => {
                set(one, Some(&file(other).bytes));
                set(other, Some(&file(one).bytes));
            }
            Self::Double(at) => {
                let last = store.segments().filter_map(FileAtRest::number).max().unwrap_or(0);
                disk.set_content(&format!("log/{:08}.seg", last + 1), Some(&file(at).bytes));
            }
            Self::RemoveAllSegments => store.segments().for_each(|file| disk.set_content(&file.name, None)),
        }
    }

    /// Whether only the end of the log is changed: what is left may look as after a crash.
    fn is_of_the_end(&self, store: &AtRest) -> bool {
        let (Self::Cut { file, .. } | Self::Append { file, .. }) = self else { return false };
        store.files[*file].name == store.last_segment()
    }

    /// Whether nothing is cut but frames that end a log or a segment: nothing is missing then, and a crash
    /// while the next segment is begun does the same.
    fn is_of_marks(&self, store: &AtRest) -> bool {
        let Self::Cut { file, bytes } = self else { return false };
        let mut hit = store.files[*file].pieces.iter().filter(|piece| piece.bytes.end > *bytes);
        store.files[*file].segment().is_some() && hit.all(|piece| piece.subject == Subject::Mark)
    }

    /// Whether only files are changed that can be made again.
    fn is_harmless(&self, store: &AtRest) -> bool {
        let is_derived = |file: &usize| store.files[*file].is_derived();
        match self {
            Self::Cut { file, .. } | Self::Append { file, .. } | Self::Remove(file) => is_derived(file),
            Self::Copy(_, file) => is_derived(file),
            Self::Swap(one, other) => is_derived(one) && is_derived(other),
            Self::Double(_) | Self::RemoveAllSegments => false,
        }
    }

    fn is_of_the_header(&self, store: &AtRest) -> bool {
        let is_header = |file: &usize| store.files[*file].is_header();
        match self {
            Self::Cut { file, .. } | Self::Append { file, .. } | Self::Remove(file) => is_header(file),
            Self::Copy(_, file) => is_header(file),
            Self::Swap(one, other) => is_header(one) || is_header(other),
            Self::Double(_) | Self::RemoveAllSegments => false,
        }
    }
}

/// Everything that is done to files as a whole.
fn whole_files(store: &AtRest) -> Vec<Change> {
    let mut changes = vec![Change::RemoveAllSegments];
    for (at, file) in store.files.iter().enumerate() {
        changes.push(Change::Remove(at));
        for (byte, bytes) in [(0, 1), (0, 600), (0xa5, 1), (0xa5, 600), (0, 5000)] {
            changes.push(Change::Append { file: at, byte, bytes });
        }
        if file.segment().is_some() {
            changes.push(Change::Double(at));
        }
        for other in (0..store.files.len()).filter(|other| *other != at) {
            changes.push(Change::Copy(at, other));
            if at < other {
                changes.push(Change::Swap(at, other));
            }
        }
    }
    changes
}

/// The cut with a number, counted over all files.
fn cut_at(store: &AtRest, number: usize) -> Result<Change, Failure> {
    let mut bytes = number;
    for (file, found) in store.files.iter().enumerate() {
        if bytes < found.bytes.len() {
            return Ok(Change::Cut { file, bytes });
        }
        bytes -= found.bytes.len();
    }
    Err("the seed has no such state".into())
}

fn try_change(store: &AtRest, change: &Change, state: u64) -> Result<(), Failure> {
    let disk = store.disk();
    change.apply(store, &disk);
    let opened = match disk.open_store(&store.options) {
        Ok(opened) => opened,
        Err(error) => {
            let refused = [ErrorKind::NotAStore, ErrorKind::NewerFormat, ErrorKind::Corrupt];
            let all_gone = matches!(change, Change::RemoveAllSegments);
            let allowed = change.is_of_the_header(store) || all_gone;
            if allowed && refused.contains(&error.kind()) {
                return Ok(());
            }
            return Err(format!("the store does not open: {:?}: {error}", error.kind()).into());
        }
    };
    if change.is_of_the_header(store) {
        return Err("the store opens, though it is not known whose it is".into());
    }
    judge(store, change, &opened)?;
    drop(opened);
    let opened = disk.open_store(&store.options).map_err(|error| unopened(&error))?;
    judge(store, change, &opened).map_err(|failure| format!("opened once more: {failure}"))?;
    let mut random = Random::new(state);
    takes_batches(store, &disk, opened, &mut random)
        .map_err(|failure| format!("storing in what is left: {failure}").into())
}

/// What is left is served, and what is missing is told.
fn judge(store: &AtRest, change: &Change, opened: &Store) -> Result<(), Failure> {
    let (engine, known) = (opened.engine(), store.auditor.known());
    let report = engine.check(&mut |_, _| {})?;
    let damage = [engine.stats().damage, report.damage].concat();
    if change.is_of_the_end(store) && only_cut_tails("", &damage).is_ok() {
        return store.auditor.is_some_past(opened);
    }
    if damage.is_empty() && !change.is_of_marks(store) && !change.is_harmless(store) {
        return Err("not noticed".into());
    }
    known.check_damaged(engine, store.auditor.model(), &hit(store, change)).map(drop)
}

/// What a change may have hit: everything that stands in the files, and everything behind a place that is
/// not known any more.
fn hit(store: &AtRest, change: &Change) -> Hit {
    let mut hit = Hit::default();
    let mut take = |file: usize, from: usize| {
        let pieces = store.files[file].pieces.iter().filter(|piece| piece.bytes.end > from);
        pieces.for_each(|piece| hit.extend(piece.subject.hit()));
    };
    match change {
        Change::Cut { file, bytes } => {
            take(*file, *bytes);
            hit.undated = store.files[*file].undated(*bytes);
        }
        Change::Append { .. } | Change::Double(_) => {}
        Change::Remove(file) | Change::Copy(_, file) => take(*file, 0),
        Change::Swap(one, other) => {
            take(*one, 0);
            take(*other, 0);
        }
        Change::RemoveAllSegments => hit.anything = true,
    }
    hit
}

/// A damaged store takes batches and keeps them.
fn takes_batches(
    store: &AtRest,
    disk: &SimulatedDisk,
    opened: Store,
    random: &mut Random,
) -> Result<(), Failure> {
    let batch = later_batch(random);
    let mut known = Known::default();
    known.learn(&batch);
    let revision = opened.commit(batch, Durability::Synced)?.revision;
    opened.close()?;
    drop(opened);
    let opened = disk.open_store(&store.options)?;
    let engine = opened.engine();
    if engine.stats().revision < revision {
        return Err(format!("revision {revision} is gone after closing and opening").into());
    }
    known.check_stored(engine)
}
