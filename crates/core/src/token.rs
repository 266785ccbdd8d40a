//! Tokens: 64 bytes that place one thing in eight spaces of three axes each.
//!
//! A token is a small companion of an entity, made for scanning millions of them; it has no part in the
//! address. It is in memory what it is in files, so that a file of tokens is a slice of them. The byte layout is that
//! of the reference implementation, whose bytes load through one explicit conversion. The JSON form stands in
//! `token_json`, the values on the axes in `space`.

use zerocopy::little_endian::{F32, I16, U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::space::{
    AXES, Axes, RawCoordinates, SPACES, Space, SpaceSet, Spaces, UNDEFINED, check_finite, decode_axis,
    encode_spaces,
};
use crate::token_type::TokenType;
use crate::{EntityError, EntityErrorKind};

type Result<T> = std::result::Result<T, EntityError>;

/// What the reference writes on all three axes of a space that is not defined.
const REFERENCE_UNDEFINED: [I16; AXES] = [I16::new(127); AXES];

const TYPE_SHIFT: u32 = 24;
const DOMAIN_SHIFT: u32 = 28;
const NIBBLE_MAX: u8 = 15;
const FLAGS_TYPE_SHIFT: u32 = 8;
/// The flag bits that repeat the type.
const FLAGS_TYPE_MASK: u16 = 0x0f00;

const FIELD_RADIUS_SCALE: f64 = 100.0;
const FIELD_STRENGTH_SCALE: f64 = 255.0;

/// The parts of a token, by name, for [`Token::new`]. The default is all zeros, no space defined.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct TokenParts {
    /// A number among those of its type and domain, at most [`Token::LOCAL_ID_MAX`].
    pub local_id: u32,
    /// What sort of thing it stands for.
    pub entity_type: TokenType,
    /// At most [`Token::DOMAIN_MAX`].
    pub domain: u8,
    /// See [`Token::flags`]. Bits 8 to 11 are zero or equal to the type.
    pub flags: u16,
    /// From 0 to [`Token::WEIGHT_MAX`].
    pub weight: f32,
    /// Kept in hundredths and clamped to 0..=2.55.
    pub field_radius: f64,
    /// Kept in 255ths and clamped to 0..=1.
    pub field_strength: f64,
    /// Seconds since 1970-01-01T00:00:00Z.
    pub timestamp: u32,
    /// The axes of each space, in the order of [`Space::ALL`]; `None` where not defined.
    pub spaces: Spaces,
}

/// A token: 64 bytes without padding, little-endian, that may stand anywhere in memory.
///
/// [`Token::new`] and what reads one token make tokens that keep every rule. A slice of tokens that is read in place is
/// whatever its bytes are; [`Token::check`] says whether one keeps the rules, and no method minds if it does not.
#[derive(Debug, Clone, Copy, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Token {
    coordinates: [[I16; AXES]; SPACES],
    /// Local id, type and domain.
    id: U32,
    flags: U16,
    weight: F32,
    field_radius: u8,
    field_strength: u8,
    timestamp: U32,
}

const _: () = assert!(size_of::<Token>() == Token::BYTES, "there is no padding");

impl Token {
    /// Length of a token in bytes.
    pub const BYTES: usize = 64;
    /// The largest local id.
    pub const LOCAL_ID_MAX: u32 = (1 << TYPE_SHIFT) - 1;
    /// The largest domain.
    pub const DOMAIN_MAX: u8 = NIBBLE_MAX;
    /// The largest weight.
    pub const WEIGHT_MAX: f32 = 100.0;

    /// All zeros and of the undefined type, with no space defined.
    pub const EMPTY: Self = Self {
        coordinates: [[I16::new(UNDEFINED); AXES]; SPACES],
        id: U32::ZERO,
        flags: U16::ZERO,
        weight: F32::ZERO,
        field_radius: 0,
        field_strength: 0,
        timestamp: U32::ZERO,
    };

