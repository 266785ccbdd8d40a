//! Runs of workloads: what came out, and its course over time.

use crate::latencies::Latencies;
use crate::quantity::Unit;
use crate::report::Report;
use crate::report::html::graph::{Across, Graph, values};
use crate::report::html::markup::{Escaped, Page};
use crate::report::layout::optional;
use crate::report::scale::nines_of;
use crate::report::sentences::{self, count, run_name};
use crate::report::svg::Trace;
use crate::report::text::{messages, operation_columns, operation_rows};
use crate::run::{Done, Run, Second};

/// Runs of a report with more are shut at first.
const RUNS_OPEN_MAX: usize = 2;

/// What matters most of the runs, before everything else.
pub(crate) fn glance(report: &Report, page: &mut Page) {
    match &report.runs[..] {
        [] => {}
        [run] => tiles(run, page),
        runs => {
            page.put(format_args!("<section><h2>The runs at a glance</h2>"));
            page.put(format_args!(
                "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"The runs at a glance\">\
                 <table class=\"numbers\"><thead><tr><th scope=\"col\">Run</th><th scope=\"col\">Rate</th>\
                 <th scope=\"col\">Most often</th><th scope=\"col\">its p50</th><th scope=\"col\">its p99</th>\
                 <th scope=\"col\">Failed or wrong</th><th scope=\"col\">Lost</th><th scope=\"col\">Verdict</th>\
                 </tr></thead><tbody>"
            ));
            for (at, run) in runs.iter().enumerate() {
                glance_row(report, at, run, page);
            }
            page.put(format_args!("</tbody></table></div></section>"));
        }
    }
}

fn glance_row(report: &Report, at: usize, run: &Run, page: &mut Page) {
    let main = mostly(run);
    let latency = |share| optional(Unit::Seconds, main.and_then(|done| done.latencies.percentile(share)));
    let lost = run.audit.as_ref().map_or_else(|| "-".to_owned(), |audit| count(audit.problems));
    page.put(format_args!(
        "<tr><th scope=\"row\"><a href=\"#run{at}\">{}</a></th><td>{}</td><td>{}</td><td>{}</td><td>{}</td>\
         <td>{}</td>\
         <td>{}</td><td>",
        Escaped(&run_name(report, at)),
        optional(Unit::PerSecond, Some(run.throughput())),
        main.map_or("-", |done| done.operation.name()),
        latency(0.5),
        latency(0.99),
        count(run.failures()),
        lost
    ));
    page.verdict(run.verdict());
    page.put(format_args!("</td></tr>"));
}

/// The operation that was done most often.
fn mostly(run: &Run) -> Option<&Done> {
    run.operations.iter().max_by_key(|done| done.latencies.count())
}

fn tiles(run: &Run, page: &mut Page) {
    let mut tiles =
        vec![(optional(Unit::PerSecond, Some(run.throughput())), "operations a second".to_owned())];
    if let Some(done) = mostly(run) {
        let name = done.operation.name();
        tiles.push((optional(Unit::Seconds, done.latencies.percentile(0.5)), format!("median of {name}")));
        tiles.push((optional(Unit::Seconds, done.latencies.percentile(0.99)), format!("p99 of {name}")));
    }
    if let Some(audit) = &run.audit {
        let all = audit.entities + audit.removed + audit.records + audit.files;
        tiles.push((
            format!("{} of {}", count(audit.problems), count(all)),
            "lost or changed afterwards".to_owned(),
        ));
    }
    page.put(format_args!("<dl class=\"tiles\">"));
    for (value, name) in tiles {
        page.put(format_args!("<div><dt>{}</dt><dd>{}</dd></div>", Escaped(&name), Escaped(&value)));
    }
    page.put(format_args!("</dl>"));
}

/// All runs of a report.
pub(crate) fn runs(report: &Report, page: &mut Page) {
    if report.runs.is_empty() {
        return;
    }
    page.put(format_args!("<section id=\"runs\"><h2>Runs</h2>"));
    let open = if report.runs.len() <= RUNS_OPEN_MAX { " open=\"open\"" } else { "" };
    for (at, run) in report.runs.iter().enumerate() {
        page.put(format_args!(
            "<details class=\"run\" id=\"run{at}\"{open}><summary><h3>{}</h3> <span class=\"soft\">{}</span> ",
            Escaped(&run_name(report, at)),
            optional(Unit::PerSecond, Some(run.throughput()))
        ));
        page.verdict(run.verdict());
        page.put(format_args!("</summary><p>{}</p>", Escaped(&run.workload.description)));
        self::run(report, run, page);
        page.put(format_args!("</details>"));
    }
    page.put(format_args!("</section>"));
}

