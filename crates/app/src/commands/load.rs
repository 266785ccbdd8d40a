//! `load`: entities from JSON lines into a store.
//!
//! One thread cuts the input into blocks of lines, workers parse and hash them into batches, and this
//! thread commits the batches in the order of the input, because the versions of an id depend on it.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use serde_json::json;
use statlas_store::{Commit, Durability, Store};

use crate::allowance::Allowance;
use crate::args::DurabilityArgument;
use crate::blocks::Blocks;
use crate::failure::{Failure, Place, Reason};
use crate::input::Input;
use crate::interrupt::Interrupt;
use crate::output;
use crate::pipeline::{self, End};
use crate::progress::{Progress, Unit};
use crate::session::Session;

mod parse;
mod refused;
mod survivors;

use parse::{Parsed, parse};
use refused::RefusedFile;

const EXAMPLES: &str = "\
Examples:
  statlas load entities.jsonl
  statlas generate --count 1000000 | statlas load -
  statlas load --on-error skip --refused bad.jsonl entities.jsonl
  statlas --store memory: load entities.jsonl          (check a file without keeping anything)
  zcat entities.jsonl.gz | statlas load --durability written -";

/// Store entities from JSON lines
///
/// Stores entities from JSON lines, one entity a line.
///
/// Lines are committed in batches of some ten thousand entities, each as a whole or not at all. An entity
/// that is stored already stays as it is, so it is safe to run the same load again: after an error, after
/// Ctrl-C and after a crash it goes on where it was.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Where to read from; - is standard input
    file: PathBuf,
    /// What to do about a line that is refused
    #[arg(long, value_name = "WHAT", default_value = "stop")]
    on_error: OnError,
    /// Where refused lines go with the reason for each; made only if there are some
    #[arg(long, value_name = "FILE", default_value = "refused.jsonl")]
    refused: PathBuf,
    /// When a batch counts as stored
    #[arg(long, value_name = "LEVEL", default_value = "synced")]
    durability: DurabilityArgument,
}

/// Batches are synced together until they have this many bytes of the input, or at the end.
const SYNC_BYTES: u64 = 3 << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum OnError {
    /// End with an error; nothing of that line's batch is stored, everything before it is
    Stop,
    /// Write it to a file and go on
    Skip,
}

pub(crate) fn run(arguments: &Arguments, session: &Session) -> Result<()> {
    if same_file(&arguments.file, &arguments.refused) {
        let message =
            format!("{} can't be the input and the file for refused lines", arguments.refused.display());
        return Err(Failure::usage(message).into());
    }
    let input = Input::open(&arguments.file)?;
    let interrupt = Interrupt::install()?;
    let durability = arguments.durability.into();
    let store = session.open_or_create(durability)?;
    let mut load = Load {
        store: &store,
        durability,
        file: input.name.clone(),
        skipped: (arguments.on_error == OnError::Skip).then(|| RefusedFile::new(arguments.refused.clone())),
        bar: session.output().progress("loading", input.bytes, Unit::Bytes),
        total: Commit::default(),
        unsynced: 0,
        begun: Instant::now(),
    };
    let end = load.all(input, &interrupt);
    load.bar.finish_and_clear();
    let synced = store.engine().sync();
    let refused = load.skipped.as_mut().map_or(Ok(0), RefusedFile::finish)?;
    let end = end?;
    synced?;
    let time = load.begun.elapsed();
    load.report(end, refused, time, arguments, session)?;
    store.close()?;
    match end {
        End::Complete => Ok(()),
        End::Interrupted => {
            let stored = output::thousands(load.total.entities_new + load.total.entities_present);
            let message =
                format!("{stored} entities of {} are stored; run the same load again to go on", load.file);
            Err(Failure::interrupted(message).into())
        }
    }
}

/// A load under way.
struct Load<'a> {
    store: &'a Store,
    durability: Durability,
    file: String,
    /// Where refused lines go; `None` if the first one ends the load.
    skipped: Option<RefusedFile>,
    bar: Progress,
    total: Commit,
    /// Bytes of the input that were committed since the last sync.
    unsynced: u64,
    begun: Instant,
}

