//! Axes: which values they show, and at which round ones they have a mark.

use crate::quantity::Unit;

/// Values beyond this can't be drawn: sums of them are no numbers.
const DRAWN_MAX: f64 = 1e300;
/// And on a logarithmic axis, values below this: their ratios are no numbers.
const LOGARITHMIC_MIN: f64 = 1e-30;
/// A mark has room for so many letters.
const LETTERS_MAX: usize = 11;
/// Seconds of a minute and of an hour.
const MINUTE: f64 = 60.0;
const HOUR: f64 = 3600.0;
/// About so many marks has an axis.
const MARKS: f64 = 5.0;

/// An axis.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Scale {
    from: f64,
    to: f64,
    is_logarithmic: bool,
    /// Where it has a mark, and what is written there.
    pub(crate) marks: Vec<(f64, String)>,
}

impl Scale {
    /// An axis on which equal differences are equally long, from the first value to the last.
    /// `None` if there is nothing that can be drawn.
    pub(crate) fn exact(values: impl IntoIterator<Item = f64>, unit: Unit) -> Option<Self> {
        let (from, to) = range(values)?;
        let (from, to) = if from < to { (from, to) } else { around(from) };
        let step = round_step((to - from) / MARKS, unit);
        Some(Self::with_marks(from, to, multiples(from, to, step), unit))
    }

    /// The same for heights: it begins at 0 unless values lie below, and ends at a mark.
    pub(crate) fn from_zero(values: impl IntoIterator<Item = f64>, unit: Unit) -> Option<Self> {
        let (from, to) = range(values)?;
        let (from, to) = (from.min(0.0), to.max(0.0));
        let to = if from < to { to } else { 1.0 };
        let step = round_step((to - from) / MARKS, unit);
        let (from, to) = ((from / step).floor() * step, (to / step).ceil() * step);
        Some(Self::with_marks(from, to, multiples(from, to, step), unit))
    }

    /// An axis on which equal ratios are equally long. `None` if there is nothing above 0.
    pub(crate) fn logarithmic(values: impl IntoIterator<Item = f64>, unit: Unit) -> Option<Self> {
        let (from, to) = range(values.into_iter().filter(|value| *value >= LOGARITHMIC_MIN))?;
        let (from, to) = if to > from * 1.2 { (from, to) } else { (from / 1.5, to * 1.5) };
        let (marks, from, to) = match unit {
            Unit::Bytes | Unit::BytesPerSecond => powers_of_two(from, to),
            _ => decades(from, to),
        };
        Some(Self { is_logarithmic: true, ..Self::with_marks(from, to, marks, unit) })
    }

    /// An axis of percentiles: each further nine is as long as the one before. Values are numbers of nines.
    pub(crate) fn nines(most: f64) -> Self {
        let most = most.clamp(1.0, 12.0);
        let whole = (1..=most as i32).map(f64::from);
        let marks = [-(0.5_f64.log10())].into_iter().chain(whole);
        let marks = marks.map(|nines| (nines, share_text(share_of(nines)))).collect();
        Self { from: 0.0, to: most, is_logarithmic: false, marks }
    }

    fn with_marks(from: f64, to: f64, marks: Vec<f64>, unit: Unit) -> Self {
        let mut named: Vec<(f64, String)> = Vec::new();
        for mark in marks {
            let name = short(unit, mark);
            if named.last().is_none_or(|(_, last)| *last != name) {
                named.push((mark, name));
            }
        }
        Self { from, to, is_logarithmic: false, marks: named }
    }

    /// Where a value lies, from 0 at the beginning to 1 at the end; `None` if it can't be drawn here.
    pub(crate) fn position(&self, value: f64) -> Option<f64> {
        if !is_drawn(value) || (self.is_logarithmic && value < LOGARITHMIC_MIN) {
            return None;
        }
        let position = if self.is_logarithmic {
            (value.log10() - self.from.log10()) / (self.to.log10() - self.from.log10())
        } else {
            (value - self.from) / (self.to - self.from)
        };
        Some(position.clamp(0.0, 1.0))
    }
}

