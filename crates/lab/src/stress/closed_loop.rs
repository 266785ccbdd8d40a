//! Workloads of scenarios: closed loops, since what is measured is how much can be done.

use std::time::Duration;

use crate::distribution::Distribution;
use crate::operation::Operation;
use crate::schedule::Arrival;
use crate::workload::{Data, Load, Span, StoreUnderTest, Workload};

/// How long a loop goes on.
#[derive(Debug, Clone, Copy)]
pub(super) enum Until {
    /// So many operations of all threads together are done.
    Operations(u64),
    /// So much time has passed, a quarter of it before anything is counted not included.
    Time(Duration),
}

/// What a loop does.
pub(super) struct ClosedLoop<'a> {
    /// What it is called in the results.
    pub(super) name: String,
    /// What it is for, in a sentence.
    pub(super) description: &'a str,
    pub(super) seed: u64,
    pub(super) data: Data,
    pub(super) mix: &'a [(Operation, f64)],
    pub(super) threads: usize,
    pub(super) until: Until,
    /// The store, but for its engine.
    pub(super) store: StoreUnderTest,
    pub(super) keys: Distribution,
}

impl ClosedLoop<'_> {
    pub(super) fn workload(self) -> Workload {
        let (duration, operations, warm_up) = match self.until {
            Until::Operations(operations) => (None, Some(operations), Duration::ZERO),
            Until::Time(length) => (Some(Span(length)), None, length / 4),
        };
        Workload {
            name: self.name,
            description: self.description.to_owned(),
            seed: self.seed,
            store: self.store,
            data: self.data,
            keys: self.keys,
            load: Load {
                threads: self.threads,
                rate: None,
                arrival: Arrival::Constant,
                duration,
                operations,
                warm_up: Span(warm_up),
                batch: 100,
                scan_length: 100,
            },
            mix: self.mix.iter().copied().collect(),
            thresholds: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_is_a_workload_as_files_have_them() {
        for until in [Until::Operations(10), Until::Time(Duration::from_millis(400))] {
            let workload = ClosedLoop {
                name: "1.3-mixed".to_owned(),
                description: "some",
                seed: 7,
                data: Data { entities: 10, ..Data::default() },
                mix: &[(Operation::Get, 80.0), (Operation::Put, 20.0)],
                threads: 4,
                until,
                store: StoreUnderTest::default(),
                keys: Distribution::Uniform,
            }
            .workload();
            let text = serde_json::to_string(&workload).expect("it can be written");
            assert_eq!(serde_json::from_str::<Workload>(&text).expect("it can be read"), workload);
        }
    }
}
