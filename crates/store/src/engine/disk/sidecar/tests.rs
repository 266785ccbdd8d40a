//! A sidecar gives back what it was made of, and nothing else, whatever happens to its bytes.

mod damage;
mod sample;

use std::collections::BTreeMap;

use self::sample::{Sample, Sizes, offset_of, open};
use super::*;
use crate::columns::{ColumnId, Rows};
use crate::engine::disk::storage::{Directory, Mapping, Storage};
use crate::testing::Random;

fn assert_holds(sidecar: &Sidecar, sample: &Sample) {
    assert_eq!((sidecar.identity(), sidecar.summary()), (&sample.identity, &sample.summary));
    for table in TableId::ALL {
        let expected = sample.table(table);
        assert_eq!(sidecar.entries_of(table), expected.len() as u64);
        let mut found = Vec::new();
        let add = |keys: &[u64], values: &[u32]| {
            found.extend(keys.iter().copied().zip(values.iter().copied()));
        };
        sidecar.entries(table, add).expect("it is whole");
        assert_eq!(found, expected);
    }
    assert_eq!(sidecar.len(), sample.rows);
    assert_eq!(sidecar.names().identifiers(), sample.names.identifiers());
    assert!(sidecar.bits().words().eq(sample.bits.words()));
    for (number, block) in sample.blocks.iter().enumerate() {
        assert_eq!(sidecar.neighbours(number).expect("it is whole"), &*block.packed.neighbours);
        assert_eq!(sidecar.tokens(number).expect("it is whole"), &*block.packed.tokens);
        for column in ColumnId::ALL {
            let found = sidecar.column(number, column).expect("it is whole");
            let expected = &block.columns[column as usize];
            assert!((0..found.len()).map(|at| found.get(at)).eq(expected.iter().copied()));
            let extent = sidecar.extent(number, column);
            assert_eq!(Some(&extent.min), expected.iter().min());
            assert_eq!(Some(&extent.max), expected.iter().max());
        }
    }
    assert_eq!(sidecar.effects().expect("it is whole"), sample.effects);
    assert_eq!(sidecar.removals().expect("it is whole"), sample.removals);
    assert_eq!(sidecar.records_len(), sample.records.len());
    let mut before = ("", "");
    for (number, (key, entry)) in sample.records.iter().enumerate() {
        let name = (key.collection(), key.key());
        let record = sidecar.record_at(number).expect("it is whole");
        assert_eq!(((record.collection, record.key), record.entry), (name, *entry));
        assert_eq!(sidecar.find_record(name.0, name.1).expect("it is whole"), Some(*entry));
        assert_eq!(sidecar.find_record(name.0, "another").expect("it is whole"), None);
        assert_eq!(sidecar.records_after(before.0, before.1).expect("it is whole"), number);
        before = name;
    }
    assert_eq!(sidecar.records_after(before.0, before.1).expect("it is whole"), sample.records.len());
    assert_eq!(sidecar.mended().expect("it is whole"), sample.mended);
    assert_eq!(sidecar.marks().expect("it is whole"), sample.marks);
    assert_eq!(sidecar.verify(offset_of), Vec::<String>::new());
}

#[test]
fn what_was_put_in_comes_out() {
    let sizes = [
        Sizes::default(),
        Sizes { rows: 1, blobs: 1, entries: 1, equal_keys: false },
        Sizes { rows: 0, blobs: 300, entries: 20, equal_keys: false },
        Sizes { rows: 64, blobs: 0, entries: 0, equal_keys: false },
        Sizes { rows: 2000, blobs: 256, entries: 500, equal_keys: true },
        Sizes { rows: 70_000, blobs: 10_000, entries: 10, equal_keys: false },
        Sizes { rows: 131_072, blobs: 257, entries: 3, equal_keys: true },
    ];
    for (seed, sizes) in (1..).zip(sizes) {
        let sample = Sample::new(seed, sizes);
        let sidecar = sample.open();
        assert_holds(&sidecar, &sample);
        assert_eq!(sidecar.bytes(), sample.encode().len() as u64);
    }
}

