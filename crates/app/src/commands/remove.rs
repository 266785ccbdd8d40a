//! `rm`: removes entities.

use std::io::Write;

use anyhow::{Context, Result};
use clap::Args;
use serde_json::json;
use statlas_store::{Batch, Durability, StoredEntity};

use super::history::id_of;
use crate::output::printable;
use crate::session::{self, Session, WHAT_HELP};

const EXAMPLES: &str = "\
Examples:
  statlas rm 2a803d2480c2                              (this version; the one before is then the newest)
  statlas rm bc-0001                                   (the newest version of the id)
  statlas rm --all-versions bc-0001";

/// Remove an entity
///
/// Removes an entity and prints what was removed. It does not ask.
///
/// Of an id, the newest version is removed, and the one before becomes its head. The file that belongs to
/// an entity stays, since others may share it.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[arg(help = WHAT_HELP)]
    what: String,
    /// Remove every version of the id
    #[arg(long)]
    all_versions: bool,
}

pub(crate) fn run(arguments: &Arguments, session: &Session) -> Result<()> {
    let store = session.open()?;
    let removed: Vec<StoredEntity> = if arguments.all_versions {
        store.history(&id_of(&store, &arguments.what)?)?
    } else {
        vec![session::resolve_one(&store, &arguments.what)?]
    };
    let mut batch = Batch::new();
    for entity in &removed {
        batch.remove_entity(entity.address());
    }
    store.commit(batch, Durability::Synced)?;
    let mut stdout = session.output().stdout();
    for entity in &removed {
        let (address, id) = (entity.address().to_string(), entity.head()?.id);
        let written = match session.output().json() {
            true => writeln!(stdout, "{}", json!({"removed": address, "id": id})),
            false => writeln!(stdout, "removed {address} {}", printable(&id)),
        };
        written.context("cannot write to standard output")?;
    }
    stdout.flush().context("cannot write to standard output")?;
    store.close()?;
    Ok(())
}
