//! What is saved of damaged stores, and that what is not saved is listed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use statlas_core::{Address, BlobId, EntityHead};
use statlas_store::testing::{plain, version};
use statlas_store::{
    BackupOptions, Batch, Durability, ErrorKind, Location, Options, Query, RepairOptions, RepairReport,
    Result, Store, repair, restore,
};

use crate::aged::{compact, content, copy, fill, flip, frames, open, options};
use crate::durability::{folder, last_segment, segments};

const BATCHES: usize = 40;

/// Everything that a store holds. Revisions are counted anew by a repair, so they are left out.
#[derive(Debug, Clone, Default, PartialEq)]
struct Contents {
    entities: BTreeMap<Address, (Vec<u8>, String)>,
    versions: BTreeMap<String, Vec<Address>>,
    blobs: BTreeSet<BlobId>,
    records: BTreeMap<(String, String), Vec<u8>>,
}

impl Contents {
    fn of(store: &Store) -> Self {
        let (engine, mut found) = (store.engine(), Self::default());
        let mut query = Query { limit: 1000, ..Query::default() };
        loop {
            let page = engine.find(&query).expect("a sound store");
            for entity in page.entities {
                let attached = format!("{:?} {:?}", entity.token(), entity.blob());
                let id = entity.head().expect("sound").id.into_owned();
                found.versions.entry(id).or_default();
                found.entities.insert(entity.address(), (entity.canonical().to_vec(), attached));
            }
            match page.next {
                Some(next) => query.after = Some(next),
                None => break,
            }
        }
        for (id, versions) in &mut found.versions {
            *versions = engine.versions(id).expect("sound");
        }
        let blobs = (0..BATCHES * 2).map(|number| BlobId::of(format!("blob {number}").as_bytes()));
        found.blobs = blobs.filter(|id| engine.blob(id).expect("sound").is_some()).collect();
        for record in engine.records("c", None, 1000).expect("sound") {
            found.records.insert((record.key.collection().into(), record.key.key().into()), record.value);
        }
        found
    }

    /// The names of what is not the same in another store.
    fn differences(&self, other: &Self) -> Vec<String> {
        let entities = self.entities.keys().chain(other.entities.keys());
        let entities = entities.filter(|key| self.entities.get(key) != other.entities.get(key));
        let blobs = self.blobs.symmetric_difference(&other.blobs);
        let records = self.records.keys().chain(other.records.keys());
        let records = records.filter(|key| self.records.get(key) != other.records.get(key));
        let all = entities.map(ToString::to_string).chain(blobs.map(ToString::to_string));
        let all: BTreeSet<String> = all.chain(records.map(|(_, key)| format!("{key:?}"))).collect();
        all.into_iter().collect()
    }

    /// The versions of every id without some entities.
    fn versions_without(&self, left_out: &Self) -> Vec<(&str, Vec<&Address>)> {
        let kept = |address: &&Address| left_out.entities.contains_key(*address);
        let versions = self.versions.iter().map(|(id, all)| (id.as_str(), all.iter().filter(kept).collect()));
        versions.filter(|(_, all): &(_, Vec<_>)| !all.is_empty()).collect()
    }
}

fn try_repair(from: &Path, to: &Path) -> Result<RepairReport> {
    repair(from, to, &RepairOptions::default(), &mut |_, _| {})
}

/// Repairs a store, and finds the new one sound, the old one as it was, and every difference listed.
fn assert_saved(from: &Path, original: &Contents, what: &str) -> (RepairReport, Contents) {
    let to = from.with_extension("repaired");
    let before = content(from);
    let report = try_repair(from, &to).expect("it can be repaired");
    assert_eq!(content(from), before, "{what}: the old store was changed");
    let store = open(&to);
    let check = store.engine().check(&mut |_, _| {}).expect("it can be checked");
    assert_eq!(check.damage, Vec::<String>::new(), "{what}");
    assert_eq!(check.chain_head, report.chain_head);
    let found = Contents::of(&store);
    assert_eq!(found.entities.len() as u64, report.entities);
    let listed = |name: &String| report.lost.iter().chain(&report.outdated).any(|line| line.contains(name));
    for name in original.differences(&found) {
        assert!(listed(&name), "{what}: {name} differs, but is not in {report:#?}");
    }
    assert_eq!(
        original.versions_without(&found),
        found.versions_without(original),
        "{what}: the order of versions"
    );
    drop(store);
    fs::remove_dir_all(&to).expect("it can be removed");
    (report, found)
}

