//! What the system tells about this process and its files.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};

/// Bytes that this process caused to be written to the device so far: pages of files that it made dirty.
///
/// # Errors
///
/// If the system does not tell.
pub(crate) fn written_bytes() -> Result<u64> {
    let text = fs::read_to_string("/proc/self/io").context("/proc/self/io")?;
    field(&text, "write_bytes:").context("no `write_bytes` in /proc/self/io")
}

/// The largest resident set of this process so far, mapped files counted.
///
/// # Errors
///
/// If the system does not tell.
pub(crate) fn peak_bytes() -> Result<u64> {
    let text = fs::read_to_string("/proc/self/status").context("/proc/self/status")?;
    field(&text, "VmHWM:").map(|kib| kib * 1024).context("no `VmHWM` in /proc/self/status")
}

fn field(text: &str, name: &str) -> Option<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix(name))?;
    value.split_whitespace().next()?.parse().ok()
}

/// Processor time of the calling thread.
pub(crate) fn thread_time() -> Duration {
    clock(libc::CLOCK_THREAD_CPUTIME_ID)
}

/// Processor time of all threads of this process, those that work in the background included.
pub(crate) fn process_time() -> Duration {
    clock(libc::CLOCK_PROCESS_CPUTIME_ID)
}

fn clock(id: libc::clockid_t) -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a local of the type that the call writes.
    unsafe { libc::clock_gettime(id, &mut time) };
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default())
}

/// Lets the system write everything that waits to be written, so that no earlier work is measured.
pub(crate) fn settle() {
    // SAFETY: the call takes nothing and cannot fail.
    unsafe { libc::sync() };
}

/// Ends this process at once, as `kill -9` does.
pub(crate) fn die() -> ! {
    // SAFETY: the call takes a plain number; the signal can't be handled, so nothing of this process runs on.
    unsafe { libc::raise(libc::SIGKILL) };
    std::process::abort()
}

/// Limits the private memory of this process, where no group can limit all of it.
///
/// # Errors
///
/// If the system refuses.
pub(crate) fn limit_data(bytes: u64) -> Result<()> {
    let limit = libc::rlimit { rlim_cur: bytes, rlim_max: bytes };
    // SAFETY: the pointer is to a local of the type that the call reads.
    let result = unsafe { libc::setrlimit(libc::RLIMIT_DATA, &limit) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()).context("RLIMIT_DATA") }
}

/// Bytes that the files of a directory take on the device; holes take none.
///
/// # Errors
///
/// An error of the operating system.
pub(crate) fn disk_bytes(directory: &Path) -> Result<u64> {
    sum_of_files(directory, &|metadata| metadata.blocks() * 512)
}

/// Bytes in the files of a directory.
///
/// # Errors
///
/// An error of the operating system.
pub(crate) fn file_bytes(directory: &Path) -> Result<u64> {
    sum_of_files(directory, &Metadata::len)
}

fn sum_of_files(directory: &Path, bytes: &dyn Fn(&Metadata) -> u64) -> Result<u64> {
    let mut sum = 0;
    for entry in fs::read_dir(directory).with_context(|| directory.display().to_string())? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        sum += if metadata.is_dir() { sum_of_files(&entry.path(), bytes)? } else { bytes(&metadata) };
    }
    Ok(sum)
}