    /// Checks the parts and encodes them.
    ///
    /// # Errors
    ///
    /// [`EntityErrorKind::Token`] for a local id, domain or weight out of range, for flags that contradict
    /// the type, and for a number that is not finite.
    pub fn new(parts: TokenParts) -> Result<Self> {
        let mut token = Self::EMPTY;
        token.set_local_id(parts.local_id)?;
        token.set_entity_type(parts.entity_type);
        token.set_domain(parts.domain)?;
        token.set_flags(parts.flags)?;
        token.set_weight(parts.weight)?;
        token.set_field_radius(parts.field_radius)?;
        token.set_field_strength(parts.field_strength)?;
        token.set_timestamp(parts.timestamp);
        token.set_coordinates(&encode_spaces(&parts.spaces).map_err(|error| error.within("spaces"))?);
        Ok(token)
    }

    /// Reads bytes that [`Token::to_bytes`] wrote.
    ///
    /// # Errors
    ///
    /// [`EntityErrorKind::Token`] for a weight outside 0..=100, NaN included, and for flags whose bits 8 to
    /// 11 are not the type.
    pub fn from_bytes(bytes: &[u8; Self::BYTES]) -> Result<Self> {
        let token = Self::read(bytes);
        token.check()?;
        Ok(token)
    }

    /// Whether the token keeps the rules that bytes can break.
    ///
    /// # Errors
    ///
    /// As [`Token::from_bytes`].
    pub fn check(&self) -> Result<()> {
        check_weight(self.weight())?;
        check_type_flags(self.raw_flags(), type_flags(self.type_ordinal()))
    }

    /// Converts bytes that the reference wrote: a space whose three axes are all 127 is not defined, and
    /// flag bits 8 to 11 are replaced by the type.
    ///
    /// # Errors
    ///
    /// [`EntityErrorKind::Token`] for a weight outside 0..=100, NaN included.
    pub fn from_reference_bytes(bytes: &[u8; Self::BYTES]) -> Result<Self> {
        let mut token = Self::read(bytes);
        check_weight(token.weight())?;
        for axes in &mut token.coordinates {
            if *axes == REFERENCE_UNDEFINED {
                *axes = [I16::new(UNDEFINED); AXES];
            }
        }
        token.flags = (token.flags() | type_flags(token.type_ordinal())).into();
        Ok(token)
    }

    fn read(bytes: &[u8; Self::BYTES]) -> Self {
        zerocopy::transmute!(*bytes)
    }

