//! What one child process does: one engine, one piece of work, and figures on its standard output.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::data::{Data, Source, Stride};
use crate::engine::{Engine, Name, Settings};
use crate::process;

mod load;
mod lookup;
mod mixed;
mod open;
mod scan;
mod scarce;
mod single;
mod threads;
mod verify;

/// Everything that a child needs to know.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Task {
    pub(crate) engine: Name,
    pub(crate) directory: PathBuf,
    pub(crate) source: Source,
    pub(crate) settings: Settings,
    pub(crate) limit: Limit,
    pub(crate) work: Work,
}

/// How much memory the child may use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Limit {
    None,
    /// What the control group with this file of processes may.
    Group(PathBuf),
    /// So much of private memory; mapped files and the page cache are not limited.
    Data(u64),
}

/// What is to be done.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Work {
    /// Store the first rows in a new store.
    Load { rows: u64, batch: usize },
    /// Read each `every`-th of these rows and compare it in full; look for keys that are not there.
    Verify { stored: Vec<Stride>, every: u64, absent: u64 },
    /// Store single rows for some time.
    Single { threads: u64, seconds: f64 },
    /// Look up each of the rows once, or as many keys that are not there.
    Lookup { rows: u64, absent: bool, threads: Vec<u64> },
    /// Get and put.
    Mixed { rows: u64, threads: u64, operations: u64 },
    /// Read everything.
    Scan { rows: u64 },
    /// Open and get one row.
    Open { row: u64 },
    /// Store rows and die without closing.
    Crash { first: u64, batches: u64, batch: u64 },
    /// Load and get with little memory.
    Scarce(Scarce),
}

/// How much is done with little memory.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Scarce {
    pub(crate) rows: u64,
    pub(crate) batch: u64,
    pub(crate) gets: u64,
    /// The load is broken off after this time.
    pub(crate) load_seconds_max: f64,
}

impl Task {
    /// Does the work.
    ///
    /// # Errors
    ///
    /// Those of the engine; that what it returned is wrong.
    pub(crate) fn perform(self) -> Result<()> {
        match &self.limit {
            Limit::None => {}
            Limit::Group(processes) => fs::write(processes, "0").context("entering the control group")?,
            Limit::Data(bytes) => process::limit_data(*bytes)?,
        }
        match &self.work {
            Work::Load { rows, batch } => load::perform(&self, *rows, *batch),
            Work::Verify { stored, every, absent } => verify::perform(&self, stored, *every, *absent),
            Work::Single { threads, seconds } => single::perform(&self, *threads, *seconds),
            Work::Lookup { rows, absent, threads } => lookup::perform(&self, *rows, *absent, threads),
            Work::Mixed { rows, threads, operations } => mixed::perform(&self, *rows, *threads, *operations),
            Work::Scan { rows } => scan::perform(&self, *rows),
            Work::Open { row } => open::perform(&self, *row),
            Work::Crash { first, batches, batch } => open::crash(&self, *first, *batches, *batch),
            Work::Scarce(scarce) => scarce::perform(&self, scarce),
        }?;
        tell_peak()
    }

    fn open(&self) -> Result<Box<dyn Engine>> {
        self.engine.open(&self.directory, &self.settings)
    }

    fn data(&self) -> Data {
        Data::new(self.source)
    }
}

/// Reports a figure to the process that started this one. Later ones of the same name replace it.
fn tell(figure: &str, value: f64) {
    println!("{}", json!({"figure": figure, "value": value}));
}

fn tell_peak() -> Result<()> {
    tell("peak_bytes", process::peak_bytes()? as f64);
    Ok(())
}
