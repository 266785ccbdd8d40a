//! The first bytes of a sidecar: what it is about, and how much of everything it holds.

use super::contents::{Identity, Summary};
use super::fields::Fields;
use super::layout::{Counts, SECTIONS, Section};

/// The format that this release writes, and the only one that it reads: a sidecar can be made again.
pub(super) const VERSION: u32 = 1;
pub(super) const MAGIC: &[u8; 8] = b"STATIDX\0";
pub(super) const HEADER_BYTES: usize = 320;
/// Where the checksum of the bytes before stands.
pub(super) const CRC_AT: usize = HEADER_BYTES - 4;
const ZEROS: usize = CRC_AT - 140 - 8 * SECTIONS;

/// What the header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) identity: Identity,
    pub(super) summary: Summary,
    /// The length of the sidecar.
    pub(super) file_bytes: u64,
    /// Where the directory begins; it reaches to the end of the file.
    pub(super) directory_at: u64,
    pub(super) directory_crc: u32,
    pub(super) counts: Counts,
}

impl Header {
    pub(super) fn encode(&self) -> [u8; HEADER_BYTES] {
        let Self { identity, summary, .. } = self;
        let mut bytes = Vec::with_capacity(HEADER_BYTES);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&identity.segment.to_le_bytes());
        bytes.extend_from_slice(&identity.store_id);
        for number in [identity.log_bytes, summary.first_revision, summary.last_revision] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.extend_from_slice(&summary.chain);
        let counted =
            [summary.state_revision, summary.garbage_bytes, summary.husk_bytes, summary.records_live];
        for number in counted.into_iter().chain([self.file_bytes, self.directory_at]).chain(self.counts.0) {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.extend_from_slice(&self.directory_crc.to_le_bytes());
        let mut header = [0; HEADER_BYTES];
        header[..bytes.len()].copy_from_slice(&bytes);
        let crc = crc32c::crc32c(&header[..CRC_AT]);
        header[CRC_AT..].copy_from_slice(&crc.to_le_bytes());
        header
    }

    /// The header, or what is wrong with it.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, String> {
        let bytes = bytes.get(..HEADER_BYTES).ok_or("the header is cut short")?;
        if !bytes.starts_with(MAGIC) {
            return Err("it is no sidecar".to_owned());
        }
        let mut fields = Fields(&bytes[MAGIC.len()..]);
        let version = fields.u32().unwrap_or_default();
        if version != VERSION {
            return Err(format!("it has format {version}; this release reads {VERSION}"));
        }
        if bytes[CRC_AT..] != crc32c::crc32c(&bytes[..CRC_AT]).to_le_bytes() {
            return Err("the header's checksum is wrong".to_owned());
        }
        let header = Self::decode_fields(&mut fields).ok_or("the header is not as this release writes it")?;
        if header.counts.rows() > u64::from(u32::MAX)
            || header.counts.get(Section::Bits) != header.counts.rows()
        {
            return Err("the header's numbers of rows are impossible".to_owned());
        }
        Ok(header)
    }

    fn decode_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let (segment, store_id, log_bytes) = (fields.u32()?, fields.array()?, fields.u64()?);
        let summary = Summary {
            first_revision: fields.u64()?,
            last_revision: fields.u64()?,
            chain: fields.array()?,
            state_revision: fields.u64()?,
            garbage_bytes: fields.u64()?,
            husk_bytes: fields.u64()?,
            records_live: fields.u64()?,
        };
        let (file_bytes, directory_at) = (fields.u64()?, fields.u64()?);
        let mut counts = Counts::default();
        for count in &mut counts.0 {
            *count = fields.u64()?;
        }
        let directory_crc = fields.u32()?;
        fields.zeros::<ZEROS>()?;
        let identity = Identity { store_id, segment, log_bytes };
        Some(Self { identity, summary, file_bytes, directory_at, directory_crc, counts })
    }
}

impl Identity {
    /// Why a sidecar of this identity is not the one that is wanted, if it is not.
    pub(super) fn differs_from(&self, expected: &Self) -> Option<String> {
        if self.store_id != expected.store_id {
            return Some("it belongs to another store".to_owned());
        }
        if self.segment != expected.segment {
            return Some(format!("it describes segment {}, not {}", self.segment, expected.segment));
        }
        (self.log_bytes != expected.log_bytes).then(|| {
            format!("it describes a segment of {} bytes, not of {}", self.log_bytes, expected.log_bytes)
        })
    }
}
