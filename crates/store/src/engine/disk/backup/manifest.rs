//! The file `BACKUP`: what a backup is made of, as text. `docs/BACKUP.md` describes it.
//!
//! What is decoded is what would be encoded, byte for byte; so nothing in it is left unchecked.

use sha2::{Digest, Sha256};
use statlas_core::Address;

use crate::engine::disk::format::SegmentId;
use crate::engine::disk::hex;
use crate::engine::disk::storage::Storage;
use crate::error::{Error, ErrorKind, Result};

/// The file that makes a directory a backup.
pub(in crate::engine::disk) const MANIFEST_NAME: &str = "BACKUP";
/// The format that this release writes, and the newest that it reads.
const VERSION: u32 = 1;
const MAGIC: &str = "statlas-backup ";
/// Enough for two million files; a larger one is not read into memory.
const BYTES_MAX: u64 = 256 << 20;
/// The letters of a segment's name without folder and ending.
const STEM_LETTERS: usize = 8;

/// What a backup is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Manifest {
    pub(in crate::engine::disk) store_id: [u8; 16],
    /// Which backup into this directory it is, counted from 1; 0 before the first one is whole.
    pub(super) number: u64,
    pub(super) revision: u64,
    /// The head of the hash chain.
    pub(super) chain: [u8; 32],
    /// How many places of the store were damaged when the backup was made.
    pub(super) damage: u64,
    /// In the order of the log.
    pub(super) segments: Vec<SegmentCopy>,
}

/// The copy of a file of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SegmentCopy {
    pub(super) id: SegmentId,
    /// Part of the name: which backup made it, or 0 for a copy that has the name of the original.
    pub(super) made_by: u64,
    pub(super) bytes: u64,
    pub(super) sha256: [u8; 32],
    pub(super) is_damaged: bool,
}

impl SegmentCopy {
    pub(super) fn name(&self) -> String {
        copy_name(self.id, self.made_by)
    }
}

/// The name of a copy, by the backup that makes it.
pub(super) fn copy_name(id: SegmentId, made_by: u64) -> String {
    if made_by == 0 { id.file_name() } else { format!("{}.{made_by}", id.file_name()) }
}

/// What the name of a copy in the folder `log` says: the file, and which backup made the copy.
pub(in crate::engine::disk) fn parse_copy_name(name: &str) -> Option<(SegmentId, u64)> {
    let (file, made_by) = name.split_at_checked(STEM_LETTERS + ".seg".len())?;
    let id = SegmentId::parse(file, ".seg")?;
    let made_by = match made_by.strip_prefix('.') {
        None if made_by.is_empty() => 0,
        None => return None,
        Some(digits) => digits.parse().ok()?,
    };
    (copy_name(id, made_by) == format!("log/{name}")).then_some((id, made_by))
}

impl Manifest {
    /// That of a directory into which the first backup is yet to be made.
    pub(super) fn unfinished(store_id: [u8; 16]) -> Self {
        Self { store_id, number: 0, revision: 0, chain: [0; 32], damage: 0, segments: Vec::new() }
    }

    /// The names of the copies.
    pub(in crate::engine::disk) fn names(&self) -> impl Iterator<Item = String> + '_ {
        self.segments.iter().map(SegmentCopy::name)
    }

    /// Bytes of all copies.
    pub(super) fn bytes(&self) -> u64 {
        self.segments.iter().map(|copy| copy.bytes).sum()
    }

    pub(super) fn encode(&self) -> String {
        let Self { store_id, number, revision, chain, damage, segments } = self;
        let store_id = u128::from_be_bytes(*store_id);
        let mut text = format!(
            "{MAGIC}{VERSION}\nstore {store_id:032x}\nnumber {number}\nrevision {revision}\nchain {}\ndamage {damage}\n",
            hex(chain)
        );
        for copy in segments {
            let state = if copy.is_damaged { "damaged" } else { "sound" };
            text.push_str(&format!("{} {} {} {state}\n", copy.name(), copy.bytes, hex(&copy.sha256)));
        }
        let sum = Sha256::digest(&text);
        text.push_str(&format!("sha256 {}\n", hex(&sum.into())));
        text
    }

    /// The manifest of the backup at `place`.
    pub(super) fn decode(bytes: &[u8], place: &str) -> Result<Self> {
        let text = std::str::from_utf8(bytes).unwrap_or_default();
        let version = text.strip_prefix(MAGIC).and_then(|rest| rest.lines().next()?.parse::<u32>().ok());
        if let Some(version) = version.filter(|version| *version > VERSION) {
            let message = format!(
                "{place}: the backup has format {version}; this release reads up to {VERSION}. Use a newer release"
            );
            return Err(Error::new(ErrorKind::NewerFormat, message));
        }
        Self::parse(text).filter(|manifest| manifest.encode().as_bytes() == bytes).ok_or_else(|| {
            let message = format!("{place}: the backup's file BACKUP is damaged: it is not what was written");
            Error::new(ErrorKind::Corrupt, message)
        })
    }

    /// What the text says, if it is well-formed; its checksum is compared by encoding it again.
    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let mut field = |name: &str| lines.next()?.strip_prefix(name)?.strip_prefix(' ');
        field("statlas-backup")?;
        let store_id = u128::from_str_radix(field("store")?, 16).ok()?.to_be_bytes();
        let number = field("number")?.parse().ok()?;
        let revision = field("revision")?.parse().ok()?;
        let chain = field("chain")?.parse::<Address>().ok()?.0;
        let damage = field("damage")?.parse().ok()?;
        let copies = lines.take_while(|line| !line.starts_with("sha256 "));
        let segments = copies.map(parse_copy).collect::<Option<Vec<_>>>()?;
        Some(Self { store_id, number, revision, chain, damage, segments })
    }

    /// The manifest in a directory, if there is one.
    pub(in crate::engine::disk) fn read(storage: &dyn Storage, place: &str) -> Result<Option<Self>> {
        let failed = |error| Error::io(format!("{place}: reading the file BACKUP failed"), error);
        let file = match storage.open_to_read(MANIFEST_NAME) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        // What is too long is found damaged.
        let mut bytes = vec![0; file.len().map_err(failed)?.min(BYTES_MAX) as usize];
        file.read_at(0, &mut bytes).map_err(failed)?;
        Self::decode(&bytes, place).map(Some)
    }

    /// Puts the manifest in the place of the one before, in one step that survives a power cut.
    pub(super) fn write(&self, storage: &dyn Storage, place: &str) -> Result<()> {
        let text = self.encode();
        if text.len() as u64 > BYTES_MAX {
            let message = format!("{place}: the store has too many files for a backup");
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        let write = || {
            storage.write(MANIFEST_NAME, text.as_bytes())?;
            storage.sync_folder(".")
        };
        write().map_err(|error| Error::io(format!("{place}: writing the file BACKUP failed"), error))
    }
}

