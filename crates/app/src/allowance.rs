//! How much memory a command holds on the way to and from a store, beside what the store holds itself.
//!
//! It is a part of the store's own budget, so that one number bounds the whole program: with little memory,
//! blocks, batches and pages are smaller and fewer are under way. What can't be made smaller, such as one large
//! entity, is taken alone.

use statlas_store::{Page, Store};

use crate::pipeline::Room;

/// The part of the store's budget that a command takes for itself.
const BUDGET_PART: u64 = 10;
/// No allowance is smaller: every batch costs something by itself.
const BYTES_MIN: u64 = 1 << 20;
/// Nothing that is under way is planned smaller than this.
const ITEM_BYTES_MIN: u64 = 256 << 10;
/// Rows of the first page of an answer, before anything is known about their size.
const FIRST_PAGE_ROWS: usize = 128;

/// Bytes that a command may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Allowance {
    bytes: u64,
}

impl Allowance {
    /// What a command may hold beside this store.
    pub(crate) fn beside(store: &Store) -> Self {
        Self::for_budget(store.engine().stats().memory_bytes_max)
    }

    /// The allowance beside a budget; 0 is a store without one.
    fn for_budget(bytes_max: u64) -> Self {
        Self { bytes: if bytes_max == 0 { u64::MAX } else { (bytes_max / BUDGET_PART).max(BYTES_MIN) } }
    }

    /// The room of a pipeline that has `items` under way if there is memory for so many.
    pub(crate) fn room(self, items: usize) -> Room {
        let fit = usize::try_from(self.bytes / ITEM_BYTES_MIN).unwrap_or(usize::MAX);
        Room { items: items.min(fit).max(1), bytes: self.bytes }
    }

    /// How large one of `items` is to be so that they all fit, at most `bytes_max`.
    pub(crate) fn item_bytes(self, items: usize, bytes_max: usize) -> usize {
        let share = self.bytes / self.room(items).items as u64;
        usize::try_from(share.max(ITEM_BYTES_MIN)).unwrap_or(usize::MAX).min(bytes_max)
    }

    /// The sizes of pages of an answer, at most `rows_max` rows each.
    pub(crate) fn pages(self, rows_max: usize) -> Pages {
        Pages { bytes_max: self.bytes, rows_max, rows: rows_max.min(FIRST_PAGE_ROWS) }
    }
}

/// How many rows the next page of an answer may have: as many as fit if they are like those before.
#[derive(Debug)]
pub(crate) struct Pages {
    bytes_max: u64,
    rows_max: usize,
    rows: usize,
}

impl Pages {
    /// Rows of the next page.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Learns from a page how large rows are.
    pub(crate) fn learn(&mut self, page: &Page) {
        let largest = page.entities.iter().map(|entity| size_of_val(entity) + entity.canonical().len()).max();
        let Some(largest) = largest else { return };
        let fit = usize::try_from(self.bytes_max / largest as u64).unwrap_or(usize::MAX);
        self.rows = fit.min(self.rows.saturating_mul(8)).clamp(1, self.rows_max);
    }
}

#[cfg(test)]
mod tests {
    use statlas_lab::Generator;
    use statlas_store::{Location, Options, Query, Store};

    use super::{Allowance, BYTES_MIN};
    use crate::pipeline::Room;

    #[test]
    fn little_memory_makes_items_smaller_and_fewer() {
        let small = Allowance::for_budget(16 << 20);
        assert_eq!(small.bytes, (16 << 20) / 10);
        assert_eq!(small.room(3), Room { items: 3, bytes: small.bytes });
        assert_eq!(small.room(100).items, 6, "more processors don't take more memory");
        assert!(small.item_bytes(3, 16 << 20) as u64 * 3 <= small.bytes);
        assert_eq!(Allowance::for_budget(1).bytes, BYTES_MIN);
        for plenty in [0, 64 << 30] {
            let plenty = Allowance::for_budget(plenty);
            assert_eq!((plenty.room(3).items, plenty.item_bytes(3, 16 << 20)), (3, 16 << 20));
        }
    }

    #[test]
    fn pages_of_large_rows_have_few_rows() {
        let store = Store::open(&Location::Memory, &Options::default()).expect("a store");
        for number in 0..2000 {
            store.put(Generator::new(1, None).entity(number)).expect("it is valid");
        }
        let page = |rows| store.engine().find(&Query { limit: rows, ..Query::default() }).expect("a page");
        let mut pages = Allowance::for_budget(16 << 20).pages(10_000);
        for _ in 0..10 {
            pages.learn(&page(pages.rows()));
        }
        let rows = pages.rows();
        assert!((200..10_000).contains(&rows), "{rows}");
        let bytes: usize = page(rows).entities.iter().map(|entity| entity.canonical().len()).sum();
        assert!(bytes as u64 <= Allowance::for_budget(16 << 20).bytes);
        let mut plenty = Allowance::for_budget(0).pages(10_000);
        for _ in 0..10 {
            plenty.learn(&page(plenty.rows()));
        }
        assert_eq!(plenty.rows(), 10_000);
    }
}
