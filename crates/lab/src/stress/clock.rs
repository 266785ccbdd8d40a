//! Time as it passes, and time of the processor.

use std::hint::black_box;
use std::time::Instant;

/// How long something takes, in seconds, and what it gives, which is not taken down before the clock has stopped.
pub(super) fn timed<T>(work: impl FnOnce() -> T) -> (f64, T) {
    let begun = Instant::now();
    let value = black_box(work());
    (begun.elapsed().as_secs_f64(), value)
}

/// The same in processor time of this thread; time as it passes where the system does not tell.
pub(super) fn processor_timed<T>(work: impl FnOnce() -> T) -> (f64, T) {
    let begun = thread_seconds();
    let (passed, value) = timed(work);
    (begun.zip(thread_seconds()).map_or(passed, |(begun, end)| end - begun), value)
}

/// Processor time that this thread has had, in seconds.
#[cfg(unix)]
fn thread_seconds() -> Option<f64> {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Some(time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9)
}

#[cfg(not(unix))]
fn thread_seconds() -> Option<f64> {
    None
}

#[cfg(all(test, unix))]
mod tests {
    use std::thread::sleep;
    use std::time::{Duration, Instant};

    use super::{processor_timed, timed};

    #[test]
    fn who_sleeps_takes_time_but_none_of_the_processor() {
        let length = Duration::from_millis(200);
        let (passed, of_processor) = timed(|| processor_timed(|| sleep(length)).0);
        assert!(of_processor < passed, "{of_processor} of {passed}");
        let begun = Instant::now();
        assert!(processor_timed(|| while begun.elapsed() < length {}).0 > 0.0);
    }
}
