//! Section `large`: one file that is larger than the memory it may take.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::Path;

use anyhow::{Result, ensure};
use statlas_lab::SplitMix64;

use crate::report::Target;
use crate::{Bench, child};

const SECTION: &str = "large";
const BLOCK_BYTES: usize = 1 << 20;

pub(crate) fn run(bench: &mut Bench) -> Result<()> {
    let (bytes, seed) = (bench.sizes.large_bytes, bench.seed);
    let directory = bench.directory.join("large");
    std::fs::create_dir(&directory)?;
    let original = directory.join("original.bin");
    write(&original, bytes, seed)?;
    let (mut rates_in, mut rates_out, mut peaks_in, mut peaks_out) = (vec![], vec![], vec![], vec![]);
    for _ in 0..bench.sizes.large_repetitions {
        let (store, copy) = (bench.directory.join("large-store"), bench.directory.join("copy.bin"));
        child::settle();
        let arguments = ["--store".as_ref(), store.as_os_str(), "import".as_ref(), directory.as_os_str()];
        let outcome = child::statlas(&arguments, &bench.directory)?;
        rates_in.push(bytes as f64 / 1e6 / outcome.seconds);
        peaks_in.extend(outcome.peak_bytes.map(|bytes| bytes as f64 / 1e6));
        child::settle();
        let arguments = [
            "--store".as_ref(),
            store.as_os_str(),
            "get".as_ref(),
            "original.bin".as_ref(),
            "--file".as_ref(),
            copy.as_os_str(),
        ];
        let outcome = child::statlas(&arguments, &bench.directory)?;
        rates_out.push(bytes as f64 / 1e6 / outcome.seconds);
        peaks_out.extend(outcome.peak_bytes.map(|bytes| bytes as f64 / 1e6));
        check(&copy, bytes, seed)?;
        std::fs::remove_file(&copy)?;
        std::fs::remove_dir_all(&store)?;
    }
    std::fs::remove_dir_all(&directory)?;
    bench.report.note(SECTION, format!("{bytes} random bytes; memory counts mapped files too"));
    bench.report.row(SECTION, "in, with `import`", "MB/s", rates_in, Target::None);
    if !peaks_in.is_empty() {
        bench.report.row(SECTION, "in, peak memory", "MB", peaks_in, Target::AtMost(100.0));
    }
    bench.report.row(SECTION, "out, with `get --file`", "MB/s", rates_out, Target::None);
    if !peaks_out.is_empty() {
        bench.report.row(SECTION, "out, peak memory", "MB", peaks_out, Target::AtMost(100.0));
    }
    Ok(())
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
