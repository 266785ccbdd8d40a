//! Waiting for those who hold a lock.

use std::time::{Duration, Instant};

use shuttle::sync as gates;

use crate::{MutexGuard, is_scheduled, pass};

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
