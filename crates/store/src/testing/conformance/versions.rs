//! Versions of an id, and the rules that new ones keep.

use statlas_core::{Address, EntityParts};

use super::{Open, Outcome, commit, refused};
use crate::testing::sample::{adjacency, name, plain, stat7, state, time, version};
use crate::testing::twin::{Twin, same};
use crate::{Batch, ErrorKind, Store};

fn versions(store: &Store, id: &str) -> Outcome<Vec<Address>> {
    Ok(store.engine().versions(id)?)
}

pub(crate) fn versions_are_in_the_order_of_their_commits(open: Open<'_>) -> Outcome {
    let store = open();
    let mut expected = Vec::new();
    for number in 0..20 {
        expected.push(store.put(version("a", number))?);
        store.put(version("b", number))?;
        same("versions", &versions(&store, "a")?, &expected)?;
        let head = store.head("a")?.ok_or("there is a head")?;
        same("head", &head.address(), &expected[number])?;
    }
    same("versions of an unknown id", &versions(&store, "c")?, &Vec::new())?;
    same("head of an unknown id", &store.head("c")?, &None)
}

pub(crate) fn versions_in_one_batch_are_in_the_order_of_the_batch(open: Open<'_>) -> Outcome {
    let store = open();
    let first = store.put(version("a", 9))?;
    let (mut added, _) = commit(&store, |batch| {
        // Addresses are random, so an order by address would show.
        (0..9).map(|number| batch.put_entity(version("a", number))).collect::<Vec<_>>()
    })?;
    added.insert(0, first);
    same("versions", &versions(&store, "a")?, &added)
}

pub(crate) fn ids_that_look_alike_are_told_apart(open: Open<'_>) -> Outcome {
    let store = open();
    let long = "x".repeat(1023);
    let (long_a, long_b) = (format!("{long}a"), format!("{long}b"));
    let ids = [
        "a",
        "A",
        "aa",
        "a ",
        "a\0",
        "é",
        "e\u{301}",
        "\u{10ffff}",
        "2a803d24",
        "0",
        &long,
        &long_a,
        &long_b,
    ];
    let mut addresses = Vec::new();
    for id in ids {
        addresses.push(store.put(version(id, 1))?);
    }
    for (id, address) in ids.iter().zip(addresses) {
        same(&format!("versions of {id:?}"), &versions(&store, id)?, &vec![address])?;
    }
    same("ids", &store.engine().stats().ids, &(ids.len() as u64))
}