/// A figure with its unit, without zeros that say nothing: `5 ms` and not `5.00 ms`.
pub(crate) fn short(unit: Unit, value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let text = match unit {
        Unit::Seconds if value >= 2.0 * HOUR && value % HOUR == 0.0 => format!("{} h", value / HOUR),
        Unit::Seconds if value >= 2.0 * MINUTE && value % MINUTE == 0.0 => format!("{} min", value / MINUTE),
        Unit::Count if value.abs() >= 1e4 => Unit::PerSecond.format(value).trim_end_matches("/s").to_owned(),
        unit => unit.format(value),
    };
    let end = text.find(|c: char| !(c.is_ascii_digit() || "-.,".contains(c))).unwrap_or(text.len());
    let (number, name) = text.split_at(end);
    if text.len() > LETTERS_MAX || !number.contains(|c| ('1'..='9').contains(&c)) {
        return with_power(unit, value);
    }
    let number =
        if number.contains('.') { number.trim_end_matches('0').trim_end_matches('.') } else { number };
    format!("{number}{name}")
}

/// What is too large or too small for the names of units: `1.5e20 s`.
fn with_power(unit: Unit, value: f64) -> String {
    let (value, name) = match unit {
        Unit::Seconds => (value, " s"),
        Unit::PerSecond => (value, "/s"),
        Unit::Bytes => (value, " B"),
        Unit::BytesPerSecond => (value, " B/s"),
        Unit::Count => (value, ""),
        Unit::Times => (value, " times"),
        Unit::Share => (value * 100.0, " %"),
    };
    format!("{}{name}", format!("{value:.1e}").replace(".0e", "e"))
}

/// The number of nines of a share: 1 of 0.9, 2 of 0.99.
pub(crate) fn nines_of(share: f64) -> f64 {
    -(1.0 - share).log10()
}

fn share_of(nines: f64) -> f64 {
    1.0 - 10.0_f64.powf(-nines)
}

/// A share of which the nines matter: `99.99 %`.
pub(crate) fn share_text(share: f64) -> String {
    // Three digits, nines not counted.
    let decimals = (nines_of(share) + 1.1).clamp(0.0, 12.0) as usize;
    let text = format!("{:.decimals$}", share * 100.0);
    let text = if decimals > 0 { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text} %")
}

/// `p99.9` of 0.999.
pub(crate) fn percentile_name(share: f64) -> String {
    format!("p{}", share_text(share).trim_end_matches(" %"))
}

fn is_drawn(value: f64) -> bool {
    value.is_finite() && value.abs() <= DRAWN_MAX
}

fn range(values: impl IntoIterator<Item = f64>) -> Option<(f64, f64)> {
    let values = values.into_iter().filter(|value| is_drawn(*value));
    values.fold(None, |range, value| {
        let (from, to) = range.unwrap_or((value, value));
        Some((value.min(from), value.max(to)))
    })
}

/// An interval around one value.
fn around(value: f64) -> (f64, f64) {
    match value.abs() {
        size if size < f64::MIN_POSITIVE => (0.0, 1.0),
        size => (value - size / 2.0, value + size / 2.0),
    }
}

/// The next round step: 1, 2 or 5 times a power of ten, of bytes a power of two, and of what is counted no part of
/// one.
fn round_step(least: f64, unit: Unit) -> f64 {
    let least = least.max(1e-300);
    match unit {
        Unit::Bytes | Unit::BytesPerSecond => least.log2().ceil().max(0.0).exp2(),
        Unit::Count => decimal_step(least.max(1.0)),
        Unit::Seconds if least >= MINUTE => minutes_step(least),
        _ => decimal_step(least),
    }
}

/// The next round number of minutes, hours or days.
fn minutes_step(least: f64) -> f64 {
    let minutes = [1.0, 2.0, 5.0, 10.0, 20.0, 30.0].map(|minutes| minutes * MINUTE);
    let hours = [1.0, 2.0, 3.0, 6.0, 12.0, 24.0].map(|hours| hours * HOUR);
    let found = minutes.into_iter().chain(hours).find(|step| *step >= least * 0.999_999);
    found.unwrap_or_else(|| decimal_step(least / (24.0 * HOUR)) * 24.0 * HOUR)
}

fn decimal_step(least: f64) -> f64 {
    let power = 10.0_f64.powf(least.log10().floor());
    // A little less is enough: 0.1 is not exact in binary.
    let factor = [1.0, 2.0, 5.0].into_iter().find(|factor| factor * power >= least * 0.999_999);
    factor.unwrap_or(10.0) * power
}

