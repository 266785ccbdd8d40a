//! What may change about rows that otherwise never change: two bits each.

use std::sync::atomic::{AtomicU64, Ordering};

/// Something that is true of a row or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bit {
    /// The entity was removed.
    Removed,
    /// A newer version of its id is there.
    Superseded,
}

/// The bits of the rows of a part. Who changes them keeps readers out by a lock where several bits must be
/// seen to change at once; each one alone may be read at any time.
#[derive(Debug, Default)]
pub(crate) struct Bits {
    rows: usize,
    /// A pair of words for each 64 rows.
    words: Vec<[AtomicU64; 2]>,
}

impl Bits {
    /// All bits of `rows` rows clear.
    pub(crate) fn with_rows(rows: usize) -> Self {
        let mut bits = Self::default();
        bits.words.resize_with(rows.div_ceil(64), Default::default);
        bits.rows = rows;
        bits
    }

    /// The bits whose words, in the order of [`Bits::words`], were kept somewhere.
    pub(crate) fn from_words(rows: usize, words: impl IntoIterator<Item = [u64; 2]>) -> Self {
        let bits = Self::with_rows(rows);
        for (kept, words) in bits.words.iter().zip(words) {
            kept.iter().zip(words).for_each(|(kept, word)| kept.store(word, Ordering::Relaxed));
        }
        bits
    }

    /// Adds a row with its bits clear.
    pub(crate) fn push(&mut self) {
        if self.rows.is_multiple_of(64) {
            self.words.push(Default::default());
        }
        self.rows += 1;
    }

    /// Sets or clears a bit, and returns what it was.
    pub(crate) fn set(&self, row: usize, bit: Bit, value: bool) -> bool {
        let (word, mask) = (&self.words[row / 64][bit as usize], 1 << (row % 64));
        let before = if value {
            word.fetch_or(mask, Ordering::Relaxed)
        } else {
            word.fetch_and(!mask, Ordering::Relaxed)
        };
        before & mask != 0
    }

    pub(crate) fn get(&self, row: usize, bit: Bit) -> bool {
        self.words[row / 64][bit as usize].load(Ordering::Relaxed) & 1 << (row % 64) != 0
    }

    /// The bits of 64 rows, those of the row `64 * at` lowest.
    pub(crate) fn word(&self, at: usize, bit: Bit) -> u64 {
        self.words.get(at).map_or(0, |words| words[bit as usize].load(Ordering::Relaxed))
    }

    /// All words, for keeping: for each 64 rows which are removed and which superseded.
    pub(crate) fn words(&self) -> impl Iterator<Item = [u64; 2]> + '_ {
        self.words.iter().map(|words| [0, 1].map(|at: usize| words[at].load(Ordering::Relaxed)))
    }

    /// Bytes allocated.
    pub(crate) fn bytes(&self) -> u64 {
        self.words.capacity() as u64 * 16
    }
}

#[cfg(test)]
mod tests {
    use super::{Bit, Bits};

    #[test]
    fn each_bit_is_its_own() {
        let mut bits = Bits::default();
        (0..200).for_each(|_| bits.push());
        assert!(!bits.set(130, Bit::Removed, true));
        assert!(bits.set(130, Bit::Removed, true));
        assert!(!bits.set(131, Bit::Superseded, true));
        let kept = Bits::from_words(200, bits.words());
        for row in 0..200 {
            assert_eq!(kept.get(row, Bit::Removed), row == 130);
            assert_eq!(kept.get(row, Bit::Superseded), row == 131);
        }
        assert_eq!(kept.word(2, Bit::Removed), 1 << 2);
        assert!(bits.set(130, Bit::Removed, false) && !bits.get(130, Bit::Removed));
    }
}
