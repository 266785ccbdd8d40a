//! Scrubbing in pieces, and the quick check.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use statlas_store::{
    CompactOptions, ErrorKind, Location, Options, ScrubOptions, ScrubReport, ScrubStats, Store,
};

use crate::aged::{compact, content, fill, flip, frames, open, options};
use crate::durability::{folder, segments};

const WHOLE: ScrubOptions<'static> = ScrubOptions { bytes_per_second: 0, bytes_max: 0, goes_on: &|| true };
const PIECE: ScrubOptions<'static> = ScrubOptions { bytes_max: 3000, ..WHOLE };

fn scrub(store: &Store, options: &ScrubOptions<'_>) -> ScrubReport {
    store.engine().scrub(options, &mut |_, _| {}).expect("it can be read")
}

fn stats(store: &Store) -> Option<ScrubStats> {
    store.engine().stats().scrub
}

fn log_bytes(path: &Path) -> u64 {
    segments(path).iter().map(|segment| fs::metadata(segment).expect("it is there").len()).sum()
}

/// The first entity frame of a segment, with a bit of its text flipped.
fn damage(segment: &Path) -> String {
    let frame = frames(segment).into_iter().find(|frame| frame.kind == 16).expect("an entity");
    flip(segment, frame.offset + frame.bytes - 20);
    format!("offset {}", frame.offset)
}

/// A complete segment with its number.
fn segment(path: &Path, at: usize) -> PathBuf {
    segments(path)[at].clone()
}

#[test]
fn a_pass_reads_everything_once_in_pieces_over_openings() {
    let folder = folder();
    let path = folder.path().join("store");
    fill(&open(&path), 0..40);
    let total = log_bytes(&path);
    let (mut bytes, mut pieces) = (0, 0);
    loop {
        // Closing writes a frame only if something was written.
        let store = open(&path);
        assert_eq!(stats(&store).is_some(), pieces > 0);
        let report = scrub(&store, &PIECE);
        (bytes, pieces) = (bytes + report.bytes, pieces + 1);
        assert_eq!(report.damage, Vec::<String>::new());
        let expected = (bytes * 100 / total) as u8;
        assert_eq!(report.stats.position_percent, expected.min(100));
        assert_eq!(stats(&store), Some(report.stats));
        assert_eq!(report.stats.last_pass_ended_ms > 0, report.is_pass_complete);
        if report.is_pass_complete {
            break;
        }
        assert!(report.bytes >= 3000, "{report:?}");
    }
    assert_eq!(bytes, total);
    assert!(pieces as u64 > total / 5000);
    let store = open(&path);
    let first = stats(&store).expect("there was a pass");
    assert_eq!(scrub(&store, &WHOLE).bytes, total, "the next pass reads everything again");
    let second = stats(&store).expect("there were passes");
    assert!(second.pass_begun_ms >= first.last_pass_ended_ms, "{first:?} {second:?}");
}

#[test]
fn a_state_of_something_else_makes_no_sound_store_damaged() {
    let folder = folder();
    let path = folder.path().join("store");
    let store = open(&path);
    fill(&store, 0..40);
    scrub(&store, &PIECE);
    drop(store);
    let state = fs::read(path.join("SCRUB")).expect("a pass is under way");
    // The offset, what was read, the damage and the end: see FORMAT.
    for (at, value) in [(24, 8), (24, 3001), (24, u64::MAX), (48, u64::MAX), (64, u64::MAX), (72, 1000)] {
        let mut astray = state.clone();
        astray[at..at + 8].copy_from_slice(&value.to_le_bytes());
        let crc = crc32c::crc32c(&astray[..124]);
        astray[124..].copy_from_slice(&crc.to_le_bytes());
        fs::write(path.join("SCRUB"), astray).expect("it can be written");
        let report = scrub(&open(&path), &WHOLE);
        assert_eq!(report.damage, Vec::<String>::new(), "{value} at {at}");
        assert!(at != 24 || report.bytes > 3000, "{value} at {at}: all of it is read");
        assert!(report.is_pass_complete, "{value} at {at}");
    }
}

#[test]
fn a_check_finds_what_a_compaction_moved_meanwhile() {
    let folder = folder();
    let path = folder.path().join("store");
    let options = Options { preload: true, ..options(0) };
    fill(&open(&path), 0..40);
    let store = Store::open(&Location::Disk(path), &options).expect("it opens");
    let mut compacted = None;
    let mut progress = |_, _| {
        let engine = store.engine();
        let compact = || engine.compact(&CompactOptions::default(), &mut |_, _| {}).expect("it works");
        compacted.get_or_insert_with(compact);
    };
    let report = store.engine().check(&mut progress).expect("it can be read");
    assert_eq!(report.damage, Vec::<String>::new());
    assert!(compacted.is_some_and(|report| report.segments > 0), "the test itself is at fault");
}

