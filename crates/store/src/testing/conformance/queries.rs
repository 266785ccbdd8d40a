//! Questions about coordinates, compared with walking over every entity.

use statlas_core::{Alignment, Polarity, Profile};

use super::{Open, Outcome, commit};
use crate::testing::random::Random;
use crate::testing::sample::{
    adjacency, crowd, filter, name, neighbours, plain, query, stat7, time, varied, version,
};
use crate::testing::twin::{Twin, pages, same};
use crate::{Batch, Cursor, Filter, Interval, OrderBy, Query};

/// Entities that a question is asked about.
const CROWD: usize = 400;

/// A store of varied entities, several versions of some ids, and some removed.
fn crowded(open: Open<'_>) -> Outcome<Twin> {
    let mut twin = Twin::new(open());
    let mut random = Random::new(7);
    let entities = crowd(8, CROWD);
    for entities in entities.chunks(37) {
        let mut batch = Batch::new();
        for entity in entities {
            let next = varied(&mut random, entity.id(), entity.coordinates().adjacency.clone());
            batch.put_entity(entity.clone());
            if random.chance(30) {
                batch.put_entity(next.clone());
            }
            if random.chance(20) {
                batch.remove_entity(random.pick(&[entity.address(), next.address()]));
            }
        }
        twin.commit_accepted(&batch)?;
    }
    Ok(twin)
}

fn closed<T>(min: T, max: T) -> Interval<T> {
    Interval { min: Some(min), max: Some(max) }
}

/// Filters of one condition each.
fn single_conditions() -> Vec<Filter> {
    let none = Filter::default;
    let names = |names: &[&str]| names.iter().map(|text| name(text)).collect::<Vec<_>>();
    let mut filters = vec![
        Filter { profile: vec![Profile::Stat7], ..none() },
        Filter { profile: vec![Profile::FractalStat], ..none() },
        Filter { profile: vec![Profile::FractalStat, Profile::Stat7], ..none() },
        Filter { realm: names(&["data"]), ..none() },
        Filter { realm: names(&["void", "system", "data"]), ..none() },
        Filter { entity_realm: names(&["data"]), ..none() },
        Filter { entity_realm: names(&["narrative", "void"]), ..none() },
        Filter { entity_type: names(&["thing"]), ..none() },
        Filter { entity_type: names(&["thing", "agent"]), ..none() },
        Filter { horizon: names(&["peak"]), ..none() },
        Filter { horizon: names(&["elsewhere", "genesis", "peak"]), ..none() },
        Filter { polarity: vec![Polarity::Logic], ..none() },
        Filter { polarity: vec![Polarity::Chaos, Polarity::Order, Polarity::Void], ..none() },
        Filter { alignment: vec![Alignment::Harmonic], ..none() },
        Filter { alignment: vec![Alignment::Entropic, Alignment::Symbiotic], ..none() },
        Filter { adjacent: vec!["n0".to_owned()], ..none() },
        Filter { adjacent: vec!["née".to_owned(), "n1".to_owned()], ..none() },
        Filter { latest: true, ..none() },
    ];
    for lineage in [closed(0, 0), closed(1, 3), closed(u32::MAX, u32::MAX), closed(3, 1), closed(0, u32::MAX)]
    {
        filters.push(Filter { lineage, ..none() });
        filters.push(Filter { dimensionality: lineage, ..none() });
    }
    for ends in [closed(-1.0, 1.0), closed(0.0, 0.0), closed(-0.0, 0.5), closed(0.1, 0.1), closed(1.0, -1.0)]
    {
        filters.push(Filter { resonance: ends, ..none() });
        filters.push(Filter { velocity: ends, ..none() });
        filters.push(Filter { density: ends, ..none() });
        filters.push(Filter { luminosity: ends, ..none() });
    }
    filters.push(Filter { luminosity: closed(10.0, 100.0), ..none() });
    for created_at in [closed(time(0), time(0)), closed(time(-1), time(1)), closed(time(2), time(1 << 36))] {
        filters.push(Filter { created_at, ..none() });
    }
    let halves = |filter: &Filter| {
        let mut halves = [filter.clone(), filter.clone()];
        (halves[0].lineage.min, halves[1].lineage.max) = (None, None);
        (halves[0].dimensionality.min, halves[1].dimensionality.max) = (None, None);
        (halves[0].resonance.min, halves[1].resonance.max) = (None, None);
        (halves[0].velocity.min, halves[1].velocity.max) = (None, None);
        (halves[0].density.min, halves[1].density.max) = (None, None);
        (halves[0].luminosity.min, halves[1].luminosity.max) = (None, None);
        (halves[0].created_at.min, halves[1].created_at.max) = (None, None);
        halves
    };
    let halves: Vec<Filter> = filters.iter().flat_map(halves).collect();
    filters.into_iter().chain(halves).collect()
}

