//! The answer to `GET /status`, which the recorder keeps up to date.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use contract::{
    Cluster, ClusterWeights, DecisionRecord, Observed, RequestsOfHour, Thresholds, TrafficState,
    WatcherStatus,
};
use policy::{ClusterTraffic, Decision, RequestHistory, Weights};

use crate::{
    config::{SourceKind, WatchSettings},
    dependencies::Problems,
    recorder::Outcome,
};

/// Over how long the requests by cluster are averaged.
pub(crate) const CLUSTERS_WINDOW: Duration = Duration::from_secs(30);

/// The status of the watcher. Clones share it.
#[derive(Clone)]
pub(crate) struct Status {
    policy: Arc<policy::Settings>,
    watcher: Arc<Mutex<WatcherStatus>>,
    problems: Arc<Mutex<Problems>>,
}

impl Status {
    pub(crate) fn new(settings: &WatchSettings) -> Self {
        let policy = &settings.policy;
        let thresholds = Thresholds {
            burst_above: policy.threshold.burst_above,
            home_below: policy.threshold.home_below,
            capacity: policy.capacity.capacity,
        };
        let watcher = Arc::new(Mutex::new(WatcherStatus {
            policy: policy.policy.to_string(),
            dry_run: settings.dry_run,
            thresholds,
            query_check: "the watcher has not checked its query yet".to_owned(),
            write_check: "the watcher has not tried to write yet".to_owned(),
            ..WatcherStatus::default()
        }));
        Self { policy: Arc::new(policy.clone()), watcher, problems: Arc::default() }
    }

    /// Returns a copy of the present status.
    pub(crate) fn get(&self) -> WatcherStatus {
        self.lock().clone()
    }

    pub(crate) fn set_traffic(&self, now: Duration, source: SourceKind, requests: &RequestHistory) {
        let clusters = requests.recent(CLUSTERS_WINDOW);
        let failure_ratio =
            |cluster| clusters.and_then(|clusters: ClusterTraffic| clusters.failure_ratio(cluster));
        let estimate = requests.estimate(now);
        let seconds = |time: Option<Duration>| time.map(|time| time.as_secs_f64());
        let mut status = self.lock();
        status.observed = Observed {
            capacity: status.observed.capacity,
            burst_requests: status.observed.burst_requests,
            burst_requests_by_ten_minutes: status.observed.burst_requests_by_ten_minutes,
            source: source.name().to_owned(),
            rate: estimate.ok().map(|estimate| estimate.rate),
            rate_deviation: estimate.ok().map(|estimate| estimate.deviation),
            rate_window: estimate.ok().map(|estimate| estimate.seconds),
            unknown: estimate.err().map(str::to_owned),
            sample_age: seconds(requests.since_new_sample(now)),
            sample_lag: seconds(requests.lag()),
            scrape_interval: seconds(requests.scrape_interval()),
            movable_share: Some(requests.movable_share()),
            rate_by_cluster: clusters.map(|clusters| clusters.totals()),
            primary_failure_ratio: failure_ratio(Cluster::Primary),
            burst_failure_ratio: failure_ratio(Cluster::Burst),
            at: unix_time(),
        };
    }

    /// Sets the rate above which traffic leaves primary; `None` if it is unknown.
    pub(crate) fn set_capacity(&self, capacity: Option<f64>) {
        self.lock().observed.capacity = capacity;
    }

    /// Sets the requests to burst of the last hour; `None` without a budget.
    pub(crate) fn set_burst_requests(&self, requests: Option<RequestsOfHour>) {
        let mut status = self.lock();
        status.observed.burst_requests = requests.map(|parts| parts.iter().sum());
        status.observed.burst_requests_by_ten_minutes = requests;
    }

    /// Sets whether the watcher may write; returns whether that has changed.
    pub(crate) fn set_write_check(&self, text: &str) -> bool {
        let mut status = self.lock();
        if status.write_check == text {
            return false;
        }
        text.clone_into(&mut status.write_check);
        true
    }

