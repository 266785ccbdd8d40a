//! Questions about what is near, and their answers.

use statlas_core::{Address, SpaceSet, Token};
use statlas_tokens::Metric;

use super::StoredEntity;
use crate::error::{Error, ErrorKind, Result};

/// An entity and how similar it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Neighbour {
    /// The similarity, 1 for the same place.
    pub similarity: f64,
    /// The entity.
    pub entity: StoredEntity,
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

/// An entity and how far its token is.
#[derive(Debug, Clone, PartialEq)]
pub struct NearToken {
    /// The distance by the metric that was asked for, 0 for the same place.
    pub distance: f64,
    /// The entity.
    pub entity: StoredEntity,
}
