//! Batches: changes that are stored together or not at all.

use std::sync::{Mutex, PoisonError};

use pyo3::prelude::*;
use pyo3::types::PyBool;
use statlas_store::{Batch, Durability, Expected, RecordKey, Store};

use crate::bytes::bytes_like;
use crate::entity::{address_of, entity_of};
use crate::errors::{OrRaise, closed, invalid};

/// Changes that are stored together or not at all; made by `Store.batch`.
#[pyclass(name = "Batch", module = "statlas", frozen)]
pub(crate) struct PyBatch {
    store: Store,
    durability: Durability,
    /// `None` once it is committed or given up.
    batch: Mutex<Option<Batch>>,
}

/// What a record must be like: any, absent, or at a revision.
pub(crate) fn expected_of(expected: &Bound<'_, PyAny>, may_be_absent: bool) -> PyResult<Expected> {
    if expected.cast::<PyBool>().is_err()
        && let Ok(revision) = expected.extract::<u64>()
    {
        return Ok(Expected::Revision(revision));
    }
    match expected.extract::<&str>() {
        Ok("any") => Ok(Expected::Any),
        Ok("absent") if may_be_absent => Ok(Expected::Absent),
        _ => {
            let absent = if may_be_absent { "\"absent\" or " } else { "or " };
            Err(invalid(format!(
                "expected: found {}; allowed: \"any\", {absent}a revision",
                expected.repr()?
            )))
        }
    }
}

impl PyBatch {
    pub(crate) fn new(store: Store, durability: Durability) -> Self {
        Self { store, durability, batch: Mutex::new(Some(Batch::new())) }
    }

    fn with<T>(&self, change: impl FnOnce(&mut Batch) -> T) -> PyResult<T> {
        let mut batch = self.batch.lock().unwrap_or_else(PoisonError::into_inner);
        batch.as_mut().map(change).ok_or_else(|| closed("batch"))
    }
}

#[pymethods]
impl PyBatch {
    fn __enter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __exit__(
        &self,
        py: Python<'_>,
        exc_type: &Bound<'_, PyAny>,
        exc: &Bound<'_, PyAny>,
        traceback: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let _ = (exc, traceback);
        let is_over = self.with(|_| ()).is_err();
        if is_over {
            return Ok(());
        }
        if exc_type.is_none() {
            return self.commit(py).map(|_| ());
        }
        self.batch.lock().unwrap_or_else(PoisonError::into_inner).take();
        Ok(())
    }

    fn __len__(&self) -> PyResult<usize> {
        self.with(|batch| batch.len())
    }

    /// Adds an entity, or what a mapping describes, and returns its address.
    fn put(&self, entity: &Bound<'_, PyAny>) -> PyResult<String> {
        let entity = entity_of(entity)?;
        Ok(self.with(|batch| batch.put_entity(entity))?.to_string())
    }

    /// Adds the removal of the entity at an address.
    fn remove(&self, address: &Bound<'_, PyAny>) -> PyResult<()> {
        let address = address_of(address)?;
        self.with(|batch| batch.remove_entity(address))
    }

    /// Adds a record; the batch is refused with `ConflictError` if the stored one is not as `expected`: `"any"`,
    /// `"absent"`, or the revision that last changed it.
    #[pyo3(signature = (collection, key, value, *, expected=None), text_signature = "($self, collection, key, value, *, expected='any')")]
    fn put_record(
        &self,
        collection: &str,
        key: &str,
        value: &Bound<'_, PyAny>,
        expected: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let key = RecordKey::new(collection, key).or_raise()?;
        let expected = expected.map_or(Ok(Expected::Any), |expected| expected_of(expected, true))?;
        let value = bytes_like("value", value)?.as_bytes().to_vec();
        self.with(|batch| batch.put_record(key, value, expected))
    }

    /// Adds the removal of a record; see `put_record`.
    #[pyo3(signature = (collection, key, *, expected=None), text_signature = "($self, collection, key, *, expected='any')")]
    fn remove_record(
        &self,
        collection: &str,
        key: &str,
        expected: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let key = RecordKey::new(collection, key).or_raise()?;
        let expected = expected.map_or(Ok(Expected::Any), |expected| expected_of(expected, false))?;
        self.with(|batch| batch.remove_record(key, expected))
    }

    /// Stores all of it and returns the revision. It can't be used any more then, whatever comes of it.
    fn commit(&self, py: Python<'_>) -> PyResult<u64> {
        let batch = self.batch.lock().unwrap_or_else(PoisonError::into_inner).take();
        let batch = batch.ok_or_else(|| closed("batch"))?;
        let commit = py.detach(|| self.store.commit(batch, self.durability)).or_raise()?;
        Ok(commit.revision)
    }
}