    /// The token as little-endian bytes without padding: coordinates, id, flags, weight, field radius,
    /// field strength, timestamp.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::BYTES] {
        zerocopy::transmute!(*self)
    }

    /// Local id, type and domain in one number, as they stand in the bytes.
    #[must_use]
    pub fn raw_id(&self) -> u32 {
        self.id.get()
    }

    /// Gives it another local id.
    ///
    /// # Errors
    ///
    /// [`EntityErrorKind::Token`] if it is larger than [`Token::LOCAL_ID_MAX`].
    #[inline]
    pub fn set_local_id(&mut self, local_id: u32) -> Result<()> {
        if local_id > Self::LOCAL_ID_MAX {
            let allowed = format!("an integer from 0 to {}", Self::LOCAL_ID_MAX);
            return Err(EntityError::new(EntityErrorKind::Token, "local_id", local_id, allowed));
        }
        self.id = (self.raw_id() & !Self::LOCAL_ID_MAX | local_id).into();
        Ok(())
    }

    /// The same with another local id, of which only the bits are taken that one may have.
    #[inline]
    #[must_use]
    pub fn with_masked_local_id(mut self, local_id: u32) -> Self {
        self.id = (self.raw_id() & !Self::LOCAL_ID_MAX | local_id & Self::LOCAL_ID_MAX).into();
        self
    }

    /// Makes it stand for another sort of thing.
    pub fn set_entity_type(&mut self, entity_type: TokenType) {
        let ordinal = entity_type.ordinal();
        self.id = (self.raw_id() & !(u32::from(NIBBLE_MAX) << TYPE_SHIFT) | u32::from(ordinal) << TYPE_SHIFT)
            .into();
        self.flags = (self.flags() | type_flags(ordinal)).into();
    }

    /// Puts it into another domain.
    ///
    /// # Errors
    ///
    /// [`EntityErrorKind::Token`] if it is larger than [`Token::DOMAIN_MAX`].
    pub fn set_domain(&mut self, domain: u8) -> Result<()> {
        if domain > Self::DOMAIN_MAX {
            let allowed = format!("an integer from 0 to {}", Self::DOMAIN_MAX);
            return Err(EntityError::new(EntityErrorKind::Token, "domain", domain, allowed));
        }
        let others = self.raw_id() & !(u32::from(NIBBLE_MAX) << DOMAIN_SHIFT);
        self.id = (others | u32::from(domain) << DOMAIN_SHIFT).into();
        Ok(())
    }

    /// Sets its flags; see [`Token::flags`].
    ///
    /// # Errors
    ///
    /// [`EntityErrorKind::Token`] if bits 8 to 11 are neither zero nor the type.
    pub fn set_flags(&mut self, flags: u16) -> Result<()> {
        let type_flags = type_flags(self.type_ordinal());
        if flags & FLAGS_TYPE_MASK != 0 {
            check_type_flags(flags, type_flags)?;
        }
        self.flags = (flags | type_flags).into();
        Ok(())
    }

    /// Sets its weight.
    ///
    /// # Errors
    ///
    /// [`EntityErrorKind::Token`] unless it lies from 0 to [`Token::WEIGHT_MAX`].
    pub fn set_weight(&mut self, weight: f32) -> Result<()> {
        check_weight(weight)?;
        self.weight = weight.into();
        Ok(())
    }

    /// Sets the radius of its field, kept in hundredths and clamped to 0..=2.55.
    ///
    /// # Errors
    ///
    /// [`EntityErrorKind::Token`] if it is not finite.
    pub fn set_field_radius(&mut self, radius: f64) -> Result<()> {
        self.field_radius = encode_byte(radius, FIELD_RADIUS_SCALE, "field_radius")?;
        Ok(())
    }

    /// Sets the strength of its field, kept in 255ths and clamped to 0..=1.
    ///
    /// # Errors
    ///
    /// [`EntityErrorKind::Token`] if it is not finite.
    pub fn set_field_strength(&mut self, strength: f64) -> Result<()> {
        self.field_strength = encode_byte(strength, FIELD_STRENGTH_SCALE, "field_strength")?;
        Ok(())
    }

    /// Sets its time, in seconds since 1970-01-01T00:00:00Z.
    pub fn set_timestamp(&mut self, timestamp: u32) {
        self.timestamp = timestamp.into();
    }

    /// Sets the raw values of all axes.
    pub fn set_coordinates(&mut self, coordinates: &RawCoordinates) {
        self.coordinates = coordinates.map(|axes| axes.map(I16::new));
    }

    /// Sets the raw values of the axes of one space.
    pub fn set_axes(&mut self, space: Space, raws: [i16; AXES]) {
        self.coordinates[space.index()] = raws.map(I16::new);
    }

    /// A number among those of its type and domain.
    #[must_use]
    pub fn local_id(&self) -> u32 {
        self.raw_id() & Self::LOCAL_ID_MAX
    }

    fn type_ordinal(&self) -> u8 {
        nibble(self.raw_id(), TYPE_SHIFT)
    }

    /// What sort of thing it stands for.
    #[must_use]
    pub fn entity_type(&self) -> TokenType {
        TokenType::ALL[usize::from(self.type_ordinal())]
    }

    /// The domain, 0 to 15.
    #[must_use]
    pub fn domain(&self) -> u8 {
        nibble(self.raw_id(), DOMAIN_SHIFT)
    }

    /// The flags without the bits that repeat the type. From bit 0: active, persistent, mutable,
    /// synchronized, compressed, encrypted, dirty, locked; bits 12 to 15 are the user's.
    #[must_use]
    pub fn flags(&self) -> u16 {
        self.raw_flags() & !FLAGS_TYPE_MASK
    }

    /// The flags as they stand in the bytes, the type in bits 8 to 11.
    #[must_use]
    pub fn raw_flags(&self) -> u16 {
        self.flags.get()
    }

    /// The weight, 0 to 100.
    #[must_use]
    pub fn weight(&self) -> f32 {
        self.weight.get()
    }

    /// The radius of the field, 0 to 2.55.
    #[must_use]
    pub fn field_radius(&self) -> f64 {
        f64::from(self.field_radius) / FIELD_RADIUS_SCALE
    }

    /// The strength of the field, 0 to 1.
    #[must_use]
    pub fn field_strength(&self) -> f64 {
        f64::from(self.field_strength) / FIELD_STRENGTH_SCALE
    }

    /// Seconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub fn timestamp(&self) -> u32 {
        self.timestamp.get()
    }

    /// The raw values of all axes, by [`Space::index`]; -32768 where not defined.
    #[must_use]
    pub fn coordinates(&self) -> RawCoordinates {
        let as_stored: RawCoordinates = zerocopy::transmute!(self.coordinates);
        as_stored.map(|axes| axes.map(i16::from_le))
    }

    /// The axes of a space, or `None` if none of them is defined.
    #[must_use]
    pub fn decoded(&self, space: Space) -> Option<Axes> {
        let axes = std::array::from_fn(|axis| self.decoded_axis(space, axis));
        axes.iter().any(Option::is_some).then_some(axes)
    }

    /// The value on one axis of a space, or `None` if it is not defined.
    ///
    /// # Panics
    ///
    /// If `axis` is 3 or more.
    #[must_use]
    pub fn decoded_axis(&self, space: Space, axis: usize) -> Option<f64> {
        decode_axis(self.coordinates[space.index()][axis].get(), space.scale(axis))
    }

    /// The Euclidean distance of the decoded values over the axes of some spaces that both define, or `None` if there
    /// is none. The units are those of the axes, mixed.
    #[must_use]
    pub fn distance(&self, other: &Self, spaces: SpaceSet) -> Option<f64> {
        let (mut squares, mut shares_axis) = (0.0, false);
        for (scale, a, b) in self.shared_axes(other, spaces) {
            let difference = f64::from(a) / scale - f64::from(b) / scale;
            squares += difference * difference;
            shares_axis = true;
        }
        shares_axis.then(|| squares.sqrt())
    }

    /// The cosine of the raw values over the axes of some spaces that both define, or `None` if there is none. It is 0
    /// if one of the tokens has nothing but zeros there, and exactly 1 for equal values.
    #[must_use]
    pub fn cosine(&self, other: &Self, spaces: SpaceSet) -> Option<f64> {
        let (mut product, mut own_square, mut other_square, mut shares_axis) = (0_i64, 0_i64, 0_i64, false);
        for (_, a, b) in self.shared_axes(other, spaces) {
            let (a, b) = (i64::from(a), i64::from(b));
            product += a * b;
            own_square += a * a;
            other_square += b * b;
            shares_axis = true;
        }
        // Sums of 24 products of 31 bits: exact as integers and as floats.
        let norm = (own_square as f64 * other_square as f64).sqrt();
        let cosine = if norm == 0.0 { 0.0 } else { (product as f64 / norm).clamp(-1.0, 1.0) };
        shares_axis.then_some(cosine)
    }

    /// The scale of each axis of some spaces that both define, and the raw values on it.
    fn shared_axes(&self, other: &Self, spaces: SpaceSet) -> impl Iterator<Item = (f64, i16, i16)> {
        let axes = spaces.iter().flat_map(|space| (0..AXES).map(move |axis| (space, axis)));
        let pairs = axes.map(move |(space, axis)| {
            let raw = |token: &Self| token.coordinates[space.index()][axis].get();
            (space.scale(axis), raw(self), raw(other))
        });
        pairs.filter(|(_, a, b)| *a != UNDEFINED && *b != UNDEFINED)
    }
}

