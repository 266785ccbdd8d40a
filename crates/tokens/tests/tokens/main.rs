//! Tokens by the million as their users see them: batches, fields, columns and files.

mod batches;
mod fields;
mod files;
mod searches;
mod vectors;

use statlas_core::{RawCoordinates, Token, TokenParts, TokenType, UNDEFINED};

/// A token that differs from its neighbours in every field, and has undefined axes here and there.
fn token(number: u32) -> Token {
    let entity_type = TokenType::ALL[number as usize % 16];
    let parts = TokenParts {
        local_id: number,
        entity_type,
        domain: (number / 3 % 16) as u8,
        flags: (number % 251) as u16 + if number.is_multiple_of(7) { 0x1000 } else { 0 },
        weight: (number % 101) as f32,
        field_radius: f64::from(number % 256) / 100.0,
        field_strength: f64::from(number % 256) / 255.0,
        timestamp: number.wrapping_mul(2_654_435_761),
        ..TokenParts::default()
    };
    let mut token = Token::new(parts).expect("legal parts");
    token.set_coordinates(&raws(number));
    token
}

fn raws(number: u32) -> RawCoordinates {
    let mut state = number;
    let mut raw = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        if state >> 28 == 0 { UNDEFINED } else { (state >> 16) as u16 as i16 }
    };
    [(); 8].map(|()| [(); 3].map(|()| raw()))
}

fn tokens(count: u32) -> Vec<Token> {
    (0..count).map(token).collect()
}
