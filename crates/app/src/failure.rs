//! Failures of this program: what the crates beneath it do not know, such as files, lines and arguments.

use std::error::Error as StdError;
use std::fmt;

use serde_json::{Map, Value};
use statlas_core::EntityError;
use statlas_store::Error as StoreError;

/// What went wrong, as far as the exit code tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FailureKind {
    /// An argument is wrong.
    Usage,
    /// What was asked for is not there.
    NotFound,
    /// An input breaks a rule; the refusal says which.
    Refused,
    /// Most was done, but some things could not be.
    Incomplete,
    /// Stored bytes are not what was written.
    Integrity,
    /// Something was measured and is not as it must be.
    Threshold,
    /// Ctrl-C.
    Interrupted,
}

/// Why an input was refused.
#[derive(Debug)]
pub(crate) enum Reason {
    /// By the rules of entities, when it was read.
    Entity(EntityError),
    /// By the store, when it was committed.
    Store(StoreError),
}

/// A line of a file.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// The file's name as the user wrote it.
    pub(crate) file: String,
    /// The line, counted from 1, where there is one to name.
    pub(crate) line: Option<u64>,
}

/// An error with what a person needs to act on it.
#[derive(Debug)]
pub(crate) struct Failure {
    kind: FailureKind,
    message: String,
    refusal: Option<(Place, Reason)>,
    hint: Option<String>,
}

/// What to do about the error beneath it, as context of an [`anyhow::Error`]; printed after the error.
#[derive(Debug)]
pub(crate) struct Hint(pub(crate) String);

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Failure {
    fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), refusal: None, hint: None }
    }

    /// An argument is wrong.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(FailureKind::Usage, message)
    }

    /// What was asked for is not there.
    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(FailureKind::NotFound, message)
    }

    /// Most was done, but some things could not be.
    pub(crate) fn incomplete(message: impl Into<String>) -> Self {
        Self::new(FailureKind::Incomplete, message)
    }

    /// Stored bytes are not what was written.
    pub(crate) fn integrity(message: impl Into<String>) -> Self {
        Self::new(FailureKind::Integrity, message)
    }

    /// Something was measured and is not as it must be.
    pub(crate) fn threshold(message: impl Into<String>) -> Self {
        Self::new(FailureKind::Threshold, message)
    }

    /// The machine has not enough of something, or another condition is not met.
    pub(crate) fn unmet(message: impl Into<String>) -> Self {
        Self::new(FailureKind::Refused, message)
    }

    /// Ctrl-C, and what had been done by then.
    pub(crate) fn interrupted(message: impl Into<String>) -> Self {
        Self::new(FailureKind::Interrupted, message)
    }

    /// An input breaks a rule.
    pub(crate) fn refused(place: Place, reason: Reason) -> Self {
        let message = format!("{place}: {reason}");
        Self { refusal: Some((place, reason)), ..Self::new(FailureKind::Refused, message) }
    }

    /// The same failure with what to do about it.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(crate) fn kind(&self) -> FailureKind {
        self.kind
    }

    /// The name of the kind in machine-readable output.
    pub(crate) fn kind_name(&self) -> &'static str {
        match (&self.refusal, self.kind) {
            (Some((_, Reason::Entity(error))), _) => error.kind().as_str(),
            (Some((_, Reason::Store(error))), _) => error.kind().as_str(),
            (None, FailureKind::Usage) => "usage",
            (None, FailureKind::NotFound) => "not_found",
            (None, FailureKind::Refused) => "refused",
            (None, FailureKind::Incomplete) => "incomplete",
            (None, FailureKind::Integrity) => "integrity",
            (None, FailureKind::Threshold) => "threshold",
            (None, FailureKind::Interrupted) => "interrupted",
        }
    }

    /// Adds what is known to a JSON object: file, line, field, found, allowed, hint.
    pub(crate) fn describe(&self, object: &mut Map<String, Value>) {
        if let Some((place, reason)) = &self.refusal {
            object.insert("file".into(), place.file.as_str().into());
            if let Some(line) = place.line {
                object.insert("line".into(), line.into());
            }
            reason.describe(object);
        }
        if let Some(hint) = &self.hint {
            object.insert("hint".into(), hint.as_str().into());
        }
    }

    pub(crate) fn hint_text(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}

impl Reason {
    /// The name of the rule or of the store's kind of error.
    pub(crate) fn kind_name(&self) -> &'static str {
        match self {
            Self::Entity(error) => error.kind().as_str(),
            Self::Store(error) => error.kind().as_str(),
        }
    }

    /// Adds field, found and allowed to a JSON object, where they are known.
    pub(crate) fn describe(&self, object: &mut Map<String, Value>) {
        if let Self::Entity(error) = self {
            if !error.field().is_empty() {
                object.insert("field".into(), error.field().into());
            }
            object.insert("found".into(), error.found().into());
            object.insert("allowed".into(), error.allowed().into());
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Entity(error) => error.fmt(f),
            Self::Store(error) => error.fmt(f),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        match self.line {
            Some(line) => write!(f, ":{line}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for Failure {}
