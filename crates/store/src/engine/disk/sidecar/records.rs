//! The list of records: the last change of each record in the segment, sorted by name.
//!
//! A record is found through the table of hashes, a page of a listing through halving the list.

use xxhash_rust::xxh3::Xxh3;

use super::contents::{RecordEntry, TableId};
use super::fields::Fields;
use super::layout::{RECORD_CHUNK_ENTRIES, Section};
use super::reader::Sidecar;
use crate::batch::RecordKey;
use crate::error::Result;

/// Bytes of an entry without its name: revision, place, where its name ends, length of the collection's name,
/// whether it was removed, zeros.
const HEADER_BYTES: usize = 20;

/// A record of a segment: its name, and its last change there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SidecarRecord<'a> {
    pub(crate) collection: &'a str,
    pub(crate) key: &'a str,
    pub(crate) entry: RecordEntry,
}

/// The hash of a record's name, which is its key in the table of records.
pub(crate) fn name_hash(collection: &str, key: &str) -> u64 {
    let mut hash = Xxh3::new();
    // With its length, so that no two names are the same when they are joined; it was bounded.
    hash.update(&(collection.len() as u16).to_le_bytes());
    hash.update(collection.as_bytes());
    hash.update(key.as_bytes());
    hash.digest()
}

/// Appends a chunk of the list: what is known of each entry, then the names.
pub(super) fn write_records<'a>(
    records: impl Iterator<Item = (&'a RecordKey, &'a RecordEntry)>,
    entries: usize,
    out: &mut Vec<u8>,
) {
    let start = out.len();
    let mut names = Vec::new();
    for (key, entry) in records {
        names.extend_from_slice(key.collection().as_bytes());
        names.extend_from_slice(key.key().as_bytes());
        out.extend_from_slice(&entry.revision.to_le_bytes());
        out.extend_from_slice(&entry.place.to_le_bytes());
        // The lengths were bounded when the key was made, and a chunk has few entries.
        out.extend_from_slice(&(names.len() as u32).to_le_bytes());
        out.extend_from_slice(&[key.collection().len() as u8, entry.removed.into(), 0, 0]);
    }
    debug_assert_eq!(out.len() - start, entries * HEADER_BYTES);
    out.extend_from_slice(&names);
}

/// An entry of a chunk, if the bytes hold that: its name, where the collection ends in it, and the rest.
fn read_record(chunk: &[u8], entries: usize, at: usize) -> Option<SidecarRecord<'_>> {
    let (headers, names) = chunk.split_at_checked(entries * HEADER_BYTES)?;
    let header = |at: usize| headers.get(at * HEADER_BYTES..(at + 1) * HEADER_BYTES).map(Fields);
    let mut fields = header(at)?;
    let (revision, place, end) = (fields.u64()?, fields.u32()?, fields.u32()?);
    let (collection_bytes, removed) = (fields.u8()?, fields.u8()?);
    fields.zeros::<2>()?;
    let start = match at.checked_sub(1) {
        Some(before) => {
            let mut fields = header(before)?;
            fields.array::<12>()?;
            fields.u32()?
        }
        None => 0,
    };
    let name = std::str::from_utf8(names.get(start as usize..end as usize)?).ok()?;
    let (collection, key) = name.split_at_checked(collection_bytes.into())?;
    let entry = RecordEntry { place, revision, removed: removed == 1 };
    (removed <= 1).then_some(SidecarRecord { collection, key, entry })
}

impl Sidecar {
    /// How many records the list has.
    pub(crate) fn records_len(&self) -> usize {
        // Fewer than bytes of the file, which is mapped.
        self.header.counts.get(Section::RecordList) as usize
    }

    /// The record with a number; they are sorted by collection and key.
    pub(crate) fn record_at(&self, number: usize) -> Result<SidecarRecord<'_>> {
        let (chunk, at) = (number / RECORD_CHUNK_ENTRIES, number % RECORD_CHUNK_ENTRIES);
        let impossible = || self.corrupt(Section::RecordList, chunk, "its content is impossible");
        if number >= self.records_len() {
            return Err(impossible());
        }
        let bytes = self.chunk(Section::RecordList, chunk)?;
        let entries = (self.records_len() - chunk * RECORD_CHUNK_ENTRIES).min(RECORD_CHUNK_ENTRIES);
        read_record(bytes, entries, at).ok_or_else(impossible)
    }

    /// The last change of a record in the segment. The filter is not asked.
    pub(crate) fn find_record(&self, collection: &str, key: &str) -> Result<Option<RecordEntry>> {
        let is_it = |number: u32| match self.record_at(number as usize) {
            Ok(record) => ((record.collection, record.key) == (collection, key)).then_some(Ok(record.entry)),
            Err(error) => Some(Err(error)),
        };
        self.find(TableId::Records, name_hash(collection, key), is_it)?.transpose()
    }

    /// The number of the first record behind a name; as many as there are if there is none.
    pub(crate) fn records_after(&self, collection: &str, key: &str) -> Result<usize> {
        let (mut low, mut high) = (0, self.records_len());
        while low < high {
            let middle = low + (high - low) / 2;
            let record = self.record_at(middle)?;
            if (record.collection, record.key) <= (collection, key) {
                low = middle + 1
            } else {
                high = middle
            }
        }
        Ok(low)
    }
}
