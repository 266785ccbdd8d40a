//! A limit on the memory of a process, page cache and all where the system can do that.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

/// Where control groups of version 1 and of version 2 are made, and the file that limits memory there.
const PLACES: [(&str, &str); 2] =
    [("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")];

/// What keeps a process from using more.
pub(crate) enum Limit {
    /// A control group; it is removed when this is dropped.
    Group(PathBuf),
    /// `RLIMIT_DATA`, which counts what the process takes for itself and no page of a file.
    Data(u64),
    None,
}

impl Limit {
    /// The strictest limit that this process may set.
    pub(crate) fn new(memory_bytes: u64) -> Self {
        let group = PLACES.iter().find_map(|(root, limit)| make(Path::new(root), limit, memory_bytes).ok());
        group.map_or(Self::Data(memory_bytes), Self::Group)
    }

    /// What it is, for the report.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Group(place) => {
                format!("a control group ({}), which counts the pages of files too", place.display())
            }
            Self::Data(bytes) => format!(
                "RLIMIT_DATA of {bytes} bytes and the store's own budget, since no control group can be made here: \
                 pages of files are not limited, so a store larger than the memory is not what this measures"
            ),
            Self::None => "none".to_owned(),
        }
    }

    /// The words by which a child is told to put itself under the limit.
    pub(crate) fn to_word(&self) -> String {
        match self {
            Self::Group(place) => format!("group:{}", place.join("cgroup.procs").display()),
            Self::Data(bytes) => format!("data:{bytes}"),
            Self::None => "none".to_owned(),
        }
    }
}

/// Puts this process under the limit that a word names.
pub(crate) fn enter(word: &str) -> Result<()> {
    match word.split_once(':') {
        Some(("group", path)) => {
            fs::write(path, std::process::id().to_string()).with_context(|| path.to_owned())
        }
        Some(("data", bytes)) => limit_data(bytes.parse()?),
        _ => Ok(()),
    }
}

#[cfg(unix)]
fn limit_data(bytes: u64) -> Result<()> {
    let limit = libc::rlimit { rlim_cur: bytes, rlim_max: bytes };
    // SAFETY: the pointer is to a local of the type that the call reads.
    let result = unsafe { libc::setrlimit(libc::RLIMIT_DATA, &limit) };
    ensure!(result == 0, "setting RLIMIT_DATA failed: {}", std::io::Error::last_os_error());
    Ok(())
}

#[cfg(not(unix))]
fn limit_data(_bytes: u64) -> Result<()> {
    anyhow::bail!("memory can't be limited on this system")
}

fn make(root: &Path, limit: &str, memory_bytes: u64) -> Result<PathBuf> {
    ensure!(root.join("cgroup.procs").exists(), "{} is no control group", root.display());
    let place = root.join(format!("statlas-bench-{}", std::process::id()));
    fs::create_dir(&place)?;
    let set = || {
        fs::write(place.join(limit), memory_bytes.to_string())?;
        // Where swap is counted apart, none is allowed.
        let swap = place.join("memory.swap.max");
        if swap.exists() { fs::write(swap, "0") } else { Ok(()) }
    };
    if let Err(error) = set() {
        fs::remove_dir(&place)?;
        return Err(error.into());
    }
    Ok(place)
}

impl Drop for Limit {
    fn drop(&mut self) {
        let Self::Group(place) = self else { return };
        // A process that has just ended may still be counted for a moment.
        for _ in 0..50 {
            if fs::remove_dir(&*place).is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        eprintln!("bench: {} could not be removed", place.display());
    }
}
