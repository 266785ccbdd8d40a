//! `free-blobs`: files that nothing needs any more are removed.

use std::time::{Duration, Instant};

use anyhow::Result;
use clap::Args;
use serde_json::json;
use statlas_store::{ByteSize, CompactOptions, CompactReport, FreeOptions, FreeReport};

use super::compact;
use crate::failure::Failure;
use crate::output::{bytes, duration, plural};
use crate::progress::Unit;
use crate::session::Session;

const EXAMPLES: &str = "\
Examples:
  statlas free-blobs --dry-run                   (what would go)
  statlas rm file:old.iso && statlas free-blobs
  statlas free-blobs --compact                   (and give the space on disk back at once)
  statlas free-blobs --rate 32MiB                (beside other work on the same disk)
  statlas free-blobs --unnamed --dry-run         (also what was stored and never named)

What goes:
  files        that an entity named which is removed, and that no entity names now
  chunks       of large files, if no other file shares them
What stays:
  files        that an entity names, whichever version of its id it is
  blobs        that no entity ever named, without --unnamed: somebody may have noted their ids
An entity that was removed long ago may be forgotten: what it named then counts as never named.";

/// Remove files that nothing needs any more
///
/// Finds the files that no entity names any more, and the chunks that no file needs any more, and removes them.
/// Their space is garbage of the log then. It comes back when the store compacts its log: by itself while it is
/// open and half of a file is garbage, or at once with --compact.
///
/// Everything that is named stays, also what is stored while this runs. A store that is damaged is left as it
/// is: the command ends with code 4.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Remove blobs too that no entity ever named
    #[arg(long)]
    unnamed: bool,
    /// Count what would be removed, and remove nothing
    #[arg(long)]
    dry_run: bool,
    /// Compact the log afterwards, so that the space comes back at once
    #[arg(long, conflicts_with = "dry_run")]
    compact: bool,
    /// Most bytes that are read a second; 0 for as fast as it goes
    #[arg(long, value_name = "BYTES", default_value = "0")]
    rate: ByteSize,
}

pub(crate) fn run(arguments: &Arguments, session: &Session) -> Result<()> {
    let store = session.open_unannounced()?;
    let begun = Instant::now();
    let bar = session.output().progress("reading", Some(0), Unit::Bytes);
    let Arguments { unnamed, dry_run, compact: then_compact, rate } = *arguments;
    let options = FreeOptions { unnamed, dry_run, bytes_per_second: rate.0 };
    let freed = store.engine().free_blobs(&options, &mut |read, total| {
        bar.set_length(total);
        bar.set_position(read);
    });
    bar.finish_and_clear();
    let report = freed?;
    let options = CompactOptions { bytes_per_second: rate.0, ..CompactOptions::default() };
    let compacted = then_compact.then(|| compact::compact(&store, options, session)).transpose()?;
    store.close()?;
    print(&report, compacted, arguments, begun.elapsed(), session)?;
    if report.is_complete {
        return Ok(());
    }
    Err(Failure::incomplete("not everything could be looked at: memory was short")
        .hint("run it again, or give it more with --memory")
        .into())
}

fn print(
    report: &FreeReport,
    compacted: Option<CompactReport>,
    arguments: &Arguments,
    time: Duration,
    session: &Session,
) -> Result<()> {
    let dry_run = arguments.dry_run;
    let given_back = compacted.map(|done| done.bytes_before.saturating_sub(done.bytes_after));
    if session.output().json() {
        return session.output().print_json(&json!({
            "dry_run": dry_run, "blobs": report.wholes, "large_files": report.manifests, "chunks": report.chunks,
            "bytes": report.bytes, "bytes_given_back": given_back, "passes": report.passes,
            "complete": report.is_complete,
            "seconds": time.as_secs_f64(),
        }));
    }
    let what = format!(
        "{}, {} and {}, {}",
        plural(report.wholes, "small file", "small files"),
        plural(report.manifests, "large file", "large files"),
        plural(report.chunks, "chunk", "chunks"),
        bytes(report.bytes),
    );
    let verb = if dry_run { "would remove" } else { "removed" };
    let given_back =
        given_back.map_or_else(String::new, |given_back| format!("; gave {} back", bytes(given_back)));
    session.output().print(format!("{verb} {what}{given_back}, in {}", duration(time)))
}
