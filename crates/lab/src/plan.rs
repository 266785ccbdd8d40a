//! What a collection of some size would take here, from what a minute of measuring shows.

use std::io::Cursor;
use std::path::Path;
use std::time::{Duration, Instant};

use statlas_core::Address;
use statlas_store::Store;

use crate::data::{file_bytes, load_generated};
use crate::environment::{Environment, now};
use crate::error::{Error, Result};
use crate::generator::Generator;
use crate::quantity::Unit;
use crate::random::SplitMix64;
use crate::report::{Better, Figure, Kind, Report, SCHEMA, median};
use crate::runner::{Progress, Watcher};
use crate::subject::Subject;
use crate::threshold::Bound;
use crate::workload::StoreUnderTest;

/// Sizes that every plan tells of beside the one that is asked for.
const SIZES: [u64; 4] = [10_000, 100_000, 1_000_000, 10_000_000];
/// Sizes that are measured, as far as the time goes.
const CALIBRATED: [u64; 5] = [10_000, 30_000, 100_000, 300_000, 1_000_000];
/// So many sizes a model is made of, the largest: small stores are one file whose parts are not made yet.
const FITTED: usize = 3;
/// Lookups that are timed at each size.
const LOOKUPS: u64 = 200_000;
/// Bytes of files that are stored to measure them, at most, and how many files.
const FILES_BYTES: u64 = 256 << 20;
const FILES_MAX: u64 = 2000;

/// What is planned.
#[derive(Debug, Clone)]
pub struct PlanOptions {
    /// So many entities.
    pub entities: u64,
    /// Each with a file of so many bytes; 0 for none.
    pub file_bytes: u64,
    /// The engine, and how it is opened.
    pub store: StoreUnderTest,
    /// How long it may be measured.
    pub time: Duration,
    /// The sizes that are measured, in rising order; as many of them as the time allows, three at least.
    pub calibrated: Vec<u64>,
    /// Whether a store of the planned size is made, too, and the prediction compared with it.
    pub verify: bool,
    /// Where all randomness comes from.
    pub seed: u64,
    /// The command line that repeats it.
    pub command: String,
}

impl Default for PlanOptions {
    fn default() -> Self {
        Self {
            entities: 1_000_000,
            file_bytes: 0,
            store: StoreUnderTest::default(),
            time: Duration::from_secs(60),
            calibrated: CALIBRATED.to_vec(),
            verify: false,
            seed: 42,
            command: String::new(),
        }
    }
}

/// What was measured of a store with so many entities.
#[derive(Debug, Clone, Copy)]
struct Measured {
    entities: f64,
    /// Seconds until all were stored and synced.
    setup: f64,
    /// Bytes of the index in memory.
    memory: f64,
    disk: f64,
    /// Seconds of a lookup: the mean and the 99th percentile.
    lookup: f64,
    lookup_p99: f64,
    /// Lookups a second of all processors.
    throughput: f64,
}

/// What was measured of files.
#[derive(Debug, Clone, Copy, Default)]
struct Files {
    /// Seconds for storing one and for reading one.
    put: f64,
    read: f64,
    /// Bytes on disk that one takes.
    disk: f64,
}

/// A quantity that is planned.
struct Quantity {
    id: &'static str,
    name: &'static str,
    unit: Unit,
    better: Better,
    of: fn(&Measured) -> f64,
    model: Model,
    what: &'static str,
}

/// How a quantity grows with the number of entities.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Model {
    /// a + b n
    Linear,
    /// a + b log2 n
    Logarithmic,
    /// 1 / (a + b log2 n)
    InverseLogarithmic,
}

const QUANTITIES: [Quantity; 6] = [
    Quantity {
        id: "setup",
        name: "set-up",
        unit: Unit::Seconds,
        better: Better::Lower,
        of: |measured| measured.setup,
        model: Model::Linear,
        what: "the time until all entities are stored and on the device",
    },
    Quantity {
        id: "memory",
        name: "index in memory",
        unit: Unit::Bytes,
        better: Better::Lower,
        of: |measured| measured.memory,
        model: Model::Linear,
        what: "the tables that lookups by address, blob and id go through, as far as the memory has room for them",
    },
    Quantity {
        id: "disk",
        name: "entities on disk",
        unit: Unit::Bytes,
        better: Better::Lower,
        of: |measured| measured.disk,
        model: Model::Linear,
        what: "what the files of the store take without attached files",
    },
    Quantity {
        id: "lookup",
        name: "lookup by address, mean",
        unit: Unit::Seconds,
        better: Better::Lower,
        of: |measured| measured.lookup,
        model: Model::Logarithmic,
        what: "one thread, uniform keys, a warm cache",
    },
    Quantity {
        id: "lookup.p99",
        name: "lookup by address, p99",
        unit: Unit::Seconds,
        better: Better::Lower,
        of: |measured| measured.lookup_p99,
        model: Model::Logarithmic,
        what: "one thread, uniform keys, a warm cache, each lookup timed by itself",
    },
    Quantity {
        id: "throughput",
        name: "lookups by address",
        unit: Unit::PerSecond,
        better: Better::Higher,
        of: |measured| measured.throughput,
        model: Model::InverseLogarithmic,
        what: "a thread for each processor, uniform keys, a warm cache",
    },
];

