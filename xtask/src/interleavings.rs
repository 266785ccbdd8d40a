//! The store's code under many schedules of its threads: a workspace of its own in `crates/store/tests`.

use anyhow::{Context, Result, bail};

use crate::command::{cargo, run as run_command};

const MANIFEST: &str = "crates/store/tests/interleavings/Cargo.toml";

/// Runs the tests, with so many schedules each as is said.
pub(crate) fn run(options: &[&str]) -> Result<()> {
    let mut command = cargo(["test", "--quiet", "--manifest-path", MANIFEST]);
    command.args(["--target-dir", "target/interleavings"]);
    let mut options = options.iter();
    while let Some(option) = options.next() {
        let variable = match *option {
            "--schedules" => "STATLAS_SCHEDULES",
            "--seed" => "STATLAS_SEED",
            option => bail!("interleavings: found {option:?}; allowed: --schedules N, --seed N"),
        };
        let value: u64 =
            options.next().and_then(|value| value.parse().ok()).context("a number is missing")?;
        command.env(variable, value.to_string());
    }
    run_command(&mut command)
}

/// What CI does.
pub(crate) fn short() -> Result<()> {
    run_command(&mut cargo(["fmt", "--all", "--manifest-path", MANIFEST, "--", "--check"]))?;
    run(&[])
}
