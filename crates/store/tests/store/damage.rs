//! What is damaged is told from what is absent, and can be mended.

use std::fs;
use std::path::{Path, PathBuf};

use statlas_core::Address;
use statlas_store::testing::{crowd, version};
use statlas_store::{
    Batch, Durability, ErrorKind, Expected, Filter, Location, Options, Query, Record, RecordKey,
    ScrubOptions, Store, StoredEntity,
};

use crate::aged;
use crate::durability::{folder, image, last_segment, open, segments};

/// Flips a bit inside the first occurrence of a text in a file.
fn flip_inside(path: &Path, text: &str) {
    aged::flip_inside(path, text.as_bytes(), 0);
}

#[test]
fn a_damaged_version_that_is_stored_again_takes_its_old_place() {
    let folder = folder();
    let path = folder.path().join("store");
    let store = open(&path);
    let addresses: Vec<Address> =
        (1..=3).map(|number| store.put(version("a", number)).expect("it can be stored")).collect();
    store.close().expect("it closes");
    drop(store);
    let text = String::from_utf8(version("a", 1).canonical()).expect("ASCII");
    flip_inside(&last_segment(&path), &text);
    let store = open(&path);
    assert_eq!(store.engine().versions("a").expect("some are sound"), addresses[1..]);
    assert_eq!(store.get(&addresses[0]).expect_err("it is damaged").kind(), ErrorKind::Corrupt);
    for id in ["b", "c"] {
        assert_eq!(store.history(id).expect_err("it may be damaged").kind(), ErrorKind::Corrupt);
        assert_eq!(store.resolve(id).expect_err("it may be damaged").kind(), ErrorKind::Corrupt);
        assert_eq!(store.engine().versions(id).expect("none that is known"), Vec::new());
    }
    store.put(version("a", 1)).expect("it can be stored again");
    drop(store);
    for _ in 0..2 {
        let store = open(&path);
        assert_eq!(store.engine().versions("a").expect("all are sound"), addresses);
        assert_eq!(store.history("b").expect("nothing is missing"), Vec::new());
        let latest = Query { filter: Filter { latest: true, ..Filter::default() }, ..Query::default() };
        let latest = store.engine().find(&latest).expect("all are sound").entities;
        assert_eq!(latest.iter().map(StoredEntity::address).collect::<Vec<_>>(), addresses[2..]);
        store.close().expect("it closes");
    }
}

#[test]
fn a_damaged_blob_is_mended_by_storing_its_file_again() {
    let folder = folder();
    let path = folder.path().join("store");
    let store = open(&path);
    let content = "a file whose bytes will be damaged".repeat(3);
    let id = store.files().put(&mut content.as_bytes()).expect("it can be stored").id;
    drop(store);
    flip_inside(&last_segment(&path), &content);
    let store = open(&path);
    assert_eq!(store.engine().blob(&id).expect_err("it is damaged").kind(), ErrorKind::Corrupt);
    assert_eq!(store.files().put(&mut content.as_bytes()).expect("it can be stored").id, id);
    let bytes = store.files().read_range(&id, 0, 1000).expect("it is sound").expect("it is there");
    assert_eq!(bytes, content.as_bytes());
}

#[test]
fn a_last_segment_that_is_gone_is_noticed_now_and_later() {
    let folder = folder();
    let path = folder.path().join("store");
    let store = open(&path);
    let mut number = 0;
    while segments(&path).len() < 3 {
        store.put(version("a", number)).expect("it can be stored");
        number += 1;
    }
    drop(store);
    fs::remove_file(last_segment(&path)).expect("it is there");
    for round in 0..2 {
        let store = open(&path);
        let missing = ["segment 3 is missing".to_owned()];
        assert_eq!(store.engine().stats().damage, missing);
        store.put(version("b", round)).expect("it can be stored");
        let report = store.engine().check(&mut |_, _| {}).expect("it can be checked");
        assert_eq!(report.damage, missing);
    }
    fs::remove_dir_all(path.join("log"))
        .and_then(|()| fs::create_dir(path.join("log")))
        .expect("it can be emptied");
    let error =
        Store::open(&Location::Disk(path), &Options::default()).map(drop).expect_err("the log is gone");
    assert_eq!(error.kind(), ErrorKind::Corrupt);
}

