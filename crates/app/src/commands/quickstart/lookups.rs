//! Every way of finding an entity, timed and verified.

use std::time::{Duration, Instant};

use anyhow::Result;
use statlas_core::{Address, Coordinates, Dimensions, Identifier, Profile};
use statlas_store::{Filter, Interval, Query, Store};

use super::report::Step;
use super::sample::Sample;
use crate::entity_table::ADDRESS_DIGITS_SHOWN;
use crate::output::{plural, thousands};
use crate::progress::Unit;
use crate::session::Session;

/// Prefixes that are looked up.
const PREFIXES_MAX: usize = 10_000;
/// How often the query by coordinates is asked.
const QUERIES: u64 = 100;
/// Rows that each of its answers has at most.
const ROWS: usize = 100;
/// Entities whose neighbours are looked for, and how many neighbours.
const NEAR: usize = 20;
const NEAR_K: usize = 10;
/// Wrong answers that are kept; one is enough to fail.
const WRONG_MAX: usize = 10;

/// Random addresses, each answer verified by its SHA-256.
pub(super) fn by_address(store: &Store, sample: &Sample, _: &Session) -> Result<Step> {
    let mut wrong = Vec::new();
    let begun = Instant::now();
    for address in &sample.addresses {
        let found = store.get(address)?;
        if found.is_none_or(|entity| Address::of(entity.canonical()) != *address) {
            note(&mut wrong, || format!("{address} was not found whole"));
        }
    }
    Ok(Step {
        name: "look up by address",
        done: format!(
            "{}, each verified by its SHA-256",
            plural(count(sample.addresses.len()), "random address", "random addresses")
        ),
        count: count(sample.addresses.len()),
        unit: "look-ups",
        time: begun.elapsed(),
        wrong,
    })
}

/// The first digits of random addresses.
pub(super) fn by_prefix(store: &Store, sample: &Sample, _: &Session) -> Result<Step> {
    let mut wrong = Vec::new();
    let addresses = &sample.addresses[..sample.addresses.len().min(PREFIXES_MAX)];
    let begun = Instant::now();
    for address in addresses {
        let digits = address.to_hex();
        let prefix = std::str::from_utf8(&digits[..ADDRESS_DIGITS_SHOWN])?;
        let found = store.engine().addresses(&prefix.parse()?, 2)?;
        if found != [*address] {
            note(&mut wrong, || format!("prefix {prefix} led to {found:?}"));
        }
    }
    Ok(Step {
        name: "look up by address prefix",
        done: format!(
            "{} of {ADDRESS_DIGITS_SHOWN} digits",
            plural(count(addresses.len()), "prefix", "prefixes")
        ),
        count: count(addresses.len()),
        unit: "look-ups",
        time: begun.elapsed(),
        wrong,
    })
}

/// The newest version of random ids.
pub(super) fn by_id(store: &Store, sample: &Sample, _: &Session) -> Result<Step> {
    let mut wrong = Vec::new();
    let begun = Instant::now();
    for id in &sample.ids {
        let found = store.head(id)?;
        let right = match &found {
            Some(entity) => entity.head()?.id == id.as_str(),
            None => false,
        };
        if !right {
            note(&mut wrong, || format!("id {id:?} was not found"));
        }
    }
    Ok(Step {
        name: "look up by id",
        done: plural(count(sample.ids.len()), "random id", "random ids"),
        count: count(sample.ids.len()),
        unit: "look-ups",
        time: begun.elapsed(),
        wrong,
    })
}

/// The query that is asked: three conditions.
pub(super) fn conditions() -> Filter {
    Filter {
        realm: ["data", "system"].into_iter().filter_map(Identifier::new).collect(),
        lineage: Interval { min: Some(1), max: Some(8) },
        resonance: Interval { min: Some(0.25), max: Some(0.75) },
        latest: true,
        ..Filter::default()
    }
}

/// Whether a position meets [`conditions`], tested one by one.
pub(super) fn meets(filter: &Filter, position: &Coordinates) -> bool {
    let resonance = match position.dimensions {
        Dimensions::Stat7(stat7) => filter.resonance.contains(&stat7.resonance()),
        Dimensions::FractalStat(_) => false,
    };
    resonance && filter.realm.contains(&position.realm) && filter.lineage.contains(&position.lineage)
}

/// One query, asked many times. How many rows match is compared with the count that the sample's pass over
/// all entities made, and each row of the answer is tested.
pub(super) fn by_coordinates(store: &Store, sample: &Sample, _: &Session) -> Result<Step> {
    let filter = conditions();
    let mut wrong = Vec::new();
    let matches = store.engine().count(&filter)?;
    if matches != sample.matches {
        note(&mut wrong, || format!("{matches} entities were counted, but {} match", sample.matches));
    }
    let query = Query { filter, limit: ROWS, ..Query::default() };
    for entity in store.engine().find(&query)?.entities {
        if !meets(&query.filter, &entity.head()?.coordinates) {
            note(&mut wrong, || format!("{} does not meet the conditions", entity.address()));
        }
    }
    let begun = Instant::now();
    for _ in 0..QUERIES {
        store.engine().find(&query)?;
    }
    let time = begun.elapsed();
    let (matches, entities) = (thousands(matches), thousands(sample.entities));
    Ok(Step {
        name: "find by coordinates",
        done: format!("3 conditions, {matches} of {entities} match, {ROWS} rows read, {QUERIES} times"),
        count: QUERIES,
        unit: "queries",
        time,
        wrong,
    })
}

/// The entities most similar to a few random ones.
pub(super) fn by_similarity(store: &Store, sample: &Sample, session: &Session) -> Result<Step> {
    let mut wrong = Vec::new();
    let mut time = Duration::ZERO;
    let addresses = &sample.addresses[..sample.addresses.len().min(NEAR)];
    let bar = session.output().progress("comparing", Some(count(addresses.len())), Unit::Count);
    for address in addresses {
        let Some(entity) = store.get(address)? else {
            note(&mut wrong, || format!("{address} was not found"));
            continue;
        };
        let position = entity.head()?.coordinates;
        let begun = Instant::now();
        let neighbours = store.engine().near(&position, NEAR_K, Some(address))?;
        time += begun.elapsed();
        let same = |profile: Profile| {
            neighbours
                .iter()
                .all(|one| one.entity.head().is_ok_and(|head| head.coordinates.profile() == profile))
        };
        let falling = neighbours.windows(2).all(|pair| pair[0].similarity >= pair[1].similarity);
        if !falling || !same(position.profile()) {
            note(&mut wrong, || {
                format!("the neighbours of {address} are out of order or of another profile")
            });
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    let searches = count(addresses.len());
    Ok(Step {
        name: "find by similarity",
        done: format!("the {NEAR_K} nearest of {}", plural(searches, "random entity", "random entities")),
        count: searches,
        unit: "searches",
        time,
        wrong,
    })
}

fn count(len: usize) -> u64 {
    len as u64
}

fn note(wrong: &mut Vec<String>, what: impl FnOnce() -> String) {
    if wrong.len() < WRONG_MAX {
        wrong.push(what());
    }
}
