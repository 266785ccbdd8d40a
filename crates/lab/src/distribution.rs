//! Which keys a workload asks for.

use serde::{Deserialize, Serialize};

use crate::random::SplitMix64;

/// How often each key is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "distribution", rename_all = "snake_case", try_from = "Written")]
pub enum Distribution {
    /// Every key as often as any other.
    Uniform,
    /// The n-th most popular key in proportion to 1 / n^theta, popular keys being scattered among all of them.
    Zipfian {
        /// How uneven it is, above 0 and below 1; that of the YCSB is 0.99.
        theta: f64,
    },
    /// As zipfian, the newest key being the most popular.
    Latest {
        /// How uneven it is, as of zipfian.
        theta: f64,
    },
    /// A part of the keys gets a part of the requests; within each, keys are asked for equally often.
    HotSet {
        /// The part of the keys that is hot, above 0 and below 1.
        keys: f64,
        /// The part of the requests that it gets, from 0 to 1.
        requests: f64,
    },
}

/// How uneven the keys of the YCSB are.
const THETA: f64 = 0.99;

/// A distribution as it is written. A tagged enum is not read directly: some readers of JSON keep numbers in a form that such
/// an enum does not take.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    distribution: String,
    theta: Option<f64>,
    keys: Option<f64>,
    requests: Option<f64>,
}

impl TryFrom<Written> for Distribution {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let Written { distribution, theta, keys, requests } = written;
        let refused = |what: &str| Err(format!("keys: found {distribution:?}, {what}"));
        match (&*distribution, theta, keys, requests) {
            ("uniform", None, None, None) => Ok(Self::Uniform),
            ("zipfian", theta, None, None) => Ok(Self::Zipfian { theta: theta.unwrap_or(THETA) }),
            ("latest", theta, None, None) => Ok(Self::Latest { theta: theta.unwrap_or(THETA) }),
            ("hot_set", None, Some(keys), Some(requests)) => Ok(Self::HotSet { keys, requests }),
            ("uniform", ..) => refused("which takes no parameter"),
            ("zipfian" | "latest", ..) => refused("which takes no other parameter than theta"),
            ("hot_set", ..) => refused("which takes keys and requests, both of them"),
            _ => refused("allowed: uniform, zipfian, latest or hot_set"),
        }
    }
}

impl Distribution {
    /// What is wrong with its parameters, if anything is.
    pub(crate) fn complaint(&self) -> Option<String> {
        match *self {
            Self::Zipfian { theta } | Self::Latest { theta } if !(theta > 0.0 && theta < 1.0) => {
                Some(format!("keys.theta: found {theta}; allowed: above 0 and below 1"))
            }
            Self::HotSet { keys, .. } if !(keys > 0.0 && keys < 1.0) => {
                Some(format!("keys.keys: found {keys}; allowed: above 0 and below 1"))
            }
            Self::HotSet { requests, .. } if !(0.0..=1.0).contains(&requests) => {
                Some(format!("keys.requests: found {requests}; allowed: from 0 to 1"))
            }
            _ => None,
        }
    }
}

/// Chooses keys, which are numbers from 0 on, the newest having the largest.
#[derive(Debug, Clone)]
pub(crate) struct Chooser {
    distribution: Distribution,
    zipf: Option<Zipf>,
}

impl Chooser {
    /// For a number of keys, which may become more.
    pub(crate) fn new(distribution: Distribution, keys: u64) -> Self {
        let zipf = match distribution {
            Distribution::Zipfian { theta } | Distribution::Latest { theta } => Some(Zipf::new(keys, theta)),
            Distribution::Uniform | Distribution::HotSet { .. } => None,
        };
        Self { distribution, zipf }
    }

    /// One of `keys` keys, of which there is at least one.
    pub(crate) fn choose(&mut self, keys: u64, random: &mut SplitMix64) -> u64 {
        match (self.distribution, &mut self.zipf) {
            (Distribution::Latest { .. }, Some(zipf)) => keys - 1 - zipf.rank(keys, random).min(keys - 1),
            (_, Some(zipf)) => SplitMix64::nth(SCATTER_SEED, zipf.rank(keys, random)) % keys,
            (Distribution::HotSet { keys: part, requests }, None) => {
                // At least one is hot, and one is not, if there are two.
                let hot = ((keys as f64 * part) as u64).clamp(1, keys.saturating_sub(1).max(1));
                if random.unit() < requests || hot == keys {
                    random.below(hot)
                } else {
                    hot + random.below(keys - hot)
                }
            }
            _ => random.below(keys),
        }
    }
}

/// What popular keys are scattered by.
const SCATTER_SEED: u64 = 0x5ca7_7e2e_d000_0001;

/// Ranks that follow Zipf's law: Gray, Sundaresan, Englert, Baclawski and Weinberger, "Quickly generating
/// billion-record synthetic databases" (SIGMOD 1994), as the YCSB uses it.
#[derive(Debug, Clone)]
struct Zipf {
    theta: f64,
    keys: u64,
    /// The sum of 1 / n^theta over all keys, and over the first two.
    zeta: f64,
    zeta_two: f64,
    alpha: f64,
    eta: f64,
}

impl Zipf {
    fn new(keys: u64, theta: f64) -> Self {
        let mut zipf = Self {
            theta,
            keys: 0,
            zeta: 0.0,
            zeta_two: 1.0 + 0.5_f64.powf(theta),
            alpha: 1.0 / (1.0 - theta),
            eta: 0.0,
        };
        zipf.grow(keys.max(1));
        zipf
    }