/// A store, and what it holds.
fn store(path: &Path) -> Contents {
    let store = open(path);
    fill(&store, 0..BATCHES);
    Contents::of(&store)
}

/// A copy of a store to damage.
fn damaged(path: &Path, name: &str) -> PathBuf {
    let copied = path.with_file_name(name);
    copy(path, &copied);
    copied
}

#[test]
fn all_of_a_sound_store_is_saved() {
    let folder = folder();
    for (name, history) in [("plain", None), ("history", Some(u64::MAX)), ("reduced", Some(3))] {
        let path = folder.path().join(name);
        let original = store(&path);
        if let Some(history) = history {
            let store = Store::open(&Location::Disk(path.clone()), &options(history)).expect("it opens");
            compact(&store);
            store.close().expect("it closes");
        }
        let (report, found) = assert_saved(&path, &original, name);
        assert!(report.is_complete() && report.notes.is_empty(), "{report:#?}");
        assert_eq!(found, original);
        assert_eq!(report.segments, segments(&path).len() as u64);
    }
}

#[test]
fn a_flipped_bit_in_any_kind_of_frame_costs_no_more_than_is_listed() {
    let folder = folder();
    let path = folder.path().join("store");
    let original = store(&path);
    let segments = segments(&path);
    for kind in [1, 2, 3, 16, 17, 18, 32, 33, 34] {
        for (number, segment) in segments.iter().enumerate().skip(1).step_by(6) {
            for frame in frames(segment).into_iter().filter(|frame| frame.kind == kind) {
                let place = format!("kind {kind} at {} of segment {}", frame.offset, number + 1);
                let copied = damaged(&path, "damaged");
                let file = copied.join("log").join(segment.file_name().expect("a name"));
                // Within the ordinal, which every frame has.
                flip(&file, frame.offset + 12);
                let (report, found) = assert_saved(&copied, &original, &place);
                let named = format!("offset {}", frame.offset);
                let listed = report.lost.iter().chain(&report.outdated).chain(&report.notes);
                assert!(listed.into_iter().any(|line| line.contains(&named)), "{place}: {report:#?}");
                assert!(original.differences(&found).len() <= 1, "{place}: {report:#?}");
                if kind < 16 {
                    assert!(report.is_complete() && found == original, "{place}: {report:#?}");
                }
                if kind == 32 {
                    let address = Address(frame.key.try_into().expect("32 bytes"));
                    assert!(found.entities.contains_key(&address), "what was removed is kept");
                    assert!(
                        report.outdated.iter().any(|line| line.contains(&address.to_string())),
                        "{report:#?}"
                    );
                }
                fs::remove_dir_all(&copied).expect("it can be removed");
            }
        }
    }
}

#[test]
fn a_flipped_bit_anywhere_in_a_frame_costs_no_other_frame() {
    let folder = folder();
    let path = folder.path().join("store");
    let original = store(&path);
    let segment = segments(&path)[2].clone();
    let frame = frames(&segment).into_iter().find(|frame| frame.kind == 16).expect("an entity");
    for at in frame.offset..frame.offset + frame.bytes {
        let copied = damaged(&path, "damaged");
        flip(&copied.join("log").join(segment.file_name().expect("a name")), at);
        let to = copied.with_extension("repaired");
        let report = try_repair(&copied, &to).expect("it can be repaired");
        let found = Contents::of(&open(&to));
        assert!(!report.is_complete(), "byte {at}: {report:#?}");
        let address = Address(frame.key.clone().try_into().expect("32 bytes"));
        assert_eq!(original.differences(&found), [address.to_string()], "byte {at}: {report:#?}");
        fs::remove_dir_all(&copied).and_then(|()| fs::remove_dir_all(&to)).expect("they can be removed");
    }
}

