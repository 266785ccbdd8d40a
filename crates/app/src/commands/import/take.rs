//! Reads files and puts what becomes of them into batches.

use std::io::{self, Read};

use anyhow::Result;
use cap_fs_ext::{FollowSymlinks, OpenOptionsFollowExt, OpenOptionsSyncExt};
use cap_std::fs::{File, OpenOptions};
use statlas_core::BlobId;
use statlas_store::limits::BLOB_WHOLE_BYTES_MAX;
use statlas_store::{Batch, ErrorKind, Store, StoredFile};

use super::content::Content;
use super::mapping::{self, Mapping};
use super::record;
use super::stamp::Stamp;
use super::version::{self, Next};
use super::walk::{Found, Job, Problem, ProblemKind};
use crate::file_id::FILE;

/// How often a file is read that changes while it is read.
const ATTEMPTS: usize = 2;

/// What became of a job.
#[derive(Default)]
pub(super) struct Taken {
    pub(super) batch: Batch,
    /// Files that the batch names; nobody frees them as long as they are here.
    pub(super) stored: Vec<StoredFile>,
    pub(super) new: u64,
    pub(super) changed: u64,
    pub(super) unchanged: u64,
    pub(super) bytes_read: u64,
    pub(super) problems: Vec<Problem>,
}

/// Takes files; clones work side by side.
#[derive(Clone)]
pub(super) struct Taker {
    store: Store,
    mapping: Mapping,
}

/// A file's content, stored or in the batch.
struct Whole {
    stamp: Stamp,
    /// Whether a change after the reading began would show in the stamp.
    settled: bool,
    content: Content,
    blob: BlobId,
}

/// Why a file is not taken.
enum Refusal {
    /// This file can't be taken, others can.
    File(ProblemKind, Option<String>),
    /// Nothing can be taken.
    All(anyhow::Error),
}

impl From<anyhow::Error> for Refusal {
    fn from(error: anyhow::Error) -> Self {
        Self::All(error)
    }
}

impl From<statlas_store::Error> for Refusal {
    fn from(error: statlas_store::Error) -> Self {
        Self::All(error.into())
    }
}

fn unreadable(error: &io::Error) -> Refusal {
    Refusal::File(ProblemKind::Unreadable, Some(error.to_string()))
}

/// Whether the store met damaged bytes: those of one file, as far as is known.
fn is_damage(error: &anyhow::Error) -> bool {
    let store_error = error.chain().find_map(|cause| cause.downcast_ref::<statlas_store::Error>());
    store_error.is_some_and(|error| error.kind() == ErrorKind::Corrupt)
}

impl Taker {
    pub(super) fn new(store: Store, mapping: Mapping) -> Self {
        Self { store, mapping }
    }

    /// Takes the files of a job.
    pub(super) fn take(&self, job: Job) -> Result<Taken> {
        let mut taken = Taken { problems: job.problems, ..Taken::default() };
        for found in &job.files {
            match self.file(found, &mut taken) {
                Ok(()) => {}
                Err(Refusal::File(kind, cause)) => {
                    taken.problems.push(Problem { kind, path: found.path.clone(), cause });
                }
                Err(Refusal::All(error)) if is_damage(&error) => {
                    let cause = Some(format!("{error:#}"));
                    taken.problems.push(Problem {
                        kind: ProblemKind::Damaged,
                        path: found.path.clone(),
                        cause,
                    });
                }
                Err(Refusal::All(error)) => return Err(error.context(format!("while taking {}", found.path))),
            }
        }
        Ok(taken)
    }

