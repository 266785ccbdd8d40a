//! Atomic numbers and pointers at which another thread may go on.

use std::sync::atomic::Ordering;

use shuttle::sync::atomic as gates;

use crate::is_scheduled;

/// Lets another thread go on.
fn pass(gate: &gates::AtomicUsize) {
    if is_scheduled() {
        gate.load(Ordering::SeqCst);
    }
}

/// A number that threads share. Every order of memory is the strictest one here.
#[derive(Debug)]
pub struct AtomicUsize {
    gate: gates::AtomicUsize,
    number: std::sync::atomic::AtomicUsize,
}

impl AtomicUsize {
    /// A number with a value.
    #[must_use]
    pub const fn new(value: usize) -> Self {
        Self { gate: gates::AtomicUsize::new(0), number: std::sync::atomic::AtomicUsize::new(value) }
    }

    fn pass(&self) -> &std::sync::atomic::AtomicUsize {
        pass(&self.gate);
        &self.number
    }

    /// Its value.
    pub fn load(&self, _order: Ordering) -> usize {
        self.pass().load(Ordering::SeqCst)
    }

    /// Gives it a value.
    pub fn store(&self, value: usize, _order: Ordering) {
        self.pass().store(value, Ordering::SeqCst);
    }

    /// Adds to it; the value before.
    pub fn fetch_add(&self, value: usize, _order: Ordering) -> usize {
        self.pass().fetch_add(value, Ordering::SeqCst)
    }

    /// Takes from it; the value before.
    pub fn fetch_sub(&self, value: usize, _order: Ordering) -> usize {
        self.pass().fetch_sub(value, Ordering::SeqCst)
    }
}

/// A pointer that threads share. Every order of memory is the strictest one here.
#[derive(Debug)]
pub struct AtomicPtr<T> {
    gate: gates::AtomicUsize,
    pointer: std::sync::atomic::AtomicPtr<T>,
}

impl<T> AtomicPtr<T> {
    /// A pointer with a value.
    #[must_use]
    pub const fn new(pointer: *mut T) -> Self {
        Self { gate: gates::AtomicUsize::new(0), pointer: std::sync::atomic::AtomicPtr::new(pointer) }
    }

    /// Its value.
    pub fn load(&self, _order: Ordering) -> *mut T {
        pass(&self.gate);
        self.pointer.load(Ordering::SeqCst)
    }

    /// Gives it a value.
    pub fn store(&self, pointer: *mut T, _order: Ordering) {
        pass(&self.gate);
        self.pointer.store(pointer, Ordering::SeqCst);
    }

    /// Its value, from its only owner.
    pub fn get_mut(&mut self) -> &mut *mut T {
        self.pointer.get_mut()
    }
}
