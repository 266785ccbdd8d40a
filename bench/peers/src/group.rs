//! A control group that limits the memory of one process, page cache and all.

use std::fs;
use std::path::{Path, PathBuf};
use std::process;
use std::time::Duration;

use anyhow::{Context, Result};

/// Where groups of version 1 and of version 2 are made, and the file that limits memory there.
const PLACES: [(&str, &str); 2] =
    [("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")];
/// Files that keep the group from swapping, where there are such.
const NO_SWAP: [(&str, Swap); 2] =
    [("memory.memsw.limit_in_bytes", Swap::WithMemory), ("memory.swap.max", Swap::Alone)];

/// What the number in a file about swap counts.
#[derive(Clone, Copy)]
enum Swap {
    WithMemory,
    Alone,
}

/// The group; it is removed when it is dropped.
pub(crate) struct Group {
    place: PathBuf,
}

impl Group {
    /// Makes a group, where this process may.
    ///
    /// # Errors
    ///
    /// Why that is not possible, for each version.
    pub(crate) fn new(memory_bytes: u64) -> Result<Self> {
        let mut reasons = Vec::new();
        for (root, limit) in PLACES {
            match Self::make(Path::new(root), limit, memory_bytes) {
                Ok(group) => return Ok(group),
                Err(error) => reasons.push(format!("{error:#}")),
            }
        }
        anyhow::bail!("no control group: {}", reasons.join("; "))
    }

    fn make(root: &Path, limit: &str, memory_bytes: u64) -> Result<Self> {
        anyhow::ensure!(root.join("cgroup.procs").exists(), "{} is none", root.display());
        let group = Self { place: root.join(format!("statlas-peers-{}", process::id())) };
        fs::create_dir(&group.place).with_context(|| group.place.display().to_string())?;
        let file = group.place.join(limit);
        fs::write(&file, memory_bytes.to_string()).with_context(|| file.display().to_string())?;
        for (name, swap) in NO_SWAP {
            let file = group.place.join(name);
            if file.exists() {
                let bytes = match swap {
                    Swap::WithMemory => memory_bytes,
                    Swap::Alone => 0,
                };
                fs::write(&file, bytes.to_string()).with_context(|| file.display().to_string())?;
            }
        }
        Ok(group)
    }

    /// The file that a process enters the group by.
    pub(crate) fn processes(&self) -> PathBuf {
        self.place.join("cgroup.procs")
    }

    /// How often the system killed a process of the group because the memory was used up, if it tells.
    pub(crate) fn kills(&self) -> Option<u64> {
        ["memory.oom_control", "memory.events"].into_iter().find_map(|name| {
            let text = fs::read_to_string(self.place.join(name)).ok()?;
            text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
        })
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // A process that has just ended may still be counted for a moment.
        for _ in 0..50 {
            if fs::remove_dir(&self.place).is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        eprintln!("peers: {} could not be removed", self.place.display());
    }
}
