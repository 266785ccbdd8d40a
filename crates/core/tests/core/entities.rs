//! The rows of the references, and an independent canonical writer to compare with.

use proptest::prelude::*;
use serde_json::Value;
use statlas_core::{
    Address, Entity, EntityErrorKind, EntityHead, Profile, round_coordinate, write_plain, write_repr,
};

/// A second canonical writer: slow, over a JSON tree, each rule where the rule is named.
mod reference {
    use std::collections::BTreeMap;
    use std::str::FromStr;

    use serde_json::{Map, Value};

    pub(super) fn canonical(entity: &Value) -> String {
        let fractal = entity["profile"] == "fractalstat";
        let mut coordinates = Map::new();
        for (key, value) in entity["coordinates"].as_object().expect("an object") {
            let value = match key.as_str() {
                "adjacency" => {
                    let mut ids: Vec<String> = value
                        .as_array()
                        .expect("a list")
                        .iter()
                        .map(|id| id.as_str().expect("a string").to_owned())
                        .collect();
                    ids.sort_by(|a, b| a.chars().cmp(b.chars()));
                    Value::from(ids)
                }
                "luminosity" => Value::from(luminosity_text(&value.to_string())),
                "resonance" | "velocity" | "density" => {
                    let rounded: f64 = rounded_text(&value.to_string()).parse().expect("a number");
                    serde_json::from_str(&python_repr(rounded)).expect("a number")
                }
                _ => value.clone(),
            };
            coordinates.insert(key.clone(), value);
        }
        let mut fields = BTreeMap::new();
        for key in ["created_at", "entity_type", "id", "realm", "state"] {
            fields.insert(key.to_owned(), entity[key].clone());
        }
        let key = if fractal { "fractalstat_coordinates" } else { "stat7_coordinates" };
        fields.insert(key.to_owned(), Value::Object(coordinates));
        text(&Value::Object(fields.into_iter().collect()))
    }

    fn text(value: &Value) -> String {
        match value {
            Value::Object(members) => {
                let mut keys: Vec<&String> = members.keys().collect();
                keys.sort_by(|a, b| a.chars().cmp(b.chars()));
                let members: Vec<String> =
                    keys.iter().map(|key| format!("{}:{}", string(key), text(&members[*key]))).collect();
                format!("{{{}}}", members.join(","))
            }
            Value::Array(items) => {
                let items: Vec<String> = items.iter().map(text).collect();
                format!("[{}]", items.join(","))
            }
            Value::String(content) => string(content),
            Value::Number(number) => {
                let number = number.to_string();
                if number.contains(['.', 'e', 'E']) {
                    python_repr(number.parse().expect("a float"))
                } else if number == "-0" {
                    "0".to_owned()
                } else {
                    number
                }
            }
            Value::Bool(_) | Value::Null => value.to_string(),
        }
    }

    fn string(content: &str) -> String {
        let mut out = String::from('"');
        for unit in content.encode_utf16() {
            match char::from_u32(unit.into()) {
                Some('"') => out.push_str("\\\""),
                Some('\\') => out.push_str("\\\\"),
                Some('\u{8}') => out.push_str("\\b"),
                Some('\u{c}') => out.push_str("\\f"),
                Some('\n') => out.push_str("\\n"),
                Some('\r') => out.push_str("\\r"),
                Some('\t') => out.push_str("\\t"),
                Some(plain @ ' '..='~') => out.push(plain),
                _ => out.push_str(&format!("\\u{unit:04x}")),
            }
        }
        out.push('"');
        out
    }

    /// The digits and the exponent of the first of them, from the standard library's shortest notation.
    fn shortest(value: f64) -> (bool, String, i32) {
        let text = format!("{value:e}");
        let (mantissa, exponent) = text.split_once('e').expect("an exponent");
        let digits = mantissa.replace(['-', '.'], "");
        (value.is_sign_negative(), digits, i32::from_str(exponent).expect("an integer"))
    }

