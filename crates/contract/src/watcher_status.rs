//! The watcher's answer to `GET /status`.

use serde::{Deserialize, Serialize};

use crate::Cluster;

/// What the watcher observes, what it decided, and why.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct WatcherStatus {
    /// The policy: `threshold` or `spill`.
    pub policy: String,
    /// Whether the watcher decides without writing.
    pub dry_run: bool,
    /// The rates at which the policy acts.
    pub thresholds: Thresholds,
    /// The last observation of the traffic.
    pub observed: Observed,
    /// The weights in force; none if the watcher cannot read them.
    pub weights: Option<ClusterWeights>,
    /// The weights that should be in force.
    pub desired: Option<ClusterWeights>,
    /// Where the traffic goes.
    pub state: TrafficState,
    /// Whether burst receives more than nothing, or than the probe of spill.
    #[serde(default)]
    pub is_bursting: bool,
    /// Whether the watcher holds weights that the policy would change.
    pub is_holding: bool,
    /// The name of the reason, such as `RateHigh`.
    pub reason: String,
    /// The reason as a sentence.
    pub text: String,
    /// Why the watcher is not ready, one entry for each dependency; none if it is ready.
    pub not_ready_reasons: Vec<String>,
    /// The result of the last check of `SERIES` or `QUERY`, as a sentence.
    pub query_check: String,
    /// The result of the last try of a write as a dry run of the API server, as a sentence.
    pub write_check: String,
    /// The last decisions, oldest first: at most [`WatcherStatus::MAX_DECISIONS`].
    pub decisions: Vec<DecisionRecord>,
}

impl WatcherStatus {
    /// The number of decisions that the watcher keeps.
    pub const MAX_DECISIONS: usize = 50;

    /// The reason while another watcher leads.
    pub const STANDBY: &str = "Standby";
}

/// What the frontend knows about the watcher and sends to every browser.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum WatcherView {
    /// The frontend has no `WATCHER_URL`.
    Unset,
    /// The frontend has not asked the watcher yet.
    Unasked,
    /// The watcher does not answer.
    Away {
        /// Why, in one line.
        reason: String,
    },
    /// The watcher answers.
    Known {
        /// Its status, with the last [`WatcherView::MAX_DECISIONS`] decisions.
        status: Box<WatcherStatus>,
    },
}

impl WatcherView {
    /// The number of decisions that browsers receive.
    pub const MAX_DECISIONS: usize = 20;
}

/// Rates in requests per second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Thresholds {
    /// Threshold: above this rate all traffic goes to burst.
    pub burst_above: f64,
    /// Threshold: below this rate all traffic comes home.
    pub home_below: f64,
    /// Spill: the rate that primary can carry.
    pub capacity: f64,
}

/// Requests of the last hour in each ten minutes of the clock, the newest first. An hour touches seven of them.
pub type RequestsOfHour = [f64; 7];

/// An observation of the traffic.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Observed {
    /// Where the traffic was observed: `prometheus` or `callers`.
    pub source: String,
    /// The request rate, in requests per second; none if it is unknown.
    pub rate: Option<f64>,
    /// One standard deviation of the rate, by the number of requests behind it; none if it is unknown.
    pub rate_deviation: Option<f64>,
    /// The length of the window behind the rate, in seconds; none if it is unknown.
    pub rate_window: Option<f64>,
    /// Why the rate is unknown, as metrics name it.
    pub unknown: Option<String>,
    /// The time since the last new sample, in seconds.
    pub sample_age: Option<f64>,
    /// How old the newest sample was when it arrived, in seconds.
    pub sample_lag: Option<f64>,
    /// The distance of the samples, in seconds.
    pub scrape_interval: Option<f64>,
    /// The rate above which traffic leaves primary, in requests per second; none if it is unknown.
    #[serde(default)]
    pub capacity: Option<f64>,
    /// The requests that burst received within the last hour; none without a budget.
    #[serde(default)]
    pub burst_requests: Option<f64>,
    /// The same in each ten minutes of the clock, the newest first.
    #[serde(default)]
    pub burst_requests_by_ten_minutes: Option<RequestsOfHour>,
    /// The share of the requests that the weights divide, 0.5 to 1.
    pub movable_share: Option<f64>,
    /// Requests per second to primary, to burst, and to no known cluster.
    pub rate_by_cluster: Option<[f64; 3]>,
    /// The share of primary's requests that fail, 0 to 1.
    pub primary_failure_ratio: Option<f64>,
    /// The share of burst's requests that fail, 0 to 1.
    pub burst_failure_ratio: Option<f64>,
    /// The time of the observation, in seconds since 1970.
    pub at: f64,
}

/// The weights by cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterWeights {
    /// The weight of primary.
    pub primary: u32,
    /// The weight of burst.
    pub burst: u32,
}

/// Where the traffic goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TrafficState {
    /// The watcher cannot read the weights.
    #[default]
    Unknown,
    /// All traffic is at home in primary.
    Home,
    /// All traffic goes to burst.
    Burst,
    /// Both clusters receive traffic.
    Split,
}

/// A decision that the watcher recorded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DecisionRecord {
    /// Its time, in seconds since 1970.
    pub at: f64,
    /// The rate at the time; none if it was unknown.
    pub rate: Option<f64>,
    /// The name of the reason.
    pub reason: String,
    /// The reason as a sentence.
    pub text: String,
    /// The weights in force at the time.
    pub from: ClusterWeights,
    /// The weights that should be in force.
    pub to: ClusterWeights,
    /// Its outcome: `written`, `failed: …`, `dry run`, `held`, or `nothing to write`.
    pub outcome: String,
}

impl TrafficState {
    /// All states.
    pub const ALL: [Self; 4] = [Self::Unknown, Self::Home, Self::Burst, Self::Split];

    /// The name of the state.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Home => "home",
            Self::Burst => "burst",
            Self::Split => "split",
        }
    }

    /// The state in which all traffic goes to one cluster.
    #[must_use]
    pub const fn all_to(cluster: Cluster) -> Self {
        match cluster {
            Cluster::Primary => Self::Home,
            Cluster::Burst => Self::Burst,
        }
    }
}
