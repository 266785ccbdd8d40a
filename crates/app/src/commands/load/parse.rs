//! A block of lines on its way into a batch.

use statlas_core::{Entity, EntityError};
use statlas_store::Batch;

use crate::blocks::Block;
use crate::commands::address::too_long;

/// A block, what of it can be stored, and what of it was refused.
pub(super) struct Parsed {
    pub(super) block: Block,
    /// One operation for each line that was accepted, in order.
    pub(super) batch: Batch,
    /// The lines that were refused, in order.
    pub(super) refused: Vec<(u64, EntityError)>,
}

/// Parses and hashes the entities of a block. With `stop`, the first refusal is the last line looked at.
pub(super) fn parse(block: Block, stop: bool) -> Parsed {
    let mut batch = Batch::new();
    let mut refused: Vec<(u64, EntityError)> = too_long(&block).into_iter().collect();
    for (line, text) in block.texts() {
        match Entity::from_json(text) {
            Ok(entity) => {
                batch.put_entity(entity);
            }
            Err(error) => {
                refused.push((line, error));
                if stop {
                    break;
                }
            }
        }
    }
    Parsed { block, batch, refused }
}

impl Parsed {
    /// The lines that were accepted, in the order of the batch's operations.
    pub(super) fn accepted(&self) -> impl Iterator<Item = (u64, &[u8])> {
        let mut refused = self.refused.iter().map(|(line, _)| *line).peekable();
        self.block.texts().filter(move |(line, _)| refused.next_if_eq(line).is_none())
    }

    /// The lines that were refused, with their texts as far as they were kept.
    pub(super) fn refused_texts(&self) -> impl Iterator<Item = (u64, &[u8], &EntityError)> {
        let mut texts = self.block.texts();
        self.refused.iter().map(move |(line, error)| {
            let text = match &self.block {
                Block::TooLong { start, .. } => start,
                _ => texts.find(|(at, _)| at == line).map_or(&[][..], |(_, text)| text),
            };
            (*line, text, error)
        })
    }
}
