//! Runs the fault campaigns and says what they came to; `cargo xtask faults --help` names the options.
//!
//! Exit codes: 0 if every state was as it should be, 1 if one was not, 2 for a wrong option.

use std::ffi::OsString;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use statlas_store::testing::{Campaign, FaultOptions, KillOptions, Tally, kills, write_until_killed};

/// The campaign that is none of [`Campaign::ALL`].
const KILLS: &str = "kills";
const KILLS_QUICK: u64 = 50;
const KILLS_FULL: u64 = 1000;

fn main() -> ExitCode {
    if write_until_killed() {
        return ExitCode::SUCCESS;
    }
    match Arguments::parse(std::env::args_os().skip(1)) {
        Ok(arguments) => arguments.run(),
        Err(message) => {
            eprintln!("faults: {message}");
            ExitCode::from(2)
        }
    }
}

#[derive(Debug)]
struct Arguments {
    is_full: bool,
    seed: u64,
    images: Option<u64>,
    minutes: Option<u64>,
    /// All if it is empty.
    campaigns: Vec<String>,
    state: Option<u64>,
    /// As in [`FaultOptions::part`].
    part: (u64, u64),
}

/// A campaign that was run, and how long it took.
struct Done {
    tally: Tally,
    seconds: f64,
}

impl Arguments {
    fn parse(arguments: impl Iterator<Item = OsString>) -> Result<Self, String> {
        let mut found = Self {
            is_full: false,
            seed: 1,
            images: None,
            minutes: None,
            campaigns: Vec::new(),
            state: None,
            part: (0, 1),
        };
        let mut arguments = arguments.map(|argument| argument.to_string_lossy().into_owned());
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or_else(|| format!("{argument}: a value is missing"));
            let number = |text: String| {
                text.parse().map_err(|_| format!("{argument}: found {text:?}; allowed: a number"))
            };
            match &*argument {
                "--quick" => found.is_full = false,
                "--full" => found.is_full = true,
                "--seed" => found.seed = number(value()?)?,
                "--images" => found.images = Some(number(value()?)?),
                "--minutes" => found.minutes = Some(number(value()?)?),
                "--state" => found.state = Some(number(value()?)?),
                "--part" => found.part = part(&value()?)?,
                "--campaign" => found.campaigns.push(value()?),
                _ => return Err(format!("found {argument:?}; `cargo xtask --help` lists the options")),
            }
        }
        let names: Vec<&str> = Campaign::ALL.iter().map(|campaign| campaign.name()).chain([KILLS]).collect();
        if let Some(unknown) = found.campaigns.iter().find(|name| !names.contains(&&***name)) {
            return Err(format!("--campaign: found {unknown:?}; allowed: {}", names.join(", ")));
        }
        if found.part.1 > 1 && found.is_wanted(KILLS) {
            return Err("--part: name campaigns that have parts; `kills` has none".to_owned());
        }
        if found.state.is_some() && (found.campaigns.len() != 1 || found.campaigns[0] == KILLS) {
            return Err("--state: name the one campaign that it is of; `kills` has none".to_owned());
        }
        Ok(found)
    }

    fn is_wanted(&self, name: &str) -> bool {
        self.campaigns.is_empty() || self.campaigns.iter().any(|wanted| wanted == name)
    }

    fn run(&self) -> ExitCode {
        let started = Instant::now();
        let wanted: Vec<Campaign> =
            Campaign::ALL.into_iter().filter(|campaign| self.is_wanted(campaign.name())).collect();
        let with_kills = self.is_wanted(KILLS);
        let count = wanted.len() + usize::from(with_kills);
        let mut done = Vec::new();
        // What one campaign does not use of its share of the time is left to those behind it.
        let share = |done: usize| {
            let rest = Duration::from_secs(60 * self.minutes?).saturating_sub(started.elapsed());
            Some(rest / (count - done) as u32)
        };
        for campaign in wanted {
            let share = share(done.len());
            done.push(timed(share, |goes_on| {
                let quick_or_full =
                    if self.is_full { campaign.states_full() } else { campaign.states_quick() };
                let states = self.states(quick_or_full);
                let (seed, only, part) = (self.seed, self.state, self.part);
                campaign.run(&FaultOptions { seed, states, only, part, goes_on })
            }));
        }
        if with_kills {
            let share = share(done.len());
            done.push(timed(share, |goes_on| self.kill(goes_on)));
        }
        print_table(&done, started.elapsed());
        if done.iter().all(|done| done.tally.failed == 0) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    fn states(&self, quick_or_full: u64) -> u64 {
        self.images.unwrap_or(if self.minutes.is_some() { u64::MAX } else { quick_or_full })
    }

    fn kill(&self, goes_on: &dyn Fn() -> bool) -> Tally {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let program = std::env::current_exe().expect("this program is somewhere");
        let kills_wanted = self.states(if self.is_full { KILLS_FULL } else { KILLS_QUICK });
        let options = KillOptions {
            seed: self.seed,
            kills: kills_wanted,
            folder: folder.path(),
            command: &|| Command::new(&program),
            goes_on,
        };
        let tally = kills(&options);
        if tally.failed > 0 {
            // What is left is what one wants to look at.
            let kept = folder.keep();
            eprintln!("faults: the store is kept in {}", kept.display());
        }
        tally
    }
}

/// One of some parts, such as `2/3` for the second of three.
fn part(text: &str) -> Result<(u64, u64), String> {
    let numbers =
        text.split_once('/').and_then(|(part, parts)| Some((part.parse().ok()?, parts.parse().ok()?)));
    match numbers {
        Some((part, parts)) if (1..=parts).contains(&part) => Ok((part - 1, parts)),
        _ => Err(format!("--part: found {text:?}; allowed: one of some parts, such as 2/3")),
    }
}

/// Runs a campaign for so long at most, and prints what it came to.
fn timed(share: Option<Duration>, run: impl FnOnce(&(dyn Fn() -> bool + Sync)) -> Tally) -> Done {
    let started = Instant::now();
    let tally = run(&|| share.is_none_or(|share| started.elapsed() < share));
    println!("{tally}\n");
    Done { tally, seconds: started.elapsed().as_secs_f64() }
}

fn print_table(done: &[Done], elapsed: Duration) {
    println!("campaign      states tried    failed   seconds");
    for Done { tally, seconds } in done {
        println!("{:<12} {:>13} {:>9} {seconds:>9.1}", tally.campaign, tally.tried, tally.failed);
    }
    let (tried, failed) = done
        .iter()
        .fold((0, 0), |(tried, failed), done| (tried + done.tally.tried, failed + done.tally.failed));
    println!("{:<12} {tried:>13} {failed:>9} {:>9.1}", "all", elapsed.as_secs_f64());
}
