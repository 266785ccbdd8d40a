//! Files as blobs: streamed in and out, large ones in content-defined chunks that are shared.
//!
//! A file's name is the SHA-256 of its bytes. A file of up to [`BLOB_WHOLE_BYTES_MAX`] bytes is one blob.
//! A larger one is cut where its content says so; each chunk is a blob under its own SHA-256, and the list
//! of them, the manifest, is stored under the SHA-256 of the whole. Files that differ a little share the
//! chunks in which they do not differ.
//!
//! Promises: every byte that is read back has the SHA-256 of its chunk, or of the file if it is small; a
//! manifest is guarded by the checksum of the engine alone. Storing takes less than 40 MB of buffers and
//! about 120 bytes for each chunk, whatever the size. A file is there as a whole or not at all: a process that
//! dies while it stores one leaves chunks that nothing refers to, and nothing else.
//!
//! Chunks that no manifest names and files that no entity names are freed by [`Engine::free_blobs`], beside
//! whoever stores files that share them.
//!
//! Left out: names and times of files, which entities hold. Removing a blob by its id while a file that shares
//! it is being stored can leave that file without it, which reading it reports.

mod chunker;
mod manifest;
mod reader;

use std::collections::HashSet;
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use sha2::{Digest, Sha256};
use statlas_core::BlobId;

use self::chunker::Chunker;
use self::manifest::ManifestWriter;
pub(crate) use self::manifest::chunk_ids;
#[cfg(feature = "testing")]
pub(crate) use self::manifest::manifest_of;
#[cfg(feature = "faults")]
pub(crate) use self::manifest::parse as parse_manifest;
pub use self::reader::FileReader;
use crate::batch::{Batch, BlobForm};
use crate::engine::{Durability, Engine, Pinned};
use crate::error::{Error, ErrorKind, Result};
use crate::limits::{BLOB_WHOLE_BYTES_MAX, CHUNKS_MAX};

/// Chunks are stored in batches of about this size.
const CHUNK_BATCH_BYTES: usize = 2 << 20;
/// Chunks that may wait for being stored; each has at most 1 MiB.
const CHUNKS_QUEUED: usize = 8;

/// What storing a file did. As long as it is there the file stays, though no entity names it:
/// [`Engine::free_blobs`] leaves it alone. So keep it until the entity is stored that names the file.
#[derive(Debug, Clone)]
pub struct StoredFile {
    /// The SHA-256 of its bytes.
    pub id: BlobId,
    /// Its length in bytes.
    pub bytes: u64,
    /// How many of them had to be stored; the others were there.
    pub bytes_new: u64,
    _pinned: Arc<Pinned>,
}

impl PartialEq for StoredFile {
    /// Whether both say the same of a file.
    fn eq(&self, other: &Self) -> bool {
        (self.id, self.bytes, self.bytes_new) == (other.id, other.bytes, other.bytes_new)
    }
}

impl Eq for StoredFile {}

/// The files of a store.
#[derive(Clone, Copy)]
pub struct Files<'a> {
    engine: &'a dyn Engine,
    durability: Durability,
}

impl<'a> Files<'a> {
    pub(crate) fn new(engine: &'a dyn Engine, durability: Durability) -> Self {
        Self { engine, durability }
    }

    /// Stores all that `reader` yields, and returns when it is as durable as the store's options ask for.
    ///
    /// The file is read once, in pieces. One that is stored already costs its hashing only.
    ///
    /// # Errors
    ///
    /// What `reader` fails with, as [`ErrorKind::Io`] (or as the store error that it wraps);
    /// [`ErrorKind::Invalid`] for a file of more than [`CHUNKS_MAX`] chunks; otherwise as
    /// [`Engine::commit`]. No file is stored then.
    pub fn put(&self, reader: &mut dyn Read) -> Result<StoredFile> {
        let mut start = Vec::new();
        // A small file is read into what it needs; one byte more tells a large one.
        let taken = (&mut *reader).take(BLOB_WHOLE_BYTES_MAX as u64 + 1).read_to_end(&mut start);
        taken.map_err(cannot_read)?;
        if start.len() > BLOB_WHOLE_BYTES_MAX {
            return self.put_chunked(Chunker::new(start, reader), CHUNKS_MAX);
        }
        let (id, bytes) = (BlobId::of(&start), start.len() as u64);
        let pinned = self.pin(id);
        let mut batch = Batch::new();
        let is_new = BlobForm::Whole.replaces(self.engine.blob_form(&id)?);
        if is_new {
            batch.push_blob(id, BlobForm::Whole, start);
        }
        // One that is there may not be durable yet: a commit without changes waits for those before it.
        self.engine.commit(batch, self.durability)?;
        Ok(StoredFile { id, bytes, bytes_new: if is_new { bytes } else { 0 }, _pinned: pinned })
    }

