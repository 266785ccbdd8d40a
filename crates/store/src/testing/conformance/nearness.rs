//! The entities most similar to a position, compared with comparing every one of them.

use super::{Open, Outcome};
use crate::Batch;
use crate::testing::random::Random;
use crate::testing::sample::{crowd, neighbours, varied, version};
use crate::testing::twin::{Twin, same};

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
