//! The commands of the laboratory. No test says how fast anything is.

use serde_json::Value;

use crate::world::World;

/// A workload that is over at once.
const SMALL: &str = r#"
name = "small"
description = "a few lookups and writes"
[data]
entities = 300
[load]
threads = 2
operations = 2000
[mix]
get = 9
put = 1
[[thresholds]]
metric = "errors"
at_most = "0"
"#;

/// The only file in the results whose name ends so.
fn result(world: &World, ending: &str) -> Value {
    let path = only(world, ending);
    serde_json::from_str(&std::fs::read_to_string(path).expect("it can be read")).expect("it is JSON")
}

fn only(world: &World, ending: &str) -> std::path::PathBuf {
    let entries = std::fs::read_dir(world.path("statlas-results")).expect("results are there");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("it can be listed").path()).collect();
    paths.retain(|path| path.to_string_lossy().ends_with(ending));
    assert_eq!(paths.len(), 1, "{paths:?}");
    paths.remove(0)
}

#[test]
fn workloads_are_listed_and_printed_and_what_is_printed_can_be_run() {
    let world = World::new();
    let listed = world.ok(&["workload", "list"]).out;
    for name in ["ycsb-a", "ycsb-f", "lookups", "mixed"] {
        assert!(listed.contains(name), "{listed}");
        let text = world.ok(&["workload", name, "--print"]).out;
        assert!(text.contains(&format!("name = \"{name}\"")), "{text}");
    }
    let names = world.ok(&["workload", "list", "--json"]).out.lines().count();
    assert!(names >= 10);
}

#[test]
fn a_workload_is_run_on_engines_side_by_side_and_leaves_its_results_only() {
    let world = World::new();
    world.write("small.toml", SMALL);
    let run = world.ok(&["workload", "small.toml", "--engine", "memory:", "--engine", "disk:"]);
    assert!(run.out.contains("PASS") && run.out.contains("get"), "{}", run.out);
    let report = result(&world, ".json");
    let runs = report["runs"].as_array().expect("runs");
    assert_eq!(
        runs.iter().map(|run| run["engine"].as_str().expect("a name")).collect::<Vec<_>>(),
        ["memory", "disk"]
    );
    for run in runs {
        let done = run["operations"].as_array().expect("operations").iter();
        let counts = done.map(|done| done["latencies"]["count"].as_u64().expect("a count"));
        assert_eq!((counts.sum::<u64>(), &run["audit"]["problems"]), (2000, &Value::from(0)));
    }
    assert!(runs[1]["syncs"].as_u64().expect("it is counted") > 0);
    let page = std::fs::read_to_string(only(&world, ".html")).expect("a page");
    assert!(page.contains("<svg") && !page.contains("src=\"http"), "it is no page");
    let left = std::fs::read_dir(world.path("statlas-results")).expect("it can be listed").count();
    assert_eq!(left, 2, "a store is left");
    // The page can be made again.
    let json = only(&world, ".json");
    world.ok(&["report", json.to_str().expect("a path"), "--page", "again.html"]);
    assert_eq!(world.read("again.html"), page);
}

#[test]
fn a_threshold_that_is_not_met_or_not_measured_is_a_failure_of_its_own() {
    let world = World::new();
    world.write("small.toml", SMALL.replace("at_most = \"0\"", "at_least = \"1\""));
    let run = world.run(&["workload", "small.toml", "--engine", "memory:"]);
    assert_eq!(run.code, Some(6), "{}", run.err);
    assert!(run.out.contains("FAIL"), "{}", run.out);
    // Of 2,000 lookups no p99.99 can be told.
    world.write(
        "unsupported.toml",
        SMALL.replace("\"errors\"", "\"get.p99.99\"").replace("\"0\"", "\"1h\"").replace("1h", "60min"),
    );
    let run = world.run(&["workload", "unsupported.toml", "--engine", "memory:", "--json", "--out", "other"]);
    assert_eq!(run.code, Some(6), "{}", run.err);
    let summary: Value = serde_json::from_str(run.out.trim()).expect("it is JSON");
    assert_eq!(summary["verdict"], "fail");
    assert_eq!(summary["runs"][0]["thresholds"][0]["found"], Value::Null);
}

