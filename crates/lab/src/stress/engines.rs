//! Scenario 1.5: the engines of this release side by side.

use std::hint::black_box;

use statlas_core::{Coordinates, Dimensions, Entity, Identifier};
use statlas_store::{Batch, Durability, Filter, Interval, Query, Store};

use super::clock::timed;
use super::draft::{Draft, counted};
use super::engine::Engine;
use super::estimate::Cost;
use super::loaded::wait_for_index;
use super::session::Session;
use super::sizes::Sizes;
use crate::error::{Error, Result};
use crate::generator::Generator;
use crate::quantity::Unit;
use crate::report::median;
use crate::subject::Subject;

const PUBLISHED: &str =
    "\"use a real database\": embedded, PostgreSQL with pool and indexed address, sharding past 1M";
/// Entities of a batch.
const BATCH: u64 = 10_000;
/// Entities that are made before some of them are stored.
const MADE: u64 = 10 * BATCH;
/// Questions of each sort in a round.
const QUESTIONS: usize = 21;
/// Rows of an answer, and neighbours.
const ROWS: usize = 100;
const NEIGHBOURS: usize = 10;
/// What is asked for by coordinates.
const HORIZON: &str = "peak";
const REALMS: [&str; 2] = ["data", "system"];
const LUMINOSITY: (f64, f64) = (20.0, 80.0);

pub(super) fn cost(sizes: &Sizes, engines: &[Engine]) -> Cost {
    let of_size = |entities: &u64| {
        let each = *entities as f64 * 8e-6 + QUESTIONS as f64 * *entities as f64 * 8e-9 + 0.2;
        engines.len() as f64 * sizes.rounds_of(*entities) as f64 * each
    };
    let seconds = sizes.entities.iter().map(of_size).sum();
    let mut cost = Cost::of_one_store(sizes.largest(), engines);
    cost.memory_bytes += MADE * 1500;
    Cost { seconds, ..cost }
}

pub(super) fn run(session: &mut Session<'_, '_>) -> Result<()> {
    for entities in session.sizes.entities.clone() {
        for _ in 0..session.sizes.rounds_of(entities) {
            for engine in session.engines.clone() {
                let label = format!("{} entities on {}", counted(entities), engine.name());
                session.step(&label)?;
                measure(session, &engine, entities)?;
            }
        }
    }
    session.note(
        "the engines of this release are memory and disk; SQLite and PostgreSQL, and a PostgreSQL in parts, come with \
         later ones",
    );
    Ok(())
}

/// What must come out of the questions, known from the entities alone.
#[derive(Default)]
struct Expected {
    /// How many meet the conditions.
    matching: u64,
    /// Where some of them are.
    positions: Vec<Coordinates>,
}

fn measure(session: &mut Session<'_, '_>, engine: &Engine, entities: u64) -> Result<()> {
    let subject = Subject::new(&engine.store(), &session.options.folder)?;
    let mut store = subject.open()?;
    let generator = Generator::new(session.options.seed, None);
    let (mut seconds, mut expected, mut stored) = (0.0, Expected::default(), 0);
    for from in (0..entities).step_by(MADE as usize) {
        let made: Vec<Entity> = (from..(from + MADE).min(entities)).map(|n| generator.entity(n)).collect();
        expected.matching += made.iter().filter(|entity| is_wanted(entity)).count() as u64;
        if expected.positions.len() < QUESTIONS {
            let positions = made.iter().take(QUESTIONS).map(|entity| entity.coordinates().clone());
            expected.positions.extend(positions);
        }
        session.goes_on()?;
        let (part, new) = timed(|| put(&store, made));
        (seconds, stored) = (seconds + part, stored + new?);
    }
    session.check(Some(engine), stored == entities, || format!("{stored} of {entities} entities were new"));
    let size = counted(entities);
    let definition = format!(
        "Entities that are in memory, by batches of {} through Store::loader: canonical forms, addresses, and commits, each \
         of which is on the device before the next one is acknowledged, if the engine has a device.",
        counted(BATCH)
    );
    let draft = Draft::rate(format!("load.{entities}"), format!("load, batches synced, {size} entities"));
    session.sample(draft.by(definition).published(PUBLISHED).on(engine), entities as f64 / seconds);
    if subject.is_lasting() {
        store.close().map_err(Error::store("closing a store that was loaded"))?;
        drop(store);
        let (seconds, opened) = timed(|| subject.open());
        store = opened?;
        let definition = "Store::open until the store answers, its files in the page cache.";
        let draft = Draft::time(format!("open.{entities}"), format!("open, {size} entities"));
        session.sample(draft.by(definition).on(engine), seconds);
        let each = store.engine().stats().disk_bytes as f64 / entities as f64;
        let definition = "Bytes in the files of the store, by the number of entities.";
        let draft =
            Draft::bytes(format!("disk.{entities}"), format!("on disk for an entity, {size} entities"));
        session.sample(draft.by(definition).on(engine), each);
    }
    wait_for_index(&store, session.asks())?;
    let there = store.engine().stats().entities;
    session.check(Some(engine), there == entities, || format!("{there} of {entities} entities are there"));
    ask(session, engine, &store, entities, &expected)
}

