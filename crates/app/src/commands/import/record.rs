//! What an import remembers of a file, so that an unchanged one is not read again.
//!
//! A record in the collection `import` under the entity's id, written in the same commit as the entity.

use anyhow::Result;
use serde_json::{Value, json};
use statlas_core::Address;
use statlas_store::{Batch, Expected, RecordKey, Store};

use super::stamp::Stamp;

/// The collection of these records.
pub(crate) const COLLECTION: &str = "import";

/// What is remembered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Facts<'a> {
    pub(super) stamp: &'a Stamp,
    /// What [`Stamp::is_settled`] said before the file was read.
    pub(super) settled: bool,
    /// The digest of the mapping by which it was taken.
    pub(super) flags: &'a str,
    /// The newest version.
    pub(super) address: Address,
}

/// Whether the store has a file as it is now, by this mapping, without a look at its content.
pub(super) fn is_unchanged(store: &Store, id: &str, stamp: &Stamp, flags: &str) -> Result<bool> {
    let Some(record) = store.engine().record(&RecordKey::new(COLLECTION, id)?)? else { return Ok(false) };
    let Ok(value) = serde_json::from_slice::<Value>(&record.value) else { return Ok(false) };
    if value["settled"] != true || fields(stamp, flags).into_iter().any(|(name, fact)| value[name] != fact) {
        return Ok(false);
    }
    // The entity may have been removed or followed by another version since.
    let address = value["address"].as_str().and_then(|text| text.parse::<Address>().ok());
    Ok(address.is_some() && address == store.engine().versions(id)?.last().copied())
}

/// Adds the record of a file to a batch.
pub(super) fn put(batch: &mut Batch, id: &str, facts: Facts<'_>) -> Result<()> {
    let mut value = json!({});
    for (name, fact) in fields(facts.stamp, facts.flags) {
        value[name] = fact;
    }
    value["settled"] = facts.settled.into();
    value["address"] = facts.address.to_string().into();
    batch.put_record(RecordKey::new(COLLECTION, id)?, value.to_string().into_bytes(), Expected::Any);
    Ok(())
}

fn fields(stamp: &Stamp, flags: &str) -> [(&'static str, Value); 6] {
    [
        ("size", stamp.bytes.into()),
        ("mtime_ns", stamp.modified_ns.into()),
        ("ctime_ns", stamp.changed_ns.into()),
        ("inode", stamp.inode.into()),
        ("device", stamp.device.into()),
        ("mapping", flags.into()),
    ]
}
