//! One thread produces, several work, the caller's thread consumes in the order of production.
//!
//! The items under way are bounded in number and in bytes, so memory is too. The threads are not tied to the
//! caller: one that waits for standard input does not keep an interrupted program from ending.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use crate::interrupt::Interrupt;

/// How often a waiting consumer looks whether it is to stop.
const POLL: Duration = Duration::from_millis(50);

/// Whether everything was consumed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// All of it.
    Complete,
    /// Ctrl-C came; what had been consumed by then was consumed whole.
    Interrupted,
}

/// How much may be under way between production and the end of consumption.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Room {
    /// Items.
    pub(crate) items: usize,
    /// Bytes that they hold; an item that holds more is under way alone.
    pub(crate) bytes: u64,
}

impl Room {
    /// Room for so many items, however large.
    pub(crate) fn items(items: usize) -> Self {
        Self { items, bytes: u64::MAX }
    }
}

/// Where the producer puts its items.
pub(crate) struct Feed<I, O> {
    jobs: Sender<(I, Sender<O>)>,
    order: Sender<Pending<O>>,
    held: Arc<Held>,
}

impl<I, O> Feed<I, O> {
    /// Waits for room and adds an item that holds about so many bytes until it is consumed. False if nobody
    /// wants more: the producer then returns.
    pub(crate) fn push(&self, item: I, bytes: u64) -> bool {
        let (done, result) = bounded(1);
        self.held.take(bytes)
            && self.order.send(Pending { result, bytes }).is_ok()
            && self.jobs.send((item, done)).is_ok()
    }
}

/// Bytes that are under way.
struct Held {
    bytes_max: u64,
    /// `None` when nobody wants more.
    bytes: Mutex<Option<u64>>,
    changed: Condvar,
}

impl Held {
    fn new(bytes_max: u64) -> Arc<Self> {
        Arc::new(Self { bytes_max, bytes: Mutex::new(Some(0)), changed: Condvar::new() })
    }

    /// Waits for room, or until there is nothing else under way; false if nobody wants more.
    fn take(&self, more: u64) -> bool {
        let has_no_room = |held: &mut Option<u64>| {
            held.is_some_and(|held| held > 0 && held.saturating_add(more) > self.bytes_max)
        };
        let waited = self.changed.wait_while(self.lock(), has_no_room);
        match &mut *waited.unwrap_or_else(PoisonError::into_inner) {
            Some(held) => {
                *held = held.saturating_add(more);
                true
            }
            None => false,
        }
    }

    fn give_back(&self, bytes: u64) {
        if let Some(held) = &mut *self.lock() {
            *held = held.saturating_sub(bytes);
        }
        self.changed.notify_all();
    }

    /// A number can't be half changed by whoever panicked.
    fn lock(&self) -> MutexGuard<'_, Option<u64>> {
        self.bytes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lets a producer that waits for room end, however the consumer ended.
struct Closing(Arc<Held>);

impl Drop for Closing {
    fn drop(&mut self) {
        *self.0.lock() = None;
        self.0.changed.notify_all();
    }
}

/// How many threads work: all that the machine has, and at least two so that reading overlaps with work.
pub(crate) fn workers() -> usize {
    thread::available_parallelism().map_or(2, usize::from).max(2)
}

/// Runs the three stages within `room`.
///
/// # Errors
///
/// The first error of the consumer, else that of the producer after everything before it was consumed.
pub(crate) fn run<I, O>(
    room: Room,
    interrupt: &Interrupt,
    produce: impl FnOnce(&Feed<I, O>) -> Result<()> + Send + 'static,
    work: impl Fn(I) -> O + Clone + Send + 'static,
    mut consume: impl FnMut(O) -> Result<()>,
) -> Result<End>
where
    I: Send + 'static,
    O: Send + 'static,
{
    let (jobs, job_list) = bounded(room.items);
    let (order, results) = bounded(room.items);
    let held = Held::new(room.bytes);
    let _closing = Closing(Arc::clone(&held));
    // More workers than items would be idle, and each has a stack and memory that it freed and keeps.
    let workers: Vec<JoinHandle<()>> = (0..workers().min(room.items))
        .map(|_| spawn_worker(job_list.clone(), work.clone()))
        .collect::<Result<_>>()?;
    drop((job_list, work));
    let feed = Feed { jobs, order, held: Arc::clone(&held) };
    let producer = spawn("produce", move || produce(&feed))?;
    while let Some(pending) = wait(&results, interrupt)? {
        let bytes = pending.bytes;
        let Some(output) = pending.next(interrupt)? else { return Ok(End::Interrupted) };
        consume(output)?;
        held.give_back(bytes);
    }
    if interrupt.is_set() {
        return Ok(End::Interrupted);
    }
    producer.join().map_err(|_| anyhow!("the thread that reads the input panicked"))??;
    for worker in workers {
        worker.join().map_err(|_| anyhow!("a worker thread panicked"))?;
    }
    Ok(End::Complete)
}

fn spawn_worker<I, O>(
    jobs: Receiver<(I, Sender<O>)>,
    work: impl Fn(I) -> O + Send + 'static,
) -> Result<JoinHandle<()>>
where
    I: Send + 'static,
    O: Send + 'static,
{
    spawn("work", move || {
        for (item, done) in jobs {
            // Nobody waits for the result of an item after an error.
            let _ = done.send(work(item));
        }
    })
}

/// Starts a thread with a name that debuggers and profilers show.
fn spawn<T: Send + 'static>(name: &str, body: impl FnOnce() -> T + Send + 'static) -> Result<JoinHandle<T>> {
    thread::Builder::new().name(name.to_owned()).spawn(body).context("cannot start a thread")
}

