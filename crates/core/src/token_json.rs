//! Tokens as JSON, both ways.
//!
//! What is written reads back to the same 64 bytes. `hex`, `raw_i16` and `decoded` say again what the
//! other fields say: they need not be there, but they may not contradict.

use std::borrow::Cow;
use std::fmt::Display;
use std::io::Write;
use std::str::FromStr;

use crate::canonical::write_integer;
use crate::error::{EntityError, EntityErrorKind};
use crate::float::write_repr;
use crate::json::{Reader, Result, duplicate_key, required};
use crate::space::{Axes, RawCoordinates, Space, Spaces, encode_spaces};
use crate::token::{Token, TokenParts};
use crate::token_type::TokenType;

const FIELDS: &str = "local_id, entity_type, domain, flags, weight, field_radius, field_strength, \
                      timestamp, spaces, name, hex, raw_i16, decoded";

impl Token {
    /// Reads one token from JSON. A space that is missing is not defined, and `name` is ignored.
    ///
    /// # Errors
    ///
    /// The first rule that is broken, with the field, what was found and what is allowed. A field that
    /// repeats others (`hex`, `raw_i16`, `decoded`) must agree with them.
    pub fn from_json(text: &[u8]) -> Result<Self> {
        let mut reader = Reader::new(text)?;
        let token = read_token(&mut reader)?;
        reader.end()?;
        Ok(token)
    }

    /// Appends the token as one line of JSON that [`Token::from_json`] reads back to the same bytes.
    pub fn to_json_into(&self, out: &mut Vec<u8>) {
        for (key, value) in [
            ("{\"local_id\":", self.local_id()),
            (",\"entity_type\":", self.entity_type().ordinal().into()),
            (",\"domain\":", self.domain().into()),
            (",\"flags\":", self.flags().into()),
        ] {
            out.extend_from_slice(key.as_bytes());
            write_integer(value, out);
        }
        for (key, value) in [
            (",\"weight\":", weight_as_f64(self.weight())),
            (",\"field_radius\":", self.field_radius()),
            (",\"field_strength\":", self.field_strength()),
        ] {
            out.extend_from_slice(key.as_bytes());
            write_repr(value, out);
        }
        out.extend_from_slice(b",\"timestamp\":");
        write_integer(self.timestamp(), out);
        write_spaces(self, out);
        out.extend_from_slice(b",\"hex\":\"");
        out.extend_from_slice(hex(self).as_bytes());
        out.extend_from_slice(b"\"}");
    }
}

/// The float with the fewest digits that a reader rounds to this weight.
fn weight_as_f64(weight: f32) -> f64 {
    // A reader goes through 64 bits, so digits that are enough for 32 may be rounded twice.
    match weight.to_string().parse() {
        Ok(shortest) if to_weight(shortest).to_bits() == weight.to_bits() => shortest,
        _ => weight.into(),
    }
}

fn to_weight(value: f64) -> f32 {
    #[expect(clippy::cast_possible_truncation, reason = "rounding to 32 bits is what the bytes ask for")]
    let weight = value as f32;
    weight
}

fn write_spaces(token: &Token, out: &mut Vec<u8>) {
    let mut before = ",\"spaces\":{\"";
    for space in Space::ALL {
        for part in [before, space.as_str(), "\":"] {
            out.extend_from_slice(part.as_bytes());
        }
        match token.decoded(space) {
            Some(axes) => write_axes(axes, out),
            None => out.extend_from_slice(b"null"),
        }
        before = ",\"";
    }
    out.push(b'}');
}

fn write_axes(axes: Axes, out: &mut Vec<u8>) {
    let mut before = b'[';
    for axis in axes {
        out.push(before);
        match axis {
            Some(value) => write_repr(value, out),
            None => out.extend_from_slice(b"null"),
        }
        before = b',';
    }
    out.push(b']');
}

fn hex(token: &Token) -> String {
    let mut digits = Vec::with_capacity(2 * Token::BYTES);
    for byte in token.to_bytes() {
        // Writing to a vector cannot fail.
        write!(digits, "{byte:02x}").unwrap_or_default();
    }
    String::from_utf8(digits).unwrap_or_default()
}

