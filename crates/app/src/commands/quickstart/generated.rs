//! Generated entities for a store to be looked at with.

use std::time::Instant;

use anyhow::Result;
use statlas_lab::Generator;
use statlas_store::{Batch, Commit, Durability, Store};

use super::report::Step;
use crate::allowance::Allowance;
use crate::interrupt::Interrupt;
use crate::output::thousands;
use crate::pipeline;
use crate::progress::Unit;
use crate::session::Session;

/// Which sequence of entities.
const SEED: u64 = 7;
const BATCH_ENTITIES_MAX: u64 = 10_000;
/// What is held for an entity on its way into the store, about.
const ENTITY_HELD_BYTES: u64 = 1536;

/// Stores the first `count` entities of the sequence; those that are there already stay.
pub(super) fn load(store: &Store, count: u64, interrupt: &Interrupt, session: &Session) -> Result<Step> {
    let begun = Instant::now();
    let bar = session.output().progress("loading", Some(count), Unit::Count);
    let generator = Generator::new(SEED, None);
    let mut total = Commit::default();
    let (allowance, items) = (Allowance::beside(store), pipeline::workers() + 1);
    let held_max = usize::try_from(BATCH_ENTITIES_MAX * ENTITY_HELD_BYTES).unwrap_or(usize::MAX);
    let batch_entities = allowance.item_bytes(items, held_max) as u64 / ENTITY_HELD_BYTES;
    pipeline::run(
        allowance.room(items),
        interrupt,
        move |feed| {
            let mut first = 0;
            while first < count {
                let batch = first..count.min(first.saturating_add(batch_entities));
                let held = (batch.end - batch.start) * ENTITY_HELD_BYTES;
                first = batch.end;
                if !feed.push(batch, held) {
                    break;
                }
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
