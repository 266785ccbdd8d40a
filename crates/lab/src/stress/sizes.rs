//! How much is measured, and how often.

use std::time::Duration;

/// How much a run of all scenarios measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StressSize {
    /// So little that every line runs and no figure means anything: for tests.
    Smoke,
    /// 10,000 and 100,000 entities, under three minutes on two cores.
    Quick,
    /// 10,000 to 10,000,000 entities and 100,000 files.
    Full,
}

/// The sizes of one run.
#[derive(Debug, Clone)]
pub(super) struct Sizes {
    /// Entities in a store, the smallest number first.
    pub(super) entities: Vec<u64>,
    /// Times that each thing is measured, engines alternating; fewer where stores are large.
    pub(super) rounds: usize,
    /// Lookups of each sort in a round.
    pub(super) lookups: usize,
    /// Most operations of readers and writers together in a run.
    pub(super) concurrent_operations: u64,
    pub(super) files: u64,
    pub(super) file_rounds: usize,
    pub(super) tokens: usize,
    pub(super) token_rounds: usize,
    /// Nodes of the mesh whose records are read and changed.
    pub(super) nodes: u64,
    /// Batches of each size in a round.
    pub(super) node_batches: u64,
    pub(super) node_reads: usize,
    pub(super) node_rounds: usize,
    /// How long a round of single inserts, or of reads beside writes, takes.
    pub(super) node_time: Duration,
    pub(super) sustained_time: Duration,
    /// Nodes whose memory is measured.
    pub(super) nodes_held: u64,
    /// Entities in the store that is larger than its cache.
    pub(super) cached_entities: u64,
    pub(super) cache_time: Duration,
    /// Entities in the store that is backed up.
    pub(super) kept_entities: u64,
}

fn smoke() -> Sizes {
    Sizes {
        entities: vec![300, 1000],
        rounds: 2,
        lookups: 2000,
        concurrent_operations: 500,
        files: 20,
        file_rounds: 1,
        tokens: 5000,
        token_rounds: 2,
        nodes: 200,
        node_batches: 1,
        node_reads: 500,
        node_rounds: 1,
        node_time: Duration::from_millis(50),
        sustained_time: Duration::from_millis(1200),
        nodes_held: 500,
        cached_entities: 2000,
        cache_time: Duration::from_millis(1200),
        kept_entities: 500,
    }
}

fn quick() -> Sizes {
    Sizes {
        entities: vec![10_000, 100_000],
        rounds: 3,
        lookups: 350_000,
        concurrent_operations: 1_000_000,
        files: 3000,
        file_rounds: 3,
        tokens: 1_000_000,
        token_rounds: 7,
        nodes: 5000,
        node_batches: 20,
        node_reads: 350_000,
        node_rounds: 2,
        node_time: Duration::from_secs(1),
        sustained_time: Duration::from_secs(5),
        nodes_held: 10_000,
        cached_entities: 100_000,
        cache_time: Duration::from_secs(3),
        kept_entities: 100_000,
    }
}

fn full() -> Sizes {
    Sizes {
        entities: vec![10_000, 100_000, 1_000_000, 10_000_000],
        rounds: 5,
        lookups: 1_000_000,
        files: 100_000,
        token_rounds: 15,
        node_batches: 50,
        node_reads: 1_000_000,
        node_rounds: 5,
        node_time: Duration::from_secs(2),
        sustained_time: Duration::from_secs(15),
        cached_entities: 1_000_000,
        cache_time: Duration::from_secs(10),
        kept_entities: 1_000_000,
        ..quick()
    }
}

impl Sizes {
    pub(super) fn of(size: StressSize) -> Self {
        match size {
            StressSize::Smoke => smoke(),
            StressSize::Quick => quick(),
            StressSize::Full => full(),
        }
    }

    /// How often stores of so many entities are measured.
    pub(super) fn rounds_of(&self, entities: u64) -> usize {
        match entities {
            0..=100_000 => self.rounds,
            100_001..=1_000_000 => self.rounds.min(3),
            _ => self.rounds.min(2),
        }
    }

    pub(super) fn smallest(&self) -> u64 {
        self.entities[0]
    }

    pub(super) fn largest(&self) -> u64 {
        self.entities[self.entities.len() - 1]
    }
}
