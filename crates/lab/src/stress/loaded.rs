//! Stores with generated entities, looked at before they are measured.

use std::thread;
use std::time::Duration;

use statlas_core::Address;
use statlas_store::Store;

use super::draft::counted;
use super::engine::Engine;
use super::session::Session;
use crate::data::load_generated;
use crate::error::{Error, Result};
use crate::generator::Generator;
use crate::random::SplitMix64;
use crate::subject::Subject;

/// Entities asked for in one call.
pub(super) const TOGETHER: usize = 256;
/// How often it is looked whether all of an index is in memory.
const POLL: Duration = Duration::from_millis(5);

/// A store with the first entities of a generator.
pub(super) struct Loaded {
    pub(super) engine: Engine,
    pub(super) store: Store,
    /// Of all its entities, in the order of the generator.
    pub(super) addresses: Vec<Address>,
    /// Its directory, which goes when the store is closed.
    _subject: Subject,
}

impl Loaded {
    /// Loads a store of an engine, opens it again if it outlives that, waits until its index is in memory, and reads
    /// everything once: what was acknowledged must be there, and its text must have its address.
    pub(super) fn new(session: &mut Session<'_, '_>, engine: &Engine, entities: u64) -> Result<Self> {
        session.step(&format!("{} entities into {}", counted(entities), engine.name()))?;
        let subject = Subject::new(&engine.store(), &session.options.folder)?;
        let mut store = subject.open()?;
        let generator = Generator::new(session.options.seed, None);
        let addresses = load_generated(&store, &generator, entities, session.asks())?;
        if subject.is_lasting() {
            store.close().map_err(Error::store("closing a store that was loaded"))?;
            drop(store);
            store = subject.open()?;
        }
        let loaded = Self { engine: engine.clone(), store, addresses, _subject: subject };
        wait_for_index(&loaded.store, session.asks())?;
        loaded.read_everything(session)?;
        Ok(loaded)
    }

    fn read_everything(&self, session: &mut Session<'_, '_>) -> Result<()> {
        let (mut wrong, mut messages) = (0, Vec::new());
        for some in self.addresses.chunks(TOGETHER) {
            session.goes_on()?;
            let found =
                self.store.engine().entities(some).map_err(Error::store("reading what was loaded"))?;
            for (address, found) in some.iter().zip(found) {
                match found {
                    Some(entity) if Address::of(entity.canonical()) == *address => {}
                    _ => {
                        wrong += 1;
                        messages =
                            vec![format!("entity {address} was stored and is not there, or is another one")];
                    }
                }
            }
        }
        session.checked(Some(&self.engine), self.addresses.len() as u64, wrong, &messages);
        Ok(())
    }
}

/// Waits until lookups need no file beside the log.
pub(super) fn wait_for_index(store: &Store, goes_on: &dyn Fn() -> bool) -> Result<()> {
    loop {
        let stats = store.engine().stats();
        if stats.segments_covered == stats.segments {
            return Ok(());
        }
        if !goes_on() {
            return Err(Error::Interrupted);
        }
        thread::sleep(POLL);
    }
}

/// An address that nothing has, but by a chance of one in 2^200.
pub(super) fn absent_address(random: &mut SplitMix64) -> Address {
    let mut bytes = [0; 32];
    bytes.chunks_exact_mut(8).for_each(|part| part.copy_from_slice(&random.next_u64().to_le_bytes()));
    Address(bytes)
}
