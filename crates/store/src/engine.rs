//! What every engine does: few methods, many keys a call. Everything typed is built above it.

use std::fmt;
use std::ops::{AddAssign, Range};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use statlas_core::{Address, AddressPrefix, BlobId, Coordinates, Entity, EntityHead, Token};

use crate::batch::{Batch, BlobForm, RecordKey};
use crate::budget::Reservation;
use crate::change::Changes;
use crate::error::{Error, ErrorKind, Result};
use crate::query::{Cursor, Filter, Query, TokenQuery};

mod backup;
pub(crate) mod disk;
pub(crate) mod freeing;
pub(crate) mod memory;
mod nearness;
mod reports;
mod waiting;

pub use self::backup::{BackupOptions, BackupReport, RestoreReport};
pub use self::disk::repair;
pub(crate) use self::freeing::Pinned;
pub use self::freeing::{FreeOptions, FreeReport, Pins, PinsGuard};
pub use self::nearness::{NearToken, Neighbour};
pub use self::reports::{
    CompactOptions, CompactReport, HistoryOutcome, HistoryReport, NotedHead, RepairOptions, RepairReport,
    ScrubOptions, ScrubReport, ScrubStats,
};

/// When a commit is acknowledged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Durability {
    /// When other threads can see it. A killed process may lose it.
    Buffered,
    /// When the operating system has it. It survives a killed process, not a power cut.
    Written,
    /// When the device has it. It survives a power cut.
    #[default]
    Synced,
}

/// What a commit did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Commit {
    /// The revision of the batch; the store's newest if the batch changed nothing.
    pub revision: u64,
    /// Entities that were not there before.
    pub entities_new: u64,
    /// Entities that were stored already and stay as they are.
    pub entities_present: u64,
    /// Blobs and chunks that were not there before.
    pub blobs_new: u64,
    /// Records set, chunks stored as blobs of their own, and entities, blobs and records removed.
    pub others: u64,
}

/// A batch that an engine has made ready to be stored.
pub struct Prepared(pub(crate) PreparedForm);

/// What an engine makes of a batch before it is its turn.
pub(crate) enum PreparedForm {
    Batch(Batch),
    /// With its frames, and the memory that they take.
    Encoded(Box<(disk::EncodedBatch, Reservation)>),
}

impl Prepared {
    fn into_batch(self) -> Batch {
        match self.0 {
            PreparedForm::Batch(batch) => batch,
            PreparedForm::Encoded(encoded) => encoded.0.into_batch(),
        }
    }
}

impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let operations = match &self.0 {
            PreparedForm::Batch(batch) => batch.len(),
            PreparedForm::Encoded(encoded) => encoded.0.len(),
        };
        write!(f, "Prepared({operations} operations)")
    }
}

impl AddAssign for Commit {
    fn add_assign(&mut self, other: Self) {
        self.revision = self.revision.max(other.revision);
        self.entities_new += other.entities_new;
        self.entities_present += other.entities_present;
        self.blobs_new += other.blobs_new;
        self.others += other.others;
    }
}

/// An entity as a store returns it: its bytes verified, not parsed yet.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredEntity {
    pub(crate) address: Address,
    /// The bytes as they were read, the canonical text among them.
    pub(crate) bytes: Vec<u8>,
    pub(crate) canonical: Range<usize>,
    /// Few have one, and it would be most of what is moved around.
    pub(crate) token: Option<Box<Token>>,
    pub(crate) blob: Option<BlobId>,
}

impl StoredEntity {
    /// The address.
    #[must_use]
    pub fn address(&self) -> Address {
        self.address
    }

    /// The canonical text, whose SHA-256 is the address.
    #[must_use]
    pub fn canonical(&self) -> &[u8] {
        &self.bytes[self.canonical.clone()]
    }

    /// The attached token.
    #[must_use]
    pub fn token(&self) -> Option<&Token> {
        self.token.as_deref()
    }

    /// The attached file.
    #[must_use]
    pub fn blob(&self) -> Option<BlobId> {
        self.blob
    }

