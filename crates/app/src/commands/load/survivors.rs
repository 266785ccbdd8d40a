//! Stores what can be stored of a batch that was refused.

use anyhow::{Context, Result};
use statlas_core::Entity;
use statlas_store::{Batch, Commit, Durability, Error, ErrorKind, Store};

use super::parse::Parsed;
use crate::failure::Reason;

/// A line that the store refused, its text, and why.
pub(super) type Refusal<'a> = (u64, &'a [u8], Reason);

/// Whether the store refused one operation of a batch because of what it is.
pub(super) fn is_refusal(error: &Error) -> bool {
    let is_rule = matches!(error.kind(), ErrorKind::Mutability | ErrorKind::Invalid | ErrorKind::Conflict);
    is_rule && error.operation().is_some()
}

/// Commits the accepted lines of a block but for those that the store refuses.
///
/// Pieces are halved when one is refused and doubled when one goes through, so the work grows with the
/// number of refusals and not with its square.
pub(super) fn commit<'a>(
    store: &Store,
    parsed: &'a Parsed,
    durability: Durability,
) -> Result<(Commit, Vec<Refusal<'a>>)> {
    let lines: Vec<(u64, &[u8])> = parsed.accepted().collect();
    let (mut total, mut refused) = (Commit::default(), Vec::new());
    let (mut at, mut piece) = (0, lines.len());
    while at < lines.len() {
        let end = lines.len().min(at + piece);
        // One sync at the end serves all pieces.
        match store.commit(batch(&lines[at..end])?, durability.min(Durability::Written)) {
            Ok(commit) => {
                total += commit;
                at = end;
                piece *= 2;
            }
            Err(error) if is_refusal(&error) => match error.operation().unwrap_or(0) {
                0 => {
                    let (line, text) = lines[at];
                    refused.push((line, text, Reason::Store(error)));
                    at += 1;
                    piece = (piece / 2).max(1);
                }
                sound => piece = sound,
            },
            Err(error) => return Err(error.into()),
        }
    }
    if durability == Durability::Synced {
        store.engine().sync()?;
    }
    Ok((total, refused))
}

fn batch(lines: &[(u64, &[u8])]) -> Result<Batch> {
    let mut batch = Batch::new();
    for (line, text) in lines {
        batch
            .put_entity(Entity::from_json(text).with_context(|| format!("line {line} was accepted before"))?);
    }
    Ok(batch)
}
