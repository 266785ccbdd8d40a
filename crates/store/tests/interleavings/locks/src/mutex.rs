//! A lock for one at a time.

use std::fmt;
use std::ops::{Deref, DerefMut};

use shuttle::sync as gates;

use crate::{Behind, is_scheduled, pass};

/// A mutual exclusion lock.
#[derive(Default)]
pub struct Mutex<T> {
    gate: gates::Mutex<()>,
    pub(crate) lock: parking_lot::Mutex<T>,
}

/// The right to use what a [`Mutex`] holds. The lock is given back before the gate.
pub struct MutexGuard<'a, T> {
    pub(crate) value: Option<parking_lot::MutexGuard<'a, T>>,
    pub(crate) gate: Option<gates::MutexGuard<'a, ()>>,
    pub(crate) mutex: &'a Mutex<T>,
    _behind: Behind,
}

impl<T> Mutex<T> {
    /// A lock that is free.
    pub const fn new(value: T) -> Self {
        Self { gate: gates::Mutex::new(()), lock: parking_lot::Mutex::new(value) }
    }

    /// Waits until it is free.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        let gate = is_scheduled().then(|| pass(self.gate.lock()));
        MutexGuard { value: Some(self.lock.lock()), gate, mutex: self, _behind: Behind }
    }

    /// Takes it if it is free.
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        let gate = if is_scheduled() { Some(self.gate.try_lock().ok()?) } else { None };
        Some(MutexGuard { value: Some(self.lock.try_lock()?), gate, mutex: self, _behind: Behind })
    }

    /// What it holds.
    pub fn into_inner(self) -> T {
        self.lock.into_inner()
    }
}

impl<T> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mutex")
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.value.as_ref().expect("only a wait takes it, and gives it back")
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.value.as_mut().expect("only a wait takes it, and gives it back")
    }
}
