//! Damage: nothing wrong is ever answered, and no bytes make a reader panic.

use proptest::prelude::*;

use super::sample::{Sample, Sizes, offset_of, open};
use crate::columns::{ColumnId, Rows, near_token};
use crate::engine::disk::sidecar::directory::Directory;
use crate::engine::disk::sidecar::exercise::{exercise, seal};
use crate::engine::disk::sidecar::header::{HEADER_BYTES, Header};
use crate::engine::disk::sidecar::layout::{SECTIONS, Section};
use crate::engine::disk::sidecar::{Sidecar, TableId};
use crate::error::ErrorKind;
use crate::query::TokenQuery;
use crate::testing::token;

/// Where the counts begin in the header.
const COUNTS_AT: usize = 136;
/// Bytes of the shapes of filters at the beginning of the directory.
const SHAPES_BYTES: usize = 16 * TableId::ALL.len();

fn small() -> Sample {
    Sample::new(11, Sizes { rows: 3, blobs: 2, entries: 2, equal_keys: false })
}

/// Every answer of a sidecar as text, or `None` where it is an error that says what is damaged.
fn answers(sidecar: &Sidecar, keys: &[u64]) -> Vec<Option<String>> {
    fn answer<T: std::fmt::Debug>(answer: crate::error::Result<T>) -> Option<String> {
        match answer {
            Ok(answer) => Some(format!("{answer:?}")),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Corrupt);
                assert!(error.to_string().starts_with("log/00000007.idx: "), "{error}");
                None
            }
        }
    }
    let mut all = vec![
        answer(sidecar.effects()),
        answer(sidecar.removals()),
        answer(sidecar.mended()),
        answer(sidecar.marks()),
        Some(format!("{:?} {:?}", sidecar.identity(), sidecar.summary())),
        Some(format!("{:?}", sidecar.names().identifiers())),
        Some(format!("{:?}", sidecar.bits().words().collect::<Vec<_>>())),
    ];
    for number in 0..sidecar.records_len() {
        all.push(answer(sidecar.record_at(number)));
        let name = if number == 0 { ("c", "key 0 ü") } else { ("c", "another") };
        all.push(answer(sidecar.find_record(name.0, name.1)));
        all.push(answer(sidecar.records_after(name.0, name.1)));
    }
    for table in TableId::ALL {
        all.push(answer(sidecar.range(table, 0, u64::MAX)));
        for key in keys {
            all.push(answer(sidecar.find(table, *key, Some)));
            let filter = sidecar.filter(table);
            all.push(answer(filter.map(|filter| filter.map(|filter| filter.may_hold(*key)))));
        }
    }
    let query = TokenQuery::new(token(1), 100);
    all.push(answer(near_token(&[sidecar], &query, None)));
    for block in 0..sidecar.blocks() {
        all.push(answer(sidecar.neighbours(block)));
        all.push(answer(sidecar.tokens(block)));
        for column in ColumnId::ALL {
            let values = sidecar.column(block, column);
            let values = values.map(|values| (0..values.len()).map(|at| values.get(at)).collect::<Vec<_>>());
            all.push(answer(values));
            all.push(Some(format!("{:?}", sidecar.extent(block, column))));
        }
    }
    all
}

#[test]
fn every_flipped_bit_is_noticed_and_none_changes_an_answer() {
    let sample = small();
    let mut bytes = sample.encode();
    let keys: Vec<u64> = sample.tables.iter().flatten().map(|(key, _)| *key).chain([5]).collect();
    let whole = answers(&sample.open(), &keys);
    let (mut refused, mut damaged) = (0, 0);
    for bit in 0..bytes.len() * 8 {
        bytes[bit / 8] ^= 1 << (bit % 8);
        match open(&bytes, &sample.identity) {
            Err(_) => refused += 1,
            Ok(sidecar) => {
                let found = answers(&sidecar, &keys);
                let wrong = found.iter().zip(&whole).find(|(found, whole)| found.is_some() && found != whole);
                assert_eq!(wrong, None, "bit {bit}");
                assert!(found.contains(&None), "bit {bit} changes a chunk that nobody missed");
                assert!(!sidecar.verify(offset_of).is_empty(), "bit {bit}");
                damaged += 1;
            }
        }
        bytes[bit / 8] ^= 1 << (bit % 8);
    }
    assert!(refused > 0 && damaged > 0);
}

