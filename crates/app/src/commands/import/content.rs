//! What the bytes of a file say about it, counted in one pass.

/// How often each byte value occurs.
pub(super) struct Content {
    /// Four tables, because counting one value twice in a row in the same table stalls the processor.
    counts: Box<[[u64; 256]; 4]>,
    bytes: u64,
}

impl Content {
    pub(super) fn new() -> Self {
        Self { counts: Box::new([[0; 256]; 4]), bytes: 0 }
    }

    /// The counts of one text.
    pub(super) fn of(bytes: &[u8]) -> Self {
        let mut content = Self::new();
        content.add(bytes);
        content
    }

    /// Counts the next bytes.
    pub(super) fn add(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        let mut groups = bytes.chunks_exact(4);
        for group in &mut groups {
            for (table, byte) in self.counts.iter_mut().zip(group) {
                table[usize::from(*byte)] += 1;
            }
        }
        for byte in groups.remainder() {
            self.counts[0][usize::from(*byte)] += 1;
        }
    }

    /// How many bytes there are.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How many of the 256 values occur.
    pub(super) fn distinct(&self) -> u32 {
        (0..=255).map(|value| u32::from(self.count(value) > 0)).sum()
    }

    /// How many bytes are text: printable ASCII, tab, line feed, carriage return.
    pub(super) fn text_bytes(&self) -> u64 {
        (0x20..=0x7e).chain([b'\t', b'\n', b'\r']).map(|value| self.count(value)).sum()
    }

    fn count(&self, value: u8) -> u64 {
        self.counts.iter().map(|table| table[usize::from(value)]).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::Content;

    #[test]
    fn bytes_are_counted_whatever_the_pieces() {
        let bytes: Vec<u8> = (0..=255).chain(*b"hello\n").collect();
        let whole = Content::of(&bytes);
        let mut pieces = Content::new();
        bytes.chunks(3).for_each(|piece| pieces.add(piece));
        for content in [whole, pieces] {
            assert_eq!((content.bytes(), content.distinct(), content.text_bytes()), (262, 256, 95 + 3 + 6));
        }
        assert_eq!(Content::new().distinct(), 0);
    }
}
