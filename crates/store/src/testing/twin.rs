//! A store and the model side by side: what one is told the other is told, and their answers are compared.

use std::fmt::Debug;

use statlas_core::{Address, Coordinates};

use super::Failure;
use super::model::Model;
use crate::batch::Batch;
use crate::engine::{
    Commit, Durability, Engine, FreeOptions, FreeReport, NearToken, Neighbour, StoredEntity,
};
use crate::limits::ROWS_MAX;
use crate::query::{Filter, Query, TokenQuery};
use crate::store::Store;

type Outcome<T = ()> = Result<T, Failure>;

/// A store that must behave like the model.
pub struct Twin {
    store: Store,
    model: Model,
}

impl Twin {
    /// Both are empty.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self::with_model(store, Model::default())
    }

    /// The store holds what the model holds, or so it should.
    #[must_use]
    pub fn with_model(store: Store, model: Model) -> Self {
        Self { store, model }
    }

    /// The engine.
    #[must_use]
    pub fn engine(&self) -> &dyn Engine {
        self.store.engine()
    }

    /// The model.
    #[must_use]
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// Lets go of the store, closed before if `close`, and goes on with the one that `open` opens.
    ///
    /// # Errors
    ///
    /// If it can't be closed.
    pub fn reopen(self, open: &dyn Fn() -> Store, close: bool) -> Outcome<Self> {
        let Self { store, model } = self;
        if close {
            store.close()?;
        }
        drop(store);
        Ok(Self { store: open(), model })
    }

    /// Commits to both; both must refuse it for the same reason or do the same. `None` if they refuse.
    ///
    /// # Errors
    ///
    /// If they disagree.
    pub fn commit(&mut self, batch: &Batch, durability: Durability) -> Outcome<Option<Commit>> {
        let engine = self.store.commit(batch.clone(), durability);
        let model = self.model.commit(batch);
        match (engine, model) {
            (Ok(engine), Ok(model)) => same("commit", &engine, &model).map(|()| Some(engine)),
            (Err(error), Err((kind, operation))) => {
                let what = format!("commit, refused with \"{error}\"");
                same(&what, &(error.kind(), error.operation()), &(kind, Some(operation))).map(|()| None)
            }
            (engine, model) => Err(format!("commit: the store says {engine:?}, the model {model:?}").into()),
        }
    }

    /// Commits a batch that both must accept.
    ///
    /// # Errors
    ///
    /// If they do not.
    pub fn commit_accepted(&mut self, batch: &Batch) -> Outcome<Commit> {
        self.commit(batch, Durability::Synced)?.ok_or_else(|| "the batch was refused".into())
    }

    /// Frees blobs in both; of both the same must be gone.
    ///
    /// # Errors
    ///
    /// If they disagree.
    pub fn free_blobs(&mut self, options: &FreeOptions) -> Outcome<FreeReport> {
        let batches = self.model.batches_that_free(options.unnamed);
        let report = self.engine().free_blobs(options, &mut |_, _| {})?;
        let removed: usize = batches.iter().map(Batch::len).sum();
        same("blobs freed", &report.blobs(), &(removed as u64))?;
        for batch in batches.iter().filter(|_| !options.dry_run) {
            self.model.commit(batch).map_err(|refused| format!("the model refuses: {refused:?}"))?;
        }
        same("whether the freeing is complete", &report.is_complete, &true)?;
        Ok(report)
    }

    /// Compares the whole answer to a query, page by page, and the number of rows.
    ///
    /// # Errors
    ///
    /// If they disagree.
    pub fn compare_find(&self, query: &Query) -> Outcome {
        let expected = self.model.find(query);
        let found = pages(self.engine(), query, expected.len())?;
        same_entities(&format!("{query:?}"), &found, &expected)?;
        self.compare_count(&query.filter)
    }

    /// Compares the number of rows that meet a filter.
    ///
    /// # Errors
    ///
    /// If they disagree.
    pub fn compare_count(&self, filter: &Filter) -> Outcome {
        same(&format!("count of {filter:?}"), &self.engine().count(filter)?, &self.model.count(filter))
    }

    /// Compares the entities near a position.
    ///
    /// # Errors
    ///
    /// If they disagree, in the order of the answer too.
    pub fn compare_near(&self, position: &Coordinates, k: usize, except: Option<&Address>) -> Outcome {
        let (found, expected) =
            (self.engine().near(position, k, except)?, self.model.near(position, k, except));
        let summary = |neighbours: &[Neighbour]| -> Vec<(f64, Address)> {
            neighbours.iter().map(|neighbour| (neighbour.similarity, neighbour.entity.address)).collect()
        };
        same(
            &format!("near {position:?}, k = {k}, except {except:?}"),
            &summary(&found),
            &summary(&expected),
        )?;
        let entities = |neighbours: Vec<Neighbour>| -> Vec<StoredEntity> {
            neighbours.into_iter().map(|neighbour| neighbour.entity).collect()
        };
        same_entities("near", &entities(found), &entities(expected))
    }

    /// Compares the entities whose tokens are near one.
    ///
    /// # Errors
    ///
    /// If they disagree, in the order of the answer too.
    pub fn compare_near_token(&self, query: &TokenQuery) -> Outcome {
        let split = |near: Vec<NearToken>| -> (Vec<f64>, Vec<StoredEntity>) {
            near.into_iter().map(|near| (near.distance, near.entity)).unzip()
        };
        let (found, expected) =
            (split(self.engine().near_token(query)?), split(self.model.near_token(query)));
        same(&format!("distances of {query:?}"), &found.0, &expected.0)?;
        same_entities(&format!("{query:?}"), &found.1, &expected.1)
    }

    /// Compares the versions of an id.
    ///
    /// # Errors
    ///
    /// If they disagree.
    pub fn compare_versions(&self, id: &str) -> Outcome {
        same(&format!("versions of {id:?}"), &self.engine().versions(id)?, &self.model.versions(id))
    }

    /// Compares everything that is stored, and the figures.
    ///
    /// # Errors
    ///
    /// If they disagree.
    pub fn compare_all(&self) -> Outcome {
        let engine = self.engine();
        self.compare_find(&Query { limit: 1000, ..Query::default() })?;
        for expected in self.model.entities() {
            let found = engine.entity(&expected.address)?;
            same_entities("entity", found.as_slice(), std::slice::from_ref(expected))?;
        }
        let ids = self.model.ids();
        ids.iter().try_for_each(|id| self.compare_versions(id))?;
        for (id, expected) in self.model.blobs() {
            same(&format!("blob {id}"), &engine.blob(id)?.as_ref(), &Some(expected))?;
        }
        for expected in self.model.all_records() {
            same("record", &engine.record(&expected.key)?.as_ref(), &Some(expected))?;
            let collection = expected.key.collection();
            let expected = self.model.records(collection, None, ROWS_MAX);
            same("records", &engine.records(collection, None, ROWS_MAX)?, &expected)?;
        }
        let stats = engine.stats();
        same("revision", &stats.revision, &self.model.revision())?;
        same("number of entities", &stats.entities, &(self.model.entities().count() as u64))?;
        same("number of ids", &stats.ids, &(ids.len() as u64))?;
        same("number of blobs", &stats.blobs, &(self.model.blobs().count() as u64))?;
        same("number of records", &stats.records, &(self.model.all_records().count() as u64))
    }
}

