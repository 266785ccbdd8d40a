//! Files of a store.

use std::fs::File;
use std::io::{self, Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use pyo3::exceptions::{PyKeyError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PySlice};
use statlas_core::BlobId;
use statlas_store::{Error, ErrorKind, Store, StoredFile};

use crate::bytes::bytes_like;
use crate::errors::{OrRaise, closed, invalid};
use crate::interrupt::Interrupt;
use crate::memory::no_memory;

/// Bytes that a reader asks the store for at once.
const BLOCK_BYTES: usize = 4 << 20;

/// The files of a store, by the SHA-256 of their bytes; `Store.files`.
///
/// >>> import statlas
/// >>> with statlas.Store.open("memory:") as store:
/// ...     stored = store.files.put(b"some bytes")
/// ...     with store.files.open(stored.id) as file:
/// ...         file.read()
/// ...     store.files.read_range(stored.id, 5, 5)
/// b'some bytes'
/// b'bytes'
#[pyclass(name = "Files", module = "statlas", frozen)]
pub(crate) struct PyFiles(Store);

/// What storing a file did. As long as it is there the file stays, though no entity names it yet.
#[pyclass(name = "StoredFile", module = "statlas", frozen)]
pub(crate) struct PyStoredFile(StoredFile);

#[pymethods]
impl PyStoredFile {
    /// The SHA-256 of its bytes, as 64 hex digits.
    #[getter]
    fn id(&self) -> String {
        self.0.id.to_string()
    }

    /// Its length in bytes.
    #[getter]
    fn bytes(&self) -> u64 {
        self.0.bytes
    }

    /// How many of them had to be stored; the others were there.
    #[getter]
    fn bytes_new(&self) -> u64 {
        self.0.bytes_new
    }

    fn __repr__(&self) -> String {
        format!("StoredFile(id='{}', bytes={}, bytes_new={})", self.0.id, self.0.bytes, self.0.bytes_new)
    }
}

fn blob_of(id: &str) -> PyResult<BlobId> {
    id.parse::<BlobId>().or_raise()
}

fn absent(id: &BlobId) -> PyErr {
    PyKeyError::new_err(id.to_string())
}

/// Opens a file to be stored. A pipe would make this wait for somebody to write to it.
fn open_file(path: &Path) -> statlas_store::Result<File> {
    let failed = |error| Error::io(format!("{}: cannot be opened", path.display()), error);
    let found = path.metadata().map_err(failed)?;
    // Opening or reading a folder says what it is.
    if !found.is_file() && !found.is_dir() {
        let message = format!("{}: it is no regular file; open it, and give what is opened", path.display());
        return Err(Error::new(ErrorKind::Invalid, message));
    }
    File::open(path).map_err(failed)
}

/// A reader that ends when an exception is due.
struct Interruptible<'a, 'b> {
    reader: Box<dyn Read + Send + 'a>,
    interrupt: &'a Interrupt<'b>,
}

impl Read for Interruptible<'_, '_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        if !self.interrupt.goes_on() {
            return Err(io::Error::other("interrupted"));
        }
        self.reader.read(bytes)
    }
}

/// A file object of Python.
struct FileObject<'a> {
    object: Py<PyAny>,
    /// What it raised.
    raised: &'a Mutex<Option<PyErr>>,
}

impl Read for FileObject<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = Python::attach(|py| {
            let read = self.object.bind(py).call_method1("read", (bytes.len(),))?;
            let read = bytes_like("what read() returned", &read)?;
            let read = read.as_bytes();
            let Some(room) = bytes.get_mut(..read.len()) else {
                return Err(invalid(format!(
                    "read() returned {} bytes more than it was asked for",
                    read.len() - bytes.len()
                )));
            };
            room.copy_from_slice(read);
            Ok(read.len())
        });
        read.map_err(|error| {
            *self.raised.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            io::Error::other("a file object raised an exception")
        })
    }
}

impl PyFiles {
    pub(crate) fn new(store: Store) -> Self {
        Self(store)
    }

    fn len(&self, py: Python<'_>, id: &BlobId) -> PyResult<Option<u64>> {
        py.detach(|| self.0.files().len(id)).or_raise()
    }

    fn range(&self, py: Python<'_>, id: &BlobId, offset: u64, length: usize) -> PyResult<Vec<u8>> {
        py.detach(|| self.0.files().read_range(id, offset, length)).or_raise()?.ok_or_else(|| absent(id))
    }
}

