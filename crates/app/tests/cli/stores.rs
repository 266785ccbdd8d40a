//! Stores that are not there, not stores, newer, locked or damaged.

use std::fs;

use serde_json::Value;

use crate::world::{World, entity, wait_until};

#[test]
fn reading_makes_no_store() {
    let world = World::new();
    for arguments in
        [&["get", "x"][..], &["find"], &["stats"], &["check"], &["export"], &["near", "x"], &["rm", "x"]]
    {
        world.run(arguments).refuses(1, &["statlas.store", "hint", "quickstart"]);
        assert_eq!(world.run(&[&["--json"], arguments].concat()).error()["kind"], "not_a_store");
    }
    assert!(!world.path("statlas.store").exists());
}

#[test]
fn a_directory_of_something_else_is_no_store_and_stays_as_it_is() {
    let world = World::new();
    world.write("photos/cat.jpg", "meow");
    world.run(&["--store", "photos", "stats"]).refuses(1, &["photos", "not a Statlas store"]);
    world
        .feed(&["--store", "photos", "put", "-"], entity("a", |_| {}))
        .refuses(1, &["photos", "not a Statlas store"]);
    assert_eq!(fs::read_dir(world.path("photos")).expect("a list").count(), 1);
    world.run(&["--store", "photos/cat.jpg", "stats"]).expect_code(1);
}

#[test]
fn the_store_can_be_named_by_the_environment() {
    let world = World::new();
    let output = world.command(&["put", "-"]).env("STATLAS_STORE", "elsewhere").stdin(input(&world)).output();
    assert!(output.expect("the program runs").status.success());
    assert_eq!(world.json(&["--store", "disk:elsewhere", "stats"])["entities"], 1);
}

fn input(world: &World) -> fs::File {
    fs::File::open(world.write("one.json", entity("a", |_| {}))).expect("the file")
}

#[test]
fn a_store_of_a_newer_format_is_refused() {
    let world = World::new();
    world.feed(&["put", "-"], entity("a", |_| {})).expect_code(0);
    let header = world.path("statlas.store/STATLAS");
    let mut bytes = fs::read(&header).expect("the header");
    bytes[8] = 99;
    fs::write(&header, bytes).expect("written");
    world.run(&["stats"]).refuses(1, &["99", "hint"]);
    assert_eq!(world.run(&["--json", "get", "a"]).expect_code(1).error()["kind"], "newer_format");
}

#[test]
fn a_store_that_another_process_has_is_busy() {
    let world = World::new();
    let mut holder = world.start(&["load", "-"]);
    wait_until("the other process has the store", || world.run(&["stats"]).code == Some(5));
    world.run(&["find"]).refuses(5, &["hint"]);
    let error = world.run(&["--json", "check"]).expect_code(5).error();
    assert_eq!(error["kind"], "busy");
    let id = holder.id().to_string();
    assert!(
        error["message"].as_str().is_some_and(|message| message.contains(&id)),
        "the holder is named: {error}"
    );
    drop(holder.stdin.take());
    assert!(holder.wait().expect("the process ends").success());
    assert_eq!(world.entities(), 0);
}

#[test]
fn damage_is_found_listed_and_code_4() {
    let world = World::new();
    let lines = world.ok(&["generate", "--count", "2000"]).out;
    world.feed(&["load", "-"], &lines).expect_code(0);
    world.ok(&["check"]);
    let segment = fs::read_dir(world.path("statlas.store/log"))
        .expect("the log")
        .flatten()
        .next()
        .expect("a segment")
        .path();
    let mut bytes = fs::read(&segment).expect("the segment");
    let (victim, id) = lines
        .lines()
        .filter_map(|line| Some((line, serde_json::from_str::<Value>(line).ok()?["id"].as_str()?.to_owned())))
        .find(|(_, id)| id.starts_with("node-"))
        .expect("an entity with a plain id");
    let needle = format!("\"id\":\"{id}\"");
    let at =
        bytes.windows(needle.len()).position(|window| window == needle.as_bytes()).expect("it is in the log");
    bytes[at + 8] ^= 1;
    fs::write(&segment, bytes).expect("written");
    let run = world.run(&["check"]).refuses(4, &["damaged", "hint"]);
    assert!(!run.out.is_empty(), "the damage is listed");
    let run = world.run(&["--json", "check"]).expect_code(4);
    let report = &run.values()[0];
    assert_eq!(report["sound"], false);
    assert!(report["damage"].as_array().is_some_and(|damage| !damage.is_empty()), "{report}");
    let address = world.feed(&["address"], victim).out;
    assert_ne!(world.run(&["get", address.trim()]).code, Some(0), "damaged bytes are never returned");
}

#[test]
fn a_damaged_store_is_announced_by_every_command_and_incomplete_answers_are_code_4() {
    let world = World::new();
    world.write("in/a.txt", "one");
    world.ok(&["import", "in"]);
    for id in ["first", "second", "third"] {
        world.feed(&["put", "-"], entity(id, |_| {})).expect_code(0);
    }
    world.damage(br#""id":"second""#);
    let damage = world.json(&["stats"])["damage"].as_array().cloned().expect("a list");
    let (places, first) = (damage.len(), damage[0].as_str().expect("text").to_owned());
    for arguments in [&["get", "first"][..], &["history", "third"], &["near", "first"], &["import", "in"]] {
        let run = world.ok(arguments);
        assert_eq!(run.err.matches("warning: the store has").count(), 1, "{run:?}");
        assert!(run.err.contains(&first) && run.err.contains("statlas check"), "{run:?}");
    }
    let run = world.ok(&["--json", "get", "first"]);
    let warning: Value = serde_json::from_str(run.err.trim()).expect("one line of JSON");
    assert_eq!(
        (&warning["warning"]["kind"], &warning["warning"]["first"]),
        (&"damage".into(), &first.as_str().into())
    );
    assert_eq!(warning["warning"]["places"], places);
    assert_eq!(run.values()[0]["id"], "first");

    for (arguments, rows) in [(&["--json", "find"][..], 3), (&["find", "--count"], 1), (&["export"], 3)] {
        let run = world.run(arguments).expect_code(4);
        assert_eq!(run.lines().len(), rows, "what can be read is there: {run:?}");
        assert!(run.err.contains("may be incomplete"), "{run:?}");
    }
    assert_eq!(world.run(&["find", "--count"]).out.trim(), "3");
    world.run(&["export", "--out", "e.jsonl"]).expect_code(4);
    assert_eq!(world.read("e.jsonl").lines().count(), 3);
    world.run(&["restore-files", "out"]).refuses(4, &["may be incomplete"]);
    assert_eq!(world.read("out/a.txt"), "one");

    let run = world.ok(&["stats"]);
    assert_eq!(run.err.matches("warning").count(), places, "stats lists the damage itself: {run:?}");
    let run = world.run(&["check"]).refuses(4, &["damaged", "saves the entities"]);
    assert!(!run.err.contains("warning"), "check lists the damage itself: {run:?}");
}
