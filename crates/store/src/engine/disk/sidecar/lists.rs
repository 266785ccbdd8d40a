//! The small lists of a sidecar, entry by entry.

use statlas_core::Identifier;

use super::contents::{Effect, EffectKind, Mark, Mended, Removal, RemovalKind};
use super::fields::Fields;
use crate::columns::{Bits, Names};

/// Where the kind of an effect begins in the number of its segment, which has 24 bits.
const KIND_SHIFT: u32 = 24;

/// An entry of a list.
pub(super) trait Entry: Sized {
    /// Appends the entry.
    fn write(&self, out: &mut Vec<u8>);

    /// Takes an entry; `None` if there is none such.
    fn read(fields: &mut Fields<'_>) -> Option<Self>;
}

/// All entries of a list; `None` if the bytes are not exactly so many.
pub(super) fn read_all<T: Entry>(bytes: &[u8], entries: u64) -> Option<Vec<T>> {
    let mut fields = Fields(bytes);
    let mut list = Vec::new();
    for _ in 0..entries {
        list.push(T::read(&mut fields)?);
    }
    fields.0.is_empty().then_some(list)
}

impl Entry for Effect {
    fn write(&self, out: &mut Vec<u8>) {
        debug_assert!(self.segment < 1 << KIND_SHIFT);
        out.extend_from_slice(&self.revision.to_le_bytes());
        out.extend_from_slice(&(self.segment | (self.kind as u32) << KIND_SHIFT).to_le_bytes());
        out.extend_from_slice(&self.target.to_le_bytes());
    }

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let (revision, segment, target) = (fields.u64()?, fields.u32()?, fields.u32()?);
        let kind = EffectKind::ALL.into_iter().find(|kind| *kind as u32 == segment >> KIND_SHIFT)?;
        Some(Self { revision, segment: segment & ((1 << KIND_SHIFT) - 1), target, kind })
    }
}

impl Entry for Removal {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.key);
        out.extend_from_slice(&self.revision.to_le_bytes());
        out.extend_from_slice(&(self.kind as u64).to_le_bytes());
    }

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let (key, revision, kind) = (fields.array()?, fields.u64()?, fields.u64()?);
        let kind = RemovalKind::ALL.into_iter().find(|known| *known as u64 == kind)?;
        Some(Self { kind, key, revision })
    }
}

impl Entry for Mended {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.revision.to_le_bytes());
        out.extend_from_slice(&self.row.to_le_bytes());
        out.extend_from_slice(&self.ordinal.to_le_bytes());
    }

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        Some(Self { revision: fields.u64()?, row: fields.u32()?, ordinal: fields.u32()? })
    }
}

impl Entry for Mark {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.revision.to_le_bytes());
        out.extend_from_slice(&self.offset.to_le_bytes());
    }

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        Some(Self { revision: fields.u64()?, offset: fields.u64()? })
    }
}

impl Entry for Identifier {
    fn write(&self, out: &mut Vec<u8>) {
        // An identifier has at most 32 bytes.
        out.push(self.as_bytes().len() as u8);
        out.extend_from_slice(self.as_bytes());
    }

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let bytes = fields.u8()?;
        Self::new(fields.text(bytes.into())?)
    }
}

/// The names of a list; `None` if it is none, or one name stands in it twice, which would move the codes.
pub(super) fn read_names(bytes: &[u8], names: u64) -> Option<Names> {
    let identifiers = read_all::<Identifier>(bytes, names)?;
    let expected = identifiers.len();
    let names = Names::from_iter(identifiers);
    (names.identifiers().len() == expected).then_some(names)
}

/// For each 64 rows a word of those that are removed and one of those that are superseded.
pub(super) fn write_bits(bits: &Bits, out: &mut Vec<u8>) {
    bits.words().flatten().for_each(|word| out.extend_from_slice(&word.to_le_bytes()));
}

/// The bits of rows; `None` if the bytes are not those of so many rows.
pub(super) fn read_bits(bytes: &[u8], rows: usize) -> Option<Bits> {
    let mut fields = Fields(bytes);
    let mut words = Vec::with_capacity(bytes.len() / 16);
    for first in (0..rows).step_by(64) {
        let pair = [fields.u64()?, fields.u64()?];
        let behind = u64::MAX.checked_shl((rows - first).min(64) as u32).unwrap_or(0);
        // Bits of rows that are not there would be counted as if they were.
        if pair.iter().any(|word| word & behind != 0) {
            return None;
        }
        words.push(pair);
    }
    fields.0.is_empty().then(|| Bits::from_words(rows, words))
}
