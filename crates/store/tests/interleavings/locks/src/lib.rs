//! The locks of `parking_lot`, as far as the store uses them, with a gate before each that shuttle guards.
//!
//! In a thread of shuttle's, who may pass the gate is decided by the schedule, and behind it the lock is free.
//! In any other thread, such as those that read the segments when a store is opened, there is no gate: they run
//! while the one thread of shuttle's that waits for them stands still. Times do not run out under shuttle.

pub mod atomic;

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::time::{Duration, Instant};

use shuttle::sync as gates;

/// Whether shuttle decides when this thread runs.
fn is_scheduled() -> bool {
    shuttle::current::try_get_current_task().is_some() && !std::thread::panicking()
}

/// What a gate gives, whoever panicked behind it.
fn pass<G>(passed: Result<G, std::sync::PoisonError<G>>) -> G {
    passed.unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// A mutual exclusion lock.
#[derive(Default)]
pub struct Mutex<T> {
    gate: gates::Mutex<()>,
    lock: parking_lot::Mutex<T>,
}

/// The right to use what a [`Mutex`] holds. The lock is given back before the gate.
pub struct MutexGuard<'a, T> {
    value: Option<parking_lot::MutexGuard<'a, T>>,
    gate: Option<gates::MutexGuard<'a, ()>>,
    mutex: &'a Mutex<T>,
}

impl<T> Mutex<T> {
    /// A lock that is free.
    pub const fn new(value: T) -> Self {
        Self { gate: gates::Mutex::new(()), lock: parking_lot::Mutex::new(value) }
    }

    /// Waits until it is free.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        let gate = is_scheduled().then(|| pass(self.gate.lock()));
        MutexGuard { value: Some(self.lock.lock()), gate, mutex: self }
    }

    /// Takes it if it is free.
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        let gate = if is_scheduled() { Some(self.gate.try_lock().ok()?) } else { None };
        Some(MutexGuard { value: Some(self.lock.try_lock()?), gate, mutex: self })
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
}

/// The right to change what a [`RwLock`] holds.
pub struct RwLockWriteGuard<'a, T> {
    value: parking_lot::RwLockWriteGuard<'a, T>,
    _gate: Option<gates::RwLockWriteGuard<'a, ()>>,
}

impl<T> RwLock<T> {
    /// A lock that is free.
    pub const fn new(value: T) -> Self {
        Self { gate: gates::RwLock::new(()), lock: parking_lot::RwLock::new(value) }
    }

    /// Waits until nobody changes it.
    pub fn read(&self) -> RwLockReadGuard<'_, T> {
        let _gate = is_scheduled().then(|| pass(self.gate.read()));
        RwLockReadGuard { value: self.lock.read(), _gate }
    }

    /// Waits until it is free.
    pub fn write(&self) -> RwLockWriteGuard<'_, T> {
        let _gate = is_scheduled().then(|| pass(self.gate.write()));
        RwLockWriteGuard { value: self.lock.write(), _gate }
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

/// A condition that is waited for.
#[derive(Default)]
pub struct Condvar {
    gate: gates::Condvar,
    condition: parking_lot::Condvar,
}

/// Whether a wait ended because its time was over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WaitTimeoutResult(bool);

impl WaitTimeoutResult {
    /// Whether it was.
    #[must_use]
    pub fn timed_out(self) -> bool {
        self.0
    }
}

impl Condvar {
    /// A condition that nobody waits for.
    #[must_use]
    pub const fn new() -> Self {
        Self { gate: gates::Condvar::new(), condition: parking_lot::Condvar::new() }
    }

    /// Gives the lock back, waits, and takes it again.
    pub fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
        self.wait_at_most(guard, None);
    }

    /// As [`Condvar::wait`], until a time.
    pub fn wait_until<T>(&self, guard: &mut MutexGuard<'_, T>, until: Instant) -> WaitTimeoutResult {
        self.wait_at_most(guard, Some(until))
    }

    /// As [`Condvar::wait`], for a time.
    pub fn wait_for<T>(&self, guard: &mut MutexGuard<'_, T>, at_most: Duration) -> WaitTimeoutResult {
        self.wait_at_most(guard, Instant::now().checked_add(at_most))
    }

    fn wait_at_most<T>(&self, guard: &mut MutexGuard<'_, T>, until: Option<Instant>) -> WaitTimeoutResult {
        if let Some(gate) = guard.gate.take() {
            guard.value = None;
            guard.gate = Some(pass(self.gate.wait(gate)));
            guard.value = Some(guard.mutex.lock.lock());
            return WaitTimeoutResult(false);
        }
        let value = guard.value.as_mut().expect("only a wait takes it, and gives it back");
        match until {
            Some(until) => WaitTimeoutResult(self.condition.wait_until(value, until).timed_out()),
            None => {
                self.condition.wait(value);
                WaitTimeoutResult(false)
            }
        }
    }

    /// Wakes all who wait.
    pub fn notify_all(&self) {
        if is_scheduled() {
            self.gate.notify_all();
        }
        self.condition.notify_all();
    }
}
