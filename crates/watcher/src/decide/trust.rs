//! Whether a cluster can be trusted with traffic.

use std::time::Duration;

use contract::Cluster;

use super::{Clusters, Flow, Wish};
use crate::{config::GuardSettings, reason::Reason, weights::Weights};

/// How many requests a cluster must have been asked in a window to be judged by them.
const MIN_REQUESTS: f64 = 5.0;

/// How many standard deviations of a count chance is taken to explain.
const CHANCE: f64 = 3.0;

/// After so many windows a trial that nothing is known of is over.
const UNJUDGED_TRIAL: u32 = 3;

/// How many times as long as at first a cluster is left alone at the most.
const MAX_REST: u32 = 10;

/// A cluster that fails gets no traffic for a while, then a little, and when that goes well, what it is due.
#[derive(Debug)]
pub(super) struct Trust {
    cluster: Cluster,
    settings: GuardSettings,
    /// Over how long failures are averaged.
    window: Duration,
    state: State,
    /// How often it has failed in a row.
    failures: u32,
    /// Its share in force, and since when: what is counted is of older shares for a while.
    share: (f64, Duration),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Trusted,
    /// It is left alone.
    Resting {
        from: Duration,
        until: Duration,
        share: f64,
    },
    /// It is tried with a little, since that is in force.
    Tried {
        since: Option<Duration>,
    },
}

impl Trust {
    pub(super) fn new(cluster: Cluster, settings: GuardSettings, window: Duration) -> Self {
        Self {
            cluster,
            settings,
            window,
            state: State::Trusted,
            failures: 0,
            share: (f64::NAN, Duration::ZERO),
        }
    }

    /// Whether it is left alone now.
    pub(super) fn is_at_rest(&self, now: Duration) -> bool {
        matches!(self.state, State::Resting { until, .. } if now < until)
    }

    /// From now on it is given all that it is due, unless it is to be left alone.
    pub(super) fn end_trial(&mut self, now: Duration) {
        if !self.is_at_rest(now) {
            self.state = State::Trusted;
        }
    }

    /// Takes the weights in force, and what is known of the answers.
    pub(super) fn note(&mut self, now: Duration, clusters: Option<&Clusters>, in_force: Weights) {
        let share = in_force.share_of(self.cluster);
        if self.share.0 != share {
            self.share = (share, now);
        }
        if let State::Tried { since } = &mut self.state {
            if 0.0 < share {
                since.get_or_insert(now);
            }
            // Nothing has been seen of it, as at the very first.
            if since.is_some_and(|since| since + self.window * UNJUDGED_TRIAL <= now) {
                self.state = State::Trusted;
            }
        }
        if let Some(clusters) = clusters {
            self.judge(now, self.flow(now, clusters));
        }
    }

    /// What of the requests was its: those that are known to be, and of those that are counted for no cluster as many
    /// as it lacks of its share, beyond chance. As long as what is counted is partly of another share, that is not known.
    fn flow(&self, now: Duration, clusters: &Clusters) -> Flow {
        let Clusters { elsewhere, .. } = clusters;
        let own = clusters.of(self.cluster);
        let (share, since) = self.share;
        if elsewhere.rate <= 0.0 || now < since + self.window * 2 {
            return own;
        }
        let due = share * clusters.rates().into_iter().sum::<f64>();
        let chance = CHANCE * (due / self.window.as_secs_f64()).sqrt();
        let lacking = (due - own.rate - chance).clamp(0.0, elsewhere.rate);
        let failing = elsewhere.failing * (lacking / elsewhere.rate);
        Flow { rate: own.rate + lacking, failing: own.failing + failing }
    }

    fn judge(&mut self, now: Duration, own: Flow) {
        let asked = own.rate * self.window.as_secs_f64();
        if asked < MIN_REQUESTS {
            return;
        }
        let share = own.failing / own.rate;
        let fails = self.settings.burst_errors <= share;
        match self.state {
            // What is counted of a cluster at rest is from before.
            State::Resting { .. } => {}
            State::Trusted | State::Tried { .. } if fails => {
                let times = 2_u32.saturating_pow(self.failures).min(MAX_REST);
                self.failures = self.failures.saturating_add(1);
                let until = now + self.settings.burst_rest * times;
                self.state = State::Resting { from: now, until, share };
            }
            State::Tried { since } if since.is_some_and(|since| since + self.window <= now) => {
                self.state = State::Trusted;
                self.failures = 0;
            }
            State::Trusted | State::Tried { .. } => {}
        }
    }

    /// What may become of a wish.
    pub(super) fn limit(&mut self, now: Duration, wish: Wish) -> Wish {
        let cluster = self.cluster;
        let is_wanted = 0 < wish.weights.of(cluster);
        match self.state {
            State::Resting { from, until, share } if now < until => {
                let left = until.saturating_sub(now);
                let reason = if from == now {
                    Reason::Fails { cluster, share, rest: left }
                } else {
                    Reason::Rests { cluster, left }
                };
                match is_wanted {
                    true => Wish { weights: Weights::all_to(cluster.other()), reason },
                    false => wish,
                }
            }
            State::Trusted => wish,
            State::Resting { .. } | State::Tried { .. } if !is_wanted => {
                // Load has fallen: it is tried when it is needed.
                self.state = State::Resting { from: now, until: now, share: 0.0 };
                wish
            }
            State::Resting { .. } => {
                self.state = State::Tried { since: None };
                self.try_with(wish)
            }
            State::Tried { .. } => self.try_with(wish),
        }
    }

    fn try_with(&self, wish: Wish) -> Wish {
        let (cluster, percent) = (self.cluster, self.settings.burst_trial);
        let trial = Weights::with(cluster, percent);
        if wish.weights.share_of(cluster) <= trial.share_of(cluster) {
            return wish;
        }
        Wish { weights: trial, reason: Reason::Tried { cluster, percent } }
    }
}
