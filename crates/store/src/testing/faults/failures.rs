//! Every call of a workload fails, once and for good, in each way that such a call can.

use super::at_rest::expect_done;
use super::run::Run;
use super::workload::Step;
use super::{Campaign, FaultOptions, States, Tally, Tried, for_each_seed, try_all};
use crate::engine::Durability;
use crate::error::ErrorKind;
use crate::testing::auditor::{Outcome, is_of_the_device};
use crate::testing::faults::crashes::later_batch;
use crate::testing::simulated_disk::{Aside, Crash, Fault, Operation, Plan, SimulatedDisk};
use crate::testing::{Failure, Random};

/// Steps of a workload: each state runs all of them.
const STEPS: usize = 40;

pub(super) fn run(options: &FaultOptions<'_>) -> Tally {
    let mut tally = Tally::new(Campaign::Failures.name(), true);
    let mut calls = 0;
    let seeds = for_each_seed(&mut tally, options, |tally, seed| {
        let (plans, count) = plans(seed)?;
        calls += count;
        let try_plan = |state: u64| {
            let plan = plans.get(state as usize).ok_or("the seed has no such state")?;
            let failed = |failure: Failure| format!("{plan}: {failure}");
            try_state(seed, state, plan).map_err(failed)?;
            Ok(Tried::Sound)
        };
        let states = States { seed, count: plans.len() as u64, number: &|at| at };
        try_all(tally, options, &states, &try_plan);
        Ok(())
    });
    tally.scope = format!("{seeds} workloads of {STEPS} steps, {calls} calls, each fault that each can have");
    tally
}

/// Every fault of every call that the workload makes undisturbed, and how many calls those are.
fn plans(seed: u64) -> Result<(Vec<Plan>, usize), Failure> {
    let (mut run, opened) = Run::begin(SimulatedDisk::new(), seed);
    expect_done(opened?)?;
    for _ in 0..STEPS {
        expect_done(run.step()?.1)?;
    }
    let calls = run.disk.calls();
    // What closing would do comes behind what the states do.
    run.kill();
    let mut plans = Vec::new();
    for call in &calls {
        let mut add = |fault: Fault, for_good: bool| plans.push(Plan { call: call.clone(), fault, for_good });
        for fault in call.operation.faults() {
            add(*fault, false);
            // What is interrupted for good never ends.
            if *fault != Fault::Interrupted {
                add(*fault, true);
            }
        }
        // A device that is gone is noticed by the first call; later ones of the same kind show nothing new.
        if call.operation != Operation::Read || call.number == 0 {
            add(Fault::Gone, true);
        }
    }
    Ok((plans, calls.len()))
}

/// Runs the workload with one fault, and the steps that are left when it has been dealt with.
fn try_state(seed: u64, state: u64, plan: &Plan) -> Result<(), Failure> {
    let mut random = Random::new(seed ^ state << 24);
    let disk = SimulatedDisk::new();
    disk.plan(Some(plan.clone()));
    let (mut run, opened) = Run::begin(disk, seed);
    let mut failed = None;
    if let Outcome::Failed(error) = opened? {
        failed = Some(("opening".to_owned(), error));
    }
    let mut is_told = false;
    for _ in 0..STEPS {
        if failed.is_none() {
            let (step, outcome) = run.step()?;
            if let Outcome::Failed(error) = outcome {
                let step =
                    if let Step::Commit(..) = step { "a commit".to_owned() } else { format!("{step:?}") };
                failed = Some((step, error));
            }
        }
        if let Some((step, error)) = failed.take() {
            is_told = true;
            let with =
                |failure: Failure| format!("{step} fails with {:?} ({error}): {failure}", error.kind());
            check_kind(plan, error.kind()).map_err(with)?;
            let random = &mut random;
            Aftermath { run: &mut run, plan, random, is_poisoned: false }.check().map_err(with)?;
        }
    }
    // A call that was interrupted or short is made again, and nobody needs to know.
    let is_harmless = matches!(plan.fault, Fault::Interrupted | Fault::Half);
    // What can be made again can be done without.
    let is_derived = plan.call.name.contains(".idx") || plan.call.name.starts_with("SCRUB");
    // What an older backup left behind is in nobody's way, and a copy that can't be read is made again.
    let is_tidying = Aside::has(&plan.call.name)
        && (plan.call.operation == Operation::Remove || !plan.call.operation.changes());
    match (is_told, is_harmless) {
        (_, false) if is_derived || is_tidying => {}
        (true, true) => return Err("a step fails because of what is no error".into()),
        (false, false) => return Err("no step says that a call failed".into()),
        (false, true) if !run.disk.has_struck() => return Err("the call was not made".into()),
        _ => {}
    }
    finish(&mut run, &mut random)
}

/// The error says what is wrong: a full device is told from one that fails.
fn check_kind(plan: &Plan, kind: ErrorKind) -> Result<(), Failure> {
    let is_full = matches!(plan.fault, Fault::NoSpace | Fault::HalfThenNoSpace);
    let expected = if is_full { ErrorKind::NoSpace } else { ErrorKind::Io };
    if kind == expected { Ok(()) } else { Err(format!("its kind should be {expected:?}").into()) }
}

