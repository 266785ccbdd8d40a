//! A pull reader for JSON text: one pass, no tree, strings borrowed where they hold no escape.
//!
//! It exists because addresses need what general parsers hide: duplicate keys, the text of numbers, the
//! difference of `1` and `1.0`, and the byte at which something is wrong.

use std::borrow::Cow;

use crate::error::{EntityError, EntityErrorKind};
use crate::limits::STATE_DEPTH_MAX;

pub(crate) type Result<T> = std::result::Result<T, EntityError>;

const STRING_ALLOWED: &str = "a character, escaped if it is a control character, or a closing quote";

/// A position in a JSON text.
#[derive(Clone)]
pub(crate) struct Reader<'a> {
    text: &'a str,
    at: usize,
}

/// The text of a number, its grammar checked.
#[derive(Clone, Copy)]
pub(crate) struct Number<'a> {
    pub(crate) text: &'a str,
    /// Whether it has a fraction or an exponent, so that it is a float.
    pub(crate) is_float: bool,
}

/// Where a reader stands between the members of an object or the items of an array.
pub(crate) struct Members {
    close: u8,
    first: bool,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(text: &'a [u8]) -> Result<Self> {
        let text = std::str::from_utf8(text).map_err(|error| {
            let bytes = &text[error.valid_up_to()..];
            let found = format!("byte 0x{:02x}", bytes.first().copied().unwrap_or_default());
            EntityError::new(EntityErrorKind::Encoding, "", found, "UTF-8").at(error.valid_up_to())
        })?;
        Ok(Self::of_str(text))
    }

    pub(crate) fn of_str(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    pub(crate) fn offset(&self) -> usize {
        self.at
    }

    fn bytes(&self) -> &'a [u8] {
        self.text.as_bytes()
    }

    /// The next byte that is no white space, not taken; 0 at the end.
    #[inline]
    pub(crate) fn peek(&mut self) -> u8 {
        let bytes = self.bytes();
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = bytes.get(self.at) {
            self.at += 1;
        }
        bytes.get(self.at).copied().unwrap_or(0)
    }

