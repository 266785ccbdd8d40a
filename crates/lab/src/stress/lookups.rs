//! Scenario 1.2: lookups by address, of what is there and of what is not.

use std::hint::black_box;
use std::time::Instant;

use statlas_core::Address;

use super::clock::timed;
use super::draft::{Draft, counted};
use super::engine::Engine;
use super::estimate::Cost;
use super::loaded::{Loaded, TOGETHER, absent_address};
use super::session::Session;
use super::sizes::Sizes;
use crate::error::{Error, Result};
use crate::latencies::Latencies;
use crate::quantity::Unit;
use crate::random::SplitMix64;
use crate::report::{Line, Plot};

const PUBLISHED: &str = "0.4 to 0.8 us, measured on 100 queries";
/// Most that a lookup takes from memory, and from a file that is in the page cache.
const MEMORY_SECONDS_MAX: f64 = 0.2e-6;
const WARM_SECONDS_MAX: f64 = 1e-6;

pub(super) fn cost(sizes: &Sizes, engines: &[Engine]) -> Cost {
    let of_size = |entities: &u64| {
        let lookups = (sizes.lookups * sizes.rounds_of(*entities)) as f64;
        // A lookup in a larger store waits for memory.
        engines.len() as f64 * (*entities as f64 * 6e-6 + lookups * 4.5 * 0.6e-6)
    };
    let seconds = sizes.entities.iter().map(of_size).sum();
    Cost { seconds, ..Cost::of_stores(sizes.largest(), engines) }
}

pub(super) fn run(session: &mut Session<'_, '_>) -> Result<()> {
    for entities in session.sizes.entities.clone() {
        let mut asked = Vec::new();
        for engine in session.engines.clone() {
            asked.push((Loaded::new(session, &engine, entities)?, Distributions::default()));
        }
        for round in 0..session.sizes.rounds_of(entities) {
            for (loaded, distributions) in &mut asked {
                session.step(&format!("{} entities on {}", counted(entities), loaded.engine.name()))?;
                measure(session, loaded, distributions, round as u64)?;
            }
        }
        session.plot(plot(entities, &asked));
    }
    Ok(())
}

/// The latencies of all rounds.
#[derive(Default)]
struct Distributions {
    hits: Latencies,
    misses: Latencies,
}

/// One round on one store.
fn measure(
    session: &mut Session<'_, '_>,
    loaded: &Loaded,
    distributions: &mut Distributions,
    round: u64,
) -> Result<()> {
    let lookups = session.sizes.lookups;
    let mut random = SplitMix64::new(SplitMix64::nth(session.options.seed ^ 0x100c, round));
    let entities = loaded.addresses.len();
    let hits: Vec<Address> = (0..lookups).map(|_| loaded.addresses[random.index(entities)]).collect();
    let misses: Vec<Address> = (0..lookups).map(|_| absent_address(&mut random)).collect();
    for (sort, addresses, sum) in
        [("get", hits, &mut distributions.hits), ("get_absent", misses, &mut distributions.misses)]
    {
        let figures = Figures::new(sort, loaded);
        let (seconds, found) = timed(|| count(loaded, &addresses));
        figures.check(session, found?, lookups);
        session.sample(figures.mean(), seconds / lookups as f64);
        if sort == "get" {
            let (seconds, found) = timed(|| count_together(loaded, &addresses));
            figures.check(session, found?, lookups);
            session.sample(figures.mean_together(), seconds / lookups as f64);
        }
        let (latencies, found) = record(loaded, &addresses)?;
        figures.check(session, found, lookups);
        session.percentiles(&figures.percentile(), &latencies, |draft, name| match name {
            "p50" => draft.published(PUBLISHED).at_most(figures.seconds_max()),
            _ => draft,
        });
        sum.merge(&latencies);
    }
    Ok(())
}

/// What is measured of one sort of lookups on one store.
struct Figures<'a> {
    sort: &'static str,
    loaded: &'a Loaded,
}

impl<'a> Figures<'a> {
    fn new(sort: &'static str, loaded: &'a Loaded) -> Self {
        Self { sort, loaded }
    }

    fn is_hit(&self) -> bool {
        self.sort == "get"
    }

