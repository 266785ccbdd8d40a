//! Looks whether a store holds what it acknowledged.

use std::io::{self, Read};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use statlas_core::Address;
use statlas_store::Store;

use crate::data::{counter_of, record_key};
use crate::store_target::Acknowledged;

/// So many problems are named.
const MESSAGES_MAX: usize = 10;
/// Entities asked for in one call.
const TOGETHER: usize = 1024;

/// What an audit looked at, and found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audit {
    /// Entities that were acknowledged, each read, and its text hashed: it has its address.
    pub entities: u64,
    /// Entities whose removal was acknowledged: each was asked for and is not there.
    pub removed: u64,
    /// Records that were acknowledged, each read, with the revision and the value that it must have.
    pub records: u64,
    /// Files, each read, and its bytes hashed.
    pub files: u64,
    /// Whether the store was closed and opened again before, so that it was not its memory that answered.
    pub is_reopened: bool,
    /// Writes that failed: what they wrote may be there or not.
    pub failed_writes: u64,
    /// How much is not as it was acknowledged.
    pub problems: u64,
    /// What is wrong with the first ones.
    pub messages: Vec<String>,
}

impl Audit {
    /// Audits a store that nobody writes to.
    pub(crate) fn of(store: &Store, must: &Acknowledged, is_reopened: bool) -> Self {
        let mut audit = Self { is_reopened, failed_writes: must.failed_writes, ..Self::default() };
        for some in must.present.chunks(TOGETHER) {
            audit.entities(store, some);
        }
        for address in &must.absent {
            audit.removed += 1;
            match store.get(address) {
                Ok(None) => {}
                Ok(Some(_)) => audit.problem(format!("entity {address} was removed and is there")),
                Err(error) => audit.problem(format!("entity {address}: {error}")),
            }
        }
        audit.records(store, must);
        for (id, bytes) in &must.files {
            audit.files += 1;
            match store.files().open(id).map(|file| file.map(|mut file| hash_of(&mut file))) {
                Ok(Some(Ok((hash, length)))) if (hash, length) == (id.0, *bytes) => {}
                Ok(Some(Err(error))) => audit.problem(format!("file {id}: {error}")),
                Err(error) => audit.problem(format!("file {id}: {error}")),
                Ok(_) => audit.problem(format!("file {id} is not there, or not what was stored")),
            }
        }
        audit
    }

    fn entities(&mut self, store: &Store, addresses: &[Address]) {
        let found = match store.engine().entities(addresses) {
            Ok(found) => found,
            Err(error) => return self.problem(format!("{} entities: {error}", addresses.len())),
        };
        for (address, found) in addresses.iter().zip(found) {
            self.entities += 1;
            match found {
                Some(found) if Address::of(found.canonical()) == *address => {}
                Some(_) => self.problem(format!("entity {address} has a text with another address")),
                None => self.problem(format!("entity {address} was acknowledged and is not there")),
            }
        }
    }

    fn records(&mut self, store: &Store, must: &Acknowledged) {
        let mut counted: u64 = 0;
        for (number, revision) in &must.records {
            self.records += 1;
            let key = record_key(*number);
            let name = key.key();
            let record = match store.engine().record(&key) {
                Ok(Some(record)) => record,
                Ok(None) => {
                    self.problem(format!("record {name} was acknowledged and is not there"));
                    continue;
                }
                Err(error) => {
                    self.problem(format!("record {name}: {error}"));
                    continue;
                }
            };
            let is_newer = must.failed_writes > 0 && record.revision > *revision;
            if record.revision != *revision && !is_newer {
                let found = record.revision;
                self.problem(format!("record {name} is at revision {found}; {revision} was acknowledged"));
            }
            match counter_of(*number, &record.value) {
                Some(counter) => counted = counted.wrapping_add(counter),
                None => self.problem(format!("record {name} has a value that nobody wrote")),
            }
        }
        if let Some(updates) = must.updates.filter(|updates| must.failed_writes == 0 && *updates != counted) {
            self.problem(format!(
                "{updates} changes of records were acknowledged, and {counted} can be seen"
            ));
        }
    }

