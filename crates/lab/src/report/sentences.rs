//! What a report says in words, the same on a terminal and on a page.

use crate::audit::Audit;
use crate::distribution::Distribution;
use crate::environment::Environment;
use crate::operation::Operation;
use crate::quantity::Unit;
use crate::report::layout::{beyond, optional};
use crate::report::{Kind, Report};
use crate::run::{Loaded, Run, StoreFigures};
use crate::schedule::Arrival;
use crate::threshold::{Bound, Verdict};
use crate::workload::{Rate, Workload};
use statlas_store::Durability;

/// Below this share of what was asked for a rate counts as not reached.
const RATE_REACHED: f64 = 0.99;

/// Something that must be so.
#[derive(Debug, PartialEq)]
pub(crate) struct Check {
    pub(crate) what: String,
    pub(crate) verdict: Verdict,
    /// What was found, and what is allowed.
    pub(crate) found: String,
}

/// Everything that must be so for a report to pass.
pub(crate) fn checks(report: &Report) -> Vec<Check> {
    let mut checks = Vec::new();
    for figure in &report.figures {
        let Some(bound) = figure.bound else { continue };
        let on = figure.engine.as_ref().map_or_else(String::new, |engine| format!(" on {engine}"));
        checks.push(against(bound, figure.unit, figure.value(), format!("{}{on}", figure.name)));
    }
    for (at, run) in report.runs.iter().enumerate() {
        let name = run_name(report, at);
        for judged in &run.thresholds {
            let mut check =
                against(judged.bound, judged.unit, judged.found, format!("{} of {name}", judged.metric));
            check.verdict = judged.verdict;
            checks.push(check);
        }
        checks.push(Check {
            what: format!("operations of {name}"),
            verdict: Verdict::of(run.failures() == 0),
            found: failures(run),
        });
        checks.push(Check {
            what: format!("data behind {name}"),
            verdict: Verdict::of(run.audit.as_ref().is_some_and(|audit| audit.problems == 0)),
            found: audit(run.audit.as_ref()),
        });
        if run.is_interrupted {
            let found = "it was ended before its end.".to_owned();
            checks.push(Check { what: name, verdict: Verdict::Fail, found });
        }
    }
    checks
}

fn against(bound: Bound, unit: Unit, found: Option<f64>, what: String) -> Check {
    let allowed = bound.format(unit);
    let found_text = match found {
        None => format!("it could not be measured, so it fails; {allowed} is allowed."),
        Some(found) => {
            let by = beyond(bound, found);
            let by = if by.is_empty() { by } else { format!(": {by}") };
            format!("{} was measured, {allowed} is allowed{by}.", optional(unit, Some(found)))
        }
    };
    Check { what, verdict: bound.judge(found), found: found_text }
}

/// The verdict in a word, and in a sentence.
pub(crate) fn headline(report: &Report) -> (&'static str, String) {
    let checks = checks(report);
    let failed = checks.iter().filter(|check| check.verdict == Verdict::Fail).count();
    match (failed, checks.len()) {
        _ if report.verdict() == Verdict::Fail => (
            "FAIL",
            format!("{failed} of {} {} not met.", plural(checks.len(), "requirement"), is_or_are(failed)),
        ),
        (_, 0) => ("NO VERDICT", "Nothing was required of these figures, so nothing could fail.".to_owned()),
        (_, 1) => ("PASS", "The one requirement is met.".to_owned()),
        (_, all) => ("PASS", format!("All {} are met.", plural(all, "requirement"))),
    }
}

/// What makes every figure doubtful; nothing if nothing does.
pub(crate) fn doubts(report: &Report) -> Vec<String> {
    let mut doubts = Vec::new();
    if !report.environment.is_optimised {
        doubts.push(
            "The program was built without optimisation: its figures say nothing of a release.".to_owned(),
        );
    }
    if report.environment.commit.contains("with changes") {
        doubts.push(
            "The program was built from files that differ from its commit: nobody else can build it."
                .to_owned(),
        );
    }
    doubts
}

/// The name of a run, with its number if others have the same.
pub(crate) fn run_name(report: &Report, at: usize) -> String {
    let run = &report.runs[at];
    let is_same = |other: &&Run| other.workload.name == run.workload.name && other.engine == run.engine;
    let all = report.runs.iter().filter(is_same).count();
    let name = format!("{} on {}", run.workload.name, run.engine);
    if all < 2 {
        return name;
    }
    let number = report.runs[..=at].iter().filter(is_same).count();
    format!("{name}, {number} of {all}")
}