fn encode_byte(value: f64, scale: f64, field: &'static str) -> Result<u8> {
    check_finite(value).map_err(|error| error.within(field))?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "casts from floats clamp")]
    Ok((value * scale).round_ties_even() as u8)
}

fn check_weight(weight: f32) -> Result<()> {
    if (0.0..=Token::WEIGHT_MAX).contains(&weight) {
        return Ok(());
    }
    let allowed = format!("a number from 0 to {}", Token::WEIGHT_MAX);
    Err(EntityError::new(EntityErrorKind::Token, "weight", weight, allowed))
}

fn check_type_flags(flags: u16, type_flags: u16) -> Result<()> {
    if flags & FLAGS_TYPE_MASK == type_flags {
        return Ok(());
    }
    let allowed = format!("{} in bits 8 to 11, the entity type", type_flags >> FLAGS_TYPE_SHIFT);
    Err(EntityError::new(EntityErrorKind::Token, "flags", format!("{flags:#06x}"), allowed))
}

fn type_flags(type_ordinal: u8) -> u16 {
    u16::from(type_ordinal) << FLAGS_TYPE_SHIFT
}

fn nibble(id: u32, shift: u32) -> u8 {
    #[expect(clippy::cast_possible_truncation, reason = "the low byte is what is wanted")]
    let byte = (id >> shift) as u8;
    byte & NIBBLE_MAX
}

