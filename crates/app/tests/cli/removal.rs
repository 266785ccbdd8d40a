//! `rm` with many names, and `compact`.

use serde_json::Value;

use crate::world::{World, entity};

/// A store of small files of the log, with so many generated entities; their ids in order. With little memory a
/// load has small batches, which are spread over those files.
fn many(world: &World, count: usize) -> Vec<String> {
    let lines = world.ok(&["generate", "--count", &count.to_string(), "--seed", "9"]).out;
    world.feed(&["--memory", "16MiB", "--segment-size", "1MiB", "load", "-"], &lines).expect_code(0);
    let id =
        |line: &str| serde_json::from_str::<Value>(line).expect("JSON")["id"].as_str().map(ToOwned::to_owned);
    lines.lines().map(|line| id(line).expect("an id")).collect()
}

#[test]
fn names_come_as_arguments_and_from_standard_input() {
    let world = World::new();
    let ids = many(&world, 4000);
    let run = world.ok(&["rm", &ids[0], &ids[1]]);
    assert_eq!(run.lines().len(), 2);
    // More than one batch, line breaks of both kinds, blank lines, no line break at the end.
    let input = format!("{}\r\n\n{}", ids[2], ids[3..2500].join("\n"));
    let run = world.feed(&["--json", "rm", &ids[2500], "-"], input).expect_code(0);
    assert_eq!(run.values().len(), 2499);
    assert_eq!(run.values()[0]["id"], ids[2500].as_str());
    assert_eq!(world.entities(), 4000 - 2501);
    // Each batch is one revision.
    assert!(world.json(&["stats"])["revision"].as_u64().is_some_and(|revision| revision < 40));
    world.ok(&["check"]);
}

#[test]
fn a_name_that_is_not_there_does_not_keep_the_others() {
    let world = World::new();
    for id in ["a", "b", "c"] {
        world.feed(&["put", "-"], entity(id, |_| {})).expect_code(0);
    }
    let run = world.run(&["rm", "a", "x", "y", "b"]);
    let run = run.refuses(3, &["warning: x was not found", "2 names were not found; the others are removed"]);
    assert_eq!(run.lines().len(), 2);
    world.feed(&["rm", "-"], "z\n").refuses(3, &["z was not found", "1 name was not found"]);
    world.feed(&["rm", "-"], b"c\n\xff\n").refuses(2, &["<stdin>, line 2: a name is UTF-8"]);
    assert_eq!(world.entities(), 0, "what came before a line that is refused is removed");
    world.run(&["rm"]).refuses(2, &["WHAT"]);
    world.feed(&["rm", "-"], "").expect_code(0);
}

#[test]
fn a_name_that_comes_twice_is_removed_twice() {
    let world = World::new();
    for value in [1, 2, 3] {
        world.feed(&["put", "-"], entity("a", |json| json["state"]["value"] = value.into())).expect_code(0);
    }
    assert_eq!(world.ok(&["rm", "a", "a"]).lines().len(), 2);
    assert!(world.ok(&["get", "a"]).out.contains("\"value\":1"));
    let run = world.run(&["rm", "--all-versions", "a", "a"]).refuses(3, &["1 name was not found"]);
    assert_eq!(run.lines().len(), 1);
}

#[test]
fn compaction_gives_the_space_of_what_was_removed_back() {
    let world = World::new();
    let ids = many(&world, 12_000);
    let nothing = world.json(&["compact"]);
    assert_eq!((&nothing["files"], &nothing["bytes_given_back"]), (&0.into(), &0.into()));
    // The middle of the log, so that some of its files have much garbage and others none.
    world.feed(&["rm", "-"], ids[3000..9000].join("\n")).expect_code(0);
    let before = world.store_bytes();
    let head = world.json(&["stats"])["head"].clone();
    let answer = world.json(&["compact", "--garbage", "0.9", "--rate", "1GiB"]);
    assert!(answer["files"].as_u64().is_some_and(|files| files > 0), "{answer}");
    let given_back = answer["bytes_given_back"].as_u64().expect("a number");
    assert!(given_back > 500_000 && world.store_bytes() < before - given_back / 2, "{answer}");
    assert!(answer["disk_bytes"].as_u64().is_some_and(|bytes| bytes < before), "{answer}");
    let run = world.ok(&["compact", "--garbage", "0"]);
    assert!(run.out.starts_with("wrote ") && run.out.contains(" of the log anew, gave "), "{run:?}");
    assert_eq!(world.json(&["stats"])["head"], head, "the history is the same");
    assert_eq!(world.entities(), 6000);
    world.ok(&["check"]);
    for wrong in ["-1", "1.1", "NaN", "much"] {
        world.run(&["compact", "--garbage", wrong]).expect_code(2);
    }
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_a_compaction_and_loses_nothing() {
    let world = World::new();
    let ids = many(&world, 12_000);
    world.feed(&["rm", "-"], ids[..6000].join("\n")).expect_code(0);
    let exported = world.ok(&["export"]).out;
    // At this rate it would take all day.
    let compaction = world.start(&["compact", "--garbage", "0", "--rate", "100"]);
    crate::world::wait_until("the store is open", || world.run(&["--wait", "0", "stats"]).code == Some(5));
    crate::world::interrupt(&compaction);
    let run = crate::world::Run::new(compaction.wait_with_output().expect("it ends"));
    run.refuses(130, &["interrupted: what was written anew stays"]);
    assert_eq!(world.ok(&["export"]).out, exported);
    world.ok(&["check"]);
    world.ok(&["compact", "--garbage", "0"]);
    assert_eq!(world.ok(&["export"]).out, exported);
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_a_removal_that_waits_for_names() {
    use std::io::{BufRead, BufReader, Write};

    let world = World::new();
    for id in ["a", "b"] {
        world.feed(&["put", "-"], entity(id, |_| {})).expect_code(0);
    }
    let mut removal = world.start(&["rm", "-"]);
    let mut stdin = removal.stdin.take().expect("a pipe");
    stdin.write_all(b"x\na\n").expect("it reads");
    let mut stderr = BufReader::new(removal.stderr.take().expect("a pipe"));
    let mut said = String::new();
    stderr.read_line(&mut said).expect("it says that x was not found");
    crate::world::interrupt(&removal);
    said.clear();
    stderr.read_line(&mut said).expect("it was interrupted");
    assert_eq!(removal.wait().expect("it ends").code(), Some(130));
    drop(stdin);
    let left = world.entities();
    let removed = if left == 1 { "1 entity is" } else { "0 entities are" };
    assert!(said.starts_with(&format!("interrupted: {removed} removed")), "{said}");
}
