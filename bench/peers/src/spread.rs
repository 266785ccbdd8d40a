//! The same figure, measured several times.

/// The median, and how far the runs lie apart.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Spread {
    pub(crate) min: f64,
    pub(crate) median: f64,
    pub(crate) max: f64,
    pub(crate) count: usize,
}

impl Spread {
    /// Of at least one value.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut sorted: Vec<f64> = values.into_iter().collect();
        sorted.sort_unstable_by(f64::total_cmp);
        let (min, max) = (*sorted.first()?, *sorted.last()?);
        let middle = sorted.len() / 2;
        let median = if sorted.len() % 2 == 1 {
            sorted[middle]
        } else {
            f64::midpoint(sorted[middle - 1], sorted[middle])
        };
        Some(Self { min, median, max, count: sorted.len() })
    }
}

/// A number with three digits that matter, and thousands apart from the rest.
pub(crate) fn figure(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        size if size < 1.0 => format!("{value:.3}"),
        size if size < 10.0 => format!("{value:.2}"),
        size if size < 100.0 => format!("{value:.1}"),
        _ => {
            let digits = format!("{value:.0}");
            let groups: Vec<&[u8]> = digits.as_bytes().rchunks(3).rev().collect();
            String::from_utf8_lossy(&groups.join(&b',')).into_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Spread, figure};

    #[test]
    fn the_median_of_an_even_number_lies_in_the_middle() {
        let spread = Spread::of([4.0, 1.0, 2.0, 9.0]).expect("values");
        assert_eq!((spread.min, spread.median, spread.max), (1.0, 3.0, 9.0));
        assert_eq!(Spread::of([]), None);
    }

    #[test]
    fn figures_show_three_digits_and_thousands() {
        assert_eq!([0.123_4, 1.234, 12.34, 1_234_567.0].map(figure), ["0.123", "1.23", "12.3", "1,234,567"]);
    }
}
