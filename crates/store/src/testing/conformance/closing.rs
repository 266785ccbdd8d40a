//! A store that is closed.

use std::time::Duration;

use statlas_core::BlobId;

use super::{Open, Outcome, commit};
use crate::testing::sample::{token, version};
use crate::testing::twin::same;
use crate::{Batch, Durability, ErrorKind, Expected, Filter, Query, RecordKey, TokenQuery};

pub(crate) fn after_close_every_call_says_so(open: Open<'_>) -> Outcome {
    let store = open();
    let key = RecordKey::new("c", "k")?;
    let entity = version("a", 1);
    let address = store.put(entity.clone())?;
    let (blob, _) = commit(&store, |batch| {
        batch.put_record(key.clone(), b"v".to_vec(), Expected::Any);
        batch.put_blob(b"x".to_vec())
    })?;
    let other = store.clone();
    store.close()?;
    for engine in [store.engine(), other.engine()] {
        let mut batch = Batch::new();
        batch.put_entity(version("a", 2));
        let answers = [
            ("commit", engine.commit(batch, Durability::Buffered).map(drop)),
            ("sync", engine.sync()),
            ("entity", engine.entity(&address).map(drop)),
            ("absent entity", engine.entity(&version("a", 3).address()).map(drop)),
            ("entities", engine.entities(&[address]).map(drop)),
            ("addresses", engine.addresses(&address.to_string()[..4].parse()?, 9).map(drop)),
            ("versions", engine.versions("a").map(drop)),
            ("versions of an unknown id", engine.versions("b").map(drop)),
            ("find", engine.find(&Query::default()).map(drop)),
            ("count", engine.count(&Filter::default()).map(drop)),
            ("near", engine.near(entity.coordinates(), 1, None).map(drop)),
            ("near token", engine.near_token(&TokenQuery::new(token(1), 1)).map(drop)),
            ("blob", engine.blob(&blob).map(drop)),
            ("absent blob", engine.blob(&BlobId::of(b"absent")).map(drop)),
            ("has_blob", engine.has_blob(&blob).map(drop)),
            ("record", engine.record(&key).map(drop)),
            ("records", engine.records("c", None, 9).map(drop)),
            ("changes", engine.changes(0, 9).map(drop)),
            ("wait for a change", engine.wait_for_change(9, Duration::from_millis(1)).map(drop)),
            ("check", engine.check(&mut |_, _| {}).map(drop)),
        ];
        for (what, answer) in answers {
            same(what, &answer.map_err(|error| error.kind()), &Err(ErrorKind::Closed))?;
        }
        // Nothing is left to do, so there is nothing to fail.
        engine.close()?;
    }
    Ok(())
}
