//! `statlas`: addresses, stores and finds entities and files.
//!
//! The program parses its arguments, runs one command and turns what came of it into an exit code. It
//! keeps no rules of its own about entities and stores: those are in the crates beneath it.

#![forbid(unsafe_code)]

mod allocator;
mod allowance;
mod args;
mod blocks;
mod commands;
mod entity_table;
mod exit;
mod failure;
mod file_id;
mod input;
mod interrupt;
mod interval;
mod laboratory;
mod output;
mod pipeline;
mod progress;
mod session;
mod settings;
mod table;
mod time_span;
mod token_argument;

use std::process::ExitCode;

use session::Session;

fn main() -> ExitCode {
    let cli = match args::parse() {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    let session = Session::new(cli.global);
    allocator::be_thrifty_if_short(&session.options());
    let done = interrupt::survive_large_files().and_then(|()| commands::run(cli.command, &session));
    match done {
        Ok(()) => ExitCode::from(exit::DONE),
        Err(error) => ExitCode::from(session.output().report(&error)),
    }
}
