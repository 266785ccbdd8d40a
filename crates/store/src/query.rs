//! Questions about coordinates and tokens, and places to go on from.

use std::fmt;
use std::str::FromStr;

use statlas_core::{Address, Alignment, Identifier, Polarity, Profile, SpaceSet, Timestamp, Token};
use statlas_tokens::Metric;
use xxhash_rust::xxh3::xxh3_64;

use crate::error::{Error, ErrorKind, Result};

/// An interval, both ends included; a missing end is open.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval<T> {
    /// The smallest value allowed.
    pub min: Option<T>,
    /// The largest value allowed.
    pub max: Option<T>,
}

impl<T> Default for Interval<T> {
    fn default() -> Self {
        Self { min: None, max: None }
    }
}

impl<T> Interval<T> {
    /// Whether every value lies inside.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.min.is_none() && self.max.is_none()
    }
}

impl<T: PartialOrd> Interval<T> {
    /// Whether `value` lies inside.
    pub fn contains(&self, value: &T) -> bool {
        self.min.as_ref().is_none_or(|min| min <= value) && self.max.as_ref().is_none_or(|max| value <= max)
    }
}

/// Conditions that an entity must all meet. An empty list, like an open interval, asks for nothing.
///
/// A condition on a dimension that only one profile has is met by entities of that profile alone.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Filter {
    /// The profile is one of these.
    pub profile: Vec<Profile>,
    /// The realm of the coordinates is one of these.
    pub realm: Vec<Identifier>,
    /// The entity's own realm is one of these.
    pub entity_realm: Vec<Identifier>,
    /// The type is one of these.
    pub entity_type: Vec<Identifier>,
    /// The horizon is one of these.
    pub horizon: Vec<Identifier>,
    /// The polarity is one of these (fractalstat).
    pub polarity: Vec<Polarity>,
    /// The alignment is one of these (fractalstat).
    pub alignment: Vec<Alignment>,
    /// The lineage lies in this interval.
    pub lineage: Interval<u32>,
    /// The dimensionality lies in this interval (fractalstat).
    pub dimensionality: Interval<u32>,
    /// The resonance lies in this interval (stat7).
    pub resonance: Interval<f64>,
    /// The velocity lies in this interval (stat7).
    pub velocity: Interval<f64>,
    /// The density lies in this interval (stat7).
    pub density: Interval<f64>,
    /// The luminosity lies in this interval (fractalstat).
    pub luminosity: Interval<f64>,
    /// The time of creation lies in this interval.
    pub created_at: Interval<Timestamp>,
    /// Each of these ids is a neighbour.
    pub adjacent: Vec<String>,
    /// Only the newest version of each id.
    pub latest: bool,
}

/// What the rows of an answer are sorted by. Rows that are equal keep the order of their commits.
///
/// Sorting by a dimension that only one profile has leaves out the entities of the other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OrderBy {
    /// The order in which they were stored.
    #[default]
    Commit,
    /// The time of creation.
    CreatedAt,
    /// The lineage.
    Lineage,
    /// The dimensionality (fractalstat).
    Dimensionality,
    /// The resonance (stat7).
    Resonance,
    /// The velocity (stat7).
    Velocity,
    /// The density (stat7).
    Density,
    /// The luminosity (fractalstat).
    Luminosity,
}

impl OrderBy {
    /// All orders with their names.
    pub const ALL: [(Self, &'static str); 8] = [
        (Self::Commit, "commit"),
        (Self::CreatedAt, "created_at"),
        (Self::Lineage, "lineage"),
        (Self::Dimensionality, "dimensionality"),
        (Self::Resonance, "resonance"),
        (Self::Velocity, "velocity"),
        (Self::Density, "density"),
        (Self::Luminosity, "luminosity"),
    ];

    /// The name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(order, _)| *order == self).map_or("commit", |(_, name)| name)
    }

    /// The profile that alone has the dimension, if there is one.
    #[must_use]
    pub fn profile(self) -> Option<Profile> {
        match self {
            Self::Commit | Self::CreatedAt | Self::Lineage => None,
            Self::Resonance | Self::Velocity | Self::Density => Some(Profile::Stat7),
            Self::Dimensionality | Self::Luminosity => Some(Profile::FractalStat),
        }
    }
}

