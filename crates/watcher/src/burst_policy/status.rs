//! The status of a `BurstPolicy`.

use k8s_openapi::{
    apimachinery::pkg::apis::meta::v1::{Condition, Time},
    jiff::Timestamp,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the controller says of a policy. It is written on change, and otherwise once a minute at most.
// What is `None` is written as `null`, because a merge patch removes a field only by that.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct BurstPolicyStatus {
    /// The generation of the policy that this status is about
    pub observed_generation: Option<i64>,
    /// Where the traffic goes: Home, Split, Burst, or Unknown
    pub state: Option<String>,
    /// Since when it goes there
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub since: Option<Time>,
    /// The name of the reason of the last decision, such as `RateHigh`
    pub reason: Option<String>,
    /// The reason of the last decision, as a sentence
    pub message: Option<String>,
    /// The request rate, in requests per second; absent if it is unknown
    pub rate: Option<String>,
    /// The rate above which traffic leaves primary, in requests per second; absent if it is unknown
    pub capacity: Option<String>,
    /// The share of primary by the weights in force, in percent
    pub primary_percent: Option<i32>,
    /// The share of burst by the weights in force, in percent
    pub burst_percent: Option<i32>,
    /// The requests that burst received within the last hour; absent without a budget
    pub burst_requests: Option<i64>,
    /// The same in each ten minutes of the clock, the newest first
    pub burst_requests_by_ten_minutes: Option<[i64; 7]>,
    /// When they were counted; absent without any
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub burst_requests_at: Option<Time>,
    /// Ready, `RateKnown`, `RouteAccepted` and `ClustersHealthy`
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// The last decisions, the newest first
    pub decisions: Vec<DecisionSummary>,
}

/// A decision, and the evidence of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DecisionSummary {
    /// When it was made
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub time: Time,
    /// The name of the reason
    pub reason: String,
    /// The reason as a sentence, with the evidence
    pub message: String,
    /// The weights in force before, primary and burst
    pub from: String,
    /// The weights that were decided
    pub to: String,
    /// What became of it, such as written, or failed and why
    pub outcome: String,
}

impl BurstPolicyStatus {
    /// The number of decisions in a status.
    pub(crate) const DECISIONS: usize = 5;

    /// Keeps what still holds of the status before: the times of what has not changed, and the decisions that are
    /// older than this controller's own.
    pub(crate) fn continue_from(&mut self, before: &Self) {
        let oldest = self.decisions.last().map(|decision| decision.time.clone());
        let is_older = |decision: &&DecisionSummary| {
            oldest.as_ref().is_none_or(|oldest| decision.time < *oldest)
        };
        let free = Self::DECISIONS.saturating_sub(self.decisions.len());
        self.decisions.extend(before.decisions.iter().filter(is_older).take(free).cloned());
        if self.state == before.state && before.since.is_some() {
            self.since = before.since.clone();
        }
        for condition in &mut self.conditions {
            let same = before.conditions.iter().find(|old| old.type_ == condition.type_);
            if let Some(old) = same.filter(|old| old.status == condition.status) {
                condition.last_transition_time = old.last_transition_time.clone();
            }
        }
    }
}

/// A condition that holds, or why it does not.
pub(crate) fn condition(
    type_: &str,
    problem: Option<(&str, String)>,
    generation: Option<i64>,
) -> Condition {
    let is_true = problem.is_none();
    let (reason, message) = problem.unwrap_or((type_, String::new()));
    Condition {
        type_: type_.to_owned(),
        status: if is_true { "True" } else { "False" }.to_owned(),
        reason: reason.to_owned(),
        message,
        observed_generation: generation,
        last_transition_time: Time(Timestamp::now()),
    }
}
