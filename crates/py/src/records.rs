//! Records: mutable values by name.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use pyo3::exceptions::PyKeyError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use statlas_store::{Batch, Durability, Expected, Record, RecordKey, Store};

use crate::batch::expected_of;
use crate::bytes::bytes_like;
use crate::errors::OrRaise;

/// Records that an iterator asks for at once.
const PAGE_RECORDS: usize = 1000;

/// A record as it was read.
#[pyclass(name = "Record", module = "statlas", frozen)]
pub(crate) struct PyRecord(Record);

#[pymethods]
impl PyRecord {
    /// Its key in the collection.
    #[getter]
    fn key(&self) -> &str {
        self.0.key.key()
    }

    /// Its value.
    #[getter]
    fn value<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.value)
    }

    /// The revision that last changed it, for compare-and-swap.
    #[getter]
    fn revision(&self) -> u64 {
        self.0.revision
    }

    fn __repr__(&self) -> String {
        format!("Record(key={:?}, revision={}, {} bytes)", self.key(), self.0.revision, self.0.value.len())
    }
}

/// The records of a collection, made by `Store.records`.
///
/// >>> import statlas
/// >>> with statlas.Store.open("memory:") as store:
/// ...     nodes = store.records("nodes")
/// ...     first = nodes.put("a", b"starting", expected="absent")
/// ...     second = nodes.put("a", b"healthy", expected=first)
/// ...     nodes.put("a", b"lost", expected=first)
/// Traceback (most recent call last):
///     ...
/// statlas.ConflictError: record "a" in collection "nodes": found it at revision 2; expected it at revision 1
#[pyclass(name = "Records", module = "statlas", frozen)]
pub(crate) struct PyRecords {
    store: Store,
    collection: String,
    durability: Durability,
}

impl PyRecords {
    pub(crate) fn new(store: Store, collection: &str, durability: Durability) -> PyResult<Self> {
        // The name is checked at once, with a key that is always legal.
        RecordKey::new(collection, "key").or_raise()?;
        Ok(Self { store, collection: collection.to_owned(), durability })
    }

    fn key(&self, key: &str) -> PyResult<RecordKey> {
        RecordKey::new(&self.collection, key).or_raise()
    }

    fn read(&self, py: Python<'_>, key: &str) -> PyResult<Option<Record>> {
        let key = self.key(key)?;
        py.detach(|| self.store.engine().record(&key)).or_raise()
    }

    fn commit(&self, py: Python<'_>, batch: Batch) -> PyResult<u64> {
        Ok(py.detach(|| self.store.commit(batch, self.durability)).or_raise()?.revision)
    }
}

#[pymethods]
impl PyRecords {
    /// The name of the collection.
    #[getter]
    fn collection(&self) -> &str {
        &self.collection
    }

    /// The record with a key, or `None`.
    fn get(&self, py: Python<'_>, key: &str) -> PyResult<Option<PyRecord>> {
        Ok(self.read(py, key)?.map(PyRecord))
    }

    /// Sets a value and returns its revision. Raises `ConflictError` if the stored record is not as `expected`: `"any"`,
    /// `"absent"`, or the revision that last changed it.
    #[pyo3(signature = (key, value, *, expected=None), text_signature = "($self, key, value, *, expected='any')")]
    fn put(
        &self,
        py: Python<'_>,
        key: &str,
        value: &Bound<'_, PyAny>,
        expected: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<u64> {
        let expected = expected.map_or(Ok(Expected::Any), |expected| expected_of(expected, true))?;
        let mut batch = Batch::new();
        batch.put_record(self.key(key)?, bytes_like("value", value)?.as_bytes().to_vec(), expected);
        self.commit(py, batch)
    }

    /// Removes a record and returns the revision; see `put`.
    #[pyo3(signature = (key, *, expected=None), text_signature = "($self, key, *, expected='any')")]
    fn remove(&self, py: Python<'_>, key: &str, expected: Option<&Bound<'_, PyAny>>) -> PyResult<u64> {
        let expected = expected.map_or(Ok(Expected::Any), |expected| expected_of(expected, false))?;
        let mut batch = Batch::new();
        batch.remove_record(self.key(key)?, expected);
        self.commit(py, batch)
    }

    /// The records in the order of their keys, those after `after`, at most `limit`; all of them unless said.
    #[pyo3(signature = (*, after=None, limit=None))]
    fn list(&self, py: Python<'_>, after: Option<String>, limit: Option<usize>) -> PyResult<Vec<PyRecord>> {
        let (mut found, mut after) = (Vec::new(), after);
        loop {
            let wanted = limit.map_or(PAGE_RECORDS, |limit| PAGE_RECORDS.min(limit - found.len()));
            let page = py.detach(|| self.store.engine().records(&self.collection, after.as_deref(), wanted));
            let page = page.or_raise()?;
            let is_last = page.len() < wanted || wanted == 0;
            after = page.last().map(|record| record.key.key().to_owned());
            found.extend(page.into_iter().map(PyRecord));
            if is_last || limit == Some(found.len()) {
                return Ok(found);
            }
            py.check_signals()?;
        }
    }

    fn __iter__(&self) -> RecordIterator {
        let state = Mutex::new(Paging { page: VecDeque::new(), after: None, is_over: false });
        RecordIterator { store: self.store.clone(), collection: self.collection.clone(), state }
    }

    fn __contains__(&self, py: Python<'_>, key: &str) -> PyResult<bool> {
        Ok(self.read(py, key)?.is_some())
    }

    fn __getitem__<'py>(&self, py: Python<'py>, key: &str) -> PyResult<Bound<'py, PyBytes>> {
        let record = self.read(py, key)?.ok_or_else(|| PyKeyError::new_err(key.to_owned()))?;
        Ok(PyBytes::new(py, &record.value))
    }

    fn __repr__(&self) -> String {
        format!("<Records of {:?}>", self.collection)
    }
}

/// Where an iterator over records is.
struct Paging {
    page: VecDeque<Record>,
    after: Option<String>,
    is_over: bool,
}

/// An iterator over the records of a collection, page by page.
#[pyclass(module = "statlas._statlas", frozen)]
pub(crate) struct RecordIterator {
    store: Store,
    collection: String,
    state: Mutex<Paging>,
}

#[pymethods]
impl RecordIterator {
    fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<PyRecord>> {
        let next: statlas_store::Result<_> = py.detach(|| {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            if state.page.is_empty() && !state.is_over {
                let page =
                    self.store.engine().records(&self.collection, state.after.as_deref(), PAGE_RECORDS)?;
                state.is_over = page.len() < PAGE_RECORDS;
                state.after = page.last().map(|record| record.key.key().to_owned());
                state.page = page.into();
            }
            Ok(state.page.pop_front())
        });
        Ok(next.or_raise()?.map(PyRecord))
    }
}
