//! The queue of batches that wait to be committed, and whose turn it is to commit them.
//!
//! Whoever commits takes all that wait and leaves each its answer. What is to be synced takes its turn: one of
//! those who wait leads, and while it syncs, others come and wait. Then one of those leads. They sleep until they
//! are called, so that nobody asks for the commit lock only to find an answer, and the next leader does not have to
//! get ahead of those who are on their way out. What need not be synced is done in microseconds, less than it
//! takes to be woken: it asks for the commit lock for about as long, and may find that it was done meanwhile.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, MutexGuard};

use super::encode::EncodedBatch;
use super::writer::Writer;
use crate::engine::{Commit, Durability};
use crate::error::{Error, ErrorKind, Result};

/// How long a leader waits for those who were just answered and may come back: a fraction of what a sync takes.
const GATHERING: Duration = Duration::from_micros(40);

/// How often the commit lock is asked for before a thread goes to sleep: for some six microseconds, about what a group
/// takes that is not synced.
const TRIES: usize = 300;

/// A batch that waits for its answer.
pub(super) struct Request {
    pub(super) encoded: Mutex<Option<EncodedBatch>>,
    pub(super) durability: Durability,
    turn: Mutex<Turn>,
    called: Condvar,
}

/// What became of a request.
#[derive(Default)]
struct Turn {
    /// Whether its owner is to commit what waits.
    leads: bool,
    answer: Option<Result<Commit>>,
    /// Whether there was an answer, which its owner may have taken.
    is_answered: bool,
}

impl Request {
    pub(super) fn new(encoded: EncodedBatch, durability: Durability) -> Arc<Self> {
        Arc::new(Self {
            encoded: Mutex::new(Some(encoded)),
            durability,
            turn: Mutex::default(),
            called: Condvar::new(),
        })
    }

    pub(super) fn answer(&self, answer: Result<Commit>) {
        let mut turn = self.turn.lock();
        (turn.answer, turn.is_answered) = (Some(answer), true);
        drop(turn);
        self.called.notify_all();
    }

    fn lead(&self) {
        self.turn.lock().leads = true;
        self.called.notify_all();
    }

    /// Waits for the answer; `None` if its owner is to lead, whether there is an answer or not.
    fn wait(&self) -> Option<Result<Commit>> {
        let mut turn = self.turn.lock();
        loop {
            if turn.leads {
                return None;
            }
            if let Some(answer) = turn.answer.take() {
                return Some(answer);
            }
            self.called.wait(&mut turn);
        }
    }

    /// The commit lock, unless the answer comes first. What need not be synced is done sooner than a thread can be put
    /// to sleep and woken, so both are asked for again and again before that.
    fn answer_or_turn<'a>(
        &self,
        writer: &'a Mutex<Writer>,
    ) -> std::result::Result<MutexGuard<'a, Writer>, Result<Commit>> {
        // There every attempt is a place where another thread may go on.
        let tries = if cfg!(shuttle) { 0 } else { TRIES };
        let mut found = None;
        for _ in 0..tries {
            found = writer.try_lock();
            if found.is_some() {
                break;
            }
            if let Some(answer) = self.find_answer() {
                return Err(answer);
            }
            std::hint::spin_loop();
        }
        let writer = found.unwrap_or_else(|| writer.lock());
        // It may have been answered just before.
        self.find_answer().map_or(Ok(writer), Err)
    }

    /// The answer, if it was given.
    fn find_answer(&self) -> Option<Result<Commit>> {
        self.turn.lock().answer.take()
    }

    /// The answer, which somebody under the commit lock has given.
    pub(super) fn take_answer(&self) -> Result<Commit> {
        self.find_answer().unwrap_or_else(|| Err(unanswered()))
    }
}

fn unanswered() -> Error {
    Error::new(
        ErrorKind::Poisoned,
        "a bug ended the commit; whether the batch was stored will be known when the store is opened again",
    )
}

/// Those who wait.
#[derive(Default)]
pub(super) struct Queue(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    requests: Vec<Arc<Request>>,
    has_leader: bool,
    /// How many were committed together the last time.
    last_group: usize,
}

impl Queue {
    /// Puts a request behind the others and returns its answer; `commit` may be given all that wait then, and
    /// gives each its answer.
    pub(super) fn commit(
        &self,
        request: &Arc<Request>,
        writer: &Mutex<Writer>,
        commit: impl FnOnce(&mut Writer, &[Arc<Request>]),
    ) -> Result<Commit> {
        if request.durability < Durability::Synced {
            self.0.lock().requests.push(Arc::clone(request));
            let writer = match request.answer_or_turn(writer) {
                Ok(writer) => writer,
                Err(answer) => return answer,
            };
            self.commit_all(writer, commit);
            return request.take_answer();
        }
        let is_first = {
            let mut waiting = self.0.lock();
            waiting.requests.push(Arc::clone(request));
            !std::mem::replace(&mut waiting.has_leader, true)
        };
        if !is_first {
            if let Some(answer) = request.wait() {
                return answer;
            }
            self.gather();
        }
        let leading = Leading(self);
        self.commit_all(writer.lock(), commit);
        drop(leading);
        request.take_answer()
    }

    fn commit_all(
        &self,
        mut writer: MutexGuard<'_, Writer>,
        commit: impl FnOnce(&mut Writer, &[Arc<Request>]),
    ) {
        let mut waiting = self.0.lock();
        let taken = Taken(std::mem::take(&mut waiting.requests));
        waiting.last_group = taken.0.len();
        drop(waiting);
        commit(&mut writer, &taken.0);
    }

    /// Waits a moment for as many as there were the last time: a sync for each half of them takes twice as long.
    fn gather(&self) {
        // There the time that passes would make every run another one.
        if cfg!(shuttle) {
            return;
        }
        let begun = Instant::now();
        let is_short = || {
            let waiting = self.0.lock();
            waiting.requests.len() < waiting.last_group
        };
        while is_short() && begun.elapsed() < GATHERING {
            std::thread::yield_now();
        }
    }
}

/// Requests of which each has an answer when this is dropped, also by a panic.
struct Taken(Vec<Arc<Request>>);

impl Drop for Taken {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.iter().filter(|request| !request.turn.lock().is_answered).for_each(|request| {
                request.answer(Err(unanswered()));
            });
        }
    }
}

/// The leader's part, which another one takes over when this is dropped, also by a panic.
struct Leading<'a>(&'a Queue);

impl Drop for Leading<'_> {
    fn drop(&mut self) {
        let mut waiting = self.0.0.lock();
        // The others ask for the commit lock themselves.
        match waiting.requests.iter().find(|request| request.durability == Durability::Synced) {
            Some(next) => next.lead(),
            None => waiting.has_leader = false,
        }
    }
}
