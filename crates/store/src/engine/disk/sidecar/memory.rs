//! Where the bytes of a sidecar are.

use zerocopy::IntoBytes;

use crate::engine::disk::storage::Mapping;

/// The whole file, in memory that begins where integers may be.
pub(crate) enum SidecarMemory {
    /// The file is mapped.
    Mapped(Box<dyn Mapping>),
    /// The file was read.
    Heap(AlignedBytes),
}

impl SidecarMemory {
    #[inline]
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Mapped(mapping) => mapping.bytes(),
            Self::Heap(bytes) => bytes.bytes(),
        }
    }

    /// Announces that a part is read next, all of it.
    pub(super) fn will_need(&self, range: std::ops::Range<usize>) {
        if let Self::Mapped(mapping) = self
            && mapping.bytes().get(range.clone()).is_some()
        {
            mapping.will_need(range.start, range.len());
        }
    }

    /// Bytes allocated.
    pub(super) fn heap_bytes(&self) -> u64 {
        match self {
            Self::Mapped(_) => 0,
            Self::Heap(bytes) => size_of_val(&*bytes.words) as u64,
        }
    }
}

/// Bytes that begin where integers of 64 bits may be.
pub(crate) struct AlignedBytes {
    words: Box<[u64]>,
    len: usize,
}

impl AlignedBytes {
    /// So many zeros, to be overwritten.
    pub(crate) fn zeros(len: usize) -> Self {
        Self { words: vec![0; len.div_ceil(8)].into_boxed_slice(), len }
    }

    fn bytes(&self) -> &[u8] {
        &self.words.as_bytes()[..self.len]
    }

    /// The bytes to write to, for reading a file into them.
    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.words.as_mut_bytes()[..self.len]
    }
}

impl From<&[u8]> for AlignedBytes {
    fn from(source: &[u8]) -> Self {
        let mut bytes = Self::zeros(source.len());
        bytes.bytes_mut().copy_from_slice(source);
        bytes
    }
}
