//! Ctrl-C: long commands stop between two batches instead of in the middle of one.

#[cfg(unix)]
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use signal_hook::consts::{SIGINT, SIGTERM};
use statlas_store::Store;

use crate::exit;
use crate::failure::Failure;

/// How often it is looked whether Ctrl-C came.
const POLL: Duration = Duration::from_millis(20);

/// The one that was set up, if any was.
static INSTALLED: OnceLock<Interrupt> = OnceLock::new();

/// Whether the user wants the program to stop. Clones share one answer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// From now on the first signal sets the flag, and the second one ends the process at once.
    pub(crate) fn install() -> Result<Self> {
        if let Some(installed) = INSTALLED.get() {
            return Ok(installed.clone());
        }
        let flag = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            // The order matters: the first signal must find the flag unset here.
            signal_hook::flag::register_conditional_shutdown(
                signal,
                i32::from(exit::INTERRUPTED),
                Arc::clone(&flag),
            )
            .and_then(|_| signal_hook::flag::register(signal, Arc::clone(&flag)))
            .context("cannot set up the handling of Ctrl-C")?;
        }
        Ok(INSTALLED.get_or_init(|| Self(flag)).clone())
    }

    /// The one that was set up, or one that is never set: then a signal ends the process by itself.
    pub(crate) fn installed() -> Self {
        INSTALLED.get().cloned().unwrap_or_default()
    }

    /// Whether a signal came.
    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// The end of a command that Ctrl-C stopped, if it did; `left` says what it leaves behind.
pub(crate) fn stopped(error: anyhow::Error, left: &str) -> anyhow::Error {
    if Interrupt::installed().is_set() { Failure::interrupted(left).into() } else { error }
}

/// Where a process may only write files up to some size, the one that is too large is an error to be told and not
/// the end of the process.
pub(crate) fn survive_large_files() -> Result<()> {
    #[cfg(unix)]
    signal_hook::flag::register(signal_hook::consts::SIGXFSZ, Arc::default())
        .context("cannot set up the handling of files that become too large")?;
    Ok(())
}

/// Closes a store when Ctrl-C comes, which ends what the store is doing; not any more when it is dropped.
pub(crate) struct Closing {
    is_over: Arc<AtomicBool>,
}

impl Closing {
    /// Begins to watch for Ctrl-C, which was set up before.
    pub(crate) fn begin(store: &Store) -> Result<Self> {
        let is_over = Arc::new(AtomicBool::new(false));
        let (over, store, interrupt) = (Arc::clone(&is_over), store.clone(), Interrupt::installed());
        let watch = move || {
            while !over.load(Ordering::Relaxed) {
                if interrupt.is_set() {
                    // Whoever uses the store is told, and it is synced as far as it can be.
                    drop(store.close());
                    return;
                }
                thread::sleep(POLL);
            }
        };
        thread::Builder::new().name("interrupt".to_owned()).spawn(watch).context("cannot start a thread")?;
        Ok(Self { is_over })
    }
}

impl Drop for Closing {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}

/// From now on Ctrl-C ends the process at once, but not silently: for commands that only read, so that nothing is
/// left half done.
#[cfg(unix)]
pub(crate) fn end_at_once(said: String) -> Result<()> {
    let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM])
        .context("cannot set up the handling of Ctrl-C")?;
    let wait = move || {
        if signals.forever().next().is_some() {
            // Nobody is left to be told if this can't be written.
            let _ = writeln!(std::io::stderr().lock(), "{said}");
            signal_hook::low_level::exit(i32::from(exit::INTERRUPTED));
        }
    };
    thread::Builder::new().name("interrupt".to_owned()).spawn(wait).context("cannot start a thread")?;
    Ok(())
}

/// Elsewhere the process ends as the system has it.
#[cfg(not(unix))]
pub(crate) fn end_at_once(_: String) -> Result<()> {
    Ok(())
}
