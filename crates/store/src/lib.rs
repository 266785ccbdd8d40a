//! Stores entities by their address, files by their SHA-256 and mutable records by name.
//!
//! A [`Store`] is an engine ([`Engine`]) with everything typed above it. A [`Batch`] holds any mix of
//! changes and is stored as a whole or not at all, under one revision.
//!
//! ```
//! use statlas_core::Entity;
//! use statlas_store::{Location, Options, Store};
//!
//! let store = Store::open(&Location::Memory, &Options::default())?;
//! let address = store.put(Entity::from_json(br#"{
//!     "profile": "stat7", "id": "bc-0001", "entity_type": "concept", "realm": "data",
//!     "coordinates": {"realm": "data", "lineage": 1, "adjacency": [], "horizon": "genesis",
//!                     "resonance": 0.5, "velocity": 0.25, "density": 0.75},
//!     "created_at": "2025-01-01T00:00:00.000Z", "state": {"value": 42}
//! }"#)?)?;
//! let found = store.get(&address)?.expect("it was stored");
//! assert_eq!(found.entity()?.state().as_str(), r#"{"value":42}"#);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#[cfg(target_endian = "big")]
compile_error!("stores are read in place, which needs a little-endian processor");

mod batch;
mod budget;
mod byte_size;
mod change;
mod columns;
mod engine;
mod error;
mod files;
mod index;
pub mod limits;
mod loader;
mod maintenance;
mod overlay;
mod owner;
mod query;
mod store;
#[cfg(feature = "faults")]
pub mod testing;

pub use batch::{Batch, BlobForm, Expected, RecordKey};
pub use byte_size::ByteSize;
pub use change::{Change, ChangeKind, Changes, Watch};
pub use engine::disk::backup::{restore, verify_backup};
pub use engine::repair;
pub use engine::{BackupOptions, BackupReport, RestoreReport};
pub use engine::{
    CheckReport, Commit, CompactOptions, CompactReport, Durability, Engine, HistoryOutcome, HistoryReport,
    MemoryHeld, NearToken, Neighbour, NotedHead, Page, Prepared, ProgressFn, Record, RepairOptions,
    RepairReport, ScrubOptions, ScrubReport, ScrubStats, Stats, StoredBlob, StoredEntity,
};
pub use engine::{FreeOptions, FreeReport, Pins, PinsGuard};
pub use error::{Error, ErrorKind, Result};
pub use files::{FileReader, Files, StoredFile};
pub use loader::Loader;
pub use query::{Cursor, Filter, Interval, OrderBy, Query, TokenQuery};
pub use statlas_tokens::Metric;
pub use store::{Location, Options, Reached, Store};