#[test]
fn what_costs_nothing_is_only_noted() {
    let folder = folder();
    let path = folder.path().join("store");
    let original = store(&path);
    let compacted = folder.path().join("compacted");
    copy(&path, &compacted);
    compact(&open(&compacted));
    for path in [path, compacted] {
        let name = |text: &str| format!("{} {text}", path.display());
        let copied = damaged(&path, "no-statlas");
        fs::remove_file(copied.join("STATLAS")).expect("it is there");
        let (report, found) = assert_saved(&copied, &original, &name("missing STATLAS"));
        assert!(report.is_complete() && found == original, "{report:#?}");
        assert!(report.notes.iter().any(|line| line.contains("STATLAS")), "{report:#?}");
        fs::remove_dir_all(&copied).expect("it can be removed");
        for segment in segments(&path) {
            let copied = damaged(&path, "bad-header");
            flip(&copied.join("log").join(segment.file_name().expect("a name")), 20);
            let (report, found) = assert_saved(&copied, &original, &name("damaged header"));
            assert!(report.is_complete() && found == original, "{segment:?}: {report:#?}");
            assert_eq!(report.notes.len(), 1, "{report:#?}");
            fs::remove_dir_all(&copied).expect("it can be removed");
        }
        // All of them, and nothing that says which store it is.
        let copied = damaged(&path, "bad-headers");
        fs::remove_file(copied.join("STATLAS")).expect("it is there");
        segments(&copied).iter().for_each(|segment| flip(segment, 20));
        assert!(Store::open(&Location::Disk(copied.clone()), &Options::default()).is_err());
        let (report, found) = assert_saved(&copied, &original, &name("damaged headers"));
        assert!(report.is_complete() && found == original, "{report:#?}");
        fs::remove_dir_all(&copied).expect("it can be removed");
    }
}

#[test]
fn a_missing_segment_costs_what_stood_in_it() {
    let folder = folder();
    let path = folder.path().join("store");
    let original = store(&path);
    let count = segments(&path).len();
    for at in 0..count {
        let copied = damaged(&path, "missing");
        let victim = segments(&copied)[at].clone();
        let keys: Vec<Vec<u8>> = frames(&victim).into_iter().map(|frame| frame.key).collect();
        fs::remove_file(&victim).expect("it is there");
        let to = copied.with_extension("repaired");
        let report = try_repair(&copied, &to).expect("it can be repaired");
        let store = open(&to);
        assert_eq!(
            store.engine().check(&mut |_, _| {}).expect("it can be read").damage,
            Vec::<String>::new()
        );
        let found = Contents::of(&store);
        let missing = format!("segment {} is missing", at + 1);
        assert!(report.lost.iter().any(|line| line.contains(&missing)), "{report:#?}");
        for name in original.differences(&found) {
            let stood = |key: &Vec<u8>| {
                let sha256 = <[u8; 32]>::try_from(key.as_slice());
                let record = String::from_utf8_lossy(key).contains(name.trim_matches('"'));
                sha256.map_or(record, |key| Address(key).to_string() == name)
            };
            assert!(keys.iter().any(stood), "{name} was not in segment {}", at + 1);
        }
        assert_eq!(original.versions_without(&found), found.versions_without(&original));
        drop(store);
        fs::remove_dir_all(&copied).and_then(|()| fs::remove_dir_all(&to)).expect("they can be removed");
    }
}

