//! Section `large`: one file that is larger than the memory it may take.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::Path;

use anyhow::{Result, ensure};
use statlas_core::Address;
use statlas_lab::{Generator, SplitMix64};
use statlas_store::{Location, Options, Query, Store};

use crate::report::Target;
use crate::{Bench, child};

const SECTION: &str = "large";
const BLOCK_BYTES: usize = 1 << 20;

/// The figures of one command.
#[derive(Default)]
struct Figures {
    mb_per_second: Vec<f64>,
    peak_mb: Vec<f64>,
}

pub(crate) fn run(bench: &mut Bench) -> Result<()> {
    let (bytes, seed) = (bench.sizes.large_bytes, bench.seed);
    let directory = bench.directory.join("large");
    std::fs::create_dir(&directory)?;
    let original = directory.join("original.bin");
    write(&original, bytes, seed)?;
    let entity = bench.directory.join("entity.json");
    std::fs::write(&entity, one_entity(seed))?;
    let (store, copy) = (bench.directory.join("large-store"), bench.directory.join("copy.bin"));
    let to_store = ["--store".as_ref(), store.as_os_str()];
    let (mut import, mut get, mut put) = (Figures::default(), Figures::default(), Figures::default());
    for _ in 0..bench.sizes.large_repetitions {
        import.measure(bytes, &[&to_store, &["import".as_ref(), directory.as_os_str()]], bench)?;
        let address = only_entity(&store)?.to_string();
        let out = ["get".as_ref(), OsStr::new(&address), "--file".as_ref(), copy.as_os_str()];
        get.measure(bytes, &[&to_store, &out], bench)?;
        check(&copy, bytes, seed)?;
        std::fs::remove_file(&copy)?;
        std::fs::remove_dir_all(&store)?;
        let file = ["put".as_ref(), entity.as_os_str(), "--file".as_ref(), original.as_os_str()];
        put.measure(bytes, &[&to_store, &file], bench)?;
        ensure!(only_entity(&store)? == Generator::new(seed, None).entity(0).address(), "put another entity");
        std::fs::remove_dir_all(&store)?;
    }
    std::fs::remove_dir_all(&directory)?;
    bench.report.note(SECTION, format!("{bytes} random bytes; peak memory counts mapped files too"));
    for (name, figures) in [("import", import), ("put --file", put), ("get --file", get)] {
        bench.report.row(SECTION, name, "MB/s", figures.mb_per_second, Target::None);
        if !figures.peak_mb.is_empty() {
            bench.report.row(
                SECTION,
                format!("{name}, peak memory"),
                "MB",
                figures.peak_mb,
                Target::AtMost(100.0),
            );
        }
    }
    Ok(())
}

impl Figures {
    fn measure(&mut self, bytes: u64, arguments: &[&[&OsStr]], bench: &Bench) -> Result<()> {
        child::settle();
        let outcome = child::statlas(&arguments.concat(), &bench.directory)?;
        self.mb_per_second.push(bytes as f64 / 1e6 / outcome.seconds);
        self.peak_mb.extend(outcome.peak_bytes.map(|bytes| bytes as f64 / 1e6));
        Ok(())
    }
}

/// The JSON of the entity that the file is attached to.
fn one_entity(seed: u64) -> Vec<u8> {
    let mut text = Vec::new();
    Generator::new(seed, None).entity(0).to_json_into(&mut text);
    text
}

/// The address of the only entity of a store.
fn only_entity(store: &Path) -> Result<Address> {
    let options = Options { create: false, ..Options::default() };
    let store = Store::open(&Location::Disk(store.to_owned()), &options)?;
    let page = store.engine().find(&Query::default())?;
    ensure!(page.entities.len() == 1, "{} entities in the store; stored: 1", page.entities.len());
    Ok(page.entities[0].address())
}

/// Random blocks, the last one cut; nothing repeats, so nothing is shared.
struct Blocks {
    random: SplitMix64,
    left: u64,
    block: Vec<u8>,
}

impl Blocks {
    fn new(bytes: u64, seed: u64) -> Self {
        Self { random: SplitMix64::new(seed ^ 0xb10b), left: bytes, block: vec![0; BLOCK_BYTES] }
    }

    fn next(&mut self) -> Option<&[u8]> {
        let length = usize::try_from(self.left).unwrap_or(BLOCK_BYTES).min(BLOCK_BYTES);
        self.left -= length as u64;
        self.block
            .chunks_exact_mut(8)
            .for_each(|part| part.copy_from_slice(&self.random.next_u64().to_le_bytes()));
        (length > 0).then(|| &self.block[..length])
    }
}

fn write(path: &Path, bytes: u64, seed: u64) -> Result<()> {
    let mut file = BufWriter::with_capacity(BLOCK_BYTES, File::create(path)?);
    let mut blocks = Blocks::new(bytes, seed);
    while let Some(block) = blocks.next() {
        file.write_all(block)?;
    }
    Ok(file.flush()?)
}

/// What came out is what went in.
fn check(path: &Path, bytes: u64, seed: u64) -> Result<()> {
    let mut file = BufReader::with_capacity(BLOCK_BYTES, File::open(path)?);
    ensure!(file.get_ref().metadata()?.len() == bytes, "{}: another length", path.display());
    let (mut blocks, mut found, mut at) = (Blocks::new(bytes, seed), vec![0; BLOCK_BYTES], 0);
    while let Some(block) = blocks.next() {
        file.read_exact(&mut found[..block.len()])?;
        ensure!(found[..block.len()] == *block, "{}: other bytes within a MiB of {at}", path.display());
        at += block.len();
    }
    Ok(())
}
