//! What changed in a store, revision by revision, and reading it page after page.
//!
//! Changes come in whole revisions and in their order, so that who notes the last revision that was worked
//! through goes on behind it, in another process too, without a gap and without seeing anything twice. What
//! the changes carried is not repeated: who wants it looks it up, and may find that it is gone or newer.

use std::time::Duration;

use statlas_core::{Address, BlobId};

use crate::batch::RecordKey;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::PAGE_CHANGES_MAX;
use crate::store::Store;

/// One change of a revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The revision of its batch.
    pub revision: u64,
    /// Which operation of its batch it was, counted from 0. Operations that changed nothing are left out.
    pub ordinal: u32,
    /// What it did, and to what.
    pub kind: ChangeKind,
}

/// What a change did, and to what. Something that was put is not there any more if a later change, of the same
/// revision perhaps, removed it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ChangeKind {
    /// An entity was stored that was not there.
    EntityPut(Address),
    /// An entity was removed.
    EntityRemoved(Address),
    /// A blob, or a chunk or the manifest of a large file, was stored that was not there, or a blob took the
    /// place of a chunk with the same bytes.
    BlobPut(BlobId),
    /// A blob, or a chunk or the manifest of a large file, was removed.
    BlobRemoved(BlobId),
    /// A record was made, or its value was set.
    RecordPut(RecordKey),
    /// A record was removed.
    RecordRemoved(RecordKey),
}

impl ChangeKind {
    /// The stable lower-case name.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::EntityPut(_) => "entity_put",
            Self::EntityRemoved(_) => "entity_removed",
            Self::BlobPut(_) => "blob_put",
            Self::BlobRemoved(_) => "blob_removed",
            Self::RecordPut(_) => "record_put",
            Self::RecordRemoved(_) => "record_removed",
        }
    }
}

/// The changes of some revisions, all of each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// The changes in their order.
    pub changes: Vec<Change>,
    /// The last revision that is covered: the one to go on behind.
    pub revision: u64,
}

/// The changes of a store behind a revision, as they come. Made by [`Store::watch`].
///
/// Holds no more than the page that it returns, and keeps the store open. A process that watches again later
/// saves [`Watch::revision`] when it has worked through a page.
#[derive(Clone)]
pub struct Watch {
    store: Store,
    revision: u64,
}

impl Watch {
    pub(crate) fn new(store: Store, after: u64) -> Self {
        Self { store, revision: after }
    }

    /// The last revision whose changes were returned; to begin with, the one to begin behind.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The next page of changes, at most [`PAGE_CHANGES_MAX`] or those of one revision. Waits for changes if
    /// there are none, and returns `None` if none came within `at_most`.
    ///
    /// # Errors
    ///
    /// As [`Engine::changes`](crate::Engine::changes). The watch stays where it is.
    pub fn next_within(&mut self, at_most: Duration) -> Result<Option<Changes>> {
        if let Some(page) = self.page()? {
            return Ok(Some(page));
        }
        self.store.engine().wait_for_change(self.revision, at_most)?;
        self.page()
    }

    fn page(&mut self) -> Result<Option<Changes>> {
        let page = self.store.engine().changes(self.revision, PAGE_CHANGES_MAX)?;
        if page.revision == self.revision {
            return Ok(None);
        }
        self.revision = page.revision;
        Ok(Some(page))
    }
}

/// Refuses a revision to begin behind that is not there yet, or whose later changes are not all kept.
/// `forgotten` is the newest revision whose changes are not.
pub(crate) fn check_after(after: u64, newest: u64, forgotten: u64) -> Result<()> {
    if after > newest {
        let message = format!("changes after revision: found {after}; allowed: up to the newest, {newest}");
        return Err(Error::new(ErrorKind::Invalid, message));
    }
    if after < forgotten {
        let message = format!(
            "changes after revision {after}: the history up to revision {forgotten} is no longer kept; start from \
             revision {forgotten} or read everything anew"
        );
        return Err(Error::new(ErrorKind::Expired, message));
    }
    Ok(())
}
