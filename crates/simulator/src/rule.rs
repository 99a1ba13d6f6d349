//! What decides: the watcher's policies, or the rule of 2018.

use std::time::Duration;

use contract::Cluster;
use policy::{Decider, Decision, Ejection, Reason, Route, Settings, Weights};

use crate::prometheus::Prometheus;

/// What decides.
pub enum Rule {
    /// The watcher's policies and guards, with these settings.
    Watcher(Box<Settings>),
    /// The rule of 2018: above 15 all traffic to burst, below 10 all home, and an unknown rate is 0.
    Original {
        /// Over how long its query averages.
        window: Duration,
    },
}

/// A rule at work.
pub(crate) enum Running {
    Watcher { decider: Box<Decider>, settings: Box<Settings> },
    Original { window: Duration },
}

impl Running {
    pub(crate) fn start(rule: Rule, now: Duration) -> Self {
        match rule {
            Rule::Watcher(settings) => Self::Watcher {
                decider: Box::new(Decider::new((*settings).clone(), None, now)),
                settings,
            },
            Rule::Original { window } => Self::Original { window },
        }
    }

    /// Begins again, with what outlives a watcher.
    pub(crate) fn restart(&mut self, now: Duration) {
        if let Self::Watcher { decider, settings } = self {
            let ejections: Vec<Ejection> = decider.ejections();
            **decider = Decider::new((**settings).clone(), None, now);
            decider.take_over(now, &ejections);
        }
    }

    /// Observes and decides; `None` if the rule has no reasons.
    pub(crate) fn decide(
        &mut self,
        now: Duration,
        prometheus: &mut Prometheus,
        is_burst_ready: Option<bool>,
        route: &Route,
    ) -> (Weights, Option<Reason>) {
        match self {
            Self::Watcher { decider, .. } => {
                decider.observe_burst_readiness(now, is_burst_ready);
                decider.observe(now, &prometheus.answer(now));
                let Decision { weights, is_write, reason } = decider.decide(now, route);
                (if is_write { weights } else { route.weights }, Some(reason))
            }
            Self::Original { window } => {
                let weights = match prometheus.rate(now, *window).unwrap_or(0.0) {
                    rate if 15.0 < rate => Weights::all_to(Cluster::Burst),
                    rate if rate < 10.0 => Weights::all_to(Cluster::Primary),
                    _ => route.weights,
                };
                (weights, None)
            }
        }
    }

    pub(crate) fn record_write(
        &mut self,
        now: Duration,
        is_refused: bool,
        retry_after: Option<Duration>,
    ) {
        if let Self::Watcher { decider, .. } = self {
            decider.record_write(now);
            if is_refused {
                decider.record_failed_write(now, retry_after);
            }
        }
    }
}