#[test]
fn workloads_that_are_wrong_are_refused_with_what_is_allowed() {
    let world = World::new();
    world.run(&["workload", "nonsense"]).refuses(3, &["nonsense", "ycsb-a"]);
    world.write("wrong.toml", SMALL.replace("get = 9", "fetch = 9"));
    world.run(&["workload", "wrong.toml"]).refuses(2, &["wrong.toml", "fetch", "get_absent"]);
    world.write("small.toml", SMALL);
    world.run(&["workload", "small.toml", "--engine", "disk:here"]).refuses(2, &["disk:here", "temporary"]);
    world.run(&["workload", "small.toml", "--rate", "0/s"]).refuses(2, &["load.rate"]);
    world.run(&["workload", "small.toml", "--rate", "fast"]).refuses(2, &["fast", "1500/s"]);
    world.write("result.json", "{}");
    world.run(&["report", "result.json"]).refuses(2, &["result.json", "no result"]);
    world.run(&["report", "absent.json"]).refuses(1, &["absent.json"]);
}

#[test]
fn a_plan_says_of_each_figure_whether_it_was_measured() {
    let world = World::new();
    let plan = world.ok(&["plan", "--entities", "50000", "--file-bytes", "2KiB", "--time", "1s"]);
    for part in [
        "10,000 entities (measured)",
        "50,000 entities (extrapolated)",
        "10,000,000 entities",
        "files on disk",
    ] {
        assert!(plan.out.contains(part), "{part}: {}", plan.out);
    }
    world.run(&["plan", "--entities", "0"]).refuses(2, &["--entities"]);
}

#[test]
fn the_fetch_of_a_file_is_taken_apart_and_the_store_stays_as_it_is() {
    let world = World::new();
    world.write("files/some.bin", vec![7; 300_000]);
    world.ok(&["import", "files"]);
    world.write("entity.json", world.ok(&["generate", "--count", "1"]).out);
    world.ok(&["put", "entity.json"]);
    let before = world.ok(&["stats", "--json"]).out;
    let shown = world.ok(&["breakdown", "file:some.bin", "--rounds", "2"]);
    for part in ["address lookup", "metadata", "content", "transfer", "disk", "warm", "cold"] {
        assert!(shown.out.contains(part), "{part}: {}", shown.out);
    }
    let revision = |text: &str| serde_json::from_str::<Value>(text).expect("JSON")["revision"].clone();
    assert_eq!(revision(&world.ok(&["stats", "--json"]).out), revision(&before));
    world.run(&["breakdown", "nobody"]).refuses(3, &["nobody"]);
    let id = serde_json::from_str::<Value>(&world.read("entity.json")).expect("JSON")["id"].clone();
    world.run(&["breakdown", id.as_str().expect("a text")]).refuses(3, &["no file is attached"]);
}

#[test]
fn faults_are_tried_on_a_copy() {
    let world = World::new();
    world.ok(&["quickstart"]);
    let before = world.ok(&["stats", "--json"]).out;
    let tried = world.ok(&["faults", "--states", "20"]);
    for part in ["power cuts and kills", "failing calls", "damaged bytes", "PASS"] {
        assert!(tried.out.contains(part), "{part}: {}", tried.out);
    }
    assert_eq!(world.ok(&["stats", "--json"]).out, before);
    world.run(&["--store", "memory:", "faults"]).refuses(2, &["memory"]);
    world.run(&["--store", "nowhere", "faults"]).refuses(1, &["nowhere"]);
}

#[test]
fn results_are_compared_if_they_can_be() {
    let world = World::new();
    world.write("small.toml", SMALL);
    let path = |out: &str| {
        world.ok(&["workload", "small.toml", "--engine", "memory:", "--out", out]);
        let mut entries = std::fs::read_dir(world.path(out)).expect("results are there").flatten();
        let file = entries.find(|entry| entry.path().extension().is_some_and(|ending| ending == "json"));
        file.expect("a result").path().to_string_lossy().into_owned()
    };
    let (one, other) = (path("one"), path("other"));
    // However noisy the machine is, a thousandfold it is not; builds of the tests are compared only anyway.
    world.run(&["compare", &one, &other]).refuses(2, &["--anyway"]);
    let compared = world.ok(&["compare", &one, &other, "--anyway", "--noise", "100000%"]);
    assert!(compared.out.contains("throughput"), "{}", compared.out);
    let json = world.ok(&["compare", &one, &other, "--anyway", "--noise", "100000%", "--json"]);
    assert_eq!(serde_json::from_str::<Value>(json.out.trim()).expect("JSON")["verdict"], "pass");
    world.run(&["compare", &one, "absent.json"]).refuses(1, &["absent.json"]);
}