/// A line about a copy.
fn parse_copy(line: &str) -> Option<SegmentCopy> {
    let mut words = line.strip_prefix("log/")?.split(' ');
    let (id, made_by) = parse_copy_name(words.next()?)?;
    let bytes = words.next()?.parse().ok()?;
    let sha256 = words.next()?.parse::<Address>().ok()?.0;
    let is_damaged = words.next()? == "damaged";
    Some(SegmentCopy { id, made_by, bytes, sha256, is_damaged })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> Manifest {
        let copy =
            |id, made_by, is_damaged| SegmentCopy { id, made_by, bytes: 4176, sha256: [7; 32], is_damaged };
        let segments = vec![
            copy(SegmentId::compacted(3), 0, false),
            copy(SegmentId::written(7), 2, true),
            copy(SegmentId::written(8), 12, false),
        ];
        Manifest { store_id: [1; 16], number: 12, revision: 42, chain: [0xab; 32], damage: 1, segments }
    }

    #[test]
    fn a_manifest_has_the_text_that_the_format_promises() {
        let text = manifest().encode();
        let lines: Vec<&str> = text.lines().collect();
        let (ab, seven) = ("ab".repeat(32), "07".repeat(32));
        assert_eq!(
            lines[..6].join("\n"),
            format!(
                "statlas-backup 1\nstore {}\nnumber 12\nrevision 42\nchain {ab}\ndamage 1",
                "01".repeat(16)
            )
        );
        assert_eq!(lines[6], format!("log/c0000003.seg 4176 {seven} sound"));
        assert_eq!(lines[7], format!("log/00000007.seg.2 4176 {seven} damaged"));
        assert_eq!(Manifest::decode(text.as_bytes(), "here").expect("sound"), manifest());
    }

    #[test]
    fn no_flipped_bit_and_no_cut_of_a_manifest_goes_unnoticed() {
        let text = manifest().encode().into_bytes();
        for bit in 0..text.len() * 8 {
            let mut damaged = text.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(Manifest::decode(&damaged, "here").is_err(), "bit {bit}");
        }
        for bytes in 0..text.len() {
            assert!(Manifest::decode(&text[..bytes], "here").is_err(), "{bytes} bytes");
        }
        assert!(Manifest::decode(&[&text[..], b"more"].concat(), "here").is_err());
    }

    #[test]
    fn a_newer_manifest_is_told_apart_from_a_damaged_one() {
        let newer = Manifest::decode(b"statlas-backup 2\nwhatever comes\n", "here").expect_err("not read");
        assert_eq!(newer.kind(), ErrorKind::NewerFormat);
    }

    #[test]
    fn names_that_no_backup_gives_are_not_taken_for_copies() {
        assert_eq!(parse_copy_name("00000007.seg.2"), Some((SegmentId::written(7), 2)));
        assert_eq!(parse_copy_name("c0000007.seg"), Some((SegmentId::compacted(7), 0)));
        for name in
            ["", "00000007.seg.", "00000007.seg.0", "00000007.seg.+1", "00000007.seg.01", "../00007.seg"]
        {
            assert_eq!(parse_copy_name(name), None, "{name}");
        }
    }
}
