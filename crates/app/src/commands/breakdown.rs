//! `breakdown`: where the time of fetching one file goes.

use anyhow::Result;
use clap::Args;
use statlas_lab::{BreakdownOptions, break_down};

use crate::failure::Failure;
use crate::laboratory::{Results, command_line, watched};
use crate::session::{self, Session, WHAT_HELP};

const EXAMPLES: &str = "\
Examples:
  statlas import DIR && statlas breakdown file:picture.jpg
  statlas breakdown 2a803d24 --rounds 50";

/// Show where the time of fetching a file goes
///
/// Fetches the file of an entity again and again, with a warm cache and with a cold one, and shows what the parts take:
/// the lookup of the address, metadata, the content and its verification, the disk, and the transfer. Nothing in the
/// store changes.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[arg(help = WHAT_HELP)]
    what: String,
    /// How often each is measured
    #[arg(long, value_name = "COUNT", default_value = "11", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    rounds: u32,
    #[command(flatten)]
    results: Results,
}

pub(crate) fn run(arguments: &Arguments, session: &Session) -> Result<()> {
    let store = session.open()?;
    let what = &arguments.what;
    let with_file = session::resolve(&store, what)?.into_iter().rev().find(|entity| entity.blob().is_some());
    let Some(entity) = with_file else {
        let failure = Failure::not_found(format!("no file is attached to the entity {what:?}"));
        return Err(failure.hint("`statlas import` and `statlas put --file` attach files").into());
    };
    store.close()?;
    drop(store);
    let options = BreakdownOptions {
        location: session.location().clone(),
        options: session.options(),
        address: entity.address(),
        rounds: arguments.rounds as usize,
        command: command_line(),
    };
    let report = watched(session.output(), |watcher| break_down(&options, watcher.goes_on))?;
    arguments.results.finish(&report, session)
}
