//! Entities, equal by their address.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::OnceLock;

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBool, PyBytes, PyDict, PyMapping, PyString, PyTuple};
use statlas_core::{Address, Entity, Timestamp};
use statlas_store::StoredEntity;

use crate::errors::{OrRaise, invalid};
use crate::json;
use crate::token::PyToken;

/// Something with a permanent address: what it is, and where it lies in a space of seven or eight dimensions.
///
/// Made from keyword arguments or from a mapping with the same names; entities are equal, and have equal hashes, if their
/// addresses are. An entity never changes.
///
/// >>> import statlas
/// >>> fields = {
/// ...     "profile": "stat7", "id": "bc-0001", "entity_type": "concept", "realm": "data",
/// ...     "coordinates": {"realm": "data", "lineage": 1, "adjacency": [], "horizon": "genesis",
/// ...                     "resonance": 0.5, "velocity": 0.25, "density": 0.75},
/// ...     "created_at": "2025-01-01T00:00:00.000Z", "state": {"value": 42}}
/// >>> entity = statlas.Entity(fields)
/// >>> entity.address
/// '2a803d2480c263b207c8fe86c5a1c40c217c8ff6dcfe5a91ff0d460d733e5188'
/// >>> entity == statlas.Entity(**fields), entity.state, entity.coordinates["lineage"]
/// (True, {'value': 42}, 1)
/// >>> statlas.Entity({**fields, "realm": "Data"})
/// Traceback (most recent call last):
///     ...
/// statlas.InvalidError: field realm: realm error: found "Data"; allowed: a lower-case letter followed by up to 31 lower-case letters, digits or underscores
#[pyclass(name = "Entity", module = "statlas", frozen)]
pub(crate) struct PyEntity {
    address: Address,
    /// As a store returned it, not parsed yet.
    stored: Option<StoredEntity>,
    entity: OnceLock<Box<Entity>>,
}

impl From<StoredEntity> for PyEntity {
    fn from(stored: StoredEntity) -> Self {
        Self { address: stored.address(), stored: Some(stored), entity: OnceLock::new() }
    }
}

impl From<Entity> for PyEntity {
    fn from(entity: Entity) -> Self {
        Self { address: entity.address(), stored: None, entity: OnceLock::from(Box::new(entity)) }
    }
}

impl PyEntity {
    /// All of it, parsed once.
    pub(crate) fn entity(&self) -> PyResult<&Entity> {
        if let Some(entity) = self.entity.get() {
            return Ok(entity);
        }
        let Some(stored) = &self.stored else { return Err(invalid("an entity without a text")) };
        let entity = stored.entity().or_raise()?;
        Ok(self.entity.get_or_init(|| Box::new(entity)))
    }

    fn json(&self) -> PyResult<String> {
        let mut text = Vec::new();
        self.entity()?.to_json_into(&mut text);
        String::from_utf8(text).map_err(|error| invalid(error.to_string()))
    }
}

/// The entity that an argument is, or that a mapping describes.
pub(crate) fn entity_of(fields: &Bound<'_, PyAny>) -> PyResult<Entity> {
    if let Ok(entity) = fields.cast::<PyEntity>() {
        return entity.get().entity().cloned();
    }
    if fields.cast::<PyMapping>().is_err() {
        let type_name = fields.get_type().fully_qualified_name()?;
        return Err(invalid(format!(
            "found an object of type {type_name}; allowed: an Entity or a mapping of its fields"
        )));
    }
    let mut text = Vec::with_capacity(512);
    json::write(fields, &mut text)?;
    Entity::from_json(&text).or_raise()
}

/// The address that an argument is: 64 hex digits, 32 bytes, or that of an entity.
pub(crate) fn address_of(address: &Bound<'_, PyAny>) -> PyResult<Address> {
    if let Ok(text) = address.cast::<PyString>() {
        return text.to_str()?.parse::<Address>().or_raise();
    }
    if let Ok(entity) = address.cast::<PyEntity>() {
        return Ok(entity.get().address);
    }
    if let Ok(bytes) = address.cast::<PyBytes>() {
        let found = bytes.as_bytes();
        return match found.try_into() {
            Ok(bytes) => Ok(Address(bytes)),
            Err(_) => Err(invalid(format!("address: found {} bytes; allowed: 32", found.len()))),
        };
    }
    let type_name = address.get_type().fully_qualified_name()?;
    Err(invalid(format!(
        "address: found an object of type {type_name}; allowed: 64 hex digits, 32 bytes or an Entity"
    )))
}

