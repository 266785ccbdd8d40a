//! Scenario 3.9: backup, restore, and looking for damage.

use std::path::Path;

use statlas_store::{
    BackupOptions, Batch, Durability, Expected, Location, Options, Store, restore, verify_backup,
};

use super::{COLLECTION, Node};
use crate::error::{Error, Result};
use crate::quantity::Unit;
use crate::report::Better;
use crate::stress::clock::timed;
use crate::stress::draft::{Draft, counted};
use crate::stress::engine::Engine;
use crate::stress::estimate::Cost;
use crate::stress::loaded::{Loaded, TOGETHER};
use crate::stress::session::Session;
use crate::stress::sizes::Sizes;

pub(in crate::stress) fn cost(sizes: &Sizes, engines: &[Engine]) -> Cost {
    let (entities, lasting) =
        (sizes.kept_entities, engines.iter().filter(|engine| engine.is_lasting()).count());
    let rounds = sizes.file_rounds as f64;
    let seconds = lasting as f64 * entities as f64 * (10e-6 + rounds * 20e-6);
    Cost { seconds, memory_bytes: entities * 250, disk_bytes: entities * 1600 }
}

pub(in crate::stress) fn run(session: &mut Session<'_, '_>) -> Result<()> {
    for engine in session.engines.clone() {
        if !engine.is_lasting() {
            session.note("the engine in memory keeps nothing that could be backed up or damaged");
            continue;
        }
        let entities = session.sizes.kept_entities;
        let loaded = Loaded::new(session, &engine, entities)?;
        for round in 0..session.sizes.file_rounds {
            let parent = &session.options.folder;
            let failed = |error| Error::io(format!("making a folder in {}", parent.display()), error);
            let folder =
                tempfile::Builder::new().prefix("statlas-lab-").tempdir_in(parent).map_err(failed)?;
            round_trip(session, &loaded, folder.path(), round as u64)?;
        }
    }
    session.note(
        "statements that are prepared, read replicas and sharding belong to engines on databases; filters are part of the disk engine, \
         whose lookups of what is not there are in 1.2",
    );
    Ok(())
}

/// Backs a store up, changes it, backs it up again, verifies and restores the backup, and checks what comes of it.
fn round_trip(session: &mut Session<'_, '_>, loaded: &Loaded, folder: &Path, round: u64) -> Result<()> {
    let (engine, store) = (&loaded.engine, &loaded.store);
    let size = counted(loaded.addresses.len() as u64);
    let (backup, restored) = (folder.join("backup"), folder.join("restored"));
    let options = BackupOptions { strict: true, goes_on: session.asks() };
    let failed = || Error::store("backing up, restoring or checking a store");
    let mut ignore = |_, _| {};
    session.step("backup")?;
    let (seconds, first) = timed(|| store.engine().backup(&backup, &options, &mut ignore));
    let first = first.map_err(failed())?;
    add(
        session,
        engine,
        "backup",
        &format!("back up a store of {size} entities"),
        seconds,
        first.bytes_copied,
        "While it is open: files are copied, verified and synced.",
    );
    let nodes = session.sizes.nodes;
    let mut batch = Batch::new();
    (0..nodes)
        .for_each(|number| Node::new(session.options.seed ^ round, number).put(&mut batch, Expected::Any));
    store.commit(batch, Durability::Synced).map_err(failed())?;
    let (seconds, second) = timed(|| store.engine().backup(&backup, &options, &mut ignore));
    let second = second.map_err(failed())?;
    add(
        session,
        engine,
        "again",
        &format!("bring it up to date, {} nodes more", counted(nodes)),
        seconds,
        second.bytes_copied,
        "Files that are in the backup as a whole are not copied again.",
    );
    let (seconds, verified) = timed(|| verify_backup(&backup, &options, &mut ignore));
    let verified = verified.map_err(failed())?;
    session.check(Some(engine), verified.damage.is_empty(), || {
        format!("the backup is damaged: {:?}", verified.damage)
    });
    add(
        session,
        engine,
        "verify",
        "verify the backup",
        seconds,
        verified.bytes,
        "Everything is read; addresses, checksums and the hash chain are computed again.",
    );
    session.step("restore")?;
    let (seconds, report) = timed(|| restore(&backup, &restored, &options, &mut ignore));
    let report = report.map_err(failed())?;
    add(
        session,
        engine,
        "restore",
        "restore it into an empty directory",
        seconds,
        report.bytes,
        "Verified as above on the way, and synced.",
    );
    let stats = store.engine().stats();
    session.check(
        Some(engine),
        report.revision == stats.revision && report.chain_head == stats.chain_head,
        || {
            format!(
                "the store is at revision {}, and what was restored at {}",
                stats.revision, report.revision
            )
        },
    );
    session.step("check")?;
    check(session, loaded, &restored, round)
}

/// The restored store is sound, and has what the other one has.
fn check(session: &mut Session<'_, '_>, loaded: &Loaded, restored: &Path, round: u64) -> Result<()> {
    let failed = || Error::store("looking at a restored store");
    let engine = &loaded.engine;
    let store = Store::open(&Location::Disk(restored.to_owned()), &Options::default()).map_err(failed())?;
    let mut ignore = |_, _| {};
    let (seconds, checked) = timed(|| store.engine().check(&mut ignore));
    let checked = checked.map_err(failed())?;
    session.check(Some(engine), checked.damage.is_empty(), || format!("it is damaged: {:?}", checked.damage));
    add(
        session,
        engine,
        "check",
        "check a store for damage",
        seconds,
        checked.bytes,
        "Everything that is stored is read and verified.",
    );
    let mut missing = 0;
    for some in loaded.addresses.chunks(TOGETHER) {
        session.goes_on()?;
        let found = store.engine().entities(some).map_err(failed())?;
        let is_it = |(found, address): &(&Option<statlas_store::StoredEntity>, &statlas_core::Address)| {
            found.as_ref().is_some_and(|entity| entity.address() == **address)
        };
        missing += some.len() - found.iter().zip(some).filter(is_it).count();
    }
    let nodes = store.engine().records(COLLECTION, None, session.sizes.nodes as usize).map_err(failed())?;
    let seed = session.options.seed ^ round;
    missing += session.sizes.nodes as usize - nodes.len();
    missing +=
        (0..).zip(&nodes).filter(|(number, record)| Node::new(seed, *number).value != record.value).count();
    let messages: Vec<String> = (missing > 0)
        .then(|| format!("{missing} entities and nodes were not restored"))
        .into_iter()
        .collect();
    let looked_at = loaded.addresses.len() as u64 + session.sizes.nodes;
    session.checked(Some(engine), looked_at, missing as u64, &messages);
    store.close().map_err(failed())
}

fn add(
    session: &mut Session<'_, '_>,
    engine: &Engine,
    id: &str,
    name: &str,
    seconds: f64,
    bytes: u64,
    definition: &str,
) {
    session.sample(Draft::time(format!("{id}.time"), name).by(definition).on(engine), seconds);
    let name = format!("{name}, bytes a second");
    let draft = Draft::new(format!("{id}.rate"), name, Unit::BytesPerSecond, Better::Higher);
    session.sample(draft.by(definition).on(engine), bytes as f64 / seconds);
}