#[pymethods]
impl PyFiles {
    /// Stores a file: bytes (or what has a buffer of them), a path, or an object with `read` that yields bytes. One that is stored already costs its hashing
    /// only.
    ///
    /// Keep what is returned until the entity is stored that names the file.
    fn put(&self, py: Python<'_>, source: &Bound<'_, PyAny>) -> PyResult<PyStoredFile> {
        let failed = Mutex::new(None);
        let interrupt = Interrupt::new(py, None)?;
        let bytes;
        let reader: Box<dyn Read + Send + '_> = if source.hasattr("read")? {
            Box::new(FileObject { object: source.clone().unbind(), raised: &failed })
        } else if let Ok(path) = source.extract::<PathBuf>() {
            Box::new(py.detach(|| open_file(&path)).or_raise()?)
        } else {
            bytes = bytes_like("source", source)?;
            Box::new(Cursor::new(bytes.as_bytes()))
        };
        let mut reader = Interruptible { reader, interrupt: &interrupt };
        let stored = py.detach(|| self.0.files().put(&mut reader));
        drop(reader);
        if let Some(error) = failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
            return Err(error);
        }
        Ok(PyStoredFile(interrupt.finish(py, stored)?))
    }

    /// Opens a stored file for reading, as a raw binary file. Raises `KeyError` if there is none.
    fn open(&self, py: Python<'_>, id: &str) -> PyResult<PyFileReader> {
        let id = blob_of(id)?;
        let bytes = self.len(py, &id)?.ok_or_else(|| absent(&id))?;
        let state = Reading { position: 0, block: Vec::new(), block_at: 0, is_closed: false };
        Ok(PyFileReader { store: self.0.clone(), id, bytes, state: Mutex::new(state) })
    }

    /// All bytes of a stored file. Raises `KeyError` if there is none.
    fn read<'py>(&self, py: Python<'py>, id: &str) -> PyResult<Bound<'py, PyBytes>> {
        self.open(py, id)?.read(py, None)
    }

    /// Up to `length` bytes from `offset` on: fewer at the end of the file, none behind it. Reads and verifies the chunks
    /// that hold them and no others. Raises `KeyError` if there is no such file.
    fn read_range<'py>(
        &self,
        py: Python<'py>,
        id: &str,
        offset: u64,
        length: usize,
    ) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(py, &self.range(py, &blob_of(id)?, offset, length)?))
    }

    /// The length of a stored file in bytes, or `None` if there is none.
    fn size(&self, py: Python<'_>, id: &str) -> PyResult<Option<u64>> {
        self.len(py, &blob_of(id)?)
    }

    fn __contains__(&self, py: Python<'_>, id: &str) -> PyResult<bool> {
        let id = blob_of(id)?;
        py.detach(|| self.0.engine().has_blob(&id)).or_raise()
    }
}

/// A stored file that is read, made by `Files.open`: as much of a raw binary file as `io.BufferedReader`, which reads lines,
/// and `shutil.copyfileobj` ask for. Every byte that is read is verified.
#[pyclass(name = "FileReader", module = "statlas", frozen)]
pub(crate) struct PyFileReader {
    store: Store,
    id: BlobId,
    bytes: u64,
    state: Mutex<Reading>,
}

struct Reading {
    position: u64,
    /// The bytes that were read last, and where they begin.
    block: Vec<u8>,
    block_at: u64,
    is_closed: bool,
}

impl PyFileReader {
    /// Up to so many of the next bytes, fewer only at the end.
    fn next(&self, py: Python<'_>, count: usize) -> PyResult<Vec<u8>> {
        let mut bytes = Vec::new();
        loop {
            let before = bytes.len();
            let wanted = before + BLOCK_BYTES.min(count - before);
            self.read_more(py, &mut bytes, wanted)?;
            if bytes.len() < wanted || wanted == count {
                return Ok(bytes);
            }
            py.check_signals()?;
        }
    }

