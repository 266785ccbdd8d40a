//! `import`: the files of a directory into a store.
//!
//! One thread walks, workers read, hash and map files to entities, and this thread commits. What a file
//! becomes is written down in `docs/IMPORT.md`.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::Args;
use serde_json::{Value, json};
use statlas_core::{Alignment, Identifier, Polarity};
use statlas_store::{Durability, Store};

use super::find::{alignment, polarity};
use crate::allowance::Allowance;
use crate::args::{DurabilityArgument, ProfileArgument};
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::interval::identifier;
use crate::output::{self, Output, plural, printable};
use crate::pipeline::{self, End};
use crate::progress::Unit;
use crate::session::Session;

mod content;
mod kind;
mod mapping;
mod record;
mod stamp;
mod take;
mod version;
mod walk;

use mapping::Mapping;
pub(crate) use mapping::encode_prefix;
pub(crate) use stamp::parse_modified;
use take::{Taken, Taker};
use walk::{JOB_BYTES_MAX, Job, Problem, ProblemKind, Walk};
pub(crate) use walk::{identity, store_directory};

const EXAMPLES: &str = "\
Examples:
  statlas import ~/Pictures
  statlas import . --prefix projects/statlas           (ids begin with file:projects/statlas/)
  statlas import logs --realm event --profile fractalstat
  statlas find --adjacent dir:src --latest             (the files of one directory)
  statlas restore-files OUT                            (writes them back)

What a file becomes:
  id           file:PREFIX/PATH, with / between names; % and bytes that are not UTF-8 as %XX
  type, state  artifact; path, bytes, sha256, modified, mode
  blob         the file itself, under its SHA-256
  created_at   when the file was modified as of its first import; later versions keep it
  realm        by the kind of file: data, narrative (texts), system (configuration, programs),
               faculty (source code), event (logs), pattern (images, sound, fonts), void (unknown)
  lineage      the number of names in the path: 1 for a file directly in DIR
  adjacency    dir:PATH of the directory it lies in
  horizon      by size: genesis (empty), emergence (below 1 KiB), peak (below 64 KiB),
               decay (below 1 MiB), crystallization
  stat7        resonance: from the first four bytes of the SHA-256, so equal contents resonate;
               velocity: share of text bytes minus share of others; density: share of the 256
               byte values that occur
  fractalstat  luminosity: percentage of text bytes; polarity: by realm; dimensionality: how many
               byte values occur; alignment: LAWFUL_NEUTRAL for text, TRUE_NEUTRAL for at least
               half text, else CHAOTIC_NEUTRAL
Nothing depends on the clock. Flags override each of them.";

/// Store the files of a directory
///
/// Stores every regular file of a directory as an entity and a blob.
///
/// A second run takes only what changed: a file whose size, times and inode are as they were is not read
/// again, unless the flags are others. Symbolic links are never followed; they, sockets, pipes and devices are counted and left out.
/// Files that can't be read, or that keep changing while they are read, are reported and the command ends
/// with code 1.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The directory
    dir: PathBuf,
    /// When a batch counts as stored
    #[arg(long, value_name = "LEVEL", default_value = "synced")]
    durability: DurabilityArgument,
    #[command(flatten)]
    overrides: Overrides,
}

/// What a user may want otherwise than it is derived from the file.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Coordinates")]
pub(crate) struct Overrides {
    /// Put this before every path, as if the files lay in that directory
    #[arg(long, value_name = "PATH", default_value = "", hide_default_value = true)]
    pub(crate) prefix: String,
    /// The coordinate space; stat7 unless told otherwise
    #[arg(long)]
    pub(crate) profile: Option<ProfileArgument>,
    /// The realm of all files, instead of one by kind
    #[arg(long, value_parser = identifier)]
    pub(crate) realm: Option<Identifier>,
    /// The type of all entities, instead of artifact
    #[arg(long, value_parser = identifier)]
    pub(crate) entity_type: Option<Identifier>,
    /// The horizon, instead of one by size
    #[arg(long, value_parser = identifier)]
    pub(crate) horizon: Option<Identifier>,
    /// The lineage, instead of the depth of the path
    #[arg(long)]
    pub(crate) lineage: Option<u32>,
    /// The resonance (stat7)
    #[arg(long, allow_hyphen_values = true)]
    pub(crate) resonance: Option<f64>,
    /// The velocity (stat7)
    #[arg(long, allow_hyphen_values = true)]
    pub(crate) velocity: Option<f64>,
    /// The density (stat7)
    #[arg(long, allow_hyphen_values = true)]
    pub(crate) density: Option<f64>,
    /// The luminosity (fractalstat)
    #[arg(long, allow_hyphen_values = true)]
    pub(crate) luminosity: Option<f64>,
    /// The polarity (fractalstat)
    #[arg(long, value_parser = polarity)]
    pub(crate) polarity: Option<Polarity>,
    /// The dimensionality (fractalstat)
    #[arg(long)]
    pub(crate) dimensionality: Option<u32>,
    /// The alignment (fractalstat)
    #[arg(long, value_parser = alignment)]
    pub(crate) alignment: Option<Alignment>,
}

/// What an import did.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// Files that were not stored before.
    pub(crate) new: u64,
    /// Files of which a new version was stored.
    pub(crate) changed: u64,
    /// Files that are as they were.
    pub(crate) unchanged: u64,
    /// Bytes that were read.
    pub(crate) bytes_read: u64,
    /// Everything that was left out, with the reason.
    pub(crate) problems: Vec<Problem>,
    pub(crate) time: Duration,
}

