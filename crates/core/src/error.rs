//! Why an entity was refused: the field, what was found, what is allowed.

use std::borrow::Cow;
use std::fmt;

/// What rule an input broke. [`EntityErrorKind::as_str`] is the stable name used in JSON output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EntityErrorKind {
    /// The text is not JSON.
    Syntax,
    /// The text is not UTF-8, or holds a surrogate without its partner.
    Encoding,
    /// `state` is nested too deep.
    Depth,
    /// A text or list is longer than its limit.
    Size,
    /// An object has the same key twice.
    Duplicate,
    /// A field that does not belong here.
    Unknown,
    /// A field that must be there is not.
    Missing,
    /// A JSON value of the wrong type.
    Type,
    /// A number outside its range, or not finite.
    Range,
    /// `profile` is none that is known.
    Profile,
    /// `id` is empty, too long or no string.
    Id,
    /// `entity_type` is no identifier.
    EntityType,
    /// `realm`, of the entity or of its coordinates, is no identifier.
    Realm,
    /// `lineage` is no unsigned 32-bit integer.
    Lineage,
    /// `adjacency` is no list of non-empty strings, or too long.
    Adjacency,
    /// `horizon` is no identifier.
    Horizon,
    /// `polarity` is none of the known names.
    Polarity,
    /// `dimensionality` is no unsigned 32-bit integer.
    Dimensionality,
    /// `alignment` is none of the known names.
    Alignment,
    /// `created_at` is no RFC 3339 time with an offset.
    Timestamp,
    /// `state` is no JSON object, or holds a number that no float can represent.
    State,
    /// `token` breaks a rule of tokens.
    Token,
    /// `blob` is no SHA-256 in hex.
    Blob,
    /// A text is not the canonical form of an entity.
    Canonical,
    /// An address, or a prefix of one, is not lower-case hex of the right length.
    Address,
    /// A URI does not parse.
    Uri,
    /// A new version of an id changes what must not change.
    Mutability,
}

impl EntityErrorKind {
    /// The stable lower-case name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Syntax => "syntax",
            Self::Encoding => "encoding",
            Self::Depth => "depth",
            Self::Size => "size",
            Self::Duplicate => "duplicate",
            Self::Unknown => "unknown",
            Self::Missing => "missing",
            Self::Type => "type",
            Self::Range => "range",
            Self::Profile => "profile",
            Self::Id => "id",
            Self::EntityType => "entity_type",
            Self::Realm => "realm",
            Self::Lineage => "lineage",
            Self::Adjacency => "adjacency",
            Self::Horizon => "horizon",
            Self::Polarity => "polarity",
            Self::Dimensionality => "dimensionality",
            Self::Alignment => "alignment",
            Self::Timestamp => "timestamp",
            Self::State => "state",
            Self::Token => "token",
            Self::Blob => "blob",
            Self::Canonical => "canonical",
            Self::Address => "address",
            Self::Uri => "uri",
            Self::Mutability => "mutability",
        }
    }
}

impl fmt::Display for EntityErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why an input was refused.
///
/// One pointer wide, so that results stay small on the paths where nothing is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntityError(Box<Details>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Details {
    kind: EntityErrorKind,
    field: Cow<'static, str>,
    found: String,
    allowed: Cow<'static, str>,
    offset: Option<usize>,
}

/// Longest piece of the offending input that an error repeats, in characters.
const FOUND_CHARS_MAX: usize = 80;

impl EntityError {
    /// An error about `field` (a path such as `coordinates.lineage`; empty for the whole text).
    pub fn new(
        kind: EntityErrorKind,
        field: impl Into<Cow<'static, str>>,
        found: impl fmt::Display,
        allowed: impl Into<Cow<'static, str>>,
    ) -> Self {
        let mut found = found.to_string();
        if let Some((cut, _)) = found.char_indices().nth(FOUND_CHARS_MAX) {
            found.truncate(cut);
            found.push('…');
        }
        Self(Box::new(Details { kind, field: field.into(), found, allowed: allowed.into(), offset: None }))
    }

    /// The same error with the byte of the input at which it was noticed.
    #[must_use]
    pub fn at(mut self, offset: usize) -> Self {
        self.0.offset.get_or_insert(offset);
        self
    }

    /// The same error, about `field` if it does not name one yet.
    #[must_use]
    pub(crate) fn about(mut self, field: &str) -> Self {
        if self.0.field.is_empty() {
            self.0.field = field.to_owned().into();
        }
        self
    }

    /// The same error, its field put under `parent`.
    #[must_use]
    pub fn within(mut self, parent: &str) -> Self {
        self.0.field = match &*self.0.field {
            "" => parent.to_owned().into(),
            field => format!("{parent}.{field}").into(),
        };
        self
    }

    /// Which rule was broken.
    #[must_use]
    pub fn kind(&self) -> EntityErrorKind {
        self.0.kind
    }

    /// The path of the field, such as `coordinates.lineage`; empty for the whole text.
    #[must_use]
    pub fn field(&self) -> &str {
        &self.0.field
    }

    /// What stood there, shortened.
    #[must_use]
    pub fn found(&self) -> &str {
        &self.0.found
    }

    /// What may stand there.
    #[must_use]
    pub fn allowed(&self) -> &str {
        &self.0.allowed
    }

    /// The byte of the input at which it was noticed, counted from 0, where known.
    #[must_use]
    pub fn offset(&self) -> Option<usize> {
        self.0.offset
    }
}

impl fmt::Display for EntityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Details { kind, field, found, allowed, offset } = &*self.0;
        if !field.is_empty() {
            write!(f, "field {field}: ")?;
        }
        write!(f, "{kind} error: found {found}; allowed: {allowed}")?;
        if let Some(offset) = offset {
            write!(f, " (byte {})", offset + 1)?;
        }
        Ok(())
    }
}

impl std::error::Error for EntityError {}
