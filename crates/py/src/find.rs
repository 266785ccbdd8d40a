//! What a query asks for, from keyword arguments.

use pyo3::prelude::*;
use pyo3::types::PyString;
use statlas_core::{Alignment, EntityError, Identifier, Polarity, Profile, Timestamp};
use statlas_store::{Filter, Interval, OrderBy, Query};

use crate::errors::{OrRaise, invalid};
use crate::found::PyFound;
use crate::store::PyStore;
use crate::whole::Whole;

type Given<'a, 'py> = Option<&'a Bound<'py, PyAny>>;

/// One name, or any iterable of them.
fn names<T>(given: Given<'_, '_>, read: impl Fn(&str) -> PyResult<T>) -> PyResult<Vec<T>> {
    let Some(given) = given else { return Ok(Vec::new()) };
    if let Ok(name) = given.cast::<PyString>() {
        return Ok(vec![read(name.to_str()?)?]);
    }
    let names: Vec<T> =
        given.try_iter()?.map(|name| read(name?.extract::<&str>()?)).collect::<PyResult<_>>()?;
    if names.is_empty() {
        // Which would mean all to the store, and none to many who compute a list.
        return Err(invalid("a condition: found a list of no names; allowed: one or more, or None for any"));
    }
    Ok(names)
}

fn identifiers(what: &str, given: Given<'_, '_>) -> PyResult<Vec<Identifier>> {
    names(given, |name| {
        Identifier::new(name).ok_or_else(|| {
            invalid(format!(
                "{what}: found {name:?}; allowed: a lower-case letter, then at most 31 lower-case letters, digits or _"
            ))
        })
    })
}

fn parsed<T: std::str::FromStr<Err = EntityError>>(what: &str, given: Given<'_, '_>) -> PyResult<Vec<T>> {
    names(given, |name| name.parse::<T>().map_err(|error| error.within(what)).or_raise())
}

