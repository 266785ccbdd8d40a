//! Processes that are killed or interrupted in the middle of their work.

use std::io::Write;
use std::process::{Child, Command};
use std::thread;

use crate::world::{Run, World, wait_until};

const ENTITIES: usize = 60_000;

/// Starts a load from a pipe that stays open, gives it everything and waits until the store grows.
fn load_in_progress(world: &World) -> Child {
    let lines = world.ok(&["generate", "--count", &ENTITIES.to_string(), "--seed", "5"]).out;
    world.write("e.jsonl", &lines);
    let mut child = world.start(&["load", "-"]);
    let mut stdin = child.stdin.take().expect("a pipe");
    thread::spawn(move || {
        // The program may be gone before it has read everything.
        let _ = stdin.write_all(lines.as_bytes());
        // The pipe stays open, so the load can't come to its end.
        thread::sleep(std::time::Duration::from_secs(600));
        drop(stdin);
    });
    wait_until("the load has stored something", || world.store_bytes() > 3_000_000);
    child
}

fn finish(world: &World) {
    world.ok(&["check"]);
    let before = world.entities();
    let answer = world.json(&["load", "e.jsonl"]);
    assert_eq!(answer["already_there"], before, "what was stored is there");
    assert_eq!(world.entities(), ENTITIES as u64);
    world.ok(&["check"]);
    assert_eq!(world.ok(&["export"]).lines().len(), ENTITIES);
}

#[test]
fn a_killed_load_leaves_whole_batches_and_can_be_run_again() {
    let world = World::new();
    let mut child = load_in_progress(&world);
    child.kill().expect("killed");
    child.wait().expect("gone");
    finish(&world);
}

#[cfg(unix)]
#[test]
fn an_interrupted_load_says_what_is_stored_and_goes_on_the_next_time() {
    let world = World::new();
    let child = load_in_progress(&world);
    let sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill runs");
    assert!(sent.success());
    let run = Run::new(child.wait_with_output().expect("the program ends"));
    let run = run.refuses(130, &["interrupted", "run the same load again"]);
    assert!(run.out.contains(" new, "), "{}", run.out);
    finish(&world);
}
