//! Records by collection and key, and changing them only as expected.

use super::{Open, Outcome, commit, refused};
use crate::limits::{COLLECTION_BYTES_MAX, RECORD_KEY_BYTES_MAX, RECORD_VALUE_BYTES_MAX};
use crate::testing::random::Random;
use crate::testing::twin::same;
use crate::{Batch, ErrorKind, Expected, Record, RecordKey, Store};

fn put(store: &Store, key: &RecordKey, value: &str, expected: Expected) -> Outcome<u64> {
    let (_, counts) = commit(store, |batch| batch.put_record(key.clone(), value.into(), expected))?;
    same("others", &counts.others, &1)?;
    Ok(counts.revision)
}

fn value(store: &Store, key: &RecordKey) -> Outcome<Option<String>> {
    let record = store.engine().record(key)?;
    Ok(record.map(|record| String::from_utf8_lossy(&record.value).into_owned()))
}

pub(crate) fn a_record_comes_back_with_the_revision_that_set_it(open: Open<'_>) -> Outcome {
    let store = open();
    let (key, other) = (RecordKey::new("c", "k")?, RecordKey::new("c", "other")?);
    same("absent record", &store.engine().record(&key)?, &None)?;
    for text in ["one", "two", "", "two"] {
        let revision = put(&store, &key, text, Expected::Any)?;
        put(&store, &other, "x", Expected::Any)?;
        let expected = Record { key: key.clone(), value: text.into(), revision };
        same("record", &store.engine().record(&key)?, &Some(expected))?;
    }
    same("records", &store.engine().stats().records, &2)
}

pub(crate) fn a_record_that_is_removed_is_absent(open: Open<'_>) -> Outcome {
    let store = open();
    let key = RecordKey::new("c", "k")?;
    put(&store, &key, "x", Expected::Any)?;
    let (_, removed) = commit(&store, |batch| batch.remove_record(key.clone(), Expected::Any))?;
    same("others", &removed.others, &1)?;
    same("record", &store.engine().record(&key)?, &None)?;
    same("records", &store.engine().records("c", None, 9)?, &Vec::new())?;
    let (_, again) = commit(&store, |batch| batch.remove_record(key.clone(), Expected::Absent))?;
    same("removing it again", &(again.others, again.revision), &(0, removed.revision))?;
    put(&store, &key, "y", Expected::Absent)?;
    same("value", &value(&store, &key)?, &Some("y".to_owned()))
}

pub(crate) fn a_record_changes_only_if_it_is_as_expected(open: Open<'_>) -> Outcome {
    let store = open();
    let key = RecordKey::new("c", "k")?;
    let conflicts = |expected: Expected| {
        for removes in [false, true] {
            let error = refused(&store, |batch| match removes {
                false => batch.put_record(key.clone(), b"wrong".to_vec(), expected),
                true => batch.remove_record(key.clone(), expected),
            });
            same("refusal", &(error.kind(), error.operation()), &(ErrorKind::Conflict, Some(0)))?;
            assert!(error.to_string().contains("\"k\""), "{error} must name the record");
        }
        Ok::<_, super::Failure>(())
    };
    conflicts(Expected::Revision(0))?;
    conflicts(Expected::Revision(1))?;
    let first = put(&store, &key, "one", Expected::Absent)?;
    conflicts(Expected::Absent)?;
    conflicts(Expected::Revision(first + 1))?;
    let second = put(&store, &key, "two", Expected::Revision(first))?;
    conflicts(Expected::Revision(first))?;
    same("value", &value(&store, &key)?, &Some("two".to_owned()))?;
    commit(&store, |batch| batch.remove_record(key.clone(), Expected::Revision(second)))?;
    conflicts(Expected::Revision(second))?;
    same("value", &value(&store, &key)?, &None)
}

pub(crate) fn of_two_changes_of_a_record_in_one_batch_the_last_counts(open: Open<'_>) -> Outcome {
    let store = open();
    let key = RecordKey::new("c", "k")?;
    let put_two = |batch: &mut Batch| {
        batch.put_record(key.clone(), b"one".to_vec(), Expected::Any);
        batch.put_record(key.clone(), b"two".to_vec(), Expected::Any);
    };
    let (_, counts) = commit(&store, put_two)?;
    same("others", &counts.others, &2)?;
    same("value", &value(&store, &key)?, &Some("two".to_owned()))?;
    commit(&store, |batch| {
        batch.put_record(key.clone(), b"three".to_vec(), Expected::Any);
        batch.remove_record(key.clone(), Expected::Any);
    })?;
    same("value of what was set and removed", &value(&store, &key)?, &None)?;
    commit(&store, |batch| {
        batch.remove_record(key.clone(), Expected::Any);
        batch.put_record(key.clone(), b"four".to_vec(), Expected::Any);
    })?;
    same("value of what was removed and set", &value(&store, &key)?, &Some("four".to_owned()))?;
    same("records", &store.engine().records("c", None, 9)?.len(), &1)
}

