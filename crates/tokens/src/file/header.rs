//! The header of a file of tokens.

use statlas_core::Token;
use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Tokens of a block that has a checksum: 4 MiB.
pub(super) const BLOCK_TOKENS: u64 = 1 << 16;
/// Where the two slots begin, in pages of their own.
pub(super) const SLOTS: [u64; 2] = [0, 4096];
/// Where the checksums of whole blocks begin, 4 bytes each.
pub(super) const TABLE_AT: u64 = 8192;
/// Where the tokens begin.
pub(super) const DATA_AT: u64 = 1 << 16;
/// The most tokens that a file holds: so many blocks have a place for their checksum.
pub const TOKENS_MAX: u64 = (DATA_AT - TABLE_AT) / 4 * BLOCK_TOKENS;

const MAGIC: [u8; 8] = *b"STATTOKN";
const VERSION: u32 = 1;

/// One of the slots.
#[derive(Debug, Clone, Copy, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(super) struct Header {
    magic: [u8; 8],
    version: U32,
    /// The checksum of the tokens behind the last whole block.
    tail_crc: U32,
    /// How often the file was appended to; the greater one counts.
    sequence: U64,
    tokens: U64,
    zeros: [u8; 28],
    crc: U32,
}

const _: () = assert!(size_of::<Header>() == Token::BYTES);

impl Header {
    pub(super) const BYTES: usize = size_of::<Self>();

    pub(super) fn new(sequence: u64, tokens: u64, tail_crc: u32) -> Self {
        let mut header = Self {
            magic: MAGIC,
            version: VERSION.into(),
            tail_crc: tail_crc.into(),
            sequence: sequence.into(),
            tokens: tokens.into(),
            zeros: [0; 28],
            crc: 0.into(),
        };
        header.crc = header.expected_crc().into();
        header
    }

    fn expected_crc(&self) -> u32 {
        crc32c::crc32c(&self.as_bytes()[..Self::BYTES - 4])
    }

    /// A slot as it was read, if it is sound; else why not.
    pub(super) fn check(self) -> Result<Self, String> {
        if self.magic != MAGIC {
            return Err("it is no file of tokens".to_owned());
        }
        if self.crc.get() != self.expected_crc() {
            return Err("the header's checksum is wrong".to_owned());
        }
        if self.version.get() != VERSION {
            return Err(format!("found version {} of the format; allowed: {VERSION}", self.version));
        }
        if self.tokens.get() > TOKENS_MAX {
            return Err(format!("the header counts {} tokens; allowed: {TOKENS_MAX}", self.tokens));
        }
        Ok(self)
    }

    pub(super) fn sequence(&self) -> u64 {
        self.sequence.get()
    }

    pub(super) fn tokens(&self) -> u64 {
        self.tokens.get()
    }

    pub(super) fn tail_crc(&self) -> u32 {
        self.tail_crc.get()
    }
}
