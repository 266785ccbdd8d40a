//! Scenario 1.6: real files, stored and retrieved by the addresses of the entities that name them.

use std::fs::File;
use std::hint::black_box;
use std::io::Read as _;
use std::thread;
use std::time::{Duration, Instant};

use statlas_core::{Address, BlobId};
use statlas_store::limits::BLOB_WHOLE_BYTES_MAX;
use statlas_store::{Batch, Durability, Store};

use super::clock::timed;
use super::draft::{Draft, counted};
use super::engine::Engine;
use super::estimate::Cost;
use super::originals::{BYTES_MEAN, Original, Originals};
use super::session::Session;
use super::sizes::Sizes;
use super::together::together;
use crate::error::{Error, Result};
use crate::generator::Generator;
use crate::latencies::Latencies;
use crate::quantity::Unit;
use crate::random::SplitMix64;
use crate::report::Better;
use crate::subject::Subject;
use crate::workload::StoreUnderTest;

const PUBLISHED: &str = "expected 10 to 100 ms per file";
/// Files whose entities are stored together.
const BATCH: usize = 256;
/// Readers at a time.
const READERS: [usize; 3] = [1, 5, 8];
/// The parts of fetching a file: names and what they are.
const PARTS: [(&str, &str); 5] = [
    ("lookup", "the address leads to the entity, whose checksum is verified"),
    ("metadata", "the entity is parsed, and names the file"),
    ("disk", "the bytes are copied out of the log, and their checksum is verified"),
    ("verification", "the SHA-256 of the bytes is computed and compared"),
    ("transfer", "the bytes are copied to whoever asked"),
];

pub(super) fn cost(sizes: &Sizes, engines: &[Engine]) -> Cost {
    let (rounds, engines_count) = (sizes.file_rounds as f64, engines.len() as f64);
    let seconds = sizes.files as f64 * (120e-6 + rounds * engines_count * 400e-6);
    let bytes = sizes.files * BYTES_MEAN;
    let in_memory = engines.iter().any(|engine| !engine.is_lasting());
    Cost { seconds, memory_bytes: if in_memory { bytes } else { 0 }, disk_bytes: bytes * 5 / 2 }
}

pub(super) fn run(session: &mut Session<'_, '_>) -> Result<()> {
    let originals = Originals::new(session, session.sizes.files)?;
    session.note(format!(
        "{} files of {} in all, from 256 B to 128 KiB, as many in each doubling, and one in 500 from 1 to 4 MiB",
        counted(originals.files.len() as u64),
        Unit::Bytes.format(originals.bytes() as f64)
    ));
    for round in 0..session.sizes.file_rounds {
        for engine in session.engines.clone() {
            measure(session, &engine, &originals, round as u64)?;
        }
    }
    Ok(())
}

/// One round on one engine: stores all files, opens the store again, and fetches all of them.
fn measure(session: &mut Session<'_, '_>, engine: &Engine, originals: &Originals, round: u64) -> Result<()> {
    let count = originals.files.len();
    session.step(&format!("storing {} files on {}", counted(count as u64), engine.name()))?;
    let settings = StoreUnderTest { durability: Durability::Written, ..engine.store() };
    let subject = Subject::new(&settings, &session.options.folder)?;
    let mut store = subject.open()?;
    let (seconds, addresses) = timed(|| put_all(session, &store, originals));
    let addresses = addresses?;
    add_stored(session, engine, originals, seconds, store.engine().stats().syncs);
    if subject.is_lasting() {
        store.close().map_err(Error::store("closing a store of files"))?;
        drop(store);
        store = subject.open()?;
    }
    let mut order: Vec<usize> = (0..count).collect();
    SplitMix64::new(SplitMix64::nth(session.options.seed ^ 0xf17e5, round)).shuffle(&mut order);
    // The first pass brings everything into memory, and is not measured.
    let warm = read_all(&store, originals, &addresses, &order, 1)?;
    session.checked(Some(engine), count as u64, warm.wrong, &warm.messages);
    for readers in READERS {
        session.step(&format!("{readers} readers on {}", engine.name()))?;
        let read = read_all(&store, originals, &addresses, &order, readers)?;
        session.checked(Some(engine), count as u64, read.wrong, &read.messages);
        add_read(session, engine, originals, readers, &read);
    }
    take_apart(session, engine, &store, originals, &addresses, &order)
}