#[test]
fn a_file_that_was_cut_short_costs_what_stood_behind_the_cut() {
    let folder = folder();
    let path = folder.path().join("store");
    store(&path);
    for segment in [segments(&path)[2].clone(), last_segment(&path)] {
        let frames = frames(&segment);
        let whole = fs::read(&segment).expect("it can be read");
        for cut in (100..whole.len()).step_by(97) {
            let copied = damaged(&path, "cut");
            let file = copied.join("log").join(segment.file_name().expect("a name"));
            fs::write(&file, &whole[..cut]).expect("it can be written");
            let to = copied.with_extension("repaired");
            let report = try_repair(&copied, &to).expect("it can be repaired");
            let store = open(&to);
            assert_eq!(
                store.engine().check(&mut |_, _| {}).expect("it can be read").damage,
                Vec::<String>::new()
            );
            let found = Contents::of(&store);
            // A cut at the end of a batch of the last file can't be seen, and one in the frame that ends the file
            // costs nothing.
            let is_end = frames.iter().any(|frame| frame.kind < 16 && frame.offset + frame.bytes == cut);
            let is_last = segment == last_segment(&path);
            let in_mark = frames.last().and_then(|mark| cut.checked_sub(mark.offset));
            if !(is_end && is_last) && in_mark.is_none() {
                assert!(!report.lost.is_empty(), "cut at {cut}: {report:#?}");
            }
            // Of a frame that is cut within its header nobody knows what it was.
            if in_mark.is_some_and(|bytes| bytes == 0 || bytes >= 16) {
                assert!(report.is_complete(), "cut at {cut}: {report:#?}");
            }
            // What stands before the cut is there, but for a batch at the end of the log that is not whole.
            let end = frames.iter().take_while(|frame| frame.offset + frame.bytes <= cut);
            let end = end.filter(|frame| !is_last || frame.kind < 16).last().map_or(0, |frame| frame.offset);
            for frame in frames.iter().filter(|frame| frame.kind == 16 && frame.offset < end) {
                let address = Address(frame.key.clone().try_into().expect("32 bytes"));
                let text = String::from_utf8_lossy(&whole[frame.offset + 48..frame.offset + frame.bytes])
                    .into_owned();
                if text.contains("\"id\":\"stays") {
                    assert!(found.entities.contains_key(&address), "cut at {cut}: {address}");
                }
            }
            drop(store);
            fs::remove_dir_all(&copied).and_then(|()| fs::remove_dir_all(&to)).expect("they can be removed");
        }
    }
}

#[test]
fn a_damaged_version_that_was_stored_again_keeps_its_old_place() {
    let folder = folder();
    let path = folder.path().join("store");
    let store = open(&path);
    let addresses: Vec<Address> =
        (1..=3).map(|number| store.put(version("a", number)).expect("it can be stored")).collect();
    drop(store);
    let first = frames(&last_segment(&path))[0].clone();
    flip(&last_segment(&path), first.offset + 60);
    let store = open(&path);
    store.put(version("a", 1)).expect("it can be stored again");
    drop(store);
    let to = folder.path().join("repaired");
    let report = try_repair(&path, &to).expect("it can be repaired");
    assert!(report.is_complete() && report.notes.len() == 1, "{report:#?}");
    assert_eq!(open(&to).engine().versions("a").expect("sound"), addresses);
}

#[test]
fn what_only_a_damaged_removal_explains_is_left_out() {
    let folder = folder();
    let path = folder.path().join("store");
    let store = open(&path);
    let old = plain("a", |parts| parts.coordinates.lineage = 1);
    let new = plain("a", |parts| parts.coordinates.lineage = 2);
    let address = store.put(old).expect("it can be stored");
    let mut removal = Batch::new();
    removal.remove_entity(address);
    store.commit(removal, Durability::Written).expect("it is there");
    let new = store.put(new).expect("nothing contradicts it");
    drop(store);
    let segment = last_segment(&path);
    let removal = frames(&segment).into_iter().find(|frame| frame.kind == 32).expect("the removal");
    flip(&segment, removal.offset + 12);
    let to = folder.path().join("repaired");
    let report = try_repair(&path, &to).expect("it can be repaired");
    assert_eq!(open(&to).engine().versions("a").expect("sound"), [new]);
    assert!(report.outdated.iter().any(|line| line.contains(&address.to_string())), "{report:#?}");
}

#[test]
fn files_of_other_stores_are_left_out() {
    let folder = folder();
    let (path, other) = (folder.path().join("store"), folder.path().join("other"));
    let original = store(&path);
    fill(&open(&other), 100..130);
    fs::copy(&segments(&other)[1], path.join("log/00000099.seg")).expect("it can be copied");
    let to = folder.path().join("repaired");
    let report = try_repair(&path, &to).expect("it can be repaired");
    assert_eq!(report.lost, ["segment 99: the file belongs to another store and was left out"]);
    assert_eq!(Contents::of(&open(&to)), original);
}

