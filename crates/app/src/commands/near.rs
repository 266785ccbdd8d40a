//! `near`: the entities most similar to one.

use std::io::Write;

use anyhow::{Context, Result};
use clap::Args;
use serde_json::json;

use crate::entity_table::{COLUMNS, cells};
use crate::session::{self, Session, WHAT_HELP};
use crate::table::{Align, Table};

const EXAMPLES: &str = "\
Examples:
  statlas near file:src/main.rs
  statlas near 2a803d2480c2 -k 25
  statlas --json near bc-0001 -k 1";

/// Find the entities most similar to one
///
/// Lists the entities of the same profile whose position is most similar, the most similar first.
///
/// stat7 uses the entanglement score, where 0.85 and more counts as entangled, fractalstat its weighted
/// similarity; both lie between 0 and 1.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[arg(help = WHAT_HELP)]
    what: String,
    /// How many
    #[arg(short, long = "count", value_name = "K", default_value_t = 10)]
    k: usize,
}

pub(crate) fn run(arguments: &Arguments, session: &Session) -> Result<()> {
    let store = session.open()?;
    let entity = session::resolve_one(&store, &arguments.what)?;
    let head = entity.head()?;
    let neighbours = store.engine().near(&head.coordinates, arguments.k, Some(&entity.address()))?;
    let mut stdout = session.output().stdout();
    let mut columns = vec![("similarity", Align::Right)];
    columns.extend(COLUMNS);
    let mut table = Table::new(&columns);
    for neighbour in &neighbours {
        if session.output().json() {
            let address = neighbour.entity.address().to_string();
            let id = neighbour.entity.head()?.id;
            let line = json!({"similarity": neighbour.similarity, "address": address, "id": id});
            writeln!(stdout, "{line}").context("cannot write to standard output")?;
        } else {
            let mut row = vec![format!("{:.4}", neighbour.similarity)];
            row.extend(cells(&neighbour.entity)?);
            table.row(row);
        }
    }
    if !session.output().json() {
        table.write(session.output(), &mut stdout).context("cannot write to standard output")?;
    }
    stdout.flush().context("cannot write to standard output")
}
