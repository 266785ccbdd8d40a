//! Answers to queries, which are asked for page by page.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use arrow_array::{RecordBatch, RecordBatchReader};
use arrow_schema::{ArrowError, SchemaRef};
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyDict, PyList, PyString};
use statlas_store::{Cursor, Query, Store, StoredEntity};

use crate::arrow::capsule;
use crate::columns::{ColumnId, record_batch, schema, to_numpy};
use crate::entity::PyEntity;
use crate::errors::{OrRaise, invalid};

/// Rows that are asked for at once.
const PAGE_ROWS: usize = 4096;

/// The entities that meet a query, made by `Store.find`. Nothing is read before it is asked for, and every iteration asks
/// anew.
///
/// An order by a dimension that only one profile has leaves out the entities of the other.
///
/// Iterating yields `Entity`; `arrays()` makes a dictionary of NumPy arrays, and pandas, Polars and Arrow take it as a
/// table by `__arrow_c_stream__`.
#[pyclass(name = "Found", module = "statlas", frozen)]
pub(crate) struct PyFound {
    store: Store,
    query: Query,
    limit: Option<usize>,
}

/// Where an answer is.
struct Pages {
    store: Store,
    query: Query,
    /// Rows that may still come.
    left: usize,
    is_over: bool,
}

impl Pages {
    /// The next rows, none at the end.
    fn next(&mut self) -> statlas_store::Result<Vec<StoredEntity>> {
        if self.is_over || self.left == 0 {
            return Ok(Vec::new());
        }
        self.query.limit = self.left.min(PAGE_ROWS);
        let page = self.store.engine().find(&self.query)?;
        self.left -= page.entities.len();
        self.is_over = page.next.is_none();
        self.query.after = page.next.or(None::<Cursor>);
        Ok(page.entities)
    }
}

impl PyFound {
    pub(crate) fn new(store: Store, query: Query, limit: Option<usize>) -> Self {
        Self { store, query, limit }
    }

    fn pages(&self) -> Pages {
        let left = self.limit.unwrap_or(usize::MAX);
        Pages { store: self.store.clone(), query: self.query.clone(), left, is_over: false }
    }
}

#[pymethods]
impl PyFound {
    fn __iter__(&self) -> FoundIterator {
        FoundIterator { state: Mutex::new((self.pages(), VecDeque::new())) }
    }

    /// How many entities meet the query, without reading them.
    fn count(&self, py: Python<'_>) -> PyResult<u64> {
        let mut filter = self.query.filter.clone();
        // An order by what only one profile has leaves out the entities of the other.
        if let Some(profile) = self.query.order_by.profile() {
            if !filter.profile.is_empty() && !filter.profile.contains(&profile) {
                return Ok(0);
            }
            filter.profile = vec![profile];
        }
        let count = py.detach(|| self.store.engine().count(&filter)).or_raise()?;
        Ok(self.limit.map_or(count, |limit| count.min(limit as u64)))
    }

