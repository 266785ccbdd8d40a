//! Reports side by side.

use statlas_lab::{
    Better, Bytes, Change, CompareOptions, Comparison, Data, Error, Figure, Kind, Operation, Rate, Report,
    Unit, Verdict, compare,
};
use statlas_store::Durability;

use crate::sample::{self, done, figure, sound_run};

fn of(figures: Vec<Figure>) -> Report {
    Report { figures, ..sample::empty() }
}

fn compared(before: &Report, after: &Report) -> Comparison {
    compare(before, after, &CompareOptions::default()).expect("they can be compared")
}

fn change(before: &[f64], after: &[f64], better: Better, noise: f64) -> Change {
    let one = |samples| of(vec![Figure { better, ..figure("a", None, samples) }]);
    let options = CompareOptions { noise, ..CompareOptions::default() };
    let comparison = compare(&one(before), &one(after), &options).expect("they can be compared");
    let fails = comparison.rows[0].change == Change::Worse;
    assert_eq!(comparison.verdict, Verdict::of(!fails));
    comparison.rows[0].change
}

#[test]
fn nothing_became_worse_than_itself() {
    let report = sample::full();
    let comparison = compared(&report, &report);
    assert_eq!((comparison.verdict, comparison.warnings.len()), (Verdict::Pass, 0));
    assert!(comparison.rows.len() > 20);
    assert!(comparison.rows.iter().all(|row| row.change == Change::Same), "{:?}", comparison.rows);
    assert!(comparison.text(80).starts_with("PASS: of "), "{}", comparison.text(80));
}

#[test]
fn a_change_counts_beyond_the_noise_and_in_its_direction() {
    let cases = [
        (100.0, 109.0, Better::Lower, Change::Same),
        (100.0, 111.0, Better::Lower, Change::Worse),
        (111.0, 100.0, Better::Lower, Change::Better),
        (100.0, 111.0, Better::Higher, Change::Better),
        (111.0, 100.0, Better::Higher, Change::Worse),
        (100.0, 111.0, Better::Neither, Change::Differs),
        (0.0, 0.0, Better::Lower, Change::Same),
        (0.0, 1.0, Better::Lower, Change::Worse),
        (-1.0, 1.0, Better::Lower, Change::Worse),
        (1e308, -1e308, Better::Higher, Change::Worse),
    ];
    for (before, after, better, wanted) in cases {
        assert_eq!(change(&[before], &[after], better, 0.1), wanted, "{before} {after} {better:?}");
        // The other way round it is the opposite.
        let opposite = match wanted {
            Change::Better => Change::Worse,
            Change::Worse => Change::Better,
            same => same,
        };
        assert_eq!(change(&[after], &[before], better, 0.1), opposite, "{after} {before} {better:?}");
    }
    assert_eq!(change(&[100.0], &[101.0], Better::Lower, 0.0), Change::Worse);
    assert_eq!(change(&[100.0], &[190.0], Better::Lower, 1.0), Change::Same);
    for noise in [-0.1, f64::NAN, f64::INFINITY] {
        let options = CompareOptions { noise, ..CompareOptions::default() };
        let refused = compare(&sample::full(), &sample::full(), &options);
        assert!(matches!(refused, Err(Error::Invalid(message)) if message.contains("noise: found")));
    }
}

#[test]
fn a_change_counts_only_beyond_what_rounds_differ_by() {
    // Half as much again, and one round of the first is as slow as one of the second.
    assert_eq!(change(&[100.0, 102.0, 148.0], &[147.0, 150.0, 155.0], Better::Lower, 0.1), Change::Same);
    assert_eq!(change(&[100.0, 102.0, 146.0], &[147.0, 150.0, 155.0], Better::Lower, 0.1), Change::Worse);
    assert_eq!(change(&[100.0, 200.0], &[140.0], Better::Lower, 0.1), Change::Same);
    assert_eq!(change(&[147.0, 150.0, 155.0], &[100.0, 102.0, 146.0], Better::Lower, 0.1), Change::Better);
}

