//! One store on one disk, audited step by step.

use std::path::Path;
use std::sync::Arc;

use super::workload::{Step, Workload};
use crate::engine::disk::DiskEngine;
use crate::engine::disk::backup::{read_manifest, restore_on};
use crate::engine::{BackupOptions, CompactOptions, Engine};
use crate::error::{Error, ErrorKind};
use crate::store::{Options, Store};
use crate::testing::auditor::{Auditor, Outcome, is_of_the_device, only_cut_tails, unread};
use crate::testing::simulated_disk::{Aside, Crash, SimulatedDisk};
use crate::testing::twin::same;
use crate::testing::{Failure, Model, Random};

/// A workload under way.
pub(super) struct Run {
    pub(super) disk: SimulatedDisk,
    pub(super) options: Options,
    /// `None` if it could not be opened.
    pub(super) store: Option<Store>,
    engine: Option<Arc<DiskEngine>>,
    /// The backups that were made, beside the store.
    pub(super) backups: Vec<MadeBackup>,
    pub(super) auditor: Auditor,
    pub(super) workload: Workload,
}

impl Run {
    /// Opens an empty disk.
    pub(super) fn begin(disk: SimulatedDisk, seed: u64) -> (Self, Result<Outcome, Failure>) {
        let (options, workload) = (Workload::options(seed), Workload::new(seed));
        let (auditor, backups) = (Auditor::default(), Vec::new());
        let mut run = Self { disk, options, store: None, engine: None, backups, auditor, workload };
        let opened = run.open(Crash::Killed);
        (run, opened)
    }

    /// The store, which is open.
    pub(super) fn store(&self) -> &Store {
        self.store.as_ref().expect("a step is taken with an open store")
    }

    /// Opens what is on the disk after `crash`, and checks all of it.
    pub(super) fn open(&mut self, crash: Crash) -> Result<Outcome, Failure> {
        (self.store, self.engine) = (None, None);
        match self.disk.open_engine(&self.options) {
            Ok(engine) => {
                let store = Store::with_engine(Arc::clone(&engine) as Arc<dyn Engine>);
                self.engine = Some(engine);
                let settled = self.auditor.settle(&store, crash);
                self.store = Some(store);
                settled.map(|()| Outcome::Done).or_else(|failure| self.unread(failure))
            }
            Err(error) if is_of_the_device(&error) => Ok(Outcome::Failed(error)),
            Err(error) => Err(unopened(&error)),
        }
    }

    /// A store that was opened and then could not be read, since the fault struck only then, is let go.
    fn unread(&mut self, failure: Failure) -> Result<Outcome, Failure> {
        let error = failure.downcast::<Error>()?;
        if !self.disk.has_struck() || !is_of_the_device(&error) {
            return Err(error);
        }
        self.kill();
        Ok(Outcome::Failed(*error))
    }

    /// What is wrong, unless that is the fault, which struck a comparison.
    fn struck(&self, failure: Failure) -> Result<Outcome, Failure> {
        let error = failure.downcast::<Error>()?;
        if self.disk.has_struck() && is_of_the_device(&error) {
            return Ok(Outcome::Failed(*error));
        }
        Err(error)
    }

    /// Takes the next step of the workload.
    pub(super) fn step(&mut self) -> Result<(Step, Outcome), Failure> {
        let step = self.workload.next(self.auditor.model());
        let outcome = self.take(&step)?;
        Ok((step, outcome))
    }

