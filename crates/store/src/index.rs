//! A hash index from 64 uniformly distributed bits to a 64-bit value, kept in the order of its keys.
//!
//! One thread writes (engines hold their commit lock), any number read without a lock. Keys are the first
//! eight bytes of a SHA-256 or a good hash, so they serve as their own hash: a slot's home is its key,
//! scaled to the size of the table. That keeps the table in key order up to short runs, so a prefix of an
//! address is a range of slots, and a table grows by one pass in order without reading what it points to.
//!
//! Several entries may have one key; the caller tells them apart by what the values point to. A slot costs
//! 16 bytes, and tables are between 60 and 80 % full: 20 to 27 bytes an entry, 23 on average.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use arc_swap::ArcSwap;

/// The table is split by the first byte of the key, so that growing moves one part in 256 at a time.
const SHARDS: usize = 256;
/// Slots behind the last home, so that no run wraps around.
const OVERFLOW_SLOTS: usize = 24;
const EMPTY: u64 = 0;
const REMOVED: u64 = u64::MAX;

/// The index.
pub(crate) struct Index {
    shards: Vec<Shard>,
}

struct Shard {
    table: ArcSwap<Table>,
    live: AtomicUsize,
}

struct Table {
    homes: u64,
    /// Slots that are not empty, removed ones counted.
    used: AtomicUsize,
    slots: Box<[Slot]>,
}

#[derive(Default)]
struct Slot {
    key: AtomicU64,
    /// Written after the key, read before it: who sees a value sees its key.
    value: AtomicU64,
}

impl Table {
    fn with_homes(homes: usize) -> Self {
        let slots = std::iter::repeat_with(Slot::default).take(homes + OVERFLOW_SLOTS).collect();
        Self { homes: homes as u64, used: AtomicUsize::new(0), slots }
    }

    /// Where a key belongs: its bits after the shard's, scaled to the number of homes.
    fn home(&self, key: u64) -> usize {
        let scaled = u128::from(key << 8) * u128::from(self.homes);
        // Smaller than the number of homes, which came from a usize.
        (scaled >> 64) as usize
    }

    /// The slots from the home of `key` to the end of its run.
    fn run(&self, key: u64) -> impl Iterator<Item = (&Slot, u64)> {
        self.slots[self.home(key)..]
            .iter()
            .map(|slot| (slot, slot.value.load(Ordering::Acquire)))
            .take_while(|(_, value)| *value != EMPTY)
    }

    /// Whether there was room behind the home of `key`.
    fn insert(&self, key: u64, value: u64) -> bool {
        let free = self.slots[self.home(key)..].iter().find(|slot| slot.value.load(Ordering::Relaxed) == EMPTY);
        let Some(slot) = free else { return false };
        slot.key.store(key, Ordering::Relaxed);
        slot.value.store(value, Ordering::Release);
        self.used.fetch_add(1, Ordering::Relaxed);
        true
    }

    /// A table with the live entries of this one and room for half as many again.
    fn grown(&self, live: usize) -> Self {
        let mut homes = live * 5 / 3 + 8;
        loop {
            let table = Self::with_homes(homes);
            let moved = self.slots.iter().all(|slot| {
                let value = slot.value.load(Ordering::Relaxed);
                value == EMPTY || value == REMOVED || table.insert(slot.key.load(Ordering::Relaxed), value)
            });
            if moved {
                return table;
            }
            // A run met the end of the table: very rare, and cured by more room.
            homes = homes * 5 / 4 + OVERFLOW_SLOTS;
        }
    }
}

impl Index {
    pub(crate) fn new() -> Self {
        let shard = || Shard { table: ArcSwap::from_pointee(Table::with_homes(0)), live: AtomicUsize::new(0) };
        Self { shards: std::iter::repeat_with(shard).take(SHARDS).collect() }
    }

    fn shard(&self, key: u64) -> &Shard {
        &self.shards[(key >> 56) as usize]
    }

    /// The first answer that `visit` gives for a value of `key`.
    pub(crate) fn find<T>(&self, key: u64, mut visit: impl FnMut(u64) -> Option<T>) -> Option<T> {
        self.shard(key).table.load().run(key).find_map(|(slot, value)| {
            let matches = slot.key.load(Ordering::Relaxed) == key && value != REMOVED;
            if matches { visit(value) } else { None }
        })
    }

