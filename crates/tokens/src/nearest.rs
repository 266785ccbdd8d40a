//! The tokens nearest to one, exactly.
//!
//! Every token is looked at. A bound of its distance is computed from single-precision numbers, eight axes at a time, in a
//! form that compilers turn into vector instructions; only a token whose bound says that it may be among the nearest is
//! compared in double precision. So the answer is the one that [`Token::distance`] and [`Token::cosine`] give.

mod bound;

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use rayon::prelude::*;
use statlas_core::{SpaceSet, Token};

use self::bound::Bounds;

/// How the distance of two tokens is measured, over the axes of the asked spaces that both define.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    /// [`Token::distance`]: Euclidean, on decoded values.
    Euclidean,
    /// One less [`Token::cosine`]: from 0 for the same direction to 2 for the opposite one.
    Cosine,
}

impl Metric {
    fn distance(self, query: &Token, token: &Token, spaces: SpaceSet) -> Option<f64> {
        match self {
            Self::Euclidean => query.distance(token, spaces),
            Self::Cosine => query.cosine(token, spaces).map(|cosine| 1.0 - cosine),
        }
    }
}

/// A token that was found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Near {
    /// Its number in the slice.
    pub index: usize,
    /// How far it is by the metric that was asked for.
    pub distance: f64,
}

impl Near {
    /// Nearer ones first; of equally near ones that with the smaller number.
    fn order(&self, other: &Self) -> Ordering {
        self.distance.total_cmp(&other.distance).then(self.index.cmp(&other.index))
    }
}

impl Eq for Near {}

impl PartialOrd for Near {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Near {
    fn cmp(&self, other: &Self) -> Ordering {
        self.order(other)
    }
}

/// The `k` tokens nearest to `query`, the nearest first; of equally near ones those with smaller numbers. Tokens that
/// share no defined axis of `spaces` with it are left out. Reads every token once, on one thread.
#[must_use]
pub fn nearest(tokens: &[Token], query: &Token, k: usize, spaces: SpaceSet, metric: Metric) -> Vec<Near> {
    let mut nearest = Nearest::new(query, k, spaces, metric);
    nearest.look_at(tokens, 0, |_| true);
    nearest.into_sorted()
}

/// The tokens nearest to one in several slices, which are looked at one after another: one that is farther than those
/// found before costs no more than its bound.
#[derive(Debug)]
pub struct Nearest<'a> {
    search: Search<'a>,
    k: usize,
    radius: f64,
    found: BinaryHeap<Near>,
}

impl<'a> Nearest<'a> {
    /// The `k` nearest to `query`. Tokens that share no defined axis of `spaces` with it are left out.
    #[must_use]
    pub fn new(query: &'a Token, k: usize, spaces: SpaceSet, metric: Metric) -> Self {
        let search = Search { query, spaces, metric };
        Self { search, k, radius: f64::INFINITY, found: BinaryHeap::new() }
    }

    /// Leaves out those that are farther than `radius`.
    #[must_use]
    pub fn within(self, radius: f64) -> Self {
        Self { radius, ..self }
    }

    /// Looks at the tokens of a slice, whose numbers begin with `first`. One that is near enough is left out unless
    /// `is_wanted` says of its place in the slice that it is wanted.
    pub fn look_at(&mut self, tokens: &[Token], first: usize, mut is_wanted: impl FnMut(usize) -> bool) {
        let Self { search, k, radius, found } = self;
        if *k == 0 {
            return;
        }
        let limit = |found: &BinaryHeap<Near>| match found.peek() {
            Some(far) if found.len() >= *k => far.distance,
            _ => *radius,
        };
        let start = limit(found);
        let mut take = |near: Option<Near>| {
            if let Some(near) = near
                && near.distance <= *radius
                && (found.len() < *k || found.peek().is_some_and(|far| near < *far))
                && is_wanted(near.index - first)
            {
                if found.len() == *k {
                    found.pop();
                }
                found.push(near);
            }
            limit(found)
        };
        search.visit(tokens, first, &mut take, start);
    }

    /// Those that were found, the nearest first; of equally near ones those with smaller numbers.
    #[must_use]
    pub fn into_sorted(self) -> Vec<Near> {
        self.found.into_sorted_vec()
    }
}

/// As [`nearest`], on all threads of rayon's pool.
#[must_use]
pub fn par_nearest(tokens: &[Token], query: &Token, k: usize, spaces: SpaceSet, metric: Metric) -> Vec<Near> {
    let parts = tokens.par_chunks(PART).enumerate();
    let found = parts.map(|(at, part)| {
        let mut nearest = Nearest::new(query, k, spaces, metric);
        nearest.look_at(part, at * PART, |_| true);
        nearest.found.into_vec()
    });
    let mut found = found.reduce(Vec::new, |mut one, other| {
        one.extend(other);
        one.sort_unstable();
        one.truncate(k);
        one
    });
    found.sort_unstable();
    found
}

/// Every token that is at most `radius` far from `query`, by number. Tokens that share no defined axis of `spaces` with it
/// are left out.
#[must_use]
pub fn within(tokens: &[Token], query: &Token, radius: f64, spaces: SpaceSet, metric: Metric) -> Vec<Near> {
    let search = Search { query, spaces, metric };
    let mut found = Vec::new();
    search.visit(
        tokens,
        0,
        &mut |near| {
            if near.is_some_and(|near: Near| near.distance <= radius) {
                found.extend(near);
            }
            radius
        },
        radius,
    );
    found
}

/// Tokens that one thread takes at a time.
const PART: usize = 1 << 16;

#[derive(Debug, Clone, Copy)]
struct Search<'a> {
    query: &'a Token,
    spaces: SpaceSet,
    metric: Metric,
}

impl Search<'_> {
    /// Shows every token that may be at most `limit` far to `take`, which tells the limit from then on.
    fn visit(
        &self,
        tokens: &[Token],
        first: usize,
        take: &mut impl FnMut(Option<Near>) -> f64,
        mut limit: f64,
    ) {
        let bounds = Bounds::new(self.query, self.spaces, self.metric);
        let mut lowest = [0.0; bound::BLOCK];
        for (block, tokens) in tokens.chunks(bound::BLOCK).enumerate() {
            bounds.of(tokens, &mut lowest);
            let mut bar = bounds.bar(limit);
            for (at, (token, lowest)) in tokens.iter().zip(&lowest).enumerate() {
                if *lowest <= bar {
                    let distance = self.metric.distance(self.query, token, self.spaces);
                    let index = first + block * bound::BLOCK + at;
                    limit = take(distance.map(|distance| Near { index, distance }));
                    bar = bounds.bar(limit);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