#[test]
fn damage_that_comes_after_the_first_use_is_found_by_a_check() {
    let sample = small();
    let mut sidecar = sample.open();
    assert_eq!(sidecar.verify(offset_of), Vec::<String>::new());
    let chunk = sidecar.directory.chunks[0];
    sidecar.directory.chunks[0].crc ^= 1;
    let found = sidecar.verify(offset_of);
    assert!(found.iter().any(|found| found.contains("changed while it was open")), "{found:?}");
    let expected = "log/00000007.idx: chunk 0 of the index of entities: its checksum is wrong";
    assert!(found.iter().any(|found| found.starts_with(expected)), "{found:?}");
    assert_eq!(chunk.start, HEADER_BYTES);
}

#[test]
fn a_sidecar_of_any_other_length_is_refused() {
    let sample = small();
    let mut bytes = sample.encode();
    for len in 0..bytes.len() {
        assert!(open(&bytes[..len], &sample.identity).is_err(), "length {len}");
    }
    let len = bytes.len();
    bytes.push(0);
    let expected = format!("it has {} bytes where its header says {len}", len + 1);
    assert_eq!(open(&bytes, &sample.identity).err(), Some(expected));
}

#[test]
fn what_makes_no_sense_is_found_by_a_check() {
    let sizes = Sizes { rows: 5, blobs: 3, entries: 3, equal_keys: false };
    let check = |change: &dyn Fn(&mut Sample), expected: &str| {
        let mut sample = Sample::new(12, sizes);
        change(&mut sample);
        let found = sample.open().verify(offset_of).join("; ");
        assert!(found.contains(expected) && found.is_empty() == expected.is_empty(), "{found}");
    };
    check(&|_| (), "");
    check(&|sample| sample.tables[0][1].1 = u32::MAX, "index of entities leads to where nothing is");
    check(&|sample| sample.tables[2][1].1 = 5, "index of ids leads to where nothing is");
    check(&|sample| sample.effects[0].segment = sample.identity.segment, "the segment itself");
    let place = |sample: &mut Sample| {
        sample.records.values_mut().for_each(|entry| entry.place = u32::MAX);
    };
    check(&place, "list of records leads to where nothing is");
    check(&|sample| sample.mended[0].row = 5, "rows that are not there");
    check(&|sample| sample.marks.reverse(), "list of marks doesn't ascend");
}

/// A whole sidecar to be changed behind the back of its checksums.
struct Forgery {
    sample: Sample,
    directory: Directory,
    directory_at: usize,
    bytes: Vec<u8>,
}

impl Forgery {
    fn new() -> Self {
        Self::of(Sizes { rows: 700, blobs: 1, entries: 0, equal_keys: false })
    }

    /// One with three records, in the collections `c`, 41 times `c` and 81 times `c`.
    fn with_records() -> Self {
        Self::of(Sizes { rows: 0, blobs: 0, entries: 3, equal_keys: false })
    }

    fn of(sizes: Sizes) -> Self {
        let sample = Sample::new(13, sizes);
        let bytes = sample.encode();
        let header = Header::decode(&bytes).expect("a header");
        let directory = sample.open().directory;
        Self { sample, directory, directory_at: header.directory_at as usize, bytes }
    }

    /// The bytes of a chunk.
    fn chunk(&mut self, section: Section, at: usize) -> &mut [u8] {
        let chunk = self.directory.chunks[self.directory.number(section, at)];
        &mut self.bytes[chunk.start..][..chunk.bytes]
    }

    fn column(&mut self, column: ColumnId) -> &mut [u8] {
        self.chunk(Section::Columns, column as usize)
    }

