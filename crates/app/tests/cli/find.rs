//! `find`.

use serde_json::Value;

use crate::world::{Run, World};

/// A store with generated entities, and the entities.
fn filled() -> (World, Vec<Value>) {
    let world = World::new();
    let run = world.ok(&["generate", "--count", "4000", "--seed", "11"]);
    world.feed(&["load", "-"], &run.out).expect_code(0);
    let entities = run.values();
    (world, entities)
}

fn ids(run: &Run) -> Vec<String> {
    run.values().iter().filter_map(|row| row["id"].as_str().map(str::to_owned)).collect()
}

fn number(entity: &Value, dimension: &str) -> Option<f64> {
    entity["coordinates"][dimension].as_f64()
}

#[test]
fn every_condition_finds_what_a_scan_finds() {
    type Test = fn(&Value) -> bool;
    let cases: [(&[&str], Test); 13] = [
        (&["--profile", "stat7"], |e| e["profile"] == "stat7"),
        (&["--realm", "data,system"], |e| {
            ["data", "system"].iter().any(|realm| e["coordinates"]["realm"] == *realm)
        }),
        (&["--entity-realm", "void"], |e| e["realm"] == "void"),
        (&["--entity-type", "agent,concept"], |e| {
            e["entity_type"] == "agent" || e["entity_type"] == "concept"
        }),
        (&["--horizon", "peak"], |e| e["coordinates"]["horizon"] == "peak"),
        (&["--polarity", "logic,ORDER"], |e| {
            e["coordinates"]["polarity"] == "LOGIC" || e["coordinates"]["polarity"] == "ORDER"
        }),
        (&["--alignment", "TRUE_NEUTRAL"], |e| e["coordinates"]["alignment"] == "TRUE_NEUTRAL"),
        (&["--lineage", "3..40"], |e| number(e, "lineage").is_some_and(|x| (3.0..=40.0).contains(&x))),
        (&["--resonance", "-1..0"], |e| number(e, "resonance").is_some_and(|x| x <= 0.0)),
        (&["--velocity=-0.5..", "--density", "..0.5"], |e| {
            number(e, "velocity").is_some_and(|x| x >= -0.5) && number(e, "density").is_some_and(|x| x <= 0.5)
        }),
        (&["--luminosity", "20..80", "--dimensionality", "5"], |e| {
            number(e, "luminosity").is_some_and(|x| (20.0..=80.0).contains(&x))
                && number(e, "dimensionality") == Some(5.0)
        }),
        (&["--created-at", "2018-01-01T00:00:00Z..2020-01-01T00:00:00+00:00"], |e| {
            e["created_at"].as_str().is_some_and(|time| ("2018"..="2020-01-01T00:00:00.000Z").contains(&time))
        }),
        (&[], |_| true),
    ];
    let (world, entities) = filled();
    for (conditions, test) in cases {
        let expected: Vec<&str> =
            entities.iter().filter(|e| test(e)).filter_map(|e| e["id"].as_str()).collect();
        assert!(!expected.is_empty(), "{conditions:?}");
        let found = world.ok(&[&["--json", "find", "--limit", "0"], conditions].concat());
        assert_eq!(ids(&found), expected, "{conditions:?}");
        let count = world.ok(&[&["find", "--count"], conditions].concat());
        assert_eq!(count.out.trim(), expected.len().to_string(), "{conditions:?}");
    }
}

#[test]
fn adjacency_is_asked_by_the_neighbours_id() {
    let (world, entities) = filled();
    let neighbour =
        entities.iter().find_map(|e| e["coordinates"]["adjacency"][0].as_str()).expect("a neighbour");
    let names = |e: &&Value| {
        e["coordinates"]["adjacency"].as_array().is_some_and(|all| all.iter().any(|id| id == neighbour))
    };
    let expected: Vec<&str> = entities.iter().filter(names).filter_map(|e| e["id"].as_str()).collect();
    assert_eq!(ids(&world.ok(&["--json", "find", "--adjacent", neighbour, "--limit", "0"])), expected);
}

