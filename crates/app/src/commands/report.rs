//! `report`: the page of a result, made again.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use serde_json::json;
use statlas_lab::Report;

use crate::laboratory::{failure, write_page};
use crate::session::Session;

const EXAMPLES: &str = "\
Examples:
  statlas report statlas-results/stress-20261129T120000000Z.json
  statlas report result.json --page report.html";

/// Make the page of a result again
///
/// Makes the page of a result of the laboratory from the file that has everything: one file without scripts that needs no
/// network.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The result, as `stress`, `workload`, `pressure`, `plan` and `breakdown` write it
    file: PathBuf,
    /// Where the page goes; without it, beside the result
    #[arg(long, value_name = "FILE")]
    page: Option<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments, session: &Session) -> Result<()> {
    let report = Report::read(&arguments.file).map_err(failure)?;
    let page = arguments.page.clone().unwrap_or_else(|| arguments.file.with_extension("html"));
    write_page(&report, &page)?;
    match session.output().json() {
        true => {
            session.output().print_json(&json!({"page": page.to_string_lossy(), "verdict": report.verdict()}))
        }
        false => session.output().print(page.display()),
    }
}
