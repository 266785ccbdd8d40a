//! Tokens in one piece of memory, seen by Python as a sequence and as arrays.
//!
//! The memory is shared by the object that Python holds and by every view of it. It moves and changes its length only while
//! there is no view, which both sides look at under one lock. Nobody waits for the interpreter while holding that lock.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use numpy::PyUntypedArray;
use parking_lot::{RwLock, RwLockReadGuard, RwLockWriteGuard};
use pyo3::exceptions::{PyBufferError, PyIndexError, PyOverflowError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PySlice, PyTuple};
use statlas_core::Token;
use statlas_tokens::{MappedTokens, TokenVec};

use crate::buffer;
use crate::bytes::bytes_like;
use crate::errors::{OrRaise, invalid};
use crate::memory::{NoMemory, copied, no_memory, room};
use crate::token::PyToken;

/// Where tokens are.
pub(crate) enum Tokens {
    /// In memory of their own.
    Owned(TokenVec),
    /// In a mapped file, which nothing here changes.
    Mapped(MappedTokens),
}

impl Tokens {
    pub(crate) fn as_slice(&self) -> &[Token] {
        match self {
            Self::Owned(tokens) => tokens,
            Self::Mapped(tokens) => tokens,
        }
    }
}

/// Tokens that are gathered between two looks at whether Ctrl-C came.
const SIGNALS_EVERY: usize = 4096;

/// Tokens and how many views of them there are.
pub(crate) struct Shared {
    tokens: RwLock<Tokens>,
    views: AtomicUsize,
}

impl Shared {
    /// The tokens, for who has let go of the interpreter.
    pub(crate) fn read(&self) -> RwLockReadGuard<'_, Tokens> {
        self.tokens.read()
    }

    /// The tokens, for who has the interpreter, and lets go of it if they have to be waited for.
    pub(crate) fn read_attached(&self, py: Python<'_>) -> RwLockReadGuard<'_, Tokens> {
        loop {
            if let Some(tokens) = self.tokens.try_read() {
                return tokens;
            }
            py.detach(|| drop(self.tokens.read()));
        }
    }

    /// Lets `change` change the tokens, unless they are mapped or somebody has a view of them. For who has let go of the
    /// interpreter.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut TokenVec) -> T) -> PyResult<T> {
        self.change_locked(self.tokens.write(), change)
    }

    /// The same for who has the interpreter, and lets go of it if the tokens have to be waited for.
    fn change_attached<T>(&self, py: Python<'_>, change: impl FnOnce(&mut TokenVec) -> T) -> PyResult<T> {
        loop {
            if let Some(tokens) = self.tokens.try_write() {
                return self.change_locked(tokens, change);
            }
            py.detach(|| drop(self.tokens.write()));
        }
    }

    fn change_locked<T>(
        &self,
        mut tokens: RwLockWriteGuard<'_, Tokens>,
        change: impl FnOnce(&mut TokenVec) -> T,
    ) -> PyResult<T> {
        let Tokens::Owned(tokens) = &mut *tokens else {
            drop(tokens);
            return Err(invalid(
                "these tokens are mapped from a file; copy() makes some that can be changed",
            ));
        };
        let views = self.views.load(Ordering::Acquire);
        if views > 0 {
            return Err(PyBufferError::new_err(format!(
                "the tokens can't move or change their number while arrays or buffers view them ({views} do); let go of \
                 those, or work on a copy()"
            )));
        }
        Ok(change(tokens))
    }
}

/// What keeps tokens where they are as long as an array views them: the base of that array.
#[pyclass(module = "statlas._statlas", frozen)]
pub(crate) struct View(Arc<Shared>);

impl View {
    /// A view of tokens, with where they are and how many.
    pub(crate) fn of(
        py: Python<'_>,
        shared: &Arc<Shared>,
        writable: bool,
    ) -> PyResult<(Self, *const Token, usize)> {
        let tokens = shared.read_attached(py);
        if writable && matches!(*tokens, Tokens::Mapped(_)) {
            drop(tokens);
            return Err(invalid(
                "these tokens are mapped from a file and can only be read; copy() makes some that can be \
                                written to",
            ));
        }
        // Under the lock: nobody changes them between this and the next line.
        shared.views.fetch_add(1, Ordering::AcqRel);
        let slice = tokens.as_slice();
        Ok((Self(Arc::clone(shared)), slice.as_ptr(), slice.len()))
    }
}

