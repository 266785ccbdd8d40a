//! What is there when a store is opened again.

use statlas_core::BlobId;

use super::{Open, Outcome, commit};
use crate::testing::random::Random;
use crate::testing::sample::{crowd, query, token, token_query, varied, version};
use crate::testing::twin::{Twin, pages, same, same_entities};
use crate::{Batch, Durability, Expected, OrderBy, Query, RecordKey};

/// Commits batches of everything, each as durable as `durability` says in turn.
fn fill(twin: &mut Twin, seed: u64, durability: &[Durability]) -> Outcome {
    let mut random = Random::new(seed);
    for (number, entities) in crowd(seed, 120).chunks(7).enumerate() {
        let mut batch = Batch::new();
        for entity in entities {
            let next = varied(&mut random, entity.id(), entity.coordinates().adjacency.clone());
            batch.put_entity(entity.clone());
            batch.put_entity(next.with_attachments(Some(token(number as u32)), Some(BlobId::of(b"x"))));
            if random.chance(30) {
                batch.remove_entity(entity.address());
            }
        }
        batch.put_blob(random.bytes(number * 100));
        let key = RecordKey::new("c", &format!("k{}", number % 5))?;
        batch.put_record(key, random.bytes(number), Expected::Any);
        batch.put_record(RecordKey::new(&format!("c{number}"), "k")?, Vec::new(), Expected::Any);
        twin.commit(&batch, durability[number % durability.len()])?.ok_or("the batch was refused")?;
    }
    Ok(())
}

/// Compares more than what is stored: orders, pages, similarity and tokens.
fn compare(twin: &Twin) -> Outcome {
    twin.compare_all()?;
    let mut random = Random::new(14);
    for (order_by, _) in OrderBy::ALL {
        for descending in [false, true] {
            twin.compare_find(&Query { order_by, descending, limit: 50, ..Query::default() })?;
        }
    }
    for _ in 0..100 {
        twin.compare_find(&query(&mut random))?;
    }
    for _ in 0..100 {
        twin.compare_near_token(&token_query(&mut random))?;
    }
    let positions: Vec<_> = twin.model().entities().step_by(31).cloned().collect();
    positions.iter().try_for_each(|entity| twin.compare_near(&entity.head()?.coordinates, 9, None))
}

pub(crate) fn everything_is_there_after_closing_and_opening(open: Open<'_>) -> Outcome {
    let mut twin = Twin::new(open());
    for round in 0..3 {
        fill(&mut twin, round, &[Durability::Buffered, Durability::Written, Durability::Synced])?;
        twin = twin.reopen(open, true)?;
        compare(&twin)?;
    }
    Ok(())
}

pub(crate) fn everything_is_there_after_dropping_and_opening(open: Open<'_>) -> Outcome {
    let mut twin = Twin::new(open());
    for round in 0..3 {
        fill(&mut twin, round, &[Durability::Written, Durability::Synced])?;
        twin = twin.reopen(open, false)?;
        compare(&twin)?;
    }
    Ok(())
}

pub(crate) fn what_was_removed_stays_removed(open: Open<'_>) -> Outcome {
    let mut twin = Twin::new(open());
    let key = RecordKey::new("c", "k")?;
    let mut first = Batch::new();
    for number in 0..4 {
        first.put_entity(version("a", number));
    }
    first.put_blob(b"x".to_vec());
    first.put_record(key.clone(), b"v".to_vec(), Expected::Any);
    twin.commit_accepted(&first)?;
    twin = twin.reopen(open, true)?;
    let mut second = Batch::new();
    second.remove_entity(version("a", 3).address());
    second.remove_entity(version("a", 0).address());
    second.remove_blob(BlobId::of(b"x"));
    second.remove_record(key.clone(), Expected::Any);
    twin.commit_accepted(&second)?;
    twin = twin.reopen(open, true)?;
    twin.compare_all()?;
    same("blob", &twin.engine().blob(&BlobId::of(b"x"))?, &None)?;
    same("record", &twin.engine().record(&key)?, &None)?;
    same("entity", &twin.engine().entity(&version("a", 0).address())?, &None)?;
    // What is put again is newer than what stayed.
    let mut third = Batch::new();
    third.put_entity(version("a", 0));
    third.put_blob(b"x".to_vec());
    third.put_record(key, b"w".to_vec(), Expected::Absent);
    twin.commit_accepted(&third)?;
    twin = twin.reopen(open, true)?;
    same(
        "versions",
        &twin.engine().versions("a")?,
        &[1, 2, 0].map(|number| version("a", number).address()).to_vec(),
    )?;
    twin.compare_all()
}

