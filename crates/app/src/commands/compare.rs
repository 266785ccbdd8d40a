//! `compare`: two results side by side.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use statlas_lab::{CompareOptions, Report, Unit, Verdict, compare};

use crate::failure::Failure;
use crate::laboratory::{failure, width};
use crate::session::Session;

const EXAMPLES: &str = "\
Examples:
  statlas compare before.json after.json
  statlas compare before.json after.json --noise 20%
  statlas compare here.json there.json --anyway        (another machine, or other data: says how they differ)

A figure counts as changed if it differs by more than the noise, and by more than its rounds differ among themselves. Ends
with code 6 if something became worse.";

/// Put two results side by side
///
/// Puts two results of the laboratory side by side, figure by figure, and says what became better and what worse. Results
/// that can't be compared (of other machines, data, durability) are refused.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The older result
    before: PathBuf,
    /// The newer one
    after: PathBuf,
    /// What is taken for noise, such as 10%
    #[arg(long, value_name = "SHARE", default_value = "10%", value_parser = noise)]
    noise: f64,
    /// Compare what can't be compared, and say how it differs
    #[arg(long)]
    anyway: bool,
}

fn noise(text: &str) -> Result<f64, String> {
    Unit::Share.parse(text)
}

pub(crate) fn run(arguments: &Arguments, session: &Session) -> Result<()> {
    let Arguments { before, after, noise, anyway } = arguments;
    let (before, after) = (Report::read(before).map_err(failure)?, Report::read(after).map_err(failure)?);
    let options = CompareOptions { noise: *noise, anyway: *anyway };
    let comparison = compare(&before, &after, &options).map_err(failure)?;
    if session.output().json() {
        let value = serde_json::to_value(&comparison).context("cannot write the comparison as JSON")?;
        session.output().print_json(&value)?;
    } else {
        session.output().print(comparison.text(width()))?;
    }
    match comparison.verdict {
        Verdict::Pass => Ok(()),
        Verdict::Fail => Err(Failure::threshold("something became worse by more than the noise").into()),
    }
}
