//! Names that somebody chose so that they collide.

use std::path::Path;

use statlas_core::Address;
use statlas_store::testing::version;
use statlas_store::{Batch, Durability, Location, Options, Store};
use xxhash_rust::xxh3::xxh3_64;

use crate::durability::{folder, image, open};

/// Ids whose hashes begin with so many ones that no index of any size parts them.
const IDS_CHOSEN_TO_COLLIDE: [&str; 32] = [
    "[vz#mviY",
    "p}SAO<bX",
    "}?-bPq9F",
    "%QDc~/i[",
    "vxW^%v]K",
    "!0OJ~jph",
    "{Y41\\^c7",
    "QL1XA@c)",
    ">6x`HkCk",
    "DVJyj2Uy",
    "YHVNl~.{",
    "Y+.2G6B%",
    "-4@Wn$PR",
    "fhO@5ZK1",
    "\\[bb$amP",
    "YrQE^e~N",
    ".f|~&F1N",
    "S;{d/m1n",
    "hpo?QXv6",
    "&|m):sJ`",
    "_5Frq-63",
    "4s-O/Wx*",
    "?{1F5=mG",
    "N1-33]3H",
    "$/25`xzQ",
    "\\E(S0jsz",
    "FXe(g_Lm",
    "8+v@V6pi",
    ";-hyU5oQ",
    "`UasH$p,",
    "}*+U~7e/",
    "0$iwH)mg",
];

#[test]
fn ids_that_were_chosen_to_collide_are_stored_found_and_opened_again() {
    let folder = folder();
    let path = folder.path().join("store");
    let entities = IDS_CHOSEN_TO_COLLIDE.map(|id| version(id, 0));
    let store = open(&path);
    for entity in &entities {
        let mut batch = Batch::new();
        batch.put_entity(entity.clone());
        store.commit(batch, Durability::Written).expect("it is stored");
    }
    let images = [folder.path().join("killed"), path.clone()];
    image(&path, &images[0]);
    store.close().expect("it closes");
    for path in images {
        let store = open(&path);
        for entity in &entities {
            let found = store.head(entity.id()).expect("nothing is damaged").expect("it is there");
            assert_eq!(found.address(), entity.address());
        }
        let report = store.engine().check(&mut |_, _| {}).expect("it can be checked");
        assert!(report.damage.is_empty(), "{:?}", report.damage);
    }
}

fn open_with(path: &Path, segment_bytes: u64) -> Store {
    let options = Options { segment_bytes, maintenance: false, ..Options::default() };
    Store::open(&Location::Disk(path.to_owned()), &options).expect("it opens")
}

fn remove_all(store: &Store, addresses: &[Address]) {
    let mut batch = Batch::new();
    addresses.iter().for_each(|address| batch.remove_entity(*address));
    store.commit(batch, Durability::Written).expect("they are removed");
}

/// The store opens after it was killed and after it was closed, holds nothing, and takes what was removed.
fn assert_opens_empty(store: &Store, path: &Path) {
    let killed = path.with_extension("killed");
    image(path, &killed);
    store.close().expect("it closes");
    for path in [path, &killed] {
        let store = open_with(path, 64 << 20);
        assert_eq!(store.engine().stats().entities, 0);
        assert_eq!(store.head("id-7").expect("nothing is damaged").map(|head| head.address()), None);
        store.put(version("id-7", 0)).expect("it is stored");
    }
}

#[test]
fn ids_of_one_part_of_the_index_that_come_and_go_for_ever_leave_a_store_that_opens() {
    let folder = folder();
    let path = folder.path().join("store");
    let store = open_with(&path, 64 << 20);
    let mut ids = (0..).map(|number| format!("id-{number}")).filter(|id| xxh3_64(id.as_bytes()) >> 61 == 5);
    for _ in 0..300 {
        let entities: Vec<_> = ids.by_ref().take(26).map(|id| version(&id, 0)).collect();
        let mut batch = Batch::new();
        for entity in &entities {
            batch.put_entity(entity.clone());
        }
        store.commit(batch, Durability::Written).expect("it is stored");
        remove_all(&store, &entities.iter().map(|entity| entity.address()).collect::<Vec<_>>());
    }
    assert_opens_empty(&store, &path);
}

#[test]
fn versions_that_are_removed_the_newest_first_leave_a_store_that_opens() {
    let folder = folder();
    let path = folder.path().join("store");
    let store = open_with(&path, 4 << 20);
    let mut addresses = Vec::new();
    for ids in (0..30_000).collect::<Vec<_>>().chunks(10_000) {
        for number in 0..2 {
            let mut batch = Batch::new();
            for id in ids {
                let entity = version(&format!("id-{id}"), number);
                addresses.push((*id, number, entity.address()));
                batch.put_entity(entity);
            }
            store.commit(batch, Durability::Written).expect("it is stored");
        }
    }
    store.close().expect("it closes");
    // All removals stand in one file, which holds nothing else.
    let store = open_with(&path, 64 << 20);
    addresses.sort_unstable_by_key(|(id, number, _)| (*id, 1 - *number));
    let addresses: Vec<Address> = addresses.into_iter().map(|(_, _, address)| address).collect();
    for part in addresses.chunks(10_000) {
        remove_all(&store, part);
    }
    assert_opens_empty(&store, &path);
}