    pub(super) fn python_repr(value: f64) -> String {
        let (negative, digits, exponent) = shortest(value);
        let sign = if negative { "-" } else { "" };
        if (-4..16).contains(&exponent) || value == 0.0 {
            let fixed = format!(
                "{:.*}",
                usize::try_from((digits.len() as i32 - 1 - exponent).max(1)).expect("positive"),
                value.abs()
            );
            return format!("{sign}{fixed}");
        }
        let (first, rest) = digits.split_at(1);
        let point = if rest.is_empty() { "" } else { "." };
        let direction = if exponent < 0 { '-' } else { '+' };
        format!("{sign}{first}{point}{rest}e{direction}{:02}", exponent.abs())
    }

    /// Rounds the decimal text half to even at eight places, digit by digit.
    pub(super) fn rounded_text(number: &str) -> String {
        let (negative, digits, exponent) = shortest(number.parse().expect("a number"));
        let mut places: Vec<u8> = Vec::new();
        // The digits as a fixed-point number: `exponent + 1` before the point.
        let point = (exponent + 1).max(0) as usize;
        let zeros = (-(exponent + 1)).max(0) as usize;
        places.extend(std::iter::repeat_n(0, zeros));
        places.extend(digits.bytes().map(|digit| digit - b'0'));
        let keep = point + 8;
        let round_up = match places.get(keep) {
            None => false,
            Some(next) => {
                let beyond = places[keep + 1..].iter().any(|digit| *digit > 0);
                let odd = keep > 0 && places[keep - 1] % 2 == 1;
                *next > 5 || (*next == 5 && (beyond || odd))
            }
        };
        places.resize(keep, 0);
        let mut carry = round_up;
        for digit in places.iter_mut().rev() {
            if carry {
                *digit = (*digit + 1) % 10;
                carry = *digit == 0;
            }
        }
        let text = |digits: &[u8]| digits.iter().map(|digit| char::from(b'0' + digit)).collect::<String>();
        let sign = if negative { "-" } else { "" };
        format!("{sign}{}{}.{}", u8::from(carry), text(&places[..point]), text(&places[point..]))
    }

    fn luminosity_text(number: &str) -> String {
        let rounded: f64 = rounded_text(number).parse().expect("a number");
        let text = format!("{rounded:.8}");
        let text = text.trim_end_matches('0');
        if text.ends_with('.') { format!("{text}0") } else { text.to_owned() }
    }
}

fn rows(name: &str) -> Vec<Value> {
    let path = format!("{}/tests/vectors/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).expect("the vectors are there");
    serde_json::from_str(&text).expect("the vectors are JSON")
}

#[test]
fn every_row_of_the_references_has_its_canonical_text_and_address_or_is_refused() {
    let (mut accepted, mut refused) = (0, 0);
    for row in rows("addresses") {
        for profile in ["stat7", "fractalstat"] {
            let (name, expected) = (&row["name"], &row[profile]);
            let mut input = row["input"].clone();
            input["profile"] = profile.into();
            input["coordinates"] = expected["coordinates"].clone();
            match (Entity::from_json(input.to_string().as_bytes()), expected["reject"].as_str()) {
                (Ok(entity), None) => {
                    let canonical = String::from_utf8(entity.canonical()).expect("ASCII");
                    assert_eq!(Value::from(canonical), expected["canonical"], "{name} {profile}");
                    assert_eq!(
                        Value::from(entity.address().to_string()),
                        expected["address"],
                        "{name} {profile}"
                    );
                    accepted += 1;
                }
                (Err(error), Some(kind)) => {
                    assert_eq!(error.kind().as_str(), kind, "{name} {profile}: {error}");
                    refused += 1;
                }
                (outcome, expected) => panic!("{name} {profile}: {outcome:?} instead of {expected:?}"),
            }
        }
    }
    assert!(accepted >= 70 && refused >= 20, "{accepted} {refused}");
}

#[test]
fn every_float_of_the_references_prints_as_they_print_it() {
    let rows = rows("floats");
    assert_eq!(rows.len(), 2000);
    for row in rows {
        let bits = u64::from_str_radix(row[0].as_str().expect("hex"), 16).expect("hex");
        let value = f64::from_bits(bits);
        let print = |write: fn(f64, &mut Vec<u8>), value| {
            let mut out = Vec::new();
            write(value, &mut out);
            Value::from(String::from_utf8(out).expect("ASCII"))
        };
        assert_eq!(print(write_repr, value), row[1]);
        assert_eq!(print(write_repr, round_coordinate(value)), row[3], "{}", row[1]);
        assert_eq!(print(write_plain, round_coordinate(value)), row[4], "{}", row[1]);
    }
}

fn identifier() -> impl Strategy<Value = String> {
    prop_oneof![Just("data".to_owned()), Just("void".to_owned()), "[a-z][a-z0-9_]{0,31}"]
}

fn coordinate(low: f64, high: f64) -> impl Strategy<Value = f64> {
    let units = (low * 1e8) as i64..=(high * 1e8) as i64;
    prop_oneof![
        low..=high,
        units.clone().prop_map(|units| units as f64 / 1e8),
        // Ties of the eighth decimal, as near as a float comes to them.
        units.prop_map(move |units| ((units as f64 + 0.5) / 1e8).clamp(low, high)),
        Just(0.0),
    ]
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z0-9]{1,12}",
        any::<String>().prop_filter("not empty", |text| !text.is_empty()),
        "[\u{80}-\u{10ffff}]{1,4}"
    ]
}

