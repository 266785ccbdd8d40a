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
    seal_segment(&mut sealed);
    parse_segment(&sealed);
}

/// Makes the checksums of a segment's header, frames and batches right, and what commit frames count.
pub(crate) fn seal_segment(bytes: &mut [u8]) {
    let Some((header, mut rest)) = bytes.split_at_mut_checked(SEGMENT_HEADER_BYTES) else { return };
    seal(header);
    let (mut frames, mut batch_bytes, mut frames_crc) = (0_u32, 0_u32, 0_u32);
    while let Some(header) = rest.first_chunk::<FRAME_HEADER_BYTES>() {
        let payload_bytes = u32::from_le_bytes([header[4], header[5], header[6], header[7]]) as usize;
        let key_bytes = usize::from(u16::from_le_bytes([header[10], header[11]]));
        let ends_batch = matches!(header[8], 1 | 2 | 3 | 5);
        let frame_bytes = FRAME_HEADER_BYTES.saturating_add(key_bytes).saturating_add(payload_bytes);
        let frame_bytes = frame_bytes.next_multiple_of(FRAME_ALIGNMENT);
        let Some((frame, behind)) = rest.split_at_mut_checked(frame_bytes) else { return };
        if ends_batch && let Some(counts) = frame.get_mut(FRAME_HEADER_BYTES + 8..FRAME_HEADER_BYTES + 20) {
            for (place, count) in counts.chunks_exact_mut(4).zip([frames, batch_bytes, frames_crc]) {
                place.copy_from_slice(&count.to_le_bytes());
            }
        }
        let crc = crc32c::crc32c(&frame[4..]).to_le_bytes();
        frame[..4].copy_from_slice(&crc);
        if ends_batch {
            (frames, batch_bytes, frames_crc) = (0, 0, 0);
        } else {
            frames += 1;
            // An input is far below 4 GiB.
            batch_bytes += frame_bytes as u32;
            frames_crc = crc32c::crc32c_append(frames_crc, &crc);
        }
        rest = behind;
    }
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

/// A folder of this process, in memory where the system has such.
static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
    let shared = PathBuf::from("/dev/shm");
    let parent = if shared.is_dir() { shared } else { std::env::temp_dir() };
    parent.join(format!("statlas-fuzz-{}", std::process::id()))
});
