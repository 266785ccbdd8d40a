//! `restore-files`.

#![cfg(unix)]

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use crate::world::{World, entity};

/// What a file is: its bytes, its permissions, its time.
type Facts = (Vec<u8>, u32, i64, i64);

/// All files below a directory.
fn tree(dir: &Path) -> BTreeMap<PathBuf, Facts> {
    fn walk(dir: &Path, below: &Path, found: &mut BTreeMap<PathBuf, Facts>) {
        for entry in fs::read_dir(dir).expect("a list").flatten() {
            let (path, name) = (entry.path(), below.join(entry.file_name()));
            let metadata = fs::symlink_metadata(&path).expect("metadata");
            if metadata.is_dir() {
                walk(&path, &name, found);
            } else {
                let facts = (
                    fs::read(&path).expect("bytes"),
                    metadata.mode() & 0o7777,
                    metadata.mtime(),
                    metadata.mtime_nsec(),
                );
                found.insert(name, facts);
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(dir, Path::new(""), &mut found);
    found
}

fn odd_tree(world: &World) {
    let names: [&[u8]; 10] = [
        b"plain.txt",
        b"with space",
        b"new\nline",
        b"not-utf8-\xff\xfe",
        b"100%",
        b"%41",
        "größe/ünïcode".as_bytes(),
        b"quote'\"$`",
        b"...",
        b"-rf",
    ];
    for name in names {
        let path = Path::new("in").join(OsStr::from_bytes(name));
        world.write(path, [b"content of ", name].concat());
    }
    world.write("in/deep/er/and/deeper", "");
    world.write("in/script.sh", "#!/bin/sh\n");
    fs::set_permissions(world.path("in/script.sh"), fs::Permissions::from_mode(0o755)).expect("permissions");
    world.write("in/private", "secret");
    fs::set_permissions(world.path("in/private"), fs::Permissions::from_mode(0o400)).expect("permissions");
    let large: Vec<u8> = (0..700_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    world.write("in/large.bin", large);
}

#[test]
fn what_was_imported_comes_back_byte_for_byte_whatever_its_name() {
    let world = World::new();
    odd_tree(&world);
    world.ok(&["import", "in"]);
    let answer = world.json(&["restore-files", "out"]);
    assert_eq!((&answer["written"], &answer["complete"]), (&14.into(), &true.into()), "{answer}");
    assert_eq!(tree(&world.path("in")), tree(&world.path("out")));
    let answer = world.json(&["restore-files", "out"]);
    assert_eq!((&answer["written"], &answer["already_there"]), (&0.into(), &14.into()));
}

#[test]
fn the_newest_version_is_restored_and_a_prefix_is_taken_off() {
    let world = World::new();
    world.write("one/a.txt", "first");
    world.ok(&["import", "one", "--prefix", "p q"]);
    world.write("one/a.txt", "second, longer");
    world.ok(&["import", "one", "--prefix", "p q"]);
    world.write("two/b.txt", "other");
    world.ok(&["import", "two"]);
    world.ok(&["restore-files", "out", "--prefix", "p q"]);
    assert_eq!(tree(&world.path("out")), tree(&world.path("one")));
    world.ok(&["restore-files", "all"]);
    assert_eq!(tree(&world.path("all")).len(), 2);
}

#[test]
fn what_differs_is_replaced_only_by_force_and_conflicts_are_reported() {
    let world = World::new();
    world.write("in/a", "one");
    world.write("in/b", "two");
    world.write("in/c/d", "three");
    world.ok(&["import", "in"]);
    world.write("out/a", "mine");
    fs::create_dir_all(world.path("out/b")).expect("made");
    world.write("out/c", "a file where a directory is needed");
    let run = world.run(&["--json", "restore-files", "out"]).expect_code(1);
    assert_eq!(run.values()[0]["problems"].as_array().map(Vec::len), Some(3), "{}", run.out);
    assert_eq!(world.read("out/a"), "mine");
    world.run(&["restore-files", "out", "--force"]).refuses(1, &["file:b", "file:c/d"]);
    assert_eq!(world.read("out/a"), "one");
}

/// Stores a file under an id of one's own choice.
fn put_file(world: &World, id: &str) {
    world.write("e.json", entity(id, |_| {}));
    world.write("payload", "pwned");
    world.ok(&["put", "e.json", "--file", "payload"]);
}

#[test]
fn no_stored_name_leads_out_of_the_directory() {
    let world = World::new();
    let absolute = format!("file:{}", world.path("absolute").display());
    let evil = [
        "file:../up",
        "file:a/../../up",
        "file:..",
        "file:.",
        "file:/up",
        "file://up",
        "file:a//up",
        "file:a/",
        "file:",
        "file:%2e%2e/up",
        "file:a%2F..%2F..%2Fup",
        "file:nul%00",
        "file:bad%zz",
        "file:nul\u{0}",
        &absolute,
    ];
    for id in evil {
        put_file(&world, id);
    }
    put_file(&world, "file:good/name");
    let before = tree(&world.path("."));
    let run = world.run(&["--json", "restore-files", "out"]).expect_code(1);
    let answer = &run.values()[0];
    assert_eq!(
        (&answer["written"], answer["problems"].as_array().map(Vec::len)),
        (&1.into(), Some(evil.len())),
        "{answer}"
    );
    let restored = tree(&world.path("out"));
    assert_eq!(
        restored.keys().map(|path| path.display().to_string()).collect::<Vec<String>>(),
        ["good/name"]
    );
    let mut after = tree(&world.path("."));
    after.retain(|path, _| !path.starts_with("out"));
    let (before, after): (Vec<_>, Vec<_>) = (before.keys().collect(), after.keys().collect());
    assert_eq!(before, after, "nothing appeared outside");
}

#[test]
fn no_link_in_the_directory_leads_out_of_it() {
    let world = World::new();
    for id in ["file:link/victim", "file:victim-link", "file:a/b/c"] {
        put_file(&world, id);
    }
    world.write("outside/victim", "safe");
    fs::create_dir_all(world.path("out/a")).expect("made");
    symlink(world.path("outside"), world.path("out/link")).expect("a link");
    symlink(world.path("outside/victim"), world.path("out/victim-link")).expect("a link");
    symlink("../../outside", world.path("out/a/b")).expect("a link");
    world.run(&["restore-files", "out"]).expect_code(1);
    world.run(&["restore-files", "out", "--force"]).expect_code(1);
    assert_eq!(world.read("outside/victim"), "safe");
    assert_eq!(fs::read_dir(world.path("outside")).expect("a list").count(), 1);
    assert_eq!(world.read("out/victim-link"), "pwned", "the link itself is replaced by force");
    assert!(fs::symlink_metadata(world.path("out/victim-link")).expect("metadata").is_file());
}

#[test]
fn dangerous_permission_bits_are_not_restored() {
    let world = World::new();
    world.write("in/suid", "x");
    fs::set_permissions(world.path("in/suid"), fs::Permissions::from_mode(0o6755)).expect("permissions");
    world.ok(&["import", "in"]);
    world.ok(&["restore-files", "out"]);
    assert_eq!(fs::metadata(world.path("out/suid")).expect("the file").mode() & 0o7777, 0o755);
}

#[test]
fn entities_whose_file_is_not_in_the_store_are_reported() {
    let world = World::new();
    world.write("in/a", "one");
    world.ok(&["import", "in"]);
    let lines = world.ok(&["export"]).out;
    world.feed(&["--store", "copy", "load", "-"], lines).expect_code(0);
    world.run(&["--store", "copy", "restore-files", "out"]).refuses(1, &["file:a", "not in the store"]);
    world.ok(&["--store", "copy", "import", "in"]);
    world.ok(&["--store", "copy", "restore-files", "out"]);
    assert_eq!(world.read("out/a"), "one");
}

#[test]
fn nothing_is_restored_into_the_store_itself() {
    let world = World::new();
    for id in ["file:STATLAS", "file:log/00000001.seg", "file:00000001.seg", "file:statlas.store/STATLAS"] {
        put_file(&world, id);
    }
    symlink("statlas.store", world.path("link")).expect("a link");
    for dir in ["statlas.store", "statlas.store/log", "statlas.store/new/er", "link", "./x/../statlas.store"]
    {
        let run = world.run(&["restore-files", dir, "--force"]);
        run.refuses(2, &["the store's own directory"]);
    }
    assert!(!world.path("statlas.store/new").exists());
    let run = world.run(&["--json", "restore-files", ".", "--force"]).expect_code(1);
    let problems = &run.values()[0]["problems"];
    assert_eq!(
        (problems.as_array().map(Vec::len), &problems[0]["id"]),
        (Some(1), &"file:statlas.store/STATLAS".into()),
        "{problems}"
    );
    world.ok(&["check"]);
    assert_eq!(world.entities(), 4);
}