#[cfg(test)]
mod tests {
    use super::{Space, SpaceSet, Token, TokenParts, TokenType};
    use crate::EntityErrorKind;

    // Where some fields begin; the coordinates begin at 0.
    const FLAGS_AT: usize = 52;
    const WEIGHT_AT: usize = 54;
    const FIELD_RADIUS_AT: usize = 58;
    const FIELD_STRENGTH_AT: usize = 59;

    fn token(spaces: &[(Space, [Option<f64>; 3])]) -> Token {
        let mut parts = TokenParts { entity_type: TokenType::Concept, weight: 1.0, ..TokenParts::default() };
        for (space, axes) in spaces {
            parts.spaces[space.index()] = Some(*axes);
        }
        Token::new(parts).expect("legal parts")
    }

    fn all(values: [f64; 3]) -> [Option<f64>; 3] {
        values.map(Some)
    }

    #[test]
    fn every_field_byte_survives_decoding_and_encoding() {
        for byte in 0..=u8::MAX {
            let mut bytes = token(&[]).to_bytes();
            bytes[FIELD_RADIUS_AT] = byte;
            bytes[FIELD_STRENGTH_AT] = byte;
            let read = Token::from_bytes(&bytes).expect("legal bytes");
            let parts = TokenParts {
                entity_type: TokenType::Concept,
                weight: 1.0,
                field_radius: read.field_radius(),
                field_strength: read.field_strength(),
                ..TokenParts::default()
            };
            assert_eq!(Token::new(parts).expect("legal parts").to_bytes(), bytes);
        }
    }

    #[test]
    fn field_bytes_round_half_to_even_and_clamp() {
        for (value, radius, strength) in [
            (0.005, 0, 1),
            (0.015, 2, 4),
            (0.5, 50, 128),
            (1.0, 100, 255),
            (2.55, 255, 255),
            (f64::MAX, 255, 255),
            (-0.0, 0, 0),
            (-1.0, 0, 0),
        ] {
            let parts = TokenParts { field_radius: value, field_strength: value, ..TokenParts::default() };
            let bytes = Token::new(parts).expect("legal parts").to_bytes();
            assert_eq!((bytes[FIELD_RADIUS_AT], bytes[FIELD_STRENGTH_AT]), (radius, strength), "{value}");
        }
    }

