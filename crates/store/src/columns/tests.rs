//! Rows in several parts against the model, and columns that are not what they should be.

use std::collections::HashMap;

use statlas_core::{Address, Adjacency, Coordinates, EntityHead, Space, Token};

use super::{
    BLOCK_ROWS, Bit, Bits, Column, ColumnId, Draft, Extent, GrowingRows, Names, Near, RowId, RowLists,
    RowPlace, Rows, TokenNear, count, find, near, near_token,
};
use crate::batch::{Batch, Operation};
use crate::error::{ErrorKind, Result};
use crate::query::TokenQuery;
use crate::query::{Cursor, Filter, Interval, OrderBy, Query};
use crate::testing::{Model, Random, filter, neighbours, query, token_query, varied};

/// Rows in parts, and the model that holds the same.
struct Sample {
    parts: Vec<GrowingRows>,
    model: Model,
    /// The address and the head of each row of each part.
    entities: Vec<Vec<(Address, EntityHead<'static>)>>,
}

/// What a row's place is, so that one of another row is told apart.
fn place_of(row: RowId) -> i64 {
    (row.part * 1_000_000 + row.row * 3) as i64 - 500
}

impl Sample {
    /// Parts with so many rows each, of which all but the last are packed to the end.
    fn new(random: &mut Random, sizes: &[usize]) -> Self {
        let mut sample = Self { parts: Vec::new(), model: Model::default(), entities: Vec::new() };
        for (part, size) in sizes.iter().enumerate() {
            sample.parts.push(GrowingRows::new());
            sample.entities.push(Vec::new());
            while sample.parts[part].len() < *size {
                sample.commit(random, part, *size);
            }
            if part + 1 < sizes.len() {
                sample.parts[part].pack_last();
            }
        }
        sample.set_bits();
        sample
    }

    /// Puts a batch into a part, and removes a few entities of any.
    fn commit(&mut self, random: &mut Random, part: usize, size: usize) {
        let mut batch = Batch::new();
        for _ in 0..1 + random.below((size - self.parts[part].len()).min(40)) {
            // Versions of an id differ in all but their neighbours and what follows from the id.
            let number = random.below(60);
            let neighbours = neighbours(&mut Random::new(number as u64));
            batch.put_entity(varied(random, &format!("id-{number}"), neighbours));
        }
        let mut seen: Vec<Address> = self.entities.iter().flatten().map(|(address, _)| *address).collect();
        let mut rows = Vec::new();
        for (ordinal, operation) in batch.operations().iter().enumerate() {
            let Operation::PutEntity(change) = operation else { continue };
            if seen.contains(&change.address) {
                return;
            }
            seen.push(change.address);
            rows.push((ordinal as u32, change));
        }
        let commit = self.model.commit(&batch).expect("the versions obey the rules");
        for (ordinal, change) in rows {
            let row = RowId { part, row: self.parts[part].len() };
            let place = RowPlace { place: place_of(row), revision: commit.revision, ordinal };
            assert_eq!(self.parts[part].push(&change.draft, batch.lists(), place), row.row);
            self.entities[part].push((change.address, EntityHead::clone(&change.head)));
        }
        let mut removals = Batch::new();
        (0..random.below(6)).for_each(|_| removals.remove_entity(random.pick(&seen)));
        self.model.commit(&removals).expect("what is there can be removed");
    }

    fn set_bits(&self) {
        for (rows, entities) in self.parts.iter().zip(&self.entities) {
            for (row, (address, head)) in entities.iter().enumerate() {
                let is_head = self.model.versions(&head.id).last() == Some(address);
                rows.bits().set(row, Bit::Removed, self.model.entity(address).is_none());
                rows.bits().set(row, Bit::Superseded, !is_head);
            }
        }
    }

    fn entity(&self, row: RowId) -> &(Address, EntityHead<'static>) {
        &self.entities[row.part][row.row]
    }

