//! Entities as columns: arrays of Arrow, and what NumPy makes of them.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::builder::{FixedSizeBinaryBuilder, ListBuilder, StringBuilder};
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, TimestampMillisecondType, UInt32Type};
use arrow_array::{
    Array, ArrayRef, Float64Array, RecordBatch, StringArray, TimestampMillisecondArray, UInt32Array,
};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef, TimeUnit};
use numpy::PyArray1;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyString};
use statlas_core::{Dimensions, EntityHead, FractalStat, Stat7, Token};
use statlas_store::{Error, StoredEntity};

use crate::errors::invalid;
use crate::token::PyToken;

/// A column of found entities.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ColumnId {
    Address,
    Id,
    Profile,
    EntityType,
    Realm,
    CoordinateRealm,
    Lineage,
    Horizon,
    Resonance,
    Velocity,
    Density,
    Luminosity,
    Polarity,
    Dimensionality,
    Alignment,
    CreatedAt,
    State,
    Adjacency,
    Blob,
    Token,
}

impl ColumnId {
    pub(crate) const ALL: [(Self, &'static str); 20] = [
        (Self::Address, "address"),
        (Self::Id, "id"),
        (Self::Profile, "profile"),
        (Self::EntityType, "entity_type"),
        (Self::Realm, "realm"),
        (Self::CoordinateRealm, "coordinate_realm"),
        (Self::Lineage, "lineage"),
        (Self::Horizon, "horizon"),
        (Self::Resonance, "resonance"),
        (Self::Velocity, "velocity"),
        (Self::Density, "density"),
        (Self::Luminosity, "luminosity"),
        (Self::Polarity, "polarity"),
        (Self::Dimensionality, "dimensionality"),
        (Self::Alignment, "alignment"),
        (Self::CreatedAt, "created_at"),
        (Self::State, "state"),
        (Self::Adjacency, "adjacency"),
        (Self::Blob, "blob"),
        (Self::Token, "token"),
    ];
    /// Those that arrays of NumPy are made of if nothing is said: the ones with one value a row.
    pub(crate) const PLAIN: usize = 17;

    pub(crate) fn from_name(name: &str) -> PyResult<Self> {
        let known = Self::ALL.into_iter().find(|(_, known)| *known == name);
        known.map(|(column, _)| column).ok_or_else(|| {
            let names = Self::ALL.map(|(_, name)| name).join(", ");
            invalid(format!("columns: found {name:?}; allowed: {names}"))
        })
    }

    pub(crate) fn name(self) -> &'static str {
        Self::ALL[self as usize].1
    }

    fn field(self) -> Field {
        let (data_type, nullable) = match self {
            Self::Address
            | Self::Id
            | Self::Profile
            | Self::EntityType
            | Self::Realm
            | Self::CoordinateRealm => (DataType::Utf8, false),
            Self::Horizon | Self::State => (DataType::Utf8, false),
            Self::Polarity | Self::Alignment | Self::Blob => (DataType::Utf8, true),
            Self::Lineage => (DataType::UInt32, false),
            Self::Dimensionality => (DataType::UInt32, true),
            Self::Resonance | Self::Velocity | Self::Density | Self::Luminosity => (DataType::Float64, true),
            Self::CreatedAt => (DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())), false),
            Self::Adjacency => (DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true))), false),
            Self::Token => (DataType::FixedSizeBinary(Token::BYTES as i32), true),
        };
        Field::new(self.name(), data_type, nullable)
    }
}

/// The schema of some columns.
pub(crate) fn schema(columns: &[ColumnId]) -> SchemaRef {
    Arc::new(Schema::new(columns.iter().map(|column| column.field()).collect::<Vec<_>>()))
}

/// An entity, read as far as columns need it.
struct Row<'a> {
    stored: &'a StoredEntity,
    head: EntityHead<'a>,
    state: &'a str,
}

