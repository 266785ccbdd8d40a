//! `export`: all entities as JSON lines.

use std::io::{BufWriter, Write};
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use serde_json::json;
use statlas_store::{Query, Store};

use super::get::Temporary;
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

/// Entities that are read at a time.
const PAGE_ROWS: usize = 10_000;

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
        write_all(&store, &mut stdout, "standard output", &interrupt, session)?;
        return expect_undamaged(&store, "the export");
    };
    if out.exists() && !arguments.force {
        let failure = Failure::incomplete(format!("{} is there already", out.display()));
        return Err(failure.hint("--force replaces it").into());
    }
    let name = out.display().to_string();
    let temporary = Temporary::beside(out)?;
    let mut writer = BufWriter::new(temporary.create()?);
    let count = write_all(&store, &mut writer, &name, &interrupt, session)?;
    writer.get_ref().sync_all().with_context(|| format!("cannot write {name}"))?;
    temporary.rename(out)?;
    match session.output().json() {
        true => session.output().print_json(&json!({"entities": count, "file": name})),
        false => session.output().print(format!("{} written to {name}", plural(count, "entity", "entities"))),
    }?;
    expect_undamaged(&store, "the export")
}

/// Writes every entity as a line; returns how many there were.
fn write_all(
    store: &Store,
    writer: &mut dyn Write,
    name: &str,
    interrupt: &Interrupt,
    session: &Session,
) -> Result<u64> {
    let entities = store.engine().stats().entities;
    let bar = session.output().progress_beside_stdout("exporting", Some(entities), Unit::Count);
    let mut query = Query { limit: PAGE_ROWS, ..Query::default() };
    let (mut count, mut text) = (0, Vec::new());
    loop {
        let page = store.engine().find(&query)?;
        for entity in &page.entities {
            text.clear();
            entity.entity()?.to_json_into(&mut text);
            text.push(b'\n');
            writer.write_all(&text).with_context(|| format!("cannot write {name}"))?;
        }
        count += page.entities.len() as u64;
        bar.set_position(count);
        match page.next {
            Some(_) if interrupt.is_set() => {
                bar.finish_and_clear();
                let written = plural(count, "entity was", "entities were");
                return Err(
                    Failure::interrupted(format!("{written} written to {name}, and more are left")).into()
                );
            }
            Some(next) => query.after = Some(next),
            None => break,
        }
    }
    bar.finish_and_clear();
    writer.flush().with_context(|| format!("cannot write {name}"))?;
    Ok(count)
}
