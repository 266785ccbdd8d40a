//! The header of a file of tokens.
//!
//! Two slots are written in turn, by the number of the append. Each holds the header twice, in two sectors: a damaged
//! place never takes the newest count away, and a sector is written as a whole or not at all. So of the slots' four
//! copies each is empty, an older header, or the newest one, unless something is damaged.

use std::io;
use std::path::Path;

use statlas_core::Token;
use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::medium::Medium;
use super::{Result, corrupt, failed};

/// Tokens of a block that has a checksum: 4 MiB.
pub(super) const BLOCK_TOKENS: u64 = 1 << 16;
/// Where the checksums of whole blocks begin, 4 bytes each.
pub(super) const TABLE_AT: u64 = 8192;
/// Where the tokens begin.
pub(super) const DATA_AT: u64 = 1 << 16;
/// The most tokens that a file holds: so many blocks have a place for their checksum.
pub const TOKENS_MAX: u64 = (DATA_AT - TABLE_AT) / 4 * BLOCK_TOKENS;

/// From one slot to the next, in pages of their own.
const SLOT_DISTANCE: usize = 4096;
/// From the first copy in a slot to the second one.
const COPY_DISTANCE: usize = 512;
/// What is written into a slot at once.
const SLOT_BYTES: usize = 2 * COPY_DISTANCE;
/// Where the four copies are.
const COPIES: [usize; 4] = [0, COPY_DISTANCE, SLOT_DISTANCE, SLOT_DISTANCE + COPY_DISTANCE];
/// Where the last one ends.
const COPIES_END: usize = COPIES[3] + Header::BYTES;

const MAGIC: [u8; 8] = *b"STATTOKN";
const VERSION: u32 = 1;
/// Nobody appends so often: the next number is one, too.
const SEQUENCE_MAX: u64 = u64::MAX >> 1;
/// How often copies are read that a process may be writing.
const ATTEMPTS: usize = 3;

/// A copy of the header.
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

/// Why a copy of the header does not count.
enum Flaw {
    Empty,
    OtherFile,
    Newer(u32),
    Damaged(String),
}

impl Header {
    pub(super) const BYTES: usize = size_of::<Self>();
    /// That of a file without tokens.
    pub(super) fn first() -> Self {
        Self::new(0, 0, 0)
    }

    fn new(sequence: u64, tokens: u64, tail_crc: u32) -> Self {
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

    /// The header behind the next append.
    pub(super) fn next(&self, tokens: u64, tail_crc: u32) -> Self {
        Self::new(self.sequence() + 1, tokens, tail_crc)
    }

    fn expected_crc(&self) -> u32 {
        crc32c::crc32c(&self.as_bytes()[..Self::BYTES - 4])
    }

    fn check(self) -> std::result::Result<Self, Flaw> {
        if self.as_bytes().iter().all(|byte| *byte == 0) {
            return Err(Flaw::Empty);
        }
        if self.magic != MAGIC {
            return Err(Flaw::OtherFile);
        }
        if self.crc.get() != self.expected_crc() {
            return Err(Flaw::Damaged("the header's checksum is wrong".to_owned()));
        }
        if self.version.get() != VERSION {
            return Err(Flaw::Newer(self.version.get()));
        }
        if self.tokens() > TOKENS_MAX {
            let reason = format!("the header counts {} tokens; allowed: {TOKENS_MAX}", self.tokens);
            return Err(Flaw::Damaged(reason));
        }
        if self.tokens().is_multiple_of(BLOCK_TOKENS) && self.tail_crc() != 0 {
            return Err(Flaw::Damaged("the header has a checksum of no tokens".to_owned()));
        }
        if self.sequence() > SEQUENCE_MAX {
            let reason = format!("the header counts {} appends; allowed: {SEQUENCE_MAX}", self.sequence);
            return Err(Flaw::Damaged(reason));
        }
        Ok(self)
    }

    /// Where it is written, and what.
    pub(super) fn slot(&self) -> (u64, [u8; SLOT_BYTES]) {
        let mut bytes = [0; SLOT_BYTES];
        for at in [0, COPY_DISTANCE] {
            bytes[at..at + Self::BYTES].copy_from_slice(self.as_bytes());
        }
        (self.sequence() % 2 * SLOT_DISTANCE as u64, bytes)
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

/// The newest header of a file, and what is wrong with other copies.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) header: Header,
    /// Not so for copies that a crash left.
    pub(super) damage: Option<String>,
}

/// Reads the header of a file that has been written at least once.
pub(super) fn read_header(medium: &impl Medium, path: &Path) -> Result<Found> {
    let bytes = medium.bytes().map_err(failed(path, "asking for its length"))?;
    let mut copies = [0; COPIES_END];
    let mut found = None;
    for _ in 0..ATTEMPTS {
        match medium.read_at(0, &mut copies) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(corrupt(path, format!("it is no file of tokens: it has only {bytes} bytes")));
            }
            read => read.map_err(failed(path, "reading its header"))?,
        }
        let newest = newest(&copies).map_err(|reason| corrupt(path, reason))?;
        let is_sound = newest.damage.is_none();
        found = Some(newest);
        // Else it was perhaps read while it was written.
        if is_sound {
            break;
        }
    }
    let found = found.expect("it is tried more than once");
    let tokens = found.header.tokens();
    let expected = DATA_AT + tokens * Token::BYTES as u64;
    if bytes < expected {
        return Err(corrupt(
            path,
            format!("it was cut: found {bytes} bytes; {tokens} tokens need {expected}"),
        ));
    }
    Ok(found)
}

/// The newest of the copies, or why there is none.
fn newest(bytes: &[u8; COPIES_END]) -> std::result::Result<Found, String> {
    let (mut newest, mut damage, mut reason) = (None::<Header>, None, None);
    for at in COPIES {
        let header = Header::read_from_bytes(&bytes[at..at + Header::BYTES]).expect("it is as long");
        match header.check() {
            Ok(header) if newest.is_none_or(|newest| newest.sequence() < header.sequence()) => {
                newest = Some(header);
            }
            Ok(_) | Err(Flaw::Empty) => {}
            Err(Flaw::Newer(version)) => {
                return Err(format!("found version {version} of the format; allowed: {VERSION}"));
            }
            Err(flaw) => {
                damage.get_or_insert_with(|| format!("the copy of the header at byte {at} is damaged"));
                if let Flaw::Damaged(wrong) = flaw {
                    reason.get_or_insert(wrong);
                }
            }
        }
    }
    let header = newest.ok_or_else(|| reason.unwrap_or_else(|| "it is no file of tokens".to_owned()))?;
    Ok(Found { header, damage })
}

/// Whether some copy of the header is one of a file of tokens, damaged or not.
pub(super) fn has_magic(medium: &impl Medium) -> bool {
    COPIES.into_iter().any(|at| {
        let mut magic = [0; MAGIC.len()];
        medium.read_at(at as u64, &mut magic).is_ok() && magic == MAGIC
    })
}

/// Whether a file is what a crash may leave of one whose first header was being written: nothing, zeros, or a part of it.
pub(super) fn is_unfinished(medium: &impl Medium) -> io::Result<bool> {
    let bytes = medium.bytes()?;
    if bytes > DATA_AT {
        return Ok(false);
    }
    let mut found = vec![0; bytes as usize];
    medium.read_at(0, &mut found)?;
    let (_, slot) = Header::first().slot();
    let whole = slot.into_iter().chain(std::iter::repeat(0));
    Ok(found.iter().zip(whole).all(|(found, whole)| *found == 0 || *found == whole))
}
