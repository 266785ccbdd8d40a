//! Walks a directory tree without ever leaving it.
//!
//! Directories are opened one name at a time, relative to the one above and without following symbolic
//! links, so that nothing outside can be reached, even if the tree changes meanwhile.

use std::ffi::OsString;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use cap_fs_ext::{DirExt, MetadataExt};
use cap_std::ambient_authority;
use cap_std::fs::{Dir, FileType, Metadata};
use serde_json::{Value, json};
use statlas_core::limits::ID_BYTES_MAX;
use statlas_store::Location;
use statlas_store::limits::BLOB_WHOLE_BYTES_MAX;

use crate::failure::Failure;
use crate::file_id::{FILE, encode};

/// Files in one job, which becomes one batch.
const JOB_FILES_MAX: usize = 1024;
/// Bytes of files in one job if there is memory, but for a larger one that comes alone.
pub(super) const JOB_BYTES_MAX: usize = 8 << 20;
/// What is held for a file beside its bytes until it is stored: where it was found, its entity and its record.
const FILE_HELD_BYTES: u64 = 2 << 10;
/// What is held of a large file, which is stored in pieces.
const LARGE_FILE_HELD_BYTES: u64 = 16 << 20;
/// Directories that the files of one job lie in; each is held open until the job is done.
const JOB_DIRECTORIES_MAX: usize = 64;

/// A regular file that was seen.
pub(super) struct Found {
    pub(super) dir: Arc<Dir>,
    pub(super) name: OsString,
    /// The encoded path, prefix included.
    pub(super) path: String,
    pub(super) metadata: Metadata,
}

/// Some files, and what was left out on the way to them.
#[derive(Default)]
pub(crate) struct Job {
    pub(super) files: Vec<Found>,
    pub(super) problems: Vec<Problem>,
    /// What is held for them until they are stored.
    bytes: u64,
    directories: usize,
}

impl Job {
    /// How many bytes are held for it until it is stored.
    pub(super) fn bytes_held(&self) -> u64 {
        self.bytes
    }
}

/// Something that is not stored, and why.
#[derive(Debug)]
pub(crate) struct Problem {
    pub(crate) kind: ProblemKind,
    /// The encoded path.
    pub(crate) path: String,
    /// What the operating system or the store said.
    pub(crate) cause: Option<String>,
}

/// Why something is not stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ProblemKind {
    /// It is a symbolic link.
    Symlink,
    /// It is a socket, a pipe or a device.
    Special,
    /// It is the store itself.
    Store,
    /// It could not be read.
    Unreadable,
    /// It changed while it was read, twice.
    Changed,
    /// An entity for it would break a rule.
    Refused,
    /// What the store has of it is damaged.
    Damaged,
}

impl ProblemKind {
    pub(super) const ALL: [Self; 7] = [
        Self::Symlink,
        Self::Special,
        Self::Store,
        Self::Unreadable,
        Self::Changed,
        Self::Refused,
        Self::Damaged,
    ];

    /// The name in machine-readable output.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Symlink => "symlink",
            Self::Special => "special",
            Self::Store => "store",
            Self::Unreadable => "unreadable",
            Self::Changed => "changed",
            Self::Refused => "refused",
            Self::Damaged => "damaged",
        }
    }

    /// The sentence for people.
    pub(super) const fn meaning(self) -> &'static str {
        match self {
            Self::Symlink => "symbolic links, not followed",
            Self::Special => "sockets, pipes or devices, left out",
            Self::Store => "the store itself, left out",
            Self::Unreadable => "could not be read",
            Self::Changed => "changed while being read, twice",
            Self::Refused => "refused by a rule",
            Self::Damaged => "not stored, because what the store has of them is damaged; see `statlas check`",
        }
    }

    /// Whether it should have been stored.
    pub(super) const fn is_failure(self) -> bool {
        matches!(self, Self::Unreadable | Self::Changed | Self::Refused | Self::Damaged)
    }
}

impl Problem {
    pub(super) fn new(kind: ProblemKind, path: &str, cause: Option<&dyn fmt::Display>) -> Self {
        Self { kind, path: path.to_owned(), cause: cause.map(ToString::to_string) }
    }

    pub(super) fn to_json(&self) -> Value {
        json!({"kind": self.kind.as_str(), "path": self.path, "cause": self.cause})
    }

    /// The cause, to be put after the path.
    pub(super) fn detail(&self) -> String {
        self.cause.as_ref().map(|cause| format!(": {cause}")).unwrap_or_default()
    }
}

/// A directory that is going to be walked.
pub(crate) struct Walk {
    root: Dir,
    /// Device and inode of the store's directory.
    store: Option<(u64, u64)>,
}

impl Walk {
    /// Opens the directory.
    pub(super) fn new(dir: &Path) -> Result<Self> {
        let name = dir.display();
        let metadata = dir.metadata().with_context(|| format!("cannot open {name}"))?;
        if !metadata.is_dir() {
            return Err(Failure::usage(format!("{name} is no directory")).into());
        }
        let root =
            Dir::open_ambient_dir(dir, ambient_authority()).with_context(|| format!("cannot open {name}"))?;
        Ok(Self { root, store: None })
    }

