//! Scenario 3.6: how much a cache that is smaller than the store answers.

use crate::distribution::Distribution;
use crate::error::Result;
use crate::operation::Operation;
use crate::quantity::Unit;
use crate::report::Better;
use crate::stress::closed_loop::{ClosedLoop, Until};
use crate::stress::draft::{Draft, counted};
use crate::stress::engine::Engine;
use crate::stress::estimate::Cost;
use crate::stress::session::Session;
use crate::stress::sizes::Sizes;
use crate::threshold::Metric;
use crate::workload::{Bytes, Data, StoreUnderTest};

const PUBLISHED: &str = "100 % hits, 0.046 ms [by construction]";
/// What the cache may have for each entity of the store: a tenth of what one takes in it, about.
const CACHE_BYTES_EACH: u64 = 52;
const THREADS: usize = 2;

pub(in crate::stress) fn cost(sizes: &Sizes, engines: &[Engine]) -> Cost {
    let lasting = engines.iter().filter(|engine| engine.is_lasting()).count() as f64;
    let each = sizes.cache_time.as_secs_f64() * 1.25 + sizes.cached_entities as f64 * 6e-6 + 0.3;
    let entities = sizes.cached_entities;
    Cost { seconds: 3.0 * lasting * each, memory_bytes: entities * 250, disk_bytes: entities * 500 }
}

pub(in crate::stress) fn run(session: &mut Session<'_, '_>) -> Result<()> {
    let (entities, bytes) = (session.sizes.cached_entities, session.sizes.cached_entities * CACHE_BYTES_EACH);
    for engine in session.engines.clone() {
        if !engine.is_lasting() {
            session.note("the engine in memory has no cache: all of it is one");
            continue;
        }
        let zipfian = Distribution::Zipfian { theta: 0.99 };
        for (id, keys, cache, words) in [
            ("zipfian", zipfian, bytes, "skewed keys"),
            ("uniform", Distribution::Uniform, bytes, "uniform keys"),
            ("zipfian.off", zipfian, 0, "skewed keys, cache off"),
        ] {
            let workload = ClosedLoop {
                name: format!("3.6-{}", id.replace('.', "-")),
                description: "Lookups by address in a store that is larger than its cache",
                seed: session.options.seed,
                data: Data { entities, ..Data::default() },
                mix: &[(Operation::Get, 1.0)],
                threads: THREADS,
                until: Until::Time(session.sizes.cache_time),
                store: StoreUnderTest { cache: Some(Bytes(cache)), ..engine.store() },
                keys,
            }
            .workload();
            let run = session.run(&workload, &engine)?;
            let definition = format!(
                "A closed loop of {THREADS} threads looks up any of {} entities, of which the cache, with {}, has room for about a tenth; \
                 skewed is zipfian with 0.99, popular ones scattered. Counted after a warm-up, from the store's own counters.",
                counted(entities),
                Unit::Bytes.format(cache as f64)
            );
            if cache > 0 {
                let name = format!("hits of the cache, {words}");
                let draft =
                    Draft::new(format!("hits.{id}"), name, Unit::Share, Better::Higher).by(&*definition);
                session.sample_if(draft.published(PUBLISHED).on(&engine), run.cache_hits());
            }
            for metric in ["mean", "p50", "p99"] {
                let found = format!("get.{metric}").parse::<Metric>().ok().and_then(|metric| metric.of(&run));
                let draft = Draft::time(format!("{metric}.{id}"), format!("lookup, {metric}, {words}"));
                session.sample_if(draft.by(&*definition).published(PUBLISHED).on(&engine), found);
            }
        }
        session.sample(ideal(entities, bytes).on(&engine), ideal_hits(entities, 0.99));
    }
    Ok(())
}

/// What no cache of a tenth can exceed by much, if keys are zipfian.
fn ideal(entities: u64, bytes: u64) -> Draft {
    let definition = format!(
        "Computed: the part of the requests that is for the most popular tenth of {} keys, if each is asked for in proportion to \
         1 / rank^0.99. A cache that knew which these are, and had room for just them in {}, would answer as much.",
        counted(entities),
        Unit::Bytes.format(bytes as f64)
    );
    Draft::new("hits.ideal", "hits of an ideal cache, skewed keys", Unit::Share, Better::Neither)
        .by(definition)
}

fn ideal_hits(entities: u64, theta: f64) -> f64 {
    let sum = |ranks: u64| (1..=ranks).map(|rank| (rank as f64).powf(-theta)).sum::<f64>();
    sum(entities / 10) / sum(entities)
}

#[cfg(test)]
mod tests {
    use super::ideal_hits;

    #[test]
    fn a_tenth_of_the_keys_gets_most_of_the_requests() {
        assert!((ideal_hits(1000, 0.0) - 0.1).abs() < 1e-12);
        let hits = ideal_hits(100_000, 0.99);
        assert!((0.79..0.83).contains(&hits), "{hits}");
    }
}