    /// Adds the next bytes until there are so many, or the file ends.
    fn read_more(&self, py: Python<'_>, bytes: &mut Vec<u8>, count: usize) -> PyResult<()> {
        let left = self.bytes.min(count as u64) as usize;
        bytes.try_reserve(left.saturating_sub(bytes.len())).map_err(|_| no_memory::<u8>(left))?;
        let read: statlas_store::Result<Option<()>> = py.detach(|| {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            if state.is_closed {
                return Ok(None);
            }
            while bytes.len() < count && state.position < self.bytes {
                let in_block =
                    state.position.checked_sub(state.block_at).and_then(|at| usize::try_from(at).ok());
                let block = in_block.and_then(|at| state.block.get(at..)).unwrap_or_default();
                if block.is_empty() {
                    let block = self.store.files().read_range(&self.id, state.position, BLOCK_BYTES)?;
                    // It was there when it was opened.
                    let Some(block) = block.filter(|block| !block.is_empty()) else { break };
                    (state.block, state.block_at) = (block, state.position);
                    continue;
                }
                let taken = block.len().min(count - bytes.len());
                bytes.extend_from_slice(&block[..taken]);
                state.position += taken as u64;
            }
            Ok(Some(()))
        });
        read.or_raise()?.ok_or_else(|| closed("file"))
    }

    fn with<T>(&self, py: Python<'_>, work: impl FnOnce(&mut Reading) -> T + Send) -> PyResult<T>
    where
        T: Send,
    {
        let done = py.detach(|| {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            (!state.is_closed).then(|| work(&mut state))
        });
        done.ok_or_else(|| closed("file"))
    }
}

#[pymethods]
impl PyFileReader {
    fn __enter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __exit__(
        &self,
        py: Python<'_>,
        exc_type: &Bound<'_, PyAny>,
        exc: &Bound<'_, PyAny>,
        traceback: &Bound<'_, PyAny>,
    ) {
        let _ = (exc_type, exc, traceback);
        self.close(py);
    }

    /// The length of the file in bytes.
    fn __len__(&self) -> usize {
        usize::try_from(self.bytes).unwrap_or(usize::MAX)
    }

    /// True, also of an empty one.
    fn __bool__(&self) -> bool {
        true
    }

    /// Up to `size` bytes, or all that are left if it is negative or `None`.
    #[pyo3(signature = (size=Some(-1), /), text_signature = "($self, size=-1, /)")]
    fn read<'py>(&self, py: Python<'py>, size: Option<isize>) -> PyResult<Bound<'py, PyBytes>> {
        let count = size.and_then(|size| usize::try_from(size).ok()).unwrap_or(usize::MAX);
        Ok(PyBytes::new(py, &self.next(py, count)?))
    }

    /// Fills a writable buffer as far as there are bytes, and returns how many there were.
    #[pyo3(signature = (buffer, /))]
    fn readinto(&self, py: Python<'_>, buffer: &Bound<'_, PyAny>) -> PyResult<usize> {
        let view = py.import("builtins")?.getattr("memoryview")?.call1((buffer,))?;
        if view.getattr("readonly")?.is_truthy()? {
            return Err(PyTypeError::new_err("readinto() wants a buffer that can be written to"));
        }
        let view = view.call_method1("cast", ("B",))?;
        let bytes = self.next(py, view.len()?)?;
        let room = PySlice::new(py, 0, bytes.len() as isize, 1);
        view.set_item(room, PyBytes::new(py, &bytes))?;
        view.call_method0("release")?;
        Ok(bytes.len())
    }

    /// True.
    fn readable(&self) -> bool {
        true
    }

    /// False.
    fn writable(&self) -> bool {
        false
    }

    /// True.
    fn seekable(&self) -> bool {
        true
    }

    /// Does nothing: nothing is written.
    fn flush(&self) {}

    /// Goes to a position: from the beginning (`whence` 0), from here (1), or from the end (2). Returns it.
    #[pyo3(signature = (offset, whence=0, /))]
    fn seek(&self, py: Python<'_>, offset: i64, whence: i32) -> PyResult<u64> {
        let length = self.bytes;
        let position = self.with(py, |state| {
            let from = match whence {
                0 => 0,
                1 => state.position,
                2 => length,
                _ => return None,
            };
            state.position = from.checked_add_signed(offset)?;
            Some(state.position)
        })?;
        position.ok_or_else(|| {
            PyValueError::new_err(format!(
                "found offset {offset} and whence {whence}; allowed: a position from 0, whence 0 to 2"
            ))
        })
    }

    /// The position.
    fn tell(&self, py: Python<'_>) -> PyResult<u64> {
        self.with(py, |state| state.position)
    }

    /// Closes it; reading raises `ClosedError` then.
    fn close(&self, py: Python<'_>) {
        py.detach(|| {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.is_closed = true;
            state.block = Vec::new();
        });
    }

    /// Whether it is closed.
    #[getter]
    fn closed(&self, py: Python<'_>) -> bool {
        py.detach(|| self.state.lock().unwrap_or_else(PoisonError::into_inner).is_closed)
    }
}
