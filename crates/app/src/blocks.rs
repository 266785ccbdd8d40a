//! Cuts an input into blocks of whole lines, in bounded memory whatever the input is like.
//!
//! An input is JSON lines, or as a whole one JSON text over several lines. A byte order mark at its start
//! is left out; a line that is longer than any entity is reported instead of being kept.

use std::io::Read;

use anyhow::{Context, Result};
use memchr::{memchr, memchr_iter, memrchr};
use statlas_core::EntityError;
use statlas_core::limits::ENTITY_TEXT_BYTES_MAX;

use crate::allowance::Allowance;
use crate::input::Input;

/// Lines are cut into blocks of about this size if there is memory: some ten thousand entities, one batch of a load.
const BLOCK_BYTES: usize = 4 << 20;
/// For each byte of its text, a block on its way through a command holds about so many: the text, the entities and
/// what they are written as.
const HELD_BYTES_PER_BYTE: u64 = 4;
/// How much of a line that is too long is kept for messages.
const TOO_LONG_SHOWN_BYTES: usize = 256;
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A piece of the input.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Block {
    /// Whole lines; the first of them has this number.
    Lines { line: u64, bytes: Vec<u8> },
    /// The whole input as one text that begins at this line.
    Document { line: u64, bytes: Vec<u8> },
    /// A line that is longer than any entity: how it begins, and how long it is.
    TooLong { line: u64, start: Vec<u8>, bytes: u64 },
}

impl Block {
    /// How many bytes of the input it stands for.
    pub(crate) fn bytes(&self) -> u64 {
        match self {
            Self::Lines { bytes, .. } | Self::Document { bytes, .. } => bytes.len() as u64,
            Self::TooLong { bytes, .. } => *bytes,
        }
    }

    /// How many bytes are held for it and for what is made of it.
    pub(crate) fn bytes_held(&self) -> u64 {
        match self {
            Self::Lines { bytes, .. } | Self::Document { bytes, .. } => {
                bytes.len() as u64 * HELD_BYTES_PER_BYTE
            }
            Self::TooLong { .. } => 0,
        }
    }

    /// The line of an error in the text that begins at `line`.
    pub(crate) fn line_of(&self, line: u64, error: &EntityError) -> u64 {
        match (self, error.offset()) {
            (Self::Document { bytes, .. }, Some(offset)) => {
                let before = &bytes[..offset.min(bytes.len())];
                line + memchr_iter(b'\n', before).count() as u64
            }
            _ => line,
        }
    }

    /// Its texts with their line numbers; blank lines are left out.
    pub(crate) fn texts(&self) -> Texts<'_> {
        let (line, rest, split) = match self {
            Self::Lines { line, bytes } => (*line, &bytes[..], true),
            Self::Document { line, bytes } => (*line, &bytes[..], false),
            Self::TooLong { line, .. } => (*line, &[][..], false),
        };
        Texts { line, rest, split }
    }
}

/// The texts of a block.
pub(crate) struct Texts<'a> {
    line: u64,
    rest: &'a [u8],
    split: bool,
}

impl<'a> Iterator for Texts<'a> {
    type Item = (u64, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        while !self.rest.is_empty() {
            let cut = if self.split { memchr(b'\n', self.rest) } else { None };
            let (text, rest) = match cut {
                Some(cut) => (&self.rest[..cut], &self.rest[cut + 1..]),
                None => (self.rest, &[][..]),
            };
            let line = self.line;
            self.rest = rest;
            self.line += 1;
            if !is_blank(text) {
                return Some((line, text));
            }
        }
        None
    }
}

/// The blocks of an input, in order.
pub(crate) struct Blocks {
    input: Input,
    block_bytes: usize,
    /// What has been read and not handed out: the start of a line.
    carried: Vec<u8>,
    line: u64,
    bytes_read: u64,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Start,
    Middle,
    End,
}

impl Blocks {
    pub(crate) fn new(input: Input) -> Self {
        Self::with_block_bytes(input, BLOCK_BYTES)
    }

