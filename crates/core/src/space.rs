//! The eight spaces of a token: their axes, and the codec of the values on them.

use std::fmt;

use crate::{EntityError, EntityErrorKind};

type Result<T> = std::result::Result<T, EntityError>;

/// The axes of one space; `None` where not defined.
pub type Axes = [Option<f64>; AXES];
/// The axes of every space, in the order of [`Space::ALL`].
pub(crate) type Spaces = [Option<Axes>; SPACES];
/// The raw values of all axes, in the order of [`Space::ALL`]; [`UNDEFINED`] where not defined.
pub type RawCoordinates = [[i16; AXES]; SPACES];

/// How many spaces there are.
pub const SPACES: usize = 8;
/// How many axes each has.
pub const AXES: usize = 3;

/// The raw value of an axis that is not defined. Defined ones lie in -32767..=32767.
pub const UNDEFINED: i16 = i16::MIN;
/// The largest raw value; larger ones are clamped to it.
const RAW_MAX: f64 = 32_767.0;

/// Raw units per unit of each axis.
pub(crate) const SCALES: [[f64; AXES]; SPACES] = [
    [100.0; AXES],
    [10_000.0; AXES],
    [1_000.0; AXES],
    [10_000.0; AXES],
    [10_000.0; AXES],
    [10_000.0; AXES],
    [100.0, 100.0, 1_000.0],
    [10_000.0; AXES],
];

/// One of the eight spaces of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Space {
    /// East, north and height in metres.
    Physical,
    /// Salience, valence and novelty.
    Sensory,
    /// Velocity, acceleration and yaw rate.
    Motor,
    /// Valence, arousal and dominance.
    Emotional,
    /// Load, abstraction and certainty.
    Cognitive,
    /// Distance, status and affiliation.
    Social,
    /// Offset in seconds, duration in seconds and frequency in hertz.
    Temporal,
    /// Proximity, causality and modality.
    Abstract,
}

impl Space {
    /// All spaces, in the order in which a token holds them.
    pub const ALL: [Self; SPACES] = [
        Self::Physical,
        Self::Sensory,
        Self::Motor,
        Self::Emotional,
        Self::Cognitive,
        Self::Social,
        Self::Temporal,
        Self::Abstract,
    ];

    /// The name in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Physical => "physical",
            Self::Sensory => "sensory",
            Self::Motor => "motor",
            Self::Emotional => "emotional",
            Self::Cognitive => "cognitive",
            Self::Social => "social",
            Self::Temporal => "temporal",
            Self::Abstract => "abstract",
        }
    }

    /// The space with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|space| space.as_str() == name)
    }

    /// Where the space stands in [`Self::ALL`] and in [`Token::coordinates`](crate::Token::coordinates).
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Raw units per unit of an axis.
    ///
    /// # Panics
    ///
    /// If `axis` is 3 or more.
    #[must_use]
    pub const fn scale(self, axis: usize) -> f64 {
        SCALES[self.index()][axis]
    }
}

/// Some of the eight spaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SpaceSet(u8);

impl SpaceSet {
    /// Every space.
    pub const ALL: Self = Self(u8::MAX);
    /// No space.
    pub const NONE: Self = Self(0);

    /// Whether it holds a space.
    #[must_use]
    pub const fn has(self, space: Space) -> bool {
        self.0 >> space.index() & 1 == 1
    }

    /// The same and one more.
    #[must_use]
    pub const fn with(self, space: Space) -> Self {
        Self(self.0 | 1 << space.index())
    }

    /// The spaces that it holds, in the order of [`Space::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Space> {
        Space::ALL.into_iter().filter(move |space| self.has(*space))
    }

    /// Whether it holds none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl FromIterator<Space> for SpaceSet {
    fn from_iter<I: IntoIterator<Item = Space>>(spaces: I) -> Self {
        spaces.into_iter().fold(Self::NONE, Self::with)
    }
}

impl From<Space> for SpaceSet {
    fn from(space: Space) -> Self {
        Self::NONE.with(space)
    }
}

impl fmt::Display for Space {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The raw value of an axis: `value` times `scale`, rounded half to even and clamped to +-32767.
///
/// # Errors
///
/// [`EntityErrorKind::Token`] if `value` is not finite.
pub fn encode_axis(value: f64, scale: f64) -> Result<i16> {
    check_finite(value)?;
    #[expect(clippy::cast_possible_truncation, reason = "clamped to the range of the target")]
    Ok((value * scale).round_ties_even().clamp(-RAW_MAX, RAW_MAX) as i16)
}

/// The value of an axis, or `None` for -32768. [`encode_axis`] turns each back into the same raw value.
#[must_use]
pub fn decode_axis(raw: i16, scale: f64) -> Option<f64> {
    (raw != UNDEFINED).then(|| f64::from(raw) / scale)
}

/// The raw values of all axes; the field of an error is the name of the space.
pub(crate) fn encode_spaces(spaces: &Spaces) -> Result<RawCoordinates> {
    let mut coordinates = [[UNDEFINED; AXES]; SPACES];
    for (space, raws) in Space::ALL.into_iter().zip(&mut coordinates) {
        let axes = spaces[space.index()].unwrap_or_default();
        for (axis, raw) in raws.iter_mut().enumerate() {
            if let Some(value) = axes[axis] {
                *raw = encode_axis(value, space.scale(axis)).map_err(|error| error.within(space.as_str()))?;
            }
        }
    }
    Ok(coordinates)
}

pub(crate) fn check_finite(value: f64) -> Result<()> {
    if value.is_finite() {
        return Ok(());
    }
    Err(EntityError::new(EntityErrorKind::Token, "", value, "a finite number"))
}

#[cfg(test)]
mod tests {
    use super::{SCALES, Space, UNDEFINED, decode_axis, encode_axis};

    #[test]
    fn every_raw_value_survives_decoding_and_encoding_at_every_scale() {
        for scale in SCALES.as_flattened() {
            for raw in i16::MIN..=i16::MAX {
                let value = decode_axis(raw, *scale);
                let encoded = value.map_or(UNDEFINED, |value| encode_axis(value, *scale).expect("finite"));
                assert_eq!(encoded, raw, "scale {scale}");
            }
        }
    }

    #[test]
    fn axes_round_half_to_even_and_clamp_short_of_the_undefined_mark() {
        for (value, scale, raw) in [
            (0.005, 100.0, 0),
            (0.015, 100.0, 2),
            (-0.015, 100.0, -2),
            (0.025, 100.0, 2),
            (327.68, 100.0, 32_767),
            (-327.68, 100.0, -32_767),
            (f64::MAX, 10_000.0, 32_767),
            (f64::MIN, 10_000.0, -32_767),
        ] {
            assert_eq!(encode_axis(value, scale), Ok(raw), "{value}");
        }
    }

    #[test]
    fn names_and_places_agree() {
        for (at, space) in Space::ALL.into_iter().enumerate() {
            assert_eq!((space.index(), Space::from_name(space.as_str())), (at, Some(space)));
        }
        assert_eq!(Space::from_name("Physical"), None);
    }
}