fn json() -> impl Strategy<Value = Value> {
    let number = prop_oneof![
        any::<i64>().prop_map(|number| number.to_string()),
        "-?[1-9][0-9]{0,40}",
        any::<f64>()
            .prop_filter("finite", |number| number.is_finite())
            .prop_map(|number| format!("{number:?}")),
        "-?0\\.[0-9]{1,20}",
        "-?[1-9][0-9]{0,3}[eE][+-]?[0-9]{1,2}",
        Just("-0".to_owned()),
        Just("-0.0".to_owned()),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        number.prop_map(|text| serde_json::from_str(&text).expect("a number")),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::hash_map(any::<String>(), inner, 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

prop_compose! {
    fn shared_fields()(
        id in text(), entity_type in identifier(), realm in identifier(), own_realm in identifier(),
        lineage in any::<u32>(), adjacency in prop::collection::vec(text(), 0..5), horizon in identifier(),
        ms in -62_135_596_800_000_i64..253_402_300_800_000,
        state in prop::collection::hash_map(any::<String>(), json(), 0..5),
    ) -> Value {
        let created_at = statlas_core::Timestamp::from_unix_ms(ms).expect("in range").to_string();
        let state: serde_json::Map<_, _> = state.into_iter().collect();
        serde_json::json!({
            "id": id, "entity_type": entity_type, "realm": realm, "created_at": created_at, "state": state,
            "coordinates": { "realm": own_realm, "lineage": lineage, "adjacency": adjacency, "horizon": horizon },
        })
    }
}

prop_compose! {
    fn entity()(
        mut fields in shared_fields(), fractal in any::<bool>(),
        resonance in coordinate(-1.0, 1.0), velocity in coordinate(-1.0, 1.0), density in coordinate(0.0, 1.0),
        luminosity in coordinate(0.0, 100.0), dimensionality in any::<u32>(),
        polarity in prop::sample::select(vec!["LOGIC", "VOID"]),
        alignment in prop::sample::select(vec!["TRUE_NEUTRAL", "ENTROPIC"]),
    ) -> Value {
        fields["profile"] = if fractal { "fractalstat" } else { "stat7" }.into();
        let coordinates = fields["coordinates"].as_object_mut().expect("an object");
        let own = if fractal {
            serde_json::json!({
                "luminosity": luminosity, "polarity": polarity, "dimensionality": dimensionality, "alignment": alignment,
            })
        } else {
            serde_json::json!({ "resonance": resonance, "velocity": velocity, "density": density })
        };
        coordinates.extend(own.as_object().expect("an object").clone());
        fields
    }
}

/// The same JSON, its keys turned round, with white space, every character of its strings escaped.
fn disguised(value: &Value) -> String {
    let string = |text: &str| text.encode_utf16().map(|unit| format!("\\u{unit:04X}")).collect::<String>();
    match value {
        Value::Object(members) => {
            let members: Vec<String> = members
                .iter()
                .rev()
                .map(|(key, value)| format!("\r\n\t\"{}\" : {}", string(key), disguised(value)))
                .collect();
            format!(" {{ {} }} ", members.join(" , "))
        }
        Value::Array(items) => {
            format!(" [ {} ] ", items.iter().map(disguised).collect::<Vec<_>>().join(" ,\n"))
        }
        Value::String(text) => format!("\"{}\"", string(text)),
        _ => format!(" {value} "),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn the_canonical_writer_agrees_with_a_slow_second_one(input in entity()) {
        let entity = Entity::from_json(input.to_string().as_bytes()).expect("a legal entity");
        prop_assert_eq!(String::from_utf8(entity.canonical()).expect("ASCII"), reference::canonical(&input));
    }

    #[test]
    fn an_accepted_entity_round_trips_through_its_canonical_text_and_through_json(input in entity()) {
        let entity = Entity::from_json(input.to_string().as_bytes()).expect("a legal entity");
        let canonical = entity.canonical();
        let again = Entity::from_canonical(&canonical).expect("its own canonical text");
        prop_assert_eq!(&again, &entity);
        prop_assert_eq!(again.address(), Address::of(&canonical));
        let mut json = Vec::new();
        entity.to_json_into(&mut json);
        prop_assert_eq!(&Entity::from_json(&json).expect("its own JSON"), &entity);
        let (head, state) = EntityHead::read_canonical(&canonical).expect("its own canonical text");
        prop_assert_eq!(state, entity.state().as_str());
        prop_assert_eq!(head.into_owned(), entity.into_head());
    }

    #[test]
    fn key_order_white_space_and_escapes_of_the_input_never_matter(input in entity()) {
        let plain = Entity::from_json(input.to_string().as_bytes()).expect("a legal entity");
        let disguised = Entity::from_json(disguised(&input).as_bytes()).expect("the same entity");
        prop_assert_eq!(disguised.address(), plain.address());
    }

    #[test]
    fn floats_print_as_the_slow_second_implementation_prints_them(bits in any::<u64>()) {
        let value = f64::from_bits(bits);
        prop_assume!(value.is_finite());
        let mut out = Vec::new();
        write_repr(value, &mut out);
        prop_assert_eq!(String::from_utf8(out).expect("ASCII"), reference::python_repr(value));
    }

    #[test]
    fn coordinates_round_as_the_slow_second_implementation_rounds_them(value in coordinate(-100.0, 100.0)) {
        let expected: f64 = reference::rounded_text(&format!("{value:?}")).parse().expect("a number");
        prop_assert_eq!(round_coordinate(value).to_bits(), expected.to_bits());
        prop_assert_eq!(round_coordinate(expected).to_bits(), expected.to_bits());
    }

    #[test]
    fn no_text_makes_a_reader_panic(text in prop::collection::vec(any::<u8>(), 0..200)) {
        drop(Entity::from_json(&text));
        drop(Entity::from_canonical(&text));
    }

    #[test]
    fn a_damaged_entity_is_refused_or_still_legal_but_never_panics(
        input in entity(), at in any::<prop::sample::Index>(), byte in any::<u8>(),
    ) {
        let mut text = input.to_string().into_bytes();
        let at = at.index(text.len());
        text[at] = byte;
        drop(Entity::from_json(&text));
        drop(Entity::from_json(&text[..at]));
    }
}

fn baseline() -> Value {
    serde_json::json!({
        "profile": "stat7", "id": "bc-0001", "entity_type": "concept", "realm": "data",
        "coordinates": {
            "realm": "data", "lineage": 1, "adjacency": [], "horizon": "genesis",
            "resonance": 0.5, "velocity": 0.25, "density": 0.75,
        },
        "created_at": "2025-01-01T00:00:00.000Z", "state": {"value": 42},
    })
}

fn refusal(text: &str) -> (EntityErrorKind, String) {
    let error = Entity::from_json(text.as_bytes()).expect_err(text);
    (error.kind(), error.field().to_owned())
}

fn refusal_with(change: impl FnOnce(&mut Value)) -> (EntityErrorKind, String) {
    let mut entity = baseline();
    change(&mut entity);
    refusal(&entity.to_string())
}

#[test]
fn each_bad_field_is_named_with_the_rule_it_breaks() {
    use EntityErrorKind::*;
    let cases: Vec<(&str, Value, EntityErrorKind, &str)> = vec![
        ("/profile", "stat8".into(), Profile, "profile"),
        ("/id", 7.into(), Id, "id"),
        ("/id", "".into(), Id, "id"),
        ("/id", "x".repeat(1025).into(), Id, "id"),
        ("/realm", "Data".into(), Realm, "realm"),
        ("/entity_type", "".into(), EntityType, "entity_type"),
        ("/created_at", "2025-01-01T00:00:00".into(), Timestamp, "created_at"),
        ("/created_at", 0.into(), Timestamp, "created_at"),
        ("/state", Value::Array(vec![]), State, "state"),
        ("/state", Value::Null, State, "state"),
        ("/coordinates", Value::Null, Type, "coordinates"),
        ("/coordinates/realm", "a/b".into(), Realm, "coordinates.realm"),
        ("/coordinates/lineage", (-1).into(), Lineage, "coordinates.lineage"),
        ("/coordinates/lineage", 3.0.into(), Lineage, "coordinates.lineage"),
        ("/coordinates/lineage", "0".into(), Lineage, "coordinates.lineage"),
        ("/coordinates/lineage", 4_294_967_296_u64.into(), Lineage, "coordinates.lineage"),
        ("/coordinates/adjacency", "n1".into(), Adjacency, "coordinates.adjacency"),
        ("/coordinates/adjacency", serde_json::json!([""]), Adjacency, "coordinates.adjacency"),
        ("/coordinates/adjacency", serde_json::json!([1]), Adjacency, "coordinates.adjacency"),
        ("/coordinates/horizon", "".into(), Horizon, "coordinates.horizon"),
        ("/coordinates/resonance", 1.000_000_1.into(), Range, "coordinates.resonance"),
        ("/coordinates/velocity", "0".into(), Type, "coordinates.velocity"),
        ("/coordinates/density", (-1e-9).into(), Range, "coordinates.density"),
    ];
    for (path, value, kind, field) in cases {
        let found = refusal_with(|entity| *entity.pointer_mut(path).expect(path) = value.clone());
        assert_eq!(found, (kind, field.to_owned()), "{path} {value}");
    }
}

#[test]
fn unknown_missing_and_repeated_fields_are_refused() {
    let unknown = refusal_with(|entity| entity["extra"] = 1.into());
    assert_eq!(unknown, (EntityErrorKind::Unknown, "extra".to_owned()));
    let unknown = refusal_with(|entity| entity["coordinates"]["luminosity"] = 1.into());
    assert_eq!(unknown, (EntityErrorKind::Unknown, "coordinates.luminosity".to_owned()));
    for field in ["profile", "id", "entity_type", "realm", "coordinates", "created_at", "state"] {
        let missing = refusal_with(|entity| drop(entity.as_object_mut().expect("an object").remove(field)));
        assert_eq!(missing, (EntityErrorKind::Missing, field.to_owned()));
    }
    let text = baseline().to_string();
    assert_eq!(refusal(&text.replacen("{", "{\"id\":\"again\",", 1)).0, EntityErrorKind::Duplicate);
    for state in [r#"{"a":1,"a":2}"#, r#"{"b":1,"a":2,"b":3}"#, r#"{"x":{"a":1,"\u0061":2}}"#] {
        let repeated = refusal(&text.replace(r#"{"value":42}"#, state));
        assert_eq!(repeated, (EntityErrorKind::Duplicate, "state".to_owned()));
    }
}

#[test]
fn text_that_is_no_json_is_refused_where_it_stands() {
    let text = baseline().to_string();
    let with_state = |state: &str| text.replace(r#"{"value":42}"#, state);
    let long = format!(r#"{{"a":"{}"}}"#, "x".repeat(2 << 20));
    for (state, kind) in [
        (r#"{"a":NaN}"#, EntityErrorKind::Syntax),
        (r#"{"a":-Infinity}"#, EntityErrorKind::Syntax),
        (r#"{"a":01}"#, EntityErrorKind::Syntax),
        (r#"{"a":1.}"#, EntityErrorKind::Syntax),
        (r#"{"a":.5}"#, EntityErrorKind::Syntax),
        (r#"{"a":+1}"#, EntityErrorKind::Syntax),
        (r#"{"a":1,}"#, EntityErrorKind::Syntax),
        (r#"{"a":[1,]}"#, EntityErrorKind::Syntax),
        (r#"{a:1}"#, EntityErrorKind::Syntax),
        ("{\"a\":\"\u{1}\"}", EntityErrorKind::Syntax),
        (r#"{"a":"\x41"}"#, EntityErrorKind::Syntax),
        (r#"{"a":"\u12"}"#, EntityErrorKind::Syntax),
        (r#"{"a":1e400}"#, EntityErrorKind::State),
        (r#"{"a":"\ud800"}"#, EntityErrorKind::Encoding),
        (r#"{"a":"\udc00\ud800"}"#, EntityErrorKind::Encoding),
        (r#"{"a":"\ud800\ud800"}"#, EntityErrorKind::Encoding),
        (long.as_str(), EntityErrorKind::Size),
    ] {
        assert_eq!(refusal(&with_state(state)), (kind, "state".to_owned()), "{:.40}", state);
    }
    let not_a_number = refusal(&text.replace("0.75", "NaN"));
    assert_eq!(not_a_number, (EntityErrorKind::Syntax, "coordinates.density".to_owned()));
    assert_eq!(refusal(&format!("{text} x")).0, EntityErrorKind::Syntax);
    assert_eq!(refusal("").0, EntityErrorKind::Syntax);
    assert_eq!(refusal("[]").0, EntityErrorKind::Syntax);
    let mut bytes = text.clone().into_bytes();
    bytes[20] = 0xff;
    let error = Entity::from_json(&bytes).expect_err("not UTF-8");
    assert_eq!((error.kind(), error.offset()), (EntityErrorKind::Encoding, Some(20)));
}

#[test]
fn state_may_be_nested_128_levels_and_no_more() {
    let text = baseline().to_string();
    let nested = |levels: usize| {
        let (open, close) = ("[".repeat(levels - 1), "]".repeat(levels - 1));
        text.replace(r#"{"value":42}"#, &format!(r#"{{"a":{open}{close}}}"#))
    };
    assert!(Entity::from_json(nested(128).as_bytes()).is_ok());
    assert_eq!(refusal(&nested(129)), (EntityErrorKind::Depth, "state".to_owned()));
    assert_eq!(refusal(&nested(100_000)).0, EntityErrorKind::Depth);
    // What is skipped for a message about it is bounded too.
    let deep = text.replace("\"data\"", &"[".repeat(100_000));
    assert!(Entity::from_json(deep.as_bytes()).is_err());
}

#[test]
fn an_integer_stands_for_a_float_and_keeps_its_type_in_state() {
    let mut entity = baseline();
    entity["coordinates"]["resonance"] = 1.into();
    entity["state"] =
        serde_json::from_str(r#"{"big":123456789012345678901234567890,"one":1,"float":1.0}"#).expect("JSON");
    let entity = Entity::from_json(entity.to_string().as_bytes()).expect("legal");
    let canonical = String::from_utf8(entity.canonical()).expect("ASCII");
    assert!(canonical.contains(r#""resonance":1.0"#));
    assert!(canonical.ends_with(r#""state":{"big":123456789012345678901234567890,"float":1.0,"one":1}}"#));
    assert_eq!(entity.profile(), Profile::Stat7);
}
