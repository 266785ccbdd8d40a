//! Stores.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::{PoisonError, RwLock};
use std::thread;
use std::time::{Duration, Instant};

use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyString};
use statlas_core::Entity;
use statlas_store::limits::BATCH_OPERATIONS_MAX;
use statlas_store::{
    BackupOptions, Batch, ByteSize, Durability, ErrorKind, Location, Options, Store, StoredEntity, TokenQuery,
};

use crate::batch::PyBatch;
use crate::entity::{PyEntity, address_of, entity_of};
use crate::errors::{OrRaise, closed, invalid};
use crate::files::PyFiles;
use crate::interrupt::{self, Interrupt, POLL};
use crate::load::{commit, gather};
use crate::records::PyRecords;
use crate::reports::{PyBackupReport, PyCheckReport, PyNearToken, PyNeighbour, PyReached, PyStored, stats};
use crate::search::metric_of;
use crate::token::{PyToken, spaces_of};
use crate::watch::PyWatch;
use crate::whole::Whole;

/// Addresses that are looked up between two looks at whether Ctrl-C came.
const READ_TOGETHER: usize = 10_000;

/// A store of entities by their address, files by their SHA-256 and records by name.
///
/// Opened with `Store.open`, and closed by `with` or by `close`; whatever was acknowledged before is there when it is
/// opened again. May be used from many threads. A process that forks opens its stores afterwards.
///
/// >>> import statlas
/// >>> with statlas.Store.open("memory:") as store:
/// ...     address = store.put({
/// ...         "profile": "stat7", "id": "bc-0001", "entity_type": "concept", "realm": "data",
/// ...         "coordinates": {"realm": "data", "lineage": 1, "adjacency": [], "horizon": "genesis",
/// ...                         "resonance": 0.5, "velocity": 0.25, "density": 0.75},
/// ...         "created_at": "2025-01-01T00:00:00.000Z", "state": {"value": 42}})
/// ...     store.get(address).id, len(store), store.revision
/// ('bc-0001', 1, 1)
/// >>> store.get(address)
/// Traceback (most recent call last):
///     ...
/// statlas.ClosedError: the store is closed
#[pyclass(name = "Store", module = "statlas", frozen)]
pub(crate) struct PyStore {
    /// `None` once it is closed.
    store: RwLock<Option<Store>>,
    durability: Durability,
}

/// Bytes as a number, or as text with a unit.
pub(crate) fn bytes_of(what: &str, size: &Bound<'_, PyAny>) -> PyResult<u64> {
    if let Ok(text) = size.cast::<PyString>() {
        let size: ByteSize = text.to_str()?.parse().map_err(|error| invalid(format!("{what}: {error}")))?;
        return Ok(size.0);
    }
    let bytes = if size.cast::<PyBool>().is_ok() { None } else { size.extract().ok() };
    bytes.ok_or_else(|| {
        invalid(format!("{what}: found {size}; allowed: bytes from 0, or text such as \"256MiB\""))
    })
}

/// The level of durability with a name.
pub(crate) fn durability_of(name: &str) -> PyResult<Durability> {
    match name {
        "synced" => Ok(Durability::Synced),
        "written" => Ok(Durability::Written),
        "buffered" => Ok(Durability::Buffered),
        _ => Err(invalid(format!("durability: found {name:?}; allowed: synced, written, buffered"))),
    }
}

fn entities(found: Vec<StoredEntity>) -> Vec<PyEntity> {
    found.into_iter().map(PyEntity::from).collect()
}

impl PyStore {
    /// The store, as long as it is open.
    pub(crate) fn opened(&self) -> PyResult<Store> {
        let store = self.store.read().unwrap_or_else(PoisonError::into_inner);
        store.clone().ok_or_else(|| closed("store"))
    }

    /// What `work` does with the store, without the interpreter's lock.
    fn with<T: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&Store) -> statlas_store::Result<T> + Send,
    ) -> PyResult<T> {
        let store = self.opened()?;
        py.detach(|| work(&store)).or_raise()
    }

    pub(crate) fn durability(&self) -> Durability {
        self.durability
    }
}

