//! Repair: what is whole of a damaged store goes into a fresh one, and what is not is listed.
//!
//! The old store is only read, and need not be one that can be opened: any file of the log counts whose
//! frames can be found, whatever became of its header, of the file STATLAS and of the sidecars. Its batches are
//! committed to the new store in their order, so that versions keep theirs, what was removed stays removed, and
//! the new store has a hash chain of its own. A batch that is damaged is saved as far as it goes; an entity that
//! was damaged and stored again later takes its old place among the versions.
//!
//! Nothing comes back silently: where a later change or removal is damaged, what is saved of before is listed
//! as perhaps out of date. What is left out: revisions are counted anew, and so are those of records.

mod losses;
mod replay;
mod source;
mod target;

use std::path::Path;

use self::losses::Losses;
use self::replay::Replay;
use self::source::{Source, find_sources};
pub(super) use self::target::REPAIRING_NAME;
use self::target::Target;
use super::files::missing_segments;
use super::format::{Kind, Location};
use super::scan::{Change, Depth, Placed};
use crate::engine::{Engine, ProgressFn, RepairOptions, RepairReport};
use crate::error::{Error, Result};
use crate::store::Options;

/// Salvages what is whole of the store or the backup in the directory `from` into a fresh store in the directory
/// `to`, which must not be there or be empty, or hold what an interrupted repair left. `from` stays as it is. The
/// store appears at `to` only when everything was saved.
///
/// # Errors
///
/// [`Invalid`](crate::ErrorKind::Invalid) if `to` can't take a store, [`NotAStore`](crate::ErrorKind::NotAStore) if
/// `from` holds no log, [`Busy`](crate::ErrorKind::Busy) if another process has `from` open,
/// [`NewerFormat`](crate::ErrorKind::NewerFormat) if a newer release wrote it, and errors of the operating system; then nothing is left at `to`. Damage is no error here: the report lists
/// it.
pub fn repair(
    from: &Path,
    to: &Path,
    options: &RepairOptions<'_>,
    progress: ProgressFn<'_>,
) -> Result<RepairReport> {
    let mut target = Target::of(from, to)?;
    let mut report = RepairReport::default();
    let _lock = source::lock(from)?;
    let mut sources = find_sources(from, &mut report)?;
    let total = sources.iter().map(|source| source.bytes).sum::<u64>() * 2;
    let mut done = 0;
    let mut outlines = Vec::new();
    for source in sources.drain(..) {
        let outline = Outline::of(source, options)?;
        done += outline.source.bytes;
        progress(done, total);
        outlines.push(outline);
    }
    outlines.sort_by_key(Outline::order);
    let mut losses = Losses::default();
    report_missing(&outlines, &mut losses, &mut report);
    let mut show = |read| progress(done + read, total);
    match save(&mut target, &outlines, losses, options, report, &mut show) {
        Ok(report) => Ok(report),
        Err(error) => {
            target.abandon();
            Err(error)
        }
    }
}

/// Commits everything to a new store.
fn save(
    target: &mut Target,
    outlines: &[Outline],
    losses: Losses,
    options: &RepairOptions<'_>,
    mut report: RepairReport,
    show: &mut dyn FnMut(u64),
) -> Result<RepairReport> {
    let RepairOptions { memory_bytes_max, compression, .. } = *options;
    let of_store = Options { maintenance: false, memory_bytes_max, compression, ..Options::default() };
    let engine = target.open(&of_store, &mut report)?;
    let mut replay = Replay::new(&engine, losses, outlines, options)?;
    let last = outlines.len().saturating_sub(1);
    for (at, outline) in outlines.iter().enumerate() {
        replay.segment(&outline.source, at == last)?;
        report.bytes += outline.source.bytes;
        report.segments += 1;
        show(report.bytes);
    }
    replay.finish(&mut report)?;
    engine.sync()?;
    let stats = engine.stats();
    (report.commits, report.entities, report.blobs) = (stats.revision, stats.entities, stats.blobs);
    (report.records, report.chain_head) = (stats.records, stats.chain_head);
    engine.close()?;
    drop(engine);
    target.finish()?;
    Ok(report)
}

