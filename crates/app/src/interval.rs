//! Intervals and lists as they are written on the command line.

use std::fmt::Display;
use std::str::FromStr;

use statlas_core::{Identifier, Timestamp};
use statlas_store::Interval;

/// What an interval may look like, for help and messages.
const ALLOWED: &str = "A..B, A.., ..B or a single value, both ends included";

/// Reads `A..B`, `A..`, `..B` or `A`.
pub(crate) fn integers(text: &str) -> Result<Interval<u32>, String> {
    interval(text, |end| end.parse().map_err(|_| "an integer from 0 to 4294967295".to_owned()))
}

/// Reads `A..B`, `A..`, `..B` or `A`; the ends are finite.
pub(crate) fn floats(text: &str) -> Result<Interval<f64>, String> {
    interval(text, |end| {
        f64::from_str(end).ok().filter(|value| value.is_finite()).ok_or_else(|| "a finite number".to_owned())
    })
}

/// Reads `A..B`, `A..`, `..B` or `A`, each an RFC 3339 time with an offset.
pub(crate) fn timestamps(text: &str) -> Result<Interval<Timestamp>, String> {
    interval(text, |end| Timestamp::parse(end).map_err(|error| error.allowed().to_owned()))
}

/// Reads an identifier: a realm, a horizon or an entity type.
pub(crate) fn identifier(text: &str) -> Result<Identifier, String> {
    Identifier::new(text).ok_or_else(|| format!("found {text:?}; allowed: {}", Identifier::ALLOWED))
}

fn interval<T: PartialOrd + Copy>(
    text: &str,
    read: impl Fn(&str) -> Result<T, String>,
) -> Result<Interval<T>, String> {
    let end = |part: &str| match part.trim() {
        "" => Ok(None),
        part => read(part).map(Some).map_err(|allowed| refused(text, format!("{part:?} is not {allowed}"))),
    };
    let interval = match text.split_once("..") {
        Some((min, max)) => Interval { min: end(min)?, max: end(max)? },
        None => {
            let only = end(text)?;
            Interval { min: only, max: only }
        }
    };
    match (interval.min, interval.max) {
        (None, None) => Err(refused(text, "neither end is given")),
        (Some(min), Some(max)) if min > max => Err(refused(text, "the first end is larger than the second")),
        _ => Ok(interval),
    }
}

fn refused(text: &str, why: impl Display) -> String {
    format!("found {text:?}: {why}; allowed: {ALLOWED}")
}

#[cfg(test)]
mod tests {
    use statlas_store::Interval;

    use super::{floats, integers, timestamps};

    #[test]
    fn an_interval_is_two_ends_one_or_a_single_value() {
        assert_eq!(integers("3..7"), Ok(Interval { min: Some(3), max: Some(7) }));
        assert_eq!(integers("3.."), Ok(Interval { min: Some(3), max: None }));
        assert_eq!(integers("..7"), Ok(Interval { min: None, max: Some(7) }));
        assert_eq!(integers("5"), Ok(Interval { min: Some(5), max: Some(5) }));
        assert_eq!(floats("-1..-0.5"), Ok(Interval { min: Some(-1.0), max: Some(-0.5) }));
        assert_eq!(floats("1e-3..1."), Ok(Interval { min: Some(0.001), max: Some(1.0) }));
        let year = timestamps("2024-01-01T00:00:00Z..2025-01-01T00:00:00+01:00").expect("an interval");
        assert_eq!(year.max.map(|time| time.to_string()).as_deref(), Some("2024-12-31T23:00:00.000Z"));
    }

    #[test]
    fn what_is_no_interval_is_refused_with_a_reason() {
        for text in ["", "..", "7..3", "a..b", "-1", "1.5", "1..2..3", "4294967296"] {
            assert!(integers(text).is_err(), "{text:?}");
        }
        for text in ["NaN", "nan..1", "inf..", "..-inf", "1..x"] {
            assert!(floats(text).is_err(), "{text:?}");
        }
        assert!(timestamps("2024-01-01").is_err());
    }
}
