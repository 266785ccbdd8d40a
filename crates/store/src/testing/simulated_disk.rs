//! A disk in memory that loses, tears and refuses what a real one may, and nothing else.
//!
//! It promises what a file system promises at most: a sync makes the content of one file durable, the sync
//! of a folder its names, and nothing else is durable. [`SimulatedDisk::crash`] gives what a power cut may
//! leave of the rest; a [`Plan`] makes calls fail. The same calls and the same random numbers always give
//! the same disk: there is no clock and no chance in it. Folders lie in the top folder, files are renamed
//! within their folder. What reading costs, and access rights, are not simulated.

mod aside;
mod call;
mod content;
mod crash;
mod state;
#[cfg(test)]
mod tests;

use std::io;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;

pub(crate) use self::aside::Aside;
use self::call::Calls;
pub use self::call::{Call, Fault, Operation, Plan};
use self::content::Content;
pub use self::crash::Crash;
use self::state::{Change, FileId, FileState, State};
use super::Random;
use crate::budget::{Budget, Refusals};
use crate::engine::disk::DiskEngine;
use crate::engine::disk::storage::{Mapping, Storage, StorageFile};
use crate::error::Result;
use crate::store::{Options, Store};

/// A disk as one process sees it. Clones are the same disk.
#[derive(Clone)]
pub struct SimulatedDisk {
    shared: Arc<Mutex<Shared>>,
    /// Which of the processes that had the disk this one is.
    life: u32,
    refusals: Arc<Refusals>,
}

struct Shared {
    state: State,
    calls: Calls,
    /// The state after each call that changed something, if it is noted.
    moments: Option<Vec<State>>,
    life: u32,
}

impl Default for SimulatedDisk {
    fn default() -> Self {
        Self::of(State::default())
    }
}