#[pymethods]
impl PyStore {
    /// Opens the store at a path, `disk:PATH` or `memory:`; one that is not there is made unless `create` is false.
    ///
    /// `durability` is how safe everything is when a call returns: `"synced"` survives a power cut, `"written"` a killed
    /// process, `"buffered"` neither. `memory` bounds what the store takes for itself, `cache` what of it is for entities
    /// that were read, `buffer_pool` for large buffers; sizes are bytes or text such as `"256MiB"`. `compression`
    /// compresses texts of entities, `preload` reads indexes and columns at once, `segment_size` is when a new file of the
    /// log is begun, `history_revisions` how many revisions keep every change when the log is compacted, and
    /// `background_scrub` how many bytes a second are verified meanwhile. `wait` is how many seconds to wait for another
    /// process that has the store.
    ///
    /// Raises `BusyError`, `NotAStoreError`, `NewerFormatError`, or `IoError`.
    #[staticmethod]
    #[pyo3(signature = (path_or_url, *, create=true, durability="synced", memory=None, cache=None, compression=false,
                        buffer_pool=None, preload=false, segment_size=None, history_revisions=None,
                        background_scrub=None, wait=0.0))]
    #[expect(clippy::too_many_arguments, reason = "they are named")]
    fn open(
        py: Python<'_>,
        path_or_url: PathBuf,
        create: bool,
        durability: &str,
        memory: Option<&Bound<'_, PyAny>>,
        cache: Option<&Bound<'_, PyAny>>,
        compression: bool,
        buffer_pool: Option<&Bound<'_, PyAny>>,
        preload: bool,
        segment_size: Option<&Bound<'_, PyAny>>,
        history_revisions: Option<Whole<u64>>,
        background_scrub: Option<&Bound<'_, PyAny>>,
        wait: f64,
    ) -> PyResult<Self> {
        let bytes =
            |what: &str, size: Option<&Bound<'_, PyAny>>| size.map(|size| bytes_of(what, size)).transpose();
        let default = Options::default();
        let options = Options {
            create,
            durability: durability_of(durability)?,
            memory_bytes_max: bytes("memory", memory)?,
            cache_bytes_max: bytes("cache", cache)?,
            compression,
            buffer_pool_bytes_max: bytes("buffer_pool", buffer_pool)?
                .unwrap_or(default.buffer_pool_bytes_max),
            preload,
            segment_bytes: bytes("segment_size", segment_size)?.unwrap_or(default.segment_bytes),
            history_revisions: history_revisions.map_or(default.history_revisions, |revisions| revisions.0),
            scrub_bytes_per_second: bytes("background_scrub", background_scrub)?
                .unwrap_or(default.scrub_bytes_per_second),
            ..default
        };
        let wait = Duration::try_from_secs_f64(wait)
            .map_err(|_| invalid(format!("wait: found {wait}; allowed: seconds from 0")))?;
        let location = Location::try_from(OsString::from(path_or_url).as_os_str()).or_raise()?;
        let begun = Instant::now();
        loop {
            let opened = py.detach(|| Store::open(&location, &options));
            match opened {
                Err(error) if error.kind() == ErrorKind::Busy && begun.elapsed() < wait => {}
                opened => {
                    let store = RwLock::new(Some(opened.or_raise()?));
                    return Ok(Self { store, durability: options.durability });
                }
            }
            py.detach(|| thread::sleep(POLL.min(wait.saturating_sub(begun.elapsed()))));
            py.check_signals()?;
        }
    }

    fn __enter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __exit__(
        &self,
        py: Python<'_>,
        exc_type: &Bound<'_, PyAny>,
        exc: &Bound<'_, PyAny>,
        traceback: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let _ = (exc, traceback);
        let closed = self.close(py);
        // What the block raised is what matters; it may be why closing fails.
        if exc_type.is_none() { closed } else { Ok(()) }
    }

    /// Syncs, and lets go of the store's files; every later call but another one of this raises `ClosedError`.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        let store = self.store.write().unwrap_or_else(PoisonError::into_inner).take();
        // The last one that has it closes it, and that may take long.
        py.detach(|| store.map_or(Ok(()), |store| store.close())).or_raise()
    }

    /// Whether it is closed.
    #[getter]
    fn closed(&self) -> bool {
        self.store.read().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    /// The newest revision: how many batches were committed.
    #[getter]
    fn revision(&self, py: Python<'_>) -> PyResult<u64> {
        self.with(py, revision)
    }

    /// The files of the store.
    #[getter]
    fn files(&self) -> PyResult<PyFiles> {
        Ok(PyFiles::new(self.opened()?))
    }

    /// How many entities can be read.
    fn __len__(&self, py: Python<'_>) -> PyResult<usize> {
        self.with(py, |store| Ok(store.engine().stats().entities as usize))
    }

    /// True, also of an empty one: a store is no container that is asked whether it holds anything.
    fn __bool__(&self) -> bool {
        true
    }

    fn __contains__(&self, py: Python<'_>, address: &Bound<'_, PyAny>) -> PyResult<bool> {
        Ok(self.get(py, address)?.is_some())
    }

    /// Stores an entity, or what a mapping describes, and returns its address; storing it again changes nothing.
    fn put(&self, py: Python<'_>, entity: &Bound<'_, PyAny>) -> PyResult<String> {
        let entity = entity_of(entity)?;
        Ok(self.with(py, |store| store.put(entity))?.to_string())
    }

    /// Stores all entities (or mappings) of an iterable, in batches, and returns how many were new.
    ///
    /// Each batch is stored as a whole or not at all; a thread commits one while the next is made. If something is
    /// refused, its batch is not stored and those before it are: storing all of them again is safe. `progress` is called
    /// with the number of entities so far.
    ///
    /// >>> import statlas
    /// >>> def entity(number):
    /// ...     return {
    /// ...         "profile": "stat7", "id": f"bc-{number}", "entity_type": "concept", "realm": "data",
    /// ...         "coordinates": {"realm": "data", "lineage": number, "adjacency": [], "horizon": "genesis",
    /// ...                         "resonance": 0.5, "velocity": 0.25, "density": 0.75},
    /// ...         "created_at": "2025-01-01T00:00:00Z", "state": {}}
    /// >>> with statlas.Store.open("memory:") as store:
    /// ...     store.put_many(entity(number) for number in range(1000))
    /// Stored(new=1000, present=0, revision=1)
    #[pyo3(signature = (entities, *, batch_size=Whole(10_000), durability=None,
                        progress=None), text_signature = "($self, entities, *, batch_size=10000, durability=None, progress=None)")]
    fn put_many(
        &self,
        py: Python<'_>,
        entities: &Bound<'_, PyAny>,
        batch_size: Whole<usize>,
        durability: Option<&str>,
        progress: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<PyStored> {
        let durability = durability.map_or(Ok(self.durability), durability_of)?;
        let batch_size = match batch_size.0 {
            0 => return Err(invalid("batch_size: found 0; allowed: at least 1")),
            size => size.min(BATCH_OPERATIONS_MAX),
        };
        let mut loader = self.opened()?.loader(durability).or_raise()?;
        let (mut entities, mut done) = (entities.try_iter()?, 0);
        loop {
            let gathered = gather(&mut entities, batch_size, done)?;
            if gathered.is_empty() {
                break;
            }
            done += gathered.len();
            py.detach(|| commit(&mut loader, gathered)).or_raise()?;
            py.check_signals()?;
            if let Some(progress) = progress {
                progress.call1((done,))?;
            }
        }
        let commit = py.detach(|| loader.finish()).or_raise()?;
        let revision = commit.revision.max(self.with(py, revision)?);
        Ok(PyStored { new: commit.entities_new, present: commit.entities_present, revision })
    }

    /// The entity at an address (64 hex digits, 32 bytes, or that of an `Entity`), or `None`. Its bytes are verified.
    fn get(&self, py: Python<'_>, address: &Bound<'_, PyAny>) -> PyResult<Option<PyEntity>> {
        let address = address_of(address)?;
        Ok(self.with(py, |store| store.get(&address))?.map(PyEntity::from))
    }

    /// The entities at many addresses, in their order; `None` where there is none.
    ///
    /// >>> import statlas
    /// >>> with statlas.Store.open("memory:") as store:
    /// ...     store.get_many(["00" * 32, bytes(32)])
    /// [None, None]
    fn get_many(&self, py: Python<'_>, addresses: &Bound<'_, PyAny>) -> PyResult<Vec<Option<PyEntity>>> {
        let addresses: Vec<_> =
            addresses.try_iter()?.map(|address| address_of(&address?)).collect::<PyResult<_>>()?;
        let mut found = Vec::with_capacity(addresses.len());
        for part in addresses.chunks(READ_TOGETHER) {
            let entities = self.with(py, |store| store.engine().entities(part))?;
            found.extend(entities.into_iter().map(|entity| entity.map(PyEntity::from)));
            py.check_signals()?;
        }
        Ok(found)
    }

    /// The newest version of an id, or `None`.
    fn head(&self, py: Python<'_>, id: &str) -> PyResult<Option<PyEntity>> {
        Ok(self.with(py, |store| store.head(id))?.map(PyEntity::from))
    }

    /// All versions of an id, the oldest first.
    ///
    /// >>> import statlas
    /// >>> fields = {
    /// ...     "profile": "stat7", "id": "bc-0001", "entity_type": "concept", "realm": "data",
    /// ...     "coordinates": {"realm": "data", "lineage": 1, "adjacency": [], "horizon": "genesis",
    /// ...                     "resonance": 0.5, "velocity": 0.25, "density": 0.75},
    /// ...     "created_at": "2025-01-01T00:00:00.000Z"}
    /// >>> with statlas.Store.open("memory:") as store:
    /// ...     for value in (1, 2):
    /// ...         address = store.put({**fields, "state": {"value": value}})
    /// ...     [version.state for version in store.history("bc-0001")], store.head("bc-0001").state
    /// ([{'value': 1}, {'value': 2}], {'value': 2})
    fn history(&self, py: Python<'_>, id: &str) -> PyResult<Vec<PyEntity>> {
        self.with(py, |store| store.history(id)).map(entities)
    }

    /// The entities that an address, a unique prefix of one, an id (its newest version) or a URI names.
    ///
    /// >>> import statlas
    /// >>> with statlas.Store.open("memory:") as store:
    /// ...     address = store.put({
    /// ...         "profile": "stat7", "id": "bc-0001", "entity_type": "concept", "realm": "data",
    /// ...         "coordinates": {"realm": "data", "lineage": 1, "adjacency": [], "horizon": "genesis",
    /// ...                         "resonance": 0.5, "velocity": 0.25, "density": 0.75},
    /// ...         "created_at": "2025-01-01T00:00:00.000Z", "state": {}})
    /// ...     [entity.id for name in (address[:8], "bc-0001") for entity in store.resolve(name)]
    /// ['bc-0001', 'bc-0001']
    fn resolve(&self, py: Python<'_>, what: &str) -> PyResult<Vec<PyEntity>> {
        self.with(py, |store| store.resolve(what)).map(entities)
    }

    /// Removes the entity at an address; removing what is not there changes nothing.
    fn remove(&self, py: Python<'_>, address: &Bound<'_, PyAny>) -> PyResult<()> {
        let mut batch = Batch::new();
        batch.remove_entity(address_of(address)?);
        self.with(py, |store| store.commit(batch, self.durability)).map(|_| ())
    }

    /// The `k` entities most similar to one, of the same profile, the most similar first. `what` is an `Entity`, which need
    /// not be stored, or names one as `resolve` takes it.
    ///
    /// >>> import statlas
    /// >>> def entity(number):
    /// ...     return {
    /// ...         "profile": "stat7", "id": f"bc-{number}", "entity_type": "concept", "realm": "data",
    /// ...         "coordinates": {"realm": "data", "lineage": number, "adjacency": [], "horizon": "genesis",
    /// ...                         "resonance": 0.5, "velocity": 0.25, "density": 0.75},
    /// ...         "created_at": "2025-01-01T00:00:00Z", "state": {}}
    /// >>> with statlas.Store.open("memory:") as store:
    /// ...     stored = store.put_many(entity(number) for number in range(100))
    /// ...     [near.entity.id for near in store.near("bc-50", k=2)]
    /// ['bc-51', 'bc-49']
    #[pyo3(signature = (what, k=10))]
    fn near(&self, py: Python<'_>, what: &Bound<'_, PyAny>, k: usize) -> PyResult<Vec<PyNeighbour>> {
        let own;
        let from: &Entity = if let Ok(entity) = what.cast::<PyEntity>() {
            entity.get().entity()?
        } else {
            let name: &str = what.extract()?;
            let mut found = self.with(py, |store| store.resolve(name))?;
            match (found.pop(), found.len()) {
                (Some(entity), 0) => own = entity.entity().or_raise()?,
                (None, _) => return Err(invalid(format!("no entity is named {name:?} in this store"))),
                (_, others) => {
                    return Err(invalid(format!(
                        "{name:?} names {} entities; one is wanted here",
                        others + 1
                    )));
                }
            }
            &own
        };
        let address = from.address();
        let found = self.with(py, |store| store.engine().near(from.coordinates(), k, Some(&address)))?;
        found.into_iter().map(|near| PyNeighbour::new(py, near.similarity, near.entity)).collect()
    }

    /// The `k` entities whose attached token is nearest to one, exactly, the nearest first. `token` is a `Token`, or an
    /// `Entity` that carries one and is left out itself.
    ///
    /// Only those that are at most `radius` far, if it is given; `spaces` and `metric` are those of `TokenVec.nearest`.
    ///
    /// >>> import statlas
    /// >>> def entity(number):
    /// ...     return {
    /// ...         "profile": "stat7", "id": f"bc-{number}", "entity_type": "concept", "realm": "data",
    /// ...         "coordinates": {"realm": "data", "lineage": number, "adjacency": [], "horizon": "genesis",
    /// ...                         "resonance": 0.5, "velocity": 0.25, "density": 0.75},
    /// ...         "created_at": "2025-01-01T00:00:00Z", "state": {},
    /// ...         "token": statlas.Token(spaces={"physical": (number, 0, 0)})}
    /// >>> with statlas.Store.open("memory:") as store:
    /// ...     stored = store.put_many(entity(number) for number in range(100))
    /// ...     near = store.near_token(statlas.Token(spaces={"physical": (50.25, 0, 0)}), k=2)
    /// >>> [(found.entity.id, found.distance) for found in near]
    /// [('bc-50', 0.25), ('bc-51', 0.75)]
    #[pyo3(signature = (token, k=10, *, radius=None, spaces=None, metric="euclidean"))]
    fn near_token(
        &self,
        py: Python<'_>,
        token: &Bound<'_, PyAny>,
        k: usize,
        radius: Option<f64>,
        spaces: Option<&Bound<'_, PyAny>>,
        metric: &str,
    ) -> PyResult<Vec<PyNearToken>> {
        let (token, except) = if let Ok(entity) = token.cast::<PyEntity>() {
            let entity = entity.get().entity()?;
            let carried = entity.token().copied();
            let token =
                carried.ok_or_else(|| invalid(format!("entity {:?} carries no token", entity.id())))?;
            (token, Some(entity.address()))
        } else if let Ok(token) = token.cast::<PyToken>() {
            (token.get().0, None)
        } else {
            let type_name = token.get_type().fully_qualified_name()?;
            let allowed = "allowed: a Token, or an Entity that carries one";
            return Err(invalid(format!("token: found an object of type {type_name}; {allowed}")));
        };
        let (spaces, metric) = (spaces_of(spaces)?, metric_of(metric)?);
        let query = TokenQuery { token, k, radius, spaces, metric, except };
        let found = self.with(py, |store| store.engine().near_token(&query))?;
        found.into_iter().map(|near| PyNearToken::new(py, near.distance, near.entity)).collect()
    }

    /// The ids that can be reached from one over adjacency within `hops` steps, the nearest first, at most `limit`.
    #[pyo3(signature = (id, hops=1, limit=1000))]
    fn neighbours(&self, py: Python<'_>, id: &str, hops: usize, limit: usize) -> PyResult<Vec<PyReached>> {
        let found = self.with(py, |store| store.neighbours(id, hops, limit))?;
        found.into_iter().map(|reached| PyReached::new(py, reached)).collect()
    }

    /// The records of a collection: mutable values by name, with compare-and-swap.
    fn records(&self, collection: &str) -> PyResult<PyRecords> {
        PyRecords::new(self.opened()?, collection, self.durability)
    }

    /// A batch of changes that are stored together or not at all: committed at the end of `with`, unless it raises.
    ///
    /// >>> import statlas
    /// >>> with statlas.Store.open("memory:") as store:
    /// ...     with store.batch() as batch:
    /// ...         batch.put_record("nodes", "a", b"1", expected="absent")
    /// ...         batch.put_record("nodes", "b", b"2", expected="absent")
    /// ...     store.revision, [record.key for record in store.records("nodes")]
    /// (1, ['a', 'b'])
    #[pyo3(signature = (*, durability=None))]
    fn batch(&self, durability: Option<&str>) -> PyResult<PyBatch> {
        let durability = durability.map_or(Ok(self.durability()), durability_of)?;
        Ok(PyBatch::new(self.opened()?, durability))
    }

    /// The changes behind a revision, as they come: an iterator that waits for the next one, for ever or until none came for
    /// `timeout` seconds. It begins behind the newest revision unless `after` names another one.
    ///
    /// >>> import statlas
    /// >>> with statlas.Store.open("memory:") as store:
    /// ...     revision = store.records("nodes").put("a", b"1")
    /// ...     [(change.kind, change.key) for change in store.watch(0, timeout=0)]
    /// [('record_put', 'a')]
    #[pyo3(signature = (after=None, *, timeout=None))]
    fn watch(&self, after: Option<Whole<u64>>, timeout: Option<f64>) -> PyResult<PyWatch> {
        PyWatch::new(&self.opened()?, after.map(|after| after.0), timeout)
    }

    /// Reads and verifies everything that is stored, or with `quick` all but what stands in complete files of the log.
    ///
    /// Damage raises nothing: the report lists it. `progress` is called now and then, and at the end, with bytes done and
    /// bytes in all.
    ///
    /// >>> import statlas
    /// >>> with statlas.Store.open("memory:") as store:
    /// ...     report = store.check()
    /// >>> report.sound, report.damage
    /// (True, [])
    #[pyo3(signature = (*, quick=false, progress=None))]
    fn check(&self, py: Python<'_>, quick: bool, progress: Option<Py<PyAny>>) -> PyResult<PyCheckReport> {
        let (store, interrupt) = (self.opened()?, Interrupt::new(py, progress.as_ref())?);
        let report = interrupt::run(py, &interrupt, || {
            let mut show = |done, total| interrupt.show_or_unwind(done, total);
            let engine = store.engine();
            if quick { engine.check_quick(&mut show) } else { engine.check(&mut show) }
        });
        Ok(report?.into())
    }

    /// Copies the store as it is now into a directory while everybody else goes on, or brings the backup that is there up to
    /// date: only what it lacks is copied. `statlas restore` makes a store of it.
    ///
    /// With `strict`, a damaged store is refused instead of copied with its damage. `progress` is called now and then, and at
    /// the end, with bytes done and bytes in all.
    ///
    /// >>> import os, statlas, tempfile
    /// >>> folder = tempfile.mkdtemp()
    /// >>> with statlas.Store.open(os.path.join(folder, "store")) as store:
    /// ...     revision = store.records("nodes").put("a", b"1")
    /// ...     store.backup(os.path.join(folder, "backup")).revision
    /// 1
    #[pyo3(signature = (to, *, strict=false, progress=None))]
    fn backup(
        &self,
        py: Python<'_>,
        to: PathBuf,
        strict: bool,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<PyBackupReport> {
        let (store, interrupt) = (self.opened()?, Interrupt::new(py, progress.as_ref())?);
        let goes_on = || interrupt.goes_on();
        let options = BackupOptions { strict, goes_on: &goes_on };
        let report = py
            .detach(|| store.engine().backup(&to, &options, &mut |done, total| interrupt.show(done, total)));
        Ok(interrupt.finish(py, report)?.into())
    }

    /// Figures of the store, counted and not estimated, by name.
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let figures = self.with(py, |store| Ok(store.engine().stats()))?;
        stats(py, &figures)
    }

    /// Makes everything that was acknowledged survive a power cut.
    fn sync(&self, py: Python<'_>) -> PyResult<()> {
        self.with(py, |store| store.engine().sync())
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        if self.closed() {
            return Ok("<Store, closed>".to_owned());
        }
        let stats = self.with(py, |store| Ok(store.engine().stats()))?;
        Ok(format!(
            "<Store ({}) of {} entities at revision {}>",
            stats.engine, stats.entities, stats.revision
        ))
    }
}

/// The newest revision.
pub(crate) fn revision(store: &Store) -> statlas_store::Result<u64> {
    // Nothing is waited for, and nothing is counted, as figures would be.
    store.engine().wait_for_change(0, Duration::ZERO)
}
