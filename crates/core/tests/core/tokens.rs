//! Tokens against the rows that the reference encoded, and against properties.

use proptest::prelude::*;
use serde_json::Value;
use statlas_core::{EntityErrorKind, Space, SpaceSet, Token, TokenParts, TokenType};

const ROWS: &str = include_str!("../vectors/tokens.json");

fn rows() -> Vec<Value> {
    let rows: Vec<Value> = serde_json::from_str(ROWS).expect("vectors");
    assert!(rows.len() >= 30, "{} rows", rows.len());
    rows
}

fn read(row: &Value) -> Token {
    let text = serde_json::to_vec(row).expect("JSON");
    Token::from_json(&text).unwrap_or_else(|error| panic!("{row}: {error}"))
}

fn hex(token: &Token) -> String {
    token.to_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn json(token: &Token) -> String {
    let mut out = Vec::new();
    token.to_json_into(&mut out);
    String::from_utf8(out).expect("UTF-8")
}

/// A row without the fields that say again what others say.
fn without_derived(row: &Value) -> Value {
    let mut row = row.clone();
    let fields = row.as_object_mut().expect("object");
    for derived in ["hex", "raw_i16", "decoded"] {
        assert!(fields.shift_remove(derived).is_some(), "{derived}");
    }
    row
}

#[test]
fn every_row_encodes_to_the_bytes_of_the_reference() {
    for row in rows() {
        let token = read(&without_derived(&row));
        assert_eq!(Value::from(hex(&token)), row["hex"], "{}", row["name"]);
        assert_eq!(Token::from_bytes(&token.to_bytes()), Ok(token), "{}", row["name"]);
        for (space, raws) in Space::ALL.into_iter().zip(token.coordinates()) {
            let expected: Vec<i64> = row["raw_i16"][space.index()]
                .as_array()
                .expect("raw values")
                .iter()
                .map(|raw| raw.as_i64().expect("an integer"))
                .collect();
            assert_eq!(raws.map(i64::from).to_vec(), expected, "{} {space}", row["name"]);
        }
    }
}

#[test]
fn every_row_decodes_to_the_values_of_the_reference() {
    for row in rows() {
        let token = read(&row);
        for space in Space::ALL {
            let axes = token.decoded(space).unwrap_or_default();
            for (axis, expected) in axes.iter().zip(row["decoded"][space.index()].as_array().expect("axes")) {
                assert_eq!(*axis, expected.as_f64(), "{} {space}", row["name"]);
            }
        }
    }
}

#[test]
fn every_row_reads_back_from_its_own_json_to_the_same_bytes() {
    for row in rows() {
        let token = read(&row);
        let again = Token::from_json(json(&token).as_bytes()).expect("own JSON");
        assert_eq!(again.to_bytes(), token.to_bytes(), "{}", row["name"]);
        let written: Value = serde_json::from_str(&json(&token)).expect("JSON");
        for field in ["local_id", "entity_type", "domain", "flags", "timestamp", "hex"] {
            assert_eq!(written[field], row[field], "{} {field}", row["name"]);
        }
    }
}

#[test]
fn a_row_whose_derived_fields_contradict_it_is_refused() {
    for row in rows() {
        for (field, value) in [
            ("hex", Value::from("00".repeat(Token::BYTES))),
            ("raw_i16", Value::from(vec![vec![31_999; 3]; 8])),
            ("decoded", Value::from(vec![vec![0.03; 3]; 8])),
        ] {
            let mut row = row.clone();
            row[field] = value;
            let error = Token::from_json(row.to_string().as_bytes()).expect_err(field);
            assert_eq!(error.kind(), EntityErrorKind::Token);
            assert!(error.field().starts_with(field), "{error}");
        }
    }
}

/// Parts whose raw values cover all that bytes can hold.
fn any_parts() -> impl Strategy<Value = TokenParts> {
    let ids = (0..=Token::LOCAL_ID_MAX, 0_u8..16, 0..=Token::DOMAIN_MAX, any::<u16>());
    let fields = (0.0..=Token::WEIGHT_MAX, -0.1..2.7, -0.1..1.1, any::<u32>());
    let spaces =
        proptest::array::uniform8(proptest::option::of(proptest::array::uniform3(proptest::option::of(
            prop_oneof![-4.0..4.0, -400.0..400.0, any::<f64>().prop_filter("finite", |v| v.is_finite())],
        ))));
    (ids, fields, spaces).prop_map(
        |((local_id, ordinal, domain, flags), (weight, radius, strength, timestamp), spaces)| TokenParts {
            local_id,
            entity_type: TokenType::from_ordinal(ordinal).expect("below 16"),
            domain,
            flags: flags & 0xf0ff,
            weight,
            field_radius: radius,
            field_strength: strength,
            timestamp,
            spaces,
        },
    )
}

proptest! {
    #[test]
    fn any_token_round_trips_through_bytes_and_json(parts in any_parts()) {
        let token = Token::new(parts).expect("legal parts");
        let bytes = token.to_bytes();
        prop_assert_eq!(Token::from_bytes(&bytes).map(|token| token.to_bytes()), Ok(bytes));
        let again = Token::from_json(json(&token).as_bytes()).expect("own JSON");
        prop_assert_eq!(again.to_bytes(), bytes);
        prop_assert_eq!(
            (token.local_id(), token.entity_type(), token.domain(), token.flags(), token.timestamp()),
            (parts.local_id, parts.entity_type, parts.domain, parts.flags, parts.timestamp)
        );
    }

    #[test]
    fn any_bytes_are_refused_or_written_back_as_they_were(
        random in proptest::array::uniform(any::<u8>()),
        is_legal in any::<bool>(),
    ) {
        let mut bytes: [u8; Token::BYTES] = random;
        if is_legal {
            // Few random bytes are a weight and repeat the type in the flags.
            bytes[54..58].copy_from_slice(&50.5_f32.to_le_bytes());
            bytes[53] = bytes[53] & 0xf0 | bytes[51] & 0x0f;
        }
        let token = Token::from_bytes(&bytes);
        prop_assert!(token.is_ok() || !is_legal);
        if let Ok(token) = token {
            prop_assert_eq!(token.to_bytes(), bytes);
            let again = Token::from_json(json(&token).as_bytes()).expect("own JSON");
            prop_assert_eq!(again.to_bytes(), bytes);
        }
        if let Ok(token) = Token::from_reference_bytes(&bytes) {
            let own = token.to_bytes();
            prop_assert_eq!(Token::from_bytes(&own).map(|token| token.to_bytes()), Ok(own));
        }
    }

    #[test]
    fn distance_and_cosine_are_symmetric_and_bounded(a in any_parts(), b in any_parts()) {
        let (a, b) = (Token::new(a).expect("legal parts"), Token::new(b).expect("legal parts"));
        prop_assert_eq!((a.distance(&b, SpaceSet::ALL), a.cosine(&b, SpaceSet::ALL)), (b.distance(&a, SpaceSet::ALL), b.cosine(&a, SpaceSet::ALL)));
        prop_assert_eq!(a.distance(&b, SpaceSet::ALL).is_some(), a.cosine(&b, SpaceSet::ALL).is_some());
        prop_assert!(a.distance(&b, SpaceSet::ALL).is_none_or(|distance| distance >= 0.0));
        prop_assert!(a.cosine(&b, SpaceSet::ALL).is_none_or(|cosine| (-1.0..=1.0).contains(&cosine)));
    }
}
