//! Watching a store.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use pyo3::prelude::*;
use statlas_store::{Change, ChangeKind, Store, Watch};

use crate::errors::{OrRaise, invalid};
use crate::interrupt::POLL;
use crate::store::revision;

/// One change of a revision.
#[pyclass(name = "Change", module = "statlas", frozen)]
pub(crate) struct PyChange(Change);

#[pymethods]
impl PyChange {
    /// The revision of its batch.
    #[getter]
    fn revision(&self) -> u64 {
        self.0.revision
    }

    /// Which operation of its batch it was, from 0.
    #[getter]
    fn ordinal(&self) -> u32 {
        self.0.ordinal
    }

    /// What it did: `entity_put`, `entity_removed`, `blob_put`, `blob_removed`, `record_put` or `record_removed`.
    #[getter]
    fn kind(&self) -> &'static str {
        self.0.kind.as_str()
    }

    /// The address of the entity that it is about, else `None`.
    #[getter]
    fn address(&self) -> Option<String> {
        match &self.0.kind {
            ChangeKind::EntityPut(address) | ChangeKind::EntityRemoved(address) => Some(address.to_string()),
            _ => None,
        }
    }

    /// The SHA-256 of the blob that it is about, else `None`.
    #[getter]
    fn blob(&self) -> Option<String> {
        match &self.0.kind {
            ChangeKind::BlobPut(id) | ChangeKind::BlobRemoved(id) => Some(id.to_string()),
            _ => None,
        }
    }

    /// The collection of the record that it is about, else `None`.
    #[getter]
    fn collection(&self) -> Option<&str> {
        match &self.0.kind {
            ChangeKind::RecordPut(key) | ChangeKind::RecordRemoved(key) => Some(key.collection()),
            _ => None,
        }
    }

    /// The key of the record that it is about, else `None`.
    #[getter]
    fn key(&self) -> Option<&str> {
        match &self.0.kind {
            ChangeKind::RecordPut(key) | ChangeKind::RecordRemoved(key) => Some(key.key()),
            _ => None,
        }
    }

    fn __repr__(&self) -> String {
        let what = match &self.0.kind {
            ChangeKind::RecordPut(key) | ChangeKind::RecordRemoved(key) => {
                format!("collection={:?}, key={:?}", key.collection(), key.key())
            }
            ChangeKind::EntityPut(address) | ChangeKind::EntityRemoved(address) => {
                format!("address='{address}'")
            }
            ChangeKind::BlobPut(id) | ChangeKind::BlobRemoved(id) => format!("blob='{id}'"),
        };
        format!("Change(revision={}, kind='{}', {what})", self.0.revision, self.kind())
    }
}

/// The changes of a store as they come, made by `Store.watch`.
#[pyclass(name = "Watch", module = "statlas", frozen)]
pub(crate) struct PyWatch {
    /// How long to wait for a change.
    timeout: Option<Duration>,
    state: Mutex<Pending>,
}

struct Pending {
    watch: Watch,
    changes: VecDeque<Change>,
    /// The last revision all of whose changes were given out.
    revision: u64,
}

impl PyWatch {
    pub(crate) fn new(store: &Store, after: Option<u64>, timeout: Option<f64>) -> PyResult<Self> {
        let seconds = |timeout: f64| {
            Duration::try_from_secs_f64(timeout).map_err(|_| {
                invalid(format!("timeout: found {timeout}; allowed: seconds from 0, or None for ever"))
            })
        };
        let timeout = timeout.map(seconds).transpose()?;
        let revision = after.map_or_else(|| revision(store), Ok).or_raise()?;
        // What can't be watched is told at once.
        store.engine().changes(revision, 1).or_raise()?;
        let state = Pending { watch: store.watch(revision), changes: VecDeque::new(), revision };
        Ok(Self { timeout, state: Mutex::new(state) })
    }
}

impl Pending {
    /// The next change, if one comes within `at_most`.
    fn next(&mut self, at_most: Duration) -> statlas_store::Result<Option<Change>> {
        if self.changes.is_empty()
            && let Some(page) = self.watch.next_within(at_most)?
        {
            self.changes = page.changes.into();
        }
        let next = self.changes.pop_front();
        match (&next, self.changes.front()) {
            // More of the same revision are to come.
            (Some(own), Some(after)) => {
                self.revision = self.revision.max(own.revision.min(after.revision - 1))
            }
            _ => self.revision = self.watch.revision(),
        }
        Ok(next)
    }
}

#[pymethods]
impl PyWatch {
    fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<PyChange>> {
        let begun = Instant::now();
        loop {
            let left = self.timeout.map(|timeout| timeout.saturating_sub(begun.elapsed()));
            let at_most = left.map_or(POLL, |left| left.min(POLL));
            let next = py.detach(|| self.state.lock().unwrap_or_else(PoisonError::into_inner).next(at_most));
            if let Some(change) = next.or_raise()? {
                return Ok(Some(PyChange(change)));
            }
            if left == Some(Duration::ZERO) {
                return Ok(None);
            }
            py.check_signals()?;
        }
    }

    /// The last revision all of whose changes were given out: the one to watch after later.
    #[getter]
    fn revision(&self, py: Python<'_>) -> u64 {
        py.detach(|| self.state.lock().unwrap_or_else(PoisonError::into_inner).revision)
    }
}
