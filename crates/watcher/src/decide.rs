//! Decides where the traffic should go.
//!
//! Nothing here waits, reads a clock or touches the network: a [`Decider`] is told the time, the
//! weights in force and the reading, and answers with a [`Decision`].

use std::{fmt, time::Duration};

use contract::Cluster;

/// How traffic is divided between the clusters. Weights are relative: only their ratio matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Weights {
    pub(crate) primary: u32,
    pub(crate) burst: u32,
}

impl Weights {
    /// All traffic to one cluster.
    pub(crate) const fn all_to(cluster: Cluster) -> Self {
        match cluster {
            Cluster::Primary => Self { primary: 100, burst: 0 },
            Cluster::Burst => Self { primary: 0, burst: 100 },
        }
    }

    /// The weight of one cluster.
    pub(crate) const fn of(self, cluster: Cluster) -> u32 {
        match cluster {
            Cluster::Primary => self.primary,
            Cluster::Burst => self.burst,
        }
    }

    /// Whether all traffic goes to this cluster, in whatever numbers that is said.
    fn are_all_to(self, cluster: Cluster) -> bool {
        let other = match cluster {
            Cluster::Primary => Cluster::Burst,
            Cluster::Burst => Cluster::Primary,
        };
        self.of(other) == 0 && 0 < self.of(cluster)
    }
}

impl fmt::Display for Weights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "primary {}, burst {}", self.primary, self.burst)
    }
}

/// Where the traffic should go, and why.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Decision {
    /// The rate is above the threshold: all traffic to burst.
    Burst,
    /// The rate has been below the threshold for long enough: all traffic home to primary.
    Home,
    /// The weights in force stay.
    Hold(Hold),
}

/// Why the weights in force stay.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Hold {
    /// They are what the rate asks for.
    AsItShouldBe,
    /// The rate is between the thresholds.
    BetweenThresholds,
    /// The rate is low, but not yet for long enough to come home.
    LowNotForLong,
    /// The rate is not known, and no answer is not zero.
    Unknown,
}

/// The rule of the codelab: all to burst above one rate, all home below another.
///
/// Beside it stands a hold on the low side: when traffic moves, it starts a new time series, and
/// `rate()` dips until that has enough samples.
#[derive(Clone, Debug)]
pub(crate) struct Threshold {
    /// Requests per second.
    pub(crate) burst_above: f64,
    /// Requests per second.
    pub(crate) home_below: f64,
    pub(crate) home_hold: Duration,
}

/// Applies a policy, and remembers what it needs of the past. The weights in force are no part of
/// that: they are read anew each time.
#[derive(Debug)]
pub(crate) struct Decider {
    policy: Threshold,
    /// Since when every reading has been low.
    low_since: Option<Duration>,
}

impl Decider {
    pub(crate) fn new(policy: Threshold) -> Self {
        Self { policy, low_since: None }
    }

    /// Decides at `now`, a time that only ever grows; `rate` is in requests per second, `None` if it
    /// is not known.
    pub(crate) fn decide(
        &mut self,
        now: Duration,
        in_force: Weights,
        rate: Option<f64>,
    ) -> Decision {
        let is_low = rate.is_some_and(|rate| rate < self.policy.home_below);
        self.low_since = is_low.then(|| self.low_since.unwrap_or(now));
        let Some(rate) = rate else { return Decision::Hold(Hold::Unknown) };

        if self.policy.burst_above < rate {
            return unless_there(in_force, Cluster::Burst, Decision::Burst);
        }
        match self.low_since {
            None => Decision::Hold(Hold::BetweenThresholds),
            Some(since) if self.policy.home_hold <= now.saturating_sub(since) => {
                unless_there(in_force, Cluster::Primary, Decision::Home)
            }
            Some(_) => {
                unless_there(in_force, Cluster::Primary, Decision::Hold(Hold::LowNotForLong))
            }
        }
    }
}

fn unless_there(in_force: Weights, cluster: Cluster, decision: Decision) -> Decision {
    if in_force.are_all_to(cluster) { Decision::Hold(Hold::AsItShouldBe) } else { decision }
}