    /// Leaves out the directory of a store that is open.
    pub(super) fn except(self, store: &Location) -> Self {
        Self { store: store_directory(store), ..self }
    }

    /// Hands out jobs of at most so many bytes in a fixed order until `push` returns false.
    pub(super) fn run(self, prefix: &str, job_bytes_max: u64, push: &mut dyn FnMut(Job) -> bool) {
        let mut steps = Steps { store: self.store, job: Job::default(), job_bytes_max, push, stopped: false };
        steps.directory(Arc::new(self.root), prefix);
        if !steps.stopped {
            steps.push_job();
        }
    }
}

/// Device and inode of a store's directory, if it has one.
pub(crate) fn store_directory(location: &Location) -> Option<(u64, u64)> {
    let Location::Disk(path) = location else { return None };
    identity(path)
}

/// Device and inode of a directory; `None` if it can't be opened.
pub(crate) fn identity(path: &Path) -> Option<(u64, u64)> {
    let dir = Dir::open_ambient_dir(path, ambient_authority()).ok()?;
    let metadata = dir.dir_metadata().ok()?;
    Some((metadata.dev(), metadata.ino()))
}

struct Steps<'a> {
    store: Option<(u64, u64)>,
    job: Job,
    job_bytes_max: u64,
    push: &'a mut dyn FnMut(Job) -> bool,
    stopped: bool,
}

impl Steps<'_> {
    /// Walks one directory: its files first, then the directories in it, each by name.
    fn directory(&mut self, dir: Arc<Dir>, path: &str) {
        match dir.dir_metadata() {
            Ok(metadata) if self.store == Some((metadata.dev(), metadata.ino())) => {
                self.problem(ProblemKind::Store, path, None);
                return;
            }
            Ok(_) => {}
            Err(error) => return self.problem(ProblemKind::Unreadable, path, Some(&error)),
        }
        self.job.directories += 1;
        let mut directories = Vec::new();
        for (name, kind) in self.entries(&dir, path) {
            let path = join(path, &encode(&name));
            if self.stopped {
                return;
            }
            if FILE.len() + path.len() > ID_BYTES_MAX {
                let cause = format!("the id would have more than {ID_BYTES_MAX} bytes");
                self.problem(ProblemKind::Refused, &path, Some(&cause));
            } else if kind.is_dir() {
                directories.push((name, path));
            } else if kind.is_file() {
                self.file(&dir, name, path);
            } else {
                let kind = if kind.is_symlink() { ProblemKind::Symlink } else { ProblemKind::Special };
                self.problem(kind, &path, None);
            }
        }
        for (name, path) in directories {
            if self.stopped {
                return;
            }
            match dir.open_dir_nofollow(&name) {
                Ok(inner) => self.directory(Arc::new(inner), &path),
                Err(error) => self.problem(ProblemKind::Unreadable, &path, Some(&error)),
            }
        }
    }

    fn entries(&mut self, dir: &Dir, path: &str) -> Vec<(OsString, FileType)> {
        let mut entries = Vec::new();
        match dir.entries() {
            Ok(list) => {
                for entry in list {
                    match entry.and_then(|entry| Ok((entry.file_name(), entry.file_type()?))) {
                        Ok(entry) => entries.push(entry),
                        Err(error) => self.problem(ProblemKind::Unreadable, path, Some(&error)),
                    }
                }
            }
            Err(error) => self.problem(ProblemKind::Unreadable, path, Some(&error)),
        }
        entries.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        entries
    }

    fn file(&mut self, dir: &Arc<Dir>, name: OsString, path: String) {
        let metadata = match dir.symlink_metadata(&name) {
            Ok(metadata) if metadata.is_file() => metadata,
            // It was replaced since the directory was read.
            Ok(_) => return self.problem(ProblemKind::Special, &path, None),
            Err(error) => return self.problem(ProblemKind::Unreadable, &path, Some(&error)),
        };
        let is_large = metadata.len() > BLOB_WHOLE_BYTES_MAX as u64;
        let bytes = if is_large { LARGE_FILE_HELD_BYTES } else { metadata.len() + FILE_HELD_BYTES };
        let is_full = self.job.files.len() == JOB_FILES_MAX
            || self.job.directories > JOB_DIRECTORIES_MAX
            || self.job.bytes + bytes > self.job_bytes_max;
        if (is_large || is_full) && !self.job.files.is_empty() {
            self.push_job();
            self.job.directories = 1;
        }
        self.job.bytes += bytes;
        self.job.files.push(Found { dir: Arc::clone(dir), name, path, metadata });
        if is_large {
            self.push_job();
            self.job.directories = 1;
        }
    }

    fn problem(&mut self, kind: ProblemKind, path: &str, cause: Option<&dyn fmt::Display>) {
        self.job.problems.push(Problem::new(kind, path, cause));
    }

    fn push_job(&mut self) {
        self.stopped |= !(self.push)(std::mem::take(&mut self.job));
    }
}

fn join(parent: &str, name: &str) -> String {
    if parent.is_empty() { name.to_owned() } else { format!("{parent}/{name}") }
}
