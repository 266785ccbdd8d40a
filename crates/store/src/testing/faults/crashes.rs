//! Power cuts and kills after every call of a workload, and again while the store recovers from them.

use super::at_rest::expect_done;
use super::run::{MadeBackup, Run, restored, unopened};
use super::{Campaign, FaultOptions, States, Tally, Tried, for_each_seed, try_all};
use crate::batch::{Batch, Expected, RecordKey};
use crate::engine::Durability;
use crate::store::Options;
use crate::testing::auditor::{Auditor, Known, Promise, compare};
use crate::testing::sample::version;
use crate::testing::simulated_disk::{Crash, Moment, SimulatedDisk};
use crate::testing::twin::same;
use crate::testing::{Failure, Random};

/// Steps of one workload.
const STEPS: usize = 100;

/// So many calls after a backup was made it is restored after each of them, and of later ones after each so-manieth.
const BACKUP_MOMENTS: usize = 4;
const BACKUP_EVERY: usize = 16;

/// What is tried after each call.
const CRASHES: [Crash; 14] = [
    Crash::Killed,
    Crash::Nothing,
    Crash::Everything,
    Crash::Subset,
    Crash::Subset,
    Crash::Subset,
    Crash::Subset,
    Crash::Subset,
    Crash::Subset,
    Crash::Subset,
    Crash::Subset,
    Crash::Torn(512),
    Crash::Torn(4096),
    Crash::Reordered,
];

pub(super) fn run(options: &FaultOptions<'_>) -> Tally {
    let mut tally = Tally::new(Campaign::Crashes.name(), true);
    let mut calls = 0;
    let seeds = for_each_seed(&mut tally, options, |tally, seed| {
        let recording = Recording::make(SimulatedDisk::new(), seed)?;
        calls += recording.moments.len();
        let count = (recording.moments.len() * CRASHES.len()) as u64;
        let states = States { seed, count, number: &|at| at };
        try_all(tally, options, &states, &|state| recording.try_state(state));
        Ok(())
    });
    tally.scope = format!(
        "{seeds} workloads of {STEPS} steps, {calls} moments, {} ways to crash at each, recovery crashed too",
        CRASHES.len()
    );
    tally
}

/// A workload that ran undisturbed: the disk after each call, and what was promised then.
struct Recording {
    seed: u64,
    options: Options,
    moments: Vec<(Moment, Promise)>,
    backups: Vec<MadeBackup>,
    auditor: Auditor,
}

impl Recording {
    fn make(disk: SimulatedDisk, seed: u64) -> Result<Self, Failure> {
        disk.note_moments();
        let mut promises = vec![Auditor::default().promise()];
        let (mut run, opened) = Run::begin(disk, seed);
        expect_done(opened?)?;
        promises.resize(run.disk.moments(), run.auditor.promise());
        for _ in 0..STEPS {
            let before = run.auditor.promise();
            let (step, outcome) = run.step()?;
            expect_done(outcome).map_err(|failure| format!("{step:?}: {failure}"))?;
            let after = run.auditor.promise();
            // While the step was under way only the earlier promise held; when its last call was done, so did
            // the later one. A batch that nothing of was written cannot be there yet.
            let during = before.until(&after);
            if promises.len() < run.disk.moments() {
                promises.resize(run.disk.moments() - 1, during);
                promises.push(after);
            } else if let Some(last) = promises.last_mut() {
                *last = after;
            }
        }
        let moments = run.disk.take_moments().into_iter().zip(promises).collect();
        let Run { options, auditor, backups, .. } = run;
        Ok(Self { seed, options, moments, backups, auditor })
    }

    fn try_state(&self, state: u64) -> Result<Tried, Failure> {
        let (at, crash) = (state as usize / CRASHES.len(), CRASHES[state as usize % CRASHES.len()]);
        let (moment, promise) = self.moments.get(at).ok_or("the seed has no such state")?;
        if moment.is_synced() && crash != Crash::Killed {
            return Ok(Tried::Skipped);
        }
        let mut random = Random::new(self.seed.wrapping_mul(0x1000_0001) ^ state << 20);
        let known = self.auditor.known();
        let image = moment.crash(crash, &mut random);
        let audit = Audit { options: &self.options, known, promise, random: &mut random };
        let backup = self.backup(&image, at);
        backup.and_then(|()| audit.image(&image, crash)).map_err(|failure| {
            let calls = self.moments.len() - 1;
            format!("{crash:?} after call {at} of {calls} that change something: {failure}")
        })?;
        Ok(Tried::Sound)
    }