/// Whether the caller still wants what is being done.
fn check_goes_on(options: &RepairOptions<'_>) -> Result<()> {
    if (options.goes_on)() {
        return Ok(());
    }
    Err(Error::io("stopped before the end", std::io::ErrorKind::Interrupted.into()))
}

/// What the order of the files follows from.
struct Outline {
    source: Source,
    /// The revisions of which something stands in the file, or would.
    first: Option<u64>,
    last: Option<u64>,
    /// Whether the first batch says that something before it may have been compacted away.
    is_reduced: bool,
    /// Whether another file follows.
    is_continued: bool,
    /// Entities that damaged frames seem to have stored.
    damaged: Vec<[u8; 32]>,
}

impl Outline {
    fn of(source: Source, options: &RepairOptions<'_>) -> Result<Self> {
        let (mut revisions, mut kinds) = (None, None);
        let mut damaged = Vec::new();
        let rest = source.scan(Depth::Hashes, &mut |batch, damage| {
            check_goes_on(options)?;
            let revision = batch.commit.revision;
            let (first, last) = revisions.unwrap_or((revision, revision));
            revisions = Some((first, last.max(revision)));
            kinds = Some((kinds.map_or(batch.kind, |(first, _)| first), batch.kind));
            damaged.extend(losses::damaged_entities(&source, &damage)?);
            Ok(())
        })?;
        damaged.extend(losses::damaged_entities(&source, &rest.damage)?);
        let named = source.header.ok().map(|header| header.first_revision);
        let first = named.or(revisions.map(|(first, _)| first));
        // A file whose batches all are damaged still has the one that its header begins with.
        let last = revisions.map(|(_, last)| last).or_else(|| named.map(|first| first.saturating_sub(1)));
        let is_reduced = source.header.is_err() && kinds.is_some_and(|(first, _)| first == Kind::Reduced);
        let is_continued =
            kinds.is_some_and(|(_, last)| last == Kind::Continued) && rest.uncommitted.is_empty();
        Ok(Self { source, first, last, is_reduced, is_continued, damaged })
    }

    /// By revision; of those that have none, by what their names say.
    fn order(&self) -> (u64, u32, u32) {
        let number = self.source.id.number();
        match self.source.range() {
            Some((first, last)) => (self.first.unwrap_or(0), first, last),
            None => (self.first.unwrap_or(0), 0, number),
        }
    }
}

/// Tells which files and revisions are not there.
fn report_missing(outlines: &[Outline], losses: &mut Losses, report: &mut RepairReport) {
    const AFTER: &str = "; what it changed or removed is here as it was before";
    let (mut next_number, mut reached, mut is_known) = (1, 0, true);
    for outline in outlines {
        let Outline { source, first, last, .. } = outline;
        let gap = first.filter(|first| *first > reached + 1 && !outline.is_reduced);
        let revisions = gap.map(|first| format!("revisions {} to {}", reached + 1, first - 1));
        let range = source.range();
        let missing = range.filter(|_| is_known).and_then(|(first, _)| missing_segments(next_number..first));
        match (missing, revisions) {
            (None, None) => {}
            (None, Some(revisions)) => {
                losses
                    .lose(format!("before {}: {revisions} are missing, at least in part{AFTER}", source.id));
            }
            (Some(what), revisions) => {
                let with = revisions.map_or(String::new(), |revisions| format!(", with {revisions}"));
                losses.lose(format!("{what}{with}{AFTER}"));
            }
        }
        is_known = range.is_some();
        if let Some((_, last)) = range {
            next_number = last + 1;
        }
        reached = last.unwrap_or(reached).max(reached);
        if let Err(reason) = source.header {
            report.notes.push(format!("{} offset 0: {reason}; its frames were read all the same", source.id));
        }
    }
    if outlines.last().is_some_and(|outline| outline.is_continued) {
        losses.lose(format!("segment {next_number} is missing, and whatever came behind it{AFTER}"));
    }
}

/// The places of the entities among some changes.
fn stored_entities(changes: &[Placed]) -> impl Iterator<Item = ([u8; 32], Location)> + '_ {
    changes.iter().filter_map(|placed| match &placed.change {
        Change::Entity { address, .. } => Some((address.0, placed.location)),
        _ => None,
    })
}
