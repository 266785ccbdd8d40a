//! What CI runs, step by step. It stops at the first step that fails.

use std::time::Instant;

use anyhow::Result;

use crate::command::{cargo, ensure_component, run as run_command};
use crate::{bench, deny, fuzz, interleavings, python, tidy};

/// A name and what it runs.
type Step = (&'static str, fn() -> Result<()>);

const STEPS: [Step; 9] = [
    ("fmt", check_format),
    ("tidy", tidy::run),
    ("clippy", clippy),
    ("test", test),
    ("docs", docs),
    ("fuzz", fuzz::short),
    ("interleavings", interleavings::short),
    ("bench", bench::smoke),
    ("deny", deny::run),
];

/// Runs all steps and says how long each took.
pub(crate) fn run() -> Result<()> {
    let started = Instant::now();
    ensure_component("fmt", "rustfmt")?;
    ensure_component("clippy", "clippy")?;
    let mut durations = Vec::new();
    for (at, (name, step)) in STEPS.iter().enumerate() {
        println!("\nci: step {} of {}: {name}", at + 1, STEPS.len());
        let step_started = Instant::now();
        let done = step();
        let seconds = step_started.elapsed().as_secs_f64();
        durations.push(format!("{name} {seconds:.1} s"));
        done.map_err(|error| error.context(format!("ci failed at step {name} after {seconds:.1} s")))?;
        println!("ci: step {name} passed in {seconds:.1} s");
    }
    println!("\nci: {}", durations.join(", "));
    println!("ci: all {} steps passed in {:.1} s", STEPS.len(), started.elapsed().as_secs_f64());
    Ok(())
}

/// Formats all code.
pub(crate) fn format() -> Result<()> {
    ensure_component("fmt", "rustfmt")?;
    run_command(&mut cargo(["fmt", "--all"]))
}

/// All tests, unit tests, integration tests and doctests, and then those of the Python package.
pub(crate) fn test() -> Result<()> {
    run_command(&mut cargo(["test", "--workspace", "--all-features"]))?;
    python::test()
}

fn check_format() -> Result<()> {
    run_command(&mut cargo(["fmt", "--all", "--", "--check"]))
}

fn clippy() -> Result<()> {
    run_command(&mut cargo([
        "clippy",
        "--workspace",
        "--all-targets",
        "--all-features",
        "--",
        "-D",
        "warnings",
    ]))
}

fn docs() -> Result<()> {
    let mut command = cargo(["doc", "--workspace", "--all-features", "--no-deps"]);
    run_command(command.env("RUSTDOCFLAGS", "-D warnings"))
}
