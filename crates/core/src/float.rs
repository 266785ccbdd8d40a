//! Floats as text: the shortest digits that read back, laid out as Python's `repr` does, and the
//! rounding of coordinates to eight decimals.

use std::io::Write;

use crate::limits::COORDINATE_DECIMALS;

/// 10 to the power of [`COORDINATE_DECIMALS`]; exact as a float.
const SCALE: f64 = 1e8;
/// Below this many units of the eighth decimal, a product with [`SCALE`] is off by less than 1e-5.
const SCALED_MAX: f64 = 1e11;

/// The shortest decimal that reads back as a float: `significand * 10^exponent`, without trailing zeros.
struct Decimal {
    negative: bool,
    significand: u64,
    exponent: i32,
}

impl Decimal {
    fn shortest(value: f64) -> Self {
        let mut buffer = zmij::Buffer::new();
        let (mut significand, mut exponent, mut after_point) = (0_u64, 0_i32, false);
        let mut bytes = buffer.format_finite(value).bytes();
        while let Some(byte) = bytes.next() {
            match byte {
                b'0'..=b'9' if significand >= 100_000_000_000_000_000 => {
                    // All 17 significant digits are read; zeros up to the point remain.
                    exponent += i32::from(!after_point);
                }
                b'0'..=b'9' => {
                    significand = significand * 10 + u64::from(byte - b'0');
                    exponent -= i32::from(after_point);
                }
                b'.' => after_point = true,
                b'e' => {
                    let text: String = bytes.by_ref().map(char::from).collect();
                    exponent += text.parse::<i32>().unwrap_or(0);
                }
                _ => {}
            }
        }
        Self { negative: value.is_sign_negative(), significand, exponent }.trimmed()
    }

    fn trimmed(mut self) -> Self {
        while self.significand != 0 && self.significand.is_multiple_of(10) {
            self.significand /= 10;
            self.exponent += 1;
        }
        self
    }

    /// Rounded half to even to [`COORDINATE_DECIMALS`] decimals; `None` if there are no more than those.
    fn rounded(&self) -> Option<Self> {
        let dropped = u32::try_from(-(COORDINATE_DECIMALS as i32) - self.exponent).ok().filter(|n| *n > 0)?;
        let significand = match 10_u64.checked_pow(dropped) {
            Some(unit) => {
                let (quotient, rest) = (self.significand / unit, self.significand % unit);
                let half = unit / 2;
                quotient + u64::from(rest > half || (rest == half && quotient % 2 == 1))
            }
            None => 0,
        };
        Some(Self { negative: self.negative, significand, exponent: -(COORDINATE_DECIMALS as i32) }.trimmed())
    }

    fn to_float(&self) -> f64 {
        let sign = if self.negative { "-" } else { "" };
        format!("{sign}{}e{}", self.significand, self.exponent).parse().unwrap_or(f64::NAN)
    }
}

/// `value` rounded to eight decimals, half to even on its shortest decimal form; the sign of zero stays.
///
/// The result is the float nearest to the rounded decimal. Costs about 2 ns unless the value lies
/// within 1e-13 of a tie.
#[must_use]
pub fn round_coordinate(value: f64) -> f64 {
    let scaled = value * SCALE;
    let nearest = scaled.round();
    // The product is off by less than 1e-5 units, so away from a tie its nearest integer is the answer,
    // and one correctly rounded division yields the float nearest to that decimal.
    if scaled.abs() < SCALED_MAX && ((scaled - nearest).abs() - 0.5).abs() > 1e-4 {
        return (nearest / SCALE).copysign(value);
    }
    if !value.is_finite() {
        return value;
    }
    Decimal::shortest(value).rounded().map_or(value, |rounded| rounded.to_float())
}

