//! Threads that begin together, timed from when the first one begins to when the last one has ended.

use std::sync::Barrier;
use std::thread;
use std::time::Instant;

/// Runs the same work in so many threads, each of which is given its number; how long all of them took, in seconds, and
/// what came of each. Threads are made before anybody begins.
///
/// Each thread looks at the clock itself: whoever waits for them may be woken long after they began.
pub(super) fn together<T: Send>(threads: usize, work: impl Fn(usize) -> T + Sync) -> (f64, Vec<T>) {
    let (start, work) = (Barrier::new(threads), &work);
    let done: Vec<(Instant, Instant, T)> = thread::scope(|scope| {
        let begin = |number: usize| {
            let start = &start;
            scope.spawn(move || {
                start.wait();
                let begun = Instant::now();
                let value = work(number);
                (begun, Instant::now(), value)
            })
        };
        // All are made before the first one is waited for.
        let workers: Vec<_> = (0..threads).map(begin).collect();
        let join = |worker: thread::ScopedJoinHandle<'_, _>| {
            worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        workers.into_iter().map(join).collect()
    });
    let first = done.iter().map(|(begun, ..)| *begun).min();
    let last = done.iter().map(|(_, ended, _)| *ended).max();
    let passed = first.zip(last).map_or(0.0, |(first, last)| (last - first).as_secs_f64());
    (passed, done.into_iter().map(|(.., value)| value).collect())
}

#[cfg(test)]
mod tests {
    use std::thread::sleep;
    use std::time::Duration;

    use super::together;

    #[test]
    fn the_time_is_that_of_the_slowest_and_everybody_answers() {
        let (seconds, numbers) = together(3, |number| {
            sleep(Duration::from_millis(20 * number as u64));
            number
        });
        assert!(seconds >= 0.04, "{seconds}");
        assert_eq!(numbers, [0, 1, 2]);
    }
}