#[test]
fn a_record_whose_last_change_is_damaged_is_an_error_and_not_its_old_value() {
    let folder = folder();
    let path = folder.path().join("store");
    let key = RecordKey::new("c", "k").expect("legal");
    let put = |store: &Store, value: &str, expected: Expected| {
        let mut batch = Batch::new();
        batch.put_record(key.clone(), value.into(), expected);
        store.commit(batch, Durability::Synced).map(|commit| commit.revision)
    };
    let store = open(&path);
    let first = put(&store, "the first value", Expected::Absent).expect("it is new");
    put(&store, "the second value", Expected::Revision(first)).expect("nobody else changed it");
    drop(store);
    flip_inside(&last_segment(&path), "the second value");
    let store = open(&path);
    assert_eq!(store.engine().record(&key).expect_err("it is damaged").kind(), ErrorKind::Corrupt);
    let old = put(&store, "another value", Expected::Revision(first));
    assert_eq!(old.expect_err("nobody knows its revision").kind(), ErrorKind::Corrupt);
    put(&store, "the third value", Expected::Any).expect("it can be set");
    drop(store);
    let record = open(&path).engine().record(&key).expect("it is sound").expect("it is there");
    assert_eq!(record.value, b"the third value");
}

#[test]
fn an_entity_whose_removal_is_damaged_does_not_come_back() {
    let folder = folder();
    let path = folder.path().join("store");
    let store = open(&path);
    let address = store.put(version("a", 1)).expect("it can be stored");
    let mut batch = Batch::new();
    batch.remove_entity(address);
    store.commit(batch, Durability::Synced).expect("it can be removed");
    drop(store);
    let segment = last_segment(&path);
    let mut bytes = fs::read(&segment).expect("the file can be read");
    let key =
        bytes.windows(32).rposition(|window| window == address.as_bytes()).expect("the tombstone's key");
    // The ordinal stands before the key.
    bytes[key - 4] ^= 1;
    fs::write(&segment, bytes).expect("the file can be written");
    let store = open(&path);
    assert_eq!(store.get(&address).expect_err("whether it is there is not known").kind(), ErrorKind::Corrupt);
    assert_eq!(store.engine().versions("a").expect("none that is known"), Vec::new());
}

#[test]
fn nothing_is_written_behind_a_last_segment_of_another_store() {
    let folder = folder();
    let (path, other) = (folder.path().join("store"), folder.path().join("other"));
    for (path, id) in [(&path, "a"), (&other, "b")] {
        open(path).put(version(id, 1)).expect("it can be stored");
    }
    fs::copy(last_segment(&other), last_segment(&path)).expect("it can be copied");
    let store = open(&path);
    assert_eq!(store.engine().stats().damage.len(), 1);
    let address = store.put(version("c", 1)).expect("it can be stored");
    drop(store);
    let store = open(&path);
    assert!(store.get(&address).expect("it is sound").is_some());
    assert_eq!(store.engine().versions("b").expect("it is not this store's"), Vec::new());
}

