//! A circuit breaker for each cluster: it ejects a cluster that is proven to fail, and tries it again.

mod limit;

use std::time::Duration;

use contract::Cluster;

use crate::{
    GuardSettings, Requests, Weights,
    evidence::{LIKELY, PROOF, binomial_divergence},
    shares::{Attribution, Shares},
    timeline::Timeline,
};

/// How far back a window of failures reaches, except on trial.
const MAX_WINDOW: Duration = Duration::from_secs(120);

/// The longest ejection, in multiples of `EJECTION_TIME`.
const MAX_EJECTION_FACTOR: u32 = 10;

/// A cluster that fails receives no traffic for a while, then a little on trial, and after a good trial
/// all that the policy proposes.
#[derive(Debug)]
pub(crate) struct CircuitBreaker {
    cluster: Cluster,
    settings: GuardSettings,
    state: State,
    /// Evidence from before this time no longer counts.
    judged_until: Duration,
    /// How often the cluster has failed since it last did well for long.
    failures: u32,
    /// What was measured last, with enough requests to judge by.
    measured: Option<Measured>,
    /// Whether the rate is unknown, so that nobody would see how a trial goes.
    is_blind: bool,
}

/// The three states of a circuit breaker.
#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    /// The cluster is healthy.
    Closed,
    /// The cluster is ejected.
    Open { from: Duration, until: Duration, requests: Requests },
    /// The cluster is on trial, since the trial's weights are in force for every proxy.
    HalfOpen { since: Option<Duration> },
}

#[derive(Clone, Copy, Debug)]
struct Measured {
    at: Duration,
    ratio: f64,
    is_unhealthy: bool,
}

/// An ejection that outlives the watcher.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ejection {
    /// The ejected cluster.
    pub cluster: Cluster,
    /// Until when.
    pub until: Duration,
    /// How often the cluster has failed in a row.
    pub failures: u32,
}

impl CircuitBreaker {
    pub(crate) fn new(cluster: Cluster, settings: GuardSettings) -> Self {
        Self {
            cluster,
            settings,
            state: State::Closed,
            judged_until: Duration::ZERO,
            failures: 0,
            measured: None,
            is_blind: false,
        }
    }

    /// Whether the cluster is ejected now.
    pub(crate) fn is_open(&self, now: Duration) -> bool {
        matches!(self.state, State::Open { until, .. } if now < until)
    }

    /// The share of requests that failed, if it was too large when it was measured: within the last
    /// ejection time, or before an ejection that goes on.
    pub(crate) fn unhealthy_ratio(&self, now: Duration) -> Option<f64> {
        let is_recent = |measured: &Measured| {
            self.is_open(now) || now <= measured.at + self.settings.ejection_time
        };
        let measured =
            self.measured.filter(|measured| measured.is_unhealthy && is_recent(measured));
        measured.map(|measured| measured.ratio)
    }

    /// Forgets all that it has judged.
    pub(crate) fn reset(&mut self) {
        *self = Self::new(self.cluster, self.settings.clone());
    }

    /// Ends an ejection or a trial.
    pub(crate) fn close(&mut self, now: Duration) {
        if self.state != State::Closed {
            self.state = State::Closed;
            self.judged_until = now;
        }
    }

    /// Takes an ejection of this very moment back, so that the cluster is judged again.
    pub(crate) fn withdraw(&mut self, now: Duration) {
        if matches!(self.state, State::Open { from, .. } if from == now) {
            self.failures = self.failures.saturating_sub(1);
            self.close(now);
        }
    }

    /// The ejection, as it should outlive the watcher.
    pub(crate) fn ejection(&self) -> Option<Ejection> {
        let Self { cluster, failures, .. } = *self;
        let until = match self.state {
            State::Closed => return None,
            State::Open { until, .. } => until,
            State::HalfOpen { .. } => Duration::ZERO,
        };
        Some(Ejection { cluster, until, failures })
    }

    /// Continues an ejection of a watcher before, which may have had other settings or another clock.
    pub(crate) fn restore(&mut self, now: Duration, ejection: Ejection) {
        let Ejection { until, failures, .. } = ejection;
        let until = until.min(now + self.settings.ejection_time * MAX_EJECTION_FACTOR);
        self.failures = failures;
        self.state = State::Open { from: Duration::ZERO, until, requests: Requests::default() };
    }