    #[test]
    fn numbers_that_are_not_finite_are_refused_with_the_name_of_their_field() {
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let mut parts = TokenParts::default();
            parts.spaces[Space::Motor.index()] = Some([Some(0.0), Some(value), None]);
            let spaces = Token::new(parts).expect_err("an axis");
            let radius = Token::new(TokenParts { field_radius: value, ..TokenParts::default() });
            let strength = Token::new(TokenParts { field_strength: value, ..TokenParts::default() });
            assert_eq!((spaces.kind(), spaces.field()), (EntityErrorKind::Token, "spaces.motor"));
            assert_eq!(radius.expect_err("a radius").field(), "field_radius");
            assert_eq!(strength.expect_err("a strength").field(), "field_strength");
        }
    }

    #[test]
    fn parts_out_of_range_are_refused_with_the_name_of_their_field() {
        let legal = TokenParts { entity_type: TokenType::State, flags: 0xf3ff, ..TokenParts::default() };
        assert_eq!(Token::new(legal).map(|token| (token.flags(), token.raw_flags())), Ok((0xf0ff, 0xf3ff)));
        for (parts, field) in [
            (TokenParts { local_id: 1 << 24, ..legal }, "local_id"),
            (TokenParts { domain: 16, ..legal }, "domain"),
            (TokenParts { flags: 0x0100, ..legal }, "flags"),
            (TokenParts { weight: 100.000_01, ..legal }, "weight"),
            (TokenParts { weight: -0.001, ..legal }, "weight"),
            (TokenParts { weight: f32::NAN, ..legal }, "weight"),
        ] {
            let error = Token::new(parts).expect_err(field);
            assert_eq!((error.kind(), error.field()), (EntityErrorKind::Token, field));
        }
    }

    #[test]
    fn own_bytes_are_checked_and_the_bytes_of_the_reference_converted() {
        let mut bytes = token(&[(Space::Sensory, all([0.0, 0.0127, 0.0]))]).to_bytes();
        bytes[..6].copy_from_slice([127, 0].repeat(3).as_slice());
        let own = Token::from_bytes(&bytes).expect("legal bytes");
        assert_eq!(own.decoded(Space::Physical), Some(all([1.27; 3])));
        bytes[FLAGS_AT + 1] = 0xa9;
        assert_eq!(Token::from_bytes(&bytes).expect_err("type bits").field(), "flags");
        let converted = Token::from_reference_bytes(&bytes).expect("legal bytes");
        assert_eq!(converted.decoded(Space::Physical), None);
        assert_eq!(converted.coordinates()[Space::Sensory.index()], [0, 127, 0]);
        assert_eq!((converted.raw_flags(), converted.entity_type()), (0xa500, TokenType::Concept));
        for weight in [-1.0, 100.5, f32::NAN, f32::INFINITY] {
            bytes[WEIGHT_AT..WEIGHT_AT + 4].copy_from_slice(&weight.to_le_bytes());
            assert_eq!(Token::from_bytes(&bytes).expect_err("weight").field(), "weight");
            assert_eq!(Token::from_reference_bytes(&bytes).expect_err("weight").field(), "weight");
        }
    }

    #[test]
    fn distance_and_cosine_need_an_axis_that_both_define() {
        let physical = token(&[(Space::Physical, [Some(3.0), None, Some(0.0)])]);
        let motor = token(&[(Space::Motor, all([1.0; 3]))]);
        let beside = token(&[(Space::Physical, [None, Some(4.0), None])]);
        for other in [motor, beside, token(&[])] {
            assert_eq!(
                (physical.distance(&other, SpaceSet::ALL), physical.cosine(&other, SpaceSet::ALL)),
                (None, None)
            );
        }
    }

    #[test]
    fn distance_is_euclidean_on_decoded_values_and_cosine_compares_raw_ones() {
        let a = token(&[(Space::Physical, all([3.0, 0.0, 1.0])), (Space::Motor, all([0.0, 0.0, 2.0]))]);
        let b =
            token(&[(Space::Physical, [Some(0.0), Some(4.0), None]), (Space::Motor, all([0.0, 0.0, 14.0]))]);
        assert_eq!(a.distance(&b, SpaceSet::ALL), Some(13.0));
        assert_eq!(b.distance(&a, SpaceSet::ALL), Some(13.0));
        let expected =
            2_000.0 * 14_000.0 / ((300.0_f64.powi(2) + 4.0e6) * (400.0_f64.powi(2) + 1.96e8)).sqrt();
        assert!((a.cosine(&b, SpaceSet::ALL).expect("shared") - expected).abs() < 1e-15);
        assert_eq!((a.cosine(&a, SpaceSet::ALL), a.distance(&a, SpaceSet::ALL)), (Some(1.0), Some(0.0)));
    }

    #[test]
    fn the_cosine_is_zero_without_a_direction_and_minus_one_for_opposites() {
        let zero = token(&[(Space::Social, all([0.0; 3]))]);
        let most = token(&[(Space::Social, all([9.0; 3]))]);
        let least = token(&[(Space::Social, all([-9.0; 3]))]);
        assert_eq!(
            (zero.cosine(&most, SpaceSet::ALL), zero.cosine(&zero, SpaceSet::ALL)),
            (Some(0.0), Some(0.0))
        );
        assert_eq!(most.cosine(&least, SpaceSet::ALL), Some(-1.0));
    }
}