#[test]
fn a_complete_segment_that_was_cut_behind_a_batch_is_damaged_from_opening_on() {
    let folder = folder();
    let path = folder.path().join("store");
    let store = open(&path);
    // The file that was written to, and where each batch ended in it.
    let mut ends = Vec::new();
    for entity in crowd(7, 60) {
        let mut batch = Batch::new();
        batch.put_entity(entity);
        store.commit(batch, Durability::Written).expect("it is stored");
        let last = segments(&path).pop().expect("there is one");
        ends.push((last.clone(), fs::metadata(&last).expect("it is there").len()));
    }
    store.close().expect("it closes");
    let last = segments(&path).pop().expect("there is one");
    ends.retain(|(file, _)| *file != last);
    assert!(ends.len() > 20, "the segments are too large for this test");
    let cut = folder.path().join("cut");
    for (file, end) in &ends {
        for has_sidecar in [true, false] {
            image(&path, &cut);
            let target = cut.join("log").join(file.file_name().expect("it has a name"));
            if has_sidecar {
                fs::copy(file.with_extension("idx"), target.with_extension("idx")).expect("it has one");
            }
            fs::File::options()
                .write(true)
                .open(&target)
                .and_then(|file| file.set_len(*end))
                .expect("it is cut");
            for _ in 0..2 {
                let store = open(&cut);
                let damage = store.engine().stats().damage;
                let stem = file.file_stem().and_then(|stem| stem.to_str()).expect("it has a name");
                let place = format!("segment {} offset {end}:", stem.trim_start_matches('0'));
                let told = damage.iter().any(|line| line.starts_with(&place));
                assert!(told, "{place} sidecar: {has_sidecar}, {damage:?}");
                assert!(store.engine().may_miss_entities());
                let check = store.engine().check(&mut |_, _| {}).expect("it can be read").damage;
                let options = ScrubOptions::default();
                let scrub = store.engine().scrub(&options, &mut |_, _| {}).expect("it can be read").damage;
                for found in [check, scrub] {
                    assert!(found.iter().any(|line| line.starts_with(&place)), "{place}: {found:?}");
                }
            }
        }
    }
}

#[test]
fn names_are_not_called_absent_that_may_have_stood_in_the_lost_end_of_a_segment() {
    let folder = folder();
    let path = folder.path().join("store");
    let store = open(&path);
    let first = segments(&path)[0].clone();
    let mut lost = String::new();
    for entity in crowd(7, 60) {
        let id = entity.id().to_owned();
        store.put(entity).expect("it is stored");
        if segments(&path).len() == 1 {
            lost = id;
        }
    }
    store.close().expect("it closes");
    drop(store);
    let whole = fs::read(&first).expect("it is there");
    for bytes in [80, 81, 500, 2000] {
        let mut damaged = whole.clone();
        let start = whole.len() - bytes;
        damaged[start..].iter_mut().for_each(|byte| *byte = byte.wrapping_mul(7) ^ 0x5a);
        fs::write(&first, damaged).expect("it can be written");
        // It may have none any more.
        drop(fs::remove_file(first.with_extension("idx")));
        let store = open(&path);
        for name in [&*lost, "never stored"] {
            match store.resolve(name) {
                Ok(_) => assert!(name == lost && bytes < 100, "{bytes}: {name}"),
                Err(error) => assert_eq!(error.kind(), ErrorKind::Corrupt, "{bytes}: {name}: {error}"),
            }
        }
    }
}

#[test]
fn a_version_is_removed_whatever_is_wrong_with_the_others_and_writes_go_on() {
    let folder = folder();
    let path = folder.path().join("store");
    let store = open(&path);
    let addresses: Vec<Address> =
        (0..3).map(|number| store.put(version("a", number)).expect("it is stored")).collect();
    for entity in crowd(7, 60) {
        store.put(entity).expect("it is stored");
    }
    store.close().expect("it closes");
    drop(store);
    flip_inside(&segments(&path)[0], &String::from_utf8(version("a", 1).canonical()).expect("ASCII"));
    let store = open(&path);
    let mut batch = Batch::new();
    batch.remove_entity(addresses[2]);
    store.commit(batch, Durability::Synced).expect("it is sound");
    assert_eq!(store.get(&addresses[2]).expect("it is gone"), None);
    assert_eq!(store.get(&addresses[1]).expect_err("it is damaged").kind(), ErrorKind::Corrupt);
    assert_eq!(store.head("a").expect_err("it is damaged").kind(), ErrorKind::Corrupt);
    assert!(store.get(&addresses[0]).expect("it is sound").is_some());
    store.put(version("another", 0)).expect("writes go on");
    store.put(version("a", 1)).expect("it is stored again");
    assert_eq!(store.head("a").expect("it is mended").map(|head| head.address()), Some(addresses[1]));
    store.close().expect("it closes");
    drop(store);
    assert_eq!(open(&path).engine().versions("a").expect("all are sound"), addresses[..2]);
}

