//! URIs of positions: `stat7://...` and `fractalstat://...`.
//!
//! A URI names a position, so it resolves to every entity there; in FractalStat it names an id as well.
//! Each has one spelling: what parses is exactly what is written. A URI holds eight hex digits in place of
//! the neighbours, so a position cannot be had back from it, only recognised.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use crate::address::Address;
use crate::adjacency::Adjacency;
use crate::canonical::write_adjacency;
use crate::coordinates::{Coordinates, Dimensions, FractalStat, Profile, Stat7};
use crate::entity::{Entity, check_id};
use crate::error::{EntityError, EntityErrorKind};
use crate::float::write_plain;
use crate::identifier::Identifier;
use crate::limits::COORDINATE_DECIMALS;

type Result<T> = std::result::Result<T, EntityError>;

const SEPARATOR: &str = "://";

/// The URI of a position.
///
/// Both begin with `{profile}://{realm}/{lineage}/{adjacency8}/{horizon}`. Then follows
///
/// - in STAT7: `?r={resonance}&v={velocity}&d={density}`
/// - in FractalStat: `?r={luminosity}&p={polarity}&d={dimensionality}&s={id}&a={alignment}`
///
/// Numbers are plain decimals of at most eight places; the id is percent-encoded but for the unreserved
/// characters of RFC 3986. Two are equal if their texts are, so 0.0 and -0.0 differ.
#[derive(Debug, Clone)]
pub struct Uri {
    realm: Identifier,
    lineage: u32,
    adjacency8: [u8; 8],
    horizon: Identifier,
    dimensions: Dimensions,
    /// Only in FractalStat.
    id: Option<Box<str>>,
}

impl Uri {
    /// The profile, which is the scheme.
    #[must_use]
    pub fn profile(&self) -> Profile {
        self.dimensions.profile()
    }

    /// The realm of the position.
    #[must_use]
    pub fn realm(&self) -> Identifier {
        self.realm
    }

    /// Generations from the common ancestor.
    #[must_use]
    pub fn lineage(&self) -> u32 {
        self.lineage
    }

    /// What stands for the neighbours; see [`adjacency8`].
    #[must_use]
    pub fn adjacency8(&self) -> [u8; 8] {
        self.adjacency8
    }

    /// The stage of life.
    #[must_use]
    pub fn horizon(&self) -> Identifier {
        self.horizon
    }

    /// The dimensions of the profile.
    #[must_use]
    pub fn dimensions(&self) -> &Dimensions {
        &self.dimensions
    }

    /// The id of the entity; only URIs of FractalStat have one.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// Whether an entity with these coordinates and this id has this URI. Hashes the neighbours unless
    /// something else differs.
    #[must_use]
    pub fn matches(&self, coordinates: &Coordinates, id: &str) -> bool {
        self.realm == coordinates.realm
            && self.lineage == coordinates.lineage
            && self.horizon == coordinates.horizon
            && is_same(&self.dimensions, &coordinates.dimensions)
            && self.id().is_none_or(|own| own == id)
            && self.adjacency8 == adjacency8(&coordinates.adjacency)
    }
}

impl PartialEq for Uri {
    fn eq(&self, other: &Self) -> bool {
        self.realm == other.realm
            && self.lineage == other.lineage
            && self.adjacency8 == other.adjacency8
            && self.horizon == other.horizon
            && is_same(&self.dimensions, &other.dimensions)
            && self.id == other.id
    }
}

impl Eq for Uri {}

impl Entity {
    /// The URI of the entity's position. Costs a SHA-256 of the adjacency list.
    #[must_use]
    pub fn uri(&self) -> Uri {
        let coordinates = self.coordinates();
        Uri {
            realm: coordinates.realm,
            lineage: coordinates.lineage,
            adjacency8: adjacency8(&coordinates.adjacency),
            horizon: coordinates.horizon,
            dimensions: coordinates.dimensions,
            id: (coordinates.profile() == Profile::FractalStat).then(|| self.id().into()),
        }
    }
}

/// The first eight hex digits, as ASCII, of the SHA-256 of `{"adjacency":[...]}` in canonical form.
#[must_use]
pub fn adjacency8(adjacency: &Adjacency) -> [u8; 8] {
    let mut text = vec![b'{'];
    write_adjacency(adjacency, &mut text);
    text.push(b'}');
    let digits = Address::of(&text).to_hex();
    std::array::from_fn(|at| digits[at])
}