impl Drop for View {
    fn drop(&mut self) {
        self.0.views.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Tokens of 64 bytes one behind the other, in memory or in a mapped file.
///
/// A sequence of `Token`, and a set of arrays: `coordinates`, `ids`, `weights`, `flags` and `timestamps` are views
/// of the memory without a copy, read-only unless `view(field, writable=True)` or `array(writable=True)` asks for more. As
/// long as there is a view (or a buffer: `memoryview(tokens)`), whatever would move the tokens is refused with a
/// `BufferError`.
///
/// >>> import numpy as np, statlas
/// >>> places = np.stack([np.arange(1000) / 10, np.zeros(1000), np.zeros(1000)], axis=1)
/// >>> tokens = statlas.create_tokens_batch(1000, entity_type="object", coordinates={"physical": places})
/// >>> len(tokens), tokens[500].spaces
/// (1000, {'physical': (50.0, 0.0, 0.0)})
/// >>> tokens.coordinates.shape, tokens.coordinates.dtype.name
/// ((1000, 8, 3), 'int16')
/// >>> indices, distances = tokens.nearest(tokens[500], k=3, spaces="physical")
/// >>> indices.tolist(), distances.tolist()
/// ([500, 499, 501], [0.0, 0.10000000000000142, 0.10000000000000142])
#[pyclass(name = "TokenVec", module = "statlas", frozen, subclass)]
pub(crate) struct PyTokenVec {
    pub(crate) shared: Arc<Shared>,
}

impl From<Tokens> for PyTokenVec {
    fn from(tokens: Tokens) -> Self {
        Self { shared: Arc::new(Shared { tokens: RwLock::new(tokens), views: AtomicUsize::new(0) }) }
    }
}

impl From<TokenVec> for PyTokenVec {
    fn from(tokens: TokenVec) -> Self {
        Tokens::Owned(tokens).into()
    }
}

impl PyTokenVec {
    fn len(&self, py: Python<'_>) -> usize {
        self.shared.read_attached(py).as_slice().len()
    }
}

/// A new object that Python sees. Its class is the one with the buffer protocol, whose base is the one here.
pub(crate) fn token_vec(py: Python<'_>, tokens: impl Into<Tokens>) -> PyResult<Bound<'_, PyAny>> {
    let made = buffer::token_vec_type(py)?.call0()?;
    // Nobody else has it.
    *made.cast::<PyTokenVec>()?.get().shared.tokens.write() = tokens.into();
    Ok(made)
}

impl From<TokenVec> for Tokens {
    fn from(tokens: TokenVec) -> Self {
        Self::Owned(tokens)
    }
}

impl From<MappedTokens> for Tokens {
    fn from(tokens: MappedTokens) -> Self {
        Self::Mapped(tokens)
    }
}

/// Appends tokens of any iterable, or none of them.
fn gather(tokens: &Bound<'_, PyAny>) -> PyResult<TokenVec> {
    let mut gathered: Vec<Token> = Vec::new();
    for token in tokens.try_iter()? {
        gathered.try_reserve(1).map_err(|_| no_memory::<Token>(gathered.len() + 1))?;
        gathered.push(token?.cast::<PyToken>()?.get().0);
        if gathered.len().is_multiple_of(SIGNALS_EVERY) {
            tokens.py().check_signals()?;
        }
    }
    Ok(gathered.into())
}

#[pymethods]
impl PyTokenVec {
    #[new]
    #[pyo3(signature = (capacity=0))]
    fn new(capacity: usize) -> PyResult<Self> {
        // Refused here, where the core would end the process.
        if capacity > isize::MAX as usize / Token::BYTES {
            return Err(invalid(format!("capacity: found {capacity}; allowed: what fits into memory")));
        }
        Ok(TokenVec::from(room(capacity)?).into())
    }

    /// Appends a token.
    fn append(&self, py: Python<'_>, token: &Bound<'_, PyToken>) -> PyResult<()> {
        let token = token.get().0;
        let appended = self.shared.change_attached(py, |tokens| {
            tokens.try_reserve(1).map_err(|_| no_memory::<Token>(tokens.len() + 1))?;
            tokens.push(token);
            Ok::<(), NoMemory>(())
        });
        Ok(appended??)
    }

    /// Appends tokens of another `TokenVec`, or of any iterable of `Token`; all or none.
    fn extend(&self, py: Python<'_>, tokens: &Bound<'_, PyAny>) -> PyResult<()> {
        if let Ok(other) = tokens.cast::<Self>() {
            let other = Arc::clone(&other.get().shared);
            let more = py.detach(|| copied(other.read().as_slice()))?;
            return self.append_all(py, more.into());
        }
        let more = gather(tokens)?;
        self.append_all(py, more)
    }

    /// Takes all tokens away and keeps the memory.
    fn clear(&self, py: Python<'_>) -> PyResult<()> {
        self.shared.change_attached(py, TokenVec::clear)
    }

    /// The same tokens in memory of their own.
    fn copy<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let copied = py.detach(|| copied(self.shared.read().as_slice()))?;
        token_vec(py, TokenVec::from(copied))
    }

    fn __copy__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.copy(py)
    }

    fn __deepcopy__<'py>(&self, py: Python<'py>, _memo: &Bound<'_, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        self.copy(py)
    }

