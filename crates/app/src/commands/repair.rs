//! `repair`: saves what is whole of a damaged store or backup into a fresh store.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::Result;
use clap::Args;
use serde_json::json;
use statlas_store::{Location, Options, RepairOptions, RepairReport, repair};

use super::backup::stopped;
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::output::{bytes, duration, plural, printable};
use crate::progress::Unit;
use crate::session::Session;

const EXAMPLES: &str = "\
Examples:
  statlas --store ./damaged.store repair --to ./repaired.store
  statlas repair --from /mnt/backup/statlas --to ./saved.store    (a backup that `restore` refuses)
  statlas --json repair --to ./repaired.store | jq -r '.lost[]'";

/// Save what is whole of a damaged store or backup into a fresh store
///
/// Reads the store that --store names, or the store or backup that --from names; it need not be one that can be
/// opened or restored. Commits everything whole to a fresh store, in its order. What is read stays as it is.
/// Revisions are counted anew, and the new store has a hash chain of its own.
///
/// The new store appears when everything was saved. What an interrupted run left in its directory is no store; the
/// same command begins anew there.
///
/// Lists what is lost and what may be out of date, and ends with code 4 if there is any of that.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The directory of the damaged store or backup, if it is not the one that --store names
    #[arg(long, value_name = "DIR")]
    from: Option<PathBuf>,
    /// The directory for the fresh store: new or empty
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
}

pub(crate) fn run(arguments: &Arguments, session: &Session) -> Result<()> {
    let from = match (&arguments.from, session.location()) {
        (Some(from), _) | (None, Location::Disk(from)) => from,
        _ => return Err(Failure::usage("--store: only a store in a directory can be repaired").into()),
    };
    let (interrupt, begun) = (Interrupt::install()?, Instant::now());
    let Options { memory_bytes_max, compression, .. } = session.options();
    let options = RepairOptions { memory_bytes_max, compression, goes_on: &|| !interrupt.is_set() };
    let bar = session.output().progress("repairing", Some(0), Unit::Bytes);
    let done = repair(from, &arguments.to, &options, &mut |done, total| {
        bar.set_length(total);
        bar.set_position(done);
    });
    bar.finish_and_clear();
    let report = done.map_err(|error| stopped(error, &interrupt, "nothing was saved"))?;
    let RepairReport { commits, entities, blobs, records, .. } = report;
    if session.output().json() {
        session.output().print_json(&json!({
            "complete": report.is_complete(), "bytes": report.bytes, "segments": report.segments, "commits": commits,
            "entities": entities, "blobs": blobs, "records": records, "chain_head": report.chain_head,
            "lost": report.lost, "outdated": report.outdated, "notes": report.notes,
            "seconds": begun.elapsed().as_secs_f64(),
        }))?;
    } else {
        let mut text = String::new();
        let lists =
            [("lost", &report.lost), ("perhaps out of date", &report.outdated), ("noted", &report.notes)];
        for (what, lines) in lists {
            for line in lines {
                // Writing to a string does not fail.
                let _ = writeln!(text, "{what}: {}", printable(line));
            }
        }
        session.output().print(format!(
            "{text}read {} in {}; saved {}, {}, {} and {} in {}",
            bytes(report.bytes),
            duration(begun.elapsed()),
            plural(commits, "commit", "commits"),
            plural(entities, "entity", "entities"),
            plural(blobs, "blob or chunk", "blobs and chunks"),
            plural(records, "record", "records"),
            arguments.to.display(),
        ))?;
    }
    if report.is_complete() {
        return Ok(());
    }
    let lost = plural(report.lost.len() as u64, "thing is lost", "things are lost");
    let outdated = plural(report.outdated.len() as u64, "may be out of date", "may be out of date");
    Err(Failure::integrity(format!("{lost}, {outdated}"))
        .hint(
            "store again what is listed, if there is a copy: `load`, `import` and `put` take what is missing",
        )
        .into())
}