/// Reads a token that stands next in `reader`.
pub(crate) fn read_token(reader: &mut Reader<'_>) -> Result<Token> {
    if reader.peek() != b'{' {
        return Err(refused_value(reader, "a JSON object"));
    }
    let mut fields = TokenFields::default();
    let mut members = reader.begin_object()?;
    while let Some(key) = reader.key(&mut members)? {
        reader.peek();
        let offset = reader.offset();
        fields.read(&key, reader).map_err(|error| error.at(offset))?;
    }
    fields.finish()
}

/// The fields of a token while its JSON is read, in whatever order they come.
#[derive(Default)]
struct TokenFields<'a> {
    local_id: Option<u32>,
    entity_type: Option<TokenType>,
    domain: Option<u8>,
    flags: Option<u16>,
    weight: Option<f32>,
    field_radius: Option<f64>,
    field_strength: Option<f64>,
    timestamp: Option<u32>,
    spaces: Option<Spaces>,
    name: Option<()>,
    hex: Option<Cow<'a, str>>,
    raw_i16: Option<RawCoordinates>,
    decoded: Option<Spaces>,
}

impl<'a> TokenFields<'a> {
    fn read(&mut self, key: &str, reader: &mut Reader<'a>) -> Result<()> {
        match key {
            "local_id" => {
                set(&mut self.local_id, key, reader, |reader| integer(reader, 0, Token::LOCAL_ID_MAX))
            }
            "entity_type" => set(&mut self.entity_type, key, reader, token_type),
            "domain" => set(&mut self.domain, key, reader, |reader| integer(reader, 0, Token::DOMAIN_MAX)),
            "flags" => set(&mut self.flags, key, reader, |reader| integer(reader, 0, u16::MAX)),
            "weight" => set(&mut self.weight, key, reader, weight),
            "field_radius" => set(&mut self.field_radius, key, reader, float),
            "field_strength" => set(&mut self.field_strength, key, reader, float),
            "timestamp" => set(&mut self.timestamp, key, reader, |reader| integer(reader, 0, u32::MAX)),
            "spaces" => set(&mut self.spaces, key, reader, spaces),
            "name" => set(&mut self.name, key, reader, |reader| reader.any().map(|_| ())),
            "hex" => set(&mut self.hex, key, reader, string),
            "raw_i16" => set(&mut self.raw_i16, key, reader, |reader| {
                array(reader, |reader| array(reader, |reader| integer(reader, i16::MIN, i16::MAX)))
            }),
            "decoded" => set(&mut self.decoded, key, reader, |reader| array(reader, axes)),
            _ => Err(EntityError::new(EntityErrorKind::Unknown, key.to_owned(), "an unknown field", FIELDS)),
        }
    }

    fn finish(self) -> Result<Token> {
        let token = Token::new(TokenParts {
            local_id: required(self.local_id, "local_id")?,
            entity_type: required(self.entity_type, "entity_type")?,
            domain: required(self.domain, "domain")?,
            flags: required(self.flags, "flags")?,
            weight: required(self.weight, "weight")?,
            field_radius: required(self.field_radius, "field_radius")?,
            field_strength: required(self.field_strength, "field_strength")?,
            timestamp: required(self.timestamp, "timestamp")?,
            spaces: required(self.spaces, "spaces")?,
        })?;
        if let Some(given) = self.hex {
            agree("hex", &*given, hex(&token).as_str())?;
        }
        if let Some(given) = self.raw_i16 {
            agree_on_coordinates("raw_i16", &given, &token)?;
        }
        if let Some(given) = self.decoded {
            let given = encode_spaces(&given).map_err(|error| error.within("decoded"))?;
            agree_on_coordinates("decoded", &given, &token)?;
        }
        Ok(token)
    }
}

fn agree<T: PartialEq + Display + ?Sized>(field: &'static str, given: &T, encoded: &T) -> Result<()> {
    if given == encoded {
        return Ok(());
    }
    let allowed = format!("{encoded}, which the other fields encode to");
    Err(EntityError::new(EntityErrorKind::Token, field, given, allowed))
}

fn agree_on_coordinates(field: &'static str, given: &RawCoordinates, token: &Token) -> Result<()> {
    for ((space, given), encoded) in Space::ALL.iter().zip(given).zip(&token.coordinates()) {
        for (given, encoded) in given.iter().zip(encoded) {
            agree(space.as_str(), given, encoded).map_err(|error| error.within(field))?;
        }
    }
    Ok(())
}

