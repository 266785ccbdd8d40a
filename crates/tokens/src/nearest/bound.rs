//! Lower bounds of distances, in single precision.

use multiversion::multiversion;
use statlas_core::{AXES, SPACES, Space, SpaceSet, Token, UNDEFINED};

use super::Metric;

/// Tokens whose bounds are computed together.
pub(super) const BLOCK: usize = 128;
/// All axes of a token.
const ALL_AXES: usize = SPACES * AXES;
/// Axes that are worked on together.
const LANES: usize = 8;

/// By how much a sum of 24 squares in single precision may be too large, in parts of it: each term is rounded three times
/// and each sum of at most 24 once, by 2^-24 at most, which makes 27 * 2^-24.
const SLACK: f64 = 2e-6;
/// By how much a cosine may be wrong: the product and both norms by 27 * 2^-24, and the root and the quotient.
const COSINE_SLACK: f64 = 1e-5;

/// What is the same for all tokens of a search.
pub(super) struct Bounds {
    metric: Metric,
    query: Query,
}

/// The query, axis by axis.
#[derive(Clone, Copy)]
struct Query {
    raws: [f32; ALL_AXES],
    /// What a difference of raw values is multiplied with; 0 for axes that do not count.
    weights: [f32; ALL_AXES],
    /// All bits for axes that count.
    masks: [i16; ALL_AXES],
}

impl Bounds {
    pub(super) fn new(query: &Token, spaces: SpaceSet, metric: Metric) -> Self {
        let mut axes = Query { raws: [0.0; ALL_AXES], weights: [0.0; ALL_AXES], masks: [0; ALL_AXES] };
        let coordinates = query.coordinates();
        for space in spaces.iter() {
            for axis in 0..AXES {
                let at = space.index() * AXES + axis;
                let raw = coordinates[space.index()][axis];
                if raw != UNDEFINED {
                    axes.raws[at] = f32::from(raw);
                    axes.weights[at] = match metric {
                        Metric::Euclidean => (1.0 / Space::scale(space, axis)) as f32,
                        Metric::Cosine => 1.0,
                    };
                    axes.masks[at] = -1;
                }
            }
        }
        Self { metric, query: axes }
    }

    /// Computes bounds of at most [`BLOCK`] tokens, infinite for those that share no axis with the query.
    pub(super) fn of(&self, tokens: &[Token], lowest: &mut [f32; BLOCK]) {
        match self.metric {
            Metric::Euclidean => euclidean(&self.query, tokens, lowest),
            Metric::Cosine => cosine(&self.query, tokens, lowest),
        }
    }

    /// What bounds of tokens that are at most `limit` far do not exceed.
    pub(super) fn bar(&self, limit: f64) -> f32 {
        let bar = match self.metric {
            Metric::Euclidean => limit * limit * (1.0 + 2.0 * SLACK),
            Metric::Cosine => limit + COSINE_SLACK,
        };
        // Rounding must not lower it, and what shares no axis is never asked for.
        (bar as f32).next_up().min(f32::MAX)
    }
}

/// Squares of Euclidean distances.
#[multiversion(targets("x86_64+avx2+fma+bmi2"))]
fn euclidean(query: &Query, tokens: &[Token], lowest: &mut [f32; BLOCK]) {
    for (token, lowest) in tokens.iter().zip(lowest) {
        let raws = token.coordinates();
        let raws: &[i16; ALL_AXES] = raws.as_flattened().try_into().expect("all axes");
        let (mut sums, mut shared) = ([0.0_f32; LANES], [0_i16; LANES]);
        for start in (0..ALL_AXES).step_by(LANES) {
            for lane in 0..LANES {
                let (at, raw) = (start + lane, raws[start + lane]);
                let is_defined = if raw == UNDEFINED { 0 } else { query.masks[at] };
                let weight = if raw == UNDEFINED { 0.0 } else { query.weights[at] };
                let difference = (f32::from(raw) - query.raws[at]) * weight;
                sums[lane] += difference * difference;
                shared[lane] |= is_defined;
            }
        }
        let is_shared = shared.iter().fold(0, |all, lane| all | lane) != 0;
        *lowest = if is_shared { sums.iter().sum() } else { f32::INFINITY };
    }
}

/// One less cosines.
#[multiversion(targets("x86_64+avx2+fma+bmi2"))]
fn cosine(query: &Query, tokens: &[Token], lowest: &mut [f32; BLOCK]) {
    for (token, lowest) in tokens.iter().zip(lowest) {
        let raws = token.coordinates();
        let raws: &[i16; ALL_AXES] = raws.as_flattened().try_into().expect("all axes");
        let (mut products, mut own, mut other) = ([0.0_f32; LANES], [0.0_f32; LANES], [0.0_f32; LANES]);
        let mut shared = [0_i16; LANES];
        for start in (0..ALL_AXES).step_by(LANES) {
            for lane in 0..LANES {
                let (at, raw) = (start + lane, raws[start + lane]);
                let is_defined = if raw == UNDEFINED { 0 } else { query.masks[at] };
                let weight = if raw == UNDEFINED { 0.0 } else { query.weights[at] };
                let (a, b) = (query.raws[at] * weight, f32::from(raw) * weight);
                products[lane] += a * b;
                own[lane] += a * a;
                other[lane] += b * b;
                shared[lane] |= is_defined;
            }
        }
        let sum = |lanes: [f32; LANES]| lanes.iter().sum::<f32>();
        let norm = (sum(own) * sum(other)).sqrt();
        let cosine = if norm == 0.0 { 0.0 } else { sum(products) / norm };
        let is_shared = shared.iter().fold(0, |all, lane| all | lane) != 0;
        *lowest = if is_shared { 1.0 - cosine } else { f32::INFINITY };
    }
}
