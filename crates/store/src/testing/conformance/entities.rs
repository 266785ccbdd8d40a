//! Entities by address.

use statlas_core::{Address, AddressPrefix, BlobId, Entity};

use super::{Open, Outcome, commit};
use crate::testing::model::Model;
use crate::testing::sample::{adjacency, crowd, plain, state, token, version};
use crate::testing::twin::{Twin, same};

pub(crate) fn an_entity_comes_back_as_it_was_put(open: Open<'_>) -> Outcome {
    let store = open();
    for entity in crowd(1, 200) {
        let address = store.put(entity.clone())?;
        let found = store.get(&address)?.ok_or("it must be there")?;
        same("address", &found.address(), &address)?;
        same("canonical text", &found.canonical(), &&entity.canonical()[..])?;
        same("entity", &found.entity()?, &entity)?;
    }
    Ok(())
}

pub(crate) fn an_absent_entity_is_none(open: Open<'_>) -> Outcome {
    let store = open();
    let absent = version("a", 1).address();
    same("entity of an empty store", &store.get(&absent)?, &None)?;
    // The first bytes of an address are what an index looks at.
    let address = store.put(version("a", 2))?;
    for byte in [0, 7, 8, 31] {
        let mut neighbour = address;
        neighbour.0[byte] ^= 1;
        same("entity at an address that differs in one bit", &store.get(&neighbour)?, &None)?;
    }
    same("entity that is not stored", &store.get(&absent)?, &None)
}

pub(crate) fn what_is_attached_to_an_entity_comes_back(open: Open<'_>) -> Outcome {
    let store = open();
    let file = BlobId::of(b"a file that nobody has stored");
    let attachments =
        [(None, None), (Some(token(1)), None), (None, Some(file)), (Some(token(2)), Some(file))];
    for (number, (token, blob)) in attachments.into_iter().enumerate() {
        let address = store.put(version("a", number).with_attachments(token, blob))?;
        let found = store.get(&address)?.ok_or("it must be there")?;
        same("attachments", &(found.token().copied(), found.blob()), &(token, blob))?;
        same("entity", &found.entity()?, &version("a", number).with_attachments(token, blob))?;
    }
    Ok(())
}

pub(crate) fn entities_come_back_in_the_order_asked_for(open: Open<'_>) -> Outcome {
    let store = open();
    let stored = crowd(2, 5);
    let mut asked: Vec<Address> = Vec::new();
    for entity in &stored {
        asked.push(store.put(entity.clone())?);
    }
    asked.reverse();
    asked.insert(2, version("absent", 0).address());
    asked.push(asked[0]);
    let found = store.engine().entities(&asked)?;
    let addresses: Vec<_> =
        found.iter().map(|entity| entity.as_ref().map(crate::StoredEntity::address)).collect();
    let mut expected: Vec<_> = asked.iter().copied().map(Some).collect();
    expected[2] = None;
    same("addresses", &addresses, &expected)?;
    same("answer to no question", &store.engine().entities(&[])?, &Vec::new())
}

pub(crate) fn putting_an_entity_again_changes_nothing(open: Open<'_>) -> Outcome {
    let store = open();
    let entity = version("a", 1).with_attachments(Some(token(1)), None);
    let (address, first) = commit(&store, |batch| batch.put_entity(entity.clone()))?;
    let other = entity.clone().with_attachments(Some(token(2)), Some(BlobId::of(b"")));
    let (_, second) = commit(&store, |batch| {
        batch.put_entity(entity.clone());
        batch.put_entity(version("a", 1))
    })?;
    same("entities new and present", &(second.entities_new, second.entities_present), &(0, 2))?;
    same("revision", &second.revision, &first.revision)?;
    let refused = commit(&store, |batch| {
        batch.put_entity(version("b", 1));
        batch.put_entity(other)
    });
    let error = refused.err().ok_or("other attachments must be refused")?.downcast::<crate::Error>()?;
    same("kind and operation", &(error.kind(), error.operation()), &(crate::ErrorKind::Conflict, Some(1)))?;
    same("versions of what came with it", &store.engine().versions("b")?, &Vec::new())?;
    let found = store.get(&address)?.ok_or("it must be there")?;
    same("entity with what was attached first", &found.entity()?, &entity)?;
    same("versions", &store.engine().versions("a")?, &vec![address])
}