pub(crate) fn an_expectation_looks_at_earlier_changes_of_its_batch(open: Open<'_>) -> Outcome {
    let store = open();
    let key = RecordKey::new("c", "k")?;
    let error = refused(&store, |batch| {
        batch.put_record(key.clone(), b"one".to_vec(), Expected::Absent);
        batch.put_record(key.clone(), b"two".to_vec(), Expected::Absent);
    });
    same("refusal", &(error.kind(), error.operation()), &(ErrorKind::Conflict, Some(1)))?;
    same("value", &value(&store, &key)?, &None)?;
    commit(&store, |batch| {
        batch.put_record(key.clone(), b"one".to_vec(), Expected::Absent);
        batch.remove_record(key.clone(), Expected::Any);
        batch.put_record(key.clone(), b"two".to_vec(), Expected::Absent);
    })?;
    same("value", &value(&store, &key)?, &Some("two".to_owned()))
}

pub(crate) fn the_same_key_in_two_collections_is_two_records(open: Open<'_>) -> Outcome {
    let store = open();
    // Joined without their lengths, some of these would be the same.
    let names = [("a", "k"), ("b", "k"), ("ak", "k"), ("a", "kk"), ("a", "k\0"), ("a\0", "k"), ("A", "k")];
    for (number, (collection, key)) in names.iter().enumerate() {
        put(&store, &RecordKey::new(collection, key)?, &number.to_string(), Expected::Absent)?;
    }
    for (number, (collection, key)) in names.iter().enumerate() {
        let found = value(&store, &RecordKey::new(collection, key)?)?;
        same(&format!("{collection:?} {key:?}"), &found, &Some(number.to_string()))?;
    }
    commit(&store, |batch| batch.remove_record(RecordKey::new("a", "k").expect("legal"), Expected::Any))?;
    same(
        "value in the other collection",
        &value(&store, &RecordKey::new("b", "k")?)?,
        &Some("1".to_owned()),
    )?;
    let keys: Vec<_> = store.engine().records("a", None, 9)?.into_iter().map(|record| record.key).collect();
    same("keys", &keys, &vec![RecordKey::new("a", "k\0")?, RecordKey::new("a", "kk")?])
}

pub(crate) fn records_are_listed_in_the_order_of_their_keys(open: Open<'_>) -> Outcome {
    let store = open();
    // Sorted by their bytes: not by their length, and not as UTF-16 is.
    let keys = ["\0", "10", "2", "K", "a", "a\0", "aa", "b", "é", "\u{ffff}", "\u{10000}"];
    for key in [4, 0, 10, 2, 8, 6, 1, 9, 3, 7, 5].map(|at: usize| keys[at]) {
        put(&store, &RecordKey::new("c", key)?, key, Expected::Absent)?;
        put(&store, &RecordKey::new("b", key)?, "", Expected::Absent)?;
        put(&store, &RecordKey::new("d", key)?, "", Expected::Absent)?;
    }
    let listed = |after: Option<&str>, limit: usize| -> Outcome<Vec<String>> {
        let records = store.engine().records("c", after, limit)?;
        Ok(records.iter().map(|record| String::from_utf8_lossy(&record.value).into_owned()).collect())
    };
    let expected = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>();
    same("all keys", &listed(None, 100)?, &expected(&keys))?;
    for limit in [0, 1, 5, keys.len(), keys.len() + 1] {
        let first = &keys[..limit.min(keys.len())];
        same(&format!("at most {limit}"), &listed(None, limit)?, &expected(first))?;
    }
    for (at, key) in keys.iter().enumerate() {
        same(
            &format!("after {key:?}"),
            &listed(Some(key), 3)?,
            &expected(&keys[at + 1..keys.len().min(at + 4)]),
        )?;
    }
    same("after a key that is not there", &listed(Some("a\0\0"), 2)?, &expected(&["aa", "b"]))?;
    same("after the empty key", &listed(Some(""), 1)?, &expected(&["\0"]))?;
    same("of no collection", &store.engine().records("cc", None, 9)?, &Vec::new())
}

pub(crate) fn records_of_every_legal_size_come_back(open: Open<'_>) -> Outcome {
    let store = open();
    let (collection, key) = ("c".repeat(COLLECTION_BYTES_MAX), "k".repeat(RECORD_KEY_BYTES_MAX));
    for (name, illegal) in
        [("", "k"), ("c", ""), (&*format!("{collection}c"), "k"), ("c", &format!("{key}k"))]
    {
        let error = RecordKey::new(name, illegal).expect_err("a name out of bounds");
        same("kind of error", &error.kind(), &ErrorKind::Invalid)?;
    }
    let longest = RecordKey::new(&collection, &key)?;
    for count in [0, 1, 1000, RECORD_VALUE_BYTES_MAX] {
        let value = Random::new(5).bytes(count);
        let (_, counts) =
            commit(&store, |batch| batch.put_record(longest.clone(), value.clone(), Expected::Any))?;
        let expected = Record { key: longest.clone(), value, revision: counts.revision };
        assert!(
            store.engine().record(&longest)? == Some(expected.clone()),
            "{count} bytes came back changed"
        );
        assert!(
            store.engine().records(&collection, None, 9)? == [expected],
            "{count} bytes were listed changed"
        );
    }
    Ok(())
}
