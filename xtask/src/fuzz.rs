//! The fuzz targets of `fuzz/`, built for LLVM's fuzzer with the compiler that is there and run side by side.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use anyhow::{Context, Result, bail, ensure};

use crate::command::{cargo, host, root, run as run_command};

const MANIFEST: &str = "fuzz/Cargo.toml";
/// Has the compiler count which edges are taken and show the fuzzer what is compared.
const COVERAGE: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares";
const SECONDS: u64 = 5;
/// In CI every target runs for so long.
const SECONDS_SHORT: u64 = 3;
/// Longer inputs find nothing that shorter ones do not, and take longer.
const INPUT_BYTES_MAX: usize = 16 << 10;
const INPUT_SECONDS_MAX: u64 = 20;
const MEMORY_MIB_MAX: u64 = 4096;

/// What the command line asks for.
struct Wanted {
    targets: Vec<String>,
    seconds: u64,
    input: Option<PathBuf>,
}

/// What a run of a target said.
struct Outcome {
    executions: u64,
    /// Edges reached by the corpus, and in the end.
    edges: (u64, u64),
}

/// Runs targets, all of them if none is named; writes the corpus, or gives a target one input again.
pub(crate) fn run(options: &[&str]) -> Result<()> {
    if options == ["--seeds"] {
        return write_seeds();
    }
    let wanted = Wanted::parse(options)?;
    build()?;
    match &wanted.input {
        Some(input) => repeat(&wanted, input),
        None => run_all(&wanted),
    }
}

/// What CI does: the format of the fuzz targets, and a short run of each.
pub(crate) fn short() -> Result<()> {
    run_command(&mut cargo(["fmt", "--manifest-path", MANIFEST, "--", "--check"]))?;
    run(&["--seconds", &SECONDS_SHORT.to_string()])
}

impl Wanted {
    fn parse(options: &[&str]) -> Result<Self> {
        let known = targets()?;
        let mut wanted = Self { targets: Vec::new(), seconds: SECONDS, input: None };
        let mut options = options.iter();
        while let Some(option) = options.next() {
            let mut value = || options.next().with_context(|| format!("{option}: a value is missing"));
            match *option {
                "--seconds" => wanted.seconds = value()?.parse().context("--seconds: a number is wanted")?,
                "--input" => wanted.input = Some(value()?.into()),
                name if known.iter().any(|target| target == name) => wanted.targets.push(name.to_owned()),
                name => bail!("fuzz: found {name:?}; allowed: --seconds N, --input FILE, --seeds, {known:?}"),
            }
        }
        ensure!(wanted.input.is_none() || wanted.targets.len() == 1, "--input: name one target");
        if wanted.targets.is_empty() {
            wanted.targets = known;
        }
        Ok(wanted)
    }
}

/// The names of all targets, in order.
fn targets() -> Result<Vec<String>> {
    let folder = root().join("fuzz/fuzz_targets");
    let files = fs::read_dir(&folder).with_context(|| format!("{}", folder.display()))?;
    let stem = |entry: fs::DirEntry| Some(entry.path().file_stem()?.to_str()?.to_owned());
    let mut targets: Vec<String> = files.filter_map(|entry| stem(entry.ok()?)).collect();
    targets.sort();
    Ok(targets)
}

/// The corpus is written by a program, from real stores and texts.
fn write_seeds() -> Result<()> {
    let mut command =
        cargo(["run", "--quiet", "--release", "--manifest-path", MANIFEST, "--example", "seeds"]);
    run_command(command.args(["--", "fuzz/corpus"]))
}

fn build() -> Result<()> {
    let mut command = cargo(["build", "--quiet", "--release", "--manifest-path", MANIFEST, "--bins"]);
    // With a target named, build scripts and macros are left as they are.
    command.args(["--target", &host()?]);
    command.args(["--target-dir", "fuzz/target"]).env("RUSTFLAGS", COVERAGE);
    run_command(&mut command)
}

fn program(target: &str) -> Result<PathBuf> {
    Ok(root().join("fuzz/target").join(host()?).join("release").join(target))
}

/// Gives a target one input, and shows what it says.
fn repeat(wanted: &Wanted, input: &Path) -> Result<()> {
    let target = &wanted.targets[0];
    let status = Command::new(program(target)?).arg(input).status().context("the target did not start")?;
    ensure!(status.success(), "{target} fails on {}", input.display());
    println!("fuzz: {target} takes {}", input.display());
    Ok(())
}