#[test]
fn a_head_whose_address_is_damaged_refuses_a_new_version_and_writes_go_on() {
    let folder = folder();
    let path = folder.path().join("store");
    let store = open(&path);
    let addresses: Vec<Address> =
        (0..2).map(|number| store.put(version("a", number)).expect("it is stored")).collect();
    let other = store.put(version("other", 0)).expect("it is stored");
    for entity in crowd(7, 60) {
        store.put(entity).expect("it is stored");
    }
    store.close().expect("it closes");
    drop(store);
    let file = segments(&path)[0].clone();
    let mut bytes = fs::read(&file).expect("it is there");
    let at = bytes.windows(32).position(|window| window == addresses[1].0).expect("it is there");
    bytes[at + 9] ^= 1;
    fs::write(&file, bytes).expect("it can be written");
    let store = open(&path);
    for removes_first in [true, false] {
        let mut batch = Batch::new();
        if removes_first {
            batch.remove_entity(other);
        }
        batch.put_entity(version("a", 2));
        let refused = store.commit(batch, Durability::Synced).expect_err("its head can't be read");
        assert_eq!(refused.kind(), ErrorKind::Corrupt, "{refused}");
        store.put(version("another", removes_first.into())).expect("writes go on");
    }
}

#[test]
fn a_record_whose_batch_lost_its_end_tells_its_revision_or_that_it_is_damaged() {
    let folder = folder();
    let path = folder.path().join("store");
    let store = Store::open(&Location::Disk(path.clone()), &aged::options(1)).expect("it opens");
    let put = |name: &str, number: usize| {
        let mut batch = Batch::new();
        batch.put_record(aged::record_key(name), number.to_string().into_bytes(), Expected::Any);
        store.commit(batch, Durability::Written).expect("it is legal");
    };
    // What is overwritten is compacted away without a trace, and its revision with it.
    for number in 0..600 {
        match number % 3 {
            0 | 1 => put(&format!("stays {number}"), number),
            _ => put("same", number),
        }
        if number == 400 {
            aged::compact(&store);
        }
    }
    let records = store.engine().records("c", None, 1000).expect("all are sound");
    store.close().expect("it closes");
    drop(store);
    let names = segments(&path);
    let is_compacted =
        |name: &Path| name.file_name().is_some_and(|name| name.to_string_lossy().starts_with('c'));
    let last = names.iter().rfind(|name| !is_compacted(name));
    let (mut right, mut refused) = ([0, 0], 0);
    for name in names.iter().filter(|name| Some(*name) != last) {
        let (file_name, is_compacted) = (name.file_name().expect("it has one"), is_compacted(name));
        let frames = aged::frames(name);
        for pair in frames.windows(2).filter(|pair| matches!(pair[1].kind, 1 | 5)) {
            let of_batch = |record: &&Record| pair[0].key.ends_with(record.key.key().as_bytes());
            let Some(record) = records.iter().find(of_batch) else { continue };
            let copy = folder.path().join("copy");
            aged::copy(&path, &copy);
            let file = fs::OpenOptions::new().write(true).open(copy.join("log").join(file_name));
            file.and_then(|file| file.set_len(pair[1].offset as u64)).expect("it can be cut");
            let store = open(&copy);
            match store.engine().record(&record.key) {
                Ok(found) if record.key.key() != "same" => {
                    assert_eq!(found.as_ref(), Some(record), "its frame is whole");
                    right[usize::from(is_compacted)] += 1;
                }
                // An old value, since what followed is lost too.
                Ok(found) => {
                    let found = found.expect("a value is left");
                    assert_eq!(found.value, (found.revision - 1).to_string().into_bytes());
                }
                Err(error) => {
                    assert!(is_compacted, "a writer leaves no revision out: {error}");
                    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
                    let message = error.to_string();
                    assert!(message.contains("commit frame that tells the revision"), "{message}");
                    assert!(message.contains(&format!("record {:?} in", record.key.key())), "{message}");
                    let listed = store.engine().records("c", None, 1000).expect_err("one is damaged");
                    assert!(listed.to_string().contains("in collection \"c\": "), "{listed}");
                    let put = |expected| {
                        let mut batch = Batch::new();
                        batch.put_record(record.key.clone(), b"new".to_vec(), expected);
                        store.commit(batch, Durability::Written).map_err(|error| error.kind())
                    };
                    for expected in [Expected::Absent, Expected::Revision(0), Expected::Revision(1)] {
                        assert_eq!(put(expected), Err(ErrorKind::Corrupt), "{expected:?}");
                    }
                    put(Expected::Any).expect("whatever it is");
                    let found = store.engine().record(&record.key).expect("it is stored again");
                    assert_eq!(found.expect("it is there").value, b"new");
                    refused += 1;
                }
            }
            drop(store);
            fs::remove_dir_all(&copy).expect("it can be removed");
        }
    }
    assert!(right[0] > 10 && right[1] > 0 && refused > 10, "{right:?} {refused} of {names:?}");
}

