//! Files of tokens: round trips, damage, and who may have them.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use statlas_core::{Space, SpaceSet, Token};
use statlas_tokens::{MappedTokens, Metric, TOKENS_MAX, TokenFile, TokenFileError, TokenVec, nearest, save};
use tempfile::TempDir;

use crate::{token, tokens};

const BLOCK: u32 = 1 << 16;
const DATA_AT: usize = 1 << 16;
/// Where the copies of the header are, and how long each is.
const COPIES: [usize; 4] = [0, 4096, 8192, 12288];
const TABLE_AT: usize = 16384;
const HEADER_BYTES: usize = 64;

fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

fn saved(folder: &TempDir, tokens: &[Token]) -> PathBuf {
    let path = folder.path().join("saved.tokens");
    save(&path, tokens).expect("it is saved");
    path
}

/// What a file has, all of it checked.
fn checked(path: &Path) -> Vec<Token> {
    let mapped = MappedTokens::open(path).expect("it is mapped");
    mapped.check().expect("nothing is damaged");
    mapped.to_vec()
}

/// The names in a folder.
fn names(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).expect("it can be listed");
    let mut names: Vec<_> =
        names.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

fn message(error: &TokenFileError) -> String {
    error.to_string()
}

/// A header as `docs/FORMAT.md` describes it, written by nothing that the crate has.
fn header(version: u32, tail_crc: u32, sequence: u64, count: u64) -> [u8; HEADER_BYTES] {
    let mut bytes = [0; HEADER_BYTES];
    bytes[..8].copy_from_slice(b"STATTOKN");
    bytes[8..12].copy_from_slice(&version.to_le_bytes());
    bytes[12..16].copy_from_slice(&tail_crc.to_le_bytes());
    bytes[16..24].copy_from_slice(&sequence.to_le_bytes());
    bytes[24..32].copy_from_slice(&count.to_le_bytes());
    let crc = crc32c::crc32c(&bytes[..60]);
    bytes[60..].copy_from_slice(&crc.to_le_bytes());
    bytes
}

#[test]
fn what_is_saved_is_mapped_back_as_the_same_bytes_wherever_it_ends() {
    let folder = folder();
    let all = tokens(2 * BLOCK + 1);
    for count in [0, 1, 2, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, 2 * BLOCK + 1] {
        let part = &all[..count as usize];
        let path = saved(&folder, part);
        assert!(checked(&path) == part, "{count} tokens");
        assert_eq!(fs::metadata(&path).expect("it is there").len(), (DATA_AT + part.len() * 64) as u64);
    }
    assert_eq!(names(folder.path()), ["saved.tokens"]);
}

#[test]
fn a_file_has_the_bytes_that_the_documentation_says() {
    let folder = folder();
    let all = tokens(BLOCK + 3);
    let bytes = fs::read(saved(&folder, &all)).expect("it can be read");
    let (whole, tail) = all.split_at(BLOCK as usize);
    let bytes_of = |tokens: &[Token]| TokenVec::from(tokens).as_bytes().to_vec();
    let mut expected = vec![0; DATA_AT];
    for at in [0, 8192] {
        expected[at..at + HEADER_BYTES].copy_from_slice(&header(1, 0, 0, 0));
    }
    for at in [4096, 12288] {
        let tail_crc = crc32c::crc32c(&bytes_of(tail));
        expected[at..at + HEADER_BYTES].copy_from_slice(&header(1, tail_crc, 1, u64::from(BLOCK) + 3));
    }
    expected[TABLE_AT..TABLE_AT + 4].copy_from_slice(&crc32c::crc32c(&bytes_of(whole)).to_le_bytes());
    expected.extend_from_slice(&bytes_of(&all));
    assert!(bytes == expected, "other bytes");
}

#[test]
fn what_is_appended_in_pieces_is_what_is_saved_at_once() {
    let folder = folder();
    let path = folder.path().join("grown.tokens");
    let all = tokens(3 * BLOCK);
    let mut at = 0;
    for piece in [0, 1, 2, 70, BLOCK - 74, 1, 1, BLOCK, BLOCK - 2, 1] {
        // Opened anew each time, as another process would.
        let mut file = TokenFile::open(&path).expect("it opens");
        assert_eq!((file.len(), file.is_empty()), (at as u64, at == 0));
        file.append(&all[at..][..piece as usize]).expect("it is appended");
        at += piece as usize;
        assert!(file.map().expect("it is mapped")[..] == all[..at]);
        assert!(checked(&path) == all[..at]);
    }
    // Behind the header and its checksums they are the same bytes.
    let (grown, at_once) = (fs::read(&path), fs::read(saved(&folder, &all[..at])));
    assert!(grown.expect("it is read")[TABLE_AT..] == at_once.expect("it is read")[TABLE_AT..]);
}

