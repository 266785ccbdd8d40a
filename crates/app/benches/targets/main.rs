//! Measures what the project promises, and prints all that a reader needs to repeat it.
//!
//! `cargo xtask bench` runs it in release mode; in a small size it is part of the tests, so that it does
//! not rot. Every section checks its own data afterwards. Nothing is asserted about time: a target that is
//! missed is printed as missed.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};

mod address;
mod allocator;
mod arguments;
mod child;
mod embedded;
mod environment;
mod import;
mod large_file;
mod load;
mod lookup;
mod memory;
mod near_token;
mod open;
mod query;
mod report;
mod sizes;
mod tokens;

use arguments::Arguments;
use load::Loaded;
use report::Report;
use sizes::Sizes;

#[global_allocator]
static ALLOCATOR: allocator::Allocator = allocator::Allocator;

/// What every section is given.
struct Bench {
    seed: u64,
    sizes: Sizes,
    /// An empty directory of this run, removed at the end.
    directory: PathBuf,
    report: Report,
    /// The store that the reading sections share, once it is there.
    loaded: Option<Loaded>,
}

/// A name, what is measured, and how.
type Section = (&'static str, &'static str, fn(&mut Bench) -> Result<()>);

const SECTIONS: [Section; 11] = [
    ("address", "the address of an entity, parsed and from JSON text", address::run),
    ("load", "`statlas load` of generated entities into a new store", load::run),
    (
        "embedded",
        "entities in memory into a new store, and out again, by calls of the library",
        embedded::run,
    ),
    ("open", "opening that store", open::run),
    ("lookup", "random lookups by address in that store", lookup::run),
    ("query", "coordinate queries in that store", query::run),
    ("near", "searches by attached token, in a store of entities that carry one", near_token::run),
    ("import", "`statlas import` of small real files into a new store", import::run),
    ("large", "one large file into a store and out again", large_file::run),
    ("tokens", "tokens by the million: made, searched, sorted, saved and mapped", tokens::run),
    ("memory", "strategies for little memory on and off, in processes whose memory is limited", memory::run),
];

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let Some(code) = child::measure_if_asked(&words).or_else(|| memory::measure_if_asked(&words)) {
        return code;
    }
    let names: Vec<&str> = SECTIONS.iter().map(|(name, ..)| *name).collect();
    let arguments = match Arguments::parse(&words, &names) {
        Ok(arguments) => arguments,
        Err(message) => {
            eprintln!("bench: {message}");
            return ExitCode::from(2);
        }
    };
    if arguments.list {
        SECTIONS.iter().for_each(|(name, what, _)| println!("{name:8} {what}"));
        return ExitCode::SUCCESS;
    }
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    let parent = arguments.directory.clone().unwrap_or_else(default_directory);
    std::fs::create_dir_all(&parent).with_context(|| format!("{}", parent.display()))?;
    let directory = tempfile::Builder::new().prefix("run-").tempdir_in(&parent)?;
    let sizes = match (arguments.smoke, arguments.large) {
        (true, _) => Sizes::SMOKE,
        (false, true) => Sizes::LARGE,
        (false, false) => Sizes::FULL,
    };
    let supports_verdicts = !arguments.smoke && !cfg!(debug_assertions);
    let environment = environment::describe(arguments, &sizes, directory.path());
    let report = Report::new(environment, supports_verdicts);
    let mut bench =
        Bench { seed: arguments.seed, sizes, directory: directory.path().to_owned(), report, loaded: None };
    bench.report.print_environment();
    for (name, what, section) in SECTIONS {
        if arguments.names.is_empty() || arguments.names.iter().any(|wanted| wanted == name) {
            println!("\n{name}: {what}");
            section(&mut bench).with_context(|| format!("section {name}"))?;
            bench.report.print_new();
        }
    }
    let load_after = format!("load after   {}", environment::load_average());
    println!("\n{load_after}");
    bench.report.note("end", load_after);
    println!("{}", bench.report.summary());
    if let Some(path) = &arguments.json {
        let mut file = std::fs::File::create(path).with_context(|| format!("{}", path.display()))?;
        writeln!(file, "{:#}", bench.report.to_json()).with_context(|| format!("{}", path.display()))?;
        println!("raw data: {}", path.display());
    }
    directory.close()?;
    // It stays if somebody else uses it.
    let _ = std::fs::remove_dir(&parent);
    Ok(())
}

fn default_directory() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"));
    target.parent().unwrap_or(target).join("bench-data")
}
