//! The developer's commands: `cargo xtask --help`.

use std::process::ExitCode;

mod bench;
mod ci;
mod command;
mod deny;
mod faults;
mod fuzz;
mod interleavings;
mod python;
mod sanitize;
mod tidy;

const HELP: &str = "\
The developer's commands.

    cargo xtask ci       everything that CI runs: fmt, tidy, clippy, test, docs, smoke benches, deny
    cargo xtask test     all tests of the workspace, doctests included, and those of the Python package
    cargo xtask python   only those of the Python package: builds its wheel, installs it in a fresh environment
    cargo xtask bench    measure the targets in release mode; figures go to standard output
    cargo xtask bench-python
                         measure those of the Python package, beside NumPy and beside Rust
    cargo xtask faults   crashes, failing calls, flipped bits, cut files and killed processes, thousands of them
    cargo xtask fuzz     every parser is given any bytes, the ones that reach more of it first
    cargo xtask interleavings
                         the store's threads under thousands of schedules
    cargo xtask miri     the tests of the index and of searching tokens under Miri; installs a nightly toolchain with it
    cargo xtask sanitize the tests of core, store and tokens under AddressSanitizer; --short: those of the unsafe code
    cargo xtask fmt      format all code
    cargo xtask tidy     the style checks that no tool knows

    cargo xtask bench [--smoke] [--json FILE] [--dir DIR] [NAME...]
        --smoke          small sizes: shows that the benchmarks work, measures nothing
        --large          section `memory` with 10 million entities in 256 MiB instead of one million in 64 MiB
        --json FILE      write the raw data to FILE
        --dir DIR        where temporary data go (default: bench-data in the target directory); they are removed
        --seed N         the seed of the data
        NAME             only these sections; `cargo xtask bench --list` names them

    cargo xtask bench-python [--smoke] [--json FILE] [--dir DIR] [--seed N] [SECTION...]
        the same options; --smoke compares nothing with Rust

    cargo xtask faults [--quick | --full] [OPTION...]
        --quick          what the tests do too, in less than two minutes; this is what is done if nothing is said
        --full           what a release should have passed, for some hours
        --seed N         the seed of everything (default: 1)
        --images N       at least so many states of each campaign, if it has so many
        --minutes N      for so long, divided among the campaigns
        --campaign NAME  only this one: crashes, failures, flips, cuts, memory or kills; may be given again
        --part K/N       only the K-th of N parts of the states, so that a long campaign can be run in parts
        --state N        only the state with this number, of one campaign

    cargo xtask fuzz [--seconds N] [TARGET...]
        --seconds N      so long for each target (default: 5)
        TARGET           only these; the folder `fuzz/fuzz_targets` names them
        --input FILE     give one target this input, and show what it says
        --seeds          write the corpus in `fuzz/corpus` anew

    cargo xtask interleavings [--schedules N] [--seed N]
        --schedules N    so many for each test (default: 1000)
        --seed N         which ones (default: 1)
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["ci"] => ci::run(),
        ["test"] => ci::test(),
        ["bench", options @ ..] => bench::run(options),
        ["python"] => python::test(),
        ["bench-python", options @ ..] => python::bench(options),
        ["faults", options @ ..] => faults::run(options),
        ["fuzz", options @ ..] => fuzz::run(options),
        ["interleavings", options @ ..] => interleavings::run(options),
        ["miri", options @ ..] => sanitize::miri(options),
        ["sanitize", options @ ..] => sanitize::run(options),
        ["fmt"] => ci::format(),
        ["tidy"] => tidy::run(),
        ["-h" | "--help" | "help"] => {
            print!("{HELP}");
            Ok(())
        }
        _ => {
            eprint!("{HELP}\nxtask: found {words:?}; allowed: one of the commands above\n");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
