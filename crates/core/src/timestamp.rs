//! Points in time with millisecond resolution, in the one form that is hashed.

use std::fmt;

use crate::float::two_digits;
use crate::{EntityError, EntityErrorKind};

/// Milliseconds since 1970-01-01T00:00:00Z, between the years 1 and 9999.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

const MS_PER_DAY: i64 = 86_400_000;
/// 0001-01-01T00:00:00.000Z.
const MS_MIN: i64 = days_from_civil(1, 1, 1) * MS_PER_DAY;
/// 9999-12-31T23:59:59.999Z.
const MS_MAX: i64 = (days_from_civil(9999, 12, 31) + 1) * MS_PER_DAY - 1;
const ALLOWED: &str = "RFC 3339 with an explicit offset, such as 2025-01-01T00:00:00Z or 2025-01-01 05:30:00.5+05:30, years 0001 to 9999";

impl Timestamp {
    /// The time `ms` milliseconds after 1970-01-01T00:00:00Z, or `None` outside the years 1 to 9999.
    #[must_use]
    pub const fn from_unix_ms(ms: i64) -> Option<Self> {
        if ms < MS_MIN || ms > MS_MAX { None } else { Some(Self(ms)) }
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn unix_ms(self) -> i64 {
        self.0
    }

    /// Reads RFC 3339 with an explicit offset; a fraction of any length is truncated to milliseconds.
    ///
    /// # Errors
    ///
    /// [`EntityErrorKind::Timestamp`] for anything else: a naive time, a date alone, the basic format,
    /// lower-case letters, a leap second, a day that no calendar has, a year outside 1 to 9999.
    pub fn parse(text: &str) -> Result<Self, EntityError> {
        parse(text.as_bytes())
            .ok_or_else(|| EntityError::new(EntityErrorKind::Timestamp, "", format!("{text:?}"), ALLOWED))
    }

    /// `YYYY-MM-DDTHH:MM:SS.mmmZ` as ASCII, without an allocation.
    #[must_use]
    pub fn to_ascii(self) -> [u8; 24] {
        let (year, month, day) = civil_from_days(self.0.div_euclid(MS_PER_DAY));
        // A day has fewer milliseconds than 32 bits count, and a year fewer digits than that.
        let (ms, year) = (self.0.rem_euclid(MS_PER_DAY) as u32, year as u32);
        let mut text = *b"0000-00-00T00:00:00.000Z";
        let pairs = [
            (0, year / 100),
            (2, year % 100),
            (5, month as u32),
            (8, day as u32),
            (11, ms / 3_600_000),
            (14, ms / 60_000 % 60),
            (17, ms / 1000 % 60),
            (20, ms % 1000 / 10),
        ];
        for (at, value) in pairs {
            text[at..at + 2].copy_from_slice(&two_digits(value));
        }
        text[22] = b'0' + (ms % 10) as u8;
        text
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(std::str::from_utf8(&self.to_ascii()).unwrap_or_default())
    }
}

fn parse(text: &[u8]) -> Option<Timestamp> {
    let (date, rest) = text.split_at_checked(10)?;
    let (clock, rest) = rest.split_at_checked(9)?;
    let punctuation = [date[4], date[7], clock[3], clock[6]];
    if punctuation != *b"--::" || !matches!(clock[0], b'T' | b' ') {
        return None;
    }
    let (year, month, day) = (digits(&date[0..4])?, digits(&date[5..7])?, digits(&date[8..10])?);
    let (hour, minute, second) = (digits(&clock[1..3])?, digits(&clock[4..6])?, digits(&clock[7..9])?);
    let real_day = year >= 1 && (1..=12).contains(&month) && (1..=days_in_month(year, month)).contains(&day);
    if !real_day || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let (fraction_ms, offset) = fraction(rest)?;
    let offset_minutes = match offset {
        b"Z" => 0,
        [sign @ (b'+' | b'-'), zone @ ..] if zone.len() == 5 && zone[2] == b':' => {
            let (hours, minutes) = (digits(&zone[0..2])?, digits(&zone[3..5])?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            (hours * 60 + minutes) * if *sign == b'-' { -1 } else { 1 }
        }
        _ => return None,
    };
    let seconds = hour * 3600 + minute * 60 + second - offset_minutes * 60;
    Timestamp::from_unix_ms(days_from_civil(year, month, day) * MS_PER_DAY + seconds * 1000 + fraction_ms)
}

/// The milliseconds of an optional fraction, truncated, and what follows it.
fn fraction(text: &[u8]) -> Option<(i64, &[u8])> {
    let Some(after) = text.strip_prefix(b".") else { return Some((0, text)) };
    let len = after.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = after.split_at(len);
    let digit = |at: usize| i64::from(digits.get(at).map_or(0, |byte| byte - b'0'));
    (len > 0).then(|| (digit(0) * 100 + digit(1) * 10 + digit(2), rest))
}

fn digits(text: &[u8]) -> Option<i64> {
    text.iter().try_fold(0, |value, byte| byte.is_ascii_digit().then(|| value * 10 + i64::from(byte - b'0')))
}

const fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

const fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days before each month, counted in a year that begins in March, so that the leap day comes last.
const DAYS_BEFORE_MONTH: [i64; 12] = [0, 31, 61, 92, 122, 153, 184, 214, 245, 275, 306, 337];
/// Days of 400 years of the proleptic Gregorian calendar.
const DAYS_PER_ERA: i64 = 146_097;
/// From 0000-03-01 to 1970-01-01.
const DAYS_TO_EPOCH: i64 = 719_468;

/// Days from 1970-01-01 to a date of the proleptic Gregorian calendar.
const fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let leap_days = of_era / 4 - of_era / 100;
    era * DAYS_PER_ERA + of_era * 365 + leap_days + DAYS_BEFORE_MONTH[month as usize] + day
        - 1
        - DAYS_TO_EPOCH
}

/// The date `days` after 1970-01-01: year, month, day.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + DAYS_TO_EPOCH;
    let (era, of_era) = (shifted.div_euclid(DAYS_PER_ERA), shifted.rem_euclid(DAYS_PER_ERA));
    // 1460 days are four years without their leap day, 36524 a century, 146096 an era.
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (year * 365 + year / 4 - year / 100);
    let month = DAYS_BEFORE_MONTH.partition_point(|before| *before <= of_year) as i64 - 1;
    let day = of_year - DAYS_BEFORE_MONTH[month as usize] + 1;
    let (month, year) = if month < 10 { (month + 3, year) } else { (month - 9, year + 1) };
    (era * 400 + year, month, day)
}