fn run(report: &Report, run: &Run, page: &mut Page) {
    let rows = operation_rows(run);
    let is_anything_hidden = rows.iter().flatten().any(|cell| cell == "-");
    page.numbers("Operations", &operation_columns(), &rows);
    if is_anything_hidden {
        page.put(format_args!(
            "<p class=\"soft\">-: too few operations lie above it to say (10 are needed)</p>"
        ));
    }
    thresholds(run, page);
    page.pairs(sentences::facts(run, &report.environment));
    let messages = messages(run);
    if !messages.is_empty() {
        page.put(format_args!("<ul class=\"messages\">"));
        for message in messages {
            page.put(format_args!("<li>{}</li>", Escaped(&message)));
        }
        page.put(format_args!("</ul>"));
    }
    percentiles(run, page);
    course(report, run, page);
}

fn thresholds(run: &Run, page: &mut Page) {
    if run.thresholds.is_empty() {
        return;
    }
    page.put(format_args!(
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Thresholds\">\
         <table class=\"numbers few\"><thead><tr><th scope=\"col\">Threshold</th><th scope=\"col\">Found</th>\
         <th scope=\"col\">Must be</th><th scope=\"col\">Verdict</th></tr></thead><tbody>"
    ));
    for judged in &run.thresholds {
        page.put(format_args!(
            "<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td><td>",
            Escaped(&judged.metric),
            optional(judged.unit, judged.found),
            Escaped(&judged.bound.format(judged.unit))
        ));
        page.verdict(judged.verdict);
        page.put(format_args!("</td></tr>"));
    }
    page.put(format_args!("</tbody></table></div>"));
}

fn percentiles(run: &Run, page: &mut Page) {
    let trace = |name: String, latencies: &Latencies| {
        let points = latencies.curve().into_iter().map(|(share, value)| (nines_of(share), Some(value)));
        Trace { name, points: points.collect() }
    };
    let of_operations = run.operations.iter().map(|done| trace(done.operation.to_string(), &done.latencies));
    let of_lateness = run.lateness.iter().map(|late| trace("how late they began".to_owned(), late));
    let traces: Vec<Trace> =
        of_operations.chain(of_lateness).filter(|trace| !trace.points.is_empty()).collect();
    let graph = Graph {
        title: "Latency by percentile",
        caption: "What a share of the operations did not exceed, as far as ten lie above it; each nine is as wide as \
                  the one before, and the vertical axis is logarithmic"
            .to_owned(),
        across: Across::Nines,
        unit: Unit::Seconds,
        is_logarithmic: true,
        is_large: true,
        traces,
        spans: &[],
    };
    page.put(format_args!("<div class=\"large\">"));
    graph.put(page);
    graph.values("Share", page);
    page.put(format_args!("</div>"));
}

/// Seconds that lasted: the last one of a run may have ended with it.
fn whole_seconds(run: &Run) -> &[Second] {
    let whole = run.series.iter().take_while(|second| f64::from(second.second) + 1.0 <= run.seconds + 0.05);
    &run.series[..whole.count()]
}

fn course(report: &Report, run: &Run, page: &mut Page) {
    let seconds = whole_seconds(run);
    if seconds.len() < 2 {
        page.put(format_args!(
            "<p class=\"soft\">It has no course over time: it was shorter than two whole seconds.</p>"
        ));
        return;
    }
    let course = Course { seconds, series: &run.series, cores: report.environment.cores };
    page.put(format_args!("<div class=\"panels\">"));
    for graph in course.graphs() {
        graph.put(page);
    }
    page.put(format_args!("</div>"));
    course.values(page);
}

/// What was seen in each second.
struct Course<'a> {
    /// Those that lasted.
    seconds: &'a [Second],
    /// All, whose beginnings are the ends of those.
    series: &'a [Second],
    cores: usize,
}