    fn rows(&self) -> HashMap<Address, RowId> {
        let of_part = |part: usize| (0..self.parts[part].len()).map(move |row| RowId { part, row });
        (0..self.parts.len()).flat_map(of_part).map(|row| (self.entity(row).0, row)).collect()
    }

    fn has_neighbours<'a>(&'a self, filter: &'a Filter) -> impl FnMut(RowId) -> Result<bool> + 'a {
        |row| {
            let (_, head) = self.entity(row);
            Ok(filter.adjacent.iter().all(|id| head.coordinates.adjacency.contains(id)))
        }
    }

    /// All rows of an answer, page by page.
    fn pages(&self, parts: &[&dyn Rows], query: &Query) -> Vec<Address> {
        let (mut found, mut query) = (Vec::new(), query.clone());
        let filter = query.filter.clone();
        loop {
            let (hits, more) =
                find(parts, &query, &mut self.has_neighbours(&filter)).expect("the columns are sound");
            assert!(hits.len() == query.limit || !more);
            for hit in &hits {
                assert_eq!(hit.place, place_of(hit.row));
                found.push(self.entity(hit.row).0);
            }
            match hits.last() {
                Some(last) if more => query.after = Some(last.cursor),
                _ => return found,
            }
        }
    }

    fn check(&self, parts: &[&dyn Rows], query: &Query) {
        let expected: Vec<Address> = self.model.find(query).iter().map(|entity| entity.address()).collect();
        assert_eq!(self.pages(parts, query), expected, "{query:?}");
        let filter = &query.filter;
        let counted = count(parts, filter, &mut self.has_neighbours(filter)).expect("the columns are sound");
        assert_eq!(counted, self.model.count(filter), "{filter:?}");
    }
}

fn dynamic<R: Rows>(parts: &[R]) -> Vec<&dyn Rows> {
    parts.iter().map(|rows| rows as &dyn Rows).collect()
}

/// Parts of which nothing is known before their columns are read.
struct Boundless<'a>(&'a GrowingRows);

impl Rows for Boundless<'_> {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn names(&self) -> &Names {
        self.0.names()
    }

    fn bits(&self) -> &Bits {
        self.0.bits()
    }

    fn extent(&self, _block: usize, _column: ColumnId) -> Extent {
        Extent { min: i64::MIN, max: i64::MAX }
    }

    fn column(&self, block: usize, column: ColumnId) -> Result<Column<'_>> {
        self.0.column(block, column)
    }

    fn neighbours(&self, block: usize) -> Result<&[u64]> {
        self.0.neighbours(block)
    }

    fn tokens(&self, block: usize) -> Result<&[Token]> {
        self.0.tokens(block)
    }
}

#[test]
fn parts_answer_like_one_list() {
    for seed in 0..6 {
        let mut random = Random::new(seed);
        let sizes: [&[usize]; 3] = [&[90, 0, 70, 130, 64], &[200], &[0, 65, 1]];
        let sample = Sample::new(&mut random, sizes[seed as usize % 3]);
        let parts = dynamic(&sample.parts);
        let boundless: Vec<Boundless<'_>> = sample.parts.iter().map(Boundless).collect();
        for _ in 0..150 {
            let query = query(&mut random);
            sample.check(&parts, &query);
            sample.check(&dynamic(&boundless), &query);
        }
        for (order_by, _) in OrderBy::ALL {
            for descending in [false, true] {
                let filter = filter(&mut random);
                sample.check(&parts, &Query { filter, order_by, descending, ..Query::default() });
                sample.check(&parts, &Query { order_by, descending, limit: 1, ..Query::default() });
            }
        }
    }
}

