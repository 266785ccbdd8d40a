//! One number for all the memory that a store takes for itself, and who holds how much of it.
//!
//! Whoever needs memory in amounts that grow with the store or with a batch reserves it here first and
//! does without if it is refused. Pages of mapped files are not counted: the operating system takes them
//! back when it likes.

mod machine;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::byte_size::ByteSize;
use crate::error::{Error, ErrorKind, Result};
pub(crate) use crate::limits::MEMORY_BYTES_MIN;

/// The environment variable that sets the budget where no option does.
pub(crate) const MEMORY_VARIABLE: &str = "STATLAS_MEMORY_BYTES_MAX";
/// The part of the machine's memory, or of what its cgroup or a limit allows, that a store takes if nobody says.
const MACHINE_PART: u64 = 2;

/// What memory is held for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub(crate) enum MemoryUse {
    /// The index of addresses, blobs and ids, as far as it is in memory.
    Index,
    /// Filters of segments that the index does not cover.
    Filters,
    /// Rows and lists of the segment that is being written, and bits of all rows.
    Columns,
    /// Keys and places of records.
    Records,
    /// Batches on their way into the log.
    Writes,
    /// Entities kept after they were read.
    Cache,
    /// Dictionaries of compressed texts, and what compresses and reads texts with them.
    Compression,
    /// Idle buffers that will be used again.
    Buffers,
    /// Finding blobs that nothing needs.
    Maintenance,
    /// Entities of a large answer, until it is handed over.
    Answers,
}

impl MemoryUse {
    /// Every use, in the order in which figures list them.
    pub(crate) const ALL: [Self; 10] = [
        Self::Index,
        Self::Filters,
        Self::Columns,
        Self::Records,
        Self::Writes,
        Self::Cache,
        Self::Compression,
        Self::Buffers,
        Self::Maintenance,
        Self::Answers,
    ];

    /// The stable lower-case name.
    #[must_use]
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Index => "index",
            Self::Filters => "filters",
            Self::Columns => "columns",
            Self::Records => "records",
            Self::Writes => "writes",
            Self::Cache => "cache",
            Self::Compression => "compression",
            Self::Buffers => "buffers",
            Self::Maintenance => "maintenance",
            Self::Answers => "answers",
        }
    }
}

/// The budget of a store.
pub(crate) struct Budget {
    bytes_max: AtomicU64,
    total: AtomicU64,
    held: [AtomicU64; MemoryUse::ALL.len()],
    refusals: Arc<Refusals>,
    waiting: Mutex<()>,
    freed: Condvar,
}

/// Which reservations are refused though there is memory: none, but in tests.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    /// How many reservations were asked for.
    asked: AtomicU64,
    /// The number of the first that is refused, counted from 1; 0 for none.
    first: AtomicU64,
    /// How many lie from one to the next; 0 if only the first is refused.
    period: AtomicU64,
}

impl Refusals {
    /// Refuses the reservation that comes after `count` more, and from then on each `period`-th if that is not 0.
    #[cfg(feature = "faults")]
    pub(crate) fn refuse_after(&self, count: u64, period: u64) {
        self.period.store(period, Ordering::Relaxed);
        self.first.store(self.asked() + 1 + count, Ordering::Relaxed);
    }

    /// Refuses none any more.
    #[cfg(feature = "faults")]
    pub(crate) fn end(&self) {
        self.first.store(0, Ordering::Relaxed);
    }

    /// How many reservations were asked for.
    #[cfg(feature = "faults")]
    pub(crate) fn asked(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }

    /// Counts a reservation; whether it is refused.
    fn is_refused(&self) -> bool {
        let number = self.asked.fetch_add(1, Ordering::Relaxed) + 1;
        let first = self.first.load(Ordering::Relaxed);
        if first == 0 || number < first {
            return false;
        }
        let period = self.period.load(Ordering::Relaxed);
        number == first || (period > 0 && (number - first).is_multiple_of(period))
    }
}

/// Memory that was reserved, given back when this is dropped.
pub(crate) struct Reservation {
    budget: Arc<Budget>,
    user: MemoryUse,
    bytes: u64,
}

impl Budget {
    pub(crate) fn new(bytes_max: u64) -> Arc<Self> {
        Self::with_refusals(bytes_max, Arc::default())
    }

    /// One that refuses some reservations.
    pub(crate) fn with_refusals(bytes_max: u64, refusals: Arc<Refusals>) -> Arc<Self> {
        Arc::new(Self {
            bytes_max: AtomicU64::new(bytes_max.max(MEMORY_BYTES_MIN)),
            total: AtomicU64::new(0),
            held: Default::default(),
            refusals,
            waiting: Mutex::new(()),
            freed: Condvar::new(),
        })
    }

    /// The bytes that an option asks for, else those of the environment, else a part of the machine's.
    pub(crate) fn bytes_for(option: Option<u64>) -> Result<u64> {
        if let Some(bytes) = option {
            return Ok(bytes);
        }
        match std::env::var(MEMORY_VARIABLE) {
            Ok(text) => Self::bytes_in(&text),
            Err(_) => Ok(machine::memory_bytes() / MACHINE_PART),
        }
    }

    /// The bytes that the environment variable's text asks for.
    fn bytes_in(text: &str) -> Result<u64> {
        let refused = |why: String| {
            Error::new(ErrorKind::Invalid, format!("environment variable {MEMORY_VARIABLE}: {why}"))
        };
        let bytes = text.parse::<ByteSize>().map_err(|error| refused(error.to_string()))?.0;
        if bytes < MEMORY_BYTES_MIN {
            return Err(refused(format!("found {text:?}; allowed: at least {MEMORY_BYTES_MIN} bytes")));
        }
        Ok(bytes)
    }

