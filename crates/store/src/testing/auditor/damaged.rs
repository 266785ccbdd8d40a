//! What a damaged store may answer: right, or that it can't; never wrong bytes, and never anything but
//! right about what the damage has not hit.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::ops::AddAssign;

use statlas_core::{Address, BlobId};

use super::Known;
use crate::batch::RecordKey;
use crate::engine::{Engine, StoredEntity};
use crate::error::{ErrorKind, Result};
use crate::limits::ROWS_MAX;
use crate::query::Query;
use crate::testing::{Failure, Model};

/// What damage may have hit.
#[derive(Debug, Clone, Default)]
pub(crate) struct Hit {
    /// Entities whose frame, or the frame of whose removal, is damaged.
    pub(crate) entities: BTreeSet<Address>,
    pub(crate) blobs: BTreeSet<BlobId>,
    pub(crate) records: BTreeSet<RecordKey>,
    /// Records whose revision may be lost: right or refused, but never absent or out of date.
    pub(crate) undated: BTreeSet<RecordKey>,
    /// Any of them may be hit: whole pieces of the log are gone.
    pub(crate) anything: bool,
}

impl Hit {
    /// Adds what something else has hit.
    pub(crate) fn extend(&mut self, other: Self) {
        self.entities.extend(other.entities);
        self.blobs.extend(other.blobs);
        self.records.extend(other.records);
        self.undated.extend(other.undated);
        self.anything |= other.anything;
    }

    fn is_any_entity(&self) -> bool {
        self.anything || !self.entities.is_empty()
    }

    pub(crate) fn entity(&self, address: &Address) -> bool {
        self.anything || self.entities.contains(address)
    }
}

/// What the answers about what was hit were like.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Answers {
    /// An error that says so.
    pub(crate) refused: u64,
    /// Absent, though it should be there.
    pub(crate) absent: u64,
    /// What it was before the damaged change, or though it was removed.
    pub(crate) outdated: u64,
}

impl AddAssign for Answers {
    fn add_assign(&mut self, other: Self) {
        self.refused += other.refused;
        self.absent += other.absent;
        self.outdated += other.outdated;
    }
}

/// Counts one answer: an error if it is none of what a damaged store may say.
struct Judge {
    answers: Answers,
    /// Whether the store says that something may be missing: only then may it be absent or out of date.
    is_told: bool,
}

impl Judge {
    /// `is_possible` tells whether what was found was once stored under that name.
    fn judge<T: PartialEq + Debug>(
        &mut self,
        what: &dyn Debug,
        found: Result<Option<T>>,
        expected: Option<&T>,
        is_hit: bool,
        is_possible: impl FnOnce(&T) -> bool,
    ) -> std::result::Result<(), Failure> {
        match found {
            Ok(found) if found.as_ref() == expected => {}
            Err(error) if is_hit && error.kind() == ErrorKind::Corrupt => self.answers.refused += 1,
            Ok(None) if is_hit && self.is_told => self.answers.absent += 1,
            Ok(Some(found)) if is_hit && self.is_told && is_possible(&found) => self.answers.outdated += 1,
            Ok(Some(found)) => {
                let (found, expected) = (excerpt(&found), excerpt(&expected));
                let message = format!("{what:?}: WRONG: found {found}, expected {expected}, hit: {is_hit}");
                return Err(message.into());
            }
            Ok(None) => {
                let is_told = self.is_told;
                return Err(
                    format!("{what:?}: absent; hit: {is_hit}, the store tells of damage: {is_told}").into()
                );
            }
            Err(error) => {
                let kind = error.kind();
                return Err(format!("{what:?}: {kind:?}: {error}, hit: {is_hit}").into());
            }
        }
        Ok(())
    }
}

impl Known {
    /// Asks a damaged store for everything and judges each answer.
    pub(crate) fn check_damaged(
        &self,
        engine: &dyn Engine,
        model: &Model,
        hit: &Hit,
    ) -> std::result::Result<Answers, Failure> {
        let is_told = !engine.stats().damage.is_empty() && engine.may_miss_entities();
        let mut judge = Judge { answers: Answers::default(), is_told };
        for (address, variants) in &self.entities {
            let found = engine.entity(address).map(|found| found.map(plain));
            let expected = model.entity(address).map(plain);
            let is_possible = |found: &StoredEntity| variants.contains(found);
            judge.judge(address, found, expected.as_ref(), hit.entity(address), is_possible)?;
        }
        for (id, blob) in &self.blobs {
            let is_hit = hit.anything || hit.blobs.contains(id);
            let expected = model.blob(id);
            // What was a chunk once may be a blob of its own.
            judge.judge(id, engine.blob(id), expected.as_ref(), is_hit, |found| found.bytes == blob.bytes)?;
        }
        // Of records, absence is never certain in a damaged store.
        judge.is_told = !engine.stats().damage.is_empty();
        for key in self.records.keys() {
            let is_hit = hit.anything || hit.records.contains(key);
            let expected = model.record(key);
            match engine.record(key) {
                Err(error) if hit.undated.contains(key) && error.kind() == ErrorKind::Corrupt => {
                    judge.answers.refused += 1;
                }
                found => {
                    judge.judge(key, found, expected.as_ref(), is_hit, |found| self.was_record(found))?
                }
            }
        }
        self.check_versions(engine, model, hit)?;
        self.check_rows(engine, model, hit)?;
        Ok(judge.answers)
    }

