//! Arrays that view tokens, without a copy.

use std::sync::Arc;

use numpy::npyffi::{NPY_ARRAY_WRITEABLE, NpyTypes, PY_ARRAY_API, get_type_object, npy_intp};
use numpy::{PyArray1, PyArray2, PyArray3, PyArrayDescr, PyArrayDescrMethods, PyArrayMethods};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use statlas_core::{AXES, SPACES, Space, Token};

use crate::errors::invalid;
use crate::memory::{NoMemory, room};
use crate::token::space_of;
use crate::token_vec::{PyTokenVec, Shared, View};

/// Tokens that are decoded between two looks at whether Ctrl-C came.
const DECODED_TOGETHER: usize = 1 << 18;

/// A field as it stands in the bytes of a token.
struct Field {
    name: &'static str,
    /// Where it begins in a token.
    offset: usize,
    /// What NumPy calls its type.
    dtype: &'static str,
    /// The shape of one, in bytes from one to the next.
    inner: &'static [(npy_intp, npy_intp)],
}

const COORDINATES: usize = 0;
const ID: usize = 1;
const FLAGS: usize = 2;
const WEIGHT: usize = 3;
const TIMESTAMP: usize = 6;

const FIELDS: [Field; 7] = [
    Field {
        name: "coordinates",
        offset: 0,
        dtype: "<i2",
        inner: &[(SPACES as npy_intp, 2 * AXES as npy_intp), (AXES as npy_intp, 2)],
    },
    Field { name: "id", offset: 48, dtype: "<u4", inner: &[] },
    Field { name: "flags", offset: 52, dtype: "<u2", inner: &[] },
    Field { name: "weight", offset: 54, dtype: "<f4", inner: &[] },
    Field { name: "field_radius", offset: 58, dtype: "u1", inner: &[] },
    Field { name: "field_strength", offset: 59, dtype: "u1", inner: &[] },
    Field { name: "timestamp", offset: 60, dtype: "<u4", inner: &[] },
];

/// The types of the fields, made once.
fn dtype_of(py: Python<'_>, field: usize) -> PyResult<Bound<'_, PyArrayDescr>> {
    static DTYPES: PyOnceLock<[Py<PyArrayDescr>; FIELDS.len()]> = PyOnceLock::new();
    let dtypes = DTYPES.get_or_try_init(py, || -> PyResult<_> {
        let mut dtypes = Vec::new();
        for field in &FIELDS {
            dtypes.push(PyArrayDescr::new(py, field.dtype)?.unbind());
        }
        dtypes.try_into().map_err(|_| invalid("the types of the fields"))
    })?;
    Ok(dtypes[field].bind(py).clone())
}

/// An array over memory that a view keeps where it is.
fn array<'py>(
    py: Python<'py>,
    view: View,
    data: *const u8,
    dtype: Bound<'py, PyArrayDescr>,
    shape: &mut [(npy_intp, npy_intp)],
    writable: bool,
) -> PyResult<Bound<'py, PyAny>> {
    let base = Bound::new(py, view)?;
    let mut dims: [npy_intp; 3] = [0; 3];
    let mut strides: [npy_intp; 3] = [0; 3];
    for (at, (dim, stride)) in shape.iter().enumerate() {
        (dims[at], strides[at]) = (*dim, *stride);
    }
    let flags = if writable { NPY_ARRAY_WRITEABLE } else { 0 };
    // SAFETY: the memory has as many tokens as the shape says, 64 bytes apart, and each has the field; it stays where it
    // is as long as the base lives, which the array does not outlive. A type of NumPy is taken over by the first call,
    // the base by the second.
    unsafe {
        let made = PY_ARRAY_API.PyArray_NewFromDescr(
            py,
            get_type_object(py, NpyTypes::PyArray_Type),
            dtype.into_dtype_ptr(),
            shape.len() as _,
            dims.as_mut_ptr(),
            strides.as_mut_ptr(),
            data.cast_mut().cast(),
            flags,
            std::ptr::null_mut(),
        );
        let made = Bound::from_owned_ptr_or_err(py, made)?;
        if PY_ARRAY_API.PyArray_SetBaseObject(py, made.as_ptr().cast(), base.into_ptr()) < 0 {
            return Err(PyErr::fetch(py));
        }
        Ok(made)
    }
}

fn field_view<'py>(
    py: Python<'py>,
    shared: &Arc<Shared>,
    at: usize,
    writable: bool,
) -> PyResult<Bound<'py, PyAny>> {
    let field = &FIELDS[at];
    let (view, tokens, len) = View::of(py, shared, writable)?;
    let mut shape = [(0, 0); 3];
    shape[0] = (len as npy_intp, Token::BYTES as npy_intp);
    shape[1..=field.inner.len()].copy_from_slice(field.inner);
    let shape = &mut shape[..=field.inner.len()];
    // SAFETY: the field lies inside the first token, or there is none and nothing is read.
    let data = tokens.cast::<u8>().wrapping_add(field.offset);
    array(py, view, data, dtype_of(py, at)?, shape, writable)
}

/// All fields, as a structured array of `TOKEN_DTYPE`.
pub(crate) fn array_of<'py>(
    py: Python<'py>,
    shared: &Arc<Shared>,
    writable: bool,
) -> PyResult<Bound<'py, PyAny>> {
    let (view, tokens, len) = View::of(py, shared, writable)?;
    let mut shape = [(len as npy_intp, Token::BYTES as npy_intp)];
    array(py, view, tokens.cast(), token_dtype(py)?.clone(), &mut shape, writable)
}