    /// The directory behind the list of chunks: first keys of tables, then extents.
    fn directory_behind_chunks(&mut self) -> &mut [u8] {
        &mut self.bytes[self.directory_at + SHAPES_BYTES + 16 * self.directory.chunks.len()..]
    }

    /// Opens the sidecar with its checksums made right.
    fn open(mut self) -> Result<Sidecar, String> {
        seal(&mut self.bytes);
        open(&self.bytes, &self.sample.identity)
    }
}

#[test]
fn what_makes_no_sense_is_found_by_a_check_although_its_checksum_is_right() {
    let check = |change: &dyn Fn(&mut Forgery), expected: &str| {
        let mut forgery = Forgery::new();
        change(&mut forgery);
        let sidecar = forgery.open().unwrap_or_else(|reason| panic!("{expected}: {reason}"));
        let found = sidecar.verify(offset_of).join("; ");
        assert!(found.contains(expected) && found.is_empty() == expected.is_empty(), "{found}");
    };
    check(&|_| (), "");
    let entities = |forgery: &mut Forgery| forgery.chunk(Section::Entities, 1).copy_within(8..16, 80);
    check(&entities, "chunk 1 of the index of entities is not sorted");
    let ids = |forgery: &mut Forgery| forgery.chunk(Section::Ids, 2)[0] ^= 1;
    check(&ids, "chunk 2 of the index of ids begins with another key than the directory says");
    let filter = |forgery: &mut Forgery| forgery.chunk(Section::IdsFilter, 0).fill(0);
    check(&filter, "chunk 0 of the index of ids has keys that the filter denies");
    check(&|forgery| forgery.column(ColumnId::Place).swap(0, 2), "the places of block 0 don't ascend");
    let names = |forgery: &mut Forgery| forgery.column(ColumnId::Realm).fill(9);
    check(&names, "column Realm of block 0 has other ends than the directory says");
    let extents = 8 * 7 + 16 * ColumnId::Horizon as usize;
    let horizon = move |forgery: &mut Forgery| {
        // All values are above the smallest one, so this adds 2 to each.
        let extents = &mut forgery.directory_behind_chunks()[extents..];
        (extents[0], extents[8]) = (extents[0] + 2, extents[8] + 2);
    };
    check(&horizon, "column Horizon of block 0 has names that are not there");
    let neighbours = |forgery: &mut Forgery| forgery.chunk(Section::Neighbours, 0).reverse();
    check(&neighbours, "the neighbours of block 0 are not sorted");
    let ends = |forgery: &mut Forgery| {
        let ends = forgery.column(ColumnId::NeighboursEnd);
        ends.copy_within(ends.len() - 4..ends.len() - 2, ends.len() - 2);
        let last = forgery.sample.blocks[0].columns[ColumnId::NeighboursEnd as usize][698];
        let extent = 8 * 7 + 16 * ColumnId::NeighboursEnd as usize + 8;
        forgery.directory_behind_chunks()[extent..extent + 8].copy_from_slice(&last.to_le_bytes());
    };
    check(&ends, "block 0 has neighbours that belong to no row");
    let token = |forgery: &mut Forgery| forgery.chunk(Section::Tokens, 0)[53] ^= 1;
    check(&token, "the tokens of block 0 break the rules of tokens");
}

#[test]
fn a_list_of_records_that_makes_no_sense_is_found_although_its_checksum_is_right() {
    let check = |at: usize, value: u8, expected: &str| {
        let mut forgery = Forgery::with_records();
        forgery.chunk(Section::RecordList, 0)[at] = value;
        let sidecar = forgery.open().unwrap_or_else(|reason| panic!("{expected}: {reason}"));
        let found = sidecar.verify(offset_of).join("; ");
        assert!(found.contains(expected), "{found}");
    };
    // Each of the three entries has 20 bytes; the names follow, the first of them `ckey 0 ü`.
    check(60, b'd', "the list of records is not sorted");
    check(65, b'9', "the index of records does not lead to all of them");
    for (at, value) in [(12, 0xff), (16, 0xff), (17, 2), (18, 1), (32, 0)] {
        check(at, value, "chunk 0 of the list of records: its content is impossible");
    }
}