#[test]
fn one_open_file_is_appended_to_again_and_again() {
    let folder = folder();
    let path = folder.path().join("log.tokens");
    let mut file = TokenFile::open(&path).expect("it is made");
    for number in 0..200 {
        file.append(&[token(number)]).expect("it is appended");
    }
    assert_eq!((file.len(), checked(&path)), (200, tokens(200)));
}

#[test]
fn whoever_has_mapped_a_file_keeps_seeing_what_it_had() {
    let folder = folder();
    let all = tokens(1000);
    let path = saved(&folder, &all[..500]);
    let before = MappedTokens::open(&path).expect("it is mapped");
    TokenFile::open(&path).expect("it opens").append(&all[500..]).expect("it is appended");
    assert!(before[..] == all[..500]);
    before.check().expect("nothing is damaged");
    save(&path, &all[900..]).expect("it is saved");
    assert!(before[..] == all[..500]);
    before.check().expect("nothing is damaged");
    assert!(checked(&path) == all[900..]);
    fs::remove_file(&path).expect("it is removed");
    assert!(before[..] == all[..500]);
}

#[test]
fn mapped_tokens_are_searched_like_any() {
    let folder = folder();
    let all = tokens(5000);
    let mapped = MappedTokens::open(&saved(&folder, &all)).expect("it is mapped");
    let spaces = SpaceSet::from(Space::Physical);
    let found = nearest(&mapped, &all[7], 5, spaces, Metric::Euclidean);
    assert_eq!(found, nearest(&all, &all[7], 5, spaces, Metric::Euclidean));
}

#[test]
fn a_file_that_was_cut_anywhere_is_refused() {
    let folder = folder();
    let path = saved(&folder, &tokens(5));
    let whole = fs::read(&path).expect("it can be read");
    for length in (0..whole.len()).filter(|at| at % 97 == 0 || *at < 13_000 || *at + 400 > whole.len()) {
        fs::write(&path, &whole[..length]).expect("it is written");
        let error = MappedTokens::open(&path).expect_err("it is cut");
        assert!(matches!(error, TokenFileError::Corrupt { .. }), "{length}: {error}");
        // What is cut behind its header is not taken for new, so that nothing is written over it.
        if length > 12288 + HEADER_BYTES {
            TokenFile::open(&path).expect_err("it is cut");
            assert!(fs::read(&path).expect("it can be read") == whole[..length], "{length}: it was changed");
        }
    }
}

#[test]
fn a_flipped_bit_is_found_or_changes_nothing_that_is_read() {
    let folder = folder();
    let mut file = TokenFile::open(&folder.path().join("flipped.tokens")).expect("it is made");
    let all = tokens(10);
    file.append(&all[..4]).expect("it is appended");
    file.append(&all[4..]).expect("it is appended");
    drop(file);
    let path = folder.path().join("flipped.tokens");
    let mut bytes = fs::read(&path).expect("it can be read");
    let in_copy = |at: usize| COPIES.iter().any(|copy| (*copy..copy + HEADER_BYTES).contains(&at));
    // Where nothing counts, one bit of some bytes will do.
    let places = (0..bytes.len()).filter(|at| in_copy(*at) || *at >= DATA_AT || at % 13 == 0);
    for at in places {
        for bit in (0..8).filter(|bit| in_copy(at) || at >= DATA_AT || *bit == at % 8) {
            bytes[at] ^= 1 << bit;
            fs::write(&path, &bytes).expect("it is written");
            let mapped = MappedTokens::open(&path).expect("one of the copies is sound");
            assert_eq!(mapped.len(), all.len(), "byte {at}, bit {bit}: tokens are gone");
            let found = mapped.check();
            if at >= DATA_AT {
                let error = message(&found.expect_err("a token is damaged"));
                assert!(error.contains("the checksum of tokens 0 to 9 is wrong"), "{error}");
            } else {
                assert!(mapped[..] == all, "byte {at}, bit {bit}: other tokens");
                assert_eq!(found.is_err(), in_copy(at), "byte {at}, bit {bit}");
            }
            bytes[at] ^= 1 << bit;
        }
    }
}