pub(crate) fn an_entity_that_is_removed_is_absent(open: Open<'_>) -> Outcome {
    let store = open();
    let (kept, gone) = (store.put(version("kept", 1))?, store.put(version("gone", 1))?);
    let (_, first) = commit(&store, |batch| batch.remove_entity(gone))?;
    same("others", &first.others, &1)?;
    same("removed entity", &store.get(&gone)?, &None)?;
    same("removed entity's versions", &store.engine().versions("gone")?, &Vec::new())?;
    let prefix: AddressPrefix = gone.to_string().parse()?;
    same("removed entity's address", &store.engine().addresses(&prefix, 9)?, &Vec::new())?;
    same("whether the other one is there", &store.get(&kept)?.is_some(), &true)?;
    let (_, second) = commit(&store, |batch| batch.remove_entity(gone))?;
    same("removing it again", &(second.others, second.revision), &(0, first.revision))
}

pub(crate) fn a_removed_entity_can_be_put_again(open: Open<'_>) -> Outcome {
    let store = open();
    let entity = version("a", 1).with_attachments(Some(token(1)), None);
    let (old, new) = (store.put(entity.clone())?, store.put(version("a", 2))?);
    commit(&store, |batch| batch.remove_entity(old))?;
    let again = entity.with_attachments(None, Some(BlobId::of(b"x")));
    let (_, counts) = commit(&store, |batch| batch.put_entity(again.clone()))?;
    same("entities new", &counts.entities_new, &1)?;
    same("versions", &store.engine().versions("a")?, &vec![new, old])?;
    let found = store.get(&old)?.ok_or("it must be there")?;
    same("entity with what was attached last", &found.entity()?, &again)
}

pub(crate) fn putting_and_removing_an_entity_in_one_batch_leaves_nothing(open: Open<'_>) -> Outcome {
    let mut twin = Twin::new(open());
    let mut batch = crate::Batch::new();
    let address = batch.put_entity(version("a", 1));
    batch.remove_entity(address);
    twin.commit_accepted(&batch)?;
    twin.compare_all()?;
    // And the other way round it is there, newer than it was.
    let mut batch = crate::Batch::new();
    batch.put_entity(version("a", 1));
    batch.put_entity(version("a", 2));
    batch.remove_entity(address);
    batch.put_entity(version("a", 1));
    twin.commit_accepted(&batch)?;
    same("versions", &twin.engine().versions("a")?, &vec![version("a", 2).address(), address])?;
    twin.compare_all()
}

/// Enough for several addresses to begin with the same four digits.
const ADDRESSES: usize = 2500;

pub(crate) fn the_addresses_with_a_prefix_come_in_order(open: Open<'_>) -> Outcome {
    let store = open();
    let mut model = Model::default();
    let mut batch = crate::Batch::new();
    let addresses: Vec<Address> =
        (0..ADDRESSES).map(|number| batch.put_entity(version(&format!("id {number}"), 0))).collect();
    addresses.iter().step_by(10).for_each(|address| batch.remove_entity(*address));
    model.commit(&batch).map_err(|error| format!("{error:?}"))?;
    store.commit(batch, crate::Durability::Synced)?;
    let mut several = 0;
    for address in &addresses {
        let text = address.to_string();
        for digits in [4, 5, 16, 17, 64] {
            let prefix: AddressPrefix = text[..digits].parse()?;
            let expected = model.addresses(&prefix, 10);
            several += usize::from(expected.len() > 1);
            same(&format!("addresses with {prefix}"), &store.engine().addresses(&prefix, 10)?, &expected)?;
            let first = expected.into_iter().take(1).collect();
            same(&format!("first address with {prefix}"), &store.engine().addresses(&prefix, 1)?, &first)?;
        }
    }
    assert!(several > 10, "the check itself needs prefixes of several addresses; found {several}");
    for text in ["0000", "ffff", "00000000", "ffffffffffffffffffff"] {
        let prefix: AddressPrefix = text.parse()?;
        let expected = model.addresses(&prefix, 10);
        same(&format!("addresses with {prefix}"), &store.engine().addresses(&prefix, 10)?, &expected)?;
    }
    same("none of them", &store.engine().addresses(&addresses[1].to_string()[..4].parse()?, 0)?, &Vec::new())
}

pub(crate) fn large_entities_come_back(open: Open<'_>) -> Outcome {
    let store = open();
    let text = "x".repeat(1_000_000);
    let members: Vec<String> = (0..65_536).map(|number| format!("neighbour-{number}")).collect();
    let members: Vec<&str> = members.iter().map(String::as_str).collect();
    let large: [Entity; 3] = [
        plain("large state", |parts| parts.state = state(&format!(r#"{{"text":"{text}"}}"#))),
        plain("large adjacency", |parts| parts.coordinates.adjacency = adjacency(&members)),
        plain(&"i".repeat(1024), |_| {}),
    ];
    for entity in large {
        let address = store.put(entity.clone())?;
        let found = store.get(&address)?.ok_or("it must be there")?;
        assert!(found.entity()? == entity, "{address} came back changed");
        same("versions", &store.engine().versions(entity.id())?, &vec![address])?;
    }
    Ok(())
}