impl Model {
    fn formula(self) -> &'static str {
        match self {
            Self::Linear => "a + b n",
            Self::Logarithmic => "a + b log2 n",
            Self::InverseLogarithmic => "1 / (a + b log2 n)",
        }
    }

    /// What it says of `n` entities, fitted to pairs of entities and values by least squares; neither a nor b is
    /// negative.
    fn predict(self, points: &[(f64, f64)], n: f64) -> f64 {
        let x = |n: f64| if self == Self::Linear { n } else { n.log2() };
        let y = |value: f64| if self == Self::InverseLogarithmic { 1.0 / value } else { value };
        let points: Vec<(f64, f64)> = points.iter().map(|(n, value)| (x(*n), y(*value))).collect();
        let (a, b) = line(&points);
        y(a + b * x(n))
    }
}

/// The line a + b x through points by least squares, with neither a nor b below 0.
fn line(points: &[(f64, f64)]) -> (f64, f64) {
    let count = points.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
    let (x, y) = (mean(|point| point.0), mean(|point| point.1));
    let covariance: f64 = points.iter().map(|point| (point.0 - x) * (point.1 - y)).sum();
    let variance: f64 = points.iter().map(|point| (point.0 - x).powi(2)).sum();
    let slope = if variance > 0.0 { covariance / variance } else { 0.0 };
    if slope < 0.0 {
        return (y, 0.0);
    }
    let start = y - slope * x;
    if start >= 0.0 {
        return (start, slope);
    }
    // Through the origin, then.
    let products: f64 = points.iter().map(|point| point.0 * point.1).sum();
    let squares: f64 = points.iter().map(|point| point.0 * point.0).sum();
    (0.0, if squares > 0.0 { products / squares } else { 0.0 })
}

/// Measures stores of a few sizes, made in `folder`, and tells what the planned one would take.
///
/// # Errors
///
/// [`Error::Invalid`]; [`Error::Store`]; [`Error::Interrupted`].
pub fn plan(options: &PlanOptions, folder: &Path, watcher: &mut Watcher<'_>) -> Result<Report> {
    if options.entities == 0 || options.calibrated.len() < FITTED {
        return Err(Error::Invalid(
            "plan: found nothing to plan; allowed: one entity and more, and three sizes to measure"
                .to_owned(),
        ));
    }
    let (begun, started) = (now(), Instant::now());
    let environment = Environment::of(folder);
    let mut measured = Vec::new();
    for (at, entities) in options.calibrated.iter().enumerate() {
        let elapsed = started.elapsed();
        // The next one takes about as much longer as it is larger.
        let next = measured.last().map_or(Duration::ZERO, |(_, took): &(Measured, Duration)| {
            took.mul_f64(*entities as f64 / options.calibrated[at - 1] as f64)
        });
        if at >= FITTED && elapsed + next > options.time {
            break;
        }
        let before = Instant::now();
        show(
            watcher,
            &format!("measuring {} entities", Unit::Count.format(*entities as f64)),
            started,
            options.time,
        );
        let size = measure(options, *entities, folder, watcher)?;
        measured.push((size, before.elapsed()));
    }
    let measured: Vec<Measured> = measured.into_iter().map(|(measured, _)| measured).collect();
    let files = match options.file_bytes {
        0 => None,
        _ => {
            show(watcher, "measuring files", started, options.time);
            Some(measure_files(options, folder, watcher)?)
        }
    };
    let mut figures = planned(options, &measured, files);
    if options.verify {
        show(watcher, "making a store of the planned size", started, options.time);
        figures.extend(verify(options, &measured, folder, watcher)?);
    }
    Ok(Report {
        schema: SCHEMA,
        kind: Kind::Plan,
        title: format!("A plan for {} entities", Unit::Count.format(options.entities as f64)),
        command: options.command.clone(),
        parameters: [
            ("entities".to_owned(), options.entities.to_string()),
            ("file bytes".to_owned(), options.file_bytes.to_string()),
            ("engine".to_owned(), options.store.engine.clone()),
        ]
        .into(),
        seed: options.seed,
        begun,
        seconds: started.elapsed().as_secs_f64(),
        environment,
        figures,
        runs: Vec::new(),
        plots: Vec::new(),
        notes: notes(options, &measured),
    })
}

