//! The memory budget refuses: each reservation once, and every n-th for good.

use std::sync::atomic::{AtomicU64, Ordering};

use super::at_rest::expect_done;
use super::crashes::later_batch;
use super::run::Run;
use super::{Campaign, FaultOptions, States, Tally, Tried, for_each_seed, try_all};
use crate::engine::Durability;
use crate::error::ErrorKind;
use crate::testing::auditor::Outcome;
use crate::testing::simulated_disk::{Crash, SimulatedDisk};
use crate::testing::{Failure, Random};

/// Steps of one run.
const STEPS: usize = 40;
/// Every reservation is refused, every second, and so on up to this one.
const PERIODS: u64 = 24;

pub(super) fn run(options: &FaultOptions<'_>) -> Tally {
    let mut tally = Tally::new(Campaign::Memory.name(), true);
    let mut reservations = 0;
    let told = AtomicU64::new(0);
    let seeds = for_each_seed(&mut tally, options, |tally, seed| {
        let count = count_reservations(seed)?;
        reservations += count;
        let states = States { seed, count: count + PERIODS, number: &|at| at };
        try_all(tally, options, &states, &|state| {
            let (after, period) = match state.checked_sub(count) {
                None => (state, 0),
                Some(more) => (more, more + 1),
            };
            let with = |failure: Failure| match period {
                0 => format!("reservation {after} of {count} refused: {failure}"),
                period => format!("every {period}th reservation refused: {failure}"),
            };
            told.fetch_add(try_state(seed, after, period).map_err(with)?, Ordering::Relaxed);
            Ok(Tried::Sound)
        });
        Ok(())
    });
    tally.scope = format!(
        "{seeds} workloads of {STEPS} steps, {reservations} reservations refused once each; every reservation, \
         every second and so on up to every {PERIODS}th refused; {} steps said that there was no memory",
        told.into_inner()
    );
    tally
}

/// How many reservations the workload makes undisturbed.
fn count_reservations(seed: u64) -> Result<u64, Failure> {
    let disk = SimulatedDisk::new();
    let (mut run, opened) = Run::begin(disk, seed);
    expect_done(opened?)?;
    for _ in 0..STEPS {
        expect_done(run.step()?.1)?;
    }
    Ok(run.disk.refusals().asked())
}

/// How many steps said that there was no memory.
fn try_state(seed: u64, after: u64, period: u64) -> Result<u64, Failure> {
    let mut told = 0;
    let disk = SimulatedDisk::new();
    disk.refusals().refuse_after(after, period);
    let (mut run, opened) = Run::begin(disk, seed);
    told += count_refused("opening", &opened?)?;
    for _ in 0..STEPS {
        if run.store.is_none() {
            // What an opening lacked, the next one may have.
            let opened = run.open(Crash::Killed)?;
            told += count_refused("opening again", &opened)?;
            if run.store.is_none() {
                break;
            }
        }
        let (step, outcome) = run.step()?;
        told += count_refused(&format!("{step:?}"), &outcome)?;
        if run.store.is_some() {
            run.auditor.compare(run.store()).map_err(|failure| format!("after {step:?}: {failure}"))?;
        }
    }
    // With memory again everything is as it should be, and goes on.
    run.kill();
    run.disk.refusals().end();
    expect_done(run.open(Crash::Killed)?)?;
    let mut random = Random::new(seed);
    let batch = later_batch(&mut random);
    let store = run.store.as_ref().ok_or("the store is closed")?;
    expect_done(run.auditor.commit(store, &batch, Durability::Synced)?)?;
    run.auditor.compare(run.store())?;
    Ok(told)
}

/// Memory is all that is short: nothing else may fail, and no write is refused for ever.
fn count_refused(what: &str, outcome: &Outcome) -> Result<u64, Failure> {
    match outcome {
        Outcome::Failed(error) if error.kind() != ErrorKind::NoMemory => {
            Err(format!("{what} fails with {:?}: {error}", error.kind()).into())
        }
        Outcome::Failed(_) => Ok(1),
        Outcome::Done => Ok(0),
    }
}
