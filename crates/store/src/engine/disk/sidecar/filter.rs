//! Filters: which keys a table may hold, in 18 to 19 bits a key.
//!
//! These are binary fuse filters with fingerprints of 16 bits (Graf and Lemire, "Binary Fuse Filters: Fast
//! and Smaller Than Xor Filters", 2022): a key that is not there passes one time in 65,536, and a test is
//! three memory accesses that wait for no other. The crate `xorf` builds them. Testing is written here,
//! since what it does is part of the format and must not change with a dependency.

use xorf::BinaryFuse16;
use xxhash_rust::xxh3::xxh3_64;

/// Most keys of a filter; above that the builder's 32-bit numbers would not do.
const KEYS_MAX: usize = 1 << 30;

/// What must be known to read fingerprints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FilterShape {
    seed: u64,
    /// A power of two.
    segment_length: u32,
    /// A multiple of it: a key's first fingerprint stands before this place.
    segments_length: u32,
}

impl FilterShape {
    /// Fingerprints of a filter of this shape, if there can be one.
    fn fingerprints(&self) -> Option<u64> {
        let Self { segment_length, segments_length, .. } = *self;
        let sound = segment_length.is_power_of_two()
            && segments_length > 0
            && segments_length.is_multiple_of(segment_length);
        // The two segments behind those hold the second and the third fingerprints of the last one.
        let fingerprints = u64::from(segments_length) + 2 * u64::from(segment_length);
        (sound && fingerprints <= u64::from(u32::MAX)).then_some(fingerprints)
    }

    pub(super) fn words(self) -> [u64; 2] {
        [self.seed, u64::from(self.segments_length) << 32 | u64::from(self.segment_length)]
    }

    /// The shape of a filter of so many fingerprints, `Some(None)` if that is none; `None` if it can't be.
    pub(super) fn from_words([seed, lengths]: [u64; 2], fingerprints: u64) -> Option<Option<Self>> {
        if fingerprints == 0 {
            return ([seed, lengths] == [0, 0]).then_some(None);
        }
        // The two halves of a word.
        let shape = Self { seed, segment_length: lengths as u32, segments_length: (lengths >> 32) as u32 };
        (shape.fingerprints() == Some(fingerprints)).then_some(Some(shape))
    }
}

/// A filter to test keys with.
#[derive(Debug, Clone, Copy)]
pub(super) struct FilterView<'a> {
    shape: FilterShape,
    /// As many as the shape says.
    fingerprints: &'a [u16],
}

impl<'a> FilterView<'a> {
    /// `None` if there are not as many fingerprints as the shape says.
    pub(super) fn new(shape: FilterShape, fingerprints: &'a [u16]) -> Option<Self> {
        (shape.fingerprints() == Some(fingerprints.len() as u64)).then_some(Self { shape, fingerprints })
    }

    /// Whether the key may be one of those that the filter was built from; for those it always is.
    #[inline]
    pub(super) fn may_hold(&self, key: u64) -> bool {
        let FilterShape { seed, segment_length, segments_length } = self.shape;
        let hash = mix(key.wrapping_add(seed));
        let mask = segment_length - 1;
        // Smaller than the second factor, which has 32 bits. Changing the low bits of a place leaves it in
        // its segment, so all three places lie among the fingerprints.
        let first = ((u128::from(hash) * u128::from(segments_length)) >> 64) as u32;
        let second = (first + segment_length) ^ ((hash >> 18) as u32 & mask);
        let third = (first + 2 * segment_length) ^ (hash as u32 & mask);
        let [first, second, third] = [first, second, third].map(|at| self.fingerprints[at as usize]);
        (hash ^ hash >> 32) as u16 == first ^ second ^ third
    }
}

/// The finalizer of MurmurHash3: every bit of the input changes half of the output's.
#[inline]
fn mix(mut hash: u64) -> u64 {
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ hash >> 33
}

