//! Searches of few tokens, small enough for Miri.

use statlas_core::{Space, SpaceSet, Token};
use statlas_tokens::{Metric, nearest, par_nearest, within};

use crate::tokens;

#[test]
fn a_search_finds_what_comparing_all_does_wherever_the_tokens_end() {
    let all = tokens(131);
    let query = all[3];
    for count in [0, 1, 127, 128, 131] {
        let some = &all[..count];
        for spaces in [SpaceSet::ALL, Space::Abstract.into(), Space::Motor.into(), SpaceSet::NONE] {
            for metric in [Metric::Euclidean, Metric::Cosine] {
                let distance = |token: &Token| match metric {
                    Metric::Euclidean => query.distance(token, spaces),
                    Metric::Cosine => query.cosine(token, spaces).map(|cosine| 1.0 - cosine),
                };
                let mut expected: Vec<(f64, usize)> =
                    some.iter().enumerate().filter_map(|(at, token)| Some((distance(token)?, at))).collect();
                expected.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
                expected.truncate(5);
                let found = nearest(some, &query, 5, spaces, metric);
                assert_eq!(par_nearest(some, &query, 5, spaces, metric), found);
                assert_eq!(
                    found.iter().map(|near| (near.distance, near.index)).collect::<Vec<_>>(),
                    expected
                );
                if let Some((radius, _)) = expected.last() {
                    let inside = within(some, &query, *radius, spaces, metric);
                    assert!(found.iter().all(|near| inside.contains(near)));
                }
            }
        }
    }
}
