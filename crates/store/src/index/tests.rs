//! The index, and readers beside a writer.

use std::collections::BTreeSet;

use super::Index;

/// So many, or few where each step takes a thousand times as long.
fn scaled(count: u64) -> u64 {
    if cfg!(miri) { count / 200 } else { count }
}

fn keys(count: u64, mask: u64) -> impl Iterator<Item = u64> {
    (1..=count).map(move |n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15) & mask)
}

fn values(index: &Index, key: u64) -> BTreeSet<u64> {
    let mut found = BTreeSet::new();
    index.find(key, |value| {
        found.insert(value);
        None::<()>
    });
    found
}

#[test]
fn every_entry_is_found_and_no_other_while_the_table_grows() {
    // The narrow mask makes long runs and many equal keys.
    for mask in [u64::MAX, 0xff00_0000_0000_00ff, 0x00ff_ffff] {
        let index = Index::new();
        let mut model = BTreeSet::new();
        let count = scaled(20_000);
        for (value, key) in (1..).zip(keys(count, mask)) {
            index.insert(key, value).expect("memory");
            model.insert((key, value));
        }
        for key in keys(300, mask).chain([0, u64::MAX]) {
            let expected = model.range((key, 0)..=(key, u64::MAX)).map(|(_, value)| *value).collect();
            assert_eq!(values(&index, key), expected);
        }
        assert_eq!(index.len(), count);
    }
}

#[test]
fn keys_that_were_chosen_to_share_the_last_home_make_the_end_longer_and_not_the_table() {
    let index = Index::new();
    // Closer together than any number of homes could part.
    let count = scaled(4000);
    let chosen = (0..count).map(|n| (u64::MAX - n, n + 1));
    for (key, value) in chosen.clone() {
        if value % 2 == 0 {
            index.insert(key, value).expect("memory");
        } else {
            assert!(index.insert_new(key, value).expect("memory"));
            assert!(!index.insert_new(key, value).expect("memory"));
        }
    }
    let others = scaled(4000);
    for (key, value) in keys(others, u64::MAX).zip(10_000..) {
        index.insert(key, value).expect("memory");
    }
    for (key, value) in chosen {
        assert_eq!(values(&index, key), BTreeSet::from([value]));
    }
    assert_eq!(index.len(), count + others);
    assert!(index.bytes() < 1 << 20, "{} bytes", index.bytes());
}

#[test]
fn an_index_that_is_filled_and_emptied_for_ever_is_worn_and_a_renewed_one_has_the_same_entries() {
    for live in [1, 700, 5000].into_iter().filter(|live| !cfg!(miri) || *live == 1) {
        let mut index = Index::new();
        let kept: Vec<(u64, u64)> = keys(live, u64::MAX).zip(1..).collect();
        kept.iter().for_each(|(key, value)| index.insert(*key, *value).expect("memory"));
        let sound = index.bytes();
        let (mut renewals, mut largest) = (0, 0);
        // All of them in one shard, so that it is worn soon.
        let rounds = if cfg!(miri) { 4000 } else { 60_000 };
        for (key, value) in keys(live + rounds, u64::MAX >> 3).zip(1..).skip(kept.len()) {
            if index.is_worn() {
                index = index.renewed().expect("memory");
                renewals += 1;
            }
            assert!(index.make_room(1, &mut |_| true), "a renewed one has room");
            index.insert(key, value).expect("there is room");
            assert!(index.remove(key, value));
            largest = index.bytes().max(largest);
        }
        assert!(renewals > 0, "the test itself is at fault");
        assert!(largest < sound * 3 + (2 << 20), "{largest} bytes");
        for (key, value) in kept {
            assert_eq!(values(&index, key), BTreeSet::from([value]));
        }
        assert_eq!(index.len(), live);
    }
}

#[test]
#[cfg_attr(miri, ignore = "it takes hours there, and nothing that the others don't")]
fn an_index_that_is_never_renewed_takes_what_comes_and_says_sometime_that_it_has_no_room() {
    let index = Index::new();
    let mut refused = 0;
    for (key, value) in keys(400_000, u64::MAX).zip(1..) {
        refused += u32::from(!index.make_room(1, &mut |_| true));
        index.insert(key, value).expect("memory");
        assert!(index.remove(key, value));
    }
    assert!(refused > 0, "the test itself is at fault");
    assert_eq!(index.len(), 0);
}

#[test]
fn a_range_visits_exactly_the_entries_between_its_ends() {
    let index = Index::new();
    let model: BTreeSet<(u64, u64)> = keys(scaled(50_000), u64::MAX).zip(1..).collect();
    model.iter().for_each(|(key, value)| index.insert(*key, *value).expect("memory"));
    for (low, high) in [(0, u64::MAX), (1 << 40, 1 << 62), (0xab12 << 48, (0xab13 << 48) - 1), (7, 7)] {
        let mut found = BTreeSet::new();
        index.range(low, high).into_iter().for_each(|entry| assert!(found.insert(entry)));
        assert_eq!(found, model.range((low, 0)..=(high, u64::MAX)).copied().collect());
    }
}

#[test]
fn readers_find_every_entry_that_was_there_before_while_a_writer_makes_the_table_grow() {
    let index = Index::new();
    let (few, count) = (scaled(2000), scaled(400_000));
    let known: Vec<(u64, u64)> = keys(few, u64::MAX).zip(1..).collect();
    known.iter().for_each(|(key, value)| index.insert(*key, *value).expect("memory"));
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            keys(count, u64::MAX)
                .zip(1_u64..)
                .skip(known.len())
                .for_each(|(key, value)| index.insert(key, value).expect("memory"));
        });
        while !writer.is_finished() {
            for (key, value) in &known {
                assert_eq!(index.find(*key, |found| (found == *value).then_some(found)), Some(*value));
            }
            assert!(index.range(0, u64::MAX).len() >= known.len());
        }
    });
    assert_eq!(index.len(), count);
}

#[test]
fn removed_entries_are_gone_and_replaced_ones_changed() {
    let (index, count) = (Index::new(), scaled(20_000));
    for (key, value) in keys(count, u64::MAX).zip(1..) {
        index.insert(key, value).expect("memory");
    }
    for (key, value) in keys(count, u64::MAX).zip(1_u64..) {
        assert!(if value % 2 == 0 {
            index.remove(key, value)
        } else {
            index.replace(key, value, value + 100_000)
        });
    }
    for (key, value) in keys(count, u64::MAX).zip(1_u64..) {
        let expected = if value % 2 == 0 { BTreeSet::new() } else { BTreeSet::from([value + 100_000]) };
        assert_eq!(values(&index, key), expected);
    }
    assert_eq!(index.len(), count / 2);
}