/// One value, or a pair of ends that are both included, `None` where there is none.
fn interval<T: Copy>(
    what: &str,
    given: Given<'_, '_>,
    read: impl Fn(&Bound<'_, PyAny>) -> PyResult<T>,
) -> PyResult<Interval<T>> {
    let Some(given) = given else { return Ok(Interval::default()) };
    let Ok((min, max)) = given.extract::<(Bound<'_, PyAny>, Bound<'_, PyAny>)>() else {
        let value = read(given)?;
        return Ok(Interval { min: Some(value), max: Some(value) });
    };
    let end = |end: Bound<'_, PyAny>| if end.is_none() { Ok(None) } else { read(&end).map(Some) };
    let interval = Interval { min: end(min)?, max: end(max)? };
    if interval.is_open() {
        return Err(invalid(format!(
            "{what}: found two open ends; allowed: a value, or a pair with at least one end"
        )));
    }
    Ok(interval)
}

fn integer<'a>(what: &'a str) -> impl Fn(&Bound<'_, PyAny>) -> PyResult<u32> + 'a {
    move |value| {
        value.extract().map_err(|_| {
            invalid(format!(
                "{what}: found {value}; allowed: an integer from 0 to {}, or a pair of ends",
                u32::MAX
            ))
        })
    }
}

fn float<'a>(what: &'a str) -> impl Fn(&Bound<'_, PyAny>) -> PyResult<f64> + 'a {
    move |value| {
        let number = value.extract::<f64>().ok().filter(|number| !number.is_nan());
        number.ok_or_else(|| invalid(format!("{what}: found {value}; allowed: a number, or a pair of ends")))
    }
}

fn time(value: &Bound<'_, PyAny>) -> PyResult<Timestamp> {
    let text: String = match value.cast::<PyString>() {
        Ok(text) => text.to_str()?.to_owned(),
        Err(_) if value.hasattr("isoformat")? => value.call_method0("isoformat")?.extract()?,
        Err(_) => {
            let type_name = value.get_type().fully_qualified_name()?;
            return Err(invalid(format!(
                "created_at: found an object of type {type_name}; allowed: RFC 3339 text or an aware datetime, or a pair of ends"
            )));
        }
    };
    Timestamp::parse(&text).map_err(|error| error.within("created_at")).or_raise()
}

#[pymethods]
impl PyStore {
    /// The entities that meet all conditions, in the order of their commits unless `order_by` names another one.
    ///
    /// A condition on a name is one or several that are allowed, one on a number a value or a pair of ends that are both
    /// included, `None` for no end. `adjacent` are ids that must all be neighbours, `latest` leaves out versions that have
    /// a newer one, and `entity_realm` is the realm of the entity itself, `realm` that of its coordinates. A dimension that
    /// only one profile has is met by entities of that profile alone.
    ///
    /// Nothing is read before the answer is iterated over, or asked for its `arrays()`.
    ///
    /// >>> import statlas
    /// >>> with statlas.Store.open("memory:") as store:
    /// ...     stored = store.put_many({
    /// ...         "profile": "stat7", "id": f"bc-{number}", "entity_type": "concept", "realm": "data",
    /// ...         "coordinates": {"realm": "data", "lineage": number, "adjacency": [], "horizon": "genesis",
    /// ...                         "resonance": number / 10, "velocity": 0.25, "density": 0.75},
    /// ...         "created_at": "2025-01-01T00:00:00Z", "state": {}} for number in range(5))
    /// ...     found = store.find(realm="data", resonance=(0.15, None), limit=2)
    /// ...     found.count(), [entity.id for entity in found]
    /// (2, ['bc-2', 'bc-3'])
    #[pyo3(signature = (*, profile=None, realm=None, entity_realm=None, entity_type=None, horizon=None, polarity=None,
                        alignment=None, lineage=None, dimensionality=None, resonance=None, velocity=None, density=None,
                        luminosity=None, created_at=None, adjacent=None, latest=false, order_by="commit",
                        descending=false, limit=None))]
    #[expect(clippy::too_many_arguments, reason = "they are named")]
    fn find(
        &self,
        profile: Option<&Bound<'_, PyAny>>,
        realm: Option<&Bound<'_, PyAny>>,
        entity_realm: Option<&Bound<'_, PyAny>>,
        entity_type: Option<&Bound<'_, PyAny>>,
        horizon: Option<&Bound<'_, PyAny>>,
        polarity: Option<&Bound<'_, PyAny>>,
        alignment: Option<&Bound<'_, PyAny>>,
        lineage: Option<&Bound<'_, PyAny>>,
        dimensionality: Option<&Bound<'_, PyAny>>,
        resonance: Option<&Bound<'_, PyAny>>,
        velocity: Option<&Bound<'_, PyAny>>,
        density: Option<&Bound<'_, PyAny>>,
        luminosity: Option<&Bound<'_, PyAny>>,
        created_at: Option<&Bound<'_, PyAny>>,
        adjacent: Option<&Bound<'_, PyAny>>,
        latest: bool,
        order_by: &str,
        descending: bool,
        limit: Option<Whole<usize>>,
    ) -> PyResult<PyFound> {
        let known = OrderBy::ALL.into_iter().find(|(_, name)| *name == order_by);
        let Some((order_by, _)) = known else {
            let names = OrderBy::ALL.map(|(_, name)| name).join(", ");
            return Err(invalid(format!("order_by: found {order_by:?}; allowed: {names}")));
        };
        let filter = Filter {
            profile: parsed::<Profile>("profile", profile)?,
            realm: identifiers("realm", realm)?,
            entity_realm: identifiers("entity_realm", entity_realm)?,
            entity_type: identifiers("entity_type", entity_type)?,
            horizon: identifiers("horizon", horizon)?,
            polarity: parsed::<Polarity>("polarity", polarity)?,
            alignment: parsed::<Alignment>("alignment", alignment)?,
            lineage: interval("lineage", lineage, integer("lineage"))?,
            dimensionality: interval("dimensionality", dimensionality, integer("dimensionality"))?,
            resonance: interval("resonance", resonance, float("resonance"))?,
            velocity: interval("velocity", velocity, float("velocity"))?,
            density: interval("density", density, float("density"))?,
            luminosity: interval("luminosity", luminosity, float("luminosity"))?,
            created_at: interval("created_at", created_at, time)?,
            adjacent: names(adjacent, |id| Ok(id.to_owned()))?,
            latest,
        };
        let query = Query { filter, order_by, descending, ..Query::default() };
        Ok(PyFound::new(self.opened()?, query, limit.map(|limit| limit.0)))
    }
}