#[test]
fn what_only_one_side_has_is_listed_and_fails_nothing() {
    let before =
        of(vec![figure("both", None, &[1.0]), figure("old", None, &[1.0]), figure("gone", None, &[1.0])]);
    let after = of(vec![
        figure("both", None, &[1.0]),
        figure("new", None, &[2.0]),
        figure("gone", None, &[]),
        figure("neither", None, &[f64::NAN]),
        // On an engine, and with another unit, it is another figure.
        figure("old", Some("disk"), &[1.0]),
        Figure { unit: Unit::Count, ..figure("old", None, &[1.0]) },
    ]);
    let comparison = compared(&before, &after);
    let found: Vec<_> = comparison.rows.iter().map(|row| (row.id.as_str(), row.change)).collect();
    let wanted = [
        ("both", Change::Same),
        ("old", Change::OnlyBefore),
        ("gone", Change::OnlyBefore),
        ("new", Change::OnlyAfter),
        ("old", Change::OnlyAfter),
        ("old", Change::OnlyAfter),
    ];
    assert_eq!(found, wanted);
    assert_eq!(comparison.verdict, Verdict::Pass);
    let text = comparison.text(100);
    assert!(text.contains("only before") && text.contains("only after"), "{text}");
    assert!(
        text.split_whitespace().collect::<Vec<_>>().join(" ").contains("5 figures have no counterpart"),
        "{text}"
    );
}

fn with_run(change: impl FnOnce(&mut statlas_lab::Run)) -> Report {
    let mut report = sample::empty();
    report.runs.push(sound_run("disk", 1.0));
    change(&mut report.runs[0]);
    report
}

#[test]
fn runs_are_compared_by_what_both_can_say() {
    let before = with_run(|_| {});
    let after = with_run(|run| {
        run.operations = vec![done(Operation::Get, 20_000, 1.5), done(Operation::Put, 150, 1.0)];
        run.audit.as_mut().expect("it has one").problems = 1;
    });
    let comparison = compared(&before, &after);
    let found = |id: &str| comparison.rows.iter().find(|row| row.id == id).map(|row| row.change);
    assert_eq!(found("get.mean"), Some(Change::Worse));
    assert_eq!(found("get.p99.9"), Some(Change::Worse));
    assert_eq!(found("throughput"), Some(Change::Same));
    assert_eq!((found("lost"), found("errors")), (Some(Change::Worse), Some(Change::Same)));
    // Of 150 writes p50 and p90 are known, of 400 also p95.
    assert_eq!((found("put.p90"), found("put.p95"), found("put.p99")), (Some(Change::Better), None, None));
    assert_eq!(comparison.verdict, Verdict::Fail);
    let text = comparison.text(100);
    assert!(
        text.starts_with("FAIL: of ") && text.contains("mixed: get.mean on disk: 10.0 ms became 15.0 ms"),
        "{text}"
    );
    assert!(text.contains("+50.0 %") && text.contains("WORSE"), "{text}");
    let json = serde_json::to_value(&comparison).expect("it can be written");
    assert_eq!((&json["verdict"], &json["rows"][0]["change"]), (&"fail".into(), &"same".into()));
}

#[test]
fn runs_with_the_same_settings_are_rounds_and_others_are_not() {
    let runs = |factors: &[f64]| {
        let mut report = sample::empty();
        report.runs = factors.iter().map(|factor| sound_run("disk", *factor)).collect();
        report
    };
    let mean = |before: &Report, after: &Report| {
        let comparison = compared(before, after);
        let rows: Vec<_> =
            comparison.rows.iter().filter(|row| row.id == "get.mean").map(|row| row.change).collect();
        rows
    };
    assert_eq!(mean(&runs(&[1.0, 2.0]), &runs(&[1.9, 2.5])), [Change::Same]);
    assert_eq!(mean(&runs(&[1.0, 2.0]), &runs(&[2.1, 2.5])), [Change::Worse]);
    // The same workload on other data stands for itself, in whatever order.
    let mut before = runs(&[1.0, 5.0]);
    before.runs[1].workload.data.entities = 1_000_000;
    let mut after = before.clone();
    after.runs.reverse();
    assert_eq!(mean(&before, &after), [Change::Same, Change::Same]);
    let alone = compared(&before, &runs(&[1.0]));
    assert!(alone.rows.iter().any(|row| row.section == "mixed, 2 of 2" && row.change == Change::OnlyBefore));
}

