//! `restore-files`: stored files back into a directory.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result};
use clap::Args;
use serde_json::{Value, json};
use statlas_store::{Error as StoreError, ErrorKind, Filter, Query, Store, StoredEntity};

use super::get;
use super::import::{encode_prefix, parse_modified, store_directory};
use crate::allowance::Allowance;
use crate::failure::Failure;
use crate::file_id::{self, FILE};
use crate::interrupt::Interrupt;
use crate::output::{self, plural, printable};
use crate::progress::{Progress, Unit};
use crate::session::{Session, expect_undamaged};

mod tree;

use tree::{Meta, Placed, Tree};

const EXAMPLES: &str = "\
Examples:
  statlas restore-files out
  statlas restore-files out --prefix projects/statlas  (only those, and without the prefix)
  statlas restore-files . --force                      (replaces files that differ)";

/// Entities that are read at a time if there is memory.
const PAGE_ROWS_MAX: usize = 1000;
/// Problems that are listed for people; `--json` lists all.
const PROBLEMS_LISTED: usize = 20;

/// Write stored files back into a directory
///
/// Writes the newest version of every stored file back into a directory, verified, with its permissions
/// and its time of modification.
///
/// A file that is there already is left alone if it is the same, and not replaced without --force if it
/// differs. Nothing is ever written outside of the directory, whatever the stored names say and whatever
/// symbolic links the directory holds, and nothing into the store itself. Files that were deleted after their import are written too.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Where to write to; made if it is not there
    dir: PathBuf,
    /// Only files under this path, written without it: what `import --prefix` put before
    #[arg(long, value_name = "PATH", default_value = "", hide_default_value = true)]
    prefix: String,
    /// Replace files that differ
    #[arg(long)]
    force: bool,
}

/// What was done.
#[derive(Debug, Default)]
struct Report {
    written: u64,
    same: u64,
    bytes: u64,
    /// Ids and why nothing was written for them.
    problems: Vec<(String, String)>,
    damaged: u64,
    complete: bool,
}

pub(crate) fn run(arguments: &Arguments, session: &Session) -> Result<()> {
    let prefix = encode_prefix(&arguments.prefix)?;
    let store = session.open()?;
    let tree = Tree::open(&arguments.dir, arguments.force, store_directory(session.location()))?;
    let interrupt = Interrupt::install()?;
    let begun = Instant::now();
    let bar = session.output().progress("restoring", Some(store.engine().stats().entities), Unit::Count);
    let mut restore = Restore { store: &store, tree, prefix, report: Report::default() };
    let done = restore.all(&interrupt, &bar);
    bar.finish_and_clear();
    done?;
    let report = restore.report;
    print(&report, begun.elapsed(), session)?;
    end(&report, &store)
}

/// The command's end as its exit code has it.
fn end(report: &Report, store: &Store) -> Result<()> {
    if !report.complete {
        let files = plural(report.written + report.same, "file is", "files are");
        return Err(
            Failure::interrupted(format!("{files} in place; run the same command again to go on")).into()
        );
    }
    let files = plural(report.problems.len() as u64, "file", "files");
    match (report.damaged, report.problems.len()) {
        (_, 0) => expect_undamaged(store, "what was restored"),
        (0, _) if store.engine().stats().damage.is_empty() => {
            Err(Failure::incomplete(format!("{files} could not be written")).into())
        }
        (0, _) => {
            let message =
                format!("{files} could not be written, and others may be missing: the store is damaged");
            Err(Failure::integrity(message).hint("`statlas check` lists the damage").into())
        }
        (damaged, _) => {
            let message =
                format!("{files} could not be written, {damaged} of them because stored bytes are damaged");
            Err(Failure::integrity(message).hint("`statlas check` lists the damage").into())
        }
    }
}

struct Restore<'a> {
    store: &'a Store,
    tree: Tree,
    prefix: String,
    report: Report,
}