/// What is to be said of a run besides its figures: what it is about, and a sentence.
pub(crate) fn facts(run: &Run, environment: &Environment) -> Vec<(&'static str, String)> {
    let mut facts = vec![("Load", load(run))];
    if let Some(loaded) = &run.loaded {
        facts.push(("Data", data(run, loaded)));
    }
    facts.push(("Operations", failures(run)));
    facts.push(("Audit", audit(run.audit.as_ref())));
    facts.push(("Durability", durability(run, environment)));
    if let Some(share) = run.harness_share {
        let share = Unit::Share.format(share);
        let text = format!(
            "{share} of the threads' time went into choosing keys and making what is stored, which lowers the \
             throughput by as much."
        );
        facts.push(("Harness", text));
    }
    if let Some(store) = &run.store {
        facts.push(("Store", store_figures(store)));
    }
    let cache = run
        .cache_hits()
        .map(|hits| format!("The store's cache answered {} of the lookups.", Unit::Share.format(hits)));
    let resident = run.resident_max().map(|most| {
        format!("The process, the laboratory in it, had at most {} resident.", Unit::Bytes.format(most))
    });
    let memory: Vec<String> = resident.into_iter().chain(cache).collect();
    if !memory.is_empty() {
        facts.push(("Memory", memory.join(" ")));
    }
    facts
}

fn load(run: &Run) -> String {
    let Workload { load, .. } = &run.workload;
    let threads = plural(load.threads, "thread");
    let length = Unit::Seconds.format(run.seconds);
    let warm_up = match load.warm_up.0.as_secs_f64() {
        warm_up if warm_up > 0.0 => format!(", behind a warm-up of {}", Unit::Seconds.format(warm_up)),
        _ => String::new(),
    };
    let Some(Rate(rate)) = load.rate else {
        return format!(
            "A closed loop of {threads} for {length}{warm_up}: each begins an operation when its last one has ended."
        );
    };
    let intervals = match load.arrival {
        Arrival::Constant => "at equal intervals",
        Arrival::Poisson => "at random intervals",
    };
    let mut text = format!(
        "An open loop of {threads} for {length}{warm_up}: {} were due {intervals}, and latencies count from when \
         they were due.",
        Unit::PerSecond.format(rate)
    );
    if let Some(reached) = run.rate_reached() {
        let share = Unit::Share.format(reached);
        text += &if reached < RATE_REACHED {
            format!(
                " The rate was not reached: {share} of it was, and latencies include the queue before the store."
            )
        } else {
            format!(" The rate was reached ({share} of it).")
        };
    }
    let late = run.lateness.as_ref().and_then(|late| Some((late.percentile(0.99)?, late.max()?)));
    if let Some((p99, most)) = late {
        text += &format!(
            " 99 of 100 operations began no more than {} late, none more than {}.",
            Unit::Seconds.format(p99),
            Unit::Seconds.format(most)
        );
    }
    text
}

fn data(run: &Run, loaded: &Loaded) -> String {
    let Loaded { entities, records, files, file_bytes, seconds } = *loaded;
    let files_text = format!("{} ({})", plural(files, "file"), Unit::Bytes.format(file_bytes as f64));
    let parts =
        [(entities, plural(entities, "entity")), (records, plural(records, "record")), (files, files_text)];
    let some = listed(parts.into_iter().filter(|(count, _)| *count > 0).map(|(_, text)| text));
    let keys = match run.workload.keys {
        Distribution::Uniform => "every key is asked for as often as any other".to_owned(),
        Distribution::Zipfian { theta } => format!("a few keys are asked for often (zipfian, theta {theta})"),
        Distribution::Latest { theta } => {
            format!("the newest keys are asked for most often (zipfian, theta {theta})")
        }
        Distribution::HotSet { keys, requests } => {
            let [keys, requests] = [keys, requests].map(|share| Unit::Share.format(share));
            format!("{keys} of the keys get {requests} of the requests")
        }
    };
    if some.is_empty() {
        return "Nothing was stored before it began.".to_owned();
    }
    let seconds = Unit::Seconds.format(seconds);
    format!("{some} were stored before it began, in {seconds}; {keys}. The seed is {}.", run.workload.seed)
}

fn failures(run: &Run) -> String {
    let sum = |of: fn(&crate::run::Done) -> u64| run.operations.iter().map(of).sum::<u64>();
    let done = sum(|done| done.latencies.count());
    let (failed, wrong, retries) =
        (sum(|done| done.failures), sum(|done| done.wrong), sum(|done| done.retries));
    let mut text = format!("{} were done", plural(done, "operation"));
    text += &if failed + wrong == 0 {
        "; none failed, and none gave a wrong answer.".to_owned()
    } else {
        format!("; {} failed, and {} gave a wrong answer.", count(failed), count(wrong))
    };
    if retries > 0 {
        let retries = plural(retries, "time");
        text += &format!(" {retries} one was begun again because another thread had changed a record first.");
    }
    text
}