/// Reads a field into its place, which must be empty. An error gets the field's name.
fn set<'a, T>(
    place: &mut Option<T>,
    key: &str,
    reader: &mut Reader<'a>,
    read: impl FnOnce(&mut Reader<'a>) -> Result<T>,
) -> Result<()> {
    if place.is_some() {
        return Err(duplicate_key(key, reader.offset()));
    }
    *place = Some(read(reader).map_err(|error| error.within(key))?);
    Ok(())
}

fn refused(found: impl Display, allowed: impl Into<Cow<'static, str>>) -> EntityError {
    EntityError::new(EntityErrorKind::Token, "", found, allowed)
}

/// An error that repeats the value that stands next, or the syntax error in it.
fn refused_value(reader: &mut Reader<'_>, allowed: impl Into<Cow<'static, str>>) -> EntityError {
    reader.peek();
    let offset = reader.offset();
    reader.any().map_or_else(|error| error, |found| refused(found, allowed).at(offset))
}

fn string<'a>(reader: &mut Reader<'a>) -> Result<Cow<'a, str>> {
    if reader.peek() == b'"' { reader.string() } else { Err(refused_value(reader, "a string")) }
}

fn integer<T: FromStr + PartialOrd + Display>(reader: &mut Reader<'_>, min: T, max: T) -> Result<T> {
    let found = reader.any()?;
    match found.parse() {
        Ok(value) if value >= min && value <= max => Ok(value),
        _ => Err(refused(found, format!("an integer from {min} to {max}"))),
    }
}

fn token_type(reader: &mut Reader<'_>) -> Result<TokenType> {
    let last = TokenType::Reserved.ordinal();
    let ordinal = integer(reader, TokenType::Undefined.ordinal(), last)?;
    TokenType::from_ordinal(ordinal).ok_or_else(|| refused(ordinal, format!("an integer up to {last}")))
}

fn float(reader: &mut Reader<'_>) -> Result<f64> {
    if !matches!(reader.peek(), b'-' | b'0'..=b'9') {
        return Err(refused_value(reader, "a number"));
    }
    let number = reader.number()?;
    match number.text.parse::<f64>() {
        // An integer has no negative zero.
        Ok(value) if !number.is_float => Ok(value + 0.0),
        Ok(value) => Ok(value),
        Err(_) => Err(refused(number.text, "a number")),
    }
    .and_then(
        |value| if value.is_finite() { Ok(value) } else { Err(refused(number.text, "a finite number")) },
    )
}

fn weight(reader: &mut Reader<'_>) -> Result<f32> {
    let value = float(reader)?;
    // Checked before it is rounded to 32 bits, which could bring it into the range.
    if (0.0..=f64::from(Token::WEIGHT_MAX)).contains(&value) {
        return Ok(to_weight(value));
    }
    Err(refused(value, format!("a number from 0 to {}", Token::WEIGHT_MAX)))
}

fn spaces(reader: &mut Reader<'_>) -> Result<Spaces> {
    if reader.peek() != b'{' {
        return Err(refused_value(reader, "a JSON object"));
    }
    let mut spaces = [None; Space::ALL.len()];
    let mut members = reader.begin_object()?;
    while let Some(key) = reader.key(&mut members)? {
        let Some(space) = Space::from_name(&key) else {
            let allowed = Space::ALL.map(Space::as_str).join(", ");
            return Err(EntityError::new(
                EntityErrorKind::Unknown,
                key.into_owned(),
                "an unknown space",
                allowed,
            ));
        };
        set(&mut spaces[space.index()], &key, reader, axes)?;
    }
    Ok(spaces.map(Option::flatten))
}

/// The axes of a space, or `null`.
fn axes(reader: &mut Reader<'_>) -> Result<Option<Axes>> {
    if is_null(reader)? {
        return Ok(None);
    }
    array(reader, |reader| if is_null(reader)? { Ok(None) } else { float(reader).map(Some) }).map(Some)
}

/// Whether a `null` stands next; takes it if so.
fn is_null(reader: &mut Reader<'_>) -> Result<bool> {
    if reader.peek() != b'n' {
        return Ok(false);
    }
    reader.word().map(|_| true)
}

