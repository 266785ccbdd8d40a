//! The payload of an entity: what is attached to it, and its text, plain or compressed.

use statlas_core::{BlobId, Token};

use super::{
    ALIGNMENT, FLAG_BLOB, FLAG_COMPRESSED, FLAG_TOKEN, FRAME_HEADER_BYTES, Frame, FrameHeader, Kind, u32_at,
};
use crate::limits::PAYLOAD_BYTES_MAX;

/// A compressed text begins with the length of the plain one.
pub(in crate::engine::disk) const TEXT_LENGTH_BYTES: usize = 4;

/// What an entity's frame carries.
pub(in crate::engine::disk) struct EntityPayload<'a> {
    pub(in crate::engine::disk) token: Option<Token>,
    pub(in crate::engine::disk) blob: Option<BlobId>,
    pub(in crate::engine::disk) text: Text<'a>,
}

/// The canonical text of an entity as it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine::disk) enum Text<'a> {
    Plain(&'a [u8]),
    /// Made with the dictionary of the segment; `bytes` is the length of the plain text, bounded.
    Compressed {
        bytes: usize,
        frame: &'a [u8],
    },
}

/// Whether the frame that `bytes` begin with says that it holds something compressed.
#[inline]
pub(in crate::engine::disk) fn is_compressed(bytes: &[u8]) -> bool {
    bytes.get(9).is_some_and(|flags| flags & FLAG_COMPRESSED != 0)
}

impl<'a> Frame<'a> {
    /// Splits the payload of an entity into what is attached to it and its canonical text.
    pub(in crate::engine::disk) fn entity_parts(&self) -> Option<EntityPayload<'a>> {
        let mut payload = self.payload();
        let (mut token, mut blob) = (None, None);
        if self.header.flags & FLAG_TOKEN != 0 {
            let (bytes, rest) = payload.split_first_chunk()?;
            token = Some(Token::from_bytes(bytes).ok()?);
            payload = rest;
        }
        if self.header.flags & FLAG_BLOB != 0 {
            let (bytes, rest) = payload.split_first_chunk()?;
            blob = Some(BlobId(*bytes));
            payload = rest;
        }
        let text = match self.header.flags & FLAG_COMPRESSED {
            0 => Text::Plain(payload),
            _ => {
                let (length, frame) = payload.split_at_checked(TEXT_LENGTH_BYTES)?;
                let bytes = Some(u32_at(length, 0) as usize).filter(|bytes| *bytes <= PAYLOAD_BYTES_MAX)?;
                Text::Compressed { bytes, frame }
            }
        };
        Some(EntityPayload { token, blob, text })
    }

    /// The file that is attached to an entity, or was to the one that a husk stands for.
    pub(in crate::engine::disk) fn attached_blob(&self) -> Option<BlobId> {
        let frame = if self.header.kind == Kind::Husk { self.husk_of()? } else { *self };
        let FrameHeader { kind, flags, key_bytes, .. } = frame.header;
        if kind != Kind::Entity || flags & FLAG_BLOB == 0 {
            return None;
        }
        let token = if flags & FLAG_TOKEN != 0 { 64 } else { 0 };
        let attached = frame.bytes.get(FRAME_HEADER_BYTES + key_bytes + token..)?;
        attached.first_chunk().copied().map(BlobId)
    }

    /// What is attached to an entity, as it is stored.
    fn attachments(&self) -> &'a [u8] {
        let token = if self.header.flags & FLAG_TOKEN != 0 { 64 } else { 0 };
        let blob = if self.header.flags & FLAG_BLOB != 0 { 32 } else { 0 };
        &self.payload()[..(token + blob).min(self.header.payload_bytes)]
    }

    /// The header of an entity's frame as it is if the text is plain, without a checksum: the same however the
    /// text is stored.
    fn plain_header(&self) -> [u8; FRAME_HEADER_BYTES] {
        let mut header: [u8; FRAME_HEADER_BYTES] = super::array(self.bytes, 0);
        header[..4].fill(0);
        if self.header.flags & FLAG_COMPRESSED != 0 {
            let attached = self.attachments().len();
            let text = self.payload().get(attached..attached + TEXT_LENGTH_BYTES);
            // Of a header that lies the frame is damaged, so that nobody believes the sum.
            let bytes = text.map_or(0, |length| u32_at(length, 0)).wrapping_add(attached as u32);
            header[4..8].copy_from_slice(&bytes.to_le_bytes());
            header[9] &= !FLAG_COMPRESSED;
        }
        header
    }

    /// What the hash chain covers of an entity: not how its text is stored, since the key covers the text.
    pub(super) fn chain_entity(&self, mut update: impl FnMut(&[u8])) {
        update(&self.plain_header());
        update(self.key());
        update(self.attachments());
    }

    /// Makes the frame of a compressed entity anew with its text plain; `expand` is given the room for the text.
    /// It has no checksum.
    pub(in crate::engine::disk) fn expand<E>(
        &self,
        out: &mut Vec<u8>,
        expand: impl FnOnce(&[u8], &mut [u8]) -> Result<(), E>,
    ) -> Result<bool, E> {
        let is_entity = self.header.kind == Kind::Entity;
        let Some(Text::Compressed { bytes, frame }) =
            self.entity_parts().filter(|_| is_entity).map(|parts| parts.text)
        else {
            return Ok(false);
        };
        out.clear();
        out.extend_from_slice(&self.plain_header());
        out.extend_from_slice(self.key());
        out.extend_from_slice(self.attachments());
        let start = out.len();
        out.resize((start + bytes).next_multiple_of(ALIGNMENT), 0);
        expand(frame, &mut out[start..start + bytes])?;
        Ok(true)
    }
}

impl FrameHeader {
    /// Whether such a frame may be flagged as it is.
    pub(super) fn is_flagged_rightly(&self) -> bool {
        self.flags & FLAG_COMPRESSED == 0 || self.kind == Kind::Entity
    }
}
