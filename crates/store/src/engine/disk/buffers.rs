//! Large buffers that are used again instead of being given back to the system and asked for anew.
//!
//! A buffer that was just used has its pages already; a new one costs a page fault for each of them. Idle ones
//! are reserved from the budget, and let go of when somebody else needs the memory.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::budget::{Budget, MemoryUse, Reservation};

/// Smaller buffers are left to the allocator, which keeps their pages by itself.
const POOLED_BYTES_MIN: usize = 64 << 10;
/// A buffer is not used for something that needs less than this part of it.
const WASTE_FACTOR: usize = 8;

/// The idle buffers of a store.
pub(super) struct Buffers {
    bytes_max: u64,
    idle: Mutex<Idle>,
}

struct Idle {
    buffers: Vec<Vec<u8>>,
    memory: Reservation,
}

/// A buffer, empty at first; its memory is kept when it is dropped.
pub(super) struct Buffer {
    bytes: Vec<u8>,
    pool: Option<Arc<Buffers>>,
}

impl Buffers {
    /// Keeps idle buffers of at most so many bytes; 0 for none.
    pub(super) fn new(budget: &Arc<Budget>, bytes_max: u64) -> Arc<Self> {
        let memory = budget.hold(MemoryUse::Buffers, 0);
        Arc::new(Self { bytes_max, idle: Mutex::new(Idle { buffers: Vec::new(), memory }) })
    }

    /// A buffer with room for at least so many bytes.
    pub(super) fn take(self: &Arc<Self>, capacity: usize) -> Buffer {
        if self.bytes_max == 0 || capacity < POOLED_BYTES_MIN {
            return Buffer { bytes: Vec::with_capacity(capacity), pool: None };
        }
        let found = {
            let mut idle = self.idle.lock();
            let fits = |buffer: &Vec<u8>| {
                buffer.capacity() >= capacity && buffer.capacity() / WASTE_FACTOR <= capacity
            };
            // They are few.
            let at = idle.buffers.iter().position(fits);
            at.map(|at| {
                let buffer = idle.buffers.swap_remove(at);
                let rest = idle.memory.bytes().saturating_sub(buffer.capacity() as u64);
                idle.memory.resize(rest);
                buffer
            })
        };
        let bytes = found.unwrap_or_else(|| Vec::with_capacity(capacity));
        Buffer { bytes, pool: Some(Arc::clone(self)) }
    }

    fn put_back(&self, mut bytes: Vec<u8>) {
        let mut idle = self.idle.lock();
        let held = idle.memory.bytes() + bytes.capacity() as u64;
        if bytes.capacity() >= POOLED_BYTES_MIN && held <= self.bytes_max && idle.memory.try_resize(held) {
            bytes.clear();
            idle.buffers.push(bytes);
        }
    }

    /// Gives all idle ones back; whether there were any.
    pub(super) fn let_go(&self) -> bool {
        let mut idle = self.idle.lock();
        let were_there = !idle.buffers.is_empty();
        idle.buffers = Vec::new();
        idle.memory.resize(0);
        were_there
    }
}

impl Deref for Buffer {
    type Target = Vec<u8>;

    fn deref(&self) -> &Vec<u8> {
        &self.bytes
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if let Some(pool) = self.pool.take() {
            pool.put_back(std::mem::take(&mut self.bytes));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Buffers;
    use crate::budget::{Budget, MemoryUse};

    #[test]
    fn a_buffer_is_used_again_counted_and_let_go_of() {
        let budget = Budget::new(64 << 20);
        let buffers = Buffers::new(&budget, 1 << 20);
        let mut buffer = buffers.take(200 << 10);
        buffer.extend_from_slice(b"something");
        let place = buffer.as_ptr();
        drop(buffer);
        assert_eq!(budget.held(MemoryUse::Buffers), 200 << 10);
        let again = buffers.take(100 << 10);
        assert!(again.is_empty() && again.as_ptr() == place);
        assert_eq!(budget.held(MemoryUse::Buffers), 0);
        drop(again);
        // One that is too large is not kept, and small ones never are.
        drop((buffers.take(2 << 20), buffers.take(10)));
        assert_eq!(budget.held(MemoryUse::Buffers), 200 << 10);
        assert!(buffers.let_go() && !buffers.let_go());
        assert_eq!(budget.total(), 0);
    }

    #[test]
    fn without_memory_or_if_it_is_switched_off_nothing_is_kept() {
        let budget = Budget::new(16 << 20);
        let off = Buffers::new(&budget, 0);
        drop(off.take(1 << 20));
        let scarce = Buffers::new(&budget, 8 << 20);
        let _held = budget.hold(MemoryUse::Records, 16 << 20);
        drop(scarce.take(1 << 20));
        assert!(!off.let_go() && !scarce.let_go());
    }
}
