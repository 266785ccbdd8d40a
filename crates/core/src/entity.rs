//! Entities: what has an address.

use std::borrow::Cow;

use crate::address::{Address, BlobId};
use crate::canonical;
use crate::coordinates::{Coordinates, Profile};
use crate::error::{EntityError, EntityErrorKind};
use crate::identifier::Identifier;
use crate::limits::ID_BYTES_MAX;
use crate::state::State;
use crate::timestamp::Timestamp;
use crate::token::Token;

/// An entity that keeps every rule. It is immutable: an edit is a new entity with a new address.
#[derive(Debug, Clone, PartialEq)]
pub struct Entity {
    id: Box<str>,
    entity_type: Identifier,
    realm: Identifier,
    coordinates: Coordinates,
    created_at: Timestamp,
    state: State,
    token: Option<Box<Token>>,
    blob: Option<BlobId>,
}

/// The parts of an entity, by name, for [`Entity::new`].
#[derive(Debug, Clone)]
pub struct EntityParts {
    /// The user's name for it; several versions of one id may exist.
    pub id: Box<str>,
    /// What sort of thing it is.
    pub entity_type: Identifier,
    /// The realm it belongs to; independent of the realm of its coordinates.
    pub realm: Identifier,
    /// Where it lies.
    pub coordinates: Coordinates,
    /// When it came to be.
    pub created_at: Timestamp,
    /// Everything else about it.
    pub state: State,
    /// A token attached to it, not part of the address.
    pub token: Option<Token>,
    /// The file that belongs to it, not part of the address.
    pub blob: Option<BlobId>,
}

/// An entity without its state: what indexes and rules look at. The id is borrowed where it can be.
#[derive(Debug, Clone, PartialEq)]
pub struct EntityHead<'a> {
    /// The user's name for it.
    pub id: Cow<'a, str>,
    /// What sort of thing it is.
    pub entity_type: Identifier,
    /// The realm it belongs to.
    pub realm: Identifier,
    /// Where it lies.
    pub coordinates: Coordinates,
    /// When it came to be.
    pub created_at: Timestamp,
}

impl EntityHead<'_> {
    /// The same head with an id of its own.
    #[must_use]
    pub fn into_owned(self) -> EntityHead<'static> {
        let Self { id, entity_type, realm, coordinates, created_at } = self;
        EntityHead { id: Cow::Owned(id.into_owned()), entity_type, realm, coordinates, created_at }
    }
}

impl Entity {
    /// Checks the id and puts the parts together; every other part is checked where it is made.
    ///
    /// # Errors
    ///
    /// [`EntityErrorKind::Id`] if the id is empty or longer than [`ID_BYTES_MAX`] bytes.
    pub fn new(parts: EntityParts) -> Result<Self, EntityError> {
        let EntityParts { id, entity_type, realm, coordinates, created_at, state, token, blob } = parts;
        check_id(&id)?;
        Ok(Self { id, entity_type, realm, coordinates, created_at, state, token: token.map(Box::new), blob })
    }

    /// The id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The entity's type.
    #[must_use]
    pub fn entity_type(&self) -> Identifier {
        self.entity_type
    }

    /// The entity's own realm.
    #[must_use]
    pub fn realm(&self) -> Identifier {
        self.realm
    }

    /// Where it lies.
    #[must_use]
    pub fn coordinates(&self) -> &Coordinates {
        &self.coordinates
    }

    /// The profile of its coordinates.
    #[must_use]
    pub fn profile(&self) -> Profile {
        self.coordinates.profile()
    }

    /// When it came to be.
    #[must_use]
    pub fn created_at(&self) -> Timestamp {
        self.created_at
    }

    /// The free part.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The attached token.
    #[must_use]
    pub fn token(&self) -> Option<&Token> {
        self.token.as_deref()
    }

    /// The attached file.
    #[must_use]
    pub fn blob(&self) -> Option<BlobId> {
        self.blob
    }

    /// The same entity with other attachments; they are no part of its address.
    #[must_use]
    pub fn with_attachments(mut self, token: Option<Token>, blob: Option<BlobId>) -> Self {
        (self.token, self.blob) = (token.map(Box::new), blob);
        self
    }

    /// Everything but the state, without a copy.
    #[must_use]
    pub fn into_head(self) -> EntityHead<'static> {
        let Self { id, entity_type, realm, coordinates, created_at, .. } = self;
        EntityHead { id: Cow::Owned(id.into()), entity_type, realm, coordinates, created_at }
    }

    /// The canonical form: ASCII without white space, whose SHA-256 is the address.
    #[must_use]
    pub fn canonical(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.canonical_into(&mut out);
        out
    }

    /// Appends the canonical form to a buffer that can be used again.
    pub fn canonical_into(&self, out: &mut Vec<u8>) {
        canonical::write_entity(self, out);
    }

    /// The address. Costs a canonical form and a SHA-256 of it; use [`Entity::canonical_into`] and
    /// [`Address::of`] to do it many times with one buffer.
    #[must_use]
    pub fn address(&self) -> Address {
        Address::of(&self.canonical())
    }
}

pub(crate) fn check_id(id: &str) -> Result<(), EntityError> {
    if id.is_empty() || id.len() > ID_BYTES_MAX {
        let allowed = format!("a string of 1 to {ID_BYTES_MAX} bytes of UTF-8");
        return Err(EntityError::new(EntityErrorKind::Id, "id", format!("{} bytes", id.len()), allowed));
    }
    Ok(())
}
