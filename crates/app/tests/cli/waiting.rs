//! A store that another process has.

use std::io::{BufRead, BufReader, Read};
use std::process::Child;

#[cfg(unix)]
use crate::world::interrupt;
use crate::world::{Run, World, entity, wait_until};

/// A process that has the store until its input ends.
fn holder(world: &World) -> Child {
    let child = world.start(&["load", "-"]);
    wait_until("the store is open", || {
        world.path("statlas.store").exists() && world.run(&["--wait", "0", "find", "--count"]).code == Some(5)
    });
    child
}

fn end(mut holder: Child) {
    drop(holder.stdin.take());
    Run::new(holder.wait_with_output().expect("it ends")).expect_code(0);
}

#[test]
fn a_command_waits_for_a_store_and_says_for_what() {
    let world = World::new();
    world.feed(&["put", "-"], entity("a", |_| {})).expect_code(0);
    let holder = holder(&world);
    let mut waiting = world.start(&["--wait", "10m", "rm", "a"]);
    let mut said = BufReader::new(waiting.stderr.take().expect("a pipe"));
    let mut line = String::new();
    said.read_line(&mut line).expect("it says what it waits for");
    assert!(line.contains("another process has ./statlas.store; waiting for it up to 600 s"), "{line}");
    end(holder);
    Run::new(waiting.wait_with_output().expect("it ends")).expect_code(0);
    let mut rest = String::new();
    said.read_to_string(&mut rest).expect("text");
    assert_eq!(rest, "");
    assert_eq!(world.entities(), 0);
}

#[test]
fn a_command_that_waited_in_vain_ends_with_code_5() {
    let world = World::new();
    let holder = holder(&world);
    world.run(&["--wait", "0", "stats"]).refuses(5, &["another process", "--wait"]);
    world.run(&["--wait", "700ms", "stats"]).refuses(5, &["waiting for it up to 700.00 ms", "hint: "]);
    let run = world.run(&["--json", "--wait", "700ms", "stats"]).expect_code(5);
    assert_eq!((run.error()["kind"].as_str(), run.err.lines().count()), (Some("busy"), 1));
    world.run(&["--wait", "5", "stats"]).refuses(2, &["--wait", "such as 30s"]);
    end(holder);
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_the_wait() {
    let world = World::new();
    let holder = holder(&world);
    let mut waiting = world.start(&["--wait", "10m", "rm", "a"]);
    let mut said = BufReader::new(waiting.stderr.take().expect("a pipe"));
    said.read_line(&mut String::new()).expect("it waits");
    interrupt(&waiting);
    let code = waiting.wait().expect("it ends").code();
    let mut rest = String::new();
    said.read_to_string(&mut rest).expect("text");
    assert_eq!((code, rest.starts_with("interrupted: nothing was done")), (Some(130), true), "{rest}");
    end(holder);
}

#[cfg(unix)]
#[test]
fn who_follows_a_store_leaves_it_to_others() {
    let world = World::new();
    world.feed(&["put", "-"], entity("a", |_| {})).expect_code(0);
    let mut follower = world.start(&["watch", "--follow"]);
    let mut changes = BufReader::new(follower.stdout.take().expect("a pipe"));
    let mut line = String::new();
    for number in 0..30 {
        world.feed(&["put", "-"], entity(&format!("n{number}"), |_| {})).expect_code(0);
    }
    for _ in 0..31 {
        line.clear();
        changes.read_line(&mut line).expect("a change");
    }
    assert!(line.trim_start().starts_with("31 "), "{line}");
    // Begun while somebody has the store, it waits as well.
    let holder = holder(&world);
    let mut late = world.start(&["--wait", "10m", "watch", "--follow", "--limit", "1"]);
    let mut said = BufReader::new(late.stderr.take().expect("a pipe"));
    said.read_line(&mut line).expect("it waits");
    end(holder);
    assert_eq!(late.wait().expect("it ends").code(), Some(0));
    interrupt(&follower);
    assert_eq!(follower.wait().expect("it ends").code(), Some(130));
}