    /// The rows as a dictionary of NumPy arrays, one for each column.
    ///
    /// Text is in arrays of objects, times are `datetime64[ms]` in UTC, `state` is JSON text. Where a profile has no such
    /// dimension, floats are NaN, text is None, and `dimensionality` is -1. `columns` chooses them; `adjacency` (lists of
    /// ids), `blob` and `token` are there only if they are asked for.
    ///
    /// >>> import statlas
    /// >>> with statlas.Store.open("memory:") as store:
    /// ...     stored = store.put_many({
    /// ...         "profile": "stat7", "id": f"bc-{number}", "entity_type": "concept", "realm": "data",
    /// ...         "coordinates": {"realm": "data", "lineage": number, "adjacency": [], "horizon": "genesis",
    /// ...                         "resonance": number / 10, "velocity": 0.25, "density": 0.75},
    /// ...         "created_at": "2025-01-01T00:00:00Z", "state": {}} for number in range(5))
    /// ...     arrays = store.find(lineage=(1, 3), order_by="resonance", descending=True).arrays(["id", "resonance"])
    /// >>> arrays["id"].tolist(), arrays["resonance"].tolist()
    /// (['bc-3', 'bc-2', 'bc-1'], [0.3, 0.2, 0.1])
    #[pyo3(signature = (columns=None))]
    fn arrays<'py>(
        &self,
        py: Python<'py>,
        columns: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let columns: Vec<ColumnId> = match columns {
            None => ColumnId::ALL[..ColumnId::PLAIN].iter().map(|(column, _)| *column).collect(),
            Some(name) if name.cast::<PyString>().is_ok() => vec![ColumnId::from_name(name.extract()?)?],
            Some(names) => names
                .try_iter()?
                .map(|name| ColumnId::from_name(name?.extract::<&str>()?))
                .collect::<PyResult<_>>()?,
        };
        if columns.is_empty() {
            return Err(invalid(
                "columns: found none; allowed: at least one, or None for those with one value a row",
            ));
        }
        let (schema, mut pages) = (schema(&columns), self.pages());
        let parts: Vec<Bound<'py, PyList>> = columns.iter().map(|_| PyList::empty(py)).collect();
        loop {
            let entities = py.detach(|| pages.next()).or_raise()?;
            let is_over = entities.is_empty();
            if is_over && parts.first().is_none_or(|parts| !parts.is_empty()) {
                break;
            }
            let batch = py.detach(|| record_batch(&schema, &columns, &entities));
            let batch = batch.map_err(|error| invalid(error.to_string()))?;
            for ((column, array), parts) in columns.iter().zip(batch.columns()).zip(&parts) {
                parts.append(to_numpy(py, *column, array)?)?;
            }
            py.check_signals()?;
        }
        let concatenate = py.import("numpy")?.getattr("concatenate")?;
        let all = PyDict::new(py);
        for (column, parts) in columns.iter().zip(parts) {
            let array = if parts.len() == 1 { parts.get_item(0)? } else { concatenate.call1((parts,))? };
            all.set_item(column.name(), array)?;
        }
        Ok(all)
    }

    /// The rows as a table, by the protocol that pandas, Polars and Arrow have in common: the columns of `arrays`, and
    /// `adjacency`, `blob` and `token`, with nulls where there is no value.
    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        // A wish that need not be met.
        let _ = requested_schema;
        let columns = ColumnId::ALL.map(|(column, _)| column).to_vec();
        capsule(py, FoundReader { pages: self.pages(), schema: schema(&columns), columns })
    }

    fn __repr__(&self) -> String {
        let limit = self.limit.map_or_else(String::new, |limit| format!(", at most {limit}"));
        format!("<Found, ordered by {}{limit}>", self.query.order_by.as_str())
    }
}

/// An iterator over found entities.
#[pyclass(module = "statlas._statlas", frozen)]
pub(crate) struct FoundIterator {
    state: Mutex<(Pages, VecDeque<StoredEntity>)>,
}

#[pymethods]
impl FoundIterator {
    fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<PyEntity>> {
        let next: statlas_store::Result<_> = py.detach(|| {
            let (pages, rows) = &mut *self.state.lock().unwrap_or_else(PoisonError::into_inner);
            if rows.is_empty() {
                *rows = pages.next()?.into();
            }
            Ok(rows.pop_front())
        });
        Ok(next.or_raise()?.map(PyEntity::from))
    }
}

/// A reader of found entities.
struct FoundReader {
    pages: Pages,
    columns: Vec<ColumnId>,
    schema: SchemaRef,
}

impl RecordBatchReader for FoundReader {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
}

impl Iterator for FoundReader {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.pages.next() {
            Ok(entities) if entities.is_empty() => None,
            Ok(entities) => Some(record_batch(&self.schema, &self.columns, &entities)),
            Err(error) => Some(Err(ArrowError::from_external_error(Box::new(error)))),
        }
    }
}
