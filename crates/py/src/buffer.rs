//! The class `TokenVec` with the buffer protocol.
//!
//! PyO3 has no buffers in extensions for the stable interface of Python before 3.11, since the header declares them from
//! then on. The slot and the function that is called here have been in every interpreter since 3.9, with the same
//! numbers and arguments. So the class that Python sees is derived from the one in `token_vec`, with the slots that it
//! lacks; it hands out the buffer of the array that views the tokens, which keeps them where they are.

use std::ffi::{c_int, c_void};

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyTuple, PyType};

use crate::token_vec::PyTokenVec;
use crate::views;

/// `Py_bf_getbuffer`, `Py_bf_releasebuffer` and `Py_tp_doc` of the interpreter's `typeslots.h`.
const SLOT_GETBUFFER: c_int = 1;
const SLOT_RELEASEBUFFER: c_int = 2;
const SLOT_DOC: c_int = ffi::Py_tp_doc;

unsafe extern "C" {
    /// See the buffer protocol in the manual of Python's C API; what it fills is only passed on.
    fn PyObject_GetBuffer(exporter: *mut ffi::PyObject, view: *mut c_void, flags: c_int) -> c_int;
}

/// The class.
pub(crate) fn token_vec_type(py: Python<'_>) -> PyResult<&Bound<'_, PyType>> {
    static TYPE: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    Ok(TYPE.get_or_try_init(py, || make(py))?.bind(py))
}

fn make(py: Python<'_>) -> PyResult<Py<PyType>> {
    let base = py.get_type::<PyTokenVec>();
    let doc: std::ffi::CString = std::ffi::CString::new(base.getattr("__doc__")?.extract::<String>()?)?;
    let mut slots = [
        ffi::PyType_Slot { slot: SLOT_GETBUFFER, pfunc: get_buffer as *mut c_void },
        ffi::PyType_Slot { slot: SLOT_RELEASEBUFFER, pfunc: release_buffer as *mut c_void },
        // The interpreter copies it.
        ffi::PyType_Slot { slot: SLOT_DOC, pfunc: doc.as_ptr().cast_mut().cast() },
        ffi::PyType_Slot { slot: 0, pfunc: std::ptr::null_mut() },
    ];
    let mut spec = ffi::PyType_Spec {
        name: c"statlas.TokenVec".as_ptr(),
        // As much as the base has.
        basicsize: 0,
        itemsize: 0,
        flags: (ffi::Py_TPFLAGS_DEFAULT | ffi::Py_TPFLAGS_BASETYPE) as _,
        slots: slots.as_mut_ptr(),
    };
    let bases = PyTuple::new(py, [base])?;
    // SAFETY: the spec, its slots and the bases live until it returns; it copies what it keeps but for the name, which is
    // static. The function of the slot has the type that the slot asks for.
    let made = unsafe {
        let made = ffi::PyType_FromSpecWithBases(&raw mut spec, bases.as_ptr());
        Bound::from_owned_ptr_or_err(py, made)?
    };
    Ok(made.cast_into::<PyType>()?.unbind())
}

/// Does nothing, since the buffer is that of an array. It is there because NumPy (`frombuffer`) lets go of a buffer at once
/// if the class has no such function, and takes it that the memory stays.
unsafe extern "C" fn release_buffer(_exporter: *mut ffi::PyObject, _view: *mut c_void) {}

/// Fills `view` with the buffer of an array that views the tokens of `exporter`.
unsafe extern "C" fn get_buffer(exporter: *mut ffi::PyObject, view: *mut c_void, flags: c_int) -> c_int {
    // SAFETY: the interpreter calls this with its lock held and an instance of the class.
    let (py, exporter) = unsafe {
        let py = Python::assume_attached();
        (py, Bound::from_borrowed_ptr(py, exporter))
    };
    let array = exporter
        .cast::<PyTokenVec>()
        .map_err(PyErr::from)
        .and_then(|tokens| views::array_of(py, &tokens.get().shared, false));
    match array {
        // SAFETY: both are what the interpreter gave or made; the buffer keeps the array.
        Ok(array) => unsafe { PyObject_GetBuffer(array.as_ptr(), view, flags) },
        Err(error) => {
            error.restore(py);
            -1
        }
    }
}
