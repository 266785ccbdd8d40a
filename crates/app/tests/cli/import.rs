//! `import`.

use std::fs;

use serde_json::Value;

use crate::world::World;

fn counts(answer: &Value) -> [u64; 3] {
    ["new", "changed", "unchanged"].map(|name| answer[name].as_u64().expect("a count"))
}

fn problems(answer: &Value) -> Vec<(String, String)> {
    let text = |problem: &Value, name: &str| problem[name].as_str().expect("text").to_owned();
    let all = answer["problems"].as_array().expect("a list");
    all.iter().map(|problem| (text(problem, "kind"), text(problem, "path"))).collect()
}

#[test]
fn a_second_import_takes_only_what_changed() {
    let world = World::new();
    world.write("in/a.txt", "one");
    world.write("in/b/c.rs", "two");
    world.write("in/b/d", "");
    assert_eq!(counts(&world.json(&["import", "in"])), [3, 0, 0]);
    assert_eq!(counts(&world.json(&["import", "in"])), [0, 0, 3]);
    world.write("in/a.txt", "one, changed");
    world.write("in/new", "new");
    assert_eq!(counts(&world.json(&["import", "in"])), [1, 1, 2]);
    assert_eq!(world.ok(&["--json", "history", "file:a.txt"]).values().len(), 2);
    assert_eq!(world.entities(), 5);
    let bytes = world.store_bytes();
    assert_eq!(counts(&world.json(&["import", "in"])), [0, 0, 4]);
    assert!(world.store_bytes() < bytes + 4096, "nothing much is written for nothing");
}

#[test]
fn files_that_were_settled_are_not_even_read_again() {
    let world = World::new();
    let file = world.write("in/a.txt", "one");
    let long_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(3600);
    fs::File::options().write(true).open(&file).expect("the file").set_modified(long_ago).expect("a time");
    // The time of the last change of the inode can't be set: it is now, and must be past.
    std::thread::sleep(std::time::Duration::from_millis(200));
    assert_eq!(world.json(&["import", "in"])["bytes_read"], 3);
    assert_eq!(world.json(&["import", "in"])["bytes_read"], 0);
}

#[test]
fn content_that_goes_back_to_what_it_was_is_the_newest_version_again() {
    let world = World::new();
    let file = world.path("in/a.txt");
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_700_000_000);
    let set = |content: &str| {
        world.write("in/a.txt", content);
        fs::File::options().write(true).open(&file).expect("the file").set_modified(time).expect("a time");
    };
    for (content, versions) in [("one", 1), ("two", 2), ("one", 3), ("one", 3), ("two", 4), ("two", 4)] {
        set(content);
        world.ok(&["import", "in"]);
        assert_eq!(world.ok(&["--json", "history", "file:a.txt"]).values().len(), versions, "{content}");
        assert_eq!(world.ok(&["get", "--file", "-", "file:a.txt"]).out, content);
    }
}

#[test]
fn a_removed_entity_is_taken_again() {
    let world = World::new();
    world.write("in/a.txt", "one");
    world.ok(&["import", "in"]);
    world.ok(&["rm", "file:a.txt"]);
    assert_eq!(counts(&world.json(&["import", "in"])), [1, 0, 0]);
}

#[test]
fn the_mapping_is_documented_and_can_be_overridden() {
    let world = World::new();
    world.write("in/src/main.rs", "fn main() {}\n");
    world.ok(&["import", "in"]);
    let run = world.ok(&["get", "file:src/main.rs"]);
    let entity = &run.values()[0];
    let coordinates = &entity["coordinates"];
    assert_eq!((&entity["realm"], &coordinates["realm"]), (&"faculty".into(), &"faculty".into()));
    assert_eq!((&entity["entity_type"], &coordinates["lineage"]), (&"artifact".into(), &2.into()));
    assert_eq!(
        (&coordinates["adjacency"][0], &coordinates["horizon"]),
        (&"dir:src".into(), &"emergence".into())
    );
    assert_eq!((&entity["state"]["bytes"], &entity["state"]["sha256"]), (&13.into(), &entity["blob"]));
    let of_directory = world.ok(&["--json", "find", "--adjacent", "dir:src"]);
    assert_eq!(of_directory.values().len(), 1);

    let flags = [
        "import",
        "in",
        "--prefix",
        "p/100%",
        "--profile",
        "fractalstat",
        "--realm",
        "event",
        "--entity-type",
        "agent",
        "--horizon",
        "decay",
        "--lineage",
        "9",
        "--luminosity",
        "12.5",
        "--polarity",
        "chaos",
        "--dimensionality",
        "3",
        "--alignment",
        "HARMONIC",
    ];
    world.ok(&flags);
    let run = world.ok(&["get", "file:p/100%25/src/main.rs"]);
    let entity = &run.values()[0];
    let expected = serde_json::json!({
        "realm": "event", "lineage": 9, "adjacency": ["dir:p/100%25/src"], "horizon": "decay", "luminosity": 12.5,
        "polarity": "CHAOS", "dimensionality": 3, "alignment": "HARMONIC",
    });
    assert_eq!((&entity["coordinates"], &entity["entity_type"]), (&expected, &"agent".into()));
    world.run(&["import", "in", "--luminosity", "5"]).refuses(2, &["--luminosity", "--profile"]);
    world.run(&["import", "in", "--resonance", "-1.5"]).refuses(2, &["--resonance", "-1.5"]);
    world.run(&["import", "in", "--prefix", "../x"]).refuses(2, &["--prefix"]);
}

