//! `rm`: removes entities.

use std::io::{BufRead, BufReader, BufWriter, Read, StdoutLock, Write};
use std::path::Path;

use anyhow::{Context, Result};
use clap::Args;
use serde_json::json;
use statlas_core::Address;
use statlas_store::{Batch, Durability, Store};

use super::history::id_of;
use crate::exit;
use crate::failure::Failure;
use crate::input::Input;
use crate::interrupt::Interrupt;
use crate::output::{plural, printable};
use crate::pipeline::{self, End, Room};
use crate::session::{self, Session, WHAT_HELP};

const EXAMPLES: &str = "\
Examples:
  statlas rm 2a803d2480c2                              (this version; the one before is then the newest)
  statlas rm bc-0001 bc-0002                           (the newest version of each id)
  statlas rm --all-versions bc-0001
  statlas --json find --realm void --limit 0 | jq -r '.id // empty' > ids && statlas rm - < ids";

/// Entities that are removed in one batch.
const BATCH_ENTITIES: usize = 1000;
/// Names that are read before those ahead of them are removed.
const LINES_READ_AHEAD: usize = 64;
/// Longest name on a line of standard input, in bytes: a URI with the longest id in it, and then some.
const NAME_BYTES_MAX: u64 = 64 << 10;

/// Remove entities
///
/// Removes entities and prints what was removed. It does not ask.
///
/// Of an id, the newest version is removed, and the one before becomes its head; a name that is given twice is
/// removed twice, like by two commands. Many are removed in batches, each as a whole or not at all. Names that are
/// not found are told, and the others are removed all the same. The file that belongs to an entity stays, since
/// others may share it: see `free-blobs`.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[arg(required = true, help = format!("{WHAT_HELP}; - reads names from standard input, one per line"))]
    what: Vec<String>,
    /// Remove every version of the id
    #[arg(long)]
    all_versions: bool,
}

pub(crate) fn run(arguments: &Arguments, session: &Session) -> Result<()> {
    let interrupt = Interrupt::install()?;
    let store = session.open()?;
    let mut removal = Removal {
        store: &store,
        session,
        stdout: session.output().stdout(),
        all_versions: arguments.all_versions,
        batch: Batch::new(),
        waiting: Vec::new(),
        removed: 0,
        missing: 0,
    };
    let done = removal.all(&arguments.what, &interrupt);
    // What was named before an error is removed, as the lines that are printed say.
    let committed = removal.commit();
    let (removed, missing) = (removal.removed, removal.missing);
    drop(removal);
    let end = done?;
    committed?;
    store.close()?;
    if end == End::Interrupted {
        let removed = plural(removed, "entity is", "entities are");
        return Err(Failure::interrupted(format!("{removed} removed, those that are printed")).into());
    }
    match (missing, &arguments.what[..]) {
        (0, _) => Ok(()),
        (_, [name]) if name != "-" => Err(session::not_found(name).into()),
        _ => {
            let names = plural(missing, "name was", "names were");
            let others = if removed > 0 { "the others are removed" } else { "nothing is removed" };
            Err(Failure::not_found(format!("{names} not found; {others}")).into())
        }
    }
}

/// A removal under way.
struct Removal<'a> {
    store: &'a Store,
    session: &'a Session,
    stdout: BufWriter<StdoutLock<'static>>,
    all_versions: bool,
    batch: Batch,
    /// What the batch removes, in its order.
    waiting: Vec<(Address, String)>,
    removed: u64,
    /// Names that nothing has.
    missing: u64,
}

