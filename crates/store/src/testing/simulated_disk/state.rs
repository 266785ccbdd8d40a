//! What a simulated disk holds: what processes see, what is on the device, and what lies between.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use super::content::Content;

/// The top folder, as the storage names it.
pub(super) const TOP: &str = ".";

/// Names a file whatever it is called.
pub(super) type FileId = u64;

/// A change of a file that the device does not have yet.
#[derive(Debug, Clone)]
pub(super) enum Change {
    Write { offset: usize, bytes: Arc<[u8]> },
    SetLen(usize),
}

impl Change {
    pub(super) fn apply(&self, content: &mut Content) {
        match self {
            Self::Write { offset, bytes } => content.write(*offset, bytes),
            Self::SetLen(len) => content.set_len(*len),
        }
    }
}

/// A file, whatever its name.
#[derive(Debug, Clone, Default)]
pub(super) struct FileState {
    /// What processes see.
    pub(super) visible: Content,
    /// What the device has for sure.
    pub(super) durable: Content,
    /// What was done since, in order.
    pub(super) journal: Vec<Change>,
    /// So many of the first changes were given up by a failed sync: they may have reached the device, and
    /// no later sync writes them.
    pub(super) given_up: usize,
    /// Whether a sync has left out changes that were given up, so that processes see what the device lacks.
    differs: bool,
}

impl FileState {
    /// A file of which the device has all.
    pub(super) fn settled(content: Content) -> Self {
        Self { visible: content.clone(), durable: content, ..Self::default() }
    }

    pub(super) fn change(&mut self, change: Change) {
        change.apply(&mut self.visible);
        self.journal.push(change);
    }

    /// What was not synced is gone, as after a failed sync whose pages were dropped; the length stays.
    pub(super) fn forget(&mut self) {
        let len = self.visible.len();
        self.visible = self.durable.clone();
        self.journal.clear();
        (self.given_up, self.differs) = (0, false);
        self.change(Change::SetLen(len));
    }

    /// Whether the device has all that processes see.
    pub(super) fn is_synced(&self) -> bool {
        self.journal.is_empty() && !self.differs
    }

    pub(super) fn sync(&mut self) {
        let given_up = std::mem::take(&mut self.given_up);
        self.differs |= given_up > 0;
        if self.differs {
            for change in self.journal.drain(..).skip(given_up) {
                change.apply(&mut self.durable);
            }
        } else {
            self.journal.clear();
            self.durable = self.visible.clone();
        }
    }
}

/// What a name in a folder stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Entry {
    File(FileId),
    Folder,
}

/// A change of a folder that the device does not have yet.
#[derive(Debug, Clone)]
pub(super) enum NameChange {
    Add(String, Entry),
    Move { from: String, to: String, entry: Entry },
    Remove(String),
}

pub(super) type Names = BTreeMap<String, Entry>;

impl NameChange {
    pub(super) fn apply(&self, names: &mut Names) {
        match self {
            Self::Add(name, entry) => {
                names.insert(name.clone(), *entry);
            }
            Self::Move { from, to, entry } => {
                // Where the creation was lost and the move was not, only the new name appears.
                if names.get(from) == Some(entry) {
                    names.remove(from);
                }
                names.insert(to.clone(), *entry);
            }
            Self::Remove(name) => {
                names.remove(name);
            }
        }
    }
}

/// A folder: names as processes see them, as the device has them, and what was done since.
#[derive(Debug, Clone, Default)]
pub(super) struct FolderState {
    pub(super) visible: Names,
    pub(super) durable: Names,
    pub(super) journal: Vec<NameChange>,
}

impl FolderState {
    fn change(&mut self, change: NameChange) {
        change.apply(&mut self.visible);
        self.journal.push(change);
    }
}

/// All of a disk. A copy costs a reference per file.
#[derive(Debug, Clone)]
pub(super) struct State {
    pub(super) files: BTreeMap<FileId, Arc<FileState>>,
    /// By name; one that is not in the top folder is not there.
    pub(super) folders: BTreeMap<String, Arc<FolderState>>,
    next_file: FileId,
}

impl Default for State {
    fn default() -> Self {
        let folders = BTreeMap::from([(TOP.to_owned(), Arc::default())]);
        Self { files: BTreeMap::new(), folders, next_file: 0 }
    }
}

