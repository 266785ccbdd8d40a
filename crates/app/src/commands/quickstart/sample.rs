//! The import, and a sample of what the store holds after it.

use std::path::Path;

use anyhow::Result;
use statlas_core::Address;
use statlas_lab::SplitMix64;
use statlas_store::{Filter, Query, Store};

use super::lookups;
use super::report::Step;
use crate::allowance::Allowance;
use crate::commands::import::{self, Overrides};
use crate::file_id::FILE;
use crate::interrupt::Interrupt;
use crate::output::{bytes, plural, thousands};
use crate::progress::Unit;
use crate::session::Session;

/// Addresses that are looked up.
const ADDRESSES_MAX: usize = 100_000;
/// Files that are read back.
const FILES_MAX: usize = 20_000;
/// Bytes of files that are read back.
const FILES_BYTES_MAX: u64 = 256 << 20;
/// Ids that are looked up.
const IDS_MAX: usize = 10_000;
/// Entities that are read at a time if there is memory.
const PAGE_ROWS_MAX: usize = 10_000;
const SEED: u64 = 1;

/// A stored file.
pub(super) struct StoredFile {
    pub(super) id: String,
    pub(super) address: Address,
    pub(super) bytes: u64,
}

/// Random addresses and ids of the store, and files.
#[derive(Default)]
pub(super) struct Sample {
    /// In random order.
    pub(super) addresses: Vec<Address>,
    /// In random order.
    pub(super) ids: Vec<String>,
    pub(super) files: Vec<StoredFile>,
    /// How many ids the store holds.
    pub(super) entities: u64,
    /// How many of their newest versions meet the query by coordinates.
    pub(super) matches: u64,
}

/// Imports the directory.
pub(super) fn import(store: &Store, dir: &Path, interrupt: &Interrupt, session: &Session) -> Result<Step> {
    let (report, _) = import::take_directory(store, dir, Overrides::default(), interrupt, session)?;
    let left_out = match report.problems.len() as u64 {
        0 => String::new(),
        problems => format!(", {} left out (statlas import tells why)", thousands(problems)),
    };
    let known = match report.unchanged {
        0 => String::new(),
        unchanged => format!(" ({} unchanged since the last time)", thousands(unchanged)),
    };
    let files = plural(report.files(), "file", "files");
    Ok(Step {
        name: "import a directory",
        done: format!("{files}{known}, {} read{left_out}; synced to the device", bytes(report.bytes_read)),
        count: report.files(),
        unit: "files",
        time: report.time,
        wrong: Vec::new(),
    })
}

impl Sample {
    /// Takes a sample, the same for the same store.
    pub(super) fn take(store: &Store, session: &Session) -> Result<Self> {
        let entities = store.engine().stats().entities;
        let bar = session.output().progress("sampling", Some(entities), Unit::Count);
        let (mut sample, conditions) = (Self::default(), lookups::conditions());
        let mut random = SplitMix64::new(SEED);
        let (mut seen, mut file_bytes) = (0, 0);
        let filter = Filter { latest: true, ..Filter::default() };
        let mut pages = Allowance::beside(store).pages(PAGE_ROWS_MAX);
        let mut query = Query { filter, ..Query::default() };
        loop {
            query.limit = pages.rows();
            let page = store.engine().find(&query)?;
            pages.learn(&page);
            for entity in &page.entities {
                seen += 1;
                keep(&mut sample.addresses, ADDRESSES_MAX, seen, &mut random, || entity.address());
                let head = entity.head()?;
                sample.matches += u64::from(lookups::meets(&conditions, &head.coordinates));
                keep(&mut sample.ids, IDS_MAX, seen, &mut random, || head.id.to_string());
                let has_room = sample.files.len() < FILES_MAX && file_bytes < FILES_BYTES_MAX;
                if has_room && entity.blob().is_some() && head.id.starts_with(FILE) {
                    let bytes = file_len(entity.canonical());
                    if file_bytes + bytes <= FILES_BYTES_MAX {
                        file_bytes += bytes;
                        sample.files.push(StoredFile {
                            id: head.id.to_string(),
                            address: entity.address(),
                            bytes,
                        });
                    }
                }
            }
            bar.inc(page.entities.len() as u64);
            match page.next {
                Some(next) => query.after = Some(next),
                None => break,
            }
        }
        bar.finish_and_clear();
        sample.entities = seen;
        random.shuffle(&mut sample.addresses);
        random.shuffle(&mut sample.ids);
        Ok(sample)
    }
}

/// Keeps each of the items seen with the same probability (algorithm R of Vitter, 1985).
fn keep<T>(kept: &mut Vec<T>, most: usize, seen: u64, random: &mut SplitMix64, item: impl FnOnce() -> T) {
    if kept.len() < most {
        return kept.push(item());
    }
    if let Some(place) = usize::try_from(random.below(seen)).ok().and_then(|at| kept.get_mut(at)) {
        *place = item();
    }
}

/// The length of a file as the state of its entity has it; 0 if it does not say.
fn file_len(canonical: &[u8]) -> u64 {
    let text = std::str::from_utf8(canonical).unwrap_or_default();
    let state = text.rsplit_once("\"bytes\":").map_or("", |(_, rest)| rest);
    let digits = state.find(|character: char| !character.is_ascii_digit()).unwrap_or(state.len());
    state[..digits].parse().unwrap_or(0)
}