    /// Sets the weights in force; `None` if the watcher cannot read them.
    pub(crate) fn set_weights(&self, weights: Option<Weights>) {
        let mut status = self.lock();
        status.state = traffic_state(weights);
        status.weights = weights.map(in_contract);
        status.is_bursting = weights.is_some_and(|weights| self.policy.is_bursting(weights));
    }

    /// Sets that there is no decision, because the route cannot be read or used.
    pub(crate) fn set_not_read(&self, why: &str) {
        let mut status = self.lock();
        status.desired = None;
        status.is_holding = true;
        "NotRead".clone_into(&mut status.reason);
        status.text = format!("no decision: {why}");
    }

    /// Sets that another watcher decides.
    pub(crate) fn set_standby(&self, why: &str) {
        let mut status = self.lock();
        status.desired = None;
        status.is_holding = false;
        WatcherStatus::STANDBY.clone_into(&mut status.reason);
        why.clone_into(&mut status.text);
    }

    /// Sets why the watcher is not ready.
    pub(crate) fn set_problems(&self, problems: Problems, reasons: Vec<String>) {
        *self.problems.lock().unwrap_or_else(PoisonError::into_inner) = problems;
        self.lock().not_ready_reasons = reasons;
    }

    /// Why the watcher is not ready.
    pub(crate) fn problems(&self) -> Problems {
        self.problems.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sets the result of the check of `QUERY`; returns whether it has changed.
    pub(crate) fn set_query_check(&self, text: &str) -> bool {
        let mut status = self.lock();
        if status.query_check == text {
            return false;
        }
        text.clone_into(&mut status.query_check);
        true
    }

    pub(crate) fn set_decision(&self, decision: &Decision) {
        let Decision { weights, reason, .. } = decision;
        let mut status = self.lock();
        status.desired = Some(in_contract(*weights));
        status.is_holding = reason.is_hold();
        status.reason = reason.name().to_owned();
        status.text = reason.to_string();
    }

    /// Adds a decision to the recorded ones; returns the rate at which it was made.
    pub(crate) fn add_decision(
        &self,
        decision: &Decision,
        in_force: Weights,
        outcome: &Outcome,
    ) -> Option<f64> {
        let Decision { weights, reason, .. } = decision;
        let mut status = self.lock();
        let rate = status.observed.rate;
        if WatcherStatus::MAX_DECISIONS <= status.decisions.len() {
            status.decisions.remove(0);
        }
        status.decisions.push(DecisionRecord {
            at: unix_time(),
            rate,
            reason: reason.name().to_owned(),
            text: reason.to_string(),
            from: in_contract(in_force),
            to: in_contract(*weights),
            outcome: outcome.to_string(),
        });
        rate
    }

    fn lock(&self) -> MutexGuard<'_, WatcherStatus> {
        self.watcher.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where the traffic goes by these weights; `None` if they are unknown.
pub(crate) fn traffic_state(weights: Option<Weights>) -> TrafficState {
    let Some(weights) = weights else { return TrafficState::Unknown };
    let all_to = Cluster::ALL.into_iter().find(|cluster| weights.is_all_to(*cluster));
    all_to.map_or(TrafficState::Split, TrafficState::all_to)
}

fn in_contract(weights: Weights) -> ClusterWeights {
    ClusterWeights { primary: weights.primary, burst: weights.burst }
}

/// Seconds since 1970.
fn unix_time() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

#[cfg(test)]
mod tests {
    use chassis::settings::from_arguments;
    use policy::Reason;

    use super::*;
    use crate::Config;

    #[test]
    fn the_last_fifty_decisions_are_kept() {
        let status = Status::new(&from_arguments::<Config>(&[]).unwrap().watch);
        for primary in 0..60 {
            let weights = Weights { primary, burst: 100 - primary };
            let decision = Decision { weights, is_write: true, reason: Reason::Paused { by: "a" } };
            status.add_decision(&decision, Weights::all_to(Cluster::Primary), &Outcome::Written);
        }
        let primary: Vec<_> =
            status.get().decisions.iter().map(|record| record.to.primary).collect();
        assert_eq!(primary, (10..60).collect::<Vec<_>>());
        assert_eq!(primary.len(), WatcherStatus::MAX_DECISIONS);
    }
}