/// `TOKEN_DTYPE`.
pub(crate) fn token_dtype(py: Python<'_>) -> PyResult<&Bound<'_, PyArrayDescr>> {
    static DTYPE: PyOnceLock<Py<PyArrayDescr>> = PyOnceLock::new();
    let dtype = DTYPE.get_or_try_init(py, || -> PyResult<_> {
        Ok(py.import("statlas._tokens")?.getattr("TOKEN_DTYPE")?.cast_into::<PyArrayDescr>()?.unbind())
    })?;
    Ok(dtype.bind(py))
}

#[pymethods]
impl PyTokenVec {
    /// Raw coordinates as an array of int16 of shape (n, 8, 3), -32768 where not defined: a read-only view.
    #[getter]
    fn coordinates<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        field_view(py, &self.shared, COORDINATES, false)
    }

    /// Raw ids (local id in bits 0 to 23, type in 24 to 27, domain in 28 to 31): a read-only view.
    #[getter]
    fn ids<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        field_view(py, &self.shared, ID, false)
    }

    /// Raw flags, with the type in bits 8 to 11: a read-only view.
    #[getter]
    fn flags<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        field_view(py, &self.shared, FLAGS, false)
    }

    /// Weights: a read-only view.
    #[getter]
    fn weights<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        field_view(py, &self.shared, WEIGHT, false)
    }

    /// Seconds since 1970: a read-only view.
    #[getter]
    fn timestamps<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        field_view(py, &self.shared, TIMESTAMP, false)
    }

    /// Local ids, as a new array.
    #[getter]
    fn local_ids<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArray1<u32>>> {
        self.column(py, Token::local_id)
    }

    /// Ordinals of the types, places in `TOKEN_TYPES`, as a new array.
    #[getter]
    fn entity_types<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArray1<u8>>> {
        self.column(py, |token| token.entity_type().ordinal())
    }

    /// Domains, as a new array.
    #[getter]
    fn domains<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArray1<u8>>> {
        self.column(py, Token::domain)
    }

    /// All fields as a structured array of `TOKEN_DTYPE`: a view, read-only unless `writable` is true.
    ///
    /// Who writes keeps the rules of tokens and writes from one thread at a time, and not while another one searches;
    /// `check` says whether the rules are kept.
    ///
    /// >>> import statlas
    /// >>> tokens = statlas.create_tokens_batch(3)
    /// >>> tokens.array(writable=True)["weight"] = 2.5
    /// >>> tokens.weights.tolist()
    /// [2.5, 2.5, 2.5]
    #[pyo3(signature = (*, writable=false))]
    fn array<'py>(&self, py: Python<'py>, writable: bool) -> PyResult<Bound<'py, PyAny>> {
        array_of(py, &self.shared, writable)
    }

    /// One field as it stands in memory: a view, read-only unless `writable` is true.
    #[pyo3(signature = (field, *, writable=false))]
    fn view<'py>(&self, py: Python<'py>, field: &str, writable: bool) -> PyResult<Bound<'py, PyAny>> {
        let Some(at) = FIELDS.iter().position(|known| known.name == field) else {
            let names = FIELDS.map(|field| field.name).join(", ");
            return Err(invalid(format!("field: found {field:?}; allowed: {names}")));
        };
        field_view(py, &self.shared, at, writable)
    }

    /// The values on the axes as float64, NaN where not defined: of all spaces in shape (n, 8, 3), or of one in shape
    /// (n, 3).
    ///
    /// >>> import statlas
    /// >>> tokens = statlas.TokenVec()
    /// >>> tokens.append(statlas.Token(spaces={"motor": (1.5, None, 0.25)}))
    /// >>> tokens.decoded("motor").tolist()
    /// [[1.5, nan, 0.25]]
    #[pyo3(signature = (space=None))]
    fn decoded<'py>(&self, py: Python<'py>, space: Option<&str>) -> PyResult<Bound<'py, PyAny>> {
        // The tokens stay where they are, so that it can be looked in between whether Ctrl-C came.
        let (_view, _, len) = View::of(py, &self.shared, false)?;
        let spaces = match space {
            Some(space) => vec![space_of(space)?],
            None => Space::ALL.to_vec(),
        };
        let mut values = room(len * spaces.len() * AXES)?;
        for start in (0..len).step_by(DECODED_TOGETHER) {
            let end = len.min(start + DECODED_TOGETHER);
            py.detach(|| {
                let tokens = self.shared.read();
                for token in &tokens.as_slice()[start..end] {
                    for space in &spaces {
                        let value = |axis| token.decoded_axis(*space, axis).unwrap_or(f64::NAN);
                        values.extend((0..AXES).map(value));
                    }
                }
            });
            py.check_signals()?;
        }
        let values = PyArray1::from_vec(py, values);
        if space.is_some() {
            let made: Bound<'py, PyArray2<f64>> = values.reshape([len, AXES])?;
            return Ok(made.into_any());
        }
        let made: Bound<'py, PyArray3<f64>> = values.reshape([len, SPACES, AXES])?;
        Ok(made.into_any())
    }
}

impl PyTokenVec {
    fn column<'py, T: numpy::Element + Send>(
        &self,
        py: Python<'py>,
        value: impl Fn(&Token) -> T + Sync + Send,
    ) -> PyResult<Bound<'py, PyArray1<T>>> {
        let shared = &self.shared;
        let values = py.detach(|| {
            let tokens = shared.read();
            let mut values = room(tokens.as_slice().len())?;
            values.extend(tokens.as_slice().iter().map(value));
            Ok::<Vec<T>, NoMemory>(values)
        });
        Ok(PyArray1::from_vec(py, values?))
    }
}
