//! Memory for slots that can be given back while readers may still look at it, and values that readers may still look at
//! when others have taken their place.

#[cfg(not(shuttle))]
use std::sync::atomic::AtomicPtr;
use std::sync::atomic::Ordering;

#[cfg(all(target_os = "linux", not(miri)))]
use memmap2::Advice;
use memmap2::{MmapOptions, MmapRaw};

// Under `cargo xtask interleavings` another thread may go on wherever the newest value is asked for.
#[cfg(shuttle)]
use parking_lot::atomic::AtomicPtr;

use super::Slot;

/// A huge page. They are asked for where they fit: lookups are random, and address translation is part of their cost.
const HUGE_PAGE_BYTES: usize = 2 << 20;

/// What takes less lies on the heap: a mapping for each of the many shards of a small store takes longer than filling them.
const MAPPED_BYTES_MIN: usize = 16 << 10;

/// Slots, all empty at first.
pub(super) enum SlotMemory {
    Heap(Vec<Slot>),
    /// In pages of their own. The mapping owns the memory, and makes no references into it.
    Mapped {
        map: MmapRaw,
        slots: usize,
    },
}

impl SlotMemory {
    /// Room for `slots` slots; `None` if the system has no memory for them.
    pub(super) fn new(slots: usize) -> Option<Self> {
        let bytes = slots.checked_mul(size_of::<Slot>())?;
        if bytes < MAPPED_BYTES_MIN {
            let mut memory = Vec::new();
            memory.try_reserve_exact(slots).ok()?;
            memory.resize_with(slots, Slot::default);
            return Some(Self::Heap(memory));
        }
        let is_huge = bytes >= HUGE_PAGE_BYTES;
        // Only what lies in a whole huge page can be one, and a mapping begins with one if its length is a multiple. What
        // is too much of it is never touched.
        let room = if is_huge { bytes.checked_next_multiple_of(HUGE_PAGE_BYTES)? } else { bytes };
        let map = MmapRaw::from(MmapOptions::new().len(room).map_anon().ok()?);
        // Miri knows mappings and no advice about them.
        #[cfg(all(target_os = "linux", not(miri)))]
        {
            // A kernel that can't do these says no, and nothing but speed is lost.
            if is_huge {
                drop(map.advise_range(Advice::HugePage, 0, bytes));
            }
            // Keys are uniform, so all pages are used soon. A page that is read before it is written costs two
            // faults, and all of them together cost less than each by itself.
            drop(map.advise_range(Advice::PopulateWrite, 0, bytes));
        }
        Some(Self::Mapped { map, slots })
    }

    #[inline]
    pub(super) fn all(&self) -> &[Slot] {
        match self {
            Self::Heap(slots) => slots,
            // SAFETY: the mapping is page-aligned, has room for that many slots and lives as long as `self`. Zeroed memory
            // is a valid slot, and slots are made of atomics, so changing them through a shared reference is sound. Nobody
            // makes any other reference into the mapping.
            Self::Mapped { map, slots } => unsafe {
                std::slice::from_raw_parts(map.as_mut_ptr().cast::<Slot>(), *slots)
            },
        }
    }

    /// Bytes that [`SlotMemory::give_back`] does not give back.
    pub(super) fn kept_bytes(&self) -> usize {
        match self {
            Self::Heap(slots) => slots.capacity() * size_of::<Slot>(),
            Self::Mapped { .. } => 0,
        }
    }

    /// Gives a mapping back to the system, and what it counts of a limit on data. The slots stay readable, and are empty
    /// where the system does so at once, unchanged elsewhere. Nothing may be written to them any more.
    pub(super) fn give_back(&self) {
        #[cfg(all(target_os = "linux", not(miri)))]
        if let Self::Mapped { map, .. } = self {
            // SAFETY: the advice replaces the pages of this private mapping by zeroed ones, which are valid
            // empty slots. Slots are atomics, whose readers expect them to change at any time.
            drop(unsafe { map.unchecked_advise(memmap2::UncheckedAdvice::DontNeed) });
            // Where this is refused, a limit is reached earlier.
            // SAFETY: the range is that of the mapping, which stays readable; nobody writes to it any more.
            let _refused = unsafe { libc::mprotect(map.as_mut_ptr().cast(), map.len(), libc::PROT_READ) };
        }
    }
}

/// The newest of some values. Those before it stay where they are until all of them are dropped, so that reading is a plain
/// load, and a reader that is late looks at what it began with.
pub(super) struct Newest<T> {
    newest: AtomicPtr<Node<T>>,
}

struct Node<T> {
    value: T,
    /// Null behind the oldest. It never changes; a plain pointer could not be shared.
    older: AtomicPtr<Node<T>>,
}

impl<T: Send + Sync> Newest<T> {
    pub(super) fn new() -> Self {
        Self { newest: AtomicPtr::new(std::ptr::null_mut()) }
    }

    #[inline]
    pub(super) fn get(&self) -> Option<&T> {
        let newest = self.newest.load(Ordering::Acquire);
        // SAFETY: it is null, or came from a box in `put`, which made the node before it stored the pointer. No node is
        // changed or freed before `self` is dropped, which can't be while it is borrowed.
        unsafe { newest.as_ref() }.map(|node| &node.value)
    }

    /// Puts a value before the others. Only one thread may do this at a time: of two values one would be lost.
    pub(super) fn put(&self, value: T) {
        let older = AtomicPtr::new(self.newest.load(Ordering::Acquire));
        self.newest.store(Box::into_raw(Box::new(Node { value, older })), Ordering::Release);
    }
}

impl<T> Drop for Newest<T> {
    fn drop(&mut self) {
        let mut next = *self.newest.get_mut();
        // One after another: each dropping the one before would take as much stack as there are.
        while !next.is_null() {
            // SAFETY: every node came from a box, is in this list once, and nobody looks at it any more.
            let mut node = unsafe { Box::from_raw(next) };
            next = *node.older.get_mut();
        }
    }
}

#[cfg(all(test, target_os = "linux", not(miri)))]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_back_is_empty_and_counts_no_more_where_data_is_limited() {
        let memory = SlotMemory::new(HUGE_PAGE_BYTES / size_of::<Slot>()).expect("there is memory");
        let address = memory.all().as_ptr().addr();
        memory.all()[1].value.store(7, Ordering::Relaxed);
        let rights = || {
            let maps = std::fs::read_to_string("/proc/self/maps").expect("the system tells its mappings");
            let of_line = |line: &str| {
                let (range, rest) = line.split_once(' ')?;
                let (start, end) = range.split_once('-')?;
                let bound = |text| usize::from_str_radix(text, 16).ok();
                (bound(start)?..bound(end)?).contains(&address).then(|| rest[..4].to_owned())
            };
            maps.lines().find_map(of_line).expect("it is mapped")
        };
        assert_eq!(rights(), "rw-p");
        memory.give_back();
        assert_eq!(rights(), "r--p", "the system counts what can be written");
        assert!(memory.all().iter().all(|slot| slot.value.load(Ordering::Relaxed) == 0), "it is empty");
    }
}
