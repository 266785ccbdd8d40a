//! Values of one column of a block, packed: the smallest one, and what each is above it.

use zerocopy::{FromBytes, IntoBytes};

/// The smallest and the largest value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) min: i64,
    pub(crate) max: i64,
}

impl Extent {
    /// Of some values; of none, 0 and 0.
    pub(crate) fn of(values: &[i64]) -> Self {
        let Some(first) = values.first().copied() else { return Self { min: 0, max: 0 } };
        // In one pass, which compilers turn into a loop over several values at once.
        let wider = |of: Self, value: &i64| Self { min: of.min.min(*value), max: of.max.max(*value) };
        values.iter().fold(Self { min: first, max: first }, wider)
    }

    /// Bytes that a packed value takes: 0, 1, 2, 4 or 8.
    pub(crate) fn width(self) -> usize {
        match self.max.wrapping_sub(self.min).cast_unsigned() {
            0 => 0,
            1..=0xff => 1,
            0x100..=0xffff => 2,
            0x1_0000..=0xffff_ffff => 4,
            _ => 8,
        }
    }
}

/// A column to read: value `n` is the base and what is stored for `n`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Column<'a> {
    pub(crate) base: i64,
    pub(crate) values: Values<'a>,
}

/// What is stored of each value, without a sign, but for those that are not packed.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Values<'a> {
    /// Nothing: all of them are the base.
    None(usize),
    U8(&'a [u8]),
    U16(&'a [u16]),
    U32(&'a [u32]),
    U64(&'a [u64]),
    /// The values themselves; the base is 0.
    Plain(&'a [i64]),
}

impl<'a> Column<'a> {
    /// Values that are not packed.
    pub(crate) fn plain(values: &'a [i64]) -> Self {
        Self { base: 0, values: Values::Plain(values) }
    }

    /// The packed values of `rows` rows; `None` if the bytes are too few or not where integers may be.
    pub(crate) fn packed(extent: Extent, rows: usize, bytes: &'a [u8]) -> Option<Self> {
        let bytes = bytes.get(..rows.checked_mul(extent.width())?)?;
        let values = match extent.width() {
            0 => Values::None(rows),
            1 => Values::U8(bytes),
            2 => Values::U16(<[u16]>::ref_from_bytes(bytes).ok()?),
            4 => Values::U32(<[u32]>::ref_from_bytes(bytes).ok()?),
            _ => Values::U64(<[u64]>::ref_from_bytes(bytes).ok()?),
        };
        Some(Self { base: extent.min, values })
    }

    pub(crate) fn len(&self) -> usize {
        match self.values {
            Values::None(rows) => rows,
            Values::U8(values) => values.len(),
            Values::U16(values) => values.len(),
            Values::U32(values) => values.len(),
            Values::U64(values) => values.len(),
            Values::Plain(values) => values.len(),
        }
    }

    /// Value number `at`.
    #[inline]
    pub(crate) fn get(&self, at: usize) -> i64 {
        let above = match self.values {
            Values::None(_) => 0,
            Values::U8(values) => values[at].into(),
            Values::U16(values) => values[at].into(),
            Values::U32(values) => values[at].into(),
            Values::U64(values) => values[at],
            Values::Plain(values) => values[at].cast_unsigned(),
        };
        self.base.wrapping_add_unsigned(above)
    }
}

/// A column that no longer changes, in memory.
#[derive(Debug)]
pub(crate) struct PackedColumn {
    extent: Extent,
    rows: usize,
    /// The packed values, in words so that they lie where integers may be.
    words: Box<[u64]>,
}

impl PackedColumn {
    pub(crate) fn pack(values: &[i64]) -> Self {
        let extent = Extent::of(values);
        let width = extent.width();
        let mut words = vec![0_u64; (values.len() * width).div_ceil(8)].into_boxed_slice();
        let bytes = words.as_mut_bytes();
        match width {
            0 => {}
            1 => fill::<1>(bytes, values, extent.min),
            2 => fill::<2>(bytes, values, extent.min),
            4 => fill::<4>(bytes, values, extent.min),
            _ => fill::<8>(bytes, values, extent.min),
        }
        Self { extent, rows: values.len(), words }
    }

    pub(crate) fn extent(&self) -> Extent {
        self.extent
    }

    pub(crate) fn view(&self) -> Column<'_> {
        // The words were made for exactly this.
        Column::packed(self.extent, self.rows, self.words.as_bytes())
            .unwrap_or(Column { base: self.extent.min, values: Values::None(self.rows) })
    }

    /// The packed values, little-endian, for keeping; [`Column::packed`] reads them.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.words.as_bytes()[..self.rows * self.extent.width()]
    }

    /// Bytes allocated.
    pub(crate) fn allocated(&self) -> u64 {
        size_of_val(&*self.words) as u64
    }
}

/// Writes what each value is above `min`, in `WIDTH` bytes each.
fn fill<const WIDTH: usize>(bytes: &mut [u8], values: &[i64], min: i64) {
    let (slots, _) = bytes.as_chunks_mut::<WIDTH>();
    for (slot, value) in slots.iter_mut().zip(values) {
        slot.copy_from_slice(&value.wrapping_sub(min).to_le_bytes()[..WIDTH]);
    }
}

#[cfg(test)]
mod tests {
    use super::{Column, PackedColumn};

    #[test]
    fn values_of_every_width_come_back() {
        let cases: [&[i64]; 7] = [
            &[],
            &[-7; 5],
            &[-3, 0, 252],
            &[1000, 1256, 66_535],
            &[-2_147_483_648, 0, 2_147_483_647],
            &[i64::MIN, i64::MAX, 0],
            &[0, 1 << 33],
        ];
        for values in cases {
            let packed = PackedColumn::pack(values);
            let kept = Column::packed(packed.extent(), values.len(), packed.bytes());
            for column in [packed.view(), Column::plain(values)].into_iter().chain(kept) {
                assert_eq!(column.len(), values.len());
                let found: Vec<i64> = (0..values.len()).map(|at| column.get(at)).collect();
                assert_eq!(found, values);
            }
        }
    }
}
