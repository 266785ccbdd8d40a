//! `stats`: the figures of a store.

use anyhow::{Context, Result};
use serde_json::json;
use std::io::Write;

use crate::output::{bytes, thousands};
use crate::session::Session;

pub(crate) fn run(session: &Session) -> Result<()> {
    let store = session.open_unannounced()?;
    let stats = store.engine().stats();
    if session.output().json() {
        return session.output().print_json(&json!({
            "store": session.store_text(), "engine": stats.engine, "revision": stats.revision,
            "entities": stats.entities, "ids": stats.ids, "blobs": stats.blobs, "records": stats.records,
            "disk_bytes": stats.disk_bytes, "segments": stats.segments, "index_bytes": stats.index_bytes,
            "catalogue_bytes": stats.catalogue_bytes, "damage": stats.damage, "chain_head": stats.chain_head,
        }));
    }
    let mut rows = vec![
        ("store", session.store_text().to_owned()),
        ("engine", stats.engine.to_owned()),
        ("revision", thousands(stats.revision)),
        ("entities", thousands(stats.entities)),
        ("ids", thousands(stats.ids)),
        ("blobs and chunks", thousands(stats.blobs)),
        ("records", thousands(stats.records)),
        ("on disk", format!("{} in {} segments", bytes(stats.disk_bytes), thousands(stats.segments))),
        ("index in memory", bytes(stats.index_bytes)),
        ("catalogue in memory", bytes(stats.catalogue_bytes)),
    ];
    if !stats.chain_head.is_empty() {
        rows.push(("head of the hash chain", stats.chain_head));
    }
    let mut stdout = session.output().stdout();
    for (name, value) in rows {
        writeln!(stdout, "{} {value}", session.output().faint(format!("{name:<24}")))
            .context("cannot write to standard output")?;
    }
    stdout.flush().context("cannot write to standard output")?;
    for damage in &stats.damage {
        session.output().warn(format!("damage found on opening: {damage}"));
    }
    Ok(())
}
