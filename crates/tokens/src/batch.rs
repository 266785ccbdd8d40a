//! Making many tokens at once: what they are made of, field by field.

use std::time::{SystemTime, UNIX_EPOCH};

use rayon::prelude::*;
use statlas_core::{
    AXES, EntityError, RawCoordinates, SPACES, Space, Token, TokenParts, TokenType, UNDEFINED, encode_axis,
};

/// The values of one field of the tokens that are made together.
#[derive(Debug, Clone, Copy)]
pub enum Column<'a, T> {
    /// The same for all.
    One(T),
    /// One for each, in their order.
    Each(&'a [T]),
}

/// The local ids of tokens that are made together.
#[derive(Debug, Clone, Copy)]
pub enum LocalIds<'a> {
    /// Ascending from this one on; a batch that has no ids left for all, of which there are 2^24, is refused.
    From(u32),
    /// Ascending from this one on, and from 0 on again behind the largest.
    WrappingFrom(u32),
    /// One for each, in their order.
    Each(&'a [u32]),
}

/// The coordinates of tokens that are made together.
#[derive(Debug, Clone, Copy)]
pub enum TokenCoordinates<'a> {
    /// No space is defined.
    None,
    /// Raw values of all axes, [`UNDEFINED`] where not defined.
    Raw(&'a [RawCoordinates]),
    /// Values of all axes in the order of [`Space::ALL`], NaN where not defined.
    Decoded(&'a [[[f64; AXES]; SPACES]]),
    /// Values of the axes of one space, NaN where not defined; no other space is.
    In(Space, &'a [[f64; AXES]]),
}

/// What tokens that are made together consist of. The default is all zeros of the undefined type.
#[derive(Debug, Clone, Copy)]
pub struct TokenBatch<'a> {
    /// See [`Token::local_id`].
    pub local_ids: LocalIds<'a>,
    /// What sort of thing they stand for.
    pub entity_type: Column<'a, TokenType>,
    /// At most [`Token::DOMAIN_MAX`].
    pub domain: Column<'a, u8>,
    /// See [`Token::flags`].
    pub flags: Column<'a, u16>,
    /// From 0 to [`Token::WEIGHT_MAX`].
    pub weight: Column<'a, f32>,
    /// Kept in hundredths and clamped to 0..=2.55.
    pub field_radius: Column<'a, f64>,
    /// Kept in 255ths and clamped to 0..=1.
    pub field_strength: Column<'a, f64>,
    /// Seconds since 1970-01-01T00:00:00Z.
    pub timestamp: Column<'a, u32>,
    /// Where they are.
    pub coordinates: TokenCoordinates<'a>,
}

impl Default for TokenBatch<'_> {
    fn default() -> Self {
        Self {
            local_ids: LocalIds::From(0),
            entity_type: Column::One(TokenType::Undefined),
            domain: Column::One(0),
            flags: Column::One(0),
            weight: Column::One(0.0),
            field_radius: Column::One(0.0),
            field_strength: Column::One(0.0),
            timestamp: Column::One(0),
            coordinates: TokenCoordinates::None,
        }
    }
}

impl TokenBatch<'_> {
    /// The default, at the time of now: the one call of a clock for all tokens that are made of it.
    #[must_use]
    pub fn now() -> Self {
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        // The field ends in 2106.
        Self { timestamp: Column::One(u32::try_from(seconds).unwrap_or(u32::MAX)), ..Self::default() }
    }
}

/// Why tokens were not made.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum BatchError {
    /// A column has another length than the batch.
    #[error("{field}: found {found} values; allowed: {count}, one for each token")]
    Length {
        /// The column.
        field: &'static str,
        /// Its length.
        found: usize,
        /// The number of tokens.
        count: usize,
    },
    /// A value breaks a rule.
    #[error("token {row}: {source}")]
    Value {
        /// The number of the token in the batch, from 0.
        row: usize,
        /// The rule.
        source: EntityError,
    },
    /// Bytes are not those of whole tokens.
    #[error("found {found} bytes; allowed: a multiple of {}, one token after another", Token::BYTES)]
    Bytes {
        /// How many there are.
        found: usize,
    },
}

/// Tokens that are made before the next column is put into them, while they are in the nearest cache.
const BLOCK: usize = 256;
/// Fewer are not worth another thread.
const ROWS_MIN: usize = 16 * BLOCK;

/// Appends `count` tokens, all or none.
pub(crate) fn create(
    tokens: &mut Vec<Token>,
    count: usize,
    batch: &TokenBatch<'_>,
) -> Result<(), BatchError> {
    let maker = Maker::new(count, batch)?;
    let before = tokens.len();
    tokens.reserve(count);
    for start in (0..count).step_by(BLOCK) {
        let end = count.min(start + BLOCK);
        tokens.extend((start..end).map(|row| maker.numbered(row)));
        if let Err(error) = maker.fill(&mut tokens[before + start..], start) {
            tokens.truncate(before);
            return Err(error);
        }
    }
    Ok(())
}

