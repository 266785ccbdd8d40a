//! What the laboratory works on: a store, or in its own tests something whose latencies are known.

use crate::operation::Operation;

/// Something that can be put under load by many threads.
pub(crate) trait Target: Sync {
    /// What one thread needs to work on it.
    fn worker(&self, thread: usize) -> Box<dyn Worker + '_>;
}

/// One thread's way to a target. For each operation the three methods are called one after another, and only the
/// second one is timed.
pub(crate) trait Worker {
    /// Chooses keys and makes what will be stored.
    fn prepare(&mut self, operation: Operation);

    /// Does what was prepared, and nothing else.
    fn perform(&mut self) -> Outcome;

    /// Takes note of what was acknowledged, and looks at what was read; what is wrong is a finding.
    fn settle(&mut self) -> Option<String>;
}

/// How an operation ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// It was done.
    Done {
        /// How often it was begun again because somebody else came first.
        retries: u32,
    },
    /// The target refused or failed.
    Failed(String),
}