    fn problem(&mut self, message: String) {
        self.problems += 1;
        if self.messages.len() < MESSAGES_MAX {
            self.messages.push(message);
        }
    }
}

/// The SHA-256 of all that a reader yields, and how many bytes that is.
fn hash_of(reader: &mut dyn Read) -> io::Result<([u8; 32], u64)> {
    let (mut hash, mut length, mut buffer) = (Sha256::new(), 0, vec![0; 1 << 16]);
    loop {
        let read = reader.read(&mut buffer)?;
        if read == 0 {
            return Ok((hash.finalize().into(), length));
        }
        hash.update(&buffer[..read]);
        length += read as u64;
    }
}

#[cfg(test)]
mod tests {
    use statlas_core::BlobId;
    use statlas_store::{Batch, Durability, Expected, Location, Options};

    use super::*;
    use crate::data::record_value;
    use crate::generator::Generator;

    fn store_with(entities: u64, records: u64) -> (Store, Acknowledged) {
        let store = Store::open(&Location::Memory, &Options::default()).expect("it opens");
        let generator = Generator::new(1, None);
        let mut batch = Batch::new();
        let present = (0..entities).map(|n| batch.put_entity(generator.entity(n))).collect();
        for number in 0..records {
            batch.put_record(record_key(number), record_value(number, number, 50), Expected::Absent);
        }
        let file = vec![7; 100];
        batch.put_blob(file.clone());
        let revision = store.commit(batch, Durability::Buffered).expect("it is stored").revision;
        let must = Acknowledged {
            present,
            absent: vec![Address([9; 32])],
            records: (0..records).map(|number| (number, revision)).collect(),
            updates: Some((0..records).sum()),
            files: vec![(BlobId::of(&file), 100)],
            failed_writes: 0,
        };
        (store, must)
    }

    #[test]
    fn a_sound_store_has_no_problem() {
        let (store, must) = store_with(3000, 20);
        let audit = Audit::of(&store, &must, false);
        assert_eq!((audit.entities, audit.removed, audit.records, audit.files), (3000, 1, 20, 1));
        assert_eq!(audit.messages, Vec::<String>::new());
    }

    #[test]
    fn whatever_is_not_as_it_was_acknowledged_is_found() {
        type Harm = fn(&mut Batch, &mut Acknowledged);
        let harms: [(&str, Harm); 8] = [
            ("is not there", |batch, must| batch.remove_entity(must.present[5])),
            ("was removed and is there", |_, must| must.absent.push(must.present[1])),
            ("is not there", |batch, _| batch.remove_record(record_key(3), Expected::Any)),
            ("was acknowledged", |batch, _| {
                batch.put_record(record_key(3), record_value(3, 3, 50), Expected::Any)
            }),
            ("nobody wrote", |batch, _| batch.put_record(record_key(3), vec![1; 50], Expected::Any)),
            ("can be seen", |_, must| must.updates = must.updates.map(|updates| updates + 1)),
            ("is not there", |batch, must| batch.remove_blob(must.files[0].0)),
            ("not what was stored", |_, must| must.files[0].1 += 1),
        ];
        for (number, (message, harm)) in harms.into_iter().enumerate() {
            let (store, mut must) = store_with(10, 5);
            let mut batch = Batch::new();
            harm(&mut batch, &mut must);
            store.commit(batch, Durability::Buffered).expect("it is done");
            let audit = Audit::of(&store, &must, false);
            let is_named = audit.messages.iter().any(|found| found.contains(message));
            assert!(audit.problems > 0 && is_named, "{number}, {message}: {audit:?}");
        }
    }

    #[test]
    fn what_a_failed_write_may_have_written_is_no_problem() {
        let (store, mut must) = store_with(10, 5);
        let mut batch = Batch::new();
        batch.put_record(record_key(3), record_value(3, 4, 50), Expected::Any);
        store.commit(batch, Durability::Buffered).expect("it is done");
        must.failed_writes = 1;
        assert_eq!(Audit::of(&store, &must, false).problems, 0);
    }
}
