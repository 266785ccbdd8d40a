//! The figures of a report as tables: a section is one, an engine is a column.

use crate::quantity::Unit;
use crate::report::{Better, Figure, Report};
use crate::threshold::{Bound, Verdict};

/// A table of figures.
#[derive(Debug)]
pub(crate) struct Section<'a> {
    pub(crate) name: &'a str,
    /// Its columns, in the order in which figures name them; `None` for those that are about no engine.
    pub(crate) engines: Vec<Option<&'a str>>,
    pub(crate) rows: Vec<Row<'a>>,
}

/// One figure on each engine.
#[derive(Debug)]
pub(crate) struct Row<'a> {
    /// What all of them share.
    pub(crate) figure: &'a Figure,
    /// One for each column.
    pub(crate) cells: Vec<Option<&'a Figure>>,
}

/// The sections of a report, in the order in which its figures name them.
pub(crate) fn sections(report: &Report) -> Vec<Section<'_>> {
    let mut sections: Vec<Section<'_>> = Vec::new();
    for figure in &report.figures {
        let at = sections.iter().position(|section| section.name == figure.section).unwrap_or_else(|| {
            sections.push(Section { name: &figure.section, engines: Vec::new(), rows: Vec::new() });
            sections.len() - 1
        });
        let section = &mut sections[at];
        let engine = figure.engine.as_deref();
        if !section.engines.contains(&engine) {
            section.engines.push(engine);
        }
    }
    for section in &mut sections {
        let name = section.name;
        for figure in report.figures.iter().filter(|figure| figure.section == name) {
            section.put(figure);
        }
    }
    sections
}

impl<'a> Section<'a> {
    fn put(&mut self, figure: &'a Figure) {
        let Some(column) = self.engines.iter().position(|engine| *engine == figure.engine.as_deref()) else {
            return;
        };
        let is_its_row = |row: &&mut Row<'_>| row.figure.id == figure.id && row.cells[column].is_none();
        if let Some(row) = self.rows.iter_mut().find(is_its_row) {
            row.cells[column] = Some(figure);
        } else {
            let mut cells = vec![None; self.engines.len()];
            cells[column] = Some(figure);
            self.rows.push(Row { figure, cells });
        }
    }

    /// The heading of a column.
    pub(crate) fn heading(&self, column: usize) -> &'a str {
        self.engines[column].unwrap_or("measured")
    }

    /// Whether it says of anything what was published before.
    pub(crate) fn has_published(&self) -> bool {
        self.figures().any(|figure| figure.published.is_some())
    }

    /// Whether anything has a bound.
    pub(crate) fn has_bounds(&self) -> bool {
        self.figures().any(|figure| figure.bound.is_some())
    }

    /// Whether anything was measured in several rounds.
    pub(crate) fn has_rounds(&self) -> bool {
        self.figures().any(|figure| figure.spread().is_some())
    }

    /// Rows in which several engines can be put side by side, and differ from nothing.
    pub(crate) fn side_by_side(&self) -> impl Iterator<Item = &Row<'a>> {
        let values =
            |row: &Row<'_>| row.cells.iter().flatten().filter_map(|f| measured(f)).collect::<Vec<_>>();
        self.rows.iter().filter(move |row| {
            let values = values(row);
            values.len() > 1 && values.iter().any(|value| *value > 0.0)
        })
    }

    fn figures(&self) -> impl Iterator<Item = &'a Figure> {
        self.rows.iter().flat_map(|row| row.cells.iter().flatten().copied())
    }
}

impl Row<'_> {
    /// What was published of it before.
    pub(crate) fn published(&self) -> String {
        self.of_each(|figure| figure.published.clone())
    }

    /// What it must be.
    pub(crate) fn bound(&self) -> String {
        self.of_each(|figure| figure.bound.map(|bound| bound.format(figure.unit)))
    }

    /// Whether it is so, on all engines, with the names of those on which it is not.
    pub(crate) fn verdict(&self) -> Option<(Verdict, String)> {
        let judged: Vec<_> = self.cells.iter().flatten().filter_map(|f| Some((f, f.verdict()?))).collect();
        let verdict = Verdict::all(judged.iter().map(|(_, verdict)| *verdict));
        let failed = judged.iter().filter(|(_, verdict)| *verdict == Verdict::Fail);
        let names: Vec<&str> = failed.filter_map(|(figure, _)| figure.engine.as_deref()).collect();
        let names = if judged.len() > 1 { names.join(", ") } else { String::new() };
        (!judged.is_empty()).then_some((verdict, names))
    }

    /// How far apart the rounds are, on the engine where they are farthest.
    pub(crate) fn spread(&self) -> String {
        let spreads = self.cells.iter().flatten().filter_map(|figure| figure.spread());
        spreads.reduce(f64::max).map_or_else(String::new, apart)
    }

    /// A text about each engine: once if it is the same for all, otherwise behind their names.
    fn of_each(&self, text: impl Fn(&Figure) -> Option<String>) -> String {
        let texts: Vec<_> = self.cells.iter().flatten().map(|figure| (figure, text(figure))).collect();
        match texts.first() {
            None => String::new(),
            Some((_, first)) if texts.iter().all(|(_, text)| text == first) => {
                first.clone().unwrap_or_default()
            }
            Some(_) => {
                let named = texts.iter().filter_map(|(figure, text)| {
                    Some(format!("{}: {}", figure.engine.as_deref().unwrap_or("measured"), text.as_ref()?))
                });
                named.collect::<Vec<_>>().join("; ")
            }
        }
    }
}

/// The value of a figure, if it is one that can be shown.
pub(crate) fn measured(figure: &Figure) -> Option<f64> {
    figure.value().filter(|value| value.is_finite())
}

/// The value of a figure with its unit, or a dash.
pub(crate) fn value_text(figure: &Figure) -> String {
    optional(figure.unit, figure.value())
}

/// A value with its unit, or a dash.
pub(crate) fn optional(unit: Unit, value: Option<f64>) -> String {
    value.filter(|value| value.is_finite()).map_or_else(|| "-".to_owned(), |value| unit.format(value))
}

/// How far apart rounds are, from their largest by their smallest.
pub(crate) fn apart(spread: f64) -> String {
    if spread < 2.0 { Unit::Share.format(spread - 1.0) } else { optional(Unit::Times, Some(spread)) }
}

/// Which direction is better, in words; nothing if neither is.
pub(crate) fn better_text(better: Better) -> &'static str {
    match better {
        Better::Lower => "less is better",
        Better::Higher => "more is better",
        Better::Neither => "",
    }
}

/// How far beyond a bound a value is; nothing if it is within.
pub(crate) fn beyond(bound: Bound, found: f64) -> String {
    let (limit, word) = match bound {
        Bound::AtMost(limit) => (limit, "above"),
        Bound::AtLeast(limit) => (limit, "below"),
    };
    let ratio = found / limit;
    if bound.judge(Some(found)) == Verdict::Pass || !ratio.is_finite() || ratio < 0.0 {
        String::new()
    } else if ratio < 2.0 {
        format!("{} {word} the bound", Unit::Share.format((ratio - 1.0).abs()))
    } else {
        format!("{} the bound", Unit::Times.format(ratio))
    }
}
