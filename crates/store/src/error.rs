//! The store's error: a kind to act on, a sentence to read, and the cause beneath it.

use std::error::Error as StdError;
use std::{fmt, io};

use statlas_core::EntityError;

/// What a caller can do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The input breaks a rule; nothing was stored.
    Invalid,
    /// A prefix names several entities.
    Ambiguous,
    /// A record is not at the revision that was expected; nothing was stored.
    Conflict,
    /// A new version of an id changes what must not change; nothing was stored.
    Mutability,
    /// The directory is no store.
    NotAStore,
    /// A newer release wrote the store.
    NewerFormat,
    /// Another process has the store open; perhaps one that this was forked from.
    Busy,
    /// An earlier write failed: reads go on, writes are refused until the store is opened again.
    Poisoned,
    /// No space is left on the device.
    NoSpace,
    /// The memory budget has no room for it; nothing was stored.
    NoMemory,
    /// A file changed while it was read.
    Changed,
    /// The history that was asked for is no longer kept.
    Expired,
    /// Stored bytes are not what was written.
    Corrupt,
    /// The operating system refused.
    Io,
    /// The store is closed.
    Closed,
}

impl ErrorKind {
    /// Every kind, for tables that must cover all of them.
    pub const ALL: [Self; 15] = [
        Self::Invalid,
        Self::Ambiguous,
        Self::Conflict,
        Self::Mutability,
        Self::NotAStore,
        Self::NewerFormat,
        Self::Busy,
        Self::Poisoned,
        Self::NoSpace,
        Self::NoMemory,
        Self::Changed,
        Self::Expired,
        Self::Corrupt,
        Self::Io,
        Self::Closed,
    ];

    /// The stable lower-case name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::Ambiguous => "ambiguous",
            Self::Conflict => "conflict",
            Self::Mutability => "mutability",
            Self::NotAStore => "not_a_store",
            Self::NewerFormat => "newer_format",
            Self::Busy => "busy",
            Self::Poisoned => "poisoned",
            Self::NoSpace => "no_space",
            Self::NoMemory => "no_memory",
            Self::Changed => "changed",
            Self::Expired => "expired",
            Self::Corrupt => "corrupt",
            Self::Io => "io",
            Self::Closed => "closed",
        }
    }
}

/// An error of the store. One pointer wide.
#[derive(Debug)]
pub struct Error(Box<Details>);

#[derive(Debug)]
struct Details {
    kind: ErrorKind,
    context: String,
    operation: Option<usize>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// The result of the store's operations.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error without a cause beneath it.
    pub fn new(kind: ErrorKind, context: impl Into<String>) -> Self {
        Self(Box::new(Details { kind, context: context.into(), operation: None, source: None }))
    }

    /// An error of the operating system; a full device is told apart.
    pub fn io(context: impl Into<String>, source: io::Error) -> Self {
        let kind = match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorKind::NoSpace,
            _ => ErrorKind::Io,
        };
        Self(Box::new(Details {
            kind,
            context: context.into(),
            operation: None,
            source: Some(source.into()),
        }))
    }

    /// The same error, about operation number `index` of a batch, counted from 0.
    #[must_use]
    pub fn for_operation(mut self, index: usize) -> Self {
        self.0.operation = Some(index);
        self
    }

    /// What can be done about it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Which operation of the batch was refused, counted from 0, where one was.
    #[must_use]
    pub fn operation(&self) -> Option<usize> {
        self.0.operation
    }

    /// Whether the same call may succeed later without any change by the caller.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self.0.kind, ErrorKind::Busy | ErrorKind::Changed)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.context)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}

impl From<EntityError> for Error {
    fn from(source: EntityError) -> Self {
        let kind = match source.kind() {
            statlas_core::EntityErrorKind::Mutability => ErrorKind::Mutability,
            _ => ErrorKind::Invalid,
        };
        // The entity error is the whole message; a cause beneath it would say it twice.
        Self::new(kind, source.to_string())
    }
}