    fn __len__(&self, py: Python<'_>) -> usize {
        self.len(py)
    }

    fn __getitem__<'py>(&self, py: Python<'py>, index: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        if let Ok(slice) = index.cast::<PySlice>() {
            return self.slice(py, slice);
        }
        let index: isize = index.extract().map_err(|error: PyErr| {
            if error.is_instance_of::<PyOverflowError>(py) {
                return PyIndexError::new_err(format!("index {index} is out of range"));
            }
            // What `__index__` raised is not hidden.
            if index.hasattr("__index__").unwrap_or(false) && index.cast::<PyUntypedArray>().is_err() {
                return error;
            }
            let type_name = index.get_type().name().map_or_else(|_| String::new(), |name| name.to_string());
            PyTypeError::new_err(format!(
                "indices of tokens are integers or slices, not {type_name}; see take()"
            ))
        })?;
        let (token, count) = {
            let tokens = self.shared.read_attached(py);
            let tokens = tokens.as_slice();
            let at = if index < 0 { index.wrapping_add_unsigned(tokens.len()) } else { index };
            (usize::try_from(at).ok().and_then(|at| tokens.get(at)).copied(), tokens.len())
        };
        let token = token.ok_or_else(|| {
            PyIndexError::new_err(format!("index {index} is out of range for {count} tokens"))
        })?;
        Ok(Bound::new(py, PyToken(token))?.into_any())
    }

    fn __iter__(&self) -> Tokenator {
        Tokenator { shared: Arc::clone(&self.shared), next: AtomicUsize::new(0) }
    }

    fn __eq__<'py>(&self, py: Python<'py>, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        use zerocopy::IntoBytes;
        let Ok(other) = other.cast::<Self>() else { return Ok(py.NotImplemented().into_bound(py)) };
        let (own, other) = (Arc::clone(&self.shared), Arc::clone(&other.get().shared));
        // The same lock is not taken twice.
        let is_equal = Arc::ptr_eq(&own, &other)
            || py.detach(|| {
                let own = own.read();
                // Behind no writer that waits: it might wait for somebody who waits for this one.
                let other = other.tokens.read_recursive();
                own.as_slice().as_bytes() == other.as_slice().as_bytes()
            });
        Ok(PyBool::new(py, is_equal).to_owned().into_any())
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        let tokens = self.shared.read_attached(py);
        match &*tokens {
            Tokens::Owned(tokens) => format!("<TokenVec of {} tokens>", tokens.len()),
            Tokens::Mapped(tokens) => format!("<TokenVec of {} tokens, mapped from a file>", tokens.len()),
        }
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
        use zerocopy::IntoBytes;
        let bytes = PyBytes::new(py, self.shared.read_attached(py).as_slice().as_bytes());
        let restore = py.import("statlas._statlas")?.getattr("_token_vec_from_bytes")?;
        Ok((restore, PyTuple::new(py, [bytes])?))
    }

    /// How many tokens there is memory for.
    #[getter]
    fn capacity(&self, py: Python<'_>) -> usize {
        match &*self.shared.read_attached(py) {
            Tokens::Owned(tokens) => tokens.capacity(),
            Tokens::Mapped(tokens) => tokens.len(),
        }
    }

    /// Whether the tokens are mapped from a file, and can't be changed.
    #[getter]
    fn is_mapped(&self, py: Python<'_>) -> bool {
        matches!(*self.shared.read_attached(py), Tokens::Mapped(_))
    }

    /// Bytes of memory: 64 for each token that there is room for and a constant, or those of the mapped pages.
    ///
    /// >>> import statlas
    /// >>> statlas.TokenVec(capacity=1000).memory_usage() - statlas.TokenVec().memory_usage()
    /// 64000
    fn memory_usage(&self, py: Python<'_>) -> usize {
        let tokens = match &*self.shared.read_attached(py) {
            Tokens::Owned(tokens) => tokens.memory_bytes(),
            Tokens::Mapped(tokens) => size_of_val(&**tokens) + size_of::<TokenVec>(),
        };
        tokens + size_of::<Shared>() - size_of::<Tokens>()
    }

    /// Tokens of a structured array of `TOKEN_DTYPE`, of raw coordinates (int16, shape (n, 8, 3), -32768 where not
    /// defined), or of decoded ones (float64, the same shape, NaN where not defined). Copies them.
    ///
    /// >>> import numpy as np, statlas
    /// >>> array = np.zeros(3, statlas.TOKEN_DTYPE)
    /// >>> array["weight"] = [1, 2, 3]
    /// >>> statlas.TokenVec.from_numpy(array)[2].weight
    /// 3.0
    #[staticmethod]
    fn from_numpy<'py>(py: Python<'py>, array: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        token_vec(py, crate::create::from_numpy(array)?)
    }

    /// Converts bytes that the reference implementation wrote, 64 for each token. It marks undefined spaces by 127.
    #[staticmethod]
    fn from_reference_bytes<'py>(py: Python<'py>, data: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        token_vec(py, TokenVec::from_reference_bytes(bytes_like("data", data)?.as_bytes()).or_raise()?)
    }

    /// Maps a file that `save` or a `TokenFile` wrote: nothing is read before it is looked at, whatever its size.
    ///
    /// The tokens can't be changed. `check` verifies them. Raises `CorruptError` for what is no file of tokens or was
    /// cut.
    #[staticmethod]
    fn open<'py>(py: Python<'py>, path: std::path::PathBuf) -> PyResult<Bound<'py, PyAny>> {
        let mapped = py.detach(|| MappedTokens::open(&path)).or_raise()?;
        token_vec(py, mapped)
    }

    /// Writes the tokens to a file, which is the old one or has all of them, whatever happens meanwhile; they are on the
    /// device when this returns.
    ///
    /// >>> import os, statlas, tempfile
    /// >>> path = os.path.join(tempfile.mkdtemp(), "some.tokens")
    /// >>> statlas.create_tokens_batch(100).save(path)
    /// >>> len(statlas.TokenVec.open(path))
    /// 100
    fn save(&self, py: Python<'_>, path: std::path::PathBuf) -> PyResult<()> {
        py.detach(|| statlas_tokens::save(&path, self.shared.read().as_slice())).or_raise()
    }

    /// Verifies the rules that bytes can break (weights, types in flags), and of a mapped file the checksums.
    ///
    /// Raises `InvalidError` with the first token that breaks a rule, or `CorruptError` with the place that is damaged.
    fn check(&self, py: Python<'_>) -> PyResult<()> {
        let broken = py.detach(|| {
            let tokens = self.shared.read();
            if let Tokens::Mapped(mapped) = &*tokens {
                return mapped.check().map(|()| None);
            }
            let tokens = tokens.as_slice().iter().enumerate();
            Ok(tokens.filter_map(|(at, token)| Some((at, token.check().err()?))).next())
        });
        match broken.or_raise()? {
            None => Ok(()),
            Some((at, error)) => Err(invalid(format!("token {at}: {error}"))),
        }
    }
}