/// A filter of the keys of sorted entries, or `None` if there are no keys or none could be built.
///
/// `secret` should be something that who chooses the keys can't know beforehand: the builder counts keys a
/// place in few bits, so keys that were chosen to share a place would stop it.
pub(super) fn build(sorted: &[(u64, u32)], secret: &[u8]) -> Option<(FilterShape, Box<[u16]>)> {
    let salt = xxh3_64(secret);
    // The builder adds a seed to each key before it hashes it, so adding the salt changes the seed.
    let mut keys = Vec::with_capacity(sorted.len());
    keys.extend(sorted.chunk_by(|one, next| one.0 == next.0).map(|equal| equal[0].0.wrapping_add(salt)));
    if keys.is_empty() || keys.len() > KEYS_MAX {
        return None;
    }
    let built = BinaryFuse16::try_from(keys.as_slice()).ok()?;
    let shape = FilterShape {
        seed: built.descriptor.seed.wrapping_add(salt),
        segment_length: built.descriptor.segment_length,
        segments_length: built.descriptor.segment_count_length,
    };
    // A key that is missing from its filter would be an entity that is not found: so every filter is tried
    // as its readers will, whatever the builder did.
    let view = FilterView::new(shape, &built.fingerprints)?;
    sorted.iter().all(|(key, _)| view.may_hold(*key)).then_some((shape, built.fingerprints))
}

#[cfg(test)]
mod tests {
    use super::{FilterShape, FilterView, build};

    fn spread(n: u64) -> u64 {
        super::mix(n.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    fn entries(count: u64) -> Vec<(u64, u32)> {
        let mut entries: Vec<_> = (0..count).map(|n| (spread(n), n as u32)).collect();
        entries.sort_unstable();
        entries
    }

    #[test]
    fn a_filter_holds_its_keys_and_few_others() {
        for count in [1, 2, 3, 5, 100, 11_500, 70_000] {
            let entries = entries(count);
            let (shape, fingerprints) = build(&entries, b"secret").expect("it can be built");
            let filter = FilterView::new(shape, &fingerprints).expect("it has its shape");
            assert!(entries.iter().all(|(key, _)| filter.may_hold(*key)));
            let passed = (count..count + 500_000).filter(|n| filter.may_hold(spread(*n))).count();
            assert!(passed < 50, "{passed} of 500,000 strange keys pass a filter of {count}");
        }
    }

    #[test]
    fn a_filter_is_the_same_whenever_it_is_built() {
        let built = build(&[(7, 0), (7, 1), (8, 0)], b"secret");
        assert!(built.is_some());
        assert_eq!(built, build(&[(7, 5), (8, 9)], b"secret"));
    }

    #[test]
    fn a_filter_is_read_as_the_format_says() {
        // Computed from the words of `docs/FORMAT.md` by another program.
        let cases: [(u64, [usize; 3], u16); 4] = [
            (0, [0, 10, 23], 33_819),
            (1, [31, 36, 44], 48_313),
            (0x0123_4567_89ab_cdef, [15, 23, 30], 11_562),
            (u64::MAX, [24, 35, 46], 7960),
        ];
        let shape = FilterShape { seed: 0xfedc_ba98_7654_3210, segment_length: 8, segments_length: 40 };
        for (key, places, fingerprint) in cases {
            for at in 0..56 {
                let mut fingerprints = [0; 56];
                fingerprints[at] = fingerprint;
                let filter = FilterView::new(shape, &fingerprints).expect("it has its shape");
                assert_eq!(filter.may_hold(key), places.contains(&at), "key {key}, place {at}");
            }
        }
    }

    #[test]
    fn impossible_shapes_are_refused() {
        let lengths = |segment: u64, segments: u64| [1, segments << 32 | segment];
        assert!(FilterShape::from_words(lengths(4, 8), 16).is_some_and(|shape| shape.is_some()));
        assert_eq!(FilterShape::from_words([0, 0], 0), Some(None));
        for (words, fingerprints) in [
            (lengths(4, 8), 15),
            (lengths(4, 8), 0),
            (lengths(3, 6), 12),
            (lengths(0, 0), 0),
            (lengths(4, 0), 8),
            (lengths(4, 6), 14),
            (lengths(1 << 31, 1 << 31), 3 << 31),
        ] {
            assert_eq!(FilterShape::from_words(words, fingerprints), None, "{words:?} {fingerprints}");
        }
    }
}
