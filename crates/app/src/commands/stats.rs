//! `stats`: the figures of a store.

use anyhow::{Context, Result};
use serde_json::json;
use std::io::Write;

use crate::output::{bytes, thousands};
use crate::session::Session;

pub(crate) fn run(session: &Session) -> Result<()> {
    let store = session.open_unannounced()?;
    let stats = store.engine().stats();
    let memory: serde_json::Map<_, _> =
        stats.memory.iter().map(|held| (held.user.to_owned(), held.bytes.into())).collect();
    if session.output().json() {
        return session.output().print_json(&json!({
            "store": session.store_text(), "engine": stats.engine, "revision": stats.revision,
            "entities": stats.entities, "ids": stats.ids, "blobs": stats.blobs, "records": stats.records,
            "disk_bytes": stats.disk_bytes, "segments": stats.segments, "index_bytes": stats.index_bytes,
            "catalogue_bytes": stats.catalogue_bytes, "segments_covered": stats.segments_covered,
            "memory_bytes_max": stats.memory_bytes_max, "memory": memory, "damage": stats.damage, "chain_head": stats.chain_head,
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
    ];
    if stats.memory_bytes_max > 0 {
        let held = stats.memory.iter().map(|held| held.bytes).sum();
        rows.push(("memory", format!("{} of at most {}", bytes(held), bytes(stats.memory_bytes_max))));
    }
    for held in &stats.memory {
        rows.push((held.user, bytes(held.bytes)));
    }
    if !stats.chain_head.is_empty() {
        rows.push(("head of the hash chain", stats.chain_head));
    }
    let mut stdout = session.output().stdout();
    for (name, value) in rows {
        let name = if stats.memory.iter().any(|held| held.user == name) {
            format!("  {name}")
        } else {
            name.to_owned()
        };
        writeln!(stdout, "{} {value}", session.output().faint(format!("{name:<24}")))
            .context("cannot write to standard output")?;
    }
    stdout.flush().context("cannot write to standard output")?;
    for damage in &stats.damage {
        session.output().warn(format!("damage found on opening: {damage}"));
    }
    Ok(())
}
