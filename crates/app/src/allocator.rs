//! The memory allocator, and how much of what was freed it keeps.

use statlas_store::Options;

/// Batches are made in worker threads and freed in the one that commits.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// With a larger budget than this, what the allocator keeps does not matter.
const BUDGET_BYTES_SMALL: u64 = 512 << 20;
/// How the allocator is told to give freed memory back at once, instead of after a second: until then it keeps as much
/// again as a small store takes.
const THRIFTY: (&str, &str) = ("MIMALLOC_PURGE_DELAY", "0");

/// Makes the allocator thrifty if memory is short. It reads its settings before anything of this program runs, so the
/// program begins anew with them, as the same process. Where that is not possible it goes on as it is, and what the
/// user has set stays.
pub(crate) fn be_thrifty_if_short(options: &Options) {
    // What is wrong with the budget is told when the store is opened.
    let is_small = options.memory_bytes().is_ok_and(|bytes| bytes < BUDGET_BYTES_SMALL);
    if is_small && std::env::var_os(THRIFTY.0).is_none() {
        begin_anew();
    }
}

#[cfg(unix)]
fn begin_anew() {
    use std::os::unix::process::CommandExt;

    let mut arguments = std::env::args_os();
    let (Some(name), Ok(program)) = (arguments.next(), std::env::current_exe()) else { return };
    // It only returns if it failed.
    let _ = std::process::Command::new(program).arg0(name).args(arguments).env(THRIFTY.0, THRIFTY.1).exec();
}

#[cfg(not(unix))]
fn begin_anew() {}
