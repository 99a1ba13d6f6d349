//! Derives the status of a policy from what its watch shows.

use std::fmt;

use contract::{DecisionRecord, Observed, TrafficState, WatcherStatus};
use k8s_openapi::{apimachinery::pkg::apis::meta::v1::Time, jiff::Timestamp};

use crate::{
    burst_policy::{BurstPolicyStatus, DecisionSummary, condition, with_fields},
    dependencies::Problems,
};

/// Why a policy is not followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Its settings cannot be used.
    Invalid(String),
    /// An older policy, of this name, has the same route.
    Conflict(String),
    /// There are more policies than this number.
    TooMany(usize),
}

impl Refusal {
    const fn reason(&self) -> &'static str {
        match self {
            Self::Invalid(_) => "Invalid",
            Self::Conflict(_) => "Conflict",
            Self::TooMany(_) => "TooManyPolicies",
        }
    }

    /// The status of the refused policy.
    pub(super) fn status(&self, generation: Option<i64>) -> BurstPolicyStatus {
        let problem = || Some((self.reason(), self.to_string()));
        let mut conditions = vec![condition("Ready", problem(), generation)];
        if matches!(self, Self::Conflict(_)) {
            conditions.push(condition("RouteAccepted", problem(), generation));
        }
        BurstPolicyStatus {
            observed_generation: generation,
            reason: Some(self.reason().to_owned()),
            message: Some(self.to_string()),
            conditions,
            ..BurstPolicyStatus::default()
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(problem) => f.write_str(problem),
            Self::Conflict(other) => {
                write!(
                    f,
                    "the BurstPolicy {other}, which is older, moves the weights of this route"
                )
            }
            Self::TooMany(most) => write!(f, "the controller follows {most} policies at most"),
        }
    }
}

/// The status of a policy at work.
pub(super) fn status(
    watch: &WatcherStatus,
    problems: &Problems,
    generation: Option<i64>,
) -> BurstPolicyStatus {
    let rate = |rate: Option<f64>| rate.map(|rate| format!("{rate:.1}/s"));
    let percent = |weight: fn(&contract::ClusterWeights) -> u32| {
        let weights = watch.weights.as_ref()?;
        let sum = weights.primary + weights.burst;
        i32::try_from((100 * weight(weights)).checked_div(sum)?).ok()
    };
    let is_home = watch.weights.is_some() && !watch.is_bursting;
    let state = if is_home { TrafficState::Home } else { watch.state };
    let decisions = watch.decisions.iter().rev().take(BurstPolicyStatus::DECISIONS);
    let mut state = state.name().to_owned();
    state[..1].make_ascii_uppercase();
    BurstPolicyStatus {
        observed_generation: generation,
        state: Some(state),
        since: Some(Time(Timestamp::now())),
        reason: Some(watch.reason.clone()),
        message: Some(with_fields(&watch.text)),
        rate: rate(watch.observed.rate),
        capacity: rate(watch.observed.capacity),
        primary_percent: percent(|weights| weights.primary),
        burst_percent: percent(|weights| weights.burst),
        burst_requests: watch.observed.burst_requests.map(whole),
        burst_requests_by_ten_minutes: watch
            .observed
            .burst_requests_by_ten_minutes
            .map(|requests| requests.map(whole)),
        burst_requests_at: counted_at(&watch.observed),
        conditions: conditions(watch, problems, generation),
        decisions: decisions.filter_map(summary).collect(),
    }
}

/// When the requests to burst were counted; `None` if there are none.
fn counted_at(observed: &Observed) -> Option<Time> {
    observed.burst_requests.filter(|requests| 0.5 <= *requests)?;
    Timestamp::from_second(observed.at as i64).ok().map(Time)
}

fn whole(requests: f64) -> i64 {
    requests.round() as i64
}

fn conditions(
    watch: &WatcherStatus,
    problems: &Problems,
    generation: Option<i64>,
) -> Vec<k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition> {
    let named = |name: &'static str, problem: &Option<String>| {
        problem.clone().map(|problem| (name, problem))
    };
    let route = named("RouteUnusable", &problems.route)
        .or_else(|| named("WriteRefused", &problems.write))
        .or_else(|| named("InvalidAnnotation", &problems.overrides));
    let rate = rate_problem(watch, problems);
    // A source begins with one sample, which is no problem.
    let is_beginning =
        ["too_young", "not_asked"].map(Some).contains(&watch.observed.unknown.as_deref());
    let ready = (route.clone().or_else(|| rate.clone().filter(|_| !is_beginning)))
        .or_else(|| named("CapacityUnknown", &problems.capacity))
        .or_else(|| named("BurstReadinessUnknown", &problems.burst_readiness));
    let is_unhealthy = ["ClusterUnhealthy", "ClusterEjected", "ClusterOnTrial", "BothUnhealthy"]
        .contains(&watch.reason.as_str());
    let clusters = is_unhealthy.then(|| (watch.reason.as_str(), watch.text.clone()));
    let mut known = condition("RateKnown", rate, generation);
    if known.message.is_empty() {
        known.message.clone_from(&watch.query_check);
    }
    let mut healthy = condition("ClustersHealthy", clusters, generation);
    if let Some((reason, why)) = why_health_is_unknown(watch, problems)
        && healthy.status == "True"
    {
        "Unknown".clone_into(&mut healthy.status);
        reason.clone_into(&mut healthy.reason);
        healthy.message = why;
    }
    let [ready, route] = [("Ready", ready), ("RouteAccepted", route)]
        .map(|(type_, problem)| condition(type_, problem, generation));
    let mut conditions = vec![ready, route, known, healthy];
    for condition in &mut conditions {
        condition.message = with_fields(&condition.message);
    }
    conditions
}

/// Why the rate is unknown, with what the last check of the selector found.
fn rate_problem(watch: &WatcherStatus, problems: &Problems) -> Option<(&'static str, String)> {
    let check = &watch.query_check;
    match (&problems.rate, &watch.observed.unknown) {
        (Some(problem), _) => Some(("RateUnknown", format!("{problem}; the last check: {check}"))),
        (None, Some(gap)) => Some(("NotYet", format!("there is no rate yet ({gap}): {check}"))),
        (None, None) => None,
    }
}

/// Why nobody sees whether a cluster fails.
fn why_health_is_unknown(
    watch: &WatcherStatus,
    problems: &Problems,
) -> Option<(&'static str, String)> {
    if problems.rate.is_some() {
        let why = "the rate is unknown, so nobody sees whether a cluster fails";
        return Some(("RateUnknown", why.to_owned()));
    }
    are_clusters_unknown(watch).then(|| {
        let why = format!(
            "most requests went to no cluster that PRIMARY_CLUSTER or BURST_CLUSTER names, so nobody sees whether one fails; the last check: {}",
            watch.query_check
        );
        ("ClustersUnknown", why)
    })
}

/// Whether most requests name no cluster that is known.
fn are_clusters_unknown(watch: &WatcherStatus) -> bool {
    watch
        .observed
        .rate_by_cluster
        .is_some_and(|[primary, burst, unknown]| primary + burst < unknown)
}

fn summary(decision: &DecisionRecord) -> Option<DecisionSummary> {
    let text =
        |weights: &contract::ClusterWeights| format!("{}/{}", weights.primary, weights.burst);
    let time = Timestamp::from_second(decision.at as i64).ok()?;
    Some(DecisionSummary {
        time: Time(time),
        reason: decision.reason.clone(),
        message: with_fields(&decision.text),
        from: text(&decision.from),
        to: text(&decision.to),
        outcome: with_fields(&decision.outcome),
    })
}
