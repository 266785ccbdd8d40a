//! Settings of the store, as options and as environment variables.

use std::process::Stdio;

use crate::world::{Run, World, entity};

/// Runs `stats` with an environment variable.
fn with_variable(world: &World, name: &str, value: &str) -> Run {
    let mut command = world.command(&["--json", "stats"]);
    Run::new(command.env(name, value).stdin(Stdio::null()).output().expect("it runs"))
}

#[test]
fn a_budget_has_a_least_and_is_read_alike_from_option_and_environment() {
    let world = World::new();
    world.feed(&["put", "-"], entity("a", |_| {})).expect_code(0);
    for wrong in ["0", "1", "1KiB", "15MiB"] {
        world.run(&["--memory", wrong, "stats"]).refuses(2, &["--memory", "less than 16MiB"]);
        with_variable(&world, "STATLAS_MEMORY_BYTES_MAX", wrong)
            .refuses(2, &["less than 16MiB", "STATLAS_MEMORY_"]);
    }
    let run = world.run(&["--memory", "1", "stats"]);
    assert!(!run.err.contains("environment"), "{run:?}");
    world.run(&["--memory", "abc", "stats"]).refuses(2, &["does not begin with a number", "256MiB"]);
    world.run(&["--memory", "1.5GiB", "stats"]).refuses(2, &["not a whole number", "256MiB"]);
    for text in ["32MiB", "33554432"] {
        let run = with_variable(&world, "STATLAS_MEMORY_BYTES_MAX", text).expect_code(0);
        assert_eq!(run.values()[0]["memory_bytes_max"], 32 << 20);
        assert_eq!(world.json(&["--memory", text, "stats"])["memory_bytes_max"], 32 << 20);
    }
}

#[test]
fn every_setting_is_an_option_and_a_variable_that_reaches_the_store() {
    let world = World::new();
    let lines = world.ok(&["generate", "--count", "6000"]).out;
    world.feed(&["--memory", "16MiB", "--segment-size", "1MiB", "load", "-"], &lines).expect_code(0);
    assert!(world.json(&["stats"])["segments"].as_u64().is_some_and(|segments| segments > 1));
    for (option, variable, value) in [
        ("--segment-size", "STATLAS_SEGMENT_BYTES", "2MiB"),
        ("--cache", "STATLAS_CACHE_BYTES_MAX", "1MiB"),
        ("--buffer-pool", "STATLAS_BUFFER_POOL_BYTES_MAX", "1MiB"),
        ("--history-revisions", "STATLAS_HISTORY_REVISIONS", "10"),
        ("--background-scrub", "STATLAS_SCRUB_BYTES_PER_SECOND", "1MiB"),
        ("--wait", "STATLAS_WAIT", "1s"),
    ] {
        world.ok(&[option, value, "stats"]);
        with_variable(&world, variable, value).expect_code(0);
        world.run(&[option, "x", "stats"]).refuses(2, &[option]);
        with_variable(&world, variable, "x").refuses(2, &[option, variable]);
        let help = world.ok(&["stats", "--help"]).out;
        assert!(help.contains(option) && help.contains(variable), "{help}");
    }
    let preloaded = world.json(&["--preload", "stats"])["memory"]["index"].as_u64();
    assert!(preloaded.is_some_and(|bytes| bytes > 0), "{preloaded:?}");
    with_variable(&world, "STATLAS_PRELOAD", "true").expect_code(0);
    with_variable(&world, "STATLAS_COMPRESS", "true").expect_code(0);
    world.run(&["--segment-size", "1GiB", "stats"]).refuses(2, &["from 1MiB to 128MiB"]);
}

#[test]
fn history_that_is_kept_is_as_long_as_the_setting_says() {
    for (setting, code) in [(&["--history-revisions", "1"][..], 1), (&[], 0)] {
        let world = World::new();
        let lines = world.ok(&["generate", "--count", "8000"]).out;
        let settings = [&["--memory", "16MiB", "--segment-size", "1MiB"], setting].concat();
        world.feed(&[&settings[..], &["load", "-"]].concat(), &lines).expect_code(0);
        let names: String = lines.lines().take(3000).map(|line| id_on(line) + "\n").collect();
        world.feed(&[&settings[..], &["rm", "-"]].concat(), names).expect_code(0);
        world.ok(&[&settings[..], &["compact", "--garbage", "0"]].concat());
        // What was compacted away can't be listed.
        world.run(&["watch"]).expect_code(code);
    }
}

/// The id on a line of JSON.
fn id_on(line: &str) -> String {
    let value: serde_json::Value = serde_json::from_str(line).expect("JSON");
    value["id"].as_str().expect("an id").to_owned()
}

#[test]
fn locations_that_are_no_path_are_refused_and_make_nothing() {
    let world = World::new();
    for url in ["http://host/store", "s3://bucket", "file:///tmp/x"] {
        let run = world.feed(&["--store", url, "put", "-"], entity("a", |_| {}));
        run.refuses(2, &["`memory:`, `disk:PATH` or a path"]);
    }
    assert!(std::fs::read_dir(world.path("")).expect("a directory").next().is_none());
}

#[cfg(unix)]
#[test]
fn a_store_may_lie_at_a_path_that_is_no_text() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    let world = World::new();
    let path = OsStr::from_bytes(b"st\xffre");
    world.write("a.json", entity("a", |_| {}));
    world.ok(&[OsStr::new("--store"), path, OsStr::new("put"), OsStr::new("a.json")]);
    assert!(world.path(path).join("STATLAS").exists());
    let disk = OsStr::from_bytes(b"disk:st\xffre");
    let run = world.ok(&[OsStr::new("--store"), disk, OsStr::new("get"), OsStr::new("a")]);
    assert!(run.out.contains("\"id\":\"a\""), "{run:?}");
}