/// The same on all threads of rayon's pool.
pub(crate) fn par_create(
    tokens: &mut Vec<Token>,
    count: usize,
    batch: &TokenBatch<'_>,
) -> Result<(), BatchError> {
    let maker = Maker::new(count, batch)?;
    let before = tokens.len();
    // New memory is given by the system when it is first written to, which takes longer than all else: each thread asks.
    tokens.par_extend((0..count).into_par_iter().with_min_len(ROWS_MIN).map(|row| maker.numbered(row)));
    if columns(batch).next().is_none() {
        return Ok(());
    }
    let parts = tokens[before..].par_chunks_mut(BLOCK).with_min_len(ROWS_MIN / BLOCK).enumerate();
    let error = parts.find_map_first(|(number, part)| maker.fill(part, number * BLOCK).err());
    match error {
        None => Ok(()),
        Some(error) => {
            tokens.truncate(before);
            Err(error)
        }
    }
}

/// Tokens from their bytes, as `read_one` reads each.
pub(crate) fn read(
    bytes: &[u8],
    read_one: impl Fn(&[u8; Token::BYTES]) -> Result<Token, EntityError>,
) -> Result<Vec<Token>, BatchError> {
    let (rows, []) = bytes.as_chunks() else { return Err(BatchError::Bytes { found: bytes.len() }) };
    let mut tokens = Vec::with_capacity(rows.len());
    for (row, bytes) in rows.iter().enumerate() {
        tokens.push(read_one(bytes).map_err(|source| BatchError::Value { row, source })?);
    }
    Ok(tokens)
}

/// Makes any part of a batch whose columns are as long as it is.
struct Maker<'a> {
    batch: &'a TokenBatch<'a>,
    /// What is the same for all.
    template: Token,
    first_id: u32,
}

impl<'a> Maker<'a> {
    fn new(count: usize, batch: &'a TokenBatch<'a>) -> Result<Self, BatchError> {
        check_lengths(count, batch)?;
        let template = template(batch).map_err(|source| BatchError::Value { row: 0, source })?;
        let first_id = match batch.local_ids {
            LocalIds::From(first) => check_ascending(first, count)?,
            LocalIds::WrappingFrom(first) => check_ascending(first, count.min(1))?,
            LocalIds::Each(_) => 0,
        };
        Ok(Self { batch, template, first_id })
    }

    /// What is the same for all, with the number of a row.
    #[inline]
    fn numbered(&self, row: usize) -> Token {
        // Numbers below 2^24, checked before, or overwritten later.
        self.template.with_masked_local_id(self.first_id.wrapping_add(row as u32))
    }

    /// Puts in what each has for itself; the first one is number `start` of the batch.
    fn fill(&self, tokens: &mut [Token], start: usize) -> Result<(), BatchError> {
        let wrong = |(at, source)| BatchError::Value { row: start + at, source };
        fill(tokens, start, self.batch).map_err(wrong)
    }
}

/// The columns that have a value for each token: their names and lengths.
fn columns(batch: &TokenBatch<'_>) -> impl Iterator<Item = (&'static str, usize)> {
    fn each<T>(column: Column<'_, T>) -> Option<usize> {
        match column {
            Column::One(_) => None,
            Column::Each(values) => Some(values.len()),
        }
    }
    let ids = match batch.local_ids {
        LocalIds::From(_) | LocalIds::WrappingFrom(_) => None,
        LocalIds::Each(ids) => Some(ids.len()),
    };
    let coordinates = match batch.coordinates {
        TokenCoordinates::None => None,
        TokenCoordinates::Raw(rows) => Some(rows.len()),
        TokenCoordinates::Decoded(rows) => Some(rows.len()),
        TokenCoordinates::In(_, rows) => Some(rows.len()),
    };
    let all = [
        ("local_ids", ids),
        ("entity_type", each(batch.entity_type)),
        ("domain", each(batch.domain)),
        ("flags", each(batch.flags)),
        ("weight", each(batch.weight)),
        ("field_radius", each(batch.field_radius)),
        ("field_strength", each(batch.field_strength)),
        ("timestamp", each(batch.timestamp)),
        ("coordinates", coordinates),
    ];
    all.into_iter().filter_map(|(field, length)| Some((field, length?)))
}

fn check_lengths(count: usize, batch: &TokenBatch<'_>) -> Result<(), BatchError> {
    match columns(batch).find(|(_, found)| *found != count) {
        None => Ok(()),
        Some((field, found)) => Err(BatchError::Length { field, found, count }),
    }
}

