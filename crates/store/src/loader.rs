//! Batches one after another, the next one prepared while one is on its way to the device.

use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{Builder, JoinHandle};

use crate::batch::Batch;
use crate::engine::{Commit, Durability, Engine, Prepared};
use crate::error::{Error, ErrorKind, Result};
use crate::owner::Owner;

/// Stores batches in their order from a thread of its own, so that the caller makes the next one meanwhile. Each is
/// committed by itself, with the durability asked for. Made by [`Store::loader`](crate::Store::loader).
///
/// At most three batches are under way: one that is committed, one that waits for it, and one that the caller hands
/// over. What was handed over is stored for certain when [`Loader::finish`] says so.
///
/// ```
/// use statlas_store::{Batch, Durability, Location, Options, Store};
///
/// let store = Store::open(&Location::Memory, &Options::default())?;
/// let mut loader = store.loader(Durability::Synced)?;
/// for text in ["some text", "some other text"] {
///     let mut batch = Batch::new();
///     batch.put_blob(text.into());
///     loader.commit(batch)?;
/// }
/// assert_eq!(loader.finish()?.blobs_new, 2);
/// # Ok::<(), statlas_store::Error>(())
/// ```
pub struct Loader {
    engine: Arc<dyn Engine>,
    /// The process that has the thread.
    owner: Owner,
    /// Both are there until the end.
    thread: Option<(SyncSender<Prepared>, JoinHandle<Result<Commit>>)>,
}

impl Loader {
    pub(crate) fn new(engine: Arc<dyn Engine>, durability: Durability) -> Result<Self> {
        let (sender, batches) = sync_channel(1);
        let committing = Arc::clone(&engine);
        let commit_all = move || {
            let mut stored = Commit::default();
            for batch in batches {
                stored += committing.commit_prepared(batch, durability)?;
            }
            Ok(stored)
        };
        let thread = Builder::new()
            .name("statlas-loader".to_owned())
            .spawn(commit_all)
            .map_err(|error| Error::io("cannot start a thread that stores batches", error))?;
        Ok(Self { engine, owner: Owner::this_process(), thread: Some((sender, thread)) })
    }

    /// Hands over a batch, and waits if two others are ahead of it.
    ///
    /// # Errors
    ///
    /// That this batch can't be stored by anybody: then it is left out. Or the error of [`Engine::commit`] of an
    /// earlier one, of which nothing is stored; nothing that was handed over after that one is stored either, and
    /// there is nothing more to be done with the loader.
    pub fn commit(&mut self, batch: Batch) -> Result<()> {
        let prepared = match self.engine.prepare(batch) {
            // Why it is, an earlier batch knows.
            Err(error) if error.kind() == ErrorKind::Poisoned => return self.end().and(Err(error)),
            prepared => prepared?,
        };
        match &self.thread {
            Some((sender, _)) if sender.send(prepared).is_ok() => Ok(()),
            // The thread takes no more: it has stopped at an error.
            _ => self.end().and_then(|_| Err(ended())),
        }
    }

    /// Waits until everything is stored, and returns the sum of what the commits did.
    ///
    /// # Errors
    ///
    /// As [`Loader::commit`].
    pub fn finish(mut self) -> Result<Commit> {
        self.end()
    }

    fn end(&mut self) -> Result<Commit> {
        let Some((sender, thread)) = self.thread.take() else { return Err(ended()) };
        drop(sender);
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

fn ended() -> Error {
    Error::new(ErrorKind::Closed, "the loader has ended with an error")
}

impl fmt::Debug for Loader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Loader({})", if self.thread.is_some() { "open" } else { "ended" })
    }
}

impl Drop for Loader {
    /// Waits for what was handed over. Who wants to know whether it is stored calls [`Loader::finish`].
    fn drop(&mut self) {
        if let Some((sender, thread)) = self.thread.take() {
            drop(sender);
            // A process that was forked has none of the threads, and would wait for ever.
            if self.owner.is_here() {
                drop(thread.join());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use statlas_core::Entity;

    use crate::{Batch, Commit, Durability, ErrorKind, Expected, Location, Options, RecordKey, Store};

    fn record(name: &str, expected: Expected) -> Batch {
        let mut batch = Batch::new();
        let key = RecordKey::new("test", name).expect("the name is short");
        batch.put_record(key, name.as_bytes().to_vec(), expected);
        batch
    }

    #[test]
    fn batches_are_stored_in_their_order_and_each_by_itself() {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        for location in [Location::Memory, Location::Disk(folder.path().join("store"))] {
            let store = Store::open(&location, &Options::default()).expect("it can be made");
            let mut loader = store.loader(Durability::Written).expect("a thread can be started");
            for revision in 0..20 {
                let expected = if revision == 0 { Expected::Absent } else { Expected::Revision(revision) };
                loader.commit(record("counter", expected)).expect("the one before is stored first");
            }
            let stored = loader.finish().expect("all are stored");
            assert_eq!(stored, Commit { revision: 20, others: 20, ..Commit::default() });
        }
    }

    #[test]
    fn what_one_engine_has_made_ready_another_one_can_store() {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let disk = Location::Disk(folder.path().join("store"));
        let disk = Store::open(&disk, &Options::default()).expect("it can be made");
        let memory = Store::open(&Location::Memory, &Options::default()).expect("it can be made");
        let entity = Entity::from_json(
            br#"{"profile": "stat7", "id": "bc-0001", "entity_type": "concept", "realm": "data",
            "coordinates": {"realm": "data", "lineage": 1, "adjacency": [], "horizon": "genesis",
            "resonance": 0.5, "velocity": 0.25, "density": 0.75},
            "created_at": "2025-01-01T00:00:00.000Z", "state": {"value": 42}}"#,
        )
        .expect("it is an entity");
        let mut batch = record("record", Expected::Any);
        let blob = batch.put_blob(b"some bytes".to_vec());
        let attached = entity.clone().with_attachments(None, Some(blob));
        let address = batch.put_entity(attached.clone());
        let prepared = disk.engine().prepare(batch).expect("it is legal");
        memory.engine().commit_prepared(prepared, Durability::Buffered).expect("it is stored");
        let found = memory.get(&address).expect("it can be read").expect("it is there");
        assert_eq!(found.entity().expect("it is whole"), attached);
        let found = memory.engine().blob(&blob).expect("it can be read").expect("it is there");
        assert_eq!(found.bytes, b"some bytes");
    }

    #[test]
    fn nothing_is_stored_after_an_error() {
        let store = Store::open(&Location::Memory, &Options::default()).expect("it can be made");
        let mut loader = store.loader(Durability::Written).expect("a thread can be started");
        loader.commit(record("first", Expected::Absent)).expect("nothing is ahead of it");
        let mut outcome = loader.commit(record("second", Expected::Revision(7)));
        while outcome.is_ok() {
            outcome = loader.commit(record("later", Expected::Any));
        }
        assert_eq!(outcome.expect_err("it was just one").kind(), ErrorKind::Conflict);
        let closed = loader.commit(record("later", Expected::Any)).expect_err("it has ended");
        assert_eq!(closed.kind(), ErrorKind::Closed);
        assert_eq!(loader.finish().expect_err("it has ended").kind(), ErrorKind::Closed);
        assert_eq!(store.engine().stats().records, 1);
    }
}
