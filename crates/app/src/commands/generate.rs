//! `generate`: entities to try things with.

use std::io::Write;
use std::ops::Range;

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use statlas_core::Profile;
use statlas_lab::Generator;

use crate::interrupt::Interrupt;
use crate::pipeline::{self, Room};
use crate::progress::Unit;
use crate::session::Session;

const EXAMPLES: &str = "\
Examples:
  statlas generate --count 3
  statlas generate --count 1000000 --seed 7 --profile fractalstat > entities.jsonl
  statlas generate --count 100000 | statlas load -";

/// Entities that are made in one piece.
const CHUNK: u64 = 4096;

/// Make entities to try things with
///
/// Prints varied, valid entities as JSON lines.
///
/// The same seed and profile give the same entities on every machine; entity number n does not depend on
/// how many are asked for.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// How many
    #[arg(long, short = 'n', default_value_t = 10)]
    count: u64,
    /// Which sequence
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// In which coordinate space
    #[arg(long, default_value = "mixed")]
    profile: Choice,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Choice {
    /// Seven dimensions
    Stat7,
    /// Eight dimensions
    #[value(name = "fractalstat")]
    FractalStat,
    /// Both, mixed
    Mixed,
}

pub(crate) fn run(arguments: &Arguments, session: &Session) -> Result<()> {
    let profile = match arguments.profile {
        Choice::Stat7 => Some(Profile::Stat7),
        Choice::FractalStat => Some(Profile::FractalStat),
        Choice::Mixed => None,
    };
    let generator = Generator::new(arguments.seed, profile);
    let count = arguments.count;
    let mut stdout = session.output().stdout();
    let bar = session.output().progress_beside_stdout("generating", Some(count), Unit::Count);
    pipeline::run(
        Room::items(2 * pipeline::workers()),
        &Interrupt::default(),
        move |feed| {
            let mut first = 0;
            while first < count && feed.push(first..count.min(first.saturating_add(CHUNK)), 0) {
                first = first.saturating_add(CHUNK);
            }
            Ok(())
        },
        move |range: Range<u64>| {
            let (mut text, entities) = (Vec::new(), range.end - range.start);
            for number in range {
                generator.entity(number).to_json_into(&mut text);
                text.push(b'\n');
            }
            (entities, text)
        },
        |(entities, text)| {
            bar.inc(entities);
            stdout.write_all(&text).context("cannot write to standard output")
        },
    )?;
    bar.finish_and_clear();
    stdout.flush().context("cannot write to standard output")
}
