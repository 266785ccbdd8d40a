//! How long a run will take, and how much memory and storage it needs.

use super::engine::Engine;
use crate::quantity::Unit;

/// What scenarios take, about: measured on two cores of a virtual machine, and rounded up.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Cost {
    pub(super) seconds: f64,
    pub(super) memory_bytes: u64,
    pub(super) disk_bytes: u64,
}

/// Bytes of memory that a store takes for an entity: in memory all of it, on disk its indexes and columns.
const MEMORY_BYTES_EACH: u64 = 900;
const LASTING_MEMORY_BYTES_EACH: u64 = 110;
/// Bytes of files for an entity, and the addresses of a data set.
const DISK_BYTES_EACH: u64 = 500;
const ADDRESS_BYTES_EACH: u64 = 40;

impl Cost {
    /// What a store of each engine with so many entities takes, all at a time.
    pub(super) fn of_stores(entities: u64, engines: &[Engine]) -> Self {
        engines.iter().fold(Self::default(), |all, engine| {
            let one = Self::of_store(entities, engine);
            Self {
                memory_bytes: all.memory_bytes + one.memory_bytes,
                disk_bytes: all.disk_bytes + one.disk_bytes,
                ..all
            }
        })
    }

    /// What the largest of stores of each engine takes, one at a time.
    pub(super) fn of_one_store(entities: u64, engines: &[Engine]) -> Self {
        engines.iter().fold(Self::default(), |most, engine| {
            let one = Self::of_store(entities, engine);
            Self {
                memory_bytes: most.memory_bytes.max(one.memory_bytes),
                disk_bytes: most.disk_bytes.max(one.disk_bytes),
                ..most
            }
        })
    }

    fn of_store(entities: u64, engine: &Engine) -> Self {
        let (memory, disk) = if engine.is_lasting() {
            (LASTING_MEMORY_BYTES_EACH, DISK_BYTES_EACH)
        } else {
            (MEMORY_BYTES_EACH, 0)
        };
        Self {
            seconds: 0.0,
            memory_bytes: entities * (memory + ADDRESS_BYTES_EACH),
            disk_bytes: entities * disk,
        }
    }
}

/// What a run takes, about. The figures behind it were measured on two cores of a virtual machine and rounded up.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Estimate {
    /// How long, in seconds.
    pub seconds: f64,
    /// Most memory at a time, pages of mapped files not counted.
    pub memory_bytes: u64,
    /// Most storage at a time, where temporary stores are made.
    pub disk_bytes: u64,
}

impl Estimate {
    /// Scenarios follow one another: their times add up, and what one holds is gone when the next one begins.
    pub(super) fn of(costs: impl Iterator<Item = Cost>) -> Self {
        /// What the program itself has, and what an allocator keeps.
        const MEMORY_BYTES: u64 = 64 << 20;
        costs.fold(Self { memory_bytes: MEMORY_BYTES, ..Self::default() }, |all, one| Self {
            seconds: all.seconds + one.seconds,
            memory_bytes: all.memory_bytes.max(one.memory_bytes + MEMORY_BYTES),
            disk_bytes: all.disk_bytes.max(one.disk_bytes),
        })
    }

    /// What of this is not there, in a sentence for each.
    pub(super) fn lacks(&self, memory_bytes: Option<u64>, disk_bytes: Option<u64>) -> Vec<String> {
        let lack = |what: &str, needed: u64, there: Option<u64>| {
            let there = there.filter(|there| *there < needed)?;
            let format = |bytes: u64| Unit::Bytes.format(bytes as f64);
            Some(format!("{what}: {} are needed, and there are {}", format(needed), format(there)))
        };
        let memory = lack("memory", self.memory_bytes, memory_bytes);
        memory.into_iter().chain(lack("storage", self.disk_bytes, disk_bytes)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{Cost, Estimate};

    #[test]
    fn times_add_up_and_of_memory_the_most_counts() {
        let cost = |seconds, memory_bytes, disk_bytes| Cost { seconds, memory_bytes, disk_bytes };
        let estimate = Estimate::of([cost(1.0, 5 << 30, 7), cost(2.0, 1 << 30, 9)].into_iter());
        assert_eq!((estimate.seconds, estimate.disk_bytes), (3.0, 9));
        assert!(estimate.memory_bytes > 5 << 30 && estimate.memory_bytes < 6 << 30);
        assert_eq!(estimate.lacks(None, None), Vec::<String>::new());
        assert_eq!(estimate.lacks(Some(6 << 30), Some(9)), Vec::<String>::new());
        let lacks = estimate.lacks(Some(1 << 30), Some(8)).join("; ");
        assert!(lacks.contains("memory: 5.06 GiB are needed, and there are 1.00 GiB"), "{lacks}");
        assert!(lacks.contains("storage: 9.00 B are needed, and there are 8.00 B"), "{lacks}");
    }
}