#[test]
fn a_pass_covers_what_was_there_when_it_began() {
    let folder = folder();
    let path = folder.path().join("store");
    let store = open(&path);
    fill(&store, 0..20);
    let total = log_bytes(&path);
    let mut bytes = scrub(&store, &PIECE).bytes;
    fill(&store, 20..60);
    let rest = scrub(&store, &WHOLE);
    bytes += rest.bytes;
    assert!(rest.is_pass_complete);
    assert_eq!(bytes, total);
    assert!(log_bytes(&path) > 2 * total);
}

#[test]
fn segments_that_are_compacted_away_meanwhile_are_skipped() {
    let folder = folder();
    let path = folder.path().join("store");
    let store = open(&path);
    fill(&store, 0..40);
    scrub(&store, &PIECE);
    let before = log_bytes(&path);
    compact(&store);
    let rest = scrub(&store, &WHOLE);
    assert!(rest.is_pass_complete && rest.damage.is_empty(), "{rest:?}");
    assert!(rest.bytes < before / 2, "{} of {before}", rest.bytes);
    // The next pass reads the compacted ones.
    fill(&store, 40..41);
    assert_eq!(scrub(&store, &WHOLE).bytes, log_bytes(&path));
}

#[test]
fn damage_is_listed_counted_and_known_from_the_next_opening_on() {
    let folder = folder();
    let path = folder.path().join("store");
    let store = open(&path);
    fill(&store, 0..40);
    drop(store);
    let places = [damage(&segment(&path, 2)), damage(&segment(&path, 5))];
    // No whole frame follows a damaged one at the end of a segment.
    let last = frames(&segment(&path, 8)).pop().expect("a frame");
    flip(&segment(&path, 8), last.offset + 20);
    flip(&segment(&path, 9), 40);
    let store = open(&path);
    let report = scrub(&store, &WHOLE);
    let listed = |text: &str| report.damage.iter().any(|line| line.contains(text));
    assert!(places.iter().all(|place| listed(place)), "{report:?}");
    assert!(listed(&format!("offset {}", last.offset)) && listed("segment 10 offset 0"), "{report:?}");
    assert!(report.damage[0].contains("about entity"), "{report:?}");
    assert_eq!((report.damage.len(), report.stats.damage), (4, 4));
    drop(store);
    let store = open(&path);
    assert_eq!(stats(&store).expect("there was a pass").damage, 4);
    let known = store.engine().stats().damage;
    assert!(report.damage[..2].iter().all(|line| known.contains(line)), "{known:?}");
    assert!(store.engine().may_miss_entities());
}

/// Where the tokens of a sidecar of one block begin: they are read by queries, and not on opening.
fn tokens_at(sidecar: &[u8]) -> usize {
    let number = |at: usize| u64::from_le_bytes(sidecar[at..at + 8].try_into().expect("8 bytes")) as usize;
    let items = |section: usize| number(136 + 8 * section);
    let tables: usize = (0..4).map(|section| items(section).div_ceil(256)).sum();
    let filters: usize = (4..8).map(|section| items(section).min(1)).sum();
    // Columns and the list of neighbours stand between. Behind the shapes of the filters stand the length and the checksum
    // of each chunk.
    let lengths = (0..tables + filters + 20 + 1).map(|chunk| number(number(128) + 64 + 16 * chunk));
    320 + lengths.map(|bytes| bytes.next_multiple_of(64)).sum::<usize>()
}

#[test]
fn a_damaged_sidecar_is_found_and_made_again_by_the_next_opening() {
    let folder = folder();
    let path = folder.path().join("store");
    fill(&open(&path), 0..40);
    let sidecar = segment(&path, 2).with_extension("idx");
    let whole = fs::read(&sidecar).expect("it is there");
    flip(&sidecar, tokens_at(&whole));
    let store = open(&path);
    let found = scrub(&store, &WHOLE).damage;
    assert!(!found.is_empty() && found.iter().all(|line| line.contains(".idx")), "{found:?}");
    drop(store);
    let store = open(&path);
    assert_eq!(fs::read(&sidecar).expect("it is there again"), whole);
    assert_eq!(scrub(&store, &WHOLE).damage, Vec::<String>::new());
}

