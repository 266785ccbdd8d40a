//! Identifiers as small numbers.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use statlas_core::Identifier;

/// The names that stand in the columns of a part, each with a code: its place in the list.
#[derive(Debug, Clone, Default)]
pub(crate) struct Names {
    codes: HashMap<Identifier, u32, BuildHasherDefault<NameHasher>>,
    identifiers: Vec<Identifier>,
}

impl Names {
    /// The code of a name, which is added if it is new.
    pub(crate) fn add(&mut self, name: Identifier) -> u32 {
        *self.codes.entry(name).or_insert_with(|| {
            self.identifiers.push(name);
            // Fewer names than rows, and those fit.
            self.identifiers.len() as u32 - 1
        })
    }

    /// The code of a name, if any row of the part has it.
    pub(crate) fn code(&self, name: &Identifier) -> Option<u32> {
        self.codes.get(name).copied()
    }

    /// Bytes allocated, about: a table has a byte of its own for each entry.
    pub(crate) fn bytes(&self) -> u64 {
        let entries = self.codes.capacity() * (size_of::<(Identifier, u32)>() + 1);
        (entries + self.identifiers.capacity() * size_of::<Identifier>()) as u64
    }

    /// All names, by code.
    pub(crate) fn identifiers(&self) -> &[Identifier] {
        &self.identifiers
    }
}

impl FromIterator<Identifier> for Names {
    fn from_iter<I: IntoIterator<Item = Identifier>>(identifiers: I) -> Self {
        let mut names = Self::default();
        identifiers.into_iter().for_each(|name| {
            names.add(name);
        });
        names
    }
}

/// A hash of a few multiplications: four names are looked up for every row.
#[derive(Default)]
struct NameHasher(u64);

impl Hasher for NameHasher {
    fn finish(&self) -> u64 {
        // The high bits of a product are the good ones, and tables look at both ends.
        self.0 ^ self.0 >> 32
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    fn write_u8(&mut self, value: u8) {
        self.write_u64(value.into());
    }

    fn write_usize(&mut self, _length: usize) {}

    fn write_u64(&mut self, value: u64) {
        // An odd constant without a pattern: the golden ratio in 64 bits.
        self.0 = (self.0.rotate_left(23) ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}
