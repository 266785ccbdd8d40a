//! Arrow's C stream interface: tables that pandas, Polars, DuckDB and others take without a copy.

use std::sync::Arc;

use arrow_array::ffi_stream::FFI_ArrowArrayStream;
use arrow_array::types::{Float32Type, Float64Type, Int16Type, UInt8Type, UInt16Type, UInt32Type};
use arrow_array::{
    ArrayRef, ArrowPrimitiveType, FixedSizeListArray, PrimitiveArray, RecordBatch, RecordBatchReader,
    TimestampSecondArray,
};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef, TimeUnit};
use pyo3::prelude::*;
use pyo3::types::PyCapsule;
use statlas_core::{AXES, SPACES, Token, UNDEFINED};

use crate::token_vec::{PyTokenVec, Shared, View};

/// Tokens of a batch.
const BATCH_TOKENS: usize = 1 << 16;

/// A capsule as the protocol asks for it.
pub(crate) fn capsule<'py>(
    py: Python<'py>,
    reader: impl RecordBatchReader + Send + 'static,
) -> PyResult<Bound<'py, PyCapsule>> {
    // Whoever takes the stream out of it leaves an empty one behind, whose end does nothing.
    PyCapsule::new_with_value(py, FFI_ArrowArrayStream::new(Box::new(reader)), c"arrow_array_stream")
}

/// A reader of tokens, which stay where they are as long as it is there.
struct TokenReader {
    shared: Arc<Shared>,
    _view: View,
    next: usize,
    schema: SchemaRef,
}

impl RecordBatchReader for TokenReader {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
}

impl Iterator for TokenReader {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        let tokens = self.shared.read();
        let tokens = tokens.as_slice().get(self.next..)?;
        let tokens = &tokens[..tokens.len().min(BATCH_TOKENS)];
        if tokens.is_empty() {
            return None;
        }
        self.next += tokens.len();
        Some(batch(&self.schema, tokens))
    }
}

fn coordinates_type() -> DataType {
    let axis = Arc::new(Field::new_list_field(DataType::Int16, true));
    let space = Arc::new(Field::new_list_field(DataType::FixedSizeList(axis, AXES as i32), false));
    DataType::FixedSizeList(space, SPACES as i32)
}

fn schema() -> SchemaRef {
    let field = |name: &str, data_type| Field::new(name, data_type, false);
    Arc::new(Schema::new(vec![
        field("local_id", DataType::UInt32),
        field("entity_type", DataType::UInt8),
        field("domain", DataType::UInt8),
        field("flags", DataType::UInt16),
        field("weight", DataType::Float32),
        field("field_radius", DataType::Float64),
        field("field_strength", DataType::Float64),
        field("timestamp", DataType::Timestamp(TimeUnit::Second, Some("UTC".into()))),
        field("coordinates", coordinates_type()),
    ]))
}

fn batch(schema: &SchemaRef, tokens: &[Token]) -> Result<RecordBatch, ArrowError> {
    fn column<T: ArrowPrimitiveType>(tokens: &[Token], value: impl Fn(&Token) -> T::Native) -> ArrayRef {
        Arc::new(PrimitiveArray::<T>::from_iter_values(tokens.iter().map(value)))
    }
    let timestamps =
        TimestampSecondArray::from_iter_values(tokens.iter().map(|token| token.timestamp().into()));
    let arrays: Vec<ArrayRef> = vec![
        column::<UInt32Type>(tokens, Token::local_id),
        column::<UInt8Type>(tokens, |token| token.entity_type().ordinal()),
        column::<UInt8Type>(tokens, Token::domain),
        column::<UInt16Type>(tokens, Token::flags),
        column::<Float32Type>(tokens, Token::weight),
        column::<Float64Type>(tokens, Token::field_radius),
        column::<Float64Type>(tokens, Token::field_strength),
        Arc::new(timestamps.with_timezone("UTC")),
        coordinates(tokens)?,
    ];
    RecordBatch::try_new(Arc::clone(schema), arrays)
}

/// Raw coordinates, null where an axis is not defined.
fn coordinates(tokens: &[Token]) -> Result<ArrayRef, ArrowError> {
    let raws = tokens.iter().flat_map(|token| token.coordinates().into_iter().flatten());
    let values: PrimitiveArray<Int16Type> = raws.map(|raw| (raw != UNDEFINED).then_some(raw)).collect();
    let DataType::FixedSizeList(space, _) = coordinates_type() else { unreachable!("it is one of lists") };
    let DataType::FixedSizeList(axis, _) = space.data_type().clone() else {
        unreachable!("it is one of axes")
    };
    let spaces = FixedSizeListArray::try_new(axis, AXES as i32, Arc::new(values), None)?;
    Ok(Arc::new(FixedSizeListArray::try_new(space, SPACES as i32, Arc::new(spaces), None)?))
}

#[pymethods]
impl PyTokenVec {
    /// The tokens as a table, by the protocol that pandas, Polars and Arrow have in common; raw coordinates are null where
    /// not defined. As long as somebody reads it, the tokens can't move.
    ///
    /// >>> import statlas
    /// >>> tokens = statlas.create_tokens_batch(3, weight=[1, 2, 3])
    /// >>> type(tokens.__arrow_c_stream__()).__name__
    /// 'PyCapsule'
    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        // A wish that need not be met.
        let _ = requested_schema;
        let (view, _, _) = View::of(py, &self.shared, false)?;
        capsule(py, TokenReader { shared: Arc::clone(&self.shared), _view: view, next: 0, schema: schema() })
    }
}