    /// Blocks of such a size that `items` of them may be under way.
    pub(crate) fn within(input: Input, allowance: Allowance, items: usize) -> Self {
        let per_byte = HELD_BYTES_PER_BYTE as usize;
        Self::with_block_bytes(input, allowance.item_bytes(items, BLOCK_BYTES * per_byte) / per_byte)
    }

    fn with_block_bytes(input: Input, block_bytes: usize) -> Self {
        Self { input, block_bytes, carried: Vec::new(), line: 1, bytes_read: 0, state: State::Start }
    }

    /// The next block; `None` at the end.
    ///
    /// # Errors
    ///
    /// An error of the operating system, or a regular file that became shorter while it was read.
    pub(crate) fn next_block(&mut self) -> Result<Option<Block>> {
        if self.state == State::End {
            return Ok(None);
        }
        let mut bytes = std::mem::take(&mut self.carried);
        let mut wanted = self.block_bytes;
        loop {
            let ended = self.fill(&mut bytes, wanted)?;
            if self.state == State::Start {
                if bytes.starts_with(BYTE_ORDER_MARK) {
                    bytes.drain(..BYTE_ORDER_MARK.len());
                }
                self.state = State::Middle;
                if is_one_document(&bytes) {
                    return self.document(bytes).map(Some);
                }
            }
            if ended {
                self.state = State::End;
                return Ok((!bytes.is_empty()).then_some(Block::Lines { line: self.line, bytes }));
            }
            if let Some(last) = memrchr(b'\n', &bytes) {
                self.carried = bytes.split_off(last + 1);
                let line = self.line;
                self.line += memchr_iter(b'\n', &bytes).count() as u64;
                return Ok(Some(Block::Lines { line, bytes }));
            }
            if bytes.len() > ENTITY_TEXT_BYTES_MAX {
                return self.too_long(bytes).map(Some);
            }
            wanted = bytes.len() + self.block_bytes;
        }
    }

    /// Reads until `bytes` has `wanted` bytes; true at the end of the input.
    fn fill(&mut self, bytes: &mut Vec<u8>, wanted: usize) -> Result<bool> {
        let missing = wanted.saturating_sub(bytes.len());
        bytes.reserve(missing);
        let read = (&mut self.input.reader).take(missing as u64).read_to_end(bytes);
        let read = read.with_context(|| format!("cannot read {}", self.input.name))?;
        self.bytes_read += read as u64;
        let ended = read < missing;
        if ended && let Some(expected) = self.input.bytes.filter(|expected| self.bytes_read < *expected) {
            let Self { input, bytes_read, .. } = self;
            anyhow::bail!(
                "{} changed while it was read: {expected} bytes when it was opened, {bytes_read} now",
                input.name
            );
        }
        Ok(ended)
    }

    /// The rest of the input as one text; of one that is too long, only a little more than the limit, so
    /// that its length is what is wrong with it.
    fn document(&mut self, mut bytes: Vec<u8>) -> Result<Block> {
        self.state = State::End;
        self.fill(&mut bytes, ENTITY_TEXT_BYTES_MAX + 1)?;
        let blank = bytes.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        let line = self.line + memchr_iter(b'\n', &bytes[..blank]).count() as u64;
        Ok(Block::Document { line, bytes: bytes.split_off(blank) })
    }

    /// Leaves out the rest of a line.
    fn too_long(&mut self, mut start: Vec<u8>) -> Result<Block> {
        let mut bytes = start.len() as u64;
        start.truncate(TOO_LONG_SHOWN_BYTES);
        let mut piece = Vec::new();
        loop {
            piece.clear();
            let ended = self.fill(&mut piece, self.block_bytes)?;
            let line = self.line;
            if let Some(cut) = memchr(b'\n', &piece) {
                bytes += cut as u64 + 1;
                self.line += 1;
                self.carried = piece.split_off(cut + 1);
                return Ok(Block::TooLong { line, start, bytes });
            }
            bytes += piece.len() as u64;
            if ended {
                self.state = State::End;
                return Ok(Block::TooLong { line, start, bytes });
            }
        }
    }
}

