//! Files: streamed in and out, cut into chunks that are shared, verified when they are read.

use std::io::{self, Read, Seek, SeekFrom};

use sha2::{Digest, Sha256};
use statlas_core::BlobId;
use statlas_store::limits::{BLOB_WHOLE_BYTES_MAX, CHUNK_BYTES_MAX};
use statlas_store::testing::Random;
use statlas_store::{Batch, BlobForm, Durability, Error, ErrorKind, Store, StoredFile};

use crate::places::{disk, memory};

const MIB: usize = 1 << 20;

fn put(store: &Store, bytes: &[u8]) -> StoredFile {
    store.files().put(&mut &bytes[..]).expect("it can be stored")
}

fn read_back(store: &Store, id: &BlobId) -> Vec<u8> {
    let mut file = store.files().open(id).expect("it is sound").expect("it is there");
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).expect("every chunk is sound");
    assert_eq!(bytes.len() as u64, file.len());
    bytes
}

fn remove(store: &Store, id: BlobId) {
    let mut batch = Batch::new();
    batch.remove_blob(id);
    store.commit(batch, Durability::Synced).expect("it can be removed");
}

/// The chunks of a file as its manifest lists them: id and length.
fn chunks(store: &Store, id: &BlobId) -> Vec<(BlobId, usize)> {
    let manifest = store.engine().blob(id).expect("it is sound").expect("it is there");
    assert_eq!(manifest.form, BlobForm::Manifest);
    let entry = |entry: &[u8]| {
        let length = u32::from_le_bytes(entry[32..].try_into().expect("four bytes"));
        (BlobId(entry[..32].try_into().expect("32 bytes")), length as usize)
    };
    manifest.bytes[20..].chunks_exact(36).map(entry).collect()
}

/// Yields one byte a call, or as many as `step`, then fails if `fails`.
struct Trickle<'a> {
    bytes: &'a [u8],
    step: usize,
    fails: bool,
}

impl Read for Trickle<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.bytes.is_empty() && self.fails {
            return Err(io::Error::other("the cable was pulled"));
        }
        let step = self.step.min(buffer.len());
        self.bytes.read(&mut buffer[..step])
    }
}

#[test]
fn files_of_every_size_come_back_under_their_sha256() {
    for place in [memory(), disk()] {
        let store = place();
        for count in [
            0,
            1,
            2,
            4096,
            BLOB_WHOLE_BYTES_MAX - 1,
            BLOB_WHOLE_BYTES_MAX,
            BLOB_WHOLE_BYTES_MAX + 1,
            3 * MIB + 17,
            9 * MIB + 1,
        ] {
            let bytes = Random::new(count as u64).bytes(count);
            let stored = put(&store, &bytes);
            let sha256: [u8; 32] = Sha256::digest(&bytes).into();
            assert_eq!(
                (stored.id, stored.bytes, stored.bytes_new),
                (BlobId(sha256), count as u64, count as u64)
            );
            assert!(read_back(&store, &stored.id) == bytes, "{count} bytes came back changed");
            assert_eq!(store.files().len(&stored.id).expect("it is sound"), Some(count as u64));
            let form = store.engine().blob(&stored.id).expect("it is sound").expect("it is there").form;
            let expected = if count > BLOB_WHOLE_BYTES_MAX { BlobForm::Manifest } else { BlobForm::Whole };
            assert_eq!(form, expected, "{count} bytes");
        }
    }
}

#[test]
fn a_file_that_is_stored_already_stores_nothing_again() {
    let store = memory()();
    for count in [0, 1000, 5 * MIB] {
        let bytes = Random::new(1).bytes(count);
        let first = put(&store, &bytes);
        let before = store.engine().stats();
        let second = put(&store, &bytes);
        assert_eq!((second.id, second.bytes, second.bytes_new), (first.id, first.bytes, 0));
        assert_eq!(store.engine().stats(), before);
    }
}

#[test]
fn a_repetitive_file_stores_each_chunk_once() {
    let store = memory()();
    let bytes = vec![42; 40 * MIB];
    let stored = put(&store, &bytes);
    assert_eq!((stored.bytes, stored.bytes_new), (40 << 20, u64::from(CHUNK_BYTES_MAX)));
    // The chunk and the manifest.
    assert_eq!(store.engine().stats().blobs, 2);
    assert!(read_back(&store, &stored.id) == bytes);
}