impl<'a> Row<'a> {
    fn of(stored: &'a StoredEntity) -> Result<Self, ArrowError> {
        let (head, state) = EntityHead::read_canonical(stored.canonical())
            .map_err(|error| ArrowError::from_external_error(Box::new(Error::from(error))))?;
        Ok(Self { stored, head, state })
    }

    fn stat7(&self) -> Option<&Stat7> {
        match &self.head.coordinates.dimensions {
            Dimensions::Stat7(own) => Some(own),
            Dimensions::FractalStat(_) => None,
        }
    }

    fn fractalstat(&self) -> Option<&FractalStat> {
        match &self.head.coordinates.dimensions {
            Dimensions::FractalStat(own) => Some(own),
            Dimensions::Stat7(_) => None,
        }
    }
}

/// Some columns of some entities.
pub(crate) fn record_batch(
    schema: &SchemaRef,
    columns: &[ColumnId],
    entities: &[StoredEntity],
) -> Result<RecordBatch, ArrowError> {
    let rows = entities.iter().map(Row::of).collect::<Result<Vec<_>, _>>()?;
    let arrays = columns.iter().map(|column| array(*column, &rows)).collect::<Result<_, _>>()?;
    RecordBatch::try_new(Arc::clone(schema), arrays)
}

fn array(column: ColumnId, rows: &[Row<'_>]) -> Result<ArrayRef, ArrowError> {
    fn texts<'a>(values: impl Iterator<Item = &'a str>) -> ArrayRef {
        Arc::new(StringArray::from_iter_values(values))
    }
    fn floats(values: impl Iterator<Item = Option<f64>>) -> ArrayRef {
        Arc::new(Float64Array::from_iter(values))
    }
    let rows_of = rows.iter();
    Ok(match column {
        ColumnId::Address => {
            let mut builder = StringBuilder::with_capacity(rows.len(), 64 * rows.len());
            rows_of.for_each(|row| builder.append_value(row.stored.address().to_string()));
            Arc::new(builder.finish())
        }
        ColumnId::Id => texts(rows_of.map(|row| &*row.head.id)),
        ColumnId::Profile => texts(rows_of.map(|row| row.head.coordinates.profile().as_str())),
        ColumnId::EntityType => texts(rows_of.map(|row| row.head.entity_type.as_str())),
        ColumnId::Realm => texts(rows_of.map(|row| row.head.realm.as_str())),
        ColumnId::CoordinateRealm => texts(rows_of.map(|row| row.head.coordinates.realm.as_str())),
        ColumnId::Horizon => texts(rows_of.map(|row| row.head.coordinates.horizon.as_str())),
        ColumnId::State => texts(rows_of.map(|row| row.state)),
        ColumnId::Lineage => {
            Arc::new(UInt32Array::from_iter_values(rows_of.map(|row| row.head.coordinates.lineage)))
        }
        ColumnId::Resonance => floats(rows_of.map(|row| Some(row.stat7()?.resonance()))),
        ColumnId::Velocity => floats(rows_of.map(|row| Some(row.stat7()?.velocity()))),
        ColumnId::Density => floats(rows_of.map(|row| Some(row.stat7()?.density()))),
        ColumnId::Luminosity => floats(rows_of.map(|row| Some(row.fractalstat()?.luminosity()))),
        ColumnId::Polarity => {
            Arc::new(StringArray::from_iter(rows_of.map(|row| Some(row.fractalstat()?.polarity.as_str()))))
        }
        ColumnId::Alignment => {
            Arc::new(StringArray::from_iter(rows_of.map(|row| Some(row.fractalstat()?.alignment.as_str()))))
        }
        ColumnId::Dimensionality => {
            Arc::new(UInt32Array::from_iter(rows_of.map(|row| Some(row.fractalstat()?.dimensionality))))
        }
        ColumnId::CreatedAt => {
            let times = rows_of.map(|row| row.head.created_at.unix_ms());
            Arc::new(TimestampMillisecondArray::from_iter_values(times).with_timezone("UTC"))
        }
        ColumnId::Adjacency => {
            let mut builder = ListBuilder::new(StringBuilder::new());
            for row in rows_of {
                row.head.coordinates.adjacency.iter().for_each(|id| builder.values().append_value(id));
                builder.append(true);
            }
            Arc::new(builder.finish())
        }
        ColumnId::Blob => {
            let mut builder = StringBuilder::new();
            rows_of.for_each(|row| builder.append_option(row.stored.blob().map(|blob| blob.to_string())));
            Arc::new(builder.finish())
        }
        ColumnId::Token => {
            let mut builder = FixedSizeBinaryBuilder::with_capacity(rows.len(), Token::BYTES as i32);
            for row in rows_of {
                match row.stored.token() {
                    Some(token) => builder.append_value(token.to_bytes())?,
                    None => builder.append_null(),
                }
            }
            Arc::new(builder.finish())
        }
    })
}