    /// Takes more keys into account.
    fn grow(&mut self, keys: u64) {
        self.zeta += zeta(self.keys, keys, self.theta);
        self.keys = keys;
        self.eta = (1.0 - (2.0 / keys as f64).powf(1.0 - self.theta)) / (1.0 - self.zeta_two / self.zeta);
    }

    /// A rank from 0 on, below `keys`.
    fn rank(&mut self, keys: u64, random: &mut SplitMix64) -> u64 {
        if keys > self.keys {
            self.grow(keys);
        }
        let unit = random.unit();
        let scaled = unit * self.zeta;
        let rank = match scaled {
            _ if scaled < 1.0 => 0,
            _ if scaled < self.zeta_two => 1,
            _ => (self.keys as f64 * (self.eta * unit - self.eta + 1.0).powf(self.alpha)) as u64,
        };
        rank.min(keys - 1)
    }
}

/// The sum of 1 / n^theta for n above `from` and up to `to`.
fn zeta(from: u64, to: u64, theta: f64) -> f64 {
    /// Of so many the terms are added up; the rest is an integral, whose error is then below 1e-8.
    const SUMMED: u64 = 1 << 20;
    let term = |n: u64| (n as f64).powf(-theta);
    let exact: f64 = (from + 1..=to.min(from.saturating_add(SUMMED))).map(term).sum();
    let summed = from.saturating_add(SUMMED);
    if to <= summed {
        return exact;
    }
    // By the midpoint rule each term is the integral over the unit around it.
    let primitive = |n: f64| n.powf(1.0 - theta) / (1.0 - theta);
    exact + primitive(to as f64 + 0.5) - primitive(summed as f64 + 0.5)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: u64 = 1000;
    const DRAWS: u64 = 400_000;

    fn draw(distribution: Distribution) -> Vec<f64> {
        let (mut chooser, mut random) = (Chooser::new(distribution, KEYS), SplitMix64::new(1));
        let mut counts = vec![0.0; KEYS as usize];
        for _ in 0..DRAWS {
            counts[usize::try_from(chooser.choose(KEYS, &mut random)).expect("it is small")] += 1.0;
        }
        counts.iter().map(|count| count / DRAWS as f64).collect()
    }

    #[test]
    fn uniform_keys_are_equally_often() {
        let shares = draw(Distribution::Uniform);
        assert!(shares.iter().all(|share| (share * KEYS as f64 - 1.0).abs() < 0.3));
    }

    #[test]
    fn zipfian_keys_follow_the_law() {
        let theta = 0.8;
        let mut shares = draw(Distribution::Latest { theta });
        shares.reverse();
        let sum: f64 = (1..=KEYS).map(|n| (n as f64).powf(-theta)).sum();
        // The two first are exact, the others by the published approximation, so they are compared in sums.
        let (mut expected, mut found) = (0.0, 0.0);
        for (at, share) in shares.iter().enumerate() {
            expected += ((at + 1) as f64).powf(-theta) / sum;
            found += share;
            assert!((found - expected).abs() < 0.02, "up to rank {at}: {found} and not {expected}");
        }
        assert!(
            (shares[0] * sum - 1.0).abs() < 0.05
                && (shares[1] * sum / 0.5_f64.powf(theta) - 1.0).abs() < 0.05
        );
        // The same popularity, elsewhere.
        let scattered = draw(Distribution::Zipfian { theta });
        let most = scattered.iter().copied().fold(0.0, f64::max);
        assert!((most - shares[0]).abs() < 0.01 && scattered[0] < most);
    }

    #[test]
    fn a_hot_set_gets_its_part() {
        let shares = draw(Distribution::HotSet { keys: 0.1, requests: 0.9 });
        let hot: f64 = shares[..100].iter().sum();
        assert!((hot - 0.9).abs() < 0.01, "{hot}");
    }

    #[test]
    fn one_key_and_new_keys_can_be_chosen() {
        let all = [
            Distribution::Uniform,
            Distribution::Zipfian { theta: 0.99 },
            Distribution::Latest { theta: 0.99 },
            Distribution::HotSet { keys: 0.5, requests: 0.5 },
        ];
        for distribution in all {
            let (mut chooser, mut random) = (Chooser::new(distribution, 1), SplitMix64::new(2));
            assert!((0..100).all(|_| chooser.choose(1, &mut random) == 0), "{distribution:?}");
            assert!((0..1000).all(|_| chooser.choose(50, &mut random) < 50), "{distribution:?}");
            assert!((0..1000).any(|_| chooser.choose(50, &mut random) > 1), "{distribution:?}");
        }
    }

    #[test]
    fn a_long_sum_is_an_integral() {
        let exact: f64 = (1..=3_000_000_u32).map(|n| f64::from(n).powf(-0.99)).sum();
        assert!((zeta(0, 3_000_000, 0.99) - exact).abs() < 1e-6);
        let grown = zeta(0, 10, 0.99) + zeta(10, 3_000_000, 0.99);
        assert!((grown - exact).abs() < 1e-6);
    }

    #[test]
    fn parameters_out_of_range_are_named() {
        let wrong = [
            Distribution::Zipfian { theta: 1.0 },
            Distribution::Latest { theta: f64::NAN },
            Distribution::HotSet { keys: 0.0, requests: 0.5 },
            Distribution::HotSet { keys: 0.5, requests: 1.5 },
        ];
        for distribution in wrong {
            assert!(
                distribution.complaint().is_some_and(|text| text.contains("allowed: ")),
                "{distribution:?}"
            );
        }
    }
}