#[test]
fn an_entity_whose_text_has_another_address_is_lost_although_its_checksum_is_right() {
    let folder = folder();
    let path = folder.path().join("store");
    let original = store(&path);
    let segment = segments(&path)[1].clone();
    let frame = frames(&segment).into_iter().rfind(|frame| frame.kind == 16).expect("an entity");
    let mut bytes = fs::read(&segment).expect("it can be read");
    let text = frame.offset..frame.offset + frame.bytes;
    let needle = b"\"data\"";
    let at = bytes[text.clone()].windows(6).position(|window| window == needle).expect("a realm");
    let before = crc32c(&bytes[text.start + 4..text.end]);
    bytes[text.start + at + 1] = b'e';
    // What marks the place of the frame stays in its checksum.
    let changed = (before ^ crc32c(&bytes[text.start + 4..text.end])).to_le_bytes();
    bytes[text.start..text.start + 4].iter_mut().zip(changed).for_each(|(crc, changed)| *crc ^= changed);
    fs::write(&segment, &bytes).expect("it can be written");
    let (report, found) = assert_saved(&path, &original, "another text");
    assert!(report.lost.iter().any(|line| line.contains("another SHA-256")), "{report:#?}");
    assert_eq!(found.entities.len(), original.entities.len() - 1);
    let text = |entity: &(Vec<u8>, String)| EntityHead::read_canonical(&entity.0).is_ok();
    assert!(found.entities.values().all(text));
}

/// The checksum of the format, bit by bit.
fn crc32c(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 };
        }
    }
    !crc
}

#[test]
fn a_repair_needs_a_place_of_its_own() {
    let folder = folder();
    let path = folder.path().join("store");
    let store = open(&path);
    fill(&store, 0..3);
    let kind = |from: &Path, to: &Path| try_repair(from, to).expect_err("refused").kind();
    assert_eq!(kind(&path, &folder.path().join("new")), ErrorKind::Busy);
    drop(store);
    assert_eq!(kind(&path, &path), ErrorKind::Invalid);
    assert_eq!(kind(&path, &path.join("inside")), ErrorKind::Invalid);
    let full = folder.path().join("full");
    fs::create_dir(&full).and_then(|()| fs::write(full.join("file"), "content")).expect("it can be made");
    assert_eq!(kind(&path, &full), ErrorKind::Invalid);
    assert_eq!(kind(&full, &folder.path().join("new")), ErrorKind::NotAStore);
    assert_eq!(kind(&folder.path().join("none"), &folder.path().join("new")), ErrorKind::NotAStore);
    assert!(!folder.path().join("new").exists(), "nothing is made for a repair that does not begin");
    let empty = folder.path().join("empty");
    fs::create_dir(&empty).expect("it can be made");
    assert!(try_repair(&path, &empty).expect("an empty directory will do").is_complete());
}

#[test]
fn a_repair_that_is_stopped_leaves_nothing_and_one_that_was_killed_nothing_that_is_taken_for_a_store() {
    let folder = folder();
    let path = folder.path().join("store");
    let original = store(&path);
    let to = folder.path().join("deep/repaired");
    let looks = std::sync::atomic::AtomicU32::new(0);
    // It stops while batches are committed to the new store.
    let goes_on = || looks.fetch_add(1, std::sync::atomic::Ordering::Relaxed) < 3 * BATCHES as u32 / 2;
    let options = RepairOptions { goes_on: &goes_on, ..RepairOptions::default() };
    let error = repair(&path, &to, &options, &mut |_, _| {}).expect_err("it is stopped");
    let source = std::error::Error::source(&error).and_then(|source| source.downcast_ref::<std::io::Error>());
    assert!(source.is_some_and(|source| source.kind() == std::io::ErrorKind::Interrupted), "{error}");
    assert!(!to.exists());

    // A killed one leaves all but the last step undone.
    try_repair(&path, &to).expect("it can be repaired");
    fs::rename(to.join("STATLAS"), to.join("REPAIRING")).expect("it is a store");
    for create in [false, true] {
        let options = Options { create, ..Options::default() };
        let error = Store::open(&Location::Disk(to.clone()), &options).map(drop).expect_err("it is no store");
        assert_eq!(error.kind(), ErrorKind::NotAStore);
        assert!(error.to_string().contains("statlas repair"), "{error}");
    }
    let report = try_repair(&path, &to).expect("it begins anew");
    assert!(report.is_complete() && report.notes.len() == 1, "{report:#?}");
    assert!(report.notes[0].contains("interrupted"), "{report:#?}");
    assert_eq!(Contents::of(&open(&to)), original);
    assert!(!to.join("REPAIRING").exists());
}

