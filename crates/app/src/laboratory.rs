//! What the commands of the laboratory have in common: where results go, how they are shown, and what is shown meanwhile.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;
use serde_json::{Value, json};
use statlas_lab::{Environment, Figure, Progress, Report, Unit, Verdict, Watcher};

use crate::failure::{Failure, Hint};
use crate::interrupt::Interrupt;
use crate::output::{Output, plural};
use crate::session::Session;

/// Where results go.
#[derive(Debug, Args)]
pub(crate) struct Results {
    /// The directory for the results: a file with everything and a page to look at
    #[arg(long, value_name = "DIR", default_value = "statlas-results")]
    out: PathBuf,
    /// Where temporary stores are made: figures are about the disk below it. The directory of the results, unless said
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

impl Results {
    /// The directory for temporary stores. It and that of the results are made if they are not there, so that what is wrong
    /// with them is told before anything is measured.
    pub(crate) fn folder(&self) -> Result<&Path> {
        let dir = self.dir.as_deref().unwrap_or(&self.out);
        for folder in [dir, &self.out] {
            fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        }
        Ok(dir)
    }

    /// Writes a report and its page, shows it, and fails if it does.
    ///
    /// # Errors
    ///
    /// A failure with the code for a threshold that was not met, or an error of writing.
    pub(crate) fn finish(&self, report: &Report, session: &Session) -> Result<()> {
        let (file, page) = self.write(report)?;
        let output = session.output();
        if output.json() {
            output.print_json(&summary(report, &file, &page))?;
        } else {
            output.print(statlas_lab::text(report, width()))?;
            output.print(format_args!("Everything: {}\nPage: {}", file.display(), page.display()))?;
        }
        if Interrupt::installed().is_set() {
            let message = format!("what was measured until now is in {}", file.display());
            return Err(Failure::interrupted(message).into());
        }
        judge(report)
    }

