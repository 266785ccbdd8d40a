//! A batch as frames, made in the caller's thread so that the thread that commits has little to do.

use std::ops::Range;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::buffers::{Buffer, Buffers};
use super::format::{
    COMMIT_FRAME_BYTES, FLAG_BLOB, FLAG_CHUNK, FLAG_COMPRESSED, FLAG_MANIFEST, FLAG_TOKEN, Frame, Kind,
    Label, Mark, TEXT_LENGTH_BYTES, Text, write_frame,
};
use super::texts::{Compressor, Encoder, Texts};
use crate::batch::{Batch, BlobForm, EntityChange, Operation, RecordKey};
use crate::overlay::Plan;

/// A batch and its frames.
pub(crate) struct EncodedBatch {
    /// Without the contents that its frames have, unless it may have to be encoded again.
    pub(super) batch: Batch,
    bytes: Buffer,
    /// Where the frame of each operation stands in `bytes`.
    frames: Vec<Range<usize>>,
    /// Of the batch if every operation changes something, as is usual.
    whole: Sums,
    /// What texts were compressed with, if any were.
    encoder: Option<Arc<Encoder>>,
}

/// What a commit frame says of the frames before it.
#[derive(Clone, Copy)]
pub(super) struct Sums {
    pub(super) frames: u32,
    pub(super) frames_crc: u32,
    pub(super) digest: [u8; 32],
}

impl EncodedBatch {
    /// The frames of a batch; with an encoder, texts that get smaller by it are compressed.
    pub(super) fn new(
        mut batch: Batch,
        encoder: Option<Arc<Encoder>>,
        texts: &Texts,
        buffers: &Arc<Buffers>,
    ) -> Self {
        let mut compressing = encoder.as_deref().zip(texts.compressor());
        let mut bytes = buffers.take(batch.bytes() + batch.len() * 64);
        let mut frames = Vec::with_capacity(batch.len());
        for (ordinal, operation) in batch.operations().iter().enumerate() {
            let start = bytes.len();
            // A batch has at most 2^20 operations.
            write_operation(&mut bytes, ordinal as u32, operation, compressing.as_mut());
            frames.push(start..bytes.len());
        }
        drop(compressing);
        let whole = sums(&bytes, frames.iter());
        if encoder.is_none() {
            // Freeing them is work for this thread, and not for the one that commits.
            batch.drop_contents();
        }
        Self { batch, bytes, frames, whole, encoder }
    }

    /// The batch as it was before.
    pub(crate) fn into_batch(self) -> Batch {
        let Self { mut batch, bytes, frames, encoder, .. } = self;
        if encoder.is_none() {
            batch.restore_contents(|index| {
                let frame = Frame::decode_verified(&bytes[frames[index].clone()]);
                let entity = frame.filter(|frame| frame.header.kind == Kind::Entity);
                match entity.and_then(|frame| frame.entity_parts()).map(|parts| parts.text) {
                    Some(Text::Plain(text)) => text.to_vec(),
                    _ => frame.map_or_else(Vec::new, |frame| frame.payload().to_vec()),
                }
            });
        }
        batch
    }

    /// How many operations the batch has.
    pub(crate) fn len(&self) -> usize {
        self.batch.len()
    }

    /// Whether the frames can be read in a segment that is written with this encoder.
    pub(super) fn fits(&self, encoder: Option<&Arc<Encoder>>) -> bool {
        let key = |encoder: &Arc<Encoder>| encoder.dictionary.key;
        self.encoder.is_none() || self.encoder.as_ref().map(key) == encoder.map(key)
    }

    /// Most bytes that the batch takes in the log.
    pub(super) fn bytes_max(&self) -> usize {
        self.bytes.len() + COMMIT_FRAME_BYTES
    }

