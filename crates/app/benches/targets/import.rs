//! Section `import`: a tree of small real files through the program.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use statlas_core::BlobId;
use statlas_lab::Generator;
use statlas_store::{BlobForm, Location, Options, Store};

use crate::report::Target;
use crate::{Bench, child};

const SECTION: &str = "import";
/// Larger files are not small.
const FILE_BYTES_MAX: u64 = 256 << 10;

pub(crate) fn run(bench: &mut Bench) -> Result<()> {
    let tree = Tree::make(&bench.directory.join("tree"), bench.sizes.import_files, bench.seed)?;
    let store = bench.directory.join("files");
    let (mut rates, mut again_rates, mut peaks) = (vec![], vec![], vec![]);
    for repetition in 0..bench.sizes.import_repetitions {
        if repetition > 0 {
            fs::remove_dir_all(&store)?;
        }
        child::settle();
        let arguments = ["--store".as_ref(), store.as_os_str(), "import".as_ref(), tree.path.as_os_str()];
        let outcome = child::statlas(&arguments, &bench.directory)?;
        rates.push(tree.files.len() as f64 / outcome.seconds);
        peaks.extend(outcome.peak_bytes.map(|bytes| bytes as f64 / 1e6));
        let again = child::statlas(&arguments, &bench.directory)?;
        again_rates.push(tree.files.len() as f64 / again.seconds);
    }
    tree.check(&store)?;
    bench.report.note(SECTION, tree.describe());
    bench.report.row(SECTION, "import into a new store", "files/s", rates, Target::AtLeast(10_000.0));
    bench.report.row(SECTION, "import again, nothing changed", "files/s", again_rates, Target::None);
    if !peaks.is_empty() {
        bench.report.row(SECTION, "import, peak memory", "MB", peaks, Target::None);
    }
    fs::remove_dir_all(&tree.path)?;
    Ok(())
}

/// A directory of files that was made for this run.
struct Tree {
    path: PathBuf,
    files: Vec<PathBuf>,
    bytes: u64,
    source: &'static str,
}

impl Tree {
    /// Copies real text until there are enough files. No two copies of a file are the same: each after the
    /// first ends with a line of its own, so that nothing is stored for nothing.
    fn make(path: &Path, count: usize, seed: u64) -> Result<Self> {
        let mut tree =
            Self { path: path.to_owned(), files: Vec::new(), bytes: 0, source: "the sources of crates" };
        let mut originals = Vec::new();
        if let Some(root) = crate_sources() {
            collect(&root, &root, &mut originals)?;
        }
        if originals.is_empty() {
            tree.source = "generated entities, for want of sources of crates";
            originals = generated(count, seed);
        }
        originals.sort_unstable();
        for (at, (name, text)) in originals.iter().cycle().take(count).enumerate() {
            let copy = at / originals.len();
            let file = path.join(format!("copy{copy}")).join(name);
            fs::create_dir_all(file.parent().context("a file is in a directory")?)?;
            let text =
                if copy == 0 { text.clone() } else { [text, format!("\ncopy {copy}\n").as_bytes()].concat() };
            fs::write(&file, &text)?;
            tree.bytes += text.len() as u64;
            tree.files.push(file);
        }
        Ok(tree)
    }

    fn describe(&self) -> String {
        let (files, bytes) = (self.files.len(), self.bytes);
        let mean = bytes / files as u64;
        format!("{files} files, {bytes} bytes, {mean} on average, from {}; process start to end", self.source)
    }

    /// Every file is in the store, byte for byte, and each has its entity.
    fn check(&self, store: &Path) -> Result<()> {
        let options = Options { create: false, ..Options::default() };
        let store = Store::open(&Location::Disk(store.to_owned()), &options)?;
        let (found, expected) = (store.engine().stats().entities, self.files.len() as u64);
        ensure!(found == expected, "{found} entities in the store; files: {expected}");
        for file in &self.files {
            let bytes = fs::read(file)?;
            let blob = store.engine().blob(&BlobId::of(&bytes))?;
            let blob = blob.with_context(|| format!("{} is not in the store", file.display()))?;
            ensure!(blob.form == BlobForm::Whole && blob.bytes == bytes, "{}: other bytes", file.display());
        }
        Ok(())
    }
}

/// Where cargo keeps the sources of dependencies.
fn crate_sources() -> Option<PathBuf> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| std::env::home_dir().map(|home| home.join(".cargo")))?;
    Some(home.join("registry").join("src")).filter(|path| path.is_dir())
}

/// The names, relative to `root`, and the bytes of all small files.
fn collect(root: &Path, directory: &Path, files: &mut Vec<(PathBuf, Vec<u8>)>) -> Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let (path, kind) = (entry.path(), entry.file_type()?);
        if kind.is_dir() {
            collect(root, &path, files)?;
        } else if kind.is_file() && entry.metadata()?.len() <= FILE_BYTES_MAX {
            // The directory of a registry names its host, which is nobody's business here.
            let name: PathBuf = path.strip_prefix(root)?.components().skip(1).collect();
            if !name.as_os_str().is_empty() {
                files.push((name, fs::read(&path)?));
            }
        }
    }
    Ok(())
}

/// Files of a few JSON lines each.
fn generated(files: usize, seed: u64) -> Vec<(PathBuf, Vec<u8>)> {
    let mut entities = Generator::new(seed, None);
    let file = |at: usize| {
        let mut text = Vec::new();
        for entity in entities.by_ref().take(1 + at % 32) {
            entity.to_json_into(&mut text);
            text.push(b'\n');
        }
        (PathBuf::from(format!("part{}", at / 100)).join(format!("{at}.jsonl")), text)
    };
    (0..files).map(file).collect()
}
