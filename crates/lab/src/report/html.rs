//! A report as one page that needs nothing else: no network, no script, no font.

mod figures;
mod graph;
pub(crate) mod markup;
mod runs;

use crate::quantity::Unit;
use crate::report::html::markup::{Escaped, Page};
use crate::report::sentences::{self, Check};
use crate::report::{Kind, Report, layout};
use crate::threshold::Verdict;

const STYLE: &str = include_str!("html/style.css");
/// So many failed requirements are listed at the top; the others can be opened.
const FAILED_SHOWN: usize = 8;

/// A report as a page of HTML that stands alone: nothing is fetched, and nothing is executed. The verdict comes
/// first, then the figures, plots of the runs, and how to repeat it. It is well-formed XML as well.
#[must_use]
pub fn html(report: &Report) -> String {
    let mut page = Page::default();
    head(report, &mut page);
    page.put(format_args!("<body><main>"));
    header(report, &mut page);
    verdict(report, &mut page);
    contents(report, &mut page);
    runs::glance(report, &mut page);
    let sections = layout::sections(report);
    if !sections.is_empty() {
        page.put(format_args!("<section id=\"figures\"><h2>Figures</h2>"));
        sections.iter().for_each(|section| figures::section(section, &mut page));
        page.put(format_args!("</section>"));
    }
    runs::runs(report, &mut page);
    if !report.plots.is_empty() {
        page.put(format_args!("<section id=\"plots\"><h2>Plots</h2>"));
        report.plots.iter().for_each(|plot| graph::plot(plot, &mut page));
        page.put(format_args!("</section>"));
    }
    notes(report, &mut page);
    environment(report, &mut page);
    repetition(report, &mut page);
    terms(&mut page);
    page.put(format_args!(
        "<footer><p>Made by statlas {}. Everything here, with the raw histograms, is in the JSON result that this \
         page was made from.</p></footer></main></body></html>\n",
        Escaped(&report.environment.version)
    ));
    page.markup
}

fn head(report: &Report, page: &mut Page) {
    let (word, _) = sentences::headline(report);
    page.put(format_args!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"/>\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\
         <meta name=\"color-scheme\" content=\"light dark\"/>\
         <title>{}: {}</title><style>\n{STYLE}</style></head>",
        Escaped(word),
        Escaped(&report.title)
    ));
}

fn header(report: &Report, page: &mut Page) {
    let environment = &report.environment;
    page.put(format_args!(
        "<header><p class=\"kind\">Statlas <span>{}</span></p><h1>{}</h1><p class=\"when\">{}, took {}, on {} with \
         {}.</p></header>",
        sentences::kind_text(report.kind),
        Escaped(&report.title),
        Escaped(&moment(&report.begun)),
        Escaped(&Unit::Seconds.format(report.seconds)),
        Escaped(&environment.processor),
        Escaped(&sentences::plural(environment.cores, "core")),
    ));
}

/// A time in UTC without what only machines need.
fn moment(text: &str) -> String {
    match text.split_once('T') {
        Some((day, time)) if time.ends_with('Z') => {
            format!("{day} {} UTC", time.split(['.', 'Z']).next().unwrap_or(time))
        }
        _ => text.to_owned(),
    }
}

fn verdict(report: &Report, page: &mut Page) {
    let (word, sentence) = sentences::headline(report);
    let (class, word, sign) = match word {
        "PASS" => ("good", "Passed", "M9 16.5l5 5 9.5-11"),
        "FAIL" => ("bad", "Failed", "M10.5 10.5l11 11M21.5 10.5l-11 11"),
        _ => ("quiet", "No verdict", "M10 16h12"),
    };
    page.put(format_args!(
        "<section class=\"verdict {class}\" id=\"verdict\"><svg class=\"sign\" width=\"56\" height=\"56\" \
         viewBox=\"0 0 32 32\" aria-hidden=\"true\"><circle cx=\"16\" cy=\"16\" \
         r=\"14.5\"/><path d=\"{sign}\"/></svg>\
         <div><h2>{word}</h2><p class=\"sentence\">{}</p>",
        Escaped(&sentence)
    ));
    let failed: Vec<Check> =
        sentences::checks(report).into_iter().filter(|check| check.verdict == Verdict::Fail).collect();
    let (first, others) = failed.split_at(failed.len().min(FAILED_SHOWN));
    failures(first, page);
    if !others.is_empty() {
        page.put(format_args!("<details><summary>{} more</summary>", others.len()));
        failures(others, page);
        page.put(format_args!("</details>"));
    }
    page.put(format_args!("</div></section>"));
    for doubt in sentences::doubts(report) {
        page.put(format_args!("<p class=\"doubt\"><strong>Warning.</strong> {}</p>", Escaped(&doubt)));
    }
}

fn failures(checks: &[Check], page: &mut Page) {
    if checks.is_empty() {
        return;
    }
    page.put(format_args!("<ul class=\"failed\">"));
    for check in checks {
        page.put(format_args!(
            "<li><strong>{}</strong> <span>{}</span></li>",
            Escaped(&check.what),
            Escaped(&check.found)
        ));
    }
    page.put(format_args!("</ul>"));
}

