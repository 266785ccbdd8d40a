//! Python objects as JSON, and back.
//!
//! What the core parses is JSON, so that an entity made in Python keeps exactly the rules that one from a file keeps.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyMapping, PyString, PyTuple};
use statlas_core::write_repr;

use crate::errors::invalid;
use crate::token::PyToken;

/// Deeper than any state may be, and far from the end of the stack.
const DEPTH_MAX: usize = 256;

/// As much of a place is shown.
const PATH_CHARACTERS_MAX: usize = 100;

/// Why an object is no JSON.
enum Failure {
    /// It breaks a rule: where, from the inside out, and which.
    Refused { path: String, message: String },
    /// Something that was called raised.
    Raised(PyErr),
}

impl<E: Into<PyErr>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Raised(error.into())
    }
}

fn refused(message: impl Into<String>) -> Failure {
    Failure::Refused { path: String::new(), message: message.into() }
}

type Written = Result<(), Failure>;

/// Appends `value` as JSON. An exception names the place of what breaks a rule, like `state.values[3]`.
pub(crate) fn write(value: &Bound<'_, PyAny>, out: &mut Vec<u8>) -> PyResult<()> {
    write_at(value, out, 0).map_err(|failure| match failure {
        Failure::Raised(error) => error,
        Failure::Refused { path, message } if path.is_empty() => invalid(message),
        Failure::Refused { path, message } => {
            let path = path.strip_prefix('.').unwrap_or(&path);
            // That of something which is too deep tells nothing more than its beginning does.
            let end = path.char_indices().map(|(at, _)| at).nth(PATH_CHARACTERS_MAX);
            let shown = end.map_or_else(|| path.to_owned(), |end| format!("{}...", &path[..end]));
            invalid(format!("field {shown}: {message}"))
        }
    })
}

/// Puts a step in front of the place of what is refused.
fn within(failure: Failure, step: &str) -> Failure {
    match failure {
        Failure::Refused { path, message } => Failure::Refused { path: format!("{step}{path}"), message },
        raised => raised,
    }
}

fn write_at(value: &Bound<'_, PyAny>, out: &mut Vec<u8>, depth: usize) -> Written {
    if depth > DEPTH_MAX {
        return Err(refused(format!(
            "found an object deeper than {DEPTH_MAX}; allowed: at most 128 levels of a state"
        )));
    }
    if let Ok(text) = value.cast::<PyString>() {
        write_string(text, out)
    } else if value.is_none() {
        out.extend_from_slice(b"null");
        Ok(())
    } else if let Ok(value) = value.cast::<PyBool>() {
        out.extend_from_slice(if value.is_true() { b"true" } else { b"false" });
        Ok(())
    } else if let Ok(number) = value.cast::<PyInt>() {
        write_integer(number, out)
    } else if let Ok(number) = value.cast::<PyFloat>() {
        write_float(number.value(), out)
    } else if let Ok(object) = value.cast::<PyDict>() {
        // Its own copy: what is called for values may change the one that was given.
        write_object(object.copy()?.iter().map(Ok), out, depth)
    } else if let Ok(list) = value.cast::<PyList>() {
        write_array(list.iter().map(Ok), out, depth)
    } else if let Ok(tuple) = value.cast::<PyTuple>() {
        write_array(tuple.iter().map(Ok), out, depth)
    } else if let Ok(token) = value.cast::<PyToken>() {
        let token = token.get().0;
        // One that was written to as an array may be anything.
        token.check().map_err(|error| refused(error.to_string()))?;
        token.to_json_into(out);
        Ok(())
    } else {
        write_other(value, out, depth)
    }
}

