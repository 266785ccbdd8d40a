//! Crashes, failures and damage tried on a copy of somebody's store.
//!
//! The store is copied into a simulated disk, in memory, which loses, tears and refuses what a real one may. Nothing is
//! ever written to the store itself. What is tried follows from the seed and the number of the state.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use statlas_core::Address;
use statlas_store::testing::{Call, Crash, Fault, Moment, Plan, Random, SimulatedDisk};
use statlas_store::{Batch, Durability, Location, Options, Query, Store};

use crate::environment::{Environment, now};
use crate::error::{Error, Result};
use crate::generator::Generator;
use crate::quantity::Unit;
use crate::report::{Better, Figure, Kind, Report, SCHEMA};
use crate::runner::{Progress, Watcher};
use crate::threshold::Bound;

/// Batches that are written to the copy, and entities in each.
const BATCHES: u64 = 24;
const BATCH: u64 = 4;
/// Entities of the store itself that every state is asked for.
const SAMPLE: usize = 300;
/// So many states share a full check, which reads everything.
const CHECK_EVERY: u64 = 16;
/// So many failures are told in words.
const MESSAGES_MAX: usize = 20;
/// The part of the memory that a copy may take.
const MEMORY_PART: u64 = 4;

/// What a power cut may leave.
const CRASHES: [Crash; 8] = [
    Crash::Killed,
    Crash::Nothing,
    Crash::Everything,
    Crash::Subset,
    Crash::Subset,
    Crash::Torn(512),
    Crash::Torn(4096),
    Crash::Reordered,
];

/// What is tried.
#[derive(Debug, Clone)]
pub struct FaultOptions {
    /// The directory of the store.
    pub store: PathBuf,
    /// How it is opened.
    pub options: Options,
    /// So many states of each campaign.
    pub states: u64,
    /// Where all randomness comes from.
    pub seed: u64,
    /// The command line that repeats it.
    pub command: String,
}

/// What a campaign tries, and what it found.
struct Campaign {
    id: &'static str,
    name: &'static str,
    definition: &'static str,
    tried: u64,
    failures: Vec<String>,
}

/// What is known of the store that was copied.
struct Known {
    disk: SimulatedDisk,
    options: Options,
    /// All entities.
    entities: Vec<Address>,
    seed: u64,
}

/// Tries crashes, failing calls and damage on a copy of a store, in memory.
///
/// # Errors
///
/// [`Error::Insufficient`] if the store does not fit into a quarter of the memory; [`Error::Invalid`] if it is damaged
/// already; [`Error::Store`], [`Error::Io`], [`Error::Interrupted`].
pub fn try_faults(options: &FaultOptions, watcher: &mut Watcher<'_>) -> Result<Report> {
    let (begun, started) = (now(), Instant::now());
    let environment = Environment::of(&options.store);
    let known = Known::of(options, environment.memory_bytes)?;
    let mut campaigns = [
        Campaign {
            id: "crashes",
            name: "power cuts and kills",
            definition: "Batches are written; the power is cut, or the process killed, after any call to the file system, \
                         and of what was not synced any part is left, in any order, torn within a write. The store must \
                         open, have every entity that it had and every batch that was acknowledged, no batch in part, and \
                         go on.",
            tried: 0,
            failures: Vec::new(),
        },
        Campaign {
            id: "failures",
            name: "failing calls",
            definition: "One call to the file system fails (an error of the device, a full disk, a short write, a sync that \
                         was not done). Nothing may be acknowledged that is not there afterwards, and nothing be lost.",
            tried: 0,
            failures: Vec::new(),
        },
        Campaign {
            id: "damage",
            name: "damaged bytes",
            definition: "A bit flips, or a page becomes zeros, in any file. What is returned must be what was stored; what \
                         is not returned must be told of as damaged; and when the bytes are right again, everything is \
                         there.",
            tried: 0,
            failures: Vec::new(),
        },
    ];
    let recording = Recording::make(&known)?;
    for campaign in &mut campaigns {
        for state in 0..options.states {
            if !(watcher.goes_on)() {
                break;
            }
            let progress = Progress { seconds: started.elapsed().as_secs_f64(), ..Progress::default() };
            (watcher.progress)(&format!("{}, {state} of {}", campaign.name, options.states), progress);
            let outcome = match campaign.id {
                "crashes" => recording.crash(&known, state),
                "failures" => fail(&known, &recording.calls, state),
                _ => damage(&known, state),
            };
            campaign.tried += 1;
            if let Err(what) = outcome {
                campaign.failures.push(format!("{} {state}: {what}", campaign.id));
            }
        }
    }
    let failures = campaigns.iter().flat_map(|campaign| campaign.failures.iter().cloned());
    let mut notes: Vec<String> = failures.take(MESSAGES_MAX).collect();
    notes.push(format!(
        "The copy had {} entities in {} files of {}.",
        Unit::Count.format(known.entities.len() as f64),
        known.disk.names().len(),
        Unit::Bytes.format(known.bytes() as f64)
    ));
    Ok(Report {
        schema: SCHEMA,
        kind: Kind::Faults,
        title: format!("Faults on a copy of {}", options.store.display()),
        command: options.command.clone(),
        parameters: [("states".to_owned(), options.states.to_string())].into(),
        seed: options.seed,
        begun,
        seconds: started.elapsed().as_secs_f64(),
        environment,
        figures: campaigns.iter().flat_map(Campaign::figures).collect(),
        runs: Vec::new(),
        plots: Vec::new(),
        notes,
    })
}

