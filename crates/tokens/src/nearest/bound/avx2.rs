//! The bounds with AVX2 and FMA.

use std::arch::x86_64::*;

use statlas_core::{Token, UNDEFINED};

use super::lanes::one_less_cosine;
use super::{BLOCK, Window};
use crate::nearest::Metric;

/// Whether this processor can do it.
pub(super) fn is_there() -> bool {
    is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")
}

/// Computes bounds. Only where [`is_there`] says so.
pub(super) fn bounds(metric: Metric, windows: &[Window], tokens: &[Token], lowest: &mut [f32; BLOCK]) {
    assert!(is_there(), "the processor has AVX2 and FMA");
    // SAFETY: the processor can do what the functions are compiled for, as was just asked.
    #[expect(unsafe_code, reason = "there is no safe way to call what only some processors can do")]
    unsafe {
        match (metric, windows) {
            (Metric::Euclidean, [one]) => euclidean([one], tokens, lowest),
            (Metric::Euclidean, [one, two]) => euclidean([one, two], tokens, lowest),
            (Metric::Euclidean, [one, two, three]) => euclidean([one, two, three], tokens, lowest),
            (Metric::Cosine, [one]) => cosine([one], tokens, lowest),
            (Metric::Cosine, [one, two]) => cosine([one, two], tokens, lowest),
            (Metric::Cosine, [one, two, three]) => cosine([one, two, three], tokens, lowest),
            // No axis counts.
            _ => lowest.fill(f32::INFINITY),
        }
    }
}

/// A window in registers.
#[derive(Clone, Copy)]
struct Loaded<'a> {
    window: &'a Window,
    raws: __m256,
    weights: __m256,
    masks: __m256i,
}

#[target_feature(enable = "avx2,fma")]
fn load(window: &Window) -> Loaded<'_> {
    Loaded {
        window,
        raws: zerocopy::transmute!(window.raws),
        weights: zerocopy::transmute!(window.weights),
        masks: zerocopy::transmute!(window.masks),
    }
}

/// The raw values of a token in a window, and which of them count.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn raws(loaded: &Loaded<'_>, token: &Token) -> (__m256, __m256i) {
    let raws: __m128i = zerocopy::transmute!(*loaded.window.bytes(token));
    let raws = _mm256_cvtepi16_epi32(raws);
    let undefined = _mm256_cmpeq_epi32(raws, _mm256_set1_epi32(i32::from(UNDEFINED)));
    (_mm256_cvtepi32_ps(raws), _mm256_andnot_si256(undefined, loaded.masks))
}

/// Squares of Euclidean distances.
#[target_feature(enable = "avx2,fma")]
fn euclidean<const N: usize>(windows: [&Window; N], tokens: &[Token], lowest: &mut [f32; BLOCK]) {
    let mut loaded = [load(windows[0]); N];
    for (loaded, window) in loaded.iter_mut().zip(windows) {
        *loaded = load(window);
    }
    for (token, lowest) in tokens.iter().zip(lowest) {
        let (mut sums, mut shared) = (_mm256_setzero_ps(), _mm256_setzero_si256());
        for loaded in &loaded {
            let (raws, counts) = raws(loaded, token);
            let difference = _mm256_mul_ps(_mm256_sub_ps(raws, loaded.raws), loaded.weights);
            let difference = _mm256_and_ps(difference, _mm256_castsi256_ps(counts));
            sums = _mm256_fmadd_ps(difference, difference, sums);
            shared = _mm256_or_si256(shared, counts);
        }
        *lowest = infinite_unless(shared, sum(sums));
    }
}

/// One less cosines.
#[target_feature(enable = "avx2,fma")]
fn cosine<const N: usize>(windows: [&Window; N], tokens: &[Token], lowest: &mut [f32; BLOCK]) {
    let mut loaded = [load(windows[0]); N];
    for (loaded, window) in loaded.iter_mut().zip(windows) {
        *loaded = load(window);
    }
    for (token, lowest) in tokens.iter().zip(lowest) {
        let zeros = _mm256_setzero_ps();
        let (mut products, mut own, mut other, mut shared) = (zeros, zeros, zeros, _mm256_setzero_si256());
        for loaded in &loaded {
            let (raws, counts) = raws(loaded, token);
            let counts_as_floats = _mm256_castsi256_ps(counts);
            let (a, b) =
                (_mm256_and_ps(loaded.raws, counts_as_floats), _mm256_and_ps(raws, counts_as_floats));
            products = _mm256_fmadd_ps(a, b, products);
            own = _mm256_fmadd_ps(a, a, own);
            other = _mm256_fmadd_ps(b, b, other);
            shared = _mm256_or_si256(shared, counts);
        }
        *lowest = infinite_unless(shared, one_less_cosine(sum(products), sum(own), sum(other)));
    }
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn sum(lanes: __m256) -> f32 {
    let four = _mm_add_ps(_mm256_castps256_ps128(lanes), _mm256_extractf128_ps::<1>(lanes));
    let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps::<1>(two, two)))
}

/// A bound, or infinity if no bit of `shared` is set: the bound is 0 or 1 then, whose bits are among those of infinity. A
/// branch would be guessed wrong for each token that shares nothing.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn infinite_unless(shared: __m256i, bound: f32) -> f32 {
    let is_none = _mm256_testz_si256(shared, shared).cast_unsigned();
    f32::from_bits(bound.to_bits() | is_none.wrapping_neg() & f32::INFINITY.to_bits())
}
