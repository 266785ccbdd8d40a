//! Input that breaks a rule: the error names the file, the line, the field, what was found and what is
//! allowed, and nothing of its batch is stored.

use crate::world::{World, entity, entity_text};

/// A broken entity: its text, the kind of error, the field, and what the error says was found.
struct Bad {
    text: Vec<u8>,
    kind: &'static str,
    field: &'static str,
    found: &'static str,
}

fn bad(text: impl Into<Vec<u8>>, kind: &'static str, field: &'static str, found: &'static str) -> Bad {
    Bad { text: text.into(), kind, field, found }
}

fn every_bad_entity() -> Vec<Bad> {
    let nested =
        |levels: usize| format!("{{\"value\":{}1{}}}", "[".repeat(levels - 1), "]".repeat(levels - 1));
    let mut invalid_utf8 = entity("x", |_| {}).into_bytes();
    let at = invalid_utf8.iter().position(|byte| *byte == b'x').expect("the id");
    invalid_utf8[at] = 0xff;
    vec![
        bad(
            entity("x", |e| e["coordinates"]["lineage"] = "0".into()),
            "lineage",
            "coordinates.lineage",
            "\"0\"",
        ),
        bad(
            entity("x", |e| e["coordinates"]["lineage"] = (-1).into()),
            "lineage",
            "coordinates.lineage",
            "-1",
        ),
        bad(entity_text("x", "\"lineage\":1", "\"lineage\":3.0"), "lineage", "coordinates.lineage", "3.0"),
        bad(entity("x", |e| e["id"] = 5.into()), "id", "id", "5"),
        bad(
            entity("x", |e| e["coordinates"]["adjacency"] = "n".into()),
            "adjacency",
            "coordinates.adjacency",
            "n",
        ),
        bad(entity("x", |e| e["colour"] = "red".into()), "unknown", "colour", "unknown"),
        bad(entity("x", |e| e["coordinates"]["depth"] = 1.into()), "unknown", "coordinates.depth", "unknown"),
        bad(
            entity("x", |e| e["coordinates"]["luminosity"] = 1.into()),
            "unknown",
            "coordinates.luminosity",
            "unknown",
        ),
        bad(
            entity_text("x", "\"realm\":\"data\"", "\"realm\":\"data\",\"realm\":\"void\""),
            "duplicate",
            "",
            "realm",
        ),
        bad(entity_text("x", "\"value\":42", "\"value\":42,\"value\":43"), "duplicate", "state", "value"),
        bad(entity_text("x", "0.75", "NaN"), "syntax", "coordinates", "NaN"),
        bad(entity_text("x", "42", "NaN"), "syntax", "state", "NaN"),
        bad(entity_text("x", "42", "-Infinity"), "syntax", "state", "Infinity"),
        bad(entity_text("x", "42", "1e999"), "state", "state", "1e999"),
        bad(
            entity("x", |e| e["coordinates"]["resonance"] = 1.5.into()),
            "range",
            "coordinates.resonance",
            "1.5",
        ),
        bad(
            entity("x", |e| e["coordinates"]["density"] = (-0.1).into()),
            "range",
            "coordinates.density",
            "-0.1",
        ),
        bad(
            entity("x", |e| e["created_at"] = "2025-01-01T00:00:00".into()),
            "timestamp",
            "created_at",
            "2025-01-01T00",
        ),
        bad(entity("x", |e| e["created_at"] = "2025-01-01".into()), "timestamp", "created_at", "2025-01-01"),
        bad(entity_text("x", "42", "\"\\ud800\""), "encoding", "state", "d800"),
        bad(entity_text("x", "\"id\":\"x\"", "\"id\":\"\\udc00x\""), "encoding", "", "dc00"),
        bad(invalid_utf8, "encoding", "", "0xff"),
        bad(entity_text("x", "{\"value\":42}", &nested(129)), "depth", "state", "128"),
        bad(
            entity("x", |e| e["state"] = serde_json::json!({"text": "y".repeat(2 << 20)})),
            "size",
            "state",
            "",
        ),
        bad(entity("x", |e| e["state"] = 5.into()), "state", "state", "5"),
        bad(
            entity("x", |e| drop(e.as_object_mut().expect("an object").remove("realm"))),
            "missing",
            "realm",
            "nothing",
        ),
        bad(entity("", |_| {}), "id", "id", "0 bytes"),
        bad("{\"profile\": \"stat7\", \"id\": \"x\"", "syntax", "", "the end of the text"),
        bad("not json", "syntax", "", "not json"),
        bad("[]", "syntax", "", "[]"),
    ]
}

