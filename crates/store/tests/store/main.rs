//! The store's integration tests, in one binary.

mod conformance;
mod durability;
mod files;
mod model;
mod places;
