//! Which rows of a block are wanted, as bits, and the loops that compare packed values.

use std::ops::Range;

use super::column::Values;
use super::{BLOCK_ROWS, Bit, Bits, Column, Extent};

/// Rows in a word of a selection.
const WORD_ROWS: usize = 64;

/// Which rows of a block meet the conditions so far.
pub(super) struct Selection {
    /// The bits of 64 rows each, the first row lowest; as many as reach the last row that was wanted.
    words: Vec<u64>,
}

impl Selection {
    /// No rows.
    pub(super) fn none() -> Self {
        Self { words: Vec::new() }
    }

    /// The rows of `wanted`, counted within the block, that are not removed nor, if only the `latest` are
    /// asked for, superseded.
    pub(super) fn of(bits: &Bits, block: usize, wanted: Range<usize>, latest: bool) -> Self {
        let mut words = vec![0; wanted.end.div_ceil(WORD_ROWS)];
        let first = wanted.start / WORD_ROWS;
        for (at, word) in words.iter_mut().enumerate().skip(first) {
            let number = block * (BLOCK_ROWS / WORD_ROWS) + at;
            *word = !bits.word(number, Bit::Removed);
            if latest {
                *word &= !bits.word(number, Bit::Superseded);
            }
        }
        if let Some(word) = words.get_mut(first) {
            *word &= u64::MAX << (wanted.start % WORD_ROWS);
        }
        if let (Some(word), 1..) = (words.last_mut(), wanted.end % WORD_ROWS) {
            *word &= (1 << (wanted.end % WORD_ROWS)) - 1;
        }
        Self { words }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    pub(super) fn count(&self) -> u64 {
        self.words.iter().map(|word| u64::from(word.count_ones())).sum()
    }

    /// The rows, counted within the block.
    pub(super) fn rows(&self) -> impl DoubleEndedIterator<Item = usize> + '_ {
        self.words.iter().enumerate().flat_map(|(at, word)| Ones(*word).map(move |bit| at * WORD_ROWS + bit))
    }

    /// Keeps the rows that meet a condition.
    pub(super) fn retain(&mut self, mut condition: impl FnMut(usize) -> bool) {
        for (at, word) in self.words.iter_mut().enumerate() {
            for bit in Ones(*word) {
                if !condition(at * WORD_ROWS + bit) {
                    *word &= !(1 << bit);
                }
            }
        }
    }

    /// Keeps the rows whose value lies in one of the runs, which are disjoint.
    pub(super) fn retain_in(&mut self, column: &Column<'_>, runs: &[Extent]) {
        match column.values {
            Values::None(_) => {
                if !runs.iter().any(|run| (run.min..=run.max).contains(&column.base)) {
                    self.words.fill(0);
                }
            }
            Values::U8(values) => self.retain_stored(values, &moved(column.base, runs)),
            Values::U16(values) => self.retain_stored(values, &moved(column.base, runs)),
            Values::U32(values) => self.retain_stored(values, &moved(column.base, runs)),
            Values::U64(values) => self.retain_stored(values, &moved(column.base, runs)),
            Values::Plain(values) => self.retain_stored(values, &moved(column.base, runs)),
        }
    }

    fn retain_stored<T: Stored>(&mut self, values: &[T], runs: &[Run<T>]) {
        let (chunks, rest) = values.as_chunks::<WORD_ROWS>();
        for (word, values) in self.words.iter_mut().zip(chunks) {
            if *word != 0 {
                *word &= met(values, runs);
            }
        }
        if let Some(word) = self.words.get_mut(chunks.len()) {
            *word &= met(rest, runs);
        }
    }
}

/// Stored values from `low` to `span` above it.
#[derive(Debug, Clone, Copy)]
struct Run<T> {
    low: T,
    span: T,
}

/// What a column stores of a value.
trait Stored: Copy {
    const LEAST: i128;
    const GREATEST: i128;

    /// A number from `LEAST` to `GREATEST`.
    fn of(number: i128) -> Self;

    /// Both ends of a run are compared at once: what lies below it wraps around to a large difference.
    fn is_in(self, run: &Run<Self>) -> bool;
}

macro_rules! stored {
    ($($stored:ty, $unsigned:ty;)+) => {$(
        impl Stored for $stored {
            const LEAST: i128 = <$stored>::MIN as i128;
            const GREATEST: i128 = <$stored>::MAX as i128;

            #[inline]
            fn of(number: i128) -> Self {
                number as Self
            }

            #[inline]
            fn is_in(self, run: &Run<Self>) -> bool {
                self.wrapping_sub(run.low) as $unsigned <= run.span as $unsigned
            }
        }
    )+};
}

stored! {
    u8, u8;
    u16, u16;
    u32, u32;
    u64, u64;
    i64, u64;
}

/// Runs of values as runs of what a column with this base stores of them. Those of which it can store none
/// are left out.
fn moved<T: Stored>(base: i64, runs: &[Extent]) -> Vec<Run<T>> {
    let moved = runs.iter().filter_map(|run| {
        let low = (i128::from(run.min) - i128::from(base)).max(T::LEAST);
        let high = (i128::from(run.max) - i128::from(base)).min(T::GREATEST);
        // The span of all signed numbers is one that only their unsigned kin can say; it wraps to the same bits.
        (low <= high).then(|| Run { low: T::of(low), span: T::of(high - low) })
    });
    moved.collect()
}