#[test]
fn every_bad_entity_is_named_with_its_line_its_field_and_what_is_allowed() {
    let world = World::new();
    for (at, bad) in every_bad_entity().into_iter().enumerate() {
        let mut lines = format!("{}\n\n", entity("good", |_| {})).into_bytes();
        lines.extend_from_slice(&bad.text);
        lines.extend_from_slice(format!("\n{}\n", entity("later", |_| {})).as_bytes());
        let name = format!("bad-{at}.jsonl");
        world.write(&name, &lines);
        let shown = String::from_utf8_lossy(&bad.text[..bad.text.len().min(300)]).into_owned();

        let run = world
            .run(&["address", &name])
            .refuses(1, &[&format!("{name}:3"), bad.kind, bad.field, bad.found]);
        assert_eq!(run.lines().len(), 1, "only the address before the bad line is printed: {shown}");
        assert!(run.err.contains("allowed: "), "{}", run.err);

        let error = world.run(&["--json", "load", &name]).expect_code(1).error();
        assert_eq!(error["kind"], bad.kind, "{shown}: {error}");
        assert_eq!((&error["file"], &error["line"]), (&name.clone().into(), &3.into()), "{error}");
        assert!(error["field"].as_str().unwrap_or_default().starts_with(bad.field), "{shown}: {error}");
        assert!(error["found"].as_str().is_some_and(|found| found.contains(bad.found)), "{shown}: {error}");
        assert!(error["allowed"].as_str().is_some_and(|allowed| !allowed.is_empty()), "{error}");
        assert_eq!(world.entities(), 0, "nothing of the batch is stored: {shown}");

        let put = world.feed(&["put", "-"], &bad.text);
        put.refuses(1, &["<stdin>:1", bad.kind]);
    }
}

#[test]
fn one_hundred_and_twenty_eight_levels_and_a_state_of_the_limit_are_legal() {
    let world = World::new();
    let nested = format!("{{\"value\":{}1{}}}", "[".repeat(127), "]".repeat(127));
    let largest = "y".repeat((1 << 20) - "{\"text\":\"\"}".len());
    let lines = [
        entity_text("deep", "{\"value\":42}", &nested),
        entity("large", |e| e["state"] = serde_json::json!({"text": largest})),
    ];
    world.feed(&["load", "-"], lines.join("\n")).expect_code(0);
    assert_eq!(world.entities(), 2);
}

#[test]
fn an_error_in_a_text_over_several_lines_names_its_own_line() {
    let world = World::new();
    let text = entity("x", |e| e["coordinates"]["lineage"] = "0".into());
    let value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let pretty = serde_json::to_string_pretty(&value).expect("JSON");
    let line = 1 + pretty.lines().position(|line| line.contains("lineage")).expect("the field");
    world.feed(&["address"], &pretty).refuses(1, &[&format!("<stdin>:{line}:"), "coordinates.lineage"]);
    world.write("pretty.json", &pretty);
    world.run(&["put", "pretty.json"]).refuses(1, &[&format!("pretty.json:{line}:")]);
}

#[test]
fn a_file_that_is_not_there_or_a_directory_is_named() {
    let world = World::new();
    world.run(&["address", "nowhere.jsonl"]).refuses(1, &["nowhere.jsonl", "No such file"]);
    world.run(&["load", "."]).refuses(2, &["is a directory", "statlas import"]);
    assert!(!world.path("statlas.store").exists(), "no store is made for nothing");
}

#[test]
fn a_line_longer_than_any_entity_is_refused_without_being_kept() {
    let world = World::new();
    let mut text = entity("first", |_| {}).into_bytes();
    text.push(b'\n');
    text.resize(text.len() + (40 << 20), b' ');
    text.extend_from_slice(format!("x\n{}\n", entity("third", |_| {})).as_bytes());
    world.write("long.jsonl", &text);
    world.run(&["load", "long.jsonl"]).refuses(1, &["long.jsonl:2", "size", "16777216"]);
    world.ok(&["load", "--on-error", "skip", "long.jsonl"]);
    assert_eq!(world.entities(), 2);
}

#[test]
fn put_takes_exactly_one_entity() {
    let world = World::new();
    let two = format!("{}\n{}\n", entity("a", |_| {}), entity("b", |_| {}));
    world.feed(&["put", "-"], two).refuses(2, &["more than one entity"]);
    world.feed(&["put", "-"], "\n \n").refuses(1, &["syntax"]);
}
