//! Reads canonical texts back, all but their state, without an allocation in the usual case.
//!
//! A store does this for every entity when it is opened, so it knows the one layout that the writer makes.

use std::borrow::Cow;

use crate::adjacency::Adjacency;
use crate::coordinates::{Coordinates, Dimensions, FractalStat, Profile, Stat7};
use crate::entity::{EntityHead, check_id};
use crate::error::{EntityError, EntityErrorKind};
use crate::identifier::Identifier;
use crate::json::{Reader, Result};
use crate::timestamp::Timestamp;

/// An entity without its state and its adjacency.
#[derive(Debug, Clone, PartialEq)]
pub struct CanonicalHead<'a> {
    /// The user's name for it.
    pub id: Cow<'a, str>,
    /// What sort of thing it is.
    pub entity_type: Identifier,
    /// The realm it belongs to.
    pub realm: Identifier,
    /// When it came to be.
    pub created_at: Timestamp,
    /// The realm of its coordinates.
    pub coordinate_realm: Identifier,
    /// Generations from the common ancestor.
    pub lineage: u32,
    /// The stage of life.
    pub horizon: Identifier,
    /// The dimensions of its profile.
    pub dimensions: Dimensions,
    /// The text of its state.
    pub state: &'a str,
}

impl<'a> CanonicalHead<'a> {
    /// Reads a text that was verified before, such as one whose SHA-256 is its address. `neighbour` is
    /// told each member of the adjacency in order.
    ///
    /// The state is not looked at, so that the cost does not depend on it: about 0.2 us.
    ///
    /// # Errors
    ///
    /// [`EntityErrorKind::Canonical`] or that of a field if the text is laid out in another way.
    pub fn read(text: &'a [u8], neighbour: impl FnMut(&str)) -> Result<Self> {
        let text = text
            .strip_suffix(b"}")
            .and_then(|text| std::str::from_utf8(text).ok())
            .ok_or_else(|| not_canonical("no JSON object"))?;
        HeadReader { reader: Reader::of_str(text), neighbour }.head(text)
    }
}

impl<'a> EntityHead<'a> {
    /// Reads everything but the state from a canonical form, and returns the text of the state unread.
    ///
    /// # Errors
    ///
    /// As [`CanonicalHead::read`].
    pub fn read_canonical(text: &'a [u8]) -> Result<(Self, &'a str)> {
        let mut members: Vec<Box<str>> = Vec::new();
        let head = CanonicalHead::read(text, |id| members.push(id.into()))?;
        let CanonicalHead { id, entity_type, realm, created_at, coordinate_realm, lineage, horizon, .. } =
            head;
        let adjacency = Adjacency::new(members)?;
        let dimensions = head.dimensions;
        let coordinates = Coordinates { realm: coordinate_realm, lineage, adjacency, horizon, dimensions };
        Ok((Self { id, entity_type, realm, coordinates, created_at }, head.state))
    }
}

struct HeadReader<'a, F> {
    reader: Reader<'a>,
    neighbour: F,
}

/// The coordinates of a head.
struct Place {
    realm: Identifier,
    lineage: u32,
    horizon: Identifier,
    dimensions: Dimensions,
}