    fn file(&self, found: &Found, taken: &mut Taken) -> Result<(), Refusal> {
        let id = format!("{FILE}{}", found.path);
        let flags = self.mapping.digest();
        if record::is_unchanged(&self.store, &id, &Stamp::of(&found.metadata), flags)? {
            taken.unchanged += 1;
            return Ok(());
        }
        let Whole { stamp, settled, content, blob } = self.content(found, taken)?;
        taken.bytes_read += content.bytes();
        let file = mapping::File { path: &found.path, stamp: &stamp, content: &content, blob };
        let build = |created_at, after| self.mapping.entity(&file, created_at, after);
        let address = match version::next(&self.store, &id, blob, stamp.modified(), build)? {
            Next::New(entity) => {
                taken.new += 1;
                taken.batch.put_entity(entity)
            }
            Next::Changed(entity) => {
                taken.changed += 1;
                taken.batch.put_entity(entity)
            }
            Next::Same(address) => {
                taken.unchanged += 1;
                address
            }
            Next::Refused(error) => return Err(Refusal::File(ProblemKind::Refused, Some(error.to_string()))),
        };
        record::put(&mut taken.batch, &id, record::Facts { stamp: &stamp, settled, flags, address })?;
        Ok(())
    }

    /// Reads a file whole; once more if it changed meanwhile.
    fn content(&self, found: &Found, taken: &mut Taken) -> Result<Whole, Refusal> {
        for _ in 0..ATTEMPTS {
            let mut file = open(found).map_err(|error| unreadable(&error))?;
            let before = file.metadata().map_err(|error| unreadable(&error))?;
            if !before.is_file() {
                return Err(Refusal::File(ProblemKind::Special, None));
            }
            let stamp = Stamp::of(&before);
            let settled = stamp.is_settled();
            let read = if stamp.bytes <= BLOB_WHOLE_BYTES_MAX as u64 {
                Bytes::Small(read_small(&mut file, stamp.bytes).map_err(|error| unreadable(&error))?)
            } else {
                self.stream(file.try_clone().map_err(|error| unreadable(&error))?, stamp.bytes)?
            };
            let after = file.metadata().map_err(|error| unreadable(&error))?;
            if Stamp::of(&after) != stamp || read.bytes() != stamp.bytes {
                continue;
            }
            return Ok(match read {
                Bytes::Small(bytes) => {
                    let content = Content::of(&bytes);
                    Whole { stamp, settled, content, blob: taken.batch.put_blob(bytes) }
                }
                Bytes::Stored(content, stored) => {
                    let blob = stored.id;
                    taken.stored.push(stored);
                    Whole { stamp, settled, content, blob }
                }
            });
        }
        Err(Refusal::File(ProblemKind::Changed, None))
    }

    /// Stores a large file that has `bytes` bytes piece by piece, or one byte more of one that grew: it may
    /// never stop growing.
    fn stream(&self, file: File, bytes: u64) -> Result<Bytes, Refusal> {
        let mut source = Source { file, content: Content::new(), error: None };
        let stored = self.store.files().put(&mut (&mut source).take(bytes + 1));
        match (stored, source.error) {
            (_, Some(error)) => Err(unreadable(&error)),
            (Ok(stored), None) => Ok(Bytes::Stored(source.content, stored)),
            (Err(error), None) => Err(error.into()),
        }
    }
}

/// A file that was read: its bytes, or its place in the store.
enum Bytes {
    Small(Vec<u8>),
    Stored(Content, StoredFile),
}

impl Bytes {
    fn bytes(&self) -> u64 {
        match self {
            Self::Small(bytes) => bytes.len() as u64,
            Self::Stored(content, _) => content.bytes(),
        }
    }
}

/// Opens a file and nothing else: no symbolic link is followed, and a pipe does not make it wait.
fn open(found: &Found) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).follow(FollowSymlinks::No).nonblock(true);
    found.dir.open_with(&found.name, &options)
}

/// Reads a file that has `bytes` bytes, or one more of one that grew.
fn read_small(file: &mut File, bytes: u64) -> io::Result<Vec<u8>> {
    let mut content = Vec::with_capacity(usize::try_from(bytes).unwrap_or(0) + 1);
    file.take(bytes + 1).read_to_end(&mut content)?;
    Ok(content)
}

/// A large file on its way into the store: counts, and keeps its own errors apart from the store's.
struct Source {
    file: File,
    content: Content,
    error: Option<io::Error>,
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.file.read(buffer) {
            Ok(read) => {
                self.content.add(&buffer[..read]);
                Ok(read)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            Err(error) => {
                let copy = io::Error::new(error.kind(), error.to_string());
                self.error = Some(error);
                Err(copy)
            }
        }
    }
}