#[test]
fn what_a_reader_could_stumble_over_is_an_error_although_its_checksum_is_right() {
    let mut forgery = Forgery::new();
    forgery.column(ColumnId::NeighboursEnd)[1] = 0xff;
    let sidecar = forgery.open().unwrap_or_else(|reason| panic!("{reason}"));
    let error = sidecar.column(0, ColumnId::NeighboursEnd).expect_err("it is an error");
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    let expected =
        "log/00000007.idx: column NeighboursEnd of block 0: it names neighbours that are not there";
    assert_eq!(error.to_string(), expected);
    // The ends of tokens ascend by one at most, and the last token belongs to a row.
    let first = |forgery: &mut Forgery| {
        let ends = forgery.column(ColumnId::TokensEnd).as_chunks_mut::<2>().0;
        ends.iter_mut().for_each(|end| *end = u16::from_le_bytes(*end).max(2).to_le_bytes());
    };
    let back = |forgery: &mut Forgery| forgery.column(ColumnId::TokensEnd)[1380..1382].fill(0);
    let last = |forgery: &mut Forgery| {
        let ends = forgery.column(ColumnId::TokensEnd);
        let ends = ends.as_chunks_mut::<2>().0;
        let last = u16::from_le_bytes(*ends.last().expect("there are rows"));
        ends.iter_mut().for_each(|end| *end = u16::from_le_bytes(*end).min(last - 1).to_le_bytes());
    };
    for change in [&first as &dyn Fn(&mut Forgery), &back, &last] {
        let mut forgery = Forgery::new();
        change(&mut forgery);
        let sidecar = forgery.open().unwrap_or_else(|reason| panic!("{reason}"));
        let error = sidecar.column(0, ColumnId::TokensEnd).expect_err("it is an error");
        let expected = "log/00000007.idx: column TokensEnd of block 0: it names tokens that are not there";
        assert_eq!(error.to_string(), expected);
        let near = near_token(&[&sidecar], &TokenQuery::new(token(1), 3), None);
        assert_eq!(near.expect_err("it is an error").kind(), ErrorKind::Corrupt);
    }
    let sidecar = Forgery::new().open().unwrap_or_else(|reason| panic!("{reason}"));
    let error = sidecar.value(70_000, ColumnId::Place).expect_err("it is an error");
    assert_eq!(error.to_string(), "log/00000007.idx: there is no block 1");
    // 700 rows leave 4 bits of the last word unused.
    let mut forgery = Forgery::new();
    let bits = forgery.chunk(Section::Bits, 0);
    bits[bits.len() - 1] |= 0x80;
    let expected = "log/00000007.idx: the bits of rows: its content is impossible";
    assert_eq!(forgery.open().err().as_deref(), Some(expected));
    let mut forgery = Forgery::new();
    let names = forgery.chunk(Section::Names, 0);
    assert_eq!(&*names, b"\x04data\x06system\x04void\x04echo");
    names.copy_within(18..22, 13);
    let expected = "log/00000007.idx: the list of names: its content is impossible";
    assert_eq!(forgery.open().err().as_deref(), Some(expected));
}

