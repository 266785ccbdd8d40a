//! Compares all that a sound store shows with the model.

use statlas_core::Address;

use super::Known;
use crate::engine::{Engine, NearToken, StoredEntity};
use crate::limits::ROWS_MAX;
use crate::query::{Query, TokenQuery};
use crate::testing::sample::{query, token_query};
use crate::testing::twin::{pages, same, same_entities};
use crate::testing::{Failure, Model, Random};

/// Compares every answer about what is known: content, order, figures, and that what is not there is
/// absent.
pub(crate) fn compare(engine: &dyn Engine, model: &Model, known: &Known) -> Result<(), Failure> {
    compare_figures(engine, model)?;
    compare_entities(engine, model, known)?;
    compare_queries(engine, model)?;
    for (id, blob) in &known.blobs {
        let expected = model.blob(id);
        same("whether a blob is there", &engine.has_blob(id)?, &expected.is_some())?;
        let found = engine.blob(id)?;
        if found != expected {
            let state = |is_there: bool| if is_there { "there" } else { "absent" };
            let (found, expected) = (found.is_some(), expected.is_some());
            let (bytes, is, should) = (blob.bytes.len(), state(found), state(expected));
            return Err(format!("blob {id} of {bytes} bytes is {is}; it should be {should} and right").into());
        }
    }
    let mut collection = None;
    for key in known.records.keys() {
        same("record", &engine.record(key)?, &model.record(key))?;
        if collection != Some(key.collection()) {
            collection = Some(key.collection());
            let expected = model.records(key.collection(), None, ROWS_MAX);
            same("records", &engine.records(key.collection(), None, ROWS_MAX)?, &expected)?;
        }
    }
    Ok(())
}

fn compare_figures(engine: &dyn Engine, model: &Model) -> Result<(), Failure> {
    let stats = engine.stats();
    same("revision", &stats.revision, &model.revision())?;
    same("number of entities", &stats.entities, &(model.entities().count() as u64))?;
    same("number of ids", &stats.ids, &(model.ids().len() as u64))?;
    same("number of blobs", &stats.blobs, &(model.blobs().count() as u64))?;
    same("number of records", &stats.records, &(model.all_records().count() as u64))
}

fn compare_entities(engine: &dyn Engine, model: &Model, known: &Known) -> Result<(), Failure> {
    let expected: Vec<StoredEntity> = model.entities().cloned().collect();
    let all = Query { limit: ROWS_MAX, ..Query::default() };
    same_entities("all rows", &pages(engine, &all, expected.len())?, &expected)?;
    let addresses: Vec<Address> = known.entities.keys().copied().collect();
    for (address, found) in addresses.iter().zip(engine.entities(&addresses)?) {
        let expected = expected.iter().find(|entity| entity.address == *address);
        same_entities("entity", found.as_slice(), expected.map_or(&[], std::slice::from_ref))?;
    }
    for id in known.ids.keys() {
        same("versions", &engine.versions(id)?, &model.versions(id))?;
    }
    Ok(())
}

/// One query and one search of each sort, others for each revision: what answers them is also made anew on opening.
fn compare_queries(engine: &dyn Engine, model: &Model) -> Result<(), Failure> {
    let mut random = Random::new(model.revision());
    let query = query(&mut random);
    let expected = model.find(&query);
    same_entities(&format!("{query:?}"), &pages(engine, &query, expected.len())?, &expected)?;
    same("count", &engine.count(&query.filter)?, &model.count(&query.filter))?;
    let Some(entity) = model.entities().last() else { return Ok(()) };
    let head = entity.head()?;
    let found = engine.near(&head.coordinates, 3, Some(&entity.address))?;
    let expected = model.near(&head.coordinates, 3, Some(&entity.address));
    let addresses = |neighbours: Vec<crate::engine::Neighbour>| -> Vec<Address> {
        neighbours.iter().map(|neighbour| neighbour.entity.address).collect()
    };
    same("near", &addresses(found), &addresses(expected))?;
    for except in [None, Some(entity.address)] {
        let query = TokenQuery { except, ..token_query(&mut random) };
        let split = |near: Vec<NearToken>| -> (Vec<f64>, Vec<StoredEntity>) {
            near.into_iter().map(|near| (near.distance, near.entity)).unzip()
        };
        let (found, expected) = (split(engine.near_token(&query)?), split(model.near_token(&query)));
        same("distances of tokens", &found.0, &expected.0)?;
        same_entities(&format!("{query:?}"), &found.1, &expected.1)?;
    }
    Ok(())
}