fn show(watcher: &mut Watcher<'_>, what: &str, started: Instant, time: Duration) {
    let progress = Progress {
        seconds: started.elapsed().as_secs_f64(),
        seconds_in_all: Some(time.as_secs_f64()),
        ..Progress::default()
    };
    (watcher.progress)(what, progress);
}

fn measure(options: &PlanOptions, entities: u64, folder: &Path, watcher: &Watcher<'_>) -> Result<Measured> {
    let subject = Subject::new(&options.store, folder)?;
    let store = subject.open()?;
    let begun = Instant::now();
    let generator = Generator::new(options.seed, None);
    let addresses = load_generated(&store, &generator, entities, watcher.goes_on)?;
    store.engine().sync().map_err(Error::store("syncing generated entities"))?;
    let setup = begun.elapsed().as_secs_f64();
    let stats = store.engine().stats();
    let mut random = SplitMix64::new(options.seed);
    let (mean, p99) = time_lookups(&store, &addresses, &mut random)?;
    let throughput = all_processors(&store, &addresses, options.seed)?;
    // A store that is closed has all that its files will have.
    store.close().map_err(Error::store("closing a store"))?;
    drop(store);
    let disk = if subject.is_lasting() { subject.open()?.engine().stats().disk_bytes } else { 0 };
    Ok(Measured {
        entities: entities as f64,
        setup,
        memory: stats.index_bytes as f64,
        disk: disk as f64,
        lookup: mean,
        lookup_p99: p99,
        throughput,
    })
}

fn look_up(store: &Store, address: &Address) -> Result<()> {
    match store.get(address).map_err(Error::store("looking an entity up"))? {
        Some(_) => Ok(()),
        None => {
            Err(Error::Invalid(format!("entity {address} was stored and is not found: this store is broken")))
        }
    }
}

/// The mean and the 99th percentile of a lookup.
fn time_lookups(store: &Store, addresses: &[Address], random: &mut SplitMix64) -> Result<(f64, f64)> {
    let keys: Vec<&Address> = (0..LOOKUPS).map(|_| &addresses[random.index(addresses.len())]).collect();
    keys.iter().take(keys.len() / 4).try_for_each(|address| look_up(store, address))?;
    let begun = Instant::now();
    keys.iter().try_for_each(|address| look_up(store, address))?;
    let mean = begun.elapsed().as_secs_f64() / keys.len() as f64;
    let mut latencies = crate::latencies::Latencies::new();
    for address in &keys {
        let begun = Instant::now();
        look_up(store, address)?;
        latencies.record(begun.elapsed());
    }
    Ok((mean, latencies.at(0.99)))
}

/// Lookups a second of a thread for each processor.
fn all_processors(store: &Store, addresses: &[Address], seed: u64) -> Result<f64> {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let begun = Instant::now();
    let run = |thread: usize| {
        let mut random = SplitMix64::new(SplitMix64::nth(seed, thread as u64));
        (0..LOOKUPS).try_for_each(|_| look_up(store, &addresses[random.index(addresses.len())]))
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|thread| scope.spawn(move || run(thread))).collect();
        threads
            .into_iter()
            .try_for_each(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })?;
    Ok((LOOKUPS * threads as u64) as f64 / begun.elapsed().as_secs_f64())
}

