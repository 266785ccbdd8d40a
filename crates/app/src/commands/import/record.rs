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

/// Whether the store has the file as this stamp says it is, without a look at its content.
pub(super) fn is_unchanged(store: &Store, id: &str, stamp: &Stamp) -> Result<bool> {
    let Some(record) = store.engine().record(&RecordKey::new(COLLECTION, id)?)? else { return Ok(false) };
    let Ok(value) = serde_json::from_slice::<Value>(&record.value) else { return Ok(false) };
    if !stamp.is_settled()
        || value["settled"] != true
        || facts(stamp).into_iter().any(|(name, fact)| value[name] != fact)
    {
        return Ok(false);
    }
    // The entity may have been removed or followed by another version since.
    let address = value["address"].as_str().and_then(|text| text.parse::<Address>().ok());
    Ok(address.is_some() && store.engine().versions(id)?.last().copied() == address)
}

/// Adds the record of a file that was just read to a batch.
pub(super) fn put(batch: &mut Batch, id: &str, stamp: &Stamp, address: Address) -> Result<()> {
    let mut value = json!({});
    for (name, fact) in facts(stamp) {
        value[name] = fact;
    }
    value["settled"] = stamp.is_settled().into();
    value["address"] = address.to_string().into();
    batch.put_record(RecordKey::new(COLLECTION, id)?, value.to_string().into_bytes(), Expected::Any);
    Ok(())
}

fn facts(stamp: &Stamp) -> [(&'static str, Value); 5] {
    [
        ("size", stamp.bytes.into()),
        ("mtime_ns", stamp.modified_ns.into()),
        ("ctime_ns", stamp.changed_ns.into()),
        ("inode", stamp.inode.into()),
        ("device", stamp.device.into()),
    ]
}
