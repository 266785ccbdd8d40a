//! Lower bounds of distances, in single precision, eight axes at a time.
//!
//! On processors with AVX2 each step is one instruction; elsewhere the same is done lane by lane. Both are bounds, and the
//! answer of a search does not depend on which of them was used.

use statlas_core::{AXES, SPACES, SpaceSet, Token, UNDEFINED};

use super::Metric;

#[cfg(target_arch = "x86_64")]
mod avx2;
mod lanes;

/// Tokens whose bounds are computed together.
pub(super) const BLOCK: usize = 128;
/// All axes of a token.
const ALL_AXES: usize = SPACES * AXES;
/// Axes that are worked on together.
const LANES: usize = 8;

/// By how much a sum of 24 squares in single precision may be too large, in parts of it: each term is rounded four times
/// and summed up in at most 24 steps, each by 2^-24 of it at most.
const SLACK: f64 = 2e-6;
/// By how much a cosine may be wrong: the product and both norms by as much, and the root and the quotient.
const COSINE_SLACK: f64 = 1e-5;

/// What is the same for all tokens of a search.
pub(super) struct Bounds {
    metric: Metric,
    windows: Vec<Window>,
    has_avx2: bool,
}

/// Eight axes that stand one behind the other in a token.
struct Window {
    /// The first of them.
    start: usize,
    /// The raw values of the query.
    raws: [f32; LANES],
    /// What a difference of raw values is multiplied with.
    weights: [f32; LANES],
    /// All bits for axes that count.
    masks: [i32; LANES],
}

impl Window {
    /// The bytes of the window in a token.
    #[inline]
    fn bytes<'a>(&self, token: &'a Token) -> &'a [u8; LANES * 2] {
        let bytes: &[u8; Token::BYTES] = zerocopy::transmute_ref!(token);
        bytes[self.start * 2..][..LANES * 2].try_into().expect("it lies inside the coordinates")
    }
}

impl Bounds {
    pub(super) fn new(query: &Token, spaces: SpaceSet, metric: Metric) -> Self {
        let mut windows: Vec<Window> = Vec::new();
        let coordinates = query.coordinates();
        for space in spaces.iter() {
            for (axis, raw) in coordinates[space.index()].into_iter().enumerate() {
                let at = space.index() * AXES + axis;
                if raw == UNDEFINED {
                    continue;
                }
                if windows.last().is_none_or(|last| at >= last.start + LANES) {
                    windows.push(Window {
                        start: at.min(ALL_AXES - LANES),
                        raws: [0.0; LANES],
                        weights: [0.0; LANES],
                        masks: [0; LANES],
                    });
                }
                let window = windows.last_mut().expect("there is one for the axis");
                let lane = at - window.start;
                window.raws[lane] = f32::from(raw);
                window.weights[lane] = (1.0 / space.scale(axis)) as f32;
                window.masks[lane] = -1;
            }
        }
        #[cfg(target_arch = "x86_64")]
        let has_avx2 = avx2::is_there();
        #[cfg(not(target_arch = "x86_64"))]
        let has_avx2 = false;
        Self { metric, windows, has_avx2 }
    }

    /// The same lane by lane.
    #[cfg(test)]
    pub(super) fn without_avx2(self) -> Self {
        Self { has_avx2: false, ..self }
    }

    /// Computes bounds of at most [`BLOCK`] tokens, infinite for those that share no axis with the query.
    pub(super) fn of(&self, tokens: &[Token], lowest: &mut [f32; BLOCK]) {
        #[cfg(target_arch = "x86_64")]
        if self.has_avx2 {
            return avx2::bounds(self.metric, &self.windows, tokens, lowest);
        }
        lanes::bounds(self.metric, &self.windows, tokens, lowest);
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
