//! Memory that may not be there: asked for so that it is an exception, where the allocator would end the process.

use pyo3::exceptions::PyMemoryError;
use pyo3::prelude::*;
use statlas_core::Token;

/// There is no memory for so many bytes.
pub(crate) struct NoMemory(usize);

impl From<NoMemory> for PyErr {
    fn from(NoMemory(bytes): NoMemory) -> Self {
        PyMemoryError::new_err(format!("there is no memory for {bytes} bytes"))
    }
}

/// A vector with room for just so many.
pub(crate) fn room<T>(count: usize) -> Result<Vec<T>, NoMemory> {
    let mut room = Vec::new();
    room.try_reserve_exact(count).map_err(|_| no_memory::<T>(count))?;
    Ok(room)
}

/// Refuses what takes so much memory on its way, if that is not there now.
pub(crate) fn probe<T>(count: usize) -> Result<(), NoMemory> {
    room::<T>(count).map(drop)
}

/// The same tokens in memory of their own.
pub(crate) fn copied(tokens: &[Token]) -> Result<Vec<Token>, NoMemory> {
    let mut copied = room(tokens.len())?;
    copied.extend_from_slice(tokens);
    Ok(copied)
}

/// The error for so many.
pub(crate) fn no_memory<T>(count: usize) -> NoMemory {
    NoMemory(count.saturating_mul(size_of::<T>()))
}
