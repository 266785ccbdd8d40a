//! Scenario 1.1: addresses of entities, at every size.

use std::hint::black_box;

use statlas_core::{Address, Entity};

use super::FLAT_MIN;
use super::clock::processor_timed;
use super::draft::{Draft, counted};
use super::engine::Engine;
use super::estimate::Cost;
use super::session::Session;
use super::sizes::Sizes;
use crate::error::Result;
use crate::generator::Generator;
use crate::quantity::Unit;
use crate::report::Better;

const PUBLISHED: &str =
    "37.4K/s, flat from 10K to 100K entities, 0 collisions [re-run 75K per CPU second in Python]";
/// What the reference in Python did in a second of the processor when it was run again.
const REFERENCE_PER_SECOND: f64 = 75_000.0;
/// How many times that it must be.
const TIMES_REFERENCE: f64 = 50.0;
/// Entities that are made, and then addressed: few enough to stay in the processor's caches, so that what is measured is
/// the address and not the memory that entities stand in.
const CHUNK: u64 = 1000;
/// Addresses of a sample, at least: fewer entities are addressed several times.
const SAMPLE_MIN: u64 = 100_000;

pub(super) fn cost(sizes: &Sizes, _: &[Engine]) -> Cost {
    let addressed = |entities: &u64| {
        let passes = SAMPLE_MIN.div_ceil(*entities);
        (entities * passes * sizes.rounds_of(*entities) as u64) as f64
    };
    let seconds = sizes.entities.iter().map(addressed).sum::<f64>() * 2.3e-6;
    Cost { seconds, memory_bytes: sizes.largest() * 32, disk_bytes: 0 }
}

pub(super) fn run(session: &mut Session<'_, '_>) -> Result<()> {
    let sizes = session.sizes.entities.clone();
    let generator = Generator::new(session.options.seed, None);
    for round in 0..session.sizes.rounds {
        for entities in &sizes {
            if round < session.sizes.rounds_of(*entities) {
                measure(session, &generator, *entities, round == 0)?;
            }
        }
    }
    let (first, last) = (session.sizes.smallest(), session.sizes.largest());
    let rate = |entities: u64| session.value(&format!("rate.{entities}"), None);
    if let Some((small, large)) = rate(first).zip(rate(last)).filter(|_| first < last) {
        let definition = format!(
            "The rate at {} entities by the rate at {}. Flat is what does not fall below {FLAT_MIN}: by so much rounds on \
             one machine may differ.",
            counted(last),
            counted(first)
        );
        let name = "address generation, the largest size to the smallest";
        let draft = Draft::ratio("flat", name, Better::Higher).by(definition).published(PUBLISHED);
        session.sample(draft.at_least(FLAT_MIN), large / small);
    }
    Ok(())
}

/// Addresses so many entities, in chunks.
fn measure(
    session: &mut Session<'_, '_>,
    generator: &Generator,
    entities: u64,
    is_first: bool,
) -> Result<()> {
    session.step(&format!("{} entities", counted(entities)))?;
    let mut addresses = Vec::with_capacity(usize::try_from(entities).unwrap_or(0));
    let (mut seconds, mut hash_seconds, mut addressed) = (0.0, 0.0, 0);
    for pass in 0..SAMPLE_MIN.div_ceil(entities) {
        for from in (0..entities).step_by(CHUNK as usize) {
            let made: Vec<Entity> =
                (from..(from + CHUNK).min(entities)).map(|n| generator.entity(n)).collect();
            let canonical: Vec<Vec<u8>> = made.iter().map(Entity::canonical).collect();
            let mut found = Vec::with_capacity(made.len());
            let mut text = Vec::with_capacity(1024);
            seconds += processor_timed(|| {
                for entity in &made {
                    text.clear();
                    entity.canonical_into(&mut text);
                    found.push(Address::of(&text));
                }
            })
            .0;
            hash_seconds += processor_timed(|| {
                for text in &canonical {
                    black_box(Address::of(text));
                }
            })
            .0;
            addressed += made.len();
            if pass == 0 {
                addresses.append(&mut found);
            }
        }
        session.goes_on()?;
    }
    let size = counted(entities);
    let definition = format!(
        "Entities that are made from the seed before, one core: the canonical form into a buffer that is used again, and \
         its SHA-256; by the processor's time for it, in chunks of {CHUNK} that stay in its caches. The reference in \
         Python did {} in a second of the processor when it was run again, and {TIMES_REFERENCE} times that is the bound.",
        counted(REFERENCE_PER_SECOND as u64)
    );
    let draft =
        Draft::rate(format!("rate.{entities}"), format!("address generation, {size} entities, a core"));
    let draft = draft.by(definition).published(PUBLISHED).at_least(REFERENCE_PER_SECOND * TIMES_REFERENCE);
    session.sample(draft, addressed as f64 / seconds);
    let name = format!("SHA-256 alone of the same texts, {size} entities, a core");
    let definition = "The canonical texts are there; nothing but their SHA-256 is computed. No way to an address can be faster.";
    let draft = Draft::rate(format!("hash.{entities}"), name).by(definition);
    session.sample(draft, addressed as f64 / hash_seconds);
    if is_first {
        look_for_duplicates(session, generator, addresses);
    }
    Ok(())
}

fn look_for_duplicates(session: &mut Session<'_, '_>, generator: &Generator, mut addresses: Vec<Address>) {
    // Made another way, some of them: an address is what an entity itself says that it is.
    for (number, address) in (0..).zip(&addresses).take(CHUNK as usize) {
        let other = generator.entity(number).address();
        session.check(None, *address == other, || {
            format!("entity {number} has the addresses {address} and {other}")
        });
    }
    addresses.sort_unstable();
    let twice = addresses.windows(2).filter(|pair| pair[0] == pair[1]).count();
    let entities = addresses.len();
    let definition = "All addresses are sorted, and each is compared with the next one.";
    let name = format!("addresses that two of {} entities share", counted(entities as u64));
    let draft = Draft::new(format!("duplicates.{entities}"), name, Unit::Count, Better::Lower);
    session.sample(draft.by(definition).published(PUBLISHED).at_most(0.0), twice as f64);
}
