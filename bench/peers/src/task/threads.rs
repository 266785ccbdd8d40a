//! Threads that begin at the same moment.

use std::sync::{RwLock, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};

/// Runs `work` in threads numbered from 0. Each calls the function that it is given when it is ready; all return
/// from that call together. How long it took from then to the end of the last, and their results.
///
/// # Errors
///
/// The first error of a thread.
pub(super) fn together<R: Send>(
    threads: u64,
    work: impl Fn(u64, &dyn Fn()) -> Result<R> + Sync,
) -> Result<(Duration, Vec<R>)> {
    let (gate, work) = (RwLock::new(()), &work);
    let (ready, all_ready) = mpsc::channel();
    thread::scope(|scope| {
        let closed = gate.write().map_err(|_| anyhow!("the gate is broken"))?;
        let workers: Vec<_> = (0..threads)
            .map(|number| {
                let (ready, gate) = (ready.clone(), &gate);
                scope.spawn(move || {
                    let wait = || {
                        // Sending fails only after the receiver has seen every thread.
                        let _ = ready.send(());
                        drop(gate.read());
                    };
                    let result = work(number, &wait);
                    // One that failed before it was ready must not be waited for.
                    let _ = ready.send(());
                    result
                })
            })
            .collect();
        for _ in 0..threads {
            all_ready.recv()?;
        }
        let started = Instant::now();
        drop(closed);
        let results: Vec<_> = workers.into_iter().map(thread::ScopedJoinHandle::join).collect();
        let wall = started.elapsed();
        let results = results.into_iter().map(|result| result.map_err(|_| anyhow!("a thread panicked"))?);
        Ok((wall, results.collect::<Result<_>>()?))
    })
}