    /// Parses everything but the state.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Corrupt`] if the stored text is no entity.
    pub fn head(&self) -> Result<EntityHead<'_>> {
        EntityHead::read_canonical(self.canonical())
            .map(|(head, _)| head)
            .map_err(|error| self.corrupt(&error))
    }

    /// Parses all of it and verifies that the text is the canonical one and has this address.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Corrupt`] if it is not.
    pub fn entity(&self) -> Result<Entity> {
        if Address::of(self.canonical()) != self.address {
            return Err(Error::new(
                ErrorKind::Corrupt,
                format!("entity {}: the text has another address", self.address),
            ));
        }
        let entity = Entity::from_canonical(self.canonical()).map_err(|error| self.corrupt(&error))?;
        Ok(entity.with_attachments(self.token.as_deref().copied(), self.blob))
    }

    fn corrupt(&self, error: &statlas_core::EntityError) -> Error {
        Error::new(ErrorKind::Corrupt, format!("entity {}: {error}", self.address))
    }
}

/// A blob as a store returns it: its bytes or its manifest, checked against their checksum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredBlob {
    /// What the bytes are.
    pub form: BlobForm,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// A record as a store returns it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its name.
    pub key: RecordKey,
    /// Its value.
    pub value: Vec<u8>,
    /// The revision that last changed it.
    pub revision: u64,
}

/// One page of an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// The rows.
    pub entities: Vec<StoredEntity>,
    /// Where to go on, if there may be more.
    pub next: Option<Cursor>,
}

/// Figures of a store, counted and not estimated.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stats {
    /// Which engine it is.
    pub engine: &'static str,
    /// The newest revision.
    pub revision: u64,
    /// Entities that can be read.
    pub entities: u64,
    /// Ids that have at least one entity.
    pub ids: u64,
    /// Blobs and chunks that can be read.
    pub blobs: u64,
    /// Records that can be read.
    pub records: u64,
    /// Bytes in the files of the store.
    pub disk_bytes: u64,
    /// Files of the log.
    pub segments: u64,
    /// Bytes of the index of addresses and blobs, allocated.
    pub index_bytes: u64,
    /// Bytes of the columns, the ids and the records, allocated.
    pub catalogue_bytes: u64,
    /// Most bytes that the store takes for itself; 0 for engines without a budget.
    pub memory_bytes_max: u64,
    /// Who holds how much of that.
    pub memory: Vec<MemoryHeld>,
    /// Lookups of entities that the cache answered since the store was opened.
    pub cache_hits: u64,
    /// Lookups of entities that the cache was asked for and could not answer.
    pub cache_misses: u64,
    /// Files of the log that the indexes in memory cover; the others are looked up in their sidecars.
    pub segments_covered: u64,
    /// Syncs of the device since the store was opened.
    pub syncs: u64,
    /// Places at which stored bytes were found damaged when the store was opened.
    pub damage: Vec<String>,
    /// The head of the hash chain in hex; empty for engines that keep none.
    pub chain_head: String,
    /// How the scrubbing stands; `None` if there never was any.
    pub scrub: Option<ScrubStats>,
    /// The last error of what the store does by itself, since it was opened: it is tried again later and later.
    pub maintenance_error: Option<String>,
}

/// Memory that is held for something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryHeld {
    /// For what: a stable lower-case name.
    pub user: &'static str,
    /// How much, in bytes.
    pub bytes: u64,
}

/// What a check read and found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CheckReport {
    /// Bytes read and verified.
    pub bytes: u64,
    /// Commits verified.
    pub commits: u64,
    /// Entities whose text has their address.
    pub entities: u64,
    /// Blobs and chunks whose bytes have their SHA-256.
    pub blobs: u64,
    /// Records verified.
    pub records: u64,
    /// The head of the hash chain in hex; empty for engines that keep none.
    pub chain_head: String,
    /// What is wrong: place, what it hits, how. Empty for a sound store.
    pub damage: Vec<String>,
    /// Bytes that a quick check did not read: entities, blobs and records of complete files of the log.
    pub bytes_unread: u64,
}

/// Bytes done and bytes in all, reported while something takes long.
pub type ProgressFn<'a> = &'a mut dyn FnMut(u64, u64);

