//! The command line.

use std::ffi::{OsStr, OsString};
use std::process::ExitCode;

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use serde_json::json;
use statlas_core::Profile;
use statlas_store::{Durability, Location};

use crate::commands::{
    address, backup, breakdown, check, compact, compare, completions, export, faults, find, free_blobs,
    generate, get, history, import, load, near, neighbours, plan, put, quickstart, remove, repair, report,
    restore, restore_files, scrub, stress, token, verify_history, watch, workload,
};
use crate::exit;
use crate::output::Color;
use crate::settings::Settings;

const ABOUT: &str = "Addresses, stores and finds entities and files";

const LONG_ABOUT: &str = "\
Addresses, stores and finds entities and files.

An entity (a file, an image, a node of a mesh, a piece of knowledge) has a permanent address: the SHA-256 of \
its canonical form, which holds what it is and where it lies in a space of seven (stat7) or eight \
(fractalstat) dimensions. A store keeps entities and files under their addresses and finds them by address, by \
id, by coordinates and by similarity.";

const AFTER_HELP: &str = "\
Start here:
  statlas quickstart                     the whole thing on real files, in one command
  statlas import DIR                     take the files of a directory
  statlas find --realm data --limit 5    ask for a place in the space
  statlas help COMMAND                   what a command does, with examples";

/// All arguments.
#[derive(Debug, Parser)]
#[command(
    name = "statlas", version, about = ABOUT, long_about = LONG_ABOUT, after_help = AFTER_HELP,
    after_long_help = const_format_help(), max_term_width = 100
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

fn const_format_help() -> String {
    format!("{AFTER_HELP}\n\n{}", exit::HELP)
}

/// Arguments that every command has.
#[derive(Debug, Args)]
#[command(next_help_heading = "Everywhere")]
pub(crate) struct Global {
    /// The store: a directory, `disk:DIR`, or `memory:` for one that is gone afterwards
    #[arg(
        long,
        global = true,
        env = "STATLAS_STORE",
        default_value = "./statlas.store",
        value_name = "PATH_OR_URL",
        value_parser = OsStringValueParser::new().try_map(store_argument)
    )]
    pub(crate) store: StoreArgument,
    #[command(flatten)]
    pub(crate) settings: Settings,
    /// Answer with JSON, one value per line; errors too, on standard error
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Colour the output
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: Color,
}

/// A store's location and how the user wrote it.
#[derive(Debug, Clone)]
pub(crate) struct StoreArgument {
    /// For messages; what is not UTF-8 is replaced.
    pub(crate) text: String,
    pub(crate) location: Location,
}

/// Reads a store's location; a path need not be UTF-8.
fn store_argument(text: OsString) -> Result<StoreArgument, statlas_store::Error> {
    let location = Location::try_from(text.as_os_str())?;
    Ok(StoreArgument { text: text.to_string_lossy().into_owned(), location })
}

/// What to do. Each command's own arguments say what it does.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Quickstart(quickstart::Arguments),
    Address(address::Arguments),
    /// Turn tokens into 64 bytes of hex and back
    #[command(subcommand)]
    Token(token::Arguments),
    Generate(generate::Arguments),
    Load(load::Arguments),
    Put(put::Arguments),
    Get(get::Arguments),
    Find(find::Arguments),
    Near(near::Arguments),
    History(history::Arguments),
    Neighbours(neighbours::Arguments),
    #[command(name = "rm")]
    Remove(remove::Arguments),
    Import(import::Arguments),
    RestoreFiles(restore_files::Arguments),
    Export(export::Arguments),
    Watch(watch::Arguments),
    /// Print the figures of the store
    Stats,
    Check(check::Arguments),
    Scrub(scrub::Arguments),
    FreeBlobs(free_blobs::Arguments),
    Compact(compact::Arguments),
    Repair(repair::Arguments),
    VerifyHistory(verify_history::Arguments),
    Backup(backup::Arguments),
    Restore(restore::Arguments),
    Stress(stress::Arguments),
    Workload(workload::Arguments),
    Plan(plan::Arguments),
    Breakdown(breakdown::Arguments),
    Faults(faults::Arguments),
    Compare(compare::Arguments),
    Report(report::Arguments),
    Completions(completions::Arguments),
}

/// The choice of one profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProfileArgument {
    /// Seven dimensions
    Stat7,
    /// Eight dimensions
    #[value(name = "fractalstat")]
    FractalStat,
}

impl From<ProfileArgument> for Profile {
    fn from(profile: ProfileArgument) -> Self {
        match profile {
            ProfileArgument::Stat7 => Self::Stat7,
            ProfileArgument::FractalStat => Self::FractalStat,
        }
    }
}

/// When a batch counts as stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum DurabilityArgument {
    /// When the device has it: it survives a power cut
    Synced,
    /// When the operating system has it: it survives a killed process
    Written,
    /// When the process has it; all is synced at the end
    Buffered,
}

impl From<DurabilityArgument> for Durability {
    fn from(durability: DurabilityArgument) -> Self {
        match durability {
            DurabilityArgument::Synced => Self::Synced,
            DurabilityArgument::Written => Self::Written,
            DurabilityArgument::Buffered => Self::Buffered,
        }
    }
}

/// Reads the command line. Help, the version and what is wrong with the arguments are printed here; the
/// code is then what the program ends with.
pub(crate) fn parse() -> Result<Cli, ExitCode> {
    Cli::try_parse().map_err(|mut refused| {
        if let Some(variable) = variable_at_fault(&refused) {
            let tip = format!("the value comes from the environment variable {variable}").into();
            refused.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip]));
        }
        let is_answer = matches!(refused.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
        let wants_json = std::env::args_os().any(|argument| argument == OsStr::new("--json"));
        if wants_json && !is_answer {
            let message = refused.render().to_string();
            let message = message.split("\n\nFor more information").next().unwrap_or_default();
            let message = message.trim_start_matches("error: ");
            eprintln!("{}", json!({"error": {"kind": "usage", "message": message}}));
        } else {
            // A closed pipe is the only thing that can go wrong here, and nobody is left to hear of it.
            let _ = refused.print();
        }
        ExitCode::from(if is_answer { exit::DONE } else { exit::USAGE })
    })
}

/// The environment variable that a refused value came from.
fn variable_at_fault(refused: &clap::Error) -> Option<String> {
    let text = |kind| match refused.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    let (name, value) = (text(ContextKind::InvalidArg)?, text(ContextKind::InvalidValue)?);
    let (option, command) = (name.split(' ').next()?, Cli::command());
    let argument =
        command.get_arguments().find(|argument| argument.get_long() == option.strip_prefix("--"))?;
    let is_given = |argument: OsString| argument.to_string_lossy().starts_with(option);
    let variable = argument.get_env()?.to_str()?;
    let is_its = std::env::var(variable).is_ok_and(|set| set == value) && !std::env::args_os().any(is_given);
    is_its.then(|| variable.to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::Cli;

    #[test]
    fn the_definitions_are_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_teaches_with_examples() {
        for command in Cli::command().get_subcommands().filter(|command| command.get_name() != "stats") {
            let examples = |command: &clap::Command| {
                command.get_after_long_help().is_some_and(|help| help.to_string().contains("Examples:"))
            };
            let taught =
                examples(command) || (command.has_subcommands() && command.get_subcommands().all(examples));
            assert!(taught, "{} has no examples", command.get_name());
        }
    }
}