pub(crate) fn every_condition_selects_the_rows_that_meet_it(open: Open<'_>) -> Outcome {
    let twin = crowded(open)?;
    for filter in single_conditions() {
        twin.compare_find(&Query { filter, limit: 1000, ..Query::default() })?;
    }
    Ok(())
}

pub(crate) fn conjunctions_select_the_rows_that_meet_all_conditions(open: Open<'_>) -> Outcome {
    let twin = crowded(open)?;
    let mut random = Random::new(9);
    let mut found = 0;
    for _ in 0..500 {
        let filter = filter(&mut random);
        found += usize::from(twin.model().count(&filter) > 0);
        twin.compare_find(&Query { filter, limit: 1000, ..Query::default() })?;
    }
    assert!(found > 100, "the check itself needs filters that find something; {found} do");
    Ok(())
}

pub(crate) fn every_order_goes_both_ways(open: Open<'_>) -> Outcome {
    let twin = crowded(open)?;
    let mut random = Random::new(10);
    for (order_by, _) in OrderBy::ALL {
        for descending in [false, true] {
            for limit in [1, 7, 1000] {
                twin.compare_find(&Query { order_by, descending, limit, ..Query::default() })?;
            }
        }
    }
    for _ in 0..200 {
        twin.compare_find(&query(&mut random))?;
    }
    Ok(())
}

pub(crate) fn an_open_or_infinite_end_excludes_nothing(open: Open<'_>) -> Outcome {
    let twin = crowded(open)?;
    let stat7 = Filter { profile: vec![Profile::Stat7], ..Filter::default() };
    let all = twin.model().count(&stat7);
    for (low, high) in [(f64::NEG_INFINITY, f64::INFINITY), (f64::MIN, f64::MAX), (-1e12, 1e12), (-2.0, 2.0)]
    {
        for resonance in [
            closed(low, high),
            Interval { min: Some(low), max: None },
            Interval { min: None, max: Some(high) },
        ] {
            let filter = Filter { resonance, ..Filter::default() };
            same(&format!("count of {resonance:?}"), &twin.engine().count(&filter)?, &all)?;
        }
        for resonance in [
            Interval { min: Some(high), max: None },
            Interval { min: None, max: Some(low) },
            closed(high, low),
        ] {
            let filter = Filter { resonance, ..Filter::default() };
            same(&format!("count of {resonance:?}"), &twin.engine().count(&filter)?, &0)?;
        }
    }
    Ok(())
}

pub(crate) fn names_that_nothing_has_find_nothing(open: Open<'_>) -> Outcome {
    let store = open();
    store.put(version("a", 1))?;
    let unknown = vec![name("unheard_of")];
    let filters = [
        Filter { realm: unknown.clone(), ..Filter::default() },
        Filter { entity_realm: unknown.clone(), ..Filter::default() },
        Filter { entity_type: unknown.clone(), ..Filter::default() },
        Filter { horizon: unknown, ..Filter::default() },
        Filter { adjacent: vec!["unheard of".to_owned()], ..Filter::default() },
    ];
    for filter in filters {
        same("count", &store.engine().count(&filter)?, &0)?;
        let page = store.engine().find(&Query { filter, ..Query::default() })?;
        same("rows", &page.entities.len(), &0)?;
        same("next", &page.next, &None)?;
    }
    Ok(())
}

