//! Reading all of a sidecar: is every byte what was written, and does it make sense?

use super::contents::TableId;
use super::layout::Section;
use super::reader::Sidecar;
use super::records::name_hash;
use crate::batch::RecordKey;
use crate::columns::{BLOCK_ROWS, Column, ColumnId, Extent, Rows};
use crate::error::Result;

/// What is wrong, in words that name the file.
struct Findings<'a> {
    sidecar: &'a Sidecar,
    found: Vec<String>,
}

impl Findings<'_> {
    /// Notes what is wrong if `is_right` does not hold.
    fn expect(&mut self, is_right: bool, reason: impl FnOnce() -> String) {
        if !is_right {
            self.found.push(self.sidecar.message(&reason()));
        }
    }
}

impl Sidecar {
    /// Reads everything and tells what is wrong, in words; nothing if all is well. `offset_of` turns a packed
    /// place into an offset in the segment.
    ///
    /// Chunks are read again even if they were verified before, since a disk may lose what it had.
    pub(crate) fn verify(&self, offset_of: impl Fn(u32) -> u64) -> Vec<String> {
        let mut findings = Findings { sidecar: self, found: Vec::new() };
        if let Err(reason) = self.read_again() {
            findings.expect(false, || reason);
        }
        for section in Section::ALL {
            for at in 0..self.directory.counts.chunks(section) as usize {
                findings.found.extend(self.verify_chunk(section, at).err().map(|error| error.to_string()));
            }
        }
        // What is damaged makes no sense, and was named.
        if findings.found.is_empty()
            && let Err(error) = self.verify_sense(&mut findings, &offset_of)
        {
            findings.found.push(error.to_string());
        }
        findings.found
    }

    fn verify_sense(&self, findings: &mut Findings<'_>, offset_of: &dyn Fn(u32) -> u64) -> Result<()> {
        let is_place = |place: u32| offset_of(place) < self.header.identity.log_bytes;
        let is_row = |row: u32| u64::from(row) < self.header.counts.rows();
        let is_record = |number: u32| (number as usize) < self.records_len();
        for table in TableId::ALL {
            let is_value: &dyn Fn(u32) -> bool = match table {
                TableId::Entities | TableId::Blobs => &is_place,
                TableId::Ids => &is_row,
                TableId::Records => &is_record,
            };
            self.verify_table(findings, table, is_value)?;
        }
        self.verify_rows(findings, offset_of)?;
        self.verify_lists(findings, &is_place, &is_row)
    }

    fn verify_table(
        &self,
        findings: &mut Findings<'_>,
        table: TableId,
        is_value: &dyn Fn(u32) -> bool,
    ) -> Result<()> {
        let filter = self.filter(table)?;
        let mut before = (0, 0);
        for (chunk, first_key) in self.directory.first_keys[table as usize].iter().enumerate() {
            let (keys, values) = self.entries_at(table, chunk)?;
            let part = || Section::of_table(table).part(chunk);
            findings.expect(keys.first() == Some(first_key), || {
                format!("{} begins with another key than the directory says", part())
            });
            let entries = || keys.iter().copied().zip(values.iter().copied());
            let is_sorted = before <= entries().next().unwrap_or(before) && entries().is_sorted();
            findings.expect(is_sorted, || format!("{} is not sorted", part()));
            before = entries().next_back().unwrap_or(before);
            findings.expect(values.iter().all(|value| is_value(*value)), || {
                format!("{} leads to where nothing is", part())
            });
            let are_held = filter.is_none_or(|filter| keys.iter().all(|key| filter.may_hold(*key)));
            findings.expect(are_held, || format!("{} has keys that the filter denies", part()));
        }
        Ok(())
    }