    pub(crate) fn bytes_max(&self) -> u64 {
        self.bytes_max.load(Ordering::Relaxed)
    }

    /// Changes the budget. What is held beyond it is given back by those who can.
    pub(crate) fn set_bytes_max(&self, bytes: u64) {
        self.bytes_max.store(bytes.max(MEMORY_BYTES_MIN), Ordering::Relaxed);
        self.wake();
    }

    /// Bytes that are held for a use.
    pub(crate) fn held(&self, user: MemoryUse) -> u64 {
        self.held[user as usize].load(Ordering::Relaxed)
    }

    /// Bytes that are held for all uses.
    pub(crate) fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }

    /// Bytes that could be reserved now.
    pub(crate) fn left(&self) -> u64 {
        self.bytes_max().saturating_sub(self.total())
    }

    /// Reserves memory if the budget has it.
    pub(crate) fn reserve(self: &Arc<Self>, user: MemoryUse, bytes: u64) -> Option<Reservation> {
        let mut reservation = self.hold(user, 0);
        reservation.try_resize(bytes).then_some(reservation)
    }

    /// Holds memory whether the budget has it or not: for what can't be done without.
    pub(crate) fn hold(self: &Arc<Self>, user: MemoryUse, bytes: u64) -> Reservation {
        let mut reservation = Reservation { budget: Arc::clone(self), user, bytes: 0 };
        reservation.resize(bytes);
        reservation
    }

    /// Waits until somebody gives memory back, or for a moment.
    pub(crate) fn wait(&self, at_most: Duration) {
        let mut guard = self.waiting.lock();
        self.freed.wait_for(&mut guard, at_most);
    }

    /// Which reservations are refused.
    #[cfg(all(test, feature = "testing"))]
    pub(crate) fn refusals(&self) -> &Refusals {
        &self.refusals
    }

    fn wake(&self) {
        drop(self.waiting.lock());
        self.freed.notify_all();
    }
}

impl Reservation {
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Makes the reservation smaller, or larger if the budget has the memory.
    pub(crate) fn try_resize(&mut self, bytes: u64) -> bool {
        if let Some(more) = bytes.checked_sub(self.bytes).filter(|more| *more > 0) {
            let fits =
                |total: u64| Some(total.saturating_add(more)).filter(|all| *all <= self.budget.bytes_max());
            if self.budget.refusals.is_refused()
                || self.budget.total.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_err()
            {
                return false;
            }
            self.budget.held[self.user as usize].fetch_add(more, Ordering::Relaxed);
            self.bytes = bytes;
        } else {
            self.resize(bytes);
        }
        true
    }

    /// Changes the reservation to what is really held, whether the budget has it or not.
    pub(crate) fn resize(&mut self, bytes: u64) {
        let (held, total) = (&self.budget.held[self.user as usize], &self.budget.total);
        if bytes >= self.bytes {
            held.fetch_add(bytes - self.bytes, Ordering::Relaxed);
            total.fetch_add(bytes - self.bytes, Ordering::Relaxed);
        } else {
            held.fetch_sub(self.bytes - bytes, Ordering::Relaxed);
            total.fetch_sub(self.bytes - bytes, Ordering::Relaxed);
            self.budget.wake();
        }
        self.bytes = bytes;
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.resize(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Budget, MEMORY_BYTES_MIN, MemoryUse};

    #[test]
    fn what_is_reserved_is_counted_and_given_back() {
        let budget = Budget::new(MEMORY_BYTES_MIN);
        let mut index = budget.reserve(MemoryUse::Index, 10 << 20).expect("there is room");
        assert!(budget.reserve(MemoryUse::Cache, 7 << 20).is_none());
        let cache = budget.reserve(MemoryUse::Cache, 6 << 20).expect("there is room");
        assert_eq!((budget.left(), budget.held(MemoryUse::Cache)), (0, 6 << 20));
        assert!(!index.try_resize(11 << 20) && index.bytes() == 10 << 20);
        drop(cache);
        assert!(index.try_resize(11 << 20));
        budget.set_bytes_max(64 << 20);
        assert!(index.try_resize(60 << 20) && index.try_resize(1 << 20));
        drop(index);
        assert_eq!(budget.total(), 0);
    }

    #[test]
    fn the_environment_takes_what_the_command_line_takes() {
        assert_eq!(Budget::bytes_in("256MiB").expect("a size"), 256 << 20);
        assert_eq!(Budget::bytes_in("268435456").expect("a size"), 256 << 20);
        for wrong in ["", "much", "1KiB", "0"] {
            let error = Budget::bytes_in(wrong).expect_err(wrong).to_string();
            assert!(error.starts_with("environment variable STATLAS_MEMORY_BYTES_MAX: found "), "{error}");
        }
    }

    #[test]
    fn what_can_not_be_done_without_is_counted_beyond_the_budget() {
        let budget = Budget::new(MEMORY_BYTES_MIN);
        let held = budget.hold(MemoryUse::Records, 20 << 20);
        assert!(budget.left() == 0 && budget.reserve(MemoryUse::Cache, 1).is_none());
        drop(held);
        assert_eq!(budget.left(), MEMORY_BYTES_MIN);
    }
}
