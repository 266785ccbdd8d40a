//! What the laboratory's commands produce: one file with everything, from which every table and every plot is made.

mod html;
pub(crate) mod layout;
mod scale;
pub(crate) mod sentences;
mod svg;
pub(crate) mod table;
pub(crate) mod text;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::environment::Environment;
use crate::error::{Error, Result};
use crate::quantity::Unit;
use crate::run::Run;
use crate::threshold::{Bound, Verdict};

pub use html::html;
pub(crate) use sentences::kind_text;
pub use text::text;

/// The version of the file, which changes when a reader of older ones would misunderstand newer ones. `docs/LABORATORY.md`
/// describes it.
pub const SCHEMA: u32 = 1;

/// The result of a command of the laboratory.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Report {
    /// The version of the file.
    pub schema: u32,
    /// Which command made it.
    pub kind: Kind,
    /// What it is about, in a line.
    pub title: String,
    /// The command line that repeats it.
    pub command: String,
    /// What it was made with, by name.
    pub parameters: BTreeMap<String, String>,
    /// Where all randomness came from.
    pub seed: u64,
    /// When it began, in UTC.
    pub begun: String,
    /// How long it took.
    pub seconds: f64,
    /// Where it was made.
    pub environment: Environment,
    /// Figures, in the order in which they are shown.
    pub figures: Vec<Figure>,
    /// Runs of workloads.
    pub runs: Vec<Run>,
    /// What was seen over time or over something else, for plots.
    pub plots: Vec<Plot>,
    /// What a reader must know to judge the figures, in sentences.
    pub notes: Vec<String>,
}

/// Which command made a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// `workload`
    Workload,
    /// `stress`
    Stress,
    /// `pressure`
    Pressure,
    /// `plan`
    Plan,
    /// `breakdown`
    Breakdown,
    /// `faults`
    Faults,
}

/// One figure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// What it is called in every report that has it: lower case, with dots, such as `1.2.get.p50`. With the engine it
    /// stands once in a report.
    pub id: String,
    /// The heading that it stands below.
    pub section: String,
    /// What was measured, in words.
    pub name: String,
    /// The engine that it was measured on; `None` if it is about none.
    pub engine: Option<String>,
    /// What it counts.
    pub unit: Unit,
    /// What was measured: once, or in each round of several. Empty if it could not be measured; a note says why.
    pub samples: Vec<f64>,
    /// Which direction is better.
    pub better: Better,
    /// What was published of it before, word for word.
    pub published: Option<String>,
    /// What it must be.
    pub bound: Option<Bound>,
    /// How it was measured or computed, and its limits.
    pub definition: String,
}

/// Which direction of a figure is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Better {
    /// Less.
    Lower,
    /// More.
    Higher,
    /// Neither: it describes.
    Neither,
}

/// Lines over a common axis.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plot {
    /// What it shows.
    pub title: String,
    /// What the horizontal axis counts.
    pub x_name: String,
    /// Its unit.
    pub x_unit: Unit,
    /// What the vertical axis counts.
    pub y_name: String,
    /// Its unit.
    pub y_unit: Unit,
    /// Whether the vertical axis is logarithmic.
    pub is_logarithmic: bool,
    /// The lines.
    pub lines: Vec<Line>,
    /// Intervals of the horizontal axis that have a name, such as phases.
    pub spans: Vec<NamedSpan>,
}

/// A line of a plot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// What it is.
    pub name: String,
    /// Where it passes; a gap where there is no value.
    pub points: Vec<(f64, Option<f64>)>,
}

/// A part of a horizontal axis.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NamedSpan {
    /// What it is.
    pub name: String,
    /// Where it begins.
    pub from: f64,
    /// Where it ends.
    pub to: f64,
}

impl Figure {
    /// The figure: the median of what was measured; `None` if nothing was.
    #[must_use]
    pub fn value(&self) -> Option<f64> {
        median(&self.samples)
    }

    /// How far apart the rounds are: the largest by the smallest; `None` of one round.
    #[must_use]
    pub fn spread(&self) -> Option<f64> {
        let (smallest, largest) =
            (self.samples.iter().copied().reduce(f64::min)?, self.samples.iter().copied().reduce(f64::max)?);
        (self.samples.len() > 1 && smallest > 0.0).then(|| largest / smallest)
    }

    /// Whether it is within its bound; `None` without one.
    #[must_use]
    pub fn verdict(&self) -> Option<Verdict> {
        self.bound.map(|bound| bound.judge(self.value()))
    }
}

