//! Crashes and failures, on a disk that keeps apart what a process sees and what has reached the device.

use std::cell::RefCell;
use std::io;
use std::path::PathBuf;
use std::rc::Rc;

use statlas_core::{Token, TokenParts};

use super::append::Appender;
use super::header::{BLOCK_TOKENS, DATA_AT, TOKENS_MAX};
use super::medium::Medium;
use super::{MappedTokens, TokenFileError};

/// A device writes so many bytes as a whole or not at all.
const SECTOR_BYTES: usize = 512;

#[derive(Clone, Default)]
struct Disk(Rc<RefCell<State>>);

#[derive(Clone, Default)]
struct State {
    /// What the process sees.
    seen: Vec<u8>,
    /// What the device has for certain.
    safe: Vec<u8>,
    /// What was written since, in order.
    unsynced: Vec<(u64, Vec<u8>)>,
    /// What the device may have before each call, and what had been acknowledged.
    moments: Vec<Moment>,
    calls: usize,
    /// The call that fails, counted from 0.
    failing: Option<usize>,
    acknowledged: u64,
}

#[derive(Clone)]
struct Moment {
    safe: Vec<u8>,
    unsynced: Vec<(u64, Vec<u8>)>,
    acknowledged: u64,
}

impl State {
    fn fails(&mut self) -> bool {
        let moment = Moment {
            safe: self.safe.clone(),
            unsynced: self.unsynced.clone(),
            acknowledged: self.acknowledged,
        };
        self.moments.push(moment);
        self.calls += 1;
        self.failing == Some(self.calls - 1)
    }
}

fn put(bytes: &mut Vec<u8>, offset: u64, written: &[u8]) {
    let end = offset as usize + written.len();
    if bytes.len() < end {
        bytes.resize(end, 0);
    }
    bytes[offset as usize..end].copy_from_slice(written);
}

