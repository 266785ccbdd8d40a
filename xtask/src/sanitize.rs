//! The tests under AddressSanitizer, whose run-time library every toolchain for Linux on x86-64 brings along, and those
//! of the index and of searching tokens under Miri, which comes with nightly toolchains only.
//!
//! The compiler's flag for the former is unstable, so the compiler is told to take unstable flags; nothing has to be
//! installed. What the standard library does itself is not watched, only what its generic code does for us.

use std::process::Command;

use anyhow::{Result, bail, ensure};

use crate::command::{cargo, host, root, run as run_command};

const NIGHTLY: &str = "nightly";
const HOST: &str = "x86_64-unknown-linux-gnu";
/// Names in the tests of what has unsafe code, and of what stands directly on it.
const UNSAFE: [&str; 6] =
    ["index::", "engine::disk::storage::", "engine::disk::sidecar::", "columns::", "nearest::", "file::"];

/// Runs the tests of the crates beneath the program, or with `--short` those of the unsafe code.
pub(crate) fn run(options: &[&str]) -> Result<()> {
    let found = host()?;
    ensure!(found == HOST, "sanitize: this machine is {found}; only on {HOST} the library is there");
    let mut command = cargo(["test", "--target", HOST, "--target-dir", "target/sanitize"]);
    command.args(["--package", "statlas-store", "--all-features"]);
    // Addresses on the stack are watched after a function has returned, too.
    command.env("RUSTC_BOOTSTRAP", "1").env("RUSTFLAGS", "-Zsanitizer=address");
    command.env("ASAN_OPTIONS", "detect_stack_use_after_return=1:strict_string_checks=1");
    match options {
        [] => command.args(["--package", "statlas-core", "--package", "statlas-tokens", "--tests"]),
        ["--short"] => command.args(["--package", "statlas-tokens", "--lib", "--"]).args(UNSAFE),
        _ => bail!("sanitize: found {options:?}; allowed: --short"),
    };
    run_command(&mut command)
}

/// Runs the tests of the index under Miri, with readers beside a writer in several orders, and those of searching tokens as on
/// a processor with AVX2. It knows no files that are mapped, so that those are left to AddressSanitizer.
pub(crate) fn miri(options: &[&str]) -> Result<()> {
    ensure!(options.is_empty(), "miri: found {options:?}; it has no options");
    let mut install = Command::new("rustup");
    install.args(["toolchain", "install", NIGHTLY, "--profile", "minimal", "--component", "miri"]);
    run_command(&mut install)?;
    let mut index = miri_test(&["--package", "statlas-store", "--lib", "--", "index::"]);
    run_command(index.env("MIRIFLAGS", "-Zmiri-many-seeds=0..2"))?;
    let mut tokens = miri_test(&["--package", "statlas-tokens", "--test", "tokens", "--", "searches::"]);
    // Threads of a pool outlive the tests, and what their queues do is sound by the newer rules of aliasing only.
    tokens.env("MIRIFLAGS", "-Zmiri-disable-isolation -Zmiri-ignore-leaks -Zmiri-tree-borrows");
    tokens.env("RUSTFLAGS", "-Ctarget-feature=+avx2,+fma");
    run_command(&mut tokens)
}

/// The tests that arguments of cargo name.
fn miri_test(arguments: &[&str]) -> Command {
    // The toolchain of this program would else be that of everything it starts.
    let mut command = Command::new("rustup");
    command.args(["run", NIGHTLY, "cargo", "miri", "test", "--target-dir", "target/miri"]);
    command.args(arguments).current_dir(root());
    command
}
