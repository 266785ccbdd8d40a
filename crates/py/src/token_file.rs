//! Files of tokens that grow.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use pyo3::prelude::*;
use statlas_tokens::TokenFile;

use crate::errors::{OrRaise, closed};
use crate::token_vec::{PyTokenVec, token_vec};

/// A file of tokens that is appended to durably, by one process at a time.
///
/// >>> import os, statlas, tempfile
/// >>> path = os.path.join(tempfile.mkdtemp(), "some.tokens")
/// >>> with statlas.TokenFile.open(path) as file:
/// ...     file.append(statlas.create_tokens_batch(1000))
/// ...     file.append(statlas.create_tokens_batch(500, local_ids=1000))
/// ...     len(file), file.map()[1499].local_id
/// (1500, 1499)
#[pyclass(name = "TokenFile", module = "statlas", frozen)]
pub(crate) struct PyTokenFile(Mutex<Option<TokenFile>>);

impl PyTokenFile {
    /// What `work` does with the file, without the interpreter's lock.
    fn with<T: Send>(&self, py: Python<'_>, work: impl FnOnce(&mut TokenFile) -> T + Send) -> PyResult<T> {
        let done = py.detach(|| self.0.lock().unwrap_or_else(PoisonError::into_inner).as_mut().map(work));
        done.ok_or_else(|| closed("file"))
    }
}

#[pymethods]
impl PyTokenFile {
    /// Opens a file for appending, or makes one without tokens. Raises `BusyError` if another process appends to it.
    #[staticmethod]
    fn open(py: Python<'_>, path: PathBuf) -> PyResult<Self> {
        let file = py.detach(|| TokenFile::open(&path)).or_raise()?;
        Ok(Self(Mutex::new(Some(file))))
    }

    fn __enter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __exit__(
        &self,
        py: Python<'_>,
        exc_type: &Bound<'_, PyAny>,
        exc: &Bound<'_, PyAny>,
        traceback: &Bound<'_, PyAny>,
    ) {
        let _ = (exc_type, exc, traceback);
        self.close(py);
    }

    fn __len__(&self, py: Python<'_>) -> PyResult<usize> {
        self.with(py, |file| file.len() as usize)
    }

    /// Appends tokens, all or none; they are on the device when this returns. Whoever has mapped the file goes on seeing
    /// what it had then.
    fn append(&self, py: Python<'_>, tokens: &Bound<'_, PyTokenVec>) -> PyResult<()> {
        let shared = Arc::clone(&tokens.get().shared);
        self.with(py, |file| file.append(shared.read().as_slice()))?.or_raise()
    }

    /// The tokens that it has now, mapped.
    fn map<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let mapped = self.with(py, |file| file.map())?.or_raise()?;
        token_vec(py, mapped)
    }

    /// Lets go of the file; tokens that were mapped stay.
    fn close(&self, py: Python<'_>) {
        py.detach(|| drop(self.0.lock().unwrap_or_else(PoisonError::into_inner).take()));
    }
}
