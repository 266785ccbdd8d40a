//! `backup` and `restore`.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use crate::world::{Run, World, entity};

/// Generated entities with ids of their own.
fn load(world: &World, count: usize, seed: usize) {
    let (count, seed) = (count.to_string(), seed.to_string());
    let lines = world.ok(&["generate", "--count", &count, "--seed", &seed]).out;
    world.feed(&["load", "-"], lines).expect_code(0);
}

fn flip(path: &Path) {
    let mut bytes = fs::read(path).expect("a file");
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
    fs::write(path, bytes).expect("written");
}

fn copies(world: &World, backup: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(world.path(backup).join("log")).expect("a list").flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

#[test]
fn a_restored_store_is_the_one_that_was_backed_up() {
    let world = World::new();
    load(&world, 200, 1);
    let first = world.json(&["backup", "copy"]);
    assert_eq!((&first["sound"], &first["files_copied"]), (&true.into(), &first["files"]), "{first}");
    let again = world.json(&["backup", "copy"]);
    // Every command closes the store, and notes that at the end of the log.
    assert_eq!((&again["revision"], &again["chain_head"]), (&first["revision"], &first["chain_head"]));
    load(&world, 300, 2);
    let last = world.json(&["backup", "copy"]);
    let verified = world.json(&["--store", "nowhere", "backup", "copy", "--verify"]);
    let restored = world.json(&["--store", "new", "restore", "copy"]);
    let checked = world.json(&["--store", "new", "check"]);
    for answer in [&verified, &restored, &checked, &world.json(&["check"])] {
        assert_eq!(
            (&answer["sound"], &answer["chain_head"]),
            (&true.into(), &last["chain_head"]),
            "{answer}"
        );
        assert_eq!(answer["entities"], 500);
    }
    assert_eq!(verified["revision"], last["revision"]);
    assert_eq!(world.ok(&["export"]).out, world.ok(&["--store", "new", "export"]).out);
    assert!(!world.path("nowhere").exists());
    let said = world.ok(&["--store", "newer", "restore", "copy"]).out;
    assert!(said.starts_with("sound: restored revision") && said.contains("500 entities"), "{said}");
    let said = world.ok(&["--store", "new", "backup", "copy"]).out;
    assert!(said.starts_with("backed up revision"), "the store goes on where it was: {said}");
}

#[test]
fn damage_of_a_backup_is_code_4_and_nothing_is_restored() {
    let world = World::new();
    load(&world, 50, 1);
    world.ok(&["backup", "copy"]);
    let mut files = copies(&world, "copy");
    files.push(world.path("copy/BACKUP"));
    for file in files {
        let sound = fs::read(&file).expect("a file");
        flip(&file);
        world.run(&["backup", "copy", "--verify"]).refuses(4, &["damaged"]);
        world.run(&["--store", "new", "restore", "copy"]).expect_code(4);
        let error = world.run(&["--json", "--store", "new", "restore", "copy"]).expect_code(4).error();
        assert_eq!(error["kind"], "corrupt");
        assert!(!world.path("new").exists());
        fs::write(&file, sound).expect("written");
    }
    world.ok(&["--store", "new", "restore", "copy"]);
}

#[test]
fn a_damaged_store_is_backed_up_with_code_4() {
    let world = World::new();
    for id in ["one", "two", "three"] {
        world.write("e.json", entity(id, |_| {}));
        world.ok(&["put", "e.json"]);
    }
    world.damage(b"\"two\"");
    world.run(&["backup", "strict", "--strict"]).refuses(4, &["segment 1 offset"]);
    world.run(&["--store", "new", "restore", "strict"]).refuses(1, &["no backup"]);
    let run = world.run(&["--json", "backup", "copy"]).expect_code(4);
    let answer = &run.values()[0];
    assert_eq!((&answer["sound"], answer["damage"].is_array()), (&false.into(), true), "{answer}");
    world.run(&["--store", "new", "restore", "copy", "--strict"]).expect_code(4);
    assert!(!world.path("new").exists());
    world.run(&["--store", "new", "restore", "copy"]).refuses(4, &["was damaged when"]);
    world.ok(&["--store", "new", "get", "three"]);
    world.run(&["--store", "new", "get", "two"]).expect_code(4);
}

#[test]
fn what_is_there_already_is_not_replaced() {
    let world = World::new();
    load(&world, 10, 1);
    world.ok(&["backup", "copy"]);
    world.write("full/mine", "x");
    world.run(&["backup", "full"]).refuses(1, &["other files"]);
    world.run(&["backup", "statlas.store/copy"]).refuses(1, &["inside the store"]);
    world.run(&["--store", "full", "restore", "copy"]).refuses(1, &["something is here"]);
    world.run(&["restore", "copy"]).refuses(1, &["a store is here"]);
    world.run(&["--store", "new", "restore", "full"]).refuses(1, &["no backup is here"]);
    world.run(&["--store", "memory:", "restore", "copy"]).refuses(2, &["--store"]);
    world.run(&["--store", "memory:", "backup", "other"]).refuses(1, &["no backup"]);
    world.run(&["--store", "copy", "stats"]).refuses(1, &["statlas restore"]);
    world.run(&["--store", "copy", "quickstart"]).expect_code(1);
    let line = entity("other", |_| {});
    world.feed(&["--store", "other", "load", "-"], line).expect_code(0);
    world.run(&["--store", "other", "backup", "copy"]).refuses(1, &["another store"]);
    world.ok(&["backup", "copy", "--verify"]);
    assert_eq!(world.read("full/mine"), "x");
}

#[cfg(unix)]
#[test]
fn ctrl_c_leaves_the_old_backup_or_the_new_one() {
    let world = World::new();
    load(&world, 1000, 1);
    let mut old = world.json(&["backup", "copy"])["revision"].clone();
    for (round, wait) in [0, 2, 5, 10, 20, 40, 80].into_iter().enumerate() {
        load(&world, 20_000, round + 2);
        let child = world.start(&["backup", "copy"]);
        thread::sleep(Duration::from_millis(wait));
        let id = child.id().to_string();
        let killed = std::process::Command::new("kill").args(["-INT", &id]).status().expect("kill runs");
        let run = Run::new(child.wait_with_output().expect("it ends"));
        // Without a code the signal came before the program was ready for it.
        assert!(matches!(run.code, Some(0 | 130) | None), "{run:?}, {killed}");
        let verified = world.json(&["backup", "copy", "--verify"]);
        let new = world.json(&["stats"])["revision"].clone();
        assert!(
            verified["revision"] == new || (run.code != Some(0) && verified["revision"] == old),
            "{run:?}"
        );
        if run.code == Some(130) {
            assert!(run.err.contains("is whole"), "{run:?}");
        }
        old = verified["revision"].clone();
    }
    world.ok(&["backup", "copy"]);
    world.ok(&["--store", "new", "restore", "copy"]);
}