impl Campaign {
    fn figures(&self) -> [Figure; 2] {
        let tried = Figure {
            id: format!("faults.{}.tried", self.id),
            section: self.name.to_owned(),
            name: "states tried".to_owned(),
            engine: None,
            unit: Unit::Count,
            samples: vec![self.tried as f64],
            better: Better::Neither,
            published: None,
            bound: Some(Bound::AtLeast(1.0)),
            definition: self.definition.to_owned(),
        };
        let failed = Figure {
            id: format!("faults.{}.failed", self.id),
            name: "states in which the store broke its word".to_owned(),
            samples: vec![self.failures.len() as f64],
            better: Better::Lower,
            bound: Some(Bound::AtMost(0.0)),
            ..tried.clone()
        };
        [tried, failed]
    }
}

/// What went wrong in a state.
type Outcome = std::result::Result<(), String>;

fn told(what: &str) -> impl FnOnce(statlas_store::Error) -> String {
    let what = what.to_owned();
    move |error| format!("{what}: {error}")
}

impl Known {
    /// Copies a store into a simulated disk.
    fn of(options: &FaultOptions, memory_bytes: u64) -> Result<Self> {
        let opened = Options { create: false, maintenance: false, ..options.options.clone() };
        let location = Location::Disk(options.store.clone());
        // It is open, so that nobody else changes it meanwhile.
        let store = Store::open(&location, &opened).map_err(Error::store("opening the store"))?;
        let stats = store.engine().stats();
        if let Some(damage) = stats.damage.first() {
            let message = format!("the store is damaged already ({damage}); `statlas check` tells where");
            return Err(Error::Invalid(message));
        }
        let most = memory_bytes / MEMORY_PART;
        if stats.disk_bytes > most {
            return Err(Error::Insufficient(format!(
                "the store has {}, and its copy is made in memory, of which a quarter is {}: try it on a smaller one",
                Unit::Bytes.format(stats.disk_bytes as f64),
                Unit::Bytes.format(most as f64)
            )));
        }
        let entities = addresses(&store)?;
        store.engine().sync().map_err(Error::store("syncing the store"))?;
        let disk = copy(&options.store)?;
        drop(store);
        Ok(Self { disk, options: opened, entities, seed: options.seed })
    }

    fn bytes(&self) -> usize {
        self.disk.names().iter().filter_map(|name| self.disk.content(name)).map(|content| content.len()).sum()
    }

    /// A copy of the copy.
    fn disk(&self) -> SimulatedDisk {
        self.disk.crash(Crash::Everything, &mut Random::new(0))
    }

    fn open(&self, disk: &SimulatedDisk) -> std::result::Result<Store, String> {
        disk.open_store(&self.options).map_err(told("it does not open"))
    }

    /// Some of the entities, others for each state.
    fn sample(&self, random: &mut Random) -> Vec<Address> {
        match self.entities.len() {
            0 => Vec::new(),
            few if few <= SAMPLE => self.entities.clone(),
            many => (0..SAMPLE).map(|_| self.entities[random.below(many)]).collect(),
        }
    }

    /// Whether the store has what it had.
    fn expect_all(&self, store: &Store, random: &mut Random) -> Outcome {
        for address in self.sample(random) {
            expect_there(store, &address)?;
        }
        Ok(())
    }
}

