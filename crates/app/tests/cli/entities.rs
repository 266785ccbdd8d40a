//! `put`, `get`, `history`, `neighbours`, `near` and `rm`.

use std::collections::HashMap;

use crate::world::{World, entity};

/// A store with three versions of `a`, and `b` and `c` that hang on it in a chain.
fn chain() -> World {
    let world = World::new();
    let lines = [
        entity("a", |_| {}),
        entity("a", |e| e["state"]["value"] = 43.into()),
        entity("a", |e| {
            e["state"]["value"] = 44.into();
            e["coordinates"]["adjacency"] = serde_json::json!(["b", "ghost"]);
        }),
        entity("b", |e| e["coordinates"]["adjacency"] = serde_json::json!(["c"])),
        entity("c", |e| e["coordinates"]["resonance"] = 0.9.into()),
    ];
    world.feed(&["load", "-"], lines.join("\n")).expect_code(0);
    world
}

#[test]
fn the_baseline_of_the_specification_has_its_address() {
    let world = World::new();
    let address = world.feed(&["address"], entity("bc-0001", |_| {})).expect_code(0).out;
    assert_eq!(address.trim(), "2a803d2480c263b207c8fe86c5a1c40c217c8ff6dcfe5a91ff0d460d733e5188");
    let put = world.feed(&["put", "-"], entity("bc-0001", |_| {})).expect_code(0);
    assert_eq!(put.out, address);
    let canonical = world.feed(&["address", "--canonical"], entity("bc-0001", |_| {})).out;
    assert!(canonical.starts_with("{\"created_at\":\"2025-01-01T00:00:00.000Z\","), "{canonical}");
    let uri = world.feed(&["address", "--uri"], entity("bc-0001", |_| {})).out;
    assert_eq!(uri.trim(), "stat7://data/1/cae85551/genesis?r=0.5&v=0.25&d=0.75");
    let json = world.feed(&["--json", "address"], entity("bc-0001", |_| {}));
    let value = &json.values()[0];
    assert_eq!((&value["address"], &value["uri"]), (&address.trim().into(), &uri.trim().into()));
}

#[test]
fn an_entity_is_got_by_its_address_a_prefix_its_id_and_its_uri() {
    let world = chain();
    let newest = world.ok(&["get", "a"]).out;
    assert!(newest.contains("\"value\":44"), "an id means its newest version");
    let address = world.feed(&["address"], &newest).out.trim().to_owned();
    let uri = world.feed(&["address", "--uri"], &newest).out.trim().to_owned();
    for what in [address.as_str(), &address[..12], &address[..6], &uri] {
        assert_eq!(world.ok(&["get", what]).out, newest, "{what}");
    }
    let canonical = world.ok(&["get", "--canonical", "a"]).out;
    assert_eq!(world.feed(&["address", "--canonical"], &newest).out, canonical);
    let two = world.ok(&["get", "stat7://data/1/cae85551/genesis?r=0.5&v=0.25&d=0.75"]);
    assert_eq!(two.lines().len(), 2, "two versions lie there: {}", two.out);
}

#[test]
fn what_is_not_there_is_code_3_with_a_hint() {
    let world = chain();
    for arguments in [
        ["get", "nothing"],
        ["get", "0123456789"],
        ["near", "nothing"],
        ["history", "x"],
        ["neighbours", "x"],
        ["rm", "x"],
    ] {
        world.run(&arguments).refuses(3, &["no entity is named", "hint"]);
    }
    let error = world.run(&["--json", "get", "nothing"]).expect_code(3).error();
    assert_eq!(error["kind"], "not_found");
    assert!(error["hint"].is_string());
    world.run(&["get", "stat7://data/9/cae85551/genesis?r=0.5&v=0.25&d=0.75"]).refuses(3, &["no entity"]);
    world.run(&["get", "stat7://nonsense"]).refuses(2, &["uri"]);
}