impl Course<'_> {
    /// What a second used: its beginning, and that of the one behind it, are known.
    fn used(&self, at: usize, of: impl Fn(&crate::process::Usage) -> f64) -> Option<f64> {
        let (this, next) = (self.series.get(at)?, self.series.get(at + 1)?);
        let length = f64::from(next.second.checked_sub(this.second)?);
        let used = of(next.usage.as_ref()?) - of(this.usage.as_ref()?);
        (length > 0.0).then(|| used / length)
    }

    /// The share of the lookups in a second that the cache answered. They are counted where the next one begins.
    fn hits(&self, at: usize) -> Option<f64> {
        let next = self.series.get(at + 1)?;
        let (hits, misses) = (next.cache_hits? as f64, next.cache_misses? as f64);
        (hits + misses > 0.0).then(|| hits / (hits + misses))
    }

    fn trace(&self, name: &str, of: impl Fn(usize, &Second) -> Option<f64>) -> Trace {
        let points =
            self.seconds.iter().enumerate().map(|(at, second)| (f64::from(second.second), of(at, second)));
        Trace { name: name.to_owned(), points: points.collect() }
    }

    fn graphs(&self) -> Vec<Graph<'static>> {
        let graph = |title, caption: &str, unit, is_logarithmic, traces: Vec<Trace>| Graph {
            title,
            caption: caption.to_owned(),
            across: Across::Of(Unit::Seconds),
            unit,
            is_logarithmic,
            is_large: false,
            traces: traces.into_iter().filter(|trace| trace.values().next().is_some()).collect(),
            spans: &[],
        };
        let processors = format!("Share of the {} in use", sentences::plural(self.cores, "core"));
        let all = vec![
            graph(
                "Throughput",
                "Operations that ended in each second",
                Unit::PerSecond,
                false,
                vec![self.trace("operations", |_, second| Some(second.operations as f64))],
            ),
            graph(
                "Latency",
                "In each second, logarithmic axis",
                Unit::Seconds,
                true,
                vec![
                    self.trace("p50", |_, second| second.p50),
                    self.trace("p99", |_, second| second.p99),
                    self.trace("max", |_, second| second.max),
                ],
            ),
            graph(
                "Memory",
                "Of the process, the laboratory in it",
                Unit::Bytes,
                false,
                vec![
                    self.trace("resident", |_, second| Some(second.usage?.resident_bytes as f64)),
                    self.trace("without pages of files", |_, second| {
                        Some(second.usage?.anonymous_bytes as f64)
                    }),
                ],
            ),
            graph(
                "Processors",
                &processors,
                Unit::Share,
                false,
                vec![self.trace("in use", |at, _| {
                    Some(self.used(at, |usage| usage.cpu_seconds)? / self.cores.max(1) as f64)
                })],
            ),
            graph(
                "Devices",
                "Bytes that the process read and wrote",
                Unit::BytesPerSecond,
                false,
                vec![
                    self.trace("read", |at, _| self.used(at, |usage| usage.read_bytes as f64)),
                    self.trace("written", |at, _| self.used(at, |usage| usage.written_bytes as f64)),
                ],
            ),
            graph(
                "Cache hits",
                "Share of the lookups that the store's cache answered",
                Unit::Share,
                false,
                vec![self.trace("hits", |at, _| self.hits(at))],
            ),
        ];
        // What was not seen at all has no plot.
        all.into_iter().filter(|graph| !graph.traces.is_empty()).collect()
    }

    fn values(&self, page: &mut Page) {
        let graphs = self.graphs();
        let columns: Vec<(String, Unit, &Trace)> = graphs
            .iter()
            .flat_map(|graph| {
                graph.traces.iter().map(move |trace| {
                    let title = graph.title.to_lowercase();
                    let name =
                        if graph.traces.len() > 1 { format!("{title}: {}", trace.name) } else { title };
                    (name, graph.unit, trace)
                })
            })
            .collect();
        let names = ["second".to_owned()].into_iter().chain(columns.iter().map(|(name, ..)| name.clone()));
        let row = |at: usize| {
            let second = self.seconds[at].second.to_string();
            let cells = columns.iter().map(|(_, unit, trace)| optional(*unit, trace.points[at].1));
            [second].into_iter().chain(cells).collect()
        };
        let rows = (0..self.seconds.len()).map(row).collect();
        values("The course over time", &names.collect::<Vec<_>>(), rows, page);
    }
}
