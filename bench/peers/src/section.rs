//! The sections of the table, each a question that is asked of every engine.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Section {
    /// Batches of rows, each on the device before the next; bytes written for them.
    Load,
    /// One row per commit, on the device, by one thread and by eight.
    Single,
    /// Random keys that are there, by one thread and by two.
    Get,
    /// Keys that are not there.
    Absent,
    /// 70 % gets and 30 % puts by four threads; puts survive a killed process.
    Mixed,
    /// Every row once.
    Scan,
    /// From opening to the first get, after a clean close and after a kill.
    Reopen,
    /// More data than memory.
    Memory,
}

impl Section {
    /// All of them, in the order of the report.
    pub(crate) const ALL: [Self; 8] = [
        Self::Load,
        Self::Single,
        Self::Get,
        Self::Absent,
        Self::Mixed,
        Self::Scan,
        Self::Reopen,
        Self::Memory,
    ];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Load => "load",
            Self::Single => "single",
            Self::Get => "get",
            Self::Absent => "absent",
            Self::Mixed => "mixed",
            Self::Scan => "scan",
            Self::Reopen => "reopen",
            Self::Memory => "memory",
        }
    }
}
