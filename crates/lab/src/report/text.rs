//! A report on a terminal.

use crate::latencies::PERCENTILES;
use crate::quantity::Unit;
use crate::report::Report;
use crate::report::layout::{self, Section, optional, value_text};
use crate::report::scale::percentile_name;
use crate::report::sentences::{self, count, run_name};
use crate::report::table::{Align, Table, plain, wrap};
use crate::run::{Done, Run};
use crate::threshold::Verdict;

/// A narrower terminal is taken for one as wide as this.
const WIDTH_MIN: usize = 40;
/// So many failed requirements are listed at the top.
const FAILED_SHOWN: usize = 20;

/// A report as plain text for a terminal of a width: the verdict in the first line, then the figures, the runs, and
/// how to repeat it. Lines are no wider than that, except those of numbers that have no room.
#[must_use]
pub fn text(report: &Report, width: usize) -> String {
    let mut lines = Lines::new(width);
    verdict(report, &mut lines);
    for section in layout::sections(report) {
        figures(&section, &mut lines);
    }
    for at in 0..report.runs.len() {
        run(report, at, &mut lines);
    }
    if !report.notes.is_empty() {
        lines.heading("Notes");
        report.notes.iter().for_each(|note| lines.item(note));
    }
    lines.heading("Environment");
    lines.pairs(sentences::environment(&report.environment));
    lines.heading("How to repeat it");
    lines.paragraph(&report.command, 2);
    lines.pairs(sentences::repetition(report));
    lines.text
}

/// The lines that are written.
pub(crate) struct Lines {
    width: usize,
    pub(crate) text: String,
}

impl Lines {
    pub(crate) fn new(width: usize) -> Self {
        Self { width: width.max(WIDTH_MIN), text: String::new() }
    }

    pub(crate) fn line(&mut self, line: &str) {
        self.text += line;
        self.text.push('\n');
    }

    /// A heading behind an empty line.
    pub(crate) fn heading(&mut self, heading: &str) {
        self.line("");
        for part in wrap(&plain(heading), self.width) {
            self.line(&part);
            self.line(&"=".repeat(part.chars().count()));
        }
    }

    pub(crate) fn paragraph(&mut self, text: &str, indent: usize) {
        for part in wrap(&plain(text), self.width - indent) {
            let line = format!("{}{part}", " ".repeat(indent));
            self.line(line.trim_end());
        }
    }

    /// A paragraph with a mark before it.
    pub(crate) fn item(&mut self, text: &str) {
        for (at, part) in wrap(&plain(text), self.width - 4).iter().enumerate() {
            self.line(&format!("{}{part}", if at == 0 { "  - " } else { "    " }));
        }
    }

    /// Names, and what stands behind them.
    pub(crate) fn pairs<'a>(&mut self, pairs: impl IntoIterator<Item = (&'a str, String)>) {
        let pairs: Vec<(String, String)> =
            pairs.into_iter().map(|(name, text)| (plain(name), plain(&text))).collect();
        let longest = pairs.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0).min(24);
        for (name, text) in pairs {
            for (at, part) in wrap(&text, self.width.saturating_sub(longest + 4).max(16)).iter().enumerate() {
                let name = if at == 0 { name.as_str() } else { "" };
                let line = format!("  {name:<longest$}  {part}");
                self.line(line.trim_end());
            }
        }
    }

    pub(crate) fn table(&mut self, table: &Table) {
        for line in table.lines(self.width) {
            self.line(&line);
        }
    }
}

fn verdict(report: &Report, lines: &mut Lines) {
    let (word, sentence) = sentences::headline(report);
    lines.paragraph(&format!("{word}: {sentence}"), 0);
    let failed: Vec<_> =
        sentences::checks(report).into_iter().filter(|check| check.verdict == Verdict::Fail).collect();
    for check in failed.iter().take(FAILED_SHOWN) {
        lines.item(&format!("{}: {}", check.what, check.found));
    }
    if failed.len() > FAILED_SHOWN {
        lines.item(&format!("and {} more, in the tables below", failed.len() - FAILED_SHOWN));
    }
    for doubt in sentences::doubts(report) {
        lines.paragraph(&format!("WARNING: {doubt}"), 0);
    }
    lines.line("");
    lines.paragraph(&format!("{}: {}", sentences::kind_text(report.kind), report.title), 0);
}

