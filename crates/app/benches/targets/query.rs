//! Section `query`: conditions on three dimensions at once.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use statlas_core::{Dimensions, Entity, Identifier};
use statlas_store::{Filter, Interval, OrderBy, Page, Query};

use crate::report::Target;
use crate::{Bench, load};

const SECTION: &str = "query";
const LIMIT: usize = 100;
const REALMS: [&str; 2] = ["data", "system"];
const HORIZON: &str = "peak";
const LUMINOSITY: (f64, f64) = (20.0, 80.0);

pub(crate) fn run(bench: &mut Bench) -> Result<()> {
    let repetitions = bench.sizes.query_repetitions;
    // The answers are known from the data, without the store.
    let mut expected: Vec<f64> =
        load::entities(bench).filter_map(|entity| luminosity_if_wanted(&entity)).collect();
    expected.sort_unstable_by(|a, b| b.total_cmp(a));
    let store = bench.loaded()?.open()?;
    let engine = store.engine();
    let filter = filter()?;
    let first = Query { filter: filter.clone(), limit: LIMIT, ..Query::default() };
    let brightest = Query { order_by: OrderBy::Luminosity, descending: true, ..first.clone() };

    let (mut counts, mut firsts, mut brightests) = (vec![], vec![], vec![]);
    for _ in 0..repetitions {
        let (ms, count) = timed(|| engine.count(&filter))?;
        ensure!(count == expected.len() as u64, "{count} entities counted; in the data: {}", expected.len());
        counts.push(ms);
        let (ms, page) = timed(|| engine.find(&first))?;
        ensure!(luminosities(&page)?.len() == LIMIT.min(expected.len()), "rows are missing");
        firsts.push(ms);
        let (ms, page) = timed(|| engine.find(&brightest))?;
        let found = luminosities(&page)?;
        ensure!(
            expected.starts_with(&found) && found.len() == LIMIT.min(expected.len()),
            "not the brightest"
        );
        brightests.push(ms);
    }
    bench.report.note(
        SECTION,
        format!(
            "realm in {}, horizon {HORIZON}, luminosity {} to {}: {} of the entities; one thread",
            REALMS.join(" or "),
            LUMINOSITY.0,
            LUMINOSITY.1,
            expected.len()
        ),
    );
    bench.report.row(SECTION, "three conditions, count", "ms", counts, Target::AtMost(5.0));
    bench.report.row(SECTION, "three conditions, limit 100", "ms", firsts, Target::AtMost(5.0));
    bench.report.row(
        SECTION,
        "three conditions, by luminosity, limit 100",
        "ms",
        brightests,
        Target::AtMost(5.0),
    );
    Ok(())
}

fn timed<T>(ask: impl FnOnce() -> statlas_store::Result<T>) -> Result<(f64, T)> {
    let started = Instant::now();
    let answer = ask()?;
    Ok((started.elapsed().as_secs_f64() * 1e3, answer))
}

fn filter() -> Result<Filter> {
    let name = |text| Identifier::new(text).context("a legal name");
    Ok(Filter {
        realm: REALMS.into_iter().map(name).collect::<Result<_>>()?,
        horizon: vec![name(HORIZON)?],
        luminosity: Interval { min: Some(LUMINOSITY.0), max: Some(LUMINOSITY.1) },
        ..Filter::default()
    })
}

/// The luminosity of an entity that meets the conditions, decided without the store.
fn luminosity_if_wanted(entity: &Entity) -> Option<f64> {
    let coordinates = entity.coordinates();
    let Dimensions::FractalStat(fractal) = &coordinates.dimensions else { return None };
    let luminosity = fractal.luminosity();
    let wanted = REALMS.contains(&coordinates.realm.as_str())
        && coordinates.horizon.as_str() == HORIZON
        && (LUMINOSITY.0..=LUMINOSITY.1).contains(&luminosity);
    wanted.then_some(luminosity)
}

/// The luminosities of an answer, after a check that every row meets the conditions and none comes twice.
fn luminosities(page: &Page) -> Result<Vec<f64>> {
    let mut found = Vec::new();
    let mut addresses = std::collections::HashSet::new();
    for row in &page.entities {
        let luminosity = luminosity_if_wanted(&row.entity()?);
        found.push(luminosity.with_context(|| format!("{} does not meet the conditions", row.address()))?);
        ensure!(addresses.insert(row.address()), "{} comes twice", row.address());
    }
    Ok(found)
}
