//! What is in a store before a workload begins.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Cursor};
use std::path::{Path, PathBuf};
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Instant;

use statlas_core::{Address, BlobId, Entity};
use statlas_store::{Batch, Durability, Expected, RecordKey, Store};

use crate::error::{Error, Result};
use crate::generator::Generator;
use crate::random::SplitMix64;
use crate::run::Loaded;
use crate::workload::{Data, Workload};

/// The collection that records of workloads stand in.
pub(crate) const COLLECTION: &str = "lab";
/// Entities, or records, of a batch.
const BATCH: u64 = 10_000;
/// Bytes of records in a batch, about.
const BATCH_BYTES: u64 = 8 << 20;
/// Of a record's value the number of its key and a counter, little-endian, come first.
pub(crate) const VALUE_HEADER_BYTES: usize = 16;

/// The keys of what was stored.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    pub(crate) entities: Vec<Address>,
    /// The revision of each record, by the number of its key.
    pub(crate) records: Vec<u64>,
    pub(crate) files: Vec<(BlobId, u64)>,
}

/// The name of the record with a number, which sorts as the numbers do.
///
/// # Panics
///
/// Never: the name is short.
pub(crate) fn record_key(number: u64) -> RecordKey {
    RecordKey::new(COLLECTION, &format!("r{number:016x}")).expect("a short name")
}

/// The value of a record after so many changes: what follows the header is made of the record's number, so whoever reads
/// it can tell whether all of it is right, and who changes it changes the counter only.
pub(crate) fn record_value(number: u64, counter: u64, bytes: usize) -> Vec<u8> {
    let mut value = Vec::with_capacity(bytes + 7);
    value.extend_from_slice(&number.to_le_bytes());
    value.extend_from_slice(&counter.to_le_bytes());
    let mut random = SplitMix64::new(number);
    while value.len() < bytes {
        value.extend_from_slice(&random.next_u64().to_le_bytes());
    }
    value.truncate(bytes);
    value
}

/// The counter in a value that belongs to a record, if all of the value is what it must be.
pub(crate) fn counter_of(number: u64, value: &[u8]) -> Option<u64> {
    let counter = u64::from_le_bytes(value.get(8..VALUE_HEADER_BYTES)?.try_into().ok()?);
    (record_value(number, counter, value.len()) == value).then_some(counter)
}

/// The bytes of the file with a number, no two alike.
pub(crate) fn file_bytes(seed: u64, number: u64, bytes: usize) -> Vec<u8> {
    let mut random = SplitMix64::new(SplitMix64::nth(seed, number) ^ 0xf11e);
    let mut content = Vec::with_capacity(bytes + 7);
    while content.len() < bytes {
        content.extend_from_slice(&random.next_u64().to_le_bytes());
    }
    content.truncate(bytes);
    content
}

/// Stores the data of a workload, synced at the end, and returns its keys.
pub(crate) fn load(
    store: &Store,
    workload: &Workload,
    goes_on: &(dyn Fn() -> bool + Sync),
) -> Result<(Keys, Loaded)> {
    let begun = Instant::now();
    let data = &workload.data;
    let entities = match &data.json_lines {
        Some(path) => load_lines(store, path, goes_on)?,
        None => load_generated(store, &Generator::new(workload.seed, data.profile), data.entities, goes_on)?,
    };
    let records = load_records(store, data, goes_on)?;
    let files = load_files(store, workload, goes_on)?;
    let keys = Keys { entities, records, files };
    store.engine().sync().map_err(Error::store("syncing what was loaded"))?;
    let loaded = Loaded {
        entities: keys.entities.len() as u64,
        records: keys.records.len() as u64,
        files: keys.files.len() as u64,
        file_bytes: keys.files.iter().map(|(_, bytes)| bytes).sum(),
        seconds: begun.elapsed().as_secs_f64(),
    };
    Ok((keys, loaded))
}

fn check(goes_on: &(dyn Fn() -> bool + Sync)) -> Result<()> {
    if goes_on() { Ok(()) } else { Err(Error::Interrupted) }
}

/// Stores the first entities of a generator, which all processors make.
pub(crate) fn load_generated(
    store: &Store,
    generator: &Generator,
    count: u64,
    goes_on: &(dyn Fn() -> bool + Sync),
) -> Result<Vec<Address>> {
    let mut addresses = Vec::with_capacity(usize::try_from(count).unwrap_or(0));
    let makers = thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
    let batches = count.div_ceil(BATCH);
    let failed = Error::store("storing generated entities");
    let mut loader = match store.loader(Durability::Written) {
        Ok(loader) => loader,
        Err(error) => return Err(failed(error)),
    };
    thread::scope(|scope| {
        let start = |maker: u64| {
            let (sender, receiver) = sync_channel(1);
            scope.spawn(move || {
                for number in (maker..batches).step_by(makers as usize) {
                    let mut batch = Batch::new();
                    let numbers = number * BATCH..((number + 1) * BATCH).min(count);
                    let stored: Vec<_> = numbers.map(|n| batch.put_entity(generator.entity(n))).collect();
                    if sender.send((batch, stored)).is_err() {
                        break;
                    }
                }
            });
            receiver
        };
        let made: Vec<_> = (0..makers).map(start).collect();
        for number in 0..batches {
            check(goes_on)?;
            // One that panicked ends this, too.
            let Ok((batch, stored)) = made[(number % makers) as usize].recv() else { break };
            loader.commit(batch).map_err(Error::store("storing generated entities"))?;
            addresses.extend(stored);
        }
        Ok::<_, Error>(())
    })?;
    loader.finish().map_err(Error::store("storing generated entities"))?;
    Ok(addresses)
}

