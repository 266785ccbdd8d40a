//! Looking keys up in the tables of a sidecar.

use zerocopy::FromBytes;

use super::contents::{TABLES, TableId};
use super::filter::FilterView;
use super::layout::Section;
use super::reader::Sidecar;
use crate::error::Result;

/// The keys of a chunk and the value of each.
type Entries<'a> = (&'a [u64], &'a [u32]);

impl Sidecar {
    /// Copies the filters to memory, where no lookup waits for the disk. Costs 2.3 bytes an entry. They stay
    /// there as long as the sidecar is open.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt) if one of them is damaged.
    pub(crate) fn load_filters(&self) -> Result<()> {
        let mut loaded: [Box<[u16]>; TABLES] = Default::default();
        for (table, fingerprints) in TableId::ALL.into_iter().zip(&mut loaded) {
            if self.directory.filters[table as usize].is_some() {
                *fingerprints = self.fingerprints(table)?.into();
            }
        }
        // Another thread may have been faster, with the same.
        let _ = self.filters.set(loaded);
        Ok(())
    }

    /// Whether a table may hold a key; if it does, always.
    #[inline]
    pub(crate) fn may_hold(&self, table: TableId, key: u64) -> bool {
        match self.sound_filter(table) {
            Some(filter) => filter.may_hold(key),
            None => self.entries_of(table) > 0,
        }
    }

    /// Visits the place in `keys` of each key that a table may hold, ascending.
    pub(crate) fn may_hold_many(&self, table: TableId, keys: &[u64], mut visit: impl FnMut(usize)) {
        match self.sound_filter(table) {
            Some(filter) => {
                keys.iter()
                    .enumerate()
                    .filter(|(_, key)| filter.may_hold(**key))
                    .for_each(|(at, _)| visit(at));
            }
            None if self.entries_of(table) > 0 => (0..keys.len()).for_each(visit),
            None => {}
        }
    }