#[test]
fn flags_that_would_break_the_rules_of_versions_are_refused_for_each_file() {
    let world = World::new();
    world.write("in/a.txt", "one");
    world.write("in/b.txt", "two");
    world.ok(&["import", "in"]);
    world.write("in/a.txt", "one, changed");
    world.write("in/b.txt", "two, changed");
    world.write("in/c.txt", "three");
    let run = world.run(&["--json", "import", "in", "--realm", "void"]).expect_code(1);
    let answer = &run.values()[0];
    assert_eq!(counts(answer), [1, 0, 0]);
    assert_eq!(
        problems(answer),
        [("refused".to_owned(), "a.txt".to_owned()), ("refused".into(), "b.txt".into())]
    );
    assert!(
        answer["problems"][0]["cause"].as_str().is_some_and(|cause| cause.contains("mutability")),
        "{answer}"
    );
    // Without the flag, the file that was stored with it is the one that is refused.
    let run = world.run(&["--json", "import", "in"]).expect_code(1);
    let answer = &run.values()[0];
    assert_eq!(counts(answer), [0, 2, 0]);
    assert_eq!(problems(answer), [("refused".to_owned(), "c.txt".to_owned())]);
}

#[test]
fn the_store_inside_the_directory_is_left_out() {
    let world = World::new();
    world.write("a.txt", "one");
    let answer = world.json(&["import", "."]);
    assert_eq!(counts(&answer), [1, 0, 0]);
    assert_eq!(problems(&answer), [("store".to_owned(), "statlas.store".to_owned())]);
}

#[test]
fn what_is_no_directory_is_refused_and_makes_no_store() {
    let world = World::new();
    world.write("file", "one");
    world.run(&["import", "nowhere"]).refuses(1, &["nowhere"]);
    world.run(&["import", "file"]).refuses(2, &["no directory"]);
    assert!(!world.path("statlas.store").exists());
}

#[cfg(unix)]
#[test]
fn links_pipes_and_sockets_are_counted_and_left_out() {
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;
    let world = World::new();
    world.write("outside/secret", "secret");
    world.write("in/a.txt", "one");
    symlink(world.path("outside"), world.path("in/dir-link")).expect("a link");
    symlink(world.path("outside/secret"), world.path("in/file-link")).expect("a link");
    symlink("..", world.path("in/up")).expect("a link");
    let _socket = UnixListener::bind(world.path("in/socket")).expect("a socket");
    let made = std::process::Command::new("mkfifo").arg(world.path("in/pipe")).status().expect("mkfifo runs");
    assert!(made.success());
    let answer = world.json(&["import", "in"]);
    assert_eq!(counts(&answer), [1, 0, 0]);
    let expected = [
        ("symlink", "dir-link"),
        ("symlink", "file-link"),
        ("special", "pipe"),
        ("special", "socket"),
        ("symlink", "up"),
    ];
    let expected: Vec<(String, String)> =
        expected.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
    assert_eq!(problems(&answer), expected);
    let run = world.ok(&["import", "in"]);
    assert!(run.err.contains("3: symbolic links") && run.err.contains("dir-link"), "{}", run.err);
    assert!(!world.ok(&["export"]).out.contains("secret"));
}

/// Files of /proc say that they are empty and are not: to a reader, they change all the time.
#[cfg(target_os = "linux")]
#[test]
fn files_that_change_while_they_are_read_are_reported() {
    let world = World::new();
    let run = world.run(&["--json", "import", "/proc/sys/kernel/random"]).expect_code(1);
    let answer = &run.values()[0];
    assert!(problems(answer).contains(&("changed".to_owned(), "uuid".to_owned())), "{answer}");
    assert!(run.error()["message"].as_str().is_some_and(|message| message.contains("could not be taken")));
}

