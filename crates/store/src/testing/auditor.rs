//! Knows what a store has acknowledged, and finds out whether it kept its word.
//!
//! The auditor does to a store what a test wants done, does the same to the model, and notes for each
//! answer what it promises: [`Durability::Written`] that the batch survives the process,
//! [`Durability::Synced`] the power cut, an error that the batch is there as a whole or not at all. When the
//! store was opened again it must hold exactly what some prefix of the batches made, and that prefix must
//! reach as far as was promised. It knows one thread, and leaves damage that no crash makes to
//! [`Known::check_damaged`].

mod compare;
mod damaged;
mod known;
#[cfg(test)]
mod tests;

use std::sync::{Arc, OnceLock};

pub(crate) use self::compare::compare;
pub(crate) use self::damaged::{Answers, Hit};
pub(crate) use self::known::Known;
use super::simulated_disk::Crash;
use super::twin::same;
use super::{Failure, Model};
use crate::batch::Batch;
use crate::engine::{Durability, Engine, FreeOptions};
use crate::error::{Error, ErrorKind};
use crate::store::Store;

/// How an error says that a batch will never be seen.
const NOT_STORED: &str = "the batch was not stored";

/// What a store holds after a batch.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) model: Model,
    /// The head of the hash chain, once the store has told it.
    chain_head: OnceLock<String>,
}

impl State {
    fn new(model: Model) -> Arc<Self> {
        Arc::new(Self { model, chain_head: OnceLock::new() })
    }

    fn revision(&self) -> u64 {
        self.model.revision()
    }
}

/// How a store took a call.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// As the model says, refusals included.
    Done,
    /// With an error that is not the caller's fault.
    Failed(Error),
}

/// What must be there after a crash at some moment.
#[derive(Debug, Clone)]
pub(crate) struct Promise {
    /// What may be there: the states from the revision `synced` on.
    states: Vec<Arc<State>>,
    synced: u64,
    written: u64,
}

/// The model of a store, with its past and what it promises.
pub(crate) struct Auditor {
    /// By revision: the last is what the store must show.
    states: Vec<Arc<State>>,
    /// What may be there too when the store is opened again: batches whose commit failed.
    in_doubt: Vec<Arc<State>>,
    /// The newest revision that survives the process.
    written: u64,
    /// The newest revision that survives a power cut.
    synced: u64,
    known: Known,
}

impl Default for Auditor {
    fn default() -> Self {
        let states = vec![State::new(Model::default())];
        Self { states, in_doubt: Vec::new(), written: 0, synced: 0, known: Known::default() }
    }
}

impl Auditor {
    fn newest(&self) -> &Arc<State> {
        self.states.last().expect("the first state is the empty one and stays")
    }

    /// What the store must show.
    pub(crate) fn model(&self) -> &Model {
        &self.newest().model
    }

    /// Everything that was ever stored.
    pub(crate) fn known(&self) -> &Known {
        &self.known
    }

    /// Whether a batch failed and it is not known whether it was stored.
    pub(crate) fn is_in_doubt(&self) -> bool {
        !self.in_doubt.is_empty()
    }

    /// What must and may be there if the power fails now.
    pub(crate) fn promise(&self) -> Promise {
        let states = self.states[self.synced as usize..].iter().chain(&self.in_doubt).cloned().collect();
        Promise { states, synced: self.synced, written: self.written }
    }

    /// Commits to the store, and judges its answer.
    pub(crate) fn commit(
        &mut self,
        store: &Store,
        batch: &Batch,
        durability: Durability,
    ) -> Result<Outcome, Failure> {
        self.known.learn(batch);
        let mut model = self.model().clone();
        let expected = model.commit(batch);
        match (store.commit(batch.clone(), durability), expected) {
            (Ok(found), Ok(expected)) => {
                same("commit", &found, &expected)?;
                if model.revision() > self.model().revision() {
                    self.in_doubt.clear();
                    self.known.date(batch, model.revision());
                    self.states.push(State::new(model));
                    self.newest().chain_head.get_or_init(|| store.engine().stats().chain_head);
                }
                self.reached(durability);
                Ok(Outcome::Done)
            }
            (Err(error), Err((kind, operation))) if error.operation().is_some() => {
                let what = format!("commit, refused with \"{error}\"");
                same(&what, &(error.kind(), error.operation()), &(kind, Some(operation)))?;
                Ok(Outcome::Done)
            }
            (Err(error), expected) if is_of_the_device(&error) => {
                // A store that takes no writes any more must not have taken this one, and one that says that
                // it was not stored is taken at its word.
                let never = [ErrorKind::Poisoned, ErrorKind::NoMemory];
                let is_denied = never.contains(&error.kind()) || error.to_string().contains(NOT_STORED);
                if expected.is_ok() && !is_denied && model.revision() > self.model().revision() {
                    self.in_doubt.push(State::new(model));
                }
                Ok(Outcome::Failed(error))
            }
            (found, expected) => {
                Err(format!("commit: the store says {found:?}, the model {expected:?}").into())
            }
        }
    }

