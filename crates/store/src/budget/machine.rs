//! How much memory this process may use, as far as the system tells.

use std::path::Path;

/// Taken where the system does not tell.
const MEMORY_BYTES_UNKNOWN: u64 = 2 << 30;

/// The memory of the machine, or what a cgroup or a limit of this process allows if that is less.
pub(super) fn memory_bytes() -> u64 {
    let machine = read("/proc/meminfo").and_then(|text| total(&text)).unwrap_or(MEMORY_BYTES_UNKNOWN);
    let groups = read("/proc/self/cgroup").unwrap_or_default();
    let own = read("/proc/self/limits").unwrap_or_default();
    limits(&groups, &|path| read(path)).chain(own_limits(&own)).fold(machine, u64::min)
}

fn read(path: impl AsRef<Path>) -> Option<String> {
    std::fs::read_to_string(path).ok()
}

/// The line `MemTotal: 123 kB`.
fn total(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

/// What `ulimit` has set for this process: lines like `Max data size  SOFT  HARD  bytes`.
fn own_limits(limits: &str) -> impl Iterator<Item = u64> {
    const NAMES: [&str; 2] = ["Max data size", "Max address space"];
    let line = |line: &str| NAMES.iter().find_map(|name| line.strip_prefix(name)).map(str::to_owned);
    // One without a limit says `unlimited`.
    limits.lines().filter_map(line).filter_map(|rest| rest.split_whitespace().next()?.parse().ok())
}

/// The limits of the memory cgroups that this process is in, and of those around them. Lines are
/// `0::/path` for version 2 and `4:memory:/path` for version 1.
fn limits<'a>(groups: &'a str, read: &'a dyn Fn(String) -> Option<String>) -> impl Iterator<Item = u64> + 'a {
    groups.lines().flat_map(move |line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let (root, file) = if controllers.is_empty() {
            ("/sys/fs/cgroup", "memory.max")
        } else {
            ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")
        };
        let is_memory = controllers.is_empty() || controllers.split(',').any(|name| name == "memory");
        let around = Path::new(path).ancestors().filter(move |_| is_memory);
        around.filter_map(move |group| {
            let group = group.to_string_lossy();
            // A group without a limit says `max`, or a number that no machine has.
            read(format!("{root}{}/{file}", group.trim_end_matches('/')))?.trim().parse().ok()
        })
    })
}

#[cfg(test)]
mod tests {
    use super::{limits, own_limits, total};

    #[test]
    fn the_smallest_limit_around_the_process_counts() {
        assert_eq!(total("MemFree: 1 kB\nMemTotal:       24683648 kB\n"), Some(24_683_648 * 1024));
        let read = |path: String| {
            let limit = match path.as_str() {
                "/sys/fs/cgroup/a/b/memory.max" => "max\n",
                "/sys/fs/cgroup/a/memory.max" => "268435456\n",
                "/sys/fs/cgroup/memory/c/memory.limit_in_bytes" => "9223372036854771712\n",
                "/sys/fs/cgroup/memory/memory.limit_in_bytes" => "536870912\n",
                _ => return None,
            };
            Some(limit.to_owned())
        };
        assert_eq!(limits("0::/a/b\n", &read).min(), Some(268_435_456));
        assert_eq!(limits("9:cpu:/c\n4:memory:/c\n", &read).min(), Some(536_870_912));
        assert_eq!(limits("9:cpu:/c\n", &read).min(), None);
        let own = "Limit                     Soft Limit           Hard Limit           Units     \n\
                   Max data size             268435456            unlimited            bytes     \n\
                   Max stack size            8388608              unlimited            bytes     \n\
                   Max address space         unlimited            unlimited            bytes     \n";
        assert_eq!(own_limits(own).collect::<Vec<_>>(), [268_435_456]);
    }
}