/// Whether an entity is there, and is itself.
fn expect_there(store: &Store, address: &Address) -> Outcome {
    match store.get(address).map_err(told("an entity can't be read"))? {
        Some(entity) if Address::of(entity.canonical()) == *address => Ok(()),
        Some(_) => Err(format!("entity {address} has another text")),
        None => Err(format!("entity {address} is gone")),
    }
}

/// The addresses of all entities of a store.
fn addresses(store: &Store) -> Result<Vec<Address>> {
    let mut found = Vec::new();
    let mut query = Query { limit: 10_000, ..Query::default() };
    loop {
        let page = store.engine().find(&query).map_err(Error::store("listing the store"))?;
        found.extend(page.entities.iter().map(statlas_store::StoredEntity::address));
        match page.next {
            Some(next) => query.after = Some(next),
            None => return Ok(found),
        }
    }
}

/// The files of a store on a disk of their own.
fn copy(store: &Path) -> Result<SimulatedDisk> {
    let disk = SimulatedDisk::new();
    // Makes the folders; the files of the new store give way to those of the other one.
    drop(
        disk.open_store(&Options { maintenance: false, ..Options::default() })
            .map_err(Error::store("making a copy"))?,
    );
    disk.names().iter().for_each(|name| disk.set_content(name, None));
    for folder in ["", "log"] {
        let path = store.join(folder);
        let failed = |error| Error::io(format!("reading {}", path.display()), error);
        for entry in fs::read_dir(&path).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if !entry.file_type().map_err(failed)?.is_file() || name == "LOCK" {
                continue;
            }
            let content = fs::read(entry.path()).map_err(failed)?;
            let name = if folder.is_empty() { name } else { format!("{folder}/{name}") };
            disk.set_content(&name, Some(&content));
        }
    }
    Ok(disk)
}

/// A batch that is written to a copy.
fn batch(known: &Known, number: u64) -> (Batch, Vec<Address>, Durability) {
    // Entities that nobody has: their seed is nobody's.
    let generator = Generator::new(known.seed ^ 0xfa17_5eed_0000_0000, None);
    let mut batch = Batch::new();
    let numbers = number * BATCH..(number + 1) * BATCH;
    let addresses = numbers.map(|number| batch.put_entity(generator.entity(number))).collect();
    let durability = [Durability::Synced, Durability::Written, Durability::Buffered][(number % 3) as usize];
    (batch, addresses, durability)
}

/// Batches that were written undisturbed: the disk after each call, and what had been acknowledged by then.
struct Recording {
    moments: Vec<Moment>,
    /// For each batch what it holds, and the number of the moment from which on it survives a kill and a power cut.
    batches: Vec<(Vec<Address>, usize, usize)>,
    calls: Vec<Call>,
}

impl Recording {
    fn make(known: &Known) -> Result<Self> {
        Self::make_on(known, &known.disk())
    }

    fn make_on(known: &Known, disk: &SimulatedDisk) -> Result<Self> {
        let failed = || Error::store("writing to a copy of the store");
        disk.note_moments();
        let store = disk.open_store(&known.options).map_err(failed())?;
        let mut batches: Vec<(Vec<Address>, usize, usize)> = Vec::new();
        for number in 0..BATCHES {
            let (batch, addresses, durability) = batch(known, number);
            store.commit(batch, durability).map_err(failed())?;
            let moment = disk.moments() - 1;
            batches.push((addresses, usize::MAX, usize::MAX));
            // One that is durable makes those before it durable.
            for (_, killed, cut) in &mut batches {
                if durability >= Durability::Written {
                    *killed = (*killed).min(moment);
                }
                if durability == Durability::Synced {
                    *cut = (*cut).min(moment);
                }
            }
        }
        store.close().map_err(failed())?;
        let calls = disk.calls().into_iter().filter(|call| call.name.as_ref() != "").collect();
        Ok(Self { moments: disk.take_moments(), batches, calls })
    }

    /// Crashes at some moment, in some way.
    fn crash(&self, known: &Known, state: u64) -> Outcome {
        let mut random = Random::new(known.seed.wrapping_add(state));
        let at = random.below(self.moments.len());
        let crash = CRASHES[random.below(CRASHES.len())];
        let disk = self.moments[at].crash(crash, &mut random);
        self.expect_sound(known, &disk, at, crash, state, &mut random)
            .map_err(|what| format!("{crash:?} at moment {at}: {what}"))
    }

