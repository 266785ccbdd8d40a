//! Answers that are plain values.

use pyo3::prelude::*;
use pyo3::types::PyDict;
use statlas_store::{BackupReport, CheckReport, Reached, Stats, StoredEntity};

use crate::entity::PyEntity;

/// What storing many entities did.
#[pyclass(name = "Stored", module = "statlas", frozen, get_all)]
pub(crate) struct PyStored {
    /// Entities that were not there before.
    pub(crate) new: u64,
    /// Entities that were there.
    pub(crate) present: u64,
    /// The newest revision.
    pub(crate) revision: u64,
}

#[pymethods]
impl PyStored {
    fn __repr__(&self) -> String {
        format!("Stored(new={}, present={}, revision={})", self.new, self.present, self.revision)
    }
}

/// An entity and how similar it is.
#[pyclass(name = "Neighbour", module = "statlas", frozen, get_all)]
pub(crate) struct PyNeighbour {
    /// The similarity, 1 for the same place.
    similarity: f64,
    /// The entity.
    entity: Py<PyEntity>,
}

impl PyNeighbour {
    pub(crate) fn new(py: Python<'_>, similarity: f64, entity: StoredEntity) -> PyResult<Self> {
        Ok(Self { similarity, entity: Py::new(py, PyEntity::from(entity))? })
    }
}

#[pymethods]
impl PyNeighbour {
    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let entity = self.entity.bind(py).repr()?;
        Ok(format!("Neighbour(similarity={}, entity={entity})", self.similarity))
    }
}

/// An entity and how far its token is.
#[pyclass(name = "NearToken", module = "statlas", frozen, get_all)]
pub(crate) struct PyNearToken {
    /// The distance by the metric that was asked for, 0 for the same place.
    distance: f64,
    /// The entity.
    entity: Py<PyEntity>,
}

impl PyNearToken {
    pub(crate) fn new(py: Python<'_>, distance: f64, entity: StoredEntity) -> PyResult<Self> {
        Ok(Self { distance, entity: Py::new(py, PyEntity::from(entity))? })
    }
}

#[pymethods]
impl PyNearToken {
    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let entity = self.entity.bind(py).repr()?;
        Ok(format!("NearToken(distance={}, entity={entity})", self.distance))
    }
}

/// An id that was reached over adjacency.
#[pyclass(name = "Reached", module = "statlas", frozen, get_all)]
pub(crate) struct PyReached {
    /// The id.
    id: String,
    /// How many steps away it is, at least 1.
    hops: usize,
    /// Its newest version; `None` if an entity names it that is not stored itself.
    entity: Option<Py<PyEntity>>,
}

impl PyReached {
    pub(crate) fn new(py: Python<'_>, reached: Reached) -> PyResult<Self> {
        let entity = reached.entity.map(|entity| Py::new(py, PyEntity::from(entity))).transpose()?;
        Ok(Self { id: reached.id, hops: reached.hops, entity })
    }
}

#[pymethods]
impl PyReached {
    fn __repr__(&self) -> String {
        format!("Reached(id={:?}, hops={})", self.id, self.hops)
    }
}

/// What a check read and found.
#[pyclass(name = "CheckReport", module = "statlas", frozen, get_all)]
pub(crate) struct PyCheckReport {
    /// Bytes read and verified.
    bytes: u64,
    /// Commits verified.
    commits: u64,
    /// Entities whose text has their address.
    entities: u64,
    /// Blobs and chunks whose bytes have their SHA-256.
    blobs: u64,
    /// Records verified.
    records: u64,
    /// The head of the hash chain in hex; empty for engines that keep none.
    chain_head: String,
    /// What is wrong: place, what it hits, how. Empty for a sound store.
    damage: Vec<String>,
    /// Bytes that a quick check did not read.
    bytes_unread: u64,
}

impl From<CheckReport> for PyCheckReport {
    fn from(report: CheckReport) -> Self {
        let CheckReport { bytes, commits, entities, blobs, records, chain_head, damage, bytes_unread } =
            report;
        Self { bytes, commits, entities, blobs, records, chain_head, damage, bytes_unread }
    }
}

#[pymethods]
impl PyCheckReport {
    /// Whether nothing is damaged.
    #[getter]
    fn sound(&self) -> bool {
        self.damage.is_empty()
    }

    fn __repr__(&self) -> String {
        format!(
            "CheckReport(sound={}, bytes={}, entities={}, blobs={}, records={}, damage={:?})",
            if self.sound() { "True" } else { "False" },
            self.bytes,
            self.entities,
            self.blobs,
            self.records,
            self.damage
        )
    }
}

/// What a backup is of, and what was copied for it.
#[pyclass(name = "BackupReport", module = "statlas", frozen, get_all)]
pub(crate) struct PyBackupReport {
    /// The newest revision in it.
    revision: u64,
    /// The head of the hash chain in hex.
    chain_head: String,
    /// Files of the log.
    files: u64,
    /// How many of them the backup before lacked.
    files_copied: u64,
    /// Bytes of all files.
    bytes: u64,
    /// Bytes that were copied.
    bytes_copied: u64,
    /// What is damaged in the store, and so in the backup.
    damage: Vec<String>,
}

impl From<BackupReport> for PyBackupReport {
    fn from(report: BackupReport) -> Self {
        let BackupReport { revision, chain_head, files, files_copied, bytes, bytes_copied, damage } = report;
        Self { revision, chain_head, files, files_copied, bytes, bytes_copied, damage }
    }
}

#[pymethods]
impl PyBackupReport {
    fn __repr__(&self) -> String {
        format!(
            "BackupReport(revision={}, files={}, files_copied={}, bytes={}, bytes_copied={}, damage={:?})",
            self.revision, self.files, self.files_copied, self.bytes, self.bytes_copied, self.damage
        )
    }
}

/// Figures of a store as a dictionary.
pub(crate) fn stats<'py>(py: Python<'py>, figures: &Stats) -> PyResult<Bound<'py, PyDict>> {
    let memory = PyDict::new(py);
    for held in &figures.memory {
        memory.set_item(held.user, held.bytes)?;
    }
    let all = PyDict::new(py);
    all.set_item("engine", figures.engine)?;
    for (name, figure) in [
        ("revision", figures.revision),
        ("entities", figures.entities),
        ("ids", figures.ids),
        ("blobs", figures.blobs),
        ("records", figures.records),
        ("disk_bytes", figures.disk_bytes),
        ("segments", figures.segments),
        ("segments_covered", figures.segments_covered),
        ("index_bytes", figures.index_bytes),
        ("catalogue_bytes", figures.catalogue_bytes),
        ("memory_bytes_max", figures.memory_bytes_max),
        ("syncs", figures.syncs),
        ("cache_hits", figures.cache_hits),
        ("cache_misses", figures.cache_misses),
    ] {
        all.set_item(name, figure)?;
    }
    all.set_item("memory", memory)?;
    all.set_item("damage", &figures.damage)?;
    all.set_item("chain_head", &figures.chain_head)?;
    all.set_item("maintenance_error", figures.maintenance_error.as_ref())?;
    Ok(all)
}
