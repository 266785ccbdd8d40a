//! `token`, and what is found by tokens.

use serde_json::{Value, json};

use crate::world::{World, entity};

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

/// A token with all that one must have.
fn token(spaces: Value) -> Value {
    json!({
        "local_id": 7, "entity_type": 1, "domain": 2, "flags": 0, "weight": 1.5, "field_radius": 1.0,
        "field_strength": 0.5, "timestamp": 1_700_000_000, "spaces": spaces,
    })
}

/// One in physical space, `east` meters from the origin.
fn at_east(east: f64) -> Value {
    token(json!({"physical": [east, 0.0, 0.0]}))
}

/// A store of `a`, `b` and `c`, 1, 2 and 4 m in the east, `m`, which has a place in motor space only, and `none` without a
/// token.
fn places() -> World {
    let world = World::new();
    let tokens = [
        ("a", at_east(1.0)),
        ("b", at_east(2.0)),
        ("c", at_east(4.0)),
        ("m", token(json!({"motor": [1.0, 0.5, null]}))),
    ];
    let mut lines: Vec<String> =
        tokens.iter().map(|(id, token)| entity(id, |value| value["token"] = token.clone())).collect();
    lines.push(entity("none", |_| {}));
    world.feed(&["load", "-"], lines.join("\n")).expect_code(0);
    world
}

/// The ids of an answer, and the distances.
#[track_caller]
fn near(world: &World, arguments: &[&str]) -> Vec<(String, f64)> {
    let run = world.ok(&[&["--json", "near", "--token"], arguments].concat());
    let pair = |line: &Value| {
        let id = line["id"].as_str().expect("an id").to_owned();
        assert_eq!(line["address"].as_str().map(str::len), Some(64));
        (id, line["distance"].as_f64().expect("a distance"))
    };
    run.values().iter().map(pair).collect()
}

fn expected(found: &[(&str, f64)]) -> Vec<(String, f64)> {
    found.iter().map(|(id, distance)| ((*id).to_owned(), *distance)).collect()
}

#[test]
fn tokens_are_loaded_with_their_entities_and_the_nearest_are_found() {
    let world = places();
    let origin = at_east(1.5).to_string();
    assert_eq!(near(&world, &[&origin]), expected(&[("a", 0.5), ("b", 0.5), ("c", 2.5)]));
    assert_eq!(near(&world, &[&origin, "-k", "1"]), expected(&[("a", 0.5)]));
    assert_eq!(near(&world, &[&origin, "--within", "0.5"]), expected(&[("a", 0.5), ("b", 0.5)]));
    assert_eq!(near(&world, &[&origin, "--within", "0"]), []);
    assert_eq!(
        near(&world, &[&origin, "--metric", "cosine", "-k", "2"]),
        expected(&[("a", 0.0), ("b", 0.0)])
    );
    let spaces = json!({"spaces": {"physical": [1.5, 0.0, 0.0]}}).to_string();
    assert_eq!(near(&world, &[&spaces]), near(&world, &[&origin]), "the other fields don't matter");
    let both = json!({"spaces": {"physical": [4.0, 0.0, 0.0], "motor": [1.0, 0.5, 9.0]}}).to_string();
    assert_eq!(near(&world, &[&both, "--spaces", "motor"]), expected(&[("m", 0.0)]));
    assert_eq!(
        near(&world, &[&both, "--spaces", "motor,physical", "-k", "2"]),
        expected(&[("c", 0.0), ("m", 0.0)])
    );
    // They are there when the store is opened from its sidecars, too.
    world.ok(&["rm", "a"]);
    world.ok(&["compact"]);
    assert_eq!(near(&world, &[&origin]), expected(&[("b", 0.5), ("c", 2.5)]));
    let table = world.ok(&["near", "--token", &origin]);
    assert!(table.lines()[0].starts_with("distance  address "), "{}", table.out);
    assert!(table.lines()[1].starts_with("  0.5000  "), "{}", table.out);
    let more = world.ok(&["near", "--token", &origin, "--within", "9", "-k", "1"]);
    assert!(more.err.contains("1 row shown, and there may be more"), "{}", more.err);
}

