//! Generated entities for a store to be looked at with.

use std::time::Instant;

use anyhow::Result;
use statlas_lab::Generator;
use statlas_store::{Batch, Commit, Durability, Store};

use super::report::Step;
use crate::interrupt::Interrupt;
use crate::output::thousands;
use crate::pipeline;
use crate::progress::Unit;
use crate::session::Session;

/// Which sequence of entities.
const SEED: u64 = 7;
const BATCH_ENTITIES: u64 = 10_000;

/// Stores the first `count` entities of the sequence; those that are there already stay.
pub(super) fn load(store: &Store, count: u64, interrupt: &Interrupt, session: &Session) -> Result<Step> {
    let begun = Instant::now();
    let bar = session.output().progress("loading", Some(count), Unit::Count);
    let generator = Generator::new(SEED, None);
    let mut total = Commit::default();
    pipeline::run(
        pipeline::workers() + 1,
        interrupt,
        move |feed| {
            let mut first = 0;
            while first < count && feed.push(first..count.min(first + BATCH_ENTITIES)) {
                first += BATCH_ENTITIES;
            }
            Ok(())
        },
        move |range| {
            let mut batch = Batch::new();
            for number in range {
                batch.put_entity(generator.entity(number));
            }
            batch
        },
        |batch: Batch| {
            let entities = batch.len() as u64;
            total += store.commit(batch, Durability::Synced)?;
            bar.inc(entities);
            Ok(())
        },
    )?;
    bar.finish_and_clear();
    let Commit { entities_new, entities_present, .. } = total;
    let present = match entities_present {
        0 => String::new(),
        present => format!(", {} there already", thousands(present)),
    };
    Ok(Step {
        name: "generate and load entities",
        done: format!("{} new{present}; synced to the device", thousands(entities_new)),
        count: entities_new + entities_present,
        unit: "entities",
        time: begun.elapsed(),
        wrong: Vec::new(),
    })
}