/// The place where the result of an item will arrive.
struct Pending<O> {
    result: Receiver<O>,
    /// What the item holds.
    bytes: u64,
}

impl<O> Pending<O> {
    /// The result; `None` if Ctrl-C came.
    fn next(self, interrupt: &Interrupt) -> Result<Option<O>> {
        loop {
            match self.result.recv_timeout(POLL) {
                Ok(output) => return Ok(Some(output)),
                Err(RecvTimeoutError::Timeout) if interrupt.is_set() => return Ok(None),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Err(anyhow!("a worker thread panicked")),
            }
        }
    }
}

/// The next item in order; `None` at the end or if Ctrl-C came.
fn wait<O>(results: &Receiver<Pending<O>>, interrupt: &Interrupt) -> Result<Option<Pending<O>>> {
    loop {
        if interrupt.is_set() {
            return Ok(None);
        }
        match results.recv_timeout(POLL) {
            Ok(result) => return Ok(Some(result)),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::thread;
    use std::time::Duration;

    use super::{End, Room, run};
    use crate::interrupt::Interrupt;

    #[test]
    fn results_come_in_the_order_of_production() {
        let mut seen = Vec::new();
        let end = run(
            Room::items(3),
            &Interrupt::default(),
            |feed| {
                assert!((0..100_u64).all(|item| feed.push(item, 1)));
                Ok(())
            },
            |item| {
                thread::sleep(Duration::from_micros(item % 7 * 50));
                item
            },
            |item| {
                seen.push(item);
                Ok(())
            },
        );
        assert_eq!(end.expect("no error"), End::Complete);
        assert!(seen.into_iter().eq(0..100));
    }

    #[test]
    fn an_error_of_the_consumer_ends_the_producer() {
        let end = run(
            Room::items(2),
            &Interrupt::default(),
            |feed| {
                while feed.push(1, 1) {}
                Ok(())
            },
            |item: u8| item,
            |_| anyhow::bail!("enough"),
        );
        assert_eq!(end.expect_err("the consumer failed").to_string(), "enough");
    }

    #[test]
    fn an_error_of_the_producer_comes_after_what_it_produced() {
        let mut seen = 0;
        let end = run(
            Room::items(2),
            &Interrupt::default(),
            |feed| {
                assert!(feed.push(1, 1) && feed.push(1, 1));
                anyhow::bail!("unreadable")
            },
            |item: u8| item,
            |_| {
                seen += 1;
                Ok(())
            },
        );
        assert_eq!(end.expect_err("the producer failed").to_string(), "unreadable");
        assert_eq!(seen, 2);
    }

    #[test]
    fn no_more_bytes_are_under_way_than_there_is_room_for_but_a_larger_item_comes_alone() {
        let under_way = Arc::new(AtomicU64::new(0));
        let (begun, ended) = (Arc::clone(&under_way), Arc::clone(&under_way));
        let mut consumed = 0;
        let end = run(
            Room { items: 8, bytes: 10 },
            &Interrupt::default(),
            move |feed| {
                for bytes in [3, 3, 3, 3, 50, 1, 10, 9, 2, 8].repeat(20) {
                    assert!(feed.push(bytes, bytes));
                }
                Ok(())
            },
            // An item is under way before a worker has it, so this counts some of them later than they begin.
            move |bytes| {
                let held = begun.fetch_add(bytes, Ordering::SeqCst) + bytes;
                assert!(held <= 10 || held == bytes, "{held} bytes are under way");
                bytes
            },
            |bytes| {
                consumed += bytes;
                ended.fetch_sub(bytes, Ordering::SeqCst);
                Ok(())
            },
        );
        assert_eq!((end.expect("no worker panicked"), consumed), (End::Complete, 92 * 20));
    }

    #[test]
    fn a_producer_that_waits_for_room_ends_with_the_consumer() {
        let (ended, waits) = crossbeam_channel::bounded(1);
        let end = run(
            Room { items: 100, bytes: 1 },
            &Interrupt::default(),
            move |feed| {
                while feed.push(1, 1) {}
                ended.send(()).map_err(Into::into)
            },
            |item: u8| item,
            |_| anyhow::bail!("enough"),
        );
        assert!(end.is_err());
        waits.recv().expect("the producer ended by itself");
    }
}