/// An error that says how two answers differ, unless they are the same.
pub(super) fn same<T: PartialEq + Debug>(what: &str, found: &T, expected: &T) -> Outcome {
    if found == expected {
        return Ok(());
    }
    Err(format!("{what}:\n   found {found:?}\nexpected {expected:?}").into())
}

/// Whether two answers are the same entity, however the engines hold its bytes.
fn alike(found: &StoredEntity, expected: &StoredEntity) -> bool {
    found.address == expected.address
        && found.canonical() == expected.canonical()
        && (&found.token, found.blob) == (&expected.token, expected.blob)
}

/// As [`same`], without printing the entities byte by byte.
pub(super) fn same_entities(what: &str, found: &[StoredEntity], expected: &[StoredEntity]) -> Outcome {
    if found.len() == expected.len()
        && found.iter().zip(expected).all(|(found, expected)| alike(found, expected))
    {
        return Ok(());
    }
    let line = |entity: &StoredEntity| {
        let token = if entity.token.is_some() { ", a token" } else { "" };
        let text = String::from_utf8_lossy(entity.canonical());
        format!("\n  {} {text}{token}, blob {:?}", entity.address, entity.blob)
    };
    let list = |entities: &[StoredEntity]| entities.iter().map(line).collect::<String>();
    let at = found.iter().zip(expected).take_while(|(found, expected)| alike(found, expected)).count();
    let message = format!("{what}:\nrow {at} differs; found{}\nexpected{}", list(found), list(expected));
    Err(message.into())
}

/// Collects every page of an answer; a page is never longer than its limit, and pages come to an end.
pub(super) fn pages(engine: &dyn Engine, query: &Query, expected_rows: usize) -> Outcome<Vec<StoredEntity>> {
    let mut query = query.clone();
    let mut found = Vec::new();
    loop {
        let page = engine.find(&query)?;
        if page.entities.len() > query.limit || found.len() > expected_rows {
            return Err(
                format!("{query:?}: too many rows, {} in all", found.len() + page.entities.len()).into()
            );
        }
        if page.entities.is_empty() && page.next.is_some() {
            return Err(format!("{query:?}: an empty page says that there may be more").into());
        }
        found.extend(page.entities);
        match page.next {
            Some(next) => query.after = Some(next),
            None => return Ok(found),
        }
    }
}