impl Medium for Disk {
    fn bytes(&self) -> io::Result<u64> {
        Ok(self.0.borrow().seen.len() as u64)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let state = self.0.borrow();
        let source = state.seen.get(offset as usize..).and_then(|rest| rest.get(..buffer.len()));
        buffer.copy_from_slice(source.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.0.borrow_mut();
        // A write that fails has written half of it.
        let fails = state.fails();
        let bytes = if fails { &bytes[..bytes.len() / 2] } else { bytes };
        put(&mut state.seen, offset, bytes);
        state.unsynced.push((offset, bytes.to_vec()));
        if fails { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.0.borrow_mut();
        if state.fails() {
            // What was written is still seen, and never tried again.
            state.unsynced.clear();
            return Err(io::Error::other("the device is gone"));
        }
        state.safe = state.seen_as_written();
        state.unsynced.clear();
        Ok(())
    }
}

impl State {
    /// The device with all that was written since the last sync.
    fn seen_as_written(&self) -> Vec<u8> {
        let mut safe = self.safe.clone();
        self.unsynced.iter().for_each(|(offset, bytes)| put(&mut safe, *offset, bytes));
        safe
    }
}

impl Disk {
    fn holding(bytes: Vec<u8>) -> Self {
        Self(Rc::new(RefCell::new(State { seen: bytes.clone(), safe: bytes, ..State::default() })))
    }

    fn open(&self) -> super::Result<Appender<Self>> {
        Appender::open(self.clone(), PathBuf::from("tokens"))
    }

    fn acknowledge(&self, tokens: u64) {
        self.0.borrow_mut().acknowledged = tokens;
    }
}

/// Pseudo-random bits: the high ones of a linear congruential generator.
struct Random(u64);

impl Random {
    fn flip(&mut self) -> bool {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 63 == 1
    }
}

fn tokens(range: std::ops::Range<u32>) -> Vec<Token> {
    let token =
        |local_id| Token::new(TokenParts { local_id, timestamp: local_id * 7, ..TokenParts::default() });
    range.map(|local_id| token(local_id).expect("legal parts")).collect()
}

/// How many tokens a file has that a device holds, all of which must be those that were appended.
fn count_checked(bytes: &[u8], all: &[Token]) -> u64 {
    let (mapped, _file) = map(bytes);
    mapped.check().expect("nothing is damaged");
    count(&mapped, all)
}

fn count(mapped: &MappedTokens, all: &[Token]) -> u64 {
    assert!(**mapped == all[..mapped.len()], "other tokens than were appended");
    mapped.len() as u64
}

/// What a device holds as a file, which is removed with what is returned second.
fn map(bytes: &[u8]) -> (MappedTokens, tempfile::NamedTempFile) {
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(file.path(), bytes).expect("it is written");
    (MappedTokens::open(file.path()).expect("it is mapped"), file)
}

/// Images that a crash may leave: everything, nothing and random parts of what was not synced, by sectors.
fn images(moment: &Moment, random: &mut Random, count: usize) -> Vec<Vec<u8>> {
    let mut images = vec![moment.safe.clone()];
    for number in 0..count {
        let mut image = moment.safe.clone();
        for (offset, bytes) in &moment.unsynced {
            let mut at = *offset as usize;
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                let room = (SECTOR_BYTES - at % SECTOR_BYTES).min(rest.len());
                if number == 0 || random.flip() {
                    put(&mut image, at as u64, &rest[..room]);
                }
                (at, rest) = (at + room, &rest[room..]);
            }
        }
        images.push(image);
    }
    images
}

/// Appends in steps, crashes before every call, and opens what is left for appending.
fn crash_everywhere(steps: &[u32], images_each: usize, seed: u64) {
    println!("seed {seed}");
    let mut random = Random(seed);
    let all = tokens(0..steps.iter().sum::<u32>() + 10);
    let disk = Disk::default();
    let mut file = disk.open().expect("it is made");
    let mut sums = vec![0];
    for step in steps {
        let start = *sums.last().expect("one is there");
        file.append(&all[start as usize..][..*step as usize]).expect("nothing fails");
        sums.push(start + u64::from(*step));
        disk.acknowledge(start + u64::from(*step));
    }
    let moments = disk.0.borrow().moments.clone();
    for moment in &moments {
        for image in images(moment, &mut random, images_each) {
            let after = Disk::holding(image);
            let mut opened = after.open().expect("what a crash leaves opens");
            let found = opened.tokens();
            assert!(sums.contains(&found), "{found} tokens are not what any append left");
            assert!(found >= moment.acknowledged, "acknowledged tokens are gone");
            let safe = after.0.borrow().safe.clone();
            assert_eq!(count_checked(&safe, &all), found);
            opened.append(&all[found as usize..][..10]).expect("it goes on");
            let safe = after.0.borrow().safe.clone();
            assert_eq!(count_checked(&safe, &all), found + 10);
        }
    }
}

#[test]
fn a_crash_at_any_call_leaves_the_old_tokens_or_the_new_ones() {
    for seed in 0..4 {
        crash_everywhere(&[1, 7, 40, 3], 12, seed);
    }
}

#[test]
fn a_crash_while_blocks_end_leaves_the_old_tokens_or_the_new_ones() {
    let block = BLOCK_TOKENS as u32;
    crash_everywhere(&[block - 2, 5, block - 3], 2, 9);
}

/// A file with 4 tokens, and as it is behind an append of 4 more, whose header stands at 0 and 8192.
fn before_and_behind(all: &[Token]) -> (Vec<u8>, Vec<u8>) {
    let disk = Disk::default();
    let mut file = disk.open().expect("it is made");
    file.append(&all[..4]).expect("it is appended");
    let before = disk.0.borrow().safe.clone();
    file.append(&all[4..8]).expect("it is appended");
    let behind = disk.0.borrow().safe.clone();
    (before, behind)
}

#[test]
fn a_header_that_a_crash_left_once_is_the_old_one_or_the_new_one() {
    let all = tokens(0..9);
    let (old, new) = before_and_behind(&all);
    for (at, tokens) in [(0, 8), (8192, 8)] {
        let mut image = new.clone();
        image[at..at + 64].copy_from_slice(&old[at..at + 64]);
        let after = Disk::holding(image);
        let mut opened = after.open().expect("it opens");
        assert_eq!(opened.tokens(), tokens, "the copy at {at} is old");
        opened.append(&all[8..9]).expect("it goes on");
        assert_eq!(count_checked(&after.0.borrow().safe, &all), 9);
    }
}

#[test]
fn a_damaged_page_of_the_header_loses_no_token_and_is_told() {
    let all = tokens(0..9);
    let (_, whole) = before_and_behind(&all);
    let zeros = |page: &mut [u8]| page.fill(0);
    let noise = |page: &mut [u8]| (0..).zip(page).for_each(|(at, byte): (u32, _)| *byte = (at * 7 + 3) as u8);
    let sector = |page: &mut [u8]| page[..512].fill(0);
    for damage in [zeros as fn(&mut [u8]), noise, sector] {
        for at in [0, 4096, 8192, 12288] {
            let mut image = whole.clone();
            damage(&mut image[at..at + 4096]);
            let (mapped, _file) = map(&image);
            let error = mapped.check().expect_err("a copy is damaged").to_string();
            assert_eq!(count(&mapped, &all), 8);
            assert!(error.contains(&format!("at byte {at} is damaged")), "{error}");
            let after = Disk::holding(image);
            let mut opened = after.open().expect("it opens");
            assert_eq!(opened.tokens(), 8, "the page at {at}");
            opened.append(&all[8..9]).expect("it goes on");
            let image = after.0.borrow().safe.clone();
            assert_eq!(count_checked(&image, &all), 9, "both slots were written again");
        }
    }
}

#[test]
fn nothing_is_appended_where_a_newer_header_may_have_stood() {
    let all = tokens(0..9);
    let (_, whole) = before_and_behind(&all);
    let mut image = whole.clone();
    [0, 8192].into_iter().for_each(|at| image[at..at + 64].fill(0xee));
    let after = Disk::holding(image.clone());
    let error =
        after.open().map(|file| file.tokens()).expect_err("four tokens would be written over").to_string();
    assert!(error.contains("there may be tokens behind the first 4"), "{error}");
    assert!(after.0.borrow().calls == 0 && after.0.borrow().seen == image, "it was written to");
    // What is counted can be read, and saved in its place.
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("damaged.tokens");
    std::fs::write(&path, &image).expect("it is written");
    let mapped = MappedTokens::open(&path).expect("it is mapped");
    assert!(mapped[..] == all[..4] && mapped.check().is_err());
    super::save(&path, &mapped).expect("it is saved");
    assert_eq!(super::TokenFile::open(&path).expect("it opens").len(), 4);
    // Where nothing is behind what is counted, nothing can be lost.
    let mut short = whole;
    [4096, 12288].into_iter().for_each(|at| short[at..at + 64].fill(0xee));
    let mut opened = Disk::holding(short).open().expect("it opens");
    opened.append(&all[8..9]).expect("it goes on");
    assert_eq!(opened.tokens(), 9);
}

#[test]
fn an_append_that_is_interrupted_appends_nothing_and_the_next_one_goes_on() {
    let all = tokens(0..3 * BLOCK_TOKENS as u32);
    let disk = Disk::default();
    let mut file = disk.open().expect("it is made");
    file.append(&all[..10]).expect("it is appended");
    for blocks in 0..3 {
        let mut left = blocks;
        let mut goes_on = || {
            left -= 1;
            left >= 0
        };
        let error = file.append_while(&all[10..], &mut goes_on).expect_err("it is interrupted");
        assert!(matches!(error, TokenFileError::Interrupted { .. }), "{error}");
        assert_eq!((file.tokens(), count_checked(&disk.0.borrow().seen, &all)), (10, 10));
    }
    file.append(&all[10..]).expect("it goes on");
    assert_eq!(count_checked(&disk.0.borrow().safe, &all), all.len() as u64);
}

#[test]
fn a_token_that_breaks_a_rule_is_not_written() {
    use zerocopy::{FromBytes, IntoBytes};
    let mut bytes = tokens(0..3).as_bytes().to_vec();
    bytes[64 + 57] = 0xff;
    let wrong = <[Token]>::ref_from_bytes(&bytes).expect("three tokens");
    let disk = Disk::default();
    let mut file = disk.open().expect("it is made");
    let calls = disk.0.borrow().calls;
    let error = file.append(wrong).expect_err("a weight").to_string();
    assert!(error.contains("token 1: field weight"), "{error}");
    assert_eq!(disk.0.borrow().calls, calls, "it was written to");
    file.append(&tokens(0..3)).expect("it is not poisoned");
}

#[test]
fn behind_any_failing_call_appends_are_refused_until_the_file_is_opened_again() {
    let all = tokens(0..30);
    let making = {
        let disk = Disk::default();
        drop(disk.open().expect("it is made"));
        disk.0.borrow().calls
    };
    for failing in 0..making + 2 * 4 {
        let disk = Disk::default();
        disk.0.borrow_mut().failing = Some(failing);
        let mut acknowledged = 0;
        if let Ok(mut file) = disk.open() {
            for part in [&all[..10], &all[10..20]] {
                match file.append(part) {
                    Ok(()) => acknowledged += 10,
                    Err(TokenFileError::Io { .. }) => break,
                    Err(other) => panic!("{other}"),
                }
            }
            assert_eq!(file.tokens(), acknowledged, "it has what was acknowledged");
            if acknowledged < 20 {
                let refused = file.append(&all[..1]).expect_err("it is poisoned");
                assert!(matches!(refused, TokenFileError::Poisoned { .. }), "{refused}");
                assert!(refused.to_string().contains("open it again"), "{refused}");
            }
        }
        // The same process or another one goes on with what the system shows.
        let mut file = disk.open().expect("it opens again");
        let found = file.tokens();
        assert!(found == acknowledged || found == acknowledged + 10, "{found} of {acknowledged}");
        // Half of the header whose writing failed may stand there until its slot is written again.
        assert_eq!(count(&map(&disk.0.borrow().safe).0, &all), found, "what is found is safe");
        file.append(&all[found as usize..][..5]).expect("it goes on");
        let moment = disk.0.borrow().moments.last().cloned().expect("there were calls");
        assert!(count(&map(&moment.safe).0, &all) >= found, "acknowledged tokens are gone");
        assert_eq!(count_checked(&disk.0.borrow().safe, &all), found + 5);
    }
}

#[test]
fn what_a_crash_left_before_the_first_header_is_an_empty_file() {
    let disk = Disk::default();
    drop(disk.open().expect("it is made"));
    let whole = disk.0.borrow().safe.clone();
    assert_eq!(whole.len() as u64, DATA_AT);
    for bytes in [0, 1, 63, 64, 65, 512, 4096, 8191, 8192, 8193, 65535, 65536] {
        for image in [vec![0; bytes], whole[..bytes].to_vec()] {
            let after = Disk::holding(image);
            let mut opened = after.open().expect("it opens");
            assert_eq!(opened.tokens(), 0);
            opened.append(&tokens(0..3)).expect("it goes on");
            assert_eq!(count_checked(&after.0.borrow().safe, &tokens(0..3)), 3);
        }
    }
}

#[test]
fn a_file_with_other_content_is_refused_and_left_as_it_is() {
    let mut late = vec![0; DATA_AT as usize];
    late[60_000] = 1;
    for other in
        [b"x".to_vec(), vec![0; DATA_AT as usize + 1], vec![7; 100_000], late, b"STATTOKM".repeat(2000)]
    {
        let disk = Disk::holding(other.clone());
        let error = disk.open().map(|file| file.tokens()).expect_err("it is no file of tokens");
        assert!(error.to_string().contains("no file of tokens"), "{error}");
        assert!(disk.0.borrow().calls == 0 && disk.0.borrow().seen == other, "it was written to");
    }
}

#[test]
fn more_tokens_than_a_file_holds_are_refused_and_change_nothing() {
    let disk = Disk::default();
    let mut file = disk.open().expect("it is made");
    file.pretend(TOKENS_MAX - 1);
    let calls = disk.0.borrow().calls;
    let error = file.append(&tokens(0..2)).expect_err("there is room for one");
    assert!(matches!(error, TokenFileError::TooMany { count, .. } if count == TOKENS_MAX + 1), "{error}");
    assert_eq!(disk.0.borrow().calls, calls);
    // It is not poisoned: nothing was written.
    assert!(matches!(file.append(&tokens(0..3)), Err(TokenFileError::TooMany { .. })));
}
