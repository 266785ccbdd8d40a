//! What a quickstart did, as a table.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::io::Write;

use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::output::{duration, per_second, thousands};
use crate::session::Session;
use crate::table::{Align, Table};

/// One line of the table.
#[derive(Debug)]
pub(super) struct Step {
    /// What was tried.
    pub(super) name: &'static str,
    /// What came of it, for people.
    pub(super) done: String,
    /// How many things the time was spent on.
    pub(super) count: u64,
    /// What is counted.
    pub(super) unit: &'static str,
    pub(super) time: Duration,
    /// What did not come out as it should; empty if all did.
    pub(super) wrong: Vec<String>,
}

/// The steps so far, and what to try next.
#[derive(Debug, Default)]
pub(super) struct Report {
    steps: Vec<Step>,
    pub(super) next: Vec<(String, &'static str)>,
}

impl Report {
    /// Whether no step was made.
    pub(super) fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Adds a step.
    ///
    /// # Errors
    ///
    /// If something did not come out as it should, or Ctrl-C came.
    pub(super) fn add(&mut self, step: Step, interrupt: &Interrupt) -> Result<()> {
        let wrong = step.wrong.first().map(|first| {
            let message =
                format!("{}: {} wrong; the first: {first}", step.name, thousands(step.wrong.len() as u64));
            Failure::integrity(message)
        });
        self.steps.push(step);
        match wrong {
            Some(failure) => Err(failure.into()),
            None if interrupt.is_set() => {
                Err(Failure::interrupted("run the same command again for the steps that are missing").into())
            }
            None => Ok(()),
        }
    }

    /// Prints the table and what to try next.
    pub(super) fn print(&self, dir: &Path, session: &Session) -> Result<()> {
        let output = session.output();
        if output.json() {
            let steps: Vec<Value> = self.steps.iter().map(Step::to_json).collect();
            let next: Vec<&str> = self.next.iter().map(|(command, _)| &**command).collect();
            return output.print_json(&json!({
                "dir": dir.display().to_string(), "store": session.store_text(), "steps": steps, "next": next,
            }));
        }
        let mut table = Table::new(&[
            ("step", Align::Left),
            ("done", Align::Left),
            ("time", Align::Right),
            ("rate", Align::Right),
        ]);
        for step in &self.steps {
            let rate = match step.unit {
                "" => String::new(),
                unit => format!("{} {unit}/s", thousands(per_second(step.count, step.time))),
            };
            table.row(vec![step.name.to_owned(), step.done.clone(), duration(step.time), rate]);
        }
        let mut stdout = output.stdout();
        table.write(output, &mut stdout).context("cannot write to standard output")?;
        if !self.next.is_empty() {
            writeln!(stdout, "\n{}", output.strong("Try next:"))
                .context("cannot write to standard output")?;
            for (command, what) in &self.next {
                let what = output.faint(format!("# {what}"));
                writeln!(stdout, "  {what}\n  {command}").context("cannot write to standard output")?;
            }
        }
        stdout.flush().context("cannot write to standard output")
    }
}

impl Step {
    fn to_json(&self) -> Value {
        json!({
            "step": self.name, "done": self.done, "count": self.count, "seconds": self.time.as_secs_f64(),
            "wrong": self.wrong,
        })
    }
}
