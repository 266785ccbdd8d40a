//! A token as it is written on the command line.

use std::borrow::Cow;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;
use statlas_core::{Address, EntityError, Token};

use crate::commands::token::read_hex;
use crate::failure::{Failure, Place, Reason};
use crate::input::Input;

/// The ways to write a token, for messages.
pub(crate) const LITERALS: &str =
    "a token as JSON, as 128 hex digits, or in a file (@FILE, @- for standard input)";

/// Fields of a token that say nothing about its place.
const OTHER_FIELDS: [&str; 8] =
    ["local_id", "entity_type", "domain", "flags", "weight", "field_radius", "field_strength", "timestamp"];

/// What becomes of a token in JSON that lacks fields which say nothing about its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missing {
    /// It is no token.
    Refused,
    /// They are zero.
    Zero,
}

/// More than any token takes, with all that may be said about it.
const TEXT_BYTES_MAX: u64 = 1 << 20;

/// The token that is written in an argument or in the file that it names; `None` if it looks like a name of something.
///
/// # Errors
///
/// A failure with the code for "usage" if the argument is no token, for "refused" if the file holds none.
pub(crate) fn literal(text: &str, missing: Missing) -> Result<Option<Token>> {
    if let Some(file) = text.strip_prefix('@') {
        return read_file(Path::new(file), missing).map(Some);
    }
    // Addresses are hex digits, too, and shorter.
    let is_hex = text.len() > 2 * size_of::<Address>() && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !is_hex && !text.trim_start().starts_with('{') {
        return Ok(None);
    }
    let refused = |error: EntityError| Failure::usage(format!("the token: {error}")).into();
    read(text.as_bytes(), missing).map(Some).map_err(refused)
}

fn read_file(path: &Path, missing: Missing) -> Result<Token> {
    let Input { name, reader, .. } = Input::open(path)?;
    let mut text = Vec::new();
    reader.take(TEXT_BYTES_MAX).read_to_end(&mut text).with_context(|| format!("cannot read {name}"))?;
    let refused = |error| Failure::refused(Place { file: name, line: None }, Reason::Entity(error));
    Ok(read(&text, missing).map_err(refused)?)
}

fn read(text: &[u8], missing: Missing) -> Result<Token, EntityError> {
    match text.trim_ascii() {
        json if json.starts_with(b"{") => match missing {
            Missing::Refused => Token::from_json(json),
            Missing::Zero => Token::from_json(&with_zeros(json)),
        },
        hex => Token::from_bytes(&read_hex(hex)?),
    }
}

/// The same object with zeros for what it lacks. What is no object stays as it is, to be refused by the rules of tokens.
fn with_zeros(json: &[u8]) -> Cow<'_, [u8]> {
    let Ok(Value::Object(fields)) = serde_json::from_slice(json) else { return json.into() };
    let Some(body) = json.strip_suffix(b"}") else { return json.into() };
    let mut text = body.to_vec();
    let mut comma = if fields.is_empty() { "" } else { "," };
    for field in OTHER_FIELDS.into_iter().filter(|field| !fields.contains_key(*field)) {
        text.extend_from_slice(format!("{comma}\"{field}\":0").as_bytes());
        comma = ",";
    }
    text.push(b'}');
    text.into()
}