#[test]
fn a_prefix_of_several_addresses_is_ambiguous() {
    let world = World::new();
    let lines = world.ok(&["generate", "--count", "3000"]).out;
    world.feed(&["load", "-"], &lines).expect_code(0);
    let addresses = world.feed(&["address"], &lines).out;
    let mut by_prefix: HashMap<&str, Vec<&str>> = HashMap::new();
    for address in addresses.lines() {
        by_prefix.entry(&address[..4]).or_default().push(address);
    }
    let (prefix, several) =
        by_prefix.iter().find(|(_, all)| all.len() > 1).expect("3,000 addresses share prefixes");
    world.run(&["get", prefix]).refuses(2, &["ambiguous", several[0], several[1]]);
    assert_eq!(world.run(&["--json", "get", prefix]).error()["kind"], "ambiguous");
    let (prefix, one) = by_prefix.iter().find(|(_, all)| all.len() == 1).expect("and others do not");
    assert_eq!(world.feed(&["address"], world.ok(&["get", prefix]).out).out.trim(), one[0]);
}

#[test]
fn a_history_lists_the_versions_the_oldest_first() {
    let world = chain();
    let run = world.ok(&["--json", "history", "a"]);
    let versions = run.values();
    assert_eq!(versions.len(), 3);
    assert_eq!(versions.iter().map(|one| one["head"] == true).collect::<Vec<bool>>(), [false, false, true]);
    let first = versions[0]["address"].as_str().expect("an address");
    assert!(world.ok(&["get", first]).out.contains("\"value\":42"));
    assert_eq!(
        world.ok(&["--json", "history", first]).out,
        run.out,
        "an address means the versions of its id"
    );
    assert_eq!(world.ok(&["history", "a"]).lines().len(), 4, "a header and three rows");
}

#[test]
fn neighbours_are_followed_hop_by_hop() {
    let world = chain();
    let reached = |hops: &str| -> Vec<(u64, String, bool)> {
        let run = world.ok(&["--json", "neighbours", "a", "--hops", hops]);
        let one = |one: &serde_json::Value| {
            (
                one["hops"].as_u64().expect("hops"),
                one["id"].as_str().expect("an id").to_owned(),
                one["address"].is_string(),
            )
        };
        run.values().iter().map(one).collect()
    };
    assert_eq!(reached("1"), [(1, "b".into(), true), (1, "ghost".into(), false)]);
    assert_eq!(reached("2")[2], (2, "c".into(), true));
    assert!(world.ok(&["neighbours", "a"]).out.contains("(not stored)"));
}

#[test]
fn the_nearest_come_first() {
    let world = chain();
    let run = world.ok(&["--json", "near", "b", "-k", "3"]);
    let similarities: Vec<f64> =
        run.values().iter().map(|one| one["similarity"].as_f64().expect("a number")).collect();
    assert_eq!(similarities.len(), 3);
    assert!(similarities.is_sorted_by(|a, b| a >= b), "{similarities:?}");
    let own = world.feed(&["address"], world.ok(&["get", "b"]).out).out;
    assert!(!run.out.contains(own.trim()), "not the entity itself");
}

#[test]
fn rm_removes_one_version_or_all() {
    let world = chain();
    let newest = world.feed(&["address"], world.ok(&["get", "a"]).out).out.trim().to_owned();
    let removed = world.ok(&["rm", "a"]);
    assert_eq!(removed.out, format!("removed {newest} a\n"));
    assert!(world.ok(&["get", "a"]).out.contains("\"value\":43"), "the version before is the newest now");
    world.run(&["get", &newest]).expect_code(3);
    let removed = world.ok(&["--json", "rm", "--all-versions", "a"]);
    assert_eq!(removed.values().len(), 2);
    world.run(&["get", "a"]).expect_code(3);
    world.run(&["rm", "a"]).expect_code(3);
    assert_eq!(world.entities(), 2);
    world.ok(&["check"]);
}

#[test]
fn a_uri_of_several_entities_is_no_name_for_one() {
    let world = chain();
    let uri = "stat7://data/1/cae85551/genesis?r=0.5&v=0.25&d=0.75";
    world.run(&["rm", uri]).refuses(2, &["names 2 entities"]);
    world.run(&["near", uri]).refuses(2, &["names 2 entities"]);
}

