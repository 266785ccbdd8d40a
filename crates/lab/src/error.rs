//! What can go wrong in the laboratory.

use std::io;

/// The error of everything here. A store that gives wrong answers is no error but a finding: the result says so.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A workload, a result or a number that breaks a rule: where, what was found, and what is allowed.
    #[error("{0}")]
    Invalid(String),
    /// Two results that can't be compared, and why.
    #[error("{0}")]
    Incomparable(String),
    /// The machine has not enough of something: what is needed, and what there is.
    #[error("{0}")]
    Insufficient(String),
    /// The store refused what a run can't do without.
    #[error("{what}: {source}")]
    Store {
        /// What was tried.
        what: String,
        /// What the store said.
        source: statlas_store::Error,
    },
    /// The operating system refused.
    #[error("{what}: {source}")]
    Io {
        /// What was tried, with the path.
        what: String,
        /// What the system said.
        source: io::Error,
    },
    /// Somebody asked for an end.
    #[error("interrupted")]
    Interrupted,
}

/// What the laboratory's functions return.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub(crate) fn io(what: impl Into<String>, source: io::Error) -> Self {
        Self::Io { what: what.into(), source }
    }

    pub(crate) fn store(what: impl Into<String>) -> impl FnOnce(statlas_store::Error) -> Self {
        let what = what.into();
        move |source| Self::Store { what, source }
    }
}
