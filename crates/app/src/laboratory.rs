//! What commands of the laboratory do with a result: the one place where results are written and printed.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use statlas_lab::{Error, Figure, Kind, Progress, Report, Verdict};

use crate::failure::{Failure, Hint};
use crate::output::{duration, plural};
use crate::progress::Progress as Line;
use crate::session::Session;
use crate::table::{Align, Table};

/// Makes the directory that a result will be written into, so that what is wrong with it is told before anything is
/// measured.
pub(crate) fn prepare(out: Option<&Path>) -> Result<()> {
    match out {
        Some(out) => {
            fs::create_dir_all(out).with_context(|| format!("cannot make the directory {}", out.display()))
        }
        None => Ok(()),
    }
}

/// Writes a result into a directory, if there is one, and prints it; JSON if that was asked for. Returns the file.
///
/// # Errors
///
/// That it can't be written.
pub(crate) fn deliver(report: &Report, out: Option<&Path>, session: &Session) -> Result<Option<PathBuf>> {
    let file = out.map(|out| out.join(file_name(report)));
    if let Some(file) = &file {
        report.write(file)?;
    }
    let output = session.output();
    if output.json() {
        output.print_json(&serde_json::to_value(report).context("cannot write a result as JSON")?)?;
    } else {
        print(report, session).context("cannot write to standard output")?;
    }
    if let Some(file) = &file {
        output.note(format!("the result is in {}", file.display()));
    }
    Ok(file)
}

/// The failure of a result that is not as it must be.
pub(crate) fn judge(report: &Report) -> Result<()> {
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

/// An error of the laboratory, with the code and the hint that it has here.
pub(crate) fn refused(error: Error) -> anyhow::Error {
    match error {
        Error::Invalid(message) | Error::Incomparable(message) => Failure::usage(message).into(),
        Error::Insufficient(message) => Failure::unmet(message).into(),
        Error::Interrupted => Failure::interrupted("nothing was measured yet").into(),
        Error::Io { .. } => anyhow::Error::new(error)
            .context(Hint("--dir names another directory for temporary stores".to_owned())),
        other => other.into(),
    }
}

/// Shows on the line how far it is.
pub(crate) fn show(line: &Line, what: &str, progress: Progress) {
    let whole = |seconds: f64| duration(std::time::Duration::from_secs(seconds.max(0.0) as u64));
    let mut text = whole(progress.seconds);
    if let Some(all) = progress.seconds_in_all {
        text.push_str(&format!(" of about {}", whole(all)));
    }
    text.push_str(&format!("  {what}"));
    if let Some(operations) = progress.operations_last_second {
        text.push_str(&format!("  {}", statlas_lab::Unit::PerSecond.format(operations as f64)));
    }
    line.set_message(text);
}

/// `stress-20260102T030405Z.json`
fn file_name(report: &Report) -> String {
    let kind = match report.kind {
        Kind::Workload => "workload",
        Kind::Stress => "stress",
        Kind::Pressure => "pressure",
        Kind::Plan => "plan",
        Kind::Breakdown => "breakdown",
    };
    let seconds = report.begun.split('.').next().unwrap_or_default();
    let compact: String = seconds.chars().filter(|c| !"-:".contains(*c)).collect();
    format!("{kind}-{}Z.json", compact.trim_end_matches('Z'))
}

/// Prints the figures, section by section.
fn print(report: &Report, session: &Session) -> std::io::Result<()> {
    let output = session.output();
    let mut stdout = output.stdout();
    let mut sections: Vec<&str> = report.figures.iter().map(|figure| figure.section.as_str()).collect();
    sections.dedup();
    for section in sections {
        writeln!(stdout, "\n{}", output.strong(section))?;
        let mut table = Table::new(&[
            ("figure", Align::Left),
            ("engine", Align::Left),
            ("measured", Align::Right),
            ("rounds", Align::Right),
            ("bound", Align::Left),
            ("", Align::Left),
        ]);
        let mut published: Vec<&str> = Vec::new();
        for figure in report.figures.iter().filter(|figure| figure.section == section) {
            table.row(cells(figure));
            published.extend(figure.published.as_deref());
        }
        published.dedup();
        if let Some(published) = published.first() {
            writeln!(stdout, "{}", output.faint(format!("published: {published}")))?;
        }
        table.write(output, &mut stdout)?;
    }
    writeln!(stdout)?;
    for note in &report.notes {
        writeln!(stdout, "{}", output.faint(format!("note: {note}")))?;
    }
    let time = duration(std::time::Duration::from_secs_f64(report.seconds));
    writeln!(stdout, "{} in {time}", output.strong(report.verdict()))?;
    stdout.flush()
}

fn cells(figure: &Figure) -> Vec<String> {
    let format = |value: f64| figure.unit.format(value);
    let rounds = match figure.spread() {
        Some(spread) => format!("{} x{spread:.2}", figure.samples.len()),
        None => String::new(),
    };
    vec![
        figure.name.clone(),
        figure.engine.clone().unwrap_or_default(),
        figure.value().map_or("-".to_owned(), format),
        rounds,
        figure.bound.map_or(String::new(), |bound| bound.format(figure.unit)),
        figure.verdict().map_or(String::new(), |verdict| verdict.to_string()),
    ]
}
