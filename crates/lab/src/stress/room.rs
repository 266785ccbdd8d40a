//! How much memory and storage there is.

use std::fs;
use std::path::Path;

use crate::environment::Environment;

/// Bytes of memory that this process can still get: what the machine has available, or what its cgroup allows if that
/// is less; `None` where the system does not tell.
pub(super) fn memory_bytes(environment: &Environment) -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let available = line.split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)?;
    Some(environment.memory_limit_bytes.map_or(available, |limit| limit.min(available)))
}

/// Bytes that can still be written to the file system of a directory; `None` where the system does not tell.
#[cfg(unix)]
pub(super) fn storage_bytes(folder: &Path) -> Option<u64> {
    let found = rustix::fs::statvfs(folder).ok()?;
    found.f_bavail.checked_mul(found.f_frsize)
}

#[cfg(not(unix))]
pub(super) fn storage_bytes(_folder: &Path) -> Option<u64> {
    None
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_machine_that_runs_tests_has_some_memory_and_storage() {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let environment = Environment::of(folder.path());
        let memory = memory_bytes(&environment).expect("the system tells");
        assert!((1 << 24..=environment.memory_bytes).contains(&memory), "{memory}");
        assert!(storage_bytes(folder.path()).is_some_and(|bytes| bytes > 1 << 20));
        assert_eq!(storage_bytes(&folder.path().join("absent")), None);
    }
}
