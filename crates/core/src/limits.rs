//! Every limit of an entity, each written once.
//!
//! The store has limits of its own (frame, batch and segment sizes); they live beside its format.

/// Longest `id`, in bytes of UTF-8.
pub const ID_BYTES_MAX: usize = 1024;
/// Longest identifier (`realm`, `horizon`, `entity_type`), in bytes of ASCII.
pub const IDENTIFIER_BYTES_MAX: usize = 32;
/// Most members of an adjacency list.
pub const ADJACENCY_MAX: usize = 65_536;
/// Longest member of an adjacency list, in bytes of UTF-8: each is the id of a neighbour.
pub const ADJACENCY_MEMBER_BYTES_MAX: usize = ID_BYTES_MAX;
/// Deepest nesting of `state`; the object itself is level 1.
pub const STATE_DEPTH_MAX: usize = 128;
/// Longest canonical text of `state`, in bytes.
pub const STATE_BYTES_MAX: usize = 1 << 20;
/// Longest JSON text of one entity, in bytes. White space and escapes can make the text that is read
/// several times longer than the canonical one.
pub const ENTITY_TEXT_BYTES_MAX: usize = 16 << 20;
/// Coordinates that are floats are rounded to this many decimals.
pub const COORDINATE_DECIMALS: usize = 8;