pub(crate) fn a_version_that_changes_what_must_not_change_is_refused(open: Open<'_>) -> Outcome {
    let store = open();
    let first = |parts: &mut EntityParts| parts.coordinates.adjacency = adjacency(&["n1", "n2"]);
    let address = store.put(plain("a", first))?;
    type Change = fn(&mut EntityParts);
    let changes: [(&str, Change); 7] = [
        ("entity_type", |parts| parts.entity_type = name("agent")),
        ("realm", |parts| parts.realm = name("void")),
        ("coordinates.realm", |parts| parts.coordinates.realm = name("void")),
        ("coordinates.lineage", |parts| parts.coordinates.lineage = 2),
        ("created_at", |parts| parts.created_at = time(1)),
        ("coordinates.adjacency", |parts| parts.coordinates.adjacency = adjacency(&["n1"])),
        ("coordinates.adjacency", |parts| parts.coordinates.adjacency = adjacency(&["n1", "n3"])),
    ];
    for (field, change) in changes {
        let error = refused(&store, |batch| {
            let entity = plain("a", |parts| {
                first(parts);
                change(parts);
            });
            batch.put_entity(entity);
        });
        same(field, &(error.kind(), error.operation()), &(ErrorKind::Mutability, Some(0)))?;
        assert!(error.to_string().contains(field), "{error} must name {field}");
    }
    same("versions", &versions(&store, "a")?, &vec![address])?;
    let allowed = plain("a", |parts| {
        parts.coordinates.adjacency = adjacency(&["n0", "n1", "n2"]);
        parts.coordinates.horizon = name("decay");
        parts.coordinates.dimensions = stat7(-1.0, 1.0, 0.0);
        parts.state = state(r#"{"anything":[]}"#);
    });
    let second = store.put(allowed)?;
    same("versions", &versions(&store, "a")?, &vec![address, second])
}

pub(crate) fn two_versions_in_one_batch_obey_the_mutability_rules(open: Open<'_>) -> Outcome {
    let mut twin = Twin::new(open());
    let with = |members: &[&str]| plain("a", |parts| parts.coordinates.adjacency = adjacency(members));
    let mut bad = Batch::new();
    bad.put_entity(with(&["n1"]));
    bad.put_entity(with(&["n1", "n2"]));
    bad.put_entity(with(&["n1", "n3"]));
    same("refused", &twin.commit(&bad, crate::Durability::Synced)?, &None)?;
    same("versions", &twin.engine().versions("a")?, &Vec::new())?;
    let mut good = Batch::new();
    good.put_entity(with(&["n1"]));
    good.put_entity(with(&["n1", "n2"]));
    good.put_entity(with(&["n1", "n2", "n3"]));
    twin.commit_accepted(&good)?;
    twin.compare_all()
}

pub(crate) fn the_version_before_a_removed_head_is_the_head(open: Open<'_>) -> Outcome {
    let store = open();
    let mut left = Vec::new();
    for number in 0..4 {
        left.push(store.put(version("a", number))?);
    }
    // The head, one from the middle, the first, and the last that is left.
    for at in [3, 1, 0, 0] {
        let gone = left.remove(at);
        commit(&store, |batch| batch.remove_entity(gone))?;
        same("versions", &versions(&store, "a")?, &left)?;
        let head = store.head("a")?.map(|head| head.address());
        same("head", &head, &left.last().copied())?;
        same("ids", &store.engine().stats().ids, &u64::from(!left.is_empty()))?;
    }
    Ok(())
}

pub(crate) fn rules_look_at_the_head_that_is_left(open: Open<'_>) -> Outcome {
    let mut twin = Twin::new(open());
    let with = |members: &[&str]| plain("a", |parts| parts.coordinates.adjacency = adjacency(members));
    let other = plain("a", |parts| parts.coordinates.lineage = 9);
    let put = |twin: &mut Twin, entity: &statlas_core::Entity, accepted: bool| {
        let mut batch = Batch::new();
        batch.put_entity(entity.clone());
        let commit = twin.commit(&batch, crate::Durability::Synced)?;
        same("whether it was accepted", &commit.is_some(), &accepted)
    };
    let remove = |twin: &mut Twin, entity: &statlas_core::Entity| {
        let mut batch = Batch::new();
        batch.remove_entity(entity.address());
        twin.commit_accepted(&batch)
    };
    put(&mut twin, &with(&["n1"]), true)?;
    put(&mut twin, &with(&["n1", "n2"]), true)?;
    put(&mut twin, &with(&["n1", "n3"]), false)?;
    remove(&mut twin, &with(&["n1", "n2"]))?;
    put(&mut twin, &with(&["n1", "n3"]), true)?;
    put(&mut twin, &other, false)?;
    remove(&mut twin, &with(&["n1"]))?;
    remove(&mut twin, &with(&["n1", "n3"]))?;
    put(&mut twin, &other, true)?;
    twin.compare_all()
}

pub(crate) fn removing_in_a_batch_is_seen_by_the_rules_of_that_batch(open: Open<'_>) -> Outcome {
    let mut twin = Twin::new(open());
    let with = |members: &[&str]| plain("a", |parts| parts.coordinates.adjacency = adjacency(members));
    let mut first = Batch::new();
    first.put_entity(with(&["n1"]));
    first.put_entity(with(&["n1", "n2"]));
    twin.commit_accepted(&first)?;
    let mut second = Batch::new();
    second.remove_entity(with(&["n1", "n2"]).address());
    second.put_entity(with(&["n1", "n3"]));
    second.remove_entity(with(&["n1", "n3"]).address());
    second.remove_entity(with(&["n1"]).address());
    second.put_entity(plain("a", |parts| parts.coordinates.lineage = 9));
    twin.commit_accepted(&second)?;
    same("versions", &twin.engine().versions("a")?.len(), &1)?;
    twin.compare_all()
}
