//! A filter in the values of columns.

use std::borrow::Cow;
use std::ops::Range;

use statlas_core::{Identifier, Profile};

use super::codes::{from_units, neighbour_hash, profile_code, units};
use super::selection::Selection;
use super::{ColumnId, Extent, Neighbours, Rows, whole_column};
use crate::error::Result;
use crate::query::{Filter, Interval, OrderBy};

/// A filter, and what an order asks for, as allowed values of columns.
pub(super) struct Conditions<'a> {
    ranges: Vec<(ColumnId, Runs)>,
    /// Each part has its own codes for these.
    names: Vec<(ColumnId, &'a [Identifier])>,
    neighbours: Vec<u64>,
    latest: bool,
}

/// Conditions on one part.
pub(super) struct PartConditions<'a> {
    rows: &'a dyn Rows,
    allowed: Vec<(ColumnId, Cow<'a, Runs>)>,
    neighbours: &'a [u64],
    latest: bool,
}

/// Allowed values: disjoint runs in order, with a gap between any two.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Runs(Vec<Extent>);

impl Runs {
    fn of(values: impl IntoIterator<Item = i64>) -> Self {
        let mut values: Vec<i64> = values.into_iter().collect();
        values.sort_unstable();
        let mut runs: Vec<Extent> = Vec::new();
        for value in values {
            match runs.last_mut() {
                Some(run) if value <= run.max.saturating_add(1) => run.max = value,
                _ => runs.push(Extent { min: value, max: value }),
            }
        }
        Self(runs)
    }

    /// The values of an interval; `None` if it is open.
    fn within(interval: Interval<i64>) -> Option<Self> {
        if interval.is_open() {
            return None;
        }
        let run = Extent { min: interval.min.unwrap_or(i64::MIN), max: interval.max.unwrap_or(i64::MAX) };
        Some(Self(if run.min <= run.max { vec![run] } else { Vec::new() }))
    }
}

/// What lies inside an extent of each run, where anything does.
fn clipped(runs: &[Extent], extent: Extent) -> Vec<Extent> {
    let clip = |run: &Extent| Extent { min: run.min.max(extent.min), max: run.max.min(extent.max) };
    runs.iter().map(clip).filter(|run| run.min <= run.max).collect()
}

/// An interval of floats in hundred-millionths: what lies inside when compared as floats.
fn in_units(interval: Interval<f64>) -> Interval<i64> {
    // An end beyond every coordinate, or none at all like NaN, becomes one that no row passes.
    let min = interval.min.map(|min| match units(min) {
        nearest if from_units(nearest) >= min => nearest,
        nearest if from_units(nearest) < min => nearest.saturating_add(1),
        _ => i64::MAX,
    });
    let max = interval.max.map(|max| match units(max) {
        nearest if from_units(nearest) <= max => nearest,
        nearest if from_units(nearest) > max => nearest.saturating_sub(1),
        _ => i64::MIN,
    });
    Interval { min, max }
}

fn integers<T: Into<i64>>(interval: Interval<T>) -> Interval<i64> {
    Interval { min: interval.min.map(Into::into), max: interval.max.map(Into::into) }
}

/// The codes of the profiles that can meet a filter and have the dimension of an order; `None` for both.
fn profiles(filter: &Filter, order_by: OrderBy) -> Option<Runs> {
    let stat7 =
        [filter.resonance, filter.velocity, filter.density].iter().any(|interval| !interval.is_open());
    let fractal = !filter.luminosity.is_open()
        || !filter.dimensionality.is_open()
        || !filter.polarity.is_empty()
        || !filter.alignment.is_empty();
    let is_allowed = |profile: &Profile| {
        (filter.profile.is_empty() || filter.profile.contains(profile))
            && (!stat7 || *profile == Profile::Stat7)
            && (!fractal || *profile == Profile::FractalStat)
            && order_by.profile().is_none_or(|only| only == *profile)
    };
    let both = [Profile::Stat7, Profile::FractalStat];
    let codes =
        both.iter().filter(|profile| is_allowed(profile)).map(|profile| profile_code(*profile).into());
    (!both.iter().all(is_allowed)).then(|| Runs::of(codes))
}

impl<'a> Conditions<'a> {
    pub(super) fn new(filter: &'a Filter, order_by: OrderBy) -> Self {
        let polarity = filter.polarity.iter().map(|polarity| polarity.ordinal().into());
        let alignment = filter.alignment.iter().map(|alignment| alignment.ordinal().into());
        let (from, to) = (filter.created_at.min, filter.created_at.max);
        let created_at =
            Interval { min: from.map(|time| time.unix_ms()), max: to.map(|time| time.unix_ms()) };
        let ranges = [
            (ColumnId::Profile, profiles(filter, order_by)),
            (ColumnId::Polarity, (!filter.polarity.is_empty()).then(|| Runs::of(polarity))),
            (ColumnId::Alignment, (!filter.alignment.is_empty()).then(|| Runs::of(alignment))),
            (ColumnId::Lineage, Runs::within(integers(filter.lineage))),
            (ColumnId::Dimensionality, Runs::within(integers(filter.dimensionality))),
            (ColumnId::Resonance, Runs::within(in_units(filter.resonance))),
            (ColumnId::Velocity, Runs::within(in_units(filter.velocity))),
            (ColumnId::Density, Runs::within(in_units(filter.density))),
            (ColumnId::Luminosity, Runs::within(in_units(filter.luminosity))),
            (ColumnId::CreatedAt, Runs::within(created_at)),
        ];
        let names = [
            (ColumnId::Realm, &*filter.realm),
            (ColumnId::EntityRealm, &*filter.entity_realm),
            (ColumnId::Horizon, &*filter.horizon),
            (ColumnId::EntityType, &*filter.entity_type),
        ];
        Self {
            ranges: ranges.into_iter().filter_map(|(column, runs)| Some((column, runs?))).collect(),
            names: names.into_iter().filter(|(_, names)| !names.is_empty()).collect(),
            neighbours: filter.adjacent.iter().map(|id| neighbour_hash(id)).collect(),
            latest: filter.latest,
        }
    }