    /// Pins a file, before anybody asks whether it is there.
    fn pin(&self, id: BlobId) -> Arc<Pinned> {
        let mut pinned = Pinned::new(self.engine.pins());
        pinned.add(id);
        Arc::new(pinned)
    }

    /// This thread reads, cuts and hashes the whole; another one hashes and stores the chunks.
    fn put_chunked(&self, mut chunker: Chunker<'_>, chunks_max: usize) -> Result<StoredFile> {
        let (sender, receiver) = sync_channel(CHUNKS_QUEUED);
        let mut storing = Storing::new(*self, chunks_max);
        let (whole, stored) = thread::scope(|scope| {
            let thread = thread::Builder::new().name("statlas-chunks".to_owned());
            let storing = &mut storing;
            let handle = thread
                .spawn_scoped(scope, move || storing.store_all(&receiver))
                .map_err(|error| Error::io("file: cannot start a thread to store its chunks", error))?;
            let whole = send_chunks(&mut chunker, sender);
            let stored = handle.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            Ok::<_, Error>((whole, stored))
        })?;
        // If storing failed, reading was cut short, so what it returned means nothing.
        stored?;
        storing.finish(whole?)
    }

    /// Opens a stored file, or returns `None` if there is none.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Corrupt`] if a small file's bytes or a large one's manifest are damaged.
    pub fn open(&self, id: &BlobId) -> Result<Option<FileReader<'a>>> {
        let stored = self.engine.blob(id)?;
        stored.map(|blob| FileReader::new(self.engine, *id, blob)).transpose()
    }

    /// Up to `bytes` bytes from `offset` on: fewer at the end of the file, none behind it; `None` if there
    /// is no such file. Reads the chunks that hold them and no others.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Corrupt`] if what must be read is damaged or missing.
    pub fn read_range(&self, id: &BlobId, offset: u64, bytes: usize) -> Result<Option<Vec<u8>>> {
        self.open(id)?.map(|mut file| file.range(offset, bytes)).transpose()
    }

    /// The length of a file in bytes, or `None` if there is none. Reads the manifest of a large file and
    /// all of a small one.
    ///
    /// # Errors
    ///
    /// As [`Files::open`].
    pub fn len(&self, id: &BlobId) -> Result<Option<u64>> {
        Ok(self.open(id)?.map(|file| file.len()))
    }
}

fn cannot_read(error: io::Error) -> Error {
    match error.downcast::<Error>() {
        Ok(error) => error,
        Err(error) => Error::io("file: cannot read what is to be stored", error),
    }
}

/// Sends every chunk on and returns the SHA-256 of them all.
fn send_chunks(chunker: &mut Chunker<'_>, sender: SyncSender<Vec<u8>>) -> Result<BlobId> {
    let mut whole = Sha256::new();
    while let Some(chunk) = chunker.next().map_err(cannot_read)? {
        whole.update(chunk);
        if sender.send(chunk.to_vec()).is_err() {
            // Nobody takes chunks any more, and the one who did so knows why.
            break;
        }
    }
    Ok(BlobId(whole.finalize().into()))
}

/// Stores chunks and notes them in the manifest.
struct Storing<'a> {
    files: Files<'a>,
    chunks_max: usize,
    manifest: ManifestWriter,
    batch: Batch,
    /// The chunks in `batch`.
    batched: HashSet<BlobId>,
    bytes_new: u64,
    /// All chunks so far: until the manifest is stored, nothing else keeps them.
    pinned: Pinned,
}

impl<'a> Storing<'a> {
    fn new(files: Files<'a>, chunks_max: usize) -> Self {
        let (manifest, batch, batched) = (ManifestWriter::new(), Batch::new(), HashSet::new());
        let pinned = Pinned::new(files.engine.pins());
        Self { files, chunks_max, manifest, batch, batched, bytes_new: 0, pinned }
    }

    /// Stores chunks until no more come; the last of them stay in the batch.
    fn store_all(&mut self, receiver: &Receiver<Vec<u8>>) -> Result<()> {
        while let Ok(chunk) = receiver.recv() {
            self.store(chunk)?;
        }
        Ok(())
    }

