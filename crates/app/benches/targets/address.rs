//! Section `address`: what an address costs beside the SHA-256 that it is made of.

use std::hint::black_box;
use std::ops::Range;
use std::time::Instant;

use anyhow::{Result, ensure};
use statlas_core::{Address, Entity};
use statlas_lab::Generator;

use crate::Bench;
use crate::report::Target;

const SECTION: &str = "address";

/// Texts one after the other.
#[derive(Default)]
struct Texts {
    bytes: Vec<u8>,
    ranges: Vec<Range<usize>>,
}

impl Texts {
    fn push(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.bytes.len();
        write(&mut self.bytes);
        self.ranges.push(start..self.bytes.len());
    }

    fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.ranges.iter().map(|range| &self.bytes[range.clone()])
    }
}

pub(crate) fn run(bench: &mut Bench) -> Result<()> {
    let sizes = bench.sizes;
    let entities: Vec<Entity> = Generator::new(bench.seed, None).take(sizes.address_entities).collect();
    let (mut canonical, mut json) = (Texts::default(), Texts::default());
    for entity in &entities {
        canonical.push(|out| entity.canonical_into(out));
        json.push(|out| entity.to_json_into(out));
    }
    let operations = sizes.address_entities * sizes.address_passes;
    let mut buffer = Vec::new();
    let (mut parsed_ns, mut sha_ns, mut ratios, mut text_rates) = (vec![], vec![], vec![], vec![]);
    for _ in 0..sizes.address_repetitions {
        let parsed = ns_each(operations, || {
            for _ in 0..sizes.address_passes {
                for entity in &entities {
                    buffer.clear();
                    entity.canonical_into(&mut buffer);
                    black_box(Address::of(&buffer));
                }
            }
        });
        let sha = ns_each(operations, || {
            for _ in 0..sizes.address_passes {
                for text in canonical.iter() {
                    black_box(Address::of(text));
                }
            }
        });
        let mut refused = 0;
        let text = ns_each(operations, || {
            for _ in 0..sizes.address_passes {
                for text in json.iter() {
                    buffer.clear();
                    match Entity::from_json(text) {
                        Ok(entity) => entity.canonical_into(&mut buffer),
                        Err(_) => refused += 1,
                    }
                    black_box(Address::of(&buffer));
                }
            }
        });
        ensure!(refused == 0, "{refused} generated entities were refused");
        parsed_ns.push(parsed);
        sha_ns.push(sha);
        ratios.push(parsed / sha);
        text_rates.push(1e9 / text);
    }
    check(&entities, &canonical, &json)?;
    let mean = |texts: &Texts| texts.bytes.len() / entities.len();
    bench.report.note(
        SECTION,
        format!(
            "one thread; {} canonical bytes on average, {} of JSON; the three ways alternate",
            mean(&canonical),
            mean(&json)
        ),
    );
    let rates = parsed_ns.iter().map(|ns| 1e9 / ns).collect();
    bench.report.row(SECTION, "address of a parsed entity", "ns", parsed_ns, Target::None);
    bench.report.row(SECTION, "SHA-256 alone of the same bytes", "ns", sha_ns, Target::None);
    bench.report.row(SECTION, "ratio of the two", "times", ratios, Target::AtMost(2.0));
    bench.report.row(SECTION, "addresses of parsed entities", "1/s", rates, Target::AtLeast(1.8e6));
    bench.report.row(SECTION, "addresses from JSON text", "1/s", text_rates, Target::AtLeast(700e3));
    Ok(())
}

fn ns_each(operations: usize, work: impl FnOnce()) -> f64 {
    let started = Instant::now();
    work();
    started.elapsed().as_secs_f64() * 1e9 / operations as f64
}

/// All three ways give the same addresses, and no two entities share one.
fn check(entities: &[Entity], canonical: &Texts, json: &Texts) -> Result<()> {
    let mut addresses = Vec::with_capacity(entities.len());
    for ((entity, canonical), json) in entities.iter().zip(canonical.iter()).zip(json.iter()) {
        let address = Address::of(canonical);
        ensure!(entity.address() == address, "{}: two addresses", entity.id());
        ensure!(Entity::from_json(json)?.address() == address, "{}: another address from JSON", entity.id());
        addresses.push(address);
    }
    addresses.sort_unstable();
    addresses.dedup();
    ensure!(addresses.len() == entities.len(), "two entities share an address");
    Ok(())
}
