//! Figures with their units, as people read and write them.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

/// What a figure counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// A length of time.
    Seconds,
    /// A rate.
    PerSecond,
    /// An amount of memory or of storage.
    Bytes,
    /// Bytes a second.
    BytesPerSecond,
    /// A number of things.
    Count,
    /// How many times one figure is another.
    Times,
    /// A share, from 0 to 1.
    Share,
}

/// Names of times, and their nanoseconds.
const TIMES: [(&str, f64); 5] = [("ns", 1e-9), ("us", 1e-6), ("ms", 1e-3), ("s", 1.0), ("min", 60.0)];
/// Names of amounts, and their bytes.
const AMOUNTS: [(&str, f64); 4] =
    [("B", 1.0), ("KiB", 1024.0), ("MiB", 1_048_576.0), ("GiB", 1_073_741_824.0)];
/// What is written behind large numbers.
const MULTIPLES: [(&str, f64); 4] = [("", 1.0), ("K", 1e3), ("M", 1e6), ("G", 1e9)];

impl Unit {
    /// A figure with three digits and its unit: `12.3 us`, `1.48 M/s`, `61.0 MiB`, `97.3 %`.
    #[must_use]
    pub fn format(self, value: f64) -> String {
        match self {
            Self::Seconds => scaled(value, &TIMES[..4], " "),
            Self::Bytes => scaled(value, &AMOUNTS, " "),
            Self::BytesPerSecond => scaled(value, &AMOUNTS, " ") + "/s",
            Self::PerSecond => scaled(value, &MULTIPLES, " ").trim_end().to_owned() + "/s",
            Self::Count if value.fract() == 0.0 && value.abs() < 1e15 => grouped(value),
            Self::Count => digits(value),
            Self::Times => digits(value) + " times",
            Self::Share => digits(value * 100.0) + " %",
        }
    }

    /// Reads what [`format`](Self::format) writes, and what people write: `5us`, `10000/s`, `64 MiB`, `1 %`.
    ///
    /// # Errors
    ///
    /// What is wrong, and what is allowed.
    pub fn parse(self, text: &str) -> Result<f64, String> {
        let refused = || format!("found {text:?}; allowed: {}", self.allowed());
        let compact: String = text.chars().filter(|c| !c.is_whitespace() && *c != ',').collect();
        let end = compact.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(compact.len());
        let (number, rest) = compact.split_at(end);
        let number: f64 = number.parse().map_err(|_| refused())?;
        let factor = |names: &[(&str, f64)], name: &str| {
            names.iter().find(|(unit, _)| *unit == name).map(|(_, factor)| *factor).ok_or_else(refused)
        };
        let factor = match self {
            Self::Seconds => factor(&TIMES, rest)?,
            Self::Bytes => factor(&AMOUNTS, if rest.is_empty() { "B" } else { rest })?,
            Self::BytesPerSecond => factor(&AMOUNTS, rest.strip_suffix("/s").ok_or_else(refused)?)?,
            Self::PerSecond => factor(&MULTIPLES, rest.strip_suffix("/s").unwrap_or(rest))?,
            Self::Count => factor(&MULTIPLES, rest)?,
            Self::Times if rest.is_empty() || rest == "times" => 1.0,
            Self::Share if rest == "%" => 0.01,
            Self::Share if rest.is_empty() => 1.0,
            Self::Times | Self::Share => return Err(refused()),
        };
        Ok(number * factor)
    }

    fn allowed(self) -> &'static str {
        match self {
            Self::Seconds => "a time such as 500ns, 5us, 1.5ms, 30s or 2min",
            Self::Bytes => "an amount such as 4096, 64KiB, 512MiB or 1.5GiB",
            Self::BytesPerSecond => "a rate such as 200MiB/s",
            Self::PerSecond => "a rate such as 1500/s, 20K/s or 1.5M/s",
            Self::Count => "a number such as 0, 1500, 20K or 1M",
            Self::Times => "a number such as 1.5",
            Self::Share => "a share such as 0.05 or 5%",
        }
    }
}

/// Nanoseconds of a histogram in seconds.
pub(crate) fn nanoseconds(count: u64) -> f64 {
    count as f64 * 1e-9
}

fn scaled(value: f64, units: &[(&str, f64)], between: &str) -> String {
    // What would be written as 1000 of a unit is one of the next.
    let fits = |factor: f64| value.abs() >= factor * 0.9995;
    let (name, factor) = units.iter().rev().find(|(_, factor)| fits(*factor)).unwrap_or(&units[0]);
    format!("{}{between}{name}", digits(value / factor))
}

/// Three digits, and no zeros behind the point that say nothing.
fn digits(value: f64) -> String {
    let size = value.abs();
    let decimals = match size {
        _ if size == 0.0 || !size.is_finite() => 0,
        _ if size >= 99.95 => 0,
        _ if size >= 9.995 => 1,
        _ if size >= 0.9995 => 2,
        _ if size >= 0.0995 => 3,
        _ => 4,
    };
    format!("{value:.decimals$}")
}

/// A whole number in groups of three digits.
fn grouped(value: f64) -> String {
    let plain = format!("{:.0}", value.abs());
    let mut text = String::new();
    if value < 0.0 {
        text.push('-');
    }
    for (at, digit) in plain.chars().enumerate() {
        if at > 0 && (plain.len() - at) % 3 == 0 {
            text.push(',');
        }
        let _never = text.write_char(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::Unit;

    #[test]
    fn figures_are_written_with_three_digits_and_a_unit() {
        let cases = [
            (Unit::Seconds, 1.234e-7, "123 ns"),
            (Unit::Seconds, 9.999e-7, "1.00 us"),
            (Unit::Seconds, 0.0, "0 ns"),
            (Unit::Seconds, 75.25, "75.2 s"),
            (Unit::PerSecond, 1_480_000.0, "1.48 M/s"),
            (Unit::PerSecond, 404.0, "404/s"),
            (Unit::Bytes, 64_000_000.0, "61.0 MiB"),
            (Unit::BytesPerSecond, 2048.0, "2.00 KiB/s"),
            (Unit::Count, 1_234_567.0, "1,234,567"),
            (Unit::Count, 1.5, "1.50"),
            (Unit::Times, 1.06, "1.06 times"),
            (Unit::Share, 0.973, "97.3 %"),
        ];
        for (unit, value, text) in cases {
            assert_eq!(unit.format(value), text);
            let read = unit.parse(text).expect("what is written is read");
            assert!((read - value).abs() <= value * 0.006, "{text}: {read}");
        }
    }

    #[test]
    fn what_has_no_unit_or_a_wrong_one_is_refused() {
        let wrong = [
            (Unit::Seconds, "5"),
            (Unit::Seconds, "us"),
            (Unit::Seconds, "-5us"),
            (Unit::Seconds, "5 parsecs"),
            (Unit::Bytes, "5ms"),
            (Unit::BytesPerSecond, "5MiB"),
            (Unit::PerSecond, "nan"),
            (Unit::Share, "5 times"),
            (Unit::Times, "1..5"),
        ];
        for (unit, text) in wrong {
            let error = unit.parse(text).expect_err(text);
            assert!(error.contains("allowed: ") && error.contains(text), "{error}");
        }
    }
}