/// Two reports with a run that differ in something, and how it is named.
fn incomparable() -> Vec<(&'static str, Report, Report)> {
    let pair = |change: fn(&mut Report)| {
        let (before, mut after) = (with_run(|_| {}), with_run(|_| {}));
        change(&mut after);
        (before, after)
    };
    type Changed = (&'static str, fn(&mut Report));
    let changes: [Changed; 15] = [
        ("processor: some processor and another", |report| {
            report.environment.processor = "another".to_owned()
        }),
        ("memory: 8 GiB and 16 GiB", |report| report.environment.memory_bytes = 16 << 30),
        ("the second one was made by a program without optimisation", |report| {
            report.environment.is_optimised = false
        }),
        ("command: stress test and memory pressure", |report| report.kind = Kind::Pressure),
        ("seed: 42 and 43", |report| report.seed = 43),
        ("parameter sizes: none and 10", |report| {
            report.parameters.insert("sizes".to_owned(), "10".to_owned());
        }),
        ("mixed on disk: seed: 42 and 7", |report| report.runs[0].workload.seed = 7),
        ("mixed on disk: data.entities: 100000 and 5", |report| {
            report.runs[0].workload.data = Data { entities: 5, ..Data::default() };
        }),
        ("mixed on disk: loaded.entities: 100000 and 3", |report| {
            report.runs[0].loaded.as_mut().expect("it has data").entities = 3;
        }),
        ("mixed on disk: keys.distribution: hot_set and uniform", |report| {
            report.runs[0].workload.keys = statlas_lab::Distribution::Uniform;
        }),
        ("mixed on disk: load.rate: 5000/s and 1/s", |report| {
            report.runs[0].workload.load.rate = Some(Rate(1.0))
        }),
        ("mixed on disk: mix.get: 70.0 and 1.0", |report| {
            report.runs[0].workload.mix.insert(Operation::Get, 1.0);
        }),
        ("mixed on disk: store.durability: synced and written", |report| {
            report.runs[0].workload.store.durability = Durability::Written;
        }),
        ("mixed on disk: store.cache: none and 4096", |report| {
            report.runs[0].workload.store.cache = Some(Bytes(4096));
        }),
        ("mixed on disk: the second one was ended before its end", |report| {
            report.runs[0].is_interrupted = true
        }),
    ];
    changes
        .into_iter()
        .map(|(name, change)| (name, pair(change)))
        .map(|(name, (a, b))| (name, a, b))
        .collect()
}

#[test]
fn what_was_made_under_other_conditions_is_refused_unless_it_is_asked_for() {
    for (said, before, after) in incomparable() {
        match compare(&before, &after, &CompareOptions::default()) {
            Err(Error::Incomparable(message)) => assert!(message.contains(said), "{said}: {message}"),
            other => panic!("{said}: {other:?}"),
        }
        let anyway = CompareOptions { anyway: true, ..CompareOptions::default() };
        let comparison = compare(&before, &after, &anyway).expect("it is asked for");
        assert!(comparison.warnings.iter().any(|warning| warning.contains(said)), "{said}: {comparison:?}");
        let text = comparison.text(200);
        assert!(text.contains(&format!("WARNING: they are not comparable: {said}")), "{text}");
    }
}

#[test]
fn what_changes_no_figure_is_no_other_condition() {
    let before = with_run(|_| {});
    let mut after = with_run(|run| {
        run.workload.description = "in other words".to_owned();
        run.workload.thresholds.clear();
    });
    after.title = "later".to_owned();
    after.parameters.insert("out".to_owned(), "elsewhere".to_owned());
    after.environment.commit = "another".to_owned();
    assert_eq!(compared(&before, &after).verdict, Verdict::Pass);
}

#[test]
fn two_reports_with_nothing_in_common_are_refused_in_any_case() {
    let (before, after) = (of(vec![figure("a", None, &[1.0])]), of(vec![figure("b", None, &[1.0])]));
    for anyway in [false, true] {
        let options = CompareOptions { anyway, ..CompareOptions::default() };
        for (before, after) in [(&before, &after), (&sample::empty(), &sample::empty())] {
            let refused = compare(before, after, &options);
            assert!(
                matches!(refused, Err(Error::Incomparable(message)) if message.contains("nothing to compare"))
            );
        }
    }
}
