//! Making tokens of arrays.

use numpy::{
    Element, PyArray1, PyArrayDescr, PyArrayDescrMethods, PyArrayMethods, PyReadonlyArray1, PyUntypedArray,
    PyUntypedArrayMethods,
};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyMapping, PyString};
use statlas_core::{AXES, RawCoordinates, SPACES, Space, Token, TokenType};
use statlas_tokens::{Column, LocalIds, TokenBatch, TokenCoordinates, TokenVec};

use crate::errors::{OrRaise, invalid};
use crate::memory::{NoMemory, no_memory, room};
use crate::token::{space_of, token_type_of};
use crate::token_vec::{PyTokenVec, token_vec, tokens_of};
use crate::views::token_dtype;
use crate::whole::Whole;

/// The values of one field: one for all, or an array.
enum Values<'py, T: Element> {
    One(T),
    /// An array that has just the right type.
    Array(PyReadonlyArray1<'py, T>),
    /// What was made of an array of another type.
    Converted(Vec<T>),
}

impl<T: Element + Copy> Values<'_, T> {
    fn column(&self) -> PyResult<Column<'_, T>> {
        Ok(match self {
            Self::One(value) => Column::One(*value),
            Self::Array(array) => Column::Each(array.as_slice()?),
            Self::Converted(values) => Column::Each(values),
        })
    }
}

fn numpy<'py>(py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
    static NUMPY: PyOnceLock<Py<PyModule>> = PyOnceLock::new();
    let module = NUMPY.get_or_try_init(py, || py.import("numpy").map(Bound::unbind))?;
    module.bind(py).getattr(name)
}

/// Whatever NumPy makes an array of.
fn asarray<'py>(values: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyUntypedArray>> {
    Ok(numpy(values.py(), "asarray")?.call1((values,))?.cast_into()?)
}

/// The kind of its type: `i` and `u` for integers, `b` for bools, `f` for floats, `U` for text.
fn kind(array: &Bound<'_, PyUntypedArray>) -> u8 {
    array.dtype().kind()
}

/// The values of an array one behind the other as a type, which may lose digits but is told apart by its caller.
fn contiguous<'py, T: Element>(array: &Bound<'py, PyUntypedArray>) -> PyResult<Bound<'py, PyArray1<T>>> {
    let py = array.py();
    let options = PyDict::new(py);
    options.set_item("requirements", ["C", "A"])?;
    let made = numpy(py, "require")?.call((array, T::get_dtype(py)), Some(&options))?;
    Ok(made.call_method1("reshape", (-1,))?.cast_into()?)
}

fn check_one_axis(field: &str, array: &Bound<'_, PyUntypedArray>) -> PyResult<()> {
    if array.ndim() == 1 {
        return Ok(());
    }
    Err(invalid(format!(
        "{field}: found an array of {} axes; allowed: a number, or an array of one axis",
        array.ndim()
    )))
}

/// A field of integers.
fn integers<'py, T>(field: &str, max: u32, values: &Bound<'py, PyAny>) -> PyResult<Values<'py, T>>
where
    T: Element + Copy + TryFrom<i64>,
{
    let out_of_range = |row: usize, found: String| {
        invalid(format!("token {row}: field {field}: found {found}; allowed: an integer from 0 to {max}"))
    };
    let array = asarray(values)?;
    if !matches!(kind(&array), b'i' | b'u' | b'b') {
        let dtype = array.dtype();
        return Err(invalid(format!("{field}: found values of type {dtype}; allowed: integers")));
    }
    if array.ndim() == 0 {
        let found: Bound<'py, PyAny> = values.call_method0("__index__")?;
        let value = found.extract::<i64>().ok().and_then(|value| T::try_from(value).ok());
        return value.map(Values::One).ok_or_else(|| out_of_range(0, found.to_string()));
    }
    check_one_axis(field, &array)?;
    if array.dtype().is_equiv_to(&T::get_dtype(array.py())) {
        return Ok(Values::Array(contiguous::<T>(&array)?.readonly()));
    }
    if kind(&array) == b'u' && array.dtype().itemsize() == 8 {
        let wide = contiguous::<u64>(&array)?.readonly();
        let each = wide.as_slice()?.iter().enumerate();
        let convert = |(row, value): (usize, &u64)| {
            let small = i64::try_from(*value).ok().and_then(|value| T::try_from(value).ok());
            small.ok_or_else(|| out_of_range(row, value.to_string()))
        };
        return each.map(convert).collect::<PyResult<_>>().map(Values::Converted);
    }
    let wide = contiguous::<i64>(&array)?.readonly();
    let each = wide.as_slice()?.iter().enumerate();
    let convert =
        |(row, value): (usize, &i64)| T::try_from(*value).map_err(|_| out_of_range(row, value.to_string()));
    each.map(convert).collect::<PyResult<_>>().map(Values::Converted)
}

