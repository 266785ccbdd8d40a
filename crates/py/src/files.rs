//! Files of a store.

use std::fs::File;
use std::io::{self, Cursor, Read};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use pyo3::exceptions::{PyKeyError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PySlice};
use statlas_core::BlobId;
use statlas_store::{Store, StoredFile};

use crate::errors::{OrRaise, closed, invalid, raised};
use crate::interrupt::Interrupt;

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
            let Ok(read) = read.cast::<PyBytes>() else {
                let type_name = read.get_type().fully_qualified_name()?;
                return Err(invalid(format!(
                    "read() returned an object of type {type_name}; allowed: bytes"
                )));
            };
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
    /// Stores a file: bytes, a path, or an object with `read` that yields bytes. One that is stored already costs its hashing
    /// only.
    ///
    /// Keep what is returned until the entity is stored that names the file.
    fn put(&self, py: Python<'_>, source: &Bound<'_, PyAny>) -> PyResult<PyStoredFile> {
        let failed = Mutex::new(None);
        let interrupt = Interrupt::new(None);
        let reader: Box<dyn Read + Send + '_> = if let Ok(bytes) = source.cast::<PyBytes>() {
            Box::new(Cursor::new(bytes.as_bytes()))
        } else if source.hasattr("read")? {
            Box::new(FileObject { object: source.clone().unbind(), raised: &failed })
        } else {
            let path: PathBuf = source.extract()?;
            let file = py.detach(|| File::open(&path));
            Box::new(file.map_err(|error| {
                raised(&statlas_store::Error::io(format!("{}: cannot be opened", path.display()), error))
            })?)
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
        let id = blob_of(id)?;
        let bytes = self.len(py, &id)?.ok_or_else(|| absent(&id))?;
        Ok(PyBytes::new(py, &self.range(py, &id, 0, usize::try_from(bytes).unwrap_or(usize::MAX))?))
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

/// A stored file that is read, made by `Files.open`: a raw binary file, as `io.BufferedReader` and `shutil.copyfileobj`
/// take it. Every byte that is read is verified.
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
        let read: statlas_store::Result<Option<Vec<u8>>> = py.detach(|| {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            if state.is_closed {
                return Ok(None);
            }
            let mut bytes = Vec::new();
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
            Ok(Some(bytes))
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

    /// Up to `size` bytes, or all that are left if it is negative or `None`.
    #[pyo3(signature = (size=Some(-1), /), text_signature = "($self, size=-1, /)")]
    fn read<'py>(&self, py: Python<'py>, size: Option<isize>) -> PyResult<Bound<'py, PyBytes>> {
        let count = size.and_then(|size| usize::try_from(size).ok()).unwrap_or(usize::MAX);
        Ok(PyBytes::new(py, &self.next(py, count)?))
    }

    /// Fills a writable buffer as far as there are bytes, and returns how many there were.
    #[pyo3(signature = (buffer, /))]
    fn readinto(&self, py: Python<'_>, buffer: &Bound<'_, PyAny>) -> PyResult<usize> {
        let view =
            py.import("builtins")?.getattr("memoryview")?.call1((buffer,))?.call_method1("cast", ("B",))?;
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