    /// Appends the frames that change something, and returns their sums. `place` is told the index of each
    /// operation and where its frame stands in `out`, and says what mark it has there.
    pub(super) fn append(
        &self,
        plan: &Plan,
        out: &mut Vec<u8>,
        mut place: impl FnMut(usize, Range<usize>) -> Mark,
    ) -> Sums {
        let kept =
            || plan.changes.iter().enumerate().filter(|(_, changes)| **changes).map(|(index, _)| index);
        for index in kept() {
            let start = out.len();
            out.extend_from_slice(&self.bytes[self.frames[index].clone()]);
            let mark = place(index, start..out.len());
            mark.put_on(&mut out[start..]);
        }
        if plan.changes.iter().all(|changes| *changes) {
            return self.whole;
        }
        sums(&self.bytes, kept().map(|index| &self.frames[index]))
    }
}

fn sums<'a>(bytes: &[u8], frames: impl Iterator<Item = &'a Range<usize>>) -> Sums {
    let (mut digest, mut frames_crc, mut count) = (Sha256::new(), 0, 0);
    for range in frames {
        // The frame was made just now, and its checksum with it.
        let Some(frame) = Frame::decode_verified(&bytes[range.clone()]) else { continue };
        frame.chain(|bytes| digest.update(bytes));
        frames_crc = crc32c::crc32c_append(frames_crc, &frame.header.crc.to_le_bytes());
        count += 1;
    }
    Sums { frames: count, frames_crc, digest: digest.finalize().into() }
}

type Compressing<'a, 'b> = Option<&'a mut (&'b Encoder, Compressor<'b>)>;

fn write_operation(out: &mut Vec<u8>, ordinal: u32, operation: &Operation, compressing: Compressing<'_, '_>) {
    let label = |kind, flags| Label { kind, flags, ordinal };
    match operation {
        Operation::PutEntity(change) => write_entity(out, ordinal, change, compressing),
        Operation::RemoveEntity(address) => {
            write_frame(out, label(Kind::EntityRemoved, 0), &[&address.0], &[])
        }
        Operation::PutBlob { id, form, bytes } => {
            let flags = match form {
                BlobForm::Whole => 0,
                BlobForm::Manifest => FLAG_MANIFEST,
                BlobForm::Chunk => FLAG_CHUNK,
            };
            write_frame(out, label(Kind::Blob, flags), &[&id.0], &[bytes]);
        }
        Operation::RemoveBlob(id) => write_frame(out, label(Kind::BlobRemoved, 0), &[&id.0], &[]),
        Operation::PutRecord { key, value, .. } => write_record(out, label(Kind::Record, 0), key, value),
        Operation::RemoveRecord { key, .. } => write_record(out, label(Kind::RecordRemoved, 0), key, &[]),
    }
}

fn write_entity(out: &mut Vec<u8>, ordinal: u32, change: &EntityChange, compressing: Compressing<'_, '_>) {
    let token = change.token.as_ref().map(|token| token.to_bytes());
    let token = token.as_ref().map_or(&[][..], |bytes| &bytes[..]);
    let blob = change.blob.as_ref().map_or(&[][..], |id| &id.0[..]);
    let flags = if token.is_empty() { 0 } else { FLAG_TOKEN } | if blob.is_empty() { 0 } else { FLAG_BLOB };
    let text = &change.canonical;
    let label = |flags| Label { kind: Kind::Entity, flags, ordinal };
    // The length of the plain text must be made up for, too.
    let compressed = compressing
        .and_then(|(encoder, compressor)| compressor.compress(encoder, text, TEXT_LENGTH_BYTES + 1));
    match compressed {
        Some(compressed) => {
            // A text is shorter than a batch.
            let length = (text.len() as u32).to_le_bytes();
            let payload = &[token, blob, &length, compressed];
            write_frame(out, label(flags | FLAG_COMPRESSED), &[&change.address.0], payload);
        }
        None => write_frame(out, label(flags), &[&change.address.0], &[token, blob, text]),
    }
}

fn write_record(out: &mut Vec<u8>, label: Label, key: &RecordKey, value: &[u8]) {
    // A collection's name has at most 255 bytes.
    let len = (key.collection().len() as u16).to_le_bytes();
    write_frame(out, label, &[&len, key.collection().as_bytes(), key.key().as_bytes()], &[value]);
}