fn measure_files(options: &PlanOptions, folder: &Path, watcher: &Watcher<'_>) -> Result<Files> {
    let subject = Subject::new(&options.store, folder)?;
    let store = subject.open()?;
    let count = (FILES_BYTES / options.file_bytes).clamp(3, FILES_MAX).min(options.entities.max(3));
    let bytes = usize::try_from(options.file_bytes).map_err(|_| {
        Error::Invalid(format!("file bytes: found {}; allowed: what fits into memory", options.file_bytes))
    })?;
    let before = store.engine().stats().disk_bytes;
    let (mut put, mut read, mut stored) = (Vec::new(), Vec::new(), Vec::new());
    for number in 0..count {
        if !(watcher.goes_on)() {
            return Err(Error::Interrupted);
        }
        let content = file_bytes(options.seed, number, bytes);
        let begun = Instant::now();
        let file = store.files().put(&mut Cursor::new(content)).map_err(Error::store("storing a file"))?;
        put.push(begun.elapsed().as_secs_f64());
        stored.push(file);
    }
    for file in &stored {
        let begun = Instant::now();
        let reader = store.files().open(&file.id).map_err(Error::store("reading a file"))?;
        let mut reader =
            reader.ok_or_else(|| Error::Invalid(format!("file {} was stored and is not found", file.id)))?;
        let read_bytes = std::io::copy(&mut reader, &mut std::io::sink());
        read_bytes.map_err(|error| Error::io(format!("reading file {}", file.id), error))?;
        read.push(begun.elapsed().as_secs_f64());
    }
    let disk = store.engine().stats().disk_bytes.saturating_sub(before) as f64 / count as f64;
    Ok(Files { put: median(&put).unwrap_or(0.0), read: median(&read).unwrap_or(0.0), disk })
}

/// The figures of every size.
fn planned(options: &PlanOptions, measured: &[Measured], files: Option<Files>) -> Vec<Figure> {
    let mut sizes: Vec<u64> = SIZES.into_iter().chain([options.entities]).collect();
    sizes.sort_unstable();
    sizes.dedup();
    let mut figures = Vec::new();
    for entities in sizes {
        let n = entities as f64;
        let known = measured.iter().find(|measured| measured.entities == n);
        for quantity in &QUANTITIES {
            figures.push(predicted(quantity, entities, measured, known));
        }
        let Some(files) = files else { continue };
        let of_files = [
            (
                "files.setup",
                "storing a file with each",
                Unit::Seconds,
                files.put * n,
                "one after another, each synced",
            ),
            ("files.disk", "files on disk", Unit::Bytes, files.disk * n, "no two files alike"),
            (
                "files.read",
                "reading one file",
                Unit::Seconds,
                files.read,
                "a warm cache, every byte verified",
            ),
        ];
        for (id, name, unit, value, what) in of_files {
            let definition =
                format!("Extrapolated as n times what one file takes, the median of some: {what}.");
            let base = predicted(&QUANTITIES[0], entities, measured, known);
            let id = format!("plan.{entities}.{id}");
            figures.push(Figure {
                id,
                name: name.to_owned(),
                unit,
                samples: vec![value],
                definition,
                ..base
            });
        }
    }
    figures
}

/// What a model is fitted to.
fn points(quantity: &Quantity, all: &[Measured]) -> Vec<(f64, f64)> {
    let largest = &all[all.len().saturating_sub(FITTED)..];
    largest.iter().map(|measured| (measured.entities, (quantity.of)(measured))).collect()
}

fn predicted(quantity: &Quantity, entities: u64, all: &[Measured], known: Option<&Measured>) -> Figure {
    let points = points(quantity, all);
    let (value, how) = match known {
        Some(measured) => ((quantity.of)(measured), "Measured".to_owned()),
        None => {
            let value = quantity.model.predict(&points, entities as f64);
            let formula = quantity.model.formula();
            (
                value,
                format!("Extrapolated by {formula}, fitted to the {} largest measured sizes", points.len()),
            )
        }
    };
    let how_short = if known.is_some() { "measured" } else { "extrapolated" };
    Figure {
        id: format!("plan.{entities}.{}", quantity.id),
        section: format!("{} entities ({how_short})", Unit::Count.format(entities as f64)),
        name: quantity.name.to_owned(),
        engine: None,
        unit: quantity.unit,
        samples: vec![value],
        better: quantity.better,
        published: None,
        bound: None,
        definition: format!("{how}: {}.", quantity.what),
    }
}

/// How the prediction for the planned size compares with a store of that size.
fn verify(
    options: &PlanOptions,
    measured: &[Measured],
    folder: &Path,
    watcher: &Watcher<'_>,
) -> Result<Vec<Figure>> {
    let real = measure(options, options.entities, folder, watcher)?;
    let compare = |quantity: &Quantity| {
        let points: Vec<_> =
            measured.iter().map(|measured| (measured.entities, (quantity.of)(measured))).collect();
        let predicted = quantity.model.predict(&points, real.entities);
        let found = (quantity.of)(&real);
        Figure {
            id: format!("plan.verified.{}", quantity.id),
            section: "The prediction, by a store of that size".to_owned(),
            name: quantity.name.to_owned(),
            engine: None,
            unit: Unit::Times,
            samples: vec![predicted / found],
            better: Better::Neither,
            published: None,
            // Sizes follow from what is stored; times are the machine's.
            bound: matches!(quantity.unit, Unit::Bytes).then_some(Bound::AtMost(1.25)),
            definition: format!(
                "Predicted: {}, found: {}.",
                quantity.unit.format(predicted),
                quantity.unit.format(found)
            ),
        }
    };
    Ok(QUANTITIES.iter().map(compare).collect())
}