    fn words(&self) -> &'static str {
        if self.is_hit() { "lookup that finds" } else { "lookup that finds nothing" }
    }

    fn seconds_max(&self) -> f64 {
        if self.loaded.engine.is_lasting() { WARM_SECONDS_MAX } else { MEMORY_SECONDS_MAX }
    }

    fn draft(&self, kind: &str, words: &str, how: &str) -> Draft {
        let entities = self.loaded.addresses.len();
        let id = format!("{}.{kind}.{entities}", self.sort);
        let name = format!("{}, {words}, {} entities", self.words(), counted(entities as u64));
        let keys = if self.is_hit() { "addresses of the store in random order" } else { "random addresses" };
        let definition = format!(
            "One thread asks for {keys} through Store::get, after everything was read once; what is on disk is in the page \
             cache, and the store was opened again. What is found is the stored text, its checksum verified. {how}"
        );
        Draft::time(id, name).by(definition).on(&self.loaded.engine)
    }

    fn mean(&self) -> Draft {
        let draft = self.draft("mean", "mean", "From a loop without a clock in it.");
        draft.published(PUBLISHED).at_most(self.seconds_max())
    }

    fn mean_together(&self) -> Draft {
        let how = format!("Through Engine::entities, {TOGETHER} addresses a call, for each of them.");
        self.draft("together", &format!("mean, {TOGETHER} a call"), &how)
    }

    fn percentile(&self) -> Draft {
        self.draft("{}", "{}", "A clock around each lookup, whose own time is in it.")
    }

    fn check(&self, session: &mut Session<'_, '_>, found: usize, asked: usize) {
        let wrong = if self.is_hit() { asked - found } else { found };
        let messages: Vec<String> = (wrong > 0)
            .then(|| format!("{}: {found} of {asked} were found", self.words()))
            .into_iter()
            .collect();
        session.checked(Some(&self.loaded.engine), asked as u64, wrong as u64, &messages);
    }
}

fn failed() -> impl FnOnce(statlas_store::Error) -> Error {
    Error::store("looking up an entity")
}

/// How many are found.
fn count(loaded: &Loaded, addresses: &[Address]) -> Result<usize> {
    let mut found = 0;
    for address in addresses {
        let entity = black_box(loaded.store.get(address)).map_err(failed())?;
        found += usize::from(entity.is_some_and(|entity| entity.address() == *address));
    }
    Ok(found)
}

fn count_together(loaded: &Loaded, addresses: &[Address]) -> Result<usize> {
    let mut count = 0;
    for some in addresses.chunks(TOGETHER) {
        let found = black_box(loaded.store.engine().entities(some)).map_err(failed())?;
        let is_it = |(found, address): &(Option<_>, &Address)| {
            found.as_ref().is_some_and(|entity: &statlas_store::StoredEntity| entity.address() == **address)
        };
        count += found.into_iter().zip(some).filter(is_it).count();
    }
    Ok(count)
}

/// How long each takes, and how many are found.
fn record(loaded: &Loaded, addresses: &[Address]) -> Result<(Latencies, usize)> {
    let (mut latencies, mut found) = (Latencies::new(), 0);
    for address in addresses {
        let begun = Instant::now();
        let entity = black_box(loaded.store.get(address));
        latencies.record(begun.elapsed());
        found += usize::from(entity.map_err(failed())?.is_some());
    }
    Ok((latencies, found))
}

fn plot(entities: u64, asked: &[(Loaded, Distributions)]) -> Plot {
    let line = |name: String, latencies: &Latencies| {
        // A half is one half of the first nine: 0.9 is at 1, 0.99 at 2.
        let points =
            latencies.curve().into_iter().map(|(share, value)| (-(1.0 - share).log10(), Some(value)));
        Line { name, points: points.collect() }
    };
    let lines = asked.iter().flat_map(|(loaded, distributions)| {
        let name = loaded.engine.name();
        [
            line(format!("{name}, finds"), &distributions.hits),
            line(format!("{name}, finds nothing"), &distributions.misses),
        ]
    });
    Plot {
        title: format!("Lookups by address, {} entities", counted(entities)),
        x_name: "nines of the share that is no slower".to_owned(),
        x_unit: Unit::Count,
        y_name: "latency".to_owned(),
        y_unit: Unit::Seconds,
        is_logarithmic: true,
        lines: lines.collect(),
        spans: Vec::new(),
    }
}
