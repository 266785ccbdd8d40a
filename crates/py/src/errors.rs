//! Errors of the crates beneath as exceptions of the package.
//!
//! The classes stand in `python/statlas/_errors.py`, one for each kind; here is which error is of which kind.

use std::error::Error as _;

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyDict;
use statlas_core::EntityError;
use statlas_store::{Error, ErrorKind};
use statlas_tokens::{BatchError, TokenFileError};

/// Turns an error into the exception of its kind.
pub(crate) trait OrRaise<T> {
    fn or_raise(self) -> PyResult<T>;
}

impl<T> OrRaise<T> for Result<T, Error> {
    fn or_raise(self) -> PyResult<T> {
        self.map_err(|error| raised(&error))
    }
}

impl<T> OrRaise<T> for Result<T, EntityError> {
    fn or_raise(self) -> PyResult<T> {
        self.map_err(|error| raised(&error.into()))
    }
}

impl<T> OrRaise<T> for Result<T, BatchError> {
    fn or_raise(self) -> PyResult<T> {
        self.map_err(|error| invalid(error.to_string()))
    }
}

impl<T> OrRaise<T> for Result<T, TokenFileError> {
    fn or_raise(self) -> PyResult<T> {
        self.map_err(|error| {
            let (message, kind) = (error.to_string(), kind_of_file_error(&error));
            match error {
                TokenFileError::Io { path, what, source } => {
                    raised(&Error::io(format!("{}: {what} failed", path.display()), source))
                }
                _ => raised(&Error::new(kind, message)),
            }
        })
    }
}

fn kind_of_file_error(error: &TokenFileError) -> ErrorKind {
    match error {
        TokenFileError::Io { .. } | TokenFileError::Interrupted { .. } => ErrorKind::Io,
        TokenFileError::Corrupt { .. } => ErrorKind::Corrupt,
        TokenFileError::Busy { .. } | TokenFileError::Forked { .. } => ErrorKind::Busy,
        TokenFileError::Poisoned { .. } => ErrorKind::Poisoned,
        TokenFileError::TooMany { .. } | TokenFileError::Invalid { .. } => ErrorKind::Invalid,
    }
}

/// The exception for input that breaks a rule.
pub(crate) fn invalid(message: impl Into<String>) -> PyErr {
    raised(&Error::new(ErrorKind::Invalid, message))
}

/// The exception for the use of what was closed.
pub(crate) fn closed(what: &str) -> PyErr {
    raised(&Error::new(ErrorKind::Closed, format!("the {what} is closed")))
}

/// The exception for an error of the store.
pub(crate) fn raised(error: &Error) -> PyErr {
    Python::attach(|py| exception(py, error).unwrap_or_else(|failure| failure))
}

fn exception(py: Python<'_>, error: &Error) -> PyResult<PyErr> {
    static BY_KIND: PyOnceLock<Py<PyDict>> = PyOnceLock::new();
    let by_kind = BY_KIND.get_or_try_init(py, || -> PyResult<_> {
        Ok(py.import("statlas._errors")?.getattr("BY_KIND")?.cast_into::<PyDict>()?.unbind())
    })?;
    let class = by_kind.bind(py).as_any().get_item(error.kind().as_str())?;
    let (mut message, mut code, mut source) = (error.to_string(), None, error.source());
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !message.contains(&cause_text) {
            message = format!("{message}: {cause_text}");
        }
        code = code.or_else(|| cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::raw_os_error));
        source = cause.source();
    }
    // An error of the operating system has its number, as everywhere in Python.
    let raised = match code {
        Some(code) if matches!(error.kind(), ErrorKind::Io | ErrorKind::NoSpace) => {
            class.call1((code, message))?
        }
        _ => class.call1((message,))?,
    };
    if error.is_retryable() {
        raised.setattr("is_retryable", true)?;
    }
    if let Some(operation) = error.operation() {
        raised.setattr("operation", operation)?;
    }
    Ok(PyErr::from_value(raised))
}
