//! `put`: one entity into a store.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;
use serde_json::json;
use statlas_core::{BlobId, Entity, EntityError, EntityErrorKind};
use statlas_store::limits::BLOB_WHOLE_BYTES_MAX;
use statlas_store::{Batch, Durability, ErrorKind, Store};

use super::address::too_long;
use crate::blocks::Blocks;
use crate::failure::{Failure, Place, Reason};
use crate::input::Input;
use crate::session::Session;

const EXAMPLES: &str = "\
Examples:
  statlas put entity.json
  statlas generate --count 1 | statlas put -
  statlas put entity.json --file picture.png           (statlas get --file OUT WHAT writes it back)";

/// Stores one entity, given as JSON, and prints its address.
///
/// An entity that is stored already stays as it is, and its address is printed just the same.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The entity; - is standard input
    entity: PathBuf,
    /// Store this file too and attach it to the entity
    #[arg(long, value_name = "PATH")]
    file: Option<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments, session: &Session) -> Result<()> {
    let (place, entity) = read(&arguments.entity)?;
    let store = session.open_or_create(Durability::Synced)?;
    let mut batch = Batch::new();
    let entity = match &arguments.file {
        Some(path) => attach(path, &place, entity, &store, &mut batch)?,
        None => entity,
    };
    let blob = entity.blob();
    let address = batch.put_entity(entity);
    let commit = store.commit(batch, Durability::Synced).map_err(|error| match error.kind() {
        ErrorKind::Mutability | ErrorKind::Invalid => Failure::refused(place, Reason::Store(error)).into(),
        _ => anyhow::Error::new(error),
    })?;
    let is_new = commit.entities_new > 0;
    if !is_new && arguments.file.is_some() && store.get(&address)?.and_then(|stored| stored.blob()) != blob {
        let message = format!("{address} is stored already with another file or none, and stays as it is");
        let hint = "what is attached to an entity is settled when it is first stored; remove it first, or store another version";
        return Err(Failure::incomplete(message).hint(hint).into());
    }
    store.close()?;
    match session.output().json() {
        true => session.output().print_json(&json!({"address": address.to_string(), "new": is_new})),
        false => session.output().print(address),
    }
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

/// Stores a file, or puts it into the batch if it is small, and names it in the entity.
fn attach(path: &Path, place: &Place, entity: Entity, store: &Store, batch: &mut Batch) -> Result<Entity> {
    let context = || format!("cannot read {}", path.display());
    let mut file = File::open(path).with_context(context)?;
    let metadata = file.metadata().with_context(context)?;
    if !metadata.is_file() {
        return Err(Failure::usage(format!("{} is no regular file", path.display())).into());
    }
    let id = if metadata.len() <= BLOB_WHOLE_BYTES_MAX as u64 {
        let mut bytes = Vec::new();
        (&mut file).take(BLOB_WHOLE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes).with_context(context)?;
        if bytes.len() as u64 != metadata.len() {
            anyhow::bail!("{} changed while it was read", path.display());
        }
        named_as(BlobId::of(&bytes), place, &entity)?;
        batch.put_blob(bytes)
    } else {
        store.files().put(&mut file)?.id
    };
    named_as(id, place, &entity)?;
    let token = entity.token().copied();
    Ok(entity.with_attachments(token, Some(id)))
}

/// An entity that names its file already must name this one.
fn named_as(id: BlobId, place: &Place, entity: &Entity) -> Result<()> {
    match entity.blob() {
        Some(named) if named != id => {
            let error = EntityError::new(
                EntityErrorKind::Blob,
                "blob",
                named,
                format!("{id}, the SHA-256 of the file"),
            );
            Err(Failure::refused(place.clone(), Reason::Entity(error)).into())
        }
        _ => Ok(()),
    }
}