/// Appends a finite float as Python's `repr` prints it: the shortest digits that read back, in fixed
/// notation if and only if its decimal exponent lies in -4..16.
pub fn write_repr(value: f64, out: &mut Vec<u8>) {
    if write_hundred_millionths(value, out) {
        return;
    }
    let decimal = Decimal::shortest(value);
    if decimal.negative {
        out.push(b'-');
    }
    if decimal.significand == 0 {
        out.extend_from_slice(b"0.0");
        return;
    }
    let mut digits = [0; 20];
    let digits = ascii_digits(decimal.significand, &mut digits);
    // The point stands before digit number `point`.
    let point = digits.len() as i32 + decimal.exponent;
    match usize::try_from(point) {
        _ if !(-3..=16).contains(&point) => {
            out.push(digits[0]);
            if digits.len() > 1 {
                out.push(b'.');
                out.extend_from_slice(&digits[1..]);
            }
            let (sign, exponent) = if point > 0 { ('+', point - 1) } else { ('-', 1 - point) };
            write!(out, "e{sign}{exponent:02}").unwrap_or_default();
        }
        Ok(point @ 1..) if point < digits.len() => {
            out.extend_from_slice(&digits[..point]);
            out.push(b'.');
            out.extend_from_slice(&digits[point..]);
        }
        Ok(point @ 1..) => {
            out.extend_from_slice(digits);
            out.resize(out.len() + point - digits.len(), b'0');
            out.extend_from_slice(b".0");
        }
        _ => {
            out.extend_from_slice(b"0.");
            out.resize(out.len() + point.unsigned_abs() as usize, b'0');
            out.extend_from_slice(digits);
        }
    }
}

/// Appends a rounded coordinate as a plain decimal, `%.8f` of the float without trailing zeros, at least
/// one decimal kept.
pub fn write_plain(value: f64, out: &mut Vec<u8>) {
    if write_hundred_millionths(value, out) {
        return;
    }
    write!(out, "{value:.COORDINATE_DECIMALS$}").unwrap_or_default();
    while out.ends_with(b"0") && !out.ends_with(b".0") {
        out.pop();
    }
}

/// Fast path of both layouts for what nearly every coordinate is: at most 15 significant digits of which
/// at most eight are decimals, not tiny. A decimal of at most 15 digits that reads back as the float is
/// the shortest one. Returns whether it has written.
fn write_hundred_millionths(value: f64, out: &mut Vec<u8>) -> bool {
    let magnitude = value.abs();
    if !(1e-4..1e6).contains(&magnitude) && value.to_bits() != 0 {
        return false;
    }
    let units = (magnitude * SCALE).round();
    if units / SCALE != magnitude {
        return false;
    }
    if value < 0.0 {
        out.push(b'-');
    }
    // Below 1e6 * 1e8, so it fits.
    let units = units as u64;
    let mut buffer = [0; 20];
    out.extend_from_slice(ascii_digits(units / SCALE as u64, &mut buffer));
    out.push(b'.');
    // Below 1e8, so it fits.
    let decimals = (units % SCALE as u64) as u32;
    let mut places = [b'0'; COORDINATE_DECIMALS];
    for (pair, divisor) in places.chunks_exact_mut(2).zip([1_000_000, 10_000, 100, 1]) {
        pair.copy_from_slice(&two_digits(decimals / divisor % 100));
    }
    let len = places.iter().rposition(|digit| *digit != b'0').map_or(1, |last| last + 1);
    out.extend_from_slice(&places[..len]);
    true
}

/// The two decimal digits of a number below 100.
#[inline]
pub(crate) fn two_digits(value: u32) -> [u8; 2] {
    // Division by a constant is a multiplication; both digits are below 10.
    [b'0' + (value / 10) as u8, b'0' + (value % 10) as u8]
}

/// The decimal digits of `value`, at least one.
pub(crate) fn ascii_digits(mut value: u64, buffer: &mut [u8; 20]) -> &[u8] {
    let mut start = buffer.len();
    loop {
        start -= 1;
        buffer[start] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            return &buffer[start..];
        }
    }
}
