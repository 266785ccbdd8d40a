//! Finding rows: every condition is one pass over one column into a bitmap.

use std::cmp::Reverse;

use statlas_core::{Identifier, Profile};

use super::block::{BLOCK_ROWS, Block, from_units, neighbour_hash, profile_code, units};
use super::{Catalogue, Hit};
use crate::error::Result;
use crate::query::{Cursor, Filter, Interval, OrderBy, Query};

/// Tells whether the entity at a location has all the neighbours asked for; reads it.
pub(crate) type HasNeighbours<'a> = &'a mut dyn FnMut(u64) -> Result<bool>;

const WORDS: usize = BLOCK_ROWS / 64;

/// Which rows of a block meet the conditions so far.
struct Selection {
    words: Box<[u64; WORDS]>,
    rows: usize,
}

impl Selection {
    fn all(rows: usize) -> Self {
        let mut words = Box::new([0; WORDS]);
        words[..rows / 64].fill(u64::MAX);
        if !rows.is_multiple_of(64) {
            words[rows / 64] = (1 << (rows % 64)) - 1;
        }
        Self { words, rows }
    }

    /// Keeps the rows whose value in `column` meets a condition. Words without a row are skipped.
    fn retain<T: Copy>(&mut self, column: &[T], condition: impl Fn(T) -> bool) {
        for (word, values) in self.words.iter_mut().zip(column[..self.rows].chunks(64)) {
            if *word == 0 {
                continue;
            }
            let mut met = 0;
            for (bit, value) in values.iter().enumerate() {
                met |= u64::from(condition(*value)) << bit;
            }
            *word &= met;
        }
    }

    fn count(&self) -> u64 {
        self.words.iter().map(|word| u64::from(word.count_ones())).sum()
    }

    fn rows(&self) -> impl DoubleEndedIterator<Item = usize> + '_ {
        self.words.iter().enumerate().flat_map(|(at, word)| Bits(*word).map(move |bit| at * 64 + bit))
    }
}

/// The positions of the bits of a word, from either end.
struct Bits(u64);

impl Iterator for Bits {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let bit = self.0.trailing_zeros();
        self.0 = self.0.checked_sub(1)? & self.0;
        Some(bit as usize)
    }
}

impl DoubleEndedIterator for Bits {
    fn next_back(&mut self) -> Option<usize> {
        let bit = 63_u32.checked_sub(self.0.leading_zeros())?;
        self.0 &= !(1 << bit);
        Some(bit as usize)
    }
}

/// A filter in the units of the columns.
struct Conditions<'a> {
    filter: &'a Filter,
    profiles: Vec<u8>,
    realm: Option<Vec<u32>>,
    entity_realm: Option<Vec<u32>>,
    horizon: Option<Vec<u32>>,
    entity_type: Option<Vec<u32>>,
    neighbours: Vec<u64>,
}

impl<'a> Conditions<'a> {
    fn new(catalogue: &Catalogue, filter: &'a Filter, order_by: OrderBy) -> Self {
        let codes = |names: &[Identifier]| {
            let known = |name| catalogue.names.codes.get(name).copied();
            (!names.is_empty()).then(|| names.iter().filter_map(known).collect())
        };
        let stat7 =
            [filter.resonance, filter.velocity, filter.density].iter().any(|interval| !interval.is_open());
        let fractal = !filter.luminosity.is_open()
            || !filter.dimensionality.is_open()
            || !filter.polarity.is_empty()
            || !filter.alignment.is_empty();
        let allowed = |profile: &Profile| {
            (filter.profile.is_empty() || filter.profile.contains(profile))
                && (!stat7 || *profile == Profile::Stat7)
                && (!fractal || *profile == Profile::FractalStat)
                && order_by.profile().is_none_or(|only| only == *profile)
        };
        Self {
            filter,
            profiles: [Profile::Stat7, Profile::FractalStat]
                .iter()
                .filter(|p| allowed(p))
                .map(|p| profile_code(*p))
                .collect(),
            realm: codes(&filter.realm),
            entity_realm: codes(&filter.entity_realm),
            horizon: codes(&filter.horizon),
            entity_type: codes(&filter.entity_type),
            neighbours: filter.adjacent.iter().map(|id| neighbour_hash(id)).collect(),
        }
    }

