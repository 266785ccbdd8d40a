//! Fuzz targets: a function for each parser of stored or foreign bytes.
//!
//! Each of them takes any bytes and panics if a promise is broken: a parser panics itself, what it reads
//! does not lead back to what was read, or damage gives a wrong answer. `cargo xtask fuzz` runs them under
//! LLVM's fuzzer; the tests of the store give them the corpus.

mod entities;
mod files;
mod stores;
mod texts;
mod tokens;

pub use entities::{entity_canonical, entity_json, state_json, token_bytes, token_json};
pub use files::{backup_manifest, file_manifest, segment, sidecar, store_header};
pub use stores::{Sample, damaged_store, opened_log, sample, scrub_state};
pub use texts::{cursor, file_name, names, uri};
pub use tokens::{token_batch, token_file};

/// A target and its name.
pub type Target = (&'static str, fn(&[u8]));

/// All targets. Each has a folder of its name in `corpus`, and a program in `fuzz_targets`.
pub const TARGETS: [Target; 19] = [
    ("backup_manifest", backup_manifest),
    ("cursor", cursor),
    ("damaged_store", damaged_store),
    ("entity_canonical", entity_canonical),
    ("entity_json", entity_json),
    ("file_manifest", file_manifest),
    ("file_name", file_name),
    ("names", names),
    ("opened_log", opened_log),
    ("scrub_state", scrub_state),
    ("segment", segment),
    ("sidecar", sidecar),
    ("state_json", state_json),
    ("store_header", store_header),
    ("token_batch", token_batch),
    ("token_bytes", token_bytes),
    ("token_file", token_file),
    ("token_json", token_json),
    ("uri", uri),
];