    fn store(&mut self, chunk: Vec<u8>) -> Result<()> {
        if self.manifest.chunks() == self.chunks_max {
            let message = format!("file: found more than {0} chunks; allowed: at most {0}", self.chunks_max);
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        let id = BlobId::of(&chunk);
        self.manifest.push(id, chunk.len());
        self.pinned.add(id);
        if self.batched.contains(&id) || self.files.engine.has_blob(&id)? {
            return Ok(());
        }
        self.batched.insert(id);
        self.bytes_new += chunk.len() as u64;
        self.batch.push_blob(id, BlobForm::Chunk, chunk);
        if self.batch.bytes() >= CHUNK_BATCH_BYTES {
            self.batched.clear();
            // The log keeps its order: what makes the manifest durable does so for its chunks.
            let durability = self.files.durability.min(Durability::Written);
            self.files.engine.commit(std::mem::take(&mut self.batch), durability)?;
        }
        Ok(())
    }

    /// Stores the manifest, and with it the last chunks.
    fn finish(mut self, id: BlobId) -> Result<StoredFile> {
        let bytes = self.manifest.bytes_total();
        let pinned = self.files.pin(id);
        if BlobForm::Manifest.replaces(self.files.engine.blob_form(&id)?) {
            self.batch.push_blob(id, BlobForm::Manifest, self.manifest.into_bytes());
        }
        self.files.engine.commit(self.batch, self.files.durability)?;
        // From here on the manifest keeps its chunks.
        drop(self.pinned);
        Ok(StoredFile { id, bytes, bytes_new: self.bytes_new, _pinned: pinned })
    }
}

#[cfg(test)]
mod tests {
    use statlas_core::BlobId;

    use super::manifest::parse;
    use super::{Chunker, Files};
    use crate::engine::memory::MemoryEngine;
    use crate::{Batch, BlobForm, Durability, Engine, ErrorKind};

    #[test]
    fn a_file_of_too_many_chunks_is_refused_and_leaves_no_manifest() {
        let engine = MemoryEngine::new();
        let files = Files::new(&engine, Durability::Synced);
        let content = vec![7; 10 << 20];
        let put =
            |chunks_max: usize| files.put_chunked(Chunker::new(Vec::new(), &mut &content[..]), chunks_max);
        let error = put(9).expect_err("ten chunks");
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert_eq!(error.to_string(), "file: found more than 9 chunks; allowed: at most 9");
        assert_eq!(engine.stats().blobs, 0);
        let stored = put(10).expect("ten are allowed");
        assert_eq!((stored.bytes, stored.bytes_new), (10 << 20, 1 << 20));
    }

    /// Puts other bytes in the place of a blob, as no caller outside can.
    fn replace(engine: &dyn Engine, id: BlobId, form: BlobForm, bytes: Vec<u8>) {
        for bytes in [None, Some(bytes)] {
            let mut batch = Batch::new();
            match bytes {
                None => batch.remove_blob(id),
                Some(bytes) => batch.push_blob(id, form, bytes),
            }
            engine.commit(batch, Durability::Synced).expect("nothing is expected of blobs");
        }
    }

    #[test]
    fn no_byte_is_returned_that_does_not_have_its_sha256() {
        let engine = MemoryEngine::new();
        let files = Files::new(&engine, Durability::Synced);
        let small = files.put(&mut &b"small"[..]).expect("it can be stored").id;
        let content: Vec<u8> = (0..700_000_u32).flat_map(|n| n.wrapping_mul(n).to_le_bytes()).collect();
        let large = files.put(&mut &content[..]).expect("it can be stored").id;
        let manifest = engine.blob(&large).expect("it is sound").expect("it is there").bytes;
        let chunk = parse(&large, &manifest).expect("it is sound")[1].id;
        let bytes = engine.blob(&chunk).expect("it is sound").expect("it is there").bytes;
        let (mut flipped, mut missummed, mut shifted) = (bytes.clone(), manifest.clone(), manifest.clone());
        flipped[1000] ^= 1;
        missummed[8] ^= 1;
        // The lengths of the first two chunks, so that their sum stays.
        shifted[52] ^= 1;
        shifted[88] = if shifted[52] > manifest[52] { manifest[88] - 1 } else { manifest[88] + 1 };
        for (file, id, form, wrong, sound) in [
            (small, small, BlobForm::Whole, b"smell".to_vec(), b"small".to_vec()),
            (large, chunk, BlobForm::Whole, flipped, bytes.clone()),
            (large, chunk, BlobForm::Whole, bytes[1..].to_vec(), bytes.clone()),
            (large, chunk, BlobForm::Manifest, manifest.clone(), bytes),
            (large, large, BlobForm::Manifest, missummed, manifest.clone()),
            (large, large, BlobForm::Manifest, shifted, manifest),
        ] {
            let was = engine.blob(&id).expect("it is sound").expect("it is there").form;
            replace(&engine, id, form, wrong);
            let error = files.read_range(&file, 0, usize::MAX).expect_err("it was changed");
            assert_eq!(error.kind(), ErrorKind::Corrupt);
            assert!(error.to_string().starts_with(&format!("file {file}: ")), "{error}");
            replace(&engine, id, was, sound);
            assert!(files.read_range(&file, 0, usize::MAX).expect("it is sound again").is_some());
        }
    }
}
