//! One thread produces, several work, the caller's thread consumes in the order of production.
//!
//! The number of items under way is bounded, so memory is too. The threads are not tied to the caller: one
//! that waits for standard input does not keep an interrupted program from ending.

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

/// Where the producer puts its items.
pub(crate) struct Feed<I, O> {
    jobs: Sender<(I, Sender<O>)>,
    order: Sender<Receiver<O>>,
}

impl<I, O> Feed<I, O> {
    /// Waits for room and adds an item. False if nobody wants more: the producer then returns.
    pub(crate) fn push(&self, item: I) -> bool {
        let (done, result) = bounded(1);
        self.order.send(result).is_ok() && self.jobs.send((item, done)).is_ok()
    }
}

/// How many threads work: all that the machine has, and at least two so that reading overlaps with work.
pub(crate) fn workers() -> usize {
    thread::available_parallelism().map_or(2, usize::from).max(2)
}

/// Runs the three stages. `under_way` bounds the items between production and consumption.
///
/// # Errors
///
/// The first error of the consumer, else that of the producer after everything before it was consumed.
pub(crate) fn run<I, O>(
    under_way: usize,
    interrupt: &Interrupt,
    produce: impl FnOnce(&Feed<I, O>) -> Result<()> + Send + 'static,
    work: impl Fn(I) -> O + Clone + Send + 'static,
    mut consume: impl FnMut(O) -> Result<()>,
) -> Result<End>
where
    I: Send + 'static,
    O: Send + 'static,
{
    let (jobs, job_list) = bounded(under_way);
    let (order, results) = bounded(under_way);
    let workers: Vec<JoinHandle<()>> =
        (0..workers()).map(|_| spawn_worker(job_list.clone(), work.clone())).collect::<Result<_>>()?;
    drop((job_list, work));
    let producer = spawn("produce", move || produce(&Feed { jobs, order }))?;
    while let Some(result) = wait(&results, interrupt)? {
        let Some(output) = result.next(interrupt)? else { return Ok(End::Interrupted) };
        consume(output)?;
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
struct Pending<O>(Receiver<O>);

impl<O> Pending<O> {
    /// The result; `None` if Ctrl-C came.
    fn next(self, interrupt: &Interrupt) -> Result<Option<O>> {
        loop {
            match self.0.recv_timeout(POLL) {
                Ok(output) => return Ok(Some(output)),
                Err(RecvTimeoutError::Timeout) if interrupt.is_set() => return Ok(None),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Err(anyhow!("a worker thread panicked")),
            }
        }
    }
}

/// The next item in order; `None` at the end or if Ctrl-C came.
fn wait<O>(results: &Receiver<Receiver<O>>, interrupt: &Interrupt) -> Result<Option<Pending<O>>> {
    loop {
        if interrupt.is_set() {
            return Ok(None);
        }
        match results.recv_timeout(POLL) {
            Ok(result) => return Ok(Some(Pending(result))),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::Duration;

    use super::{End, run};
    use crate::interrupt::Interrupt;

    #[test]
    fn results_come_in_the_order_of_production() {
        let mut seen = Vec::new();
        let end = run(
            3,
            &Interrupt::default(),
            |feed| {
                assert!((0..100_u64).all(|item| feed.push(item)));
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
            2,
            &Interrupt::default(),
            |feed| {
                while feed.push(1) {}
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
            2,
            &Interrupt::default(),
            |feed| {
                assert!(feed.push(1) && feed.push(1));
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
}