#[test]
fn lengths_that_contradict_each_other_are_refused_although_their_checksums_are_right() {
    let check = |change: &dyn Fn(&mut Forgery), expected: &str| {
        let mut forgery = Forgery::new();
        change(&mut forgery);
        let reason = forgery.open().err().expect(expected);
        assert!(reason.contains(expected), "{reason}");
    };
    let item = |section: Section| COUNTS_AT + 8 * section as usize;
    check(&|forgery| forgery.bytes[item(Section::Bits)] += 1, "the header's numbers of rows");
    check(&|forgery| forgery.bytes[item(Section::Columns) + 7] = 1, "the header's numbers of rows");
    check(&|forgery| forgery.bytes[item(Section::Neighbours)] ^= 1, "the number of neighbours");
    check(&|forgery| forgery.bytes[item(Section::Tokens)] ^= 1, "the number of tokens");
    check(&|forgery| forgery.bytes[item(Section::Names)] -= 1, "the list of names");
    check(&|forgery| forgery.bytes[item(Section::IdsFilter)] ^= 1, "shape of a filter");
    let directory = |forgery: &mut Forgery, at: usize, more: u8| {
        let byte = &mut forgery.bytes[forgery.directory_at + at];
        *byte = byte.wrapping_add(more);
    };
    check(&|forgery| directory(forgery, 8, 1), "shape of a filter");
    // Behind the shapes stand the length and the checksum of each chunk; the first has 3072 bytes.
    check(
        &|forgery| directory(forgery, SHAPES_BYTES + 1, 0xff),
        "the directory's chunks don't fill the file",
    );
    check(&|forgery| directory(forgery, SHAPES_BYTES + 6, 1), "length or checksum of a chunk");
    check(&|forgery| directory(forgery, SHAPES_BYTES + 12, 1), "length or checksum of a chunk");
    check(
        &|forgery| directory(forgery, SHAPES_BYTES + 32, 1),
        "the length of chunk 2 of the index of entities",
    );
    for (section, expected) in [
        (Section::Neighbours, "the length of the neighbours of block 0"),
        (Section::Tokens, "the length of the tokens of block 0"),
    ] {
        let shorter = |forgery: &mut Forgery| {
            let number = forgery.directory.number(section, 0);
            let bytes = forgery.directory.chunks[number].bytes - 1;
            let at = forgery.directory_at + SHAPES_BYTES + 16 * number;
            forgery.bytes[at..at + 8].copy_from_slice(&bytes.to_le_bytes());
        };
        check(&shorter, expected);
    }
    let behind = |forgery: &mut Forgery| *forgery.bytes.last_mut().expect("it has bytes") = 1;
    check(&behind, "the directory goes on where it should end");
    // Sealing puts the directory where the counts say.
    let Forgery { mut bytes, sample, .. } = Forgery::new();
    let mut header = Header::decode(&bytes).expect("a header");
    header.counts.set(Section::Ids, 70_000);
    bytes[..HEADER_BYTES].copy_from_slice(&header.encode());
    let expected = "the directory's length is not the one of the header's counts";
    assert_eq!(open(&bytes, &sample.identity).err().as_deref(), Some(expected));
}

#[test]
fn sealing_a_whole_sidecar_changes_nothing() {
    let bytes = small().encode();
    let mut sealed = bytes.clone();
    seal(&mut sealed);
    assert!(bytes == sealed);
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        exercise(&bytes);
    }

    #[test]
    fn a_header_of_arbitrary_counts_never_panics(
        counts in proptest::collection::vec(
            prop_oneof![4 => 0_u64..4, 2 => 0_u64..3000, 1 => any::<u64>(), 1 => Just(u64::MAX)], SECTIONS),
        body in proptest::collection::vec(any::<u8>(), 0..4000),
    ) {
        let sample = small();
        let mut header = Header::decode(&sample.encode()).expect("a header");
        header.counts.0.copy_from_slice(&counts);
        let mut bytes = header.encode().to_vec();
        bytes.extend(body);
        exercise(&bytes);
    }

    #[test]
    fn a_changed_sidecar_never_panics(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        counts in proptest::collection::vec((0..SECTIONS, 0_u64..600), 0..2),
        rows in 0_usize..300,
    ) {
        let sizes = Sizes { rows, blobs: rows / 2, entries: rows % 5, equal_keys: rows % 2 == 0 };
        let mut bytes = Sample::new(rows as u64, sizes).encode();
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        for (section, count) in counts {
            bytes[COUNTS_AT + 8 * section..][..8].copy_from_slice(&count.to_le_bytes());
        }
        exercise(&bytes);
    }
}
