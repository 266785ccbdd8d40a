//! Stores and disks that are broken on purpose, to see that the auditor notices.

use std::sync::Arc;

use statlas_core::{Address, AddressPrefix, BlobId, Coordinates};

use super::{Auditor, Hit, Outcome};
use crate::batch::{Batch, Expected, RecordKey};
use crate::engine::{
    CheckReport, Commit, Durability, Engine, NearToken, Neighbour, Page, ProgressFn, Record, Stats,
    StoredBlob, StoredEntity,
};
use crate::error::{Error, ErrorKind, Result};
use crate::query::{Filter, Query, TokenQuery};
use crate::store::{Options, Store};
use crate::testing::sample::{token, version};
use crate::testing::simulated_disk::{Crash, SimulatedDisk};
use crate::testing::{Failure, Random};

/// What is wrong with a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Nothing,
    /// It acknowledges as synced what is only written.
    SyncsNothing,
    /// It acknowledges as written what it keeps to itself.
    WritesNothing,
    /// A batch becomes two.
    SplitsBatches,
    /// It says that a batch was stored and stores nothing.
    DropsBatches,
    /// It says that a batch failed, and stores it.
    DeniesBatches,
    ReturnsOtherBytes,
    ReturnsOtherRecords,
    /// It finds no entity by its token.
    LosesTokens,
    /// It says that it is damaged, and lacks blobs.
    LosesBlobs,
    /// It says that it is damaged, but not that something may be missing.
    PlaysDown,
    /// It lacks blobs and does not say so.
    HidesBlobs,
    ReportsDamage,
}

/// A store on a simulated disk, with a fault.
struct Broken {
    store: Store,
    fault: Fault,
}

impl Broken {
    fn engine(&self) -> &dyn Engine {
        self.store.engine()
    }

    fn has(&self, fault: Fault) -> bool {
        self.fault == fault
    }
}

impl Engine for Broken {
    fn commit(&self, batch: Batch, durability: Durability) -> Result<Commit> {
        let durability = match self.fault {
            Fault::SyncsNothing => durability.min(Durability::Written),
            Fault::WritesNothing => Durability::Buffered,
            _ => durability,
        };
        match self.fault {
            Fault::SplitsBatches => {
                let done = self.engine().commit(batch, durability);
                // What belongs to the batch follows as one of its own.
                let mut rest = Batch::new();
                rest.put_blob(b"the rest of it".to_vec());
                self.engine().commit(rest, durability)?;
                done
            }
            Fault::DropsBatches => Ok(Commit {
                revision: self.engine().stats().revision + 1,
                entities_new: 1,
                ..Commit::default()
            }),
            Fault::DeniesBatches => {
                self.engine().commit(batch, durability)?;
                Err(Error::new(ErrorKind::Io, format!("it failed; {}", super::NOT_STORED)))
            }
            _ => self.engine().commit(batch, durability),
        }
    }

    fn sync(&self) -> Result<()> {
        if self.has(Fault::SyncsNothing) { Ok(()) } else { self.engine().sync() }
    }

    fn entity(&self, address: &Address) -> Result<Option<StoredEntity>> {
        self.engine().entity(address)
    }

    fn addresses(&self, prefix: &AddressPrefix, limit: usize) -> Result<Vec<Address>> {
        self.engine().addresses(prefix, limit)
    }

    fn versions(&self, id: &str) -> Result<Vec<Address>> {
        self.engine().versions(id)
    }

    fn find(&self, query: &Query) -> Result<Page> {
        self.engine().find(query)
    }

    fn count(&self, filter: &Filter) -> Result<u64> {
        self.engine().count(filter)
    }

    fn near(&self, position: &Coordinates, k: usize, except: Option<&Address>) -> Result<Vec<Neighbour>> {
        self.engine().near(position, k, except)
    }

    fn near_token(&self, query: &TokenQuery) -> Result<Vec<NearToken>> {
        if self.has(Fault::LosesTokens) { Ok(Vec::new()) } else { self.engine().near_token(query) }
    }

    fn blob(&self, id: &BlobId) -> Result<Option<StoredBlob>> {
        let lacks = [Fault::LosesBlobs, Fault::PlaysDown, Fault::HidesBlobs].contains(&self.fault);
        let mut found = self.engine().blob(id)?.filter(|_| !lacks);
        if let Some(blob) = found.as_mut().filter(|_| self.has(Fault::ReturnsOtherBytes)) {
            blob.bytes[0] ^= 1;
        }
        Ok(found)
    }

    fn has_blob(&self, id: &BlobId) -> Result<bool> {
        self.engine().has_blob(id)
    }

    fn record(&self, key: &RecordKey) -> Result<Option<Record>> {
        let mut found = self.engine().record(key)?;
        if let Some(record) = found.as_mut().filter(|_| self.has(Fault::ReturnsOtherRecords)) {
            record.value.push(0);
        }
        Ok(found)
    }

    fn records(&self, collection: &str, after: Option<&str>, limit: usize) -> Result<Vec<Record>> {
        self.engine().records(collection, after, limit)
    }

    fn changes(&self, after: u64, limit: usize) -> Result<crate::Changes> {
        self.engine().changes(after, limit)
    }

    fn wait_for_change(&self, after: u64, at_most: std::time::Duration) -> Result<u64> {
        self.engine().wait_for_change(after, at_most)
    }

