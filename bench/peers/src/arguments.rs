//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::engine::Name;
use crate::section::Section;
use crate::sizes::Sizes;

/// Runs Statlas beside other embedded engines on the same data and prints a table.
///
/// Every engine gets the same rows: pseudo-random values that depend on the seed, with their SHA-256 as key. Each
/// piece of work runs in a process of its own, the engines take turns, and every store is read back and compared
/// by another process. What is printed are medians, with the smallest and the largest run behind them.
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  cargo run --release -- --quick
      Runs every line in less than a minute. Its figures mean nothing.
  cargo run --release -- --json peers.json --markdown peers.md
      Measures everything; takes some hours and 20 GB of disk.
  cargo run --release -- --engines statlas,rocksdb,lmdb --sections load,get --values 264
      Measures a part.

Other work on the machine spoils the figures. Only ratios within one run count.")]
pub(crate) struct Arguments {
    /// Small sizes and a single run, to see that everything works
    #[arg(long, conflicts_with = "full")]
    quick: bool,
    /// The sizes that the targets are about; this is the default
    #[arg(long)]
    full: bool,
    /// Only these engines
    #[arg(long, value_enum, value_delimiter = ',', value_name = "A,B")]
    engines: Vec<Name>,
    /// Only these sections
    #[arg(long, value_enum, value_delimiter = ',', value_name = "X,Y")]
    sections: Vec<Section>,
    /// Sizes of values in bytes
    #[arg(long, value_delimiter = ',', default_values_t = [64, 264, 4096], value_name = "BYTES,…")]
    values: Vec<usize>,
    /// Rows of a store; `memory` takes ten times as many
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    rows: Option<u64>,
    /// How often everything is measured [default: 3, quick 1]
    #[arg(long, value_name = "N")]
    runs: Option<usize>,
    /// How often `memory` is measured [default: 1]
    #[arg(long, value_name = "N")]
    memory_runs: Option<usize>,
    /// Where the stores are made and removed again [default: beside the program]
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// What the data depend on
    #[arg(long, value_name = "N", default_value_t = 42)]
    pub(crate) seed: u64,
    /// Write everything that was measured to a file
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Write the tables to a file
    #[arg(long, value_name = "FILE")]
    pub(crate) markdown: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) child: Option<Child>,
}

/// What this program starts itself for.
#[derive(Debug, Subcommand)]
pub(crate) enum Child {
    /// Does one piece of work with one engine
    #[command(hide = true)]
    Child {
        /// What to do, as JSON
        task: String,
    },
}

impl Arguments {
    /// Whether the sizes are those that the targets are about.
    pub(crate) fn is_full(&self) -> bool {
        !self.quick && self.rows.is_none()
    }

    pub(crate) fn sizes(&self) -> Sizes {
        let mut sizes = if self.quick { Sizes::QUICK } else { Sizes::FULL };
        sizes = self.rows.into_iter().fold(sizes, Sizes::with_rows);
        sizes.runs = self.runs.unwrap_or(sizes.runs).max(1);
        sizes.scarce_runs = self.memory_runs.unwrap_or(sizes.scarce_runs).min(sizes.runs);
        sizes
    }

    /// The engines that are wanted, in the order of the tables.
    pub(crate) fn engines(&self) -> Vec<Name> {
        Name::ALL.into_iter().filter(|name| self.engines.is_empty() || self.engines.contains(name)).collect()
    }

    /// The sections that are wanted, in the order of the report.
    pub(crate) fn sections(&self) -> Vec<Section> {
        let wanted = |section: &Section| self.sections.is_empty() || self.sections.contains(section);
        Section::ALL.into_iter().filter(wanted).collect()
    }

    /// Sizes of values, each once, the smallest first.
    pub(crate) fn values(&self) -> Vec<usize> {
        let mut values: Vec<_> = self.values.iter().copied().filter(|bytes| *bytes > 0).collect();
        values.sort_unstable();
        values.dedup();
        values
    }

    /// The size of value that sections with one size use.
    pub(crate) fn main_value(&self) -> usize {
        const PREFERRED: usize = 264;
        let values = self.values();
        if values.contains(&PREFERRED) { PREFERRED } else { values.first().copied().unwrap_or(PREFERRED) }
    }
}
