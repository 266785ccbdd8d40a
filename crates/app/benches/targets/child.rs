//! Runs the program under measurement: how long it takes and how much memory it has at most.
//!
//! The system counts the memory that a process had before it became the program, so a child of a large
//! process looks large. That is why a small process stands between: this program once more, which does
//! nothing but start the other, wait for it and write down what it saw.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};

/// The first argument of the process between.
const MEASURE: &str = "measure-a-child";

/// What a run of the program took.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outcome {
    /// From start to end.
    pub(crate) seconds: f64,
    /// The largest resident set, where the system tells. Mapped files that are in memory count.
    pub(crate) peak_bytes: Option<u64>,
}

/// Runs `statlas` with arguments and fails if it fails. `scratch` is a directory for one small file.
pub(crate) fn statlas<S: AsRef<OsStr>>(arguments: &[S], scratch: &Path) -> Result<Outcome> {
    let notes = scratch.join("measured.txt");
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(MEASURE).arg(&notes).arg(env!("CARGO_BIN_EXE_statlas")).args(arguments);
    let result = command.env_remove("STATLAS_STORE").stdin(Stdio::null()).output()?;
    let shown: Vec<_> = arguments.iter().map(|argument| argument.as_ref().to_string_lossy()).collect();
    let errors = String::from_utf8_lossy(&result.stderr);
    ensure!(result.status.success(), "`statlas {}` failed ({}):\n{errors}", shown.join(" "), result.status);
    let text = fs::read_to_string(&notes)?;
    let (seconds, peak) = text.split_once(' ').context("the notes of a measured run")?;
    Ok(Outcome { seconds: seconds.parse()?, peak_bytes: peak.parse().ok() })
}

/// Does the work of the process between, if that is what this process was started for.
pub(crate) fn measure_if_asked(words: &[String]) -> Option<ExitCode> {
    match words {
        [first, notes, program, arguments @ ..] if first == MEASURE => {
            Some(measure(notes, program, arguments))
        }
        _ => None,
    }
}

fn measure(notes: &str, program: &str, arguments: &[String]) -> ExitCode {
    let started = Instant::now();
    let waited = Command::new(program).args(arguments).spawn().and_then(wait);
    let seconds = started.elapsed().as_secs_f64();
    let written = waited.and_then(|(success, peak_bytes)| {
        let peak = peak_bytes.map_or("unknown".to_owned(), |bytes| bytes.to_string());
        fs::write(notes, format!("{seconds} {peak}")).map(|()| success)
    });
    match written {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("bench: {program}: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Waits; whether the child succeeded, and its largest resident set.
#[cfg(unix)]
fn wait(child: Child) -> std::io::Result<(bool, Option<u64>)> {
    let pid = libc::pid_t::try_from(child.id()).map_err(std::io::Error::other)?;
    let mut status = 0;
    // SAFETY: the structure is made of integers, for which all zeros are a value.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: the child has not been waited for, so the number is its own, and both pointers are to locals
    // of the types that the call writes.
    let waited = unsafe { libc::wait4(pid, &mut status, 0, &mut usage) };
    if waited != pid {
        return Err(std::io::Error::last_os_error());
    }
    // The unit is the kibibyte, but for Apple's systems, where it is the byte.
    let unit = if cfg!(target_vendor = "apple") { 1 } else { 1024 };
    let peak = u64::try_from(usage.ru_maxrss).ok().map(|units| units * unit);
    Ok((libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0, peak))
}

#[cfg(not(unix))]
fn wait(mut child: Child) -> std::io::Result<(bool, Option<u64>)> {
    Ok((child.wait()?.success(), None))
}

/// Lets the system write everything that waits to be written, so that no earlier work is measured.
pub(crate) fn settle() {
    #[cfg(unix)]
    // SAFETY: the call takes nothing and cannot fail.
    unsafe {
        libc::sync();
    }
}