    fn stats(&self) -> Stats {
        let mut stats = self.engine().stats();
        if self.has(Fault::LosesBlobs) || self.has(Fault::PlaysDown) {
            stats.damage.push("something is damaged".to_owned());
        }
        stats
    }

    fn may_miss_entities(&self) -> bool {
        self.has(Fault::LosesBlobs) || self.engine().may_miss_entities()
    }

    fn check(&self, progress: ProgressFn<'_>) -> Result<CheckReport> {
        let mut report = self.engine().check(progress)?;
        if self.has(Fault::ReportsDamage) {
            report.damage.push("everything".to_owned());
        }
        Ok(report)
    }

    fn close(&self) -> Result<()> {
        self.engine().close()
    }
}

fn batch(number: usize) -> Batch {
    let mut batch = Batch::new();
    batch.put_entity(version("a", number).with_attachments(Some(token(1)), None));
    batch.put_blob(format!("blob {number}").into_bytes());
    let key = RecordKey::new("c", "k").expect("a legal name");
    batch.put_record(key, number.to_string().into_bytes(), Expected::Any);
    batch
}

/// Opens a disk with a fault in the store.
fn open(disk: &SimulatedDisk, fault: Fault) -> Result<Store> {
    let store = disk.open_store(&Options::default())?;
    Ok(Store::with_engine(Arc::new(Broken { store, fault })))
}

/// A few batches, a crash, and the audit of what is left.
fn audit(
    disk: &SimulatedDisk,
    fault: Fault,
    durability: Durability,
    crash: Crash,
) -> std::result::Result<(), Failure> {
    let mut auditor = Auditor::default();
    let store = open(disk, fault)?;
    for number in 0..3 {
        if let Outcome::Failed(error) = auditor.commit(&store, &batch(number), durability)? {
            assert_eq!(fault, Fault::DeniesBatches, "{error}");
        }
    }
    auditor.compare(&store)?;
    let left = disk.crash(crash, &mut Random::new(1));
    // Only what the system has is left of a killed process.
    drop((disk.kill(), store));
    auditor.settle(&open(&left, fault)?, crash)
}

#[test]
fn a_store_that_keeps_its_word_passes() -> std::result::Result<(), Failure> {
    for durability in [Durability::Buffered, Durability::Written, Durability::Synced] {
        for crash in [Crash::Killed, Crash::Nothing, Crash::Everything, Crash::Subset, Crash::Torn(512)] {
            audit(&SimulatedDisk::new(), Fault::Nothing, durability, crash)?;
        }
    }
    Ok(())
}

#[test]
fn every_broken_store_is_noticed() {
    use Fault as F;
    for (fault, crash) in [
        (F::SyncsNothing, Crash::Nothing),
        (F::WritesNothing, Crash::Killed),
        (F::SplitsBatches, Crash::Everything),
        (F::DropsBatches, Crash::Everything),
        (F::DeniesBatches, Crash::Everything),
        (F::ReturnsOtherBytes, Crash::Everything),
        (F::ReturnsOtherRecords, Crash::Everything),
        (F::LosesTokens, Crash::Everything),
        (F::HidesBlobs, Crash::Everything),
        (F::ReportsDamage, Crash::Everything),
    ] {
        let audited = audit(&SimulatedDisk::new(), fault, Durability::Synced, crash);
        assert!(audited.is_err(), "{fault:?} goes unnoticed");
    }
}

#[test]
fn a_disk_that_lies_about_syncs_is_noticed() -> std::result::Result<(), Failure> {
    let disk = SimulatedDisk::new();
    drop(open(&disk, Fault::Nothing)?);
    disk.lie_about_syncs(true, false);
    let failure =
        audit(&disk, Fault::Nothing, Durability::Synced, Crash::Nothing).expect_err("the lie is noticed");
    assert!(
        failure.to_string().contains("revision 0 is there, but revision 3 was acknowledged"),
        "{failure}"
    );
    let disk = SimulatedDisk::new();
    disk.lie_about_syncs(false, true);
    let failure =
        audit(&disk, Fault::Nothing, Durability::Synced, Crash::Nothing).expect_err("the lie is noticed");
    assert!(
        failure.to_string().contains("revision 0 is there, but revision 3 was acknowledged"),
        "{failure}"
    );
    Ok(())
}

#[test]
fn a_damaged_store_may_refuse_but_not_be_wrong_and_only_where_it_is_hit() -> std::result::Result<(), Failure>
{
    let mut auditor = Auditor::default();
    let disk = SimulatedDisk::new();
    let store = open(&disk, Fault::Nothing)?;
    for number in 0..3 {
        auditor.commit(&store, &batch(number), Durability::Synced)?;
    }
    let check = |fault: Fault, hit: &Hit| {
        let store = Broken { store: store.clone(), fault };
        auditor.known().check_damaged(&store, auditor.model(), hit)
    };
    let anything = Hit { anything: true, ..Hit::default() };
    assert_eq!(check(Fault::Nothing, &Hit::default())?.absent, 0);
    assert_eq!(check(Fault::LosesBlobs, &anything)?.absent, 3);
    assert!(check(Fault::LosesBlobs, &Hit::default()).is_err());
    for fault in [Fault::HidesBlobs, Fault::PlaysDown] {
        assert!(check(fault, &anything).is_err(), "{fault:?}: nobody is told that blobs are lost");
    }
    for fault in [Fault::ReturnsOtherBytes, Fault::ReturnsOtherRecords] {
        assert!(check(fault, &anything).is_err(), "{fault:?} goes unnoticed");
    }
    Ok(())
}
