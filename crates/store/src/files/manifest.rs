//! The list of the chunks of a large file.
//!
//! All integers are little-endian. Version 1:
//!
//! | at | bytes | what |
//! |---|---|---|
//! | 0 | 4 | `STMF` |
//! | 4 | 4 | version of this format, 1 |
//! | 8 | 8 | length of the file in bytes |
//! | 16 | 4 | number of chunks, at most [`CHUNKS_MAX`] |
//! | 20 | 36 each | the chunks in the order of the file: SHA-256 (32 bytes) and length in bytes (4) |
//!
//! A chunk has 1 to [`CHUNK_BYTES_MAX`] bytes, their lengths add up to that of the file, and nothing
//! follows the last one.

use statlas_core::BlobId;

use crate::error::{Error, ErrorKind, Result};
use crate::limits::{CHUNK_BYTES_MAX, CHUNKS_MAX};

const MAGIC: &[u8; 4] = b"STMF";
const VERSION: u32 = 1;
const BYTES_TOTAL_AT: usize = 8;
const CHUNKS_AT: usize = 16;
const HEADER_BYTES: usize = 20;
const ENTRY_BYTES: usize = 36;

/// Writes a manifest while its chunks come in.
pub(super) struct ManifestWriter {
    bytes: Vec<u8>,
    bytes_total: u64,
    chunks: u32,
}

impl ManifestWriter {
    pub(super) fn new() -> Self {
        let mut bytes = vec![0; HEADER_BYTES];
        bytes[..4].copy_from_slice(MAGIC);
        bytes[4..BYTES_TOTAL_AT].copy_from_slice(&VERSION.to_le_bytes());
        Self { bytes, bytes_total: 0, chunks: 0 }
    }

    /// Adds a chunk of `bytes` bytes, at most [`CHUNK_BYTES_MAX`]; callers stop at [`CHUNKS_MAX`] chunks.
    pub(super) fn push(&mut self, id: BlobId, bytes: usize) {
        let bytes = u32::try_from(bytes).expect("a chunk is smaller than 4 GiB");
        self.bytes.extend_from_slice(id.as_bytes());
        self.bytes.extend_from_slice(&bytes.to_le_bytes());
        self.bytes_total += u64::from(bytes);
        self.chunks += 1;
    }

    /// How many chunks there are so far.
    pub(super) fn chunks(&self) -> usize {
        self.chunks as usize
    }

    /// How many bytes the chunks have so far.
    pub(super) fn bytes_total(&self) -> u64 {
        self.bytes_total
    }

    /// The manifest of the chunks so far.
    pub(super) fn into_bytes(mut self) -> Vec<u8> {
        self.bytes[BYTES_TOTAL_AT..CHUNKS_AT].copy_from_slice(&self.bytes_total.to_le_bytes());
        self.bytes[CHUNKS_AT..HEADER_BYTES].copy_from_slice(&self.chunks.to_le_bytes());
        self.bytes
    }
}

/// A chunk of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Chunk {
    pub(super) id: BlobId,
    /// Where in the file it ends; it begins where the one before it ends.
    pub(super) end: u64,
}

/// The manifest of a file of some chunks.
#[cfg(feature = "testing")]
pub(crate) fn manifest_of(chunks: &[Vec<u8>]) -> Vec<u8> {
    let mut manifest = ManifestWriter::new();
    chunks.iter().for_each(|chunk| manifest.push(BlobId::of(chunk), chunk.len()));
    manifest.into_bytes()
}

/// The chunks that a manifest names; `file` is its name, for messages.
pub(crate) fn chunk_ids(file: &BlobId, bytes: &[u8]) -> Result<impl Iterator<Item = BlobId>> {
    Ok(parse(file, bytes)?.into_iter().map(|chunk| chunk.id))
}

