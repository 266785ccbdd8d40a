//! Changes that are read from a revision on: all of them, once, in their order.

use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use statlas_core::BlobId;

use super::{Open, Outcome, commit};
use crate::testing::sample::version;
use crate::testing::twin::same;
use crate::{Batch, Change, ChangeKind, Changes, Durability, Engine, ErrorKind, Expected, RecordKey, Store};

/// How long a check waits for what must come. Nothing is asserted about time.
const PATIENCE: Duration = Duration::from_secs(60);

/// The whole history, page by page.
fn pages(engine: &dyn Engine, after: u64, limit: usize) -> Outcome<Vec<Changes>> {
    let mut pages = Vec::new();
    let mut revision = after;
    loop {
        let page = engine.changes(revision, limit)?;
        if page.revision == revision {
            same("changes without a revision", &page.changes, &Vec::new())?;
            return Ok(pages);
        }
        assert!(page.revision > revision && !page.changes.is_empty(), "no progress: {page:?}");
        revision = page.revision;
        pages.push(page);
    }
}

fn all(engine: &dyn Engine, after: u64) -> Outcome<Vec<Change>> {
    Ok(pages(engine, after, usize::MAX)?.into_iter().flat_map(|page| page.changes).collect())
}

/// Commits batches with every kind of change, each as durable as its number says, and returns what they
/// changed behind the revision `after`.
fn fill(store: &Store, after: u64, rounds: u64) -> Outcome<Vec<Change>> {
    let mut expected = Vec::new();
    let mut revision = after;
    let mut expect = |kinds: Vec<(u32, ChangeKind)>| {
        revision += 1;
        expected.extend(kinds.into_iter().map(|(ordinal, kind)| Change { revision, ordinal, kind }));
    };
    let durability = [Durability::Buffered, Durability::Written, Durability::Synced];
    for round in after..after + rounds {
        let key = RecordKey::new("c", &format!("k{round}"))?;
        let entity = version(&format!("id {round}"), 1);
        let (address, bytes) = (entity.address(), format!("blob {round}").into_bytes());
        let blob = BlobId::of(&bytes);
        let mut first = Batch::new();
        first.put_entity(entity.clone());
        first.put_blob(bytes);
        // This one changes nothing, so its number is left out.
        first.put_entity(entity);
        first.put_record(key.clone(), b"v".to_vec(), Expected::Absent);
        first.put_record(key.clone(), b"w".to_vec(), Expected::Any);
        store.commit(first, durability[round as usize % 3])?;
        expect(vec![
            (0, ChangeKind::EntityPut(address)),
            (1, ChangeKind::BlobPut(blob)),
            (3, ChangeKind::RecordPut(key.clone())),
            (4, ChangeKind::RecordPut(key.clone())),
        ]);
        let mut second = Batch::new();
        second.remove_record(key.clone(), Expected::Any);
        second.remove_blob(blob);
        second.remove_entity(version("absent", 1).address());
        second.remove_entity(address);
        second.put_blob(format!("other {round}").into_bytes());
        store.commit(second, durability[(round as usize + 1) % 3])?;
        expect(vec![
            (0, ChangeKind::RecordRemoved(key)),
            (1, ChangeKind::BlobRemoved(blob)),
            (3, ChangeKind::EntityRemoved(address)),
            (4, ChangeKind::BlobPut(BlobId::of(format!("other {round}").as_bytes()))),
        ]);
    }
    Ok(expected)
}

pub(crate) fn every_change_is_reported_once_in_order_with_its_revision(open: Open<'_>) -> Outcome {
    let store = open();
    same("changes of an empty store", &store.engine().changes(0, 9)?, &Changes::default())?;
    let expected = fill(&store, 0, 20)?;
    same("changes", &all(store.engine(), 0)?, &expected)?;
    for after in [1, 7, 39] {
        let rest: Vec<Change> = expected.iter().filter(|change| change.revision > after).cloned().collect();
        same(&format!("changes after {after}"), &all(store.engine(), after)?, &rest)?;
    }
    Ok(())
}

pub(crate) fn changes_come_in_pages_of_whole_revisions(open: Open<'_>) -> Outcome {
    let store = open();
    let expected = fill(&store, 0, 10)?;
    for limit in [0, 1, 3, 4, 5, 11, 12, 1000] {
        let pages = pages(store.engine(), 0, limit)?;
        for page in &pages {
            let revisions = (page.changes.len() / 4).max(1);
            same("changes of whole revisions", &page.changes.len(), &(revisions * 4))?;
            same("last change", &page.changes.last().map(|change| change.revision), &Some(page.revision))?;
            // Each revision has four changes.
            let most = (limit / 4).max(1);
            assert!(revisions <= most, "limit {limit}: a page of {revisions} revisions");
            assert!(revisions == most || page.revision == 20, "limit {limit}: a page is not full");
        }
        let found: Vec<Change> = pages.into_iter().flat_map(|page| page.changes).collect();
        same(&format!("changes with limit {limit}"), &found, &expected)?;
    }
    Ok(())
}

pub(crate) fn watching_goes_on_where_it_was_left(open: Open<'_>) -> Outcome {
    let store = open();
    let mut found = Vec::new();
    let mut expected = Vec::new();
    let mut saved = 0;
    for _ in 0..3 {
        expected.extend(fill(&store, saved, 3)?);
        let mut watch = store.watch(saved);
        while let Some(page) = watch.next_within(Duration::ZERO)? {
            same("revision of the watch", &watch.revision(), &page.revision)?;
            found.extend(page.changes);
        }
        saved = watch.revision();
        same("revision to go on behind", &saved, &store.engine().stats().revision)?;
    }
    same("changes", &found, &expected)
}

