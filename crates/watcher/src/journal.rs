//! Says what was seen and decided: to the log once, to the metrics each time, and to whoever asks for the status.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use contract::{
    Cluster, ClusterWeights, DecisionRecord, Seen, Thresholds, TrafficState, WatcherStatus,
};

use crate::{
    config::PolicySettings,
    decide::{Clusters, Decision},
    metrics::{ClusterLabels, Metrics, ModeLabels, ReasonLabels, count, set},
    prometheus::{Finding, Look, Unknown},
    weights::Weights,
};

/// Where all of it is written.
pub(crate) struct Journal {
    metrics: Arc<Metrics>,
    status: Status,
    /// The decision that the log was told last: the name of its reason, its detail, and the weights.
    said: Option<(&'static str, String, Option<Weights>)>,
    /// Whether the last decision was written.
    has_written: bool,
    /// What keeps burst's answers from being known, if that was said.
    burst_unseen: Option<&'static str>,
    /// Which way the last write moved traffic, if there was one.
    was_rise: Option<bool>,
}

/// What the watcher says of itself. Clones are the same.
#[derive(Clone)]
pub(crate) struct Status(Arc<Mutex<WatcherStatus>>);

/// What has become of a decision.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Outcome {
    Written,
    Failed(String),
    DryRun,
    Held,
    Nothing,
}

impl Status {
    pub(crate) fn new(settings: &PolicySettings) -> Self {
        let thresholds = Thresholds {
            burst_above: settings.threshold.burst_above,
            home_below: settings.threshold.home_below,
            capacity: settings.spill.capacity,
        };
        Self(Arc::new(Mutex::new(WatcherStatus {
            policy: settings.policy.to_string(),
            dry_run: settings.dry_run,
            thresholds,
            query_check: "QUERY has not been checked yet".to_owned(),
            ..WatcherStatus::default()
        })))
    }

