//! `watch`: the changes behind a revision, and those that are still to come.

use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::thread;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use clap::Args;
use serde_json::{Value, json};
use statlas_store::{Change, ChangeKind, Error as StoreError, ErrorKind, Location, Store, limits};

use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::output::printable;
use crate::session::Session;

const EXAMPLES: &str = "\
Examples:
  statlas watch                                        (everything that changed since the store was made)
  statlas watch --from 1200 --limit 100                (go on behind revision 1200)
  statlas --json watch --follow | jq -r 'select(.change == \"entity_put\") | .address'";

/// How often a store that is followed is looked at.
const PAUSE: Duration = Duration::from_millis(200);

/// List what changed behind a revision
///
/// Lists every change behind a revision in order: the revision of its batch, what it did, and the address, SHA-256
/// or name of what it did that to. Whole revisions are listed, so --from with the last one of a list goes on
/// behind it without a gap. Changes whose history is no longer kept end the command with code 1.
///
/// With --follow it waits for more until Ctrl-C. Meanwhile the store is free for other commands, but for the
/// moments in which it is looked at after it changed.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Begin behind this revision
    #[arg(long, value_name = "REVISION", default_value_t = 0)]
    from: u64,
    /// Wait for further changes until Ctrl-C
    #[arg(long)]
    follow: bool,
    /// End after so many changes; the first revision is listed whole even if it has more
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
}

pub(crate) fn run(arguments: &Arguments, session: &Session) -> Result<()> {
    let interrupt = Interrupt::install()?;
    let left = arguments.limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    let mut listing = Listing { session, interrupt, revision: arguments.from, left, is_begun: false };
    let mut traces = listing.list(&session.open()?)?;
    if !arguments.follow {
        return Ok(());
    }
    while listing.left > 0 {
        listing.check_interrupt()?;
        thread::sleep(PAUSE);
        if traces_of(session.location()) == traces {
            continue;
        }
        match session.open_briefly() {
            Ok(store) => traces = listing.list(&store)?,
            // Who has it is not done yet.
            Err(error) if is_busy(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn is_busy(error: &anyhow::Error) -> bool {
    let kinds = error.chain().filter_map(|cause| Some(cause.downcast_ref::<StoreError>()?.kind()));
    kinds.into_iter().any(|kind| kind == ErrorKind::Busy)
}

/// A list of changes that grows.
struct Listing<'a> {
    session: &'a Session,
    interrupt: Interrupt,
    /// The last revision that was listed.
    revision: u64,
    /// So many more changes are wanted.
    left: usize,
    is_begun: bool,
}

impl Listing<'_> {
    /// Lists what is there, closes the store, and returns by what a change since then can be told.
    fn list(&mut self, store: &Store) -> Result<Traces> {
        let mut stdout = self.session.output().stdout();
        while self.left > 0 {
            let page = store.engine().changes(self.revision, self.left.min(limits::PAGE_CHANGES_MAX))?;
            if page.revision == self.revision {
                break;
            }
            if page.changes.len() > self.left && self.is_begun {
                self.left = 0;
                break;
            }
            for change in &page.changes {
                let written = if self.session.output().json() {
                    writeln!(stdout, "{}", object_of(change))
                } else {
                    writeln!(stdout, "{}", line_of(change))
                };
                written.context("cannot write to standard output")?;
            }
            self.is_begun = true;
            self.left = self.left.saturating_sub(page.changes.len());
            self.revision = page.revision;
            if self.interrupt.is_set() {
                break;
            }
        }
        stdout.flush().context("cannot write to standard output")?;
        // As long as the store is open, nobody else changes it.
        let traces = traces_of(self.session.location());
        store.close()?;
        self.check_interrupt()?;
        Ok(traces)
    }

    fn check_interrupt(&self) -> Result<()> {
        if !self.interrupt.is_set() {
            return Ok(());
        }
        let revision = self.revision;
        let message =
            format!("listed up to revision {revision}; `statlas watch --from {revision}` goes on from there");
        Err(Failure::interrupted(message).into())
    }
}

/// A change as a line for people.
fn line_of(change: &Change) -> String {
    let what = change.kind.as_str().replace('_', " ");
    let subject = match &change.kind {
        ChangeKind::EntityPut(address) | ChangeKind::EntityRemoved(address) => address.to_string(),
        ChangeKind::BlobPut(id) | ChangeKind::BlobRemoved(id) => id.to_string(),
        ChangeKind::RecordPut(key) | ChangeKind::RecordRemoved(key) => {
            format!("{} {}", printable(key.collection()), printable(key.key()))
        }
    };
    format!("{:>8}  {what:<14}  {subject}", change.revision)
}

/// A change as JSON.
fn object_of(change: &Change) -> Value {
    let mut object =
        json!({"revision": change.revision, "ordinal": change.ordinal, "change": change.kind.as_str()});
    match &change.kind {
        ChangeKind::EntityPut(address) | ChangeKind::EntityRemoved(address) => {
            object["address"] = address.to_string().into();
        }
        ChangeKind::BlobPut(id) | ChangeKind::BlobRemoved(id) => object["blob"] = id.to_string().into(),
        ChangeKind::RecordPut(key) | ChangeKind::RecordRemoved(key) => {
            object["collection"] = key.collection().into();
            object["key"] = key.key().into();
        }
    }
    object
}

/// Names, lengths and times of the files of a log. They are the same as long as nobody commits.
type Traces = Vec<(OsString, u64, Option<SystemTime>)>;

/// The traces of a store that may be in use; none where they can't be had.
fn traces_of(location: &Location) -> Traces {
    let Location::Disk(path) = location else { return Traces::new() };
    let Ok(entries) = fs::read_dir(path.join("log")) else { return Traces::new() };
    let segments = entries.flatten().filter(|entry| {
        let name = entry.file_name();
        Path::new(&name).extension().is_some_and(|ending| ending == "seg")
    });
    let mut traces: Traces = segments
        .filter_map(|entry| {
            let metadata = entry.metadata().ok()?;
            Some((entry.file_name(), metadata.len(), metadata.modified().ok()))
        })
        .collect();
    traces.sort_unstable();
    traces
}
