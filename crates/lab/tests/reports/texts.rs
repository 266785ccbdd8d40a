//! Reports on a terminal.

use statlas_lab::{Operation, Report, Verdict, text};
use statlas_store::Durability;

use crate::sample::{self, done, sound_run};

/// A text in one line, whatever was wrapped.
fn flat(report: &Report) -> String {
    text(report, 100).split_whitespace().collect::<Vec<_>>().join(" ")
}

fn of_run(change: impl FnOnce(&mut statlas_lab::Run)) -> Report {
    let mut report = sample::empty();
    report.runs.push(sound_run("disk", 1.0));
    change(&mut report.runs[0]);
    report
}

#[test]
fn the_first_line_is_the_verdict() {
    let full = text(&sample::full(), 100);
    assert!(
        full.starts_with("FAIL: 2 of 7 requirements are not met.\n  - lookup 1.2.get.p50 on disk: 3.50 us"),
        "{full}"
    );
    assert!(text(&sample::empty(), 100).starts_with("NO VERDICT: "));
    let sound = of_run(|_| {});
    assert_eq!(sound.verdict(), Verdict::Pass);
    assert!(text(&sound, 100).starts_with("PASS: All 2 requirements are met.\n"));
}

#[test]
fn whatever_makes_a_run_fail_is_named() {
    type Broken = (&'static str, fn(&mut statlas_lab::Run));
    let broken: [Broken; 5] = [
        ("operations of mixed on disk: 20,400 operations were done; 3 failed, and 0 gave a wrong", |run| {
            run.operations[0].failures = 3;
        }),
        ("0 failed, and 2 gave a wrong answer.", |run| run.operations[0].wrong = 2),
        ("1 is not as it was acknowledged", |run| {
            run.audit.as_mut().expect("it has one").problems = 1;
        }),
        ("Nobody looked at the data afterwards", |run| run.audit = None),
        ("mixed on disk: it was ended before its end", |run| run.is_interrupted = true),
    ];
    for (said, change) in broken {
        let report = of_run(change);
        assert_eq!(report.verdict(), Verdict::Fail, "{said}");
        let text = flat(&report);
        assert!(text.starts_with("FAIL: ") && text.contains(said), "{said}: {text}");
    }
}

#[test]
fn lines_fit_on_the_terminal() {
    for report in [sample::full(), of_run(|_| {})] {
        for width in [50, 60, 80, 100, 132, 200] {
            for line in text(&report, width).lines() {
                assert!(line.chars().count() <= width, "{width}: {line}");
                assert!(line.is_ascii(), "{line}");
            }
        }
        assert!(!text(&report, 0).is_empty());
    }
}

#[test]
fn a_percentile_of_too_few_operations_is_a_dash() {
    let text = text(&of_run(|_| {}), 200);
    let row = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(name)).expect("it has a row").to_owned();
        line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    // Of 400 there are ten above p95 and not above p99.
    assert_eq!(&row("put ")[7..16], ["360", "us", "380", "us", "-", "-", "-", "400", "us"], "{text}");
    assert!(text.contains("-: too few operations lie above it to say (10 are needed)"));
}

#[test]
fn a_rate_is_called_durable_only_with_syncs() {
    let durability = |durability, syncs| {
        flat(&of_run(|run| {
            run.workload.store.durability = durability;
            run.syncs = syncs;
        }))
    };
    let claim = "40.0/s of them were durable: 400 commits with 320 syncs, those of the warm-up included.";
    let device = "One sync of 4 KiB was measured to take 400 us here, which is 2.50 K/s one after another.";
    let synced = durability(Durability::Synced, Some(320));
    assert!(synced.contains(claim) && synced.contains(device), "{synced}");
    for (level, syncs, said) in [
        (
            Durability::Synced,
            Some(0),
            "The device was not synced once, so 40.0/s is no rate of durable writes.",
        ),
        (
            Durability::Synced,
            None,
            "The engine disk counts no syncs, whatever level was asked for (synced): no rate",
        ),
        (Durability::Written, Some(2), "40.0/s is no rate of durable writes: 400 commits with 2 syncs"),
        (Durability::Buffered, Some(1), "40.0/s is no rate of durable writes: 400 commits with 1 sync,"),
    ] {
        let text = durability(level, syncs);
        assert!(text.contains(said) && !text.contains("were durable"), "{level:?} {syncs:?}: {text}");
    }
    let reads = flat(&of_run(|run| {
        run.workload.mix = [(Operation::Get, 1.0)].into();
        run.operations = vec![done(Operation::Get, 1000, 1.0)];
    }));
    assert!(reads.contains("It wrote nothing while it ran."), "{reads}");
}

#[test]
fn an_open_loop_says_whether_its_rate_was_reached() {
    // 2,040 operations a second were done.
    let at = |rate| flat(&of_run(|run| run.workload.load.rate = Some(statlas_lab::Rate(rate))));
    assert!(at(2040.0).contains("The rate was reached (100 % of it)."));
    assert!(at(4080.0).contains("The rate was not reached: 50.0 % of it was"), "{}", at(4080.0));
    let closed = flat(&of_run(|run| {
        run.workload.load.rate = None;
        run.harness_share = Some(0.123);
    }));
    assert!(
        closed.contains("A closed loop of 8 threads") && closed.contains("12.3 % of the threads' time"),
        "{closed}"
    );
}

#[test]
fn engines_stand_side_by_side() {
    let text = text(&sample::full(), 160);
    let header = text.lines().find(|line| line.contains("published before")).expect("there is a table");
    let columns: Vec<&str> = header.split("  ").map(str::trim).filter(|name| !name.is_empty()).collect();
    assert_eq!(columns, ["figure", "memory", "disk", "rounds apart", "published before", "must be"]);
    let row = text.lines().find(|line| line.starts_with("lookup 1.2")).expect("it has a row");
    let cells: Vec<&str> = row.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect();
    let published = "0.4 to 0.8 us, of 100 queries";
    let wanted =
        ["lookup 1.2.get.p50", "1.00 us", "3.50 us", "22.2 %", published, "at most 3.00 us", "FAIL (disk)"];
    assert_eq!(cells, wanted);
}
