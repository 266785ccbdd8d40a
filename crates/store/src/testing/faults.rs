//! The fault campaigns: thousands of disks that crashed, failed or rotted, each opened and audited.
//!
//! A state is one disk, or one run with one failing call; it follows from the seed and its number alone, so
//! that what fails can be repeated by itself; only [`kills`] depends on the operating system, which kills
//! processes whenever it likes. The campaigns have no clock: who wants them to end at some time passes `goes_on`.

mod at_rest;
mod crashes;
mod cuts;
mod failures;
mod flips;
mod kills;
mod layout;
mod memory;
mod run;
mod workload;

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

pub use self::kills::{KillOptions, kills, write_until_killed};
use super::Failure;

/// What is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Campaign {
    /// The power fails, or the process is killed, after each call.
    Crashes,
    /// Each call fails, once and for good, in each way that it can.
    Failures,
    /// Single bits of a store flip.
    Flips,
    /// Files are cut, emptied, removed, doubled and exchanged.
    Cuts,
    /// Reservations of memory are refused.
    Memory,
}

impl Campaign {
    /// Every campaign that needs no operating system.
    pub const ALL: [Self; 5] = [Self::Crashes, Self::Failures, Self::Flips, Self::Cuts, Self::Memory];

    /// The name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Crashes => "crashes",
            Self::Failures => "failures",
            Self::Flips => "flips",
            Self::Cuts => "cuts",
            Self::Memory => "memory",
        }
    }

    /// How many states show within seconds that nothing is badly wrong.
    #[must_use]
    pub fn states_quick(self) -> u64 {
        match self {
            Self::Crashes => 5_000,
            Self::Failures | Self::Cuts => 2_000,
            Self::Memory => 500,
            Self::Flips => 3_000,
        }
    }

    /// How many states a release should have passed: of flips and cuts, all that there are.
    #[must_use]
    pub fn states_full(self) -> u64 {
        match self {
            Self::Crashes => 100_000,
            Self::Failures | Self::Memory => 20_000,
            Self::Flips | Self::Cuts => u64::MAX,
        }
    }

    /// Tries as many states as the options say, on all processors.
    #[must_use]
    pub fn run(self, options: &FaultOptions<'_>) -> Tally {
        match self {
            Self::Crashes => crashes::run(options),
            Self::Failures => failures::run(options),
            Self::Flips => flips::run(options),
            Self::Cuts => cuts::run(options),
            Self::Memory => memory::run(options),
        }
    }
}

/// How much is tried.
#[derive(Clone, Copy)]
pub struct FaultOptions<'a> {
    /// Determines every state. Where one seed gives too few states, those behind it are taken too.
    pub seed: u64,
    /// At least so many states, if the campaign has so many.
    pub states: u64,
    /// Only the state with this number, of this seed.
    pub only: Option<u64>,
    /// Only the states with this remainder by this divisor, so that a long campaign can be run in parts.
    pub part: (u64, u64),
    /// Asked now and then; no new state is begun once it says no.
    pub goes_on: &'a (dyn Fn() -> bool + Sync),
}

impl FaultOptions<'static> {
    /// So many states, however long it takes.
    #[must_use]
    pub fn new(seed: u64, states: u64) -> Self {
        Self { seed, states, only: None, part: (0, 1), goes_on: &|| true }
    }
}

impl FaultOptions<'_> {
    /// Some states in words, and which part of them is tried.
    fn part_of(&self, which: String) -> String {
        match self.part {
            (_, 1) => which,
            (part, parts) => format!("part {} of {parts} of {which}", part + 1),
        }
    }
}

/// What a campaign came to.
#[derive(Debug)]
pub struct Tally {
    /// The name of the campaign.
    pub campaign: &'static str,
    /// Whether the number of a state determines it.
    is_repeatable: bool,
    /// How many states were tried.
    pub tried: u64,
    /// How many were asked for.
    wanted: u64,
    /// How many of them failed.
    pub failed: u64,
    /// The first state that failed in each way, and how many did.
    pub failures: Vec<(FailedState, u64)>,
    /// What was tried, in words.
    pub scope: String,
}

/// A state in which the store broke its word.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FailedState {
    /// The seed.
    pub seed: u64,
    /// The number of the state.
    pub state: u64,
    /// What went wrong.
    pub what: String,
}

impl FailedState {
    /// The same for states that fail in the same way: what went wrong without its numbers and names.
    fn way(&self) -> String {
        let line = self.what.lines().next().unwrap_or_default();
        let parts: Vec<&str> = line.split(": ").collect();
        let end = parts[parts.len().saturating_sub(2)..].join(" ");
        let words = end.split(|found: char| !found.is_alphanumeric());
        let words = words.filter(|word| !word.contains(|found: char| found.is_ascii_digit()));
        words.collect::<Vec<_>>().join(" ").chars().take(WAY_CHARS).collect()
    }
}

/// So much of what went wrong tells one way of failing from another.
const WAY_CHARS: usize = 90;

impl Tally {
    fn new(campaign: &'static str, is_repeatable: bool) -> Self {
        Self {
            campaign,
            is_repeatable,
            tried: 0,
            wanted: 0,
            failed: 0,
            failures: Vec::new(),
            scope: String::new(),
        }
    }

    fn fail(&mut self, failed: FailedState) {
        self.failed += 1;
        let way = failed.way();
        match self.failures.iter_mut().find(|(first, _)| first.way() == way) {
            Some((first, count)) => {
                *count += 1;
                if failed < *first {
                    *first = failed;
                }
            }
            None => self.failures.push((failed, 1)),
        }
        self.failures.sort();
    }

