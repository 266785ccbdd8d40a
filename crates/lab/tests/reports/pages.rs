//! Reports as pages.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use roxmltree::{Document, Node, ParsingOptions};
use statlas_lab::{Figure, Line, NamedSpan, Plot, Report, Unit, html, text};

use crate::sample::{self, figure};

/// What is done with the elements of a page that has been read as strict XML.
fn with_page<T>(report: &Report, look: impl FnOnce(&Document<'_>) -> T) -> T {
    let page = html(report);
    let options = ParsingOptions { allow_dtd: true, ..ParsingOptions::default() };
    let document = Document::parse_with_options(&page, options).expect("a page is well-formed");
    look(&document)
}

/// All text of a page but its style sheet.
fn words(document: &Document<'_>) -> String {
    let is_shown = |node: &Node<'_, '_>| !node.ancestors().any(|parent| parent.has_tag_name("style"));
    let texts = document.descendants().filter(Node::is_text).filter(is_shown).filter_map(|node| node.text());
    texts.collect::<Vec<_>>().join(" ")
}

fn elements<'a>(document: &'a Document<'_>, name: &'static str) -> impl Iterator<Item = Node<'a, 'a>> {
    document.descendants().filter(move |node| node.has_tag_name(name))
}

/// Made once, because some are really run.
static REPORTS: LazyLock<[Report; 4]> = LazyLock::new(|| {
    [
        sample::empty(),
        sample::full(),
        sample::really_run("mixed", "memory:"),
        sample::really_run("churn", "disk:"),
    ]
});

#[test]
fn a_page_fetches_nothing_and_executes_nothing() {
    for report in &*REPORTS {
        with_page(report, |page| {
            for node in page.descendants().filter(Node::is_element) {
                let name = node.tag_name().name();
                let foreign = [
                    "script", "link", "img", "iframe", "object", "embed", "video", "audio", "use", "image",
                    "base",
                ];
                assert!(!foreign.contains(&name), "{name}");
                for attribute in node.attributes() {
                    let (name, value) = (attribute.name(), attribute.value());
                    assert!(!name.starts_with("on") && name != "src" && name != "style", "{name}={value}");
                    assert!(!value.contains("//") && !value.contains("url("), "{name}={value}");
                    assert!(name != "href" || value.starts_with('#'), "{value}");
                }
            }
            let style: String = elements(page, "style").filter_map(|node| node.text()).collect();
            assert!(style.contains("prefers-color-scheme: dark") && style.contains("@media print"));
            assert!(!style.contains("url(") && !style.contains("@import") && !style.contains("//"));
        });
    }
}

#[test]
fn every_link_leads_somewhere_and_every_plot_has_words_and_values() {
    for report in &*REPORTS {
        with_page(report, |page| {
            let ids: Vec<&str> = page.descendants().filter_map(|node| node.attribute("id")).collect();
            let unique: BTreeSet<&str> = ids.iter().copied().collect();
            assert_eq!(ids.len(), unique.len(), "an id stands twice");
            for link in elements(page, "a").filter_map(|node| node.attribute("href")) {
                assert!(unique.contains(&link[1..]), "{link}");
            }
            for svg in elements(page, "svg").filter(|svg| svg.attribute("class") == Some("plot")) {
                let named = svg.attribute("aria-labelledby").expect("a plot has a name");
                assert!(named.split(' ').all(|id| unique.contains(id)), "{named}");
                let texts =
                    svg.children().filter(|node| node.has_tag_name("title") || node.has_tag_name("desc"));
                assert!(texts.filter_map(|node| node.text()).filter(|text| !text.is_empty()).count() == 2);
            }
            let tables =
                elements(page, "details").filter(|node| node.attribute("class") == Some("values")).count();
            // Of each run its percentiles and its course, and of each plot its values.
            assert_eq!(tables, report.runs.len() * 2 + report.plots.len());
            for table in elements(page, "table") {
                let parent = table.parent().and_then(|parent| parent.attribute("class"));
                assert_eq!(parent, Some("scroll"), "a wide table scrolls in itself");
            }
        });
    }
}