    /// Notes what a store elsewhere has done, which acknowledged it with a durability, or did not.
    pub(crate) fn replay(&mut self, batch: &Batch, acknowledged: Option<Durability>) {
        self.known.learn(batch);
        let mut model = self.model().clone();
        let accepted = model.commit(batch).is_ok();
        if model.revision() > self.model().revision() {
            self.known.date(batch, model.revision());
            self.states.push(State::new(model));
        }
        if let Some(durability) = acknowledged.filter(|_| accepted) {
            self.reached(durability);
        }
    }

    /// Notes that a store elsewhere has synced.
    pub(crate) fn replay_sync(&mut self) {
        self.reached(Durability::Synced);
    }

    /// Frees the blobs that no entity names, and judges what is gone.
    pub(crate) fn free_blobs(&mut self, store: &Store) -> Result<Outcome, Failure> {
        let options = FreeOptions { unnamed: true, ..FreeOptions::default() };
        let batches = self.model().batches_that_free(true);
        let done = store.engine().free_blobs(&options, &mut |_, _| {});
        let revision = store.engine().stats().revision;
        // Of several, a power cut before the last call may leave some.
        let reached = if batches.len() > 1 { Durability::Written } else { Durability::Synced };
        let mut batches = batches.iter();
        while self.model().revision() < revision {
            let batch = batches.next().ok_or("more was freed than nothing needs")?;
            self.replay(batch, None);
        }
        match (done, batches.next()) {
            (Ok(_), None) => {
                self.in_doubt.clear();
                self.newest().chain_head.get_or_init(|| store.engine().stats().chain_head);
                self.reached(reached);
                Ok(Outcome::Done)
            }
            (Ok(report), Some(_)) => Err(format!("not all that nothing needs was freed: {report:?}").into()),
            (Err(error), next) if is_of_the_device(&error) => {
                let is_denied = error.kind() == ErrorKind::Poisoned || error.to_string().contains(NOT_STORED);
                let mut model = self.model().clone();
                if next.is_some_and(|batch| !is_denied && model.commit(batch).is_ok()) {
                    self.in_doubt.push(State::new(model));
                }
                Ok(Outcome::Failed(error))
            }
            (Err(error), _) => Err(format!("freeing blobs fails with {:?}: {error}", error.kind()).into()),
        }
    }

    /// Syncs the store, and believes it.
    pub(crate) fn sync(&mut self, store: &Store) -> Result<Outcome, Failure> {
        let done = store.engine().sync();
        self.believe(done, "sync")
    }

    /// Closes the store, and believes it.
    pub(crate) fn close(&mut self, store: &Store) -> Result<Outcome, Failure> {
        let done = store.close();
        self.believe(done, "close")
    }

    fn believe(&mut self, done: crate::error::Result<()>, what: &str) -> Result<Outcome, Failure> {
        match done {
            Ok(()) => {
                self.reached(Durability::Synced);
                Ok(Outcome::Done)
            }
            Err(error) if is_of_the_device(&error) => Ok(Outcome::Failed(error)),
            Err(error) => Err(format!("{what} fails with {:?}: {error}", error.kind()).into()),
        }
    }

    /// Everything acknowledged so far has reached a level.
    fn reached(&mut self, durability: Durability) {
        let newest = self.model().revision();
        if durability >= Durability::Written {
            self.written = newest;
        }
        if durability == Durability::Synced {
            self.synced = newest;
        }
    }

    /// Compares all that the store shows.
    pub(crate) fn compare(&self, store: &Store) -> Result<(), Failure> {
        compare(store.engine(), self.model(), &self.known)
    }

