//! Millions of tokens: made, filtered, sorted and searched at the speed of memory.
//!
//! A [`TokenVec`] holds tokens of 64 bytes one behind the other and is a slice of them; everything here works on such
//! slices, wherever they are.
//!
//! ```
//! use statlas_core::{Space, TokenType};
//! use statlas_tokens::{Column, TokenCoordinates, Metric, TokenBatch, TokenVec, nearest};
//!
//! let places: Vec<[f64; 3]> = (0..1000).map(|number| [f64::from(number) / 10.0, 0.0, 0.0]).collect();
//! let mut tokens = TokenVec::with_capacity(1000);
//! tokens.create(1000, &TokenBatch {
//!     entity_type: Column::One(TokenType::Object),
//!     coordinates: TokenCoordinates::In(Space::Physical, &places),
//!     ..TokenBatch::now()
//! })?;
//! let near = nearest(&tokens, &tokens[500], 3, Space::Physical.into(), Metric::Euclidean);
//! assert_eq!(near.iter().map(|found| found.index).collect::<Vec<_>>(), [500, 499, 501]);
//! # Ok::<(), statlas_tokens::BatchError>(())
//! ```

#![deny(unsafe_code)]

mod batch;
mod column;
mod field;
mod file;
mod nearest;
mod token_vec;

pub use batch::{BatchError, Column, LocalIds, TokenBatch, TokenCoordinates};
pub use column::{coordinates, decoded, decoded_in, values};
pub use field::{Condition, Field, filter, order, select, take};
pub use file::{MappedTokens, TOKENS_MAX, TokenFile, TokenFileError, save, save_while};
pub use nearest::{Metric, Near, Nearest, nearest, par_nearest, within};
pub use token_vec::TokenVec;
