//! Section `open`: from a closed store to one that answers.

use std::time::Instant;

use anyhow::{Result, ensure};

use crate::Bench;
use crate::report::Target;

const SECTION: &str = "open";

pub(crate) fn run(bench: &mut Bench) -> Result<()> {
    let repetitions = bench.sizes.open_repetitions;
    let loaded = bench.loaded()?;
    let mut seconds = Vec::new();
    for _ in 0..repetitions {
        let started = Instant::now();
        let store = loaded.open()?;
        seconds.push(started.elapsed().as_secs_f64());
        let found = store.get(&loaded.addresses[loaded.addresses.len() / 2])?;
        ensure!(found.is_some(), "an entity that was loaded is not found");
        store.close()?;
    }
    let entities = loaded.addresses.len();
    let stats = loaded.open_warm()?.engine().stats();
    let index = format!(
        "{entities} entities, {} segments, {:.1} bytes of index and {:.1} of columns and ids for an entity",
        stats.segments,
        stats.index_bytes as f64 / entities as f64,
        stats.catalogue_bytes as f64 / entities as f64
    );
    bench.report.note(SECTION, index);
    bench.report.row(SECTION, "Store::open", "s", seconds, Target::AtMost(0.5));
    Ok(())
}
