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