/// Times, mappings that are no dictionaries, and numbers of NumPy.
fn write_other(value: &Bound<'_, PyAny>, out: &mut Vec<u8>, depth: usize) -> Written {
    if let Ok(mapping) = value.cast::<PyMapping>() {
        let items = mapping.items()?;
        let pairs = items.iter().map(|pair| pair.extract::<(Bound<'_, PyAny>, Bound<'_, PyAny>)>());
        return write_object(pairs, out, depth);
    }
    if is_datetime(value)? {
        return write_string(value.call_method0("isoformat")?.cast::<PyString>()?, out);
    }
    if let Ok(index) = value.call_method0("__index__") {
        return write_integer(index.cast::<PyInt>()?, out);
    }
    if value.hasattr("dtype")?
        && let Ok(number) = value.extract::<f64>()
    {
        return write_float(number, out);
    }
    let type_name = value.get_type().fully_qualified_name()?;
    Err(refused(format!(
        "found an object of type {type_name}; allowed: what JSON has (dict, list, str, int, float, bool, None), a datetime \
         or a Token"
    )))
}

fn is_datetime(value: &Bound<'_, PyAny>) -> PyResult<bool> {
    static DATETIME: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let py = value.py();
    let class =
        DATETIME.get_or_try_init(py, || py.import("datetime")?.getattr("datetime").map(Bound::unbind))?;
    value.is_instance(class.bind(py))
}

fn write_integer(number: &Bound<'_, PyInt>, out: &mut Vec<u8>) -> Written {
    use std::io::Write;
    match number.extract::<i64>() {
        Ok(number) => write!(out, "{number}")?,
        // Of any size; `int.__str__` since a subclass may print itself otherwise.
        Err(_) => {
            let text = number.py().get_type::<PyInt>().call_method1("__str__", (number,))?;
            out.extend_from_slice(text.cast::<PyString>()?.to_str()?.as_bytes());
        }
    }
    Ok(())
}

fn write_float(number: f64, out: &mut Vec<u8>) -> Written {
    if !number.is_finite() {
        return Err(refused(format!("found the number {number}; allowed: finite ones")));
    }
    write_repr(number, out);
    Ok(())
}

fn write_string(text: &Bound<'_, PyString>, out: &mut Vec<u8>) -> Written {
    let Ok(text) = text.to_str() else {
        return Err(refused("found text with half of a surrogate pair; allowed: Unicode text"));
    };
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.push(b'"');
    let mut rest = text.as_bytes();
    while let Some(at) = rest.iter().position(|byte| *byte < 0x20 || matches!(byte, b'"' | b'\\')) {
        out.extend_from_slice(&rest[..at]);
        match rest[at] {
            byte @ (b'"' | b'\\') => out.extend_from_slice(&[b'\\', byte]),
            byte => {
                let digits = [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]];
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(&digits);
            }
        }
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
    out.push(b'"');
    Ok(())
}

fn write_array<'py>(
    items: impl Iterator<Item = PyResult<Bound<'py, PyAny>>>,
    out: &mut Vec<u8>,
    depth: usize,
) -> Written {
    out.push(b'[');
    for (at, item) in items.enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write_at(&item?, out, depth + 1).map_err(|failure| within(failure, &format!("[{at}]")))?;
    }
    out.push(b']');
    Ok(())
}

fn write_object<'py>(
    pairs: impl Iterator<Item = PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>)>>,
    out: &mut Vec<u8>,
    depth: usize,
) -> Written {
    out.push(b'{');
    for (at, pair) in pairs.enumerate() {
        let (key, value) = pair?;
        if at > 0 {
            out.push(b',');
        }
        let Ok(key) = key.cast::<PyString>() else {
            let type_name = key.get_type().fully_qualified_name()?;
            return Err(refused(format!("found a key of type {type_name}; allowed: text")));
        };
        write_string(key, out)?;
        out.push(b':');
        write_at(&value, out, depth + 1).map_err(|failure| within(failure, &format!(".{key}")))?;
    }
    out.push(b'}');
    Ok(())
}

/// What `json.loads` makes of a text.
pub(crate) fn read<'py>(py: Python<'py>, text: &str) -> PyResult<Bound<'py, PyAny>> {
    static LOADS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let loads = LOADS.get_or_try_init(py, || py.import("json")?.getattr("loads").map(Bound::unbind))?;
    loads.bind(py).call1((text,))
}