/// What an engine does. Every method may be called from many threads.
pub trait Engine: Send + Sync {
    /// Stores a batch, all of it or nothing, and returns when `durability` is reached.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`], [`ErrorKind::Conflict`] and [`ErrorKind::Mutability`] name the operation
    /// and leave the store unchanged, and so does [`ErrorKind::Corrupt`], if what the batch removes, compares or stores a
    /// version of is damaged; [`ErrorKind::NoSpace`] and [`ErrorKind::Io`] poison it.
    fn commit(&self, batch: Batch, durability: Durability) -> Result<Commit>;

    /// Makes a batch ready to be stored by [`Engine::commit_prepared`], so that one thread can do that while another
    /// one commits; a [`Loader`](crate::Loader) is made of this. What was prepared holds memory of the budget until
    /// it is committed or dropped.
    ///
    /// # Errors
    ///
    /// Those of [`Engine::commit`] that a batch has by itself, whatever the store holds.
    fn prepare(&self, batch: Batch) -> Result<Prepared> {
        Ok(Prepared(PreparedForm::Batch(batch)))
    }

    /// Stores what [`Engine::prepare`] made, as [`Engine::commit`] does.
    ///
    /// # Errors
    ///
    /// As [`Engine::commit`].
    fn commit_prepared(&self, prepared: Prepared, durability: Durability) -> Result<Commit> {
        self.commit(prepared.into_batch(), durability)
    }

    /// Makes everything that was acknowledged survive a power cut.
    ///
    /// # Errors
    ///
    /// An error of the operating system poisons the store.
    fn sync(&self) -> Result<()>;

    /// The entity at an address, verified against its checksum.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Corrupt`] if its bytes are damaged.
    fn entity(&self, address: &Address) -> Result<Option<StoredEntity>>;

    /// The entities at many addresses, in the order asked for.
    ///
    /// # Errors
    ///
    /// As [`Engine::entity`].
    fn entities(&self, addresses: &[Address]) -> Result<Vec<Option<StoredEntity>>> {
        addresses.iter().map(|address| self.entity(address)).collect()
    }

    /// The addresses with a prefix, in order, at most `limit`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Corrupt`] if a key that is needed is damaged.
    fn addresses(&self, prefix: &AddressPrefix, limit: usize) -> Result<Vec<Address>>;

    /// The addresses of an id in the order of their commits; the last is its head.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Corrupt`] if an entity that is needed is damaged.
    fn versions(&self, id: &str) -> Result<Vec<Address>>;

    /// The entities that meet a query.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Corrupt`] if an entity of the answer is damaged.
    fn find(&self, query: &Query) -> Result<Page>;

    /// How many entities meet a filter.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Corrupt`] if an entity that must be read is damaged.
    fn count(&self, filter: &Filter) -> Result<u64>;

    /// The `k` entities of the same profile most similar to a position, the most similar first; ties in
    /// the order of their commits. `except` is left out.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Corrupt`] if an entity of the answer is damaged.
    fn near(&self, position: &Coordinates, k: usize, except: Option<&Address>) -> Result<Vec<Neighbour>>;

    /// The entities whose attached token is nearest to one, exactly, the nearest first; ties in the order of their
    /// commits. Entities without a token are left out. Reads every token once.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] for a radius that is negative or no number; [`ErrorKind::Corrupt`] if tokens, or an entity
    /// of the answer, are damaged.
    fn near_token(&self, query: &TokenQuery) -> Result<Vec<NearToken>>;

    /// Whether entities were found damaged and have not been stored again: answers about ids, prefixes and
    /// coordinates may lack them.
    fn may_miss_entities(&self) -> bool {
        false
    }

    /// A blob or a chunk, verified against its checksum.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Corrupt`] if its bytes are damaged.
    fn blob(&self, id: &BlobId) -> Result<Option<StoredBlob>>;

    /// Whether a blob or a chunk is stored, without reading it. One that is known to be damaged is not, so
    /// that storing it again mends it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Corrupt`] if its key is damaged.
    fn has_blob(&self, id: &BlobId) -> Result<bool>;