/// The address of an entity, or of what a mapping describes: the SHA-256 of its canonical text as 64 hex digits.
///
/// >>> import statlas
/// >>> statlas.address({
/// ...     "profile": "stat7", "id": "bc-0001", "entity_type": "concept", "realm": "data",
/// ...     "coordinates": {"realm": "data", "lineage": 1, "adjacency": [], "horizon": "genesis",
/// ...                     "resonance": 0.5, "velocity": 0.25, "density": 0.75},
/// ...     "created_at": "2025-01-01T00:00:00.000Z", "state": {"value": 42}})
/// '2a803d2480c263b207c8fe86c5a1c40c217c8ff6dcfe5a91ff0d460d733e5188'
#[pyfunction]
pub(crate) fn address(entity: &Bound<'_, PyAny>) -> PyResult<String> {
    if let Ok(entity) = entity.cast::<PyEntity>() {
        return Ok(entity.get().address());
    }
    Ok(entity_of(entity)?.address().to_string())
}

/// A time of the core as an aware `datetime` in UTC.
fn datetime<'py>(py: Python<'py>, time: Timestamp) -> PyResult<Bound<'py, PyAny>> {
    static EPOCH: PyOnceLock<(Py<PyAny>, Py<PyAny>)> = PyOnceLock::new();
    let (epoch, delta) = EPOCH.get_or_try_init(py, || -> PyResult<_> {
        let module = py.import("datetime")?;
        let utc = module.getattr("timezone")?.getattr("utc")?;
        let epoch = module.getattr("datetime")?.call1((1970, 1, 1, 0, 0, 0, 0, utc))?;
        Ok((epoch.unbind(), module.getattr("timedelta")?.unbind()))
    })?;
    let since = delta.bind(py).call1((0, 0, 0, time.unix_ms()))?;
    epoch.bind(py).call_method1("__add__", (since,))
}

