//! Keeping reading to a rate.

use std::time::{Duration, Instant};

/// How long a sleep lasts between two looks at whether it is still wanted.
const PIECE: Duration = Duration::from_millis(20);
/// No single frame is waited for longer: a rate that would take longer for it is exceeded.
const DEBT_MAX: Duration = Duration::from_mins(1);

/// Keeps reading to a rate.
pub(in crate::engine::disk) struct Throttle {
    bytes_per_second: u64,
    begun: Instant,
    bytes: u64,
    /// Time that was owed and is not asked for.
    forgiven: Duration,
    pub(in crate::engine::disk) waited: Duration,
}

impl Throttle {
    /// One that lets so many bytes pass a second, or all for 0.
    pub(in crate::engine::disk) fn new(bytes_per_second: u64) -> Self {
        let (forgiven, waited) = (Duration::ZERO, Duration::ZERO);
        Self { bytes_per_second, begun: Instant::now(), bytes: 0, forgiven, waited }
    }

    /// Takes note of bytes that were read, and sleeps if they are more than the rate allows; no longer than
    /// `goes_on` says yes.
    pub(in crate::engine::disk) fn wait(&mut self, bytes: u64, goes_on: &mut dyn FnMut() -> bool) {
        self.bytes += bytes;
        if self.bytes_per_second == 0 {
            return;
        }
        let mut debt = self.debt(self.begun.elapsed());
        while !debt.is_zero() && goes_on() {
            let piece = debt.min(PIECE);
            std::thread::sleep(piece);
            self.waited += piece;
            debt -= piece;
        }
    }

    /// How long to sleep when so much time has passed since the beginning.
    fn debt(&mut self, elapsed: Duration) -> Duration {
        let seconds = self.bytes as f64 / self.bytes_per_second as f64;
        let due = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
        let debt = due.saturating_sub(elapsed).saturating_sub(self.forgiven);
        self.forgiven += debt.saturating_sub(DEBT_MAX);
        debt.min(DEBT_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sleep_ends_when_nobody_wants_it_any_more() {
        let mut throttle = Throttle::new(1);
        let mut looks = 3;
        throttle.wait(48 << 20, &mut || {
            looks -= 1;
            looks >= 0
        });
        assert_eq!((looks, throttle.waited), (-1, PIECE * 3));
    }

    #[test]
    fn what_is_owed_for_a_frame_is_bounded_and_the_rate_is_kept_otherwise() {
        let seconds = Duration::from_secs;
        let mut throttle = Throttle::new(1 << 20);
        throttle.bytes = 48 << 20;
        assert_eq!(throttle.debt(seconds(8)), seconds(40));
        throttle.bytes = 448 << 20;
        assert_eq!(throttle.debt(seconds(48)), DEBT_MAX);
        // The rest of that is not asked for with the next frame.
        throttle.bytes += 1 << 20;
        assert_eq!(throttle.debt(seconds(48) + DEBT_MAX), seconds(1));
        let mut slowest = Throttle::new(1);
        slowest.bytes = u64::MAX;
        assert_eq!(slowest.debt(Duration::ZERO), DEBT_MAX);
    }
}
