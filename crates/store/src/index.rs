//! A hash index from 64 uniformly distributed bits to a 64-bit value, kept in the order of its keys.
//!
//! One thread writes (engines hold their commit lock), any number read, and a read is plain loads: no
//! lock, no counter, no fence, so that a processor works on several lookups at a time. Keys are the first
//! eight bytes of a SHA-256 or a good hash, so they serve as their own hash: a slot's home is its key,
//! scaled to the size of the table. That keeps the table in key order up to short runs, so a prefix of an
//! address is a range of slots, and a table grows by one pass in order without reading what it points to.
//!
//! Several entries may have one key; the caller tells them apart by what the values point to. A slot costs
//! 16 bytes, and tables are between 60 and 80 % full: 20 to 27 bytes an entry, 23 on average.

mod memory;

#[cfg(not(shuttle))]
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::{AtomicU64, Ordering};

// Under `cargo xtask interleavings` another thread may go on wherever a table is looked up or changed.
#[cfg(shuttle)]
use parking_lot::atomic::AtomicUsize;

use self::memory::{Newest, SlotMemory};
use crate::error::{Error, ErrorKind, Result};

/// The table is split by the first bits of the key, so that growing moves one part at a time.
const SHARD_BITS: u32 = 3;
/// Slots behind the last home, so that no run wraps around. Uniform keys need no more; where somebody chose keys that
/// share the last homes, a table gets twice as many until they fit.
const OVERFLOW_SLOTS: usize = 24;
/// An index is worn when a shard has outgrown so many tables, or they keep so many bytes: who adds and removes for ever
/// outgrows one after another that is no smaller than the next. Growing alone takes half as many.
const OUTGROWN_MAX: usize = 128;
const OUTGROWN_BYTES_MAX: usize = 128 << 10;
/// A shard with so many refuses more: each mapping is one of those that the system allows a process.
const OUTGROWN_REFUSED: usize = 8 * OUTGROWN_MAX;
const TOUCHED_LINES: usize = 3;
const EMPTY: u64 = 0;
const REMOVED: u64 = u64::MAX;

/// The index.
pub(crate) struct Index {
    shards: Vec<Shard>,
}

/// Part of the index. Tables that it has outgrown stay where they are, without memory unless they are small, so that a
/// reader that is late finds nothing there rather than something else's bytes; it then looks again.
struct Shard {
    tables: Newest<Table>,
    /// How many were outgrown, and the bytes that those keep.
    outgrown: AtomicUsize,
    outgrown_bytes: AtomicUsize,
    live: AtomicUsize,
}

struct Table {
    homes: u64,
    /// Slots that are not empty, removed ones counted.
    used: AtomicUsize,
    slots: SlotMemory,
}

/// An entry. All zeros is an empty one.
#[derive(Default)]
#[repr(C)]
struct Slot {
    key: AtomicU64,
    /// Written after the key, read before it: who sees a value sees its key.
    value: AtomicU64,
}

/// Adds to a counter that only the one thread changes which writes to the index: an atomic addition would keep the
/// processor from working on the next entry meanwhile.
#[inline]
fn add(counter: &AtomicUsize, more: usize) -> usize {
    let sum = counter.load(Ordering::Relaxed) + more;
    counter.store(sum, Ordering::Relaxed);
    sum
}

impl Slot {
    /// Whether an entry with a value, which was read from this slot, is one of a key.
    #[inline]
    fn holds(&self, key: u64, value: u64) -> bool {
        value != REMOVED && self.key.load(Ordering::Relaxed) == key
    }
}

impl Table {
    /// An empty table with so many slots behind the last home; `None` if there is no memory for it.
    fn new(homes: usize, overflow: usize) -> Option<Self> {
        let slots = SlotMemory::new(homes.checked_add(overflow)?)?;
        Some(Self { homes: homes as u64, used: AtomicUsize::new(0), slots })
    }

    /// Slots behind the last home.
    fn overflow(&self) -> usize {
        // The homes came from a usize.
        self.slots.all().len() - self.homes as usize
    }

    /// Where a key belongs: its bits after the shard's, scaled to the number of homes.
    #[inline]
    fn home(&self, key: u64) -> usize {
        let scaled = u128::from(key << SHARD_BITS) * u128::from(self.homes);
        // Smaller than the number of homes, which came from a usize.
        (scaled >> 64) as usize
    }

