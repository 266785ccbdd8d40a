//! Runs of whole workloads.

use std::time::Duration;

use statlas_lab::{Bytes, Operation, Progress, Rate, Run, Span, Verdict, Watcher, Workload, run_workload};
use statlas_store::Durability;

/// A workload on little data for a short time.
fn shortened(mut workload: Workload, engine: &str) -> Workload {
    workload.store.engine = engine.to_owned();
    workload.store.durability = Durability::Written;
    let data = &mut workload.data;
    (data.entities, data.records, data.files) =
        (data.entities.min(500), data.records.min(500), data.files.min(20));
    data.record_bytes = Bytes(data.record_bytes.0.min(100));
    workload.load.duration = Some(Span(Duration::from_millis(300)));
    workload.load.operations = None;
    workload.load.warm_up = Span(Duration::from_millis(50));
    workload.load.rate = workload.load.rate.map(|_| Rate(500.0));
    // How fast it goes is nothing for a test.
    workload.thresholds.clear();
    workload
}

fn run(workload: &Workload) -> Run {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let mut watcher = Watcher { goes_on: &|| true, progress: &mut |_, _: Progress| {} };
    let run = run_workload(workload, folder.path(), &mut watcher).expect("it can be run");
    let left = std::fs::read_dir(folder.path()).expect("it can be listed").count();
    assert_eq!(left, 0, "the store is gone");
    run
}

#[test]
fn every_shipped_workload_runs_and_everything_is_there_afterwards() {
    for engine in ["memory:", "disk:"] {
        for (workload, _) in Workload::all_shipped() {
            let workload = shortened(workload, engine);
            let run = run(&workload);
            let what = format!("{} on {engine}: {:?} {:?}", workload.name, run.operations, run.audit);
            assert_eq!(run.verdict(), Verdict::Pass, "{what}");
            let audit = run.audit.as_ref().expect("it is looked at");
            assert_eq!(audit.is_reopened, engine == "disk:");
            assert!(audit.entities + audit.records + audit.files > 0, "{what}");
            let done: u64 = run.operations.iter().map(|done| done.latencies.count()).sum();
            let seen: u64 = run.series.iter().map(|second| second.operations).sum();
            assert!(done > 0 && seen == done, "{what}");
        }
    }
}

#[test]
fn everything_that_can_be_done_is_done_and_accounted_for() {
    let text = r#"
        name = "all"
        description = "every operation"
        [store]
        durability = "buffered"
        [data]
        entities = 5000
        records = 200
        record_bytes = 64
        files = 5
        file_bytes = "3KiB"
        [load]
        threads = 3
        operations = 6000
        batch = 7
        scan_length = 20
        [mix]
        put = 1
        put_batch = 1
        remove = 1
        get = 1
        get_absent = 1
        get_many = 1
        find = 1
        near = 1
        read_file = 1
        read_record = 1
        insert_record = 1
        update_record = 1
        scan = 1
    "#;
    let workload = Workload::from_toml(text, "all.toml").expect("it is legal");
    let run = run(&workload);
    assert_eq!(run.verdict(), Verdict::Pass, "{:?} {:?}", run.operations, run.audit);
    let done = |operation| {
        let found = run.operations.iter().find(|done| done.operation == operation);
        found.map_or(0, |done| done.latencies.count())
    };
    assert_eq!(run.operations.iter().map(|done| done.latencies.count()).sum::<u64>(), 6000);
    let audit = run.audit.as_ref().expect("it is looked at");
    let removed = done(Operation::Remove);
    assert_eq!(audit.removed, removed);
    assert_eq!(audit.entities, 5000 - removed + done(Operation::Put) + 7 * done(Operation::PutBatch));
    assert_eq!(audit.records, 200 + done(Operation::InsertRecord));
    assert_eq!((audit.files, audit.failed_writes), (5, 0));
    let store = run.store.as_ref().expect("it has figures");
    assert_eq!((store.entities, store.records), (audit.entities, audit.records));
}
