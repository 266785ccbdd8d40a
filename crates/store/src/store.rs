//! The store that users hold: an engine and everything typed above it.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use statlas_core::{Address, AddressPrefix, Entity, Uri};

use crate::batch::Batch;
use crate::budget::{Budget, MEMORY_BYTES_MIN};
use crate::change::Watch;
use crate::engine::disk::DiskEngine;
use crate::engine::memory::MemoryEngine;
use crate::engine::{Commit, Durability, Engine, StoredEntity};
use crate::error::{Error, ErrorKind, Result};
use crate::files::Files;
use crate::loader::Loader;
use crate::maintenance::Maintained;
use crate::query::{Filter, Interval, Query};

/// Where a store is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// In this process's memory, gone when it is closed.
    Memory,
    /// In a directory on disk.
    Disk(PathBuf),
}

impl FromStr for Location {
    type Err = Error;

    /// `memory:`, `disk:PATH`, or a path.
    fn from_str(text: &str) -> Result<Self> {
        let refused = |allowed: &str| {
            Err(Error::new(ErrorKind::Invalid, format!("store location: found {text:?}; allowed: {allowed}")))
        };
        match text.split_once(':') {
            _ if text.is_empty() => refused("`memory:`, `disk:PATH` or a path"),
            Some(("memory", "")) => Ok(Self::Memory),
            Some(("memory", _)) => refused("`memory:` with nothing after it"),
            Some(("disk", "")) => refused("`disk:` followed by a path"),
            Some(("disk", path)) => Ok(Self::Disk(path.into())),
            Some((scheme @ ("sqlite" | "postgres" | "postgresql"), _)) => {
                refused(&format!("`memory:`, `disk:PATH` or a path; this release has no {scheme} engine"))
            }
            Some((scheme, rest)) if is_scheme(scheme) && rest.starts_with("//") => refused(
                "`memory:`, `disk:PATH` or a path, and no other scheme; `./` before it makes it a path",
            ),
            _ => Ok(Self::Disk(text.into())),
        }
    }
}

/// Whether a text is the beginning of a URL, up to its colon.
fn is_scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

impl TryFrom<&OsStr> for Location {
    type Error = Error;

    /// The same for any path: what is not UTF-8 is a path, or `disk:` and a path.
    fn try_from(text: &OsStr) -> Result<Self> {
        match text.to_str() {
            Some(text) => text.parse(),
            None => Ok(Self::Disk(without_scheme(text).into())),
        }
    }
}

/// What comes behind `disk:`.
#[cfg(unix)]
fn without_scheme(text: &OsStr) -> &OsStr {
    use std::os::unix::ffi::OsStrExt;
    text.as_bytes().strip_prefix(b"disk:").map_or(text, OsStr::from_bytes)
}

/// Elsewhere a path that is not Unicode can't be taken apart.
#[cfg(not(unix))]
fn without_scheme(text: &OsStr) -> &OsStr {
    text
}