    /// The filter of a table, if there is one that says something. Where something is damaged the table is asked instead:
    /// to verify a filter that is not sound each time would take longer.
    #[inline]
    fn sound_filter(&self, table: TableId) -> Option<FilterView<'_>> {
        let is_trusted = self.filters.get().is_some() || !self.is_damaged();
        if is_trusted { self.filter(table).ok().flatten() } else { None }
    }

    /// The filter of a table: in memory if it was loaded, else in place.
    #[inline]
    pub(super) fn filter(&self, table: TableId) -> Result<Option<FilterView<'_>>> {
        let Some(shape) = self.directory.filters[table as usize] else { return Ok(None) };
        let fingerprints = match self.filters.get() {
            Some(loaded) => &*loaded[table as usize],
            None => self.fingerprints(table)?,
        };
        match FilterView::new(shape, fingerprints) {
            Some(filter) => Ok(Some(filter)),
            None => Err(self.corrupt(Section::of_filter(table), 0, "its length is impossible")),
        }
    }

    fn fingerprints(&self, table: TableId) -> Result<&[u16]> {
        let section = Section::of_filter(table);
        <[u16]>::ref_from_bytes(self.chunk(section, 0)?)
            .map_err(|_| self.corrupt(section, 0, "its length is impossible"))
    }

    /// Calls `visit` with the values of a key, ascending, until it answers. The filter is not asked.
    #[inline]
    pub(crate) fn find<T>(
        &self,
        table: TableId,
        key: u64,
        mut visit: impl FnMut(u32) -> Option<T>,
    ) -> Result<Option<T>> {
        let mut chunk = self.chunk_before(table, key);
        while self.begins_up_to(table, chunk, key) {
            let (keys, values) = self.entries_at(table, chunk)?;
            let start = lower_bound(keys, key, self.guess(table, chunk, keys.len(), key));
            for (found, value) in keys[start..].iter().zip(&values[start..]) {
                if *found != key {
                    return Ok(None);
                }
                if let Some(answer) = visit(*value) {
                    return Ok(Some(answer));
                }
            }
            chunk += 1;
        }
        Ok(None)
    }

    /// Every entry whose key lies in `low..=high`, ascending.
    pub(crate) fn range(&self, table: TableId, low: u64, high: u64) -> Result<Vec<(u64, u32)>> {
        let mut found = Vec::new();
        let mut chunk = self.chunk_before(table, low);
        while self.begins_up_to(table, chunk, high) {
            let (keys, values) = self.entries_at(table, chunk)?;
            let start = keys.partition_point(|key| *key < low);
            let entries = keys.iter().copied().zip(values.iter().copied());
            found.extend(entries.skip(start).take_while(|(key, _)| *key <= high));
            chunk += 1;
        }
        Ok(found)
    }

    /// Calls `visit` with the keys and values of every chunk of a table, ascending.
    pub(crate) fn entries(&self, table: TableId, mut visit: impl FnMut(&[u64], &[u32])) -> Result<()> {
        for chunk in 0..self.directory.first_keys[table as usize].len() {
            let (keys, values) = self.entries_at(table, chunk)?;
            visit(keys, values);
        }
        Ok(())
    }

    pub(super) fn entries_at(&self, table: TableId, chunk: usize) -> Result<Entries<'_>> {
        let section = Section::of_table(table);
        let bytes = self.chunk(section, chunk)?;
        // Keys have 8 bytes and values 4, so two thirds are keys; the length was checked.
        let (keys, values) = bytes.split_at(bytes.len() / 3 * 2);
        match (<[u64]>::ref_from_bytes(keys), <[u32]>::ref_from_bytes(values)) {
            (Ok(keys), Ok(values)) if keys.len() == values.len() => Ok((keys, values)),
            _ => Err(self.corrupt(section, chunk, "its length is impossible")),
        }
    }

    /// The first chunk that may hold a key: the last one that begins before it.
    #[inline]
    fn chunk_before(&self, table: TableId, key: u64) -> usize {
        let first_keys = &self.directory.first_keys[table as usize];
        // Keys are the first bits of good hashes, so they are spread evenly over all numbers.
        let guess = (u128::from(key) * first_keys.len() as u128) >> 64;
        lower_bound(first_keys, key, guess as usize).saturating_sub(1)
    }

    /// Whether a chunk is there and begins with `key` or before it.
    #[inline]
    fn begins_up_to(&self, table: TableId, chunk: usize, key: u64) -> bool {
        self.directory.first_keys[table as usize].get(chunk).is_some_and(|first| *first <= key)
    }

    /// About where a key stands among the `entries` of a chunk.
    #[inline]
    fn guess(&self, table: TableId, chunk: usize, entries: usize, key: u64) -> usize {
        let first_keys = &self.directory.first_keys[table as usize];
        let low = first_keys.get(chunk).copied().unwrap_or(0);
        let high = first_keys.get(chunk + 1).copied().unwrap_or(u64::MAX);
        let share = key.saturating_sub(low) as f64 / high.saturating_sub(low) as f64;
        // A share that is no number or beyond the end becomes a place at either end.
        (share * entries as f64) as usize
    }
}

/// The first place in sorted `keys` whose key is not below `key`. The search begins at a guess and widens:
/// a good guess is off by a few places, so that one or two cache lines are read where halving reads many.
#[inline]
fn lower_bound(keys: &[u64], key: u64, guess: usize) -> usize {
    let is_below = |at: usize| keys.get(at).is_some_and(|found| *found < key);
    let guess = guess.min(keys.len());
    // Every key before `low` is below, and none from `high` on.
    let (mut low, mut high, mut step) = (guess, guess, 4);
    while is_below(high) {
        low = high + 1;
        high = (high + step).min(keys.len());
        step *= 2;
    }
    while low > 0 && !is_below(low - 1) {
        high = low - 1;
        low = low.saturating_sub(step);
        step *= 2;
    }
    low + keys[low..high].partition_point(|found| *found < key)
}

#[cfg(test)]
mod tests {
    use super::lower_bound;

    #[test]
    fn any_guess_leads_to_the_same_place() {
        let keys: Vec<u64> = (0..300).map(|n| n / 3 * 10).collect();
        for key in (0..1010).step_by(5) {
            let expected = keys.partition_point(|found| *found < key);
            for guess in (0..=keys.len()).step_by(7).chain([usize::MAX]) {
                assert_eq!(lower_bound(&keys, key, guess), expected, "key {key}, guess {guess}");
            }
        }
        assert_eq!(lower_bound(&[], 5, 3), 0);
    }
}
