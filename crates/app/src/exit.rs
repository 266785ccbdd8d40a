//! Exit codes: what a script can tell from how the program ended.

use std::io;

use statlas_core::EntityError;
use statlas_store::{Error as StoreError, ErrorKind};

use crate::failure::{Failure, FailureKind};

/// Done.
pub(crate) const DONE: u8 = 0;
/// Failed; the message says why.
pub(crate) const FAILED: u8 = 1;
/// The arguments were wrong, or name several things where one is meant.
pub(crate) const USAGE: u8 = 2;
/// What was asked for is not there.
pub(crate) const NOT_FOUND: u8 = 3;
/// Stored bytes are not what was written.
pub(crate) const INTEGRITY: u8 = 4;
/// The store is in use by another process, or refuses writes after one that failed.
pub(crate) const UNAVAILABLE: u8 = 5;
/// Something was measured and is not as it must be.
pub(crate) const THRESHOLD: u8 = 6;
/// Stopped by Ctrl-C, as shells have it: 128 and the number of the signal.
pub(crate) const INTERRUPTED: u8 = 130;

/// The paragraph about exit codes in `--help`.
pub(crate) const HELP: &str = "\
Exit codes:
  0    done
  1    failed; nothing of a refused batch is stored
  2    wrong arguments, or a prefix of several addresses
  3    not found
  4    integrity violated: stored bytes are not what was written, and the answer may lack something
  5    the store is busy (another process has it still after --wait) or poisoned (a write failed: open it again)
  6    a threshold of the laboratory was not met, or a comparison found a regression
  130  stopped by Ctrl-C; what was committed stays, and the same command goes on from there";

/// The code of every kind of error that a store reports.
const STORE: [(ErrorKind, u8); 15] = [
    (ErrorKind::Invalid, FAILED),
    (ErrorKind::Ambiguous, USAGE),
    (ErrorKind::Conflict, FAILED),
    (ErrorKind::Mutability, FAILED),
    (ErrorKind::NotAStore, FAILED),
    (ErrorKind::NewerFormat, FAILED),
    (ErrorKind::Busy, UNAVAILABLE),
    (ErrorKind::Poisoned, UNAVAILABLE),
    (ErrorKind::NoSpace, FAILED),
    (ErrorKind::NoMemory, FAILED),
    (ErrorKind::Changed, FAILED),
    (ErrorKind::Expired, FAILED),
    (ErrorKind::Corrupt, INTEGRITY),
    (ErrorKind::Io, FAILED),
    (ErrorKind::Closed, FAILED),
];

/// The code of a failure of this program.
const fn of_failure(kind: FailureKind) -> u8 {
    match kind {
        FailureKind::Usage => USAGE,
        FailureKind::NotFound => NOT_FOUND,
        FailureKind::Refused | FailureKind::Incomplete => FAILED,
        FailureKind::Integrity => INTEGRITY,
        FailureKind::Threshold => THRESHOLD,
        FailureKind::Interrupted => INTERRUPTED,
    }
}

/// The code of an error: that of the first cause in its chain that has one, else [`FAILED`].
pub(crate) fn of(error: &anyhow::Error) -> u8 {
    let code = error.chain().find_map(|cause| {
        let failure = cause.downcast_ref::<Failure>().map(|failure| of_failure(failure.kind()));
        failure.or_else(|| cause.downcast_ref::<StoreError>().map(|error| of_store(error.kind())))
    });
    code.unwrap_or(FAILED)
}

/// The name of an error's kind in machine-readable output.
pub(crate) fn kind_name(error: &anyhow::Error) -> &'static str {
    let name = error.chain().find_map(|cause| {
        if let Some(failure) = cause.downcast_ref::<Failure>() {
            return Some(failure.kind_name());
        }
        if let Some(error) = cause.downcast_ref::<StoreError>() {
            return Some(error.kind().as_str());
        }
        if let Some(error) = cause.downcast_ref::<EntityError>() {
            return Some(error.kind().as_str());
        }
        cause.downcast_ref::<io::Error>().map(|_| "io")
    });
    name.unwrap_or("failed")
}

/// Whether the reader of standard output went away, which is its right.
pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let broken = |error: &io::Error| error.kind() == io::ErrorKind::BrokenPipe;
    error.chain().any(|cause| cause.downcast_ref::<io::Error>().is_some_and(broken))
}

fn of_store(kind: ErrorKind) -> u8 {
    STORE.iter().find(|(known, _)| *known == kind).map_or(FAILED, |(_, code)| *code)
}

#[cfg(test)]
mod tests {
    use statlas_store::{Error as StoreError, ErrorKind};

    use super::{FAILED, STORE, of};

    #[test]
    fn every_kind_of_store_error_stands_once_in_the_table() {
        for kind in ErrorKind::ALL {
            assert_eq!(STORE.iter().filter(|(known, _)| *known == kind).count(), 1, "{kind:?}");
        }
    }

    #[test]
    fn the_code_survives_context_that_is_put_around_an_error() {
        for (kind, code) in STORE {
            let error = anyhow::Error::new(StoreError::new(kind, "x")).context("y").context("z");
            assert_eq!(of(&error), code, "{kind:?}");
        }
        assert_eq!(of(&anyhow::anyhow!("something else")), FAILED);
    }
}