/// A field of floats; integers are taken, too.
fn floats<'py, T>(field: &str, values: &Bound<'py, PyAny>, one: impl Fn(f64) -> T) -> PyResult<Values<'py, T>>
where
    T: Element + Copy,
{
    let array = asarray(values)?;
    if !matches!(kind(&array), b'f' | b'i' | b'u' | b'b') {
        return Err(invalid(format!("{field}: found values of type {}; allowed: numbers", array.dtype())));
    }
    if array.ndim() == 0 {
        return Ok(Values::One(one(values.extract()?)));
    }
    check_one_axis(field, &array)?;
    Ok(Values::Array(contiguous::<T>(&array)?.readonly()))
}

/// The types of tokens: a name, an ordinal, or an array of either.
fn types(values: &Bound<'_, PyAny>) -> PyResult<TypeValues> {
    const FIELD: &str = "entity_type";
    const ORDINAL_MAX: u32 = TokenType::ALL.len() as u32 - 1;
    if let Ok(name) = values.cast::<PyString>() {
        return Ok(TypeValues::One(token_type_of(name.to_str()?)?));
    }
    let array = asarray(values)?;
    if matches!(kind(&array), b'U' | b'O' | b'T') {
        check_one_axis(FIELD, &array)?;
        let mut types = Vec::with_capacity(array.len());
        for (row, name) in array.as_any().try_iter()?.enumerate() {
            let name: String = name?.extract()?;
            let known = TokenType::ALL.into_iter().find(|known| known.as_str() == name);
            let Some(known) = known else {
                let names = TokenType::ALL.map(TokenType::as_str).join(", ");
                return Err(invalid(format!("token {row}: field {FIELD}: found {name:?}; allowed: {names}")));
            };
            types.push(known);
        }
        return Ok(TypeValues::Each(types));
    }
    let of = |row: usize, ordinal: u8| {
        let known = TokenType::from_ordinal(ordinal);
        known.ok_or_else(|| {
            invalid(format!(
                "token {row}: field {FIELD}: found {ordinal}; allowed: an ordinal from 0 to {ORDINAL_MAX}"
            ))
        })
    };
    let ordinals = integers::<u8>(FIELD, ORDINAL_MAX, values)?;
    match ordinals.column()? {
        Column::One(ordinal) => of(0, ordinal).map(TypeValues::One),
        Column::Each(ordinals) => {
            let each = ordinals.iter().enumerate().map(|(row, ordinal)| of(row, *ordinal));
            each.collect::<PyResult<_>>().map(TypeValues::Each)
        }
    }
}

enum TypeValues {
    One(TokenType),
    Each(Vec<TokenType>),
}

impl TypeValues {
    fn column(&self) -> Column<'_, TokenType> {
        match self {
            Self::One(value) => Column::One(*value),
            Self::Each(values) => Column::Each(values),
        }
    }
}