/// Reads a manifest; `file` is its name, for messages.
pub(crate) fn parse(file: &BlobId, bytes: &[u8]) -> Result<Vec<Chunk>> {
    let corrupt = |what: String| Error::new(ErrorKind::Corrupt, format!("file {file}: manifest: {what}"));
    let Some((header, entries)) = bytes.split_at_checked(HEADER_BYTES) else {
        return Err(corrupt(format!("found {} bytes; expected at least {HEADER_BYTES}", bytes.len())));
    };
    if !header.starts_with(MAGIC) {
        return Err(corrupt(format!("found {:02x?} at its start; expected {MAGIC:02x?}", &header[..4])));
    }
    let version = u32_at(header, MAGIC.len());
    if version != VERSION {
        let message =
            format!("file {file}: manifest of format {version}; this release reads format {VERSION}");
        return Err(Error::new(ErrorKind::NewerFormat, message));
    }
    let (bytes_total, count) = (u64_at(header, BYTES_TOTAL_AT), u32_at(header, CHUNKS_AT) as usize);
    if count > CHUNKS_MAX || entries.len() != count * ENTRY_BYTES {
        return Err(corrupt(format!("found {} bytes after its header for {count} chunks", entries.len())));
    }
    let mut chunks = Vec::with_capacity(count);
    let mut end = 0_u64;
    for (at, entry) in entries.chunks_exact(ENTRY_BYTES).enumerate() {
        let bytes = u32_at(entry, size_of::<BlobId>());
        if !(1..=CHUNK_BYTES_MAX).contains(&bytes) {
            return Err(corrupt(format!("chunk {at} has {bytes} bytes; allowed: 1 to {CHUNK_BYTES_MAX}")));
        }
        end += u64::from(bytes);
        chunks.push(Chunk { id: BlobId(std::array::from_fn(|byte| entry[byte])), end });
    }
    if end != bytes_total {
        return Err(corrupt(format!("its chunks add up to {end} bytes; expected {bytes_total}")));
    }
    Ok(chunks)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(std::array::from_fn(|byte| bytes[at + byte]))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(std::array::from_fn(|byte| bytes[at + byte]))
}

#[cfg(test)]
mod tests {
    use statlas_core::BlobId;

    use super::{Chunk, ManifestWriter, parse};
    use crate::ErrorKind;

    fn written(chunks: &[(BlobId, usize)]) -> Vec<u8> {
        let mut writer = ManifestWriter::new();
        chunks.iter().for_each(|(id, bytes)| writer.push(*id, *bytes));
        writer.into_bytes()
    }

    #[test]
    fn a_manifest_has_the_bytes_of_its_table() {
        let bytes = written(&[(BlobId([0xaa; 32]), 1 << 20), (BlobId([0xbb; 32]), 3)]);
        let mut expected = b"STMF\x01\0\0\0\x03\0\x10\0\0\0\0\0\x02\0\0\0".to_vec();
        expected.extend([[0xaa; 32].as_slice(), b"\0\0\x10\0", &[0xbb; 32], b"\x03\0\0\0"].concat());
        assert_eq!(bytes, expected);
        let chunks = parse(&BlobId([0; 32]), &bytes).expect("it is whole");
        let ends =
            [(0xaa, 1 << 20), (0xbb, (1 << 20) + 3)].map(|(id, end)| Chunk { id: BlobId([id; 32]), end });
        assert_eq!(chunks, ends);
    }

    #[test]
    fn a_manifest_that_does_not_add_up_is_corrupt() {
        let sound = written(&[(BlobId([1; 32]), 70_000), (BlobId([2; 32]), 5)]);
        let changed = |at: usize, byte: u8| {
            let mut bytes = sound.clone();
            bytes[at] = byte;
            bytes
        };
        let file = BlobId([0; 32]);
        assert!(parse(&file, &sound).is_ok());
        for (what, bytes) in [
            ("empty", Vec::new()),
            ("cut in the header", sound[..19].to_vec()),
            ("cut in an entry", sound[..sound.len() - 1].to_vec()),
            ("without its last entry", sound[..sound.len() - 36].to_vec()),
            ("with a byte behind it", [&sound[..], &[0]].concat()),
            ("with other magic", changed(0, b'T')),
            ("with another length", changed(8, sound[8] ^ 1)),
            ("with another count", changed(16, 3)),
            ("with a huge count", changed(19, 0xff)),
            ("with an empty chunk", written(&[(BlobId([1; 32]), 70_000), (BlobId([2; 32]), 0)])),
            ("with a huge chunk", written(&[(BlobId([1; 32]), (1 << 20) + 1)])),
        ] {
            let error = parse(&file, &bytes).expect_err(what);
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{what}");
            assert!(error.to_string().starts_with(&format!("file {file}: manifest: ")), "{what}: {error}");
        }
        assert_eq!(parse(&file, &changed(4, 2)).expect_err("newer").kind(), ErrorKind::NewerFormat);
    }
}
