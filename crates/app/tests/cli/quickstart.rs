//! `quickstart`.

use crate::world::World;

#[test]
fn a_small_directory_is_taken_found_and_compared_and_every_suggestion_works() {
    let world = World::new();
    world.write("in/readme.md", "hello");
    world.write("in/src/it's $HOME.rs", "fn main() {}");
    world.write("in/src/empty", "");
    world.write("in/big.bin", vec![7; 2 << 20]);
    let run = world.ok(&["quickstart", "in", "--entities", "3000"]);
    for part in [
        "import a directory",
        "4 files",
        "3,000 new",
        "by address prefix",
        "by similarity",
        "identical to the originals",
    ] {
        assert!(run.out.contains(part), "{part:?} is not in {}", run.out);
    }
    let answer = world.json(&["quickstart", "in", "--entities", "3000"]);
    let steps = answer["steps"].as_array().expect("steps");
    assert_eq!(steps.len(), 8);
    assert!(steps.iter().all(|step| step["wrong"].as_array().is_some_and(Vec::is_empty)), "{answer}");
    let next = answer["next"].as_array().expect("suggestions");
    assert!(next.len() >= 5);
    for command in next {
        let output = std::process::Command::new("sh")
            .args(["-c", command.as_str().expect("a command")])
            .current_dir(world.path("."))
            .output()
            .expect("a shell");
        assert!(output.status.success(), "{command}: {output:?}");
        assert!(!output.stdout.is_empty(), "{command}");
    }
    world.ok(&["check"]);
}

#[test]
fn it_works_in_memory_and_on_an_empty_directory() {
    let world = World::new();
    std::fs::create_dir(world.path("empty")).expect("made");
    world.ok(&["--store", "memory:", "quickstart", "empty", "--entities", "0"]);
    world.ok(&["--store", "memory:", "quickstart", "empty", "--entities", "50"]);
    assert!(!world.path("statlas.store").exists());
    world.run(&["quickstart", "nowhere"]).refuses(2, &["nowhere"]);
}