/// Whether both are written the same way, which tells 0.0 from -0.0.
fn is_same(a: &Dimensions, b: &Dimensions) -> bool {
    let floats = |dimensions: &Dimensions| match dimensions {
        Dimensions::Stat7(stat7) => [stat7.resonance(), stat7.velocity(), stat7.density()].map(f64::to_bits),
        Dimensions::FractalStat(fractal) => [fractal.luminosity(), 0.0, 0.0].map(f64::to_bits),
    };
    a == b && floats(a) == floats(b)
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let adjacency8 = std::str::from_utf8(&self.adjacency8).unwrap_or_default();
        write!(
            f,
            "{}{SEPARATOR}{}/{}/{adjacency8}/{}",
            self.profile(),
            self.realm,
            self.lineage,
            self.horizon
        )?;
        match &self.dimensions {
            Dimensions::Stat7(stat7) => {
                let [r, v, d] = [stat7.resonance(), stat7.velocity(), stat7.density()].map(plain);
                write!(f, "?r={r}&v={v}&d={d}")
            }
            Dimensions::FractalStat(fractal) => {
                let FractalStat { polarity, dimensionality, alignment, .. } = fractal;
                let (r, id) = (plain(fractal.luminosity()), PercentEncoded(self.id().unwrap_or_default()));
                write!(f, "?r={r}&p={polarity}&d={dimensionality}&s={id}&a={alignment}")
            }
        }
    }
}

fn plain(value: f64) -> String {
    let mut text = Vec::new();
    write_plain(value, &mut text);
    String::from_utf8(text).unwrap_or_default()
}

struct PercentEncoded<'a>(&'a str);

impl fmt::Display for PercentEncoded<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0.bytes() {
            if is_unreserved(byte) {
                write!(f, "{}", char::from(byte))?;
            } else {
                write!(f, "%{byte:02X}")?;
            }
        }
        Ok(())
    }
}

/// The unreserved characters of RFC 3986, section 2.3.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// The text that is encoded so, or `None` for any other spelling of it.
fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        let byte = match byte {
            b'%' => {
                let byte = upper_hex_digit(bytes.next()?)? << 4 | upper_hex_digit(bytes.next()?)?;
                (!is_unreserved(byte)).then_some(byte)?
            }
            _ => is_unreserved(byte).then_some(byte)?,
        };
        decoded.push(byte);
    }
    String::from_utf8(decoded).ok()
}

fn upper_hex_digit(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

impl FromStr for Uri {
    type Err = EntityError;

    /// Reads exactly what is written.
    ///
    /// # Errors
    ///
    /// [`EntityErrorKind::Uri`] for anything else, with the part, what was found and what is allowed.
    fn from_str(text: &str) -> Result<Self> {
        let (profile, rest) = text
            .split_once(SEPARATOR)
            .and_then(|(scheme, rest)| Some((scheme.parse::<Profile>().ok()?, rest)))
            .ok_or_else(|| refused("", text, "a URI that begins with stat7:// or fractalstat://"))?;
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let [realm, lineage, adjacency8, horizon] = pieces(path, '/')
            .ok_or_else(|| refused("", path, "a path of realm/lineage/adjacency8/horizon"))?;
        let (dimensions, id) = match profile {
            Profile::Stat7 => (stat7(query)?, None),
            Profile::FractalStat => fractalstat(query).map(|(dimensions, id)| (dimensions, Some(id)))?,
        };
        Ok(Self {
            realm: identifier("realm", realm)?,
            lineage: integer("lineage", lineage)?,
            adjacency8: hex8(adjacency8)?,
            horizon: identifier("horizon", horizon)?,
            dimensions,
            id,
        })
    }
}

fn stat7(query: &str) -> Result<Dimensions> {
    let [resonance, velocity, density] =
        parameters(query, [("resonance", "r="), ("velocity", "v="), ("density", "d=")])?;
    let (resonance, velocity) = (number("resonance", resonance)?, number("velocity", velocity)?);
    let stat7 = Stat7::new(resonance, velocity, number("density", density)?).map_err(as_uri_error)?;
    Ok(Dimensions::Stat7(stat7))
}

fn fractalstat(query: &str) -> Result<(Dimensions, Box<str>)> {
    let names = [
        ("luminosity", "r="),
        ("polarity", "p="),
        ("dimensionality", "d="),
        ("id", "s="),
        ("alignment", "a="),
    ];
    let [luminosity, polarity, dimensionality, id, alignment] = parameters(query, names)?;
    let fractal = FractalStat::new(
        number("luminosity", luminosity)?,
        polarity.parse().map_err(|error: EntityError| as_uri_error(error.within("polarity")))?,
        integer("dimensionality", dimensionality)?,
        alignment.parse().map_err(|error: EntityError| as_uri_error(error.within("alignment")))?,
    )
    .map_err(as_uri_error)?;
    let allowed = "UTF-8, percent-encoded with upper-case digits but for letters, digits and - . _ ~";
    let decoded = percent_decoded(id).ok_or_else(|| refused("id", id, allowed))?;
    check_id(&decoded).map_err(as_uri_error)?;
    Ok((Dimensions::FractalStat(fractal), decoded.into()))
}

/// The values of the parameters, which must be these in this order. A name is the dimension and how its
/// parameter begins.
fn parameters<'a, const N: usize>(
    query: &'a str,
    names: [(&'static str, &'static str); N],
) -> Result<[&'a str; N]> {
    let mut parts = query.split('&');
    let mut values = [""; N];
    for (value, (field, start)) in values.iter_mut().zip(names) {
        let part = parts.next().unwrap_or_default();
        *value = part.strip_prefix(start).ok_or_else(|| {
            refused(field, part, format!("a parameter {start}, in the order of the dimensions"))
        })?;
    }
    match parts.next() {
        None => Ok(values),
        Some(part) => Err(refused("", part, "no further parameter")),
    }
}

