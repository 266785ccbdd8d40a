//! The Python package `statlas`: this is the extension module `statlas._statlas`, and `python/statlas` what stands
//! around it.
//!
//! Every class may be used from many threads: what changes stands behind locks, and nobody waits for the interpreter
//! while holding one. What may take long works without the interpreter's lock. A panic becomes an exception
//! (`pyo3_runtime.PanicException`).

use pyo3::prelude::*;
use statlas_core::{Space, TokenType};
use statlas_store::ErrorKind;

mod arrow;
mod batch;
mod buffer;
mod bytes;
mod columns;
mod create;
mod entity;
mod errors;
mod files;
mod find;
mod found;
mod interrupt;
mod json;
mod load;
mod memory;
mod pool;
mod records;
mod reports;
mod search;
mod store;
mod token;
mod token_file;
mod token_vec;
mod views;
mod watch;
mod whole;

/// Batches are made in one thread and freed in the one that commits.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// For the test that a panic becomes an exception and that everything goes on then.
#[pyfunction]
fn _provoke_panic() {
    panic!("provoked");
}

/// The extension module of the package `statlas`.
#[pymodule]
fn _statlas(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add("SPACES", pyo3::types::PyTuple::new(py, Space::ALL.map(Space::as_str))?)?;
    module.add("TOKEN_TYPES", pyo3::types::PyTuple::new(py, TokenType::ALL.map(TokenType::as_str))?)?;
    module.add("ERROR_KINDS", pyo3::types::PyTuple::new(py, ErrorKind::ALL.map(ErrorKind::as_str))?)?;
    module.add("TokenVec", buffer::token_vec_type(py)?)?;
    module.add_class::<entity::PyEntity>()?;
    module.add_class::<token::PyToken>()?;
    module.add_class::<token_file::PyTokenFile>()?;
    module.add_class::<store::PyStore>()?;
    module.add_class::<batch::PyBatch>()?;
    module.add_class::<found::PyFound>()?;
    module.add_class::<files::PyFiles>()?;
    module.add_class::<files::PyFileReader>()?;
    module.add_class::<files::PyStoredFile>()?;
    module.add_class::<records::PyRecords>()?;
    module.add_class::<records::PyRecord>()?;
    module.add_class::<watch::PyWatch>()?;
    module.add_class::<watch::PyChange>()?;
    module.add_class::<reports::PyStored>()?;
    module.add_class::<reports::PyNeighbour>()?;
    module.add_class::<reports::PyNearToken>()?;
    module.add_class::<reports::PyReached>()?;
    module.add_class::<reports::PyCheckReport>()?;
    module.add_class::<reports::PyBackupReport>()?;
    module.add_function(wrap_pyfunction!(entity::address, module)?)?;
    module.add_function(wrap_pyfunction!(create::create_tokens_batch, module)?)?;
    module.add_function(wrap_pyfunction!(token_vec::_token_vec_from_bytes, module)?)?;
    module.add_function(wrap_pyfunction!(_provoke_panic, module)?)?;
    Ok(())
}