    fn expect_sound(
        &self,
        known: &Known,
        disk: &SimulatedDisk,
        at: usize,
        crash: Crash,
        state: u64,
        random: &mut Random,
    ) -> Outcome {
        let store = known.open(disk)?;
        known.expect_all(&store, random)?;
        for (addresses, killed, cut) in &self.batches {
            let is_promised = at >= if crash == Crash::Killed { *killed } else { *cut };
            expect_batch(&store, addresses, is_promised)?;
        }
        expect_goes_on(known, &store, state)
    }
}

/// Whether a batch is there as a whole or not at all, and is there if it must be.
fn expect_batch(store: &Store, addresses: &[Address], is_promised: bool) -> Outcome {
    let found = store.engine().entities(addresses).map_err(told("a batch can't be read"))?;
    let there = found.iter().flatten().count();
    match there {
        _ if there == addresses.len() => Ok(()),
        0 if !is_promised => Ok(()),
        0 => Err("a batch that was acknowledged is gone".to_owned()),
        _ => Err(format!("{there} of {} entities of a batch are there", addresses.len())),
    }
}

/// Whether a store takes a batch and is whole.
fn expect_goes_on(known: &Known, store: &Store, state: u64) -> Outcome {
    let (batch, addresses, _) = batch(known, BATCHES + state);
    store.commit(batch, Durability::Synced).map_err(told("it takes no batch any more"))?;
    expect_batch(store, &addresses, true)?;
    if state.is_multiple_of(CHECK_EVERY) {
        let check = store.engine().check(&mut |_, _| {}).map_err(told("it can't be checked"))?;
        if let Some(damage) = check.damage.first() {
            return Err(format!("it is damaged: {damage}"));
        }
    }
    Ok(())
}

/// Writes batches while one call fails.
fn fail(known: &Known, calls: &[Call], state: u64) -> Outcome {
    let mut random = Random::new(known.seed.wrapping_add(state));
    let call = random.pick(calls);
    let fault: Fault = random.pick(call.operation.faults());
    let disk = known.disk();
    // Who is interrupted for ever tries for ever.
    let is_brief = matches!(fault, Fault::Interrupted | Fault::Half);
    let for_good = !is_brief && random.chance(30);
    disk.plan(Some(Plan { call: call.clone(), fault, for_good }));
    let outcome = write_disturbed(known, &disk, state, &mut random);
    outcome.map_err(|what| format!("{fault:?}, {call}: {what}"))
}

fn write_disturbed(known: &Known, disk: &SimulatedDisk, state: u64, random: &mut Random) -> Outcome {
    let mut acknowledged = HashSet::new();
    // It may be refused: nothing is wrong with that.
    if let Ok(store) = disk.open_store(&known.options) {
        for number in 0..BATCHES {
            let (batch, ..) = batch(known, number);
            if store.commit(batch, Durability::Synced).is_ok() {
                acknowledged.insert(number);
            }
        }
        drop(store.close());
    }
    disk.plan(None);
    // What a power cut leaves of that.
    let disk = disk.crash(Crash::Subset, random);
    let store = known.open(&disk)?;
    known.expect_all(&store, random)?;
    for number in 0..BATCHES {
        let (_, addresses, _) = batch(known, number);
        expect_batch(&store, &addresses, acknowledged.contains(&number))?;
    }
    expect_goes_on(known, &store, state)
}

/// Damages some bytes, looks, and makes them right again.
fn damage(known: &Known, state: u64) -> Outcome {
    let mut random = Random::new(known.seed.wrapping_add(state));
    let disk = known.disk();
    let names = disk.names();
    let name = random.pick(&names);
    let whole = disk.content(&name).unwrap_or_default();
    if whole.is_empty() {
        return Ok(());
    }
    let at = random.below(whole.len());
    let mut damaged = whole.clone();
    let what = if random.chance(70) {
        damaged[at] ^= 1 << random.below(8);
        format!("a bit of byte {at} of {name}")
    } else {
        let page = at / 4096 * 4096;
        let end = (page + 4096).min(damaged.len());
        damaged[page..end].fill(0);
        format!("the page at {page} of {name}")
    };
    disk.set_content(&name, Some(&damaged));
    let outcome = look_at_damaged(known, &disk, &mut random);
    // A store that was opened may have written elsewhere; on another copy only these bytes are wrong.
    let outcome = outcome.and_then(|()| {
        let disk = known.disk();
        disk.set_content(&name, Some(&damaged));
        disk.set_content(&name, Some(&whole));
        let store = known.open(&disk)?;
        known.expect_all(&store, &mut random)
    });
    outcome.map_err(|wrong| format!("{what}: {wrong}"))
}