/// A column as an array of NumPy. Where a row has no value: NaN, -1 or None.
pub(crate) fn to_numpy<'py>(
    py: Python<'py>,
    column: ColumnId,
    array: &ArrayRef,
) -> PyResult<Bound<'py, PyAny>> {
    let made = match column.field().data_type() {
        DataType::Utf8 => {
            let texts = array.as_string::<i32>();
            // Names come again and again, and are the same object then.
            let mut known: HashMap<&str, Py<PyAny>> = HashMap::new();
            let repeats =
                !matches!(column, ColumnId::Address | ColumnId::Id | ColumnId::State | ColumnId::Blob);
            let object = |text: Option<&'_ str>| match text {
                None => py.None(),
                Some(text) => PyString::new(py, text).into_any().unbind(),
            };
            let mut objects = Vec::with_capacity(texts.len());
            for text in texts {
                objects.push(match text {
                    Some(name) if repeats => {
                        known.entry(name).or_insert_with(|| object(Some(name))).clone_ref(py)
                    }
                    other => object(other),
                });
            }
            PyArray1::from_vec(py, objects).into_any()
        }
        DataType::UInt32 if column == ColumnId::Dimensionality => {
            let values = array.as_primitive::<UInt32Type>().iter();
            PyArray1::from_iter(py, values.map(|value| value.map_or(-1, i64::from))).into_any()
        }
        DataType::UInt32 => PyArray1::from_slice(py, array.as_primitive::<UInt32Type>().values()).into_any(),
        DataType::Float64 => {
            let values = array.as_primitive::<Float64Type>().iter();
            PyArray1::from_iter(py, values.map(|value| value.unwrap_or(f64::NAN))).into_any()
        }
        DataType::Timestamp(..) => {
            let values = array.as_primitive::<TimestampMillisecondType>().values();
            PyArray1::from_slice(py, values).into_any().call_method1("view", ("datetime64[ms]",))?
        }
        DataType::List(_) => {
            let lists = array.as_list::<i32>();
            let mut objects = Vec::with_capacity(lists.len());
            for list in lists.iter() {
                let list = list.unwrap_or_else(|| Arc::new(StringArray::new_null(0)));
                let texts = list.as_string::<i32>().iter().flatten();
                objects.push(PyList::new(py, texts.collect::<Vec<_>>())?.into_any().unbind());
            }
            PyArray1::from_vec(py, objects).into_any()
        }
        _ => {
            let mut objects = Vec::with_capacity(array.len());
            for bytes in array.as_fixed_size_binary().iter() {
                // They were a token when the column was made.
                let bytes: Option<&[u8; Token::BYTES]> = bytes.and_then(|bytes| bytes.try_into().ok());
                objects.push(match bytes.map(Token::from_bytes) {
                    Some(Ok(token)) => Py::new(py, PyToken(token))?.into_any(),
                    _ => py.None(),
                });
            }
            PyArray1::from_vec(py, objects).into_any()
        }
    };
    Ok(made)
}
