//! `compact`: the space of what was removed comes back.

use std::time::{Duration, Instant};

use anyhow::Result;
use clap::Args;
use serde_json::json;
use statlas_store::{ByteSize, CompactOptions, CompactReport, Store};

use crate::interrupt::{self, Closing, Interrupt};
use crate::output::{bytes, duration, plural};
use crate::progress::Unit;
use crate::session::Session;

const EXAMPLES: &str = "\
Examples:
  statlas compact                        (files of the log of which a fifth or more is garbage)
  statlas compact --garbage 0            (every one that has any garbage)
  statlas compact --rate 32MiB           (beside other work on the same disk)
  statlas free-blobs && statlas compact  (also the space of files that no entity names any more)";

/// Give the space of what was removed back
///
/// Writes files of the log anew without what was removed and without records that were overwritten. Everything
/// else stays as it is: revisions, addresses, and the order of changes. It needs room on the disk for one file of
/// the log.
///
/// The store does the same by itself while it is open, for files of which half is garbage. Ctrl-C loses
/// nothing: what was written anew by then stays, and the same command goes on from there.
///
/// A damaged store is left as it is, since what is damaged may need what looks like garbage: `statlas repair` makes a
/// fresh one of it.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The part of a file, from 0 to 1, that must be garbage
    #[arg(long, value_name = "PART", default_value_t = CompactOptions::default().garbage_part, value_parser = part)]
    garbage: f64,
    /// Most bytes that are read a second; 0 for as fast as it goes
    #[arg(long, value_name = "BYTES", default_value = "0")]
    rate: ByteSize,
}

/// A number from 0 to 1.
fn part(text: &str) -> Result<f64, String> {
    let part = text.parse().ok().filter(|part| (0.0..=1.0).contains(part));
    part.ok_or_else(|| "allowed: a number from 0 to 1, such as 0.25".to_owned())
}

pub(crate) fn run(arguments: &Arguments, session: &Session) -> Result<()> {
    Interrupt::install()?;
    let store = session.open()?;
    let begun = Instant::now();
    let options = CompactOptions { garbage_part: arguments.garbage, bytes_per_second: arguments.rate.0 };
    let closing = Closing::begin(&store)?;
    let report = compact(&store, options, session).map_err(|error| {
        interrupt::stopped(error, "what was written anew stays; the same command goes on from there")
    })?;
    drop(closing);
    let disk_bytes = store.engine().stats().disk_bytes;
    store.close()?;
    print(&report, disk_bytes, begun.elapsed(), session)
}

/// Compacts the log of an open store.
pub(super) fn compact(store: &Store, options: CompactOptions, session: &Session) -> Result<CompactReport> {
    let bar = session.output().progress("compacting", Some(0), Unit::Bytes);
    let report = store.engine().compact(&options, &mut |done, total| {
        bar.set_length(total);
        bar.set_position(done);
    });
    bar.finish_and_clear();
    Ok(report?)
}

fn print(report: &CompactReport, disk_bytes: u64, time: Duration, session: &Session) -> Result<()> {
    let CompactReport { segments, bytes_before, bytes_after, waited } = *report;
    let given_back = bytes_before.saturating_sub(bytes_after);
    if session.output().json() {
        return session.output().print_json(&json!({
            "files": segments, "bytes_before": bytes_before, "bytes_after": bytes_after,
            "bytes_given_back": given_back, "disk_bytes": disk_bytes, "waited_seconds": waited.as_secs_f64(),
            "seconds": time.as_secs_f64(),
        }));
    }
    session.output().print(format!(
        "wrote {} anew, gave {} back, in {}; the store has {} on disk",
        plural(segments, "file of the log", "files of the log"),
        bytes(given_back),
        duration(time),
        bytes(disk_bytes),
    ))
}
