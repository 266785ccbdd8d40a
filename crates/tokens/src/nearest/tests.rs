use proptest::prelude::*;
use statlas_core::{AXES, RawCoordinates, SPACES, Space, SpaceSet, Token, UNDEFINED};

use super::bound::{BLOCK, Bounds};
use super::{Metric, Near, Nearest, nearest, par_nearest, within};

/// What [`nearest`] must find, in the plainest way.
fn expected(tokens: &[Token], query: &Token, spaces: SpaceSet, metric: Metric) -> Vec<Near> {
    let distance = |token: &Token| metric.distance(query, token, spaces);
    let all = tokens.iter().enumerate();
    let mut found: Vec<Near> =
        all.filter_map(|(index, token)| Some(Near { index, distance: distance(token)? })).collect();
    found.sort_unstable();
    found
}

/// Raw values that are often equal, undefined or extreme.
fn raw() -> impl Strategy<Value = i16> {
    prop_oneof![Just(UNDEFINED), Just(i16::MAX), Just(-i16::MAX), Just(0), -3..=3_i16, any::<i16>()]
}

fn token() -> impl Strategy<Value = Token> {
    let coordinates =
        prop::array::uniform8(prop_oneof![Just([UNDEFINED; AXES]), prop::array::uniform3(raw())]);
    coordinates.prop_map(|coordinates: RawCoordinates| {
        let mut token = Token::EMPTY;
        token.set_coordinates(&coordinates);
        token
    })
}

fn spaces() -> impl Strategy<Value = SpaceSet> {
    prop::collection::vec(0..SPACES, 0..SPACES)
        .prop_map(|all| all.into_iter().map(|at| Space::ALL[at]).collect())
}

proptest! {
    #[test]
    fn the_nearest_are_those_that_comparing_all_finds(
        tokens in prop::collection::vec(token(), 0..400),
        query in token(),
        k in 0..20_usize,
        spaces in spaces(),
        is_cosine: bool,
    ) {
        let metric = if is_cosine { Metric::Cosine } else { Metric::Euclidean };
        let mut all = expected(&tokens, &query, spaces, metric);
        if let Some(far) = all.get(k) {
            let radius = far.distance;
            let mut inside: Vec<Near> = all.iter().copied().filter(|near| near.distance <= radius).collect();
            inside.sort_unstable_by_key(|near| near.index);
            prop_assert_eq!(within(&tokens, &query, radius, spaces, metric), inside);
        }
        all.truncate(k);
        prop_assert_eq!(&nearest(&tokens, &query, k, spaces, metric), &all);
        prop_assert_eq!(par_nearest(&tokens, &query, k, spaces, metric), all);
    }

    #[test]
    fn several_slices_are_searched_like_one_without_what_is_not_wanted(
        tokens in prop::collection::vec((token(), prop::bool::weighted(0.8)), 0..400),
        query in token(),
        k in prop_oneof![0..20_usize, Just(usize::MAX)],
        spaces in spaces(),
        is_cosine: bool,
        cut in any::<prop::sample::Index>(),
        edge in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let metric = if is_cosine { Metric::Cosine } else { Metric::Euclidean };
        let (tokens, wanted): (Vec<Token>, Vec<bool>) = tokens.into_iter().unzip();
        let mut all = expected(&tokens, &query, spaces, metric);
        all.retain(|near| wanted[near.index]);
        let edge = edge.filter(|_| !all.is_empty()).map(|edge| all[edge.index(all.len())].distance);
        let radius = edge.unwrap_or(f64::INFINITY);
        all.retain(|near| near.distance <= radius);
        all.truncate(k);
        let (one, other) = tokens.split_at(cut.index(tokens.len() + 1));
        let mut found = Nearest::new(&query, k, spaces, metric).within(radius);
        found.look_at(one, 0, |at| wanted[at]);
        found.look_at(other, one.len(), |at| wanted[one.len() + at]);
        prop_assert_eq!(found.into_sorted(), all);
    }
}

proptest! {
    #[test]
    fn no_bound_exceeds_the_distance_whatever_computed_it(
        tokens in prop::collection::vec(token(), 1..=BLOCK),
        query in token(),
        spaces in spaces(),
        is_cosine: bool,
    ) {
        let metric = if is_cosine { Metric::Cosine } else { Metric::Euclidean };
        for bounds in [Bounds::new(&query, spaces, metric), Bounds::new(&query, spaces, metric).without_avx2()] {
            let mut lowest = [0.0; BLOCK];
            bounds.of(&tokens, &mut lowest);
            for (token, lowest) in tokens.iter().zip(lowest) {
                match metric.distance(&query, token, spaces) {
                    Some(distance) => prop_assert!(lowest <= bounds.bar(distance), "{lowest} {distance}"),
                    None => prop_assert!(lowest > bounds.bar(f64::INFINITY), "{lowest}"),
                }
            }
        }
    }
}