#[test]
fn near_is_what_comparing_with_every_row_finds() {
    let mut random = Random::new(5);
    let sample = Sample::new(&mut random, &[100, 0, 80, 120]);
    let parts = dynamic(&sample.parts);
    let rows = sample.rows();
    let check = |position: &Coordinates, k: usize, except: Option<&Address>| {
        let found = near(&parts, position, k, except.map(|address| rows[address])).expect("sound columns");
        let expected = sample.model.near(position, k, except);
        let expected: Vec<_> = expected.iter().map(|near| (near.similarity, near.entity.address())).collect();
        assert!(found.iter().all(|near| near.place == place_of(near.row)));
        let of = |near: &Near| (near.similarity, sample.entity(near.row).0);
        assert_eq!(found.iter().map(of).collect::<Vec<_>>(), expected, "{position:?}");
    };
    for number in 0..60 {
        let neighbours = neighbours(&mut random);
        let position = varied(&mut random, &format!("id-{number}"), neighbours).coordinates().clone();
        [0, 1, 10, 1000].into_iter().for_each(|k| check(&position, k, None));
    }
    for (address, head) in sample.entities.iter().flatten().step_by(7) {
        check(&head.coordinates, 4, Some(address));
    }
}

#[test]
fn near_token_is_what_comparing_with_every_token_finds() {
    let mut random = Random::new(6);
    let sample = Sample::new(&mut random, &[100, 0, 80, 120]);
    let parts = dynamic(&sample.parts);
    let boundless: Vec<Boundless<'_>> = sample.parts.iter().map(Boundless).collect();
    let rows = sample.rows();
    for _ in 0..300 {
        let mut query = token_query(&mut random);
        let except = random.chance(30).then(|| random.pick(&sample.entities.concat()).0);
        let left_out = except.map(|address| rows[&address]);
        query.except = except;
        let expected = sample.model.near_token(&query);
        let expected: Vec<_> = expected.iter().map(|near| (near.distance, near.entity.address())).collect();
        for parts in [&parts, &dynamic(&boundless)] {
            let found = near_token(parts, &query, left_out).expect("sound columns");
            assert!(found.iter().all(|near| near.place == place_of(near.row)));
            let of = |near: &TokenNear| (near.distance, sample.entity(near.row).0);
            assert_eq!(found.iter().map(of).collect::<Vec<_>>(), expected, "{query:?}");
        }
    }
}

#[test]
fn tokens_of_several_blocks_are_those_of_their_rows() {
    const ROWS: usize = 2 * BLOCK_ROWS + 1000;
    let (draft, mut lists) = draft();
    let mut part = GrowingRows::new();
    // All rows of the first block have a token, few of the second, every third of the last.
    let has_token = |row: usize| match row / BLOCK_ROWS {
        0 => true,
        1 => [0, 77, 40_000, BLOCK_ROWS - 1].contains(&(row % BLOCK_ROWS)),
        _ => row.is_multiple_of(3),
    };
    for row in 0..ROWS {
        let at = lists.tokens.len() as u32;
        let token = has_token(row).then(|| lists.tokens.push(at_place_of(row))).map(|()| at);
        let place = RowPlace { place: row as i64, revision: 1, ordinal: row as u32 };
        part.push(&Draft { token, ..draft.clone() }, &lists, place);
    }
    let small = GrowingRows::new();
    for wanted in [0, 65_535, 65_536, 65_613, 105_536, 131_071, 131_073, 131_999] {
        let query = TokenQuery { radius: Some(0.0), ..TokenQuery::new(at_place_of(wanted), ROWS) };
        let found = near_token(&[&small, &part], &query, None).expect("sound columns");
        let rows: Vec<usize> = found.iter().map(|near| near.row.row).collect();
        assert_eq!(rows, [wanted].into_iter().filter(|row| has_token(*row)).collect::<Vec<_>>());
        assert!(found.iter().all(|near| near.row.part == 1 && near.place == near.row.row as i64));
    }
}

/// A token at a place that no other row has.
fn at_place_of(row: usize) -> Token {
    let mut token = Token::EMPTY;
    token.set_axes(Space::Physical, [(row % 30_000) as i16, (row / 30_000) as i16, 0]);
    token
}

