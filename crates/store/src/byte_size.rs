//! Sizes as people write them.

use std::str::FromStr;

use crate::error::{Error, ErrorKind};

/// A number of bytes. It is read from digits, with a unit of 1024 behind them if wanted.
///
/// ```
/// use statlas_store::ByteSize;
///
/// assert_eq!("256MiB".parse::<ByteSize>()?, ByteSize(256 << 20));
/// assert_eq!("1000".parse::<ByteSize>()?, ByteSize(1000));
/// # Ok::<(), statlas_store::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

/// Every unit and the bytes that it stands for.
const UNITS: [(&str, u64); 4] = [("", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];

impl FromStr for ByteSize {
    type Err = Error;

    /// # Errors
    ///
    /// [`ErrorKind::Invalid`], with what is wrong and what is allowed.
    fn from_str(text: &str) -> Result<Self, Error> {
        let refused = |why: &str| {
            let message = format!(
                "found {text:?}, {why}; allowed: a whole number of bytes, or one with the unit KiB, MiB or GiB, \
                 such as 256MiB"
            );
            Err(Error::new(ErrorKind::Invalid, message))
        };
        let text = text.trim();
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (digits, unit) = text.split_at(digits);
        let unit = unit.trim_start();
        if digits.is_empty() {
            return refused("which does not begin with a number");
        }
        if unit.starts_with(['.', ',']) {
            return refused("which is not a whole number");
        }
        let Some((_, factor)) = UNITS.iter().find(|(name, _)| *name == unit) else {
            return refused(&format!("of which {unit:?} is no unit"));
        };
        match digits.parse().ok().and_then(|number: u64| number.checked_mul(*factor)) {
            Some(bytes) => Ok(Self(bytes)),
            None => refused("which is too large"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ByteSize;

    #[test]
    fn sizes_are_whole_numbers_with_a_unit_if_wanted() {
        let bytes = |text: &str| text.parse::<ByteSize>().ok().map(|size| size.0);
        assert_eq!(
            ["0", "17", "2KiB", "3 MiB", " 4GiB "].map(bytes),
            [0, 17, 2 << 10, 3 << 20, 4 << 30].map(Some)
        );
        for (text, said) in [
            ("abc", "does not begin with a number"),
            ("", "does not begin with a number"),
            ("-1", "does not begin with a number"),
            ("1.5GiB", "is not a whole number"),
            ("5MB", "\"MB\" is no unit"),
            ("99999999999999999999", "too large"),
            ("18446744073709551615KiB", "too large"),
        ] {
            let error = text.parse::<ByteSize>().expect_err(text).to_string();
            assert!(error.contains(said) && error.contains("256MiB"), "{text}: {error}");
        }
    }
}
