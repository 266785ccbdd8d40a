//! A process that is forked from one that has a store open can read in it, and can't harm it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use statlas_store::{CompactOptions, Durability, ErrorKind, FreeOptions, Location, Options, Result, Store};

use crate::aged::{batch, content, open, record_key};
use crate::durability::folder;

/// Whether `work` says so in a process that is forked from this one, which ends then without doing anything more.
fn is_so_in_a_fork(work: impl FnOnce() -> bool) -> bool {
    // SAFETY: of the many threads of this process the other one has only this. It takes no lock that another thread may
    // have held but those of the allocator, which is made for that.
    let child = unsafe { libc::fork() };
    assert!(child >= 0, "no process could be forked");
    if child == 0 {
        let is_so = catch_unwind(AssertUnwindSafe(work)).unwrap_or(false);
        // SAFETY: this needs nothing; it ends the process before it could run other tests.
        unsafe { libc::_exit(i32::from(!is_so)) };
    }
    let mut status = 0;
    // SAFETY: the process is a child of this one, and the status is written before this returns.
    let ended = unsafe { libc::waitpid(child, &raw mut status, 0) };
    ended == child && libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0
}

fn is_refused<T>(outcome: Result<T>) -> bool {
    outcome.is_err_and(|error| error.kind() == ErrorKind::Busy && error.to_string().contains("forked"))
}

#[test]
fn a_forked_process_reads_a_store_and_writes_nothing() {
    let folder = folder();
    let path = folder.path().join("store");
    let store = open(&path);
    store.commit(batch(1), Durability::Synced).expect("it is stored");
    // It stands in memory only: closing would write it.
    store.commit(batch(2), Durability::Buffered).expect("it is stored");
    let before = content(&path);
    let is_so = is_so_in_a_fork(|| {
        let engine = store.engine();
        let reads = engine.record(&record_key("brief 2")).is_ok_and(|found| found.is_some())
            && store.head("stays 1").is_ok_and(|found| found.is_some());
        let refuses = is_refused(store.commit(batch(3), Durability::Buffered))
            && is_refused(engine.sync())
            && is_refused(engine.maintain())
            && is_refused(engine.compact(&CompactOptions::default(), &mut |_, _| {}))
            && is_refused(engine.free_blobs(&FreeOptions::default(), &mut |_, _| {}))
            && is_refused(engine.wait_for_change(2, Duration::MAX));
        let opens = Store::open(&Location::Disk(path.clone()), &Options::default()).is_ok();
        let closes = store.close().is_ok() && store.head("stays 1").is_err();
        reads && refuses && !opens && closes
    });
    assert!(is_so);
    // Dropping it is as closing it.
    let mut store = Some(store);
    assert!(is_so_in_a_fork(|| store.take().is_some()));
    assert_eq!(content(&path), before);
    let store = store.expect("only the other process dropped its own");
    store.commit(batch(3), Durability::Synced).expect("it is this process's as before");
    store.close().expect("it closes in order");
    let store = open(&path);
    let check = store.engine().check(&mut |_, _| {}).expect("it can be checked");
    assert!(check.damage.is_empty() && store.engine().stats().revision == 3);
}
