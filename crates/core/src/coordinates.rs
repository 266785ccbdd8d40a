//! Positions in the seven dimensions of STAT7 and the eight of FractalStat.

use std::fmt;
use std::str::FromStr;

use crate::adjacency::Adjacency;
use crate::float::round_coordinate;
use crate::identifier::Identifier;
use crate::{EntityError, EntityErrorKind};

/// Which coordinate space an entity lies in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Profile {
    /// Seven dimensions: realm, lineage, adjacency, horizon, resonance, velocity, density.
    Stat7,
    /// Eight dimensions: realm, lineage, adjacency, horizon, luminosity, polarity, dimensionality, alignment.
    FractalStat,
}

/// Defines an enum of named values with ordinals, its names in order, and conversions both ways.
macro_rules! named {
    ($(#[$doc:meta])* $name:ident, $kind:expr, $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)+) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum $name { $($(#[$variant_doc])* $variant,)+ }

        impl $name {
            /// All values, in the order of their ordinals.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The name as it is hashed.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }

            /// Where the value stands in [`Self::ALL`].
            #[must_use]
            pub const fn ordinal(self) -> u8 {
                self as u8
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = EntityError;

            fn from_str(text: &str) -> Result<Self, EntityError> {
                Self::ALL.iter().copied().find(|value| value.as_str() == text).ok_or_else(|| {
                    let allowed = concat!("one of", $(" ", $text,)+);
                    EntityError::new($kind, "", format!("{text:?}"), allowed)
                })
            }
        }
    };
}

named! {
    /// Polarity, a dimension of FractalStat.
    Polarity, EntityErrorKind::Polarity,
    /// `LOGIC`
    Logic = "LOGIC",
    /// `CREATIVITY`
    Creativity = "CREATIVITY",
    /// `ORDER`
    Order = "ORDER",
    /// `CHAOS`
    Chaos = "CHAOS",
    /// `BALANCE`
    Balance = "BALANCE",
    /// `ACHIEVEMENT`
    Achievement = "ACHIEVEMENT",
    /// `CONTRIBUTION`
    Contribution = "CONTRIBUTION",
    /// `COMMUNITY`
    Community = "COMMUNITY",
    /// `TECHNICAL`
    Technical = "TECHNICAL",
    /// `CREATIVE`
    Creative = "CREATIVE",
    /// `UNITY`
    Unity = "UNITY",
    /// `VOID`
    Void = "VOID",
}

named! {
    /// Alignment, a dimension of FractalStat.
    Alignment, EntityErrorKind::Alignment,
    /// `LAWFUL_GOOD`
    LawfulGood = "LAWFUL_GOOD",
    /// `NEUTRAL_GOOD`
    NeutralGood = "NEUTRAL_GOOD",
    /// `CHAOTIC_GOOD`
    ChaoticGood = "CHAOTIC_GOOD",
    /// `LAWFUL_NEUTRAL`
    LawfulNeutral = "LAWFUL_NEUTRAL",
    /// `TRUE_NEUTRAL`
    TrueNeutral = "TRUE_NEUTRAL",
    /// `CHAOTIC_NEUTRAL`
    ChaoticNeutral = "CHAOTIC_NEUTRAL",
    /// `LAWFUL_EVIL`
    LawfulEvil = "LAWFUL_EVIL",
    /// `NEUTRAL_EVIL`
    NeutralEvil = "NEUTRAL_EVIL",
    /// `CHAOTIC_EVIL`
    ChaoticEvil = "CHAOTIC_EVIL",
    /// `HARMONIC`
    Harmonic = "HARMONIC",
    /// `ENTROPIC`
    Entropic = "ENTROPIC",
    /// `SYMBIOTIC`
    Symbiotic = "SYMBIOTIC",
}

impl Profile {
    /// The name in JSON and the scheme of URIs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stat7 => "stat7",
            Self::FractalStat => "fractalstat",
        }
    }

    /// The key of the coordinates in the canonical form.
    #[must_use]
    pub const fn coordinates_key(self) -> &'static str {
        match self {
            Self::Stat7 => "stat7_coordinates",
            Self::FractalStat => "fractalstat_coordinates",
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Profile {
    type Err = EntityError;

    fn from_str(text: &str) -> Result<Self, EntityError> {
        match text {
            "stat7" => Ok(Self::Stat7),
            "fractalstat" => Ok(Self::FractalStat),
            _ => {
                let found = format!("{text:?}");
                Err(EntityError::new(EntityErrorKind::Profile, "profile", found, "stat7 or fractalstat"))
            }
        }
    }
}

/// A position: the dimensions that both profiles share, and those of one of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Coordinates {
    /// The realm of the position; independent of the entity's own realm.
    pub realm: Identifier,
    /// Generations from the common ancestor, which has 0.
    pub lineage: u32,
    /// Ids of the neighbours.
    pub adjacency: Adjacency,
    /// The stage of life.
    pub horizon: Identifier,
    /// The dimensions of the profile.
    pub dimensions: Dimensions,
}

/// The dimensions that only one profile has.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Dimensions {
    /// Those of STAT7.
    Stat7(Stat7),
    /// Those of FractalStat.
    FractalStat(FractalStat),
}