#[test]
fn pages_put_together_are_the_whole_answer() {
    let (world, entities) = filled();
    let mut arguments = vec![
        "--json".to_owned(),
        "find".into(),
        "--order-by".into(),
        "lineage".into(),
        "--desc".into(),
        "--limit".into(),
        "700".into(),
    ];
    let (mut all, mut pages) = (Vec::new(), 0);
    loop {
        let run = world.ok(&arguments);
        all.extend(ids(&run));
        pages += 1;
        let last = run.values().pop().expect("a line");
        let Some(next) = last["next"].as_str() else { break };
        arguments.truncate(7);
        arguments.extend(["--cursor".to_owned(), next.to_owned()]);
    }
    let whole = ids(&world.ok(&["--json", "find", "--order-by", "lineage", "--desc", "--limit", "0"]));
    assert_eq!((all.len(), &all), (entities.len(), &whole));
    assert_eq!(pages, 6);
    let lineages: Vec<f64> = world
        .ok(&["--json", "find", "--order-by", "lineage", "--limit", "0"])
        .values()
        .iter()
        .map(|e| number(e, "lineage").expect("a lineage"))
        .collect();
    assert!(lineages.is_sorted());
}

#[test]
fn people_get_a_table_and_a_hint_where_to_go_on() {
    let (world, _) = filled();
    let run = world.ok(&["find", "--limit", "3"]);
    assert_eq!(run.lines().len(), 4);
    assert!(run.lines()[0].starts_with("address"), "{}", run.out);
    assert!(run.err.contains("--cursor"), "{}", run.err);
    let none = world.ok(&["find", "--realm", "nowhere"]);
    assert_eq!(none.out, "");
    assert!(none.err.contains("no entity meets"), "{}", none.err);
    assert!(!run.out.contains('\u{1b}'), "no colours in a pipe");
    assert!(world.ok(&["--color", "always", "find", "--limit", "1"]).out.contains('\u{1b}'));
}

#[test]
fn wrong_conditions_are_wrong_usage() {
    let (world, _) = filled();
    for conditions in [
        ["--resonance", "NaN"],
        ["--lineage", "9..3"],
        ["--lineage", "-1"],
        ["--luminosity", "a..b"],
        ["--realm", "Data"],
        ["--polarity", "HAPPY"],
        ["--created-at", "2020-01-01..2021-01-01"],
        ["--profile", "stat8"],
        ["--cursor", "x"],
        ["--order-by", "beauty"],
        ["--density", ".."],
    ] {
        world.run(&["find", conditions[0], conditions[1]]).refuses(2, &[conditions[0], conditions[1]]);
        let run = world.run(&["--json", "find", conditions[0], conditions[1]]).expect_code(2);
        assert_eq!(run.error()["kind"], "usage");
    }
}

#[test]
fn a_count_is_the_number_of_rows_in_every_order() {
    let (world, entities) = filled();
    let orders = [
        "commit",
        "created_at",
        "lineage",
        "dimensionality",
        "resonance",
        "velocity",
        "density",
        "luminosity",
    ];
    for order in orders {
        for conditions in
            [&[][..], &["--profile", "stat7"], &["--profile", "fractalstat", "--lineage", "..50"]]
        {
            let arguments = [&["find", "--order-by", order][..], conditions].concat();
            let rows = ids(&world.ok(&[&["--json"], &arguments[..], &["--limit", "0"]].concat())).len();
            let count = world.ok(&[&arguments[..], &["--count"]].concat()).out;
            assert_eq!(count.trim(), rows.to_string(), "{arguments:?}");
        }
    }
    let stat7 = entities.iter().filter(|e| e["profile"] == "stat7").count();
    let count = world.ok(&["find", "--count", "--order-by", "density"]).out;
    assert!(count.trim() == stat7.to_string() && stat7 < entities.len(), "{count}");
    let help = world.ok(&["find", "--help"]).out;
    assert!(help.contains("leaves out the"), "{help}");
}
