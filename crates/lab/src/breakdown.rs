//! Where the time of fetching one file goes.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Instant;

use sha2::{Digest, Sha256};
use statlas_core::{Address, BlobId};
use statlas_store::{Location, Options, Store};

use crate::environment::{Environment, now};
use crate::error::{Error, Result};
use crate::process::Usage;
use crate::quantity::Unit;
use crate::report::{Better, Figure, Kind, Report, SCHEMA};

/// What is fetched, and how often.
#[derive(Debug, Clone)]
pub struct BreakdownOptions {
    /// The store, which is opened and closed several times.
    pub location: Location,
    /// How it is opened; it is not made.
    pub options: Options,
    /// The entity whose file is fetched.
    pub address: Address,
    /// How often each is measured.
    pub rounds: usize,
    /// The command line that repeats it.
    pub command: String,
}

/// What one fetch took, in seconds.
#[derive(Debug, Clone, Copy, Default)]
struct Times {
    lookup: f64,
    metadata: f64,
    content: f64,
    transfer: f64,
    /// Bytes that were read from a device meanwhile.
    read_bytes: f64,
}

/// A part of a fetch: its name in ids, what it is, and what it took.
struct Stage {
    id: &'static str,
    name: &'static str,
    of: fn(&Times) -> f64,
    definition: &'static str,
}

const STAGES: [Stage; 4] = [
    Stage {
        id: "lookup",
        name: "address lookup",
        of: |times| times.lookup,
        definition: "The entity is read by its address: the index, and its text in the log, whose checksum is verified.",
    },
    Stage {
        id: "metadata",
        name: "metadata",
        of: |times| times.metadata,
        definition: "The entity's text is parsed and the file opened: the manifest of a large file is read, which says \
                     what its pieces are. The bytes of a small file are read and hashed here: it has no other metadata.",
    },
    Stage {
        id: "content",
        name: "content",
        of: |times| times.content,
        definition: "All bytes are read, and the SHA-256 of each piece is compared.",
    },
    Stage {
        id: "transfer",
        name: "transfer",
        of: |times| times.transfer,
        definition: "The bytes are handed to somebody else through a pipe, as to another program.",
    },
];

/// Measures where the time of fetching a file goes, with a warm and with a cold cache.
///
/// # Errors
///
/// [`Error::Invalid`] if there is no such entity, or it has no file; [`Error::Store`].
pub fn break_down(options: &BreakdownOptions, goes_on: &dyn Fn() -> bool) -> Result<Report> {
    let (begun, started) = (now(), Instant::now());
    let folder = match &options.location {
        Location::Disk(path) => path.clone(),
        Location::Memory => {
            let message =
                "the store: found memory:; allowed: one on disk, since its parts are what is measured";
            return Err(Error::Invalid(message.to_owned()));
        }
    };
    let environment = Environment::of(&folder);
    let (mut warm, mut cold) = (Vec::new(), Vec::new());
    let mut bytes = 0;
    for round in 0..=options.rounds {
        if !goes_on() {
            return Err(Error::Interrupted);
        }
        // The first round only brings everything into the cache.
        let store = open(options)?;
        let (_, _) = fetch(&store, options)?;
        let (times, length) = fetch(&store, options)?;
        bytes = length;
        close(&store)?;
        drop(store);
        evict(&folder)?;
        let store = open(options)?;
        let (times_cold, _) = fetch(&store, options)?;
        close(&store)?;
        if round > 0 {
            warm.push(times);
            cold.push(times_cold);
        }
    }
    let hashed = hashing_seconds(bytes);
    let mut figures = Vec::new();
    for (cache, all) in [("warm", &warm), ("cold", &cold)] {
        for stage in &STAGES {
            figures.push(figure(cache, stage, all.iter().map(stage.of).collect()));
        }
        let total = |times: &Times| times.lookup + times.metadata + times.content + times.transfer;
        let definition = "The sum of the above.";
        let stage = Stage { id: "total", name: "in all", of: total, definition };
        figures.push(figure(cache, &stage, all.iter().map(stage.of).collect()));
    }
    figures.extend(disk_figures(&warm, &cold, hashed));
    let read: f64 = cold.iter().map(|times| times.read_bytes).sum::<f64>() / cold.len().max(1) as f64;
    let mut notes = vec![format!(
        "The file has {}. Before each cold fetch the store was closed, its files were taken out of the page cache, and the \
         store was opened again; opening itself is not counted.",
        Unit::Bytes.format(bytes as f64)
    )];
    if read < 1.0 {
        notes.push(
            "Nothing was read from a device in the cold fetches: the file system keeps its files in memory, or they can't \
             be taken out of it. What is called cold here is not."
                .to_owned(),
        );
    }
    Ok(Report {
        schema: SCHEMA,
        kind: Kind::Breakdown,
        title: format!("Fetching the file of {}", options.address),
        command: options.command.clone(),
        parameters: [("rounds".to_owned(), options.rounds.to_string())].into(),
        seed: 0,
        begun,
        seconds: started.elapsed().as_secs_f64(),
        environment,
        figures,
        runs: Vec::new(),
        plots: Vec::new(),
        notes,
    })
}

