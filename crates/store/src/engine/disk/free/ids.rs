//! The ids of a part of all blobs, as many as fit into memory.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::sync::Arc;

use statlas_core::BlobId;

use crate::budget::{Budget, MemoryUse, Reservation};
use crate::index::key_of;
use crate::overlay::UniformHasher;

/// Bytes that an id takes here: in the map, in the list that is made of it, and while the map grows.
const ID_BYTES: u64 = 112;
/// This part of the budget is taken whether it is free or not: with less there would be too many passes.
const BUDGET_PART: u64 = 64;

/// The blobs that were met whose keys lie in a range, and which of them are needed.
pub(super) struct Ids {
    needed: HashMap<BlobId, bool, BuildHasherDefault<UniformHasher>>,
    low: u64,
    /// The last key of the range. It comes down when memory is short.
    high: u64,
    memory: Reservation,
}

impl Ids {
    /// Those whose keys are `low` or more.
    pub(super) fn from(low: u64, budget: &Arc<Budget>) -> Self {
        let memory = budget.hold(MemoryUse::Maintenance, budget.bytes_max() / BUDGET_PART);
        let mut ids = Self { needed: HashMap::default(), low, high: u64::MAX, memory };
        ids.needed.reserve(1024);
        ids
    }

    /// The last key of the range, once everything was added.
    pub(super) fn high(&self) -> u64 {
        self.high
    }

    pub(super) fn holds(&self, id: &BlobId) -> bool {
        (self.low..=self.high).contains(&key_of(&id.0))
    }

    /// Notes a blob if it lies in the range; one that is needed stays so.
    pub(super) fn add(&mut self, id: BlobId, is_needed: bool) {
        if !self.holds(&id) {
            return;
        }
        if let Some(needed) = self.needed.get_mut(&id) {
            *needed |= is_needed;
            return;
        }
        while self.needed.len() == self.needed.capacity() {
            self.make_room();
        }
        if self.holds(&id) {
            self.needed.insert(id, is_needed);
        }
    }

    /// Takes more memory, or gives up the upper half of the range: that is left for another pass.
    fn make_room(&mut self) {
        let wanted = self.needed.capacity() as u64 * 2;
        if self.memory.bytes() >= wanted * ID_BYTES || self.memory.try_resize(wanted * ID_BYTES) {
            self.needed.reserve(self.needed.capacity());
            return;
        }
        self.high = self.low + (self.high - self.low) / 2;
        let high = self.high;
        self.needed.retain(|id, _| key_of(&id.0) <= high);
    }

    /// The blobs that were met and that nothing needs, sorted.
    pub(super) fn into_unneeded(self) -> (Vec<BlobId>, Reservation) {
        let needed = self.needed.into_iter();
        let mut ids: Vec<BlobId> = needed.filter_map(|(id, needed)| (!needed).then_some(id)).collect();
        ids.sort_unstable();
        (ids, self.memory)
    }
}

#[cfg(test)]
mod tests {
    use statlas_core::BlobId;

    use super::Ids;
    use crate::budget::{Budget, MEMORY_BYTES_MIN, MemoryUse};

    #[test]
    fn what_does_not_fit_is_left_for_other_passes_and_every_id_comes_once() {
        let budget = Budget::new(MEMORY_BYTES_MIN);
        let all: Vec<BlobId> = (0..60_000_u32).map(|number| BlobId::of(&number.to_le_bytes())).collect();
        let full = budget.hold(MemoryUse::Index, MEMORY_BYTES_MIN);
        let (mut low, mut passes, mut found) = (Some(0), 0, Vec::new());
        while let Some(from) = low {
            let mut ids = Ids::from(from, &budget);
            // Each comes twice, and every third is needed, the first or the second time.
            for (number, id) in all.iter().chain(&all).enumerate() {
                ids.add(*id, number % 6 == 0);
            }
            low = ids.high().checked_add(1);
            passes += 1;
            let (unneeded, memory) = ids.into_unneeded();
            assert!(memory.bytes() <= MEMORY_BYTES_MIN / 64);
            found.extend(unneeded);
        }
        let mut expected: Vec<BlobId> =
            all.iter().enumerate().filter(|(number, _)| number % 6 != 0).map(|(_, id)| *id).collect();
        expected.sort_unstable();
        assert_eq!(found, expected);
        assert!(passes > 8, "{passes}");
        drop(full);
        assert_eq!(budget.total(), 0);
    }
}
