//! The store's integration tests, in one binary.

mod aged;
mod backup;
mod collisions;
mod compression;
mod conformance;
mod corpus;
mod damage;
mod durability;
mod faults;
mod files;
#[cfg(target_os = "linux")]
mod forks;
mod free;
mod healed;
mod history;
mod model;
mod near_token;
mod places;
mod records;
mod repair;
mod scrub;
mod watch;
