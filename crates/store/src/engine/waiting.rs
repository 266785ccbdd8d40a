//! Waiting until something is so, at no cost to those who make it so while nobody waits.

use std::sync::atomic::{AtomicUsize, Ordering, fence};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

/// Those who wait for a change.
#[derive(Default)]
pub(super) struct Waiting {
    count: AtomicUsize,
    /// Held between the last look and falling asleep, so that no waking comes in between.
    asleep: Mutex<()>,
    changed: Condvar,
}

impl Waiting {
    /// Waits until `look` finds something, and looks for a last time after `at_most`. Who changes what it
    /// looks at calls [`Waiting::wake`].
    pub(super) fn wait<T>(&self, at_most: Duration, look: impl Fn() -> Option<T>) -> Option<T> {
        let found = look();
        if found.is_some() || at_most.is_zero() {
            return found;
        }
        // A time beyond what the clock can tell is for ever.
        let deadline = Instant::now().checked_add(at_most);
        self.count.fetch_add(1, Ordering::Relaxed);
        // Either who makes the change sees that somebody waits, or the look below sees the change.
        fence(Ordering::SeqCst);
        let found = self.sleep(deadline, look);
        self.count.fetch_sub(1, Ordering::Relaxed);
        found
    }

    fn sleep<T>(&self, deadline: Option<Instant>, look: impl Fn() -> Option<T>) -> Option<T> {
        let mut asleep = self.asleep.lock();
        loop {
            let found = look();
            if found.is_some() {
                return found;
            }
            let timed_out = match deadline {
                Some(deadline) => self.changed.wait_until(&mut asleep, deadline).timed_out(),
                None => {
                    self.changed.wait(&mut asleep);
                    false
                }
            };
            if timed_out {
                return look();
            }
        }
    }

    /// Lets all who wait look again. The change must have been made.
    pub(super) fn wake(&self) {
        fence(Ordering::SeqCst);
        if self.count.load(Ordering::Relaxed) > 0 {
            // Who looked before the change is asleep once the lock can be had.
            drop(self.asleep.lock());
            self.changed.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;
    use std::thread;

    use super::*;

    #[test]
    fn no_waking_is_lost() {
        let (waiting, number) = (Waiting::default(), AtomicU64::new(0));
        let beyond = |last: u64| Some(number.load(Ordering::Relaxed)).filter(|number| *number > last);
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    let mut last = 0;
                    while last < 2000 {
                        last =
                            waiting.wait(Duration::MAX, || beyond(last)).expect("it ends when it is found");
                    }
                });
            }
            for _ in 0..2000 {
                number.fetch_add(1, Ordering::Relaxed);
                waiting.wake();
            }
        });
        assert_eq!(waiting.count.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn waiting_ends_after_its_time() {
        let found: Option<()> = Waiting::default().wait(Duration::from_millis(1), || None);
        assert_eq!(found, None);
    }
}
