//! What keeps a store sound: `check --quick`, `scrub`, `repair` and `verify-history`.

use std::fs;

use serde_json::Value;

use crate::world::{World, entity};

/// A store with a few entities, each of a commit of its own.
fn world() -> World {
    let world = World::new();
    for id in ["first", "second", "third"] {
        world.feed(&["put", "-"], entity(id, |_| {})).expect_code(0);
    }
    world
}

fn head(world: &World) -> String {
    world.json(&["stats"])["head"].as_str().expect("a head").to_owned()
}

#[test]
fn a_noted_head_proves_the_history_and_another_refutes_it() {
    let world = world();
    let noted = head(&world);
    assert!(noted.starts_with("3:"), "{noted}");
    assert!(world.ok(&["stats"]).out.contains(&noted), "people can copy it, too");
    world.feed(&["put", "-"], entity("fourth", |_| {})).expect_code(0);
    let run = world.ok(&["verify-history", "--head", &noted]);
    assert!(run.out.starts_with("proved: revisions 4 to 4 "), "{run:?}");
    let answer = world.json(&["verify-history"]);
    assert_eq!(
        (&answer["outcome"], &answer["from"], &answer["to"]),
        (&"consistent".into(), &0.into(), &4.into()),
        "nothing that was noted elsewhere was compared"
    );
    let run = world.ok(&["verify-history"]);
    assert!(run.out.starts_with("consistent: revisions 1 to 4 ") && !run.out.contains("proved:"), "{run:?}");
    assert_eq!(world.json(&["verify-history", "--head", &noted])["outcome"], "proved");
    assert_eq!(answer["head"], head(&world).as_str());

    let other = format!("3:{}", "ab".repeat(32));
    world.run(&["verify-history", "--head", &other]).refuses(4, &["refuted", "revision 3"]);
    let run = world.run(&["--json", "verify-history", "--head", &other]).expect_code(4);
    assert_eq!((&run.values()[0]["outcome"], &run.values()[0]["broken_at"]), (&"refuted".into(), &3.into()));
    let later = format!("9{noted}");
    world.run(&["verify-history", "--head", &later]).refuses(4, &["ends at revision 4"]);
    for wrong in ["", "3", "3:abcd"] {
        world.run(&["verify-history", "--head", wrong]).refuses(2, &["--head"]);
    }
    world.damage(br#""id":"second""#);
    world.run(&["verify-history"]).refuses(4, &["revision 2", "damaged"]);
    world.ok(&["verify-history", "--head", &noted]);
}

#[test]
fn a_damaged_store_is_saved_into_a_fresh_one() {
    let world = world();
    world.write("in/a.txt", "one");
    world.ok(&["import", "in"]);
    let sound = world.json(&["repair", "--to", "copy"]);
    assert_eq!((&sound["complete"], &sound["entities"]), (&true.into(), &world.entities().into()));
    world.ok(&["--store", "copy", "check"]);
    let export = |store: &str| {
        let mut lines: Vec<String> =
            world.ok(&["--store", store, "export"]).lines().iter().map(|line| (*line).to_owned()).collect();
        lines.sort();
        lines
    };
    assert_eq!(export("copy"), export("statlas.store"));

    world.damage(br#""id":"second""#);
    fs::remove_file(world.path("statlas.store/STATLAS")).expect("it is there");
    world.run(&["stats"]).refuses(4, &["STATLAS is missing beside its log", "statlas repair"]);
    let address = world.feed(&["address"], entity("second", |_| {})).out;
    let run = world.run(&["repair", "--to", "saved"]).refuses(4, &["1 thing is lost"]);
    assert!(run.out.contains(address.trim()), "{run:?}");
    let run = world.run(&["--json", "repair", "--to", "again"]).expect_code(4);
    let report = &run.values()[0];
    assert_eq!(report["complete"], false);
    assert!(report["lost"][0].as_str().is_some_and(|line| line.contains(address.trim())), "{report}");
    assert_eq!(
        report["notes"].as_array().map(Vec::len),
        Some(1),
        "the missing file STATLAS is noted: {report}"
    );
    world.ok(&["--store", "saved", "check"]);
    world.ok(&["--store", "saved", "get", "first"]);
    world.run(&["--store", "saved", "get", "second"]).expect_code(3);
    assert_eq!(world.ok(&["--store", "saved", "find", "--count"]).out.trim(), "3");
    // Never over something that is there.
    world.run(&["repair", "--to", "saved"]).refuses(1, &["new or empty"]);
    world.run(&["--store", "nowhere", "repair", "--to", "new"]).refuses(1, &["no store is here"]);
    world.run(&["--store", "memory:", "repair", "--to", "new"]).refuses(2, &["directory"]);
    assert!(!world.path("new").exists());
}

#[test]
fn scrubbing_goes_on_where_it_stopped_and_stats_show_how_far_it_is() {
    let world = World::new();
    let lines = world.ok(&["generate", "--count", "2000"]).out;
    world.feed(&["load", "-"], &lines).expect_code(0);
    assert_eq!(world.json(&["stats"])["scrub"], Value::Null);
    let first = world.json(&["scrub", "--rate", "0", "--bytes", "100KiB"]);
    assert_eq!(first["last_pass_ended_ms"], Value::Null);
    assert_eq!(world.json(&["stats"])["scrub"]["last_pass_ended_ms"], Value::Null);
    assert_eq!(first["pass_complete"], false);
    let percent = first["position_percent"].as_u64().expect("a number");
    assert!((1..100).contains(&percent), "{first}");
    assert_eq!(world.json(&["stats"])["scrub"]["position_percent"], percent);
    assert!(world.ok(&["stats"]).out.contains(&format!("at {percent} %")));
    let rest = world.json(&["scrub", "--for", "1h"]);
    assert_eq!((&rest["pass_complete"], &rest["damage"]), (&true.into(), &Value::Array(Vec::new())));
    let read = |answer: &Value| answer["bytes"].as_u64().expect("a number");
    assert_eq!(
        read(&first) + read(&rest),
        fs::metadata(world.path("statlas.store/log/00000001.seg")).expect("a file").len()
    );
    assert!(world.ok(&["stats"]).out.contains("s ago"));

    let never = world.run(&["scrub", "--bytes", "0"]).refuses(2, &["--bytes", "above 0"]);
    assert_eq!(never.out, "");
    world.damage(b"note-0m0");
    let run = world.run(&["scrub"]).refuses(4, &["1 place is damaged", "statlas repair"]);
    assert!(run.out.contains("offset") && run.out.contains("the pass is complete"), "{run:?}");
    assert_eq!(world.json(&["stats"])["scrub"]["damage"], 1);
    for wrong in [&["scrub", "--for", "1"][..], &["scrub", "--for", "0s"], &["scrub", "--rate", "fast"]] {
        world.run(wrong).expect_code(2);
    }
}

#[test]
fn files_that_nothing_names_any_more_are_removed() {
    let world = World::new();
    world.write("in/small.txt", "small");
    world.write("in/kept.txt", "kept");
    let large: Vec<u8> = (0..500_000_u32).flat_map(|n| n.wrapping_mul(n).to_le_bytes()).collect();
    world.write("in/large.bin", &large);
    world.ok(&["import", "in"]);
    let counts = |answer: &Value| ["blobs", "large_files", "chunks"].map(|name| answer[name].as_u64());
    assert_eq!(counts(&world.json(&["free-blobs"])), [Some(0); 3]);
    world.ok(&["rm", "file:small.txt"]);
    world.ok(&["rm", "file:large.bin"]);
    let planned = world.json(&["free-blobs", "--dry-run"]);
    assert_eq!(
        (&planned["dry_run"], &planned["blobs"], &planned["large_files"]),
        (&true.into(), &1.into(), &1.into())
    );
    assert!(planned["chunks"].as_u64().is_some_and(|chunks| chunks > 1), "{planned}");
    assert_eq!(
        world.json(&["stats"])["blobs"].as_u64(),
        counts(&planned).into_iter().sum::<Option<u64>>().map(|n| n + 1)
    );
    let freed = world.json(&["free-blobs", "--compact", "--rate", "1GiB"]);
    assert_eq!((counts(&freed), &freed["bytes"]), (counts(&planned), &planned["bytes"]));
    assert_eq!((&freed["dry_run"], &freed["complete"]), (&false.into(), &true.into()));
    assert_eq!(world.json(&["stats"])["blobs"], 1);
    world.ok(&["check"]);
    // What is freed is taken again.
    let again = world.json(&["import", "in"]);
    assert_eq!(again["files"], 3);
    world.ok(&["restore-files", "out"]);
    assert_eq!(fs::read(world.path("out/large.bin")).expect("it is there"), large);
    assert_eq!(world.read("out/small.txt"), "small");

    world.ok(&["rm", "file:small.txt"]);
    let run = world.ok(&["free-blobs"]);
    assert!(run.out.starts_with("removed 1 small file, 0 large files and 0 chunks, "), "{run:?}");
    world.run(&["free-blobs", "--dry-run", "--compact"]).expect_code(2);
    world.damage(b"kept.txt");
    world.run(&["free-blobs"]).expect_code(4);
}

#[test]
fn a_quick_check_says_what_it_did_not_read() {
    let world = world();
    let run = world.ok(&["check", "--quick"]);
    assert!(run.out.starts_with("sound: "), "{run:?}");
    assert_eq!(
        world.json(&["check", "--quick"])["bytes_unread"],
        0,
        "there is one file, and it is being written"
    );
    assert_eq!(world.json(&["check"])["bytes_unread"], 0);
    world.damage(br#""id":"second""#);
    world.run(&["check", "--quick"]).refuses(4, &["damaged"]);
}

#[test]
fn a_store_that_lost_its_file_statlas_is_known_for_what_it_is() {
    let world = world();
    world.ok(&["scrub"]);
    fs::remove_file(world.path("statlas.store/STATLAS")).expect("it is there");
    let said = ["STATLAS is missing beside its log", "statlas repair"];
    world.run(&["stats"]).refuses(4, &said);
    world.feed(&["put", "-"], entity("fourth", |_| {})).refuses(4, &said);
    let run = world.run(&["check"]).refuses(4, &said);
    assert!(!run.err.contains("make a store where nothing is"), "{run:?}");
    world.ok(&["repair", "--to", "saved"]);
}

#[test]
fn one_flipped_bit_is_one_damaged_place() {
    let world = world();
    world.damage(br#""id":"second""#);
    let run = world.run(&["check"]).refuses(4, &["1 place is damaged"]);
    assert_eq!(run.out.lines().filter(|line| line.contains("offset")).count(), 1, "{run:?}");
    world.run(&["check", "--quick"]).refuses(4, &["1 place is damaged"]);
    assert_eq!(world.json(&["stats"])["damage"].as_array().map(Vec::len), Some(1));
}

#[test]
fn scrubbing_keeps_to_its_time_however_slow_it_is() {
    let world = world();
    // A frame would take minutes at this rate.
    let answer = world.json(&["scrub", "--rate", "1", "--for", "1s"]);
    assert_eq!(answer["pass_complete"], false);
}

#[test]
fn what_the_store_could_not_do_by_itself_stands_in_its_figures() {
    let world = world();
    assert_eq!(world.json(&["stats"]).get("maintenance_error"), Some(&Value::Null));
    assert!(!world.ok(&["stats"]).out.contains("maintenance failed"));
}

#[test]
fn a_damaged_backup_can_be_saved_and_an_interrupted_repair_is_no_store() {
    let world = world();
    world.ok(&["backup", "kept"]);
    let copy =
        fs::read_dir(world.path("kept/log")).expect("a backup").flatten().next().expect("a file").path();
    let mut bytes = fs::read(&copy).expect("it is there");
    let needle = br#""id":"second""#;
    let at = bytes.windows(needle.len()).position(|window| window == needle).expect("it is in the log");
    bytes[at] ^= 1;
    fs::write(&copy, bytes).expect("written");
    let hint = "statlas repair --from kept --to DIR";
    world.run(&["--store", "new", "restore", "kept"]).refuses(4, &["offset", hint]);
    assert!(!world.path("new").exists());
    let run = world.run(&["repair", "--from", "kept", "--to", "new", "--memory", "32MiB"]);
    run.refuses(4, &["1 thing is lost"]);
    world.ok(&["--store", "new", "check"]);
    world.ok(&["--store", "new", "get", "third"]);
    // What a killed repair leaves.
    fs::rename(world.path("new/STATLAS"), world.path("new/REPAIRING")).expect("it is a store");
    world.run(&["--store", "new", "check"]).refuses(1, &["statlas repair", "did not get to its end"]);
    let run = world.run(&["repair", "--from", "kept", "--to", "new"]).refuses(4, &["1 thing is lost"]);
    assert!(run.out.contains("noted: ") && run.out.contains("interrupted"), "{run:?}");
    world.ok(&["--store", "new", "check"]);
    world.run(&["--store", "kept/inside", "restore", "kept"]).refuses(1, &["inside the backup"]);
}