/// The pieces between separators, if there are exactly `N`.
fn pieces<const N: usize>(text: &str, separator: char) -> Option<[&str; N]> {
    let mut parts = text.split(separator);
    let mut pieces = [""; N];
    for piece in &mut pieces {
        *piece = parts.next()?;
    }
    parts.next().is_none().then_some(pieces)
}

fn identifier(field: &'static str, text: &str) -> Result<Identifier> {
    Identifier::new(text).ok_or_else(|| refused(field, text, Identifier::ALLOWED))
}

fn integer(field: &'static str, text: &str) -> Result<u32> {
    let value = text.parse().ok().filter(|value: &u32| value.to_string() == text);
    value.ok_or_else(|| refused(field, text, "an integer from 0 to 4294967295 without sign or leading zeros"))
}

fn number(field: &'static str, text: &str) -> Result<f64> {
    let value = text.parse().ok().filter(|value| plain(*value) == text);
    value.ok_or_else(|| {
        let allowed = format!(
            "a plain decimal of 1 to {COORDINATE_DECIMALS} places without needless zeros, such as 0.5"
        );
        refused(field, text, allowed)
    })
}

fn hex8(text: &str) -> Result<[u8; 8]> {
    let digits = text.as_bytes().try_into().ok();
    digits
        .filter(|digits: &[u8; 8]| digits.iter().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')))
        .ok_or_else(|| refused("adjacency8", text, "eight lower-case hex digits"))
}

fn refused(field: &'static str, found: &str, allowed: impl Into<Cow<'static, str>>) -> EntityError {
    EntityError::new(EntityErrorKind::Uri, field, format!("{found:?}"), allowed)
}

fn as_uri_error(error: EntityError) -> EntityError {
    let (field, allowed) = (error.field().to_owned(), error.allowed().to_owned());
    EntityError::new(EntityErrorKind::Uri, field, error.found(), allowed)
}

#[cfg(test)]
mod tests {
    use super::{Uri, adjacency8};
    use crate::adjacency::Adjacency;
    use crate::coordinates::{Coordinates, Dimensions, Stat7};
    use crate::{EntityErrorKind, Identifier};

    const STAT7: &str = "stat7://data/1/cae85551/genesis?r=0.5&v=-0.0&d=0.00000001";
    const FRACTALSTAT: &str =
        "fractalstat://void/0/cae85551/peak?r=70.0&p=LOGIC&d=2&s=a%20%2F%C3%A9~-._&a=TRUE_NEUTRAL";

    fn parse(text: &str) -> Uri {
        text.parse().expect(text)
    }

    fn at(resonance: f64, neighbours: &[&str]) -> Coordinates {
        let members = neighbours.iter().map(|id| (*id).into()).collect();
        Coordinates {
            realm: Identifier::new("data").expect("legal realm"),
            lineage: 1,
            adjacency: Adjacency::new(members).expect("legal adjacency"),
            horizon: Identifier::new("genesis").expect("legal horizon"),
            dimensions: Dimensions::Stat7(Stat7::new(resonance, -0.0, 1e-8).expect("legal dimensions")),
        }
    }

    #[test]
    fn adjacency8_of_the_empty_list_is_that_of_the_reference() {
        assert_eq!(&adjacency8(&Adjacency::default()), b"cae85551");
    }

    #[test]
    fn uris_read_back_as_they_are_written() {
        for text in [STAT7, FRACTALSTAT] {
            assert_eq!(parse(text).to_string(), text);
            assert_eq!(parse(text), parse(text));
        }
        assert_eq!(parse(FRACTALSTAT).id(), Some("a /é~-._"));
        assert_eq!(parse(STAT7).id(), None);
        assert_ne!(parse(STAT7), parse(&STAT7.replace("-0.0", "0.0")));
    }

    #[test]
    fn a_uri_matches_the_coordinates_that_it_was_made_of() {
        let (uri, here) = (parse(STAT7), at(0.5, &[]));
        assert!(uri.matches(&here, "any id"));
        assert!(!uri.matches(&at(0.4, &[]), "any id"));
        assert!(!uri.matches(&at(0.5, &["n1"]), "any id"));
        assert!(!uri.matches(&Coordinates { lineage: 2, ..here.clone() }, "any id"));
        assert!(!uri.matches(&Coordinates { realm: here.horizon, ..here.clone() }, "any id"));
        assert!(!uri.matches(&Coordinates { horizon: here.realm, ..here.clone() }, "any id"));
        assert!(!parse(&STAT7.replace("-0.0", "0.0")).matches(&here, "any id"));
        let fractal = parse(FRACTALSTAT);
        let there = Coordinates {
            realm: fractal.realm(),
            lineage: fractal.lineage(),
            horizon: fractal.horizon(),
            dimensions: *fractal.dimensions(),
            ..here
        };
        assert!(fractal.matches(&there, "a /é~-._") && !fractal.matches(&there, "another id"));
    }

    #[test]
    fn any_other_spelling_is_refused_with_the_name_of_its_part() {
        for (text, old, new, field) in [
            (STAT7, "stat7://", "stat8://", ""),
            (STAT7, "stat7://", "STAT7://", ""),
            (STAT7, "://", ":/", ""),
            (STAT7, "/genesis", "", ""),
            (STAT7, "/genesis", "/genesis/", ""),
            (STAT7, "data", "Data", "realm"),
            (STAT7, "data", "", "realm"),
            (STAT7, "genesis", "gen%65sis", "horizon"),
            (STAT7, "/1/", "/01/", "lineage"),
            (STAT7, "/1/", "/+1/", "lineage"),
            (STAT7, "/1/", "/4294967296/", "lineage"),
            (STAT7, "cae85551", "CAE85551", "adjacency8"),
            (STAT7, "cae85551", "cae8555", "adjacency8"),
            (STAT7, "cae85551", "cae855510", "adjacency8"),
            (STAT7, "r=0.5", "r=0.50", "resonance"),
            (STAT7, "r=0.5", "r=.5", "resonance"),
            (STAT7, "r=0.5", "r=+0.5", "resonance"),
            (STAT7, "r=0.5", "r=5e-1", "resonance"),
            (STAT7, "r=0.5", "r=0.123456789", "resonance"),
            (STAT7, "r=0.5", "r=1.5", "resonance"),
            (STAT7, "r=0.5", "r=NaN", "resonance"),
            (STAT7, "r=0.5", "r=inf", "resonance"),
            (STAT7, "r=0.5", "r=", "resonance"),
            (STAT7, "v=-0.0", "v=0", "velocity"),
            (STAT7, "d=0.00000001", "d=1e-08", "density"),
            (STAT7, "d=0.00000001", "d=-0.1", "density"),
            (STAT7, "&d=0.00000001", "", "density"),
            (STAT7, "?r=0.5&v=-0.0&d=0.00000001", "", "resonance"),
            (STAT7, "r=0.5&v=-0.0", "v=-0.0&r=0.5", "resonance"),
            (STAT7, "d=0.00000001", "d=0.5&x=1", ""),
            (STAT7, "d=0.00000001", "d=0.5&", ""),
            (STAT7, "d=0.00000001", "d=0.5#top", "density"),
            (STAT7, "d=0.00000001", "d=0.5 ", "density"),
            (FRACTALSTAT, "r=70.0", "r=100.1", "luminosity"),
            (FRACTALSTAT, "LOGIC", "logic", "polarity"),
            (FRACTALSTAT, "d=2", "d=2.0", "dimensionality"),
            (FRACTALSTAT, "TRUE_NEUTRAL", "NEUTRAL", "alignment"),
            (FRACTALSTAT, "%C3%A9", "%c3%a9", "id"),
            (FRACTALSTAT, "%C3%A9", "é", "id"),
            (FRACTALSTAT, "%C3%A9", "%C3", "id"),
            (FRACTALSTAT, "%C3%A9", "%C", "id"),
            (FRACTALSTAT, "%20", "+", "id"),
            (FRACTALSTAT, "%20", "%41", "id"),
            (FRACTALSTAT, "a%20%2F%C3%A9~-._", "", "id"),
            (FRACTALSTAT, "%20", &"a".repeat(1024), "id"),
        ] {
            let text = text.replace(old, new);
            let error = text.parse::<Uri>().expect_err(&text);
            assert_eq!((error.kind(), error.field()), (EntityErrorKind::Uri, field), "{text}: {error}");
        }
    }
}
