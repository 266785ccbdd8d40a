//! Counting and finding rows of several parts, and going on from where an earlier answer ended.

use std::ops::Range;

use super::conditions::{Conditions, PartConditions};
use super::{BLOCK_ROWS, ColumnId, Extent, RowId, Rows, whole_column};
use crate::error::Result;
use crate::query::{Cursor, Filter, OrderBy, Query};

/// Tells whether the entity of a row has all the neighbours asked for; reads it.
pub(crate) type HasNeighbours<'a> = &'a mut dyn FnMut(RowId) -> Result<bool>;

/// Rows that are sorted at least before those that can't be in the answer are dropped.
const SORTED_MIN: usize = 4096;

/// A row of an answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hit {
    pub(crate) row: RowId,
    pub(crate) place: i64,
    pub(crate) cursor: Cursor,
}

/// How many rows meet a filter. The oldest part comes first.
pub(crate) fn count(parts: &[&dyn Rows], filter: &Filter, has_neighbours: HasNeighbours<'_>) -> Result<u64> {
    let conditions = Conditions::new(filter, OrderBy::Commit);
    let mut count = 0;
    for (part, rows) in parts.iter().enumerate() {
        let Some(conditions) = conditions.of_part(*rows) else { continue };
        for block in 0..rows.blocks() {
            let selection = conditions.select(block, 0..rows.block_rows(block), None)?;
            if filter.adjacent.is_empty() {
                count += selection.count();
                continue;
            }
            for at in selection.rows() {
                count += u64::from(has_neighbours(RowId { part, row: block * BLOCK_ROWS + at })?);
            }
        }
    }
    Ok(count)
}

/// The rows that meet a query, and whether there are more. The oldest part comes first.
pub(crate) fn find(
    parts: &[&dyn Rows],
    query: &Query,
    has_neighbours: HasNeighbours<'_>,
) -> Result<(Vec<Hit>, bool)> {
    let mut taker = Taker { parts, query, has_neighbours, hits: Vec::new(), more: false };
    match column_of(query.order_by) {
        None => find_in_commit_order(parts, query, &mut taker)?,
        Some(column) => find_sorted(parts, query, column, &mut taker)?,
    }
    Ok((taker.hits, taker.more))
}

/// The column that an order sorts by, unless it is the order of commits.
fn column_of(order_by: OrderBy) -> Option<ColumnId> {
    match order_by {
        OrderBy::Commit => None,
        OrderBy::CreatedAt => Some(ColumnId::CreatedAt),
        OrderBy::Lineage => Some(ColumnId::Lineage),
        OrderBy::Dimensionality => Some(ColumnId::Dimensionality),
        OrderBy::Resonance => Some(ColumnId::Resonance),
        OrderBy::Velocity => Some(ColumnId::Velocity),
        OrderBy::Density => Some(ColumnId::Density),
        OrderBy::Luminosity => Some(ColumnId::Luminosity),
    }
}

fn find_in_commit_order(parts: &[&dyn Rows], query: &Query, taker: &mut Taker<'_>) -> Result<()> {
    let conditions = Conditions::new(&query.filter, query.order_by);
    // Going forwards, rows from `bound` on are wanted; going backwards, those before it.
    let bound = match query.after {
        Some(cursor) => row_bound(parts, cursor, !query.descending)?,
        None if query.descending => RowId { part: parts.len(), row: 0 },
        None => RowId { part: 0, row: 0 },
    };
    for part in in_direction(0..parts.len(), query.descending) {
        let rows = parts[part];
        let before = match part.cmp(&bound.part) {
            std::cmp::Ordering::Less => rows.len(),
            std::cmp::Ordering::Equal => bound.row,
            std::cmp::Ordering::Greater => 0,
        };
        let wanted = if query.descending { 0..before } else { before..rows.len() };
        if wanted.is_empty() {
            continue;
        }
        let Some(conditions) = conditions.of_part(rows) else { continue };
        if take_rows(&conditions, part, wanted, taker)? {
            break;
        }
    }
    Ok(())
}

