//! One token.

use std::hash::{DefaultHasher, Hash, Hasher};

use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyDict, PyMapping, PyString, PyTuple};
use statlas_core::{AXES, SPACES, Space, SpaceSet, Token, TokenParts, TokenType};

use crate::bytes::bytes_like;
use crate::errors::{OrRaise, invalid};
use crate::whole::Whole;

/// A token: 64 bytes that place one thing in eight spaces of three axes each. It never changes.
///
/// >>> import statlas
/// >>> token = statlas.Token(local_id=7, entity_type="sensor", weight=1.5, spaces={"physical": (1.5, -2.0, None)})
/// >>> token.spaces
/// {'physical': (1.5, -2.0, None)}
/// >>> len(bytes(token)), statlas.Token.from_bytes(bytes(token)) == token
/// (64, True)
/// >>> other = statlas.Token(spaces={"physical": (4.5, 2.0, 0.0)})
/// >>> token.distance(other)
/// 5.0
#[pyclass(name = "Token", module = "statlas", frozen)]
#[derive(Clone, Copy)]
pub(crate) struct PyToken(pub(crate) Token);

/// The values on the axes of a space.
pub(crate) type Values = (Option<f64>, Option<f64>, Option<f64>);

/// The space with a name.
pub(crate) fn space_of(name: &str) -> PyResult<Space> {
    Space::from_name(name).ok_or_else(|| {
        let names = Space::ALL.map(Space::as_str).join(", ");
        invalid(format!("space: found {name:?}; allowed: {names}"))
    })
}

/// The spaces that are asked for: all of them, one, or some.
pub(crate) fn spaces_of(spaces: Option<&Bound<'_, PyAny>>) -> PyResult<SpaceSet> {
    let Some(spaces) = spaces else { return Ok(SpaceSet::ALL) };
    if let Ok(name) = spaces.cast::<PyString>() {
        return Ok(space_of(name.to_str()?)?.into());
    }
    spaces.try_iter()?.map(|name| space_of(name?.extract::<&str>()?)).collect()
}

/// The type with a name.
pub(crate) fn token_type_of(name: &str) -> PyResult<TokenType> {
    TokenType::ALL.into_iter().find(|known| known.as_str() == name).ok_or_else(|| {
        let names = TokenType::ALL.map(TokenType::as_str).join(", ");
        invalid(format!("entity_type: found {name:?}; allowed: {names}"))
    })
}

