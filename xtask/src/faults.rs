//! The fault campaigns of the store. They live with what they try, in `crates/store`.

use anyhow::Result;

use crate::command::{cargo, run as run_command};

/// Runs the campaigns with the build of the tests, so that assertions are on.
pub(crate) fn run(options: &[&str]) -> Result<()> {
    let mut command = cargo(["run", "--quiet", "--package", "statlas-store", "--features", "testing"]);
    command.args(["--example", "faults", "--"]).args(options);
    run_command(&mut command)
}