impl SimulatedDisk {
    /// An empty disk.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn of(state: State) -> Self {
        let shared = Shared { state, calls: Calls::default(), moments: None, life: 0 };
        Self { shared: Arc::new(Mutex::new(shared)), life: 0, refusals: Arc::default() }
    }

    /// Opens or makes the store that fills the disk.
    ///
    /// # Errors
    ///
    /// As for a store in a directory.
    pub fn open_store(&self, options: &Options) -> Result<Store> {
        Ok(Store::with_engine(self.open_engine(options)?))
    }

    /// As [`SimulatedDisk::open_store`], without the store around its engine.
    pub(crate) fn open_engine(&self, options: &Options) -> Result<Arc<DiskEngine>> {
        let path = Path::new("simulated");
        let bytes_max = Budget::bytes_for(options.memory_bytes_max)?;
        let budget = Budget::with_refusals(bytes_max, Arc::clone(&self.refusals));
        DiskEngine::with_budget(Box::new(self.clone()), path, None, options, budget).map(Arc::new)
    }

    /// Which reservations of memory are refused to stores on this disk.
    pub(crate) fn refusals(&self) -> &Refusals {
        &self.refusals
    }

    /// A disk with what is left of this one after a crash now.
    #[must_use]
    pub fn crash(&self, crash: Crash, random: &mut Random) -> Self {
        Self::of(self.shared.lock().state.crash(crash, random))
    }

    /// Ends the process: its calls fail from now on, and the disk goes on for the next one.
    #[must_use]
    pub fn kill(&self) -> Self {
        let mut shared = self.shared.lock();
        shared.life += 1;
        Self { shared: Arc::clone(&self.shared), life: shared.life, refusals: Arc::clone(&self.refusals) }
    }

    /// Makes calls fail, or none any more.
    pub fn plan(&self, plan: Option<Plan>) {
        self.shared.lock().calls.plan(plan);
    }

    /// Whether the plan has made a call fail.
    #[must_use]
    pub fn has_struck(&self) -> bool {
        self.shared.lock().calls.has_struck()
    }

    /// Makes every later sync of a file, or of a folder, say that it was done though nothing was.
    pub fn lie_about_syncs(&self, of_files: bool, of_folders: bool) {
        let calls = &mut self.shared.lock().calls;
        (calls.syncs_lie, calls.folder_syncs_lie) = (of_files, of_folders);
    }

    /// Every call that was made so far.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        let counts = self.shared.lock().calls.all();
        let calls = counts.into_iter().flat_map(|(name, operation, count)| {
            (0..count).map(move |number| Call { name: name.clone(), operation, number })
        });
        calls.collect()
    }

    /// The names of all files, in order.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.shared.lock().state.names()
    }

    /// What a process would read from a file.
    #[must_use]
    pub fn content(&self, name: &str) -> Option<Vec<u8>> {
        let state = &self.shared.lock().state;
        state.find(name).ok().map(|id| state.file(id).visible.to_vec())
    }

    /// Puts a file on the device, or takes it away, as if it had always been so.
    ///
    /// # Panics
    ///
    /// If its folder is not there.
    pub fn set_content(&self, name: &str, bytes: Option<&[u8]>) {
        let state = &mut self.shared.lock().state;
        let Some(bytes) = bytes else {
            if state.find(name).is_ok() {
                state.remove(name).expect("the file is there");
                state.settle_names();
            }
            return;
        };
        let id = state.find(name).or_else(|_| state.create(name)).expect("the folder is there");
        *state.file_mut(id) = FileState::settled(Content::from(bytes));
        state.settle_names();
    }

    /// Changes one byte on the device; as cheap as the page that it is in.
    ///
    /// # Panics
    ///
    /// If the file is not there or not so long.
    pub fn flip(&self, name: &str, offset: usize, mask: u8) {
        let state = &mut self.shared.lock().state;
        let id = state.find(name).expect("the file is there");
        let file = state.file_mut(id);
        for content in [&mut file.visible, &mut file.durable] {
            let mut byte = [0];
            assert_eq!(content.read(offset, &mut byte), 1, "the byte is in the file");
            content.write(offset, &[byte[0] ^ mask]);
        }
    }

    /// Notes the state after every call that changes something, from now on, beginning with the present one.
    pub fn note_moments(&self) {
        let shared = &mut *self.shared.lock();
        shared.moments = Some(vec![shared.state.clone()]);
    }

    /// How many states were noted.
    #[must_use]
    pub fn moments(&self) -> usize {
        self.shared.lock().moments.as_ref().map_or(0, Vec::len)
    }

    /// The states that were noted; no more are.
    #[must_use]
    pub fn take_moments(&self) -> Vec<Moment> {
        let moments = self.shared.lock().moments.take();
        moments.unwrap_or_default().into_iter().map(Moment).collect()
    }

    /// Makes a call of this process. One that is struck changes nothing and fails, unless the fault is about
    /// what is changed: then the work is told.
    fn call<T>(
        &self,
        name: &str,
        operation: Operation,
        work: impl FnOnce(&mut State, Option<Fault>) -> io::Result<T>,
    ) -> io::Result<T> {
        let shared = &mut *self.shared.lock();
        if shared.life != self.life {
            return Err(io::Error::other("the process was killed"));
        }
        let done = match shared.calls.count(name, operation) {
            Some(fault) if !fault.is_partial() => Err(fault.error()),
            fault => work(&mut shared.state, fault),
        };
        if let Some(moments) = &mut shared.moments
            && operation.changes()
        {
            moments.push(shared.state.clone());
        }
        done
    }
}

/// A disk as it was at some time.
#[derive(Clone)]
pub struct Moment(State);

impl Moment {
    /// Whether nothing can be lost by a power cut.
    #[must_use]
    pub fn is_synced(&self) -> bool {
        self.0.is_synced()
    }

    /// What is left after a crash.
    #[must_use]
    pub fn crash(&self, crash: Crash, random: &mut Random) -> SimulatedDisk {
        SimulatedDisk::of(self.0.crash(crash, random))
    }
}

