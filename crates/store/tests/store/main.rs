//! The store's integration tests, in one binary.

mod conformance;
mod damage;
mod durability;
mod faults;
mod files;
mod model;
mod places;