/// The axes of each space that a mapping names.
fn spaces_from(mapping: &Bound<'_, PyMapping>) -> PyResult<[Option<[Option<f64>; AXES]>; SPACES]> {
    let mut spaces = [None; SPACES];
    for pair in mapping.items()?.iter() {
        let (name, values): (String, Bound<'_, PyAny>) = pair.extract()?;
        let space = space_of(&name)?;
        if values.is_none() {
            continue;
        }
        let axes: Vec<Option<f64>> =
            values.try_iter()?.map(|value| value?.extract()).collect::<PyResult<_>>()?;
        let axes = axes.try_into().map_err(|axes: Vec<_>| {
            invalid(format!(
                "spaces.{name}: found {} values; allowed: {AXES}, None where not defined",
                axes.len()
            ))
        })?;
        spaces[space.index()] = Some(axes);
    }
    Ok(spaces)
}

impl PyToken {
    pub(crate) fn values(&self, space: Space) -> Option<Values> {
        self.0.decoded(space).map(|[x, y, z]| (x, y, z))
    }
}

#[pymethods]
impl PyToken {
    #[new]
    #[pyo3(signature = (*, local_id=Whole(0), entity_type="undefined", domain=Whole(0), flags=Whole(0), weight=0.0, field_radius=0.0,
                        field_strength=0.0, timestamp=Whole(0), spaces=None), text_signature = "(*, local_id=0, entity_type='undefined', domain=0, flags=0, weight=0.0, field_radius=0.0, field_strength=0.0, timestamp=0, spaces=None)")]
    #[expect(clippy::too_many_arguments, reason = "a token has so many fields, and here they are named")]
    fn new(
        local_id: Whole<u32>,
        entity_type: &str,
        domain: Whole<u8>,
        flags: Whole<u16>,
        weight: f32,
        field_radius: f64,
        field_strength: f64,
        timestamp: Whole<u32>,
        spaces: Option<&Bound<'_, PyMapping>>,
    ) -> PyResult<Self> {
        let entity_type = token_type_of(entity_type)?;
        let spaces = spaces.map(spaces_from).transpose()?.unwrap_or_default();
        let parts = TokenParts {
            local_id: local_id.0,
            entity_type,
            domain: domain.0,
            flags: flags.0,
            weight,
            field_radius,
            field_strength,
            timestamp: timestamp.0,
            spaces,
        };
        Token::new(parts).or_raise().map(Self)
    }

    /// Reads the 64 bytes that `bytes(token)` gives.
    #[staticmethod]
    fn from_bytes(data: &Bound<'_, PyAny>) -> PyResult<Self> {
        Token::from_bytes(bytes_of(bytes_like("data", data)?.as_bytes())?).or_raise().map(Self)
    }

    /// Converts 64 bytes of the reference implementation, which marks undefined spaces by 127.
    #[staticmethod]
    fn from_reference_bytes(data: &Bound<'_, PyAny>) -> PyResult<Self> {
        Token::from_reference_bytes(bytes_of(bytes_like("data", data)?.as_bytes())?).or_raise().map(Self)
    }

    /// Reads a token from JSON, as text or bytes.
    #[staticmethod]
    fn from_json(text: &Bound<'_, PyAny>) -> PyResult<Self> {
        let token = match text.cast::<PyBytes>() {
            Ok(bytes) => Token::from_json(bytes.as_bytes()),
            Err(_) => Token::from_json(text.extract::<&str>()?.as_bytes()),
        };
        token.or_raise().map(Self)
    }

    /// Local id (bits 0 to 23), type (24 to 27) and domain (28 to 31) in one number.
    #[getter]
    fn id(&self) -> u32 {
        self.0.raw_id()
    }

    /// A number among those of its type and domain.
    #[getter]
    fn local_id(&self) -> u32 {
        self.0.local_id()
    }

    /// What sort of thing it stands for, one of `TOKEN_TYPES`.
    #[getter]
    fn entity_type(&self) -> &'static str {
        self.0.entity_type().as_str()
    }

    /// The domain, 0 to 15.
    #[getter]
    fn domain(&self) -> u8 {
        self.0.domain()
    }

    /// The flags without the bits that repeat the type. From bit 0: active, persistent, mutable, synchronized,
    /// compressed, encrypted, dirty, locked; bits 12 to 15 are the user's.
    #[getter]
    fn flags(&self) -> u16 {
        self.0.flags()
    }

    /// The weight, 0 to 100.
    #[getter]
    fn weight(&self) -> f32 {
        self.0.weight()
    }

    /// The radius of the field, 0 to 2.55.
    #[getter]
    fn field_radius(&self) -> f64 {
        self.0.field_radius()
    }

    /// The strength of the field, 0 to 1.
    #[getter]
    fn field_strength(&self) -> f64 {
        self.0.field_strength()
    }

    /// Seconds since 1970-01-01T00:00:00Z.
    #[getter]
    fn timestamp(&self) -> u32 {
        self.0.timestamp()
    }

    /// The values on the axes of the spaces that are defined.
    #[getter]
    fn spaces<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let spaces = PyDict::new(py);
        for space in Space::ALL {
            if let Some(values) = self.values(space) {
                spaces.set_item(space.as_str(), values)?;
            }
        }
        Ok(spaces)
    }

    /// The values on the axes of a space, `None` for axes that are not defined, or for all of them.
    fn decoded(&self, space: &str) -> PyResult<Option<Values>> {
        Ok(self.values(space_of(space)?))
    }

    /// The Euclidean distance on decoded values over the axes of `spaces` (all of them unless said) that both define;
    /// `None` if there is none.
    #[pyo3(signature = (other, *, spaces=None))]
    fn distance(&self, other: &Self, spaces: Option<&Bound<'_, PyAny>>) -> PyResult<Option<f64>> {
        Ok(self.0.distance(&other.0, spaces_of(spaces)?))
    }

    /// The cosine over raw values of the axes of `spaces` (all of them unless said) that both define; `None` if there is
    /// none.
    #[pyo3(signature = (other, *, spaces=None))]
    fn cosine(&self, other: &Self, spaces: Option<&Bound<'_, PyAny>>) -> PyResult<Option<f64>> {
        Ok(self.0.cosine(&other.0, spaces_of(spaces)?))
    }

    /// One line of JSON that `Token.from_json` reads back.
    #[pyo3(name = "to_json")]
    fn json(&self) -> String {
        let mut text = Vec::new();
        self.0.to_json_into(&mut text);
        String::from_utf8_lossy(&text).into_owned()
    }

    fn __bytes__<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.to_bytes())
    }

    fn __hash__(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.0.to_bytes().hash(&mut hasher);
        hasher.finish()
    }

    fn __eq__<'py>(&self, other: &Bound<'py, PyAny>) -> Bound<'py, PyAny> {
        let py = other.py();
        match other.cast::<Self>() {
            Ok(other) => PyBool::new(py, other.get().0.to_bytes() == self.0.to_bytes()).to_owned().into_any(),
            Err(_) => py.NotImplemented().into_bound(py),
        }
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let spaces = self.spaces(py)?;
        let spaces = spaces.repr()?;
        Ok(format!(
            "Token(local_id={}, entity_type='{}', domain={}, flags={}, weight={:?}, field_radius={:?}, field_strength={:?}, timestamp={}, spaces={spaces})",
            self.local_id(),
            self.entity_type(),
            self.domain(),
            self.flags(),
            self.weight(),
            self.field_radius(),
            self.field_strength(),
            self.timestamp(),
        ))
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
        let from_bytes = py.get_type::<Self>().getattr("from_bytes")?;
        Ok((from_bytes, PyTuple::new(py, [self.__bytes__(py)])?))
    }
}

fn bytes_of(data: &[u8]) -> PyResult<&[u8; Token::BYTES]> {
    data.try_into()
        .map_err(|_| invalid(format!("token: found {} bytes; allowed: {}", data.len(), Token::BYTES)))
}
