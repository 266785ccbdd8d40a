//! Ctrl-C while something takes long.
//!
//! A signal sets a flag of the interpreter, which the main thread has to look at. What works without the interpreter's lock
//! comes by here now and then; if an exception is due, or a progress function raised one, the work ends and it is raised.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use pyo3::prelude::*;

use crate::errors::{OrRaise, invalid};

/// How often the interpreter is asked.
pub(crate) const POLL: Duration = Duration::from_millis(20);

/// Whether the work is to go on.
pub(crate) struct Interrupt<'a> {
    progress: Option<&'a Py<PyAny>>,
    next_poll: Mutex<Instant>,
    is_due: AtomicBool,
    /// How much there is to do, once that is known.
    total: AtomicU64,
    error: Mutex<Option<PyErr>>,
}

impl<'a> Interrupt<'a> {
    /// `progress` is called with bytes done and bytes in all.
    pub(crate) fn new(py: Python<'_>, progress: Option<&'a Py<PyAny>>) -> PyResult<Self> {
        if let Some(other) = progress.filter(|progress| !progress.bind(py).is_callable()) {
            let type_name = other.bind(py).get_type().fully_qualified_name()?;
            return Err(invalid(format!(
                "progress: found an object of type {type_name}; allowed: what can be called"
            )));
        }
        Ok(Self {
            progress,
            next_poll: Mutex::new(Instant::now() + POLL),
            is_due: AtomicBool::new(false),
            total: AtomicU64::new(0),
            error: Mutex::new(None),
        })
    }

    /// Whether it is; asks the interpreter if that was not done for a while.
    pub(crate) fn goes_on(&self) -> bool {
        self.poll(None)
    }

    fn poll(&self, done: Option<(u64, u64)>) -> bool {
        if let Some((_, total)) = done {
            self.total.store(total, Ordering::Relaxed);
        }
        if self.is_due.load(Ordering::Acquire) {
            return false;
        }
        {
            let mut next_poll = self.next_poll.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            if now < *next_poll {
                return true;
            }
            *next_poll = now + POLL;
        }
        // No lock is held while the interpreter's is waited for.
        let asked = Python::attach(|py| {
            py.check_signals()?;
            if let (Some(progress), Some(done)) = (self.progress, done) {
                progress.call1(py, done)?;
            }
            Ok(())
        });
        let Err(error) = asked else { return true };
        *self.error.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        self.is_due.store(true, Ordering::Release);
        false
    }

    /// Tells how far the work is; does not return if it is not to go on. Only for work that reads.
    pub(crate) fn show_or_unwind(&self, done: u64, total: u64) {
        if !self.poll(Some((done, total))) {
            resume_unwind(Box::new(Ended));
        }
    }

    /// Tells how far the work is.
    pub(crate) fn show(&self, done: u64, total: u64) {
        self.poll(Some((done, total)));
    }

    /// The exception, if one is due, instead of what the work said.
    fn raise_if_due(&self) -> PyResult<()> {
        match self.error.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// What came of the work, or the exception that ended it. Tells of all that is done, however quickly it was.
    pub(crate) fn finish<T>(&self, py: Python<'_>, outcome: statlas_store::Result<T>) -> PyResult<T> {
        self.raise_if_due()?;
        let done = outcome.or_raise()?;
        let total = self.total.load(Ordering::Relaxed);
        if let Some(progress) = self.progress {
            progress.call1(py, (total, total))?;
        }
        Ok(done)
    }
}

/// The end of work that reads.
struct Ended;

/// Does work without the interpreter's lock that calls [`Interrupt::show_or_unwind`].
pub(crate) fn run<T: Send>(
    py: Python<'_>,
    interrupt: &Interrupt<'_>,
    work: impl FnOnce() -> statlas_store::Result<T> + Send,
) -> PyResult<T> {
    let done = py.detach(|| catch_unwind(AssertUnwindSafe(work)));
    match done {
        Ok(outcome) => interrupt.finish(py, outcome),
        Err(payload) if payload.is::<Ended>() => {
            interrupt.raise_if_due()?;
            unreachable!("the work ends like that for an exception only")
        }
        Err(payload) => resume_unwind(payload),
    }
}
