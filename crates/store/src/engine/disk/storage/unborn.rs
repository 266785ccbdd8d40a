//! A store that is not there yet.

use std::io;

use super::{Storage, StorageFile};
use crate::engine::disk::HEADER_NAME;

/// A storage in which a store that is being made has its file `STATLAS` under another name: without that file nobody
/// else takes it for a store, whatever ends the making of it.
pub(in crate::engine::disk) struct Unborn<S> {
    storage: S,
    mark: &'static str,
}

impl<S: Storage> Unborn<S> {
    pub(in crate::engine::disk) fn new(storage: S, mark: &'static str) -> Self {
        Self { storage, mark }
    }

    fn name<'a>(&self, name: &'a str) -> &'a str {
        if name == HEADER_NAME { self.mark } else { name }
    }
}

/// Makes it a store, for good.
pub(in crate::engine::disk) fn bear(storage: &dyn Storage, mark: &str) -> io::Result<()> {
    storage.rename(mark, HEADER_NAME)?;
    storage.sync_folder(".")
}

impl<S: Storage> Storage for Unborn<S> {
    fn open(&self, name: &str, create: bool) -> io::Result<Box<dyn StorageFile>> {
        self.storage.open(self.name(name), create)
    }

    fn open_to_read(&self, name: &str) -> io::Result<Box<dyn StorageFile>> {
        self.storage.open_to_read(self.name(name))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.storage.rename(self.name(from), self.name(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.storage.remove(self.name(name))
    }

    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        self.storage.list(folder)
    }

    fn create_folder(&self, name: &str) -> io::Result<()> {
        self.storage.create_folder(name)
    }

    fn sync_folder(&self, name: &str) -> io::Result<()> {
        self.storage.sync_folder(name)
    }

    fn new_store_id(&self) -> [u8; 16] {
        self.storage.new_store_id()
    }
}
