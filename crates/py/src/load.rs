//! Storing many entities: what an iterator yields, batch by batch.

use pyo3::prelude::*;
use pyo3::types::PyIterator;
use statlas_core::Entity;
use statlas_store::{Batch, Loader};

use crate::entity::entity_of;

/// Bytes of entities after which a batch is large enough, though it has fewer than were asked for. Their canonical form
/// may have three times as many, and a batch carries at most 64 MiB.
const GATHERED_BYTES: usize = 8 << 20;
/// Entities that are gathered between two looks at whether Ctrl-C came.
const SIGNALS_EVERY: usize = 1000;
/// The next entities of an iterator, at most a batch of them, and fewer if they are large.
pub(crate) fn gather(
    entities: &mut Bound<'_, PyIterator>,
    count: usize,
    done: usize,
) -> PyResult<Vec<Entity>> {
    let py = entities.py();
    let (mut gathered, mut bytes) = (Vec::new(), 0);
    while gathered.len() < count && bytes < GATHERED_BYTES {
        let Some(entity) = entities.next() else { break };
        let number = done + gathered.len();
        let entity = entity_of(&entity?).map_err(|error| numbered(&error, number))?;
        bytes += entity.state().as_str().len()
            + entity.coordinates().adjacency.iter().map(str::len).sum::<usize>();
        gathered.push(entity);
        if gathered.len().is_multiple_of(SIGNALS_EVERY) {
            py.check_signals()?;
        }
    }
    Ok(gathered)
}

/// The same error, saying which of the entities it is about.
fn numbered(error: &PyErr, number: usize) -> PyErr {
    Python::attach(|py| {
        let value = error.value(py);
        let is_ours = value.getattr("kind").is_ok();
        match value.str() {
            Ok(text) if is_ours => value
                .get_type()
                .call1((format!("entity {number}: {text}"),))
                .map_or_else(|_| error.clone_ref(py), PyErr::from_value),
            _ => error.clone_ref(py),
        }
    })
}

/// Stores entities as one batch.
pub(crate) fn commit(loader: &mut Loader, entities: Vec<Entity>) -> statlas_store::Result<()> {
    let mut batch = Batch::new();
    for entity in entities {
        batch.put_entity(entity);
    }
    loader.commit(batch)
}