impl Decision {
    /// The weights to be written, if they are to change.
    pub(crate) fn weights(self) -> Option<Weights> {
        match self {
            Self::Burst => Some(Weights::all_to(Cluster::Burst)),
            Self::Home => Some(Weights::all_to(Cluster::Primary)),
            Self::Hold(_) => None,
        }
    }

    /// Whether the weights in force are known to be right.
    pub(crate) fn is_settled(self) -> bool {
        matches!(self, Self::Hold(Hold::AsItShouldBe | Hold::BetweenThresholds))
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Burst => "all traffic to burst: the rate is high",
            Self::Home => "all traffic home to primary: the rate is low",
            Self::Hold(Hold::AsItShouldBe) => "holding: traffic is where it should be",
            Self::Hold(Hold::BetweenThresholds) => "holding: the rate is between the thresholds",
            Self::Hold(Hold::LowNotForLong) => {
                "holding: the rate is low, but not yet for long enough"
            }
            Self::Hold(Hold::Unknown) => "holding: the rate is not known",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRIMARY: Weights = Weights::all_to(Cluster::Primary);
    const BURST: Weights = Weights::all_to(Cluster::Burst);
    const EVEN: Weights = Weights { primary: 50, burst: 50 };

    fn decider(hold_s: u64) -> Decider {
        let home_hold = Duration::from_secs(hold_s);
        Decider::new(Threshold { burst_above: 15.0, home_below: 10.0, home_hold })
    }

    #[track_caller]
    fn check(in_force: Weights, rate: Option<f64>, expected: Decision) {
        assert_eq!(decider(0).decide(Duration::ZERO, in_force, rate), expected);
    }

    #[test]
    fn bursts_above_the_threshold_and_comes_home_below_the_other() {
        check(PRIMARY, Some(15.1), Decision::Burst);
        check(PRIMARY, Some(15.0), Decision::Hold(Hold::BetweenThresholds));
        check(BURST, Some(10.0), Decision::Hold(Hold::BetweenThresholds));
        check(BURST, Some(9.9), Decision::Home);
        check(BURST, Some(0.0), Decision::Home);
    }

    #[test]
    fn writes_nothing_when_traffic_is_where_it_should_be() {
        check(BURST, Some(20.0), Decision::Hold(Hold::AsItShouldBe));
        check(Weights { primary: 0, burst: 1 }, Some(20.0), Decision::Hold(Hold::AsItShouldBe));
        check(PRIMARY, Some(5.0), Decision::Hold(Hold::AsItShouldBe));
    }

    #[test]
    fn leaves_a_split_made_by_hand_alone_between_the_thresholds_only() {
        check(EVEN, Some(12.0), Decision::Hold(Hold::BetweenThresholds));
        check(EVEN, Some(20.0), Decision::Burst);
        check(EVEN, Some(5.0), Decision::Home);
    }

    #[test]
    fn holds_when_the_rate_is_not_known() {
        for weights in [PRIMARY, BURST, EVEN] {
            check(weights, None, Decision::Hold(Hold::Unknown));
        }
    }

    #[test]
    fn comes_home_only_when_the_rate_has_been_low_for_long_enough() {
        let mut decider = decider(10);
        let mut at = |second, rate| decider.decide(Duration::from_secs(second), BURST, rate);
        let wait = Decision::Hold(Hold::LowNotForLong);
        assert_eq!(at(0, Some(5.0)), wait);
        assert_eq!(at(9, Some(5.0)), wait);
        assert_eq!(at(10, Some(5.0)), Decision::Home);
        assert_eq!(at(11, Some(12.0)), Decision::Hold(Hold::BetweenThresholds));
        assert_eq!(at(12, Some(5.0)), wait, "one reading that is not low starts the hold anew");
        assert_eq!(at(21, None), Decision::Hold(Hold::Unknown));
        assert_eq!(at(22, Some(5.0)), wait, "and so does one that is not known");
        assert_eq!(at(32, Some(5.0)), Decision::Home);
    }

    #[test]
    fn bursts_without_any_hold() {
        assert_eq!(decider(10).decide(Duration::ZERO, PRIMARY, Some(16.0)), Decision::Burst);
    }
}
