//! Memory for slots that can be given back while readers may still look at it.

use memmap2::{Advice, MmapMut, MmapOptions};

use super::Slot;

/// A huge page. They are asked for where they fit: lookups are random, and address translation is part of their cost.
const HUGE_PAGE_BYTES: usize = 2 << 20;

/// What takes less lies on the heap: a mapping for each of the many shards of a small store takes longer than filling them.
const MAPPED_BYTES_MIN: usize = 64 << 10;

/// Slots, all empty at first.
pub(super) enum SlotMemory {
    Heap(Vec<Slot>),
    /// In pages of their own. The mapping is used through raw pointers only; it is what owns the memory.
    Mapped {
        map: MmapMut,
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
        let map = MmapOptions::new().len(room).map_anon().ok()?;
        #[cfg(target_os = "linux")]
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
                std::slice::from_raw_parts(map.as_ptr().cast::<Slot>(), *slots)
            },
        }
    }

    /// Gives a mapping back to the system. The slots stay readable, and are empty where the system does
    /// so at once, unchanged elsewhere.
    pub(super) fn give_back(&self) {
        #[cfg(target_os = "linux")]
        if let Self::Mapped { map, .. } = self {
            // SAFETY: the advice replaces the pages of this private mapping by zeroed ones, which are valid
            // empty slots. Slots are atomics, whose readers expect them to change at any time.
            drop(unsafe { map.unchecked_advise(memmap2::UncheckedAdvice::DontNeed) });
        }
    }
}
