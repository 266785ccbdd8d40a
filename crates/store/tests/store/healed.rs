//! Damage that goes away again: a file that is restored, or a device that reads right the next time.

use std::fs;
use std::path::{Path, PathBuf};

use statlas_core::{Address, BlobId};
use statlas_store::testing::version;
use statlas_store::{Batch, CompactOptions, Durability, ErrorKind, Store};

use crate::aged;
use crate::durability::{folder, segments};

/// Stores an entity of an id of its own.
fn put(store: &Store, addresses: &mut Vec<Address>) {
    let entity = version(&format!("id {}", addresses.len()), 0);
    addresses.push(store.put(entity).expect("it can be stored"));
}

fn remove(store: &Store, address: Address) {
    let mut batch = Batch::new();
    batch.remove_entity(address);
    assert_eq!(store.commit(batch, Durability::Synced).expect("it is sound").others, 1);
}

/// Opens a store whose damage is gone, twice, and compares every entity and history.
fn assert_healed(path: &Path, addresses: &[Address], removed: Address) {
    for _ in 0..2 {
        let store = aged::open(path);
        assert_eq!(store.engine().stats().damage, Vec::<String>::new());
        for (number, address) in addresses.iter().enumerate() {
            let is_there = *address != removed;
            assert_eq!(store.get(address).expect("nothing is damaged").is_some(), is_there, "id {number}");
            let versions = store.engine().versions(&format!("id {number}")).expect("nothing is damaged");
            assert_eq!(versions, if is_there { vec![*address] } else { Vec::new() }, "id {number}");
        }
        assert_eq!(store.engine().stats().entities, addresses.len() as u64 - 1);
        let report = store.engine().check(&mut |_, _| {}).expect("it can be checked");
        assert_eq!(report.damage, Vec::<String>::new());
        store.close().expect("it closes");
    }
}

fn sidecars(path: &Path) -> Vec<PathBuf> {
    segments(path)
        .into_iter()
        .map(|segment| segment.with_extension("idx"))
        .filter(|path| path.exists())
        .collect()
}

#[test]
fn what_was_done_beside_the_damage_of_a_complete_segment_is_right_when_that_is_gone() {
    for loses_sidecars in [false, true] {
        let folder = folder();
        let path = folder.path().join("store");
        let store = aged::open(&path);
        let mut addresses = Vec::new();
        while segments(&path).len() < 3 {
            put(&store, &mut addresses);
        }
        store.close().expect("it closes");
        drop(store);
        let first = segments(&path)[0].clone();
        let at = aged::flip_inside(&first, &version("id 0", 0).canonical(), 0);
        let store = aged::open(&path);
        assert_eq!(store.engine().check(&mut |_, _| {}).expect("it can be checked").damage.len(), 1);
        store.close().expect("it closes");
        drop(store);
        let store = aged::open(&path);
        assert_eq!(store.engine().stats().damage.len(), 1, "the check took the sidecar away");
        remove(&store, addresses[2]);
        while segments(&path).len() < 6 {
            put(&store, &mut addresses);
        }
        store.close().expect("it closes");
        drop(store);
        assert_eq!(sidecars(&path).len(), 1, "of what was written beside damage none is kept");
        if loses_sidecars {
            fs::remove_file(&sidecars(&path)[0]).expect("it is there");
            aged::open(&path).close().expect("it closes");
            assert_eq!(sidecars(&path).len(), 0, "of what is read beside damage none is kept");
        }
        aged::flip(&first, at);
        assert_healed(&path, &addresses, addresses[2]);
        assert_eq!(sidecars(&path).len(), 5, "they are kept again");
    }
}

#[test]
fn what_was_done_beside_the_damage_of_the_active_segment_is_right_when_that_is_gone() {
    let folder = folder();
    let path = folder.path().join("store");
    let store = aged::open(&path);
    let mut addresses = Vec::new();
    for _ in 0..4 {
        put(&store, &mut addresses);
    }
    store.close().expect("it closes");
    drop(store);
    let first = segments(&path)[0].clone();
    let at = aged::flip_inside(&first, &version("id 0", 0).canonical(), 0);
    let store = aged::open(&path);
    assert_eq!(store.engine().stats().damage.len(), 1);
    while segments(&path).len() < 2 {
        put(&store, &mut addresses);
    }
    remove(&store, addresses[2]);
    while segments(&path).len() < 5 {
        put(&store, &mut addresses);
    }
    store.close().expect("it closes");
    drop(store);
    aged::flip(&first, at);
    assert_healed(&path, &addresses, addresses[2]);
}

/// Makes a store of three complete segments and one that is being written; returns the addresses of its entities.
fn three_segments(path: &Path) -> Vec<Address> {
    let store = aged::open(path);
    let mut addresses = Vec::new();
    while segments(path).len() < 4 {
        put(&store, &mut addresses);
    }
    store.close().expect("it closes");
    addresses
}

/// Takes a segment away, removes an entity and stores others meanwhile, and puts it back.
fn put_back(path: &Path, segment: usize, addresses: &mut Vec<Address>, removed: Address) {
    let missing = segments(path)[segment].clone();
    let aside = path.with_file_name("aside");
    fs::rename(&missing, &aside).expect("it is there");
    let store = aged::open(path);
    let told = format!("segment {} is missing", segment + 1);
    assert!(store.engine().stats().damage.contains(&told), "{:?}", store.engine().stats().damage);
    remove(&store, removed);
    while segments(path).len() < 6 {
        put(&store, addresses);
    }
    store.close().expect("it closes");
    fs::rename(&aside, &missing).expect("its place is free");
}

