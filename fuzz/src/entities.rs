//! Entities, states and tokens: what is accepted is written back to what reads as the same.

use statlas_core::{Address, CanonicalHead, Entity, EntityHead, SpaceSet, State, Token};

/// An entity as a line of JSON, from anybody.
pub fn entity_json(bytes: &[u8]) {
    let Ok(entity) = Entity::from_json(bytes) else { return };
    let mut json = Vec::new();
    entity.to_json_into(&mut json);
    let again = Entity::from_json(&json).expect("what is written is accepted");
    assert_eq!(again, entity, "an entity changes when it is written and read");
    let canonical = entity.canonical();
    assert_eq!(Address::of(&canonical), entity.address());
    let (token, blob) = (entity.token().copied(), entity.blob());
    let back = Entity::from_canonical(&canonical).expect("the canonical form of an entity is one");
    assert_eq!(back.with_attachments(token, blob), entity, "the canonical form is of another entity");
    check_head(&canonical, &entity);
}

/// The canonical text of an entity, as a store has it.
pub fn entity_canonical(bytes: &[u8]) {
    // The quick readers promise less, but never a panic.
    let mut neighbours = Vec::new();
    let quick = CanonicalHead::read(bytes, |id| neighbours.push(id.to_owned())).is_ok();
    let head = EntityHead::read_canonical(bytes).is_ok();
    let Ok(entity) = Entity::from_canonical(bytes) else { return };
    assert_eq!(entity.canonical(), bytes, "another text was taken for canonical");
    assert!(quick && head, "a quick reader refuses a canonical text");
    check_head(bytes, &entity);
    let mut json = Vec::new();
    entity.to_json_into(&mut json);
    let again = Entity::from_json(&json).expect("what is written is accepted");
    assert_eq!(again.address(), Address::of(bytes), "an entity gets another address");
}

/// What the quick readers say of a canonical text is what the entity says.
fn check_head(canonical: &[u8], entity: &Entity) {
    let (head, state) = EntityHead::read_canonical(canonical).expect("the text is canonical");
    let own = entity.clone().into_head();
    assert_eq!(head.into_owned(), own, "the quick reader reads another entity");
    assert_eq!(state, entity.state().as_str(), "the quick reader reads another state");
}

/// The free part of an entity.
pub fn state_json(bytes: &[u8]) {
    let Ok(state) = State::from_json(bytes) else { return };
    assert!(state.as_str().is_ascii(), "a canonical text has only ASCII");
    let again = State::from_json(state.as_str().as_bytes()).expect("the canonical form is accepted");
    assert_eq!(again, state, "the canonical form has another canonical form");
}

/// A token as JSON.
pub fn token_json(bytes: &[u8]) {
    let Ok(token) = Token::from_json(bytes) else { return };
    let mut json = Vec::new();
    token.to_json_into(&mut json);
    assert_eq!(Token::from_json(&json), Ok(token), "a token changes when it is written and read");
    assert_eq!(Token::from_bytes(&token.to_bytes()), Ok(token), "a token changes as bytes");
}

/// The 64 bytes of a token, by this program or by the reference.
pub fn token_bytes(bytes: &[u8]) {
    let Some(bytes) = bytes.first_chunk() else { return };
    if let Ok(token) = Token::from_bytes(bytes) {
        assert_eq!(token.to_bytes(), *bytes, "a token is written as other bytes");
        check_token(token);
    }
    if let Ok(token) = Token::from_reference_bytes(bytes) {
        assert_eq!(Token::from_bytes(&token.to_bytes()), Ok(token), "a converted token is no token");
        check_token(token);
    }
}

fn check_token(token: Token) {
    let mut json = Vec::new();
    token.to_json_into(&mut json);
    assert_eq!(Token::from_json(&json), Ok(token), "a token changes as JSON");
    if let Some(distance) = token.distance(&token, SpaceSet::ALL) {
        assert!(distance == 0.0, "a token is {distance} away from itself");
    }
    if let Some(cosine) = token.cosine(&token, SpaceSet::ALL) {
        // Exactly 0 if there is nothing but zeros.
        assert!(cosine == 1.0 || cosine == 0.0, "a token has the cosine {cosine} with itself");
    }
}