    /// The slots from the home of `key` to the end of its run.
    #[inline]
    fn run(&self, key: u64) -> impl Iterator<Item = (&Slot, u64)> {
        self.slots.all()[self.home(key)..]
            .iter()
            .map(|slot| (slot, slot.value.load(Ordering::Acquire)))
            .take_while(|(_, value)| *value != EMPTY)
    }

    /// Whether there was room behind the home of `key`.
    fn insert(&self, key: u64, value: u64) -> bool {
        let mut slots = self.slots.all()[self.home(key)..].iter();
        let Some(slot) = slots.find(|slot| slot.value.load(Ordering::Relaxed) == EMPTY) else { return false };
        slot.key.store(key, Ordering::Relaxed);
        slot.value.store(value, Ordering::Release);
        add(&self.used, 1);
        true
    }

    /// Adds an entry unless there is one with its key; whether it did, if there was room.
    fn insert_new(&self, key: u64, value: u64) -> Option<bool> {
        for slot in &self.slots.all()[self.home(key)..] {
            let there = slot.value.load(Ordering::Relaxed);
            if there == EMPTY {
                slot.key.store(key, Ordering::Relaxed);
                slot.value.store(value, Ordering::Release);
                add(&self.used, 1);
                return Some(true);
            }
            if slot.holds(key, there) {
                return Some(false);
            }
        }
        None
    }

    fn is_full(&self) -> bool {
        self.used.load(Ordering::Relaxed) as u64 * 5 >= self.homes * 4
    }

    /// A table with the live entries of this one and room for a third more; `None` if there is no memory for it.
    fn grown(&self, live: usize) -> Option<Self> {
        self.moved(live * 5 / 3 + 32, self.overflow())
    }

    /// A table with the live entries of this one, so many homes, and at least so many slots behind the last.
    fn moved(&self, homes: usize, mut overflow: usize) -> Option<Self> {
        loop {
            let table = Self::new(homes, overflow)?;
            let moved = self.slots.all().iter().all(|slot| {
                let value = slot.value.load(Ordering::Relaxed);
                value == EMPTY || value == REMOVED || table.insert(slot.key.load(Ordering::Relaxed), value)
            });
            if moved {
                return Some(table);
            }
            // A run met the end of the table. More homes would part only keys that differ in their first bits.
            overflow = overflow.checked_mul(2)?;
        }
    }
}

impl Shard {
    fn new() -> Self {
        Self {
            tables: Newest::new(),
            outgrown: AtomicUsize::new(0),
            outgrown_bytes: AtomicUsize::new(0),
            live: AtomicUsize::new(0),
        }
    }

    /// The table in use; none before the first entry.
    #[inline]
    fn table(&self) -> Option<&Table> {
        self.tables.get()
    }

    /// What `read` makes of the table, done again if the table was outgrown meanwhile.
    #[inline]
    fn read<T>(&self, mut read: impl FnMut(&Table) -> Option<T>) -> Option<T> {
        loop {
            let table = self.table()?;
            let found = read(table);
            // What was found was there; what was not may just have moved.
            if found.is_some() || self.is_in_use(table) {
                return found;
            }
        }
    }

    #[inline]
    fn is_in_use(&self, table: &Table) -> bool {
        self.table().is_some_and(|now| std::ptr::eq(now, table))
    }

    /// Whether there was memory for it.
    fn insert(&self, key: u64, value: u64) -> bool {
        let live = self.live.load(Ordering::Relaxed) + 1;
        let current = self.table();
        if current.is_none_or(|table| table.is_full() || !table.insert(key, value)) {
            let mut grown = current.map_or_else(|| Table::new(32, OVERFLOW_SLOTS), |table| table.grown(live));
            while let Some(short) = grown.take_if(|table| !table.insert(key, value)) {
                grown = short.moved(short.homes as usize, short.overflow() * 2);
            }
            let Some(grown) = grown else { return false };
            self.put_in_use(grown);
        }
        self.live.store(live, Ordering::Relaxed);
        true
    }

    /// Whether it was added; `None` if there was no memory for it.
    fn insert_new(&self, key: u64, value: u64) -> Option<bool> {
        let table = self.table();
        if let Some(added) = table.filter(|table| !table.is_full()).and_then(|t| t.insert_new(key, value)) {
            add(&self.live, usize::from(added));
            return Some(added);
        }
        // The table has to grow.
        if table.is_some_and(|table| table.run(key).any(|(slot, value)| slot.holds(key, value))) {
            return Some(false);
        }
        self.insert(key, value).then_some(true)
    }