/// How a store is opened.
#[derive(Debug, Clone)]
pub struct Options {
    /// Make the store if there is none.
    pub create: bool,
    /// The durability of [`Store::put`] and of files; commits name their own.
    pub durability: Durability,
    /// A new file of the log is begun when one has this many bytes. Smaller ones make more files, larger
    /// ones make opening less parallel.
    pub segment_bytes: u64,
    /// Most bytes of memory that the store takes for itself, pages of mapped files not counted; less than
    /// [`MEMORY_BYTES_MIN`](crate::limits::MEMORY_BYTES_MIN) counts as that. `None` takes the environment variable
    /// `STATLAS_MEMORY_BYTES_MAX`, a [`ByteSize`](crate::ByteSize) that is refused if it is less, or else half of
    /// what the machine has, or a cgroup or a limit of the process allows.
    pub memory_bytes_max: Option<u64>,
    /// Most bytes for keeping entities that were read. `None` keeps some, an eighth of the memory, while the
    /// index does not fit into memory, and none otherwise.
    pub cache_bytes_max: Option<u64>,
    /// Compress the texts of entities (zstd, with a dictionary made of the store's own texts) as far as that
    /// makes them smaller. It is about what is written from the second file of the log on; whatever is stored
    /// can be read either way. Writing and reading take longer, what is stored takes less space.
    pub compression: bool,
    /// Most bytes of large buffers that are kept to be used again, for batches on their way into the log and for
    /// reading files of the log from end to end; 0 for none. Allocators that keep freed memory do much the same,
    /// so it is off unless `cargo xtask bench memory` says that it brings something where the store runs.
    pub buffer_pool_bytes_max: u64,
    /// Read index, filters and columns when the store is opened, as far as the memory has room for them, instead
    /// of when they are first asked for. Opening then takes the time for all of that.
    pub preload: bool,
    /// When segments are compacted, the newest revisions, so many, keep the trace of every change: they can
    /// be watched and their hash chain proved. Of older ones only what is there is kept.
    pub history_revisions: u64,
    /// Bring the index into memory and keep files in shape from a thread of the store's own. Without it,
    /// whoever calls [`Engine::maintain`] does that.
    pub maintenance: bool,
    /// How many bytes a second the maintenance reads to verify what is stored, a pass a day; 0 for none.
    pub scrub_bytes_per_second: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            create: true,
            durability: Durability::Synced,
            segment_bytes: 64 << 20,
            memory_bytes_max: None,
            cache_bytes_max: None,
            compression: false,
            buffer_pool_bytes_max: 0,
            preload: false,
            history_revisions: 1_000_000,
            maintenance: true,
            scrub_bytes_per_second: 0,
        }
    }
}

impl Options {
    /// Most bytes of memory that a store opened like this takes for itself: what
    /// [`memory_bytes_max`](Self::memory_bytes_max) says, or else the environment or the machine.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] if the environment variable is no size, or too small.
    pub fn memory_bytes(&self) -> Result<u64> {
        Ok(Budget::bytes_for(self.memory_bytes_max)?.max(MEMORY_BYTES_MIN))
    }
}

/// An open store. Cloning is cheap and shares it; the last one to be dropped closes it.
#[derive(Clone)]
pub struct Store {
    engine: Arc<dyn Engine>,
    durability: Durability,
    /// Of an engine that is maintained by a thread.
    _maintained: Option<Arc<Maintained>>,
}

/// An id that was reached over adjacency.
#[derive(Debug, Clone, PartialEq)]
pub struct Reached {
    /// The id.
    pub id: String,
    /// How many steps away it is, at least 1.
    pub hops: usize,
    /// Its newest version; `None` if an entity names it that is not stored itself.
    pub entity: Option<StoredEntity>,
}

impl Store {
    /// Opens the store at a location.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotAStore`], [`ErrorKind::NewerFormat`], [`ErrorKind::Busy`] if another process has
    /// it, or an error of the operating system.
    pub fn open(location: &Location, options: &Options) -> Result<Self> {
        let engine: Arc<dyn Engine> = match location {
            Location::Memory => Arc::new(MemoryEngine::new()),
            Location::Disk(path) => Arc::new(DiskEngine::open(path, options)?),
        };
        let is_maintained = options.maintenance && *location != Location::Memory;
        let maintained = is_maintained.then(|| Arc::new(Maintained::begin(&engine)));
        Ok(Self { engine, durability: options.durability, _maintained: maintained })
    }

    /// A store around an engine of one's own.
    #[must_use]
    pub fn with_engine(engine: Arc<dyn Engine>) -> Self {
        Self { engine, durability: Durability::Synced, _maintained: None }
    }

    /// The engine, for everything that has no method of its own here.
    #[must_use]
    pub fn engine(&self) -> &dyn Engine {
        &*self.engine
    }

