//! Records what was observed and decided: in the log once, in the metrics each time, and in the status.

mod decision_log;

use std::{fmt, sync::Arc, time::Duration};

use contract::RequestsOfHour;
use policy::{Decision, RequestHistory, Weights};

use crate::{
    config::SourceKind,
    dependencies::Dependencies,
    metrics::{Metrics, count},
    prometheus::{Finding, Unknown},
    route::{Error, ObservedRoute},
    source::ObservedTraffic,
    status::Status,
};
use decision_log::DecisionLog;

/// Records for the log, the metrics and the status.
pub(crate) struct Recorder {
    metrics: Arc<Metrics>,
    status: Status,
    decision_log: DecisionLog,
    /// Why the rates by cluster are unknown, if the log says so.
    unknown_clusters: Option<&'static str>,
    /// Whether the log says that the samples are late.
    is_late: bool,
    /// What the callers showed last.
    finding: &'static str,
}

/// Samples may usually be this late.
const MAX_USUAL_LAG: Duration = Duration::from_secs(10);

/// The outcome of a decision.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Outcome {
    /// The watcher wrote the weights.
    Written,
    /// The write failed, for this reason.
    Failed(String),
    /// The watcher would have written the weights.
    DryRun,
    /// The write has not ended yet.
    Pending,
    /// The watcher holds the weights.
    Held,
    /// The weights are right.
    NothingToWrite,
}

impl Recorder {
    pub(crate) fn new(metrics: Arc<Metrics>, status: Status) -> Self {
        Self {
            metrics,
            status,
            decision_log: DecisionLog::default(),
            unknown_clusters: None,
            is_late: false,
            finding: "",
        }
    }

    /// Records an observation of the traffic, and what is known of the requests then.
    pub(crate) fn record_traffic(
        &mut self,
        now: Duration,
        traffic: &ObservedTraffic,
        requests: &RequestHistory,
    ) {
        self.log_whether_clusters_are_known(traffic);
        self.log_lag(requests);
        self.record_callers(traffic);
        self.metrics.record_traffic(now, traffic, requests);
        self.status.set_traffic(now, traffic.source, requests);
    }

    /// Records the rate above which traffic leaves primary; `None` if it is unknown.
    pub(crate) fn record_capacity(&self, capacity: Option<f64>) {
        self.metrics.record_capacity(capacity);
        self.status.set_capacity(capacity);
    }

    /// Records the requests to burst of the last hour; `None` without a budget.
    pub(crate) fn record_burst_requests(&self, requests: Option<RequestsOfHour>) {
        self.metrics.burst.record_requests(requests.map(|parts| parts.iter().sum()));
        self.status.set_burst_requests(requests);
    }

    /// Records an observation of the route, or why there is none.
    pub(crate) fn record_route(&self, route: &Result<ObservedRoute, Error>) {
        count(&self.metrics.observations, route.as_ref().map_or_else(Error::kind, |_| "ok"));
        let weights = route.as_ref().ok().map(|route| route.weights);
        self.metrics.record_weights(weights);
        self.status.set_weights(weights);
        if let Err(error) = route {
            self.status.set_not_read(&error.to_string());
        }
    }

    /// Records that another writer changed the weights.
    pub(crate) fn record_foreign_change(&self, manager: &str, from: Weights, to: Weights) {
        self.metrics.record_foreign_change(manager);
        tracing::warn!(manager, %from, %to, "{manager} changed the weights");
    }

    /// Records the result of a write.
    pub(crate) fn record_write(&self, result: &Result<(), Error>) {
        count(&self.metrics.writes, result.as_ref().map_or_else(Error::kind, |()| "ok"));
    }

    /// Records a decision and its outcome.
    pub(crate) fn record_decision(
        &mut self,
        decision: &Decision,
        in_force: Weights,
        outcome: &Outcome,
        since_last_tick: Duration,
    ) {
        self.metrics.record_decision(decision, since_last_tick);
        self.status.set_decision(decision);
        self.record_outcome(decision, in_force, outcome);
    }

    /// Records whether this watcher is the one that decides.
    pub(crate) fn record_lead(&self, is_leader: bool) {
        self.metrics.leader.set(is_leader.into());
    }

    /// Records that this watcher decides nothing, and why.
    pub(crate) fn record_standby(&self, why: &str) {
        self.metrics.leader.set(0);
        self.status.set_standby(why);
    }