/// Resonance, velocity and density, each rounded to eight decimals.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stat7 {
    resonance: f64,
    velocity: f64,
    density: f64,
}

/// Luminosity (rounded to eight decimals), polarity, dimensionality and alignment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FractalStat {
    luminosity: f64,
    /// The polarity.
    pub polarity: Polarity,
    /// The dimensionality.
    pub dimensionality: u32,
    /// The alignment.
    pub alignment: Alignment,
}

fn rounded_within(field: &'static str, value: f64, min: f64, max: f64) -> Result<f64, EntityError> {
    if (min..=max).contains(&value) {
        return Ok(round_coordinate(value));
    }
    let allowed = format!("a number from {min} to {max}");
    Err(EntityError::new(EntityErrorKind::Range, field, value, allowed))
}

impl Stat7 {
    /// Checks that resonance and velocity lie in [-1, 1] and density in [0, 1], and rounds them.
    ///
    /// # Errors
    ///
    /// [`EntityErrorKind::Range`] for a value outside its range, NaN included.
    pub fn new(resonance: f64, velocity: f64, density: f64) -> Result<Self, EntityError> {
        Ok(Self {
            resonance: rounded_within("resonance", resonance, -1.0, 1.0)?,
            velocity: rounded_within("velocity", velocity, -1.0, 1.0)?,
            density: rounded_within("density", density, 0.0, 1.0)?,
        })
    }

    /// Resonance, in [-1, 1].
    #[must_use]
    pub fn resonance(&self) -> f64 {
        self.resonance
    }

    /// Velocity, in [-1, 1].
    #[must_use]
    pub fn velocity(&self) -> f64 {
        self.velocity
    }

    /// Density, in [0, 1].
    #[must_use]
    pub fn density(&self) -> f64 {
        self.density
    }
}

impl FractalStat {
    /// Checks that luminosity lies in [0, 100], and rounds it.
    ///
    /// # Errors
    ///
    /// [`EntityErrorKind::Range`] for a value outside the range, NaN included.
    pub fn new(
        luminosity: f64,
        polarity: Polarity,
        dimensionality: u32,
        alignment: Alignment,
    ) -> Result<Self, EntityError> {
        let luminosity = rounded_within("luminosity", luminosity, 0.0, 100.0)?;
        Ok(Self { luminosity, polarity, dimensionality, alignment })
    }

    /// Luminosity, in [0, 100].
    #[must_use]
    pub fn luminosity(&self) -> f64 {
        self.luminosity
    }
}

impl Dimensions {
    /// The profile whose dimensions these are.
    #[must_use]
    pub fn profile(&self) -> Profile {
        match self {
            Self::Stat7(_) => Profile::Stat7,
            Self::FractalStat(_) => Profile::FractalStat,
        }
    }
}

impl Coordinates {
    /// The profile of these coordinates.
    #[must_use]
    pub fn profile(&self) -> Profile {
        self.dimensions.profile()
    }
}
