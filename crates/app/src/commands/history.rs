//! `history`: the versions of an id.

use std::io::Write;

use anyhow::{Context, Result};
use clap::Args;
use serde_json::json;
use statlas_store::Store;

use crate::entity_table::{COLUMNS, cells};
use crate::session::{self, Session, WHAT_HELP};
use crate::table::{Align, Table};

const EXAMPLES: &str = "\
Examples:
  statlas history file:src/main.rs
  statlas history 2a803d2480c2                         (the versions of the id that this entity has)
  statlas --json history bc-0001";

/// List the versions of an id
///
/// Lists the versions of an id, the oldest first; the last one is its head.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[arg(help = WHAT_HELP)]
    what: String,
}

pub(crate) fn run(arguments: &Arguments, session: &Session) -> Result<()> {
    let store = session.open()?;
    let id = id_of(&store, &arguments.what)?;
    let versions = store.history(&id)?;
    let newest = versions.len();
    let mut stdout = session.output().stdout();
    let mut columns = vec![("version", Align::Right)];
    columns.extend(COLUMNS);
    let mut table = Table::new(&columns);
    for (at, version) in versions.iter().enumerate() {
        if session.output().json() {
            let address = version.address().to_string();
            let line = json!({"version": at + 1, "address": address, "id": id, "head": at + 1 == newest});
            writeln!(stdout, "{line}").context("cannot write to standard output")?;
        } else {
            let mut row = vec![(at + 1).to_string()];
            row.extend(cells(version)?);
            table.row(row);
        }
    }
    if !session.output().json() {
        table.write(session.output(), &mut stdout).context("cannot write to standard output")?;
    }
    stdout.flush().context("cannot write to standard output")
}

/// The id that is meant: the one given if it has versions, else that of the entity named.
pub(crate) fn id_of(store: &Store, what: &str) -> Result<String> {
    if !store.engine().versions(what)?.is_empty() {
        return Ok(what.to_owned());
    }
    Ok(session::resolve_one(store, what)?.head()?.id.into_owned())
}