#[cfg(unix)]
#[test]
fn files_that_cannot_be_read_are_reported_and_the_others_stored() {
    use std::os::unix::fs::PermissionsExt;
    let world = World::new();
    world.write("in/a.txt", "one");
    let locked = world.write("in/locked", "two");
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o000)).expect("permissions");
    if fs::read(&locked).is_ok() {
        // Root reads everything.
        return;
    }
    let run = world.run(&["--json", "import", "in"]).expect_code(1);
    let answer = &run.values()[0];
    assert_eq!(counts(answer), [1, 0, 0]);
    assert_eq!(problems(answer), [("unreadable".to_owned(), "locked".to_owned())]);
}

#[test]
fn paths_too_long_for_an_id_are_reported() {
    let world = World::new();
    let deep: String = (0..6).map(|_| format!("{}/", "d".repeat(200))).collect();
    let mut dir = world.path("in");
    fs::create_dir(&dir).expect("made");
    for name in deep.split('/').filter(|name| !name.is_empty()) {
        dir.push(name);
        fs::create_dir(&dir).expect("made");
    }
    world.write("in/a.txt", "one");
    let run = world.run(&["--json", "import", "in"]).expect_code(1);
    let answer = &run.values()[0];
    assert_eq!(counts(answer), [1, 0, 0]);
    assert_eq!(problems(answer).len(), 1);
    assert_eq!(problems(answer)[0].0, "refused");
}

#[test]
fn a_file_that_never_stops_growing_is_reported_as_changed() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let world = World::new();
    let file = fs::File::create(world.write("in/growing", "")).expect("the file");
    // Holes take no space.
    file.set_len(4 << 20).expect("a length");
    let done = AtomicBool::new(false);
    let run = std::thread::scope(|scope| {
        scope.spawn(|| {
            // Faster than it can be read, for much longer than an import takes.
            for step in 2..10_000 {
                if done.load(Ordering::Relaxed) {
                    return;
                }
                file.set_len(step * (2 << 20)).expect("a length");
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
            panic!("the file was read for as long as it grew");
        });
        let run = world.run(&["--json", "import", "in"]);
        done.store(true, Ordering::Relaxed);
        run
    });
    let run = run.expect_code(1);
    assert_eq!(problems(&run.values()[0]), [("changed".to_owned(), "growing".to_owned())]);
}

#[test]
fn other_flags_on_a_second_run_are_not_ignored() {
    let world = World::new();
    let file = world.write("in/a.txt", "one");
    let long_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(3600);
    fs::File::options().write(true).open(&file).expect("the file").set_modified(long_ago).expect("a time");
    for settled in [false, true] {
        // Once with a file that is read in any case, once with one that is not.
        std::thread::sleep(std::time::Duration::from_millis(if settled { 200 } else { 0 }));
        world.ok(&["import", "in"]);
        for flags in [
            ["--realm", "void"],
            ["--entity-type", "agent"],
            ["--lineage", "9"],
            ["--profile", "fractalstat"],
        ] {
            let run = world.run(&["--json", "import", "in", flags[0], flags[1]]).expect_code(1);
            assert_eq!(problems(&run.values()[0]), [("refused".to_owned(), "a.txt".to_owned())], "{flags:?}");
        }
        let flags = ["import", "in", "--horizon", "decay"];
        assert_eq!(counts(&world.json(&flags)), [0, 1, 0]);
        assert_eq!(counts(&world.json(&flags)), [0, 0, 1]);
        assert_eq!(world.ok(&["get", "file:a.txt"]).values()[0]["coordinates"]["horizon"], "decay");
        assert_eq!(counts(&world.json(&["import", "in"])), [0, 1, 0]);
        assert_eq!(counts(&world.json(&["import", "in", "--profile", "stat7"])), [0, 0, 1]);
    }
}

#[test]
fn a_damaged_chunk_is_mended_by_importing_its_file_again_and_new_files_are_stored() {
    let world = World::new();
    let large: Vec<u8> =
        (0..700_000_u32).flat_map(|n| (n.wrapping_mul(2_654_435_761) >> 7).to_le_bytes()).collect();
    world.write("in/large.bin", &large);
    world.ok(&["import", "in"]);
    world.damage(&large[1_400_000..1_400_064]);
    world.write("in/a.txt", "one");
    world.write("in/large.bin", [&large[..], b"more"].concat());
    let run = world.run(&["--json", "import", "in"]).expect_code(0);
    let answer = &run.values()[0];
    assert_eq!(counts(answer), [1, 1, 0]);
    assert_eq!(problems(answer), Vec::new());
    world.ok(&["get", "--file", "out", "file:large.bin"]);
    assert_eq!(fs::read(world.path("out")).expect("the file").len(), large.len() + 4);
}