/// The coordinates of tokens.
enum Coordinates<'py> {
    None,
    Raw(PyReadonlyArray1<'py, i16>),
    Decoded(PyReadonlyArray1<'py, f64>),
    In(Space, PyReadonlyArray1<'py, f64>),
    /// Several spaces, put together.
    Several(Vec<[[f64; AXES]; SPACES]>),
}

fn spaced<T>(values: &[T]) -> &[[[T; AXES]; SPACES]] {
    values.as_chunks().0.as_chunks().0
}

impl<'py> Coordinates<'py> {
    fn of(values: &Bound<'py, PyAny>) -> PyResult<Self> {
        if let Ok(mapping) = values.cast::<PyMapping>() {
            return Self::of_mapping(mapping);
        }
        let array = asarray(values)?;
        if array.shape().get(1..) != Some(&[SPACES, AXES]) {
            return Err(invalid(format!(
                "coordinates: found an array of shape {:?}; allowed: shape (n, {SPACES}, {AXES}), or a mapping from names of \
                 spaces to arrays of shape (n, {AXES})",
                array.shape()
            )));
        }
        match (kind(&array), array.dtype().itemsize()) {
            (b'i', 2) => Ok(Self::Raw(contiguous(&array)?.readonly())),
            (b'f', _) => Ok(Self::Decoded(contiguous(&array)?.readonly())),
            _ => Err(invalid(format!(
                "coordinates: found values of type {}; allowed: int16 for raw ones (-32768 where not defined), floats for \
                 decoded ones (NaN where not defined)",
                array.dtype()
            ))),
        }
    }

    fn of_mapping(mapping: &Bound<'py, PyMapping>) -> PyResult<Self> {
        let mut spaces = Vec::new();
        for pair in mapping.items()?.iter() {
            let (name, values): (String, Bound<'py, PyAny>) = pair.extract()?;
            let (space, array) = (space_of(&name)?, asarray(&values)?);
            if array.shape().get(1..) != Some(&[AXES]) || !matches!(kind(&array), b'f' | b'i' | b'u') {
                return Err(invalid(format!(
                    "coordinates[{name:?}]: found an array of shape {:?} and type {}; allowed: numbers in shape (n, {AXES})",
                    array.shape(),
                    array.dtype()
                )));
            }
            spaces.push((space, contiguous::<f64>(&array)?.readonly()));
        }
        if spaces.len() <= 1 {
            return Ok(spaces.pop().map_or(Self::None, |(space, array)| Self::In(space, array)));
        }
        let len = spaces[0].1.as_slice()?.len();
        let mut several = vec![[[f64::NAN; AXES]; SPACES]; len / AXES];
        for (space, array) in &spaces {
            let values = array.as_slice()?;
            if values.len() != len {
                return Err(invalid(format!(
                    "coordinates[{:?}]: found {} rows; allowed: {}, as many as the others have",
                    space.as_str(),
                    values.len() / AXES,
                    len / AXES
                )));
            }
            for (row, axes) in several.iter_mut().zip(values.as_chunks().0) {
                row[space.index()] = *axes;
            }
        }
        Ok(Self::Several(several))
    }

    fn batch(&self) -> PyResult<TokenCoordinates<'_>> {
        Ok(match self {
            Self::None => TokenCoordinates::None,
            Self::Raw(array) => TokenCoordinates::Raw(spaced(array.as_slice()?)),
            Self::Decoded(array) => TokenCoordinates::Decoded(spaced(array.as_slice()?)),
            Self::In(space, array) => TokenCoordinates::In(*space, array.as_slice()?.as_chunks().0),
            Self::Several(rows) => TokenCoordinates::Decoded(rows),
        })
    }
}

/// What the arguments say of the tokens to be made.
struct Arguments<'py> {
    local_ids: Values<'py, u32>,
    entity_type: TypeValues,
    domain: Values<'py, u8>,
    flags: Values<'py, u16>,
    weight: Values<'py, f32>,
    field_radius: Values<'py, f64>,
    field_strength: Values<'py, f64>,
    /// Now unless it is given.
    timestamp: Option<Values<'py, u32>>,
    coordinates: Coordinates<'py>,
}

impl<'py> Arguments<'py> {
    fn of(fields: Option<&Bound<'py, PyDict>>) -> PyResult<Self> {
        let mut all = Self {
            local_ids: Values::One(0),
            entity_type: TypeValues::One(TokenType::Undefined),
            domain: Values::One(0),
            flags: Values::One(0),
            weight: Values::One(0.0),
            field_radius: Values::One(0.0),
            field_strength: Values::One(0.0),
            timestamp: None,
            coordinates: Coordinates::None,
        };
        for (name, values) in fields.into_iter().flatten() {
            let name: &str = name.extract()?;
            match name {
                "local_ids" => all.local_ids = integers(name, Token::LOCAL_ID_MAX, &values)?,
                "entity_type" => all.entity_type = types(&values)?,
                "domain" => all.domain = integers(name, Token::DOMAIN_MAX.into(), &values)?,
                "flags" => all.flags = integers(name, u16::MAX.into(), &values)?,
                "weight" => all.weight = floats(name, &values, |value| value as f32)?,
                "field_radius" => all.field_radius = floats(name, &values, |value| value)?,
                "field_strength" => all.field_strength = floats(name, &values, |value| value)?,
                "timestamp" if values.is_none() => {}
                "timestamp" => all.timestamp = Some(integers(name, u32::MAX, &values)?),
                "coordinates" if values.is_none() => {}
                "coordinates" => all.coordinates = Coordinates::of(&values)?,
                _ => {
                    return Err(PyTypeError::new_err(format!("got an unexpected keyword argument '{name}'")));
                }
            }
        }
        Ok(all)
    }

    fn batch(&self) -> PyResult<TokenBatch<'_>> {
        Ok(TokenBatch {
            local_ids: match self.local_ids.column()? {
                Column::One(first) => LocalIds::From(first),
                Column::Each(ids) => LocalIds::Each(ids),
            },
            entity_type: self.entity_type.column(),
            domain: self.domain.column()?,
            flags: self.flags.column()?,
            weight: self.weight.column()?,
            field_radius: self.field_radius.column()?,
            field_strength: self.field_strength.column()?,
            timestamp: match &self.timestamp {
                Some(values) => values.column()?,
                None => TokenBatch::now().timestamp,
            },
            coordinates: self.coordinates.batch()?,
        })
    }
}