    /// The rows of a block that meet every condition, by hash where neighbours are asked for.
    fn select(&self, block: &Block) -> Selection {
        let filter = self.filter;
        let mut selection = Selection::all(block.len());
        if self.profiles.len() < 2 {
            retain_in(&mut selection, &block.profile, Some(&self.profiles));
        }
        retain_in(&mut selection, &block.realm, self.realm.as_deref());
        retain_in(&mut selection, &block.horizon, self.horizon.as_deref());
        retain_in(&mut selection, &block.entity_type, self.entity_type.as_deref());
        retain_in(&mut selection, &block.entity_realm, self.entity_realm.as_deref());
        let ordinals = |ordinals: Vec<u8>| (!ordinals.is_empty()).then_some(ordinals);
        let polarity = ordinals(filter.polarity.iter().map(|polarity| polarity.ordinal()).collect());
        retain_in(&mut selection, &block.polarity, polarity.as_deref());
        let alignment = ordinals(filter.alignment.iter().map(|alignment| alignment.ordinal()).collect());
        retain_in(&mut selection, &block.alignment, alignment.as_deref());
        retain_within(&mut selection, &block.lineage, filter.lineage);
        retain_within(&mut selection, &block.dimensionality, filter.dimensionality);
        retain_units(&mut selection, &block.resonance, filter.resonance);
        retain_units(&mut selection, &block.velocity, filter.velocity);
        retain_units(&mut selection, &block.density, filter.density);
        retain_units(&mut selection, &block.luminosity, filter.luminosity);
        let (min, max) = (filter.created_at.min, filter.created_at.max);
        let created_at = Interval { min: min.map(|t| t.unix_ms()), max: max.map(|t| t.unix_ms()) };
        retain_within(&mut selection, &block.created_at, created_at);
        selection.retain(&block.removed, |removed| !removed);
        if filter.latest {
            selection.retain(&block.superseded, |superseded| !superseded);
        }
        if !self.neighbours.is_empty() {
            self.retain_neighbours(&mut selection, block);
        }
        selection
    }

    fn retain_neighbours(&self, selection: &mut Selection, block: &Block) {
        let has_all = |at: usize| {
            let neighbours = block.neighbours(at);
            self.neighbours.iter().all(|hash| neighbours.binary_search(hash).is_ok())
        };
        let without: Vec<usize> = selection.rows().filter(|at| !has_all(*at)).collect();
        without.into_iter().for_each(|at| selection.words[at / 64] &= !(1 << (at % 64)));
    }
}

fn retain_in<T: Copy + PartialEq>(selection: &mut Selection, column: &[T], values: Option<&[T]>) {
    match values {
        None => {}
        Some([only]) => selection.retain(column, |value| value == *only),
        Some([first, second]) => selection.retain(column, |value| (value == *first) | (value == *second)),
        Some(values) => selection.retain(column, |value| values.contains(&value)),
    }
}

fn retain_within<T: Copy + PartialOrd>(selection: &mut Selection, column: &[T], interval: Interval<T>) {
    match (interval.min, interval.max) {
        (None, None) => {}
        (Some(min), None) => selection.retain(column, |value| min <= value),
        (None, Some(max)) => selection.retain(column, |value| value <= max),
        (Some(min), Some(max)) => selection.retain(column, |value| (min <= value) & (value <= max)),
    }
}

/// Compares a column of hundred-millionths with an interval of floats, as if its values were floats.
fn retain_units<T: Copy + PartialOrd + TryFrom<i64> + Bounded>(
    selection: &mut Selection,
    column: &[T],
    interval: Interval<f64>,
) {
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
    let clamp = |units: i64| T::try_from(units.clamp(T::LEAST, T::GREATEST)).ok();
    retain_within(selection, column, Interval { min: min.and_then(clamp), max: max.and_then(clamp) });
}

/// The ends of a column's type. No coordinate comes near them, so clamping to them changes no answer.
trait Bounded {
    const LEAST: i64;
    const GREATEST: i64;
}

impl Bounded for i32 {
    const LEAST: i64 = i32::MIN as i64;
    const GREATEST: i64 = i32::MAX as i64;
}

impl Bounded for i64 {
    const LEAST: i64 = i64::MIN / 2;
    const GREATEST: i64 = i64::MAX / 2;
}

fn sort_key(block: &Block, at: usize, order_by: OrderBy) -> i64 {
    match order_by {
        OrderBy::Commit => 0,
        OrderBy::CreatedAt => block.created_at[at],
        OrderBy::Lineage => block.lineage[at].into(),
        OrderBy::Dimensionality => block.dimensionality[at].into(),
        OrderBy::Resonance => block.resonance[at].into(),
        OrderBy::Velocity => block.velocity[at].into(),
        OrderBy::Density => block.density[at].into(),
        OrderBy::Luminosity => block.luminosity[at],
    }
}

impl Catalogue {
    /// How many rows meet a filter.
    pub(crate) fn count(&self, filter: &Filter, has_neighbours: HasNeighbours<'_>) -> Result<u64> {
        let conditions = Conditions::new(self, filter, OrderBy::Commit);
        let mut count = 0;
        for block in &self.blocks {
            let selection = conditions.select(block);
            if filter.adjacent.is_empty() {
                count += selection.count();
                continue;
            }
            for at in selection.rows() {
                count += u64::from(has_neighbours(block.location[at])?);
            }
        }
        Ok(count)
    }

    /// The rows that meet a query, and whether there are more.
    pub(crate) fn find(&self, query: &Query, has_neighbours: HasNeighbours<'_>) -> Result<(Vec<Hit>, bool)> {
        let mut taker = Taker { query, has_neighbours, hits: Vec::new(), more: false };
        if query.order_by == OrderBy::Commit {
            self.find_in_commit_order(query, &mut taker)?;
        } else {
            self.find_sorted(query, &mut taker)?;
        }
        Ok((taker.hits, taker.more))
    }

