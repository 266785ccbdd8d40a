//! Plots with their titles, their legends and their values as a table.

use crate::quantity::Unit;
use crate::report::html::markup::{Escaped, Page};
use crate::report::layout::optional;
use crate::report::scale::{Scale, share_text, short};
use crate::report::svg::{Chart, Trace, look};
use crate::report::{NamedSpan, Plot};

/// A table of a plot's values has no more rows than this; all of them are in the result.
const ROWS_MAX: usize = 500;
const HEIGHT: u32 = 190;
const HEIGHT_LARGE: u32 = 260;

/// What a horizontal axis counts.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Across {
    Of(Unit),
    /// Percentiles, as numbers of nines.
    Nines,
}

impl Across {
    fn text(self, value: f64) -> String {
        match self {
            Self::Of(unit) if value.is_finite() => short(unit, value),
            Self::Of(_) => "-".to_owned(),
            Self::Nines => share_text(1.0 - 10.0_f64.powf(-value)),
        }
    }
}

/// A plot, and what stands around it.
pub(crate) struct Graph<'a> {
    pub(crate) title: &'a str,
    /// What its axes count, in small letters below the title.
    pub(crate) caption: String,
    pub(crate) across: Across,
    pub(crate) unit: Unit,
    pub(crate) is_logarithmic: bool,
    pub(crate) is_large: bool,
    pub(crate) traces: Vec<Trace>,
    pub(crate) spans: &'a [NamedSpan],
}

impl Graph<'_> {
    /// Puts it into a page, without its values.
    pub(crate) fn put(&self, page: &mut Page) {
        page.put(format_args!(
            "<figure><figcaption>{} <small>{}</small></figcaption>",
            Escaped(self.title),
            Escaped(&self.caption)
        ));
        match self.scales() {
            None => {
                page.put(format_args!("<p class=\"absent\">Nothing was measured that could be drawn.</p>"))
            }
            Some((x, y)) => {
                self.legend(page);
                let chart = Chart {
                    title: self.title,
                    description: &self.description(),
                    x: &x,
                    y: &y,
                    traces: &self.traces,
                    spans: self.spans,
                    x_text: &|value| self.across.text(value),
                    y_text: &|value| self.unit.format(value),
                    height: if self.is_large { HEIGHT_LARGE } else { HEIGHT },
                };
                let svg = chart.svg(page.id());
                page.put(format_args!("<div class=\"box\">{svg}</div>"));
                self.named_spans(page);
            }
        }
        page.put(format_args!("</figure>"));
    }

    /// Its axes; `None` if there is nothing to draw.
    fn scales(&self) -> Option<(Scale, Scale)> {
        let places = self.traces.iter().flat_map(Trace::places);
        let values = self.traces.iter().flat_map(Trace::values);
        let x = match self.across {
            Across::Of(unit) => {
                Scale::exact(places.chain(self.spans.iter().flat_map(|s| [s.from, s.to])), unit)?
            }
            Across::Nines => Scale::nines(places.fold(0.0, f64::max)),
        };
        let y = if self.is_logarithmic {
            Scale::logarithmic(values, self.unit)?
        } else {
            Scale::from_zero(values, self.unit)?
        };
        Some((x, y))
    }

    fn legend(&self, page: &mut Page) {
        if self.traces.len() < 2 {
            return;
        }
        page.put(format_args!("<ul class=\"legend\">"));
        for (number, trace) in self.traces.iter().enumerate() {
            page.put(format_args!(
                "<li><svg width=\"26\" height=\"8\" aria-hidden=\"true\"><path class=\"line {}\" \
                 d=\"M1 4H25\"/></svg>{}</li>",
                look(number),
                Escaped(&trace.name)
            ));
        }
        page.put(format_args!("</ul>"));
    }

    /// What each line does, in a sentence.
    fn description(&self) -> String {
        let mut text = format!("{}.", self.caption);
        for trace in &self.traces {
            let finite = || trace.values().filter(|value| value.is_finite());
            let (least, most) = (finite().reduce(f64::min), finite().reduce(f64::max));
            let [least, most, last] = [least, most, finite().last()].map(|value| optional(self.unit, value));
            text += &format!(" {}: from {least} to {most}, at last {last}.", trace.name);
        }
        text + " The values are in a table below."
    }

    fn named_spans(&self, page: &mut Page) {
        if self.spans.is_empty() {
            return;
        }
        page.put(format_args!("<ol class=\"spans\">"));
        for span in self.spans {
            let (from, to) = (self.across.text(span.from), self.across.text(span.to));
            page.put(format_args!(
                "<li><span>{}</span> <small>{} to {}</small></li>",
                Escaped(&span.name),
                Escaped(&from),
                Escaped(&to)
            ));
        }
        page.put(format_args!("</ol>"));
    }

    /// Its values as a table that can be opened.
    pub(crate) fn values(&self, across: &str, page: &mut Page) {
        let mut places: Vec<f64> =
            self.traces.iter().flat_map(|t| t.points.iter().map(|(place, _)| *place)).collect();
        places.sort_by(f64::total_cmp);
        places.dedup();
        let columns: Vec<String> = [across.to_owned()]
            .into_iter()
            .chain(self.traces.iter().map(|trace| trace.name.clone()))
            .collect();
        // Points of most lines come in the order of their places.
        let mut sorted: Vec<Vec<_>> = self.traces.iter().map(|trace| trace.points.clone()).collect();
        sorted.iter_mut().for_each(|points| points.sort_by(|a, b| a.0.total_cmp(&b.0)));
        let value = |points: &[(f64, Option<f64>)], place: f64| {
            let at = points.partition_point(|(other, _)| other.total_cmp(&place).is_lt());
            points.get(at).filter(|(other, _)| other.total_cmp(&place).is_eq()).and_then(|(_, value)| *value)
        };
        let rows = places.iter().map(|place| {
            let cells = sorted.iter().map(|points| optional(self.unit, value(points, *place)));
            [self.across.text(*place)].into_iter().chain(cells).collect()
        });
        values(self.title, &columns, rows.collect(), page);
    }
}

