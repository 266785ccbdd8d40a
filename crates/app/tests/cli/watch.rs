//! `watch`.

use std::fs::{self, File};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::world::{Run, World, entity, wait_until};

/// Three revisions: two entities that are stored, and one of them removed.
fn world() -> (World, [String; 2]) {
    let world = World::new();
    let put = |id: &str| {
        let answer = world.feed(&["--json", "put", "-"], entity(id, |_| {})).expect_code(0);
        answer.values()[0]["address"].as_str().expect("an address").to_owned()
    };
    let addresses = [put("a"), put("b")];
    world.ok(&["rm", "a"]);
    (world, addresses)
}

#[test]
fn changes_are_listed_in_order_and_go_on_behind_a_revision() {
    let (world, [first, second]) = world();
    let listed = world.ok(&["watch"]);
    let lines: Vec<Vec<&str>> = listed.lines().iter().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(
        lines,
        [["1", "entity", "put", &first], ["2", "entity", "put", &second], ["3", "entity", "removed", &first],]
    );
    let rest = world.ok(&["--json", "watch", "--from", "2"]).values();
    let expected =
        serde_json::json!({"revision": 3, "ordinal": 0, "change": "entity_removed", "address": first});
    assert_eq!(rest, [expected]);
    assert_eq!(world.ok(&["watch", "--from", "3"]).out, "");
    assert_eq!(world.ok(&["watch", "--limit", "2"]).lines().len(), 2);
    assert_eq!(world.ok(&["watch", "--from", "1", "--limit", "1"]).lines(), [listed.lines()[1]]);
}

#[test]
fn records_and_files_are_listed_by_their_names() {
    let world = World::new();
    world.write("photos/cat.jpg", "meow");
    world.ok(&["import", "photos"]);
    let values = world.ok(&["--json", "watch"]).values();
    let of =
        |change: &str| values.iter().find(|value| value["change"] == change).expect("it is listed").clone();
    assert_eq!(of("blob_put")["blob"].as_str().expect("a SHA-256").len(), 64);
    assert_eq!(of("entity_put")["address"].as_str().expect("an address").len(), 64);
    let record = of("record_put");
    assert!(record["collection"].is_string() && record["key"].is_string(), "{record}");
}

#[test]
fn what_cannot_be_watched_is_refused_in_words() {
    let (world, _) = world();
    world.run(&["watch", "--from", "4"]).refuses(1, &["found 4", "3"]);
    assert_eq!(world.run(&["--json", "watch", "--from", "4"]).error()["kind"], "invalid");
    world.run(&["watch", "--limit", "0"]).expect_code(2);
    world.run(&["--store", "nothing", "watch", "--follow"]).refuses(1, &["nothing", "hint"]);
    assert!(world.ok(&["watch", "--help"]).out.contains("Examples:"));
}

/// Starts to follow the store of a world; what is listed goes to the file `list`.
fn follow(world: &World, arguments: &[&str]) -> Child {
    let list = File::create(world.path("list")).expect("a file");
    let mut command = world.command(&[&["--json", "watch", "--follow"], arguments].concat());
    command.stdin(Stdio::null()).stdout(list).stderr(Stdio::piped()).spawn().expect("the program starts")
}

fn listed(world: &World) -> Vec<Value> {
    let list = fs::read_to_string(world.path("list")).expect("text");
    list.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// Stores an entity as soon as the store is free.
fn put(world: &World, id: &str) {
    wait_until("the store is free", || match world.feed(&["put", "-"], entity(id, |_| {})).code {
        Some(0) => true,
        code => {
            assert_eq!(code, Some(5));
            false
        }
    });
}

#[cfg(unix)]
#[test]
fn a_store_that_is_followed_is_free_for_others_until_ctrl_c() {
    let (world, _) = world();
    let child = follow(&world, &["--from", "1"]);
    wait_until("what is there is listed", || listed(&world).len() == 2);
    for number in 0..3 {
        put(&world, &format!("new {number}"));
        wait_until("the change is listed", || listed(&world).len() == 3 + number);
    }
    let revisions: Vec<Value> = listed(&world).iter().map(|change| change["revision"].clone()).collect();
    assert_eq!(revisions, [2, 3, 4, 5, 6]);
    let sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill runs");
    assert!(sent.success());
    let run = Run::new(child.wait_with_output().expect("the program ends")).expect_code(130);
    assert_eq!(run.error()["kind"], "interrupted");
    assert!(run.err.contains("--from 6"), "{}", run.err);
}

#[test]
fn following_ends_when_enough_is_listed() {
    let (world, _) = world();
    let child = follow(&world, &["--limit", "4"]);
    wait_until("what is there is listed", || listed(&world).len() == 3);
    put(&world, "new");
    put(&world, "newer");
    Run::new(child.wait_with_output().expect("the program ends")).expect_code(0);
    assert_eq!(listed(&world).len(), 4);
}
