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

/// What the record of a file tells without a look at its content.
pub(super) enum Known {
    /// The store has it as it is.
    Unchanged,
    /// The store has it as it was under this address, but a change may not show in its times.
    AsFarAsItShows(Address),
    /// It is new, or changed.
    Not,
}

/// Compares a file with its record.
pub(super) fn look_up(store: &Store, id: &str, stamp: &Stamp) -> Result<Known> {
    let Some(record) = store.engine().record(&RecordKey::new(COLLECTION, id)?)? else {
        return Ok(Known::Not);
    };
    let Ok(value) = serde_json::from_slice::<Value>(&record.value) else { return Ok(Known::Not) };
    if facts(stamp).into_iter().any(|(name, fact)| value[name] != fact) {
        return Ok(Known::Not);
    }
    // The entity may have been removed or followed by another version since.
    let address = value["address"].as_str().and_then(|text| text.parse::<Address>().ok());
    let head = store.engine().versions(id)?.last().copied();
    match address.filter(|address| Some(*address) == head) {
        Some(_) if value["settled"] == true => Ok(Known::Unchanged),
        Some(address) => Ok(Known::AsFarAsItShows(address)),
        None => Ok(Known::Not),
    }
}

/// Adds the record of a file to a batch. `settled` is what [`Stamp::is_settled`] said before it was read.
pub(super) fn put(batch: &mut Batch, id: &str, stamp: &Stamp, settled: bool, address: Address) -> Result<()> {
    let mut value = json!({});
    for (name, fact) in facts(stamp) {
        value[name] = fact;
    }
    value["settled"] = settled.into();
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