fn run_all(wanted: &Wanted) -> Result<()> {
    let next = AtomicUsize::new(0);
    let failed = Mutex::new(Vec::new());
    let executions = Mutex::new(0);
    let work = || {
        while let Some(target) = wanted.targets.get(next.fetch_add(1, Ordering::Relaxed)) {
            match run_one(target, wanted.seconds) {
                Ok(Outcome { executions: count, edges: (seeds, end) }) => {
                    println!(
                        "fuzz: {target:<17} {count:>10} executions, {seeds:>5} edges by the corpus, {end:>5} in the end"
                    );
                    *executions.lock().unwrap_or_else(|held| held.into_inner()) += count;
                }
                Err(error) => {
                    println!("fuzz: {target:<17} FAILED\n{error:#}\n");
                    failed.lock().unwrap_or_else(|held| held.into_inner()).push(target.as_str());
                }
            }
        }
    };
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    let failed = failed.into_inner().unwrap_or_else(|held| held.into_inner());
    ensure!(failed.is_empty(), "fuzz: {} failed, see above", failed.join(", "));
    let executions = executions.into_inner().unwrap_or_else(|held| held.into_inner());
    println!("fuzz: {} targets passed {executions} executions", wanted.targets.len());
    Ok(())
}

fn run_one(target: &str, seconds: u64) -> Result<Outcome> {
    let fuzz = root().join("fuzz");
    // What is found goes on from run to run, beside the corpus that is kept.
    let (grown, failures) = (fuzz.join("target/corpus").join(target), fuzz.join("artifacts").join(target));
    for folder in [&grown, &failures] {
        fs::create_dir_all(folder).with_context(|| format!("{}", folder.display()))?;
    }
    let mut command = Command::new(program(target)?);
    command.arg(format!("-max_total_time={seconds}")).arg(format!("-timeout={INPUT_SECONDS_MAX}"));
    command.arg(format!("-max_len={INPUT_BYTES_MAX}")).arg(format!("-rss_limit_mb={MEMORY_MIB_MAX}"));
    command.arg(format!("-artifact_prefix={}/", failures.display())).arg("-print_final_stats=1");
    command.args([&grown, &fuzz.join("corpus").join(target)]);
    let output = command.stdin(Stdio::null()).output().context("the target did not start")?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        let kept =
            said.lines().find_map(|line| line.split_once("Test unit written to ")).map(|(_, file)| file);
        let how = kept.map_or_else(String::new, |file| {
            format!("the input is kept; to repeat it: cargo xtask fuzz {target} --input {file}")
        });
        let lines: Vec<&str> = said.lines().collect();
        let panic = lines
            .iter()
            .position(|line| line.contains("panicked at"))
            .unwrap_or(lines.len().saturating_sub(20));
        bail!("{}\n{how}", lines[panic..].iter().take(12).copied().collect::<Vec<_>>().join("\n"));
    }
    Outcome::read(&said).with_context(|| format!("{target} did not say what it did:\n{said}"))
}

impl Outcome {
    /// What the fuzzer wrote.
    fn read(said: &str) -> Option<Self> {
        let edges = |line: &str| line.split_once(" cov: ")?.1.split_whitespace().next()?.parse().ok();
        let mut all =
            said.lines().filter(|line| line.contains("INITED") || line.contains("DONE")).filter_map(edges);
        let first = all.next()?;
        let executions =
            said.lines().find_map(|line| line.strip_prefix("stat::number_of_executed_units:"))?;
        let executions = executions.trim().parse().ok()?;
        Some(Self { executions, edges: (first, all.next_back().unwrap_or(first)) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_fuzzer_says_is_read() {
        let said = "#3\tINITED cov: 12 ft: 20 corp: 2/4b exec/s: 0 rss: 30Mb\n\
                    #500\tNEW    cov: 15 ft: 25 corp: 3/9b\n\
                    #900\tDONE   cov: 15 ft: 25 corp: 3/9b lim: 4\n\
                    stat::number_of_executed_units: 900\n";
        let outcome = Outcome::read(said).expect("it is all there");
        assert_eq!((outcome.executions, outcome.edges), (900, (12, 15)));
        assert!(Outcome::read("stat::number_of_executed_units: 900\n").is_none());
    }

    #[test]
    fn every_target_has_a_corpus() {
        let corpus = root().join("fuzz/corpus");
        for target in targets().expect("the folder is there") {
            let mut inputs = fs::read_dir(corpus.join(&target)).expect("the target has a folder");
            assert!(inputs.next().is_some(), "{target} has no input");
        }
    }
}