pub(crate) fn a_batch_that_changes_nothing_makes_no_change(open: Open<'_>) -> Outcome {
    let store = open();
    fill(&store, 0, 1)?;
    let mut batch = Batch::new();
    batch.put_blob(b"other 0".to_vec());
    batch.remove_blob(BlobId::of(b"absent"));
    batch.remove_record(RecordKey::new("c", "absent")?, Expected::Any);
    for batch in [batch, Batch::new()] {
        store.commit(batch, Durability::Written)?;
        same("changes", &store.engine().changes(2, 9)?, &Changes { changes: Vec::new(), revision: 2 })?;
    }
    Ok(())
}

pub(crate) fn a_revision_of_the_future_is_refused(open: Open<'_>) -> Outcome {
    let store = open();
    for newest in [0, 2] {
        for after in [newest + 1, u64::MAX] {
            let error = store.engine().changes(after, 9).map_err(|error| error.kind());
            same("changes behind the future", &error, &Err(ErrorKind::Invalid))?;
        }
        fill(&store, newest, 1)?;
    }
    Ok(())
}

pub(crate) fn waiting_ends_when_something_changes(open: Open<'_>) -> Outcome {
    let store = open();
    let engine = store.engine();
    same("nothing new", &engine.wait_for_change(0, Duration::from_millis(1))?, &0)?;
    thread::scope(|scope| {
        for after in 0..20 {
            let waiter = scope.spawn(move || engine.wait_for_change(after, PATIENCE));
            if after % 2 == 0 {
                // Most of the time it waits by then, and sometimes it does not.
                thread::sleep(Duration::from_millis(1));
            }
            commit(&store, |batch| batch.put_blob(after.to_le_bytes().to_vec()))?;
            let woken = waiter.join().map_err(|_| "the waiter panicked")??;
            same("newest revision", &woken, &(after + 1))?;
            same("what is there already", &engine.wait_for_change(after, PATIENCE)?, &(after + 1))?;
        }
        Ok(())
    })
}

pub(crate) fn closing_wakes_those_who_wait(open: Open<'_>) -> Outcome {
    let store = open();
    let start = Barrier::new(4);
    thread::scope(|scope| {
        let wait = || {
            start.wait();
            store.engine().wait_for_change(0, PATIENCE)
        };
        let waiters: Vec<_> = (0..3).map(|_| scope.spawn(wait)).collect();
        start.wait();
        thread::sleep(Duration::from_millis(5));
        store.close()?;
        for waiter in waiters {
            let answer = waiter.join().map_err(|_| "a waiter panicked")?.map_err(|error| error.kind());
            same("answer", &answer, &Err(ErrorKind::Closed))?;
        }
        Ok(())
    })
}

pub(crate) fn watchers_see_every_batch_of_many_writers_whole(open: Open<'_>) -> Outcome {
    const WRITERS: usize = 3;
    const BATCHES: usize = 60;
    let store = open();
    let write = |writer: usize| -> Outcome {
        for number in 0..BATCHES {
            let mut batch = Batch::new();
            for part in 0..3 {
                batch.put_blob(format!("{writer} {number} {part}").into_bytes());
            }
            store.commit(batch, [Durability::Buffered, Durability::Written][number % 2])?;
        }
        Ok(())
    };
    // A slow one waits between its pages.
    let watch = |pause: u64| -> Outcome {
        let mut watch = store.watch(0);
        let mut revisions: u64 = 0;
        while revisions < (WRITERS * BATCHES) as u64 {
            let page = watch.next_within(PATIENCE)?.ok_or("the changes ended before all were seen")?;
            for changes in page.changes.chunk_by(|one, next| one.revision == next.revision) {
                revisions += 1;
                same("revision", &changes[0].revision, &revisions)?;
                let ordinals: Vec<u32> = changes.iter().map(|change| change.ordinal).collect();
                same(&format!("changes of revision {revisions}"), &ordinals, &vec![0, 1, 2])?;
            }
            // What is reported is there.
            for change in &page.changes {
                let ChangeKind::BlobPut(id) = change.kind else { return Err("another kind".into()) };
                same("whether the blob is there", &store.engine().has_blob(&id)?, &true)?;
            }
            thread::sleep(Duration::from_millis(pause));
        }
        same("what is left", &watch.next_within(Duration::ZERO)?, &None)
    };
    thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS).map(|writer| scope.spawn(move || write(writer))).collect();
        let watchers: Vec<_> = [0, 0, 10].map(|pause| scope.spawn(move || watch(pause))).into();
        let all = writers.into_iter().chain(watchers);
        let ends: Vec<Outcome> =
            all.map(|thread| thread.join().unwrap_or_else(|_| Err("a panic".into()))).collect();
        ends.into_iter().collect()
    })
}

pub(crate) fn changes_are_the_same_after_opening(open: Open<'_>) -> Outcome {
    let mut expected = Vec::new();
    for round in 0..3 {
        let store = open();
        expected.extend(fill(&store, round * 20, 10)?);
        same("changes before closing", &all(store.engine(), 0)?, &expected)?;
        store.close()?;
        drop(store);
        let store = open();
        for after in [0, round * 20, round * 20 + 13] {
            let rest: Vec<Change> =
                expected.iter().filter(|change| change.revision > after).cloned().collect();
            same(&format!("changes after {after} and opening"), &all(store.engine(), after)?, &rest)?;
        }
    }
    Ok(())
}