    fn take(&mut self, step: &Step) -> Result<Outcome, Failure> {
        let store = self.store.as_ref().expect("a step is taken with an open store");
        match step {
            Step::Commit(batch, durability) => self.auditor.commit(store, batch, *durability),
            Step::Sync => self.auditor.sync(store),
            Step::FreeBlobs => self.auditor.free_blobs(store),
            Step::Check => match store.engine().check(&mut |_, _| {}) {
                Ok(report) => self.judge_check(&report.damage),
                Err(error) if is_of_the_device(&error) => Ok(Outcome::Failed(error)),
                Err(error) => Err(format!("check fails with {:?}: {error}", error.kind()).into()),
            },
            Step::Compact | Step::Maintain => {
                let worked = if let Step::Compact = step {
                    store.engine().compact(&CompactOptions::default(), &mut |_, _| {}).map(drop)
                } else {
                    store.engine().maintain().map(drop)
                };
                match worked {
                    Ok(()) => self
                        .auditor
                        .compare(store)
                        .map(|()| Outcome::Done)
                        .or_else(|failure| self.struck(failure)),
                    Err(error) if is_of_the_device(&error) => Ok(Outcome::Failed(error)),
                    Err(error) => Err(format!("{step:?} fails with {:?}: {error}", error.kind()).into()),
                }
            }
            Step::Backup => self.back_up(),
            Step::Reopen => {
                let closed = self.auditor.close(store)?;
                (self.store, self.engine) = (None, None);
                if let Outcome::Done = closed { self.open(Crash::Killed) } else { Ok(closed) }
            }
            Step::Kill => {
                self.kill();
                self.open(Crash::Killed)
            }
        }
    }

    /// Cuts the power; what is left is what `crash` leaves.
    pub(super) fn cut_power(&mut self, crash: Crash, random: &mut Random) {
        let left = self.disk.crash(crash, random);
        self.kill();
        self.disk = left;
    }

    /// Makes a backup and looks at what it gives back.
    fn back_up(&mut self) -> Result<Outcome, Failure> {
        let engine = self.engine.as_ref().expect("a step is taken with an open store");
        let begun = self.disk.moments();
        let aside = Aside::of(&self.disk);
        let report = match engine.backup_to(&aside, BACKUP, &BackupOptions::default(), &mut |_, _| {}) {
            Ok(report) => report,
            Err(error) if is_of_the_device(&error) => return Ok(Outcome::Failed(error)),
            Err(error) => return Err(format!("a backup fails with {:?}: {error}", error.kind()).into()),
        };
        let model = self.auditor.model();
        same("revision of a backup", &report.revision, &model.revision())?;
        self.backups.push(MadeBackup { begun, done: self.disk.moments(), model: model.clone() });
        match restored(&self.disk, &self.options) {
            Ok(Some(store)) => self
                .auditor
                .compare(&store)
                .map(|()| Outcome::Done)
                .map_err(|failure| format!("a restored backup: {failure}").into()),
            Ok(None) => Err("a backup was made and is not there".into()),
            Err(failure) => self.struck(failure),
        }
    }

    /// A check may also tell of what it could not read as of damage.
    fn judge_check(&self, damage: &[String]) -> Result<Outcome, Failure> {
        match unread(damage).filter(|_| self.disk.has_struck()) {
            Some(line) => Ok(Outcome::Failed(Error::new(ErrorKind::Io, line))),
            None => only_cut_tails("checking", damage).map(|()| Outcome::Done),
        }
    }

    /// Ends the process; what is not with the system is lost.
    pub(super) fn kill(&mut self) {
        // Once the process is dead, nothing that closing tries reaches the disk.
        self.disk = self.disk.kill();
        (self.store, self.engine) = (None, None);
    }
}

/// A backup, and the number of moments of the disk before it was begun and when it was done.
pub(super) struct MadeBackup {
    pub(super) begun: usize,
    pub(super) done: usize,
    pub(super) model: Model,
}

const BACKUP: &str = "backup";

/// The store that the backup on a disk gives back, if one is there.
pub(super) fn restored(disk: &SimulatedDisk, options: &Options) -> Result<Option<Store>, Failure> {
    let aside = Aside::of(disk);
    let manifest = match read_manifest(&aside, BACKUP) {
        Ok(manifest) => manifest,
        Err(error) if error.kind() == ErrorKind::NotAStore => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let (to, path) = (SimulatedDisk::new(), Path::new("restored"));
    restore_on(&aside, &manifest, to.clone(), path, &BackupOptions::default(), &mut |_, _| {})?;
    Ok(Some(to.open_store(options)?))
}

/// What is wrong with a store that does not open.
pub(super) fn unopened(error: &Error) -> Failure {
    format!("the store does not open: {:?}: {error}", error.kind()).into()
}
