//! Scenarios of section 3: records of the nodes of a mesh.

use statlas_core::Timestamp;
use statlas_store::{Batch, Expected, RecordKey};

use crate::random::SplitMix64;

pub(super) mod backup;
pub(super) mod batches;
pub(super) mod cache;
pub(super) mod inserts;
pub(super) mod memory;
pub(super) mod mixture;
pub(super) mod reads;
pub(super) mod revisions;
pub(super) mod writes;

/// The collection that they stand in.
pub(super) const COLLECTION: &str = "nodes";
/// Bytes of a node's value, about: what workloads store in its place has as many.
pub(super) const VALUE_BYTES: u64 = 212;

const INTERFACES: [&str; 6] = ["wlan0", "wlan1", "mesh0", "bat0", "eth0", "yggdrasil0"];
const PROTOCOLS: [&str; 5] = ["batman-adv", "yggdrasil", "cjdns", "olsr", "babel"];
/// 2025-01-01T00:00:00.000Z.
const CREATED_MS: i64 = 1_735_689_600_000;

/// The node with a number, of a seed: name and value.
pub(super) struct Node {
    pub(super) key: RecordKey,
    pub(super) value: Vec<u8>,
}

impl Node {
    /// The same number and seed give the same node, so that whoever reads it can tell whether it is right.
    ///
    /// # Panics
    ///
    /// Never: the name is short, and the times are within this century.
    pub(super) fn new(seed: u64, number: u64) -> Self {
        let mut random = SplitMix64::new(SplitMix64::nth(seed ^ 0x0de, number));
        let node_id = node_id(number);
        let some = |names: &[&'static str], random: &mut SplitMix64| -> Vec<&'static str> {
            let first = random.index(names.len());
            (0..=random.index(3)).map(|at| names[(first + at) % names.len()]).collect()
        };
        let (interfaces, protocols) = (some(&INTERFACES, &mut random), some(&PROTOCOLS, &mut random));
        let created = CREATED_MS + random.below(30_000_000_000) as i64;
        let updated = created + random.below(86_400_000) as i64;
        let time = |ms| Timestamp::from_unix_ms(ms).expect("a time of this century").to_string();
        let value = serde_json::json!({
            "node_id": node_id, "interfaces": interfaces, "protocols": protocols,
            "started": random.chance(9, 10), "routes_discovered": random.below(500),
            "created_at": time(created), "updated_at": time(updated),
        });
        Self { key: key(&node_id), value: value.to_string().into_bytes() }
    }

    /// Adds it to a batch.
    pub(super) fn put(self, batch: &mut Batch, expected: Expected) {
        batch.put_record(self.key, self.value, expected);
    }
}

/// The name of the node with a number; names sort as numbers do.
fn node_id(number: u64) -> String {
    format!("node-{number:010}")
}

fn key(node_id: &str) -> RecordKey {
    RecordKey::new(COLLECTION, node_id).expect("a short name")
}

/// The name of the record of the node with a number.
pub(super) fn node_key(number: u64) -> RecordKey {
    key(&node_id(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_has_the_fields_of_its_shape_and_depends_on_its_number_alone() {
        let fields = [
            "created_at",
            "interfaces",
            "node_id",
            "protocols",
            "routes_discovered",
            "started",
            "updated_at",
        ];
        let mut bytes = 0;
        for number in 0..1000 {
            let node = Node::new(7, number);
            assert_eq!((&node.key, &node.value), (&node_key(number), &Node::new(7, number).value));
            let value: serde_json::Value = serde_json::from_slice(&node.value).expect("it is JSON");
            let object = value.as_object().expect("an object");
            let mut names: Vec<_> = object.keys().map(String::as_str).collect();
            names.sort_unstable();
            assert_eq!(names, fields);
            assert!(object["created_at"].as_str() <= object["updated_at"].as_str());
            assert!(object["interfaces"].as_array().is_some_and(|some| !some.is_empty()));
            bytes += node.value.len() as u64;
        }
        assert!((bytes / 1000).abs_diff(VALUE_BYTES) < 20, "{} bytes on average", bytes / 1000);
        assert_ne!(Node::new(7, 1).value, Node::new(8, 1).value);
    }
}