impl Report {
    /// Regular files that are stored now.
    pub(crate) fn files(&self) -> u64 {
        self.new + self.changed + self.unchanged
    }

    fn count(&self, kind: ProblemKind) -> u64 {
        self.problems.iter().filter(|problem| problem.kind == kind).count() as u64
    }

    /// Files and directories that should have been taken.
    fn failures(&self) -> u64 {
        self.problems.iter().filter(|problem| problem.kind.is_failure()).count() as u64
    }
}

/// Problems that are listed for people; `--json` lists all.
const PROBLEMS_LISTED: usize = 20;

pub(crate) fn run(arguments: &Arguments, session: &Session) -> Result<()> {
    let mapping = Mapping::new(arguments.overrides.clone())?;
    let walk = Walk::new(&arguments.dir)?;
    let interrupt = Interrupt::install()?;
    let durability = arguments.durability.into();
    let store = session.open_or_create(durability)?;
    let walk = walk.except(session.location());
    let (report, end) = take_all(&store, walk, mapping, durability, &interrupt, session.output())?;
    store.close()?;
    print(&report, end, session.output())?;
    if end == End::Interrupted {
        let stored = plural(report.files(), "file is", "files are");
        let message = format!("{stored} stored; run the same import again to go on");
        return Err(Failure::interrupted(message).into());
    }
    match report.failures() {
        0 => Ok(()),
        failures => {
            let what = plural(failures, "file or directory", "files or directories");
            let failure = Failure::incomplete(format!("{what} could not be taken"));
            Err(failure
                .hint("everything else is stored; run the same import again when the cause is gone")
                .into())
        }
    }
}

/// Takes the files of a directory. The store's own directory, if it lies there, is left out.
pub(crate) fn take_directory(
    store: &Store,
    dir: &Path,
    overrides: Overrides,
    interrupt: &Interrupt,
    session: &Session,
) -> Result<(Report, End)> {
    let walk = Walk::new(dir)?.except(session.location());
    take_all(store, walk, Mapping::new(overrides)?, Durability::Synced, interrupt, session.output())
}

fn take_all(
    store: &Store,
    walk: Walk,
    mapping: Mapping,
    durability: Durability,
    interrupt: &Interrupt,
    output: &Output,
) -> Result<(Report, End)> {
    let begun = Instant::now();
    let bar = output.progress("importing", None, Unit::Count);
    let mut report = Report::default();
    let prefix = mapping.prefix().to_owned();
    let taker = Taker::new(store.clone(), mapping);
    let (allowance, items) = (Allowance::beside(store), pipeline::workers() + 2);
    let job_bytes_max = allowance.item_bytes(items, JOB_BYTES_MAX);
    let end = pipeline::run(
        allowance.room(items),
        interrupt,
        move |feed| {
            walk.run(&prefix, job_bytes_max as u64, &mut |job: Job| {
                let bytes = job.bytes_held();
                feed.push(job, bytes)
            });
            Ok(())
        },
        move |job| taker.take(job),
        |taken: Result<Taken>| {
            let taken = taken?;
            if !taken.batch.is_empty() {
                store.commit(taken.batch, durability)?;
            }
            drop(taken.stored);
            report.new += taken.new;
            report.changed += taken.changed;
            report.unchanged += taken.unchanged;
            report.bytes_read += taken.bytes_read;
            report.problems.extend(taken.problems);
            bar.set_position(report.files());
            Ok(())
        },
    );
    bar.finish_and_clear();
    let end = end?;
    store.engine().sync()?;
    report.time = begun.elapsed();
    Ok((report, end))
}

fn print(report: &Report, end: End, output: &Output) -> Result<()> {
    let Report { new, changed, unchanged, bytes_read, problems, time } = report;
    let rate = output::per_second(report.files(), *time);
    if output.json() {
        let problems: Vec<Value> = problems.iter().map(Problem::to_json).collect();
        return output.print_json(&json!({
            "files": report.files(), "new": new, "changed": changed, "unchanged": unchanged,
            "bytes_read": bytes_read, "complete": end == End::Complete, "problems": problems,
            "seconds": time.as_secs_f64(), "per_second": rate,
        }));
    }
    output.print(format!(
        "{}: {} new, {} changed, {} unchanged; {} read, in {} ({} files/s, {}/s)",
        plural(report.files(), "file", "files"),
        output::thousands(*new),
        output::thousands(*changed),
        output::thousands(*unchanged),
        output::bytes(*bytes_read),
        output::duration(*time),
        output::thousands(rate),
        output::bytes(output::per_second(*bytes_read, *time)),
    ))?;
    for kind in ProblemKind::ALL {
        let count = report.count(kind);
        if count == 0 {
            continue;
        }
        output.warn(format!("{}: {}", output::thousands(count), kind.meaning()));
        let listed = problems.iter().filter(|problem| problem.kind == kind).take(PROBLEMS_LISTED);
        for problem in listed {
            output.warn(format!("  {}{}", printable(&problem.path), problem.detail()));
        }
        if count > PROBLEMS_LISTED as u64 {
            output.warn("  and more; --json lists all");
        }
    }
    Ok(())
}