    /// An error about what stands here.
    #[cold]
    pub(crate) fn unexpected(&self, allowed: &'static str) -> EntityError {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let found = match rest.char_indices().nth(24) {
            _ if rest.is_empty() => "the end of the text".to_owned(),
            Some((cut, _)) => format!("{:?}…", &rest[..cut]),
            None => format!("{rest:?}"),
        };
        EntityError::new(EntityErrorKind::Syntax, "", found, allowed).at(self.at)
    }

    #[inline]
    fn expect(&mut self, byte: u8, allowed: &'static str) -> Result<()> {
        if self.peek() != byte {
            return Err(self.unexpected(allowed));
        }
        self.at += 1;
        Ok(())
    }

    pub(crate) fn begin_object(&mut self) -> Result<Members> {
        self.expect(b'{', "a JSON object").map(|()| Members { close: b'}', first: true })
    }

    pub(crate) fn begin_array(&mut self) -> Result<Members> {
        self.expect(b'[', "a JSON array").map(|()| Members { close: b']', first: true })
    }

    /// Whether another member or item follows.
    #[inline]
    pub(crate) fn more(&mut self, members: &mut Members) -> Result<bool> {
        let next = self.peek();
        if next == members.close {
            self.at += 1;
            return Ok(false);
        }
        if !std::mem::take(&mut members.first) {
            self.expect(b',', if members.close == b'}' { "`,` or `}`" } else { "`,` or `]`" })?;
        }
        Ok(true)
    }

    /// The next key of an object, its `:` taken; `None` after the last.
    #[inline]
    pub(crate) fn key(&mut self, members: &mut Members) -> Result<Option<Cow<'a, str>>> {
        if !self.more(members)? {
            return Ok(None);
        }
        if self.peek() != b'"' {
            return Err(self.unexpected("a key in double quotes"));
        }
        let key = self.string()?;
        self.expect(b':', "`:`")?;
        Ok(Some(key))
    }

    /// Takes exactly this text, if it stands here.
    #[inline]
    pub(crate) fn take(&mut self, text: &str) -> bool {
        let stands = self.bytes()[self.at..].starts_with(text.as_bytes());
        self.at += if stands { text.len() } else { 0 };
        stands
    }

    /// The text up to an ASCII character, which is taken too.
    #[inline]
    pub(crate) fn take_until(&mut self, end: u8) -> Option<&'a str> {
        debug_assert!(end.is_ascii());
        let start = self.at;
        let len = self.bytes()[start..].iter().position(|byte| *byte == end)?;
        self.at = start + len + 1;
        Some(&self.text[start..start + len])
    }

    /// The ASCII characters from here on that `wanted` accepts, taken.
    #[inline]
    pub(crate) fn take_while(&mut self, wanted: impl Fn(u8) -> bool) -> &'a str {
        let start = self.at;
        let rest = &self.bytes()[start..];
        let len = rest.iter().position(|byte| !byte.is_ascii() || !wanted(*byte)).unwrap_or(rest.len());
        self.at = start + len;
        &self.text[start..start + len]
    }

    /// Fails unless only white space is left.
    pub(crate) fn end(&mut self) -> Result<()> {
        if self.peek() != 0 || self.at < self.text.len() {
            return Err(self.unexpected("nothing after the value"));
        }
        Ok(())
    }

    /// A string, unescaped.
    #[inline]
    pub(crate) fn string(&mut self) -> Result<Cow<'a, str>> {
        self.expect(b'"', "a string")?;
        let start = self.at;
        self.at = start + plain_len(&self.bytes()[start..]);
        match self.bytes().get(self.at) {
            Some(b'"') => {
                self.at += 1;
                Ok(Cow::Borrowed(&self.text[start..self.at - 1]))
            }
            Some(b'\\') => self.escaped_string(start).map(Cow::Owned),
            _ => Err(self.unexpected(STRING_ALLOWED)),
        }
    }

    /// The rest of a string whose first escape stands here.
    #[cold]
    fn escaped_string(&mut self, start: usize) -> Result<String> {
        let mut value = self.text[start..self.at].to_owned();
        let bytes = self.bytes();
        loop {
            let run = self.at;
            while matches!(bytes.get(self.at), Some(byte) if *byte >= 0x20 && !matches!(byte, b'"' | b'\\')) {
                self.at += 1;
            }
            value.push_str(&self.text[run..self.at]);
            match bytes.get(self.at) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(value);
                }
                Some(b'\\') => value.push(self.escape()?),
                _ => return Err(self.unexpected(STRING_ALLOWED)),
            }
        }
    }

    fn escape(&mut self) -> Result<char> {
        let escape = self.at;
        self.at += 2;
        Ok(match self.bytes().get(escape + 1) {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                let unit = self.hex4(escape)?;
                let code = match unit {
                    0xd800..0xdc00 if self.bytes()[self.at..].starts_with(b"\\u") => {
                        self.at += 2;
                        let low = self.hex4(self.at - 2)?;
                        // A wrong second half leaves a code that is no character.
                        if (0xdc00..0xe000).contains(&low) {
                            0x10000 + (unit - 0xd800) * 0x400 + low - 0xdc00
                        } else {
                            unit
                        }
                    }
                    unit => unit,
                };
                char::from_u32(code).ok_or_else(|| {
                    let found = format!("\\u{unit:04x} alone");
                    EntityError::new(
                        EntityErrorKind::Encoding,
                        "",
                        found,
                        "surrogates in pairs, high before low",
                    )
                    .at(escape)
                })?
            }
            _ => {
                self.at = escape;
                return Err(self.unexpected("one of the escapes \\\" \\\\ \\/ \\b \\f \\n \\r \\t \\uXXXX"));
            }
        })
    }

    fn hex4(&mut self, escape: usize) -> Result<u32> {
        let digits =
            self.bytes().get(self.at..self.at + 4).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        let Some(digits) = digits else {
            self.at = escape;
            return Err(self.unexpected("\\u with four hex digits"));
        };
        self.at += 4;
        Ok(digits.iter().fold(0, |code, digit| code << 4 | char::from(*digit).to_digit(16).unwrap_or(0)))
    }

    pub(crate) fn number(&mut self) -> Result<Number<'a>> {
        self.peek();
        let (bytes, start) = (self.bytes(), self.at);
        let digits = |mut at: usize| {
            while matches!(bytes.get(at), Some(b'0'..=b'9')) {
                at += 1;
            }
            at
        };
        let mut at = start + usize::from(bytes.get(start) == Some(&b'-'));
        let mut is_float = false;
        let integer = at;
        at = digits(at);
        let mut legal = at > integer && (bytes[integer] != b'0' || at == integer + 1);
        if bytes.get(at) == Some(&b'.') {
            let fraction = at + 1;
            at = digits(fraction);
            legal &= at > fraction;
            is_float = true;
        }
        if let Some(b'e' | b'E') = bytes.get(at) {
            at += 1;
            at += usize::from(matches!(bytes.get(at), Some(b'+' | b'-')));
            let exponent = at;
            at = digits(exponent);
            legal &= at > exponent;
            is_float = true;
        }
        if !legal {
            return Err(
                self.unexpected("a JSON value; a number has no leading zero or plus sign and is finite")
            );
        }
        self.at = at;
        Ok(Number { text: &self.text[start..at], is_float })
    }

    /// One of the words `true`, `false` and `null`.
    pub(crate) fn word(&mut self) -> Result<&'static str> {
        self.peek();
        for word in ["true", "false", "null"] {
            if self.bytes()[self.at..].starts_with(word.as_bytes()) {
                self.at += word.len();
                return Ok(word);
            }
        }
        Err(self.unexpected("a JSON value (NaN and Infinity are none)"))
    }

    /// Takes a value of any type, and returns its text for a message about it.
    #[cold]
    pub(crate) fn any(&mut self) -> Result<&'a str> {
        self.peek();
        let start = self.at;
        self.skip(0)?;
        Ok(&self.text[start..self.at])
    }

    fn skip(&mut self, depth: usize) -> Result<()> {
        if depth > STATE_DEPTH_MAX {
            return Err(too_deep(self.at));
        }
        match self.peek() {
            b'{' => {
                let mut members = self.begin_object()?;
                while self.key(&mut members)?.is_some() {
                    self.skip(depth + 1)?;
                }
            }
            b'[' => {
                let mut items = self.begin_array()?;
                while self.more(&mut items)? {
                    self.skip(depth + 1)?;
                }
            }
            b'"' => drop(self.string()?),
            b'-' | b'0'..=b'9' => drop(self.number()?),
            _ => drop(self.word()?),
        }
        Ok(())
    }
}

