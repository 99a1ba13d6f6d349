//! How the requests of a second arrive.

/// How the requests of a second arrive, if only their mean is known.
#[derive(Clone, Debug)]
pub enum Arrivals {
    /// As many as the mean; fractions add up.
    Even {
        /// The fraction of a request that is due.
        due: f64,
    },
    /// From independent visitors: a Poisson process.
    Random(fastrand::Rng),
}

/// The largest mean that Knuth's method draws at once.
const MOST_AT_ONCE: f64 = 30.0;

impl Arrivals {
    /// Evenly spread requests.
    #[must_use]
    pub const fn even() -> Self {
        Self::Even { due: 0.0 }
    }

    /// Random requests; equal seeds draw equal ones.
    #[must_use]
    pub fn random(seed: u64) -> Self {
        Self::Random(fastrand::Rng::with_seed(seed))
    }

    /// The number of requests of a second with this mean.
    pub fn draw(&mut self, mean: f64) -> f64 {
        match self {
            Self::Even { due } => {
                *due += mean + 1e-9;
                let whole = due.floor();
                *due -= whole;
                whole
            }
            Self::Random(random) => {
                let mut left = mean;
                let mut count = 0.0;
                while 0.0 < left {
                    count += poisson(random, left.min(MOST_AT_ONCE));
                    left -= MOST_AT_ONCE;
                }
                count
            }
        }
    }
}

/// Draws a Poisson number by Knuth's method, which is quick for a small mean, and useless above 700.
pub fn poisson(random: &mut fastrand::Rng, mean: f64) -> f64 {
    let limit = (-mean).exp();
    let (mut count, mut product) = (0.0, random.f64());
    while limit < product {
        count += 1.0;
        product *= random.f64();
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_keep_the_mean() {
        for mut arrivals in [Arrivals::even(), Arrivals::random(1)] {
            let sum: f64 = (0..10_000).map(|_| arrivals.draw(61.25)).sum();
            assert!((sum / 10_000.0 - 61.25).abs() < 0.4, "{sum}");
        }
    }
}
