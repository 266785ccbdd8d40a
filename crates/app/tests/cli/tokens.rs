//! `token`.

use serde_json::Value;

use crate::world::World;

fn vectors() -> Vec<Value> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../core/tests/vectors/tokens.json");
    serde_json::from_str(&std::fs::read_to_string(path).expect("the vectors")).expect("JSON")
}

#[test]
fn every_vector_is_encoded_to_its_bytes_and_decoded_again() {
    let world = World::new();
    let vectors: Vec<Value> = vectors().into_iter().filter(|vector| vector.get("reject").is_none()).collect();
    let lines: String = vectors
        .iter()
        .map(|vector| {
            let mut token = vector.clone();
            let fields = token.as_object_mut().expect("an object");
            fields.retain(|name, _| !["hex", "raw_i16", "decoded", "name"].contains(&name.as_str()));
            format!("{token}\n")
        })
        .collect();
    let encoded = world.feed(&["token", "encode"], lines).expect_code(0);
    let expected: Vec<&str> = vectors.iter().map(|vector| vector["hex"].as_str().expect("hex")).collect();
    assert_eq!(encoded.lines(), expected);
    let decoded = world.feed(&["token", "decode", "-"], &encoded.out).expect_code(0);
    assert_eq!(world.feed(&["token", "encode"], &decoded.out).expect_code(0).out, encoded.out);
}

#[test]
fn foreign_bytes_have_another_mark_for_what_is_undefined() {
    let world = World::new();
    let hex = vectors()[0]["hex"].as_str().expect("hex").replace("0080", "7f00");
    let decoded = world.feed(&["token", "decode", "--reference"], &hex).expect_code(0);
    let spaces = decoded.values()[0]["spaces"].clone();
    let undefined = spaces.as_object().is_none_or(|spaces| spaces.values().all(Value::is_null));
    assert!(undefined, "{spaces}");
}

#[test]
fn what_is_no_token_is_named_with_its_line() {
    let world = World::new();
    world.feed(&["token", "encode"], "{\"local_id\": -1}").refuses(1, &["<stdin>:1", "local_id", "-1"]);
    world.feed(&["token", "decode"], "\nabc").refuses(1, &["<stdin>:2", "3 characters", "128 hex digits"]);
    world.feed(&["token", "decode"], "zz".repeat(64)).refuses(1, &["<stdin>:1", "zz"]);
}