/// Makes `count` tokens at once, each field of them one value for all or an array with one for each.
///
/// `local_ids` is the first of ascending ones, or an array. `entity_type` is one of `TOKEN_TYPES`, an ordinal, or an array
/// of either. `timestamp` is in seconds since 1970, and the time of now unless it is given. `coordinates` is an array of
/// shape (n, 8, 3), of int16 for raw values (-32768 where not defined) or of floats (NaN where not defined), or a mapping
/// from names of spaces to arrays of shape (n, 3).
///
/// >>> import numpy as np, statlas
/// >>> tokens = statlas.create_tokens_batch(
/// ...     3, local_ids=100, entity_type="sensor", weight=[0.5, 1.0, 1.5], timestamp=1_700_000_000,
/// ...     coordinates={"physical": [[0, 0, 0], [1, 0, 0], [2, 0, np.nan]]})
/// >>> tokens[2]
/// Token(local_id=102, entity_type='sensor', domain=0, flags=0, weight=1.5, field_radius=0.0, field_strength=0.0, timestamp=1700000000, spaces={'physical': (2.0, 0.0, None)})
/// >>> statlas.create_tokens_batch(2, weight=[1.0, float("nan")])
/// Traceback (most recent call last):
///     ...
/// statlas.InvalidError: token 1: field weight: token error: found NaN; allowed: a number from 0 to 100
#[pyfunction]
#[pyo3(signature = (count, **fields), text_signature =
    "(count, *, local_ids=0, entity_type='undefined', domain=0, flags=0, weight=0.0, \
     field_radius=0.0, field_strength=0.0, timestamp=None, coordinates=None)")]
pub(crate) fn create_tokens_batch<'py>(
    py: Python<'py>,
    count: Whole<usize>,
    fields: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyAny>> {
    let arguments = Arguments::of(fields)?;
    let (batch, Whole(count)) = (arguments.batch()?, count);
    let made = py.detach(|| {
        let mut tokens = TokenVec::from(room(count)?);
        Ok::<_, NoMemory>(tokens.create(count, &batch).map(|()| tokens))
    });
    token_vec(py, made?.or_raise()?)
}

#[pymethods]
impl PyTokenVec {
    /// Appends `count` tokens that are made at once, all or none; the arguments are those of `create_tokens_batch`.
    ///
    /// >>> import statlas
    /// >>> tokens = statlas.TokenVec(capacity=2000)
    /// >>> tokens.create(1000, weight=1.0)
    /// >>> tokens.create(1000, local_ids=1000, weight=2.0)
    /// >>> len(tokens), float(tokens.weights.mean())
    /// (2000, 1.5)
    #[pyo3(signature = (count, **fields), text_signature =
    "($self, count, *, local_ids=0, entity_type='undefined', domain=0, flags=0, weight=0.0, \
     field_radius=0.0, field_strength=0.0, timestamp=None, coordinates=None)")]
    fn create(
        &self,
        py: Python<'_>,
        count: Whole<usize>,
        fields: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<()> {
        let arguments = Arguments::of(fields)?;
        let (batch, Whole(count)) = (arguments.batch()?, count);
        let shared = &self.shared;
        let created = py.detach(|| {
            shared.change(|tokens| {
                tokens
                    .try_reserve(count)
                    .map_err(|_| no_memory::<Token>(tokens.len().saturating_add(count)))?;
                Ok::<_, NoMemory>(tokens.create(count, &batch))
            })
        });
        created??.or_raise()
    }
}

/// Tokens of an array: structured ones, raw coordinates or decoded ones.
pub(crate) fn from_numpy(array: &Bound<'_, PyAny>) -> PyResult<TokenVec> {
    let py = array.py();
    let array = asarray(array)?;
    let expected: &Bound<'_, PyArrayDescr> = token_dtype(py)?;
    if array.dtype().kind() == b'V' {
        if !array.dtype().is_equiv_to(expected) || array.ndim() != 1 {
            return Err(invalid(format!(
                "tokens: found an array of {} axes and type {}; allowed: TOKEN_DTYPE in one axis",
                array.ndim(),
                array.dtype()
            )));
        }
        let bytes = numpy(py, "ascontiguousarray")?.call1((array,))?.call_method1("view", ("u1",))?;
        let bytes = contiguous::<u8>(bytes.cast()?)?.readonly();
        return tokens_of(bytes.as_slice()?, |bytes| {
            let mut token: Token = zerocopy::transmute!(*bytes);
            // Who fills an array by hand need not repeat the type in the flags.
            token.set_flags(token.raw_flags())?;
            token.check().map(|()| token)
        });
    }
    let count = array.shape().first().copied().unwrap_or_default();
    let coordinates = Coordinates::of(array.as_any())?;
    let mut tokens = TokenVec::new();
    let batch = TokenBatch { coordinates: coordinates.batch()?, ..TokenBatch::default() };
    py.detach(|| tokens.create(count, &batch)).or_raise()?;
    Ok(tokens)
}

// The shapes that are cast to are those that the core has.
const _: () = assert!(size_of::<RawCoordinates>() == 2 * SPACES * AXES);
