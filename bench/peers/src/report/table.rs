//! A table of engines and figures.

use std::fmt;

use crate::engine::Name;
use crate::sample::{Ending, Sample};
use crate::section::Section;
use crate::spread::{Spread, figure};

/// Which of two figures is the better one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Better {
    High,
    Low,
    /// Neither: it explains others.
    None,
}

/// One figure of one case.
#[derive(Debug, Clone)]
pub(super) struct Column {
    pub(super) title: String,
    pub(super) section: Section,
    pub(super) case: String,
    pub(super) figure: &'static str,
    pub(super) better: Better,
}

/// Engines as rows.
pub(super) struct Table {
    title: String,
    note: &'static str,
    head: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// The medians of all runs, the best peer of each column marked.
    pub(super) fn new(
        title: String,
        note: &'static str,
        columns: &[Column],
        engines: &[Name],
        samples: &[Sample],
    ) -> Self {
        let best: Vec<_> = columns.iter().map(|column| column.best(engines, samples)).collect();
        let row = |engine: &Name| {
            let mut cells = vec![engine.as_str().to_owned()];
            for (column, best) in columns.iter().zip(&best) {
                let cell = column.cell(*engine, samples);
                cells.push(if *best == Some(*engine) { format!("**{cell}**") } else { cell });
            }
            cells
        };
        let rows = engines.iter().map(row).filter(|cells| cells[1..].iter().any(|cell| cell != EMPTY));
        let head =
            std::iter::once("engine".to_owned()).chain(columns.iter().map(|column| column.title.clone()));
        Self { title, note, head: head.collect(), rows: rows.collect() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

const EMPTY: &str = "–";

impl Column {
    /// The figure in all runs.
    pub(super) fn spread(&self, engine: Name, samples: &[Sample]) -> Option<Spread> {
        Spread::of(self.of(engine, samples).filter_map(|sample| sample.figure(self.figure)))
    }

    fn of<'a>(&'a self, engine: Name, samples: &'a [Sample]) -> impl Iterator<Item = &'a Sample> {
        samples.iter().filter(move |sample| {
            sample.engine == engine && sample.section == self.section && sample.case == self.case
        })
    }

    /// The peer with the best median.
    pub(super) fn best(&self, engines: &[Name], samples: &[Sample]) -> Option<Name> {
        let peers = engines.iter().filter(|engine| engine.is_peer());
        let medians = peers.filter_map(|engine| Some((*engine, self.spread(*engine, samples)?.median)));
        let best = match self.better {
            Better::High => medians.max_by(|(_, a), (_, b)| a.total_cmp(b)),
            Better::Low => medians.min_by(|(_, a), (_, b)| a.total_cmp(b)),
            Better::None => None,
        };
        best.map(|(engine, _)| engine)
    }

    fn cell(&self, engine: Name, samples: &[Sample]) -> String {
        // A run that did not end well is not hidden behind those that did.
        let bad = self.of(engine, samples).find(|sample| sample.ending != Ending::Done);
        if let Some(sample) = bad {
            let rows = sample.figures.get("rows").map(|rows| format!(" after {} rows", figure(*rows)));
            let word = if sample.ending == Ending::OutOfMemory { "killed" } else { "FAILED" };
            return format!("{word}{}", rows.unwrap_or_default());
        }
        match self.spread(engine, samples) {
            None => EMPTY.to_owned(),
            Some(spread) if spread.count == 1 || figure(spread.min) == figure(spread.max) => {
                figure(spread.median)
            }
            Some(Spread { min, median, max, .. }) => {
                format!("{} ({}–{})", figure(median), figure(min), figure(max))
            }
        }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n", self.title)?;
        if !self.note.is_empty() {
            writeln!(f, "{}\n", self.note)?;
        }
        f.write_str(&aligned(&self.head, &self.rows))
    }
}

/// Markdown that is also read well as it is: the first column to the left, the others to the right.
pub(super) fn aligned(head: &[String], rows: &[Vec<String>]) -> String {
    let width = |index: usize| {
        let cells = rows.iter().filter_map(|row| row.get(index)).chain(head.get(index));
        cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let line = |cells: &[String]| {
        let cells = cells.iter().zip(&widths).enumerate().map(|(index, (cell, width))| {
            if index == 0 { format!(" {cell:<width$} ") } else { format!(" {cell:>width$} ") }
        });
        format!("|{}|\n", cells.collect::<Vec<_>>().join("|"))
    };
    let rule = widths.iter().enumerate().map(|(index, width)| {
        if index == 0 { "-".repeat(width + 2) } else { format!("{}:", "-".repeat(width + 1)) }
    });
    let mut text = line(head);
    text.push_str(&format!("|{}|\n", rule.collect::<Vec<_>>().join("|")));
    rows.iter().for_each(|row| text.push_str(&line(row)));
    text
}