/// Stores entities in batches; how many were new.
fn put(store: &Store, made: Vec<Entity>) -> Result<u64> {
    let failed = || Error::store("storing entities");
    let mut loader = store.loader(Durability::Synced).map_err(failed())?;
    let mut made = made.into_iter();
    while made.len() > 0 {
        let mut batch = Batch::new();
        made.by_ref().take(BATCH as usize).for_each(|entity| {
            batch.put_entity(entity);
        });
        loader.commit(batch).map_err(failed())?;
    }
    Ok(loader.finish().map_err(failed())?.entities_new)
}

/// Asks by coordinates and by similarity.
fn ask(
    session: &mut Session<'_, '_>,
    engine: &Engine,
    store: &Store,
    entities: u64,
    expected: &Expected,
) -> Result<()> {
    let failed = || Error::store("asking for entities");
    let query = Query { filter: filter(), limit: ROWS, ..Query::default() };
    let (mut counts, mut finds, mut nears) = (Vec::new(), Vec::new(), Vec::new());
    for position in &expected.positions {
        let (seconds, count) = timed(|| store.engine().count(&query.filter));
        counts.push(seconds);
        let count = count.map_err(failed())?;
        session.check(Some(engine), count == expected.matching, || {
            format!("{count} entities meet the conditions; {} do", expected.matching)
        });
        let (seconds, page) = timed(|| store.engine().find(black_box(&query)));
        finds.push(seconds);
        let rows = page.map_err(failed())?.entities.into_iter().map(|row| row.entity());
        let rows = rows.collect::<statlas_store::Result<Vec<_>>>().map_err(failed())?;
        let is_right = rows.len() as u64 == expected.matching.min(ROWS as u64) && rows.iter().all(is_wanted);
        session
            .check(Some(engine), is_right, || "rows do not meet the conditions, or are missing".to_owned());
        let (seconds, near) = timed(|| store.engine().near(position, NEIGHBOURS, None));
        nears.push(seconds);
        let near = near.map_err(failed())?;
        // What is at the position itself is as similar as can be.
        let is_right = near.is_sorted_by(|a, b| a.similarity >= b.similarity) && !near.is_empty();
        session.check(Some(engine), is_right, || "neighbours are not in their order".to_owned());
    }
    let size = counted(entities);
    let share = Unit::Share.format(expected.matching as f64 / entities as f64);
    let conditions = format!(
        "Realm in {}, horizon {HORIZON}, luminosity {} to {}, which {share} meet; the median of {QUESTIONS}, one thread.",
        REALMS.join(" or "),
        LUMINOSITY.0,
        LUMINOSITY.1
    );
    for (id, name, times, definition) in [
        ("count", "three conditions, count", counts, conditions.clone()),
        ("find", "three conditions, the first 100 rows", finds, conditions),
        ("near", "the 10 most similar", nears, format!("The median of {QUESTIONS} positions, one thread.")),
    ] {
        let draft = Draft::time(format!("{id}.{entities}"), format!("{name}, {size} entities"));
        session.sample_if(draft.by(definition).on(engine), median(&times));
    }
    Ok(())
}

fn filter() -> Filter {
    Filter {
        realm: REALMS.into_iter().filter_map(Identifier::new).collect(),
        horizon: Identifier::new(HORIZON).into_iter().collect(),
        luminosity: Interval { min: Some(LUMINOSITY.0), max: Some(LUMINOSITY.1) },
        ..Filter::default()
    }
}

/// Whether an entity meets the conditions, decided without a store.
fn is_wanted(entity: &Entity) -> bool {
    let coordinates = entity.coordinates();
    let Dimensions::FractalStat(fractal) = &coordinates.dimensions else { return false };
    REALMS.contains(&coordinates.realm.as_str())
        && coordinates.horizon.as_str() == HORIZON
        && (LUMINOSITY.0..=LUMINOSITY.1).contains(&fractal.luminosity())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_conditions_are_met_by_some_and_not_by_others() {
        let generator = Generator::new(42, None);
        let wanted = (0..20_000).filter(|n| is_wanted(&generator.entity(*n))).count();
        assert!((100..2000).contains(&wanted), "{wanted}");
        let filter = filter();
        assert_eq!((filter.realm.len(), filter.horizon.len()), (2, 1));
    }
}