pub(crate) fn adjacent_asks_for_every_neighbour(open: Open<'_>) -> Outcome {
    let mut twin = Twin::new(open());
    let mut batch = Batch::new();
    let members: [&[&str]; 6] = [&[], &["a"], &["a", "b"], &["b", "b"], &["a", "a", "b", "c"], &["ab", "A"]];
    for (number, members) in members.iter().enumerate() {
        batch
            .put_entity(plain(&number.to_string(), |parts| parts.coordinates.adjacency = adjacency(members)));
    }
    twin.commit_accepted(&batch)?;
    for wanted in
        [&["a"][..], &["b"], &["a", "b"], &["b", "a", "b"], &["c"], &["a", "b", "c", "d"], &["", "a"]]
    {
        let adjacent = wanted.iter().map(|id| (*id).to_owned()).collect();
        twin.compare_find(&Query { filter: Filter { adjacent, ..Filter::default() }, ..Query::default() })?;
    }
    Ok(())
}

pub(crate) fn latest_asks_for_the_newest_version_that_is_left(open: Open<'_>) -> Outcome {
    let mut twin = Twin::new(open());
    let latest = Query { filter: Filter { latest: true, ..Filter::default() }, ..Query::default() };
    for (puts, removes) in [(vec![0, 1], vec![]), (vec![2], vec![2]), (vec![], vec![0, 1]), (vec![0], vec![])]
    {
        let mut batch = Batch::new();
        batch.put_entity(version("other", 0));
        for number in puts {
            batch.put_entity(version("a", number));
        }
        for number in removes {
            batch.remove_entity(version("a", number).address());
        }
        twin.commit_accepted(&batch)?;
        twin.compare_find(&latest)?;
    }
    Ok(())
}

pub(crate) fn removed_entities_are_not_found(open: Open<'_>) -> Outcome {
    let mut twin = crowded(open)?;
    let addresses: Vec<_> = twin.model().entities().map(crate::StoredEntity::address).collect();
    for addresses in addresses.chunks(100) {
        let mut batch = Batch::new();
        addresses.iter().for_each(|address| batch.remove_entity(*address));
        twin.commit_accepted(&batch)?;
        for order_by in [OrderBy::Commit, OrderBy::Lineage, OrderBy::Luminosity] {
            twin.compare_find(&Query { order_by, limit: 1000, ..Query::default() })?;
        }
    }
    twin.compare_all()
}

pub(crate) fn paging_sees_each_row_once_while_rows_come_and_go(open: Open<'_>) -> Outcome {
    let mut random = Random::new(11);
    let mut twin = crowded(open)?;
    for (order_by, text) in OrderBy::ALL {
        for descending in [false, true] {
            let mut query = Query { order_by, descending, limit: 13, ..Query::default() };
            let staying = twin.model().find(&query);
            let mut seen = Vec::new();
            for round in 0.. {
                let page = twin.engine().find(&query)?;
                seen.extend(page.entities.iter().map(crate::StoredEntity::address));
                assert!(seen.len() < 100 * CROWD, "by {text}, descending {descending}: the pages never end");
                let Some(next) = page.next else { break };
                query.after = Some(next);
                let mut batch = Batch::new();
                for number in 0..3 {
                    let id = format!("new by {text}, {descending}, {round} {number}");
                    let neighbours = neighbours(&mut random);
                    batch.put_entity(varied(&mut random, &id, neighbours));
                }
                // The row at which the cursor stands is as good as any other.
                batch.remove_entity(page.entities[page.entities.len() - 1].address());
                twin.commit_accepted(&batch)?;
            }
            let what = format!("by {text}, descending {descending}");
            let mut once = seen.clone();
            once.sort_unstable();
            once.dedup();
            same(&format!("{what}: rows seen, and different rows seen"), &seen.len(), &once.len())?;
            let expected: Vec<_> = staying.iter().map(crate::StoredEntity::address).collect();
            seen.retain(|address| expected.contains(address));
            same(&format!("{what}: rows that were there from the start"), &seen, &expected)?;
        }
    }
    Ok(())
}