#[test]
fn files_that_differ_a_little_share_more_than_nine_tenths_of_their_chunks() {
    let store = memory()();
    let original = Random::new(2).bytes(24 * MIB);
    let mut edited = original.clone();
    edited.splice(7 * MIB..7 * MIB + 3, *b"an insertion of a few bytes");
    edited[20 * MIB] ^= 1;
    let first = put(&store, &original);
    let second = put(&store, &edited);
    let ids = chunks(&store, &first.id);
    let shared = chunks(&store, &second.id).iter().filter(|chunk| ids.contains(chunk)).count();
    assert!(shared * 10 > ids.len() * 9, "{shared} of {} chunks are shared", ids.len());
    assert!(second.bytes_new * 10 < second.bytes, "{} of {} bytes were new", second.bytes_new, second.bytes);
    assert!(read_back(&store, &first.id) == original && read_back(&store, &second.id) == edited);
}

#[test]
fn a_small_file_that_is_a_chunk_of_another_takes_its_place() {
    let store = memory()();
    let bytes = Random::new(3).bytes(4 * MIB);
    let large = put(&store, &bytes);
    let (id, length) = chunks(&store, &large.id)[0];
    let before = store.engine().stats().blobs;
    let small = put(&store, &bytes[..length]);
    // The chunk goes when nobody needs it as a chunk, so it is stored again as a file.
    assert_eq!((small.id, small.bytes_new), (id, length as u64));
    assert_eq!(store.engine().stats().blobs, before);
    assert_eq!(put(&store, &bytes[..length]).bytes_new, 0);
    assert!(read_back(&store, &small.id) == bytes[..length]);
    assert!(read_back(&store, &large.id) == bytes);
    let other = put(&store, &[&bytes[..], b"and more"].concat());
    assert!(other.bytes_new < CHUNK_BYTES_MAX as u64 * 2, "a file serves as a chunk");
}

#[test]
fn the_chunks_do_not_depend_on_how_the_reader_yields_the_bytes() {
    let bytes = Random::new(4).bytes(2 * MIB + 77);
    let expected = {
        let store = memory()();
        let stored = put(&store, &bytes);
        (chunks(&store, &stored.id), stored)
    };
    for step in [1, 4093, 65_536] {
        let store = memory()();
        let mut reader = Trickle { bytes: &bytes, step, fails: false };
        let stored = store.files().put(&mut reader).expect("it can be stored");
        assert_eq!((chunks(&store, &stored.id), stored), expected, "{step} bytes a call");
        assert!(read_back(&store, &expected.1.id) == bytes);
    }
}

#[test]
fn a_reader_that_fails_stores_no_file() {
    for count in [0, 500, BLOB_WHOLE_BYTES_MAX + 1, 30 * MIB] {
        let store = memory()();
        let bytes = Random::new(5).bytes(count);
        let mut reader = Trickle { bytes: &bytes, step: 1 << 16, fails: true };
        let error = store.files().put(&mut reader).expect_err("the reader fails");
        assert_eq!(error.kind(), ErrorKind::Io);
        let source = std::error::Error::source(&error).expect("there is a cause").to_string();
        assert_eq!(source, "the cable was pulled");
        assert!(store.files().open(&BlobId::of(&bytes)).expect("nothing is damaged").is_none());
        // What is left of it is of use when it is tried again.
        let left = store.engine().stats().blobs > 0;
        assert_eq!(left, count > 20 * MIB, "{count} bytes");
        let stored = put(&store, &bytes);
        assert_eq!(stored.bytes_new < stored.bytes, left);
        assert!(read_back(&store, &stored.id) == bytes);
    }
}

#[test]
fn a_range_is_what_the_file_has_there() {
    let store = memory()();
    for count in [0, 10, BLOB_WHOLE_BYTES_MAX, 5 * MIB + 3] {
        let bytes = Random::new(6).bytes(count);
        let id = put(&store, &bytes).id;
        let mut edges = vec![0, count / 2, count];
        if count > BLOB_WHOLE_BYTES_MAX {
            let lengths = chunks(&store, &id).into_iter().map(|(_, length)| length);
            edges.extend(lengths.scan(0, |end, length| {
                *end += length;
                Some(*end)
            }));
        }
        let offsets = edges.into_iter().flat_map(|edge| [edge.saturating_sub(1), edge, edge + 1]);
        for offset in offsets {
            for length in [0, 1, 2, 300_000, 2 * MIB, usize::MAX] {
                let from = offset.min(count);
                let expected = &bytes[from..from.saturating_add(length).min(count)];
                let range = store.files().read_range(&id, offset as u64, length).expect("it is sound");
                assert!(range.as_deref() == Some(expected), "{length} bytes from {offset} of {count}");
            }
        }
        let far = store.files().read_range(&id, u64::MAX, usize::MAX).expect("it is sound");
        assert_eq!(far, Some(Vec::new()));
    }
    assert_eq!(store.files().read_range(&BlobId::of(b"absent"), 0, 1).expect("nothing is damaged"), None);
    assert_eq!(store.files().len(&BlobId::of(b"absent")).expect("nothing is damaged"), None);
}