/// A draft and its lists: `n0` is the only neighbour, and there is no token.
fn draft() -> (Draft, RowLists) {
    let mut lists = RowLists::default();
    let adjacency = Adjacency::new(vec!["n0".into()]).expect("the id is legal");
    let head = varied(&mut Random::new(1), "one", adjacency).into_head();
    (Draft::of(&head, None, &mut lists), lists)
}

/// Rows that differ in their lineage, which counts them, and in their time of creation.
fn numbered(rows: usize) -> GrowingRows {
    let (draft, lists) = draft();
    let mut part = GrowingRows::new();
    for row in 0..rows {
        let created_at = (row as i64 * 7919) % 1009;
        let draft = Draft { lineage: row as u32, created_at, ..draft.clone() };
        let place = RowPlace { place: 0, revision: row as u64 / 10, ordinal: row as u32 % 10 };
        part.push(&draft, &lists, place);
    }
    part
}

fn rows_of(parts: &[&dyn Rows], query: &Query) -> (Vec<RowId>, Option<Cursor>) {
    let (hits, more) = find(parts, query, &mut |_| Ok(true)).expect("the columns are sound");
    let next = hits.last().filter(|_| more).map(|hit| hit.cursor);
    (hits.iter().map(|hit| hit.row).collect(), next)
}

#[test]
fn blocks_are_searched_like_one_list() {
    const ROWS: usize = 2 * BLOCK_ROWS + 1000;
    let (part, small) = (numbered(ROWS), GrowingRows::new());
    let parts: [&dyn Rows; 2] = [&small, &part];
    let across = BLOCK_ROWS - 5..2 * BLOCK_ROWS + 5;
    let lineage = Interval { min: Some(across.start as u32), max: Some(across.end as u32 - 1) };
    let filter = Filter { lineage, ..Filter::default() };
    let counted = count(&parts, &filter, &mut |_| Ok(true)).expect("the columns are sound");
    assert_eq!(counted, across.len() as u64);
    for (order_by, _) in OrderBy::ALL.into_iter().filter(|(order_by, _)| order_by.profile().is_none()) {
        for descending in [false, true] {
            let mut expected: Vec<usize> = across.clone().collect();
            match (order_by, descending) {
                (OrderBy::CreatedAt, false) => expected.sort_by_key(|row| (row * 7919) % 1009),
                (OrderBy::CreatedAt, true) => {
                    expected.sort_by_key(|row| std::cmp::Reverse((row * 7919) % 1009));
                }
                (_, true) => expected.reverse(),
                (_, false) => {}
            }
            let (filter, mut after, mut found) = (filter.clone(), None, Vec::new());
            let query = Query { filter, order_by, descending, limit: 30_000, after };
            loop {
                let (rows, next) = rows_of(&parts, &Query { after, ..query.clone() });
                found.extend(rows.iter().map(|row| row.row));
                after = next;
                if after.is_none() {
                    break;
                }
            }
            assert!(found == expected, "{order_by:?} {descending}");
            let few = Query { limit: 3, ..query };
            let (rows, _) = rows_of(&parts, &few);
            assert!(rows.iter().map(|row| row.row).eq(expected[..3].iter().copied()), "{order_by:?}");
        }
    }
}

#[test]
fn rows_that_only_share_a_hash_make_room_for_others() {
    let part = numbered(10_000);
    let filter = Filter { adjacent: vec!["n0".to_owned()], ..Filter::default() };
    for order_by in [OrderBy::Commit, OrderBy::Lineage] {
        let query = Query { filter: filter.clone(), order_by, limit: 2, ..Query::default() };
        let (hits, more) = find(&[&part], &query, &mut |row| Ok(row.row >= 9000)).expect("sound columns");
        assert_eq!(hits.iter().map(|hit| hit.row.row).collect::<Vec<_>>(), [9000, 9001]);
        assert!(more);
    }
    let counted = count(&[&part], &filter, &mut |row| Ok(row.row >= 9000)).expect("sound columns");
    assert_eq!(counted, 1000);
}

