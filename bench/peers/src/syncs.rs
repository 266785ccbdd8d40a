//! Counts the syncs of every engine, so that nobody has to believe that one syncs as often as it says.
//!
//! The functions here take the place of those of the C library for all code in this program, in whatever
//! language it is written, and do the same system call. What they do not see: writes to files that were opened
//! with `O_DSYNC`, as LMDB writes its meta page.

use std::sync::atomic::{AtomicU64, Ordering};

use libc::{c_int, c_long, c_void, size_t};

static SYNCS: AtomicU64 = AtomicU64::new(0);

/// Calls of `fsync`, `fdatasync` and synchronous `msync` so far.
pub(crate) fn count() -> u64 {
    SYNCS.load(Ordering::Relaxed)
}

fn counted(result: c_long) -> c_int {
    SYNCS.fetch_add(1, Ordering::Relaxed);
    // The calls return 0 or -1.
    result as c_int
}

/// Does what the C library's function of this name does, and counts.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn fsync(file: c_int) -> c_int {
    // SAFETY: the call takes a number and reports a wrong one as an error.
    counted(unsafe { libc::syscall(libc::SYS_fsync, file) })
}

/// Does what the C library's function of this name does, and counts.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn fdatasync(file: c_int) -> c_int {
    // SAFETY: the call takes a number and reports a wrong one as an error.
    counted(unsafe { libc::syscall(libc::SYS_fdatasync, file) })
}

/// Does what the C library's function of this name does, and counts if it waits.
///
/// # Safety
///
/// As for the C library's.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn msync(start: *mut c_void, bytes: size_t, flags: c_int) -> c_int {
    // SAFETY: the caller's promise is the one that the system call needs.
    let result = unsafe { libc::syscall(libc::SYS_msync, start, bytes, flags) };
    if flags & libc::MS_SYNC != 0 { counted(result) } else { result as c_int }
}
