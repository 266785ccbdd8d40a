//! `completions`: scripts that make shells complete commands and flags.

use anyhow::Result;
use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::args::Cli;
use crate::session::Session;

const EXAMPLES: &str = "\
Examples:
  statlas completions bash > ~/.local/share/bash-completion/completions/statlas
  statlas completions zsh > ~/.zfunc/_statlas
  statlas completions fish > ~/.config/fish/completions/statlas.fish";

/// Print a completion script for a shell
///
/// Put it where the shell looks for completions, and start a new shell.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Which shell
    shell: Shell,
}

pub(crate) fn run(arguments: &Arguments, session: &Session) -> Result<()> {
    // Into memory first: the generator panics when a pipe is closed.
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Cli::command(), "statlas", &mut script);
    session.output().print(String::from_utf8_lossy(&script).trim_end())
}