#[test]
fn rows_in_no_order_end_a_search_all_the_same() {
    let mut random = Random::new(3);
    let mut parts = Vec::new();
    for _ in 0..3 {
        let (draft, lists) = draft();
        let mut part = GrowingRows::new();
        for _ in 0..random.below(200) {
            let revision = random.pick(&[0, 1, 1, u64::MAX, 1 << 63]);
            let place = RowPlace { place: -1, revision, ordinal: random.pick(&[0, 0, u32::MAX]) };
            part.push(&draft, &lists, place);
        }
        parts.push(part);
    }
    let parts = dynamic(&parts);
    let rows: usize = parts.iter().map(|rows| rows.len()).sum();
    for number in 0..200 {
        let revision = random.pick(&[0, 1, 2, u64::MAX]);
        let cursor = Cursor { sort_key: 0, revision, ordinal: random.pick(&[0, 1, u32::MAX]), query: 0 };
        let (order_by, descending) = (OrderBy::ALL[number % 8].0, number % 16 < 8);
        let query = Query { order_by, descending, after: Some(cursor), limit: 1000, ..Query::default() };
        assert!(rows_of(&parts, &query).0.len() <= rows);
    }
}

/// A part whose columns of one kind have lost their values.
struct Torn<'a>(&'a GrowingRows, ColumnId);

impl Rows for Torn<'_> {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn names(&self) -> &Names {
        self.0.names()
    }

    fn bits(&self) -> &Bits {
        self.0.bits()
    }

    fn extent(&self, block: usize, column: ColumnId) -> Extent {
        self.0.extent(block, column)
    }

    fn column(&self, block: usize, column: ColumnId) -> Result<Column<'_>> {
        if column == self.1 { Ok(Column::plain(&[])) } else { self.0.column(block, column) }
    }

    fn neighbours(&self, _block: usize) -> Result<&[u64]> {
        Ok(&[])
    }

    fn tokens(&self, _block: usize) -> Result<&[Token]> {
        Ok(&[])
    }
}

#[test]
fn a_column_that_lacks_values_is_an_error() {
    let whole = numbered(100);
    let torn = Torn(&whole, ColumnId::Lineage);
    let parts: [&dyn Rows; 2] = [&whole, &torn];
    let lineage = Interval { min: Some(5), max: None };
    let filter = Filter { lineage, ..Filter::default() };
    let kind = |outcome: Result<u64>| outcome.map_err(|error| error.kind());
    assert_eq!(kind(count(&parts, &filter, &mut |_| Ok(true))), Err(ErrorKind::Corrupt));
    // What does not need the column goes on.
    assert_eq!(kind(count(&parts, &Filter::default(), &mut |_| Ok(true))), Ok(200));
    let adjacent = Filter { adjacent: vec!["n0".to_owned()], ..Filter::default() };
    assert!(count(&parts, &adjacent, &mut |_| Ok(true)).is_ok());
    let ends = Torn(&whole, ColumnId::NeighboursEnd);
    assert_eq!(kind(count(&[&ends], &adjacent, &mut |_| Ok(true))), Err(ErrorKind::Corrupt));
    let query = TokenQuery::new(at_place_of(1), 3);
    let near = |rows: &dyn Rows| near_token(&[rows], &query, None).map(|near| near.len() as u64);
    assert_eq!(kind(near(&Torn(&whole, ColumnId::Lineage))), Ok(0));
    assert_eq!(kind(near(&Torn(&whole, ColumnId::TokensEnd))), Err(ErrorKind::Corrupt));
    // Its rows have tokens, and the list has none.
    let mut tokens = GrowingRows::new();
    let (draft, mut lists) = draft();
    lists.tokens.push(at_place_of(1));
    let place = RowPlace { place: 0, revision: 1, ordinal: 0 };
    tokens.push(&Draft { token: Some(0), ..draft }, &lists, place);
    assert_eq!(kind(near(&tokens)), Ok(1));
    assert_eq!(kind(near(&Torn(&tokens, ColumnId::Lineage))), Err(ErrorKind::Corrupt));
}
