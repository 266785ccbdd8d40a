//! Everything that a run found, for people and for programs.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use serde_json::{Map, Value, json};

use crate::arguments::Arguments;
use crate::environment::Environment;
use crate::sample::{Ending, Sample};
use crate::section::Section;
use crate::spread::figure;

mod markdown;
mod notes;
mod table;
mod tables;
mod target;

use table::Table;
use target::Target;

/// The samples, and what a reader needs to judge them.
pub(crate) struct Report {
    environment: Environment,
    parameters: Value,
    settings: Vec<(&'static str, &'static str)>,
    samples: Vec<Sample>,
    tables: Vec<Table>,
    targets: Vec<Target>,
    supports_verdicts: bool,
}

impl Report {
    pub(crate) fn new(arguments: &Arguments, mut environment: Environment, samples: Vec<Sample>) -> Self {
        environment.finish();
        let engines = arguments.engines();
        let parameters = json!({
            "seed": arguments.seed,
            "engines": engines,
            "sections": arguments.sections(),
            "values": arguments.values(),
            "main_value": arguments.main_value(),
            "sizes": arguments.sizes(),
        });
        Self {
            environment,
            parameters,
            settings: engines.iter().map(|engine| (engine.as_str(), engine.settings())).collect(),
            tables: tables::all(&engines, &samples),
            targets: target::all(&samples, arguments.main_value()),
            samples,
            supports_verdicts: arguments.is_full() && !cfg!(debug_assertions),
        }
    }

    /// All tables, as text that is read as it is and as Markdown alike.
    pub(crate) fn tables(&self) -> String {
        let mut text = String::new();
        for table in &self.tables {
            text.push_str(&format!("\n## {table}"));
        }
        text + "\n## Targets\n\n" + &target::table(&self.targets, self.supports_verdicts)
    }

    /// The file for people.
    pub(crate) fn to_markdown(&self) -> String {
        markdown::page(self)
    }

    /// The file for programs: every run, and nothing rounded.
    pub(crate) fn to_json(&self) -> Value {
        let settings: Map<String, Value> =
            self.settings.iter().map(|(engine, text)| ((*engine).to_owned(), json!(text))).collect();
        let targets = self.targets.iter().map(|target| target.to_json(self.supports_verdicts));
        json!({
            "environment": self.environment.to_json(),
            "parameters": self.parameters,
            "settings": settings,
            "targets": targets.collect::<Vec<_>>(),
            "samples": self.samples,
        })
    }

    /// What the program ends with.
    ///
    /// # Errors
    ///
    /// If an engine failed: its data may be wrong, or this program.
    pub(crate) fn result(&self) -> Result<()> {
        let failed = self.samples.iter().filter(|sample| matches!(sample.ending, Ending::Failed(_))).count();
        ensure!(failed == 0, "{failed} of {} samples FAILED", self.samples.len());
        Ok(())
    }
}

/// The figure of a sample that says most, for the line that tells of progress.
pub(crate) fn headline(section: Section, figures: &BTreeMap<String, f64>) -> String {
    let names: &[(&str, &str)] = match section {
        Section::Load => &[("rows_per_second", "rows/s")],
        Section::Single => &[("inserts_per_second", "inserts/s")],
        Section::Get | Section::Absent => &[("cpu_ns_1", "ns")],
        Section::Mixed => &[("operations_per_second", "operations/s")],
        Section::Scan => &[("rows_per_second", "rows/s"), ("checked_rows_per_second", "rows/s checked")],
        Section::Reopen => &[("open_ms", "ms")],
        Section::Memory => &[("rows_per_second", "rows/s"), ("gets_per_second", "gets/s")],
    };
    let told =
        names.iter().filter_map(|(name, unit)| Some(format!("{} {unit}", figure(*figures.get(*name)?))));
    told.collect::<Vec<_>>().join(", ")
}
