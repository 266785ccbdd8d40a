//! `stats`: the figures of a store.

use anyhow::{Context, Result};
use serde_json::json;
use statlas_store::ScrubStats;
use std::io::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::output::{bytes, plural, printable, thousands};
use crate::session::Session;

/// How long ago the last pass of scrubbing ended, and how far the newest one is.
fn scrubbed(scrub: &ScrubStats) -> String {
    let ago = |ms: u64| {
        let since =
            SystemTime::now().duration_since(UNIX_EPOCH + Duration::from_millis(ms)).unwrap_or_default();
        match since.as_secs() {
            seconds @ ..120 => format!("{seconds} s ago"),
            seconds @ ..7200 => format!("{} min ago", seconds / 60),
            seconds @ ..172_800 => format!("{} h ago", seconds / 3600),
            seconds => format!("{} days ago", seconds / 86_400),
        }
    };
    let last = match scrub.last_pass_ended() {
        None => "no pass is complete yet".to_owned(),
        Some(ended) => format!("last pass ended {}", ago(ended)),
    };
    let newest = match scrub.position_percent {
        100 => String::new(),
        percent => format!("; the one begun {} is at {percent} %", ago(scrub.pass_begun_ms)),
    };
    let damage = plural(scrub.damage, "damaged place", "damaged places");
    format!("{last}{newest}; {damage} found")
}

pub(crate) fn run(session: &Session) -> Result<()> {
    let store = session.open_unannounced()?;
    let stats = store.engine().stats();
    let memory: serde_json::Map<_, _> =
        stats.memory.iter().map(|held| (held.user.to_owned(), held.bytes.into())).collect();
    // In the form that `verify-history` takes.
    let head = (!stats.chain_head.is_empty()).then(|| format!("{}:{}", stats.revision, stats.chain_head));
    if session.output().json() {
        return session.output().print_json(&json!({
            "store": session.store_text(), "engine": stats.engine, "revision": stats.revision,
            "entities": stats.entities, "ids": stats.ids, "blobs": stats.blobs, "records": stats.records,
            "disk_bytes": stats.disk_bytes, "segments": stats.segments, "index_bytes": stats.index_bytes,
            "catalogue_bytes": stats.catalogue_bytes, "segments_covered": stats.segments_covered,
            "cache_hits": stats.cache_hits, "cache_misses": stats.cache_misses,
            "memory_bytes_max": stats.memory_bytes_max, "memory": memory, "damage": stats.damage, "chain_head": stats.chain_head,
            "head": head, "scrub": stats.scrub.map(|scrub| json!({
                "pass_begun_ms": scrub.pass_begun_ms, "last_pass_ended_ms": scrub.last_pass_ended(),
                "position_percent": scrub.position_percent, "damage": scrub.damage,
            })),
            "maintenance_error": stats.maintenance_error,
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
    if let Some(head) = head {
        rows.push(("head of the hash chain", head));
    }
    if let Some(scrub) = stats.scrub {
        rows.push(("scrubbed", scrubbed(&scrub)));
    }
    if let Some(error) = &stats.maintenance_error {
        rows.push(("maintenance failed", printable(error).to_string()));
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
