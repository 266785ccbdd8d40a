//! `generate`, `load` and `export`.

use crate::world::{World, entity};

fn generated(world: &World, count: u32) -> String {
    world.ok(&["generate", "--count", &count.to_string(), "--seed", "3"]).out
}

#[test]
fn generated_entities_are_the_same_every_time_and_as_many_as_asked_for() {
    let world = World::new();
    let many = generated(&world, 5000);
    assert_eq!(many.lines().count(), 5000);
    assert!(many.starts_with(&generated(&world, 10)));
    let other = world.ok(&["generate", "--count", "10", "--seed", "4"]).out;
    assert_ne!(generated(&world, 10), other);
    for profile in ["stat7", "fractalstat"] {
        let run = world.ok(&["generate", "--count", "20", "--profile", profile]);
        assert!(run.values().iter().all(|entity| entity["profile"] == profile));
    }
}

#[test]
fn a_load_can_be_run_again() {
    let world = World::new();
    world.write("e.jsonl", generated(&world, 30_000));
    for (new, present) in [(30_000, 0), (0, 30_000)] {
        let answer = world.json(&["load", "e.jsonl"]);
        assert_eq!((&answer["new"], &answer["already_there"]), (&new.into(), &present.into()));
        assert_eq!((&answer["refused"], &answer["complete"]), (&0.into(), &true.into()));
    }
    assert_eq!(world.entities(), 30_000);
    let text = world.ok(&["load", "e.jsonl"]).out;
    assert!(text.starts_with("0 new, 30,000 already there, 0 refused, in "), "{text}");
}

#[test]
fn every_durability_stores_everything() {
    let world = World::new();
    let lines = generated(&world, 2000);
    for durability in ["synced", "written", "buffered"] {
        let store = format!("{durability}.store");
        world.feed(&["--store", &store, "load", "--durability", durability, "-"], &lines).expect_code(0);
        assert_eq!(world.json(&["--store", &store, "stats"])["entities"], 2000, "{durability}");
        world.ok(&["--store", &store, "check"]);
    }
}

#[test]
fn an_export_loads_back_to_the_same_addresses_versions_and_attachments() {
    let world = World::new();
    world.feed(&["load", "-"], generated(&world, 3000)).expect_code(0);
    for value in [1, 2, 3] {
        let version = entity("versioned", |e| e["state"]["value"] = value.into());
        world.feed(&["put", "-"], version).expect_code(0);
    }
    let token = r#"{"local_id":1,"entity_type":3,"domain":2,"flags":1,"weight":1.5,"field_radius":0.5,
        "field_strength":0.5,"timestamp":7,"spaces":{"physical":[1,2,3]}}"#;
    let token: serde_json::Value = serde_json::from_str(token).expect("JSON");
    world.feed(&["put", "-"], entity("with-token", |e| e["token"] = token)).expect_code(0);
    world.write("file.txt", "content");
    world.write("one.json", entity("with-file", |_| {}));
    world.ok(&["put", "one.json", "--file", "file.txt"]);

    world.ok(&["export", "--out", "all.jsonl"]);
    assert_eq!(world.read("all.jsonl"), world.ok(&["export"]).out);
    world.ok(&["--store", "copy.store", "load", "all.jsonl"]);
    assert_eq!(world.ok(&["--store", "copy.store", "export"]).out, world.read("all.jsonl"));
    let addresses = |store: &str| world.ok(&["--store", store, "--json", "history", "versioned"]).out;
    assert_eq!(addresses("copy.store"), addresses("statlas.store"));

    world.run(&["export", "--out", "all.jsonl"]).refuses(1, &["all.jsonl", "--force"]);
    world.ok(&["export", "--out", "all.jsonl", "--force"]);
}

#[test]
fn the_addresses_of_a_load_are_those_that_address_prints() {
    let world = World::new();
    world.write("e.jsonl", generated(&world, 500));
    world.ok(&["load", "e.jsonl"]);
    let printed = world.ok(&["address", "e.jsonl"]);
    assert_eq!(printed.lines().len(), 500);
    for address in printed.lines().iter().step_by(50) {
        let stored = world.ok(&["get", address]).out;
        assert_eq!(world.feed(&["address"], stored).out.trim(), *address);
    }
}

#[test]
fn stopping_keeps_the_batches_before_and_says_how_many() {
    let world = World::new();
    let mut lines = generated(&world, 40_000);
    lines.push_str("{\"broken\": 1}\n");
    world.write("e.jsonl", &lines);
    let run = world.run(&["load", "e.jsonl"]).refuses(1, &["e.jsonl:40001", "broken", "--on-error skip"]);
    let stored = world.entities();
    assert!(stored > 0 && stored < 40_000, "{stored}");
    let said: String = run
        .err
        .split("batch was stored; ")
        .nth(1)
        .expect("a count")
        .chars()
        .take_while(|c| *c != ' ')
        .collect();
    assert_eq!(said.replace(',', ""), stored.to_string());
    world.write("e.jsonl", lines.replace("{\"broken\": 1}\n", ""));
    let answer = world.json(&["load", "e.jsonl"]);
    assert_eq!(answer["new"], 40_000 - stored);
}

