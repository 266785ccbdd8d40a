//! The free part of an entity: a JSON object, kept as its canonical text.

use crate::canonical::canonical_state;
use crate::json::{Reader, Result};

/// A JSON object in canonical form.
///
/// The text is what is hashed and what is stored, so there is no tree to build or to walk; a reader that
/// wants one parses [`State::as_str`] with the JSON library of its choice.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct State(String);

impl State {
    /// Reads a JSON object and puts it into canonical form.
    ///
    /// # Errors
    ///
    /// An [`EntityError`](crate::EntityError) whose kind says what is wrong: syntax, encoding, duplicate
    /// keys, depth, size, a float that overflows, or not an object.
    pub fn from_json(text: &[u8]) -> Result<Self> {
        let mut reader = Reader::new(text)?;
        let state = Self::read(&mut reader).map_err(|error| error.within("state"))?;
        reader.end()?;
        Ok(state)
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self> {
        canonical_state(reader).map(Self)
    }

    /// The canonical text: ASCII, no white space.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for State {
    fn default() -> Self {
        Self("{}".to_owned())
    }
}
