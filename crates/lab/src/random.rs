//! Random numbers that are the same on every machine and in every release.

/// SplitMix64, the generator of Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators"
/// (OOPSLA 2014), with the constants that its authors published.
///
/// It is written out here so that no update of a library can change what a seed means. It is fast and
/// passes the usual statistical tests; it is not for secrets.
#[derive(Debug, Clone)]
pub struct SplitMix64 {
    state: u64,
}

/// The odd integer nearest to 2^64 divided by the golden ratio.
const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

impl SplitMix64 {
    /// The sequence of a seed. Every seed is as good as any other.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// Number `n` of the sequence of a seed, counted from 0, without those before it.
    #[must_use]
    pub fn nth(seed: u64, n: u64) -> u64 {
        mix(seed.wrapping_add(n.wrapping_add(1).wrapping_mul(GAMMA)))
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GAMMA);
        mix(self.state)
    }

    /// A number from 0 to `bound - 1`, by multiplication and shift; 0 if `bound` is 0.
    ///
    /// The bias is below `bound` / 2^64, which no data set can show.
    pub fn below(&mut self, bound: u64) -> u64 {
        let wide = u128::from(self.next_u64()) * u128::from(bound);
        // The upper half of a product of two 64-bit numbers fits 64 bits.
        (wide >> 64) as u64
    }

    /// A number from 0 to `bound - 1`, for positions in a slice; 0 if `bound` is 0.
    pub fn index(&mut self, bound: usize) -> usize {
        usize::try_from(self.below(bound as u64)).expect("it is below `bound`, which fits")
    }

    /// A number in [0, 1) with 53 random bits.
    pub fn unit(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Whether an event of probability `numerator` / `denominator` happens.
    pub fn chance(&mut self, numerator: u64, denominator: u64) -> bool {
        self.below(denominator) < numerator
    }

    /// Puts `items` into a random order (the shuffle of Fisher and Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.index(last + 1));
        }
    }
}

fn mix(state: u64) -> u64 {
    let value = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}