    /// What they ask of the rows of a part; `None` if none of these can meet them.
    pub(super) fn of_part<'p>(&'p self, rows: &'p dyn Rows) -> Option<PartConditions<'p>> {
        let codes = |names: &[Identifier]| {
            Runs::of(names.iter().filter_map(|name| rows.names().code(name)).map(i64::from))
        };
        let ranges = self.ranges.iter().map(|(column, runs)| (*column, Cow::Borrowed(runs)));
        let names = self.names.iter().map(|(column, names)| (*column, Cow::Owned(codes(names))));
        let allowed: Vec<_> = ranges.chain(names).collect();
        if allowed.iter().any(|(_, runs)| runs.0.is_empty()) {
            return None;
        }
        Some(PartConditions { rows, allowed, neighbours: &self.neighbours, latest: self.latest })
    }
}

impl PartConditions<'_> {
    /// The rows of a block that meet every condition, neighbours judged by their hashes. `wanted` are the
    /// rows to look at, counted within the block; `within` is one more condition.
    pub(super) fn select(
        &self,
        block: usize,
        wanted: Range<usize>,
        within: Option<(ColumnId, Extent)>,
    ) -> Result<Selection> {
        let allowed = self.allowed.iter().map(|(column, runs)| (*column, &*runs.0));
        let within = within.iter().map(|(column, run)| (*column, std::slice::from_ref(run)));
        let mut undecided = Vec::new();
        for (column, runs) in allowed.chain(within) {
            let extent = self.rows.extent(block, column);
            let runs = clipped(runs, extent);
            match &*runs {
                [] => return Ok(Selection::none()),
                [all] if *all == extent => {}
                _ => undecided.push((extent.width(), column, runs)),
            }
        }
        // What the narrow ones leave empty the wide ones skip.
        undecided.sort_by_key(|(width, ..)| *width);
        let mut selection = Selection::of(self.rows.bits(), block, wanted, self.latest);
        for (_, column, runs) in undecided {
            if selection.is_empty() {
                return Ok(selection);
            }
            selection.retain_in(&whole_column(self.rows, block, column)?, &runs);
        }
        if !self.neighbours.is_empty() && !selection.is_empty() {
            let neighbours = Neighbours::of(self.rows, block)?;
            selection.retain(|at| {
                let own = neighbours.get(at);
                self.neighbours.iter().all(|hash| own.binary_search(hash).is_ok())
            });
        }
        Ok(selection)
    }
}

#[cfg(test)]
mod tests {
    use super::{Interval, Runs, clipped, in_units};
    use crate::columns::Extent;

    fn extent(min: i64, max: i64) -> Extent {
        Extent { min, max }
    }

    #[test]
    fn values_become_runs() {
        assert_eq!(Runs::of([]), Runs(Vec::new()));
        assert_eq!(Runs::of([5, 3, 4, 9, 3]), Runs(vec![extent(3, 5), extent(9, 9)]));
        let ends = [i64::MAX, i64::MIN, i64::MAX];
        assert_eq!(Runs::of(ends), Runs(vec![extent(i64::MIN, i64::MIN), extent(i64::MAX, i64::MAX)]));
        assert_eq!(Runs::within(Interval::default()), None);
        assert_eq!(Runs::within(Interval { min: Some(2), max: Some(1) }), Some(Runs(Vec::new())));
        assert_eq!(Runs::within(Interval { min: Some(2), max: None }), Some(Runs(vec![extent(2, i64::MAX)])));
    }

    #[test]
    fn runs_are_cut_at_the_ends_of_an_extent() {
        let runs = Runs::of([1, 2, 5, 6, 9]).0;
        assert_eq!(clipped(&runs, extent(2, 5)), [extent(2, 2), extent(5, 5)]);
        assert_eq!(clipped(&runs, extent(5, 5)), [extent(5, 5)]);
        assert_eq!(clipped(&runs, extent(7, 8)), []);
        assert_eq!(clipped(&runs, extent(i64::MIN, i64::MAX)), *runs);
        assert_eq!(clipped(&runs, extent(8, 7)), [], "an extent that is none");
    }

    #[test]
    fn ends_in_units_are_those_that_floats_compare_with() {
        let units = |min: f64, max: f64| {
            let interval = in_units(Interval { min: Some(min), max: Some(max) });
            (interval.min, interval.max)
        };
        assert_eq!(units(0.1, 0.3), (Some(10_000_000), Some(30_000_000)));
        // The next float below is not yet, the next above no longer, the same number of units.
        assert_eq!(units(0.1_f64.next_up(), 0.3_f64.next_down()), (Some(10_000_001), Some(29_999_999)));
        assert_eq!(units(0.1_f64.next_down(), 0.3_f64.next_up()), (Some(10_000_000), Some(30_000_000)));
        assert_eq!(units(f64::NEG_INFINITY, f64::INFINITY), (Some(i64::MIN), Some(i64::MAX)));
        assert_eq!(units(f64::NAN, f64::NAN), (Some(i64::MAX), Some(i64::MIN)));
    }
}