    /// The workload failed though nothing disturbed it.
    fn fail_undisturbed(&mut self, seed: u64, failure: &Failure) {
        self.tried += 1;
        self.fail(FailedState { seed, state: 0, what: format!("without any fault: {failure}") });
    }

    /// Ends a test.
    ///
    /// # Panics
    ///
    /// If a state failed, or if too few were tried.
    pub fn assert_sound(&self) {
        assert!(self.tried > 0, "{}: nothing was tried", self.campaign);
        assert!(
            self.tried >= self.wanted,
            "{}: only {} of {} states",
            self.campaign,
            self.tried,
            self.wanted
        );
        assert!(self.failed == 0, "{self}");
    }
}

/// Tries the states of one seed after another, until there are enough; how many seeds that were.
fn for_each_seed(
    tally: &mut Tally,
    options: &FaultOptions<'_>,
    mut try_seed: impl FnMut(&mut Tally, u64) -> Result<(), Failure>,
) -> usize {
    let mut seeds = 0;
    tally.wanted = if options.only.is_some() { 1 } else { options.states };
    for seed in options.seed.. {
        let enough = if options.only.is_some() { seeds > 0 } else { tally.tried >= options.states };
        if enough || !(options.goes_on)() {
            break;
        }
        seeds += 1;
        if let Err(failure) = try_seed(tally, seed) {
            tally.fail_undisturbed(seed, &failure);
        }
    }
    seeds
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} states tried, {} failed; {}", self.campaign, self.tried, self.failed, self.scope)?;
        for (FailedState { seed, state, what }, count) in &self.failures {
            let campaign = self.campaign;
            write!(f, "\n\n{campaign}, seed {seed}, state {state} and {} alike: {what}", count - 1)?;
            write!(f, "\nagain: cargo xtask faults --campaign {campaign} --seed {seed}")?;
            if self.is_repeatable {
                write!(f, " --state {state}")?;
            }
        }
        Ok(())
    }
}

/// What became of a state.
enum Tried {
    Sound,
    /// It is the same as another one.
    Skipped,
}

/// The states of a seed: `number` gives the number of each of `count`.
struct States<'a> {
    seed: u64,
    count: u64,
    number: &'a (dyn Fn(u64) -> u64 + Sync),
}

/// Tries states on all processors; a panic is a failure.
fn try_all(
    tally: &mut Tally,
    options: &FaultOptions<'_>,
    states: &States<'_>,
    work: &(dyn Fn(u64) -> Result<Tried, Failure> + Sync),
) {
    let seed = states.seed;
    let (count, (part, parts)) =
        if options.only.is_some() { (1, (0, 1)) } else { (states.count, options.part) };
    let (next, tried) = (AtomicU64::new(0), AtomicU64::new(0));
    let failed = Mutex::new(Vec::new());
    let try_some = || {
        while (options.goes_on)() {
            let at = next.fetch_add(1, Ordering::Relaxed) * parts + part;
            if at >= count {
                break;
            }
            let state = options.only.unwrap_or_else(|| (states.number)(at));
            let outcome = catch_unwind(AssertUnwindSafe(|| work(state)));
            let outcome = outcome.unwrap_or_else(|panic| Err(panic_message(&*panic).into()));
            if matches!(outcome, Ok(Tried::Skipped)) {
                continue;
            }
            tried.fetch_add(1, Ordering::Relaxed);
            if let Err(failure) = outcome {
                failed.lock().push(FailedState { seed, state, what: failure.to_string() });
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(try_some))));
    tally.tried += tried.into_inner();
    failed.into_inner().into_iter().for_each(|failed| tally.fail(failed));
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    format!("PANIC: {}", text.unwrap_or("of an unknown kind"))
}

#[cfg(test)]
mod tests {
    use super::{FailedState, FaultOptions, States, Tally, Tried, try_all};

    #[test]
    fn states_that_fail_alike_are_told_once_with_the_first_of_them() {
        let mut tally = Tally::new("trial", true);
        let states = States { seed: 7, count: 100, number: &|at| at * 3 };
        try_all(&mut tally, &FaultOptions::new(7, 1), &states, &|state| match state {
            30 => panic!("a bug"),
            60 => Ok(Tried::Skipped),
            _ if state > 200 => Err(format!("at {state}: revision {state} is gone").into()),
            _ => Ok(Tried::Sound),
        });
        assert_eq!((tally.tried, tally.failed), (99, 34));
        let first = |state, what: &str| FailedState { seed: 7, state, what: what.to_owned() };
        let lost = (first(201, "at 201: revision 201 is gone"), 33);
        assert_eq!(tally.failures, [(first(30, "PANIC: a bug"), 1), lost]);
        let text = tally.to_string();
        assert!(text.contains("again: cargo xtask faults --campaign trial --seed 7 --state 201"), "{text}");
    }

    #[test]
    fn one_state_can_be_tried_by_itself() {
        let mut tally = Tally::new("trial", true);
        let options = FaultOptions { only: Some(12), ..FaultOptions::new(7, 1) };
        let states = States { seed: 7, count: 100, number: &|at| at * 3 };
        try_all(&mut tally, &options, &states, &|state| Err(state.to_string().into()));
        assert_eq!(tally.failures, [(FailedState { seed: 7, state: 12, what: "12".to_owned() }, 1)]);
    }

    #[test]
    #[should_panic(expected = "nothing was tried")]
    fn a_campaign_that_tries_nothing_proves_nothing() {
        Tally::new("trial", true).assert_sound();
    }
}
