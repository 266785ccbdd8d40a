//! `neighbours`: what can be reached over adjacency.

use std::io::Write;

use anyhow::{Context, Result};
use clap::Args;
use serde_json::json;

use super::history::id_of;
use crate::entity_table::{short_address, short_id};
use crate::session::{Session, WHAT_HELP};
use crate::table::{Align, Table};

const EXAMPLES: &str = "\
Examples:
  statlas neighbours bc-0001
  statlas neighbours bc-0001 --hops 3 --limit 100
  statlas find --adjacent dir:src                      (the other way: who names this id as a neighbour)";

/// Follow the neighbours of an id
///
/// Lists the ids that can be reached from an id over adjacency, nearest first.
///
/// The newest version of each id is followed. An id that is named but not stored is listed without an
/// address.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[arg(help = WHAT_HELP)]
    what: String,
    /// How many steps at most
    #[arg(long, default_value_t = 1)]
    hops: usize,
    /// How many ids at most
    #[arg(long, default_value_t = 1000)]
    limit: usize,
}

pub(crate) fn run(arguments: &Arguments, session: &Session) -> Result<()> {
    let store = session.open()?;
    let id = id_of(&store, &arguments.what)?;
    let reached = store.neighbours(&id, arguments.hops, arguments.limit)?;
    let mut stdout = session.output().stdout();
    let mut table = Table::new(&[("hops", Align::Right), ("address", Align::Left), ("id", Align::Left)]);
    for one in &reached {
        if session.output().json() {
            let address = one.entity.as_ref().map(|entity| entity.address().to_string());
            let line = json!({"hops": one.hops, "id": one.id, "address": address});
            writeln!(stdout, "{line}").context("cannot write to standard output")?;
        } else {
            let address = one.entity.as_ref().map_or_else(|| "(not stored)".to_owned(), short_address);
            table.row(vec![one.hops.to_string(), address, short_id(&one.id)]);
        }
    }
    if !session.output().json() {
        table.write(session.output(), &mut stdout).context("cannot write to standard output")?;
    }
    stdout.flush().context("cannot write to standard output")?;
    if reached.len() == arguments.limit {
        session.output().note("there may be more; --limit sets how many are listed");
    }
    Ok(())
}