#[test]
fn a_flipped_bit_of_a_block_or_its_checksum_is_told_with_the_tokens_of_the_block() {
    let folder = folder();
    let path = saved(&folder, &tokens(2 * BLOCK + 2));
    let whole = fs::read(&path).expect("it can be read");
    for (at, range) in [
        (TABLE_AT, "0 to 65535"),
        (TABLE_AT + 7, "65536 to 131071"),
        (DATA_AT + 99, "0 to 65535"),
        (DATA_AT + 65_536 * 64, "65536 to 131071"),
        (whole.len() - 1, "131072 to 131073"),
    ] {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        fs::write(&path, &bytes).expect("it is written");
        let error = MappedTokens::open(&path).expect("it is mapped").check().expect_err("it is damaged");
        assert!(message(&error).contains(&format!("the checksum of tokens {range} is wrong")), "{error}");
    }
}

#[test]
fn a_damaged_copy_of_the_header_is_mended_by_opening_for_appending() {
    let folder = folder();
    let path = saved(&folder, &tokens(3));
    let mut bytes = fs::read(&path).expect("it can be read");
    bytes[4096 + 24] ^= 1;
    fs::write(&path, &bytes).expect("it is written");
    let error = MappedTokens::open(&path).expect("it is mapped").check().expect_err("it is damaged");
    assert!(message(&error).contains("the copy of the header at byte 4096 is damaged"), "{error}");
    drop(TokenFile::open(&path).expect("it opens"));
    assert_eq!(checked(&path), tokens(3));
}

#[test]
fn tokens_that_break_a_rule_are_found_even_under_a_good_checksum() {
    let folder = folder();
    let mut bytes = TokenVec::from(tokens(3)).as_bytes().to_vec();
    bytes[64 + 57] = 0xff;
    let mut file = vec![0; DATA_AT];
    for at in COPIES {
        file[at..at + HEADER_BYTES].copy_from_slice(&header(1, crc32c::crc32c(&bytes), 2, 3));
    }
    file.extend_from_slice(&bytes);
    let path = folder.path().join("foreign.tokens");
    fs::write(&path, &file).expect("it is written");
    let mapped = MappedTokens::open(&path).expect("it is mapped");
    assert_eq!(mapped.len(), 3);
    let error = message(&mapped.check().expect_err("a weight"));
    assert!(error.contains("token 1: field weight"), "{error}");
}

#[test]
fn a_newer_version_is_refused_by_its_number_and_left_alone() {
    let folder = folder();
    let path = folder.path().join("newer.tokens");
    let mut bytes = vec![0; DATA_AT + 64];
    // The older slot is of a version that is known.
    bytes[..HEADER_BYTES].copy_from_slice(&header(1, 0, 4, 0));
    bytes[4096..4096 + HEADER_BYTES].copy_from_slice(&header(2, 0, 5, 1));
    fs::write(&path, &bytes).expect("it is written");
    for error in [MappedTokens::open(&path).map(drop), TokenFile::open(&path).map(drop)] {
        let error = message(&error.expect_err("it is newer"));
        assert!(error.ends_with("newer.tokens: found version 2 of the format; allowed: 1"), "{error}");
    }
    assert!(fs::read(&path).expect("it can be read") == bytes);
}

