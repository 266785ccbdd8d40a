//! Runs Statlas beside other embedded engines on the same data and prints a table that a sceptic accepts.
//!
//! The program starts itself again for every piece of work ([`task`]), lets the engines take turns
//! ([`campaign`]) and reports medians with their spread ([`report`]). It leaves out how an engine is set up
//! and why: that is in `README.md`.

mod arguments;
mod campaign;
mod child;
mod data;
mod engine;
mod environment;
mod group;
mod process;
mod report;
mod sample;
mod section;
mod sizes;
mod spread;
mod syncs;
mod task;

use std::fs;

use anyhow::{Context, Result};
use clap::Parser;

use crate::arguments::{Arguments, Child};
use crate::campaign::Campaign;
use crate::environment::Environment;
use crate::report::Report;
use crate::task::Task;

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if let Some(Child::Child { task }) = &arguments.child {
        return serde_json::from_str::<Task>(task)?.perform();
    }
    let campaign = Campaign::new(&arguments)?;
    let environment = Environment::observe(campaign.directory());
    eprint!("{environment}");
    let (samples, end) = campaign.run();
    let report = Report::new(&arguments, environment, samples);
    print!("{}", report.tables());
    if let Some(file) = &arguments.json {
        let text = serde_json::to_string_pretty(&report.to_json())?;
        fs::write(file, text + "\n").with_context(|| file.display().to_string())?;
    }
    if let Some(file) = &arguments.markdown {
        fs::write(file, report.to_markdown()).with_context(|| file.display().to_string())?;
    }
    end?;
    report.result()
}
