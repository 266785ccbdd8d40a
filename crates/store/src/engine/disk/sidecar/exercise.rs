//! Any bytes as a sidecar: for a fuzz target, and for this crate's own tests of damage.

use statlas_core::{AXES, Space, Token};
use zerocopy::FromBytes;

use super::contents::{TABLES, TableId};
use super::directory::Directory;
use super::header::{CRC_AT, HEADER_BYTES, Header, MAGIC, VERSION};
use super::layout::Counts;
use super::memory::{AlignedBytes, SidecarMemory};
use super::reader::Sidecar;
use crate::columns::{ColumnId, Rows, near_token};
use crate::query::TokenQuery;

/// Opens bytes as a sidecar and uses all of it, twice: as they are, and with every checksum made right, so
/// that what stands behind the checksums is reached too. Must not panic, whatever the bytes are.
pub(crate) fn exercise(bytes: &[u8]) {
    use_all(bytes);
    let mut sealed = bytes.to_vec();
    seal(&mut sealed);
    use_all(&sealed);
}

fn use_all(bytes: &[u8]) {
    // Whoever opens a sidecar knows which one it wants; here that is the one that is there.
    let Ok(header) = Header::decode(bytes) else { return };
    let memory = SidecarMemory::Heap(AlignedBytes::from(bytes));
    let Ok(sidecar) = Sidecar::open(memory, "sidecar".to_owned(), &header.identity) else { return };
    for _ in 0..2 {
        use_tables(&sidecar);
        use_rows(&sidecar);
        use_records(&sidecar);
        let lists = [sidecar.effects().is_ok(), sidecar.removals().is_ok()];
        let lists = (lists, sidecar.mended().is_ok(), sidecar.marks().is_ok());
        std::hint::black_box((lists, sidecar.heap_bytes(), sidecar.verify(|place| u64::from(place) * 8)));
        // The second time with filters in memory, if they are whole.
        let _ = sidecar.load_filters();
    }
}

fn use_tables(sidecar: &Sidecar) {
    for table in TableId::ALL {
        let mut keys = vec![0, 1, u64::MAX / 2, u64::MAX];
        let _ = sidecar.entries(table, |some, _| keys.extend(some.first().into_iter().chain(some.last())));
        for key in &keys {
            let _ = std::hint::black_box(sidecar.may_hold(table, *key));
            let _ = std::hint::black_box(sidecar.find(table, *key, |value| (value == 1).then_some(value)));
        }
        sidecar.may_hold_many(table, &keys, |at| assert!(at < keys.len()));
        let _ = std::hint::black_box(sidecar.range(table, keys[1], keys[keys.len() - 1]));
    }
}

fn use_records(sidecar: &Sidecar) {
    let count = sidecar.records_len();
    let _ = std::hint::black_box(sidecar.records_after("collection", "key"));
    for number in (0..count.min(1000)).chain([count, usize::MAX]) {
        let Ok(record) = sidecar.record_at(number) else { continue };
        let _ = std::hint::black_box(sidecar.find_record(record.collection, record.key));
        let _ = std::hint::black_box(sidecar.records_after(record.collection, record.key));
    }
}

fn use_rows(sidecar: &Sidecar) {
    for block in 0..sidecar.blocks() + 1 {
        for column in ColumnId::ALL {
            std::hint::black_box(sidecar.extent(block, column));
            let Ok(values) = sidecar.column(block, column) else { continue };
            std::hint::black_box((0..values.len()).map(|at| values.get(at)).fold(0, i64::wrapping_add));
        }
        let (ends, neighbours) = (sidecar.column(block, ColumnId::NeighboursEnd), sidecar.neighbours(block));
        let (Ok(ends), Ok(neighbours)) = (ends, neighbours) else { continue };
        let mut begin = 0;
        for at in 0..ends.len() {
            let end = ends.get(at) as usize;
            std::hint::black_box(&neighbours[begin..end]);
            begin = end;
        }
        let (ends, tokens) = (sidecar.column(block, ColumnId::TokensEnd), sidecar.tokens(block));
        let (Ok(ends), Ok(tokens)) = (ends, tokens) else { continue };
        for at in 0..ends.len() {
            std::hint::black_box(&tokens[..ends.get(at) as usize]);
        }
    }
    let mut token = Token::EMPTY;
    token.set_axes(Space::Motor, [0; AXES]);
    let _ = std::hint::black_box(near_token(&[sidecar], &TokenQuery::new(token, 3), None));
}

/// Makes the checksums and the lengths of the file right, as far as the header's counts make sense.
pub(crate) fn seal(bytes: &mut [u8]) {
    let Some(header) = bytes.get_mut(..HEADER_BYTES) else { return };
    header[..8].copy_from_slice(MAGIC);
    header[8..12].copy_from_slice(&VERSION.to_le_bytes());
    let crc = crc32c::crc32c(&header[..CRC_AT]).to_le_bytes();
    header[CRC_AT..].copy_from_slice(&crc);
    let Ok(mut header) = Header::decode(header) else { return };
    header.file_bytes = bytes.len() as u64;
    let directory_at = header.file_bytes.saturating_sub(Directory::encoded_bytes(&header.counts)) as usize;
    if directory_at >= HEADER_BYTES {
        header.directory_at = directory_at as u64;
        seal_chunks(bytes, &header.counts, directory_at);
        header.directory_crc = crc32c::crc32c(&bytes[directory_at..]);
    }
    bytes[..HEADER_BYTES].copy_from_slice(&header.encode());
}

fn seal_chunks(bytes: &mut [u8], counts: &Counts, directory_at: usize) {
    let words = bytes[directory_at..].chunks_exact(8);
    let words: Vec<u64> = words.map(|word| u64::read_from_bytes(word).unwrap_or(0)).collect();
    let Ok(directory) = Directory::decode(&words, *counts, directory_at) else { return };
    // Behind the shapes of the filters stand the length and the checksum of each chunk.
    let mut crc_at = directory_at + 16 * TABLES + 8;
    for chunk in &directory.chunks {
        let crc = crc32c::crc32c(&bytes[chunk.start..chunk.end()]);
        bytes[crc_at..crc_at + 4].copy_from_slice(&crc.to_le_bytes());
        crc_at += 16;
    }
}
