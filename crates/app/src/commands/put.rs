//! `put`: one entity into a store.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;
use serde_json::json;
use statlas_core::{BlobId, Entity, EntityError, EntityErrorKind};
use statlas_store::limits::BLOB_WHOLE_BYTES_MAX;
use statlas_store::{Batch, Durability, ErrorKind, Store, StoredFile};

use super::address::too_long;
use crate::blocks::Blocks;
use crate::failure::{Failure, Place, Reason};
use crate::input::Input;
use crate::output::Output;
use crate::progress::Unit;
use crate::session::Session;
use crate::token_argument::{self, Missing};

const EXAMPLES: &str = "\
Examples:
  statlas put entity.json
  statlas generate --count 1 | statlas put -
  statlas put entity.json --file picture.png           (statlas get --file OUT WHAT writes it back)
  statlas put entity.json --token @token.json          (statlas near --token finds it)";

/// Store one entity
///
/// Stores one entity, which a file holds as JSON, and prints its address.
///
/// An entity that is stored already stays as it is, and its address is printed just the same; with another
/// token or file than the stored one, or with one where that has none, it is refused: remove it first (statlas rm).
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The file with the entity; - is standard input
    #[arg(value_name = "FILE")]
    entity: PathBuf,
    /// Store this file too and attach it to the entity
    #[arg(long, value_name = "PATH")]
    file: Option<PathBuf>,
    /// Attach this token to the entity: as JSON, as 128 hex digits, or in a file (@FILE, @- for standard input)
    #[arg(long, value_name = "TOKEN")]
    token: Option<String>,
}

pub(crate) fn run(arguments: &Arguments, session: &Session) -> Result<()> {
    check_inputs(arguments)?;
    let (place, mut entity) = read(&arguments.entity)?;
    if let Some(text) = &arguments.token {
        entity = attach_token(text, &place, entity)?;
    }
    let store = session.open_or_create(Durability::Synced)?;
    let mut batch = Batch::new();
    // Kept until the entity is stored, so that nobody frees the file before.
    let mut stored = None;
    let entity = match &arguments.file {
        Some(path) => {
            let id = store_file(path, &store, &mut batch, &mut stored, session.output())?;
            attach(id, &place, entity)?
        }
        None => entity,
    };
    let address = batch.put_entity(entity);
    let commit = store.commit(batch, Durability::Synced).map_err(|error| match error.kind() {
        ErrorKind::Mutability | ErrorKind::Invalid | ErrorKind::Conflict => {
            Failure::refused(place, Reason::Store(error)).into()
        }
        _ => anyhow::Error::new(error),
    })?;
    drop(stored);
    let is_new = commit.entities_new > 0;
    store.close()?;
    match session.output().json() {
        true => session.output().print_json(&json!({"address": address.to_string(), "new": is_new})),
        false => session.output().print(address),
    }
}

/// Refuses what people write by mistake, and what would be told as something else.
fn check_inputs(Arguments { entity, token, .. }: &Arguments) -> Result<()> {
    let text = entity.to_string_lossy();
    if text.trim_start().starts_with('{') && !entity.exists() {
        let failure = Failure::usage("found an entity where a file with one is wanted");
        return Err(failure.hint("write it to standard input: echo '{...}' | statlas put -").into());
    }
    if text == "-" && token.as_deref() == Some("@-") {
        let failure = Failure::usage("standard input can't be the entity and the token");
        return Err(failure.hint("write the token itself behind --token, or to a file (@FILE)").into());
    }
    Ok(())
}

/// Reads the only entity of an input.
fn read(path: &Path) -> Result<(Place, Entity)> {
    let input = Input::open(path)?;
    let file = input.name.clone();
    let refused = |line, error| {
        anyhow::Error::new(Failure::refused(
            Place { file: file.clone(), line: Some(line) },
            Reason::Entity(error),
        ))
    };
    let several =
        || Failure::usage(format!("{file} holds more than one entity")).hint("`statlas load` takes many");
    let mut blocks = Blocks::new(input);
    let mut found = None;
    while let Some(block) = blocks.next_block()? {
        if let Some((line, error)) = too_long(&block) {
            return Err(refused(line, error));
        }
        for (line, text) in block.texts() {
            if found.is_some() {
                return Err(several().into());
            }
            let entity =
                Entity::from_json(text).map_err(|error| refused(block.line_of(line, &error), error))?;
            found = Some((Place { file: file.clone(), line: Some(line) }, entity));
        }
    }
    found.ok_or_else(|| {
        refused(1, EntityError::new(EntityErrorKind::Syntax, "", "an empty text", "a JSON object"))
    })
}

/// Stores a large file, or puts a small one into the batch.
fn store_file(
    path: &Path,
    store: &Store,
    batch: &mut Batch,
    large: &mut Option<StoredFile>,
    output: &Output,
) -> Result<BlobId> {
    let context = || format!("cannot read {}", path.display());
    let mut file = File::open(path).with_context(context)?;
    let metadata = file.metadata().with_context(context)?;
    if !metadata.is_file() {
        return Err(Failure::usage(format!("{} is no regular file", path.display())).into());
    }
    let (id, bytes) = if metadata.len() <= BLOB_WHOLE_BYTES_MAX as u64 {
        let mut bytes = Vec::new();
        (&mut file).take(BLOB_WHOLE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes).with_context(context)?;
        let len = bytes.len() as u64;
        (batch.put_blob(bytes), len)
    } else {
        let bar = output.progress("storing", Some(metadata.len()), Unit::Bytes);
        let stored = store.files().put(&mut bar.wrap_read(file))?;
        bar.finish_and_clear();
        let stored = large.insert(stored);
        (stored.id, stored.bytes)
    };
    anyhow::ensure!(bytes == metadata.len(), "{} changed while it was read", path.display());
    Ok(id)
}

/// Attaches a token to an entity; one that carries a token already must carry this one.
fn attach_token(text: &str, place: &Place, entity: Entity) -> Result<Entity> {
    let token = token_argument::literal(text, Missing::Refused)?.ok_or_else(|| {
        Failure::usage(format!("--token: found {text:?}; allowed: {}", token_argument::LITERALS))
    })?;
    match entity.token() {
        Some(carried) if carried.to_bytes() != token.to_bytes() => {
            let error = EntityError::new(
                EntityErrorKind::Token,
                "token",
                "another token in the entity",
                "the one of --token, or none",
            );
            Err(Failure::refused(place.clone(), Reason::Entity(error)).into())
        }
        _ => {
            let blob = entity.blob();
            Ok(entity.with_attachments(Some(token), blob))
        }
    }
}

/// Names a file in an entity; one that names its file already must name this one.
fn attach(id: BlobId, place: &Place, entity: Entity) -> Result<Entity> {
    match entity.blob() {
        Some(named) if named != id => {
            let allowed = format!("{id}, the SHA-256 of the file");
            let error = EntityError::new(EntityErrorKind::Blob, "blob", named, allowed);
            Err(Failure::refused(place.clone(), Reason::Entity(error)).into())
        }
        _ => {
            let token = entity.token().copied();
            Ok(entity.with_attachments(token, Some(id)))
        }
    }
}