pub(crate) fn revisions_go_on_where_they_stopped(open: Open<'_>) -> Outcome {
    let key = RecordKey::new("c", "k")?;
    for expected in 1..=5 {
        let store = open();
        same("revision", &store.engine().stats().revision, &(expected - 1))?;
        let wanted = if expected == 1 { Expected::Absent } else { Expected::Revision(expected - 1) };
        let ((), counts) = commit(&store, |batch| batch.put_record(key.clone(), Vec::new(), wanted))?;
        same("revision of the commit", &counts.revision, &expected)?;
        store.close()?;
    }
    Ok(())
}

pub(crate) fn cursors_stay_valid(open: Open<'_>) -> Outcome {
    let mut twin = Twin::new(open());
    fill(&mut twin, 15, &[Durability::Written])?;
    for (order_by, _) in OrderBy::ALL {
        for descending in [false, true] {
            let mut query = Query { order_by, descending, limit: 20, ..Query::default() };
            let expected = twin.model().find(&query);
            let page = twin.engine().find(&query)?;
            query.after = page.next;
            twin = twin.reopen(open, true)?;
            let rest = if query.after.is_some() {
                pages(twin.engine(), &query, expected.len())?
            } else {
                Vec::new()
            };
            same_entities(&format!("{query:?}"), &[page.entities, rest].concat(), &expected)?;
        }
    }
    Ok(())
}

pub(crate) fn large_contents_are_there_after_opening(open: Open<'_>) -> Outcome {
    let bytes = Random::new(16).bytes(6 << 20);
    let value = Random::new(17).bytes(4 << 20);
    let key = RecordKey::new("c", "k")?;
    let store = open();
    let file = store.files().put(&mut &bytes[..])?;
    let (blob, _) = commit(&store, |batch| {
        batch.put_record(key.clone(), value.clone(), Expected::Any);
        batch.put_blob(bytes[1..].to_vec())
    })?;
    drop(store);
    let store = open();
    assert!(
        store.files().read_range(&file.id, 0, usize::MAX)?.as_deref() == Some(&bytes[..]),
        "the file changed"
    );
    assert!(store.engine().blob(&blob)?.is_some_and(|blob| blob.bytes == bytes[1..]), "the blob changed");
    assert!(store.engine().record(&key)?.is_some_and(|record| record.value == value), "the record changed");
    Ok(())
}

pub(crate) fn a_reopened_store_is_sound(open: Open<'_>) -> Outcome {
    let mut twin = Twin::new(open());
    for close in [true, false] {
        fill(&mut twin, u64::from(close), &[Durability::Written, Durability::Synced])?;
        let head = twin.engine().stats().chain_head;
        twin = twin.reopen(open, close)?;
        let (stats, report) = (twin.engine().stats(), twin.engine().check(&mut |_, _| {})?);
        same("damage", &(stats.damage, report.damage), &(Vec::new(), Vec::new()))?;
        same("head of the chain before and after", &stats.chain_head, &head)?;
        same("head of the chain when checked", &report.chain_head, &head)?;
        same("commits", &report.commits, &twin.model().revision())?;
    }
    Ok(())
}
