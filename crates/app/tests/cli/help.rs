//! Help, completions, and arguments that make no sense.

use crate::world::World;

#[test]
fn help_teaches_and_lists_the_exit_codes() {
    let world = World::new();
    let help = world.ok(&["--help"]).out;
    for part in ["quickstart", "restore-files", "Exit codes", "130", "STATLAS_STORE", "memory:"] {
        assert!(help.contains(part), "{part}");
    }
    for command in
        ["quickstart", "load", "find", "import", "restore-files", "export", "near", "token", "check"]
    {
        let help = world.ok(&[command, "--help"]).out;
        assert!(help.contains("Examples:") || command == "token", "{command}: {help}");
    }
    assert!(world.ok(&["--version"]).out.starts_with("statlas "));
}

#[test]
fn wrong_arguments_are_code_2_in_words_or_in_json() {
    let world = World::new();
    world.run::<&str>(&[]).expect_code(2);
    world.run(&["fly"]).refuses(2, &["fly"]);
    world.run(&["get"]).refuses(2, &["WHAT"]);
    world.run(&["--store", "sqlite:x", "stats"]).refuses(2, &["sqlite"]);
    world.run(&["--store", "", "stats"]).expect_code(2);
    let error = world.run(&["--json", "fly"]).expect_code(2).error();
    assert_eq!(error["kind"], "usage");
    assert!(error["message"].as_str().is_some_and(|message| message.contains("fly")));
}

#[test]
fn completions_exist_for_every_shell() {
    let world = World::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = world.ok(&["completions", shell]).out;
        assert!(script.contains("restore-files") && script.contains("resonance"), "{shell}");
    }
}
