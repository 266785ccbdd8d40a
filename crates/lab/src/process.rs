//! What a process has and uses, as the system tells it.

use std::fs;

use serde::{Deserialize, Serialize};

/// What a process has, and what it used since it began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Usage {
    /// Memory that it has, pages of mapped files included.
    pub resident_bytes: u64,
    /// Of that, memory that is no page of a file.
    pub anonymous_bytes: u64,
    /// Processor time of all its threads, in seconds.
    pub cpu_seconds: f64,
    /// Bytes that were read from devices for it.
    pub read_bytes: u64,
    /// Bytes that it has had written to devices.
    pub written_bytes: u64,
    /// Pages that had to be read from a device first.
    pub major_faults: u64,
}

impl Usage {
    /// Of this process; `None` where the system does not tell.
    #[must_use]
    pub fn now() -> Option<Self> {
        Self::of("self")
    }

    /// Of a process by its number.
    #[must_use]
    pub fn of_process(process: u32) -> Option<Self> {
        Self::of(&process.to_string())
    }

    fn of(process: &str) -> Option<Self> {
        let read = |name: &str| fs::read_to_string(format!("/proc/{process}/{name}")).ok();
        let status = read("status")?;
        let kibibytes = |name: &str| Some(value_of(&status, name)? << 10);
        // The name of the process may hold anything; what follows it has no parenthesis.
        let stat = read("stat")?;
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let ticks = |at: usize| fields.get(at)?.parse::<u64>().ok();
        let io = read("io").unwrap_or_default();
        Some(Self {
            resident_bytes: kibibytes("VmRSS")?,
            anonymous_bytes: kibibytes("RssAnon").unwrap_or(0),
            // Fields 14 and 15 of the line, of which the first two were cut off.
            cpu_seconds: (ticks(11)? + ticks(12)?) as f64 / TICKS_PER_SECOND,
            read_bytes: value_of(&io, "read_bytes").unwrap_or(0),
            written_bytes: value_of(&io, "write_bytes").unwrap_or(0),
            major_faults: ticks(9)?,
        })
    }
}

/// The unit of processor times in `/proc`, the same on every Linux.
const TICKS_PER_SECOND: f64 = 100.0;

/// The number behind a name at the beginning of a line.
fn value_of(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::Usage;

    #[test]
    fn memory_that_is_touched_is_seen() {
        let before = Usage::now().expect("the system tells");
        let touched = vec![1_u8; 64 << 20];
        let after = Usage::of_process(std::process::id()).expect("the system tells");
        assert!(after.anonymous_bytes >= before.anonymous_bytes + (60 << 20), "{before:?} {after:?}");
        assert!(after.resident_bytes >= after.anonymous_bytes && touched[5] == 1);
        assert!(after.cpu_seconds >= before.cpu_seconds);
    }
}
