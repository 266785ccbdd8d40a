//! `token`: tokens as JSON and as 64 bytes of hex.

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use statlas_core::{EntityError, EntityErrorKind, Token};

use super::address::too_long;
use crate::blocks::Blocks;
use crate::failure::{Failure, Place, Reason};
use crate::input::Input;
use crate::session::Session;

const ENCODE_EXAMPLES: &str = "\
Examples:
  echo '{\"local_id\": 1, \"entity_type\": 11, \"domain\": 12, \"flags\": 1, \"weight\": 1.0,
         \"field_radius\": 2.5, \"field_strength\": 0.5, \"timestamp\": 1700000000,
         \"spaces\": {\"physical\": [1.5, -2.0, 0.25]}}' | statlas token encode
  statlas token encode tokens.jsonl > tokens.hex";

const DECODE_EXAMPLES: &str = "\
Examples:
  statlas token decode tokens.hex
  statlas token encode tokens.jsonl | statlas token decode
  statlas token decode --reference foreign.hex";

/// Which way.
#[derive(Debug, Subcommand)]
pub(crate) enum Arguments {
    /// Read tokens as JSON lines and print 128 hex digits for each
    #[command(after_long_help = ENCODE_EXAMPLES)]
    Encode(Encode),
    /// Read lines of 128 hex digits and print a token as JSON for each
    #[command(after_long_help = DECODE_EXAMPLES)]
    Decode(Decode),
}

#[derive(Debug, Args)]
pub(crate) struct Encode {
    /// Where to read from; - is standard input
    #[arg(default_value = "-")]
    file: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Decode {
    /// Where to read from; - is standard input
    #[arg(default_value = "-")]
    file: PathBuf,
    /// The bytes are those of the reference implementation, which marks undefined spaces by 127
    #[arg(long)]
    reference: bool,
}

pub(crate) fn run(arguments: &Arguments, session: &Session) -> Result<()> {
    match arguments {
        Arguments::Encode(Encode { file }) => each_line(file, session, |text, out| {
            let token = Token::from_json(text)?;
            write_hex(&token.to_bytes(), out);
            Ok(())
        }),
        Arguments::Decode(Decode { file, reference }) => each_line(file, session, |text, out| {
            let bytes = read_hex(text)?;
            let token =
                if *reference { Token::from_reference_bytes(&bytes)? } else { Token::from_bytes(&bytes)? };
            token.to_json_into(out);
            Ok(())
        }),
    }
}

/// Writes a line for every line of a file, until one is refused.
fn each_line(
    file: &std::path::Path,
    session: &Session,
    convert: impl Fn(&[u8], &mut Vec<u8>) -> Result<(), EntityError>,
) -> Result<()> {
    let input = Input::open(file)?;
    let name = input.name.clone();
    let refused =
        |line, error| Failure::refused(Place { file: name.clone(), line: Some(line) }, Reason::Entity(error));
    let mut stdout = session.output().stdout();
    let mut blocks = Blocks::new(input);
    let mut converted = Vec::new();
    while let Some(block) = blocks.next_block()? {
        if let Some((line, error)) = too_long(&block) {
            stdout.flush().context("cannot write to standard output")?;
            return Err(refused(line, error).into());
        }
        for (line, text) in block.texts() {
            converted.clear();
            if let Err(error) = convert(text, &mut converted) {
                stdout.flush().context("cannot write to standard output")?;
                return Err(refused(block.line_of(line, &error), error).into());
            }
            converted.push(b'\n');
            stdout.write_all(&converted).context("cannot write to standard output")?;
        }
    }
    stdout.flush().context("cannot write to standard output")
}

fn write_hex(bytes: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        out.extend_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
    }
}

/// The bytes that 128 hex digits stand for.
pub(crate) fn read_hex(text: &[u8]) -> Result<[u8; Token::BYTES], EntityError> {
    let text = text.trim_ascii();
    let refused = |found: String| {
        Err(EntityError::new(EntityErrorKind::Token, "", found, "the 64 bytes of a token as 128 hex digits"))
    };
    if text.len() != 2 * Token::BYTES {
        return refused(format!("{} characters", text.len()));
    }
    let mut bytes = [0; Token::BYTES];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        let digit = |at: usize| char::from(pair[at]).to_digit(16);
        let Some(value) = digit(0).zip(digit(1)).and_then(|(high, low)| u8::try_from(high << 4 | low).ok())
        else {
            return refused(format!("{:?}", String::from_utf8_lossy(pair)));
        };
        *byte = value;
    }
    Ok(bytes)
}