#[test]
fn a_file_travels_with_its_entity() {
    let world = World::new();
    let small = b"small\0content".to_vec();
    let large: Vec<u8> =
        (0..3_000_000_u32).flat_map(|n| (n.wrapping_mul(2_654_435_761) >> 7).to_le_bytes()).collect();
    for (name, bytes) in [("small", &small), ("large", &large)] {
        let file = world.write(name, bytes);
        world.write("e.json", entity(name, |_| {}));
        world.ok(&["put", "e.json", "--file", file.to_str().expect("a path")]);
        let out = format!("{name}.out");
        world.ok(&["get", "--file", &out, name]);
        assert_eq!(&std::fs::read(world.path(&out)).expect("the file"), bytes);
        world.run(&["get", "--file", &out, name]).refuses(1, &["is there already", "--force"]);
        world.ok(&["get", "--file", &out, "--force", name]);
    }
    let output = world.command(&["get", "--file", "-", "small"]).output().expect("the program runs");
    assert_eq!(output.stdout, small);
    world.feed(&["put", "-"], entity("bare", |_| {})).expect_code(0);
    world.run(&["get", "--file", "x", "bare"]).refuses(3, &["has no file"]);
    world.run(&["get", "--file", ".", "small"]).refuses(2, &["is a directory"]);
    let names: Vec<_> = std::fs::read_dir(world.path("."))
        .expect("a list")
        .flatten()
        .map(|entry| entry.file_name())
        .collect();
    assert!(names.iter().all(|name| !name.to_string_lossy().contains(".tmp")), "{names:?}");
}

#[test]
fn an_attached_file_must_be_the_one_that_the_entity_names() {
    let world = World::new();
    world.write("file", "content");
    let wrong = "0".repeat(64);
    world.write("e.json", entity("a", |e| e["blob"] = wrong.as_str().into()));
    world.run(&["put", "e.json", "--file", "file"]).refuses(1, &["e.json:1", "blob", &wrong]);
    world.write("e.json", entity("a", |_| {}));
    world.ok(&["put", "e.json"]);
    world.run(&["put", "e.json", "--file", "file"]).refuses(1, &["stored already", "remove it first"]);
}

#[cfg(unix)]
#[test]
fn a_file_is_written_through_links_and_into_pipes() {
    use std::os::unix::fs::symlink;
    let world = World::new();
    world.write("e.json", entity("a", |_| {}));
    world.write("file", "content");
    world.ok(&["put", "e.json", "--file", "file"]);
    world.write("deep/target", "old");
    symlink("deep/target", world.path("link")).expect("a link");
    world.run(&["get", "--file", "link", "a"]).refuses(1, &["is there already", "--force"]);
    world.ok(&["get", "--file", "link", "--force", "a"]);
    assert!(std::fs::symlink_metadata(world.path("link")).expect("the link").is_symlink());
    assert_eq!(world.read("deep/target"), "content");
    assert_eq!(
        std::fs::read_dir(world.path("deep")).expect("a list").count(),
        1,
        "no temporary file is left"
    );
    symlink("nowhere", world.path("dangling")).expect("a link");
    world.run(&["get", "--file", "dangling", "--force", "a"]).refuses(1, &["leads nowhere"]);
    symlink("deep", world.path("to-directory")).expect("a link");
    world.run(&["get", "--file", "to-directory", "--force", "a"]).refuses(2, &["is a directory"]);
    // Standard output is a pipe here.
    assert_eq!(world.ok(&["get", "--file", "/dev/stdout", "a"]).out, "content");
    world.ok(&["get", "--file", "/dev/null", "a"]);
}

#[test]
fn what_is_stored_with_other_attachments_is_a_conflict_of_that_line_alone() {
    let world = World::new();
    world.feed(&["put", "-"], entity("a", |_| {})).expect_code(0);
    let blob = "0".repeat(64);
    let other = entity("a", |e| e["blob"] = blob.as_str().into());
    let run = world.feed(&["--json", "put", "-"], &other).expect_code(1);
    assert_eq!(run.error()["kind"], "conflict", "{run:?}");
    let lines = [entity("b", |_| {}), other, entity("c", |_| {})].join("\n");
    world.write("e.jsonl", lines);
    let answer = world.json(&["load", "--on-error", "skip", "e.jsonl"]);
    assert_eq!((&answer["new"], &answer["refused"]), (&2.into(), &1.into()), "{answer}");
    let refused = world.read("refused.jsonl");
    assert!(refused.contains(r#""line":2"#) && refused.contains(r#""conflict""#), "{refused}");
    world.run(&["load", "e.jsonl"]).refuses(1, &["e.jsonl:2"]);
}
