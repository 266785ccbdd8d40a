//! Real processes that write to a real folder and are killed, again and again on the same store.
//!
//! The process that is killed runs [`write_until_killed`]: it tells on its standard output which step it has
//! begun and which is done. A killed process loses no more than what it kept to itself, so that what was
//! acknowledged as written must be there. Every second time the store is looked at in a copy, and the next
//! process is the one that recovers it.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::at_rest::expect_done;
use super::workload::{Step, Workload};
use super::{FailedState, Tally};
use crate::engine::{CompactOptions, Durability};
use crate::store::{Location, Store};
use crate::testing::auditor::{Auditor, Outcome};
use crate::testing::simulated_disk::Crash;
use crate::testing::{Failure, Random};

/// How often processes are killed, and where.
#[derive(Clone, Copy)]
pub struct KillOptions<'a> {
    /// Determines what the processes write; when they are killed is up to the system.
    pub seed: u64,
    /// How many are killed.
    pub kills: u64,
    /// An empty folder for the store and for copies of it.
    pub folder: &'a Path,
    /// Gives a command that runs [`write_until_killed`].
    pub command: &'a dyn Fn() -> Command,
    /// Asked before each kill; the campaign ends when it says no.
    pub goes_on: &'a dyn Fn() -> bool,
}

/// The seed, and the revision that each process so far has left.
const TASK: &str = "STATLAS_KILLED_TASK";
/// Where the store is.
const PLACE: &str = "STATLAS_KILLED_STORE";
/// Lines that a process tells at most before it is killed; a step is two.
const LINES_MAX: usize = 60;

/// Kills processes that write.
#[must_use]
pub fn kills(options: &KillOptions<'_>) -> Tally {
    let mut tally = Tally::new("kills", false);
    let mut history = History::new(options.seed);
    let mut steps = 0;
    while tally.tried < options.kills && (options.goes_on)() {
        let kill = tally.tried;
        tally.tried += 1;
        match try_kill(options, &mut history, kill) {
            Ok(taken) => steps += taken,
            Err(failure) => {
                let what = format!("{failure}; the store is left in {}", options.folder.display());
                tally.fail(FailedState { seed: options.seed, state: kill, what });
                // What the next one would find is not known.
                break;
            }
        }
    }
    let revision = history.auditor.model().revision();
    tally.scope = format!(
        "processes killed that wrote to one store in a folder, {steps} steps, revision {revision} in the end"
    );
    tally
}

/// What the processes so far have done: each goes on with a workload of its own from where the one before
/// was stopped.
struct History {
    seed: u64,
    reached: Vec<u64>,
    auditor: Auditor,
}

impl History {
    fn new(seed: u64) -> Self {
        Self { seed, reached: Vec::new(), auditor: Auditor::default() }
    }

    /// Does again, without a store, what led to what the store holds.
    fn of(task: &str) -> Option<Self> {
        let (seed, reached) = task.split_once(':')?;
        let mut history = Self::new(seed.parse().ok()?);
        for revision in reached.split_terminator(',') {
            let (revision, mut workload) = (revision.parse().ok()?, history.workload());
            while history.auditor.model().revision() < revision {
                let batches = match workload.next(history.auditor.model()) {
                    Step::Commit(batch, _) => vec![batch],
                    Step::FreeBlobs => history.auditor.model().batches_that_free(true),
                    _ => Vec::new(),
                };
                for batch in &batches {
                    if history.auditor.model().revision() < revision {
                        history.auditor.replay(batch, None);
                    }
                }
            }
            history.reached.push(revision);
        }
        Some(history)
    }

    fn task(&self) -> String {
        let mut task = format!("{}:", self.seed);
        for revision in &self.reached {
            // Writing to a string does not fail.
            write!(task, "{revision},").unwrap_or_default();
        }
        task
    }

    fn workload(&self) -> Workload {
        Workload::new(self.seed ^ (self.reached.len() as u64 + 1) << 32)
    }
}

/// Runs a process, kills it and audits what it left; returns how many steps it took.
fn try_kill(options: &KillOptions<'_>, history: &mut History, kill: u64) -> Result<u64, Failure> {
    let path = options.folder.join("store");
    let mut random = Random::new(options.seed ^ kill << 16);
    let lines = run_and_kill(options, &path, &history.task(), &mut random)?;
    let mut workload = history.workload();
    let mut taken = 0;
    for line in &lines {
        match line.split_once(' ') {
            Some(("begin", number)) if number.parse() == Ok(taken) => {
                let is_done = lines.contains(&format!("done {number}"));
                let step = workload.next(history.auditor.model());
                replay(&mut history.auditor, &step, is_done);
                taken += 1;
            }
            Some(("failed", what)) => return Err(what.to_owned().into()),
            _ => {}
        }
    }
    let looked_at = if kill % 2 == 1 { copy(&path, &options.folder.join("copy"))? } else { path };
    let location = Location::Disk(looked_at);
    let store = Store::open(&location, &Workload::options(options.seed))
        .map_err(|error| format!("the store does not open: {error}"))?;
    history.auditor.settle(&store, Crash::Killed)?;
    history.reached.push(history.auditor.model().revision());
    Ok(taken)
}