impl PyTokenVec {
    fn append_all(&self, py: Python<'_>, more: TokenVec) -> PyResult<()> {
        let appended = py.detach(|| {
            self.shared.change(|tokens| {
                tokens.try_reserve(more.len()).map_err(|_| no_memory::<Token>(tokens.len() + more.len()))?;
                tokens.extend(more);
                Ok::<(), NoMemory>(())
            })
        });
        Ok(appended??)
    }

    fn slice<'py>(&self, py: Python<'py>, slice: &Bound<'py, PySlice>) -> PyResult<Bound<'py, PyAny>> {
        let len = isize::try_from(self.len(py)).unwrap_or(isize::MAX);
        let indices = slice.indices(len)?;
        let (start, step, count) = (indices.start, indices.step, indices.slicelength);
        let shared = &self.shared;
        let copied = py.detach(|| {
            let tokens = shared.read();
            let tokens = tokens.as_slice();
            let mut taken = room(count)?;
            if step == 1 {
                let start = usize::try_from(start).unwrap_or_default();
                taken.extend_from_slice(tokens.get(start..start + count).unwrap_or_default());
            } else {
                let at = |number: usize| usize::try_from(start + step * number as isize).ok();
                taken.extend((0..count).map_while(|number| tokens.get(at(number)?).copied()));
            }
            Ok::<Vec<Token>, NoMemory>(taken)
        })?;
        // Another thread may have taken tokens away since their number was asked for.
        if copied.len() < count {
            return Err(PyIndexError::new_err("the tokens changed meanwhile"));
        }
        token_vec(py, TokenVec::from(copied))
    }
}