/// A filter, an order, and which part of the answer is wanted.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// Which entities.
    pub filter: Filter,
    /// In which order.
    pub order_by: OrderBy,
    /// The other way round.
    pub descending: bool,
    /// At most this many rows.
    pub limit: usize,
    /// Go on after the last row of an earlier page.
    pub after: Option<Cursor>,
}

impl Default for Query {
    fn default() -> Self {
        Self {
            filter: Filter::default(),
            order_by: OrderBy::Commit,
            descending: false,
            limit: 100,
            after: None,
        }
    }
}

impl Query {
    /// Tells this query's cursors from those of others.
    fn fingerprint(&self) -> u32 {
        let text = format!("{:?} {:?} {}", self.filter, self.order_by, self.descending);
        // Half of a good hash is a good hash.
        xxh3_64(text.as_bytes()) as u32
    }

    /// Checks that the cursor to go on from is one of this query's.
    pub(crate) fn check_cursor(&self) -> Result<()> {
        match self.after {
            Some(cursor) if cursor.query != self.fingerprint() => {
                let message = "cursor: found one of another query; allowed: the `next` of an earlier answer to the \
                               same conditions in the same order";
                Err(Error::new(ErrorKind::Invalid, message))
            }
            _ => Ok(()),
        }
    }

    /// The cursor behind a row of the answer.
    pub(crate) fn cursor(&self, place: Cursor) -> Cursor {
        Cursor { query: self.fingerprint(), ..place }
    }
}

/// The place of a row in an answer, to go on after it in a later call. Its text is opaque.
///
/// It stays valid while the store changes: rows that come to lie before it are not seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    /// The row's value of the order, in units that sort like it; 0 for the order of commits.
    pub sort_key: i64,
    /// The revision that stored the row.
    pub revision: u64,
    /// The row's place among the changes of that revision.
    pub ordinal: u32,
    /// Which query it belongs to.
    pub query: u32,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}.{:x}.{:x}.{:x}", self.sort_key, self.revision, self.ordinal, self.query)
    }
}

impl FromStr for Cursor {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut parts = text.split('.').map(|part| u64::from_str_radix(part, 16).ok());
        let mut next = || parts.next().flatten();
        let numbers = next().zip(next()).zip(next().zip(next()));
        let cursor = numbers.and_then(|((sort_key, revision), (ordinal, query))| {
            let (ordinal, query) = (u32::try_from(ordinal).ok()?, u32::try_from(query).ok()?);
            Some(Self { sort_key: sort_key.cast_signed(), revision, ordinal, query })
        });
        cursor.filter(|_| parts.next().is_none()).ok_or_else(|| {
            let message = format!("cursor: found {text:?}; allowed: the `next` of an earlier answer");
            Error::new(ErrorKind::Invalid, message)
        })
    }
}

/// Which entities are asked for by the tokens that are attached to them.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenQuery {
    /// What the distance is measured from.
    pub token: Token,
    /// So many at most, the nearest.
    pub k: usize,
    /// Only those that are at most so far, in the unit of the metric.
    pub radius: Option<f64>,
    /// Only the axes of these spaces count. Tokens that define none of the axes there that [`TokenQuery::token`] defines
    /// are left out.
    pub spaces: SpaceSet,
    /// How the distance is measured.
    pub metric: Metric,
    /// An entity that is left out.
    pub except: Option<Address>,
}

impl TokenQuery {
    /// The `k` nearest by the Euclidean distance in all spaces.
    #[must_use]
    pub fn new(token: Token, k: usize) -> Self {
        let (spaces, metric) = (SpaceSet::ALL, Metric::Euclidean);
        Self { token, k, radius: None, spaces, metric, except: None }
    }

    /// Refuses a radius that is no distance.
    pub(crate) fn check(&self) -> Result<()> {
        match self.radius {
            Some(radius) if radius.is_nan() || radius < 0.0 => {
                let message = format!("radius: found {radius}; allowed: a number that is not negative");
                Err(Error::new(ErrorKind::Invalid, message))
            }
            _ => Ok(()),
        }
    }
}
