//! Identifiers: the short lower-case names of realms, horizons and entity types.

use std::fmt;

use crate::limits::IDENTIFIER_BYTES_MAX;

/// A name that matches `[a-z][a-z0-9_]{0,31}`, held inline so that copying it costs no allocation.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Identifier {
    bytes: [u8; IDENTIFIER_BYTES_MAX],
    len: u8,
}

impl Identifier {
    /// The identifier, or `None` if `text` does not match `[a-z][a-z0-9_]{0,31}`.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let source = text.as_bytes();
        let len = u8::try_from(source.len()).ok()?;
        let mut bytes = [0; IDENTIFIER_BYTES_MAX];
        bytes.get_mut(..source.len())?.copy_from_slice(source);
        let (first, rest) = source.split_first()?;
        let legal = first.is_ascii_lowercase()
            && rest.iter().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'));
        legal.then_some(Self { bytes, len })
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Only ASCII gets in, so this cannot fail; an empty text would be caught by every reader.
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }

    /// The text as ASCII bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    /// What an identifier may be, for messages.
    pub const ALLOWED: &'static str =
        "a lower-case letter followed by up to 31 lower-case letters, digits or underscores";
}

impl fmt::Display for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl PartialOrd for Identifier {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Identifier {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

/// Known realms, in the order of their ordinals. Other identifiers are legal realms too.
pub const REALMS: [&str; 7] = ["data", "narrative", "system", "faculty", "event", "pattern", "void"];
/// Known horizons, in the order of their ordinals. Other identifiers are legal horizons too.
pub const HORIZONS: [&str; 5] = ["genesis", "emergence", "peak", "decay", "crystallization"];
/// Known entity types, in the order of their ordinals. Other identifiers are legal types too.
pub const ENTITY_TYPES: [&str; 7] =
    ["concept", "artifact", "agent", "lineage", "adjacency", "horizon", "fragment"];

#[cfg(test)]
mod tests {
    use super::Identifier;

    #[test]
    fn identifiers_are_lower_case_and_at_most_32_bytes() {
        let longest = "a".repeat(32);
        for good in ["a", "data", "a1_", "x_9", &longest] {
            assert_eq!(Identifier::new(good).map(|name| name.as_str().to_owned()).as_deref(), Some(good));
        }
        let long = "a".repeat(33);
        for bad in ["", "A", "1a", "_a", "a-b", "é", "a b", &long] {
            assert_eq!(Identifier::new(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn identifiers_sort_like_their_text() {
        let [a, ab, b] = ["a", "ab", "b"].map(|text| Identifier::new(text).expect("legal"));
        assert!(a < ab && ab < b);
    }
}