impl Restore<'_> {
    fn all(&mut self, interrupt: &Interrupt, bar: &Progress) -> Result<()> {
        let filter = Filter { latest: true, ..Filter::default() };
        let mut pages = Allowance::beside(self.store).pages(PAGE_ROWS_MAX);
        let mut query = Query { filter, ..Query::default() };
        loop {
            query.limit = pages.rows();
            let page = self.store.engine().find(&query)?;
            pages.learn(&page);
            for entity in &page.entities {
                if interrupt.is_set() {
                    return Ok(());
                }
                self.entity(entity)?;
            }
            bar.inc(page.entities.len() as u64);
            match page.next {
                Some(next) => query.after = Some(next),
                None => break,
            }
        }
        self.report.complete = true;
        Ok(())
    }

    fn entity(&mut self, entity: &StoredEntity) -> Result<()> {
        let head = entity.head()?;
        let Some(path) = head.id.strip_prefix(FILE).and_then(|path| under(path, &self.prefix)) else {
            return Ok(());
        };
        match self.file(entity, path) {
            Ok(Placed::Written(bytes)) => {
                self.report.written += 1;
                self.report.bytes += bytes;
            }
            Ok(Placed::Same) => self.report.same += 1,
            Ok(Placed::Refused(why)) => self.report.problems.push((head.id.into_owned(), why)),
            Err(error) => {
                let store_error = error.chain().find_map(|cause| cause.downcast_ref::<StoreError>());
                match store_error.map(StoreError::kind) {
                    Some(ErrorKind::Corrupt) => self.report.damaged += 1,
                    Some(_) => return Err(error),
                    None => {}
                }
                self.report.problems.push((head.id.into_owned(), format!("{error:#}")));
            }
        }
        Ok(())
    }

    fn file(&mut self, entity: &StoredEntity, path: &str) -> Result<Placed> {
        let names = match file_id::decode(path) {
            Ok(names) => names,
            Err(why) => return Ok(Placed::Refused(format!("its name is no path inside a directory: {why}"))),
        };
        let Some(blob) = entity.blob() else { return Ok(Placed::Refused("the entity has no file".into())) };
        let Some(mut reader) = self.store.files().open(&blob)? else {
            return Ok(Placed::Refused(format!("its file {blob} is not in the store")));
        };
        let meta = meta(entity)?;
        let bytes = reader.len();
        self.tree.place(&names, blob, bytes, meta, &mut |file| get::copy(&mut reader, file, path, |_| {}))
    }
}

/// The path below a prefix; the whole path if there is none.
fn under<'a>(path: &'a str, prefix: &str) -> Option<&'a str> {
    if prefix.is_empty() { Some(path) } else { path.strip_prefix(prefix)?.strip_prefix('/') }
}

/// Permissions and time, as far as the state has them.
fn meta(entity: &StoredEntity) -> Result<Meta> {
    let entity = entity.entity()?;
    let state: Value = serde_json::from_str(entity.state().as_str()).context("the state is no JSON")?;
    Ok(Meta {
        mode: state["mode"].as_str().and_then(|mode| u32::from_str_radix(mode, 8).ok()),
        modified: state["modified"].as_str().and_then(parse_modified),
    })
}

fn print(report: &Report, time: std::time::Duration, session: &Session) -> Result<()> {
    let Report { written, same, bytes, problems, complete, .. } = report;
    let rate = output::per_second(written + same, time);
    if session.output().json() {
        let problems: Vec<Value> = problems.iter().map(|(id, why)| json!({"id": id, "cause": why})).collect();
        return session.output().print_json(&json!({
            "written": written, "already_there": same, "bytes_written": bytes, "complete": complete,
            "problems": problems, "seconds": time.as_secs_f64(), "per_second": rate,
        }));
    }
    session.output().print(format!(
        "{} written ({}), {} there already, in {} ({} files/s, {}/s)",
        plural(*written, "file", "files"),
        output::bytes(*bytes),
        output::thousands(*same),
        output::duration(time),
        output::thousands(rate),
        output::bytes(output::per_second(*bytes, time)),
    ))?;
    for (id, why) in problems.iter().take(PROBLEMS_LISTED) {
        session.output().warn(format!("{}: {why}", printable(id)));
    }
    if problems.len() > PROBLEMS_LISTED {
        session.output().warn("and more; --json lists all");
    }
    Ok(())
}