/// Tokens from bytes, 64 each.
pub(crate) fn tokens_of(
    data: &[u8],
    read: impl Fn(&[u8; Token::BYTES]) -> Result<Token, statlas_core::EntityError>,
) -> PyResult<TokenVec> {
    let (tokens, rest) = data.as_chunks();
    if !rest.is_empty() {
        return Err(invalid(format!("found {} bytes; allowed: a multiple of {}", data.len(), Token::BYTES)));
    }
    let each = tokens.iter().enumerate();
    each.map(|(at, bytes)| read(bytes).map_err(|error| invalid(format!("token {at}: {error}")))).collect()
}

/// Makes what was pickled again.
#[pyfunction]
pub(crate) fn _token_vec_from_bytes<'py>(py: Python<'py>, data: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    // As they were: a writable view may have put anything into them.
    token_vec(py, tokens_of(data, |bytes| Ok(zerocopy::transmute!(*bytes)))?)
}

/// An iterator over tokens, which sees those that are appended meanwhile, as that over a list does.
#[pyclass(module = "statlas._statlas", frozen)]
pub(crate) struct Tokenator {
    shared: Arc<Shared>,
    next: AtomicUsize,
}

#[pymethods]
impl Tokenator {
    fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> Option<PyToken> {
        let tokens = self.shared.read_attached(py);
        let at = self.next.load(Ordering::Relaxed);
        let token = tokens.as_slice().get(at)?;
        // Two threads that share an iterator may see a token twice, but none that is not there.
        self.next.store(at + 1, Ordering::Relaxed);
        Some(PyToken(*token))
    }

    fn __length_hint__(&self, py: Python<'_>) -> usize {
        self.shared.read_attached(py).as_slice().len().saturating_sub(self.next.load(Ordering::Relaxed))
    }
}