/// Values as a table that can be opened; of very many only some.
pub(crate) fn values(title: &str, columns: &[String], rows: Vec<Vec<String>>, page: &mut Page) {
    let all = rows.len();
    let stride = all.div_ceil(ROWS_MAX).max(1);
    page.put(format_args!(
        "<details class=\"values\"><summary>{}: the values as a table</summary>",
        Escaped(title)
    ));
    if stride > 1 {
        page.put(format_args!("<p>One row of each {stride} is shown; all {all} are in the JSON result.</p>"));
    }
    let shown: Vec<_> = rows.into_iter().step_by(stride).collect();
    page.numbers(title, columns, &shown);
    page.put(format_args!("</details>"));
}

/// With a large letter at its beginning, if it begins with a word.
fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    match (letters.next(), letters.next()) {
        (Some(first), Some(second)) if second.is_lowercase() => {
            first.to_uppercase().chain([second]).chain(letters).collect()
        }
        _ => text.to_owned(),
    }
}

/// A plot of a report.
pub(crate) fn plot(plot: &Plot, page: &mut Page) {
    let kind = if plot.is_logarithmic { ", logarithmic axis" } else { "" };
    let graph = Graph {
        title: &plot.title,
        caption: capitalised(&format!("{} over {}{kind}", plot.y_name, plot.x_name)),
        across: Across::Of(plot.x_unit),
        unit: plot.y_unit,
        is_logarithmic: plot.is_logarithmic,
        is_large: true,
        traces: plot
            .lines
            .iter()
            .map(|line| Trace { name: line.name.clone(), points: line.points.clone() })
            .collect(),
        spans: &plot.spans,
    };
    page.put(format_args!("<div class=\"large\">"));
    graph.put(page);
    graph.values(&plot.x_name, page);
    page.put(format_args!("</div>"));
}