    /// Asks a store whose device fails for everything: each answer is right or an error.
    pub(crate) fn check_refusing(
        &self,
        engine: &dyn Engine,
        model: &Model,
    ) -> std::result::Result<(), Failure> {
        for address in self.entities.keys() {
            let found = engine.entity(address).map(|found| found.map(plain));
            right_or_refused(address, found, &model.entity(address).map(plain))?;
        }
        for id in self.blobs.keys() {
            right_or_refused(id, engine.blob(id), &model.blob(id))?;
        }
        for key in self.records.keys() {
            right_or_refused(key, engine.record(key), &model.record(key))?;
        }
        for id in self.ids.keys() {
            right_or_refused(id, engine.versions(id), &model.versions(id))?;
        }
        let addresses = |entities: Vec<StoredEntity>| -> Vec<Address> {
            entities.iter().map(StoredEntity::address).collect()
        };
        let all = engine.find(&Query { limit: ROWS_MAX, ..Query::default() });
        let expected = addresses(model.entities().cloned().collect());
        right_or_refused(&"all rows", all.map(|page| addresses(page.entities)), &expected)
    }

    /// Versions that are not hit keep their order, and none appears that never was one.
    fn check_versions(
        &self,
        engine: &dyn Engine,
        model: &Model,
        hit: &Hit,
    ) -> std::result::Result<(), Failure> {
        for (id, addresses) in &self.ids {
            let is_hit = addresses.iter().any(|address| hit.entity(address));
            let found = match engine.versions(id) {
                Ok(found) => found,
                Err(error) if is_hit && error.kind() == ErrorKind::Corrupt => continue,
                Err(error) => return Err(format!("versions of {id:?}: {:?}: {error}", error.kind()).into()),
            };
            in_order(&format!("versions of {id:?}"), &found, &model.versions(id), hit)?;
            if !found.iter().all(|address| addresses.contains(address)) {
                return Err(format!("versions of {id:?}: one is of another id: {found:?}").into());
            }
        }
        Ok(())
    }

    fn check_rows(&self, engine: &dyn Engine, model: &Model, hit: &Hit) -> std::result::Result<(), Failure> {
        let rows = match engine.find(&Query { limit: ROWS_MAX, ..Query::default() }) {
            Ok(page) => page.entities,
            Err(error) if hit.is_any_entity() && error.kind() == ErrorKind::Corrupt => return Ok(()),
            Err(error) => return Err(format!("all rows: {:?}: {error}", error.kind()).into()),
        };
        let found: Vec<Address> = rows.iter().map(StoredEntity::address).collect();
        for row in rows {
            let address = row.address;
            if !self.entities.get(&address).is_some_and(|variants| variants.contains(&plain(row))) {
                return Err(format!("all rows: {address} was never stored like that").into());
            }
        }
        let expected: Vec<Address> = model.entities().map(StoredEntity::address).collect();
        in_order("all rows", &found, &expected, hit)
    }
}

fn right_or_refused<T: PartialEq>(
    what: &dyn Debug,
    found: Result<T>,
    expected: &T,
) -> std::result::Result<(), Failure> {
    match found {
        Ok(found) if found == *expected => Ok(()),
        Ok(_) => Err(format!("{what:?}: WRONG content is returned").into()),
        Err(error) if matches!(error.kind(), ErrorKind::Io | ErrorKind::Corrupt) => Ok(()),
        Err(error) => Err(format!("{what:?}: {:?}: {error}", error.kind()).into()),
    }
}

/// What was not hit is all there, in its order and once.
fn in_order(
    what: &str,
    found: &[Address],
    expected: &[Address],
    hit: &Hit,
) -> std::result::Result<(), Failure> {
    let sound = |list: &[Address]| -> Vec<Address> {
        list.iter().filter(|address| !hit.entity(address)).copied().collect()
    };
    let mut once = BTreeSet::new();
    if let Some(twice) = found.iter().find(|address| !once.insert(**address)) {
        return Err(format!("{what}: {twice} is there twice").into());
    }
    let (found, expected) = (sound(found), sound(expected));
    if found == expected {
        return Ok(());
    }
    let at = found.iter().zip(&expected).take_while(|(found, expected)| found == expected).count();
    let (found, expected) = (found.get(at), expected.get(at));
    Err(format!("{what}, those not hit: number {at} is {found:?}, expected {expected:?}").into())
}

/// What a value looks like, of a long one the beginning and the end.
fn excerpt(value: &dyn Debug) -> String {
    let text: Vec<char> = format!("{value:?}").chars().collect();
    if text.len() <= 2 * EXCERPT_CHARS {
        return text.into_iter().collect();
    }
    let (start, end) = (&text[..EXCERPT_CHARS], &text[text.len() - EXCERPT_CHARS..]);
    start.iter().chain(&['…']).chain(end).collect()
}

const EXCERPT_CHARS: usize = 160;

/// The entity with only its canonical text in its buffer, so that two can be compared.
fn plain(mut entity: StoredEntity) -> StoredEntity {
    entity.bytes = entity.canonical().to_vec();
    entity.canonical = 0..entity.bytes.len();
    entity
}
