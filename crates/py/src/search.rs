//! Searching, selecting and sorting tokens.
//!
//! Tokens are locked before their threads are given work, and no work of those threads locks anything: whoever waits for
//! some of it may be given other work meanwhile.

use std::sync::Arc;

use numpy::{
    PyArray1, PyArrayDescrMethods, PyArrayMethods, PyReadonlyArray1, PyUntypedArray, PyUntypedArrayMethods,
};
use pyo3::exceptions::PyIndexError;
use pyo3::prelude::*;
use pyo3::types::{PyMapping, PyTuple};
use statlas_core::{Space, Token};
use statlas_tokens::{Condition, Field, Metric, Near, TokenVec, nearest, order, par_nearest, select, within};

use crate::errors::invalid;
use crate::memory::{NoMemory, probe, room};
use crate::pool;
use crate::token::{PyToken, space_of, spaces_of, token_type_of};
use crate::token_vec::{PyTokenVec, token_vec};
use crate::whole::Whole;

/// What sorting takes on its way for each token.
const SORTING_WORDS: usize = 5;

type Numbers<'py> = Bound<'py, PyArray1<i64>>;

/// The metric with a name.
pub(crate) fn metric_of(name: &str) -> PyResult<Metric> {
    match name {
        "euclidean" => Ok(Metric::Euclidean),
        "cosine" => Ok(Metric::Cosine),
        _ => Err(invalid(format!("metric: found {name:?}; allowed: euclidean, cosine"))),
    }
}

/// Numbers of tokens, for NumPy. A slice has no more than fit.
fn numbers(py: Python<'_>, found: Vec<usize>) -> Numbers<'_> {
    PyArray1::from_vec(py, found.into_iter().map(|number| number as i64).collect())
}

fn answer<'py>(py: Python<'py>, found: &[Near]) -> (Numbers<'py>, Bound<'py, PyArray1<f64>>) {
    let distances = PyArray1::from_iter(py, found.iter().map(|near| near.distance));
    (numbers(py, found.iter().map(|near| near.index).collect()), distances)
}

/// The field that has a name, or the axis of a space: `("physical", 0)`.
fn field_of(field: &Bound<'_, PyAny>) -> PyResult<Field> {
    if let Ok(pair) = field.cast::<PyTuple>() {
        let (space, axis): (String, usize) = pair.extract()?;
        return axis_of(&space, axis);
    }
    Ok(match field.extract::<&str>()? {
        "local_id" => Field::LocalId,
        "entity_type" => Field::EntityType,
        "domain" => Field::Domain,
        "flags" => Field::Flags,
        "weight" => Field::Weight,
        "field_radius" => Field::FieldRadius,
        "field_strength" => Field::FieldStrength,
        "timestamp" => Field::Timestamp,
        other => {
            return Err(invalid(format!(
                "field: found {other:?}; allowed: local_id, entity_type, domain, flags, weight, field_radius, \
                 field_strength, timestamp, or a pair of a space and an axis"
            )));
        }
    })
}

fn axis_of(space: &str, axis: usize) -> PyResult<Field> {
    if axis >= statlas_core::AXES {
        return Err(invalid(format!("axis: found {axis}; allowed: 0, 1 or 2")));
    }
    Ok(Field::Axis(space_of(space)?, axis))
}

/// One value, or a pair of ends that are both included, `None` where there is none.
fn condition(field: Field, range: &Bound<'_, PyAny>) -> PyResult<Condition> {
    let (min, max) = match range.extract::<f64>() {
        Ok(value) => (Some(value), Some(value)),
        Err(_) => range.extract::<(Option<f64>, Option<f64>)>().map_err(|_| {
            invalid(format!(
                "a condition: found {range}; allowed: a number, or a pair of numbers, None for no end"
            ))
        })?,
    };
    // A weight is kept with fewer digits than Python writes.
    let kept = |value: f64| if field == Field::Weight { f64::from(value as f32) } else { value };
    let (min, max) = (kept(min.unwrap_or(f64::NEG_INFINITY)), kept(max.unwrap_or(f64::INFINITY)));
    if min.is_nan() || max.is_nan() {
        return Err(invalid("a condition: found NaN; allowed: numbers, or None for no end"));
    }
    Ok(Condition::In(field, min..=max))
}

/// Indices of tokens as an array of int64, whatever integers they were.
fn indices_of<'py>(indices: &Bound<'py, PyAny>) -> PyResult<PyReadonlyArray1<'py, i64>> {
    let numpy = indices.py().import("numpy")?;
    let array = numpy.call_method1("asarray", (indices,))?.cast_into::<PyUntypedArray>()?;
    let (axes, dtype) = (array.ndim(), array.dtype());
    // An empty list makes an array of floats.
    let is_empty = array.shape() == [0];
    if axes != 1 || !(is_empty || matches!(dtype.kind(), b'i' | b'u')) {
        return Err(invalid(format!(
            "indices: found an array of {axes} axes and type {dtype}; allowed: integers in one axis"
        )));
    }
    if dtype.kind() == b'u' && dtype.itemsize() == size_of::<u64>() && !is_empty {
        let largest: u64 = array.call_method0("max")?.extract()?;
        if i64::try_from(largest).is_err() {
            return Err(PyIndexError::new_err(format!("index {largest} is out of range")));
        }
    }
    let array = numpy.call_method1("ascontiguousarray", (array, "int64"))?;
    Ok(array.cast_into::<PyArray1<i64>>()?.readonly())
}

