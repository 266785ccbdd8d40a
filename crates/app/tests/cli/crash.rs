//! Processes that are killed or interrupted in the middle of their work.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};
use std::thread;

#[cfg(unix)]
use crate::world::interrupt;
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

#[cfg(unix)]
#[test]
fn an_export_that_is_interrupted_leaves_no_file_and_says_so() {
    let world = World::new();
    world.feed(&["load", "-"], world.ok(&["generate", "--count", "60000"]).out).expect_code(0);
    let export = world.start(&["export", "--out", "e.jsonl"]);
    wait_until("the export has begun", || temporary(&world).is_some());
    interrupt(&export);
    let run = Run::new(export.wait_with_output().expect("it ends"));
    if run.code == Some(130) {
        assert!(run.err.starts_with("interrupted: e.jsonl was not written"), "{run:?}");
        assert!(!world.path("e.jsonl").exists());
    } else {
        // It was faster.
        run.expect_code(0);
    }
    assert_eq!(temporary(&world), None);
}

/// The temporary file of an export.
#[cfg(unix)]
fn temporary(world: &World) -> Option<std::ffi::OsString> {
    let entries = std::fs::read_dir(world.path("")).expect("a directory").flatten();
    let mut names = entries.map(|entry| entry.file_name());
    names.find(|name| name.to_string_lossy().starts_with(".e.jsonl."))
}

#[cfg(unix)]
#[test]
fn commands_that_only_read_say_that_they_were_interrupted() {
    let world = World::new();
    world.feed(&["load", "-"], world.ok(&["generate", "--count", "1000"]).out).expect_code(0);
    for (command, said) in [("check", "not known to be sound"), ("verify-history", "nothing is proved")] {
        // It waits for the store, and so it is there to be interrupted.
        let mut holder = world.start(&["load", "-"]);
        wait_until("the store is open", || world.run(&["--wait", "0", "stats"]).code == Some(5));
        let mut waiting = world.start(&["--wait", "10m", command]);
        let mut stderr = BufReader::new(waiting.stderr.take().expect("a pipe"));
        stderr.read_line(&mut String::new()).expect("it waits");
        interrupt(&waiting);
        let code = waiting.wait().expect("it ends").code();
        let mut rest = String::new();
        stderr.read_to_string(&mut rest).expect("text");
        assert!(
            code == Some(130) && rest.starts_with("interrupted: ") && rest.contains(said),
            "{code:?} {rest}"
        );
        drop(holder.stdin.take());
        assert_eq!(holder.wait().expect("it ends").code(), Some(0));
    }
}

#[cfg(unix)]
#[test]
fn a_file_that_may_not_become_larger_is_an_error() {
    let world = World::new();
    world.write("g.jsonl", world.ok(&["generate", "--count", "20000"]).out);
    let program = world.command(&["load", "g.jsonl"]);
    // In blocks of 512 bytes; the log needs more.
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -f 2000 && exec \"$0\" \"$@\""]).arg(program.get_program());
    command.args(program.get_args()).current_dir(world.path("")).stdin(Stdio::null());
    Run::new(command.output().expect("a shell")).refuses(1, &["File too large"]);
    world.ok(&["check"]);
    world.ok(&["load", "g.jsonl"]);
    assert_eq!(world.entities(), 20_000);
}