/// Stores every file and an entity that names it, on all processors.
fn put_all(session: &Session<'_, '_>, store: &Store, originals: &Originals) -> Result<Vec<Address>> {
    let (generator, asks) = (Generator::new(session.options.seed, None), session.asks());
    let workers = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let (count, part) = (originals.files.len(), originals.files.len().div_ceil(workers).max(1));
    let stored: Vec<Result<Vec<Address>>> = thread::scope(|scope| {
        let put = |first: usize| {
            let (generator, files) = (&generator, &originals.files[first..count.min(first + part)]);
            scope.spawn(move || put_some(store, generator, first as u64, files, asks))
        };
        // All are started before the first one is waited for.
        let threads: Vec<_> = (0..count).step_by(part).map(put).collect();
        let join = |thread: thread::ScopedJoinHandle<'_, _>| {
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        threads.into_iter().map(join).collect()
    });
    store.engine().sync().map_err(Error::store("syncing what was stored"))?;
    Ok(stored.into_iter().collect::<Result<Vec<_>>>()?.concat())
}

fn put_some(
    store: &Store,
    generator: &Generator,
    first: u64,
    originals: &[Original],
    goes_on: &(dyn Fn() -> bool + Sync),
) -> Result<Vec<Address>> {
    let mut addresses = Vec::with_capacity(originals.len());
    let mut number = first;
    for some in originals.chunks(BATCH) {
        if !goes_on() {
            return Err(Error::Interrupted);
        }
        let (mut batch, mut kept) = (Batch::new(), Vec::with_capacity(BATCH));
        for original in some {
            let place = original.path.display();
            let mut file =
                File::open(&original.path).map_err(|error| Error::io(format!("opening {place}"), error))?;
            let stored = store.files().put(&mut file).map_err(Error::store(format!("storing {place}")))?;
            let entity = generator.entity(number).with_attachments(None, Some(stored.id));
            addresses.push(batch.put_entity(entity));
            kept.push(stored);
            number += 1;
        }
        store.commit(batch, Durability::Synced).map_err(Error::store("storing entities of files"))?;
    }
    Ok(addresses)
}

fn add_stored(
    session: &mut Session<'_, '_>,
    engine: &Engine,
    originals: &Originals,
    seconds: f64,
    syncs: u64,
) {
    let count = originals.files.len() as f64;
    let definition = format!(
        "Every file is opened, read, hashed and stored, with an entity that names it, on all processors; entities are \
         committed {BATCH} at a time, synced, which makes their files durable, too."
    );
    let draft =
        |id: &str, name: &str, unit, better| Draft::new(id, name, unit, better).by(&*definition).on(engine);
    session.sample(draft("put.rate", "files stored", Unit::PerSecond, Better::Higher), count / seconds);
    let bytes = originals.bytes() as f64 / seconds;
    session.sample(draft("put.bytes", "bytes of files stored", Unit::BytesPerSecond, Better::Higher), bytes);
    let each = Draft::time("put.each", "storing a file, all processors together").by(&*definition).on(engine);
    session.sample(each.published(PUBLISHED), seconds / count);
    if engine.is_lasting() {
        let name = "syncs of the device while files were stored";
        session.sample(draft("put.syncs", name, Unit::Count, Better::Neither), syncs as f64);
    }
}

/// What came of fetching every file once.
struct Fetched {
    seconds: f64,
    latencies: Latencies,
    wrong: u64,
    messages: Vec<String>,
}

/// Fetches a file by the address of its entity.
fn fetch(store: &Store, address: &Address, content: &mut Vec<u8>) -> statlas_store::Result<Option<BlobId>> {
    content.clear();
    let Some(entity) = store.get(address)? else { return Ok(None) };
    black_box(entity.head()?);
    let Some(id) = entity.blob() else { return Ok(None) };
    let Some(mut file) = store.files().open(&id)? else { return Ok(None) };
    content.reserve(usize::try_from(file.len()).unwrap_or(0));
    file.read_to_end(content).map_err(|error| {
        error.downcast().unwrap_or_else(|error| statlas_store::Error::io("reading a file", error))
    })?;
    Ok(Some(id))
}

/// So many readers fetch all files, each its part of them.
fn read_all(
    store: &Store,
    originals: &Originals,
    addresses: &[Address],
    order: &[usize],
    readers: usize,
) -> Result<Fetched> {
    let size = order.len().div_ceil(readers).max(1);
    let (seconds, fetched) = together(readers, |reader| {
        // Few files may leave some without any.
        let part = order.chunks(size).nth(reader).unwrap_or_default();
        read_some(store, originals, addresses, part)
    });
    let mut all = Fetched { seconds, latencies: Latencies::new(), wrong: 0, messages: Vec::new() };
    for some in fetched {
        let some = some?;
        all.latencies.merge(&some.latencies);
        all.wrong += some.wrong;
        all.messages.extend(some.messages);
    }
    Ok(all)
}