#[test]
fn what_is_damaged_is_not_removed_as_if_it_were_absent() {
    let folder = folder();
    let path = folder.path().join("store");
    let store = open(&path);
    let entity = version("a", 1);
    let address = store.put(entity.clone()).expect("it is stored");
    let mut batch = Batch::new();
    let blob = batch.put_blob(b"a blob that will be damaged".to_vec());
    store.commit(batch, Durability::Synced).expect("it is stored");
    drop(store);
    flip_inside(&last_segment(&path), &String::from_utf8(entity.canonical()).expect("ASCII"));
    flip_inside(&last_segment(&path), "a blob that will be damaged");
    let store = open(&path);
    let (mut first, mut second) = (Batch::new(), Batch::new());
    first.remove_entity(address);
    second.remove_blob(blob);
    for batch in [first, second] {
        let refused = store.commit(batch, Durability::Synced).expect_err("it is damaged");
        assert_eq!(refused.kind(), ErrorKind::Corrupt, "{refused}");
    }
    store.put(version("b", 1)).expect("writes go on");
}

#[test]
fn behind_a_missing_segment_the_chain_goes_on_from_the_last_header() {
    let folder = folder();
    let path = folder.path().join("store");
    let store = Store::open(&Location::Disk(path.clone()), &aged::options(u64::MAX)).expect("it opens");
    let mut number = 0;
    while segments(&path).len() < 3 {
        store.put(version("a", number)).expect("it can be stored");
        number += 1;
    }
    let copy = folder.path().join("copy");
    aged::copy(&path, &copy);
    let names = segments(&copy);
    // The last one was just begun.
    let last = fs::OpenOptions::new().write(true).open(&names[2]).expect("it is there");
    last.set_len(96).expect("it can be cut");
    fs::remove_file(&names[1]).expect("it is there");
    drop(fs::remove_file(names[1].with_extension("idx")));
    let store = open(&copy);
    store.put(version("b", 1)).expect("writes go on");
    let damage = store.engine().check(&mut |_, _| {}).expect("it can be read").damage;
    assert_eq!(damage.len(), 1, "{damage:?}");
    assert!(damage[0].contains("segment 2 is missing"), "{damage:?}");
}

#[test]
fn behind_a_compacted_segment_that_lost_its_end_the_chain_goes_on_from_the_next_header() {
    let folder = folder();
    let path = folder.path().join("store");
    let store = Store::open(&Location::Disk(path.clone()), &aged::options(u64::MAX)).expect("it opens");
    for number in 0..60 {
        store.commit(aged::batch(number), Durability::Synced).expect("it is legal");
    }
    aged::compact(&store);
    store.close().expect("it closes");
    drop(store);
    let is_compacted =
        |path: &&PathBuf| path.file_name().is_some_and(|name| name.as_encoded_bytes()[0] == b'c');
    let (compacted, written): (Vec<_>, Vec<_>) =
        segments(&path).into_iter().partition(|path| is_compacted(&path));
    let (last_compacted, last) =
        (compacted.last().expect("there are some"), written.last().expect("there is one"));
    let cut = |path: &Path, bytes: usize| {
        let file = fs::OpenOptions::new().write(true).open(path).expect("it is there");
        file.set_len(bytes as u64).expect("it can be cut");
    };
    // Behind it stands the frame that says that another segment follows.
    let frames = aged::frames(last_compacted);
    cut(last_compacted, frames[frames.len() - 2].offset);
    cut(last, 96);
    for other in &written[..written.len() - 1] {
        fs::remove_file(other).expect("it is there");
        drop(fs::remove_file(other.with_extension("idx")));
    }
    let store = aged::open(&path);
    for number in 0..3 {
        store.put(version("new", number)).expect("writes go on");
    }
    let damage = store.engine().check(&mut |_, _| {}).expect("it can be read").damage.join("; ");
    assert!(!damage.contains("hash chain"), "{damage}");
}