fn open(options: &BreakdownOptions) -> Result<Store> {
    // What it does by itself would be measured, too.
    let opened = Options { create: false, maintenance: false, ..options.options.clone() };
    Store::open(&options.location, &opened).map_err(Error::store("opening the store"))
}

fn close(store: &Store) -> Result<()> {
    store.close().map_err(Error::store("closing the store"))
}

/// Fetches the file once.
fn fetch(store: &Store, options: &BreakdownOptions) -> Result<(Times, u64)> {
    let address = options.address;
    let failed = || Error::store(format!("fetching the file of {address}"));
    let before = Usage::now();
    let mut clock = Instant::now();
    let mut lap = || {
        let now = Instant::now();
        (now - std::mem::replace(&mut clock, now)).as_secs_f64()
    };
    let absent = |what: &str| Error::Invalid(format!("entity {address}: {what}"));
    let entity = store.get(&address).map_err(failed())?.ok_or_else(|| absent("it is not in this store"))?;
    let lookup = lap();
    entity.head().map_err(failed())?;
    let id: BlobId = entity.blob().ok_or_else(|| absent("no file is attached to it"))?;
    let missing = || absent("the file that is attached to it is not in this store");
    let mut file = store.files().open(&id).map_err(failed())?.ok_or_else(missing)?;
    let metadata = lap();
    let mut content = Vec::new();
    file.read_to_end(&mut content).map_err(|error| match error.downcast::<statlas_store::Error>() {
        Ok(error) => failed()(error),
        Err(error) => Error::io(format!("fetching the file of {address}"), error),
    })?;
    let read = lap();
    transfer(&content).map_err(|error| Error::io("writing to a pipe", error))?;
    let transfer = lap();
    let read_bytes = match (before, Usage::now()) {
        (Some(before), Some(after)) => after.read_bytes.saturating_sub(before.read_bytes) as f64,
        _ => 0.0,
    };
    Ok((Times { lookup, metadata, content: read, transfer, read_bytes }, content.len() as u64))
}

/// Writes bytes to a pipe that another thread reads.
fn transfer(content: &[u8]) -> io::Result<()> {
    let (mut reader, mut writer) = io::pipe()?;
    thread::scope(|scope| {
        let draining = scope.spawn(move || io::copy(&mut reader, &mut io::sink()));
        let written = writer.write_all(content);
        drop(writer);
        let read = draining.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        written.and(read.map(drop))
    })
}

/// Takes the files of a store out of the page cache, as far as the system does that.
fn evict(folder: &Path) -> Result<()> {
    for path in files_in(folder)? {
        let failed = |error| Error::io(format!("opening {}", path.display()), error);
        let file = File::open(&path).map_err(failed)?;
        // What is not on the device yet stays: it is written first.
        file.sync_all().map_err(failed)?;
        // It is advice; whether it was taken the bytes show that are read afterwards.
        #[cfg(target_os = "linux")]
        let _advice = rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed);
    }
    Ok(())
}

fn files_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let (mut files, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        let failed = |error| Error::io(format!("listing {}", folder.display()), error);
        for entry in fs::read_dir(&folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            match entry.file_type().map_err(failed)? {
                kind if kind.is_dir() => folders.push(entry.path()),
                _ => files.push(entry.path()),
            }
        }
    }
    Ok(files)
}

/// What the SHA-256 of so many bytes takes that are in memory.
fn hashing_seconds(bytes: u64) -> f64 {
    let content = vec![0x5a; usize::try_from(bytes).unwrap_or(0)];
    let begun = Instant::now();
    std::hint::black_box(Sha256::digest(std::hint::black_box(&content)));
    begun.elapsed().as_secs_f64()
}