/// The multiples of a step from one value to another.
fn multiples(from: f64, to: f64, step: f64) -> Vec<f64> {
    let (first, last) = ((from / step - 1e-9).ceil(), (to / step + 1e-9).floor());
    // There are about as many as an axis has marks.
    (0..=(last - first).clamp(0.0, 100.0) as u32).map(|n| (first + f64::from(n)) * step).collect()
}

/// Marks of a logarithmic axis, and its ends: powers of ten, with 2 and 5 between few of them.
fn decades(from: f64, to: f64) -> (Vec<f64>, f64, f64) {
    let (low, high) = (from.log10() + 1e-9, to.log10() - 1e-9);
    let wide = high - low;
    if wide < 0.7 {
        // Less than from 1 to 5: marks at equal differences, closer to each other higher up.
        let step = decimal_step((to - from) / MARKS);
        let (from, to) = (((from / step).floor() * step).max(from * 0.8), (to / step).ceil() * step);
        return (multiples(from, to, step), from, to);
    }
    let factors: &[f64] = if wide > 2.5 { &[1.0] } else { &[1.0, 2.0, 5.0] };
    let stride = (wide / 8.0).ceil().max(1.0) as usize;
    let decades = (low.floor() as i32..=high.ceil() as i32).step_by(stride);
    let all = decades.flat_map(|power| factors.iter().map(move |factor| factor * 10.0_f64.powi(power)));
    between(&all.collect::<Vec<_>>(), from, to)
}

/// The same of bytes.
fn powers_of_two(from: f64, to: f64) -> (Vec<f64>, f64, f64) {
    let (low, high) = ((from.log2() + 1e-9).floor(), (to.log2() - 1e-9).ceil());
    let stride = [1.0, 2.0, 5.0, 10.0, 20.0].into_iter().find(|stride| (high - low) / stride <= 6.0);
    let stride = stride.unwrap_or_else(|| ((high - low) / 60.0).ceil() * 10.0);
    let first = (low / stride).floor();
    let count = ((high / stride).ceil() - first).clamp(1.0, 100.0) as u32;
    let all: Vec<f64> = (0..=count).map(|n| ((first + f64::from(n)) * stride).exp2()).collect();
    between(&all, from, to)
}

