//! The header of a file of tokens.
//!
//! Two slots are written in turn, by the number of the append. Each is the header twice, in two pages that do not touch: a
//! damaged page never takes the newest count away, and a sector is written as a whole or not at all. So of the four
//! copies each is an older header or the newest one, unless something is damaged; empty are at most those that an append
//! has never been finished in.

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
pub(super) const TABLE_AT: u64 = 4 * PAGE_BYTES;
/// Where the tokens begin.
pub(super) const DATA_AT: u64 = 1 << 16;
/// The most tokens that a file holds: so many blocks have a place for their checksum.
pub const TOKENS_MAX: u64 = (DATA_AT - TABLE_AT) / 4 * BLOCK_TOKENS;

/// Each copy has a page of its own.
const PAGE_BYTES: u64 = 4096;
/// The slot of each page: that of one is never next to its other copy.
const SLOTS: [u64; 4] = [0, 1, 0, 1];

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

    /// Where its copies stand.
    pub(super) fn places(&self) -> impl Iterator<Item = u64> {
        let slot = self.sequence() % 2;
        (0..).zip(SLOTS).filter(move |(_, of)| *of == slot).map(|(page, _)| page * PAGE_BYTES)
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
    /// Whether both copies of the other slot are damaged, so that a newer header may have stood there.
    is_slot_lost: bool,
    /// How long the file is.
    bytes: u64,
}

impl Found {
    /// A header of a file that is as it counts.
    pub(super) fn sound(header: Header) -> Self {
        Self { header, damage: None, is_slot_lost: false, bytes: end_of(header.tokens()) }
    }

    /// Refuses a file in which tokens may stand that no sound copy of the header counts: the next append would write over
    /// them.
    pub(super) fn refuse_uncounted(&self, path: &Path) -> Result<()> {
        let tokens = self.header.tokens();
        if !self.is_slot_lost || self.bytes <= end_of(tokens) {
            return Ok(());
        }
        let reason = format!(
            "both copies of one of its two headers are damaged: there may be tokens behind the first {tokens}, which \
             appending would write over; open it for reading, and save those tokens in its place to give up the others"
        );
        Err(corrupt(path, reason))
    }
}

/// Where so many tokens end.
fn end_of(tokens: u64) -> u64 {
    DATA_AT + tokens * Token::BYTES as u64
}

/// Reads the header of a file that has been written at least once.
pub(super) fn read_header(medium: &impl Medium, path: &Path) -> Result<Found> {
    let bytes = medium.bytes().map_err(failed(path, "asking for its length"))?;
    let mut found = None;
    for _ in 0..ATTEMPTS {
        let mut copies = [[0; Header::BYTES]; SLOTS.len()];
        for (page, copy) in (0..).zip(&mut copies) {
            match medium.read_at(page * PAGE_BYTES, copy) {
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    return Err(corrupt(path, format!("it is no file of tokens: it has only {bytes} bytes")));
                }
                read => read.map_err(failed(path, "reading its header"))?,
            }
        }
        let newest = newest(&copies, bytes).map_err(|reason| corrupt(path, reason))?;
        let is_sound = newest.damage.is_none();
        found = Some(newest);
        // Else it was perhaps read while it was written.
        if is_sound {
            break;
        }
    }
    let found = found.expect("it is tried more than once");
    let tokens = found.header.tokens();
    let expected = end_of(tokens);
    if bytes < expected {
        return Err(corrupt(
            path,
            format!("it was cut: found {bytes} bytes; {tokens} tokens need {expected}"),
        ));
    }
    Ok(found)
}

/// The newest of the copies in a file so long, or why there is none.
fn newest(copies: &[[u8; Header::BYTES]; SLOTS.len()], bytes: u64) -> std::result::Result<Found, String> {
    let copies = copies.map(|copy| Header::read_from_bytes(&copy).expect("it is as long").check());
    let sound = || copies.iter().filter_map(|copy| copy.as_ref().ok());
    let newest = sound().max_by_key(|header| header.sequence()).copied();
    let mut reason = None;
    for copy in &copies {
        match copy {
            Err(Flaw::Newer(version)) => {
                return Err(format!("found version {version} of the format; allowed: {VERSION}"));
            }
            Err(Flaw::Damaged(wrong)) => reason = reason.or(Some(wrong.as_str())),
            Ok(_) | Err(Flaw::Empty | Flaw::OtherFile) => {}
        }
    }
    let Some(header) = newest else { return Err(reason.unwrap_or("it is no file of tokens").to_owned()) };
    // The slot of an append that has been finished is written; behind the first one that is the other slot, too.
    let written = match header.sequence() {
        0 => None,
        1 => Some(0),
        _ => Some(2),
    };
    let is_damaged = |slot: u64, copy: &std::result::Result<Header, Flaw>| match copy {
        Ok(_) => false,
        Err(Flaw::Empty) => written.is_some_and(|written| slot == written || written > 1),
        Err(_) => true,
    };
    let damaged = (0..).zip(SLOTS.iter().zip(&copies)).find(|(_, (slot, copy))| is_damaged(**slot, copy));
    let damage = damaged.map(|(page, _): (u64, _)| {
        format!("the copy of the header at byte {} is damaged", page * PAGE_BYTES)
    });
    let other = 1 - header.sequence() % 2;
    let mut others = SLOTS.iter().zip(&copies).filter(|(slot, _)| **slot == other);
    let is_slot_lost = others.all(|(slot, copy)| is_damaged(*slot, copy));
    Ok(Found { header, damage, is_slot_lost, bytes })
}

/// Whether some copy of the header is one of a file of tokens, damaged or not.
pub(super) fn has_magic(medium: &impl Medium) -> bool {
    (0..SLOTS.len() as u64).any(|page| {
        let mut magic = [0; MAGIC.len()];
        medium.read_at(page * PAGE_BYTES, &mut magic).is_ok() && magic == MAGIC
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
    let mut whole = vec![0; DATA_AT as usize];
    let first = Header::first();
    first.places().for_each(|at| whole[at as usize..][..Header::BYTES].copy_from_slice(first.as_bytes()));
    Ok(found.iter().zip(whole).all(|(found, whole)| *found == 0 || *found == whole))
}