fn is_blank(text: &[u8]) -> bool {
    // Nearly every line begins with a brace, so this looks at one byte.
    text.iter().all(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n'))
}

/// Whether the first line opens an object and does not close it, and the next goes on inside: it does not
/// open another one. A line that was cut off is followed by lines of their own.
fn is_one_document(start: &[u8]) -> bool {
    let mut lines = start.split(|byte| *byte == b'\n').filter(|line| !is_blank(line));
    let (Some(first), Some(second)) = (lines.next(), lines.next()) else { return false };
    let opens = |line: &[u8]| line.trim_ascii_start().starts_with(b"{");
    opens(first) && !opens(second) && is_open(first)
}

/// Whether more objects and lists are opened than closed.
fn is_open(line: &[u8]) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0_i64, false, false);
    for byte in line {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => depth += 1,
            b'}' | b']' if !in_string => depth -= 1,
            _ => {}
        }
    }
    depth > 0
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use statlas_core::limits::ENTITY_TEXT_BYTES_MAX;

    use super::{Block, Blocks};
    use crate::input::Input;

    fn input(text: &[u8], bytes: Option<u64>) -> Input {
        Input { name: "t".into(), reader: Box::new(Cursor::new(text.to_vec())), bytes }
    }

    fn texts(text: &[u8], block_bytes: usize) -> Vec<(u64, Vec<u8>)> {
        let mut blocks = Blocks::with_block_bytes(input(text, None), block_bytes);
        let mut all = Vec::new();
        while let Some(block) = blocks.next_block().expect("a block") {
            all.extend(block.texts().map(|(line, text)| (line, text.to_vec())));
        }
        all
    }

    #[test]
    fn lines_keep_their_numbers_whatever_the_size_of_blocks() {
        let text = b"\xef\xbb\xbf{1}\n\n  \r\n{22}\r\n{333}";
        let expected: Vec<(u64, Vec<u8>)> =
            vec![(1, b"{1}".to_vec()), (4, b"{22}\r".to_vec()), (5, b"{333}".to_vec())];
        for block_bytes in [7, 8, 9, 16, 100] {
            assert_eq!(texts(text, block_bytes), expected, "{block_bytes}");
        }
        assert!(texts(b"", 10).is_empty() && texts(b"\n\n", 10).is_empty());
    }

    #[test]
    fn one_object_over_several_lines_is_one_text() {
        let text = b"\n{\n \"a\": \"}\",\n \"b\": 1\n}\n";
        assert_eq!(texts(text, 100), [(2, text[1..].to_vec())]);
    }

    #[test]
    fn a_line_that_was_cut_off_does_not_swallow_the_next() {
        assert_eq!(texts(b"{\"a\": \n{\"b\":1}\n", 100).len(), 2);
        assert_eq!(texts(b"{\"a\": ", 100).len(), 1);
    }

    #[test]
    fn a_line_that_is_too_long_is_named_and_the_next_one_is_read() {
        let mut text = b"{1}\n".to_vec();
        text.resize(ENTITY_TEXT_BYTES_MAX + (3 << 20), b'x');
        text.extend_from_slice(b"\n{3}\n");
        let mut blocks = Blocks::with_block_bytes(input(&text, None), 1 << 20);
        assert_eq!(
            blocks.next_block().expect("a block"),
            Some(Block::Lines { line: 1, bytes: b"{1}\n".to_vec() })
        );
        let Some(Block::TooLong { line: 2, start, bytes }) = blocks.next_block().expect("a block") else {
            panic!("the second line is too long")
        };
        assert_eq!((start.len(), bytes), (256, ENTITY_TEXT_BYTES_MAX as u64 + (3 << 20) - 3));
        assert_eq!(
            blocks.next_block().expect("a block"),
            Some(Block::Lines { line: 3, bytes: b"{3}\n".to_vec() })
        );
        assert_eq!(blocks.next_block().expect("the end"), None);
    }

    #[test]
    fn a_file_that_became_shorter_is_an_error() {
        let mut blocks = Blocks::new(input(b"{1}\n", Some(10)));
        assert!(blocks.next_block().is_err());
    }
}
