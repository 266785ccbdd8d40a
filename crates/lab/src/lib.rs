//! The stress laboratory: figures that a sceptic accepts.
//!
//! A [`Generator`] makes varied, valid entities from a seed: the same seed gives the same entities on
//! every machine, for ever, so a figure that was measured on them can be measured again.
//!
//! ```
//! use statlas_lab::Generator;
//!
//! let generator = Generator::new(42, None);
//! let third = generator.entity(2);
//! assert_eq!(generator.take(3).last(), Some(third));
//! ```
//!
//! A [`Workload`] says what is stored, what is done to it, how fast, and what must come out; [`run_workload`] does that
//! on a store of its own, measures, and looks afterwards whether everything is there.

#![deny(unsafe_code)]

mod audit;
mod breakdown;
mod compare;
mod data;
mod distribution;
mod environment;
mod error;
mod execute;
mod faults;
mod generator;
mod latencies;
mod operation;
mod plan;
mod process;
mod quantity;
mod random;
mod report;
mod run;
mod runner;
mod schedule;
#[cfg(test)]
mod self_test;
mod state_text;
mod store_target;
mod stress;
mod subject;
mod target;
mod threshold;
mod workload;

pub use audit::Audit;
pub use breakdown::{BreakdownOptions, break_down};
pub use compare::{Change, CompareOptions, Compared, Comparison, Side, compare};
pub use distribution::Distribution;
pub use environment::{Environment, now};
pub use error::{Error, Result};
pub use execute::run_workload;
pub use faults::{FaultOptions, try_faults};
pub use generator::Generator;
pub use latencies::{Latencies, PERCENTILES, SAMPLES_ABOVE_MIN};
pub use operation::Operation;
pub use plan::{PlanOptions, plan};
pub use process::Usage;
pub use quantity::Unit;
pub use random::SplitMix64;
pub use report::{Better, Figure, Kind, Line, NamedSpan, Plot, Report, SCHEMA, html, text};
pub use run::{Done, Loaded, Run, Second, StoreFigures};
pub use runner::{Progress, Watcher};
pub use schedule::Arrival;
pub use stress::{
    ChildProgram, Estimate, StressOptions, StressSize, answer_child, estimate, run_stress, scenarios,
};
pub use threshold::{Bound, Judged, Threshold, Verdict};
pub use workload::{Bytes, Data, Load, Rate, Span, StoreUnderTest, Workload};
