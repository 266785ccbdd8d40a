//! How far a pass is, as the file SCRUB keeps it.

use crate::engine::ScrubStats;
use crate::engine::disk::format::{Location, SegmentId};
use crate::engine::disk::log::LogFile;

const MAGIC: &[u8; 8] = b"STATSCRB";
const VERSION: u32 = 1;
pub(super) const BYTES: usize = 128;
const CRC_AT: usize = BYTES - 4;

/// The newest pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct State {
    pub(super) is_under_way: bool,
    /// The segment that is being read, and how far.
    pub(super) segment: SegmentId,
    pub(super) offset: u64,
    /// The files that writers made are read up to this number.
    pub(super) done: u32,
    /// When the pass began, in milliseconds since 1970.
    pub(super) begun_ms: u64,
    /// When the last complete pass ended; 0 for never.
    pub(super) ended_ms: u64,
    pub(super) bytes: u64,
    /// What there was to read when the pass began.
    pub(super) total: u64,
    pub(super) damage: u64,
    /// Where the log ended when the pass began.
    pub(super) end: Location,
    /// The newest compacted file that was there then.
    pub(super) compacted_last: u32,
}

impl Default for State {
    fn default() -> Self {
        Self {
            is_under_way: false,
            segment: SegmentId(0),
            offset: 0,
            done: 0,
            begun_ms: 0,
            ended_ms: 0,
            bytes: 0,
            total: 0,
            damage: 0,
            end: Location::new(SegmentId(0), 0),
            compacted_last: 0,
        }
    }
}

impl State {
    pub(super) fn encode(&self) -> [u8; BYTES] {
        let mut bytes = [0; BYTES];
        bytes[..8].copy_from_slice(MAGIC);
        let words = [VERSION, u32::from(self.is_under_way), self.segment.0, self.done];
        for (at, word) in words.into_iter().enumerate() {
            bytes[8 + at * 4..][..4].copy_from_slice(&word.to_le_bytes());
        }
        let numbers = [self.offset, self.begun_ms, self.ended_ms, self.bytes, self.total, self.damage];
        for (at, number) in numbers.into_iter().chain([self.end.offset()]).enumerate() {
            bytes[24 + at * 8..][..8].copy_from_slice(&number.to_le_bytes());
        }
        for (at, word) in [self.end.segment().0, self.compacted_last].into_iter().enumerate() {
            bytes[80 + at * 4..][..4].copy_from_slice(&word.to_le_bytes());
        }
        let crc = crc32c::crc32c(&bytes[..CRC_AT]);
        bytes[CRC_AT..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// What a file says, if it is whole and of this format.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; BYTES] = bytes.try_into().ok()?;
        let word = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let number = |at: usize| u64::from(word(at)) | u64::from(word(at + 4)) << 32;
        if !bytes.starts_with(MAGIC) || word(8) != VERSION || word(CRC_AT) != crc32c::crc32c(&bytes[..CRC_AT])
        {
            return None;
        }
        Some(Self {
            is_under_way: word(12) == 1,
            segment: SegmentId(word(16)),
            done: word(20),
            offset: number(24),
            begun_ms: number(32),
            ended_ms: number(40),
            bytes: number(48),
            total: number(56),
            damage: number(64),
            // Only what was written is read: the checksum was right.
            end: Location::new(SegmentId(word(80) & 0xff_ffff), number(72) & 0x7_ffff_ffff),
            compacted_last: word(84),
        })
    }

    /// Whether the pass still has something of a segment to read.
    pub(super) fn covers(&self, log: &LogFile) -> bool {
        let was_there = match log.id.is_compacted() {
            true => log.id.number() <= self.compacted_last,
            false => log.id <= self.end.segment(),
        };
        was_there && log.last > self.done
    }

    pub(super) fn stats(&self) -> ScrubStats {
        let percent =
            if self.is_under_way { self.bytes.saturating_mul(100) / self.total.max(1) } else { 100 };
        ScrubStats {
            pass_begun_ms: self.begun_ms,
            last_pass_ended_ms: self.ended_ms,
            position_percent: percent.min(100) as u8,
            damage: self.damage,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_read_as_it_was_written_and_no_other_is() {
        let state = State {
            is_under_way: true,
            segment: SegmentId::written(7),
            offset: 4096,
            done: 6,
            begun_ms: 1_700_000_000_000,
            ended_ms: 1_600_000_000_000,
            bytes: 1 << 33,
            total: 1 << 34,
            damage: 3,
            end: Location::new(SegmentId::written(9), 12_345 * 8),
            compacted_last: 2,
        };
        let bytes = state.encode();
        assert_eq!(State::decode(&bytes), Some(state));
        assert_eq!(state.stats().position_percent, 50);
        for at in 0..bytes.len() {
            let mut damaged = bytes;
            damaged[at] ^= 1;
            assert_eq!(State::decode(&damaged), None, "byte {at}");
        }
        assert_eq!(State::decode(&bytes[..100]), None);
    }
}