    fn find_in_commit_order(&self, query: &Query, taker: &mut Taker<'_>) -> Result<()> {
        let conditions = Conditions::new(self, &query.filter, query.order_by);
        // Going forwards, rows from `bound` on are wanted; going backwards, those before it.
        let bound = match (query.after, query.descending) {
            (None, false) => 0,
            (None, true) => self.rows,
            (Some(cursor), descending) => self.row_bound(cursor, !descending),
        };
        let mut blocks: Vec<usize> = (0..self.blocks.len()).collect();
        if query.descending {
            blocks.reverse();
        }
        for number in blocks {
            let (first, block) = (number * BLOCK_ROWS, &self.blocks[number]);
            let wanted = if query.descending {
                0..(bound as usize).saturating_sub(first).min(block.len())
            } else {
                (bound as usize).saturating_sub(first).min(block.len())..block.len()
            };
            if wanted.is_empty() {
                continue;
            }
            let selection = conditions.select(block);
            let rows = selection.rows().filter(|at| wanted.contains(at));
            let done = if query.descending {
                self.take_rows(rows.rev(), first, taker)?
            } else {
                self.take_rows(rows, first, taker)?
            };
            if done {
                break;
            }
        }
        Ok(())
    }

    fn take_rows(
        &self,
        rows: impl Iterator<Item = usize>,
        first: usize,
        taker: &mut Taker<'_>,
    ) -> Result<bool> {
        for at in rows {
            // Rows are numbered with 32 bits.
            if taker.take(self.hit((first + at) as u32, 0))? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn find_sorted(&self, query: &Query, taker: &mut Taker<'_>) -> Result<()> {
        let conditions = Conditions::new(self, &query.filter, query.order_by);
        let after = query.after.map(|cursor| (cursor.sort_key, self.row_bound(cursor, true)));
        let mut found: Vec<(i64, u32)> = Vec::new();
        for (number, block) in self.blocks.iter().enumerate() {
            for at in conditions.select(block).rows() {
                let row = (number * BLOCK_ROWS + at) as u32;
                let key = sort_key(block, at, query.order_by);
                let wanted = after.is_none_or(|(after_key, first_row)| {
                    let beyond = if query.descending { key < after_key } else { key > after_key };
                    beyond || (key == after_key && row >= first_row)
                });
                if wanted {
                    found.push((key, row));
                }
            }
        }
        let wanted = query.limit.saturating_add(1);
        let cut = query.filter.adjacent.is_empty() && found.len() > wanted;
        if query.descending {
            let order = |&(key, row): &(i64, u32)| (Reverse(key), row);
            if cut {
                found.select_nth_unstable_by_key(wanted, order);
                found.truncate(wanted);
            }
            found.sort_unstable_by_key(order);
        } else {
            if cut {
                found.select_nth_unstable(wanted);
                found.truncate(wanted);
            }
            found.sort_unstable();
        }
        for (key, row) in found {
            if taker.take(self.hit(row, key))? {
                break;
            }
        }
        Ok(())
    }

    pub(super) fn hit(&self, row: u32, sort_key: i64) -> Hit {
        let (block, at) = self.block(row);
        let commit = self.commits.partition_point(|(first, _)| *first <= row);
        let revision = commit.checked_sub(1).map_or(0, |at| self.commits[at].1);
        Hit {
            location: block.location[at],
            cursor: Cursor { sort_key, revision, ordinal: block.ordinal[at], query: 0 },
        }
    }

    /// The first row behind a cursor, or the first that is not before it.
    fn row_bound(&self, cursor: Cursor, behind: bool) -> u32 {
        let commit = self.commits.partition_point(|(_, revision)| *revision < cursor.revision);
        let Some((first, revision)) = self.commits.get(commit).copied() else { return self.rows };
        if revision > cursor.revision {
            return first;
        }
        let end = self.commits.get(commit + 1).map_or(self.rows, |(next, _)| *next);
        let before = |row: u32| {
            let (block, at) = self.block(row);
            if behind { block.ordinal[at] <= cursor.ordinal } else { block.ordinal[at] < cursor.ordinal }
        };
        let (mut low, mut high) = (first, end);
        while low < high {
            let middle = low + (high - low) / 2;
            if before(middle) { low = middle + 1 } else { high = middle }
        }
        low
    }
}

/// Takes rows in order until the limit is reached.
struct Taker<'a> {
    query: &'a Query,
    has_neighbours: HasNeighbours<'a>,
    hits: Vec<Hit>,
    more: bool,
}

impl Taker<'_> {
    /// Whether no further row is wanted.
    fn take(&mut self, hit: Hit) -> Result<bool> {
        if !self.query.filter.adjacent.is_empty() && !(self.has_neighbours)(hit.location)? {
            return Ok(false);
        }
        if self.hits.len() == self.query.limit {
            self.more = true;
            return Ok(true);
        }
        self.hits.push(hit);
        Ok(false)
    }
}