fn figure(cache: &str, stage: &Stage, samples: Vec<f64>) -> Figure {
    Figure {
        id: format!("breakdown.{cache}.{}", stage.id),
        section: format!("With a {cache} cache"),
        name: stage.name.to_owned(),
        engine: None,
        unit: Unit::Seconds,
        samples,
        better: Better::Lower,
        published: None,
        bound: None,
        definition: stage.definition.to_owned(),
    }
}

/// What of that the device and the hashing take.
fn disk_figures(warm: &[Times], cold: &[Times], hashed: f64) -> [Figure; 3] {
    let all = |times: &Times| times.lookup + times.metadata + times.content;
    let waited = warm.iter().zip(cold).map(|(warm, cold)| (all(cold) - all(warm)).max(0.0)).collect();
    let section = "Of that".to_owned();
    let base = Figure { section, ..figure("cold", &STAGES[2], waited) };
    [
        Figure {
            id: "breakdown.disk".to_owned(),
            name: "disk".to_owned(),
            definition: "What a cold fetch takes longer than a warm one, the transfer not counted: waiting for the device."
                .to_owned(),
            ..base.clone()
        },
        Figure {
            id: "breakdown.disk_bytes".to_owned(),
            name: "read from the device".to_owned(),
            unit: Unit::Bytes,
            samples: cold.iter().map(|times| times.read_bytes).collect(),
            better: Better::Neither,
            definition: "Bytes that the system read from a device for a cold fetch, as it tells of the process.".to_owned(),
            ..base.clone()
        },
        Figure {
            id: "breakdown.hashing".to_owned(),
            name: "verification".to_owned(),
            samples: vec![hashed],
            definition: "The SHA-256 of as many bytes in memory: a part of reading the content.".to_owned(),
            ..base
        },
    ]
}

#[cfg(test)]
mod tests {
    use statlas_store::{Batch, Durability};

    use super::*;
    use crate::data::file_bytes;
    use crate::generator::Generator;

    fn store_with_file(folder: &Path, bytes: usize) -> (BreakdownOptions, Address) {
        let location = Location::Disk(folder.join("store"));
        let store = Store::open(&location, &Options::default()).expect("it can be made");
        let stored = store.files().put(&mut &file_bytes(1, 1, bytes)[..]).expect("it is stored");
        let mut batch = Batch::new();
        let generator = Generator::new(1, None);
        let bare = batch.put_entity(generator.entity(0));
        let address = batch.put_entity(generator.entity(1).with_attachments(None, Some(stored.id)));
        store.commit(batch, Durability::Synced).expect("it is stored");
        store.close().expect("it closes");
        let options = BreakdownOptions {
            location,
            options: Options::default(),
            address,
            rounds: 3,
            command: String::new(),
        };
        (options, bare)
    }

    #[test]
    fn every_part_of_a_fetch_is_measured_warm_and_cold() {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        for bytes in [1000, 3 << 20] {
            let (options, _) = store_with_file(&folder.path().join(bytes.to_string()), bytes);
            let report = break_down(&options, &|| true).expect("it can be measured");
            for cache in ["warm", "cold"] {
                let value = |stage: &str| {
                    let id = format!("breakdown.{cache}.{stage}");
                    let figure = report.figures.iter().find(|figure| figure.id == id).expect("it is there");
                    assert_eq!(figure.samples.len(), 3, "{id}");
                    figure.samples.clone()
                };
                let parts: Vec<_> = ["lookup", "metadata", "content", "transfer"].map(value).into();
                for (round, total) in value("total").into_iter().enumerate() {
                    let sum: f64 = parts.iter().map(|part| part[round]).sum();
                    assert!(sum > 0.0 && (sum - total).abs() < 1e-9);
                }
            }
        }
    }

    #[test]
    fn what_can_not_be_fetched_is_an_error_that_says_why() {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let (options, bare) = store_with_file(folder.path(), 100);
        let refused = |address, location| {
            let options = BreakdownOptions { address, location, ..options.clone() };
            break_down(&options, &|| true).expect_err("there is nothing to fetch").to_string()
        };
        assert!(refused(bare, options.location.clone()).contains("no file is attached"));
        assert!(refused(Address([1; 32]), options.location.clone()).contains("not in this store"));
        assert!(refused(bare, Location::Memory).contains("allowed: one on disk"));
        assert!(matches!(break_down(&options, &|| false), Err(Error::Interrupted)));
    }
}
