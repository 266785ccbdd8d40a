//! Integration tests of the crate: its public API against the vectors and against properties.

mod entities;
mod similarity;
mod tokens;
mod uri;
