//! What a reader has to know to repeat a run.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use statlas_core::Timestamp;

use crate::arguments::Arguments;
use crate::sizes::Sizes;

const UNKNOWN: &str = "unknown";

/// Names and values, in the order in which they are printed.
pub(crate) fn describe(
    arguments: &Arguments,
    sizes: &Sizes,
    directory: &Path,
) -> Vec<(&'static str, String)> {
    let build = if cfg!(debug_assertions) { "debug: its figures mean nothing" } else { "release" };
    let size = if arguments.smoke { "smoke" } else { "full" };
    let command = [&["cargo xtask bench".to_owned()], arguments.words.as_slice()].concat().join(" ");
    vec![
        ("command", command),
        ("date", now()),
        ("commit", commit()),
        ("version", env!("CARGO_PKG_VERSION").to_owned()),
        ("build", build.to_owned()),
        ("rustc", output("rustc", &["-V"]).unwrap_or_else(unknown)),
        ("processor", line_of("/proc/cpuinfo", "model name").unwrap_or_else(unknown)),
        ("cores", std::thread::available_parallelism().map_or_else(|_| unknown(), |cores| cores.to_string())),
        ("memory", memory()),
        ("kernel", output("uname", &["-srm"]).unwrap_or_else(unknown)),
        ("load before", load_average()),
        ("file system", file_system(directory).unwrap_or_else(unknown)),
        ("seed", arguments.seed.to_string()),
        ("size", format!("{size}: {}", sizes.describe())),
        ("repetitions", sizes.describe_repetitions()),
        ("durability", "synced: load, import and put are done when the device has all of it".to_owned()),
        ("page cache", "warm: inputs have just been written, the store has been read once".to_owned()),
    ]
}

/// How busy the machine is: the average number of processes that want to run, over 1, 5 and 15 minutes. More
/// than the benchmarks need tells of others that disturb them.
pub(crate) fn load_average() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let averages: Vec<&str> = text.split_whitespace().take(3).collect();
    if averages.is_empty() { unknown() } else { averages.join(" ") }
}

fn unknown() -> String {
    UNKNOWN.to_owned()
}

fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let result =
        Command::new(program).args(arguments).output().ok().filter(|result| result.status.success())?;
    Some(String::from_utf8_lossy(&result.stdout).trim().to_owned())
}

fn now() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).ok();
    let ms = since.and_then(|since| i64::try_from(since.as_millis()).ok());
    ms.and_then(Timestamp::from_unix_ms).map_or_else(unknown, |time| time.to_string())
}

/// The commit, and whether the files differ from it.
fn commit() -> String {
    let Some(commit) = output("git", &["rev-parse", "HEAD"]) else { return "none".to_owned() };
    match output("git", &["status", "--porcelain"]).as_deref() {
        Some("") => commit,
        Some(_) => format!("{commit}, with changes that are not committed"),
        None => format!("{commit}, perhaps with changes"),
    }
}

/// The value of the first line of a file of `name : value` lines.
fn line_of(path: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let value = text.lines().find_map(|line| line.strip_prefix(name))?;
    Some(value.trim_start_matches([' ', '\t', ':']).trim().to_owned())
}

fn memory() -> String {
    let total = line_of("/proc/meminfo", "MemTotal");
    let available = line_of("/proc/meminfo", "MemAvailable");
    total
        .zip(available)
        .map_or_else(unknown, |(total, available)| format!("{total}, {available} of it available"))
}

/// The type and the source of the file system that a directory is on.
fn file_system(directory: &Path) -> Option<String> {
    let directory = directory.canonicalize().ok()?;
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    let mounts = mounts.lines().filter_map(|line| {
        // The fifth field is the mount point; the type and the source come after a lone hyphen.
        let (place, kind) = line.split_once(" - ")?;
        let point = Path::new(place.split(' ').nth(4)?);
        let mut kind = kind.split(' ');
        directory.starts_with(point).then(|| (point.components().count(), kind.next(), kind.next()))
    });
    // Of mounts at the same point the last one is seen.
    let (_, kind, source) = mounts.max_by_key(|(depth, ..)| *depth)?;
    Some(format!("{} on {}", kind?, source?))
}
