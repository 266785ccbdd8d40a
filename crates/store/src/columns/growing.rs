//! The part that grows: plain values until a block is full, packed ones from then on.

use statlas_core::Token;

use super::{BLOCK_ROWS, Bits, Column, ColumnId, Draft, Extent, Names, PackedColumn, RowLists, Rows};
use crate::error::Result;

/// Where a row's entity lies and which change of which revision it was.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RowPlace {
    pub(crate) place: i64,
    pub(crate) revision: u64,
    pub(crate) ordinal: u32,
}

/// A block that no longer changes.
#[derive(Debug)]
pub(crate) struct PackedBlock {
    /// In the order of [`ColumnId::ALL`].
    pub(crate) columns: [PackedColumn; ColumnId::ALL.len()],
    /// The hashes of the distinct neighbours of each row, one row after another, sorted within each.
    pub(crate) neighbours: Box<[u64]>,
    /// The tokens of the rows that have one.
    pub(crate) tokens: Box<[Token]>,
}

/// A part in memory to which rows are added.
#[derive(Debug, Default)]
pub(crate) struct GrowingRows {
    names: Names,
    bits: Bits,
    packed: Vec<PackedBlock>,
    /// What the packed blocks take.
    packed_bytes: u64,
    /// The rows behind the packed blocks: fewer than a block.
    last: PlainBlock,
    rows: usize,
    /// Whether the last block is packed although it is not full.
    is_finished: bool,
}

/// Values as they come, to which more can be added.
#[derive(Debug, Default)]
struct PlainBlock {
    columns: [Vec<i64>; ColumnId::ALL.len()],
    lists: RowLists,
}

impl PackedBlock {
    /// Bytes allocated.
    fn bytes(&self) -> u64 {
        let columns: u64 = self.columns.iter().map(PackedColumn::allocated).sum();
        columns + (size_of_val(&*self.neighbours) + size_of_val(&*self.tokens)) as u64
    }
}

impl PlainBlock {
    fn pack(&self) -> PackedBlock {
        PackedBlock {
            columns: std::array::from_fn(|column| PackedColumn::pack(&self.columns[column])),
            neighbours: self.lists.neighbours.as_slice().into(),
            tokens: self.lists.tokens.as_slice().into(),
        }
    }

    /// Forgets the rows and keeps the memory.
    fn clear(&mut self) {
        self.columns.iter_mut().for_each(Vec::clear);
        self.lists.clear();
    }

    /// Bytes allocated.
    fn bytes(&self) -> u64 {
        let values: usize = self.columns.iter().map(Vec::capacity).sum();
        (values * 8) as u64 + self.lists.allocated()
    }
}

impl GrowingRows {
    /// No rows.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Adds a row and returns its number. `lists` are those that the draft's own part was put into.
    ///
    /// # Panics
    ///
    /// After [`GrowingRows::pack_last`].
    pub(crate) fn push(&mut self, draft: &Draft, lists: &RowLists, place: RowPlace) -> usize {
        assert!(!self.is_finished, "rows are added to a part before its last block is packed");
        let [realm, entity_realm, horizon, entity_type] = draft.names.map(|name| self.names.add(name));
        let [resonance, velocity, density] = draft.stat7;
        let last = &mut self.last;
        last.lists.neighbours.extend_from_slice(draft.neighbours(lists));
        last.lists.tokens.extend(draft.token(lists));
        // In the order of the columns' numbers.
        let values: [i64; ColumnId::ALL.len()] = [
            place.place,
            place.revision.cast_signed(),
            place.ordinal.into(),
            draft.profile.into(),
            realm.into(),
            entity_realm.into(),
            horizon.into(),
            entity_type.into(),
            draft.polarity.into(),
            draft.alignment.into(),
            draft.lineage.into(),
            draft.dimensionality.into(),
            resonance.into(),
            velocity.into(),
            density.into(),
            draft.luminosity,
            draft.created_at,
            draft.adjacency_len.into(),
            // At most 65,536 neighbours a row and as many rows a block.
            last.lists.neighbours.len() as i64,
            last.lists.tokens.len() as i64,
        ];
        for (column, value) in last.columns.iter_mut().zip(values) {
            column.push(value);
        }
        self.bits.push();
        self.rows += 1;
        if self.rows.is_multiple_of(BLOCK_ROWS) {
            self.pack();
            self.last.clear();
        }
        self.rows - 1
    }

    /// Packs the last block although it is not full. No row can be added from then on.
    pub(crate) fn pack_last(&mut self) {
        if self.packed.len() < self.blocks() {
            self.pack();
        }
        self.last = PlainBlock::default();
        self.is_finished = true;
    }

    fn pack(&mut self) {
        let block = self.last.pack();
        self.packed_bytes += block.bytes();
        self.packed.push(block);
    }

    /// A block that is full, or any after [`GrowingRows::pack_last`].
    ///
    /// # Panics
    ///
    /// If the block is not packed.
    pub(crate) fn packed(&self, block: usize) -> &PackedBlock {
        &self.packed[block]
    }

    /// Bytes allocated.
    pub(crate) fn bytes(&self) -> u64 {
        let blocks = (self.packed.capacity() * size_of::<PackedBlock>()) as u64;
        blocks + self.packed_bytes + self.last.bytes() + self.bits.bytes() + self.names.bytes()
    }
}