impl<'a, F: FnMut(&str)> HeadReader<'a, F> {
    fn head(mut self, text: &'a str) -> Result<CanonicalHead<'a>> {
        self.literal("{\"created_at\":\"")?;
        let created_at = Timestamp::parse(self.plain()?)?;
        self.literal(",\"entity_type\":\"")?;
        let entity_type = self.identifier("entity_type", EntityErrorKind::EntityType)?;
        self.literal(",\"")?;
        let profile = if self.reader.take("fractalstat_coordinates\":") {
            Profile::FractalStat
        } else {
            Profile::Stat7
        };
        let mut place = None;
        if profile == Profile::FractalStat {
            place = Some(self.fractalstat()?);
            self.literal(",\"")?;
        }
        self.literal("id\":")?;
        let id = self.reader.string()?;
        check_id(&id)?;
        self.literal(",\"realm\":\"")?;
        let realm = self.identifier("realm", EntityErrorKind::Realm)?;
        if profile == Profile::Stat7 {
            self.literal(",\"stat7_coordinates\":")?;
            place = Some(self.stat7()?);
        }
        self.literal(",\"state\":")?;
        let Place { realm: coordinate_realm, lineage, horizon, dimensions } =
            place.ok_or_else(|| not_canonical("no coordinates"))?;
        let state = &text[self.reader.offset()..];
        Ok(CanonicalHead {
            id,
            entity_type,
            realm,
            created_at,
            coordinate_realm,
            lineage,
            horizon,
            dimensions,
            state,
        })
    }

    fn stat7(&mut self) -> Result<Place> {
        self.adjacency()?;
        self.literal(",\"density\":")?;
        let density = self.float()?;
        let (horizon, lineage) = self.horizon_and_lineage()?;
        let realm = self.coordinate_realm()?;
        self.literal(",\"resonance\":")?;
        let resonance = self.float()?;
        self.literal(",\"velocity\":")?;
        let velocity = self.float()?;
        self.literal("}")?;
        let dimensions = Dimensions::Stat7(Stat7::new(resonance, velocity, density)?);
        Ok(Place { realm, lineage, horizon, dimensions })
    }

    fn fractalstat(&mut self) -> Result<Place> {
        self.adjacency()?;
        self.literal(",\"alignment\":\"")?;
        let alignment = self.plain()?.parse()?;
        self.literal(",\"dimensionality\":")?;
        let dimensionality = self.integer()?;
        let (horizon, lineage) = self.horizon_and_lineage()?;
        self.literal(",\"luminosity\":\"")?;
        let luminosity = parse_float(self.plain()?)?;
        self.literal(",\"polarity\":\"")?;
        let polarity = self.plain()?.parse()?;
        let realm = self.coordinate_realm()?;
        self.literal("}")?;
        let own = FractalStat::new(luminosity, polarity, dimensionality, alignment)?;
        Ok(Place { realm, lineage, horizon, dimensions: Dimensions::FractalStat(own) })
    }

    fn adjacency(&mut self) -> Result<()> {
        self.literal("{\"adjacency\":")?;
        let mut items = self.reader.begin_array()?;
        while self.reader.more(&mut items)? {
            let member = self.reader.string()?;
            (self.neighbour)(&member);
        }
        Ok(())
    }

    fn horizon_and_lineage(&mut self) -> Result<(Identifier, u32)> {
        self.literal(",\"horizon\":\"")?;
        let horizon = self.identifier("horizon", EntityErrorKind::Horizon)?;
        self.literal(",\"lineage\":")?;
        Ok((horizon, self.integer()?))
    }

    fn coordinate_realm(&mut self) -> Result<Identifier> {
        self.literal(",\"realm\":\"")?;
        self.identifier("coordinates.realm", EntityErrorKind::Realm)
    }

    #[inline]
    fn literal(&mut self, text: &'static str) -> Result<()> {
        if self.reader.take(text) {
            Ok(())
        } else {
            Err(not_canonical("another layout").at(self.reader.offset()))
        }
    }

    /// The text up to a double quote, which is taken too; its opening one was.
    #[inline]
    fn plain(&mut self) -> Result<&'a str> {
        self.reader.take_until(b'"').ok_or_else(|| not_canonical("no closing quote"))
    }

    #[inline]
    fn identifier(&mut self, field: &'static str, kind: EntityErrorKind) -> Result<Identifier> {
        let text = self.plain()?;
        Identifier::new(text)
            .ok_or_else(|| EntityError::new(kind, field, format!("{text:?}"), Identifier::ALLOWED))
    }

    fn integer(&mut self) -> Result<u32> {
        let text = self.reader.take_while(|byte| byte.is_ascii_digit());
        text.parse().map_err(|_| not_canonical("an integer out of range"))
    }

    fn float(&mut self) -> Result<f64> {
        parse_float(self.reader.take_while(|byte| !matches!(byte, b',' | b'}')))
    }
}

/// A float of the canonical form. Nearly all have at most 15 digits, no exponent and few decimals: then one
/// division of exact numbers gives the nearest float.
fn parse_float(text: &str) -> Result<f64> {
    let bytes = text.as_bytes();
    let (negative, digits) = bytes.strip_prefix(b"-").map_or((false, bytes), |digits| (true, digits));
    let (mut units, mut decimals) = (0_u64, None);
    for byte in digits {
        match byte {
            b'0'..=b'9' => {
                units = units.wrapping_mul(10).wrapping_add(u64::from(byte - b'0'));
                decimals = decimals.map(|decimals: usize| decimals + 1);
            }
            b'.' if decimals.is_none() => decimals = Some(0),
            _ => return text.parse().map_err(|_| not_canonical("a number that is none")),
        }
    }
    const POWERS: [f64; 10] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9];
    match decimals {
        Some(decimals @ 1..=9) if digits.len() <= 16 && digits[0] != b'.' => {
            let value = units as f64 / POWERS[decimals];
            Ok(if negative { -value } else { value })
        }
        _ => text.parse().map_err(|_| not_canonical("a number that is none")),
    }
}

pub(crate) fn not_canonical(found: &str) -> EntityError {
    EntityError::new(EntityErrorKind::Canonical, "", found, "the canonical form of an entity")
}