/// The marks from the last one that is not above the values to the first one that is not below them, which are the
/// ends.
fn between(marks: &[f64], from: f64, to: f64) -> (Vec<f64>, f64, f64) {
    let below = marks.iter().rposition(|mark| *mark <= from * (1.0 + 1e-9)).unwrap_or(0);
    let above = marks.iter().position(|mark| *mark >= to * (1.0 - 1e-9)).unwrap_or(marks.len() - 1);
    let inner = &marks[below..=above.max(below)];
    let (first, last) = (inner.first().copied().unwrap_or(from), inner.last().copied().unwrap_or(to));
    (inner.to_vec(), first.min(from), last.max(to))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(scale: Option<Scale>) -> Vec<String> {
        scale.expect("there is something to show").marks.into_iter().map(|(_, name)| name).collect()
    }

    #[test]
    fn marks_stand_at_round_values() {
        let cases: [(Option<Scale>, &[&str]); 10] = [
            (
                Scale::exact((0..=10).map(f64::from), Unit::Seconds),
                &["0", "2 s", "4 s", "6 s", "8 s", "10 s"],
            ),
            (Scale::exact([0.0, 900.0], Unit::Seconds), &["0", "5 min", "10 min", "15 min"]),
            (Scale::exact([0.0, 90_000.0], Unit::Seconds), &["0", "6 h", "12 h", "18 h", "24 h"]),
            (Scale::from_zero([3.0, 1234.0], Unit::PerSecond), &["0", "500/s", "1 K/s", "1.5 K/s"]),
            (Scale::from_zero([0.31], Unit::Share), &["0", "10 %", "20 %", "30 %", "40 %"]),
            (Scale::from_zero([2.0], Unit::Count), &["0", "1", "2"]),
            (
                Scale::from_zero([100.0 * 1_048_576.0], Unit::Bytes),
                &["0", "32 MiB", "64 MiB", "96 MiB", "128 MiB"],
            ),
            (
                Scale::logarithmic([3e-6, 2e-2], Unit::Seconds),
                &["1 us", "10 us", "100 us", "1 ms", "10 ms", "100 ms"],
            ),
            (Scale::logarithmic([3e-6, 4e-5], Unit::Seconds), &["2 us", "5 us", "10 us", "20 us", "50 us"]),
            (Scale::logarithmic([3000.0, 3e7], Unit::Bytes), &["1 KiB", "32 KiB", "1 MiB", "32 MiB"]),
        ];
        for (scale, wanted) in cases {
            assert_eq!(names(scale), wanted);
        }
        assert_eq!(names(Some(Scale::nines(4.2))), ["50 %", "90 %", "99 %", "99.9 %", "99.99 %"]);
    }

    #[test]
    fn whatever_is_shown_lies_on_the_axis_and_marks_are_few_and_differ() {
        let numbers = [1e-320, 1e-9, 0.5, 1.0, 1.0001, 7.0, 123.0, 1e9, 1e15, 1e300];
        let units = [Unit::Seconds, Unit::PerSecond, Unit::Bytes, Unit::Count, Unit::Share, Unit::Times];
        for unit in units {
            for from in numbers.into_iter().chain([0.0, -3.0, -1e300]) {
                for to in numbers {
                    let values = [from, to, f64::NAN, f64::INFINITY, f64::MAX];
                    let made =
                        [Scale::exact, Scale::from_zero, Scale::logarithmic].map(|make| make(values, unit));
                    for scale in made.into_iter().flatten() {
                        let ends = [scale.position(from), scale.position(to)];
                        let all =
                            ends.into_iter().chain(scale.marks.iter().map(|(mark, _)| scale.position(*mark)));
                        for position in all.flatten() {
                            assert!((0.0..=1.0).contains(&position), "{unit:?} {from} {to} {scale:?}");
                        }
                        let mut names: Vec<_> = scale.marks.iter().map(|(_, name)| name).collect();
                        assert!(names.len() <= 12, "{unit:?} {from} {to} {scale:?}");
                        names.dedup();
                        assert_eq!(names.len(), scale.marks.len(), "{unit:?} {from} {to} {scale:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn what_can_not_be_drawn_has_no_place() {
        for values in [vec![], vec![f64::NAN], vec![f64::NEG_INFINITY, f64::MAX]] {
            assert_eq!(Scale::exact(values.clone(), Unit::Seconds), None);
            assert_eq!(Scale::from_zero(values, Unit::Seconds), None);
        }
        assert_eq!(Scale::logarithmic([0.0, -1.0], Unit::Seconds), None);
        let scale = Scale::logarithmic([0.0, 1.0, 10.0], Unit::Seconds).expect("two are above 0");
        assert_eq!((scale.position(0.0), scale.position(f64::NAN)), (None, None));
        assert!(scale.position(10.0).is_some_and(|position| (position - 1.0).abs() < 1e-9));
        // One value alone stands in the middle, and zeros on the ground.
        let one = Scale::exact([5.0], Unit::Seconds).expect("there is one");
        assert_eq!(one.position(5.0), Some(0.5));
        let zeros = Scale::from_zero([0.0, 0.0], Unit::Bytes).expect("there are two");
        assert_eq!(zeros.position(0.0), Some(0.0));
    }

    #[test]
    fn shares_have_as_many_nines_as_matter() {
        for (share, text) in [
            (0.0, "0 %"),
            (0.5, "50 %"),
            (0.9, "90 %"),
            (0.99, "99 %"),
            (0.999, "99.9 %"),
            (0.9999, "99.99 %"),
            (0.53584, "53.6 %"),
            (0.999_168, "99.9168 %"),
        ] {
            assert_eq!(share_text(share), text);
            assert_eq!(format!("{} %", &percentile_name(share)[1..]), text);
        }
        assert_eq!(short(Unit::Seconds, 2.5e-3), "2.5 ms");
        assert_eq!(short(Unit::Count, 1200.0), "1,200");
        assert_eq!(short(Unit::Count, 2.5e6), "2.5 M");
        assert_eq!(short(Unit::Seconds, 1.5e20), "1.5e20 s");
        assert_eq!(short(Unit::Share, 1e-9), "1e-7 %");
    }
}