impl Load<'_> {
    fn all(&mut self, input: Input, interrupt: &Interrupt) -> Result<End> {
        let stop = self.skipped.is_none();
        let (allowance, items) = (Allowance::beside(self.store), pipeline::workers() + 1);
        pipeline::run(
            allowance.room(items),
            interrupt,
            move |feed| {
                let mut blocks = Blocks::within(input, allowance, items);
                while let Some(block) = blocks.next_block()? {
                    let bytes = block.bytes_held();
                    if !feed.push(block, bytes) {
                        break;
                    }
                }
                Ok(())
            },
            move |block| parse(block, stop),
            |parsed| self.block(parsed),
        )
    }

    /// Commits what a block holds, as one batch.
    fn block(&mut self, mut parsed: Parsed) -> Result<()> {
        let bytes = parsed.block.bytes();
        if self.skipped.is_none()
            && let Some((line, error)) = parsed.refused.pop()
        {
            let line = parsed.block.line_of(line, &error);
            return Err(self.stopped(line, Reason::Entity(error)).into());
        }
        let batch = std::mem::take(&mut parsed.batch);
        self.unsynced += bytes;
        let durability = match self.durability {
            // Small blocks share a sync, or a device would be asked for it all the time.
            Durability::Synced if self.unsynced < SYNC_BYTES => Durability::Written,
            durability => durability,
        };
        if durability == Durability::Synced {
            self.unsynced = 0;
        }
        match self.store.commit(batch, durability) {
            Ok(commit) => {
                self.total += commit;
                self.write_refused(&parsed)?;
            }
            Err(error) if survivors::is_refusal(&error) => self.refused_at_commit(&parsed, error)?,
            Err(error) => {
                let stored = self.total.entities_new + self.total.entities_present;
                let context = format!("stopped after {}", output::plural(stored, "entity", "entities"));
                return Err(anyhow::Error::new(error).context(context));
            }
        }
        self.bar.inc(bytes);
        Ok(())
    }

    fn refused_at_commit(&mut self, parsed: &Parsed, error: statlas_store::Error) -> Result<()> {
        if self.skipped.is_none() {
            let line = error.operation().and_then(|at| parsed.accepted().nth(at)).map_or(0, |(line, _)| line);
            return Err(self.stopped(line, Reason::Store(error)).into());
        }
        let (total, refused) = survivors::commit(self.store, parsed, self.durability)?;
        self.total += total;
        self.write_refused(parsed)?;
        if let Some(file) = &mut self.skipped {
            for (line, text, reason) in refused {
                file.write(line, text, &reason)?;
            }
        }
        Ok(())
    }

    fn write_refused(&mut self, parsed: &Parsed) -> Result<()> {
        let Some(file) = &mut self.skipped else { return Ok(()) };
        for (line, text, error) in parsed.refused_texts() {
            file.write(line, text, &Reason::Entity(error.clone()))?;
        }
        Ok(())
    }

    fn stopped(&self, line: u64, reason: Reason) -> Failure {
        let place = Place { file: self.file.clone(), line: (line > 0).then_some(line) };
        let stored = self.total.entities_new + self.total.entities_present;
        let stored =
            output::plural(stored, "entity of the batches before was", "entities of the batches before were");
        Failure::refused(place, reason).hint(format!(
            "nothing of this line's batch was stored; {stored}. Mend the line and load the file again (what is stored \
             stays as it is), or use --on-error skip"
        ))
    }

    fn report(
        &self,
        end: End,
        refused: u64,
        time: Duration,
        arguments: &Arguments,
        session: &Session,
    ) -> Result<()> {
        let Commit { entities_new, entities_present, .. } = self.total;
        let rate = output::per_second(entities_new + entities_present, time);
        let file = arguments.refused.display().to_string();
        if session.output().json() {
            let mut answer = json!({
                "new": entities_new, "already_there": entities_present, "refused": refused,
                "complete": end == End::Complete, "seconds": time.as_secs_f64(), "per_second": rate,
                "revision": self.store.engine().stats().revision,
            });
            if refused > 0 {
                answer["refused_file"] = file.into();
            }
            return session.output().print_json(&answer);
        }
        session.output().print(format!(
            "{} new, {} already there, {} refused, in {} ({}/s)",
            output::thousands(entities_new),
            output::thousands(entities_present),
            output::thousands(refused),
            output::duration(time),
            output::thousands(rate),
        ))?;
        if refused > 0 {
            let lines = output::plural(refused, "line was refused", "lines were refused");
            session.output().warn(format!("{lines} and not stored; see {file} for the reasons"));
        }
        Ok(())
    }
}

fn same_file(a: &std::path::Path, b: &std::path::Path) -> bool {
    let real = |path: &std::path::Path| path.canonicalize().context("no such file").ok();
    real(a).zip(real(b)).is_some_and(|(a, b)| a == b)
}