fn figures(section: &Section<'_>, lines: &mut Lines) {
    lines.heading(section.name);
    let mut columns = vec![("figure", Align::Left)];
    columns.extend((0..section.engines.len()).map(|at| (section.heading(at), Align::Right)));
    let optional_columns = [
        (section.has_rounds(), ("rounds apart", Align::Right)),
        (section.has_published(), ("published before", Align::Left)),
        (section.has_bounds(), ("must be", Align::Whole)),
        (section.has_bounds(), ("", Align::Whole)),
    ];
    columns.extend(optional_columns.iter().filter(|(is_shown, _)| *is_shown).map(|(_, column)| *column));
    let mut table = Table::new(columns);
    for row in &section.rows {
        let mut cells = vec![row.figure.name.clone()];
        cells.extend(row.cells.iter().map(|cell| cell.map_or_else(String::new, value_text)));
        let verdict = row.verdict().map_or_else(String::new, |(verdict, engines)| match engines.as_str() {
            "" => verdict.to_string(),
            engines => format!("{verdict} ({engines})"),
        });
        let texts = [row.spread(), row.published(), row.bound(), verdict];
        let shown = texts.into_iter().zip(optional_columns).filter(|(_, (is_shown, _))| *is_shown);
        cells.extend(shown.map(|(text, _)| text));
        table.row(cells);
    }
    lines.table(&table);
}

fn run(report: &Report, at: usize, lines: &mut Lines) {
    let run = &report.runs[at];
    lines.heading(&format!("{}: {}", run_name(report, at), run.verdict()));
    lines.paragraph(&run.workload.description, 0);
    lines.line("");
    let rows = operation_rows(run);
    let columns = operation_columns();
    let align = |at| if at == 0 { Align::Left } else { Align::Right };
    let mut table = Table::new(columns.iter().enumerate().map(|(at, name)| (name.as_str(), align(at))));
    let is_anything_hidden = rows.iter().any(|row| row.iter().any(|cell| cell == "-"));
    rows.into_iter().for_each(|row| table.row(row));
    lines.table(&table);
    if is_anything_hidden {
        lines.paragraph("-: too few operations lie above it to say (10 are needed)", 0);
    }
    if !run.thresholds.is_empty() {
        let columns = [
            ("threshold", Align::Left),
            ("found", Align::Right),
            ("must be", Align::Whole),
            ("", Align::Whole),
        ];
        let mut table = Table::new(columns);
        for judged in &run.thresholds {
            table.row(vec![
                judged.metric.clone(),
                optional(judged.unit, judged.found),
                judged.bound.format(judged.unit),
                judged.verdict.to_string(),
            ]);
        }
        lines.line("");
        lines.table(&table);
    }
    lines.line("");
    lines.pairs(sentences::facts(run, &report.environment));
    messages(run).iter().for_each(|message| lines.item(message));
}

/// The columns of the operations of a run.
pub(crate) fn operation_columns() -> Vec<String> {
    let first = ["operation", "count", "rate", "mean"].map(str::to_owned);
    let last = ["max", "failed", "wrong", "retries"].map(str::to_owned);
    first.into_iter().chain(PERCENTILES.map(percentile_name)).chain(last).collect()
}

/// The cells of [`operation_columns`], a row for each kind of operation.
pub(crate) fn operation_rows(run: &Run) -> Vec<Vec<String>> {
    let row = |done: &Done| {
        let latencies = &done.latencies;
        let rate = (run.seconds > 0.0).then(|| latencies.count() as f64 / run.seconds);
        let mut cells = vec![
            done.operation.to_string(),
            count(latencies.count()),
            optional(Unit::PerSecond, rate),
            optional(Unit::Seconds, latencies.mean()),
        ];
        cells.extend(PERCENTILES.map(|share| optional(Unit::Seconds, latencies.percentile(share))));
        cells.push(optional(Unit::Seconds, latencies.max()));
        cells.extend([done.failures, done.wrong, done.retries].map(count));
        cells
    };
    run.operations.iter().map(row).collect()
}

/// What failures, wrong answers and the audit said.
pub(crate) fn messages(run: &Run) -> Vec<String> {
    let of_operations = run.operations.iter().flat_map(|done| {
        let operation = done.operation;
        let failed = done.failure_messages.iter().map(move |text| format!("{operation} failed: {text}"));
        let wrong =
            done.wrong_messages.iter().map(move |text| format!("{operation} gave a wrong answer: {text}"));
        failed.chain(wrong)
    });
    let of_audit = run.audit.iter().flat_map(|audit| &audit.messages).map(|text| format!("audit: {text}"));
    of_operations.chain(of_audit).collect()
}
