//! `export`: all entities as JSON lines.

use std::io::{BufWriter, Write};
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use serde_json::json;
use statlas_store::{Query, Store};

use super::get::Temporary;
use crate::allowance::Allowance;
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::output::plural;
use crate::progress::Unit;
use crate::session::{Session, expect_undamaged};

const EXAMPLES: &str = "\
Examples:
  statlas export > entities.jsonl
  statlas export --out entities.jsonl
  statlas export | statlas --store copy.store load -";

/// Entities that are read at a time if there is memory.
const PAGE_ROWS_MAX: usize = 10_000;

/// Write all entities as JSON lines
///
/// Writes all entities, every version of every id, as JSON lines in the order in which they were stored.
///
/// `statlas load` takes them back to the same addresses and the same versions. Files are not in the lines,
/// only their SHA-256: see `restore-files`. If the store is damaged, what can be read is written and the
/// command ends with code 4.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Write to this file instead of standard output; it gets its name when it is complete
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Let --out replace a file that is there
    #[arg(long, requires = "out")]
    force: bool,
}

pub(crate) fn run(arguments: &Arguments, session: &Session) -> Result<()> {
    let store = session.open()?;
    let interrupt = Interrupt::install()?;
    let Some(out) = &arguments.out else {
        let mut stdout = session.output().stdout();
        write_all(&store, &mut stdout, None, &interrupt, session)?;
        return expect_undamaged(&store, "the export");
    };
    if out.exists() && !arguments.force {
        let failure = Failure::incomplete(format!("{} is there already", out.display()));
        return Err(failure.hint("--force replaces it").into());
    }
    let name = out.display().to_string();
    let temporary = Temporary::beside(out)?;
    let mut writer = BufWriter::new(temporary.create()?);
    let count = write_all(&store, &mut writer, Some(&name), &interrupt, session)?;
    writer.get_ref().sync_all().with_context(|| format!("cannot write {name}"))?;
    temporary.rename(out)?;
    match session.output().json() {
        true => session.output().print_json(&json!({"entities": count, "file": name})),
        false => session.output().print(format!("{} written to {name}", plural(count, "entity", "entities"))),
    }?;
    expect_undamaged(&store, "the export")
}

/// Writes every entity as a line to a file of this name, or to standard output; returns how many there were.
fn write_all(
    store: &Store,
    writer: &mut dyn Write,
    name: Option<&str>,
    interrupt: &Interrupt,
    session: &Session,
) -> Result<u64> {
    let entities = store.engine().stats().entities;
    let bar = session.output().progress_beside_stdout("exporting", Some(entities), Unit::Count);
    let mut pages = Allowance::beside(store).pages(PAGE_ROWS_MAX);
    let mut query = Query::default();
    let context = || format!("cannot write to {}", name.unwrap_or("standard output"));
    let (mut count, mut text) = (0, Vec::new());
    loop {
        query.limit = pages.rows();
        let page = store.engine().find(&query)?;
        pages.learn(&page);
        for entity in &page.entities {
            text.clear();
            entity.entity()?.to_json_into(&mut text);
            text.push(b'\n');
            writer.write_all(&text).with_context(context)?;
        }
        count += page.entities.len() as u64;
        bar.set_position(count);
        match page.next {
            Some(_) if interrupt.is_set() => {
                bar.finish_and_clear();
                // A file that would lack some is not left behind; what went down a pipe has gone.
                let message = match name {
                    None => {
                        format!("{} written, and more are left", plural(count, "entity was", "entities were"))
                    }
                    Some(name) => format!("{name} was not written"),
                };
                return Err(Failure::interrupted(message).into());
            }
            Some(next) => query.after = Some(next),
            None => break,
        }
    }
    bar.finish_and_clear();
    writer.flush().with_context(context)?;
    Ok(count)
}