    fn verify_rows(&self, findings: &mut Findings<'_>, offset_of: &dyn Fn(u32) -> u64) -> Result<()> {
        let mut place_before = None;
        for block in 0..self.blocks() {
            for column in ColumnId::ALL {
                let values = self.column(block, column)?;
                let part = || Section::Columns.part(block * ColumnId::ALL.len() + column as usize);
                let extent = self.extent(block, column);
                findings.expect(extent_of(&values) == extent, || {
                    format!("{} has other ends than the directory says", part())
                });
                let names = self.names().identifiers().len() as i64;
                let is_name = matches!(
                    column,
                    ColumnId::Realm | ColumnId::EntityRealm | ColumnId::Horizon | ColumnId::EntityType
                );
                let are_names = extent.min >= 0 && extent.max < names;
                findings.expect(!is_name || are_names, || format!("{} has names that are not there", part()));
            }
            let places = self.column(block, ColumnId::Place)?;
            let ascend = (0..places.len()).all(|row| {
                let offset = u32::try_from(places.get(row)).ok().map(offset_of);
                let is_behind = offset > place_before;
                place_before = offset;
                is_behind && offset < Some(self.header.identity.log_bytes)
            });
            findings.expect(ascend, || format!("the places of block {block} don't ascend in the segment"));
            self.verify_neighbours(findings, block)?;
            self.verify_tokens(findings, block)?;
        }
        Ok(())
    }

    fn verify_neighbours(&self, findings: &mut Findings<'_>, block: usize) -> Result<()> {
        let (ends, neighbours) = (self.column(block, ColumnId::NeighboursEnd)?, self.neighbours(block)?);
        let mut begin = 0;
        // The ends ascend and stay within the list, or the column would have been an error.
        let are_sorted = (0..ends.len()).all(|row| {
            let end = ends.get(row) as usize;
            let of_row = neighbours.get(begin..end).unwrap_or_default();
            begin = end;
            of_row.is_sorted_by(|one, next| one < next)
        });
        findings.expect(are_sorted, || format!("the neighbours of block {block} are not sorted"));
        findings.expect(begin == neighbours.len(), || {
            format!("block {block} has neighbours that belong to no row")
        });
        Ok(())
    }

    fn verify_tokens(&self, findings: &mut Findings<'_>, block: usize) -> Result<()> {
        // The ends lead to all of them, or the column would have been an error.
        let are_tokens = self.tokens(block)?.iter().all(|token| token.check().is_ok());
        findings.expect(are_tokens, || format!("the tokens of block {block} break the rules of tokens"));
        Ok(())
    }

    fn verify_lists(
        &self,
        findings: &mut Findings<'_>,
        is_place: &dyn Fn(u32) -> bool,
        is_row: &dyn Fn(u32) -> bool,
    ) -> Result<()> {
        let own = self.header.identity.segment;
        let effects = self.effects()?;
        findings.expect(effects.iter().all(|effect| effect.segment != own), || {
            "the list of effects is about the segment itself".to_owned()
        });
        self.removals()?;
        self.verify_records(findings, is_place)?;
        findings.expect(self.mended()?.iter().all(|mended| is_row(mended.row)), || {
            "the list of mended rows has rows that are not there".to_owned()
        });
        let marks = self.marks()?;
        let ascend = marks.is_sorted_by(|one, next| one.revision < next.revision && one.offset < next.offset);
        let end = marks.last().map_or(0, |mark| mark.offset);
        findings.expect(ascend && end <= self.header.identity.log_bytes, || {
            "the list of marks doesn't ascend in the segment".to_owned()
        });
        Ok(())
    }

    fn verify_records(&self, findings: &mut Findings<'_>, is_place: &dyn Fn(u32) -> bool) -> Result<()> {
        let (mut before, mut is_sorted, mut are_places, mut are_found) = (None, true, true, true);
        for number in 0..self.records_len() {
            let record = self.record_at(number)?;
            let name = (record.collection, record.key);
            is_sorted &= before.is_none_or(|before| before < name) && RecordKey::new(name.0, name.1).is_ok();
            before = Some(name);
            are_places &= is_place(record.entry.place);
            let is_it = |found: u32| (found as usize == number).then_some(());
            are_found &= self.find(TableId::Records, name_hash(name.0, name.1), is_it)?.is_some();
        }
        findings.expect(is_sorted, || "the list of records is not sorted".to_owned());
        findings.expect(are_places, || "the list of records leads to where nothing is".to_owned());
        findings.expect(are_found, || "the index of records does not lead to all of them".to_owned());
        Ok(())
    }
}

/// The smallest and the largest value of a column.
fn extent_of(values: &Column<'_>) -> Extent {
    let all: Vec<i64> = (0..values.len().min(BLOCK_ROWS)).map(|at| values.get(at)).collect();
    Extent::of(&all)
}
