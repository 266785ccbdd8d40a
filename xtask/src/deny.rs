//! Licences and sources of the dependencies, where cargo-deny is installed.

use anyhow::Result;

use crate::command::{cargo, is_installed, run as run_command};

/// Runs the checks of `deny.toml` that need no database from elsewhere, or says that it does not.
pub(crate) fn run() -> Result<()> {
    if !is_installed("deny") {
        println!(
            "cargo-deny is not installed, so licences are NOT checked; `cargo install cargo-deny` brings it"
        );
        return Ok(());
    }
    println!("cargo-deny is installed: checking licences, bans and sources");
    run_command(&mut cargo(["deny", "check", "licenses", "bans", "sources"]))
}