    fn make_room(&self, entries: usize, allow: &mut dyn FnMut(u64) -> bool) -> bool {
        let current = self.table();
        let used = current.map_or(0, |table| table.used.load(Ordering::Relaxed));
        if current.is_some_and(|table| (used + entries) as u64 * 5 < table.homes * 4) {
            return true;
        }
        let live = self.live.load(Ordering::Relaxed) + entries;
        let homes = live * 5 / 3 + 32;
        let overflow = current.map_or(OVERFLOW_SLOTS, Table::overflow);
        if self.outgrown.load(Ordering::Relaxed) >= OUTGROWN_REFUSED
            || !allow(((homes + overflow) * size_of::<Slot>()) as u64)
        {
            return false;
        }
        let grown = current.map_or_else(|| Table::new(homes, overflow), |table| table.grown(live));
        grown.map(|grown| self.put_in_use(grown)).is_some()
    }

    /// Makes room for about `entries` entries, if there are none yet.
    fn reserve(&self, entries: usize) {
        if self.table().is_none() {
            // Without memory for that many, it grows as they come.
            if let Some(table) = Table::new(entries * 3 / 2 + 32, OVERFLOW_SLOTS) {
                self.put_in_use(table);
            }
        }
    }

    /// Puts a table in the place of the one in use.
    fn put_in_use(&self, grown: Table) {
        let outgrown = self.table();
        self.tables.put(grown);
        if let Some(table) = outgrown {
            table.slots.give_back();
            add(&self.outgrown, 1);
            add(&self.outgrown_bytes, table.slots.kept_bytes());
        }
    }

    fn is_worn(&self) -> bool {
        self.outgrown.load(Ordering::Relaxed) >= OUTGROWN_MAX
            || self.outgrown_bytes.load(Ordering::Relaxed) >= OUTGROWN_BYTES_MAX
    }

    /// A shard with the same entries that has outgrown nothing; `None` if there is no memory for it.
    fn renewed(&self) -> Option<Self> {
        let renewed = Self::new();
        if let Some(table) = self.table() {
            let live = self.live.load(Ordering::Relaxed);
            renewed.tables.put(table.grown(live)?);
            renewed.live.store(live, Ordering::Relaxed);
        }
        Some(renewed)
    }

    /// Bytes allocated for slots.
    fn bytes(&self) -> usize {
        let in_use = self.table().map_or(0, |table| size_of_val(table.slots.all()));
        in_use + self.outgrown_bytes.load(Ordering::Relaxed)
    }
}

impl Index {
    pub(crate) fn new() -> Self {
        Self { shards: std::iter::repeat_with(Shard::new).take(1 << SHARD_BITS).collect() }
    }

    fn shard(&self, key: u64) -> &Shard {
        &self.shards[(key >> (64 - SHARD_BITS)) as usize]
    }

    /// The first answer that `visit` gives for a value of `key`. It may be asked about a value twice.
    #[inline]
    pub(crate) fn find<T>(&self, key: u64, mut visit: impl FnMut(u64) -> Option<T>) -> Option<T> {
        self.shard(key).read(|table| {
            table.run(key).find_map(|(slot, value)| if slot.holds(key, value) { visit(value) } else { None })
        })
    }

    /// Makes room for about `entries` entries, if there are none yet.
    pub(crate) fn reserve(&self, entries: u64) {
        let entries = usize::try_from(entries).unwrap_or(0) >> SHARD_BITS;
        self.shards.iter().for_each(|shard| shard.reserve(entries));
    }

    /// Reads the slots in which a key may stand, and returns something of all of them, so that a caller who does the
    /// same for many keys has waited for all of them together.
    #[inline]
    pub(crate) fn touch(&self, key: u64) -> u64 {
        let Some(table) = self.shard(key).table() else { return 0 };
        let value = |slot: &Slot| slot.value.load(Ordering::Relaxed);
        // A run has some five slots; a line of the cache holds four, and where the run begins in it is chance.
        let slots = table.slots.all()[table.home(key)..].iter().step_by(4).take(TOUCHED_LINES).map(value);
        slots.fold(0, |all, value| all ^ value)
    }

    /// Adds an entry. `value` is neither 0 nor the largest number.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NoMemory`] if the table must grow and the system has no memory for that.
    pub(crate) fn insert(&self, key: u64, value: u64) -> Result<()> {
        debug_assert!(value != EMPTY && value != REMOVED);
        if self.shard(key).insert(key, value) { Ok(()) } else { Err(no_memory()) }
    }