/// An array of exactly `N` items.
fn array<'a, T: Copy + Default, const N: usize>(
    reader: &mut Reader<'a>,
    read: impl Fn(&mut Reader<'a>) -> Result<T>,
) -> Result<[T; N]> {
    let allowed = || format!("an array of {N} items");
    if reader.peek() != b'[' {
        return Err(refused_value(reader, allowed()));
    }
    let mut values = [T::default(); N];
    let mut items = reader.begin_array()?;
    for (at, value) in values.iter_mut().enumerate() {
        if !reader.more(&mut items)? {
            return Err(refused(format!("{at} items"), allowed()));
        }
        *value = read(reader)?;
    }
    if reader.more(&mut items)? {
        return Err(refused("more items", allowed()));
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::{to_weight, weight_as_f64};
    use crate::EntityErrorKind;
    use crate::space::Space;
    use crate::token::{Token, TokenParts};

    const LEGAL: &str = r#"{"local_id": 7, "entity_type": 5, "domain": 1, "flags": 3, "weight": 0.1,
        "field_radius": 0.5, "field_strength": 0.5, "timestamp": 9, "spaces": {"motor": [1.5, null, -2]}}"#;

    fn read(text: &str) -> Token {
        Token::from_json(text.as_bytes()).expect(text)
    }

    fn written(token: &Token) -> String {
        let mut out = Vec::new();
        token.to_json_into(&mut out);
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn a_token_is_written_as_it_was_read() {
        let token = read(LEGAL);
        assert_eq!(token.decoded(Space::Motor), Some([Some(1.5), None, Some(-2.0)]));
        let json = written(&token);
        let (fields, hex) = json.split_once(",\"hex\":\"").expect("hex");
        assert_eq!(
            fields,
            "{\"local_id\":7,\"entity_type\":5,\"domain\":1,\"flags\":3,\"weight\":0.1,\"field_radius\":0.5,\
             \"field_strength\":0.5019607843137255,\"timestamp\":9,\"spaces\":{\"physical\":null,\
             \"sensory\":null,\"motor\":[1.5,null,-2.0],\"emotional\":null,\"cognitive\":null,\
             \"social\":null,\"temporal\":null,\"abstract\":null}"
        );
        assert_eq!(hex.len(), 2 * Token::BYTES + "\"}".len());
        assert_eq!(read(&written(&token)).to_bytes(), token.to_bytes());
    }

    #[test]
    fn every_weight_reads_back_to_its_own_bits() {
        let near_one = (0..2_000).map(|step| f32::from_bits(1.0_f32.to_bits() - 1_000 + step));
        let spread = (0..100.0_f32.to_bits()).step_by(100_003).map(f32::from_bits);
        // The last is the only weight whose shortest digits of 32 bits are rounded to another one through 64.
        let special = [-0.0, 100.0, f32::MIN_POSITIVE, f32::from_bits(1), 7.038_531e-26];
        for weight in near_one.chain(spread).chain(special) {
            assert_eq!(to_weight(weight_as_f64(weight)).to_bits(), weight.to_bits(), "{weight:?}");
            let token = Token::new(TokenParts { weight, ..TokenParts::default() }).expect("legal parts");
            assert_eq!(read(&written(&token)).to_bytes(), token.to_bytes(), "{weight:?}");
        }
    }

    #[test]
    fn a_weight_is_rounded_through_64_bits_like_the_reference_does() {
        // The nearest float of 64 bits lies between two of 32 bits; the even one is 1.
        assert_eq!(read(&LEGAL.replace("0.1", "1.0000000596046448")).weight(), 1.0);
    }

    #[test]
    fn illegal_values_are_refused_with_the_name_of_their_field() {
        use EntityErrorKind::{Duplicate, Missing, Syntax, Token as Wrong, Unknown};
        for (old, new, kind, field) in [
            ("\"local_id\": 7", "\"local_id\": 16777216", Wrong, "local_id"),
            ("\"local_id\": 7", "\"local_id\": 7.0", Wrong, "local_id"),
            ("\"local_id\": 7", "\"local_id\": -1", Wrong, "local_id"),
            ("\"local_id\": 7", "\"local_id\": \"7\"", Wrong, "local_id"),
            ("\"local_id\": 7", "\"local_id\": +7", Syntax, "local_id"),
            ("\"local_id\": 7, ", "", Missing, "local_id"),
            ("\"entity_type\": 5", "\"entity_type\": 16", Wrong, "entity_type"),
            ("\"domain\": 1", "\"domain\": 16", Wrong, "domain"),
            ("\"flags\": 3", "\"flags\": 65536", Wrong, "flags"),
            ("\"flags\": 3", "\"flags\": 256", Wrong, "flags"),
            ("\"weight\": 0.1", "\"weight\": 100.00000001", Wrong, "weight"),
            ("\"weight\": 0.1", "\"weight\": -1e-60", Wrong, "weight"),
            ("\"weight\": 0.1", "\"weight\": null", Wrong, "weight"),
            ("\"weight\": 0.1", "\"weight\": NaN", Syntax, "weight"),
            ("\"field_radius\": 0.5", "\"field_radius\": 1e999", Wrong, "field_radius"),
            ("\"field_strength\": 0.5", "\"field_strength\": true", Wrong, "field_strength"),
            ("\"timestamp\": 9", "\"timestamp\": 4294967296", Wrong, "timestamp"),
            ("\"spaces\": {", "\"spaces\": [], \"x\": {", Wrong, "spaces"),
            ("[1.5, null, -2]", "[1.5, null]", Wrong, "spaces.motor"),
            ("[1.5, null, -2]", "[1.5, null, -2, 0]", Wrong, "spaces.motor"),
            ("[1.5, null, -2]", "[1.5, null, \"2\"]", Wrong, "spaces.motor"),
            ("[1.5, null, -2]", "[1.5, null, 1e400]", Wrong, "spaces.motor"),
            ("[1.5, null, -2]", "0", Wrong, "spaces.motor"),
            ("[1.5, null, -2]", "null, \"motor\": null", Duplicate, "spaces"),
            ("\"motor\"", "\"Motor\"", Unknown, "spaces.Motor"),
            ("\"domain\": 1", "\"domain\": 1, \"domain\": 1", Duplicate, ""),
            ("\"domain\": 1", "\"domain\": 1, \"name\": 1, \"name\": 1", Duplicate, ""),
            ("\"domain\": 1", "\"domain\": 1, \"colour\": 1", Unknown, "colour"),
            ("\"domain\": 1", "\"domain\": 1, \"hex\": 1", Wrong, "hex"),
            ("\"domain\": 1", "\"domain\": 1, \"raw_i16\": [[32768, 0, 0]]", Wrong, "raw_i16"),
            ("\"domain\": 1", "\"domain\": 1, \"decoded\": [null]", Wrong, "decoded"),
            (LEGAL, "[]", Wrong, ""),
            (LEGAL, "", Syntax, ""),
        ] {
            let text = LEGAL.replace(old, new);
            let error = Token::from_json(text.as_bytes()).expect_err(new);
            assert_eq!((error.kind(), error.field()), (kind, field), "{new}: {error}");
            // What only all fields together tell has no place of its own.
            let has_place = kind != Missing && new != "\"flags\": 256";
            assert_eq!(error.offset().is_some(), has_place, "{new}: {error}");
        }
        assert!(Token::from_json(format!("{LEGAL} x").as_bytes()).is_err());
    }

    #[test]
    fn fields_that_repeat_others_must_agree_with_them() {
        let token = read(LEGAL);
        let hex = super::hex(&token);
        let raw = format!("{:?}", token.coordinates());
        let decoded = "[[null,null,null],null,[1.5,null,-2.0004],null,null,null,null,null]";
        let with = |more: &str| Token::from_json(LEGAL.replacen('{', &format!("{{{more},"), 1).as_bytes());
        let all = format!("\"name\":[null],\"hex\":\"{hex}\",\"raw_i16\":{raw},\"decoded\":{decoded}");
        assert_eq!(with(&all), Ok(token));
        for (old, new, field) in [
            ("\"hex\":\"00", "\"hex\":\"01", "hex"),
            ("-2000", "-1999", "raw_i16.motor"),
            ("-2.0004", "-2.0006", "decoded.motor"),
            ("-2.0004", "null", "decoded.motor"),
        ] {
            let error = with(&all.replacen(old, new, 1)).expect_err(new);
            assert_eq!((error.kind(), error.field()), (EntityErrorKind::Token, field), "{error}");
        }
    }
}