    /// Whether the store is one of those that it has been, all of it.
    pub(crate) fn is_some_past(&self, store: &Store) -> Result<(), Failure> {
        let revision = store.engine().stats().revision;
        let state = self.states.get(revision as usize).ok_or("it has a revision that never was")?;
        compare(store.engine(), &state.model, &self.known)
    }

    /// Compares what the store shows while its device can't be read, or has lost what was not synced: each
    /// answer is right, or an error that says so.
    pub(crate) fn compare_refusing(&self, store: &Store) -> Result<(), Failure> {
        self.known.check_refusing(store.engine(), self.model())
    }

    /// Checks a store that was opened again, and goes on from what it holds.
    pub(crate) fn settle(&mut self, store: &Store, crash: Crash) -> Result<(), Failure> {
        let state = self.promise().verify(store, &self.known, crash)?;
        self.states.truncate(state.revision() as usize);
        self.states.push(state);
        self.in_doubt.clear();
        let newest = self.model().revision();
        // The system had it, or it could not be read now; only a power cut shows what the device has.
        self.written = newest;
        self.synced = if crash == Crash::Killed { self.synced.min(newest) } else { newest };
        Ok(())
    }
}

impl Promise {
    /// What may be there at one of two moments, of which as much must be as of the earlier one.
    pub(crate) fn until(&self, later: &Self) -> Self {
        let newest = |promise: &Self| promise.states.last().map(|state| state.revision());
        let mut states = self.states.clone();
        if newest(later) > newest(self) {
            states.extend(later.states.iter().filter(|state| Some(state.revision()) > newest(self)).cloned());
        }
        Self { states, ..*self }
    }

    /// Finds out which of the states a store holds that was opened after a crash, and checks all of it.
    pub(crate) fn verify(&self, store: &Store, known: &Known, crash: Crash) -> Result<Arc<State>, Failure> {
        let stats = store.engine().stats();
        only_cut_tails("opening", &stats.damage)?;
        let floor = if crash == Crash::Killed { self.written } else { self.synced };
        if stats.revision < floor {
            return Err(format!(
                "revision {} is there, but revision {floor} was acknowledged as safe from this",
                stats.revision
            )
            .into());
        }
        let mut differs = None;
        for state in self.states.iter().filter(|state| state.revision() == stats.revision) {
            match compare(store.engine(), &state.model, known) {
                Ok(()) => {
                    check_sound(store.engine(), state)?;
                    return Ok(Arc::clone(state));
                }
                Err(failure) => differs = Some(failure),
            }
        }
        let all: Vec<u64> = self.states.iter().map(|state| state.revision()).collect();
        Err(differs
            .unwrap_or_else(|| format!("revision {} is there; possible are {all:?}", stats.revision).into()))
    }
}

/// The check of a store that only crashes have hurt finds nothing, and the chain that was promised.
fn check_sound(engine: &dyn Engine, state: &State) -> Result<(), Failure> {
    let report = engine.check(&mut |_, _| {})?;
    if let Some(line) = unread(&report.damage) {
        return Err(Error::new(ErrorKind::Io, line).into());
    }
    only_cut_tails("checking", &report.damage)?;
    let head = engine.stats().chain_head;
    if let Some(expected) = state.chain_head.get() {
        same("head of the hash chain", &head, expected)?;
    }
    same("head of the hash chain, checked", &report.chain_head, &head)
}

/// What was cut off with a torn batch is reported until somebody takes it away; nothing else is damaged.
pub(crate) fn only_cut_tails(what: &str, damage: &[String]) -> Result<(), Failure> {
    let other: Vec<&String> = damage.iter().filter(|line| !line.starts_with("cut/")).collect();
    if other.is_empty() { Ok(()) } else { Err(format!("{what} reports damage: {other:?}").into()) }
}

/// What a check tells of a file that could not be read: that is the device's fault, and no damage.
pub(crate) fn unread(damage: &[String]) -> Option<&String> {
    damage.iter().find(|line| line.contains("can't be read"))
}

/// Whether an error says that the device or the system failed, or that it did so before, or that memory is short.
pub(crate) fn is_of_the_device(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Io | ErrorKind::NoSpace | ErrorKind::Poisoned | ErrorKind::NoMemory)
}