fn load_lines(store: &Store, path: &Path, goes_on: &(dyn Fn() -> bool + Sync)) -> Result<Vec<Address>> {
    let place = path.display().to_string();
    let failed = |error| Error::io(format!("reading {place}"), error);
    let lines = BufReader::new(File::open(path).map_err(failed)?).lines();
    let (mut batch, mut addresses) = (Batch::new(), Vec::new());
    let stored = || Error::store(format!("storing the entities of {place}"));
    for (number, line) in lines.enumerate() {
        let line = line.map_err(failed)?;
        if line.trim().is_empty() {
            continue;
        }
        let entity = Entity::from_json(line.as_bytes())
            .map_err(|error| Error::Invalid(format!("{place}:{}: {error}", number + 1)))?;
        addresses.push(batch.put_entity(entity));
        if batch.len() as u64 >= BATCH {
            check(goes_on)?;
            store.commit(std::mem::take(&mut batch), Durability::Written).map_err(stored())?;
        }
    }
    store.commit(batch, Durability::Written).map_err(stored())?;
    // What stands there twice is one entity.
    addresses.sort_unstable();
    addresses.dedup();
    if addresses.is_empty() {
        return Err(Error::Invalid(format!(
            "{place}: found no entity; allowed: one or more, each on a line"
        )));
    }
    Ok(addresses)
}

fn load_records(store: &Store, data: &Data, goes_on: &(dyn Fn() -> bool + Sync)) -> Result<Vec<u64>> {
    let bytes = data.record_bytes.0;
    let per_batch = (BATCH_BYTES / bytes.max(1)).clamp(1, BATCH);
    let mut revisions = Vec::with_capacity(usize::try_from(data.records).unwrap_or(0));
    while (revisions.len() as u64) < data.records {
        check(goes_on)?;
        let from = revisions.len() as u64;
        let numbers = from..(from + per_batch).min(data.records);
        let mut batch = Batch::new();
        for number in numbers.clone() {
            // At most 1 MiB, which a workload is checked for.
            let value = record_value(number, 0, bytes as usize);
            batch.put_record(record_key(number), value, Expected::Absent);
        }
        let commit =
            store.commit(batch, Durability::Written).map_err(Error::store("storing generated records"))?;
        revisions.extend(numbers.map(|_| commit.revision));
    }
    Ok(revisions)
}

fn load_files(
    store: &Store,
    workload: &Workload,
    goes_on: &(dyn Fn() -> bool + Sync),
) -> Result<Vec<(BlobId, u64)>> {
    let data = &workload.data;
    let mut files = Vec::new();
    let mut put = |reader: &mut dyn std::io::Read, what: &str| {
        check(goes_on)?;
        let stored = store.files().put(reader).map_err(Error::store(format!("storing {what}")))?;
        files.push((stored.id, stored.bytes));
        Ok::<_, Error>(())
    };
    if let Some(directory) = &data.directory {
        for path in files_below(directory)? {
            let place = path.display().to_string();
            let mut file = File::open(&path).map_err(|error| Error::io(format!("opening {place}"), error))?;
            put(&mut file, &place)?;
        }
        if files.is_empty() {
            let place = directory.display();
            return Err(Error::Invalid(format!(
                "{place}: found no file; allowed: one or more, at any depth"
            )));
        }
        return Ok(files);
    }
    for number in 0..data.files {
        let bytes = usize::try_from(data.file_bytes.0).unwrap_or(usize::MAX);
        put(&mut Cursor::new(file_bytes(workload.seed, number, bytes)), "a generated file")?;
    }
    Ok(files)
}

/// The regular files below a directory, in the order of their paths. Links are not followed.
fn files_below(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![directory.to_owned()];
    while let Some(folder) = folders.pop() {
        let failed = |error| Error::io(format!("listing {}", folder.display()), error);
        for entry in fs::read_dir(&folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let kind = entry.file_type().map_err(failed)?;
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() {
                found.push(entry.path());
            }
        }
    }
    found.sort_unstable();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_tells_what_it_belongs_to() {
        let value = record_value(7, 3, 100);
        assert_eq!((value.len(), counter_of(7, &value)), (100, Some(3)));
        assert_eq!(counter_of(8, &value), None);
        for at in (0..8).chain(VALUE_HEADER_BYTES..value.len()) {
            let mut wrong = value.clone();
            wrong[at] ^= 1;
            assert_eq!(counter_of(7, &wrong), None, "byte {at}");
        }
    }
}