fn read_some(store: &Store, originals: &Originals, addresses: &[Address], part: &[usize]) -> Result<Fetched> {
    let mut fetched = Fetched { seconds: 0.0, latencies: Latencies::new(), wrong: 0, messages: Vec::new() };
    let mut content = Vec::new();
    for at in part {
        let (address, original) = (&addresses[*at], &originals.files[*at]);
        let begun = Instant::now();
        let found = fetch(store, address, &mut content);
        fetched.latencies.record(begun.elapsed());
        let found = found.map_err(Error::store("fetching a file"))?;
        // The store has compared the bytes with the id; the length is that of the original, and so is the id.
        if found != Some(original.sha256) || content.len() as u64 != original.bytes {
            fetched.wrong += 1;
            fetched.messages =
                vec![format!("{} is not what comes back for {address}", original.path.display())];
        }
    }
    Ok(fetched)
}

fn add_read(
    session: &mut Session<'_, '_>,
    engine: &Engine,
    originals: &Originals,
    readers: usize,
    read: &Fetched,
) {
    let definition = format!(
        "{readers} at a time ask for all files in random order, each its part: the address leads to the entity, that to the \
         file, and all of its bytes are copied out, after the store has compared them with their SHA-256. What is on disk \
         is in the page cache."
    );
    let words = if readers == 1 { "one reader".to_owned() } else { format!("{readers} readers together") };
    let rate = Draft::rate(format!("get.rate.{readers}"), format!("files fetched, {words}"));
    session.sample(rate.by(&*definition).on(engine), read.latencies.count() as f64 / read.seconds);
    let bytes = originals.bytes() as f64 / read.seconds;
    let name = format!("bytes of files fetched, {words}");
    let draft = Draft::new(format!("get.bytes.{readers}"), name, Unit::BytesPerSecond, Better::Higher);
    session.sample(draft.by(&*definition).on(engine), bytes);
    let draft = Draft::time(format!("get.{{}}.{readers}"), format!("fetching a file, {{}}, {words}"));
    session.percentiles(&draft.by(&*definition).on(engine), &read.latencies, |draft, name| match name {
        "p50" | "p99" => draft.published(PUBLISHED),
        _ => draft,
    });
}

/// Fetches files in steps, each timed by itself.
fn take_apart(
    session: &mut Session<'_, '_>,
    engine: &Engine,
    store: &Store,
    originals: &Originals,
    addresses: &[Address],
    order: &[usize],
) -> Result<()> {
    session.step(&format!("the parts of fetching a file on {}", engine.name()))?;
    let failed = || Error::store("fetching a file");
    let whole = |at: &&usize| originals.files[**at].bytes <= BLOB_WHOLE_BYTES_MAX as u64;
    let (mut parts, mut files, mut wrong) = ([Duration::ZERO; PARTS.len()], 0_u32, 0);
    let mut content = vec![0; BLOB_WHOLE_BYTES_MAX];
    for at in order.iter().filter(whole) {
        let mut begun = Instant::now();
        let mut part = |number: usize| {
            let now = Instant::now();
            parts[number] += now - begun;
            begun = now;
        };
        let entity = store.get(&addresses[*at]).map_err(failed())?;
        part(0);
        let id = entity.as_ref().and_then(|entity| black_box(entity.head()).ok().and(entity.blob()));
        part(1);
        let blob = id.map(|id| store.engine().blob(&id)).transpose().map_err(failed())?.flatten();
        part(2);
        let is_it = blob.as_ref().is_some_and(|blob| Some(BlobId::of(&blob.bytes)) == id);
        part(3);
        if let Some(blob) = &blob {
            content[..blob.bytes.len()].copy_from_slice(&blob.bytes);
            black_box(&mut content);
        }
        part(4);
        files += 1;
        wrong += u64::from(!is_it || id != Some(originals.files[*at].sha256));
    }
    let messages: Vec<String> =
        (wrong > 0).then(|| "a file that is taken apart is not what it was".to_owned()).into_iter().collect();
    session.checked(Some(engine), u64::from(files), wrong, &messages);
    let all: Duration = parts.iter().sum();
    for ((id, words), part) in PARTS.into_iter().zip(parts) {
        let definition = format!(
            "One reader, files of up to 1 MiB, in the page cache: {words}. The mean, a look at the clock in it; what a reader of \
             files does in one go is done here in steps."
        );
        let draft = Draft::time(format!("part.{id}"), format!("of fetching a file: {id}"));
        session.sample(draft.by(definition).on(engine), part.as_secs_f64() / f64::from(files.max(1)));
        let draft = Draft::new(
            format!("share.{id}"),
            format!("share of fetching a file: {id}"),
            Unit::Share,
            Better::Neither,
        );
        session
            .sample(draft.by("That part by all of them.").on(engine), part.as_secs_f64() / all.as_secs_f64());
    }
    Ok(())
}
