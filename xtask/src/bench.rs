//! The benchmarks of the targets. They live with the program that they measure, in `crates/app/benches`.

use std::path::absolute;

use anyhow::Result;

use crate::command::{cargo, run as run_command};

/// Measures in release mode.
pub(crate) fn run(options: &[&str]) -> Result<()> {
    let mut command = cargo(["bench", "--package", "statlas", "--bench", "targets", "--"]);
    let mut names_path = false;
    for option in options {
        // Cargo runs benchmarks in the directory of their package; the user's paths start from another.
        if names_path {
            command.arg(absolute(option)?);
        } else {
            command.arg(option);
        }
        names_path = matches!(*option, "--json" | "--dir");
    }
    run_command(&mut command)
}

/// Runs every benchmark in a small size with the build of the tests, so that none of them rots.
pub(crate) fn smoke() -> Result<()> {
    run_command(&mut cargo(["test", "--workspace", "--all-features", "--bench", "targets", "--", "--smoke"]))
}
