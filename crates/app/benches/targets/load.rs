//! Section `load`: JSON lines into a new store through the program, and the store that others read.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use statlas_core::{Address, Entity};
use statlas_lab::Generator;
use statlas_store::{Location, Options, Store};

use crate::report::Target;
use crate::{Bench, child};

const SECTION: &str = "load";

/// A store that the program has loaded, and what is in it.
pub(crate) struct Loaded {
    pub(crate) path: PathBuf,
    pub(crate) addresses: Vec<Address>,
    /// Bytes of all canonical texts.
    pub(crate) canonical_bytes: u64,
}

impl Loaded {
    /// Opens the store.
    pub(crate) fn open(&self) -> Result<Store> {
        let options = Options { create: false, ..Options::default() };
        Ok(Store::open(&Location::Disk(self.path.clone()), &options)?)
    }

    /// Opens the store and waits until its index is in memory.
    pub(crate) fn open_warm(&self) -> Result<Store> {
        let store = self.open()?;
        loop {
            let stats = store.engine().stats();
            if stats.segments_covered == stats.segments {
                return Ok(store);
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }
}

pub(crate) fn run(bench: &mut Bench) -> Result<()> {
    let input = Input::write(bench)?;
    let entities = input.addresses.len() as f64;
    let (mut rates, mut peaks, mut sizes) = (vec![], vec![], vec![]);
    let path = bench.directory.join("entities");
    for repetition in 0..bench.sizes.load_repetitions {
        if repetition > 0 {
            std::fs::remove_dir_all(&path)?;
        }
        let outcome = input.load(bench, &path)?;
        rates.push(entities / outcome.seconds);
        peaks.extend(outcome.peak_bytes.map(|bytes| bytes as f64 / 1e6));
        let store_bytes = bytes_in(&path)?;
        sizes.push(store_bytes as f64 / input.canonical_bytes as f64);
    }
    bench.report.note(
        SECTION,
        format!(
            "{entities} entities, {} bytes of JSON lines, {} canonical bytes; from the start of the process to its end",
            input.json_bytes, input.canonical_bytes
        ),
    );
    bench.report.row(SECTION, "load, end to end", "entities/s", rates, Target::AtLeast(300e3));
    if !peaks.is_empty() {
        bench.report.row(SECTION, "load, peak memory", "MB", peaks, Target::AtMost(400.0));
    }
    bench.report.row(SECTION, "bytes in the store for a canonical byte", "times", sizes, Target::None);
    bench.loaded = Some(input.into_loaded(path)?);
    Ok(())
}

impl Bench {
    /// The store of the reading sections, loaded without being measured if section `load` was not asked for.
    pub(crate) fn loaded(&mut self) -> Result<&Loaded> {
        if self.loaded.is_none() {
            let input = Input::write(self)?;
            let path = self.directory.join("entities");
            input.load(self, &path)?;
            self.loaded = Some(input.into_loaded(path)?);
        }
        self.loaded.as_ref().context("the store was just loaded")
    }
}

/// A file of JSON lines.
struct Input {
    path: PathBuf,
    addresses: Vec<Address>,
    canonical_bytes: u64,
    json_bytes: u64,
}

impl Input {
    fn write(bench: &Bench) -> Result<Self> {
        let path = bench.directory.join("entities.jsonl");
        let mut file = BufWriter::with_capacity(1 << 20, File::create(&path)?);
        let (mut addresses, mut canonical_bytes, mut json_bytes) = (vec![], 0, 0);
        let (mut line, mut canonical) = (Vec::new(), Vec::new());
        for entity in entities(bench) {
            line.clear();
            entity.to_json_into(&mut line);
            line.push(b'\n');
            file.write_all(&line)?;
            canonical.clear();
            entity.canonical_into(&mut canonical);
            addresses.push(Address::of(&canonical));
            canonical_bytes += canonical.len() as u64;
            json_bytes += line.len() as u64;
        }
        file.flush()?;
        Ok(Self { path, addresses, canonical_bytes, json_bytes })
    }

    fn load(&self, bench: &Bench, store: &std::path::Path) -> Result<child::Outcome> {
        child::settle();
        child::statlas(
            &["--store".as_ref(), store.as_os_str(), "load".as_ref(), self.path.as_os_str()],
            &bench.directory,
        )
    }

    /// Checks that the store has all of it, and gives the room of the file back.
    fn into_loaded(self, path: PathBuf) -> Result<Loaded> {
        std::fs::remove_file(&self.path)?;
        let loaded = Loaded { path, addresses: self.addresses, canonical_bytes: self.canonical_bytes };
        let stats = loaded.open()?.engine().stats();
        let expected = loaded.addresses.len() as u64;
        ensure!(stats.entities == expected, "{} entities in the store; loaded: {expected}", stats.entities);
        ensure!(stats.damage.is_empty(), "the store is damaged: {}", stats.damage.join("; "));
        Ok(loaded)
    }
}

/// The entities of the store, in the order of the file.
pub(crate) fn entities(bench: &Bench) -> impl Iterator<Item = Entity> {
    Generator::new(bench.seed, None).take(bench.sizes.load_entities)
}

/// The bytes of all files in a directory.
pub(crate) fn bytes_in(directory: &std::path::Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        bytes += if metadata.is_dir() { bytes_in(&entry.path())? } else { metadata.len() };
    }
    Ok(bytes)
}