#[test]
fn a_state_that_is_damaged_or_missing_means_starting_over() {
    let folder = folder();
    let path = folder.path().join("store");
    fill(&open(&path), 0..40);
    let total = log_bytes(&path);
    for spoil in [|file: &Path| flip(file, 50), |file: &Path| fs::remove_file(file).expect("it is there")] {
        scrub(&open(&path), &PIECE);
        assert!(path.join("SCRUB").exists());
        let store = open(&path);
        assert!(scrub(&store, &PIECE).stats.position_percent > 0);
        drop(store);
        spoil(&path.join("SCRUB"));
        let store = open(&path);
        assert_eq!(stats(&store), None);
        let report = scrub(&store, &WHOLE);
        assert_eq!((report.bytes, report.is_pass_complete), (total, true));
    }
}

#[test]
fn the_rate_is_kept() {
    let folder = folder();
    let path = folder.path().join("store");
    let store = open(&path);
    fill(&store, 0..40);
    let bytes = log_bytes(&path);
    let begun = Instant::now();
    let report = scrub(&store, &ScrubOptions { bytes_per_second: bytes * 10, ..WHOLE });
    assert!(begun.elapsed() >= Duration::from_millis(90), "{:?}", begun.elapsed());
    assert!(report.waited > Duration::ZERO);
}

#[test]
fn maintenance_scrubs_if_it_is_told_to() {
    let folder = folder();
    let path = folder.path().join("store");
    fill(&open(&path), 0..40);
    damage(&segment(&path, 2));
    let store = open(&path);
    while store.engine().maintain().expect("it can be maintained") {}
    assert_eq!(stats(&store), None, "by default it does not");
    drop(store);
    let options = Options { scrub_bytes_per_second: 20_000, ..options(u64::MAX) };
    let store = Store::open(&Location::Disk(path), &options).expect("it opens");
    let mut pieces = 0;
    while store.engine().maintain().expect("it can be maintained") {
        pieces += 1;
        assert!(stats(&store).is_none_or(|stats| stats.last_pass_ended_ms == 0));
    }
    assert!(pieces >= 2, "{pieces}");
    let done = stats(&store).expect("a pass");
    assert_eq!((done.damage, done.position_percent), (1, 100));
    assert!(!store.engine().maintain().expect("it can be maintained"), "the next pass is not due");
    assert_eq!(stats(&store), Some(done));
}

#[test]
fn a_closed_store_is_not_scrubbed() {
    let folder = folder();
    let store = open(&folder.path().join("store"));
    store.close().expect("it closes");
    let refused = store.engine().scrub(&WHOLE, &mut |_, _| {}).expect_err("it is closed");
    assert_eq!(refused.kind(), ErrorKind::Closed);
}

fn quick(store: &Store) -> Vec<String> {
    store.engine().check_quick(&mut |_, _| {}).expect("it can be read").damage
}

#[test]
fn a_quick_check_finds_a_sound_store_sound_and_reads_little() {
    let folder = folder();
    for (name, history) in [("plain", None), ("history", Some(u64::MAX)), ("reduced", Some(3))] {
        let path = folder.path().join(name);
        let store = open(&path);
        fill(&store, 0..40);
        drop(store);
        let store =
            Store::open(&Location::Disk(path.clone()), &options(history.unwrap_or(0))).expect("it opens");
        if history.is_some() {
            compact(&store);
        }
        for store in [store, open(&folder.path().join("other"))] {
            let full = store.engine().check(&mut |_, _| {}).expect("it can be read");
            let report = store.engine().check_quick(&mut |_, _| {}).expect("it can be read");
            assert_eq!((report.damage, full.damage), (Vec::new(), Vec::new()), "{name}");
            assert_eq!((&report.chain_head, full.bytes_unread), (&full.chain_head, 0));
            if store.engine().stats().segments > 1 {
                assert!(report.bytes_unread > full.bytes / 2, "{} of {}", report.bytes_unread, full.bytes);
            }
        }
        let reopened = open(&path.clone());
        assert_eq!(quick(&reopened), Vec::<String>::new(), "{name}");
    }
}