impl Storage for SimulatedDisk {
    fn open(&self, name: &str, create: bool) -> io::Result<Box<dyn StorageFile>> {
        // Only a call that makes the file can find the device full.
        let is_new = create && self.shared.lock().state.find(name).is_err();
        let operation = if is_new { Operation::Create } else { Operation::Open };
        let id = self.call(
            name,
            operation,
            |state, _| {
                if is_new { state.create(name) } else { state.find(name) }
            },
        )?;
        Ok(Box::new(SimulatedFile { disk: self.clone(), id, name: name.into() }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.call(from, Operation::Rename, |state, _| state.rename(from, to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.call(name, Operation::Remove, |state, _| state.remove(name))
    }

    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        self.call(folder, Operation::List, |state, _| state.list(folder))
    }

    fn create_folder(&self, name: &str) -> io::Result<()> {
        self.call(name, Operation::CreateFolder, |state, _| state.create_folder(name))
    }

    fn new_store_id(&self) -> [u8; 16] {
        // That of every store on such a disk, so that the same calls leave the same bytes.
        [1; 16]
    }

    fn sync_folder(&self, name: &str) -> io::Result<()> {
        self.call(name, Operation::SyncFolder, |state, fault| match fault {
            Some(_) => Ok(()),
            None => state.sync_folder(name),
        })
    }
}

/// An open file of one process.
struct SimulatedFile {
    disk: SimulatedDisk,
    id: FileId,
    /// The name that it was opened by.
    name: Arc<str>,
}

impl StorageFile for SimulatedFile {
    fn len(&self) -> io::Result<u64> {
        self.disk.call(&self.name, Operation::Len, |state, _| Ok(state.file(self.id).visible.len() as u64))
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        let change = Change::SetLen(bytes as usize);
        self.disk.call(&self.name, Operation::SetLen, |state, _| {
            state.file_mut(self.id).change(change);
            Ok(())
        })
    }

    fn pwrite(&self, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        self.disk.call(&self.name, Operation::Write, |state, fault| {
            let bytes = if fault.is_some() { &bytes[..bytes.len().div_ceil(2)] } else { bytes };
            if !bytes.is_empty() {
                let change = Change::Write { offset: offset as usize, bytes: bytes.into() };
                state.file_mut(self.id).change(change);
            }
            Ok(bytes.len())
        })
    }

    fn pread(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.disk.call(&self.name, Operation::Read, |state, fault| {
            let count = if fault.is_some() { buffer.len().div_ceil(2) } else { buffer.len() };
            Ok(state.file(self.id).visible.read(offset as usize, &mut buffer[..count]))
        })
    }

    fn sync(&self) -> io::Result<()> {
        self.disk.call(&self.name, Operation::Sync, |state, fault| {
            let file = state.file_mut(self.id);
            match fault {
                None => file.sync(),
                Some(Fault::Lie) => return Ok(()),
                Some(Fault::SyncLost) => file.forget(),
                Some(Fault::SyncKept) => file.given_up = file.journal.len(),
                Some(_) => {}
            }
            fault.map_or(Ok(()), |fault| Err(fault.error()))
        })
    }

    fn map(&self, bytes: usize) -> io::Result<Box<dyn Mapping>> {
        self.disk.call(&self.name, Operation::Map, |_, _| Ok(()))?;
        let (disk, id) = (self.disk.clone(), self.id);
        Ok(Box::new(SimulatedMapping { disk, id, bytes, whole: OnceLock::new() }))
    }
}

/// A mapped file; it shows what is written later.
struct SimulatedMapping {
    disk: SimulatedDisk,
    id: FileId,
    bytes: usize,
    /// What the file held when all of it was first asked for.
    whole: OnceLock<Vec<u8>>,
}

impl Mapping for SimulatedMapping {
    fn read(&self, offset: usize, bytes: usize, buffer: &mut Vec<u8>) {
        assert!(offset + bytes <= self.bytes, "a read behind the end of a mapping");
        buffer.clear();
        buffer.resize(bytes, 0);
        let read = self.disk.shared.lock().state.file(self.id).visible.read(offset, buffer);
        // A real process would be ended by the system.
        assert_eq!(read, bytes, "SIGBUS: a read behind the end of a mapped file, at {offset}");
    }

    fn touch(&self, offset: usize, bytes: usize) {
        let end = self.disk.shared.lock().state.file(self.id).visible.len();
        assert!(bytes == 0 || offset + bytes <= end, "SIGBUS: a mapped file is touched behind its end");
    }

    fn bytes(&self) -> &[u8] {
        self.whole.get_or_init(|| {
            let mut bytes = self.disk.shared.lock().state.file(self.id).visible.to_vec();
            assert!(bytes.len() >= self.bytes, "SIGBUS: a file is mapped beyond its end and read as a whole");
            bytes.truncate(self.bytes);
            bytes
        })
    }
}
