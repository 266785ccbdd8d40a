//! The fault campaigns in their quick sizes; `cargo xtask faults` runs larger ones.

use std::process::Command;

use statlas_store::testing::{Campaign, FaultOptions, KillOptions, kills, write_until_killed};

/// The same states in every run: what is found must be found again. Other seeds are for the longer runs.
const SEED: u64 = 1;

fn run(campaign: Campaign) {
    campaign.run(&FaultOptions::new(SEED, campaign.states_quick())).assert_sound();
}

#[test]
fn no_crash_loses_what_was_synced_or_leaves_half_a_batch() {
    run(Campaign::Crashes);
}

#[test]
fn no_failing_call_is_hidden_or_loses_what_was_acknowledged() {
    run(Campaign::Failures);
}

#[test]
fn no_flipped_bit_goes_unnoticed_or_hides_what_it_does_not_hit() {
    run(Campaign::Flips);
}

#[test]
fn no_change_of_files_goes_unnoticed_or_gives_wrong_answers() {
    run(Campaign::Cuts);
}

#[test]
fn no_refused_reservation_loses_or_breaks_anything() {
    run(Campaign::Memory);
}

#[test]
fn no_killed_process_takes_along_what_it_wrote() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let program = std::env::current_exe().expect("this program is somewhere");
    let command = || {
        let mut command = Command::new(&program);
        // The process that is killed is the next test, by itself.
        command.args(["--exact", "faults::a_process_that_is_killed_writes_until_then", "--nocapture"]);
        command
    };
    let goes_on = || true;
    let folder = folder.path();
    let options = KillOptions { seed: SEED, kills: 50, folder, command: &command, goes_on: &goes_on };
    kills(&options).assert_sound();
}

#[test]
fn a_process_that_is_killed_writes_until_then() {
    assert!(!write_until_killed(), "who is to be killed writes until it is, and says so if it can't");
}
