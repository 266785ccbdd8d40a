//! What came of one piece of work.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::engine::Name;
use crate::section::Section;

/// One engine, one case of a section, one run.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Sample {
    pub(crate) section: Section,
    /// What of the section it is: sizes, threads.
    pub(crate) case: String,
    pub(crate) engine: Name,
    pub(crate) run: usize,
    pub(crate) ending: Ending,
    /// Everything that was measured, even if it did not end well.
    pub(crate) figures: BTreeMap<String, f64>,
}

/// How the work ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Ending {
    /// Done, and what was stored has been verified, if anything was.
    Done,
    /// Killed because it used more memory than it had.
    OutOfMemory,
    /// It failed, or what it stored or returned is wrong.
    Failed(String),
}

impl Sample {
    /// The figure, if the work was done.
    pub(crate) fn figure(&self, name: &str) -> Option<f64> {
        if self.ending == Ending::Done { self.figures.get(name).copied() } else { None }
    }
}