#[test]
fn headers_that_no_file_can_have_are_refused() {
    let folder = folder();
    let path = folder.path().join("large.tokens");
    for (tail_crc, sequence, count, reason) in [
        (0, 1, TOKENS_MAX + 1, format!("the header counts {} tokens; allowed: {TOKENS_MAX}", TOKENS_MAX + 1)),
        (0, 1, u64::MAX, format!("the header counts {} tokens", u64::MAX)),
        (0, 1, TOKENS_MAX, "it was cut: found 65536 bytes".to_owned()),
        (7, 1, 0, "the header has a checksum of no tokens".to_owned()),
        (0, u64::MAX, 0, format!("the header counts {} appends", u64::MAX)),
    ] {
        let mut bytes = vec![0; DATA_AT];
        bytes[..HEADER_BYTES].copy_from_slice(&header(1, tail_crc, sequence, count));
        fs::write(&path, &bytes).expect("it is written");
        let error = message(&MappedTokens::open(&path).expect_err(&reason));
        assert!(error.contains(&reason), "{error}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_file_that_is_almost_full_takes_what_has_room_and_no_more() {
    let folder = folder();
    let path = folder.path().join("full.tokens");
    let mut file = File::create(&path).expect("it is made");
    let mut headers = vec![0; DATA_AT];
    for at in COPIES {
        headers[at..at + HEADER_BYTES].copy_from_slice(&header(1, 0, 2, TOKENS_MAX - 1));
    }
    file.write_all(&headers).expect("it is written");
    // Sparse: nothing but the header takes room on the device.
    file.set_len(DATA_AT as u64 + TOKENS_MAX * 64).expect("it is as long");
    let mut opened = TokenFile::open(&path).expect("it opens");
    let error = opened.append(&tokens(2)).expect_err("there is room for one");
    assert!(matches!(error, TokenFileError::TooMany { count, .. } if count == TOKENS_MAX + 1), "{error}");
    opened.append(&tokens(1)).expect("there is room for one");
    assert_eq!(
        (opened.len(), opened.map().expect("it is mapped")[TOKENS_MAX as usize - 1]),
        (TOKENS_MAX, token(0))
    );
    assert!(matches!(opened.append(&tokens(1)), Err(TokenFileError::TooMany { .. })));
}

#[test]
fn a_file_is_appended_to_by_one_at_a_time_and_not_replaced_meanwhile() {
    let folder = folder();
    let path = saved(&folder, &tokens(2));
    let mut first = TokenFile::open(&path).expect("it opens");
    for second in [TokenFile::open(&path).map(drop), save(&path, &tokens(1))] {
        let error = second.expect_err("it is locked");
        assert!(matches!(error, TokenFileError::Busy { .. }), "{error}");
        assert!(message(&error).contains("being appended to or saved"), "{error}");
    }
    // Reading needs no lock.
    assert_eq!(checked(&path), tokens(2));
    first.append(&[token(2)]).expect("it is appended");
    // What is mapped keeps the file, and not the lock.
    let mapped = first.map().expect("it is mapped");
    drop(first);
    save(&path, &tokens(1)).expect("nobody has it");
    assert_eq!(*mapped, *tokens(3));
    assert_eq!(TokenFile::open(&path).expect("nobody has it").len(), 1);
    assert_eq!(names(folder.path()), ["saved.tokens"]);
}

#[test]
fn a_file_of_something_else_is_neither_mapped_nor_appended_to_nor_replaced() {
    let folder = folder();
    let path = folder.path().join("notes.txt");
    for content in [b"a few words".to_vec(), b"words ".repeat(20_000), vec![0; DATA_AT + 1]] {
        fs::write(&path, &content).expect("it is written");
        for refused in
            [MappedTokens::open(&path).map(drop), TokenFile::open(&path).map(drop), save(&path, &tokens(1))]
        {
            let error = refused.expect_err("it is something else");
            assert!(matches!(error, TokenFileError::Corrupt { .. }), "{error}");
            assert!(message(&error).contains("it is no file of tokens"), "{error}");
            assert!(fs::read(&path).expect("it can be read") == content, "it was changed");
        }
    }
    assert_eq!(names(folder.path()), ["notes.txt"]);
}

#[test]
fn an_empty_file_and_a_damaged_one_may_be_replaced() {
    let folder = folder();
    let path = folder.path().join("empty.tokens");
    File::create(&path).expect("it is made");
    MappedTokens::open(&path).expect_err("nobody has made it a file of tokens");
    save(&path, &tokens(4)).expect("there is nothing to lose");
    let mut bytes = fs::read(&path).expect("it can be read");
    bytes.truncate(DATA_AT + 7);
    fs::write(&path, &bytes).expect("it is written");
    save(&path, &tokens(5)).expect("it was damaged");
    assert_eq!(checked(&path), tokens(5));
    File::create(&path).expect("it is emptied");
    assert!(TokenFile::open(&path).expect("it is made").is_empty());
}

#[test]
fn what_is_no_file_or_has_no_folder_is_told() {
    let folder = folder();
    let missing = folder.path().join("missing/some.tokens");
    let kind = |refused: Result<(), TokenFileError>| match refused.expect_err("there is no such file") {
        TokenFileError::Io { source, .. } => source.kind(),
        other => panic!("{other}"),
    };
    for refused in [
        MappedTokens::open(folder.path()).map(drop),
        TokenFile::open(folder.path()).map(drop),
        save(folder.path(), &[]),
    ] {
        assert_eq!(kind(refused), io::ErrorKind::IsADirectory);
    }
    for refused in
        [MappedTokens::open(&missing).map(drop), TokenFile::open(&missing).map(drop), save(&missing, &[])]
    {
        assert_eq!(kind(refused), io::ErrorKind::NotFound);
    }
    assert_eq!(kind(MappedTokens::open(&folder.path().join("missing")).map(drop)), io::ErrorKind::NotFound);
    kind(save(Path::new(""), &[]));
    let error = message(&save(&missing, &[]).expect_err("there is no folder"));
    assert!(error.contains("some.tokens: making a file beside it failed"), "{error}");
    assert!(names(folder.path()).is_empty());
}

#[test]
fn a_bare_file_name_is_one_in_the_folder_of_the_process() {
    let folder = folder();
    // All other tests have whole paths.
    let before = std::env::current_dir().expect("there is one");
    std::env::set_current_dir(folder.path()).expect("it is there");
    let bare = Path::new("bare.tokens");
    save(bare, &tokens(2)).expect("it is saved");
    TokenFile::open(bare).expect("it opens").append(&[token(2)]).expect("it is appended");
    TokenFile::open(Path::new("made.tokens")).expect("it is made");
    let found = checked(bare);
    std::env::set_current_dir(before).expect("it is there still");
    assert_eq!(found, tokens(3));
    assert_eq!(names(folder.path()), ["bare.tokens", "made.tokens"]);
}

#[cfg(unix)]
#[test]
fn a_pipe_or_a_device_is_refused_at_once() {
    let null = Path::new("/dev/null");
    for refused in [MappedTokens::open(null).map(drop), TokenFile::open(null).map(drop), save(null, &[])] {
        let error = message(&refused.expect_err("it is no file"));
        assert!(error.contains("it is no regular file"), "{error}");
    }
}

#[cfg(unix)]
#[test]
fn saving_keeps_links_and_permissions() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let folder = folder();
    let (target, link) = (folder.path().join("target.tokens"), folder.path().join("link.tokens"));
    save(&target, &tokens(1)).expect("it is saved");
    fs::set_permissions(&target, PermissionsExt::from_mode(0o640)).expect("it is ours");
    symlink("target.tokens", &link).expect("a link");
    save(&link, &tokens(2)).expect("it is saved");
    assert!(fs::symlink_metadata(&link).expect("it is there").is_symlink(), "the link was replaced");
    assert_eq!(fs::metadata(&target).expect("it is there").permissions().mode() & 0o777, 0o640);
    TokenFile::open(&link).expect("it opens").append(&[token(2)]).expect("it is appended");
    assert_eq!(checked(&target), tokens(3));
    assert_eq!(names(folder.path()), ["link.tokens", "target.tokens"]);
}

#[cfg(target_os = "linux")]
#[test]
fn a_save_that_fails_leaves_the_old_file_and_nothing_else() {
    let folder = folder();
    // Found before anything is made: the name is too long for a file.
    let long = folder.path().join("x".repeat(300));
    save(&long, &tokens(1)).expect_err("no file has such a name");
    assert!(names(folder.path()).is_empty(), "{:?}", names(folder.path()));
    // A name that is just short enough is one that saving does not make longer.
    let fits = folder.path().join("y".repeat(255));
    save(&fits, &tokens(1)).expect("it is saved");
    assert_eq!(names(folder.path()).len(), 1);
}

#[test]
fn what_others_have_beside_a_file_stays_when_it_is_saved() {
    let folder = folder();
    let path = folder.path().join("some.tokens");
    let others = [".tokens-1-0.new".to_owned(), "some.tokens.new".to_owned()]
        .into_iter()
        .chain((0..50).map(|number| format!(".tokens-{}-{number}.new", std::process::id())));
    for name in others.clone() {
        fs::write(folder.path().join(name), b"mine").expect("it is written");
    }
    save(&path, &tokens(3)).expect("it is saved");
    assert_eq!(checked(&path), tokens(3));
    for name in others.clone() {
        assert_eq!(fs::read(folder.path().join(&name)).expect(&name), b"mine");
    }
    assert_eq!(names(folder.path()).len(), others.count() + 1);
}

#[test]
fn bytes_behind_the_last_token_are_written_over() {
    let folder = folder();
    let path = saved(&folder, &tokens(3));
    let mut file = OpenOptions::new().append(true).open(&path).expect("it opens");
    file.write_all(&[7; 1000]).expect("it is written");
    assert_eq!(checked(&path), tokens(3));
    TokenFile::open(&path).expect("it opens").append(&[token(3)]).expect("it is appended");
    assert_eq!(checked(&path), tokens(4));
}