/// The median; `None` of nothing, or of what is no number.
pub(crate) fn median(samples: &[f64]) -> Option<f64> {
    let mut sorted = samples.to_vec();
    if sorted.iter().any(|sample| sample.is_nan()) {
        return None;
    }
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        length if length % 2 == 1 => Some(sorted[middle]),
        _ => Some(f64::midpoint(sorted[middle - 1], sorted[middle])),
    }
}

impl Report {
    /// Whether every figure is within its bound, and every run is as it must be.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let figures = self.figures.iter().filter_map(Figure::verdict);
        Verdict::all(figures.chain(self.runs.iter().map(Run::verdict)))
    }

    /// Reads a file that [`write`](Self::write) wrote.
    ///
    /// # Errors
    ///
    /// [`Error::Io`]; [`Error::Invalid`] if it is no result, or of a later version.
    pub fn read(path: &Path) -> Result<Self> {
        /// What every version of the file has.
        #[derive(Deserialize)]
        struct Version {
            schema: u32,
        }
        let place = path.display();
        let text = fs::read_to_string(path).map_err(|error| Error::io(format!("reading {place}"), error))?;
        let refused = |error: serde_json::Error| {
            Error::Invalid(format!("{place}: it is no result of the laboratory: {error}"))
        };
        let Version { schema } = serde_json::from_str(&text).map_err(refused)?;
        if schema != SCHEMA {
            let message =
                format!("{place}: found schema {schema}; allowed: {SCHEMA}, which this release writes");
            return Err(Error::Invalid(message));
        }
        serde_json::from_str(&text).map_err(refused)
    }

    /// Writes it as JSON, whole or not at all.
    ///
    /// # Errors
    ///
    /// [`Error::Io`].
    pub fn write(&self, path: &Path) -> Result<()> {
        let text =
            serde_json::to_string(self).map_err(|error| Error::io("writing a result", error.into()))?;
        write_whole(path, &(text + "\n"))
    }
}

/// Writes a file, whole or not at all.
pub(crate) fn write_whole(path: &Path, text: &str) -> Result<()> {
    let failed = |error| Error::io(format!("writing {}", path.display()), error);
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)?;
    // Others may read results: a temporary file is its owner's alone.
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let readable = fs::Permissions::from_mode(0o644);
        file.as_file().set_permissions(readable).map_err(failed)?;
    }
    file.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(samples: &[f64], bound: Option<Bound>) -> Figure {
        Figure {
            id: "1.2.get.p50".to_owned(),
            section: "Lookups".to_owned(),
            name: "lookup".to_owned(),
            engine: None,
            unit: Unit::Seconds,
            samples: samples.to_vec(),
            better: Better::Lower,
            published: None,
            bound,
            definition: String::new(),
        }
    }

    #[test]
    fn a_figure_is_the_median_of_its_rounds() {
        let three = figure(&[3.0, 1.0, 2.0], Some(Bound::AtMost(2.0)));
        assert_eq!(
            (three.value(), three.spread(), three.verdict()),
            (Some(2.0), Some(3.0), Some(Verdict::Pass))
        );
        assert_eq!(figure(&[1.0, 2.0], None).value(), Some(1.5));
        let none = figure(&[], Some(Bound::AtMost(2.0)));
        assert_eq!((none.value(), none.spread(), none.verdict()), (None, None, Some(Verdict::Fail)));
        assert_eq!(figure(&[1.0, f64::NAN], None).value(), None);
    }

    #[test]
    fn a_report_is_read_as_it_was_written_and_nothing_else_is() {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let path = folder.path().join("result.json");
        let report = Report {
            schema: SCHEMA,
            kind: Kind::Workload,
            title: "some".to_owned(),
            command: "statlas workload some".to_owned(),
            parameters: BTreeMap::new(),
            seed: u64::MAX,
            begun: String::new(),
            seconds: 1.5,
            environment: Environment::of(folder.path()),
            figures: vec![figure(&[1e-9, 0.1 + 0.2], Some(Bound::AtLeast(1e300)))],
            runs: Vec::new(),
            plots: Vec::new(),
            notes: vec!["a note".to_owned()],
        };
        report.write(&path).expect("it can be written");
        let read = Report::read(&path).expect("it can be read");
        assert_eq!(
            (read.figures, read.seed, read.environment),
            (report.figures, report.seed, report.environment)
        );
        for (text, complaint) in [
            ("", "no result"),
            ("{}", "no result"),
            ("{\"schema\": 2}", "found schema 2; allowed: 1"),
            ("{\"schema\": 1}", "no result"),
        ] {
            fs::write(&path, text).expect("it can be written");
            assert!(Report::read(&path).is_err_and(|error| error.to_string().contains(complaint)), "{text}");
        }
    }
}