impl Rows for GrowingRows {
    fn len(&self) -> usize {
        self.rows
    }

    fn names(&self) -> &Names {
        &self.names
    }

    fn bits(&self) -> &Bits {
        &self.bits
    }

    fn extent(&self, block: usize, column: ColumnId) -> Extent {
        match self.packed.get(block) {
            Some(packed) => packed.columns[column as usize].extent(),
            // To know them would cost every row, and save at most one block of a scan.
            None => Extent { min: i64::MIN, max: i64::MAX },
        }
    }

    fn column(&self, block: usize, column: ColumnId) -> Result<Column<'_>> {
        Ok(match self.packed.get(block) {
            Some(packed) => packed.columns[column as usize].view(),
            None => Column::plain(&self.last.columns[column as usize]),
        })
    }

    fn neighbours(&self, block: usize) -> Result<&[u64]> {
        Ok(self.packed.get(block).map_or(&*self.last.lists.neighbours, |packed| &packed.neighbours))
    }

    fn tokens(&self, block: usize) -> Result<&[Token]> {
        Ok(self.packed.get(block).map_or(&*self.last.lists.tokens, |packed| &packed.tokens))
    }
}

#[cfg(test)]
mod tests {
    use statlas_core::Token;

    use super::{BLOCK_ROWS, ColumnId, Draft, GrowingRows, RowLists, RowPlace, Rows};
    use crate::testing::{Random, neighbours, varied};

    /// The neighbours of a row, and its token.
    type Lists = (Vec<u64>, Option<Token>);

    /// `rows` rows of a few drafts, and the lists of each row.
    fn grown(rows: usize) -> (GrowingRows, Vec<Lists>) {
        let (mut random, mut lists) = (Random::new(8), RowLists::default());
        let drafts: Vec<Draft> = (0..50)
            .map(|number| {
                let neighbours = neighbours(&mut random);
                let entity = varied(&mut random, &number.to_string(), neighbours);
                let token = entity.token().copied();
                Draft::of(&entity.into_head(), token.as_ref(), &mut lists)
            })
            .collect();
        let (mut part, mut of_rows) = (GrowingRows::new(), Vec::new());
        for row in 0..rows {
            let draft = &drafts[row % 50];
            let place = RowPlace { place: row as i64 * 300, revision: 9, ordinal: row as u32 };
            assert_eq!(part.push(draft, &lists, place), row);
            of_rows.push((draft.neighbours(&lists).to_vec(), draft.token(&lists).copied()));
        }
        (part, of_rows)
    }

    #[test]
    fn packing_changes_no_value() {
        const ROWS: usize = BLOCK_ROWS + 100;
        let (plain, lists) = grown(ROWS);
        let (mut packed, _) = grown(ROWS);
        packed.pack_last();
        assert_eq!((plain.blocks(), packed.blocks()), (2, 2));
        for column in ColumnId::ALL {
            for row in (0..BLOCK_ROWS).step_by(997).chain(BLOCK_ROWS..ROWS) {
                let value = plain.value(row, column).expect("the row is there");
                assert_eq!(packed.value(row, column).expect("the row is there"), value, "{column:?}");
                let extent = packed.extent(row / BLOCK_ROWS, column);
                assert!(extent.min <= value && value <= extent.max, "{column:?}");
            }
        }
        for (block, lists) in lists.chunks(BLOCK_ROWS).enumerate() {
            let (neighbours, tokens): (Vec<_>, Vec<_>) = lists.iter().cloned().unzip();
            assert_eq!(*packed.packed(block).neighbours, neighbours.concat());
            assert_eq!(plain.neighbours(block).expect("the block is there"), neighbours.concat());
            let tokens: Vec<Token> = tokens.into_iter().flatten().collect();
            assert!(!tokens.is_empty() && tokens.len() < lists.len());
            assert_eq!(*packed.packed(block).tokens, tokens);
            assert_eq!(plain.tokens(block).expect("the block is there"), tokens);
        }
        let place = |row| plain.value(row, ColumnId::Place).expect("the row is there");
        assert_eq!((place(0), place(BLOCK_ROWS + 7)), (0, (BLOCK_ROWS as i64 + 7) * 300));
        assert_eq!(packed.packed(0).columns[ColumnId::Revision as usize].bytes().len(), 0);
        assert!(packed.bytes() < plain.bytes());
    }

    #[test]
    fn packing_full_blocks_adds_none() {
        for rows in [0, BLOCK_ROWS] {
            let (mut part, _) = grown(rows);
            part.pack_last();
            part.pack_last();
            assert_eq!((part.len(), part.blocks()), (rows, rows / BLOCK_ROWS));
        }
    }

    #[test]
    #[should_panic = "before its last block is packed"]
    fn a_packed_part_takes_no_rows() {
        let (mut part, _) = grown(3);
        part.pack_last();
        let (entity, mut lists) = (varied(&mut Random::new(1), "a", Default::default()), RowLists::default());
        let draft = Draft::of(&entity.into_head(), None, &mut lists);
        part.push(&draft, &lists, RowPlace { place: 0, revision: 1, ordinal: 0 });
    }
}
