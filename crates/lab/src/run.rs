//! What came out of running a workload.

use serde::{Deserialize, Serialize};

use crate::audit::Audit;
use crate::latencies::Latencies;
use crate::operation::Operation;
use crate::process::Usage;
use crate::threshold::{Judged, Verdict};
use crate::workload::{Rate, Workload};

/// A run of a workload on one engine.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Run {
    /// What was run, with everything that it left to defaults.
    pub workload: Workload,
    /// The engine that it ran on: its name, as `stats` tells it.
    pub engine: String,
    /// How long it was counted, in seconds: from the end of the warm-up to the end of the last operation.
    pub seconds: f64,
    /// What was done, one entry for each kind of operation.
    pub operations: Vec<Done>,
    /// The share of its threads' time that the laboratory itself took, to choose keys and to make what is stored; of
    /// closed loops, whose throughput it lowers. That of an open loop passes while it waits.
    pub harness_share: Option<f64>,
    /// How late operations of an open loop were begun, which is part of their latencies: waiting for a free thread, and
    /// what the system takes to wake one.
    pub lateness: Option<Latencies>,
    /// What was seen in each second.
    pub series: Vec<Second>,
    /// What was stored before.
    pub loaded: Option<Loaded>,
    /// Whether everything was there afterwards; `None` if that was not looked at.
    pub audit: Option<Audit>,
    /// Syncs of the device while it was counted; `None` if the engine counts none.
    pub syncs: Option<u64>,
    /// The store afterwards.
    pub store: Option<StoreFigures>,
    /// How its thresholds were met.
    pub thresholds: Vec<Judged>,
    /// Whether somebody ended it before its end.
    pub is_interrupted: bool,
}

/// What was done of one kind.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Done {
    /// Which operation.
    pub operation: Operation,
    /// The latencies of those that were done. In an open loop they begin at the intended start.
    pub latencies: Latencies,
    /// How many failed.
    pub failures: u64,
    /// What the first ones said.
    pub failure_messages: Vec<String>,
    /// How often one was begun again because another thread had changed a record first.
    pub retries: u64,
    /// How many gave a wrong answer.
    pub wrong: u64,
    /// What was wrong with the first ones.
    pub wrong_messages: Vec<String>,
}

/// One second of a run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Second {
    /// Which, counted from the end of the warm-up.
    pub second: u32,
    /// Operations that ended in it.
    pub operations: u64,
    /// Their median latency in seconds, if there were enough.
    pub p50: Option<f64>,
    /// The latency that 99 of 100 did not exceed, in seconds, if there were enough.
    pub p99: Option<f64>,
    /// The largest latency, in seconds.
    pub max: Option<f64>,
    /// What the process had and used.
    pub usage: Option<Usage>,
    /// Lookups that the store's cache answered.
    pub cache_hits: Option<u64>,
    /// Lookups that it could not answer.
    pub cache_misses: Option<u64>,
}

/// What was stored before a run, and how fast that went.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Loaded {
    /// Entities.
    pub entities: u64,
    /// Records.
    pub records: u64,
    /// Files.
    pub files: u64,
    /// Bytes of the files.
    pub file_bytes: u64,
    /// How long it took, synced at the end.
    pub seconds: f64,
}

/// The figures of a store.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct StoreFigures {
    /// Entities that can be read.
    pub entities: u64,
    /// Blobs and chunks that can be read.
    pub blobs: u64,
    /// Records that can be read.
    pub records: u64,
    /// Bytes in its files.
    pub disk_bytes: u64,
    /// Bytes of the index of addresses and blobs.
    pub index_bytes: u64,
    /// Bytes of the columns, the ids and the records.
    pub catalogue_bytes: u64,
    /// The memory that it may take for itself; 0 without a bound.
    pub memory_bytes_max: u64,
    /// What it holds of that.
    pub memory_bytes: u64,
}

impl Run {
    /// Operations a second, those that failed not counted.
    #[must_use]
    pub fn throughput(&self) -> f64 {
        let done: u64 = self.operations.iter().map(|done| done.latencies.count()).sum();
        if self.seconds > 0.0 { done as f64 / self.seconds } else { 0.0 }
    }

    /// How many operations failed or gave a wrong answer.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.operations.iter().map(|done| done.failures + done.wrong).sum()
    }

    /// The share of the rate that was asked for which was reached; `None` for a closed loop.
    #[must_use]
    pub fn rate_reached(&self) -> Option<f64> {
        let Rate(rate) = self.workload.load.rate?;
        Some((self.throughput() / rate).min(1.0))
    }

    /// The most memory that the process had, in bytes.
    #[must_use]
    pub fn resident_max(&self) -> Option<f64> {
        let resident = self.series.iter().filter_map(|second| second.usage.map(|usage| usage.resident_bytes));
        resident.max().map(|bytes| bytes as f64)
    }

    /// The share of lookups that the store's cache answered; `None` if it was not asked.
    #[must_use]
    pub fn cache_hits(&self) -> Option<f64> {
        let sum = |of: fn(&Second) -> Option<u64>| self.series.iter().filter_map(of).sum::<u64>() as f64;
        let (hits, misses) = (sum(|second| second.cache_hits), sum(|second| second.cache_misses));
        (hits + misses > 0.0).then(|| hits / (hits + misses))
    }

    /// Whether nothing failed, nothing was wrong or lost, and every threshold was met.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let sound = self.failures() == 0 && self.audit.as_ref().is_some_and(|audit| audit.problems == 0);
        let whole = sound && !self.is_interrupted;
        Verdict::all(self.thresholds.iter().map(|judged| judged.verdict).chain([Verdict::of(whole)]))
    }
}
