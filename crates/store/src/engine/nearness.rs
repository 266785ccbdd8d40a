//! What is near: the answers.

use super::StoredEntity;

/// An entity and how similar it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Neighbour {
    /// The similarity, 1 for the same place.
    pub similarity: f64,
    /// The entity.
    pub entity: StoredEntity,
}

/// An entity and how far its token is.
#[derive(Debug, Clone, PartialEq)]
pub struct NearToken {
    /// The distance by the metric that was asked for, 0 for the same place.
    pub distance: f64,
    /// The entity.
    pub entity: StoredEntity,
}
