//! What a run of all scenarios promises.

use std::cell::Cell;
use std::path::Path;

use super::*;
use crate::runner::Progress;
use crate::threshold::Verdict;

fn options(folder: &Path) -> StressOptions {
    StressOptions {
        size: StressSize::Smoke,
        entities: Vec::new(),
        engines: vec!["memory:".to_owned(), "disk:".to_owned()],
        folder: folder.to_owned(),
        seed: 42,
        scenarios: Vec::new(),
        child: None,
    }
}

fn run(options: &StressOptions) -> Result<Report> {
    run_stress(options, &mut Watcher { goes_on: &|| true, progress: &mut |_, _: Progress| {} })
}

/// What must be so however slow a machine is: answers are right, and everything came to its end.
fn assert_sound(report: &Report) {
    for figure in
        report.figures.iter().filter(|figure| figure.id.ends_with(".wrong") || figure.id == "finished")
    {
        assert_eq!(figure.verdict(), Some(Verdict::Pass), "{figure:?} {:?}", report.notes);
    }
    for run in &report.runs {
        assert_eq!(
            run.verdict(),
            Verdict::Pass,
            "{} {:?} {:?}",
            run.workload.name,
            run.operations,
            run.audit
        );
    }
}

#[test]
fn every_scenario_runs_on_every_engine_and_leaves_nothing() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let report = run(&options(folder.path())).expect("it can be run");
    assert_sound(&report);
    for (id, name) in scenarios() {
        let heading = format!("{id} {name}");
        let of_it: Vec<_> = report.figures.iter().filter(|figure| figure.section == heading).collect();
        assert!(of_it.iter().any(|figure| !figure.samples.is_empty()), "{heading} has no figure");
        assert!(of_it.iter().any(|figure| figure.id == format!("{id}.wrong")), "{heading} checks nothing");
        // Figures of both engines stand side by side.
        for pair in of_it.windows(2).filter(|pair| pair[0].engine.as_deref() == Some("memory")) {
            let others = of_it.iter().filter(|other| other.id == pair[0].id).count();
            assert!(others == 1 || pair[1].id == pair[0].id, "{}", pair[0].id);
        }
    }
    let mut ids: Vec<_> = report.figures.iter().map(|figure| (&figure.id, &figure.engine)).collect();
    ids.sort_unstable();
    assert!(ids.windows(2).all(|pair| pair[0] != pair[1]), "an id stands twice");
    for figure in &report.figures {
        assert!(!figure.definition.is_empty() && !figure.name.contains("{}"), "{figure:?}");
        assert!(figure.samples.iter().all(|sample| sample.is_finite()), "{figure:?}");
    }
    for (id, _) in ELSEWHERE {
        assert!(report.notes.iter().any(|note| note.starts_with(&format!("{id}: "))), "{id}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).expect("it can be listed").count(), 0, "all stores are gone");
    let text = serde_json::to_string(&report).expect("it can be written");
    let read: Report = serde_json::from_str(&text).expect("it can be read");
    assert!(read.figures.iter().map(|figure| &figure.id).eq(report.figures.iter().map(|figure| &figure.id)));
}

#[test]
fn a_single_scenario_is_named_by_its_number_and_a_section_by_its_own() {
    let asked = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
    assert!(is_meant("3.1", &asked(&["3.1"])) && is_meant("3.10", &asked(&["3"])) && is_meant("1.1", &[]));
    assert!(!is_meant("3.10", &asked(&["3.1"])) && !is_meant("1.3", &asked(&["3", "2.8"])));
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let report =
        run(&StressOptions { scenarios: asked(&["1.1"]), ..options(folder.path()) }).expect("it can be run");
    assert_sound(&report);
    let others = ["finished", "others"];
    let is_meant = |figure: &Figure| figure.id.starts_with("1.1.") || others.contains(&figure.id.as_str());
    assert!(report.figures.iter().all(is_meant));
    // Of those that no scenario is about only notes of what was asked for are there.
    assert_eq!(report.notes.iter().filter(|note| note.starts_with("3.8")).count(), 0);
}

#[test]
fn what_can_not_be_done_is_refused_before_anything_is() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let right = options(folder.path());
    let refused = |wrong: StressOptions| match run(&wrong) {
        Err(error @ (Error::Invalid(_) | Error::Insufficient(_))) => error.to_string(),
        other => panic!("{other:?} of {wrong:?}"),
    };
    let strings = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    for (wrong, complaint) in [
        (
            StressOptions { engines: strings(&["sqlite:x"]), ..right.clone() },
            "engine: found \"sqlite:x\"; allowed",
        ),
        (
            StressOptions { scenarios: strings(&["1.7"]), ..right.clone() },
            "scenario: found \"1.7\"; allowed: 1.1, ",
        ),
        (StressOptions { scenarios: strings(&["1.2", ""]), ..right.clone() }, "scenario: found \"\""),
        (StressOptions { entities: vec![10, 10], ..right.clone() }, "entities: found [10, 10]; allowed"),
        (StressOptions { entities: vec![0, 10], ..right.clone() }, "entities: found [0, 10]"),
        // More than any machine has.
        (StressOptions { entities: vec![1 << 44], ..right.clone() }, "memory: "),
    ] {
        let said = refused(wrong);
        assert!(said.contains(complaint), "{said}");
    }
    assert!(estimate(&StressOptions { size: StressSize::Full, ..right.clone() }).is_ok_and(|full| {
        let quick =
            estimate(&StressOptions { size: StressSize::Quick, ..right.clone() }).expect("it is legal");
        full.seconds > quick.seconds && full.memory_bytes > 1 << 32 && full.disk_bytes > 1 << 32
    }));
}

