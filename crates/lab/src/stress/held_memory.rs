//! Scenario 1.4: memory for an entity.

use statlas_store::limits::MEMORY_BYTES_MIN;

use super::child::measure_store;
use super::draft::{Draft, counted};
use super::engine::Engine;
use super::estimate::Cost;
use super::session::Session;
use super::sizes::Sizes;
use super::store_memory::{Act, StoreMemory, StoreRequest, Things};
use crate::error::{Error, Result};
use crate::report::Better;

const PUBLISHED: &str = "\"1.6 bytes\" in one place, 1.6 KB per entity in another";
/// Most bytes of the index for an entity.
const INDEX_BYTES_MAX: f64 = 32.0;

pub(super) fn cost(sizes: &Sizes, engines: &[Engine]) -> Cost {
    let each = |engine: &Engine| if engine.is_lasting() { 36e-6 } else { 9e-6 };
    let all: u64 = sizes.entities.iter().sum();
    let seconds = engines.iter().map(each).sum::<f64>() * all as f64 + 0.2;
    Cost { seconds, ..Cost::of_one_store(sizes.largest(), engines) }
}

pub(super) fn run(session: &mut Session<'_, '_>) -> Result<()> {
    for entities in session.sizes.entities.clone() {
        for engine in session.engines.clone() {
            session.step(&format!("{} entities on {}", counted(entities), engine.name()))?;
            let whole = measure(session, &engine, Things::Entities, entities, None)?;
            add(session, &engine, entities, &whole);
            if engine.is_lasting() {
                let limited = measure(session, &engine, Things::Entities, entities, Some(MEMORY_BYTES_MIN))?;
                add_limited(session, &engine, entities, &limited);
            }
        }
    }
    if session.options.child.is_none() {
        session.note(
            "memory was measured in this process, which has more than a store, and not in one of its own",
        );
    }
    Ok(())
}

/// What stores take that have so many things; of one on disk what it takes when it is opened again.
pub(super) fn measure(
    session: &mut Session<'_, '_>,
    engine: &Engine,
    things: Things,
    count: u64,
    memory_bytes_max: Option<u64>,
) -> Result<StoreMemory> {
    let folder = &session.options.folder;
    let failed = |error| Error::io(format!("making a folder in {}", folder.display()), error);
    let folder = tempfile::Builder::new().prefix("statlas-lab-").tempdir_in(folder).map_err(failed)?;
    let store = engine.is_lasting().then(|| folder.path().join("store"));
    let mut request =
        StoreRequest { act: Act::Store, things, count, seed: session.options.seed, store, memory_bytes_max };
    let child = session.options.child.as_ref();
    let mut answer = measure_store(child, request.clone(), session.asks())?;
    if engine.is_lasting() {
        let held_bytes_max = answer.held_bytes_max;
        request.act = Act::Open;
        answer = measure_store(child, request.clone(), session.asks())?;
        answer.held_bytes_max = answer.held_bytes_max.max(held_bytes_max);
        session.checked(Some(engine), count, answer.wrong, &answer.messages);
    }
    Ok(answer)
}

fn add(session: &mut Session<'_, '_>, engine: &Engine, entities: u64, answer: &StoreMemory) {
    let (each, size) = (|bytes: f64| bytes / entities as f64, counted(entities));
    let draft =
        |id: &str, name: &str| Draft::bytes(format!("{id}.{entities}"), format!("{name}, {size} entities"));
    if let Some(grown) = answer.grown_bytes {
        let definition = if engine.is_lasting() {
            "A process of its own opens the store, waits until its index is in memory, and reads every entity once: what \
             its memory that is no page of a file has grown by, for each. Pages of the log, which the system takes back \
             when it likes, are not in it."
        } else {
            "A process of its own stores the entities in batches of 1,000: what its memory that is no page of a file has \
             grown by, for each. Texts are in it, and whatever the allocator keeps."
        };
        let draft = draft("resident", "memory for an entity").by(definition).published(PUBLISHED).on(engine);
        session.sample(draft, each(grown));
    }
    if !engine.is_lasting() {
        return;
    }
    let definition = "Stats::index_bytes in that process, for each entity: tables that lead from addresses to entities, and \
                      from ids to their newest ones, as they are allocated.";
    let index = draft("index", "index for an entity").by(definition).published(PUBLISHED);
    session.sample(index.at_most(INDEX_BYTES_MAX).on(engine), each(answer.index_bytes as f64));
    let definition = "The same for each entry: an entity has one by its address, and one by its id.";
    let entry = draft("entry", "an entry of the index").by(definition).on(engine);
    session.sample(entry, answer.index_bytes as f64 / answer.index_entries.max(1) as f64);
    let definition =
        "What the store holds of its budget then, by its own account: indexes, filters, columns, caches.";
    let held = draft("held", "held by the store for an entity").by(definition).on(engine);
    session.sample(held, each(answer.held_bytes as f64));
}

/// What a store with the least budget that there is took of it.
fn add_limited(session: &mut Session<'_, '_>, engine: &Engine, entities: u64, answer: &StoreMemory) {
    let (size, budget) = (counted(entities), MEMORY_BYTES_MIN >> 20);
    let definition = format!(
        "The same with a budget of {budget} MiB: the most that the store held by its own account, while it was loaded and \
         while everything was read, by the budget."
    );
    let name = format!("most memory held, to a budget of {budget} MiB, {size} entities");
    let draft = Draft::ratio(format!("budget.{entities}"), name, Better::Lower).by(definition).at_most(1.0);
    session.sample(draft.on(engine), answer.held_bytes_max as f64 / answer.memory_bytes_max.max(1) as f64);
    if let Some(grown) = answer.grown_bytes {
        let definition = format!(
            "What the memory of a process that opens the store with a budget of {budget} MiB and reads everything has grown \
             by, pages of files not counted. The budget is about what grows with the store; the allocator keeps more."
        );
        let name = format!("memory with a budget of {budget} MiB, {size} entities");
        session.sample(Draft::bytes(format!("limited.{entities}"), name).by(definition).on(engine), grown);
    }
}