#[test]
fn without_the_header_of_its_segment_and_the_segment_before_no_revision_of_a_record_is_made_up() {
    let folder = folder();
    let path = folder.path().join("store");
    let store = aged::open(&path);
    let put = |number: usize| {
        let mut batch = Batch::new();
        batch.put_record(aged::record_key(&format!("r {number:04}")), b"value".to_vec(), Expected::Any);
        store.commit(batch, Durability::Written).expect("it is legal");
    };
    let mut number = 0;
    while segments(&path).len() < 5 {
        put(number);
        number += 1;
    }
    let records = store.engine().records("c", None, 1000).expect("all are sound");
    store.close().expect("it closes");
    drop(store);
    let names = segments(&path);
    let frames = aged::frames(&names[2]);
    fs::remove_file(&names[1]).expect("it is there");
    for sidecar in &names[1..3] {
        fs::remove_file(sidecar.with_extension("idx")).expect("it has one");
    }
    let cut = fs::OpenOptions::new().write(true).open(&names[2]).expect("it is there");
    cut.set_len(frames[1].offset as u64).expect("it can be cut");
    aged::flip(&names[2], 40);
    let store = aged::open(&path);
    let mut refused = 0;
    for record in &records {
        match store.engine().record(&record.key) {
            Ok(found) => assert!(found.is_none_or(|found| found.revision == record.revision), "{record:?}"),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
                refused += 1;
            }
        }
    }
    assert_eq!(refused, 1, "the one whose batch lost its end");
}

#[test]
fn what_is_left_of_batches_that_lost_their_ends_keeps_its_order_and_is_listed_page_by_page() {
    let folder = folder();
    let path = folder.path().join("store");
    let store = aged::open(&path);
    let addresses: Vec<Address> =
        (0..4).map(|number| store.put(version("a", number)).expect("it can be stored")).collect();
    store.close().expect("it closes");
    drop(store);
    let only = segments(&path).pop().expect("there is one");
    let commits: Vec<_> = aged::frames(&only).into_iter().filter(|frame| frame.kind == 1).collect();
    for frame in &commits[1..3] {
        aged::flip(&only, frame.offset + 20);
    }
    let store = aged::open(&path);
    assert_eq!(store.engine().versions("a").expect("all are sound"), addresses);
    let (mut listed, mut query) = (Vec::new(), Query { limit: 1, ..Query::default() });
    loop {
        let page = store.engine().find(&query).expect("all are sound");
        listed.extend(page.entities.iter().map(StoredEntity::address));
        query.after = page.next;
        if query.after.is_none() {
            break;
        }
    }
    assert_eq!(listed, addresses);
}

#[test]
fn a_quick_check_that_finds_damage_makes_it_known_to_later_openings() {
    let folder = folder();
    let path = folder.path().join("store");
    let store = aged::open(&path);
    let mut number = 0;
    while segments(&path).len() < 3 {
        store.put(version("a", number)).expect("it can be stored");
        number += 1;
    }
    store.close().expect("it closes");
    drop(store);
    let first = segments(&path)[0].clone();
    let end = aged::frames(&first).pop().expect("it has frames");
    aged::flip(&first, end.offset + 30);
    for is_known in [false, true] {
        let store = aged::open(&path);
        assert_eq!(!store.engine().stats().damage.is_empty(), is_known);
        assert!(!store.engine().check_quick(&mut |_, _| {}).expect("it can be read").damage.is_empty());
        store.close().expect("it closes");
    }
}
