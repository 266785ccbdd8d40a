//! What lies beside a store on a simulated disk.

use std::io;

use super::SimulatedDisk;
use crate::engine::disk::storage::{Storage, StorageFile};

/// A storage in folders of its own on a disk that a store fills, so that the same crash hits both.
#[derive(Clone)]
pub(crate) struct Aside(SimulatedDisk);

/// What the names of its folders begin with.
const ASIDE: &str = "aside";

impl Aside {
    /// The storage beside the store on a disk. Its top folder is made when it is first written to.
    pub(crate) fn of(disk: &SimulatedDisk) -> Self {
        Self(disk.clone())
    }

    /// Whether a file or folder of the disk is one of these.
    pub(crate) fn has(name: &str) -> bool {
        name.starts_with(ASIDE)
    }

    fn folder(name: &str) -> String {
        if name == "." { ASIDE.to_owned() } else { format!("{ASIDE}-{name}") }
    }

    fn file(name: &str) -> String {
        let (folder, file) = name.rsplit_once('/').unwrap_or((".", name));
        format!("{}/{file}", Self::folder(folder))
    }
}

impl Storage for Aside {
    fn open(&self, name: &str, create: bool) -> io::Result<Box<dyn StorageFile>> {
        if create {
            self.0.create_folder(ASIDE)?;
        }
        self.0.open(&Self::file(name), create)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.0.rename(&Self::file(from), &Self::file(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.0.remove(&Self::file(name))
    }

    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        self.0.list(&Self::folder(folder))
    }

    fn create_folder(&self, name: &str) -> io::Result<()> {
        self.0.create_folder(&Self::folder(name))
    }

    fn sync_folder(&self, name: &str) -> io::Result<()> {
        if name == "." {
            // Its folders stand beside each other in the top folder of the disk.
            self.0.sync_folder(".")?;
        }
        self.0.sync_folder(&Self::folder(name))
    }

    fn new_store_id(&self) -> [u8; 16] {
        self.0.new_store_id()
    }
}