#[test]
fn a_segment_that_was_missing_is_right_when_it_is_put_back_behind_what_was_written() {
    let folder = folder();
    let path = folder.path().join("store");
    let mut addresses = three_segments(&path);
    let last = addresses[addresses.len() - 1];
    put_back(&path, 1, &mut addresses, last);
    assert_healed(&path, &addresses, last);
}

#[test]
fn a_last_segment_that_is_put_back_behind_what_was_written_holds_what_it_held_and_is_told() {
    let folder = folder();
    let path = folder.path().join("store");
    let mut addresses = three_segments(&path);
    let removed = addresses[0];
    put_back(&path, 3, &mut addresses, removed);
    for _ in 0..2 {
        let store = aged::open(&path);
        let damage = store.engine().stats().damage;
        assert!(damage.iter().any(|line| line.starts_with("segment 4 offset")), "{damage:?}");
        for address in &addresses {
            assert_eq!(store.get(address).expect("it is sound").is_some(), *address != removed);
        }
        store.close().expect("it closes");
    }
}

#[test]
fn a_damaged_sidecar_beside_damage_is_taken_away_when_opening_meets_it() {
    let folder = folder();
    let path = folder.path().join("store");
    let mut addresses = three_segments(&path);
    let removed = addresses[1];
    let store = aged::open(&path);
    remove(&store, removed);
    while segments(&path).len() < 5 {
        put(&store, &mut addresses);
    }
    store.close().expect("it closes");
    drop(store);
    let names = segments(&path);
    aged::flip_inside(&names[0], &version("id 0", 0).canonical(), 0);
    fs::remove_file(names[0].with_extension("idx")).expect("it has one");
    let rotten = names[3].with_extension("idx");
    aged::flip_inside(&rotten, &removed.0, 0);
    let store = aged::open(&path);
    assert!(!rotten.exists(), "every opening would meet it again");
    assert_eq!(store.get(&removed).expect("it is told by the log"), None);
    assert!(store.get(&addresses[2]).expect("it is sound").is_some());
}

#[test]
fn a_store_that_was_damaged_when_it_was_opened_is_not_compacted_and_says_why() {
    let folder = folder();
    let sound = folder.path().join("sound");
    let mut addresses = three_segments(&sound);
    let store = aged::open(&sound);
    remove(&store, addresses[1]);
    while segments(&sound).len() < 6 {
        put(&store, &mut addresses);
    }
    store.close().expect("it closes");
    drop(store);
    let options = CompactOptions { garbage_part: 0.01, bytes_per_second: 0 };
    type Harm = fn(&Path);
    let harms: [(&str, Harm); 3] = [
        ("segment 3 is missing", |path| fs::remove_file(&segments(path)[2]).expect("it is there")),
        ("segment 3 offset 0", |path| aged::flip(&segments(path)[2], 8)),
        ("segment 3 offset", |path| {
            aged::flip(&segments(path)[2], 200);
            fs::remove_file(segments(path)[2].with_extension("idx")).expect("it is there");
        }),
    ];
    for (told, harm) in harms {
        let path = folder.path().join(told);
        aged::copy(&sound, &path);
        harm(&path);
        let store = aged::open(&path);
        let before = segments(&path);
        let refused = store.engine().compact(&options, &mut |_, _| {}).expect_err("it is damaged");
        assert_eq!(refused.kind(), ErrorKind::Corrupt);
        let refused = refused.to_string();
        assert!(refused.contains(told) && refused.contains("`statlas repair`"), "{refused}");
        assert_eq!(segments(&path), before);
    }
    let store = aged::open(&sound);
    let compacted = store.engine().compact(&options, &mut |_, _| {}).expect("nothing is damaged");
    assert!(compacted.segments > 0, "there is garbage");
}

#[test]
fn an_entity_and_a_blob_of_the_same_bytes_are_damaged_and_mended_one_without_the_other() {
    let twin = version("twin", 0);
    let (text, address) = (twin.canonical(), twin.address());
    for blob_first in [false, true] {
        let folder = folder();
        let path = folder.path().join("store");
        let store = aged::open(&path);
        let mut blob = Batch::new();
        let id: BlobId = blob.put_blob(text.clone());
        assert_eq!(id.0, address.0);
        for is_blob in [blob_first, !blob_first] {
            if is_blob {
                store.commit(blob.clone(), Durability::Synced).expect("it can be stored");
            } else {
                store.put(twin.clone()).expect("it can be stored");
            }
        }
        store.close().expect("it closes");
        drop(store);
        aged::flip_inside(&segments(&path)[0], &text, usize::from(!blob_first));
        let store = aged::open(&path);
        let is_sound = |store: &Store| {
            assert!(store.get(&address).expect("it is sound").is_some());
            assert_eq!(store.engine().versions("twin").expect("it is sound"), [address]);
        };
        is_sound(&store);
        assert_eq!(store.engine().blob(&id).expect_err("it is damaged").kind(), ErrorKind::Corrupt);
        let mut removal = Batch::new();
        removal.remove_blob(id);
        let refused = store.commit(removal, Durability::Synced).expect_err("it is damaged").to_string();
        let expected = format!("blob {id} is damaged and can't be removed as it is: store it again");
        assert!(refused.contains(&expected), "{refused}");
        store.commit(blob, Durability::Synced).expect("it can be stored again");
        store.close().expect("it closes");
        drop(store);
        let store = aged::open(&path);
        is_sound(&store);
        assert_eq!(
            store.engine().blob(&id).expect("it is mended").map(|blob| blob.bytes),
            Some(text.clone())
        );
        remove(&store, address);
    }
}