#[test]
fn a_token_is_given_as_json_as_digits_in_a_file_or_by_an_entity() {
    let world = places();
    let json = at_east(2.0).to_string();
    let hex = world.feed(&["token", "encode"], &json).expect_code(0).out.trim().to_owned();
    world.write("token.json", serde_json::to_string_pretty(&at_east(2.0)).expect("JSON"));
    world.write("token.hex", format!("{hex}\n"));
    let found = expected(&[("b", 0.0), ("a", 1.0), ("c", 2.0)]);
    for token in [&json, &hex, &hex.to_uppercase(), "@token.json", "@token.hex"] {
        assert_eq!(near(&world, &[token]), found, "{token}");
    }
    let run = world.feed(&["--json", "near", "--token", "@-", "-k", "1"], &hex).expect_code(0);
    assert_eq!(run.values()[0]["id"], "b");
    // An entity is not near itself.
    let address =
        world.json(&["near", "--token", &json, "-k", "1"])["address"].as_str().expect("one").to_owned();
    for name in ["b", &address, &address[..12]] {
        assert_eq!(near(&world, &[name]), found[1..], "{name}");
    }
}

#[test]
fn what_can_not_be_near_is_refused_with_what_is_allowed() {
    let world = places();
    let token = at_east(1.0).to_string();
    let refuses = |code: i32, arguments: &[&str], said: &[&str]| {
        world.run(&[&["near"], arguments].concat()).refuses(code, said);
    };
    refuses(2, &["--token", "{\"local_id\": -1}"], &["the token", "local_id", "-1"]);
    refuses(2, &["--token", &"ab".repeat(63)], &["126 characters", "128 hex digits"]);
    refuses(2, &["--token", &"ff".repeat(64)], &["the token", "weight"]);
    world.write("bad", "{\"spaces\": {\"nowhere\": [1, 2, 3]}}");
    refuses(1, &["--token", "@bad"], &["bad: ", "nowhere"]);
    refuses(1, &["--token", "@absent"], &["cannot open absent"]);
    refuses(3, &["--token", "nobody"], &["no entity is named \"nobody\""]);
    refuses(3, &["--token", "none"], &["the entity \"none\" carries no token", "128 hex digits"]);
    refuses(2, &["--token", &token, "--spaces", "physical,mental"], &["mental", "physical, sensory, motor"]);
    refuses(2, &["--token", &token, "--spaces", "motor"], &["defines no axis of motor"]);
    refuses(2, &["--token", "{}"], &["the token", "spaces"]);
    refuses(2, &["--token", "{\"spaces\": {}}"], &["defines no axis of physical, sensory"]);
    for radius in ["-1", "NaN", "inf", "far"] {
        refuses(2, &["--token", &token, "--within", radius], &[radius, "not negative"]);
    }
    refuses(2, &["--token", &token, "-k", "0"], &["\"0\"", "from 1 on"]);
    refuses(2, &["a", "-k", "0"], &["from 1 on"]);
    refuses(2, &["a", "--token", &token], &["--token"]);
    refuses(2, &["a", "--spaces", "motor"], &["--spaces"]);
    refuses(2, &["a", "--metric", "cosine"], &["--metric"]);
    refuses(2, &["a", "--within", "1"], &["--within"]);
    refuses(2, &[], &["WHAT"]);
}

#[test]
fn a_token_can_be_attached_when_an_entity_is_put() {
    let world = World::new();
    let token = at_east(3.0).to_string();
    world.write("plain", entity("plain", |_| {}));
    world.write("carries", entity("carries", |value| value["token"] = at_east(3.0)));
    world.ok(&["put", "plain", "--token", &token]);
    world.ok(&["put", "carries", "--token", &token]);
    world.write("token", &token);
    world.ok(&["put", "carries", "--token", "@token"]);
    assert_eq!(near(&world, &["plain"]), expected(&[("carries", 0.0)]));
    let other = at_east(9.0).to_string();
    world.run(&["put", "carries", "--token", &other]).refuses(1, &["carries:1", "another token"]);
    world.run(&["put", "plain", "--token", &other]).refuses(1, &["plain:1", "with another token"]);
    world.write("later", entity("later", |_| {}));
    world.ok(&["put", "later"]);
    world
        .run(&["put", "later", "--token", &other])
        .refuses(1, &["later:1", "without a token", "remove it first"]);
    world.ok(&["rm", "later"]);
    world.ok(&["put", "later", "--token", &token]);
    world.ok(&["rm", "later"]);
    world.run(&["put", "-", "--token", "@-"]).refuses(2, &["standard input"]);
    world.run(&["put", "{\"profile\": \"stat7\"}"]).refuses(2, &["a file", "statlas put -"]);
    let spaces = json!({"spaces": {"physical": [3.0, 0.0, 0.0]}}).to_string();
    world.run(&["put", "plain", "--token", &spaces]).refuses(2, &["the token", "local_id"]);
    world.run(&["put", "plain", "--token", "plain"]).refuses(2, &["--token", "128 hex digits"]);
}