    /// As [`Index::insert`], unless there is an entry of `key`; whether there was none.
    ///
    /// # Errors
    ///
    /// As [`Index::insert`].
    pub(crate) fn insert_new(&self, key: u64, value: u64) -> Result<bool> {
        debug_assert!(value != EMPTY && value != REMOVED);
        self.shard(key).insert_new(key, value).ok_or_else(no_memory)
    }

    /// Puts `new` in the place of the entry of `key` with the value `old`; whether there was one.
    pub(crate) fn replace(&self, key: u64, old: u64, new: u64) -> bool {
        let Some(table) = self.shard(key).table() else { return false };
        let slot =
            table.run(key).find(|(slot, value)| *value == old && slot.key.load(Ordering::Relaxed) == key);
        if let Some((slot, _)) = slot {
            slot.value.store(new, Ordering::Release);
        }
        slot.is_some()
    }

    /// Removes the entry of `key` with the value `old`, whose slot is free again when the table grows;
    /// whether there was one.
    pub(crate) fn remove(&self, key: u64, old: u64) -> bool {
        let removed = self.replace(key, old, REMOVED);
        if removed {
            let live = &self.shard(key).live;
            live.store(live.load(Ordering::Relaxed) - 1, Ordering::Relaxed);
        }
        removed
    }

    /// Whether what it has outgrown should be let go of, by putting [`Index::renewed`] in its place.
    pub(crate) fn is_worn(&self) -> bool {
        self.shards.iter().any(Shard::is_worn)
    }

    /// An index with the same entries that has outgrown nothing; `None` if there is no memory for it.
    pub(crate) fn renewed(&self) -> Option<Self> {
        let shards = self.shards.iter().map(Shard::renewed).collect::<Option<_>>()?;
        Some(Self { shards })
    }

    /// Grows where `entries` more entries would not fit, if `allow` has the bytes for it and the index is not long worn;
    /// whether there is room now.
    pub(crate) fn make_room(&self, entries: usize, allow: &mut dyn FnMut(u64) -> bool) -> bool {
        // Uniform keys overflow a shard with so many more than its part once in ten thousand years. Where somebody chose
        // them, it grows as they come, and what it takes then is counted with the next batch.
        let part = entries >> SHARD_BITS;
        let part = if entries == 0 { 0 } else { part + 6 * part.isqrt() + 16 };
        part == 0 || self.shards.iter().all(|shard| shard.make_room(part, allow))
    }

    /// Every entry whose key lies in `low..=high`, in no particular order within a run.
    pub(crate) fn range(&self, low: u64, high: u64) -> Vec<(u64, u64)> {
        let (first, last) = (low >> (64 - SHARD_BITS), high >> (64 - SHARD_BITS));
        let mut entries = Vec::new();
        for number in first..=last {
            let shard = &self.shards[number as usize];
            let found = shard.read(|table| {
                let slots = table.slots.all();
                let start = if number == first { table.home(low) } else { 0 };
                let end = if number == last { table.home(high) + 1 } else { slots.len() };
                let mut found = Vec::new();
                for (at, slot) in slots.iter().enumerate().skip(start) {
                    let value = slot.value.load(Ordering::Acquire);
                    if value == EMPTY && at >= end {
                        break;
                    }
                    let key = slot.key.load(Ordering::Relaxed);
                    if value != EMPTY && value != REMOVED && (low..=high).contains(&key) {
                        found.push((key, value));
                    }
                }
                // The table may be outgrown while it is read: the answer holds only if it was not.
                shard.is_in_use(table).then_some(found)
            });
            entries.extend(found.into_iter().flatten());
        }
        entries
    }

    /// Entries that are not removed.
    #[cfg(test)]
    pub(crate) fn len(&self) -> u64 {
        self.shards.iter().map(|shard| shard.live.load(Ordering::Relaxed) as u64).sum()
    }

    /// Bytes allocated for slots.
    pub(crate) fn bytes(&self) -> u64 {
        self.shards.iter().map(|shard| shard.bytes() as u64).sum()
    }
}

#[cold]
fn no_memory() -> Error {
    Error::new(ErrorKind::NoMemory, "there is no memory for an index to grow")
}

/// The key of a SHA-256: its first eight bytes, so that keys sort like addresses.
#[inline]
pub(crate) fn key_of(sha256: &[u8; 32]) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = *sha256;
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

#[cfg(test)]
mod tests;
