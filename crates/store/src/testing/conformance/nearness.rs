//! The entities most similar to a position, and those with the nearest tokens, compared with comparing every one of them.

use super::{Open, Outcome};
use crate::testing::random::Random;
use crate::testing::sample::{crowd, neighbours, token, token_query, varied, varied_token, version};
use crate::testing::twin::{Twin, same};
use crate::{Batch, ErrorKind, TokenQuery};

fn crowded(open: Open<'_>) -> Outcome<Twin> {
    let mut twin = Twin::new(open());
    for entities in crowd(12, 300).chunks(50) {
        let mut batch = Batch::new();
        for entity in entities {
            batch.put_entity(entity.clone());
        }
        twin.commit_accepted(&batch)?;
    }
    Ok(twin)
}

pub(crate) fn near_is_what_comparing_with_every_entity_finds(open: Open<'_>) -> Outcome {
    let twin = crowded(open)?;
    let mut random = Random::new(13);
    for number in 0..60 {
        let neighbours = neighbours(&mut random);
        // A position that is taken, then one that is not.
        let id = if number % 2 == 0 { format!("crowd-12-{number}") } else { format!("nobody-{number}") };
        let position = varied(&mut random, &id, neighbours).coordinates().clone();
        for k in [0, 1, 10, 299, 300, 1000] {
            twin.compare_near(&position, k, None)?;
        }
    }
    Ok(())
}

pub(crate) fn entities_that_are_equally_near_come_in_the_order_of_their_commits(open: Open<'_>) -> Outcome {
    let store = open();
    let mut expected = Vec::new();
    for number in 0..20 {
        expected.push(store.put(version("a", number))?);
        expected.push(store.put(version(&format!("b{number}"), 0))?);
    }
    for k in [1, 7, 40] {
        let found = store.engine().near(version("a", 0).coordinates(), k, None)?;
        let addresses: Vec<_> = found.iter().map(|neighbour| neighbour.entity.address()).collect();
        same("addresses", &addresses, &expected[..k].to_vec())?;
        assert!(found.iter().all(|neighbour| neighbour.similarity == found[0].similarity));
    }
    Ok(())
}

pub(crate) fn near_leaves_out_one_entity_and_those_removed(open: Open<'_>) -> Outcome {
    let mut twin = crowded(open)?;
    let all: Vec<_> = twin.model().entities().cloned().collect();
    for entity in all.iter().step_by(17) {
        let position = entity.head()?.coordinates;
        twin.compare_near(&position, 5, Some(&entity.address()))?;
        twin.compare_near(&position, 5, Some(&version("absent", 1).address()))?;
        let mut batch = Batch::new();
        batch.remove_entity(entity.address());
        twin.commit_accepted(&batch)?;
        twin.compare_near(&position, 5, None)?;
    }
    Ok(())
}

pub(crate) fn near_token_is_what_comparing_with_every_token_finds(open: Open<'_>) -> Outcome {
    let twin = crowded(open)?;
    let mut random = Random::new(14);
    for _ in 0..300 {
        twin.compare_near_token(&token_query(&mut random))?;
    }
    Ok(())
}

pub(crate) fn tokens_that_are_equally_near_come_in_the_order_of_their_commits(open: Open<'_>) -> Outcome {
    let store = open();
    let mut expected = Vec::new();
    for number in 0..40 {
        let entity = version(&format!("a{}", number % 20), number);
        match number % 3 {
            0 => drop(store.put(entity)?),
            // Other numbers, the same place.
            _ => expected.push(store.put(entity.with_attachments(Some(token(number as u32)), None))?),
        }
    }
    for k in [1, 7, expected.len(), usize::MAX] {
        let found = store.engine().near_token(&TokenQuery::new(token(999), k))?;
        let addresses: Vec<_> = found.iter().map(|near| near.entity.address()).collect();
        same("addresses", &addresses, &expected[..k.min(expected.len())].to_vec())?;
        assert!(found.iter().all(|near| near.distance == 0.0));
    }
    Ok(())
}

pub(crate) fn near_token_leaves_out_one_entity_and_those_removed(open: Open<'_>) -> Outcome {
    let mut twin = crowded(open)?;
    let all: Vec<_> = twin.model().entities().cloned().collect();
    for entity in all.iter().filter(|entity| entity.token.is_some()).step_by(7) {
        let query = TokenQuery::new(*entity.token.as_deref().expect("it was asked for"), 5);
        twin.compare_near_token(&query)?;
        twin.compare_near_token(&TokenQuery { except: Some(entity.address()), ..query.clone() })?;
        let absent = Some(version("absent", 1).address());
        twin.compare_near_token(&TokenQuery { except: absent, ..query.clone() })?;
        let mut batch = Batch::new();
        batch.remove_entity(entity.address());
        twin.commit_accepted(&batch)?;
        twin.compare_near_token(&query)?;
    }
    Ok(())
}

pub(crate) fn versions_are_found_by_the_tokens_that_they_carry(open: Open<'_>) -> Outcome {
    let mut twin = Twin::new(open());
    let mut random = Random::new(15);
    for number in 0..30 {
        let mut batch = Batch::new();
        let token = random.chance(70).then(|| varied_token(&mut random));
        batch.put_entity(version("a", number).with_attachments(token, None));
        twin.commit_accepted(&batch)?;
        for _ in 0..5 {
            twin.compare_near_token(&token_query(&mut random))?;
        }
    }
    let all = TokenQuery::new(token(0), usize::MAX);
    twin.compare_near_token(&all)?;
    same("whether there are several", &(twin.engine().near_token(&all)?.len() > 1), &true)
}

pub(crate) fn a_radius_that_is_no_distance_is_refused(open: Open<'_>) -> Outcome {
    let store = open();
    store.put(version("a", 1).with_attachments(Some(token(1)), None))?;
    let found = |radius| {
        let found = store.engine().near_token(&TokenQuery { radius, ..TokenQuery::new(token(2), 3) });
        found.map(|found| found.len()).map_err(|error| error.kind())
    };
    for radius in [None, Some(0.0), Some(-0.0), Some(f64::INFINITY)] {
        same("found", &found(radius), &Ok(1))?;
    }
    for radius in [-1e-300, f64::NEG_INFINITY, f64::NAN] {
        same("found", &found(Some(radius)), &Err(ErrorKind::Invalid))?;
    }
    Ok(())
}
