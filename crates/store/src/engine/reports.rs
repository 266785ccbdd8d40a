//! What compaction, scrubbing, repair and the proof of the history are told, and what they report.

use std::fmt;
use std::ops::AddAssign;
use std::str::FromStr;
use std::time::Duration;

use statlas_core::Address;

use crate::error::{Error, ErrorKind, Result};
use crate::store::Options;

/// The head of the hash chain at a revision, as somebody noted it elsewhere. Its text is `REVISION:HEX`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotedHead {
    /// The revision.
    pub revision: u64,
    /// The head behind it.
    pub chain: [u8; 32],
}

impl fmt::Display for NotedHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.revision, Address(self.chain))
    }
}

impl FromStr for NotedHead {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let parse = |text: &str| {
            let (revision, chain) = text.split_once(':')?;
            // Both are 32 bytes in 64 lower-case digits.
            let chain: Address = chain.parse().ok()?;
            Some(Self { revision: revision.parse().ok()?, chain: chain.0 })
        };
        parse(text).ok_or_else(|| {
            let allowed = "a revision, a colon and 64 lower-case hex digits, as `statlas stats` prints them";
            Error::new(ErrorKind::Invalid, format!("head: found {text:?}; allowed: {allowed}"))
        })
    }
}

/// What became of the proof of the history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HistoryOutcome {
    /// Every batch behind `from`, up to and including `to`, is the one that was committed, if the proof began with a
    /// noted head. Without one they are only consistent in themselves.
    Proved {
        /// The revision whose head the proof begins with; 0 for the beginning.
        from: u64,
        /// The newest revision.
        to: u64,
    },
    /// The history is not the one that was committed.
    Refuted {
        /// The first revision at which it breaks.
        revision: u64,
        /// In which way.
        reason: String,
    },
    /// Something behind the noted revision was compacted away, so that nothing can be said.
    NotProvable {
        /// The newest revision of which something is gone.
        forgotten: u64,
    },
}

/// What proving the history read and found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryReport {
    /// Bytes read.
    pub bytes: u64,
    /// Batches whose link in the chain was computed again.
    pub commits: u64,
    /// The newest revision of which something was compacted away; 0 for none. Without a noted head the proof
    /// begins behind it.
    pub forgotten: u64,
    /// The present head.
    pub head: NotedHead,
    /// Whether the history holds.
    pub outcome: HistoryOutcome,
}

/// What a compaction may do.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CompactOptions {
    /// Files of the log of which at least this part is garbage are written anew, from 0 to 1.
    pub garbage_part: f64,
    /// Most bytes that are read a second; 0 for as fast as it goes.
    pub bytes_per_second: u64,
}

impl Default for CompactOptions {
    fn default() -> Self {
        Self { garbage_part: 0.2, bytes_per_second: 0 }
    }
}

/// What a compaction did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CompactReport {
    /// Files of the log that were written anew.
    pub segments: u64,
    /// Their bytes before.
    pub bytes_before: u64,
    /// The bytes of what took their place.
    pub bytes_after: u64,
    /// How long it waited to keep to its rate.
    pub waited: Duration,
}

impl AddAssign for CompactReport {
    fn add_assign(&mut self, other: Self) {
        self.segments += other.segments;
        self.bytes_before += other.bytes_before;
        self.bytes_after += other.bytes_after;
        self.waited += other.waited;
    }
}

/// How a store is scrubbed.
#[derive(Clone, Copy)]
pub struct ScrubOptions<'a> {
    /// Most bytes that are read a second; 0 for as fast as it goes.
    pub bytes_per_second: u64,
    /// Stop after about so many bytes; 0 for the end of the pass.
    pub bytes_max: u64,
    /// Asked after every frame and while it waits; once it says no, this ends, and the next one goes on from there.
    pub goes_on: &'a (dyn Fn() -> bool + Sync),
}

impl Default for ScrubOptions<'static> {
    fn default() -> Self {
        Self { bytes_per_second: 0, bytes_max: 0, goes_on: &|| true }
    }
}

impl fmt::Debug for ScrubOptions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { bytes_per_second, bytes_max, .. } = self;
        write!(f, "ScrubOptions({bytes_per_second} bytes a second, at most {bytes_max})")
    }
}

/// What a piece of scrubbing did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScrubReport {
    /// Bytes read now.
    pub bytes: u64,
    /// How long it waited to keep to its rate.
    pub waited: Duration,
    /// What is wrong, as far as it was found now.
    pub damage: Vec<String>,
    /// Whether everything that was there when the pass began has been read.
    pub is_pass_complete: bool,
    /// How the scrubbing stands.
    pub stats: ScrubStats,
}

/// How the scrubbing of a store stands. Times are in milliseconds since 1970.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ScrubStats {
    /// When the newest pass began.
    pub pass_begun_ms: u64,
    /// When the last complete pass ended; 0 for never.
    pub last_pass_ended_ms: u64,
    /// How much of the newest pass is done, from 0 to 100.
    pub position_percent: u8,
    /// Damaged places that the newest pass has found.
    pub damage: u64,
}

impl ScrubStats {
    /// When the last complete pass ended, if there was one.
    #[must_use]
    pub fn last_pass_ended(&self) -> Option<u64> {
        Some(self.last_pass_ended_ms).filter(|ended| *ended > 0)
    }
}

/// How a store is repaired.
#[derive(Clone, Copy)]
pub struct RepairOptions<'a> {
    /// Most bytes that the new store takes while it is filled; as for a store that is opened.
    pub memory_bytes_max: Option<u64>,
    /// Whether the new store compresses texts.
    pub compression: bool,
    /// Asked after every batch; once it says no, the work ends with an error whose source is
    /// [`Interrupted`](std::io::ErrorKind::Interrupted), and nothing is left of the new store.
    pub goes_on: &'a (dyn Fn() -> bool + Sync),
}

impl Default for RepairOptions<'static> {
    fn default() -> Self {
        let Options { memory_bytes_max, compression, .. } = Options::default();
        Self { memory_bytes_max, compression, goes_on: &|| true }
    }
}

/// What a repair saved, and what it could not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RepairReport {
    /// Bytes of the old log that were read.
    pub bytes: u64,
    /// Files of the old log that were read.
    pub segments: u64,
    /// Batches that are in the new store.
    pub commits: u64,
    /// Entities of the new store.
    pub entities: u64,
    /// Blobs and chunks of the new store.
    pub blobs: u64,
    /// Records of the new store.
    pub records: u64,
    /// The head of the hash chain of the new store in hex.
    pub chain_head: String,
    /// What is lost: places, and what each seems to have been about.
    pub lost: Vec<String>,
    /// What is there but may be out of date, because a later change or removal of it is damaged.
    pub outdated: Vec<String>,
    /// What was wrong with the old store and cost nothing.
    pub notes: Vec<String>,
}

impl RepairReport {
    /// Whether the new store is all that the old one was.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.lost.is_empty() && self.outdated.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::NotedHead;

    #[test]
    fn a_noted_head_is_read_as_it_is_written() {
        let head = NotedHead { revision: 17, chain: [0xab; 32] };
        assert_eq!(head.to_string().parse::<NotedHead>().expect("it was written"), head);
        for text in ["", "17", "17:", ":ab", "17:abcd", &format!("-1:{}", "ab".repeat(32))] {
            assert!(text.parse::<NotedHead>().is_err(), "{text:?}");
        }
    }
}
