//! The fault campaigns of the store. They live with what they try, in `crates/store`.

use anyhow::Result;

use crate::command::{cargo, run as run_command};

/// Runs the campaigns with assertions on: the short ones with the build of the tests, the long ones with one that takes
/// longer to make.
pub(crate) fn run(options: &[&str]) -> Result<()> {
    let profile = if options.contains(&"--full") { "campaign" } else { "dev" };
    let mut command = cargo(["run", "--quiet", "--profile", profile]);
    command.args(["--package", "statlas-store", "--features", "testing"]);
    command.args(["--example", "faults", "--"]).args(options);
    run_command(&mut command)
}