fn audit(audit: Option<&Audit>) -> String {
    let Some(audit) = audit else {
        return "Nobody looked at the data afterwards, so the run fails.".to_owned();
    };
    let Audit { entities, removed, records, files, .. } = *audit;
    let parts = [
        (entities, plural(entities, "entity")),
        (removed, plural(removed, "removed entity")),
        (records, plural(records, "record")),
        (files, plural(files, "file")),
    ];
    let some = listed(parts.into_iter().filter(|(count, _)| *count > 0).map(|(_, text)| text));
    if some.is_empty() && audit.problems == 0 {
        return "Afterwards there was nothing to look at: nothing was acknowledged.".to_owned();
    }
    let when = if audit.is_reopened { " in the store that was closed and opened again" } else { "" };
    let mut text = format!("Afterwards {some} were looked at{when}: ");
    text += &match audit.problems {
        0 => "all is as it was acknowledged.".to_owned(),
        1 => "1 is not as it was acknowledged.".to_owned(),
        problems => format!("{} are not as they were acknowledged.", count(problems)),
    };
    if audit.failed_writes > 0 {
        let failed = plural(audit.failed_writes, "write");
        text += &format!(" {failed} failed: what they wrote may be there or not.");
    }
    text
}

/// What a level of durability means.
fn level(durability: Durability) -> (&'static str, &'static str) {
    match durability {
        Durability::Synced => ("synced", "acknowledged when the device has them; they survive a power cut"),
        Durability::Written => (
            "written",
            "acknowledged when the operating system has them; they survive a killed process, and no power cut",
        ),
        Durability::Buffered => {
            ("buffered", "acknowledged when other threads can see them; a killed process may lose them")
        }
    }
}

fn durability(run: &Run, environment: &Environment) -> String {
    let store = &run.workload.store;
    let (name, meaning) = level(store.durability);
    let writes = run.workload.operations().any(Operation::writes);
    let Some(syncs) = run.syncs else {
        let engine = &run.engine;
        let text = format!("The engine {engine} counts no syncs, whatever level was asked for ({name})");
        return text
            + if writes { ": no rate here is one of durable writes." } else { "; nothing was written." };
    };
    if !writes {
        return format!(
            "It wrote nothing while it ran. Commits that stored its data were {name}: {meaning}."
        );
    }
    let device = match environment.sync_seconds {
        Some(seconds) if seconds > 0.0 => format!(
            "One sync of 4 KiB was measured to take {} here, which is {} one after another.",
            Unit::Seconds.format(seconds),
            Unit::PerSecond.format(1.0 / seconds)
        ),
        _ => "What a sync of the device takes was not measured.".to_owned(),
    };
    let with_warm_up =
        if run.workload.load.warm_up.0.is_zero() { "" } else { ", those of the warm-up included" };
    let synced = format!("{}{with_warm_up}", plural(syncs, "sync"));
    let done = run.operations.iter().filter(|done| done.operation.writes());
    let commits: u64 = done.map(|done| done.latencies.count()).sum();
    let rate = if run.seconds > 0.0 { commits as f64 / run.seconds } else { 0.0 };
    let (commits, rate) = (plural(commits, "commit"), Unit::PerSecond.format(rate));
    let claim = match store.durability {
        Durability::Synced if syncs > 0 => format!("{rate} of them were durable: {commits} with {synced}."),
        Durability::Synced => {
            format!("The device was not synced once, so {rate} is no rate of durable writes.")
        }
        _ => format!("{rate} is no rate of durable writes: {commits} with {synced}."),
    };
    format!("Commits were {name}: {meaning}. {claim} {device}")
}

fn store_figures(store: &StoreFigures) -> String {
    let bytes = |bytes: u64| Unit::Bytes.format(bytes as f64);
    let parts = [
        (store.entities, plural(store.entities, "entity")),
        (store.records, plural(store.records, "record")),
        (store.blobs, plural(store.blobs, "blob")),
    ];
    let some = listed(parts.into_iter().filter(|(count, _)| *count > 0).map(|(_, text)| text));
    let some = if some.is_empty() { "nothing".to_owned() } else { some };
    let mut text = format!("Afterwards it had {some}");
    if store.disk_bytes > 0 {
        text += &format!(" in {} on disk", bytes(store.disk_bytes));
    }
    text += &match (store.memory_bytes, store.memory_bytes_max) {
        (0, _) => ".".to_owned(),
        (held, 0) => format!(", and {} of memory.", bytes(held)),
        (held, most) => format!(", and {} of the {} of memory that it may take.", bytes(held), bytes(most)),
    };
    text
}

