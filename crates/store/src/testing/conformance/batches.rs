//! Batches: stored as a whole or not at all, and counted.

use statlas_core::Token;
use zerocopy::FromBytes;

use super::{Open, Outcome, commit, refused};
use crate::limits::{BATCH_BYTES_MAX, BATCH_OPERATIONS_MAX, PAYLOAD_BYTES_MAX, RECORD_VALUE_BYTES_MAX};
use crate::testing::sample::{crowd, plain, version};
use crate::testing::twin::same;
use crate::{Batch, Commit, Durability, ErrorKind, Expected, RecordKey, Store};

/// What a reader can tell about the store.
fn visible(store: &Store) -> Outcome<String> {
    let (engine, stats) = (store.engine(), store.engine().stats());
    let figures = [stats.revision, stats.entities, stats.ids, stats.blobs, stats.records];
    let rows: Vec<_> =
        engine.find(&crate::Query::default())?.entities.iter().map(crate::StoredEntity::address).collect();
    Ok(format!("{figures:?} {rows:?} {:?} {:?}", engine.records("c", None, 9)?, engine.versions("a")?))
}

pub(crate) fn a_refused_operation_leaves_nothing_of_its_batch(open: Open<'_>) -> Outcome {
    let store = open();
    let key = RecordKey::new("c", "k")?;
    let old = store.put(version("a", 1))?;
    let (blob, _) = commit(&store, |batch| batch.put_blob(b"old".to_vec()))?;
    commit(&store, |batch| batch.put_record(key.clone(), b"old".to_vec(), Expected::Any))?;
    let before = visible(&store)?;
    type Bad<'a> = &'a dyn Fn(&mut Batch);
    let mutability = |batch: &mut Batch| {
        batch.put_entity(plain("a", |parts| parts.coordinates.lineage = 7));
    };
    let conflict =
        |batch: &mut Batch| batch.put_record(key.clone(), b"new".to_vec(), Expected::Revision(1 << 40));
    let too_large = |batch: &mut Batch| {
        batch.put_record(key.clone(), vec![0; RECORD_VALUE_BYTES_MAX + 1], Expected::Any);
    };
    let bads: [(ErrorKind, Bad<'_>); 3] = [
        (ErrorKind::Mutability, &mutability),
        (ErrorKind::Conflict, &conflict),
        (ErrorKind::Invalid, &too_large),
    ];
    for (kind, bad) in bads {
        let error = refused(&store, |batch| {
            batch.put_entity(version("a", 2));
            batch.put_entity(version("b", 1));
            batch.put_blob(b"new".to_vec());
            batch.put_record(key.clone(), b"new".to_vec(), Expected::Any);
            batch.remove_entity(old);
            batch.remove_blob(blob);
            batch.put_entity(version("a", 3));
            bad(batch);
            batch.put_entity(version("c", 1));
        });
        same("refusal", &(error.kind(), error.operation()), &(kind, Some(7)))?;
        same("what is visible", &visible(&store)?, &before)?;
        same("whether the old blob is there", &store.engine().has_blob(&blob)?, &true)?;
        same("new entity", &store.get(&version("b", 1).address())?, &None)?;
    }
    // The store goes on as if nothing had been asked of it.
    store.put(version("a", 2))?;
    Ok(())
}

pub(crate) fn a_batch_beyond_its_limits_is_refused(open: Open<'_>) -> Outcome {
    let store = open();
    let before = visible(&store)?;
    let operations = refused(&store, |batch| {
        let absent = version("a", 1).address();
        (0..=BATCH_OPERATIONS_MAX).for_each(|_| batch.remove_entity(absent));
    });
    same("too many operations", &operations.kind(), &ErrorKind::Invalid)?;
    let bytes = refused(&store, |batch| {
        for number in 0..=BATCH_BYTES_MAX / (8 << 20) {
            let mut bytes = vec![0; 8 << 20];
            bytes[0] = number as u8;
            batch.put_blob(bytes);
        }
    });
    same("too many bytes", &bytes.kind(), &ErrorKind::Invalid)?;
    let payload = refused(&store, |batch| {
        batch.put_entity(version("a", 1));
        batch.put_blob(vec![0; PAYLOAD_BYTES_MAX + 1]);
    });
    same("too large a blob", &(payload.kind(), payload.operation()), &(ErrorKind::Invalid, Some(1)))?;
    same("what is visible", &visible(&store)?, &before)
}

pub(crate) fn a_token_that_breaks_the_rules_of_tokens_is_refused(open: Open<'_>) -> Outcome {
    let store = open();
    let before = visible(&store)?;
    // A slice of tokens in a file is whatever its bytes are.
    let token = Token::read_from_bytes(&[0xff; Token::BYTES]).expect("any bytes of that length");
    let error = refused(&store, |batch| {
        batch.put_blob(b"x".to_vec());
        batch.put_entity(version("a", 1).with_attachments(Some(token), None));
    });
    same("the error", &(error.kind(), error.operation()), &(ErrorKind::Invalid, Some(1)))?;
    same("what is visible", &visible(&store)?, &before)
}

pub(crate) fn the_revision_grows_by_one_with_each_batch_that_changes_something(open: Open<'_>) -> Outcome {
    let store = open();
    let key = RecordKey::new("c", "k")?;
    let entity = version("a", 1);
    let address = entity.address();
    let blob = statlas_core::BlobId::of(b"x");
    let start = store.engine().stats().revision;
    let changes: [&dyn Fn(&mut Batch); 7] = [
        &|batch| {
            batch.put_entity(entity.clone());
        },
        &|batch| {
            batch.put_blob(b"x".to_vec());
        },
        &|batch| batch.put_record(key.clone(), b"x".to_vec(), Expected::Any),
        &|batch| batch.put_record(key.clone(), b"x".to_vec(), Expected::Any),
        &|batch| batch.remove_record(key.clone(), Expected::Any),
        &|batch| batch.remove_entity(address),
        &|batch| batch.remove_blob(blob),
    ];
    for (expected, change) in (start + 1..).zip(changes) {
        let ((), counts) = commit(&store, |batch| change(batch))?;
        same("revision of the commit", &counts.revision, &expected)?;
        same("revision of the store", &store.engine().stats().revision, &expected)?;
    }
    Ok(())
}

pub(crate) fn a_batch_that_changes_nothing_keeps_the_revision(open: Open<'_>) -> Outcome {
    let store = open();
    let ((), empty) = commit(&store, |_| {})?;
    same("commit of an empty batch", &empty, &Commit { revision: store.engine().stats().revision, ..empty })?;
    let (_, first) = commit(&store, |batch| {
        batch.put_blob(b"x".to_vec());
        batch.put_entity(version("a", 1))
    })?;
    for durability in [Durability::Buffered, Durability::Written, Durability::Synced] {
        let mut batch = Batch::new();
        batch.put_entity(version("a", 1));
        batch.put_blob(b"x".to_vec());
        batch.remove_entity(version("absent", 1).address());
        batch.remove_blob(statlas_core::BlobId::of(b"absent"));
        batch.remove_record(RecordKey::new("c", "absent")?, Expected::Any);
        let counts = store.commit(batch, durability)?;
        let expected = Commit { revision: first.revision, entities_present: 1, ..Commit::default() };
        same("commit", &counts, &expected)?;
        same("commit of an empty batch", &store.commit(Batch::new(), durability)?.revision, &first.revision)?;
    }
    same("revision", &store.engine().stats().revision, &first.revision)
}

pub(crate) fn a_commit_counts_what_it_did(open: Open<'_>) -> Outcome {
    let store = open();
    store.put(version("a", 1))?;
    let (_, counts) = commit(&store, |batch| {
        batch.put_entity(version("a", 1));
        batch.put_entity(version("a", 2));
        batch.put_entity(version("b", 1));
        batch.put_entity(version("b", 1));
        batch.put_blob(b"x".to_vec());
        batch.put_blob(b"y".to_vec());
        batch.put_blob(b"x".to_vec());
        batch.put_record(RecordKey::new("c", "k").expect("legal"), Vec::new(), Expected::Any);
        batch.remove_record(RecordKey::new("c", "absent").expect("legal"), Expected::Any);
        batch.remove_entity(version("a", 1).address());
        batch.remove_blob(statlas_core::BlobId::of(b"y"));
    })?;
    let expected = Commit { entities_new: 2, entities_present: 2, blobs_new: 2, others: 3, ..counts };
    same("commit", &counts, &expected)
}

pub(crate) fn figures_count_what_is_there(open: Open<'_>) -> Outcome {
    let store = open();
    let figures = |store: &Store| {
        let stats = store.engine().stats();
        [stats.entities, stats.ids, stats.blobs, stats.records]
    };
    same("figures of an empty store", &figures(&store), &[0; 4])?;
    commit(&store, |batch| {
        for number in 0..3 {
            batch.put_entity(version("a", number));
        }
        batch.put_entity(version("b", 1));
        batch.put_blob(b"x".to_vec());
        batch.put_blob(b"y".to_vec());
        batch.put_record(RecordKey::new("c", "k").expect("legal"), Vec::new(), Expected::Any);
    })?;
    same("figures", &figures(&store), &[4, 2, 2, 1])?;
    commit(&store, |batch| {
        batch.remove_entity(version("b", 1).address());
        batch.remove_entity(version("a", 2).address());
        batch.remove_blob(statlas_core::BlobId::of(b"x"));
        batch.remove_record(RecordKey::new("c", "k").expect("legal"), Expected::Any);
    })?;
    same("figures after removals", &figures(&store), &[2, 1, 1, 0])?;
    same("damage", &store.engine().stats().damage, &Vec::new())
}

pub(crate) fn a_check_finds_a_sound_store_sound(open: Open<'_>) -> Outcome {
    let store = open();
    for entity in crowd(6, 50) {
        store.put(entity)?;
    }
    commit(&store, |batch| {
        batch.put_blob(b"x".to_vec());
        batch.put_record(RecordKey::new("c", "k").expect("legal"), b"v".to_vec(), Expected::Any);
    })?;
    let mut reported = Vec::new();
    let report = store.engine().check(&mut |done, all| reported.push((done, all)))?;
    same("damage", &report.damage, &Vec::new())?;
    same("entities, blobs and records", &[report.entities, report.blobs, report.records], &[50, 1, 1])?;
    if !report.chain_head.is_empty() {
        same("commits of an engine that keeps a log", &report.commits, &51)?;
    }
    same("head of the chain", &report.chain_head, &store.engine().stats().chain_head)?;
    let grows = reported.is_sorted() && reported.iter().all(|(done, all)| done <= all);
    assert!(grows, "progress must grow and stay below its end: {reported:?}");
    Ok(())
}