#[pymethods]
impl PyEntity {
    #[new]
    #[pyo3(signature = (fields=None, /, *, profile=None, id=None, entity_type=None, realm=None, coordinates=None,
                        created_at=None, state=None, token=None, blob=None))]
    #[expect(clippy::too_many_arguments, reason = "an entity has so many fields, and here they are named")]
    fn new(
        py: Python<'_>,
        fields: Option<&Bound<'_, PyAny>>,
        profile: Option<&Bound<'_, PyAny>>,
        id: Option<&Bound<'_, PyAny>>,
        entity_type: Option<&Bound<'_, PyAny>>,
        realm: Option<&Bound<'_, PyAny>>,
        coordinates: Option<&Bound<'_, PyAny>>,
        created_at: Option<&Bound<'_, PyAny>>,
        state: Option<&Bound<'_, PyAny>>,
        token: Option<&Bound<'_, PyAny>>,
        blob: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let all = PyDict::new(py);
        if let Some(fields) = fields {
            let Ok(fields) = fields.cast::<PyMapping>() else {
                return entity_of(fields).map(Into::into);
            };
            all.update(fields)?;
        }
        let named = [
            ("profile", profile),
            ("id", id),
            ("entity_type", entity_type),
            ("realm", realm),
            ("coordinates", coordinates),
            ("created_at", created_at),
            ("state", state),
            ("token", token),
            ("blob", blob),
        ];
        for (name, value) in named {
            if let Some(value) = value {
                all.set_item(name, value)?;
            }
        }
        entity_of(all.as_any()).map(Into::into)
    }

    /// Reads an entity from JSON, as text or bytes.
    #[staticmethod]
    fn from_json(text: &Bound<'_, PyAny>) -> PyResult<Self> {
        let entity = match text.cast::<PyBytes>() {
            Ok(bytes) => Entity::from_json(bytes.as_bytes()),
            Err(_) => Entity::from_json(text.extract::<&str>()?.as_bytes()),
        };
        Ok(entity.or_raise()?.into())
    }

    /// The SHA-256 of the canonical text, as 64 hex digits.
    #[getter]
    fn address(&self) -> String {
        self.address.to_string()
    }

    /// `stat7` or `fractalstat`: which dimensions it has.
    #[getter]
    fn profile(&self) -> PyResult<&'static str> {
        Ok(self.entity()?.profile().as_str())
    }

    /// The user's name for it; several versions of one id may exist.
    #[getter]
    fn id(&self) -> PyResult<&str> {
        Ok(self.entity()?.id())
    }

    /// What sort of thing it is.
    #[getter]
    fn entity_type(&self) -> PyResult<String> {
        Ok(self.entity()?.entity_type().as_str().to_owned())
    }

    /// The realm it belongs to; independent of that of its coordinates.
    #[getter]
    fn realm(&self) -> PyResult<String> {
        Ok(self.entity()?.realm().as_str().to_owned())
    }

    /// Where it lies, dimension by dimension; a new dictionary each time.
    #[getter]
    fn coordinates<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.to_dict(py)?.get_item("coordinates")
    }

    /// When it came to be, in UTC.
    #[getter]
    fn created_at<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        datetime(py, self.entity()?.created_at())
    }

    /// Everything else about it; a new dictionary each time.
    #[getter]
    fn state<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        json::read(py, self.entity()?.state().as_str())
    }

    /// The attached token, which is no part of the address.
    #[getter]
    fn token(&self) -> PyResult<Option<PyToken>> {
        Ok(self.entity()?.token().copied().map(PyToken))
    }

    /// The SHA-256 of the attached file, which is no part of the address.
    #[getter]
    fn blob(&self) -> PyResult<Option<String>> {
        Ok(self.entity()?.blob().map(|blob| blob.to_string()))
    }

    /// The position as a URI, which `Store.resolve` takes.
    #[getter]
    fn uri(&self) -> PyResult<String> {
        Ok(self.entity()?.uri().to_string())
    }

    /// The text whose SHA-256 is the address.
    fn canonical<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        Ok(match &self.stored {
            Some(stored) => PyBytes::new(py, stored.canonical()),
            None => PyBytes::new(py, &self.entity()?.canonical()),
        })
    }

    /// One line of JSON that `Entity.from_json` reads back.
    fn to_json(&self) -> PyResult<String> {
        self.json()
    }

    /// The fields as a new dictionary that `Entity` takes.
    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        json::read(py, &self.json()?)
    }

    /// How similar two positions are, from 0 to 1; `None` for those of different profiles.
    ///
    /// For stat7 this is the entanglement, 0.85 and more of which counts as entangled.
    fn similarity(&self, other: &Self) -> PyResult<Option<f64>> {
        Ok(statlas_core::similarity(self.entity()?.coordinates(), other.entity()?.coordinates()))
    }

    fn __hash__(&self) -> u64 {
        // Any eight bytes of a SHA-256 are a hash.
        let mut hasher = DefaultHasher::new();
        self.address.0.hash(&mut hasher);
        hasher.finish()
    }

    fn __eq__<'py>(&self, other: &Bound<'py, PyAny>) -> Bound<'py, PyAny> {
        let py = other.py();
        match other.cast::<Self>() {
            Ok(other) => PyBool::new(py, other.get().address == self.address).to_owned().into_any(),
            Err(_) => py.NotImplemented().into_bound(py),
        }
    }

    fn __repr__(&self) -> PyResult<String> {
        let entity = self.entity()?;
        Ok(format!(
            "Entity(profile={:?}, id={:?}, address={:?})",
            entity.profile().as_str(),
            entity.id(),
            self.address()
        ))
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
        let from_json = py.get_type::<Self>().getattr("from_json")?;
        Ok((from_json, PyTuple::new(py, [self.json()?])?))
    }
}