pub(crate) fn a_cursor_survives_as_text(open: Open<'_>) -> Outcome {
    let twin = crowded(open)?;
    for (order_by, _) in OrderBy::ALL {
        let mut query = Query { order_by, limit: 50, ..Query::default() };
        let whole = twin.model().find(&query);
        let mut found = 0;
        while let Some(next) = twin.engine().find(&query)?.next {
            query.after = Some(next.to_string().parse::<Cursor>()?);
            found += query.limit;
            assert!(found <= whole.len(), "the pages never end");
        }
        found += twin.engine().find(&query)?.entities.len();
        same("rows", &found, &whole.len())?;
    }
    Ok(())
}

pub(crate) fn a_limit_of_nothing_finds_nothing(open: Open<'_>) -> Outcome {
    let store = open();
    same("rows", &store.engine().find(&Query::default())?.entities.len(), &0)?;
    store.put(version("a", 1))?;
    for (order_by, _) in OrderBy::ALL {
        let page = store.engine().find(&Query { order_by, limit: 0, ..Query::default() })?;
        same("rows", &page.entities.len(), &0)?;
    }
    Ok(())
}

pub(crate) fn answers_are_right_beyond_65536_rows(open: Open<'_>) -> Outcome {
    const ROWS: usize = 66_000;
    let store = open();
    let row = |number: usize| {
        plain(&number.to_string(), |parts| {
            parts.coordinates.lineage = (number % 1000) as u32;
            parts.coordinates.dimensions = stat7(number as f64 / ROWS as f64, 0.0, 0.0);
        })
    };
    let mut addresses = Vec::new();
    for first in (0..ROWS).step_by(10_000) {
        let (added, _) = commit(&store, |batch| {
            (first..ROWS.min(first + 10_000)).map(|number| batch.put_entity(row(number))).collect::<Vec<_>>()
        })?;
        addresses.extend(added);
    }
    commit(&store, |batch| {
        [65_535, 65_536].iter().for_each(|at: &usize| batch.remove_entity(addresses[*at]))
    })?;
    let kept: Vec<usize> = (0..ROWS).filter(|number| ![65_535, 65_536].contains(number)).collect();
    let find = |query: &Query, expected: Vec<usize>| -> Outcome {
        let found: Vec<_> =
            pages(store.engine(), query, ROWS)?.iter().map(crate::StoredEntity::address).collect();
        let expected: Vec<_> = expected.into_iter().map(|number| addresses[number]).collect();
        assert!(found == expected, "{query:?}: found {} rows, expected {}", found.len(), expected.len());
        Ok(())
    };
    let lineage = |lineage: usize| {
        let lineage = lineage as u32;
        Filter { lineage: closed(lineage, lineage), ..Filter::default() }
    };
    find(&Query { limit: 20_000, ..Query::default() }, kept.clone())?;
    let reversed = kept.iter().rev().copied().collect();
    find(&Query { limit: 33_000, descending: true, ..Query::default() }, reversed)?;
    let tens: Vec<usize> = kept.iter().copied().filter(|number| number % 1000 == 10).collect();
    find(&Query { filter: lineage(10), limit: 9, ..Query::default() }, tens.clone())?;
    let by_resonance =
        Query { order_by: OrderBy::Resonance, descending: true, filter: lineage(10), ..Query::default() };
    find(&by_resonance, tens.iter().rev().copied().collect())?;
    same("count", &store.engine().count(&Filter::default())?, &(kept.len() as u64))?;
    same("count of one lineage", &store.engine().count(&lineage(10))?, &(tens.len() as u64))?;
    let last = store.engine().near(row(ROWS - 1).coordinates(), 1, None)?;
    same("nearest", &last.first().map(|near| near.entity.address()), &addresses.last().copied())
}