impl Removal<'_> {
    fn all(&mut self, names: &[String], interrupt: &Interrupt) -> Result<End> {
        let is_single = names.len() == 1;
        for name in names {
            if name != "-" {
                self.name(name, is_single)?;
            } else if self.lines(interrupt)? == End::Interrupted {
                return Ok(End::Interrupted);
            }
            if interrupt.is_set() {
                return Ok(End::Interrupted);
            }
        }
        Ok(End::Complete)
    }

    /// Removes what standard input names; reading may wait for more lines, and Ctrl-C ends that, too.
    fn lines(&mut self, interrupt: &Interrupt) -> Result<End> {
        pipeline::run(
            Room::items(LINES_READ_AHEAD),
            interrupt,
            |feed| {
                let input = Input::open(Path::new("-"))?;
                let mut lines = Lines { reader: BufReader::new(input.reader), file: input.name, number: 0 };
                while let Some(name) = lines.next_name()? {
                    if !feed.push(name, 0) {
                        break;
                    }
                }
                Ok(())
            },
            |name| name,
            |name: String| self.name(&name, false),
        )
    }

    /// Removes what a name means once all before it is removed.
    fn name(&mut self, name: &str, is_single: bool) -> Result<()> {
        let found = match self.named(name) {
            Ok(found) if found.iter().any(|(address, _)| self.is_waiting(address)) => {
                self.commit()?;
                self.named(name)
            }
            found => found,
        };
        let found = match found {
            Ok(found) => found,
            Err(error) if exit::of(&error) == exit::NOT_FOUND => {
                self.missing += 1;
                // A single one is told by the end of the command.
                if !is_single {
                    self.session.output().warn(format!("{} was not found", printable(name)));
                }
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        for (address, id) in found {
            self.batch.remove_entity(address);
            self.waiting.push((address, id));
            if self.waiting.len() >= BATCH_ENTITIES {
                self.commit()?;
            }
        }
        Ok(())
    }

    fn is_waiting(&self, address: &Address) -> bool {
        self.waiting.iter().any(|(waiting, _)| waiting == address)
    }

    /// The addresses that a name means now, and the id of each.
    fn named(&self, name: &str) -> Result<Vec<(Address, String)>> {
        if self.all_versions {
            let id = id_of(self.store, name)?;
            let versions = self.store.engine().versions(&id)?;
            return Ok(versions.into_iter().map(|address| (address, id.clone())).collect());
        }
        let entity = session::resolve_one(self.store, name)?;
        let id = entity.head()?.id.into_owned();
        Ok(vec![(entity.address(), id)])
    }

    /// Removes what the batch names, and prints it.
    fn commit(&mut self) -> Result<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        self.store.commit(std::mem::take(&mut self.batch), Durability::Synced)?;
        self.removed += self.waiting.len() as u64;
        for (address, id) in self.waiting.drain(..) {
            let written = match self.session.output().json() {
                true => writeln!(self.stdout, "{}", json!({"removed": address.to_string(), "id": id})),
                false => writeln!(self.stdout, "removed {address} {}", printable(&id)),
            };
            written.context("cannot write to standard output")?;
        }
        self.stdout.flush().context("cannot write to standard output")
    }
}

/// Names, one per line.
struct Lines<R> {
    reader: BufReader<R>,
    file: String,
    /// The line that was read last, counted from 1.
    number: u64,
}

impl<R: Read> Lines<R> {
    /// The next name; `None` at the end. Blank lines are left out.
    fn next_name(&mut self) -> Result<Option<String>> {
        loop {
            self.number += 1;
            let Self { reader, file, number } = self;
            let mut line = Vec::new();
            let read = reader.by_ref().take(NAME_BYTES_MAX).read_until(b'\n', &mut line);
            if read.with_context(|| format!("cannot read {file}"))? == 0 {
                return Ok(None);
            }
            let refused = |why: &str| Failure::usage(format!("{file}, line {number}: {why}"));
            if line.len() as u64 == NAME_BYTES_MAX {
                return Err(refused(&format!("a name has less than {NAME_BYTES_MAX} bytes")).into());
            }
            let name = std::str::from_utf8(&line).map_err(|_| refused("a name is UTF-8"))?;
            let name = name.trim_end_matches(['\n', '\r']);
            if !name.is_empty() {
                return Ok(Some(name.to_owned()));
            }
        }
    }
}