    /// Records the outcome of a decision, which may be one of an earlier tick.
    pub(crate) fn record_outcome(
        &mut self,
        decision: &Decision,
        in_force: Weights,
        outcome: &Outcome,
    ) {
        let Decision { weights, reason, .. } = decision;
        let is_written = *outcome == Outcome::Written;
        if is_written {
            self.metrics.record_direction(in_force, *weights);
        }
        if !self.decision_log.is_news(decision, is_written) {
            return;
        }
        let rate = self.status.add_decision(decision, in_force, outcome);
        let name = reason.name();
        if is_written {
            tracing::info!(rate, from = %in_force, to = %weights, reason = name, "weights written: {reason}");
        } else if reason.is_warning() {
            tracing::warn!(rate, %in_force, desired = %weights, reason = name, "{reason}");
        } else {
            tracing::info!(rate, %in_force, desired = %weights, reason = name, "{reason}");
        }
    }

    /// Records how late a tick began, how long it took, and why the watcher is not ready.
    pub(crate) fn record_tick(
        &self,
        late: Duration,
        duration: Duration,
        dependencies: &Dependencies,
    ) {
        self.metrics.ticks.record(late, duration);
        self.status.set_problems(dependencies.problems(), dependencies.not_ready_reasons());
    }

    /// Records whether the watcher may write the weights.
    pub(crate) fn record_write_check(&self, result: &Result<(), Error>) {
        count(&self.metrics.write_checks, result.as_ref().map_or_else(Error::kind, |()| "ok"));
        let text = match result {
            Ok(()) => "the watcher may write the weights".to_owned(),
            Err(error) => format!("the watcher could not write the weights: {error}"),
        };
        if !self.status.set_write_check(&text) {
            return;
        }
        match result {
            Ok(()) => tracing::info!("{text}"),
            Err(_) => tracing::warn!("{text}"),
        }
    }

    /// Records the result of a check of the selector or of `QUERY`.
    pub(crate) fn record_query_check(&self, finding: &Finding) {
        count(&self.metrics.query_checks, finding.name());
        let text = finding.to_string();
        if !self.status.set_query_check(&text) {
            return;
        }
        if finding.is_problem() {
            tracing::warn!(finding = finding.name(), "{text}");
        } else {
            tracing::info!(finding = finding.name(), "{text}");
        }
    }

    /// Records which source is in use, and with `SOURCE=callers` what the callers show.
    fn record_callers(&mut self, traffic: &ObservedTraffic) {
        let Some(callers) = &traffic.callers else { return };
        let finding = callers.finding();
        if self.finding != finding.name() {
            self.finding = finding.name();
            self.record_query_check(&finding);
        } else {
            self.status.set_query_check(&finding.to_string());
        }
        if !traffic.is_new_source {
            return;
        }
        match traffic.source {
            SourceKind::Prometheus => tracing::warn!(
                "the watcher asks Prometheus until all callers can be read: {finding}"
            ),
            SourceKind::Callers => tracing::info!("the watcher reads the callers again"),
        }
    }

    /// Logs once that the samples are late, and once that they are not.
    fn log_lag(&mut self, requests: &RequestHistory) {
        let lag = requests.lag().unwrap_or_default();
        let is_late = MAX_USUAL_LAG < lag;
        if is_late == self.is_late {
            return;
        }
        self.is_late = is_late;
        if is_late {
            tracing::warn!(
                "the samples are {lag:.0?} late, or the clock of their source is wrong; decisions are as late"
            );
        } else {
            tracing::info!("the samples are in time again");
        }
    }

    /// While the rate is unknown, the log already says why the clusters are.
    fn log_whether_clusters_are_known(&mut self, traffic: &ObservedTraffic) {
        let unknown = traffic.unknown_clusters.as_ref();
        let kind = unknown.map(Unknown::kind);
        if traffic.observation.is_err() || self.unknown_clusters == kind {
            return;
        }
        match unknown {
            Some(unknown) => {
                tracing::warn!(
                    "the watcher cannot see whether a cluster fails: CLUSTERS_QUERY: {unknown}"
                );
            }
            None => tracing::info!("the watcher sees again whether a cluster fails"),
        }
        self.unknown_clusters = kind;
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Written => f.write_str("written"),
            Self::Failed(why) => write!(f, "failed: {why}"),
            Self::DryRun => f.write_str("dry run"),
            Self::Pending => f.write_str("pending"),
            Self::Held => f.write_str("held"),
            Self::NothingToWrite => f.write_str("nothing to write"),
        }
    }
}
