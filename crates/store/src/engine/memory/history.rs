//! The changes that a store in memory keeps to be watched: the newest, so many that they fit a limit.

use std::collections::VecDeque;

use crate::batch::Operation;
use crate::change::{Change, ChangeKind, Changes, check_after};
use crate::error::Result;
use crate::limits::MEMORY_CHANGES_MAX;

/// The changes of the newest revisions.
#[derive(Default)]
pub(super) struct History {
    /// Whole revisions, each one more than the one before.
    revisions: VecDeque<Vec<Change>>,
    /// Changes of all of them.
    count: usize,
    /// The newest revision whose changes were let go of; 0 for none.
    forgotten: u64,
}

impl History {
    /// Adds a revision that changed something, and lets go of the oldest that are too many.
    pub(super) fn add(&mut self, revision: u64, operations: &[Operation], changed: &[bool]) {
        // A batch has at most 2^20 operations.
        let change = |((ordinal, operation), changed): ((u32, &Operation), &bool)| {
            changed.then(|| Change { revision, ordinal, kind: kind_of(operation) })
        };
        let changes: Vec<Change> = (0..).zip(operations).zip(changed).filter_map(change).collect();
        self.count += changes.len();
        self.revisions.push_back(changes);
        while self.count > MEMORY_CHANGES_MAX && self.revisions.len() > 1 {
            self.count -= self.revisions.pop_front().map_or(0, |changes| changes.len());
            self.forgotten = revision - self.revisions.len() as u64;
        }
    }

    /// The changes behind a revision, as an engine returns them.
    pub(super) fn changes(&self, after: u64, newest: u64, limit: usize) -> Result<Changes> {
        check_after(after, newest, self.forgotten)?;
        let mut found = Changes { changes: Vec::new(), revision: after };
        for changes in self.revisions.iter().skip((after - self.forgotten) as usize) {
            if !found.changes.is_empty() && found.changes.len() + changes.len() > limit {
                break;
            }
            found.changes.extend_from_slice(changes);
            found.revision += 1;
        }
        Ok(found)
    }
}

fn kind_of(operation: &Operation) -> ChangeKind {
    match operation {
        Operation::PutEntity(change) => ChangeKind::EntityPut(change.address),
        Operation::RemoveEntity(address) => ChangeKind::EntityRemoved(*address),
        Operation::PutBlob { id, .. } => ChangeKind::BlobPut(*id),
        Operation::RemoveBlob(id) => ChangeKind::BlobRemoved(*id),
        Operation::PutRecord { key, .. } => ChangeKind::RecordPut(key.clone()),
        Operation::RemoveRecord { key, .. } => ChangeKind::RecordRemoved(key.clone()),
    }
}

#[cfg(test)]
mod tests {
    use statlas_core::{Address, BlobId};

    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn the_oldest_revisions_are_let_go_of_and_said_to_be() {
        let mut history = History::default();
        let operations = vec![Operation::RemoveEntity(Address([1; 32])); MEMORY_CHANGES_MAX / 4];
        let changed = vec![true; operations.len()];
        for revision in 1..=6 {
            history.add(revision, &operations, &changed);
        }
        let error = history.changes(1, 6, 1).expect_err("revision 2 is gone");
        assert_eq!(error.kind(), ErrorKind::Expired);
        assert!(error.to_string().contains("start from revision 2"), "{error}");
        let found = history.changes(2, 6, 1).expect("revision 3 is there");
        assert_eq!((found.revision, found.changes[0].revision), (3, 3));
        assert_eq!(history.changes(2, 6, usize::MAX).expect("all").changes.len(), MEMORY_CHANGES_MAX);
        // The newest stays, however large it is.
        let large = vec![Operation::RemoveBlob(BlobId([2; 32])); MEMORY_CHANGES_MAX + 1];
        history.add(7, &large, &vec![true; large.len()]);
        assert_eq!(history.changes(6, 7, 1).expect("one revision").changes.len(), large.len());
        assert_eq!(history.changes(5, 7, 1).expect_err("gone").kind(), ErrorKind::Expired);
    }
}
