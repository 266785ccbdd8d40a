//! Batches: any mix of changes that are stored together or not at all.

use std::sync::Arc;

use statlas_core::{Address, BlobId, Entity, EntityError, EntityHead, Token};

use crate::columns::{Draft, RowLists};
use crate::error::{Error, ErrorKind, Result};
use crate::limits::{
    BATCH_BYTES_MAX, BATCH_OPERATIONS_MAX, COLLECTION_BYTES_MAX, PAYLOAD_BYTES_MAX, RECORD_KEY_BYTES_MAX,
    RECORD_VALUE_BYTES_MAX,
};

/// The name of a record: a collection, and a key that is unique in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordKey {
    collection: Box<str>,
    key: Box<str>,
}

impl RecordKey {
    /// Checks the lengths.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] if either part is empty or too long.
    pub fn new(collection: &str, key: &str) -> Result<Self> {
        for (what, text, bytes_max) in
            [("collection", collection, COLLECTION_BYTES_MAX), ("key", key, RECORD_KEY_BYTES_MAX)]
        {
            if text.is_empty() || text.len() > bytes_max {
                let message = format!("record {what}: found {} bytes; allowed: 1 to {bytes_max}", text.len());
                return Err(Error::new(ErrorKind::Invalid, message));
            }
        }
        Ok(Self { collection: collection.into(), key: key.into() })
    }

    /// A place in the order of names, which need not be that of a record.
    pub(crate) fn bound(collection: &str, key: &str) -> Self {
        Self { collection: collection.into(), key: key.into() }
    }

    /// The collection.
    #[must_use]
    pub fn collection(&self) -> &str {
        &self.collection
    }

    /// The key within the collection.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }
}

/// What a record must be like for a change to go through: the compare of compare-and-swap. Of one that is damaged nobody
/// knows what it is like, so that only [`Expected::Any`] changes it; all else is refused as corrupt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// Anything.
    Any,
    /// There is no such record.
    Absent,
    /// The record was last changed by this revision.
    Revision(u64),
}

/// How the bytes of a blob are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BlobForm {
    /// The bytes themselves.
    Whole,
    /// The list of the chunks that make it up.
    Manifest,
    /// A piece of a file, which lives as long as a manifest names it. One that is put where a chunk is stored
    /// as a whole blob changes nothing; a whole blob takes the place of a chunk.
    Chunk,
}

impl BlobForm {
    /// Whether putting a blob in this form changes anything where one is stored in the other form, or none.
    pub(crate) fn replaces(self, stored: Option<Self>) -> bool {
        match stored {
            None => true,
            Some(Self::Chunk) => self != Self::Chunk,
            Some(Self::Whole | Self::Manifest) => false,
        }
    }
}

/// One change of a batch.
#[derive(Debug, Clone)]
pub(crate) enum Operation {
    PutEntity(Box<EntityChange>),
    RemoveEntity(Address),
    PutBlob { id: BlobId, form: BlobForm, bytes: Vec<u8> },
    RemoveBlob(BlobId),
    PutRecord { key: RecordKey, value: Vec<u8>, expected: Expected },
    RemoveRecord { key: RecordKey, expected: Expected },
}

impl Operation {
    /// What need not be kept once it is framed.
    fn droppable(&mut self) -> Option<&mut Vec<u8>> {
        match self {
            Self::PutEntity(change) => Some(&mut change.canonical),
            Self::PutBlob { form: BlobForm::Whole | BlobForm::Chunk, bytes, .. } => Some(bytes),
            _ => None,
        }
    }
}

/// An entity on its way into a store: addressed, its canonical text written.
#[derive(Debug, Clone)]
pub(crate) struct EntityChange {
    pub(crate) address: Address,
    pub(crate) canonical: Vec<u8>,
    pub(crate) head: Arc<EntityHead<'static>>,
    pub(crate) token: Option<Token>,
    pub(crate) blob: Option<BlobId>,
    /// Its row; neighbours and token stand in the batch's lists.
    pub(crate) draft: Arc<Draft>,
}

/// Changes that are stored together or not at all, in order, under one revision.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    operations: Vec<Operation>,
    /// Neighbours and tokens of all the rows.
    lists: RowLists,
    /// The first operation whose token breaks the rules of tokens, as one that is read in place may, and how.
    broken_token: Option<(usize, EntityError)>,
    bytes: usize,
}

impl Batch {
    /// An empty batch.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an entity and returns its address. One that is stored already stays as it is. A file that it names need
    /// not be there; one that is there is not freed as long as the entity is.
    ///
    /// The canonical form and its SHA-256 are computed here, in the caller's thread.
    pub fn put_entity(&mut self, entity: Entity) -> Address {
        let canonical = entity.canonical();
        let address = Address::of(&canonical);
        let (token, blob) = (entity.token().copied(), entity.blob());
        if let (None, Some(Err(broken))) = (&self.broken_token, token.map(|token| token.check())) {
            self.broken_token = Some((self.operations.len(), broken));
        }
        self.bytes += canonical.len();
        let head = Arc::new(entity.into_head());
        let draft = Arc::new(Draft::of(&head, token.as_ref(), &mut self.lists));
        let change = EntityChange { address, canonical, head, token, blob, draft };
        self.operations.push(Operation::PutEntity(Box::new(change)));
        address
    }

