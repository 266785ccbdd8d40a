//! Reports to show and to compare.

use std::collections::BTreeMap;
use std::time::Duration;

use statlas_lab::{
    Audit, Better, Bound, Bytes, Done, Environment, Figure, Kind, Latencies, Line, Loaded, NamedSpan,
    Operation, Plot, Progress, Rate, Report, Run, SCHEMA, Second, Span, StoreFigures, Unit, Usage, Verdict,
    Watcher, Workload, run_workload,
};

/// A machine that figures mean something on.
pub(crate) fn environment() -> Environment {
    Environment {
        version: "0.1.0".to_owned(),
        commit: "0123456789abcdef".to_owned(),
        is_optimised: true,
        processor: "some processor".to_owned(),
        cores: 2,
        memory_bytes: 8 << 30,
        memory_limit_bytes: None,
        system: "some system".to_owned(),
        governor: "performance".to_owned(),
        file_system: "ext4 (rw)".to_owned(),
        device: "some device".to_owned(),
        load_average: "0.10 0.20 0.30".to_owned(),
        clock_seconds: 25e-9,
        sync_seconds: Some(4e-4),
    }
}

/// A report about nothing.
pub(crate) fn empty() -> Report {
    Report {
        schema: SCHEMA,
        kind: Kind::Stress,
        title: "a sample".to_owned(),
        command: "statlas stress --quick".to_owned(),
        parameters: BTreeMap::new(),
        seed: 42,
        begun: "2026-01-02T03:04:05.678Z".to_owned(),
        seconds: 12.5,
        environment: environment(),
        figures: Vec::new(),
        runs: Vec::new(),
        plots: Vec::new(),
        notes: Vec::new(),
    }
}

/// A figure on an engine; less is better.
pub(crate) fn figure(id: &str, engine: Option<&str>, samples: &[f64]) -> Figure {
    Figure {
        id: id.to_owned(),
        section: "Lookups".to_owned(),
        name: format!("lookup {id}"),
        engine: engine.map(str::to_owned),
        unit: Unit::Seconds,
        samples: samples.to_vec(),
        better: Better::Lower,
        published: None,
        bound: None,
        definition: "How it was measured.".to_owned(),
    }
}

/// Latencies from one microsecond on, each a microsecond longer, times a factor.
pub(crate) fn latencies(count: u32, factor: f64) -> Latencies {
    let mut latencies = Latencies::new();
    for number in 1..=count {
        latencies.record(Duration::from_secs_f64(f64::from(number) * 1e-6 * factor));
    }
    latencies
}

pub(crate) fn done(operation: Operation, count: u32, factor: f64) -> Done {
    Done {
        operation,
        latencies: latencies(count, factor),
        failures: 0,
        failure_messages: Vec::new(),
        retries: 0,
        wrong: 0,
        wrong_messages: Vec::new(),
    }
}

/// A run that is as it must be: lookups and durable writes for ten seconds.
pub(crate) fn sound_run(engine: &str, factor: f64) -> Run {
    let usage = |second: u32| Usage {
        resident_bytes: (100 << 20) + (u64::from(second) << 20),
        anonymous_bytes: 50 << 20,
        cpu_seconds: f64::from(second) * 0.7,
        read_bytes: 0,
        written_bytes: u64::from(second) * 12_345,
        major_faults: 0,
    };
    let second = |second| Second {
        second,
        operations: 1000 + u64::from(second),
        p50: Some(1e-5 * factor),
        p99: Some(1e-4 * factor),
        max: Some(1e-3 * factor),
        usage: Some(usage(second)),
        cache_hits: Some(90),
        cache_misses: Some(10),
    };
    Run {
        workload: Workload::shipped("mixed").expect("it is shipped"),
        engine: engine.to_owned(),
        seconds: 10.0,
        operations: vec![done(Operation::Get, 20_000, factor), done(Operation::Put, 400, factor)],
        harness_share: None,
        lateness: Some(latencies(20_400, 0.1)),
        series: (0..=10).map(second).collect(),
        loaded: Some(Loaded { entities: 100_000, seconds: 1.25, ..Loaded::default() }),
        audit: Some(Audit { entities: 100_400, is_reopened: true, ..Audit::default() }),
        syncs: Some(320),
        store: Some(StoreFigures { entities: 100_400, disk_bytes: 30 << 20, ..StoreFigures::default() }),
        thresholds: Vec::new(),
        is_interrupted: false,
    }
}

/// A report with something of everything, on two engines; two of its requirements are not met.
pub(crate) fn full() -> Report {
    let mut report = empty();
    for (engine, factor) in [("memory", 1.0), ("disk", 3.5)] {
        report.figures.push(Figure {
            published: Some("0.4 to 0.8 us, of 100 queries".to_owned()),
            bound: Some(Bound::AtMost(3e-6)),
            ..figure("1.2.get.p50", Some(engine), &[1e-6 * factor, 1.1e-6 * factor, 0.9e-6 * factor])
        });
    }
    report.figures.push(Figure {
        section: "Tokens".to_owned(),
        unit: Unit::PerSecond,
        better: Better::Higher,
        bound: Some(Bound::AtLeast(1e6)),
        ..figure("2.1.create", None, &[])
    });
    report.runs = vec![sound_run("memory", 1.0), sound_run("disk", 3.0)];
    report.runs[0].syncs = None;
    report.plots = vec![Plot {
        title: "Latency under pressure".to_owned(),
        x_name: "time".to_owned(),
        x_unit: Unit::Seconds,
        y_name: "latency".to_owned(),
        y_unit: Unit::Seconds,
        is_logarithmic: true,
        lines: vec![
            Line { name: "p50".to_owned(), points: vec![(0.0, Some(1e-6)), (1.0, None), (2.0, Some(4e-6))] },
            Line {
                name: "p99".to_owned(),
                points: vec![(0.0, Some(1e-4)), (1.0, Some(2e-3)), (2.5, Some(4e-2))],
            },
        ],
        spans: vec![NamedSpan { name: "baseline".to_owned(), from: 0.0, to: 1.0 }],
    }];
    report.notes = vec!["A note about 17 things.".to_owned()];
    report.parameters.insert("sizes".to_owned(), "10000, 100000".to_owned());
    assert_eq!(report.verdict(), Verdict::Fail);
    report
}

/// A report of a workload that is really run, for a short time.
pub(crate) fn really_run(name: &str, engine: &str) -> Report {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let mut workload = Workload::shipped(name).expect("it is shipped");
    workload.store.engine = engine.to_owned();
    let data = &mut workload.data;
    (data.entities, data.records, data.files) =
        (data.entities.min(500), data.records.min(500), data.files.min(20));
    data.record_bytes = Bytes(data.record_bytes.0.min(100));
    workload.load.duration = Some(Span(Duration::from_millis(2200)));
    workload.load.warm_up = Span(Duration::from_millis(50));
    workload.load.rate = workload.load.rate.map(|_| Rate(500.0));
    workload.thresholds.clear();
    let mut watcher = Watcher { goes_on: &|| true, progress: &mut |_, _: Progress| {} };
    let run = run_workload(&workload, folder.path(), &mut watcher).expect("it can be run");
    let environment = Environment::of(folder.path());
    Report { kind: Kind::Workload, title: name.to_owned(), runs: vec![run], environment, ..empty() }
}
