//! Scenario 2.5: what tokens take in memory and in a file.

use statlas_core::Token;
use statlas_tokens::{MappedTokens, TokenVec, save};

use super::{failed, same_for_all};
use crate::error::{Error, Result};
use crate::process::Usage;
use crate::quantity::Unit;
use crate::report::Better;
use crate::stress::clock::timed;
use crate::stress::draft::{Draft, counted};
use crate::stress::engine::Engine;
use crate::stress::estimate::Cost;
use crate::stress::session::Session;
use crate::stress::sizes::Sizes;

const PUBLISHED: &str = "64 bytes each, 61 MB per 1M, linear";
/// Memory that mapping a file of any size may take, for what the system notes of it.
const MAPPING_BYTES_MAX: f64 = 262_144.0;

pub(in crate::stress) fn cost(sizes: &Sizes, _: &[Engine]) -> Cost {
    let bytes = (sizes.tokens * Token::BYTES) as u64;
    Cost { seconds: sizes.tokens as f64 * 1e-6, memory_bytes: bytes * 3, disk_bytes: bytes }
}

pub(in crate::stress) fn run(session: &mut Session<'_, '_>) -> Result<()> {
    let most = session.sizes.tokens;
    let mut files = Vec::new();
    for count in [most / 100, most / 10, most] {
        session.step(&format!("{} tokens", counted(count as u64)))?;
        files.push((count, measure(session, count)?));
    }
    // Linear: what each token more takes.
    let ((few, few_bytes), (many, many_bytes)) = (files[0], files[2]);
    let more = (many_bytes - few_bytes) as f64 / (many - few) as f64;
    let definition = format!(
        "The size of a file of {} tokens less that of one of {}, by how many more they are.",
        counted(many as u64),
        counted(few as u64)
    );
    let draft = Draft::bytes("linear", "a file for a token more").by(definition).published(PUBLISHED);
    session.sample(draft.at_most(Token::BYTES as f64), more);
    Ok(())
}

/// Makes, saves and maps so many tokens; the size of the file.
fn measure(session: &mut Session<'_, '_>, count: usize) -> Result<u64> {
    let mut tokens = TokenVec::with_capacity(count);
    tokens.create(count, &same_for_all()).map_err(failed)?;
    let bytes = tokens.memory_bytes() as f64;
    let size = counted(count as u64);
    let (each, constant) =
        (tokens.as_bytes().len() as f64 / count as f64, bytes - tokens.as_bytes().len() as f64);
    let definition = "Bytes of the tokens in memory, by their number.";
    let draft =
        Draft::bytes(format!("token.{count}"), format!("a token in memory, {size} tokens")).by(definition);
    session.sample(draft.published(PUBLISHED).at_most(Token::BYTES as f64), each);
    let definition = "TokenVec::memory_bytes less the bytes of the tokens: all else, once.";
    let draft =
        Draft::bytes(format!("constant.{count}"), format!("beside them, {size} tokens")).by(definition);
    session.sample(draft, constant);
    let parent = &session.options.folder;
    let failed = |error| Error::io(format!("making a folder in {}", parent.display()), error);
    let folder = tempfile::Builder::new().prefix("statlas-lab-").tempdir_in(parent).map_err(failed)?;
    let path = folder.path().join("some.tokens");
    let refused =
        |error: statlas_tokens::TokenFileError| Error::Invalid(format!("{}: {error}", path.display()));
    let (seconds, saved) = timed(|| save(&path, &tokens));
    saved.map_err(refused)?;
    let definition = "Written and synced, one file.";
    let name = format!("save {size} tokens, synced");
    let draft =
        Draft::new(format!("save.{count}"), name, Unit::BytesPerSecond, Better::Higher).by(definition);
    session.sample(draft, tokens.as_bytes().len() as f64 / seconds);
    let failed = |error| Error::io(format!("looking at {}", path.display()), error);
    let file_bytes = std::fs::metadata(&path).map_err(failed)?.len();
    let definition = "The size of the file less 64 bytes for each token: its header.";
    let draft = Draft::bytes(format!("header.{count}"), format!("a file beside its tokens, {size} tokens"));
    session.sample(draft.by(definition), file_bytes as f64 - tokens.as_bytes().len() as f64);
    let before = Usage::now();
    let (seconds, mapped) = timed(|| MappedTokens::open(&path));
    let mapped = mapped.map_err(refused)?;
    let is_same = mapped[..] == tokens[..];
    let after = Usage::now();
    session.check(None, is_same, || format!("{} has other tokens than were saved", path.display()));
    let draft = Draft::time(format!("map.{count}"), format!("map a file of {size} tokens"));
    session.sample(draft.by("MappedTokens::open, the file in the page cache."), seconds);
    if let Some((before, after)) = before.zip(after) {
        let grown = after.anonymous_bytes.saturating_sub(before.anonymous_bytes);
        let definition = format!(
            "What the memory of the process that is no page of a file grows by while a file is mapped and all of its tokens are \
             read: a copy would be {}.",
            Unit::Bytes.format(tokens.as_bytes().len() as f64)
        );
        let name = format!("copied to map and read {size} tokens");
        let draft = Draft::bytes(format!("copied.{count}"), name).by(definition).at_most(MAPPING_BYTES_MAX);
        session.sample(draft, grown as f64);
    }
    Ok(file_bytes)
}