    /// Files as blobs.
    #[must_use]
    pub fn files(&self) -> Files<'_> {
        Files::new(&*self.engine, self.durability)
    }

    /// Stores one entity, durably unless the options said otherwise.
    ///
    /// # Errors
    ///
    /// As [`Engine::commit`].
    pub fn put(&self, entity: Entity) -> Result<Address> {
        let mut batch = Batch::new();
        let address = batch.put_entity(entity);
        self.commit(batch, self.durability)?;
        Ok(address)
    }

    /// Stores a batch.
    ///
    /// # Errors
    ///
    /// As [`Engine::commit`].
    pub fn commit(&self, batch: Batch, durability: Durability) -> Result<Commit> {
        self.engine.commit(batch, durability)
    }

    /// Stores many batches, each by itself, faster than one [`Store::commit`] after another: the next one is made
    /// ready while one is on its way to the device.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] if no thread can be started.
    pub fn loader(&self, durability: Durability) -> Result<Loader> {
        Loader::new(Arc::clone(&self.engine), durability)
    }

    /// The entity at an address.
    ///
    /// # Errors
    ///
    /// As [`Engine::entity`].
    pub fn get(&self, address: &Address) -> Result<Option<StoredEntity>> {
        self.engine.entity(address)
    }

    /// The newest version of an id.
    ///
    /// # Errors
    ///
    /// As [`Engine::versions`].
    pub fn head(&self, id: &str) -> Result<Option<StoredEntity>> {
        match self.engine.versions(id)?.last() {
            Some(address) => self.engine.entity(address),
            None => Ok(None),
        }
    }

    /// All versions of an id, the oldest first.
    ///
    /// # Errors
    ///
    /// As [`Engine::versions`]; [`ErrorKind::Corrupt`] if there is none but entities of the store are damaged.
    pub fn history(&self, id: &str) -> Result<Vec<StoredEntity>> {
        let versions = self.engine.versions(id)?;
        self.check_absent(id, versions.is_empty())?;
        Ok(self.engine.entities(&versions)?.into_iter().flatten().collect())
    }

    /// The entities that `what` names: a URI all those at its coordinates; an address, an id (its newest
    /// version) or a unique prefix of an address of at least 4 digits one. Empty if there is none.
    ///
    /// What is an id of the store and a prefix at once is taken as the id.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Ambiguous`] for a prefix of several addresses, [`ErrorKind::Invalid`] for a URI that
    /// does not parse, [`ErrorKind::Corrupt`] if there is none but entities of the store are damaged.
    pub fn resolve(&self, what: &str) -> Result<Vec<StoredEntity>> {
        let found = self.look_up(what)?;
        self.check_absent(what, found.is_empty())?;
        Ok(found)
    }

    /// What is not found where entities are damaged may be one of them.
    fn check_absent(&self, what: &str, is_absent: bool) -> Result<()> {
        if is_absent && self.engine.may_miss_entities() {
            let message =
                format!("{what}: not found, but the store is damaged and it may be among what was lost");
            return Err(Error::new(ErrorKind::Corrupt, message));
        }
        Ok(())
    }

    fn look_up(&self, what: &str) -> Result<Vec<StoredEntity>> {
        if what.starts_with("stat7://") || what.starts_with("fractalstat://") {
            return self.at_uri(&what.parse()?);
        }
        if let Ok(address) = what.parse::<Address>()
            && let Some(entity) = self.get(&address)?
        {
            return Ok(vec![entity]);
        }
        if let Some(head) = self.head(what)? {
            return Ok(vec![head]);
        }
        match what.parse::<AddressPrefix>() {
            Ok(prefix) => self.with_prefix(&prefix),
            Err(_) => Ok(Vec::new()),
        }
    }

    fn with_prefix(&self, prefix: &AddressPrefix) -> Result<Vec<StoredEntity>> {
        const SHOWN: usize = 5;
        let addresses = self.engine.addresses(prefix, SHOWN + 1)?;
        if addresses.len() < 2 {
            return Ok(self.engine.entities(&addresses)?.into_iter().flatten().collect());
        }
        let shown: Vec<String> =
            addresses.iter().take(SHOWN).map(|address| format!("\n  {address}")).collect();
        let more = if addresses.len() > SHOWN { "\n  and more" } else { "" };
        let message =
            format!("prefix {prefix}: ambiguous, give more digits of one of{}{more}", shown.concat());
        Err(Error::new(ErrorKind::Ambiguous, message))
    }

    fn at_uri(&self, uri: &Uri) -> Result<Vec<StoredEntity>> {
        let lineage = Interval { min: Some(uri.lineage()), max: Some(uri.lineage()) };
        let filter = Filter {
            profile: vec![uri.profile()],
            realm: vec![uri.realm()],
            horizon: vec![uri.horizon()],
            lineage,
            ..Filter::default()
        };
        let mut query = Query { filter, ..Query::default() };
        let mut found = Vec::new();
        loop {
            let page = self.engine.find(&query)?;
            for entity in page.entities {
                let head = entity.head()?;
                if uri.matches(&head.coordinates, &head.id) {
                    found.push(entity);
                }
            }
            match page.next {
                Some(next) => query.after = Some(next),
                None => return Ok(found),
            }
        }
    }

    /// The ids that can be reached from `id` over adjacency within `hops` steps, nearest first, at most
    /// `limit`, each once. Newest versions are followed.
    ///
    /// # Errors
    ///
    /// As [`Engine::versions`].
    pub fn neighbours(&self, id: &str, hops: usize, limit: usize) -> Result<Vec<Reached>> {
        let mut seen = HashSet::from([id.to_owned()]);
        let mut reached: Vec<Reached> = Vec::new();
        let mut frontier: Vec<StoredEntity> = self.head(id)?.into_iter().collect();
        for hops in 1..=hops {
            let mut next = Vec::new();
            for entity in &frontier {
                for id in entity.head()?.coordinates.adjacency.iter() {
                    if reached.len() == limit {
                        return Ok(reached);
                    }
                    if seen.insert(id.to_owned()) {
                        let entity = self.head(id)?;
                        next.extend(entity.clone());
                        reached.push(Reached { id: id.to_owned(), hops, entity });
                    }
                }
            }
            if next.is_empty() {
                break;
            }
            frontier = next;
        }
        Ok(reached)
    }

    /// The changes behind the revision `after`, as they come. It keeps the store open.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use statlas_store::{Batch, ChangeKind, Durability, Location, Options, Store};
    /// # let store = Store::open(&Location::Memory, &Options::default())?;
    /// let mut watch = store.watch(0);
    /// let mut batch = Batch::new();
    /// let blob = batch.put_blob(b"content".to_vec());
    /// store.commit(batch, Durability::Synced)?;
    /// let page = watch.next_within(Duration::from_secs(1))?.expect("something changed");
    /// assert_eq!(page.changes[0].kind, ChangeKind::BlobPut(blob));
    /// assert_eq!(watch.next_within(Duration::ZERO)?, None);
    /// let saved = watch.revision();
    /// # assert_eq!(saved, 1);
    /// # Ok::<(), statlas_store::Error>(())
    /// ```
    #[must_use]
    pub fn watch(&self, after: u64) -> Watch {
        Watch::new(self.clone(), after)
    }

    /// Syncs and closes the store; other clones of it can't use it any more.
    ///
    /// # Errors
    ///
    /// An error of the operating system.
    pub fn close(&self) -> Result<()> {
        self.engine.close()
    }
}

#[cfg(test)]
mod tests {
    use super::Location;

    #[test]
    fn locations_are_paths_unless_they_begin_with_a_scheme() {
        let location = |text: &str| text.parse::<Location>().ok();
        let disk = |path: &str| Some(Location::Disk(path.into()));
        assert_eq!(location("memory:"), Some(Location::Memory));
        assert_eq!(location("disk:http://x"), disk("http://x"));
        for path in ["a", "a:b", "./http://x", "C:\\x", "/x://y"] {
            assert_eq!(location(path), disk(path));
        }
        for refused in ["", "memory:x", "disk:", "sqlite:x", "http://x", "s3+a.b-c://x", "file:///x"] {
            assert_eq!(location(refused), None, "{refused}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn paths_need_not_be_text() {
        use std::ffi::OsStr;
        use std::os::unix::ffi::OsStrExt;

        let path = OsStr::from_bytes(b"a\xff");
        for text in [path, OsStr::from_bytes(b"disk:a\xff")] {
            assert_eq!(Location::try_from(text).ok(), Some(Location::Disk(path.into())));
        }
        assert!(Location::try_from(OsStr::new("http://x")).is_err());
    }
}