#[test]
fn a_range_reads_only_the_chunks_that_it_needs() {
    let store = memory()();
    let bytes = Random::new(7).bytes(6 * MIB);
    let id = put(&store, &bytes).id;
    let chunks = chunks(&store, &id);
    assert!(chunks.len() > 4, "the test itself needs several chunks");
    // Reading any other chunk than the second one would fail.
    for (at, (chunk, _)) in chunks.iter().enumerate() {
        if at != 1 {
            remove(&store, *chunk);
        }
    }
    let (start, length) = (chunks[0].1, chunks[1].1);
    let range = store.files().read_range(&id, start as u64, length).expect("its chunk is there");
    assert!(range.as_deref() == Some(&bytes[start..start + length]));
    let error =
        store.files().read_range(&id, start as u64, length + 1).expect_err("the third chunk is missing");
    assert_eq!(error.kind(), ErrorKind::Corrupt);
}

#[test]
fn seeking_reads_on_from_there() {
    let store = memory()();
    let bytes = Random::new(8).bytes(4 * MIB);
    let id = put(&store, &bytes).id;
    let mut file = store.files().open(&id).expect("it is sound").expect("it is there");
    // From a chunk in memory to the last byte of the one before it, and on into it again.
    let mut edge = 0;
    for (_, length) in chunks(&store, &id) {
        edge += length;
        for offset in [edge, edge - 1] {
            file.seek(SeekFrom::Start(offset as u64)).expect("it is legal");
            let mut read = Vec::new();
            (&mut file).take(2).read_to_end(&mut read).expect("it is sound");
            assert_eq!(read, bytes[offset..bytes.len().min(offset + 2)]);
        }
    }
    let mut random = Random::new(9);
    let mut position = 0_usize;
    for _ in 0..300 {
        let target = random.below(bytes.len() + 1000);
        let seek = match random.below(3) {
            0 => SeekFrom::Start(target as u64),
            1 => SeekFrom::Current(target as i64 - position as i64),
            _ => SeekFrom::End(target as i64 - bytes.len() as i64),
        };
        assert_eq!(file.seek(seek).expect("it is legal"), target as u64);
        let mut buffer = vec![0; random.below(5000)];
        let read = file.read(&mut buffer).expect("it is sound");
        let expected = &bytes[target.min(bytes.len())..];
        assert_eq!(buffer[..read], expected[..read]);
        assert!(read > 0 || buffer.is_empty() || expected.is_empty());
        position = target + read;
    }
    for illegal in [SeekFrom::Current(i64::MIN), SeekFrom::End(-(4 << 20) - 1)] {
        let error = file.seek(illegal).expect_err("it lies before the file");
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        assert_eq!(file.stream_position().expect("it can be asked"), position as u64);
    }
    assert_eq!(file.seek(SeekFrom::Start(u64::MAX)).expect("it is legal"), u64::MAX);
    assert_eq!(file.read(&mut [0; 10]).expect("nothing is there"), 0);
}

#[test]
fn a_missing_chunk_is_named_with_its_file() {
    let store = memory()();
    let bytes = Random::new(10).bytes(5 * MIB);
    let id = put(&store, &bytes).id;
    let chunks = chunks(&store, &id);
    let (missing, _) = chunks[2];
    remove(&store, missing);
    let mut file = store.files().open(&id).expect("the manifest is sound").expect("it is there");
    let mut read = Vec::new();
    let error = file.read_to_end(&mut read).expect_err("a chunk is missing");
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    let error = error.downcast::<Error>().expect("an error of the store");
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    let expected = format!("file {id}: chunk 3 of {}, {missing}: it is missing", chunks.len());
    assert_eq!(error.to_string(), expected);
    assert!(read == bytes[..chunks[0].1 + chunks[1].1], "the chunks before it can be read");
    // Copying it to another store reports the same, and stores no file there.
    let other = memory()();
    let mut file = store.files().open(&id).expect("the manifest is sound").expect("it is there");
    let error = other.files().put(&mut file).expect_err("a chunk is missing");
    assert_eq!((error.kind(), error.to_string()), (ErrorKind::Corrupt, expected));
    assert!(other.files().open(&id).expect("nothing is damaged").is_none());
    // Storing the file again mends it.
    assert_eq!(put(&store, &bytes).bytes_new, chunks[2].1 as u64);
    assert!(read_back(&store, &id) == bytes);
}
