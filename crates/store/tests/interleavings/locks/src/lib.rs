//! The locks of `parking_lot`, as far as the store uses them, with a gate before each that shuttle guards.
//!
//! In a thread of shuttle's, who may pass the gate is decided by the schedule, and behind it the lock is free.
//! In any other thread, such as those that read the segments when a store is opened, there is no gate: they run
//! while the one thread of shuttle's that waits for them stands still. Times do not run out under shuttle.

pub mod atomic;
mod condvar;
mod mutex;
mod rw_lock;

use shuttle::sync as gates;

pub use self::condvar::{Condvar, WaitTimeoutResult};
pub use self::mutex::{Mutex, MutexGuard};
pub use self::rw_lock::{RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Whether shuttle decides when this thread runs.
fn is_scheduled() -> bool {
    shuttle::current::try_get_current_task().is_some() && !std::thread::panicking()
}

/// What a gate gives, whoever panicked behind it.
fn pass<G>(passed: Result<G, std::sync::PoisonError<G>>) -> G {
    passed.unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Lets another thread go on when it is dropped: as the last field of a guard, when the lock was given back.
struct Behind;

impl Drop for Behind {
    fn drop(&mut self) {
        if is_scheduled() {
            gates::atomic::AtomicUsize::new(0).load(std::sync::atomic::Ordering::SeqCst);
        }
    }
}
