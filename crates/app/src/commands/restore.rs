//! `restore`: a store out of a backup.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Result;
use clap::Args;
use statlas_store::{BackupOptions, ErrorKind, Location, restore};

use super::backup::{places, print_report, stopped};
use crate::failure::{Failure, Hint};
use crate::interrupt::Interrupt;
use crate::progress::Unit;
use crate::session::Session;

const EXAMPLES: &str = "\
Examples:
  statlas --store new.store restore /mnt/backup/statlas
  statlas --store new.store check";

/// Make a store of a backup
///
/// Makes the store that --store names, which must not be there yet, out of a backup: the same store, at the
/// revision and with the hash chain of the backup.
///
/// Everything is verified before the store appears: every file, every checksum, every address, the hash chain.
/// If anything is not what was written nothing is restored, and the command ends with code 4; `statlas repair
/// --from` saves what is whole of such a backup. A store that was
/// damaged before it was backed up is restored with its damage, which is listed, unless --strict; then, too,
/// the command ends with code 4.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Where the backup is
    dir: PathBuf,
    /// Do not restore a store that was damaged when it was backed up
    #[arg(long)]
    strict: bool,
}

/// What helps if a backup is not what was written.
fn salvage_hint(backup: &Path) -> String {
    format!(
        "nothing was restored; `statlas repair --from {} --to DIR` saves what is whole of the backup into a fresh store",
        backup.display()
    )
}

pub(crate) fn run(arguments: &Arguments, session: &Session) -> Result<()> {
    let Location::Disk(to) = session.location() else {
        let failure = Failure::usage("a backup is restored into a directory, and --store names none");
        return Err(failure.hint("name a directory that is not there yet with --store").into());
    };
    let (interrupt, begun) = (Interrupt::install()?, Instant::now());
    let bar = session.output().progress("restoring", Some(0), Unit::Bytes);
    let goes_on = || !interrupt.is_set();
    let options = BackupOptions { strict: arguments.strict, goes_on: &goes_on };
    let done = restore(&arguments.dir, to, &options, &mut |done, total| {
        bar.set_length(total);
        bar.set_position(done);
    });
    bar.finish_and_clear();
    let report = done.map_err(|error| {
        let is_damaged = error.kind() == ErrorKind::Corrupt;
        let error = stopped(error, &interrupt, "nothing was restored");
        if is_damaged { error.context(Hint(salvage_hint(&arguments.dir))) } else { error }
    })?;
    print_report(&report, "restored", begun, session)?;
    if report.damage.is_empty() {
        return Ok(());
    }
    let message = format!("the store was damaged when it was backed up: {}", places(&report.damage));
    Err(Failure::integrity(message).hint("run `statlas check` on it").into())
}