    /// Judges the cluster by the newest evidence.
    pub(crate) fn observe(
        &mut self,
        now: Duration,
        timeline: &Timeline,
        shares: &Shares,
        in_force: Weights,
        is_rate_known: bool,
    ) {
        self.is_blind = !is_rate_known;
        if let State::HalfOpen { since } = &mut self.state {
            if self.is_blind {
                // Nobody sees how the trial goes, so it begins again.
                (*since, self.judged_until) = (None, now);
            } else if 0.0 < in_force.share_of(self.cluster) {
                let settled = shares.settled_since().unwrap_or(now);
                since.get_or_insert(settled.max(self.judged_until));
            }
        }
        match self.state {
            // What is counted of an ejected cluster is from before.
            State::Open { .. } => {}
            State::Closed => self.judge(now, timeline, shares, PROOF, self.judged_until),
            State::HalfOpen { since } => {
                if let Some(since) = since {
                    self.judge(now, timeline, shares, LIKELY, since.max(self.judged_until));
                }
            }
        }
    }

    /// Looks for the window that proves most, back to `since`.
    fn judge(
        &mut self,
        now: Duration,
        timeline: &Timeline,
        shares: &Shares,
        proof: f64,
        since: Duration,
    ) {
        let limit = self.settings.unhealthy_ratio;
        // The samples may be late all the time, so the window ends with the newest.
        let start = match self.state {
            State::HalfOpen { .. } => Duration::ZERO,
            _ => timeline.end().unwrap_or(now).saturating_sub(MAX_WINDOW),
        };
        let is_clean = timeline.last_failure().is_none_or(|failed_at| failed_at <= start);
        // So many requests without a failure prove that the cluster is well.
        let enough = PROOF / binomial_divergence(0.0, 1.0, limit);
        let mut attribution = Attribution::default();
        // The newest requests must fail, too: the past alone proves nothing.
        let mut newest_fails = None;
        // A watcher that begins may see failures that have ended long ago.
        let mut failed_at = now;
        let mut window = Requests::default();
        for interval in timeline.all_newest_first() {
            if interval.to <= start || interval.from + Duration::from_millis(1) < since {
                break;
            }
            if is_clean {
                // Without a failure all windows show the same, so enough of them is enough.
                window.total += interval.requests.to(self.cluster).total;
                if enough <= window.total {
                    break;
                }
                continue;
            }
            attribution.add(self.cluster, interval, shares);
            window = attribution.requests(self.cluster);
            if window.total <= 0.0 {
                continue;
            }
            let is_failing = limit < window.failed / window.total;
            let newest_fails = *newest_fails.get_or_insert_with(|| {
                let age = timeline.end().unwrap_or(now).saturating_sub(interval.to);
                failed_at = now.saturating_sub(age);
                is_failing
            });
            let divergence = binomial_divergence(window.failed, window.total, limit);
            if newest_fails && is_failing && proof <= divergence {
                self.measure(failed_at, window, true);
                self.eject(now, failed_at, window);
                return;
            }
        }
        if window.total <= 0.0 || window.failed / window.total >= limit {
            return;
        }
        let divergence = binomial_divergence(window.failed, window.total, limit);
        if LIKELY <= divergence {
            self.measure(now, window, false);
        }
        match self.state {
            State::HalfOpen { .. } if LIKELY <= divergence => {
                self.state = State::Closed;
                self.judged_until = now;
            }
            // A long good time closes the account.
            State::Closed
                if PROOF <= divergence
                    && self.judged_until + self.settings.ejection_time <= now =>
            {
                self.failures = 0;
            }
            _ => {}
        }
    }

    fn measure(&mut self, at: Duration, requests: Requests, is_unhealthy: bool) {
        let ratio = requests.failed / requests.total;
        self.measured = Some(Measured { at, ratio, is_unhealthy });
    }

    /// Ejects a cluster that failed last at `failed_at`.
    fn eject(&mut self, now: Duration, failed_at: Duration, requests: Requests) {
        let factor = 2_u32.saturating_pow(self.failures).min(MAX_EJECTION_FACTOR);
        self.failures = self.failures.saturating_add(1);
        let until = failed_at + self.settings.ejection_time * factor;
        self.state = State::Open { from: now, until, requests };
    }
}
