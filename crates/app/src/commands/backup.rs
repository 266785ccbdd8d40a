//! `backup`: a copy of the store in another directory, made beside whatever else goes on.

use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result};
use clap::Args;
use serde_json::json;
use statlas_store::{BackupOptions, BackupReport, RestoreReport, verify_backup};

use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::output::{bytes, duration, plural, printable, thousands};
use crate::progress::Unit;
use crate::session::{Session, expect_undamaged};

const EXAMPLES: &str = "\
Examples:
  statlas backup /mnt/backup/statlas           (again tomorrow: only what is new is copied)
  statlas backup /mnt/backup/statlas --verify  (reads the backup; the store is not needed)
  statlas --store new.store restore /mnt/backup/statlas";

/// Copy the store into a directory, or bring the copy there up to date
///
/// Copies the store as it is now into a directory that is new, empty or an earlier backup of it; of that one
/// only what is new is copied. While the copy is made the earlier backup stays, and whatever interrupts it
/// leaves that one whole.
///
/// What is copied is verified. A damaged store is copied with its damage, unless --strict; each damaged place
/// is listed, and the command ends with code 4. `statlas restore` makes a store of the backup.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Where the backup is or will be; made if it is not there
    dir: PathBuf,
    /// Make no backup: read and verify all of the one that is there
    #[arg(long)]
    verify: bool,
    /// Make no backup of a store that is damaged
    #[arg(long, conflicts_with = "verify")]
    strict: bool,
}

pub(crate) fn run(arguments: &Arguments, session: &Session) -> Result<()> {
    if arguments.verify { verify(arguments, session) } else { make(arguments, session) }
}

fn make(arguments: &Arguments, session: &Session) -> Result<()> {
    let store = session.open()?;
    let (interrupt, begun) = (Interrupt::install()?, Instant::now());
    let bar = session.output().progress("backing up", Some(0), Unit::Bytes);
    let goes_on = || !interrupt.is_set();
    let options = BackupOptions { strict: arguments.strict, goes_on: &goes_on };
    let done = store.engine().backup(&arguments.dir, &options, &mut |done, total| {
        bar.set_length(total);
        bar.set_position(done);
    });
    bar.finish_and_clear();
    let report =
        done.map_err(|error| stopped(error, &interrupt, "the backup before, if there is one, is whole"))?;
    let BackupReport { revision, chain_head, files, files_copied, bytes: all, bytes_copied, damage } = report;
    let time = begun.elapsed();
    let mut stdout = session.output().stdout();
    let written = if session.output().json() {
        let answer = json!({
            "sound": damage.is_empty(), "revision": revision, "chain_head": chain_head, "files": files,
            "files_copied": files_copied, "bytes": all, "bytes_copied": bytes_copied, "damage": damage,
            "seconds": time.as_secs_f64(),
        });
        writeln!(stdout, "{answer}")
    } else {
        writeln!(
            stdout,
            "{}backed up revision {} in {}: {} of {} copied, {} of {}; the hash chain ends in {chain_head}",
            listed(&damage),
            thousands(revision),
            duration(time),
            thousands(files_copied),
            plural(files, "file", "files"),
            bytes(bytes_copied),
            bytes(all),
        )
    };
    written.and_then(|()| stdout.flush()).context("cannot write to standard output")?;
    if !damage.is_empty() {
        let message = format!("the store is damaged, and so is the backup: {}", places(&damage));
        return Err(Failure::integrity(message).hint("run `statlas check`").into());
    }
    expect_undamaged(&store, "the backup")
}

fn verify(arguments: &Arguments, session: &Session) -> Result<()> {
    let (interrupt, begun) = (Interrupt::install()?, Instant::now());
    let bar = session.output().progress("verifying", Some(0), Unit::Bytes);
    let goes_on = || !interrupt.is_set();
    let options = BackupOptions { goes_on: &goes_on, ..BackupOptions::default() };
    let done = verify_backup(&arguments.dir, &options, &mut |done, total| {
        bar.set_length(total);
        bar.set_position(done);
    });
    bar.finish_and_clear();
    let report = done.map_err(|error| stopped(error, &interrupt, "nothing is known about the backup"))?;
    print_report(&report, "verified", begun, session)?;
    if report.damage.is_empty() {
        return Ok(());
    }
    let message = format!("the backup is damaged: {}", places(&report.damage));
    let hint = "if the store is sound, make a backup of it in another directory";
    Err(Failure::integrity(message).hint(hint).into())
}

/// Says what was read and what is wrong with it.
pub(super) fn print_report(
    report: &RestoreReport,
    done: &str,
    begun: Instant,
    session: &Session,
) -> Result<()> {
    let RestoreReport { revision, chain_head, files, bytes: read, commits, entities, blobs, records, damage } =
        report;
    let time = begun.elapsed();
    let mut stdout = session.output().stdout();
    let written = if session.output().json() {
        let answer = json!({
            "sound": damage.is_empty(), "revision": revision, "chain_head": chain_head, "files": files,
            "bytes": read, "commits": commits, "entities": entities, "blobs": blobs, "records": records,
            "damage": damage, "seconds": time.as_secs_f64(),
        });
        writeln!(stdout, "{answer}")
    } else {
        writeln!(
            stdout,
            "{}{}{done} revision {} in {}: {} in {}; {}, {}, {} and {}; the hash chain ends in {chain_head}",
            listed(damage),
            if damage.is_empty() { "sound: " } else { "" },
            thousands(*revision),
            duration(time),
            bytes(*read),
            plural(*files, "file", "files"),
            plural(*commits, "commit", "commits"),
            plural(*entities, "entity", "entities"),
            plural(*blobs, "blob or chunk", "blobs and chunks"),
            plural(*records, "record", "records"),
        )
    };
    written.and_then(|()| stdout.flush()).context("cannot write to standard output")
}

/// A line for each damaged place.
fn listed(damage: &[String]) -> String {
    damage.iter().map(|place| format!("{}\n", printable(place))).collect()
}

/// How many places are damaged, in words.
pub(super) fn places(damage: &[String]) -> String {
    plural(damage.len() as u64, "damaged place", "damaged places")
}

/// The error of work that may have been stopped by Ctrl-C, and what is left of it then.
pub(super) fn stopped(error: statlas_store::Error, interrupt: &Interrupt, left: &str) -> anyhow::Error {
    let source = std::error::Error::source(&error).and_then(|source| source.downcast_ref::<io::Error>());
    if interrupt.is_set() && source.is_some_and(|source| source.kind() == io::ErrorKind::Interrupted) {
        return Failure::interrupted(left).into();
    }
    error.into()
}
