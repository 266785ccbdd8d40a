//! Memory of a store, measured in a process that has nothing else.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use statlas_core::Address;
use statlas_store::{Batch, Durability, Expected, Location, Options, Stats, Store};

use super::loaded::wait_for_index;
use super::nodes::Node;
use crate::error::{Error, Result};
use crate::generator::Generator;
use crate::process::Usage;

/// Things that are stored in one batch: few, so that what batches leave behind is little.
const BATCH: u64 = 1000;

/// What is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Things {
    Entities,
    Nodes,
}

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Act {
    /// Stores things, and is measured while it has them.
    Store,
    /// Opens the store that another one stored them in, reads all of them once, and is measured then.
    Open,
}

/// What is to be measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct StoreRequest {
    pub(super) act: Act,
    pub(super) things: Things,
    pub(super) count: u64,
    pub(super) seed: u64,
    /// The directory of a store on disk; one in memory without.
    pub(super) store: Option<PathBuf>,
    /// The budget of the store; its own without.
    pub(super) memory_bytes_max: Option<u64>,
}

/// What it measured.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct StoreMemory {
    /// Memory that is no page of a file, of the whole process: what was added between the opening of the store and the
    /// end; `None` where the system does not tell.
    pub(super) grown_bytes: Option<f64>,
    pub(super) index_bytes: u64,
    pub(super) catalogue_bytes: u64,
    /// What the store holds by its own account, at the end and at most.
    pub(super) held_bytes: u64,
    pub(super) held_bytes_max: u64,
    pub(super) memory_bytes_max: u64,
    pub(super) disk_bytes: u64,
    /// Entries of the index: entities, ids and blobs.
    pub(super) index_entries: u64,
    pub(super) wrong: u64,
    pub(super) messages: Vec<String>,
}

fn open(path: Option<&Path>, memory_bytes_max: Option<u64>) -> Result<Store> {
    let location = path.map_or(Location::Memory, |path| Location::Disk(path.to_owned()));
    let options = Options { memory_bytes_max, ..Options::default() };
    Store::open(&location, &options).map_err(Error::store("opening a store whose memory is measured"))
}

fn held(stats: &Stats) -> u64 {
    stats.memory.iter().map(|held| held.bytes).sum()
}

pub(super) fn measure(request: &StoreRequest, goes_on: &dyn Fn() -> bool) -> Result<StoreMemory> {
    let before = Usage::now();
    let store = open(request.store.as_deref(), request.memory_bytes_max)?;
    let mut answer = StoreMemory::default();
    match request.act {
        Act::Store => put_all(&store, request, goes_on, &mut answer)?,
        Act::Open => {
            if request.memory_bytes_max.is_none() {
                wait_for_index(&store, goes_on)?;
            }
            read_all(&store, request, goes_on, &mut answer)?;
        }
    }
    let stats = store.engine().stats();
    let grown = |before: Usage, after: Usage| after.anonymous_bytes as f64 - before.anonymous_bytes as f64;
    answer.grown_bytes = before.zip(Usage::now()).map(|(before, after)| grown(before, after));
    answer.held_bytes = held(&stats);
    answer.held_bytes_max = answer.held_bytes_max.max(answer.held_bytes);
    answer.index_entries = stats.entities + stats.ids + stats.blobs;
    (answer.index_bytes, answer.catalogue_bytes) = (stats.index_bytes, stats.catalogue_bytes);
    (answer.memory_bytes_max, answer.disk_bytes) = (stats.memory_bytes_max, stats.disk_bytes);
    store.close().map_err(Error::store("closing a store whose memory is measured"))?;
    Ok(answer)
}

fn put_all(
    store: &Store,
    request: &StoreRequest,
    goes_on: &dyn Fn() -> bool,
    answer: &mut StoreMemory,
) -> Result<()> {
    let generator = Generator::new(request.seed, None);
    for from in (0..request.count).step_by(BATCH as usize) {
        if !goes_on() {
            return Err(Error::Interrupted);
        }
        let mut batch = Batch::new();
        for number in from..(from + BATCH).min(request.count) {
            match request.things {
                Things::Entities => {
                    batch.put_entity(generator.entity(number));
                }
                Things::Nodes => Node::new(request.seed, number).put(&mut batch, Expected::Absent),
            }
        }
        store
            .commit(batch, Durability::Written)
            .map_err(Error::store("storing what memory is measured of"))?;
        answer.held_bytes_max = answer.held_bytes_max.max(held(&store.engine().stats()));
    }
    Ok(())
}

fn read_all(
    store: &Store,
    request: &StoreRequest,
    goes_on: &dyn Fn() -> bool,
    answer: &mut StoreMemory,
) -> Result<()> {
    let generator = Generator::new(request.seed, None);
    for number in 0..request.count {
        if number % BATCH == 0 {
            answer.held_bytes_max = answer.held_bytes_max.max(held(&store.engine().stats()));
            if !goes_on() {
                return Err(Error::Interrupted);
            }
        }
        let failed = Error::store("reading what memory is measured of");
        let is_there = match request.things {
            Things::Entities => {
                let address = generator.entity(number).address();
                let found = store.get(&address).map_err(failed)?;
                found.is_some_and(|entity| Address::of(entity.canonical()) == address)
            }
            Things::Nodes => {
                let node = Node::new(request.seed, number);
                let found = store.engine().record(&node.key).map_err(failed)?;
                found.is_some_and(|record| record.value == node.value)
            }
        };
        if !is_there {
            answer.wrong += 1;
            answer.messages =
                vec![format!("number {number} of {:?} is not there, or is another one", request.things)];
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_stores_another_one_opens_and_finds() {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        for things in [Things::Entities, Things::Nodes] {
            let store = Some(folder.path().join(format!("{things:?}")));
            let mut request =
                StoreRequest { act: Act::Store, things, count: 2500, seed: 1, store, memory_bytes_max: None };
            let ask = |request: &StoreRequest| measure(request, &|| true).expect("it is done");
            let stored = ask(&request);
            assert!(
                stored.held_bytes_max >= stored.held_bytes && stored.disk_bytes > 2500 * 100,
                "{stored:?}"
            );
            request.act = Act::Open;
            let opened = ask(&request);
            assert_eq!((opened.wrong, opened.index_entries), (0, stored.index_entries));
            // Another seed is something else.
            request.seed = 2;
            assert_eq!(ask(&request).wrong, 2500);
        }
    }
}
