//! Entities of a seven- or eight-dimensional space and their permanent addresses.
//!
//! An [`Entity`] has one canonical text; the SHA-256 of that text is its [`Address`]. The same rules give
//! the same address on every machine and equal those of the two reference implementations (STAT7 and
//! FractalStat), byte for byte. Where a reference is lax, the input is refused with an [`EntityError`].
//!
//! ```
//! use statlas_core::Entity;
//!
//! let entity = Entity::from_json(br#"{
//!     "profile": "stat7", "id": "bc-0001", "entity_type": "concept", "realm": "data",
//!     "coordinates": {"realm": "data", "lineage": 1, "adjacency": [], "horizon": "genesis",
//!                     "resonance": 0.5, "velocity": 0.25, "density": 0.75},
//!     "created_at": "2025-01-01T00:00:00.000Z", "state": {"value": 42}
//! }"#)?;
//! assert_eq!(
//!     entity.address().to_string(),
//!     "2a803d2480c263b207c8fe86c5a1c40c217c8ff6dcfe5a91ff0d460d733e5188",
//! );
//! # Ok::<(), statlas_core::EntityError>(())
//! ```
//!
//! This crate is pure: no I/O, no clock, no randomness, no unsafe code.

#![forbid(unsafe_code)]

mod address;
mod adjacency;
mod canonical;
mod canonical_head;
mod coordinates;
mod entity;
mod entity_json;
mod error;
mod float;
mod identifier;
mod json;
pub mod limits;
mod mutability;
mod similarity;
mod space;
mod state;
mod timestamp;
mod token;
mod token_json;
mod token_type;
mod uri;

pub use address::{Address, AddressPrefix, BlobId};
pub use adjacency::Adjacency;
pub use canonical_head::CanonicalHead;
pub use coordinates::{Alignment, Coordinates, Dimensions, FractalStat, Polarity, Profile, Stat7};
pub use entity::{Entity, EntityHead, EntityParts};
pub use error::{EntityError, EntityErrorKind};
pub use float::{round_coordinate, write_plain, write_repr};
pub use identifier::{ENTITY_TYPES, HORIZONS, Identifier, REALMS};
pub use mutability::check_new_version;
pub use similarity::{
    ENTANGLEMENT_THRESHOLD, Entanglement, FractalStatRelation, Stat7Features, Stat7Relation, entanglement,
    fractalstat_similarity, similarity,
};
pub use space::{AXES, Axes, RawCoordinates, SPACES, Space, SpaceSet, UNDEFINED, decode_axis, encode_axis};
pub use state::State;
pub use timestamp::Timestamp;
pub use token::{Token, TokenParts};
pub use token_type::TokenType;
pub use uri::{Uri, adjacency8};
