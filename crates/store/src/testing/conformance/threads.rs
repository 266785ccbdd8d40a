//! Many threads at once. What they see is checked; which interleavings they meet is left to chance.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use statlas_core::BlobId;

use super::{Open, Outcome, commit};
use crate::testing::sample::version;
use crate::testing::twin::same;
use crate::{Batch, Durability, ErrorKind, Expected, Filter, Query, RecordKey, Store};

const READERS: usize = 3;
const BATCHES_MIN: usize = 300;
/// Batches are written until the readers have looked this often.
const LOOKS_MIN: usize = 200;
/// Entities in each batch.
const ROWS: usize = 3;

fn blob(number: usize) -> Vec<u8> {
    format!("blob {number}").into_bytes()
}

/// Number `number`: some entities, a blob, and two records that both say the number.
fn write(store: &Store, number: usize) -> Outcome {
    let mut batch = Batch::new();
    let value = number.to_string().into_bytes();
    batch.put_record(RecordKey::new("c", "first")?, value.clone(), Expected::Any);
    for row in 0..ROWS {
        batch.put_entity(version(&format!("row {row}"), number));
    }
    batch.put_blob(blob(number));
    batch.put_record(RecordKey::new("c", "second")?, value, Expected::Any);
    let durability = [Durability::Buffered, Durability::Written, Durability::Synced][number % 3];
    store.commit(batch, durability)?;
    Ok(())
}

fn number_of(record: Option<crate::Record>) -> Outcome<usize> {
    let text = record.map(|record| String::from_utf8_lossy(&record.value).into_owned());
    Ok(text.map_or(Ok(0), |text| text.parse())?)
}

/// Looks once; `last` is the newest batch seen before.
fn read(store: &Store, last: usize) -> Outcome<usize> {
    let engine = store.engine();
    let second = number_of(engine.record(&RecordKey::new("c", "second")?)?)?;
    let first = number_of(engine.record(&RecordKey::new("c", "first")?)?)?;
    assert!(last <= second && second <= first, "saw batch {last}, then {second}, then {first}");
    let listed = engine.records("c", None, 9)?;
    let numbers: Vec<_> = listed.iter().map(|record| &record.value).collect();
    assert!(numbers.windows(2).all(|pair| pair[0] == pair[1]), "one list shows two batches: {numbers:?}");
    if first > 0 {
        assert!(engine.has_blob(&BlobId::of(&blob(first)))?, "the blob of batch {first} is not there yet");
        for row in 0..ROWS {
            let entity = engine.entity(&version(&format!("row {row}"), first).address())?;
            assert!(entity.is_some(), "row {row} of batch {first} is not there yet");
            let versions = engine.versions(&format!("row {row}"))?.len();
            assert!(versions >= first, "row {row} has {versions} versions after batch {first}");
        }
    }
    let count = engine.count(&Filter::default())? as usize;
    assert!(count.is_multiple_of(ROWS) && count >= first * ROWS, "{count} rows after batch {first}");
    let newest = engine.find(&Query { descending: true, limit: ROWS, ..Query::default() })?.entities;
    let states = newest.iter().map(|row| Ok(row.entity()?.state().clone())).collect::<Outcome<Vec<_>>>()?;
    let whole = states.windows(2).all(|pair| pair[0] == pair[1]) && newest.len() == ROWS.min(count);
    assert!(whole || count == 0, "the newest rows are no whole batch: {states:?}");
    Ok(first)
}

pub(crate) fn readers_see_whole_batches_only(open: Open<'_>) -> Outcome {
    let store = open();
    let done = AtomicBool::new(false);
    let looks = AtomicUsize::new(0);
    thread::scope(|scope| {
        let reader = || {
            let mut last = 0;
            while !done.load(Ordering::Acquire) {
                last = read(&store, last)?;
                looks.fetch_add(1, Ordering::Relaxed);
            }
            read(&store, last)
        };
        let readers: Vec<_> = (0..READERS).map(|_| scope.spawn(reader)).collect();
        let mut numbers = (1..).take_while(|number| {
            let enough = *number > BATCHES_MIN && looks.load(Ordering::Relaxed) >= LOOKS_MIN;
            !enough && readers.iter().all(|reader| !reader.is_finished())
        });
        let written = numbers.try_fold(0, |_, number| write(&store, number).map(|()| number));
        done.store(true, Ordering::Release);
        for reader in readers {
            let last = reader.join().unwrap_or_else(|_| Err("a reader panicked".into()))?;
            if let Ok(written) = written {
                same("last batch seen", &last, &written)?;
            }
        }
        written.map(drop)
    })
}

