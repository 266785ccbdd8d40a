//! The memory of benchmarks: from the program's allocator, as what is measured has it, but large pieces from the system,
//! so that memory that is new is new.

use std::alloc::{GlobalAlloc, Layout, System};

use mimalloc::MiMalloc;

/// From so many bytes on, which nothing in a store has, a piece comes from the system and goes back to it.
const LARGE_BYTES: usize = 48 << 20;

/// See the module.
pub(crate) struct Allocator;

// SAFETY: each of the two allocators keeps the promises of the trait, and the size of a piece says which of them has it.
// A piece that grows beyond the limit is copied by the trait's own `realloc`, which calls these two.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: what the caller promises is what is asked for.
        unsafe { if layout.size() < LARGE_BYTES { MiMalloc.alloc(layout) } else { System.alloc(layout) } }
    }

    unsafe fn dealloc(&self, piece: *mut u8, layout: Layout) {
        // SAFETY: as above, and the piece came from the same one.
        unsafe {
            if layout.size() < LARGE_BYTES {
                MiMalloc.dealloc(piece, layout)
            } else {
                System.dealloc(piece, layout)
            }
        }
    }
}