/// What a process owes for a step, if it was done, or may have done.
fn replay(auditor: &mut Auditor, step: &Step, is_done: bool) {
    match step {
        Step::Commit(batch, durability) => auditor.replay(batch, is_done.then_some(*durability)),
        Step::FreeBlobs => {
            for batch in auditor.model().batches_that_free(true) {
                auditor.replay(&batch, is_done.then_some(Durability::Synced));
            }
            if is_done {
                auditor.replay_sync();
            }
        }
        Step::Sync | Step::Reopen if is_done => auditor.replay_sync(),
        Step::Sync
        | Step::Reopen
        | Step::Check
        | Step::Compact
        | Step::Maintain
        | Step::Backup
        | Step::Kill => {}
    }
}

/// What the process has told until it was killed.
fn run_and_kill(
    options: &KillOptions<'_>,
    path: &Path,
    task: &str,
    random: &mut Random,
) -> Result<Vec<String>, Failure> {
    let mut command = (options.command)();
    command.env(TASK, task).env(PLACE, path).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = command.spawn()?;
    let output = child.stdout.take().ok_or("the process has an output")?;
    let mut lines = BufReader::new(output).lines();
    let mut told = Vec::new();
    let (wanted, pause) = (random.below(LINES_MAX), random.below(3000) as u64);
    while told.len() < wanted {
        match lines.next() {
            Some(line) => told.push(line?),
            None => break,
        }
    }
    // Somewhere in the next step, or in none; before its first step, the process opens the store.
    std::thread::sleep(Duration::from_micros(if wanted == 0 { pause * 20 } else { pause }));
    child.kill()?;
    child.wait()?;
    for line in lines {
        told.push(line?);
    }
    // A test harness tells things of its own, and the last line may be cut.
    told.retain(|line| ["begin ", "done ", "failed "].iter().any(|word| line.starts_with(word)));
    Ok(told)
}

fn copy(from: &Path, to: &Path) -> Result<PathBuf, Failure> {
    if to.exists() {
        std::fs::remove_dir_all(to)?;
    }
    std::fs::create_dir_all(to)?;
    // A process that was killed early has made nothing yet.
    if !from.exists() {
        return Ok(to.to_owned());
    }
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let name = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &name)?;
        } else {
            std::fs::copy(entry.path(), name)?;
        }
    }
    Ok(to.to_owned())
}

/// Writes to a store until this process is killed, if [`kills`] has started it for that; else returns false
/// at once.
#[must_use]
pub fn write_until_killed() -> bool {
    let (Ok(task), Some(place)) = (std::env::var(TASK), std::env::var_os(PLACE)) else { return false };
    let Some(history) = History::of(&task) else { return false };
    // A test harness may have begun a line.
    let written = tell("").and_then(|()| write(history, &Location::Disk(place.into())));
    if let Err(failure) = written {
        // Nobody may be there to be told.
        drop(tell(&format!("failed {failure}").replace('\n', " ")));
    }
    true
}

fn write(mut history: History, location: &Location) -> Result<(), Failure> {
    let options = Workload::options(history.seed);
    let mut workload = history.workload();
    let mut store = Store::open(location, &options)?;
    for number in 0.. {
        let step = workload.next(history.auditor.model());
        tell(&format!("begin {number}"))?;
        let auditor = &mut history.auditor;
        let outcome = match &step {
            Step::Commit(batch, durability) => auditor.commit(&store, batch, *durability)?,
            Step::Sync => auditor.sync(&store)?,
            Step::FreeBlobs => auditor.free_blobs(&store)?,
            Step::Reopen => {
                expect_done(auditor.close(&store)?)?;
                drop(store);
                store = Store::open(location, &options)?;
                Outcome::Done
            }
            Step::Compact => {
                store.engine().compact(&CompactOptions::default(), &mut |_, _| {})?;
                Outcome::Done
            }
            Step::Maintain => {
                store.engine().maintain()?;
                Outcome::Done
            }
            Step::Check | Step::Backup | Step::Kill => {
                auditor.compare(&store)?;
                Outcome::Done
            }
        };
        expect_done(outcome)?;
        tell(&format!("done {number}"))?;
    }
    Ok(())
}

/// One line, at once. It can't be told when the process that listens has gone; then this one ends too.
fn tell(line: &str) -> Result<(), Failure> {
    let mut output = std::io::stdout().lock();
    writeln!(output, "{line}")?;
    output.flush()?;
    Ok(())
}