    /// Writes the JSON and the page, and returns where they are.
    fn write(&self, report: &Report) -> Result<(PathBuf, PathBuf)> {
        self.folder()?;
        let folder = &self.out;
        // A time of which file systems like every letter.
        let time: String = report.begun.chars().filter(char::is_ascii_alphanumeric).collect();
        let kind = serde_json::to_value(report.kind).ok().and_then(|kind| kind.as_str().map(str::to_owned));
        let name = format!("{}-{time}", kind.unwrap_or_default());
        let (file, page) = (folder.join(format!("{name}.json")), folder.join(format!("{name}.html")));
        report.write(&file).map_err(failure)?;
        write_page(report, &page)?;
        Ok((file, page))
    }
}

/// The failure of a result that is not as it must be.
fn judge(report: &Report) -> Result<()> {
    if report.verdict() == Verdict::Pass {
        return Ok(());
    }
    let missed: Vec<&Figure> =
        report.figures.iter().filter(|figure| figure.verdict() == Some(Verdict::Fail)).collect();
    let runs = report.runs.iter().filter(|run| run.verdict() == Verdict::Fail).count() as u64;
    let mut parts = Vec::new();
    if let Some(first) = missed.first() {
        let figures = plural(missed.len() as u64, "figure is", "figures are");
        parts.push(format!("{figures} not within bounds, the first: {} ({})", first.name, first.id));
    }
    if runs > 0 {
        parts.push(format!("{} not as it must be", plural(runs, "run is", "runs are")));
    }
    Err(Failure::threshold(parts.join("; ")).into())
}

/// Writes the page of a report.
pub(crate) fn write_page(report: &Report, path: &Path) -> Result<()> {
    fs::write(path, statlas_lab::html(report)).with_context(|| format!("cannot write {}", path.display()))
}

/// An error of the laboratory with the exit code that it has.
pub(crate) fn failure(error: statlas_lab::Error) -> anyhow::Error {
    match error {
        statlas_lab::Error::Invalid(message) => Failure::usage(message).into(),
        statlas_lab::Error::Incomparable(message) => Failure::usage(message)
            .hint("--anyway compares them nevertheless, and says how they differ")
            .into(),
        statlas_lab::Error::Interrupted => {
            Failure::interrupted("nothing was measured that could be shown; temporary stores are removed")
                .into()
        }
        statlas_lab::Error::Insufficient(message) => Failure::unmet(message).into(),
        error @ statlas_lab::Error::Io { .. } => {
            let hint = "--dir names another directory for temporary stores, --out one for results";
            anyhow::Error::new(error).context(Hint(hint.to_owned()))
        }
        other => other.into(),
    }
}

/// Runs something while somebody watches it on the terminal, and Ctrl-C ends it.
pub(crate) fn watched<T>(
    output: &Output,
    work: impl FnOnce(&mut Watcher<'_>) -> statlas_lab::Result<T>,
) -> Result<T> {
    let interrupt = Interrupt::install()?;
    let bar = output.live_line();
    let mut show = |what: &str, progress: Progress| bar.set_message(line(what, &progress));
    let goes_on = || !interrupt.is_set();
    let mut watcher = Watcher { goes_on: &goes_on, progress: &mut show };
    work(&mut watcher).map_err(failure)
}

/// How it goes, in a line.
fn line(what: &str, progress: &Progress) -> String {
    let mut text = format!("{what}: {:.0} s", progress.seconds);
    if let Some(all) = progress.seconds_in_all {
        text += &format!(" of {all:.0} s");
    }
    if let Some(operations) = progress.operations_last_second {
        text += &format!(", {}", Unit::PerSecond.format(operations as f64));
    }
    if let Some(p99) = progress.p99_last_second {
        text += &format!(", p99 {}", Unit::Seconds.format(p99));
    }
    text
}

/// How wide tables may be.
pub(crate) fn width() -> usize {
    const WIDTH_MAX: usize = 120;
    let columns = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    columns.unwrap_or(WIDTH_MAX).clamp(80, WIDTH_MAX)
}

/// What a script wants to know of a report.
fn summary(report: &Report, file: &Path, page: &Path) -> Value {
    let figure = |figure: &Figure| {
        json!({
            "id": figure.id, "engine": figure.engine, "name": figure.name, "unit": figure.unit,
            "value": figure.value(), "published": figure.published, "verdict": figure.verdict(),
        })
    };
    let run = |run: &statlas_lab::Run| {
        json!({
            "workload": run.workload.name, "engine": run.engine, "throughput": run.throughput(),
            "failures": run.failures(), "thresholds": run.thresholds, "audit": run.audit, "verdict": run.verdict(),
        })
    };
    json!({
        "kind": report.kind, "title": report.title, "verdict": report.verdict(),
        "figures": report.figures.iter().map(figure).collect::<Vec<_>>(),
        "runs": report.runs.iter().map(run).collect::<Vec<_>>(),
        "file": file.to_string_lossy(), "page": page.to_string_lossy(),
    })
}

/// The command line that was given, to repeat it.
pub(crate) fn command_line() -> String {
    let quoted = |word: String| {
        let is_plain =
            !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || "-_./:=,%+@".contains(c));
        if is_plain { word } else { format!("'{}'", word.replace('\'', "'\\''")) }
    };
    let words = std::env::args_os().skip(1).map(|word| quoted(word.to_string_lossy().into_owned()));
    std::iter::once("statlas".to_owned()).chain(words).collect::<Vec<_>>().join(" ")
}

/// Warns if the machine or the program is not fit for measuring.
pub(crate) fn warn_if_unfit(environment: &Environment, output: &Output) {
    if !environment.is_optimised {
        output.warn("this is a build without optimisation: its figures mean nothing");
    }
    let busy: Option<f64> =
        environment.load_average.split_whitespace().next().and_then(|load| load.parse().ok());
    if busy.is_some_and(|busy| busy > environment.cores as f64 / 2.0) {
        output.warn("the machine is busy with something else, which the figures will show");
    }
}