    /// Adds an entry. `value` is neither 0 nor the largest number.
    pub(crate) fn insert(&self, key: u64, value: u64) {
        debug_assert!(value != EMPTY && value != REMOVED);
        let shard = self.shard(key);
        let live = shard.live.fetch_add(1, Ordering::Relaxed) + 1;
        let table = shard.table.load();
        let full = table.used.load(Ordering::Relaxed) as u64 * 5 >= table.homes * 4;
        if !full && table.insert(key, value) {
            return;
        }
        let mut grown = table.grown(live);
        while !grown.insert(key, value) {
            grown = grown.grown(grown.slots.len());
        }
        shard.table.store(Arc::new(grown));
    }

    /// Puts `new` in the place of the entry of `key` with the value `old`.
    pub(crate) fn replace(&self, key: u64, old: u64, new: u64) {
        let table = self.shard(key).table.load();
        let slot = table.run(key).find(|(slot, value)| *value == old && slot.key.load(Ordering::Relaxed) == key);
        if let Some((slot, _)) = slot {
            slot.value.store(new, Ordering::Release);
        }
    }

    /// Removes the entry of `key` with the value `old`; its slot is free again when the table grows.
    pub(crate) fn remove(&self, key: u64, old: u64) {
        self.replace(key, old, REMOVED);
        self.shard(key).live.fetch_sub(1, Ordering::Relaxed);
    }

    /// Visits every entry whose key lies in `low..=high`, in no particular order within a run.
    pub(crate) fn range(&self, low: u64, high: u64, mut visit: impl FnMut(u64, u64)) {
        for shard in low >> 56..=high >> 56 {
            let table = self.shards[shard as usize].table.load();
            let start = if shard == low >> 56 { table.home(low) } else { 0 };
            let end = if shard == high >> 56 { table.home(high) + 1 } else { table.slots.len() };
            for (at, slot) in table.slots.iter().enumerate().skip(start) {
                let value = slot.value.load(Ordering::Acquire);
                if value == EMPTY {
                    if at >= end {
                        break;
                    }
                    continue;
                }
                let key = slot.key.load(Ordering::Relaxed);
                if value != REMOVED && (low..=high).contains(&key) {
                    visit(key, value);
                }
            }
        }
    }

    /// Entries that are not removed.
    pub(crate) fn len(&self) -> u64 {
        self.shards.iter().map(|shard| shard.live.load(Ordering::Relaxed) as u64).sum()
    }

    /// Bytes allocated for slots.
    pub(crate) fn bytes(&self) -> u64 {
        self.shards.iter().map(|shard| size_of_val(&*shard.table.load().slots) as u64).sum()
    }
}

/// The key of a SHA-256: its first eight bytes, so that keys sort like addresses.
pub(crate) fn key_of(sha256: &[u8; 32]) -> u64 {
    sha256.iter().take(8).fold(0, |key, byte| key << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::Index;

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
            for (value, key) in (1..).zip(keys(20_000, mask)) {
                index.insert(key, value);
                model.insert((key, value));
            }
            for key in keys(300, mask).chain([0, u64::MAX]) {
                let expected = model.range((key, 0)..=(key, u64::MAX)).map(|(_, value)| *value).collect();
                assert_eq!(values(&index, key), expected);
            }
            assert_eq!(index.len(), 20_000);
        }
    }

    #[test]
    fn a_range_visits_exactly_the_entries_between_its_ends() {
        let index = Index::new();
        let model: BTreeSet<(u64, u64)> = keys(50_000, u64::MAX).zip(1..).collect();
        model.iter().for_each(|(key, value)| index.insert(*key, *value));
        for (low, high) in [(0, u64::MAX), (1 << 40, 1 << 62), (0xab12 << 48, (0xab13 << 48) - 1), (7, 7)] {
            let mut found = BTreeSet::new();
            index.range(low, high, |key, value| assert!(found.insert((key, value))));
            assert_eq!(found, model.range((low, 0)..=(high, u64::MAX)).copied().collect());
        }
    }

    #[test]
    fn removed_entries_are_gone_and_replaced_ones_changed() {
        let index = Index::new();
        keys(1000, u64::MAX).zip(1..).for_each(|(key, value)| index.insert(key, value));
        for (key, value) in keys(1000, u64::MAX).zip(1_u64..) {
            if value % 2 == 0 { index.remove(key, value) } else { index.replace(key, value, value + 10_000) }
        }
        for (key, value) in keys(1000, u64::MAX).zip(1_u64..) {
            let expected = if value % 2 == 0 { BTreeSet::new() } else { BTreeSet::from([value + 10_000]) };
            assert_eq!(values(&index, key), expected);
        }
        assert_eq!(index.len(), 500);
    }
}