#[test]
fn a_mapped_file_is_read_like_one_in_memory() {
    let sample = Sample::new(5, Sizes { rows: 1000, blobs: 300, entries: 7, equal_keys: false });
    let (directory, bytes) = (tempfile::tempdir().expect("a directory"), sample.encode());
    std::fs::write(directory.path().join("00000007.idx"), &bytes).expect("it is written");
    let file = Directory::new(directory.path()).open("00000007.idx", false).expect("it opens");
    let mapping = file.map(bytes.len()).expect("it is mapped");
    let sidecar = Sidecar::open(SidecarMemory::Mapped(mapping), "it".to_owned(), &sample.identity);
    let sidecar = sidecar.unwrap_or_else(|reason| panic!("it was just made: {reason}"));
    assert_holds(&sidecar, &sample);
    let before = sidecar.heap_bytes();
    assert!(before < 10_000, "the file itself is not in memory");
    sidecar.load_filters().expect("they are whole");
    // A little more than 16 bits for each key.
    assert!(sidecar.heap_bytes() - before > 2 * 2300);
}

/// A mapping that does not begin where integers may be.
struct Askew(Vec<u8>);

impl Mapping for Askew {
    fn read(&self, offset: usize, bytes: usize, buffer: &mut Vec<u8>) {
        buffer.clear();
        buffer.extend_from_slice(&self.bytes()[offset..offset + bytes]);
    }

    fn touch(&self, _offset: usize, _bytes: usize) {}

    fn bytes(&self) -> &[u8] {
        let odd = usize::from(self.0.as_ptr().addr().is_multiple_of(2));
        &self.0[odd..self.0.len() - 1 + odd]
    }
}

#[test]
fn memory_where_integers_may_not_be_is_refused() {
    let sample = Sample::new(6, Sizes { rows: 10, blobs: 0, entries: 0, equal_keys: false });
    let bytes = sample.encode();
    let mut askew = Askew(vec![0; bytes.len() + 1]);
    let odd = usize::from(askew.0.as_ptr().addr().is_multiple_of(2));
    askew.0[odd..odd + bytes.len()].copy_from_slice(&bytes);
    let refused = Sidecar::open(SidecarMemory::Mapped(Box::new(askew)), "it".to_owned(), &sample.identity);
    let reason = refused.err().expect("it is refused");
    assert!(reason.contains("not where integers may be"), "{reason}");
}

#[test]
fn equal_contents_give_equal_files() {
    let sizes = Sizes { rows: 500, blobs: 20, entries: 5, equal_keys: false };
    let (one, mut other) = (Sample::new(1, sizes), Sample::new(1, sizes));
    other.tables.iter_mut().for_each(|table| table.reverse());
    assert!(one.encode() == other.encode());
}

#[test]
fn the_header_has_the_bytes_that_the_format_promises() {
    let sample = Sample::new(3, Sizes { rows: 3, blobs: 2, entries: 1, equal_keys: false });
    let bytes = sample.encode();
    let number = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
    assert_eq!(&bytes[..12], b"STATIDX\0\x01\0\0\0");
    assert_eq!(bytes[12..16], sample.identity.segment.to_le_bytes());
    assert_eq!(bytes[16..32], [7; 16]);
    assert_eq!((number(32), number(40)), (sample.identity.log_bytes, 10));
    assert_eq!(bytes[56..88], sample.summary.chain);
    let summary = &sample.summary;
    assert_eq!((number(88), number(96), number(104)), (5000, summary.garbage_bytes, summary.husk_bytes));
    assert_eq!((number(112), number(120)), (summary.records_live, bytes.len() as u64));
    assert_eq!([number(136), number(144), number(152), number(160)], [3, 2, 3, 1]);
    let [rows, neighbours, tokens] = [200, 208, 216].map(number);
    let block = &sample.blocks[0].packed;
    assert_eq!((rows, neighbours, tokens), (3, block.neighbours.len() as u64, block.tokens.len() as u64));
    assert_eq!(bytes[280..284], crc32c::crc32c(&bytes[number(128) as usize..]).to_le_bytes());
    assert_eq!(bytes[316..320], crc32c::crc32c(&bytes[..316]).to_le_bytes());
    // The first chunk: the keys of the three entities, then their values.
    let mut entities = sample.tables[0].clone();
    entities.sort_unstable();
    assert_eq!([number(320), number(328), number(336)], [entities[0].0, entities[1].0, entities[2].0]);
    assert_eq!(bytes[344..348], entities[0].1.to_le_bytes());
}

