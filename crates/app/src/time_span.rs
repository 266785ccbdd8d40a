//! Lengths of time as people write them.

use std::str::FromStr;
use std::time::Duration;

/// A length of time: a whole number and a unit, or 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TimeSpan(pub(crate) Duration);

impl FromStr for TimeSpan {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let number: u64 =
            number.parse().map_err(|_| "expected a whole number first, such as 30s".to_owned())?;
        let milliseconds = match unit {
            "" if number == 0 => 0,
            "ms" => 1,
            "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => {
                let allowed = "allowed: 0, or a whole number with the unit ms, s, m, h or d, such as 30s";
                return Err(allowed.to_owned());
            }
        };
        let time = number.checked_mul(milliseconds).ok_or("the number is too large")?;
        Ok(Self(Duration::from_millis(time)))
    }
}

#[cfg(test)]
mod tests {
    use super::TimeSpan;

    #[test]
    fn a_time_is_nothing_or_has_a_unit() {
        let milliseconds = |text: &str| text.parse::<TimeSpan>().ok().map(|time| time.0.as_millis());
        assert_eq!(
            ["0", "0s", "250ms", "5s", "2m", "1h", "1d"].map(milliseconds),
            [0, 0, 250, 5000, 120_000, 3_600_000, 86_400_000].map(Some)
        );
        assert_eq!(["", "5", "-1s", "s", "1w", "1.5s", "99999999999999999999s"].map(milliseconds), [None; 7]);
    }
}