/// Links to what the page has.
fn contents(report: &Report, page: &mut Page) {
    let parts = [
        (!report.figures.is_empty(), "figures", "Figures"),
        (!report.runs.is_empty(), "runs", "Runs"),
        (!report.plots.is_empty(), "plots", "Plots"),
        (!report.notes.is_empty(), "notes", "Notes"),
        (true, "environment", "Environment"),
        (true, "repeat", "How to repeat it"),
        (true, "terms", "What the words mean"),
    ];
    page.put(format_args!("<nav aria-label=\"Contents\">"));
    for (_, id, name) in parts.into_iter().filter(|(is_there, ..)| *is_there) {
        page.put(format_args!("<a href=\"#{id}\">{name}</a> "));
    }
    page.put(format_args!("</nav>"));
}

fn notes(report: &Report, page: &mut Page) {
    if report.notes.is_empty() {
        return;
    }
    page.put(format_args!("<section id=\"notes\"><h2>Notes</h2><ul class=\"notes\">"));
    for note in &report.notes {
        page.put(format_args!("<li>{}</li>", Escaped(note)));
    }
    page.put(format_args!("</ul></section>"));
}

fn environment(report: &Report, page: &mut Page) {
    page.put(format_args!("<section id=\"environment\"><h2>Environment</h2>"));
    page.pairs(sentences::environment(&report.environment));
    page.put(format_args!("</section>"));
}

fn repetition(report: &Report, page: &mut Page) {
    page.put(format_args!(
        "<section id=\"repeat\"><h2>How to repeat it</h2><p>With the program of the commit below, on the same kind \
         of machine, which nothing else keeps busy:</p><pre tabindex=\"0\"><code>{}</code></pre>",
        Escaped(&report.command)
    ));
    page.pairs(sentences::repetition(report));
    if report.kind == Kind::Workload {
        page.put(format_args!(
            "<p>The workload stands in the JSON result, with everything that it left to defaults.</p>"
        ));
    }
    page.put(format_args!("</section>"));
}

fn terms(page: &mut Page) {
    page.put(format_args!("<section id=\"terms\"><h2>What the words mean</h2>"));
    page.pairs(sentences::TERMS.map(|(name, text)| (name, text.to_owned())));
    page.put(format_args!("</section>"));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The colours of the style sheet by name, in light, and with what the dark ones replace.
    fn colours(is_dark: bool) -> Vec<(String, [f64; 3])> {
        let (light, dark) = STYLE.split_once("prefers-color-scheme: dark").expect("there are two");
        let dark = dark.split("\n}\n").next().unwrap_or(dark);
        let text = if is_dark { dark } else { light };
        let colour = |declaration: &str| {
            let (name, value) = declaration.trim().split_once(": #")?;
            let channel = |at: usize| u8::from_str_radix(value.get(at..at + 2)?, 16).ok().map(f64::from);
            Some((name.to_owned(), [channel(0)?, channel(2)?, channel(4)?]))
        };
        text.split([';', '{']).filter_map(colour).collect()
    }

    /// The contrast ratio of the Web Content Accessibility Guidelines 2.
    fn contrast(one: [f64; 3], other: [f64; 3]) -> f64 {
        let luminance = |colour: [f64; 3]| {
            let linear = colour.map(|channel| {
                let share = channel / 255.0;
                if share <= 0.04045 { share / 12.92 } else { ((share + 0.055) / 1.055).powf(2.4) }
            });
            linear[0] * 0.2126 + linear[1] * 0.7152 + linear[2] * 0.0722
        };
        let (one, other) = (luminance(one), luminance(other));
        (one.max(other) + 0.05) / (one.min(other) + 0.05)
    }

    #[test]
    fn colours_have_enough_contrast_in_both_modes() {
        for is_dark in [false, true] {
            let colours = colours(is_dark);
            let colour = |name: &str| {
                let found = colours.iter().find(|(found, _)| found == name);
                found.unwrap_or_else(|| panic!("{name} is missing, dark: {is_dark}")).1
            };
            let words = [
                ("--ink", "--paper"),
                ("--soft", "--paper"),
                ("--accent", "--paper"),
                ("--bad", "--paper"),
                ("--ink", "--quiet-paper"),
                ("--ink", "--good-paper"),
                ("--ink", "--bad-paper"),
                ("--good", "--good-paper"),
                ("--bad", "--bad-paper"),
                ("--soft", "--band"),
                ("--soft", "--band-other"),
            ];
            for (text, paper) in words {
                let contrast = contrast(colour(text), colour(paper));
                assert!(contrast >= 4.5, "{text} on {paper}, dark: {is_dark}: {contrast}");
            }
            for number in 0..8 {
                for paper in ["--paper", "--band", "--band-other"] {
                    let contrast = contrast(colour(&format!("--s{number}")), colour(paper));
                    assert!(contrast >= 3.0, "line {number} on {paper}, dark: {is_dark}: {contrast}");
                }
            }
        }
    }

    #[test]
    fn times_are_written_for_people_if_they_are_times() {
        assert_eq!(moment("2026-01-02T03:04:05.678Z"), "2026-01-02 03:04:05 UTC");
        assert_eq!(moment("2026-01-02T03:04:05Z"), "2026-01-02 03:04:05 UTC");
        assert_eq!(moment("unknown"), "unknown");
    }
}