#[test]
fn a_quick_check_finds_what_is_wrong_beside_the_frames() {
    let folder = folder();
    let path = folder.path().join("store");
    fill(&open(&path), 0..40);
    let sound = content(&path);
    let restore =
        || sound.iter().for_each(|(file, bytes)| fs::write(file, bytes).expect("it can be written"));
    let victim = segment(&path, 3);
    let length = fs::metadata(&victim).expect("it is there").len();
    let check = |what: &str, expected: &str, spoil: &dyn Fn()| {
        // While it is open, so that the opening does not find it.
        let store = open(&path);
        assert_eq!(quick(&store), Vec::<String>::new());
        spoil();
        let found = quick(&store);
        assert!(found.iter().any(|line| line.contains(expected)), "{what}: {found:?}");
        drop(store);
        restore();
    };
    check("a header", "segment 4 offset 0", &|| flip(&victim, 30));
    check("a mark", "the last frame of the segment is damaged", &|| flip(&victim, length as usize - 20));
    check("STATLAS", "STATLAS", &|| flip(&path.join("STATLAS"), 20));
    check("a longer file", "expected", &|| {
        let mut bytes = fs::read(&victim).expect("it can be read");
        bytes.extend_from_slice(&[0; 8]);
        fs::write(&victim, bytes).expect("it can be written");
    });
    let last = segments(&path).pop().expect("a segment");
    check("the segment that is being written", "damaged", &|| flip(&last, 96 + 60));
    check("a sidecar", ".idx", &|| flip(&victim.with_extension("idx"), 700));
    // What it does not find: a bit inside a frame of a complete segment.
    damage(&victim);
    let store = open(&path);
    assert_eq!(quick(&store), Vec::<String>::new());
    assert!(!store.engine().check(&mut |_, _| {}).expect("it can be read").damage.is_empty());
    drop(store);
    // But what the opening found.
    let store = open(&path);
    assert!(!store.engine().stats().damage.is_empty());
    assert!(!quick(&store).is_empty());
}

#[test]
fn a_pass_ends_when_nobody_wants_it_any_more_however_slow_it_is() {
    let folder = folder();
    let path = folder.path().join("store");
    let store = open(&path);
    fill(&store, 0..40);
    let looks = std::sync::atomic::AtomicU32::new(0);
    let goes_on = || looks.fetch_add(1, std::sync::atomic::Ordering::Relaxed) < 10;
    // A frame takes minutes at this rate.
    let slow = ScrubOptions { bytes_per_second: 1, goes_on: &goes_on, ..WHOLE };
    let report = scrub(&store, &slow);
    assert!(!report.is_pass_complete && report.bytes > 0, "{report:?}");
    assert!(report.waited <= Duration::from_millis(200), "{report:?}");
    let rest = scrub(&store, &WHOLE);
    assert!(rest.is_pass_complete);
    assert_eq!(report.bytes + rest.bytes, log_bytes(&path), "it goes on where it stopped");
}

#[test]
fn a_state_or_header_longer_than_it_can_be_takes_no_memory() {
    let folder = folder();
    let path = folder.path().join("store");
    let store = open(&path);
    fill(&store, 0..10);
    scrub(&store, &PIECE);
    drop(store);
    let lengthen = |name: &str| {
        let file = fs::OpenOptions::new().write(true).open(path.join(name)).expect("it is there");
        file.set_len(8 << 40).expect("it takes no space");
    };
    lengthen("SCRUB");
    let store = open(&path);
    assert_eq!(stats(&store), None, "a damaged state means starting over");
    assert!(scrub(&store, &WHOLE).is_pass_complete);
    lengthen("STATLAS");
    let damage = store.engine().check(&mut |_, _| {}).expect("it can be checked").damage;
    assert!(damage.iter().any(|line| line.contains("STATLAS has 8796093022208 bytes")), "{damage:?}");
    drop(store);
    let error = Store::open(&Location::Disk(path), &Options::default()).map(drop).expect_err("it is damaged");
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains("STATLAS has 8796093022208 bytes"), "{error}");
}

#[test]
fn a_file_of_another_place_is_called_that_and_not_missing() {
    let folder = folder();
    let path = folder.path().join("store");
    fill(&open(&path), 0..40);
    fs::copy(segment(&path, 6), segment(&path, 3)).expect("it can be replaced");
    fs::remove_file(segment(&path, 4)).expect("it is there");
    let store = open(&path);
    for check in [store.engine().check(&mut |_, _| {}), store.engine().check_quick(&mut |_, _| {})] {
        let damage = check.expect("it can be checked").damage;
        let count = |text: &str| damage.iter().filter(|line| line.contains(text)).count();
        assert_eq!(count("segment 4: the file belongs to another place or store"), 1, "{damage:?}");
        assert_eq!((count("segment 5 is missing"), count("missing")), (1, 1), "{damage:?}");
    }
}

#[test]
fn one_flipped_bit_is_one_damaged_place() {
    let folder = folder();
    let path = folder.path().join("store");
    fill(&open(&path), 0..40);
    let store = open(&path);
    let place = damage(&segment(&path, 2));
    let found = store.engine().check(&mut |_, _| {}).expect("it can be checked").damage;
    assert!(found.len() == 1 && found[0].contains(&place), "{found:?}");
}
