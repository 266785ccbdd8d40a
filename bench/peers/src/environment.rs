//! What a reader has to know to repeat a run.

use std::fmt;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value, json};
use statlas_core::Timestamp;

const UNKNOWN: &str = "unknown";
const LOCK: &str = include_str!("../Cargo.lock");
/// Packages whose versions matter for the figures.
const PACKAGES: [&str; 8] =
    ["fjall", "lsm-tree", "redb", "rocksdb", "librocksdb-sys", "heed", "lmdb-master-sys", "rusqlite"];

/// Names and values, in the order in which they are printed.
pub(crate) struct Environment(Vec<(&'static str, String)>);

impl Environment {
    /// Looks at the machine, the build, and the directory where the stores will be.
    pub(crate) fn observe(directory: &Path) -> Self {
        let build = if cfg!(debug_assertions) { "debug: its figures mean nothing" } else { "release" };
        let words: Vec<String> = std::env::args().skip(1).collect();
        Self(vec![
            ("command", format!("cargo run --release -- {}", words.join(" ")).trim_end().to_owned()),
            ("date", now()),
            ("commit", commit()),
            ("build", build.to_owned()),
            ("rustc", output("rustc", &["-V"]).unwrap_or_else(unknown)),
            ("engines", engines()),
            ("processor", line_of("/proc/cpuinfo", "model name").unwrap_or_else(unknown)),
            (
                "processors",
                std::thread::available_parallelism().map_or_else(|_| unknown(), |count| count.to_string()),
            ),
            ("memory", memory()),
            ("kernel", output("uname", &["-srm"]).unwrap_or_else(unknown)),
            ("file system", file_system(directory).unwrap_or_else(unknown)),
            ("load before", load_average()),
        ])
    }

    /// Adds what is known only at the end.
    pub(crate) fn finish(&mut self) {
        self.0.push(("load after", load_average()));
        self.0.push(("finished", now()));
    }

    pub(crate) fn entries(&self) -> &[(&'static str, String)] {
        &self.0
    }

    pub(crate) fn to_json(&self) -> Value {
        let entries = self.0.iter().map(|(name, value)| ((*name).to_owned(), json!(value)));
        Value::Object(entries.collect::<Map<_, _>>())
    }
}

impl fmt::Display for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(name, value)| writeln!(f, "{name:12} {value}"))
    }
}

fn unknown() -> String {
    UNKNOWN.to_owned()
}

fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let output =
        Command::new(program).args(arguments).output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn now() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).ok();
    let ms = since.and_then(|since| i64::try_from(since.as_millis()).ok());
    ms.and_then(Timestamp::from_unix_ms).map_or_else(unknown, |time| time.to_string())
}

/// The commit, and whether the product's files differ from it.
fn commit() -> String {
    let Some(commit) = output("git", &["rev-parse", "HEAD"]) else { return "none".to_owned() };
    let changes =
        ["--no-optional-locks", "status", "--porcelain", "--untracked-files=no", "--", ":/crates", ":/bench"];
    match output("git", &changes).as_deref() {
        Some("") => commit,
        Some(_) => format!("{commit}, with changes that are not committed"),
        None => format!("{commit}, perhaps with changes"),
    }
}

/// The versions in the lock file that this program was built with.
fn engines() -> String {
    let version = |package: &str| {
        let (_, rest) = LOCK.split_once(&format!("name = \"{package}\"\nversion = \""))?;
        rest.split_once('"').map(|(version, _)| version)
    };
    let mut versions: Vec<String> =
        PACKAGES.iter().map(|package| format!("{package} {}", version(package).unwrap_or(UNKNOWN))).collect();
    versions.push(format!("SQLite {}", rusqlite::version()));
    let lmdb = heed::lmdb_version();
    versions.push(format!("LMDB {}.{}.{}", lmdb.major, lmdb.minor, lmdb.patch));
    versions.join(", ")
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

/// How many processes want to run. More than are needed here tells of others that disturb the figures.
fn load_average() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let averages: Vec<&str> = text.split_whitespace().take(3).collect();
    if averages.is_empty() { unknown() } else { averages.join(" ") }
}

/// The type and the source of the file system that a directory is on.
fn file_system(directory: &Path) -> Option<String> {
    let directory = directory.canonicalize().ok()?;
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    let mounts = mounts.lines().filter_map(|line| {
        // The fifth field is the mount point; the type and the source come after a lone hyphen.
        let (place, kind) = line.split_once(" - ")?;
        Some((place.split(' ').nth(4)?, kind))
    });
    let (_, kind) =
        mounts.filter(|(place, _)| directory.starts_with(place)).max_by_key(|(place, _)| place.len())?;
    let mut words = kind.split(' ');
    Some(format!("{} on {}", words.next()?, words.next()?))
}