/// What must hold once a step has failed.
struct Aftermath<'a> {
    run: &'a mut Run,
    plan: &'a Plan,
    random: &'a mut Random,
    /// Whether the store refuses all writes.
    is_poisoned: bool,
}

impl Aftermath<'_> {
    fn check(mut self) -> Result<(), Failure> {
        if !self.run.disk.has_struck() {
            return Err("no call has failed".into());
        }
        if self.run.store.is_some() {
            self.check_reads().map_err(|failure| format!("reading after the failure: {failure}"))?;
            self.check_writes()?;
            self.check_reads().map_err(|failure| format!("reading after a refused write: {failure}"))?;
        }
        self.reopen()
    }

    /// What was acknowledged is still there to be read.
    fn check_reads(&self) -> Result<(), Failure> {
        let run = &self.run;
        // What was not synced may be gone from memory too, and a device that is gone can't be read.
        let may_refuse = self.plan.fault == Fault::SyncLost || (self.plan.for_good && self.reads_fail());
        let compared = run.auditor.compare(run.store());
        match compared {
            Err(failure) if !may_refuse => Err(failure),
            Err(_) => run.auditor.compare_refusing(run.store()),
            Ok(()) => Ok(()),
        }
    }

    fn reads_fail(&self) -> bool {
        self.plan.fault == Fault::Gone || self.plan.call.operation == Operation::Read
    }

    /// A store that has failed takes a batch as it should, or refuses it, and goes on refusing.
    fn check_writes(&mut self) -> Result<(), Failure> {
        let batch = later_batch(self.random);
        let durability = self.random.pick(&[Durability::Buffered, Durability::Written, Durability::Synced]);
        let run = &mut *self.run;
        let store = run.store.as_ref().expect("the store is open");
        let first = run.auditor.commit(store, &batch, durability)?;
        let second = run.auditor.commit(store, &batch, durability)?;
        let poisoned = ErrorKind::Poisoned;
        self.is_poisoned = matches!(&second, Outcome::Failed(error) if error.kind() == poisoned);
        match (first, second) {
            (Outcome::Failed(_), Outcome::Done) if run.auditor.is_in_doubt() => {
                Err("a commit is taken after another one failed".into())
            }
            (Outcome::Failed(_), Outcome::Failed(error)) if error.kind() != ErrorKind::Poisoned => {
                let kind = error.kind();
                Err(format!("two commits failed, and the second was not refused but {kind:?}").into())
            }
            _ => Ok(()),
        }
    }

    /// The next process opens the store: under the fault it may be refused, and then it must work.
    fn reopen(&mut self) -> Result<(), Failure> {
        // A failed sync may have lost what the process had written.
        let lost = self.plan.fault == Fault::SyncLost;
        let mut crash = if lost { Crash::Nothing } else { Crash::Killed };
        match self.random.below(4) {
            0 => {
                crash =
                    self.random.pick(&[Crash::Nothing, Crash::Everything, Crash::Subset, Crash::Torn(512)]);
                self.run.cut_power(crash, self.random);
            }
            1 if self.run.store.is_some() => {
                if self.close()? {
                    crash = Crash::Nothing;
                    self.run.cut_power(crash, self.random);
                }
            }
            _ => self.run.kill(),
        }
        let failed =
            |when: &str, failure: Failure| format!("opening {when} the fault after {crash:?}: {failure}");
        if self.plan.for_good && crash == Crash::Killed {
            let opened = self.run.open(crash).map_err(|failure| failed("under", failure))?;
            match opened {
                Outcome::Done => self.run.kill(),
                Outcome::Failed(error) => check_kind(self.plan, error.kind())?,
            }
        }
        self.run.disk.plan(None);
        let opened = self.run.open(crash).map_err(|failure| failed("after", failure))?;
        expect_done(opened)
    }

    /// Closing a store that failed says whether everything is safe; whether it does.
    fn close(&mut self) -> Result<bool, Failure> {
        let run = &mut *self.run;
        let store = run.store.as_ref().expect("the store is open");
        match store.close() {
            Ok(()) => {
                run.auditor.replay_sync();
                Ok(true)
            }
            Err(error) if !is_of_the_device(&error) => {
                Err(format!("closing a store that failed: {:?}: {error}", error.kind()).into())
            }
            Err(_) => Ok(false),
        }
    }
}

/// In the end everything is as it should be, and survives a power cut.
fn finish(run: &mut Run, random: &mut Random) -> Result<(), Failure> {
    run.disk.plan(None);
    let failed = |failure: Failure| format!("in the end: {failure}");
    run.auditor.compare(run.store()).map_err(failed)?;
    let batch = later_batch(random);
    let store = run.store.as_ref().expect("the store is open");
    expect_done(run.auditor.commit(store, &batch, Durability::Synced)?).map_err(failed)?;
    let crash = random.pick(&[Crash::Nothing, Crash::Subset]);
    run.cut_power(crash, random);
    let opened = run.open(crash).map_err(|failure| format!("after {crash:?} in the end: {failure}"))?;
    expect_done(opened)
}
