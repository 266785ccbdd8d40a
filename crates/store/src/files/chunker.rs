//! Cuts a stream where its content says so, by FastCDC as published in 2020.

use std::io::{self, ErrorKind, Read};

use fastcdc::v2020::FastCDC;

use crate::limits::{CHUNK_BYTES_AVERAGE, CHUNK_BYTES_MAX, CHUNK_BYTES_MIN};

/// A few of the largest chunks fit, so that what is left of one window is seldom moved.
const WINDOW_BYTES: usize = 4 << 20;

/// Yields the chunks of a stream one after the other. The cuts depend on nothing but its bytes.
pub(super) struct Chunker<'r> {
    reader: &'r mut dyn Read,
    window: Vec<u8>,
    /// The bytes of the window that are yet to be cut.
    start: usize,
    end: usize,
    ended: bool,
}

impl<'r> Chunker<'r> {
    /// Cuts `start` and all that `reader` yields after it. `start` fits the window.
    pub(super) fn new(start: Vec<u8>, reader: &'r mut dyn Read) -> Self {
        let (end, mut window) = (start.len(), start);
        window.resize(WINDOW_BYTES, 0);
        Self { reader, window, start: 0, end, ended: false }
    }

    /// The next chunk, or `None` behind the last one.
    pub(super) fn next(&mut self) -> io::Result<Option<&[u8]>> {
        // Where the next cut lies depends on as many bytes as the largest chunk may have.
        if self.end - self.start < CHUNK_BYTES_MAX as usize && !self.ended {
            self.fill()?;
        }
        let rest = &self.window[self.start..self.end];
        if rest.is_empty() {
            return Ok(None);
        }
        let sizes = [CHUNK_BYTES_MIN, CHUNK_BYTES_AVERAGE, CHUNK_BYTES_MAX].map(|bytes| bytes as usize);
        let (_, bytes) = FastCDC::new(rest, sizes[0], sizes[1], sizes[2]).cut(0, rest.len());
        self.start += bytes;
        Ok(Some(&rest[..bytes]))
    }

    /// Fills the window behind the bytes that are yet to be cut.
    fn fill(&mut self) -> io::Result<()> {
        self.window.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        while self.end < self.window.len() {
            match self.reader.read(&mut self.window[self.end..]) {
                Ok(0) => {
                    self.ended = true;
                    break;
                }
                Ok(bytes) => self.end += bytes,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Read};

    use super::{CHUNK_BYTES_MAX, CHUNK_BYTES_MIN, Chunker, WINDOW_BYTES};

    /// Yields at most `step` bytes a call, and is interrupted before each of them.
    struct Trickle<'a> {
        bytes: &'a [u8],
        step: usize,
        interrupted: bool,
    }

    impl Read for Trickle<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.interrupted = !self.interrupted;
            if self.interrupted {
                return Err(io::ErrorKind::Interrupted.into());
            }
            let step = self.step.min(buffer.len());
            self.bytes.read(&mut buffer[..step])
        }
    }

    fn content(bytes: usize) -> Vec<u8> {
        let mut state = 1_u64;
        let next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[3]
        };
        std::iter::repeat_with(next).take(bytes).collect()
    }

    fn chunks(start: &[u8], reader: &mut dyn Read) -> Vec<Vec<u8>> {
        let mut chunker = Chunker::new(start.to_vec(), reader);
        let mut chunks = Vec::new();
        while let Some(chunk) = chunker.next().expect("nothing fails") {
            chunks.push(chunk.to_vec());
        }
        chunks
    }

    #[test]
    fn chunks_add_up_keep_their_bounds_and_depend_on_nothing_but_the_bytes() {
        let bytes = content(3 * WINDOW_BYTES + 12_345);
        let expected = chunks(&[], &mut &bytes[..]);
        assert_eq!(expected.concat(), bytes);
        let (last, others) = expected.split_last().expect("several chunks");
        let bounds = CHUNK_BYTES_MIN as usize..=CHUNK_BYTES_MAX as usize;
        assert!(others.iter().all(|chunk| bounds.contains(&chunk.len())) && last.len() <= *bounds.end());
        for (start, step) in [(1, 4096), (1 << 20, 999_983), (WINDOW_BYTES, usize::MAX), (70_000, 65_537)] {
            let mut rest = Trickle { bytes: &bytes[start..], step, interrupted: false };
            assert!(chunks(&bytes[..start], &mut rest) == expected, "start {start}, step {step}");
        }
    }

    #[test]
    fn an_empty_stream_has_no_chunk() {
        assert!(chunks(&[], &mut io::empty()).is_empty());
    }
}
