//! Reads stored files back and compares them with the originals, byte by byte.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result};
use serde_json::Value;
use statlas_store::{FileReader, Store, StoredEntity};

use super::report::Step;
use super::sample::{Sample, StoredFile};
use crate::commands::get::read_error;
use crate::commands::import::parse_modified;
use crate::file_id::{self, FILE};
use crate::output::{bytes, plural, thousands};
use crate::progress::Unit;
use crate::session::Session;

/// Files are compared in pieces of this size.
const PIECE_BYTES: usize = 256 << 10;

/// How a stored file compares with the original.
enum Compared {
    Identical(u64),
    /// The original is not what it was at the import.
    Changed,
    Different(String),
}

/// Compares the sampled files whose originals lie in `dir`.
pub(super) fn compare(store: &Store, dir: &Path, sample: &Sample, session: &Session) -> Result<Step> {
    let begun = Instant::now();
    let bar = session.output().progress("reading back", Some(sample.files.len() as u64), Unit::Count);
    let (mut identical, mut identical_bytes, mut changed) = (0, 0, 0);
    let mut wrong = Vec::new();
    for file in &sample.files {
        match compare_one(store, dir, file)? {
            Compared::Identical(bytes) => {
                identical += 1;
                identical_bytes += bytes;
            }
            Compared::Changed => changed += 1,
            Compared::Different(what) => wrong.push(what),
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    let changed = match changed {
        0 => String::new(),
        changed => format!("; {} changed or gone since their import", thousands(changed)),
    };
    let files = plural(identical, "file", "files");
    Ok(Step {
        name: "read files back, compare",
        done: format!("{files} ({}) identical to the originals{changed}", bytes(identical_bytes)),
        count: identical,
        unit: "files",
        time: begun.elapsed(),
        wrong,
    })
}

fn compare_one(store: &Store, dir: &Path, file: &StoredFile) -> Result<Compared> {
    let missing = |what: &str| Ok(Compared::Different(format!("{}: {what}", file.id)));
    let Some(entity) = store.get(&file.address)? else { return missing("the entity is gone") };
    let Some(blob) = entity.blob() else { return missing("the file is gone") };
    let Some(mut reader) = store.files().open(&blob)? else { return missing("the file is gone") };
    let names = file.id.strip_prefix(FILE).and_then(|path| file_id::decode(path).ok());
    let Some(path) = names.map(|names| names.iter().fold(dir.to_path_buf(), |path, name| path.join(name)))
    else {
        return Ok(Compared::Changed);
    };
    match is_same(&mut reader, &path)? {
        true => Ok(Compared::Identical(reader.len())),
        _ if has_changed(&path, &entity)? => Ok(Compared::Changed),
        _ => missing("the bytes differ from the original's"),
    }
}

/// Whether a file has the stored bytes, compared piece by piece; a file that can't be read has not.
fn is_same(reader: &mut FileReader<'_>, path: &Path) -> Result<bool> {
    let Ok(mut original) = File::open(path) else { return Ok(false) };
    let (mut stored, mut found) = (vec![0; PIECE_BYTES], vec![0; PIECE_BYTES]);
    loop {
        let read = match reader.read(&mut stored) {
            Ok(0) => return Ok(matches!(original.read(&mut found), Ok(0))),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(read_error(error)),
        };
        if original.read_exact(&mut found[..read]).is_err() || found[..read] != stored[..read] {
            return Ok(false);
        }
    }
}

/// Whether the original is gone or has another time or size than at its import.
fn has_changed(path: &PathBuf, entity: &StoredEntity) -> Result<bool> {
    let Ok(metadata) = fs::symlink_metadata(path) else { return Ok(true) };
    let entity = entity.entity()?;
    let state: Value = serde_json::from_str(entity.state().as_str()).context("the state is no JSON")?;
    let modified = state["modified"].as_str().and_then(parse_modified);
    Ok(state["bytes"] != metadata.len() || modified.is_none() || metadata.modified().ok() != modified)
}