/// A bit for each of up to 64 values: whether it lies in one of the runs.
#[inline]
fn met<T: Stored>(values: &[T], runs: &[Run<T>]) -> u64 {
    // Bytes first: comparisons of several values at once leave one mark each, which a shift for each value
    // would undo.
    let mut marks = [0_u8; WORD_ROWS];
    for run in runs {
        for (mark, value) in marks.iter_mut().zip(values) {
            *mark |= u8::from(value.is_in(run));
        }
    }
    gather(&marks)
}

/// The lowest bits of 64 bytes that are 0 or 1, those of the first byte lowest.
#[inline]
fn gather(marks: &[u8; WORD_ROWS]) -> u64 {
    let (eights, _) = marks.as_chunks::<8>();
    let mut word = 0;
    for (at, eight) in eights.iter().enumerate() {
        // The factor brings the mark of byte n to bit 56 + n, and no two sums meet.
        let gathered = u64::from_le_bytes(*eight).wrapping_mul(0x0102_0408_1020_4080) >> 56;
        word |= gathered << (8 * at);
    }
    word
}

/// The positions of the bits of a word that are set, from either end.
struct Ones(u64);

impl Iterator for Ones {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let bit = self.0.trailing_zeros();
        self.0 = self.0.checked_sub(1)? & self.0;
        Some(bit as usize)
    }
}

impl DoubleEndedIterator for Ones {
    fn next_back(&mut self) -> Option<usize> {
        let bit = 63_u32.checked_sub(self.0.leading_zeros())?;
        self.0 &= !(1 << bit);
        Some(bit as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::{Selection, gather};
    use crate::columns::{Bit, Bits, Column, Extent, PackedColumn};
    use crate::testing::Random;

    const ROWS: usize = 300;

    fn bits_of(rows: usize) -> Bits {
        Bits::with_rows(rows)
    }

    #[test]
    fn marks_become_bits_in_their_order() {
        for bit in 0..64 {
            let mut marks = [0; 64];
            marks[bit] = 1;
            assert_eq!(gather(&marks), 1 << bit);
            let others = marks.map(|mark| 1 - mark);
            assert_eq!(gather(&others), !(1 << bit));
        }
    }

    #[test]
    fn only_wanted_rows_whose_bits_are_clear_are_selected() {
        let bits = bits_of(ROWS);
        [3, 64, 200].iter().for_each(|row| assert!(!bits.set(*row, Bit::Removed, true)));
        [4, 64, 299].iter().for_each(|row| assert!(!bits.set(*row, Bit::Superseded, true)));
        for wanted in [0..0, 0..ROWS, 1..2, 63..65, 64..128, 5..ROWS - 1, 200..200, 256..ROWS] {
            for latest in [false, true] {
                let selection = Selection::of(&bits, 0, wanted.clone(), latest);
                let is_clear = |row: &usize| {
                    !(bits.get(*row, Bit::Removed) || (latest && bits.get(*row, Bit::Superseded)))
                };
                let expected: Vec<usize> = wanted.clone().filter(is_clear).collect();
                assert_eq!(selection.rows().collect::<Vec<_>>(), expected, "{wanted:?}");
                assert!(selection.rows().rev().eq(expected.iter().rev().copied()), "{wanted:?}");
                assert_eq!(selection.count(), expected.len() as u64);
                assert_eq!(selection.is_empty(), expected.is_empty());
            }
        }
    }

    /// Values that a column of some width can pack, among them both ends.
    fn values(random: &mut Random, extent: Extent) -> Vec<i64> {
        let span = extent.max.wrapping_sub(extent.min).cast_unsigned();
        let value = |_| match random.below(8) {
            0 => extent.min,
            1 => extent.max,
            _ => extent.min.wrapping_add_unsigned(random.bits() % span.saturating_add(1).max(1)),
        };
        (0..ROWS).map(value).collect()
    }

    /// Up to four runs in order; ends are often those of the values or of all numbers.
    fn runs(random: &mut Random, values: &[i64]) -> Vec<Extent> {
        let mut ends: Vec<i64> = (0..2 * random.below(5))
            .map(|_| match random.below(6) {
                0 => i64::MIN,
                1 => i64::MAX,
                2 => random.bits().cast_signed(),
                _ => random.pick(values).saturating_add(random.below(3) as i64 - 1),
            })
            .collect();
        ends.sort_unstable();
        ends.chunks(2).map(|ends| Extent { min: ends[0], max: ends[1] }).collect()
    }

    #[test]
    fn values_of_every_width_are_compared_like_numbers() {
        let mut random = Random::new(2);
        let extents = [
            (7, 7),
            (-3, 252),
            (0, 1),
            (1000, 66_535),
            (-1, 1 << 31),
            (i64::MIN, i64::MIN + 200),
            (i64::MAX - 0xffff, i64::MAX),
            (-5, 1 << 40),
            (i64::MIN, i64::MAX),
        ];
        for (min, max) in extents {
            for _ in 0..200 {
                let values = values(&mut random, Extent { min, max });
                let packed = PackedColumn::pack(&values);
                let runs = runs(&mut random, &values);
                let is_in = |value: &i64| runs.iter().any(|run| (run.min..=run.max).contains(value));
                let expected: Vec<usize> = (0..ROWS).filter(|row| is_in(&values[*row])).collect();
                for column in [packed.view(), Column::plain(&values)] {
                    let mut selection = Selection::of(&bits_of(ROWS), 0, 0..ROWS, false);
                    selection.retain_in(&column, &runs);
                    assert_eq!(selection.rows().collect::<Vec<_>>(), expected, "{runs:?} of {min} to {max}");
                }
            }
        }
    }
}