#[test]
fn what_is_whole_of_a_damaged_backup_is_saved() {
    let folder = folder();
    let path = folder.path().join("store");
    let original = store(&path);
    let backup = folder.path().join("backup");
    let options = BackupOptions::default();
    let make = || open(&path).engine().backup(&backup, &options, &mut |_, _| {}).map(drop);
    make().expect("it can be made");
    for inside in ["store", "log/store"] {
        let refused =
            restore(&backup, &backup.join(inside), &options, &mut |_, _| {}).expect_err("it is inside");
        assert_eq!(refused.kind(), ErrorKind::Invalid, "{refused}");
    }
    let (report, found) = assert_saved(&backup, &original, "a sound backup");
    assert!(report.is_complete() && report.notes.is_empty(), "{report:#?}");
    assert_eq!(found, original);

    let mut copies: Vec<_> = fs::read_dir(backup.join("log")).expect("it is there").flatten().collect();
    copies.sort_by_key(fs::DirEntry::file_name);
    let last = copies.pop().expect("there are several").path();
    assert!(last.extension().is_some_and(|made_by| made_by == "1"), "{last:?}");
    let entity = frames(&last).into_iter().find(|frame| frame.kind == 16).expect("an entity");
    flip(&last, entity.offset + entity.bytes - 20);
    let to = folder.path().join("restored");
    let error = restore(&backup, &to, &options, &mut |_, _| {}).expect_err("it is damaged");
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    let said = error.to_string();
    assert!(said.contains("log/") && said.contains(&format!("offset {}:", entity.offset)), "{said}");
    let (report, _) = assert_saved(&backup, &original, "a damaged backup");
    assert_eq!(report.lost.len(), 1, "{report:#?}");
    // An older copy of the same file, and no list of those that belong together.
    fs::write(last.with_extension("2"), b"begun").expect("it can be written");
    fs::write(backup.join("BACKUP"), b"nothing").expect("it can be written");
    let (report, _) = assert_saved(&backup, &original, "a backup without its list");
    assert_eq!((report.lost.len(), report.notes.len()), (1, 1), "{report:#?}");
}

#[test]
fn a_repaired_store_is_made_with_the_options_that_were_given() {
    let folder = folder();
    let path = folder.path().join("store");
    let original = store(&path);
    let to = folder.path().join("repaired");
    let few =
        RepairOptions { memory_bytes_max: Some(16 << 20), compression: true, ..RepairOptions::default() };
    let report = repair(&path, &to, &few, &mut |_, _| {}).expect("it can be repaired");
    assert!(report.is_complete(), "{report:#?}");
    assert_eq!(Contents::of(&open(&to)), original);
}

#[test]
fn a_segment_longer_than_any_can_be_is_read_as_far_as_frames_can_stand() {
    let folder = folder();
    let path = folder.path().join("store");
    let original = store(&path);
    let huge = segments(&path)[3].clone();
    let file = fs::OpenOptions::new().write(true).open(&huge).expect("it is there");
    file.set_len(8 << 40).expect("it takes no space");
    drop(file);
    let to = folder.path().join("repaired");
    let report = try_repair(&path, &to).expect("it can be repaired");
    assert!(report.notes.iter().any(|note| note.contains("8796093022208 bytes")), "{report:#?}");
    assert_eq!(Contents::of(&open(&to)), original);
    let store = open(&path);
    let damage = store.engine().check_quick(&mut |_, _| {}).expect("it can be checked").damage;
    assert!(damage.iter().any(|line| line.contains("segment 4")), "{damage:?}");
    assert_eq!(Contents::of(&store), original);
    drop(store);
    let last = last_segment(&path);
    let bytes = fs::metadata(&last).expect("it is there").len();
    fs::OpenOptions::new().write(true).open(&last).expect("it is there").set_len(8 << 40).expect("no space");
    drop(open(&path));
    assert_eq!(
        fs::metadata(&last).expect("it is there").len(),
        bytes,
        "garbage behind the last frame is cut off"
    );
}