    /// As of now.
    pub(crate) fn get(&self) -> WatcherStatus {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, WatcherStatus> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Journal {
    pub(crate) fn new(metrics: Arc<Metrics>, status: Status) -> Self {
        Self { metrics, status, said: None, has_written: false, burst_unseen: None, was_rise: None }
    }

    /// What Prometheus said.
    pub(crate) fn saw(&mut self, look: &Look) {
        self.say_whether_burst_is_seen(look);
        let metrics = &self.metrics;
        count(&metrics.queries, look.rate.as_ref().map_or_else(Unknown::kind, |_| "ok"));
        let clusters = match &look.clusters {
            None => None,
            Some(Ok(clusters)) => {
                count(&metrics.cluster_queries, "ok");
                Some(clusters)
            }
            Some(Err(unknown)) => {
                count(&metrics.cluster_queries, unknown.kind());
                None
            }
        };
        let rate = look.rate.as_ref().ok().copied();
        let age = look.age.map(|age| age.as_secs_f64());
        let failing = Cluster::ALL.map(|cluster| clusters.and_then(|it| it.failing(cluster)));
        let [primary_failing, burst_failing] = failing;
        set(&metrics.demand, rate);
        set(&metrics.sample_age, age);
        set(&metrics.primary_failing, primary_failing);
        set(&metrics.burst_failing, burst_failing);
        let by_cluster = clusters.map(Clusters::rates);
        for (cluster, index) in [("primary", 0), ("burst", 1), ("unknown", 2)] {
            let number = metrics.cluster_rate.get_or_create(&ClusterLabels { cluster });
            set(&number, by_cluster.map(|rates| rates[index]));
        }
        self.status.lock().seen = Seen {
            rate,
            unknown: look.rate.as_ref().err().map(|unknown| unknown.kind().to_owned()),
            sample_age: age,
            by_cluster,
            primary_failing,
            burst_failing,
            at: now(),
        };
    }

    /// The weights in force; `None` if they could not be read.
    pub(crate) fn read(&self, weights: Option<Weights>) {
        let state = weights.map_or(TrafficState::Unknown, state_of);
        for it in TrafficState::ALL {
            let mode = self.metrics.mode.get_or_create(&ModeLabels { mode: it.name() });
            mode.set((it == state).into());
        }
        let mut status = self.status.lock();
        status.state = state;
        status.weights = weights.map(in_contract);
        if weights.is_none() {
            status.desired = None;
            status.holding = true;
            "NotRead".clone_into(&mut status.reason);
            "nothing is decided: the VirtualService cannot be read".clone_into(&mut status.text);
        }
        for cluster in Cluster::ALL {
            let labels = ClusterLabels { cluster: cluster.name() };
            let weight = weights.map(|weights| weights.of(cluster).into());
            set(&self.metrics.weight.get_or_create(&labels), weight);
        }
    }

    /// What keeps the watcher from working.
    pub(crate) fn lacks(&self, lacks: Vec<String>) {
        self.status.lock().lacks = lacks;
    }

    /// Somebody else has changed the weights.
    pub(crate) fn drifted(&self, manager: &str, from: Weights, to: Weights) {
        self.metrics.drifted(manager);
        tracing::warn!(manager, %from, %to, "{manager} has changed the weights");
    }

    /// A decision, what has become of it, and the time since the last.
    pub(crate) fn decided(
        &mut self,
        decision: &Decision,
        in_force: Weights,
        outcome: &Outcome,
        since_last: Duration,
    ) {
        let Decision { weights, reason, .. } = decision;
        self.count(decision, since_last);
        let is_written = *outcome == Outcome::Written;
        if is_written {
            self.wrote(in_force, *weights);
        }
        // Where nothing is held and nothing to be written, it does not matter by which side of a threshold.
        let is_calm = !decision.is_write && reason.is_calm();
        let now_said = match reason {
            _ if is_calm => ("", String::new(), None),
            // What should be moves with the load while it is held.
            reason if reason.is_hold() => (reason.name(), reason.detail().to_owned(), None),
            reason => (reason.name(), reason.detail().to_owned(), Some(*weights)),
        };
        let is_repeated = self.said.as_ref() == Some(&now_said);
        // That a write has set it right goes without saying.
        let is_expected = self.has_written && is_calm;
        self.has_written = is_written;
        self.said = Some(now_said);
        let is_news = is_written || !(is_repeated || is_expected);
        let mut status = self.status.lock();
        status.desired = Some(in_contract(*weights));
        status.holding = reason.is_hold();
        status.reason = reason.name().to_owned();
        status.text = reason.to_string();
        if !is_news {
            return;
        }
        let rate = status.seen.rate;
        let record = DecisionRecord {
            at: now(),
            rate,
            reason: reason.name().to_owned(),
            text: reason.to_string(),
            from: in_contract(in_force),
            to: in_contract(*weights),
            outcome: outcome.to_string(),
        };
        if WatcherStatus::MAX_DECISIONS <= status.decisions.len() {
            status.decisions.remove(0);
        }
        status.decisions.push(record);
        let name = reason.name();
        if is_written {
            tracing::info!(rate, from = %in_force, to = %weights, reason = name, "weights written: {reason}");
        } else if reason.is_trouble() {
            tracing::warn!(rate, %in_force, desired = %weights, reason = name, "{reason}");
        } else {
            tracing::info!(rate, %in_force, desired = %weights, reason = name, "{reason}");
        }
    }

    fn count(&self, decision: &Decision, since_last: Duration) {
        let Decision { weights, reason, .. } = decision;
        let labels = ReasonLabels { reason: reason.name() };
        self.metrics.decisions.get_or_create(&labels).inc();
        if reason.is_hold() {
            let held = self.metrics.hold_seconds.get_or_create(&labels);
            held.inc_by(since_last.as_secs_f64());
        }
        for cluster in Cluster::ALL {
            let labels = ClusterLabels { cluster: cluster.name() };
            let weight = weights.of(cluster);
            self.metrics.desired_weight.get_or_create(&labels).set(weight.into());
        }
    }

    /// Once: that burst could fail unseen. While the rate is not known either, that says enough.
    fn say_whether_burst_is_seen(&mut self, look: &Look) {
        let unknown = look.clusters.as_ref().and_then(|it| it.as_ref().err());
        let kind = unknown.filter(|_| look.rate.is_ok()).map(Unknown::kind);
        if look.rate.is_err() || self.burst_unseen == kind {
            return;
        }
        match unknown {
            Some(unknown) => {
                tracing::warn!("CLUSTERS_QUERY: whether burst fails is not known: {unknown}")
            }
            None => tracing::info!("CLUSTERS_QUERY: whether burst fails is known again"),
        }
        self.burst_unseen = kind;
    }

    /// What the check of the query has found.
    pub(crate) fn checked(&self, finding: &Finding) {
        count(&self.metrics.query_checks, finding.name());
        let text = finding.to_string();
        let mut status = self.status.lock();
        if status.query_check == text {
            return;
        }
        if finding.is_problem() {
            tracing::warn!(finding = finding.name(), "{text}");
        } else {
            tracing::info!(finding = finding.name(), "{text}");
        }
        status.query_check = text;
    }

    fn wrote(&mut self, from: Weights, to: Weights) {
        let is_rise = from.burst_share() < to.burst_share();
        if self.was_rise.replace(is_rise).is_some_and(|was_rise| was_rise != is_rise) {
            self.metrics.reversals.inc();
        }
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Written => f.write_str("written"),
            Self::Failed(why) => write!(f, "failed: {why}"),
            Self::DryRun => f.write_str("dry run"),
            Self::Held => f.write_str("held"),
            Self::Nothing => f.write_str("nothing to write"),
        }
    }
}

fn state_of(weights: Weights) -> TrafficState {
    let all_to = Cluster::ALL.into_iter().find(|cluster| weights.are_all_to(*cluster));
    all_to.map_or(TrafficState::Split, TrafficState::all_to)
}

fn in_contract(weights: Weights) -> ClusterWeights {
    ClusterWeights { primary: weights.primary, burst: weights.burst }
}

/// Seconds since 1970.
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}
