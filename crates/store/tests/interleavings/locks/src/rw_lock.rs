//! A lock for many who look or one who changes.

use std::ops::{Deref, DerefMut};

use shuttle::sync as gates;

use crate::{Behind, is_scheduled, pass};

/// A lock for many readers or one writer.
#[derive(Default)]
pub struct RwLock<T> {
    gate: gates::RwLock<()>,
    lock: parking_lot::RwLock<T>,
}

/// The right to look at what a [`RwLock`] holds.
pub struct RwLockReadGuard<'a, T> {
    value: parking_lot::RwLockReadGuard<'a, T>,
    _gate: Option<gates::RwLockReadGuard<'a, ()>>,
    _behind: Behind,
}

/// The right to change what a [`RwLock`] holds.
pub struct RwLockWriteGuard<'a, T> {
    value: parking_lot::RwLockWriteGuard<'a, T>,
    _gate: Option<gates::RwLockWriteGuard<'a, ()>>,
    _behind: Behind,
}

impl<T> RwLock<T> {
    /// A lock that is free.
    pub const fn new(value: T) -> Self {
        Self { gate: gates::RwLock::new(()), lock: parking_lot::RwLock::new(value) }
    }

    /// Waits until nobody changes it.
    pub fn read(&self) -> RwLockReadGuard<'_, T> {
        let _gate = is_scheduled().then(|| pass(self.gate.read()));
        RwLockReadGuard { value: self.lock.read(), _gate, _behind: Behind }
    }

    /// Waits until it is free.
    pub fn write(&self) -> RwLockWriteGuard<'_, T> {
        let _gate = is_scheduled().then(|| pass(self.gate.write()));
        RwLockWriteGuard { value: self.lock.write(), _gate, _behind: Behind }
    }
}

impl<T> Deref for RwLockReadGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> Deref for RwLockWriteGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> DerefMut for RwLockWriteGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}
