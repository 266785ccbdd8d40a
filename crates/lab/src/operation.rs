//! What a workload does to a store.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One kind of operation. Its name in workloads and results is that of the variant in snake case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// Stores one new entity in a commit of its own.
    Put,
    /// Stores as many new entities as the workload's `batch` says in one commit.
    PutBatch,
    /// Removes one entity in a commit of its own.
    Remove,
    /// Reads an entity by its address.
    Get,
    /// Looks up an address that nothing has.
    GetAbsent,
    /// Reads as many entities as the workload's `batch` says in one call.
    GetMany,
    /// Asks for entities by coordinates: a realm, and an interval of lineages that about one in a hundred lies in.
    Find,
    /// Asks for the ten entities that are most similar to one.
    Near,
    /// Reads a whole file.
    ReadFile,
    /// Reads a record.
    ReadRecord,
    /// Writes a record, whatever it was before.
    WriteRecord,
    /// Makes a record that was not there.
    InsertRecord,
    /// Reads a record, changes it, and writes it if nobody else did meanwhile; else once more, until it is written.
    UpdateRecord,
    /// Reads records in the order of their keys, from one on, up to `scan_length` of them.
    Scan,
}

impl Operation {
    /// All of them, in the order in which tables list them.
    pub const ALL: [Self; 14] = [
        Self::Put,
        Self::PutBatch,
        Self::Remove,
        Self::Get,
        Self::GetAbsent,
        Self::GetMany,
        Self::Find,
        Self::Near,
        Self::ReadFile,
        Self::ReadRecord,
        Self::WriteRecord,
        Self::InsertRecord,
        Self::UpdateRecord,
        Self::Scan,
    ];

    /// Its name in workloads and results.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Put => "put",
            Self::PutBatch => "put_batch",
            Self::Remove => "remove",
            Self::Get => "get",
            Self::GetAbsent => "get_absent",
            Self::GetMany => "get_many",
            Self::Find => "find",
            Self::Near => "near",
            Self::ReadFile => "read_file",
            Self::ReadRecord => "read_record",
            Self::WriteRecord => "write_record",
            Self::InsertRecord => "insert_record",
            Self::UpdateRecord => "update_record",
            Self::Scan => "scan",
        }
    }

    /// The operation of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|operation| operation.name() == name)
    }

    /// Whether it commits something.
    #[must_use]
    pub fn writes(self) -> bool {
        matches!(
            self,
            Self::Put
                | Self::PutBatch
                | Self::Remove
                | Self::WriteRecord
                | Self::InsertRecord
                | Self::UpdateRecord
        )
    }

    /// Whether it is about records.
    #[must_use]
    pub fn is_about_records(self) -> bool {
        matches!(
            self,
            Self::ReadRecord | Self::WriteRecord | Self::InsertRecord | Self::UpdateRecord | Self::Scan
        )
    }

    /// Whether it is about entities.
    #[must_use]
    pub fn is_about_entities(self) -> bool {
        !self.is_about_records() && self != Self::ReadFile
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::Operation;

    #[test]
    fn names_are_those_of_the_files() {
        for operation in Operation::ALL {
            assert_eq!(Operation::named(operation.name()), Some(operation));
            let text = serde_json::to_string(&operation).expect("it has a name");
            assert_eq!(text, format!("\"{operation}\""));
        }
    }
}
