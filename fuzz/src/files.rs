//! The files of a store one by one, as they are and with their checksums made right.

use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

use sha2::{Digest, Sha256};
use statlas_store::testing::{parse_manifest, parse_segment, parse_sidecar, parse_store_header};
use statlas_store::{BackupOptions, verify_backup};

const SEGMENT_HEADER_BYTES: usize = 96;
const FRAME_HEADER_BYTES: usize = 16;
const FRAME_ALIGNMENT: usize = 8;
const KIND_AT: usize = 8;
/// The number of the first segment, as its header has it.
const FIRST_SEGMENT: u32 = 1 << 23 | 1;
/// What the place of a frame is multiplied by before it is mixed with the checksum.
const PLACE_FACTOR: u32 = 0x9e37_79b1;

/// The file `STATLAS`.
pub fn store_header(bytes: &[u8]) {
    parse_store_header(bytes);
    let mut sealed = bytes.to_vec();
    seal(&mut sealed);
    parse_store_header(&sealed);
}

/// Puts the CRC-32C of everything before it into the last four bytes.
pub(crate) fn seal(bytes: &mut [u8]) {
    if let Some((content, crc)) = bytes.split_last_chunk_mut() {
        *crc = crc32c::crc32c(content).to_le_bytes();
    }
}

/// A segment of the log.
pub fn segment(bytes: &[u8]) {
    parse_segment(bytes);
    let mut sealed = bytes.to_vec();
    seal_segment(&mut sealed, &[0; 16]);
    parse_segment(&sealed);
}

/// Makes the checksums of a store's first segment right: those of its header, frames and batches, and what
/// commit frames count.
pub(crate) fn seal_segment(bytes: &mut [u8], store_id: &[u8; 16]) {
    let Some((header, frames)) = bytes.split_at_mut_checked(SEGMENT_HEADER_BYTES) else { return };
    seal(header);
    let salt = crc32c::crc32c_append(crc32c::crc32c(store_id), &FIRST_SEGMENT.to_le_bytes());
    let (mut rest, mut at) = (frames, SEGMENT_HEADER_BYTES);
    let mut batch = Batch::default();
    while let Some(frame_bytes) = frame_bytes(rest) {
        let Some((frame, behind)) = rest.split_at_mut_checked(frame_bytes) else { return };
        let ends_batch = matches!(frame[KIND_AT], 1 | 2 | 3 | 5);
        if ends_batch && let Some(counts) = frame.get_mut(FRAME_HEADER_BYTES + 8..FRAME_HEADER_BYTES + 20) {
            for (place, count) in counts.chunks_exact_mut(4).zip([batch.frames, batch.bytes, batch.crc]) {
                place.copy_from_slice(&count.to_le_bytes());
            }
        }
        let crc = crc32c::crc32c(&frame[4..]);
        // A checksum is mixed with the place of its frame.
        let place = (at / FRAME_ALIGNMENT) as u32;
        let mark = salt ^ place.wrapping_mul(PLACE_FACTOR);
        frame[..4].copy_from_slice(&(crc ^ mark).to_le_bytes());
        batch = if ends_batch { Batch::default() } else { batch.with(frame_bytes, crc) };
        at += frame_bytes;
        rest = behind;
    }
}

/// What a commit frame says of the frames before it.
#[derive(Default)]
struct Batch {
    frames: u32,
    bytes: u32,
    crc: u32,
}

impl Batch {
    fn with(self, frame_bytes: usize, crc: u32) -> Self {
        // An input is far below 4 GiB.
        let bytes = self.bytes + frame_bytes as u32;
        Self { frames: self.frames + 1, bytes, crc: crc32c::crc32c_append(self.crc, &crc.to_le_bytes()) }
    }
}

/// How long the frame is that the bytes begin with, if they have room for its header.
fn frame_bytes(bytes: &[u8]) -> Option<usize> {
    let header = bytes.first_chunk::<FRAME_HEADER_BYTES>()?;
    let payload_bytes = u32::from_le_bytes([header[4], header[5], header[6], header[7]]) as usize;
    let key_bytes = usize::from(u16::from_le_bytes([header[10], header[11]]));
    Some((FRAME_HEADER_BYTES + key_bytes + payload_bytes).next_multiple_of(FRAME_ALIGNMENT))
}

/// A sidecar, opened and used.
pub fn sidecar(bytes: &[u8]) {
    parse_sidecar(bytes);
}

/// The list of the chunks of a large file.
pub fn file_manifest(bytes: &[u8]) {
    parse_manifest(bytes);
}

/// The file `BACKUP`, in a folder where nothing else is.
pub fn backup_manifest(bytes: &[u8]) {
    let sum = bytes.windows(8).rposition(|window| window == b"\nsha256 ").map_or(bytes.len(), |at| at + 1);
    let mut sealed = bytes[..sum].to_vec();
    let hex: String = Sha256::digest(&sealed).iter().map(|byte| format!("{byte:02x}")).collect();
    sealed.extend_from_slice(format!("sha256 {hex}\n").as_bytes());
    let folder = FOLDER.as_path();
    fs::create_dir_all(folder).expect("a temporary folder can be made");
    for bytes in [bytes, &sealed] {
        fs::write(folder.join("BACKUP"), bytes).expect("the temporary folder can be written to");
        drop(verify_backup(folder, &BackupOptions::default(), &mut |_, _| ()));
    }
    fs::remove_dir_all(folder).expect("the temporary folder can be removed");
}

static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| temporary_folder("backup"));

/// A folder of this process, in memory where the system has such.
pub(super) fn temporary_folder(name: &str) -> PathBuf {
    let shared = PathBuf::from("/dev/shm");
    let parent = if shared.is_dir() { shared } else { std::env::temp_dir() };
    parent.join(format!("statlas-fuzz-{name}-{}", std::process::id()))
}

#[cfg(test)]
mod tests {
    use super::seal_segment;

    #[test]
    fn sealing_a_sound_segment_changes_nothing() {
        let disk = super::super::sample().disk;
        let mut bytes = disk.content("log/00000001.seg").expect("the segment is there");
        let sound = bytes.clone();
        let store_id = *bytes[16..].first_chunk().expect("a header is longer");
        seal_segment(&mut bytes, &store_id);
        assert_eq!(bytes, sound);
    }
}
