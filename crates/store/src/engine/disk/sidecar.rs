//! What is known of a complete segment, in a file beside it: `log/00000007.idx` beside `log/00000007.seg`.
//!
//! A sidecar holds the index tables, the packed columns, filters and short lists of one segment, so that
//! opening a store reads only the segment that still grows, and so that lookups work in place where the
//! index does not fit the memory. It is made from the segment and can be made again, so anything strange
//! about it is a reason to do that.
//!
//! The promises: nothing is believed before its checksum was right and its lengths were bounded; a lookup
//! reads the chunks that it needs and no other; no bytes whatever make it panic. A file that changes after
//! its chunks were verified may give wrong answers, but no worse. What is left out: making the contents,
//! writing the file, and deciding which of two opinions is right are for the engine. `docs/FORMAT.md` gives
//! every byte.

mod contents;
mod directory;
mod encode;
#[cfg(any(test, feature = "faults"))]
mod exercise;
mod fields;
mod filter;
mod header;
mod layout;
mod lists;
mod memory;
mod reader;
mod records;
mod residence;
mod rows;
mod tables;
#[cfg(test)]
mod tests;
mod verify;

pub(super) use self::contents::{
    Contents, Effect, EffectKind, Identity, Mark, Mended, RecordEntry, Removal, RemovalKind, Summary, TableId,
};
#[cfg(any(test, feature = "faults"))]
pub(crate) use self::exercise::exercise;
#[cfg(test)]
pub(super) use self::memory::AlignedBytes;
pub(super) use self::memory::SidecarMemory;
pub(super) use self::reader::Sidecar;
pub(super) use self::records::{SidecarRecord, name_hash};
