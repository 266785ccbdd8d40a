//! The bounds, lane by lane.

use statlas_core::{Token, UNDEFINED};

use super::{BLOCK, LANES, Window};
use crate::nearest::Metric;

pub(super) fn bounds(metric: Metric, windows: &[Window], tokens: &[Token], lowest: &mut [f32; BLOCK]) {
    for (token, lowest) in tokens.iter().zip(lowest) {
        *lowest = match metric {
            Metric::Euclidean => euclidean(windows, token),
            Metric::Cosine => cosine(windows, token),
        };
    }
}

/// The raw values of a token in a window, with what the query has there, where both are defined.
fn shared<'a>(windows: &'a [Window], token: &'a Token) -> impl Iterator<Item = (f32, &'a Window, usize)> {
    windows.iter().flat_map(move |window| {
        let bytes = window.bytes(token);
        (0..LANES).filter_map(move |lane| {
            let raw = i16::from_le_bytes([bytes[2 * lane], bytes[2 * lane + 1]]);
            (raw != UNDEFINED && window.masks[lane] != 0).then(|| (f32::from(raw), window, lane))
        })
    })
}

/// The square of the Euclidean distance.
fn euclidean(windows: &[Window], token: &Token) -> f32 {
    let (mut sum, mut is_shared) = (0.0, false);
    for (raw, window, lane) in shared(windows, token) {
        let difference = (raw - window.raws[lane]) * window.weights[lane];
        sum += difference * difference;
        is_shared = true;
    }
    if is_shared { sum } else { f32::INFINITY }
}

/// One less the cosine.
fn cosine(windows: &[Window], token: &Token) -> f32 {
    let (mut product, mut own, mut other, mut is_shared) = (0.0, 0.0, 0.0, false);
    for (raw, window, lane) in shared(windows, token) {
        let query = window.raws[lane];
        product += query * raw;
        own += query * query;
        other += raw * raw;
        is_shared = true;
    }
    if is_shared { one_less_cosine(product, own, other) } else { f32::INFINITY }
}

#[inline]
pub(super) fn one_less_cosine(product: f32, own: f32, other: f32) -> f32 {
    let norm = (own * other).sqrt();
    if norm == 0.0 { 1.0 } else { 1.0 - product / norm }
}