fn notes(options: &PlanOptions, measured: &[Measured]) -> Vec<String> {
    let sizes: Vec<String> = measured.iter().map(|measured| Unit::Count.format(measured.entities)).collect();
    let mut notes = vec![format!(
        "Stores with {} entities were made and measured, of some 300 bytes of text each; everything else follows from \
         models that are written beside each figure. Entities of another size take proportionally more or less of the disk.",
        sizes.join(", ")
    )];
    notes.push(
        "Not modelled: a machine whose memory is too short for index and columns (lookups go through filters then, and are \
         slower), a cold cache, and a device that is busy with something else."
            .to_owned(),
    );
    let largest = measured.last().map_or(0.0, |measured| measured.entities);
    if options.entities as f64 > largest * 100.0 {
        notes.push(
            "What is planned is more than a hundred times larger than what was measured: take it as a hint."
                .to_owned(),
        );
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_finds_what_it_describes() {
        let linear: Vec<_> = [1e3, 3e3, 1e4].map(|n| (n, 5.0 + 0.25 * n)).into();
        assert!((Model::Linear.predict(&linear, 1e6) - 250_005.0).abs() < 1e-3);
        let logarithmic: Vec<_> = [1e3, 3e3, 1e4].map(|n: f64| (n, 1e-7 + 2e-8 * n.log2())).into();
        let expected = 1e-7 + 2e-8 * 1e6_f64.log2();
        assert!((Model::Logarithmic.predict(&logarithmic, 1e6) / expected - 1.0).abs() < 1e-9);
        let inverse: Vec<_> = logarithmic.iter().map(|(n, value)| (*n, 1.0 / value)).collect();
        assert!((Model::InverseLogarithmic.predict(&inverse, 1e6) * expected - 1.0).abs() < 1e-9);
        // What falls by chance does not fall for ever, and nothing is taken that is less than nothing.
        assert_eq!(Model::Linear.predict(&[(1.0, 4.0), (2.0, 2.0)], 1e9), 3.0);
        assert!(Model::Linear.predict(&[(10.0, 1.0), (20.0, 4.0)], 1.0) > 0.0);
        assert_eq!(line(&[(5.0, 7.0)]), (7.0, 0.0));
    }

    #[test]
    fn sizes_of_a_store_ten_times_larger_are_as_predicted() {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let mut told = Vec::new();
        let mut progress = |what: &str, _| told.push(what.to_owned());
        let mut watcher = Watcher { goes_on: &|| true, progress: &mut progress };
        let options = PlanOptions {
            entities: 300_000,
            file_bytes: 5000,
            calibrated: vec![10_000, 15_000, 20_000, 30_000],
            time: Duration::ZERO,
            verify: true,
            ..PlanOptions::default()
        };
        let report = plan(&options, folder.path(), &mut watcher).expect("it can be measured");
        let figure =
            |id: &str| report.figures.iter().find(|figure| figure.id == id).unwrap_or_else(|| panic!("{id}"));
        // How fast it would be, nobody knows here; how large, everybody.
        for id in ["plan.verified.disk", "plan.verified.memory"] {
            let ratio = figure(id).value().expect("it was compared");
            assert!((0.8..1.25).contains(&ratio), "{id}: {:?}", figure(id));
        }
        for quantity in &QUANTITIES {
            let measured = figure(&format!("plan.10000.{}", quantity.id));
            assert!(measured.definition.starts_with("Measured: ") && measured.section.contains("(measured)"));
            let planned = figure(&format!("plan.1000000.{}", quantity.id));
            assert!(
                planned.definition.starts_with("Extrapolated by ")
                    && planned.value().is_some_and(|v| v > 0.0)
            );
        }
        let files = figure("plan.300000.files.disk").value().expect("files were measured");
        assert!((5000.0..6000.0).contains(&(files / 300_000.0)), "{files}");
        assert!(!told.is_empty());
    }

    #[test]
    fn nothing_can_not_be_planned() {
        let mut watcher = Watcher { goes_on: &|| true, progress: &mut |_, _| {} };
        let options = PlanOptions { entities: 0, ..PlanOptions::default() };
        let error = plan(&options, Path::new("."), &mut watcher).expect_err("it is nothing").to_string();
        assert!(error.contains("allowed: one entity and more"), "{error}");
    }
}