/// The folder and the name in it.
fn split(name: &str) -> (&str, &str) {
    name.rsplit_once('/').unwrap_or((TOP, name))
}

fn not_found(name: &str) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("{name}: no such file or folder"))
}

impl State {
    /// A folder that is there.
    fn folder(&self, name: &str) -> io::Result<&FolderState> {
        let is_there = name == TOP || self.folders[TOP].visible.get(name) == Some(&Entry::Folder);
        let folder = self.folders.get(name).filter(|_| is_there);
        folder.map(|folder| &**folder).ok_or_else(|| not_found(name))
    }

    fn folder_mut(&mut self, name: &str) -> io::Result<&mut FolderState> {
        self.folder(name)?;
        self.folders.get_mut(name).map(Arc::make_mut).ok_or_else(|| not_found(name))
    }

    fn entry(&self, name: &str) -> io::Result<Entry> {
        let (folder, name) = split(name);
        self.folder(folder)?.visible.get(name).copied().ok_or_else(|| not_found(name))
    }

    /// The file with a name.
    pub(super) fn find(&self, name: &str) -> io::Result<FileId> {
        match self.entry(name)? {
            Entry::File(id) => Ok(id),
            Entry::Folder => Err(io::ErrorKind::IsADirectory.into()),
        }
    }

    pub(super) fn file(&self, id: FileId) -> &FileState {
        &self.files[&id]
    }

    /// A file to be changed; every file that was ever named stays, as open ones do.
    pub(super) fn file_mut(&mut self, id: FileId) -> &mut FileState {
        Arc::make_mut(self.files.entry(id).or_default())
    }

    pub(super) fn create(&mut self, name: &str) -> io::Result<FileId> {
        let id = self.next_file;
        let (folder, name) = split(name);
        self.folder_mut(folder)?.change(NameChange::Add(name.to_owned(), Entry::File(id)));
        self.next_file += 1;
        self.files.insert(id, Arc::default());
        Ok(id)
    }

    /// Gives a file another name in the same folder.
    pub(super) fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        let entry = self.entry(from)?;
        let ((folder, from), (other, to)) = (split(from), split(to));
        if folder != other {
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "the simulated disk renames in one folder",
            ));
        }
        self.folder_mut(folder)?.change(NameChange::Move { from: from.to_owned(), to: to.to_owned(), entry });
        Ok(())
    }

    pub(super) fn remove(&mut self, name: &str) -> io::Result<()> {
        self.find(name)?;
        let (folder, name) = split(name);
        self.folder_mut(folder)?.change(NameChange::Remove(name.to_owned()));
        Ok(())
    }

    pub(super) fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        Ok(self.folder(folder)?.visible.keys().cloned().collect())
    }

    pub(super) fn create_folder(&mut self, name: &str) -> io::Result<()> {
        match self.entry(name) {
            Ok(Entry::Folder) => Ok(()),
            Ok(Entry::File(_)) => Err(io::ErrorKind::AlreadyExists.into()),
            Err(_) => {
                self.folder_mut(TOP)?.change(NameChange::Add(name.to_owned(), Entry::Folder));
                self.folders.insert(name.to_owned(), Arc::default());
                Ok(())
            }
        }
    }

    pub(super) fn sync_folder(&mut self, name: &str) -> io::Result<()> {
        let folder = self.folder_mut(name)?;
        folder.durable = folder.visible.clone();
        folder.journal.clear();
        Ok(())
    }

    /// Makes all names durable.
    pub(super) fn settle_names(&mut self) {
        for folder in self.folders.values_mut().map(Arc::make_mut) {
            folder.durable = folder.visible.clone();
            folder.journal.clear();
        }
    }

    /// Whether the device has all that processes see.
    pub(super) fn is_synced(&self) -> bool {
        self.files.values().all(|file| file.is_synced())
            && self.folders.values().all(|folder| folder.journal.is_empty())
    }

    /// The names of all files, with their folders.
    pub(super) fn names(&self) -> Vec<String> {
        let mut names = Vec::new();
        for (folder, entry) in &self.folders {
            let is_there = self.folder(folder).is_ok();
            let files = entry.visible.iter().filter(|(_, entry)| is_there && matches!(entry, Entry::File(_)));
            let prefix = if folder == TOP { String::new() } else { format!("{folder}/") };
            names.extend(files.map(|(name, _)| format!("{prefix}{name}")));
        }
        names
    }
}
