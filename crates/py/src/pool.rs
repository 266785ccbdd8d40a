//! The threads that work on many tokens at once.
//!
//! A process that was forked has the memory of its parent and none of its threads, so that it would wait for ever for work
//! of threads that are not there. Each process has threads of its own here.

use std::sync::{Mutex, PoisonError};

use pyo3::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};
use statlas_store::Error;

use crate::errors::raised;

static POOL: Mutex<Option<(u32, &'static ThreadPool)>> = Mutex::new(None);

/// The threads of this process, as many as it has processors.
pub(crate) fn pool() -> PyResult<&'static ThreadPool> {
    let mut pool = POOL.lock().unwrap_or_else(PoisonError::into_inner);
    let own = std::process::id();
    if let Some((process, pool)) = *pool
        && process == own
    {
        return Ok(pool);
    }
    let name = |number| format!("statlas-{number}");
    let made = ThreadPoolBuilder::new().thread_name(name).build();
    let made =
        made.map_err(|error| raised(&Error::io("cannot start threads", std::io::Error::other(error))))?;
    // One for the life of the process.
    let made: &'static ThreadPool = Box::leak(Box::new(made));
    *pool = Some((own, made));
    Ok(made)
}