/// The token with all that is the same for all.
fn template(batch: &TokenBatch<'_>) -> Result<Token, EntityError> {
    fn one<T: Copy + Default>(column: Column<'_, T>) -> T {
        match column {
            Column::One(value) => value,
            Column::Each(_) => T::default(),
        }
    }
    let parts = TokenParts {
        entity_type: one(batch.entity_type),
        domain: one(batch.domain),
        weight: one(batch.weight),
        field_radius: one(batch.field_radius),
        field_strength: one(batch.field_strength),
        timestamp: one(batch.timestamp),
        ..TokenParts::default()
    };
    let mut template = Token::new(parts)?;
    // Flags may repeat a type that each has for itself.
    if let (Column::One(flags), Column::One(_)) = (batch.flags, batch.entity_type) {
        template.set_flags(flags)?;
    }
    Ok(template)
}

fn check_ascending(first: u32, count: usize) -> Result<u32, BatchError> {
    let free = (u64::from(Token::LOCAL_ID_MAX) + 1).saturating_sub(first.into());
    if count as u64 <= free {
        return Ok(first);
    }
    // The first one that has no number.
    let row = free as usize;
    let found = first.saturating_add(u32::try_from(row).unwrap_or(u32::MAX));
    let source = Token::EMPTY.clone().set_local_id(found).expect_err("it is larger than any");
    Err(BatchError::Value { row, source })
}

/// Puts what each has for itself into tokens that are numbers `start` and on of a batch; or which one can't have it.
fn fill(tokens: &mut [Token], start: usize, batch: &TokenBatch<'_>) -> Result<(), (usize, EntityError)> {
    let rows = start..start + tokens.len();
    if let LocalIds::Each(ids) = batch.local_ids {
        put(tokens, &ids[rows.clone()], |token, id| token.set_local_id(*id))?;
    }
    if let Column::Each(types) = batch.entity_type {
        put(tokens, &types[rows.clone()], |token, entity_type| {
            token.set_entity_type(*entity_type);
            Ok(())
        })?;
        if let Column::One(flags) = batch.flags {
            tokens
                .iter_mut()
                .enumerate()
                .try_for_each(|(at, token)| token.set_flags(flags).map_err(|error| (at, error)))?;
        }
    }
    if let Column::Each(domains) = batch.domain {
        put(tokens, &domains[rows.clone()], |token, domain| token.set_domain(*domain))?;
    }
    if let Column::Each(flags) = batch.flags {
        put(tokens, &flags[rows.clone()], |token, flags| token.set_flags(*flags))?;
    }
    if let Column::Each(weights) = batch.weight {
        put(tokens, &weights[rows.clone()], |token, weight| token.set_weight(*weight))?;
    }
    if let Column::Each(radii) = batch.field_radius {
        put(tokens, &radii[rows.clone()], |token, radius| token.set_field_radius(*radius))?;
    }
    if let Column::Each(strengths) = batch.field_strength {
        put(tokens, &strengths[rows.clone()], |token, strength| token.set_field_strength(*strength))?;
    }
    if let Column::Each(timestamps) = batch.timestamp {
        put(tokens, &timestamps[rows.clone()], |token, timestamp| {
            token.set_timestamp(*timestamp);
            Ok(())
        })?;
    }
    match batch.coordinates {
        TokenCoordinates::None => Ok(()),
        TokenCoordinates::Raw(all) => put(tokens, &all[rows], |token, raws| {
            token.set_coordinates(raws);
            Ok(())
        }),
        TokenCoordinates::Decoded(all) => put(tokens, &all[rows], |token, spaces| {
            for (space, axes) in Space::ALL.into_iter().zip(spaces) {
                token.set_axes(space, encode(space, axes)?);
            }
            Ok(())
        }),
        TokenCoordinates::In(space, all) => put(tokens, &all[rows], |token, axes| {
            token.set_axes(space, encode(space, axes)?);
            Ok(())
        }),
    }
}

fn put<T>(
    tokens: &mut [Token],
    values: &[T],
    set: impl Fn(&mut Token, &T) -> Result<(), EntityError>,
) -> Result<(), (usize, EntityError)> {
    let mut rows = tokens.iter_mut().zip(values).enumerate();
    rows.try_for_each(|(at, (token, value))| set(token, value).map_err(|error| (at, error)))
}

/// The raw values of axes of a space, NaN where not defined.
fn encode(space: Space, axes: &[f64; AXES]) -> Result<[i16; AXES], EntityError> {
    let mut raws = [UNDEFINED; AXES];
    for (axis, raw) in raws.iter_mut().enumerate() {
        if !axes[axis].is_nan() {
            let encoded = encode_axis(axes[axis], space.scale(axis));
            *raw = encoded.map_err(|error| error.within(space.as_str()).within("coordinates"))?;
        }
    }
    Ok(raws)
}
