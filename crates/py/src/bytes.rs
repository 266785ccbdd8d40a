//! Bytes, and whatever has a buffer of them.

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

/// The bytes of an object; a copy of them unless it is `bytes`.
pub(crate) fn bytes_like<'py>(what: &str, object: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
    if let Ok(bytes) = object.cast::<PyBytes>() {
        return Ok(bytes.clone());
    }
    let view = object.py().import("builtins")?.getattr("memoryview")?.call1((object,));
    let Ok(view) = view else {
        let type_name = object.get_type().fully_qualified_name()?;
        return Err(PyTypeError::new_err(format!(
            "{what}: found an object of type {type_name}; allowed: bytes, or a buffer of them"
        )));
    };
    Ok(view.call_method0("tobytes")?.cast_into()?)
}
