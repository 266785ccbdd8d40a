//! What is found by its token stays found, however a store came to be what it is.

use std::fs;
use std::path::Path;

use statlas_store::testing::{Model, Random, Twin, crowd, token_query};
use statlas_store::{
    BackupOptions, Batch, Durability, ErrorKind, Location, Options, Query, RepairOptions, Result, Store,
    TokenQuery, repair, restore,
};

use crate::aged::{compact, copy, flip, open};
use crate::durability::{folder, segments};

/// Compares many questions about tokens.
fn check(store: &Store, model: &Model, what: &str) {
    let twin = Twin::with_model(store.clone(), model.clone());
    let mut random = Random::new(21);
    let all: Vec<_> = model.entities().cloned().collect();
    for _ in 0..200 {
        let except = random.chance(30).then(|| random.pick(&all).address());
        let query = TokenQuery { except, ..token_query(&mut random) };
        if let Err(failure) = twin.compare_near_token(&query) {
            panic!("{what}: {failure}");
        }
    }
}

/// Entities in batches, about a third of them with a token, and removals of some of those before.
fn batches() -> Vec<Batch> {
    let mut random = Random::new(20);
    let entities = crowd(22, 300);
    let mut batches = Vec::new();
    for (number, some) in entities.chunks(6).enumerate() {
        let mut batch = Batch::new();
        for entity in some {
            batch.put_entity(entity.clone());
        }
        for _ in 0..2 {
            batch.remove_entity(random.pick(&entities[..(number + 1) * 6]).address());
        }
        batches.push(batch);
    }
    batches
}

fn filled(path: &Path) -> (Store, Model) {
    let (store, mut model) = (open(path), Model::default());
    for batch in batches() {
        model.commit(&batch).expect("it is legal");
        store.commit(batch, Durability::Written).expect("it is legal");
    }
    (store, model)
}

#[test]
fn tokens_are_found_after_a_kill_without_sidecars_and_after_compaction() {
    let folder = folder();
    let path = folder.path().join("store");
    let (store, model) = filled(&path);
    assert!(segments(&path).len() > 5, "most of it stands in complete segments");
    check(&store, &model, "as it was written");
    let killed = folder.path().join("killed");
    copy(&path, &killed);
    check(&open(&killed), &model, "the last segment read again");
    for sidecar in segments(&killed).iter().map(|segment| segment.with_extension("idx")) {
        drop(fs::remove_file(sidecar));
    }
    check(&open(&killed), &model, "all segments read again");
    compact(&store);
    check(&store, &model, "compacted");
    drop(store);
    let store = open(&path);
    check(&store, &model, "compacted and opened");
    drop(store);
    for sidecar in segments(&path).iter().map(|segment| segment.with_extension("idx")) {
        drop(fs::remove_file(sidecar));
    }
    check(&open(&path), &model, "compacted and read again");
}

#[test]
fn tokens_are_found_in_what_is_repaired_restored_or_loaded() {
    let folder = folder();
    let [path, repaired, backup, restored, loaded] =
        ["store", "repaired", "backup", "restored", "loaded"].map(|name| folder.path().join(name));
    let (store, model) = filled(&path);
    store.engine().backup(&backup, &BackupOptions::default(), &mut |_, _| {}).expect("it can be backed up");
    restore(&backup, &restored, &BackupOptions::default(), &mut |_, _| {}).expect("it can be restored");
    check(&open(&restored), &model, "restored");
    drop(store);
    repair(&path, &repaired, &RepairOptions::default(), &mut |_, _| {}).expect("it can be repaired");
    check(&open(&repaired), &model, "repaired");
    let store = open(&loaded);
    let mut loader = store.loader(Durability::Written).expect("the thread starts");
    batches().into_iter().for_each(|batch| loader.commit(batch).expect("it is legal"));
    loader.finish().expect("all of it is legal");
    check(&store, &model, "loaded");
}

#[test]
fn damaged_tokens_are_an_error_until_the_sidecar_is_made_again() {
    let folder = folder();
    let path = folder.path().join("store");
    let (store, model) = filled(&path);
    drop(store);
    let query =
        TokenQuery::new(*model.entities().find_map(|entity| entity.token()).expect("one has a token"), 5);
    let segment = segments(&path)[1].clone();
    let sidecar = segment.with_extension("idx");
    let whole = fs::read(&sidecar).expect("it is there");
    let token = model.entities().filter_map(|entity| entity.token());
    let mut places = token.filter_map(|token| {
        whole.windows(64).position(|window| window == token.to_bytes()).filter(|at| at.is_multiple_of(64))
    });
    flip(&sidecar, places.next().expect("a token stands in it") + 5);
    let store = open(&path);
    assert_eq!(store.engine().near_token(&query).map_err(|error| error.kind()), Err(ErrorKind::Corrupt));
    drop(store);
    check(&open(&path), &model, "made again");
    assert_eq!(fs::read(&sidecar).expect("it is there again"), whole);
}

#[test]
fn a_store_in_memory_finds_them_too() {
    let store = Store::open(&Location::Memory, &Options::default()).expect("it opens");
    let mut model = Model::default();
    for batch in batches() {
        model.commit(&batch).expect("it is legal");
        store.commit(batch, Durability::Synced).expect("it is legal");
    }
    check(&store, &model, "in memory");
}

#[test]
fn an_answer_larger_than_the_memory_is_refused_and_others_are_given() {
    let folder = folder();
    let memory = 16 << 20;
    let options = Options { memory_bytes_max: Some(memory), maintenance: false, ..Options::default() };
    let store = Store::open(&Location::Disk(folder.path().join("store")), &options).expect("it opens");
    let entities = crowd(23, 120_000);
    let mut token = None;
    for some in entities.chunks(2000) {
        let mut batch = Batch::new();
        for entity in some {
            let entity = entity.clone();
            token = token.or(entity.token().copied());
            batch.put_entity(entity);
        }
        store.commit(batch, Durability::Buffered).expect("it is stored");
    }
    let count = entities.len();
    let position = entities[0].coordinates();
    let engine = store.engine();
    let near = |k| engine.near(position, k, None).map(|found| found.len());
    let near_token =
        |k| engine.near_token(&TokenQuery::new(token.expect("some have one"), k)).map(|found| found.len());
    let find = |limit| engine.find(&Query { limit, ..Query::default() }).map(|page| page.entities.len());
    for ask in [&near as &dyn Fn(usize) -> _, &near_token, &find] {
        let refused: Result<usize> = ask(count);
        let error = refused.expect_err("it does not fit");
        assert_eq!(error.kind(), ErrorKind::NoMemory, "{error}");
        assert!(error.to_string().contains("ask for fewer"), "{error}");
        assert_eq!(ask(1000).expect("a few fit"), 1000);
    }
    engine.set_memory_bytes_max(256 << 20).expect("it can be changed");
    assert_eq!(find(count).expect("now it fits"), count);
    let held = engine.stats().memory.iter().find(|held| held.user == "answers").map(|held| held.bytes);
    assert_eq!(held, Some(0), "it is given back");
}