#[test]
fn what_was_measured_before_an_end_is_in_the_report_and_the_report_says_so() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let options = StressOptions {
        scenarios: vec!["1.1".to_owned(), "1.2".to_owned(), "1.5".to_owned()],
        ..options(folder.path())
    };
    let ended = std::sync::atomic::AtomicBool::new(false);
    let told = Cell::new(0);
    let goes_on = || !ended.load(std::sync::atomic::Ordering::Relaxed);
    // In the middle of 1.2, when the first engine was measured.
    let mut progress = |what: &str, _: Progress| {
        if what.starts_with("1.2") && what.contains("entities on") {
            told.set(told.get() + 1);
            ended.store(told.get() == 2, std::sync::atomic::Ordering::Relaxed);
        }
    };
    let report = run_stress(&options, &mut Watcher { goes_on: &goes_on, progress: &mut progress })
        .expect("it is told");
    let has = |id: &str| report.figures.iter().any(|figure| figure.id.starts_with(id));
    assert!(has("1.1.rate") && has("1.2.get.mean") && !has("1.5"), "{:?}", report.figures);
    assert_eq!((report.verdict(), report.parameters["interrupted"].as_str()), (Verdict::Fail, "true"));
    assert!(
        report.title.contains("interrupted")
            && report.notes.iter().any(|note| note.contains("interrupted in 1.2"))
    );
    assert_eq!(std::fs::read_dir(folder.path()).expect("it can be listed").count(), 0);
}

#[test]
fn a_scenario_that_fails_does_not_take_the_others_with_it() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let child = ChildProgram { program: "/nowhere/at/all".into(), ..ChildProgram::default() };
    let scenarios = vec!["1.4".to_owned(), "2.4".to_owned()];
    let report = run(&StressOptions { scenarios, child: Some(child), ..options(folder.path()) })
        .expect("it can be run");
    assert!(report.notes.iter().any(|note| note.starts_with("1.4: it failed") && note.contains("/nowhere")));
    assert!(report.figures.iter().any(|figure| figure.id == "2.4.random"));
    assert_eq!(report.verdict(), Verdict::Fail);
}
