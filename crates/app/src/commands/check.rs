//! `check`: reads and verifies everything that is stored.

use std::io::Write;
use std::time::Instant;

use anyhow::{Context, Result};
use clap::Args;
use serde_json::json;
use statlas_store::CheckReport;

use crate::failure::Failure;
use crate::output::{bytes, duration, plural, printable, thousands};
use crate::progress::Unit;
use crate::session::Session;

const EXAMPLES: &str = "\
Examples:
  statlas check && echo sound
  statlas check --quick                  (a tenth of the time; not what stands in complete files)
  statlas --json check | jq -r '.damage[]'";

/// Read and verify everything that is stored
///
/// Reads everything in the store and verifies it: checksums, addresses, the SHA-256 of files, the hash
/// chain of the commits.
///
/// Lists each damaged place and what it hits, and ends with code 4 if there is one.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Read headers, indexes and the ends of files, but not what is stored in complete files
    #[arg(long)]
    quick: bool,
}

pub(crate) fn run(arguments: &Arguments, session: &Session) -> Result<()> {
    let store = session.open_unannounced()?;
    let begun = Instant::now();
    let bar = session.output().progress("checking", Some(0), Unit::Bytes);
    let mut show = |done, total| {
        bar.set_length(total);
        bar.set_position(done);
    };
    let engine = store.engine();
    let report = if arguments.quick { engine.check_quick(&mut show)? } else { engine.check(&mut show)? };
    bar.finish_and_clear();
    let CheckReport { bytes: read, commits, entities, blobs, records, chain_head, damage, bytes_unread } =
        report;
    let time = begun.elapsed();
    let mut stdout = session.output().stdout();
    let written = if session.output().json() {
        let answer = json!({
            "sound": damage.is_empty(), "bytes": read, "commits": commits, "entities": entities, "blobs": blobs,
            "records": records, "chain_head": chain_head, "damage": damage, "bytes_unread": bytes_unread, "seconds": time.as_secs_f64(),
        });
        writeln!(stdout, "{answer}")
    } else {
        let listed: String = damage.iter().map(|place| format!("{}\n", printable(place))).collect();
        let chain = if chain_head.is_empty() {
            String::new()
        } else {
            format!("; the hash chain ends in {chain_head}")
        };
        let unread = match bytes_unread {
            0 => String::new(),
            unread => format!("; {} of complete files were not read", bytes(unread)),
        };
        let sound = if damage.is_empty() { "sound: " } else { "" };
        writeln!(
            stdout,
            "{listed}{sound}verified {} in {}: {}, {}, {} and {}{chain}{unread}",
            bytes(read),
            duration(time),
            plural(commits, "commit", "commits"),
            plural(entities, "entity", "entities"),
            plural(blobs, "blob or chunk", "blobs and chunks"),
            plural(records, "record", "records"),
        )
    };
    written.and_then(|()| stdout.flush()).context("cannot write to standard output")?;
    if damage.is_empty() {
        return Ok(());
    }
    let places = damage.len();
    let message = format!(
        "{} damaged",
        if places == 1 {
            "1 place is".to_owned()
        } else {
            format!("{} places are", thousands(places as u64))
        }
    );
    Err(Failure::integrity(message)
        .hint(
            "what is not listed can be read; `statlas repair --to DIR` saves the entities, files and records of it \
             into a fresh store",
        )
        .into())
}
