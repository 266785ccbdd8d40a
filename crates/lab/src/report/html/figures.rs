//! Tables of figures, and bars that put engines side by side.

use std::fmt::Write as _;

use crate::report::Figure;
use crate::report::html::markup::{Escaped, Page};
use crate::report::layout::{Row, Section, apart, better_text, measured, value_text};
use crate::report::svg::{look, percent};
use crate::threshold::Verdict;

/// The part of the width that the longest bar has: its value stands behind it.
const BAR_LONGEST: f64 = 0.7;
/// Height of a bar, with the space below it.
const BAR: usize = 18;
/// Letters of an engine's name that have room before its bars.
const ENGINE_LETTERS: usize = 12;

/// The table of a section, and bars if there are several engines.
pub(crate) fn section(section: &Section<'_>, page: &mut Page) {
    let name = Escaped(section.name);
    page.put(format_args!(
        "<h3>{name}</h3><div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{name}\">\
         <table class=\"figures\"><thead><tr><th scope=\"col\">Figure</th>"
    ));
    for column in 0..section.engines.len() {
        page.put(format_args!(
            "<th scope=\"col\" class=\"number\">{}</th>",
            Escaped(section.heading(column))
        ));
    }
    if section.has_published() {
        page.put(format_args!("<th scope=\"col\" class=\"words\">Published before</th>"));
    }
    if section.has_bounds() {
        page.put(format_args!(
            "<th scope=\"col\" class=\"words\">Must be</th><th scope=\"col\" class=\"last\">Verdict</th>"
        ));
    }
    page.put(format_args!("</tr></thead><tbody>"));
    section.rows.iter().for_each(|row| table_row(section, row, page));
    page.put(format_args!("</tbody></table></div>"));
    let rows: Vec<_> = section.side_by_side().collect();
    if !rows.is_empty() {
        bars(section, &rows, page);
    }
}

fn table_row(section: &Section<'_>, row: &Row<'_>, page: &mut Page) {
    page.put(format_args!("<tr><th scope=\"row\">"));
    let (name, definition) = (Escaped(&row.figure.name), row.figure.definition.trim());
    let id = Escaped(&row.figure.id);
    page.put(format_args!("<details><summary>{name}</summary><p>"));
    if !definition.is_empty() {
        page.put(format_args!("{} ", Escaped(definition)));
    }
    page.put(format_args!("<code>{id}</code></p></details></th>"));
    for cell in &row.cells {
        page.put(format_args!("<td class=\"number\">"));
        if let Some(figure) = cell {
            value(figure, row.cells.len() > 1, page);
        }
        page.put(format_args!("</td>"));
    }
    if section.has_published() {
        page.put(format_args!("<td class=\"words\">{}</td>", Escaped(&row.published())));
    }
    if section.has_bounds() {
        let bound = row.bound();
        let class = if bound.contains(';') { "words" } else { "words whole" };
        page.put(format_args!("<td class=\"{class}\">{}</td><td>", Escaped(&bound)));
        if let Some((verdict, _)) = row.verdict() {
            page.verdict(verdict);
        }
        page.put(format_args!("</td>"));
    }
    page.put(format_args!("</tr>"));
}

/// A value, with what has to be said of it in small.
fn value(figure: &Figure, are_several: bool, page: &mut Page) {
    let is_failed = figure.verdict() == Some(Verdict::Fail);
    match measured(figure) {
        None => page.put(format_args!("<span class=\"absent\">not measured</span>")),
        Some(_) if is_failed => {
            page.put(format_args!("<span class=\"bad\">{}</span>", Escaped(&value_text(figure))))
        }
        Some(_) => page.put(format_args!("{}", Escaped(&value_text(figure)))),
    }
    if is_failed && are_several {
        page.put(format_args!("<small class=\"bad\">fails</small>"));
    }
    if let Some(spread) = figure.spread().filter(|spread| spread.is_finite()) {
        let (rounds, apart) = (figure.samples.len(), apart(spread));
        page.put(format_args!("<small>{rounds} rounds, {apart} apart</small>"));
    }
}

/// Bars of each figure that several engines have; those of one figure have one scale.
fn bars(section: &Section<'_>, rows: &[&Row<'_>], page: &mut Page) {
    page.put(format_args!("<figure class=\"bars\"><figcaption>Side by side</figcaption>"));
    for row in rows {
        let (name, better) = (Escaped(&row.figure.name), better_text(row.figure.better));
        page.put(format_args!("<div><p>{name} <small>{better}</small></p>"));
        let (id, (bars, height)) = (page.id(), bars_of(section, row));
        page.put(format_args!(
            "<div class=\"box\"><svg class=\"plot\" role=\"img\" aria-labelledby=\"t{id} d{id}\" width=\"100%\" \
             height=\"{height}\"><title id=\"t{id}\">{name}</title><desc id=\"d{id}\">A bar for each engine, as long \
             as its value; the values are in the table above.</desc>{bars}</svg></div></div>"
        ));
    }
    page.put(format_args!("</figure>"));
}

/// The bars of one figure, and how high they are together.
fn bars_of(section: &Section<'_>, row: &Row<'_>) -> (String, usize) {
    let (mut svg, mut y) = (String::new(), 0);
    let largest = row.cells.iter().flatten().filter_map(|figure| measured(figure)).fold(0.0, f64::max);
    for (column, cell) in row.cells.iter().enumerate() {
        let Some((figure, value)) = cell.and_then(|figure| Some((figure, measured(figure)?))) else {
            continue;
        };
        let share = if largest > 0.0 { (value / largest).clamp(0.0, 1.0) } else { 0.0 };
        let (width, look) = (percent(share * BAR_LONGEST), look(column));
        let mut engine: String = section.heading(column).chars().take(ENGINE_LETTERS).collect();
        if engine.len() < section.heading(column).len() {
            engine.pop();
            engine.push('\u{2026}');
        }
        let _never = write!(
            svg,
            "<text class=\"tick y\" x=\"0\" dx=\"-8\" y=\"{y}\" dy=\"10\">{engine}</text>\
             <rect class=\"bar {look}\" x=\"0\" y=\"{y}\" width=\"{width}\" height=\"12\" rx=\"2\"/>\
             <text class=\"value\" x=\"{width}\" dx=\"7\" y=\"{y}\" dy=\"10\">{value}</text>",
            engine = Escaped(&engine),
            value = Escaped(&value_text(figure))
        );
        y += BAR;
    }
    (svg, y)
}
