//! The commands, one per module.

use anyhow::Result;

use crate::args::Command;
use crate::failure::Failure;
use crate::interrupt;
use crate::session::Session;

pub(crate) mod address;
pub(crate) mod backup;
pub(crate) mod breakdown;
pub(crate) mod check;
pub(crate) mod compact;
pub(crate) mod compare;
pub(crate) mod completions;
pub(crate) mod export;
pub(crate) mod faults;
pub(crate) mod find;
pub(crate) mod free_blobs;
pub(crate) mod generate;
pub(crate) mod get;
pub(crate) mod history;
pub(crate) mod import;
pub(crate) mod load;
pub(crate) mod near;
pub(crate) mod neighbours;
pub(crate) mod plan;
pub(crate) mod put;
pub(crate) mod quickstart;
pub(crate) mod remove;
pub(crate) mod repair;
pub(crate) mod report;
pub(crate) mod restore;
pub(crate) mod restore_files;
pub(crate) mod scrub;
pub(crate) mod stats;
pub(crate) mod stress;
pub(crate) mod token;
pub(crate) mod verify_history;
pub(crate) mod watch;
pub(crate) mod workload;

/// Runs a command.
pub(crate) fn run(command: Command, session: &Session) -> Result<()> {
    match command {
        Command::Quickstart(arguments) => quickstart::run(&arguments, session),
        Command::Address(arguments) => address::run(&arguments, session),
        Command::Token(arguments) => token::run(&arguments, session),
        Command::Generate(arguments) => generate::run(&arguments, session),
        Command::Load(arguments) => load::run(&arguments, session),
        Command::Put(arguments) => put::run(&arguments, session),
        Command::Get(arguments) => get::run(&arguments, session),
        Command::Find(arguments) => find::run(arguments, session),
        Command::Near(arguments) => near::run(&arguments, session),
        Command::History(arguments) => history::run(&arguments, session),
        Command::Neighbours(arguments) => neighbours::run(&arguments, session),
        Command::Remove(arguments) => remove::run(&arguments, session),
        Command::Import(arguments) => import::run(&arguments, session),
        Command::RestoreFiles(arguments) => restore_files::run(&arguments, session),
        Command::Export(arguments) => export::run(&arguments, session),
        Command::Watch(arguments) => watch::run(&arguments, session),
        Command::Stats => stats::run(session),
        Command::Stress(arguments) => stress::run(&arguments, session),
        Command::Check(arguments) => {
            end_at_once("what was read until now is not known to be sound", session)?;
            check::run(&arguments, session)
        }
        Command::Scrub(arguments) => scrub::run(&arguments, session),
        Command::FreeBlobs(arguments) => free_blobs::run(&arguments, session),
        Command::Compact(arguments) => compact::run(&arguments, session),
        Command::Repair(arguments) => repair::run(&arguments, session),
        Command::VerifyHistory(arguments) => {
            end_at_once("nothing is proved", session)?;
            verify_history::run(&arguments, session)
        }
        Command::Backup(arguments) => backup::run(&arguments, session),
        Command::Restore(arguments) => restore::run(&arguments, session),
        Command::Workload(arguments) => workload::run(&arguments, session),
        Command::Plan(arguments) => plan::run(&arguments, session),
        Command::Breakdown(arguments) => breakdown::run(&arguments, session),
        Command::Faults(arguments) => faults::run(&arguments, session),
        Command::Compare(arguments) => compare::run(&arguments, session),
        Command::Report(arguments) => report::run(&arguments, session),
        Command::Completions(arguments) => completions::run(&arguments, session),
    }
}

/// Lets Ctrl-C end a command that leaves nothing behind, with this message.
fn end_at_once(left: &str, session: &Session) -> Result<()> {
    interrupt::end_at_once(session.output().error_line(&Failure::interrupted(left).into()))
}