fn look_at_damaged(known: &Known, disk: &SimulatedDisk, random: &mut Random) -> Outcome {
    // A store whose header is damaged is refused, which is right.
    let Ok(store) = disk.open_store(&known.options) else { return Ok(()) };
    let mut absent = None;
    for address in known.sample(random) {
        match store.get(&address) {
            Ok(Some(entity)) if Address::of(entity.canonical()) == address => {}
            Ok(Some(_)) => return Err(format!("entity {address} has another text, and nobody said so")),
            Ok(None) => absent = Some(address),
            Err(_) => {}
        }
    }
    let Some(absent) = absent else { return Ok(()) };
    let is_told = store.engine().may_miss_entities() || !store.engine().stats().damage.is_empty();
    let is_found = || store.engine().check(&mut |_, _| {}).map_or(true, |check| !check.damage.is_empty());
    if is_told || is_found() {
        Ok(())
    } else {
        Err(format!("entity {absent} is gone, and nothing is called damaged"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(folder: &Path, states: u64) -> FaultOptions {
        FaultOptions {
            store: folder.join("store"),
            options: Options::default(),
            states,
            seed: 3,
            command: String::new(),
        }
    }

    fn fill(folder: &Path, entities: u64) {
        let options = Options { segment_bytes: 64 << 10, ..Options::default() };
        let store = Store::open(&Location::Disk(folder.join("store")), &options).expect("it can be made");
        let generator = Generator::new(9, None);
        for some in 0..entities / 50 {
            let mut batch = Batch::new();
            (some * 50..(some + 1) * 50).for_each(|number| {
                batch.put_entity(generator.entity(number));
            });
            store.commit(batch, Durability::Synced).expect("it is stored");
        }
        store.close().expect("it closes");
    }

    fn content(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
        let mut files = Vec::new();
        for part in ["store", "store/log"] {
            for entry in fs::read_dir(folder.join(part)).expect("it can be listed").flatten() {
                if entry.path().is_file() {
                    files.push((entry.path(), fs::read(entry.path()).expect("it can be read")));
                }
            }
        }
        files.sort();
        files
    }

    #[test]
    fn a_store_keeps_its_word_and_stays_as_it_is() {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        fill(folder.path(), 1000);
        let before = content(folder.path());
        let mut watcher = Watcher { goes_on: &|| true, progress: &mut |_, _| {} };
        let report = try_faults(&options(folder.path(), 60), &mut watcher).expect("it can be tried");
        assert_eq!(report.verdict(), crate::threshold::Verdict::Pass, "{:?}", report.notes);
        for id in ["crashes", "failures", "damage"] {
            let id = format!("faults.{id}.tried");
            let figure = report.figures.iter().find(|figure| figure.id == id).expect("it is there");
            assert_eq!(figure.value(), Some(60.0), "{id}");
        }
        assert!(content(folder.path()) == before, "the store was changed");
    }

    #[test]
    fn a_device_that_lies_is_caught() {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        fill(folder.path(), 200);
        let known = Known::of(&options(folder.path(), 1), u64::MAX).expect("it can be copied");
        let disk = known.disk();
        disk.lie_about_syncs(true, true);
        let recording = Recording::make_on(&known, &disk).expect("nothing fails");
        let failed = (0..200).filter(|state| recording.crash(&known, *state).is_err()).count();
        assert!(failed > 0, "no state shows that acknowledged batches are lost");
    }

    #[test]
    fn an_entity_that_is_lost_without_a_word_is_caught() {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        fill(folder.path(), 200);
        let mut known = Known::of(&options(folder.path(), 1), u64::MAX).expect("it can be copied");
        known.entities.push(Address([7; 32]));
        let failed = (0..20).filter(|state| damage(&known, *state).is_err()).count();
        assert!(failed > 0, "an entity that never was is not missed");
    }

    #[test]
    fn a_store_that_is_damaged_or_too_large_is_refused() {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        fill(folder.path(), 200);
        let error =
            Known::of(&options(folder.path(), 1), 4000).map(drop).expect_err("it is too large").to_string();
        assert!(error.contains("try it on a smaller one"), "{error}");
        assert!(Known::of(&options(&folder.path().join("absent"), 1), u64::MAX).is_err());
    }
}