fn in_direction(mut range: Range<usize>, descending: bool) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || if descending { range.next_back() } else { range.next() })
}

/// Takes the wanted rows of a part in the order of commits; returns whether no further row is wanted.
fn take_rows(
    conditions: &PartConditions<'_>,
    part: usize,
    wanted: Range<usize>,
    taker: &mut Taker<'_>,
) -> Result<bool> {
    let descending = taker.query.descending;
    let blocks = wanted.start / BLOCK_ROWS..wanted.end.div_ceil(BLOCK_ROWS);
    for block in in_direction(blocks, descending) {
        let first = block * BLOCK_ROWS;
        let in_block = wanted.start.saturating_sub(first)..(wanted.end - first).min(BLOCK_ROWS);
        let selection = conditions.select(block, in_block, None)?;
        let mut rows = selection.rows();
        while let Some(at) = if descending { rows.next_back() } else { rows.next() } {
            if taker.take(RowId { part, row: first + at }, 0)? {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

fn find_sorted(parts: &[&dyn Rows], query: &Query, column: ColumnId, taker: &mut Taker<'_>) -> Result<()> {
    let conditions = Conditions::new(&query.filter, query.order_by);
    // Rows whose neighbours are not what their hashes say may yet fall out, so all of them are kept.
    let wanted = if query.filter.adjacent.is_empty() { query.limit.saturating_add(1) } else { usize::MAX };
    let after = match query.after {
        Some(cursor) => Some((rank_of(cursor.sort_key, query.descending), row_bound(parts, cursor, true)?)),
        None => None,
    };
    let mut first = First { wanted, after, last: i64::MAX, found: Vec::new() };
    for (part, rows) in parts.iter().enumerate() {
        let Some(conditions) = conditions.of_part(*rows) else { continue };
        for block in 0..rows.blocks() {
            let within = (column, extent_of(first.ranks(), query.descending));
            let selection = conditions.select(block, 0..rows.block_rows(block), Some(within))?;
            if selection.is_empty() {
                continue;
            }
            let keys = whole_column(*rows, block, column)?;
            for at in selection.rows() {
                let row = RowId { part, row: block * BLOCK_ROWS + at };
                first.offer(rank_of(keys.get(at), query.descending), row);
            }
        }
    }
    for (rank, row) in first.into_sorted() {
        if taker.take(row, rank_of(rank, query.descending))? {
            break;
        }
    }
    Ok(())
}

/// A value as a number that comes first if it is smaller, and back.
fn rank_of(value: i64, descending: bool) -> i64 {
    if descending { !value } else { value }
}

/// The values whose ranks lie in an extent.
fn extent_of(ranks: Extent, descending: bool) -> Extent {
    if descending { Extent { min: !ranks.max, max: !ranks.min } } else { ranks }
}

/// The first rows of a sorted answer, of those that were offered in the order of commits.
struct First {
    wanted: usize,
    /// The rank of the last row before them, and the first row of that rank that is behind it.
    after: Option<(i64, RowId)>,
    /// No row behind this rank can be among them.
    last: i64,
    found: Vec<(i64, RowId)>,
}

impl First {
    /// The ranks of rows that can be among them.
    fn ranks(&self) -> Extent {
        Extent { min: self.after.map_or(i64::MIN, |(rank, _)| rank), max: self.last }
    }

    #[inline]
    fn offer(&mut self, rank: i64, row: RowId) {
        let is_behind =
            self.after.is_none_or(|(after, first)| rank > after || (rank == after && row >= first));
        if !is_behind || rank > self.last {
            return;
        }
        self.found.push((rank, row));
        if self.found.len() >= self.wanted.saturating_mul(2).max(SORTED_MIN) {
            self.cut();
        }
    }

    /// Drops what can't be among them.
    fn cut(&mut self) {
        let (_, (rank, _), _) = self.found.select_nth_unstable(self.wanted - 1);
        // Of rows with equal ranks the earlier ones come first, and those that follow are later.
        self.last = rank.saturating_sub(1);
        self.found.truncate(self.wanted);
    }

    fn into_sorted(mut self) -> Vec<(i64, RowId)> {
        if self.found.len() > self.wanted {
            self.cut();
        }
        self.found.sort_unstable();
        self.found
    }
}

/// The first row behind a cursor, or the first that is not before it; behind all parts if there is none.
///
/// In parts that are damaged it is any row.
fn row_bound(parts: &[&dyn Rows], cursor: Cursor, behind: bool) -> Result<RowId> {
    let is_before = |part: usize, row: usize| {
        let revision = parts[part].value(row, ColumnId::Revision)?.cast_unsigned();
        let own = (revision, parts[part].value(row, ColumnId::Ordinal)?);
        let bound = (cursor.revision, i64::from(cursor.ordinal));
        Ok(if behind { own <= bound } else { own < bound })
    };
    let filled: Vec<usize> = (0..parts.len()).filter(|part| parts[*part].len() > 0).collect();
    let at = partition_point(filled.len(), |at| is_before(filled[at], parts[filled[at]].len() - 1))?;
    let Some(part) = filled.get(at).copied() else { return Ok(RowId { part: parts.len(), row: 0 }) };
    Ok(RowId { part, row: partition_point(parts[part].len(), |row| is_before(part, row))? })
}

/// The first of `count` numbers that is not before what is looked for.
fn partition_point(count: usize, is_before: impl Fn(usize) -> Result<bool>) -> Result<usize> {
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = low + (high - low) / 2;
        if is_before(middle)? { low = middle + 1 } else { high = middle }
    }
    Ok(low)
}

/// Takes rows in order until the limit is reached.
struct Taker<'a> {
    parts: &'a [&'a dyn Rows],
    query: &'a Query,
    has_neighbours: HasNeighbours<'a>,
    hits: Vec<Hit>,
    more: bool,
}

impl Taker<'_> {
    /// Whether no further row is wanted.
    fn take(&mut self, row: RowId, sort_key: i64) -> Result<bool> {
        if !self.query.filter.adjacent.is_empty() && !(self.has_neighbours)(row)? {
            return Ok(false);
        }
        if self.hits.len() == self.query.limit {
            self.more = true;
            return Ok(true);
        }
        let value = |column| self.parts[row.part].value(row.row, column);
        let revision = value(ColumnId::Revision)?.cast_unsigned();
        // What is stored came from 32 bits.
        let ordinal = value(ColumnId::Ordinal)? as u32;
        let cursor = Cursor { sort_key, revision, ordinal, query: 0 };
        self.hits.push(Hit { row, place: value(ColumnId::Place)?, cursor });
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::{First, RowId, SORTED_MIN};

    #[test]
    fn the_first_rows_are_those_of_sorting_all() {
        let falling = |row: usize| -(row as i64 / (SORTED_MIN as i64 + 400));
        let mixed = |row: usize| (row as i64 * 7919) % 20_011;
        let ends = |row: usize| if row.is_multiple_of(2) { i64::MIN } else { i64::MAX };
        for rank in [&falling as &dyn Fn(usize) -> i64, &mixed, &ends] {
            let mut expected: Vec<_> =
                (0..16 * SORTED_MIN).map(|row| (rank(row), RowId { part: 0, row })).collect();
            for wanted in [1, 4, 3000, usize::MAX] {
                let mut first = First { wanted, after: None, last: i64::MAX, found: Vec::new() };
                expected.sort_unstable_by_key(|(_, row)| *row);
                expected.iter().for_each(|(rank, row)| first.offer(*rank, *row));
                assert!(wanted == usize::MAX || first.found.len() < SORTED_MIN.max(2 * wanted));
                expected.sort_unstable();
                let wanted = wanted.min(expected.len());
                assert!(first.into_sorted() == expected[..wanted], "{wanted} wanted");
            }
        }
    }
}
