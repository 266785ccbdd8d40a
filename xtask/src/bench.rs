//! The benchmarks of the targets. They live with the program that they measure, in `crates/app/benches`.

use std::path::{PathBuf, absolute};

use anyhow::Result;

use crate::command::{cargo, run as run_command};

/// Measures in release mode.
pub(crate) fn run(options: &[&str]) -> Result<()> {
    let mut command = cargo(["bench", "--package", "statlas", "--bench", "targets", "--"]);
    // Cargo runs benchmarks in the directory of their package.
    run_command(command.args(with_absolute_paths(options)?))
}

/// The options of a benchmark that runs in another directory than the one from which the user's paths start.
pub(crate) fn with_absolute_paths(options: &[&str]) -> Result<Vec<PathBuf>> {
    let mut names_path = false;
    let mut word = |option: &&str| {
        let word = if names_path { absolute(option)? } else { option.into() };
        names_path = matches!(*option, "--json" | "--dir");
        Ok(word)
    };
    options.iter().map(&mut word).collect()
}

/// Runs every benchmark in a small size with the build of the tests, so that none of them rots.
pub(crate) fn smoke() -> Result<()> {
    run_command(&mut cargo(["test", "--workspace", "--all-features", "--bench", "targets", "--", "--smoke"]))
}
