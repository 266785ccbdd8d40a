//! Entities kept after they were read, for stores that are larger than the memory.
//!
//! A page of a file holds a dozen entities of which one is wanted. Where pages must be read from the disk again
//! and again, the same memory holds a dozen times as many entities here, and a lookup that is answered here
//! touches neither a table nor the log. Where everything fits into memory it brings nothing, so it is off there
//! unless it is asked for.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use statlas_core::Address;

use crate::budget::{Budget, MemoryUse, Reservation};
use crate::engine::StoredEntity;

/// The part of the budget that the cache takes where the indexes do not cover the store.
const BUDGET_PART: u64 = 8;
/// What an entry takes beside its bytes, about.
const ENTRY_BYTES: u64 = 160;
/// For how many entries the table is made; it grows.
const ENTRIES_AT_FIRST: usize = 1024;

/// The cache of a store.
pub(super) struct EntityCache {
    /// The eviction (a variant of Clock-PRO) is not fooled by a scan, and counts bytes.
    entries: Cache<Address, Arc<StoredEntity>, Weight>,
    /// What the options ask for; without it the cache is used while memory is scarce.
    bytes_asked: Option<u64>,
    is_on: AtomicBool,
    /// Entities removed since the store was opened: who reads one while this changes does not keep it. Who keeps one has
    /// the lock, so that none is kept when its removal can be seen.
    removals: Mutex<u64>,
    memory: Mutex<Reservation>,
}

#[derive(Clone)]
struct Weight;

impl Weighter<Address, Arc<StoredEntity>> for Weight {
    fn weight(&self, _: &Address, entity: &Arc<StoredEntity>) -> u64 {
        entity.bytes.capacity() as u64 + ENTRY_BYTES
    }
}

impl EntityCache {
    /// A cache that is off.
    pub(super) fn new(budget: &Arc<Budget>, bytes_asked: Option<u64>) -> Self {
        Self {
            entries: Cache::with_weighter(ENTRIES_AT_FIRST, 0, Weight),
            bytes_asked,
            is_on: AtomicBool::new(false),
            removals: Mutex::new(0),
            memory: Mutex::new(budget.hold(MemoryUse::Cache, 0)),
        }
    }

    /// Switches the cache on or off, as the options and the memory say.
    pub(super) fn adapt(&self, budget: &Budget, is_scarce: bool) {
        let wanted = match self.bytes_asked {
            Some(bytes) => bytes,
            None if is_scarce => budget.bytes_max() / BUDGET_PART,
            None => 0,
        };
        let bytes = if self.memory.lock().try_resize(wanted) { wanted } else { 0 };
        self.set_capacity(bytes);
    }

    /// Switches it on again if it was let go of and there is memory for it now.
    pub(super) fn revive(&self, budget: &Budget, is_scarce: bool) {
        if !self.is_on() && (self.bytes_asked.is_some() || is_scarce) {
            self.adapt(budget, is_scarce);
        }
    }

    /// Gives all of it back; whether there was any.
    pub(super) fn let_go(&self) -> bool {
        let was_on = self.is_on.load(Ordering::Relaxed);
        self.set_capacity(0);
        self.memory.lock().resize(0);
        was_on
    }

    fn set_capacity(&self, bytes: u64) {
        self.is_on.store(bytes > 0, Ordering::Release);
        self.entries.set_capacity(bytes);
        if bytes == 0 {
            self.entries.clear();
        }
    }

    /// Lookups that were answered, and that were not.
    pub(super) fn hits_and_misses(&self) -> (u64, u64) {
        (self.entries.hits(), self.entries.misses())
    }

    pub(super) fn is_on(&self) -> bool {
        self.is_on.load(Ordering::Acquire)
    }

    /// The entity with an address; else what `read` finds, which is kept.
    pub(super) fn get_or_read<E>(
        &self,
        address: &Address,
        read: impl FnOnce() -> Result<Option<StoredEntity>, E>,
    ) -> Result<Option<StoredEntity>, E> {
        if let Some(entity) = self.entries.get(address) {
            return Ok(Some(StoredEntity::clone(&entity)));
        }
        let before = *self.removals.lock();
        let Some(entity) = read()? else { return Ok(None) };
        let kept = Arc::new(entity.clone());
        let removals = self.removals.lock();
        if *removals == before {
            self.entries.insert(*address, kept);
        }
        Ok(Some(entity))
    }

    /// Forgets an entity that was removed, before anybody can see that.
    pub(super) fn forget(&self, address: &Address) {
        let mut removals = self.removals.lock();
        *removals += 1;
        if self.is_on() {
            self.entries.remove(address);
        }
    }
}

#[cfg(test)]
mod tests {
    use statlas_core::Address;

    use super::EntityCache;
    use crate::budget::{Budget, MemoryUse};
    use crate::engine::StoredEntity;

    fn entity(number: u8) -> StoredEntity {
        let address = Address([number; 32]);
        StoredEntity { address, bytes: vec![number; 300], canonical: 0..300, token: None, blob: None }
    }

    fn read(cache: &EntityCache, number: u8, reads: &mut u32) -> Option<StoredEntity> {
        let read = || {
            *reads += 1;
            Ok::<_, ()>(Some(entity(number)))
        };
        cache.get_or_read(&Address([number; 32]), read).expect("it can be read")
    }

    #[test]
    fn what_was_read_is_kept_until_it_is_removed_or_memory_is_scarce() {
        let budget = Budget::new(64 << 20);
        let cache = EntityCache::new(&budget, Some(1 << 20));
        cache.adapt(&budget, false);
        assert_eq!(budget.held(MemoryUse::Cache), 1 << 20);
        let mut reads = 0;
        for _ in 0..3 {
            assert_eq!(read(&cache, 1, &mut reads), Some(entity(1)));
        }
        assert_eq!(reads, 1);
        cache.forget(&Address([1; 32]));
        read(&cache, 1, &mut reads);
        assert_eq!(reads, 2);
        assert!(cache.let_go() && !cache.let_go());
        assert_eq!((budget.total(), cache.entries.len()), (0, 0));
    }

    #[test]
    fn an_entity_that_is_removed_while_it_is_read_is_not_kept() {
        let budget = Budget::new(64 << 20);
        let cache = EntityCache::new(&budget, Some(1 << 20));
        cache.adapt(&budget, false);
        let address = Address([1; 32]);
        let read = || {
            cache.forget(&address);
            Ok::<_, ()>(Some(entity(1)))
        };
        assert!(cache.get_or_read(&address, read).expect("it can be read").is_some());
        assert_eq!(cache.entries.len(), 0);
    }

    #[test]
    fn without_a_wish_it_is_on_while_memory_is_scarce() {
        let budget = Budget::new(64 << 20);
        let cache = EntityCache::new(&budget, None);
        cache.adapt(&budget, false);
        assert!(!cache.is_on());
        cache.adapt(&budget, true);
        assert!(cache.is_on() && budget.held(MemoryUse::Cache) == 8 << 20);
        cache.adapt(&budget, false);
        assert!(!cache.is_on() && budget.held(MemoryUse::Cache) == 0);
    }
}