#[test]
fn every_figure_of_the_text_is_on_the_page() {
    let units = ["ns", "us", "ms", "s", "B", "KiB", "MiB", "GiB", "K/s", "M/s", "%", "times"];
    for report in &*REPORTS {
        let page = with_page(report, words).split_whitespace().collect::<Vec<_>>().join(" ");
        // Without lines that go on: everything stands next to what it belongs to.
        let text = text(report, 1000);
        let tokens: Vec<&str> = text.split_whitespace().collect();
        let mut figures = 0;
        for (at, token) in tokens.iter().enumerate() {
            let number = token.trim_matches(|c: char| "(),.;:".contains(c));
            if !number.starts_with(|c: char| c.is_ascii_digit()) {
                continue;
            }
            let unit = tokens.get(at + 1).map(|unit| unit.trim_matches(|c: char| "(),.;:".contains(c)));
            let figure = match unit {
                Some(unit) if units.contains(&unit) => format!("{number} {unit}"),
                _ => number.to_owned(),
            };
            assert!(page.contains(&figure), "{figure} is in the text and not on the page");
            figures += 1;
        }
        assert!(figures > 5, "{text}");
    }
}

#[test]
fn no_text_of_a_report_becomes_markup() {
    let evil = "<img src=x onerror=\"a('&')\"/>]]><!--\u{0}\u{1b}\u{202e}";
    let shown = "<img src=x onerror=\"a('&')\"/>]]><!--\u{fffd}\u{fffd}\u{fffd}";
    let text = || evil.to_owned();
    let mut report = sample::full();
    (report.title, report.command, report.begun) = (text(), text(), text());
    report.notes = vec![text()];
    report.parameters.insert(text(), text());
    let environment = &mut report.environment;
    for field in [
        &mut environment.version,
        &mut environment.commit,
        &mut environment.processor,
        &mut environment.system,
        &mut environment.governor,
        &mut environment.file_system,
        &mut environment.device,
        &mut environment.load_average,
    ] {
        *field = text();
    }
    for figure in &mut report.figures {
        let published = figure.published.as_ref().map(|_| text());
        *figure = Figure {
            id: text(),
            section: text(),
            name: text(),
            engine: figure.engine.as_ref().map(|engine| format!("{engine}{evil}")),
            published,
            definition: text(),
            ..figure.clone()
        };
    }
    for run in &mut report.runs {
        run.engine = text();
        (run.workload.name, run.workload.description) = (text(), text());
        let done = &mut run.operations[0];
        (done.failures, done.failure_messages) = (1, vec![text()]);
        (done.wrong, done.wrong_messages) = (1, vec![text()]);
        let audit = run.audit.as_mut().expect("it has one");
        (audit.problems, audit.messages) = (1, vec![text()]);
    }
    let plot = &mut report.plots[0];
    (plot.title, plot.x_name, plot.y_name) = (text(), text(), text());
    (plot.lines[0].name, plot.spans[0].name) = (text(), text());
    with_page(&report, |page| {
        assert_eq!(elements(page, "img").count(), 0);
        assert!(page.descendants().all(|node| !node.is_comment()));
        let times = words(page).matches(shown).count();
        assert!(times > 60, "{times}");
    });
    // Neither does it do anything to a terminal.
    let shown = statlas_lab::text(&report, 100);
    assert!(shown.contains("<img src=x") && !shown.contains(['\u{0}', '\u{1b}', '\u{202e}']));
}

/// A plot of points.
fn plot(points: Vec<(f64, Option<f64>)>, unit: Unit, is_logarithmic: bool) -> Plot {
    Plot {
        title: "odd".to_owned(),
        x_name: "x".to_owned(),
        x_unit: Unit::Seconds,
        y_name: "y".to_owned(),
        y_unit: unit,
        is_logarithmic,
        lines: vec![Line { name: "line".to_owned(), points }],
        spans: vec![NamedSpan { name: "span".to_owned(), from: f64::NAN, to: f64::INFINITY }],
    }
}

