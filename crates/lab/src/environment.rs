//! What a reader has to know of where figures were made.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use statlas_core::Timestamp;

/// Where figures were made. What the system does not tell is `unknown`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Environment {
    /// The release of the program.
    pub version: String,
    /// The commit that it was built from, and whether files differed from it.
    pub commit: String,
    /// Whether it was built with optimisation, without which figures mean nothing.
    pub is_optimised: bool,
    /// The processor.
    pub processor: String,
    /// Processors that it may use.
    pub cores: usize,
    /// Bytes of memory of the machine.
    pub memory_bytes: u64,
    /// What this process may have of it at most, by a cgroup; `None` without a limit.
    pub memory_limit_bytes: Option<u64>,
    /// System, release and architecture.
    pub system: String,
    /// What decides about the processors' frequency.
    pub governor: String,
    /// Type and options of the file system that stores were made on.
    pub file_system: String,
    /// The device below it.
    pub device: String,
    /// How many processes wanted to run, over 1, 5 and 15 minutes, when it began.
    pub load_average: String,
    /// What looking at the clock takes, in seconds: each latency has one look in it.
    pub clock_seconds: f64,
    /// What a sync of 4 KiB takes on that file system, in seconds: the median of some.
    pub sync_seconds: Option<f64>,
}

fn unknown() -> String {
    "unknown".to_owned()
}

impl Environment {
    /// That of this process, and of stores in a directory.
    #[must_use]
    pub fn of(folder: &Path) -> Self {
        let (device, file_system) = mount_of(folder).unwrap_or_else(|| (unknown(), unknown()));
        let first = |path: &str| Some(fs::read_to_string(path).ok()?.trim().to_owned());
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            commit: env!("STATLAS_COMMIT").to_owned(),
            is_optimised: !cfg!(debug_assertions),
            processor: field_of("/proc/cpuinfo", "model name").unwrap_or_else(unknown),
            cores: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            memory_bytes: field_of("/proc/meminfo", "MemTotal")
                .and_then(|text| kibibytes(&text))
                .unwrap_or(0),
            memory_limit_bytes: memory_limit(),
            system: output("uname", &["-srm"]).unwrap_or_else(|| std::env::consts::OS.to_owned()),
            governor: first("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor").unwrap_or_else(unknown),
            file_system,
            device,
            load_average: first("/proc/loadavg").unwrap_or_else(unknown),
            clock_seconds: clock_seconds(),
            sync_seconds: sync_seconds(folder),
        }
    }

    /// What makes it another machine than that of another report, if anything does.
    #[must_use]
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let mut found = Vec::new();
        let mut compare = |name: &str, one: &str, another: &str| {
            if one != another {
                found.push(format!("{name}: {one} and {another}"));
            }
        };
        compare("processor", &self.processor, &other.processor);
        compare("cores", &self.cores.to_string(), &other.cores.to_string());
        compare("system", &self.system, &other.system);
        compare("file system", &self.file_system, &other.file_system);
        compare("optimised", &self.is_optimised.to_string(), &other.is_optimised.to_string());
        let gibibytes = |bytes: u64| format!("{} GiB", (bytes as f64 / f64::from(1 << 30)).round());
        compare("memory", &gibibytes(self.memory_bytes), &gibibytes(other.memory_bytes));
        found
    }
}

/// The time now, in UTC.
#[must_use]
pub fn now() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).ok();
    let ms = since.and_then(|since| i64::try_from(since.as_millis()).ok());
    ms.and_then(Timestamp::from_unix_ms).map_or_else(unknown, |time| time.to_string())
}

fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let result =
        Command::new(program).args(arguments).output().ok().filter(|result| result.status.success())?;
    Some(String::from_utf8_lossy(&result.stdout).trim().to_owned())
}

/// What stands behind a name and a colon in a file.
fn field_of(path: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.trim_start().strip_prefix(':'))?;
    Some(value.trim().to_owned())
}

fn kibibytes(text: &str) -> Option<u64> {
    text.split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)
}

/// The least limit of the memory cgroups that this process is in.
fn memory_limit() -> Option<u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let limits = groups.lines().flat_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (parts.next().unwrap_or(""), parts.next().unwrap_or(""));
        let files = match controllers {
            "" => ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"].map(|root| format!("{root}{path}/memory.max")),
            "memory" => ["", path].map(|path| format!("/sys/fs/cgroup/memory{path}/memory.limit_in_bytes")),
            _ => return Vec::new(),
        };
        files.iter().filter_map(|file| fs::read_to_string(file).ok()?.trim().parse::<u64>().ok()).collect()
    });
    // Without a limit the older ones tell the largest number of pages.
    limits.filter(|limit| *limit < 1 << 60).min()
}

/// The device below a directory, and the type and the options of its file system.
fn mount_of(folder: &Path) -> Option<(String, String)> {
    let folder = folder.canonicalize().ok()?;
    let mounts = fs::read_to_string("/proc/self/mounts").ok()?;
    let mounted = mounts.lines().filter_map(|line| {
        let fields: Vec<&str> = line.split(' ').collect();
        let [device, point, kind, options, ..] = fields[..] else { return None };
        // Spaces in names are written as octal numbers.
        let point = point.replace("\\040", " ");
        folder.starts_with(&point).then(|| (point.len(), device.to_owned(), format!("{kind} ({options})")))
    });
    // Of two at the same place the later one is on top.
    let (_, device, kind) = mounted.max_by_key(|(length, ..)| *length)?;
    Some((device, kind))
}

/// What a look at the clock takes.
fn clock_seconds() -> f64 {
    const LOOKS: u32 = 100_000;
    let begun = Instant::now();
    for _ in 0..LOOKS {
        std::hint::black_box(Instant::now());
    }
    begun.elapsed().as_secs_f64() / f64::from(LOOKS)
}

/// The median time of writing 4 KiB behind the end of a file and syncing it.
pub(crate) fn sync_seconds(folder: &Path) -> Option<f64> {
    use std::io::Write as _;
    const SYNCS: usize = 51;
    const TIME_MAX: Duration = Duration::from_secs(2);
    let mut file = tempfile::tempfile_in(folder).ok()?;
    let (block, begun, mut times) = ([0x5a_u8; 4096], Instant::now(), Vec::new());
    while times.len() < SYNCS && begun.elapsed() < TIME_MAX {
        let before = Instant::now();
        file.write_all(&block).ok()?;
        file.sync_data().ok()?;
        times.push(before.elapsed().as_secs_f64());
    }
    crate::report::median(&times)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_machine_is_known_and_is_itself() {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let environment = Environment::of(folder.path());
        assert!(environment.cores > 0 && environment.memory_bytes > 1 << 28, "{environment:?}");
        assert!(environment.clock_seconds > 0.0 && environment.sync_seconds.is_some_and(|time| time > 0.0));
        assert!(environment.file_system.contains('('), "{environment:?}");
        assert_eq!(environment.differences(&environment), Vec::<String>::new());
        let other = Environment { cores: environment.cores + 1, ..environment.clone() };
        assert_eq!(environment.differences(&other).len(), 1);
    }
}
