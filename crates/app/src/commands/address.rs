//! `address`: the addresses of entities, without a store.

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use statlas_core::limits::ENTITY_TEXT_BYTES_MAX;
use statlas_core::{Address, Entity, EntityError, EntityErrorKind};

use crate::blocks::{Block, Blocks};
use crate::failure::{Failure, Place, Reason};
use crate::input::Input;
use crate::interrupt::Interrupt;
use crate::pipeline::{self, Room};
use crate::progress::Unit;
use crate::session::Session;

const EXAMPLES: &str = "\
Examples:
  statlas generate --count 3 | statlas address
  statlas address entities.jsonl
  statlas address --canonical entity.json | sha256sum   (of one entity, without the line break at the end)
  statlas address --uri entities.jsonl";

/// Print the addresses of entities
///
/// Reads entities and prints one address a line.
///
/// The input is JSON lines, or one JSON object over several lines. The first entity that breaks a rule ends
/// the command; the error names the line, the field, what was found and what is allowed.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Where to read from; - is standard input
    #[arg(default_value = "-")]
    file: PathBuf,
    /// Print the canonical form instead, whose SHA-256 is the address
    #[arg(long, conflicts_with = "uri")]
    canonical: bool,
    /// Print the URI of the position instead
    #[arg(long)]
    uri: bool,
}

/// What is printed for an entity.
#[derive(Debug, Clone, Copy)]
enum Form {
    Address,
    Canonical,
    Uri,
    Json,
}

/// What a block came to: the lines for its entities up to the first that is refused.
struct Printed {
    text: Vec<u8>,
    /// Bytes of the input.
    bytes: u64,
    refused: Option<(u64, EntityError)>,
}

pub(crate) fn run(arguments: &Arguments, session: &Session) -> Result<()> {
    let input = Input::open(&arguments.file)?;
    let form = match arguments {
        Arguments { canonical: true, .. } => Form::Canonical,
        _ if session.output().json() => Form::Json,
        Arguments { uri: true, .. } => Form::Uri,
        _ => Form::Address,
    };
    let file = input.name.clone();
    let mut stdout = session.output().stdout();
    let bar = session.output().progress_beside_stdout("addressing", input.bytes, Unit::Bytes);
    pipeline::run(
        Room::items(2 * pipeline::workers()),
        &Interrupt::default(),
        move |feed| {
            let mut blocks = Blocks::new(input);
            while let Some(block) = blocks.next_block()? {
                let bytes = block.bytes_held();
                if !feed.push(block, bytes) {
                    break;
                }
            }
            Ok(())
        },
        move |block| print(&block, form),
        |printed: Printed| {
            bar.inc(printed.bytes);
            stdout.write_all(&printed.text).context("cannot write to standard output")?;
            let Some((line, error)) = printed.refused else { return Ok(()) };
            stdout.flush().context("cannot write to standard output")?;
            let place = Place { file: file.clone(), line: Some(line) };
            Err(Failure::refused(place, Reason::Entity(error)).into())
        },
    )?;
    bar.finish_and_clear();
    stdout.flush().context("cannot write to standard output")
}

fn print(block: &Block, form: Form) -> Printed {
    let mut printed = Printed { text: Vec::new(), bytes: block.bytes(), refused: too_long(block) };
    let mut canonical = Vec::new();
    for (line, text) in block.texts() {
        match Entity::from_json(text) {
            Ok(entity) => {
                canonical.clear();
                entity.canonical_into(&mut canonical);
                write(&entity, &canonical, form, &mut printed.text);
            }
            Err(error) => {
                printed.refused = Some((block.line_of(line, &error), error));
                break;
            }
        }
    }
    printed
}

fn write(entity: &Entity, canonical: &[u8], form: Form, out: &mut Vec<u8>) {
    match form {
        Form::Address => out.extend_from_slice(&Address::of(canonical).to_hex()),
        Form::Canonical => out.extend_from_slice(canonical),
        Form::Uri => out.extend_from_slice(entity.uri().to_string().as_bytes()),
        Form::Json => {
            let address = Address::of(canonical).to_string();
            let line =
                serde_json::json!({"address": address, "id": entity.id(), "uri": entity.uri().to_string()});
            out.extend_from_slice(line.to_string().as_bytes());
        }
    }
    out.push(b'\n');
}

/// The refusal of a line that is longer than any entity.
pub(crate) fn too_long(block: &Block) -> Option<(u64, EntityError)> {
    let Block::TooLong { line, bytes, .. } = block else { return None };
    let allowed = format!("at most {ENTITY_TEXT_BYTES_MAX} bytes of JSON for one entity");
    Some((*line, EntityError::new(EntityErrorKind::Size, "", format!("{bytes} bytes"), allowed)))
}
