//! The proof of the history, and the check of compacted stores.

use std::fs;
use std::path::Path;

use statlas_core::{Address, BlobId};
use statlas_store::{ErrorKind, HistoryOutcome, HistoryReport, Location, NotedHead, Options, Store};

use crate::aged::{compact, copy, fill, flip, frames, head, open, options};
use crate::durability::{folder, segments};

fn verify(store: &Store, from: Option<NotedHead>) -> HistoryReport {
    store.engine().verify_history(from, &mut |_, _| {}).expect("the log can be read")
}

fn check(store: &Store) -> Vec<String> {
    store.engine().check(&mut |_, _| {}).expect("the log can be read").damage
}

fn refuted_at(report: &HistoryReport) -> u64 {
    match &report.outcome {
        HistoryOutcome::Refuted { revision, .. } => *revision,
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_noted_head_proves_what_came_after_it() {
    let folder = folder();
    let path = folder.path().join("store");
    let heads = fill(&open(&path), 0..40);
    assert!(segments(&path).len() > 5);
    let store = open(&path);
    let whole = verify(&store, None);
    assert_eq!(whole.outcome, HistoryOutcome::Proved { from: 0, to: 40 });
    assert_eq!((whole.commits, whole.head, whole.forgotten), (40, heads[39], 0));
    let beginning = NotedHead { revision: 0, chain: [0; 32] };
    for noted in heads.iter().chain([&beginning]) {
        let proved = HistoryOutcome::Proved { from: noted.revision, to: 40 };
        assert_eq!(verify(&store, Some(*noted)).outcome, proved);
    }
    fill(&store, 40..45);
    assert_eq!(verify(&store, Some(heads[39])).outcome, HistoryOutcome::Proved { from: 40, to: 45 });
}

#[test]
fn a_head_of_another_history_is_refuted() {
    let folder = folder();
    let (path, other) = (folder.path().join("store"), folder.path().join("other"));
    let heads = fill(&open(&path), 0..20);
    let others = fill(&open(&other), 1..31);
    let store = open(&path);
    for noted in [others[0], others[9], NotedHead { chain: [7; 32], ..heads[19] }] {
        assert_eq!(refuted_at(&verify(&store, Some(noted))), noted.revision);
    }
    // The history goes on only until 20, so that what came after is missing.
    assert_eq!(refuted_at(&verify(&store, Some(others[29]))), 21);
}

#[test]
fn a_store_that_was_put_back_to_an_earlier_state_is_refuted() {
    let folder = folder();
    let (path, saved) = (folder.path().join("store"), folder.path().join("saved"));
    let store = open(&path);
    fill(&store, 0..10);
    drop(store);
    copy(&path, &saved);
    let store = open(&path);
    let noted = *fill(&store, 10..12).last().expect("some");
    drop(store);
    let store = open(&saved);
    assert_eq!(refuted_at(&verify(&store, Some(noted))), 11);
    // Even when it has grown beyond that again.
    fill(&store, 20..30);
    assert_eq!(refuted_at(&verify(&store, Some(noted))), noted.revision);
}

/// The revisions of the batches of a segment, in order.
fn revisions(segment: &Path) -> Vec<u64> {
    let bytes = fs::read(segment).expect("it can be read");
    let commits = frames(segment).into_iter().filter(|frame| frame.kind == 1);
    let revision = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
    commits.map(|frame| revision(frame.offset + 16)).collect()
}

#[test]
fn a_changed_batch_or_a_missing_segment_is_refuted_from_its_revision_on() {
    let folder = folder();
    let path = folder.path().join("store");
    let heads = fill(&open(&path), 0..40);
    let victim = segments(&path)[3].clone();
    let revisions = revisions(&victim);
    let first = frames(&victim)[0].clone();
    let (changed, missing) = (folder.path().join("changed"), folder.path().join("missing"));
    copy(&path, &changed);
    flip(&changed.join("log").join(victim.file_name().expect("a name")), first.offset + first.bytes - 20);
    copy(&path, &missing);
    fs::remove_file(missing.join("log").join(victim.file_name().expect("a name"))).expect("it is there");
    for path in [changed, missing] {
        let store = open(&path);
        let before = heads[revisions[0] as usize - 2];
        for noted in [None, Some(before), Some(heads[0])] {
            assert_eq!(refuted_at(&verify(&store, noted)), revisions[0], "{path:?} from {noted:?}");
        }
        let behind = heads[*revisions.last().expect("some") as usize - 1];
        let outcome = verify(&store, Some(behind)).outcome;
        if path.ends_with("changed") {
            assert_eq!(outcome, HistoryOutcome::Proved { from: behind.revision, to: 40 });
        } else {
            // The noted head itself is in the missing file.
            assert!(matches!(outcome, HistoryOutcome::Refuted { .. }), "{outcome:?}");
        }
        let later = heads[38];
        assert_eq!(verify(&store, Some(later)).outcome, HistoryOutcome::Proved { from: 39, to: 40 });
    }
}

#[test]
fn a_compaction_that_keeps_the_history_keeps_it_provable() {
    let folder = folder();
    let path = folder.path().join("store");
    let store = open(&path);
    let heads = fill(&store, 0..40);
    compact(&store);
    for reopened in [false, true] {
        let store = if reopened { open(&path) } else { store.clone() };
        let report = verify(&store, None);
        assert_eq!(report.outcome, HistoryOutcome::Proved { from: 0, to: 40 });
        assert_eq!(verify(&store, Some(heads[7])).outcome, HistoryOutcome::Proved { from: 8, to: 40 });
        assert_eq!(check(&store), Vec::<String>::new());
        if !reopened {
            store.close().expect("it closes");
        }
    }
}

#[test]
fn what_was_compacted_away_without_a_trace_is_not_provable() {
    let folder = folder();
    let path = folder.path().join("store");
    let open = || Store::open(&Location::Disk(path.clone()), &options(5)).expect("it opens");
    let store = open();
    let heads = fill(&store, 0..40);
    compact(&store);
    store.close().expect("it closes");
    drop(store);
    let store = open();
    assert_eq!(check(&store), Vec::<String>::new());
    let report = verify(&store, None);
    let forgotten = report.forgotten;
    assert!((20..40).contains(&forgotten), "{report:?}");
    assert_eq!(report.outcome, HistoryOutcome::Proved { from: forgotten, to: 40 });
    for noted in &heads {
        let outcome = verify(&store, Some(*noted)).outcome;
        if noted.revision < forgotten {
            assert_eq!(outcome, HistoryOutcome::NotProvable { forgotten }, "{noted}");
        } else {
            assert_eq!(outcome, HistoryOutcome::Proved { from: noted.revision, to: 40 });
        }
    }
    let noted = head(store.engine());
    fill(&store, 40..60);
    compact(&store);
    assert_eq!(check(&store), Vec::<String>::new());
    let again = verify(&store, Some(noted));
    assert!(again.forgotten > noted.revision, "{again:?}");
    assert_eq!(again.outcome, HistoryOutcome::NotProvable { forgotten: again.forgotten });
}

#[test]
fn damage_that_a_check_finds_is_known_from_the_next_opening_on() {
    let folder = folder();
    let path = folder.path().join("store");
    for compacted in [false, true] {
        let path = path.with_extension(compacted.to_string());
        let store = open(&path);
        fill(&store, 0..40);
        if compacted {
            compact(&store);
        }
        let expected = store.engine().stats();
        drop(store);
        let is_wanted = |path: &Path| {
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            name.starts_with('c') == compacted && path.with_extension("idx").exists()
        };
        // Later segments must still find what they change in it.
        let victim = segments(&path).into_iter().find(|path| is_wanted(path)).expect("a complete segment");
        let needle = b"\"id\":\"stays ";
        let bytes = fs::read(&victim).expect("it can be read");
        let at = bytes.windows(needle.len()).position(|window| window == needle).expect("an entity");
        flip(&victim, at);
        let store = open(&path);
        assert_eq!(store.engine().stats().damage, Vec::<String>::new(), "a sidecar does not know");
        let found = check(&store);
        assert!(found.iter().any(|place| place.contains("about entity")), "{found:?}");
        assert!(!victim.with_extension("idx").exists());
        drop(store);
        for _ in 0..2 {
            let store = open(&path);
            let stats = store.engine().stats();
            assert!(
                found.iter().any(|place| stats.damage.contains(place)),
                "{:?} in {found:?}",
                stats.damage
            );
            assert!(store.engine().may_miss_entities());
            assert_eq!(
                (stats.entities, stats.ids),
                (expected.entities - 1, expected.ids - 1),
                "compacted: {compacted}"
            );
            assert_eq!((stats.blobs, stats.records), (expected.blobs, expected.records));
            // Everything else is what it was.
            for number in 0..40 {
                let id = format!("stays {number}");
                let versions = store.engine().versions(&id).expect("the index is sound");
                let is_there = |id: &str| !bytes[at..].starts_with(format!("\"id\":\"{id}\"").as_bytes());
                assert_eq!(versions.len(), usize::from(is_there(&id)), "{id}");
            }
            assert_eq!(store.engine().versions("a").expect("all are sound").len(), 40);
            let latest = statlas_store::Filter { latest: true, ..statlas_store::Filter::default() };
            assert_eq!(store.engine().count(&latest).expect("it can be counted"), stats.ids);
        }
    }
}

#[test]
fn a_removal_that_a_check_finds_damaged_does_not_bring_back_what_it_removed() {
    let folder = folder();
    let path = folder.path().join("store");
    fill(&open(&path), 0..40);
    let victims: Vec<_> = segments(&path)[3..6].to_vec();
    let mut removed = Vec::new();
    for (victim, kind) in victims.iter().zip([32, 33, 32]) {
        // What they removed stands in segments before. Of damaged frames one behind the other only the place
        // is known, so that it is one kind for each segment.
        for frame in frames(victim).into_iter().filter(|frame| frame.kind == kind) {
            flip(victim, frame.offset + 12);
            removed.push((frame.kind, <[u8; 32]>::try_from(frame.key).expect("32 bytes")));
        }
    }
    let store = open(&path);
    let expected = store.engine().stats();
    assert!(check(&store).len() >= removed.len());
    drop(store);
    for _ in 0..2 {
        let store = open(&path);
        for (kind, key) in &removed {
            let outcome = match kind {
                32 => store.get(&Address(*key)).map(|found| found.is_some()),
                _ => store.engine().has_blob(&BlobId(*key)),
            };
            // A blob that is known to be damaged is one to be stored again.
            match outcome {
                Ok(is_there) => assert!(*kind == 33 && !is_there, "{kind} {}", Address(*key)),
                Err(error) => assert_eq!(error.kind(), ErrorKind::Corrupt),
            }
        }
        let stats = store.engine().stats();
        assert!(stats.damage.len() >= removed.len());
        assert_eq!(
            (stats.entities, stats.ids, stats.blobs),
            (expected.entities, expected.ids, expected.blobs)
        );
        for number in 0..40 {
            let id = format!("id {number}");
            assert_eq!(store.engine().versions(&id).expect("sound").len(), usize::from(number >= 38), "{id}");
        }
        assert_eq!(store.engine().versions("a").expect("sound").len(), 40);
        store.close().expect("it closes");
    }
}

#[test]
fn the_engine_in_memory_has_no_history() {
    let store = Store::open(&Location::Memory, &Options::default()).expect("it opens");
    let refused = store.engine().verify_history(None, &mut |_, _| {}).expect_err("it keeps none");
    assert_eq!(refused.kind(), ErrorKind::Invalid);
}
