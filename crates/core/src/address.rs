//! Addresses: the SHA-256 of an entity's canonical form, and prefixes of them.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};

use crate::{EntityError, EntityErrorKind};

/// The address of an entity: the SHA-256 of its canonical form. Written as 64 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address(pub [u8; 32]);

/// The SHA-256 of a blob's bytes, so that `sha256sum` verifies it. Written as 64 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlobId(pub [u8; 32]);

macro_rules! sha256_name {
    ($name:ident, $kind:expr, $what:literal) => {
        impl $name {
            /// The SHA-256 of `bytes`. About 1 ns a byte on a processor with SHA extensions.
            #[must_use]
            pub fn of(bytes: &[u8]) -> Self {
                Self(Sha256::digest(bytes).into())
            }

            /// The 32 bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }

            /// The 64 lower-case hex digits, as ASCII, without an allocation.
            #[must_use]
            pub fn to_hex(&self) -> [u8; 64] {
                let mut digits = [0; 64];
                for (pair, byte) in digits.chunks_exact_mut(2).zip(self.0) {
                    pair.copy_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
                }
                digits
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(std::str::from_utf8(&self.to_hex()).unwrap_or_default())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = EntityError;

            fn from_str(text: &str) -> Result<Self, EntityError> {
                let wrong = || EntityError::new($kind, "", format!("{text:?}"), $what);
                let digits: &[u8; 64] = text.as_bytes().try_into().map_err(|_| wrong())?;
                let mut bytes = [0; 32];
                for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
                    *byte = hex_digit(pair[0])
                        .zip(hex_digit(pair[1]))
                        .map(|(high, low)| high << 4 | low)
                        .ok_or_else(wrong)?;
                }
                Ok(Self(bytes))
            }
        }
    };
}

const HEX: &[u8; 16] = b"0123456789abcdef";

fn hex_digit(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

sha256_name!(Address, EntityErrorKind::Address, "an address: 64 lower-case hex digits");
sha256_name!(BlobId, EntityErrorKind::Blob, "a SHA-256: 64 lower-case hex digits");

/// The first digits of an address: enough to name an entity on a command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddressPrefix {
    low: Address,
    high: Address,
    digits: u8,
}

impl AddressPrefix {
    /// Fewest digits that make a prefix: fewer match too much to be meant.
    pub const DIGITS_MIN: usize = 4;

    /// The smallest address with this prefix.
    #[must_use]
    pub fn low(&self) -> Address {
        self.low
    }

    /// The largest address with this prefix.
    #[must_use]
    pub fn high(&self) -> Address {
        self.high
    }

    /// Whether `address` starts with these digits.
    #[must_use]
    pub fn matches(&self, address: &Address) -> bool {
        (self.low..=self.high).contains(address)
    }
}

impl FromStr for AddressPrefix {
    type Err = EntityError;

    fn from_str(text: &str) -> Result<Self, EntityError> {
        let wrong = || {
            EntityError::new(
                EntityErrorKind::Address,
                "",
                format!("{text:?}"),
                "4 to 64 lower-case hex digits, the start of an address",
            )
        };
        let digits = text.as_bytes();
        if !(Self::DIGITS_MIN..=64).contains(&digits.len()) {
            return Err(wrong());
        }
        let (mut low, mut high) = ([0_u8; 32], [0xff_u8; 32]);
        for (at, digit) in digits.iter().enumerate() {
            let value = hex_digit(*digit).ok_or_else(wrong)?;
            let (shift, keep) = if at % 2 == 0 { (4, 0x0f) } else { (0, 0xf0) };
            low[at / 2] = low[at / 2] & keep | value << shift;
            high[at / 2] = high[at / 2] & keep | value << shift;
        }
        let digits = u8::try_from(digits.len()).map_err(|_| wrong())?;
        Ok(Self { low: Address(low), high: Address(high), digits })
    }
}

impl fmt::Display for AddressPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hex = self.low.to_hex();
        f.write_str(std::str::from_utf8(&hex[..usize::from(self.digits)]).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::{Address, AddressPrefix};

    #[test]
    fn hex_round_trips_and_upper_case_is_refused() {
        let address = Address::of(b"abc");
        let text = address.to_string();
        assert_eq!(text, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(text.parse::<Address>(), Ok(address));
        assert!(text.to_uppercase().parse::<Address>().is_err());
        assert!(text[..63].parse::<Address>().is_err());
    }

    #[test]
    fn a_prefix_spans_exactly_the_addresses_that_start_with_it() {
        let address = Address::of(b"abc");
        for digits in AddressPrefix::DIGITS_MIN..=64 {
            let text = &address.to_string()[..digits];
            let prefix: AddressPrefix = text.parse().expect("legal prefix");
            assert!(prefix.matches(&address) && prefix.to_string() == text);
            assert!(!prefix.matches(&Address::of(b"abd")));
        }
        for bad in ["", "abc", "ABCD", "xyz1", &"0".repeat(65)] {
            assert!(bad.parse::<AddressPrefix>().is_err(), "{bad:?}");
        }
    }
}
