//! What the watcher says of itself at `GET /status`.

use serde::{Deserialize, Serialize};

use crate::Cluster;

/// What the watcher sees, what it has decided, and why.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct WatcherStatus {
    /// The rule: `threshold` or `spill`.
    pub policy: String,
    /// Whether it only says what it would write.
    pub dry_run: bool,
    /// What it goes by.
    pub thresholds: Thresholds,
    /// What it saw last.
    pub seen: Seen,
    /// The weights in force; none if they have not been read.
    pub weights: Option<ClusterWeights>,
    /// The weights that should be in force.
    pub desired: Option<ClusterWeights>,
    /// Where that leaves the traffic.
    pub state: TrafficState,
    /// Whether weights are held that the rate does not ask for.
    pub holding: bool,
    /// The name of the reason, such as `RateHigh`.
    pub reason: String,
    /// The reason in words.
    pub text: String,
    /// What keeps it from working, one entry each; none if all is well.
    pub lacks: Vec<String>,
    /// What its check of its own query has found, in words.
    pub query_check: String,
    /// The last decisions, oldest first: at most [`WatcherStatus::MAX_DECISIONS`].
    pub decisions: Vec<DecisionRecord>,
}

impl WatcherStatus {
    /// How many decisions are kept.
    pub const MAX_DECISIONS: usize = 50;
}

/// What the frontend knows of the watcher, and tells every browser.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum WatcherView {
    /// The frontend has not been told where it is.
    Unset,
    /// It has not answered yet, nor failed to.
    Unasked,
    /// It does not answer.
    Away {
        /// Why, in one line.
        reason: String,
    },
    /// It answers.
    Known {
        /// What it says, with the last [`WatcherView::MAX_DECISIONS`] of its decisions.
        status: Box<WatcherStatus>,
    },
}

impl WatcherView {
    /// How many decisions browsers are told of.
    pub const MAX_DECISIONS: usize = 20;
}

/// Rates in requests per second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Thresholds {
    /// Threshold: above it all goes to burst.
    pub burst_above: f64,
    /// Threshold: below it all comes home.
    pub home_below: f64,
    /// Spill: what primary carries.
    pub capacity: f64,
}

/// What Prometheus said.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Seen {
    /// The request rate, in requests per second; none if it is not known.
    pub rate: Option<f64>,
    /// Why it is not known, by the name of the kind.
    pub unknown: Option<String>,
    /// How old the newest sample is, in seconds.
    pub sample_age: Option<f64>,
    /// Requests per second to primary, to burst, and to nobody knows where.
    pub by_cluster: Option<[f64; 3]>,
    /// The share of primary's requests that fail, 0 to 1.
    pub primary_failing: Option<f64>,
    /// The share of burst's requests that fail, 0 to 1.
    pub burst_failing: Option<f64>,
    /// When it was asked, in seconds since 1970.
    pub at: f64,
}

/// Weights, by cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterWeights {
    /// Of primary.
    pub primary: u32,
    /// Of burst.
    pub burst: u32,
}

/// Where the traffic goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TrafficState {
    /// Not known yet.
    #[default]
    Unknown,
    /// All of it home to primary.
    Home,
    /// All of it to burst.
    Burst,
    /// To both.
    Split,
}

/// One decision.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DecisionRecord {
    /// When, in seconds since 1970.
    pub at: f64,
    /// The rate at the time; none if it was not known.
    pub rate: Option<f64>,
    /// The name of the reason.
    pub reason: String,
    /// The reason in words.
    pub text: String,
    /// The weights in force at the time.
    pub from: ClusterWeights,
    /// The weights that should be in force.
    pub to: ClusterWeights,
    /// What became of it: `written`, `failed: …`, `dry run`, `held`, or `nothing to write`.
    pub outcome: String,
}

impl TrafficState {
    /// All states.
    pub const ALL: [Self; 4] = [Self::Unknown, Self::Home, Self::Burst, Self::Split];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Home => "home",
            Self::Burst => "burst",
            Self::Split => "split",
        }
    }

    /// All of it to one cluster.
    #[must_use]
    pub const fn all_to(cluster: Cluster) -> Self {
        match cluster {
            Cluster::Primary => Self::Home,
            Cluster::Burst => Self::Burst,
        }
    }
}