/// How many bytes come before the first quote, backslash or control character; eight are looked at at once.
#[inline]
fn plain_len(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::MAX / 255;
    const HIGHS: u64 = ONES << 7;
    let mut len = 0;
    while let Some(word) = bytes.get(len..).and_then(<[u8]>::first_chunk) {
        let word = u64::from_le_bytes(*word);
        // A byte is zero if and only if subtracting one borrows into a high bit that was not set, as far as
        // the lowest such byte is concerned; the others may be marked for its sake.
        let zero_bytes = |word: u64| word.wrapping_sub(ONES) & !word & HIGHS;
        let control = word.wrapping_sub(ONES * 0x20) & !word & HIGHS;
        let special = control
            | zero_bytes(word ^ (ONES * u64::from(b'"')))
            | zero_bytes(word ^ (ONES * u64::from(b'\\')));
        if special != 0 {
            return len + special.trailing_zeros() as usize / 8;
        }
        len += 8;
    }
    let rest = bytes.get(len..).unwrap_or_default();
    len + rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | ..0x20)).unwrap_or(rest.len())
}

#[cold]
pub(crate) fn too_deep(offset: usize) -> EntityError {
    let found = format!("more than {STATE_DEPTH_MAX} levels");
    let allowed = format!("at most {STATE_DEPTH_MAX} levels of nesting, the outermost object counted");
    EntityError::new(EntityErrorKind::Depth, "", found, allowed).at(offset)
}

/// The value of a field that must be there.
pub(crate) fn required<T>(value: Option<T>, field: &'static str) -> Result<T> {
    value.ok_or_else(|| {
        EntityError::new(EntityErrorKind::Missing, field, "nothing", "the field must be there")
    })
}

#[cold]
pub(crate) fn duplicate_key(key: &str, offset: usize) -> EntityError {
    let found = format!("{key:?} twice");
    EntityError::new(EntityErrorKind::Duplicate, "", found, "each key once").at(offset)
}

#[cfg(test)]
mod tests {
    use super::plain_len;

    #[test]
    fn the_first_special_byte_is_found_wherever_it_stands() {
        for special in (0..=255_u8).filter(|byte| matches!(byte, b'"' | b'\\' | ..0x20)) {
            for at in 0..20 {
                for filler in [b' ', b'!', b'#', b'[', b']', 0x7f, 0x80, 0x9f, 0xa2, 0xff] {
                    let mut bytes = [filler; 24];
                    assert_eq!(plain_len(&bytes), 24);
                    bytes[at] = special;
                    assert_eq!(plain_len(&bytes), at, "{special} after {filler}");
                    bytes[at + 1] = b'"';
                    assert_eq!(plain_len(&bytes), at, "{special} after {filler}");
                }
            }
        }
    }
}
