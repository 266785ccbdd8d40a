//! Starts this program again for one task, and collects what it reports.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::process;
use crate::task::Task;

/// What a child reported and how it ended.
pub(crate) struct Report {
    pub(crate) figures: BTreeMap<String, f64>,
    pub(crate) exit: Exit,
}

/// How a child ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    Done,
    /// By the signal that nothing survives.
    Killed,
    Failed(String),
}

#[derive(Deserialize)]
struct Line {
    figure: String,
    value: f64,
}

/// Runs a task in a process of its own, after everything that waits to be written has been written.
///
/// # Errors
///
/// If it can't be started, or reports what nobody understands.
pub(crate) fn run(task: &Task) -> Result<Report> {
    process::settle();
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("child").arg(serde_json::to_string(task)?).stdin(Stdio::null());
    // What failed is told in a line of a table.
    command.env("RUST_BACKTRACE", "0");
    let output = command.output().context("starting a child")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let mut figures = BTreeMap::new();
    // A killed child may leave half a line behind.
    for line in text.split_inclusive('\n').filter(|line| line.ends_with('\n')) {
        let Line { figure, value } = serde_json::from_str(line).with_context(|| line.to_owned())?;
        figures.insert(figure, value);
    }
    Ok(Report { figures, exit: exit(&output) })
}

fn exit(output: &Output) -> Exit {
    if output.status.success() {
        return Exit::Done;
    }
    if output.status.signal() == Some(libc::SIGKILL) {
        return Exit::Killed;
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    Exit::Failed(format!("{}: {}", output.status, errors.trim()))
}
