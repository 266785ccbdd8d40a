//! The data that every engine gets: rows that depend on the seed and their number alone.
//!
//! A value is pseudo-random, so no engine gains by compressing it, and its key is its SHA-256, so keys come in
//! no order. Everything here happens outside of what is timed, but for [`fold`].

use std::ops::Range;
use std::thread;

use anyhow::{Result, anyhow};
use serde::{Deserialize, Serialize};
use statlas_core::{BlobId, Entity};
use statlas_lab::{Generator, SplitMix64};

/// The SHA-256 of a value.
pub(crate) type Key = [u8; 32];

/// What the rows are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// Pseudo-random bytes.
    Values { bytes: usize },
    /// Entities of the generator: the value is the canonical text, the key the address.
    Entities,
}

/// What a child needs to know to make the same rows as the others.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Source {
    pub(crate) seed: u64,
    pub(crate) kind: Kind,
}

/// A key, its value and, for entities, the entity.
pub(crate) struct Row {
    pub(crate) key: Key,
    pub(crate) value: Vec<u8>,
    pub(crate) entity: Option<Box<Entity>>,
}

/// Rows by number: `start`, `start + step`, and so on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stride {
    pub(crate) start: u64,
    pub(crate) step: u64,
    pub(crate) count: u64,
}

impl Stride {
    /// The first `count` rows.
    pub(crate) fn first(count: u64) -> Self {
        Self { start: 0, step: 1, count }
    }

    pub(crate) fn numbers(self) -> impl Iterator<Item = u64> {
        (0..self.count).map(move |n| self.start + n * self.step)
    }
}

/// Makes rows.
pub(crate) struct Data {
    source: Source,
    generator: Generator,
}

/// Tells keys that are never stored from values.
const ABSENT: u64 = 0xab5e_0000_0000_0000;

impl Data {
    pub(crate) fn new(source: Source) -> Self {
        Self { source, generator: Generator::new(source.seed, None) }
    }

    /// Row number `n`.
    pub(crate) fn row(&self, n: u64) -> Row {
        match self.source.kind {
            Kind::Values { bytes } => {
                let value = random_bytes(SplitMix64::nth(self.source.seed, n), bytes);
                Row { key: BlobId::of(&value).0, value, entity: None }
            }
            Kind::Entities => {
                let entity = self.generator.entity(n);
                let value = entity.canonical();
                Row { key: BlobId::of(&value).0, value, entity: Some(Box::new(entity)) }
            }
        }
    }

    /// Rows of a range, made by all processors.
    ///
    /// # Errors
    ///
    /// If a thread of the generator failed.
    pub(crate) fn rows(&self, range: Range<u64>) -> Result<Vec<Row>> {
        self.map(range, Data::row)
    }

    /// Something of each row of a range, made by all processors.
    ///
    /// # Errors
    ///
    /// If a thread of the generator failed.
    pub(crate) fn map<T: Send>(&self, range: Range<u64>, of: fn(&Self, u64) -> T) -> Result<Vec<T>> {
        let threads = thread::available_parallelism().map_or(1, |threads| threads.get() as u64);
        let count = range.end.saturating_sub(range.start);
        let part = count.div_ceil(threads).max(1);
        let mut all = Vec::with_capacity(usize::try_from(count)?);
        thread::scope(|scope| {
            let parts: Vec<_> = (0..threads)
                .map(|thread| {
                    let start = (range.start + thread * part).min(range.end);
                    let end = (start + part).min(range.end);
                    scope.spawn(move || (start..end).map(|n| of(self, n)).collect::<Vec<T>>())
                })
                .collect();
            for part in parts {
                all.extend(part.join().map_err(|_| anyhow!("a thread that makes rows failed"))?);
            }
            Ok(all)
        })
    }

    /// Key number `n` of those that no row has.
    pub(crate) fn absent(&self, n: u64) -> Key {
        let mut key = Key::default();
        let bytes = random_bytes(SplitMix64::nth(self.source.seed ^ ABSENT, n), key.len());
        key.copy_from_slice(&bytes);
        key
    }

    /// A source of random choices, the same for all engines.
    pub(crate) fn choices(&self, purpose: u64) -> SplitMix64 {
        SplitMix64::new(SplitMix64::nth(self.source.seed ^ 0xc401_ce00, purpose))
    }
}

fn random_bytes(seed: u64, bytes: usize) -> Vec<u8> {
    let mut random = SplitMix64::new(seed);
    let mut value = Vec::with_capacity(bytes.next_multiple_of(8));
    while value.len() < bytes {
        value.extend_from_slice(&random.next_u64().to_le_bytes());
    }
    value.truncate(bytes);
    value
}

/// A key to look up, and what its value must fold to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted {
    pub(crate) key: Key,
    pub(crate) fold: u64,
}

impl Wanted {
    /// What row number `n` is looked up by.
    pub(crate) fn of(data: &Data, n: u64) -> Self {
        let row = data.row(n);
        Self { key: row.key, fold: fold(&row.value) }
    }
}

/// All bytes of a value in 64 bits: cheap enough to stand inside what is timed, and every byte is read.
///
/// It is no hash: it is there so that an engine cannot hand out bytes that it never touched. The full comparison
/// happens outside of what is timed.
pub(crate) fn fold(value: &[u8]) -> u64 {
    let mut lanes = [value.len() as u64, 0, 0, 0];
    let mut blocks = value.chunks_exact(32);
    for block in &mut blocks {
        for (lane, word) in lanes.iter_mut().zip(block.chunks_exact(8)) {
            *lane ^= u64::from_le_bytes(word.try_into().unwrap_or_default());
        }
    }
    let rest = blocks.remainder().iter().fold(0_u64, |rest, byte| rest.rotate_left(8) ^ u64::from(*byte));
    lanes[0] ^ lanes[1].rotate_left(16) ^ lanes[2].rotate_left(32) ^ lanes[3].rotate_left(48) ^ rest
}

#[cfg(test)]
mod tests {
    use super::{Data, Kind, Source, fold};

    #[test]
    fn rows_depend_on_the_seed_and_the_number_alone() {
        let data = |seed| Data::new(Source { seed, kind: Kind::Values { bytes: 70 } });
        let rows = data(1).rows(3..9).expect("rows");
        assert_eq!(rows[2].value, data(1).row(5).value);
        assert_ne!(rows[2].value, data(2).row(5).value);
        assert_eq!(rows[2].value.len(), 70);
        assert_ne!(data(1).absent(5), rows[2].key);
    }

    #[test]
    fn a_flipped_bit_anywhere_changes_the_fold() {
        let value = super::random_bytes(7, 75);
        for bit in 0..value.len() * 8 {
            let mut flipped = value.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(fold(&flipped), fold(&value), "bit {bit}");
        }
    }
}
