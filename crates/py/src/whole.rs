//! Whole numbers as arguments.

use pyo3::exceptions::PyOverflowError;
use pyo3::prelude::*;

use crate::errors::invalid;

/// A whole number that is told to be out of range with what is allowed, where Python's own error says that it overflows.
#[derive(Clone, Copy)]
pub(crate) struct Whole<T>(pub(crate) T);

/// The largest number of a type.
pub(crate) trait Largest {
    const LARGEST: u64;
}

impl Largest for u8 {
    const LARGEST: u64 = Self::MAX as u64;
}

impl Largest for u16 {
    const LARGEST: u64 = Self::MAX as u64;
}

impl Largest for u32 {
    const LARGEST: u64 = Self::MAX as u64;
}

impl Largest for u64 {
    const LARGEST: u64 = Self::MAX;
}

impl Largest for usize {
    const LARGEST: u64 = Self::MAX as u64;
}

impl<'a, 'py, T> FromPyObject<'a, 'py> for Whole<T>
where
    T: Largest + FromPyObject<'a, 'py, Error = PyErr>,
{
    type Error = PyErr;

    fn extract(number: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        match number.extract::<T>() {
            Ok(number) => Ok(Self(number)),
            Err(error) if error.is_instance_of::<PyOverflowError>(number.py()) => {
                let found = number.to_string();
                Err(invalid(format!(
                    "found the number {found}; allowed: an integer from 0 to {}",
                    T::LARGEST
                )))
            }
            Err(error) => Err(error),
        }
    }
}