    /// Removes an entity. One that is not stored is none to remove.
    pub fn remove_entity(&mut self, address: Address) {
        self.operations.push(Operation::RemoveEntity(address));
    }

    /// Adds a blob that is stored as it is, and returns its id. An entity that names it belongs into the same
    /// batch, so that the blob is not freed before.
    pub fn put_blob(&mut self, bytes: Vec<u8>) -> BlobId {
        let id = BlobId::of(&bytes);
        self.push_blob(id, BlobForm::Whole, bytes);
        id
    }

    /// Adds a blob whose id is known; `bytes` are its own or its manifest, as `form` says.
    pub(crate) fn push_blob(&mut self, id: BlobId, form: BlobForm, bytes: Vec<u8>) {
        self.bytes += bytes.len();
        self.operations.push(Operation::PutBlob { id, form, bytes });
    }

    /// Removes a blob, named or not. The chunks of a large one stay, since others may share them, until
    /// [`Engine::free_blobs`](crate::Engine::free_blobs) finds that none does.
    pub fn remove_blob(&mut self, id: BlobId) {
        self.operations.push(Operation::RemoveBlob(id));
    }

    /// Sets the value of a record.
    pub fn put_record(&mut self, key: RecordKey, value: Vec<u8>, expected: Expected) {
        self.bytes += value.len() + key.collection.len() + key.key.len();
        self.operations.push(Operation::PutRecord { key, value, expected });
    }

    /// Removes a record.
    pub fn remove_record(&mut self, key: RecordKey, expected: Expected) {
        self.bytes += key.collection.len() + key.key.len();
        self.operations.push(Operation::RemoveRecord { key, expected });
    }

    /// How many changes there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.operations.len()
    }

    /// Whether there is no change.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }

    /// About how many bytes the changes carry.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// Gives back the memory of texts and of the bytes of blobs, all but lists of chunks, which are looked at when a
    /// batch is judged.
    pub(crate) fn drop_contents(&mut self) {
        for content in self.operations.iter_mut().filter_map(Operation::droppable) {
            *content = Vec::new();
        }
    }

    /// Puts back what was given back; `content` has it by the index of the operation.
    pub(crate) fn restore_contents(&mut self, mut content: impl FnMut(usize) -> Vec<u8>) {
        for (index, operation) in self.operations.iter_mut().enumerate() {
            if let Some(dropped) = operation.droppable() {
                *dropped = content(index);
            }
        }
    }

    pub(crate) fn lists(&self) -> &RowLists {
        &self.lists
    }

    /// The changes, and the lists of their rows.
    pub(crate) fn into_parts(self) -> (Vec<Operation>, RowLists) {
        (self.operations, self.lists)
    }

    /// Checks the limits of a batch, so that engines need not.
    pub(crate) fn check(&self) -> Result<()> {
        let too_large = |what: &str, found: usize, max: usize| {
            Err(Error::new(ErrorKind::Invalid, format!("{what}: found {found}; allowed: at most {max}")))
        };
        if self.operations.len() > BATCH_OPERATIONS_MAX {
            return too_large("operations in a batch", self.operations.len(), BATCH_OPERATIONS_MAX);
        }
        if self.bytes > BATCH_BYTES_MAX {
            return too_large("bytes in a batch", self.bytes, BATCH_BYTES_MAX);
        }
        if let Some((index, broken)) = &self.broken_token {
            let error = Error::new(ErrorKind::Invalid, format!("token: {broken}"));
            return Err(error.for_operation(*index));
        }
        for (index, operation) in self.operations.iter().enumerate() {
            let checked = match operation {
                Operation::PutBlob { bytes, .. } if bytes.len() > PAYLOAD_BYTES_MAX => {
                    too_large("bytes of a blob in one piece", bytes.len(), PAYLOAD_BYTES_MAX)
                }
                Operation::PutRecord { value, .. } if value.len() > RECORD_VALUE_BYTES_MAX => {
                    too_large("bytes of a record's value", value.len(), RECORD_VALUE_BYTES_MAX)
                }
                _ => Ok(()),
            };
            checked.map_err(|error| error.for_operation(index))?;
        }
        Ok(())
    }
}

/// The entries of a collection behind the key `after`, at most `limit`.
pub(crate) fn collection_range<T: Clone>(
    records: &std::collections::BTreeMap<RecordKey, T>,
    collection: &str,
    after: Option<&str>,
    limit: usize,
) -> Vec<(RecordKey, T)> {
    use std::ops::Bound;
    let from = RecordKey::bound(collection, after.unwrap_or_default());
    let range = records.range((Bound::Excluded(from), Bound::Unbounded));
    range
        .take_while(|(key, _)| &*key.collection == collection)
        .take(limit)
        .map(|(key, entry)| (key.clone(), entry.clone()))
        .collect()
}