#[test]
fn lookups_agree_with_a_model() {
    for (seed, equal_keys) in [(1, false), (2, true)] {
        let sample = Sample::new(seed, Sizes { rows: 5000, blobs: 300, entries: 700, equal_keys });
        let sidecar = sample.open();
        for table in TableId::ALL {
            let mut model: BTreeMap<u64, Vec<u32>> = BTreeMap::new();
            let entries = sample.table(table);
            entries.iter().for_each(|(key, value)| model.entry(*key).or_default().push(*value));
            let random = &mut Random::new(seed);
            let mut keys: Vec<u64> = model.keys().copied().collect();
            keys.extend(keys.clone().iter().map(|key| key ^ 1));
            keys.extend((0..1000).map(|_| random.bits()).chain([0, u64::MAX]));
            for key in &keys {
                assert_eq!(values(&sidecar, table, *key), model.get(key).cloned().unwrap_or_default());
                // Those that come first are enough if they answer.
                let second = sidecar.find(table, *key, |value| {
                    (Some(value) == model.get(key)?.get(1).copied()).then_some(value)
                });
                assert_eq!(
                    second.expect("it is whole"),
                    model.get(key).and_then(|values| values.get(1).copied())
                );
            }
            assert_filter_is_right(&sidecar, table, &keys, &model);
            sidecar.load_filters().expect("they are whole");
            assert_filter_is_right(&sidecar, table, &keys, &model);
            let mut ends: Vec<u64> = (0..40).map(|_| random.pick(&keys)).collect();
            ends.extend([0, u64::MAX]);
            for (low, high) in ends.iter().flat_map(|low| ends.iter().map(|high| (*low, *high))) {
                let expected: Vec<_> =
                    entries.iter().copied().filter(|(key, _)| (low..=high).contains(key)).collect();
                assert_eq!(sidecar.range(table, low, high).expect("it is whole"), expected);
            }
        }
    }
}

fn values(sidecar: &Sidecar, table: TableId, key: u64) -> Vec<u32> {
    let mut values = Vec::new();
    let all = sidecar.find(table, key, |value| {
        values.push(value);
        None::<()>
    });
    assert_eq!(all.expect("it is whole"), None);
    values
}

fn assert_filter_is_right(sidecar: &Sidecar, table: TableId, keys: &[u64], model: &BTreeMap<u64, Vec<u32>>) {
    let one_by_one: Vec<usize> = (0..keys.len()).filter(|at| sidecar.may_hold(table, keys[*at])).collect();
    let mut together = Vec::new();
    sidecar.may_hold_many(table, keys, |at| together.push(at));
    assert_eq!(one_by_one, together);
    let there = keys.iter().filter(|key| model.contains_key(key)).count();
    assert!(there <= together.len() && together.len() <= there + 5);
    assert!((0..keys.len()).all(|at| !model.contains_key(&keys[at]) || together.binary_search(&at).is_ok()));
}

#[test]
fn a_table_without_a_filter_may_hold_any_key_and_an_empty_one_none() {
    let sidecar = Sample::new(1, Sizes { rows: 0, blobs: 10, entries: 0, equal_keys: false }).open();
    assert!(!sidecar.may_hold(TableId::Entities, 5));
    sidecar.may_hold_many(TableId::Entities, &[1, 2], |_| panic!("an empty table"));
    let mut without = sidecar;
    without.directory.filters[TableId::Blobs as usize] = None;
    assert!(without.may_hold(TableId::Blobs, 5));
    let mut visited = Vec::new();
    without.may_hold_many(TableId::Blobs, &[1, 2], |at| visited.push(at));
    assert_eq!(visited, [0, 1]);
}

#[test]
fn a_sidecar_of_something_else_is_refused() {
    let sample = Sample::new(9, Sizes { rows: 10, blobs: 0, entries: 1, equal_keys: false });
    let bytes = sample.encode();
    let own = sample.identity;
    let others = [
        (Identity { store_id: [8; 16], ..own }, "it belongs to another store"),
        (Identity { segment: own.segment + 1, ..own }, "it describes segment"),
        (Identity { log_bytes: own.log_bytes + 8, ..own }, "it describes a segment of"),
    ];
    for (identity, reason) in others {
        let refused = open(&bytes, &identity).err().expect("it is refused");
        assert!(refused.starts_with(reason), "{refused}");
    }
    let mut newer = bytes;
    newer[8] = 2;
    let refused = open(&newer, &own).err().expect("it is refused");
    assert_eq!(refused, "it has format 2; this release reads 1");
    assert_eq!(open(b"", &own).err().as_deref(), Some("the header is cut short"));
}

#[test]
fn threads_verify_a_chunk_as_one_does() {
    let sample = Sample::new(4, Sizes { rows: 3000, blobs: 0, entries: 0, equal_keys: false });
    let sidecar = sample.open();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for (key, value) in &sample.tables[0] {
                    assert_eq!(values(&sidecar, TableId::Entities, *key), [*value]);
                }
                sidecar.load_filters().expect("they are whole");
            });
        }
    });
}
