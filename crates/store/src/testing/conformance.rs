//! The checks, by what they are about. Each opens its own store and says in its name what must hold.

use super::Failure;
use crate::batch::Batch;
use crate::engine::{Commit, Durability};
use crate::error::Error;
use crate::store::Store;

pub(super) mod batches;
pub(super) mod blobs;
pub(super) mod changes;
pub(super) mod closing;
pub(super) mod entities;
pub(super) mod nearness;
pub(super) mod persistence;
pub(super) mod queries;
pub(super) mod records;
pub(super) mod threads;
pub(super) mod versions;

type Open<'a> = &'a dyn Fn() -> Store;
type Outcome<T = ()> = Result<T, Failure>;

/// Commits the batch that `fill` fills.
fn commit<T>(store: &Store, fill: impl FnOnce(&mut Batch) -> T) -> Outcome<(T, Commit)> {
    let mut batch = Batch::new();
    let filled = fill(&mut batch);
    Ok((filled, store.commit(batch, Durability::Synced)?))
}

/// The error with which a batch is refused.
fn refused(store: &Store, fill: impl FnOnce(&mut Batch)) -> Error {
    let mut batch = Batch::new();
    fill(&mut batch);
    store.commit(batch, Durability::Synced).expect_err("the batch must be refused")
}