#[pymethods]
impl PyTokenVec {
    /// The `k` tokens nearest to `query`, exactly: their indices and distances, the nearest first, of equally near ones those
    /// with smaller indices.
    ///
    /// `spaces` names one space or several, all of them unless said; only axes that both tokens define count, and a token
    /// that shares none is left out. `metric` is `"euclidean"`, on decoded values, or `"cosine"`: one less the cosine of
    /// the raw values. Reads every token once; `parallel` does that with all processors.
    #[pyo3(signature = (query, k=Whole(10), *, spaces=None, metric="euclidean", parallel=false), text_signature = "($self, query, k=10, *, spaces=None, metric='euclidean', parallel=False)")]
    fn nearest<'py>(
        &self,
        py: Python<'py>,
        query: &Bound<'py, PyToken>,
        k: Whole<usize>,
        spaces: Option<&Bound<'py, PyAny>>,
        metric: &str,
        parallel: bool,
    ) -> PyResult<(Numbers<'py>, Bound<'py, PyArray1<f64>>)> {
        let (query, spaces, metric) = (query.get().0, spaces_of(spaces)?, metric_of(metric)?);
        let (shared, Whole(k)) = (&self.shared, k);
        let found = if parallel {
            let pool = pool::pool()?;
            py.detach(|| {
                let tokens = shared.read();
                let tokens = tokens.as_slice();
                pool.install(|| par_nearest(tokens, &query, k, spaces, metric))
            })
        } else {
            py.detach(|| nearest(shared.read().as_slice(), &query, k, spaces, metric))
        };
        Ok(answer(py, &found))
    }

    /// All tokens that are at most `radius` far from `query`: their indices, ascending, and distances. The arguments are
    /// those of `nearest`.
    ///
    /// >>> import numpy as np, statlas
    /// >>> places = np.stack([np.arange(100), np.zeros(100), np.zeros(100)], axis=1)
    /// >>> tokens = statlas.create_tokens_batch(100, coordinates={"physical": places})
    /// >>> tokens.within(tokens[50], 1.5)[0].tolist()
    /// [49, 50, 51]
    #[pyo3(signature = (query, radius, *, spaces=None, metric="euclidean"))]
    fn within<'py>(
        &self,
        py: Python<'py>,
        query: &Bound<'py, PyToken>,
        radius: f64,
        spaces: Option<&Bound<'py, PyAny>>,
        metric: &str,
    ) -> PyResult<(Numbers<'py>, Bound<'py, PyArray1<f64>>)> {
        if radius.is_nan() || radius < 0.0 {
            return Err(invalid(format!("radius: found {radius}; allowed: a number from 0")));
        }
        let (query, spaces, metric) = (query.get().0, spaces_of(spaces)?, metric_of(metric)?);
        let shared = &self.shared;
        let found = py.detach(|| within(shared.read().as_slice(), &query, radius, spaces, metric));
        Ok(answer(py, &found))
    }

    /// The indices, ascending, of the tokens that meet all conditions. A condition on a field is a value, or a pair of ends
    /// that are both included, `None` for no end.
    ///
    /// `flags_set` and `flags_clear` are bits that all must be set or clear, `defined` names spaces of which some axis is
    /// defined, and `axes` maps pairs of a space and an axis to conditions.
    ///
    /// >>> import numpy as np, statlas
    /// >>> tokens = statlas.create_tokens_batch(10, weight=np.arange(10), flags=[1, 0] * 5)
    /// >>> tokens.select(weight=(3, None), flags_set=1).tolist()
    /// [4, 6, 8]
    #[pyo3(signature = (*, local_id=None, entity_type=None, domain=None, weight=None, field_radius=None,
                        field_strength=None, timestamp=None, flags_set=Whole(0), flags_clear=Whole(0), defined=None, axes=None), text_signature = "($self, *, local_id=None, entity_type=None, domain=None, weight=None, field_radius=None, field_strength=None, timestamp=None, flags_set=0, flags_clear=0, defined=None, axes=None)")]
    #[expect(clippy::too_many_arguments, reason = "they are named")]
    fn select<'py>(
        &self,
        py: Python<'py>,
        local_id: Option<&Bound<'py, PyAny>>,
        entity_type: Option<&str>,
        domain: Option<&Bound<'py, PyAny>>,
        weight: Option<&Bound<'py, PyAny>>,
        field_radius: Option<&Bound<'py, PyAny>>,
        field_strength: Option<&Bound<'py, PyAny>>,
        timestamp: Option<&Bound<'py, PyAny>>,
        flags_set: Whole<u16>,
        flags_clear: Whole<u16>,
        defined: Option<&Bound<'py, PyAny>>,
        axes: Option<&Bound<'py, PyMapping>>,
    ) -> PyResult<Numbers<'py>> {
        let mut conditions = vec![Condition::Set(flags_set.0), Condition::Clear(flags_clear.0)];
        if let Some(name) = entity_type {
            let ordinal = f64::from(token_type_of(name)?.ordinal());
            conditions.push(Condition::In(Field::EntityType, ordinal..=ordinal));
        }
        for (field, range) in [
            (Field::LocalId, local_id),
            (Field::Domain, domain),
            (Field::Weight, weight),
            (Field::FieldRadius, field_radius),
            (Field::FieldStrength, field_strength),
            (Field::Timestamp, timestamp),
        ] {
            if let Some(range) = range {
                conditions.push(condition(field, range)?);
            }
        }
        if defined.is_some() {
            let spaces = spaces_of(defined)?;
            conditions
                .extend(Space::ALL.into_iter().filter(|space| spaces.has(*space)).map(Condition::Defined));
        }
        if let Some(axes) = axes {
            for pair in axes.items()?.iter() {
                let ((space, axis), range): ((String, usize), Bound<'py, PyAny>) = pair.extract()?;
                conditions.push(condition(axis_of(&space, axis)?, &range)?);
            }
        }
        let (shared, pool) = (&self.shared, pool::pool()?);
        let found = py.detach(|| {
            let tokens = shared.read();
            let tokens = tokens.as_slice();
            probe::<[usize; 2]>(tokens.len())?;
            Ok::<_, NoMemory>(pool.install(|| select(tokens, &conditions)))
        });
        Ok(numbers(py, found?))
    }

    /// The tokens with some indices, in their order, as a new `TokenVec`.
    ///
    /// >>> import statlas
    /// >>> tokens = statlas.create_tokens_batch(10, weight=range(10))
    /// >>> tokens.take(tokens.select(weight=(7, 8))).weights.tolist()
    /// [7.0, 8.0]
    fn take<'py>(&self, py: Python<'py>, indices: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let indices = indices_of(indices)?;
        let (wanted, shared) = (indices.as_slice()?, &self.shared);
        let taken = py.detach(|| {
            let tokens = shared.read();
            let tokens = tokens.as_slice();
            let len = tokens.len() as i64;
            let mut taken = room(wanted.len())?;
            for index in wanted {
                let at = if *index < 0 { index + len } else { *index };
                match usize::try_from(at).ok().and_then(|at| tokens.get(at)) {
                    Some(token) => taken.push(*token),
                    None => return Ok::<_, NoMemory>(Err((*index, len))),
                }
            }
            Ok(Ok(taken))
        })?;
        let taken = taken.map_err(|(index, len)| {
            PyIndexError::new_err(format!("index {index} is out of range for {len} tokens"))
        })?;
        token_vec(py, TokenVec::from(taken))
    }

    /// The indices of all tokens in the order of a field, or of an axis: `("physical", 0)`. Equal ones keep their order;
    /// those where it is not defined come last.
    #[pyo3(signature = (field, *, descending=false))]
    fn argsort<'py>(
        &self,
        py: Python<'py>,
        field: &Bound<'py, PyAny>,
        descending: bool,
    ) -> PyResult<Numbers<'py>> {
        let (field, shared, pool) = (field_of(field)?, &self.shared, pool::pool()?);
        let order = py.detach(|| {
            let tokens = shared.read();
            let tokens = tokens.as_slice();
            probe::<[u64; SORTING_WORDS]>(tokens.len())?;
            Ok::<_, NoMemory>(pool.install(|| order(tokens, field, descending)))
        });
        Ok(numbers(py, order?))
    }

    /// Puts the tokens in the order of a field, or of an axis; see `argsort`.
    ///
    /// >>> import statlas
    /// >>> tokens = statlas.create_tokens_batch(3, weight=[2, 3, 1])
    /// >>> tokens.sort("weight", descending=True)
    /// >>> tokens.weights.tolist()
    /// [3.0, 2.0, 1.0]
    #[pyo3(signature = (field, *, descending=false))]
    fn sort(&self, py: Python<'_>, field: &Bound<'_, PyAny>, descending: bool) -> PyResult<()> {
        let (field, shared, pool) = (field_of(field)?, Arc::clone(&self.shared), pool::pool()?);
        let sorted = py.detach(|| {
            shared.change(|tokens| {
                probe::<[u64; SORTING_WORDS + Token::BYTES / 8]>(tokens.len())?;
                pool.install(|| tokens.sort_by(field, descending));
                Ok::<(), NoMemory>(())
            })
        });
        Ok(sorted??)
    }
}