    /// How a blob or a chunk is stored, if it is, as [`Engine::has_blob`] says.
    ///
    /// # Errors
    ///
    /// As [`Engine::has_blob`].
    fn blob_form(&self, id: &BlobId) -> Result<Option<BlobForm>> {
        if self.has_blob(id)? { Ok(self.blob(id)?.map(|blob| blob.form)) } else { Ok(None) }
    }

    /// A record.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Corrupt`] if its bytes are damaged.
    fn record(&self, key: &RecordKey) -> Result<Option<Record>>;

    /// The records of a collection in the order of their keys, those after `after`, at most `limit`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Corrupt`] if one of them is damaged. The error names the first such record, unless the names themselves
    /// are damaged; those behind it are listed with that as `after`.
    fn records(&self, collection: &str, after: Option<&str>, limit: usize) -> Result<Vec<Record>>;

    /// The changes behind the revision `after`, up to the revision that the answer names: whole revisions, at
    /// least one if there is one, then as many as `limit` changes hold. Without a new revision there are none,
    /// and the revision is `after`, the newest.
    ///
    /// A revision that is visible is reported, whatever durability its batch asked for: one that was not synced
    /// may be gone after a power cut, and its number be another batch's. Who must not see that calls
    /// [`Engine::sync`] before it works through an answer.
    ///
    /// How long a change is kept depends on the engine. On disk every change is kept until the segment that it
    /// stands in is compacted, and that leaves the trace of the newest [`history_revisions`] revisions whole.
    /// In memory the newest [`MEMORY_CHANGES_MAX`] changes are kept. Who begins anew reads
    /// [`Stats::revision`] first, then what is stored, and watches from that revision on.
    ///
    /// Costs reading the log from a place at most 64 KiB before the first change.
    ///
    /// [`history_revisions`]: crate::Options::history_revisions
    /// [`MEMORY_CHANGES_MAX`]: crate::limits::MEMORY_CHANGES_MAX
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] if `after` is newer than the newest revision; [`ErrorKind::Expired`] if changes
    /// behind it are no longer kept, with the first revision that can be watched from;
    /// [`ErrorKind::Corrupt`] with its place if the next revision is damaged, which ends neither the revisions
    /// before nor those behind it.
    fn changes(&self, after: u64, limit: usize) -> Result<Changes>;

    /// Waits until there is a visible revision newer than `after`, but no longer than `at_most`, and returns
    /// the newest. Costs nobody anything who commits while nobody waits.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Closed`], as soon as the store is closed.
    fn wait_for_change(&self, after: u64, at_most: Duration) -> Result<u64>;

    /// Figures of the store.
    fn stats(&self) -> Stats;

    /// Changes how much memory the store may take for itself, while it is open. What is held beyond that is
    /// let go of.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Corrupt`] if something that is needed for that is damaged.
    fn set_memory_bytes_max(&self, _bytes: u64) -> Result<()> {
        Ok(())
    }

    /// Gives the space of what was removed back, while everybody else goes on: readers wait for nothing, and
    /// writers for moments. Needs room on the disk for one file of the log beside what is there.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Corrupt`] if the store was damaged when it was opened, and nothing is written anew then; or if a file that
    /// would be turns out to be damaged, when the others were written; and errors of the operating system. What can be
    /// read is as it was.
    fn compact(&self, _options: &CompactOptions, _progress: ProgressFn<'_>) -> Result<CompactReport> {
        Ok(CompactReport::default())
    }

    /// The blobs that [`Engine::free_blobs`] leaves alone because somebody is about to name them. `None` for an
    /// engine that frees nothing.
    fn pins(&self) -> Option<&Arc<Pins>> {
        None
    }

    /// Removes the blobs that nothing needs any more, while everybody else goes on: readers wait for nothing,
    /// and writers for the removal of a few hundred blobs at a time.
    ///
    /// That are chunks which no manifest names, and whole blobs and manifests that an entity named once, that no
    /// entity names now, and that are no chunk of a file. A removed entity counts as long as the engine knows of
    /// it; on disk its trace goes when its segment is compacted and its revision is older than the
    /// [`history_revisions`] newest. Blobs that no entity ever named stay unless the options say otherwise.
    ///
    /// What is named meanwhile stays, and so does what is pinned: a file from before [`Files::put`] looks for it
    /// until the [`StoredFile`] is dropped, of a larger one its chunks until its manifest is stored. Who stores a
    /// blob with a batch names it in the same batch, or holds a [`StoredFile`]; else it may be gone before it is
    /// named.
    ///
    /// Costs reading the log twice on disk, more often if the ids of all blobs do not fit into the memory that is
    /// free. Compaction then gives the space back.
    ///
    /// [`history_revisions`]: crate::Options::history_revisions
    /// [`Files::put`]: crate::Files::put
    /// [`StoredFile`]: crate::StoredFile
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Corrupt`] if anything is damaged, since that may name any blob; [`ErrorKind::Invalid`] if the
    /// engine can't free blobs; otherwise as [`Engine::commit`]. What was freed before stays freed, and whatever
    /// is needed is there.
    fn free_blobs(&self, _options: &FreeOptions, _progress: ProgressFn<'_>) -> Result<FreeReport> {
        Err(Error::new(ErrorKind::Invalid, "this engine can't free blobs"))
    }

    /// Does a piece of the work that makes later work cheaper and that nobody waits for; returns whether
    /// there may be more. [`Store`](crate::Store) calls it from a thread of its own.
    ///
    /// # Errors
    ///
    /// As for reading; the store is as it was.
    fn maintain(&self) -> Result<bool> {
        Ok(false)
    }

    /// Reads and verifies everything that is stored.
    ///
    /// # Errors
    ///
    /// An error of the operating system. Damage is no error here: the report lists it.
    fn check(&self, progress: ProgressFn<'_>) -> Result<CheckReport>;

    /// Verifies what can be verified without reading what is stored in complete files of the log: headers,
    /// lengths, indexes and the ends of files, and everything in the file that is being written. Takes about
    /// a tenth of the time of [`Engine::check`].
    ///
    /// # Errors
    ///
    /// As for [`Engine::check`].
    fn check_quick(&self, progress: ProgressFn<'_>) -> Result<CheckReport> {
        self.check(progress)
    }

    /// Reads what is stored and verifies its checksums, at a limited rate and in pieces: goes on where the
    /// last call stopped, also after the store was opened again. A pass covers what was there when it began.
    ///
    /// # Errors
    ///
    /// An error of the operating system. Damage is no error here: the report lists it.
    fn scrub(&self, _options: &ScrubOptions<'_>, _progress: ProgressFn<'_>) -> Result<ScrubReport> {
        Ok(ScrubReport { is_pass_complete: true, ..ScrubReport::default() })
    }

    /// Computes the hash chain again, from a noted head or else from the beginning, up to the present head:
    /// proves that every batch since is there and is the one that was committed.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] if the engine keeps no hash chain, and errors of the operating system.
    fn verify_history(&self, _from: Option<NotedHead>, _progress: ProgressFn<'_>) -> Result<HistoryReport> {
        Err(Error::new(ErrorKind::Invalid, "this engine keeps no hash chain whose history could be proved"))
    }

    /// Copies the store as it is now into a directory, while everybody else goes on, or brings the backup that
    /// is there up to date: only what it lacks is copied. Until the new backup is whole the old one is. A
    /// backup is no store; [`restore`](crate::restore) makes one of it.
    ///
    /// Files that are copied are verified. Damage is no error unless the options are strict: it is copied as
    /// it is, and the report lists it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] if the engine has no backup, or the directory holds anything but a backup of
    /// this store; [`ErrorKind::Busy`] if another backup is being made there; errors of the operating system.
    fn backup(
        &self,
        _to: &Path,
        _options: &BackupOptions<'_>,
        _progress: ProgressFn<'_>,
    ) -> Result<BackupReport> {
        Err(Error::new(ErrorKind::Invalid, "this engine has no backup"))
    }

    /// Syncs, and lets go of the store's files. Every later call fails with [`ErrorKind::Closed`], but for
    /// another one of this, which does nothing.
    ///
    /// # Errors
    ///
    /// An error of the operating system.
    fn close(&self) -> Result<()>;
}