    /// A backup that was done gives back what it was made of, or what the one gives that was under way.
    fn backup(&self, image: &SimulatedDisk, at: usize) -> Result<(), Failure> {
        let done = self.backups.iter().rfind(|backup| backup.done <= at + 1);
        let under_way = self.backups.iter().find(|backup| backup.begun <= at && at + 1 < backup.done);
        let is_recent = done.is_some_and(|backup| at < backup.done + BACKUP_MOMENTS);
        // Later calls do nothing to it, so few of them are enough.
        if under_way.is_none() && !is_recent && !at.is_multiple_of(BACKUP_EVERY) {
            return Ok(());
        }
        let store = restored(image, &self.options).map_err(|failure| format!("restoring: {failure}"))?;
        let Some(store) = store else {
            return if done.is_none() { Ok(()) } else { Err("the backup that was made is gone".into()) };
        };
        let revision = store.engine().stats().revision;
        let mut made = done.into_iter().chain(under_way);
        let made = made.find(|backup| backup.model.revision() == revision);
        let made = made.ok_or_else(|| format!("revision {revision} was restored, which no backup has"))?;
        compare(store.engine(), &made.model, self.auditor.known())
            .map_err(|failure| format!("a restored backup: {failure}").into())
    }
}

/// Checks one disk that a crash left.
pub(super) struct Audit<'a> {
    pub(super) options: &'a Options,
    pub(super) known: &'a Known,
    pub(super) promise: &'a Promise,
    pub(super) random: &'a mut Random,
}

impl Audit<'_> {
    /// What was promised is there; while the store recovers it may crash again; afterwards it takes
    /// batches that survive the next crash.
    pub(super) fn image(self, image: &SimulatedDisk, crash: Crash) -> Result<(), Failure> {
        image.note_moments();
        let store = image.open_store(self.options).map_err(|error| unopened(&error))?;
        let recovery = image.take_moments();
        let state = self.promise.verify(&store, self.known, crash)?;
        if recovery.len() > 1 {
            let at = self.random.below(recovery.len() - 1);
            let (again, calls) = (self.random.pick(&CRASHES), recovery.len() - 1);
            let image = recovery[at + 1].crash(again, self.random);
            self.again(&image, crash, again)
                .map_err(|failure| format!("{again:?} after call {at} of {calls} of recovery: {failure}"))?;
        }
        let batch = later_batch(self.random);
        let (mut model, mut known) = (state.model.clone(), self.known.clone());
        known.learn(&batch);
        let expected = model.commit(&batch).map_err(|(kind, _)| format!("the model refuses: {kind:?}"))?;
        let found = store.commit(batch, Durability::Synced)?;
        same("a commit after recovery", &found, &expected)?;
        // Durable only if the device has everything before it too.
        let next = self.random.pick(&[Crash::Nothing, Crash::Subset]);
        let image = image.crash(next, self.random);
        let store = image.open_store(self.options).map_err(|error| unopened(&error))?;
        compare(store.engine(), &model, &known).map_err(|failure| {
            format!("after recovery, a batch and {next:?}: {failure}; {:?}", store.engine().stats().damage)
                .into()
        })
    }

    fn again(&self, image: &SimulatedDisk, crash: Crash, again: Crash) -> Result<(), Failure> {
        let store = image.open_store(self.options).map_err(|error| unopened(&error))?;
        // What the first crash took a second one does not bring back, and only a kill keeps what is written.
        let both = if again == Crash::Killed { crash } else { again };
        self.promise.verify(&store, self.known, both).map(drop)
    }
}

/// A batch that every store takes, whatever it holds.
pub(super) fn later_batch(random: &mut Random) -> Batch {
    let mut batch = Batch::new();
    batch.put_entity(version(&format!("later {}", random.bits()), 1));
    batch.put_blob(random.bytes(700));
    let key = RecordKey::new("later", "key").expect("the names are legal");
    batch.put_record(key, random.bytes(20), Expected::Any);
    batch
}

#[cfg(test)]
mod tests {
    use super::{CRASHES, Campaign, FaultOptions, Recording, States, Tally, try_all};
    use crate::testing::simulated_disk::SimulatedDisk;

    /// How many states fail of a workload on a disk that lies.
    fn failed_states(of_files: bool, of_folders: bool) -> u64 {
        let disk = SimulatedDisk::new();
        disk.lie_about_syncs(of_files, of_folders);
        let recording = Recording::make(disk, 3).expect("a lie is not seen before the power fails");
        let count = (recording.moments.len() * CRASHES.len()) as u64;
        let mut tally = Tally::new(Campaign::Crashes.name(), true);
        let states = States { seed: 3, count, number: &|at| at };
        try_all(&mut tally, &FaultOptions::new(3, count), &states, &|state| recording.try_state(state));
        tally.failed
    }

    #[test]
    fn a_disk_that_lies_about_syncs_is_noticed() {
        let honest = failed_states(false, false);
        assert!(failed_states(true, false) > honest + 100);
        assert!(failed_states(false, true) > honest + 100);
    }
}