#[cfg(test)]
mod tests {
    use super::Timestamp;

    fn canonical(text: &str) -> Option<String> {
        Timestamp::parse(text).ok().map(|time| time.to_string())
    }

    #[test]
    fn offsets_are_applied_and_fractions_truncated() {
        for (input, expected) in [
            ("1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000Z"),
            ("2025-01-01 05:30:00+05:30", "2025-01-01T00:00:00.000Z"),
            ("2024-02-29T23:59:59.9999999999Z", "2024-02-29T23:59:59.999Z"),
            ("2024-12-31T23:59:59.5-00:01", "2025-01-01T00:00:59.500Z"),
            ("1969-12-31T23:59:59.9994Z", "1969-12-31T23:59:59.999Z"),
            ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000Z"),
            ("9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999Z"),
            ("2000-02-29T12:00:00-23:59", "2000-03-01T11:59:00.000Z"),
        ] {
            assert_eq!(canonical(input).as_deref(), Some(expected), "{input}");
        }
    }

    #[test]
    fn everything_else_is_refused() {
        for input in [
            "",
            "2025-01-01",
            "2025-01-01T00:00:00",
            "2025-01-01T00:00Z",
            "20250101T000000Z",
            "2025-01-01T00:00:00z",
            "2025-01-01t00:00:00Z",
            "2025-01-01T00:00:00,5Z",
            "2025-01-01T00:00:00.Z",
            "2025-01-01T24:00:00Z",
            "2025-01-01T23:59:60Z",
            "2025-02-29T00:00:00Z",
            "1900-02-29T00:00:00Z",
            "2025-13-01T00:00:00Z",
            "2025-00-01T00:00:00Z",
            "2025-04-31T00:00:00Z",
            "0000-12-31T00:00:00Z",
            "2025-01-01T00:00:00+0530",
            "2025-01-01T00:00:00+05",
            "2025-01-01T00:00:00+05:30:00",
            "2025-01-01T00:00:00+24:00",
            "2025-01-01T00:00:00+05:60",
            "2025-01-01T00:00:00Z ",
            " 2025-01-01T00:00:00Z",
            "0001-01-01T00:00:00+00:01",
            "9999-12-31T23:59:59-00:01",
            "2025-W01-1T00:00:00Z",
            "+2025-01-01T00:00:00Z",
            "2025-01-01  00:00:00Z",
            "2025-01-01T00:00:00 Z",
            "２025-01-01T00:00:00Z",
        ] {
            assert_eq!(canonical(input), None, "{input:?}");
        }
    }

    #[test]
    fn every_day_of_the_calendar_round_trips_in_order() {
        let mut expected = (1_i64, 1_i64, 1_i64);
        let (mut day, last) = (super::days_from_civil(1, 1, 1), super::days_from_civil(9999, 12, 31));
        while day <= last {
            assert_eq!(super::civil_from_days(day), expected);
            assert_eq!(super::days_from_civil(expected.0, expected.1, expected.2), day);
            expected.2 += 1;
            if expected.2 > super::days_in_month(expected.0, expected.1) {
                expected =
                    if expected.1 == 12 { (expected.0 + 1, 1, 1) } else { (expected.0, expected.1 + 1, 1) };
            }
            day += 1;
        }
        assert_eq!(expected, (10_000, 1, 1));
    }
}