pub(crate) fn concurrent_increments_of_a_record_lose_none(open: Open<'_>) -> Outcome {
    const THREADS: usize = 4;
    const INCREMENTS: usize = 50;
    let store = open();
    let key = RecordKey::new("c", "counter")?;
    let increment = || -> Outcome {
        loop {
            let record = store.engine().record(&key)?;
            let expected =
                record.as_ref().map_or(Expected::Absent, |record| Expected::Revision(record.revision));
            let value = (number_of(record)? + 1).to_string().into_bytes();
            // Others shall come in between.
            thread::yield_now();
            let mut batch = Batch::new();
            batch.put_record(key.clone(), value, expected);
            match store.commit(batch, Durability::Buffered) {
                Err(error) if error.kind() == ErrorKind::Conflict => {}
                committed => return committed.map(drop).map_err(Into::into),
            }
        }
    };
    let start = Barrier::new(THREADS);
    thread::scope(|scope| {
        let many = || {
            start.wait();
            (0..INCREMENTS).try_for_each(|_| increment())
        };
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(many)).collect();
        threads
            .into_iter()
            .try_for_each(|thread| thread.join().unwrap_or_else(|_| Err("a thread panicked".into())))
    })?;
    same("counter", &number_of(store.engine().record(&key)?)?, &(THREADS * INCREMENTS))
}

pub(crate) fn an_entity_that_many_put_at_once_is_new_once(open: Open<'_>) -> Outcome {
    let store = open();
    for number in 0..30 {
        let new: u64 = thread::scope(|scope| {
            let put = || commit(&store, |batch| batch.put_entity(version("a", number)));
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(put)).collect();
            let counts = threads.into_iter().map(|thread| thread.join().map_err(|_| "a thread panicked")?);
            counts.map(|counts| counts.map(|(_, counts)| counts.entities_new)).sum::<Outcome<u64>>()
        })?;
        same("how often it was new", &new, &1)?;
    }
    same("versions", &store.engine().versions("a")?.len(), &30)
}

pub(crate) fn batches_of_many_threads_are_all_there(open: Open<'_>) -> Outcome {
    const THREADS: usize = 8;
    const EACH: usize = 25;
    let store = open();
    let put = |thread: usize| -> Outcome<Vec<u64>> {
        let put = |number: usize| {
            let (_, counts) = commit(&store, |batch| {
                batch.put_blob(format!("{thread} {number}").into_bytes());
                batch.put_entity(version(&format!("id {thread}"), number))
            })?;
            // What is acknowledged is there for everybody.
            assert!(store.get(&version(&format!("id {thread}"), number).address())?.is_some());
            Ok(counts.revision)
        };
        (0..EACH).map(put).collect()
    };
    let revisions = thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|thread| scope.spawn(move || put(thread))).collect();
        let joined = threads.into_iter().map(|thread| thread.join().map_err(|_| "a thread panicked")?);
        joined.collect::<Outcome<Vec<Vec<u64>>>>()
    })?;
    assert!(
        revisions.iter().all(|revisions| revisions.is_sorted()),
        "a thread's revisions must grow: {revisions:?}"
    );
    let mut all = revisions.concat();
    all.sort_unstable();
    same("revisions", &all, &(1..=(THREADS * EACH) as u64).collect())?;
    for thread in 0..THREADS {
        let expected: Vec<_> =
            (0..EACH).map(|number| version(&format!("id {thread}"), number).address()).collect();
        same("versions", &store.engine().versions(&format!("id {thread}"))?, &expected)?;
    }
    same("blobs", &store.engine().stats().blobs, &((THREADS * EACH) as u64))
}