#[test]
fn skipping_writes_refused_lines_with_their_reasons() {
    let world = World::new();
    let lines = [
        entity("a", |_| {}),
        "{\"broken\"".to_owned(),
        entity("b", |e| e["coordinates"]["lineage"] = "0".into()),
        entity("a", |e| e["realm"] = "void".into()),
        entity("c", |_| {}),
    ];
    world.write("e.jsonl", lines.join("\r\n"));
    let answer = world.json(&["load", "--on-error", "skip", "--refused", "bad.jsonl", "e.jsonl"]);
    assert_eq!((&answer["new"], &answer["refused"]), (&2.into(), &3.into()), "{answer}");
    assert_eq!(answer["refused_file"], "bad.jsonl");
    let refused = world.read("bad.jsonl");
    let refused: Vec<serde_json::Value> =
        refused.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let kinds: Vec<(u64, &str)> = refused
        .iter()
        .map(|one| (one["line"].as_u64().expect("a line"), one["error"]["kind"].as_str().expect("a kind")))
        .collect();
    assert_eq!(kinds, [(2, "syntax"), (3, "lineage"), (4, "mutability")]);
    assert_eq!(refused[1]["error"]["field"], "coordinates.lineage");
    assert_eq!(refused[2]["text"].as_str().expect("text").trim(), lines[3]);
    assert_eq!(world.entities(), 2);
    let run = world.ok(&["load", "--on-error", "skip", "e.jsonl"]);
    assert!(run.err.contains("3 lines were refused") && run.err.contains("refused.jsonl"), "{}", run.err);
    world
        .run(&["load", "--on-error", "skip", "--refused", "e.jsonl", "e.jsonl"])
        .refuses(2, &["can't be the input"]);
}

#[test]
fn many_refusals_at_commit_time_leave_all_the_others() {
    let world = World::new();
    let good = |n: u32| entity(&format!("id-{n}"), |_| {});
    let bad = |n: u32| entity(&format!("id-{n}"), |e| e["entity_type"] = "agent".into());
    let lines: Vec<String> =
        (0..500).flat_map(|n| if n % 3 == 0 { vec![good(n)] } else { vec![good(n), bad(n)] }).collect();
    let run = world.feed(&["--json", "load", "--on-error", "skip", "-"], lines.join("\n")).expect_code(0);
    let answer = &run.values()[0];
    assert_eq!((&answer["new"], &answer["refused"]), (&500.into(), &333.into()));
    assert_eq!(world.read("refused.jsonl").lines().count(), 333);
    world.ok(&["check"]);
}

#[test]
fn a_mutability_violation_names_the_line_and_stores_nothing_of_its_batch() {
    let world = World::new();
    let lines = [
        entity("other", |_| {}),
        entity("a", |_| {}),
        entity("a", |e| e["coordinates"]["lineage"] = 2.into()),
    ];
    world.write("e.jsonl", lines.join("\n"));
    let run = world.run(&["--json", "load", "e.jsonl"]).expect_code(1);
    let error = run.error();
    assert_eq!((&error["kind"], &error["line"]), (&"mutability".into(), &3.into()), "{error}");
    let message = error["message"].as_str().expect("a message");
    assert!(message.contains("coordinates.lineage") && message.contains("found 2"), "{message}");
    assert_eq!(world.entities(), 0);
    world.feed(&["put", "-"], &lines[1]).expect_code(0);
    world
        .feed(&["put", "-"], &lines[2])
        .refuses(1, &["<stdin>:1", "coordinates.lineage", "unchanged from 1"]);
}

#[test]
fn a_byte_order_mark_blank_lines_and_one_object_over_several_lines_are_accepted() {
    let world = World::new();
    let value: serde_json::Value = serde_json::from_str(&entity("pretty", |_| {})).expect("JSON");
    let pretty = serde_json::to_string_pretty(&value).expect("JSON");
    world.feed(&["load", "-"], format!("\u{feff}\n{pretty}\n\n")).expect_code(0);
    world
        .feed(&["load", "-"], format!("\u{feff}{}\r\n\r\n \n{}", entity("a", |_| {}), entity("b", |_| {})))
        .expect_code(0);
    assert_eq!(world.entities(), 3);
    world.feed(&["load", "-"], "").expect_code(0);
}

#[test]
fn a_load_into_memory_checks_a_file_and_leaves_nothing() {
    let world = World::new();
    world.feed(&["--store", "memory:", "load", "-"], entity("a", |_| {})).expect_code(0);
    assert_eq!(std::fs::read_dir(world.path(".")).expect("a list").count(), 0);
}

#[test]
fn a_pipe_that_is_closed_early_ends_the_program_quietly() {
    use std::io::{BufRead, BufReader};
    let world = World::new();
    let mut child = world.start(&["generate", "--count", "1000000"]);
    let mut stdout = BufReader::new(child.stdout.take().expect("a pipe"));
    stdout.read_line(&mut String::new()).expect("a line");
    drop(stdout);
    let run = crate::world::Run::new(child.wait_with_output().expect("the program ends"));
    assert_eq!((run.code, run.err.as_str()), (Some(0), ""));
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_device_is_an_error() {
    let world = World::new();
    let full = std::fs::File::options().write(true).open("/dev/full").expect("the device");
    let output =
        world.command(&["generate", "--count", "1000"]).stdout(full).output().expect("the program runs");
    crate::world::Run::new(output).refuses(1, &["No space left"]);
}
