//! A simulated disk on which something happens when a file is about to get its name.

use std::io;

use super::{Storage, StorageFile};
use crate::testing::SimulatedDisk;

/// What happens; it is told the present name.
type Hook = Box<dyn Fn(&str) + Send + Sync>;

pub(in crate::engine::disk) struct Hooked {
    disk: SimulatedDisk,
    on_rename: Hook,
}

impl Hooked {
    pub(in crate::engine::disk) fn new(disk: &SimulatedDisk, on_rename: Hook) -> Self {
        Self { disk: disk.clone(), on_rename }
    }
}

impl Storage for Hooked {
    fn open(&self, name: &str, create: bool) -> io::Result<Box<dyn StorageFile>> {
        self.disk.open(name, create)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        (self.on_rename)(from);
        self.disk.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.disk.remove(name)
    }

    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        self.disk.list(folder)
    }

    fn create_folder(&self, name: &str) -> io::Result<()> {
        self.disk.create_folder(name)
    }

    fn sync_folder(&self, name: &str) -> io::Result<()> {
        self.disk.sync_folder(name)
    }

    fn new_store_id(&self) -> [u8; 16] {
        self.disk.new_store_id()
    }
}