/// What is known of the machine and the program, by name.
pub(crate) fn environment(environment: &Environment) -> Vec<(&'static str, String)> {
    let bytes = |bytes: u64| if bytes > 0 { Unit::Bytes.format(bytes as f64) } else { "unknown".to_owned() };
    let optimised = if environment.is_optimised { "with optimisation" } else { "WITHOUT optimisation" };
    let limit = environment.memory_limit_bytes;
    let sync = environment.sync_seconds.map_or_else(
        || "not measured".to_owned(),
        |seconds| format!("{} for 4 KiB behind the end of a file (median)", Unit::Seconds.format(seconds)),
    );
    vec![
        ("Program", format!("statlas {}, built {optimised}", environment.version)),
        ("Commit", environment.commit.clone()),
        ("Processor", format!("{}, {} of it", environment.processor, plural(environment.cores, "core"))),
        ("Memory", bytes(environment.memory_bytes)),
        ("Limit of memory", limit.map_or_else(|| "none".to_owned(), bytes)),
        ("System", environment.system.clone()),
        ("Governor", environment.governor.clone()),
        ("File system", environment.file_system.clone()),
        ("Device", environment.device.clone()),
        ("Sync of the device", sync),
        (
            "Look at the clock",
            format!("{}; each latency has one look in it", Unit::Seconds.format(environment.clock_seconds)),
        ),
        ("Load at the beginning", environment.load_average.clone()),
    ]
}

/// How to make the report again, by name.
pub(crate) fn repetition(report: &Report) -> Vec<(&str, String)> {
    let own = [
        ("Seed", report.seed.to_string()),
        ("Commit", report.environment.commit.clone()),
        ("Begun", format!("{} (UTC)", report.begun)),
        ("Took", Unit::Seconds.format(report.seconds)),
    ];
    let parameters = report.parameters.iter().map(|(name, value)| (name.as_str(), value.clone()));
    own.into_iter().chain(parameters).collect()
}

/// What made a report, in words.
pub(crate) fn kind_text(kind: Kind) -> &'static str {
    match kind {
        Kind::Workload => "Workload",
        Kind::Stress => "Stress test",
        Kind::Pressure => "Memory pressure",
        Kind::Plan => "Capacity plan",
        Kind::Breakdown => "Breakdown",
        Kind::Faults => "Fault campaign",
    }
}

/// What the words of a report mean.
pub(crate) const TERMS: [(&str, &str); 8] = [
    (
        "Percentile",
        "p99 is the latency that 99 of 100 operations did not exceed, p50 the median. One is shown only if at least \
         ten operations lie above it; with fewer it would be little more than chance, and a dash stands there.",
    ),
    (
        "Open loop",
        "Operations are due at times that are fixed before the run begins, and each latency counts from when its \
         operation was due. If the store stalls, those who had to wait are counted, as users would count it.",
    ),
    (
        "Closed loop",
        "Each thread begins an operation when its last one has ended. That measures how much can be done, but a \
         stall hides the operations that nobody began meanwhile: its latencies are those of the store alone.",
    ),
    (
        "Audit",
        "After a run everything that the store acknowledged is read and compared: hashes of entities and files, \
         revisions and values of records, and what was removed is gone. A store on disk is closed and opened again \
         before.",
    ),
    (
        "Harness share",
        "The part of the threads' time that the laboratory itself takes between operations. It is not in the \
         latencies, but a closed loop does fewer operations because of it.",
    ),
    (
        "Durability",
        "A commit that is synced survives a power cut, one that is written survives a killed process, and one that \
         is buffered may be lost by either. Commits of several threads may share one sync of the device.",
    ),
    (
        "Rounds",
        "What was measured several times has the median of its rounds as its value. Rounds that are 5 % apart have a \
         largest value that is 5 % above the smallest.",
    ),
    (
        "Verdict",
        "A report passes if every figure with a bound is within it, no operation failed or gave a wrong answer, and \
         every audit found all data. What could not be measured fails.",
    ),
];

fn is_or_are(count: usize) -> &'static str {
    if count == 1 { "is" } else { "are" }
}

pub(crate) fn count(number: u64) -> String {
    Unit::Count.format(number as f64)
}

/// A number of things, the name of which ends in `y` or takes an `s`.
pub(crate) fn plural(number: impl TryInto<u64>, name: &str) -> String {
    let number = number.try_into().unwrap_or(u64::MAX);
    let name = match name.strip_suffix('y') {
        _ if number == 1 => name.to_owned(),
        Some(stem) => format!("{stem}ies"),
        None => format!("{name}s"),
    };
    format!("{} {name}", count(number))
}

/// `a, b and c`
fn listed(parts: impl IntoIterator<Item = String>) -> String {
    let mut parts: Vec<String> = parts.into_iter().collect();
    match parts.pop() {
        Some(last) if !parts.is_empty() => format!("{} and {last}", parts.join(", ")),
        last => last.unwrap_or_default(),
    }
}
