//! Data sets for trying and measuring Statlas.
//!
//! A [`Generator`] makes varied, valid entities from a seed: the same seed gives the same entities on
//! every machine, for ever, so a figure that was measured on them can be measured again.
//!
//! ```
//! use statlas_lab::Generator;
//!
//! let generator = Generator::new(42, None);
//! let third = generator.entity(2);
//! assert_eq!(generator.take(3).last(), Some(third));
//! ```
//!
//! This crate has no clock, no I/O and no other source of randomness than the seed.

#![forbid(unsafe_code)]

mod generator;
mod random;
mod state_text;

pub use generator::Generator;
pub use random::SplitMix64;