#[test]
fn whatever_was_measured_can_be_shown() {
    let odd = [
        0.0,
        -0.0,
        -1.0,
        1e-320,
        5e-324,
        1e300,
        f64::MAX,
        f64::MIN,
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
    ];
    let units = [
        Unit::Seconds,
        Unit::PerSecond,
        Unit::Bytes,
        Unit::BytesPerSecond,
        Unit::Count,
        Unit::Times,
        Unit::Share,
    ];
    let mut report = sample::full();
    report.plots = vec![];
    for unit in units {
        for is_logarithmic in [false, true] {
            report.plots.push(plot(vec![], unit, is_logarithmic));
            report.plots.push(plot(vec![(0.0, None)], unit, is_logarithmic));
            report.plots.push(plot(vec![(5.0, Some(5.0))], unit, is_logarithmic));
            report.plots.push(plot(odd.map(|value| (1.0, Some(value))).to_vec(), unit, is_logarithmic));
            report.plots.push(plot(odd.map(|value| (value, Some(value))).to_vec(), unit, is_logarithmic));
        }
        for (number, value) in odd.into_iter().enumerate() {
            for engine in ["memory", "disk"] {
                let id = format!("{unit:?} {number}");
                report.figures.push(Figure { unit, ..figure(&id, Some(engine), &[value, value]) });
                report
                    .figures
                    .push(Figure { unit, ..figure(&format!("{id} of one"), Some(engine), &[value]) });
            }
        }
    }
    for (run, value) in report.runs.iter_mut().zip([f64::NAN, f64::MAX]) {
        (run.seconds, run.harness_share) = (value, Some(value));
        for second in &mut run.series {
            (second.p50, second.p99, second.max) = (None, Some(value), Some(0.0));
            second.usage = second.usage.map(|usage| statlas_lab::Usage { cpu_seconds: value, ..usage });
        }
    }
    report.runs.push(sample::sound_run("memory", 0.0));
    report.runs.push(statlas_lab::Run {
        operations: vec![],
        series: vec![],
        ..sample::sound_run("memory", 1.0)
    });
    report.runs.push(statlas_lab::Run { seconds: 0.0, audit: None, ..sample::sound_run("memory", 1.0) });
    with_page(&report, |page| {
        let numeric = ["d", "x", "y", "x1", "x2", "y1", "y2", "cx", "cy", "width", "height"];
        for node in page.descendants().filter(Node::is_element) {
            for attribute in node.attributes().filter(|attribute| numeric.contains(&attribute.name())) {
                let value = attribute.value();
                assert!(!value.contains("NaN") && !value.contains("inf"), "{}={value}", attribute.name());
                assert!(value.len() < 50 || attribute.name() == "d", "{}={value}", attribute.name());
            }
        }
        assert!(words(page).contains("Nothing was measured that could be drawn."));
    });
    assert!(text(&report, 80).starts_with("FAIL"));
}

#[test]
fn the_verdict_comes_first_with_what_failed_and_by_how_much() {
    with_page(&sample::full(), |page| {
        let words = words(page);
        let verdict = words.find("Failed").expect("it says so");
        assert!(verdict < words.find("Figures").expect("there are some"));
        assert!(
            words.contains("3.50 us was measured, at most 3.00 us is allowed: 16.7 % above the bound."),
            "{words}"
        );
        assert!(words.contains("it could not be measured, so it fails"), "{words}");
        assert!(words.contains("Published before") && words.contains("How it was measured."));
    });
    let mut report = sample::empty();
    report.runs.push(sample::sound_run("disk", 1.0));
    with_page(&report, |page| assert!(words(page).contains("Passed All 2 requirements are met.")));
    report.environment.is_optimised = false;
    with_page(&report, |page| assert!(words(page).contains("built without optimisation")));
    // Nothing that nobody asked for is praised.
    with_page(&sample::empty(), |page| {
        let words = words(page);
        assert!(words.contains("No verdict") && !words.contains("Passed"), "{words}");
    });
}

#[test]
fn plots_show_what_lasted_a_second() {
    let mut report = sample::empty();
    report.runs.push(sample::sound_run("disk", 1.0));
    // The eleventh second ended with the run, and has no place in its course.
    with_page(&report, |page| {
        let words = words(page);
        assert!(words.contains("operations: 1.01 K/s at 9 s") && !words.contains("at 10 s"), "{words}");
        assert!(
            words.contains("in use: 35.0 % at 0") && words.contains("written: 12.1 KiB/s at 0"),
            "{words}"
        );
        assert!(words.contains("hits: 90.0 % at 0"), "{words}");
    });
    report.runs[0].seconds = 1.5;
    with_page(&report, |page| assert!(words(page).contains("shorter than two whole seconds")));
}
