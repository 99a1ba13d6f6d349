//! The settings of the policies and their guards.

mod burst;
mod capacity;

use std::{fmt, time::Duration};

pub use burst::BurstSettings;
pub use capacity::CapacitySettings;

use crate::Weights;
use clap::{Args, ValueEnum};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use value_parsers::{
    defaults, duration_between, duration_text, not_negative, number,
    schema::{add_rule, durations, numbers},
    whole_number,
};

/// What decides, and what guards it.
#[derive(Clone, Debug, Args, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct Settings {
    /// The policy: threshold (all or nothing), or spill (only what primary cannot carry)
    #[arg(long, env = "POLICY", default_value = "threshold", value_enum)]
    pub policy: PolicyKind,

    /// What primary can carry.
    #[command(flatten)]
    pub capacity: CapacitySettings,

    /// The threshold policy.
    #[command(flatten)]
    pub threshold: ThresholdSettings,

    /// The spill policy.
    #[command(flatten)]
    pub spill: SpillSettings,

    /// When burst may receive traffic, how fast, and how much.
    #[command(flatten)]
    pub burst: BurstSettings,

    /// What guards both.
    #[command(flatten)]
    pub guards: GuardSettings,
}

/// Which policy decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize, JsonSchema)]
pub enum PolicyKind {
    /// All traffic to burst above one rate, all home below another: the workshop's rule.
    Threshold,
    /// Only what primary cannot carry goes to burst.
    Spill,
}

/// Where traffic goes after the rate has been unknown for long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize, JsonSchema)]
pub enum Fallback {
    /// It stays where it is.
    Hold,
    /// All traffic goes home to primary.
    Home,
    /// All traffic goes to burst.
    Burst,
}

/// The threshold policy.
#[derive(Clone, Debug, Args, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
#[schemars(transform = |schema: &mut _| add_rule(schema, "!has(self.homeBelow) || !has(self.burstAbove) || self.homeBelow <= self.burstAbove", "homeBelow: accepted: up to burstAbove"))]
pub struct ThresholdSettings {
    /// Above this rate, in requests per second, all traffic goes to burst
    #[arg(long, env = "BURST_ABOVE", default_value_t = 15.0, value_parser = not_negative)]
    #[schemars(range(min = 0))]
    pub burst_above: f64,

    /// Below this rate, in requests per second, all traffic comes home to primary
    #[arg(long, env = "HOME_BELOW", default_value_t = 10.0, value_parser = not_negative)]
    #[schemars(range(min = 0))]
    pub home_below: f64,

    /// The rate must stay below `HOME_BELOW` for this long before traffic comes home, 0s to 10m
    #[arg(long, env = "HOME_HOLD", default_value = "10s", value_parser = duration_between("0s", "10m"))]
    #[serde(with = "duration_text")]
    #[schemars(with = "String", transform = durations("0s", "10m"))]
    pub home_hold: Duration,
}

/// The spill policy, `POLICY=spill`.
#[derive(Clone, Debug, Args, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
#[schemars(transform = |schema: &mut _| add_rule(schema, "self.probe <= self.max", "probe: accepted: up to max"))]
pub struct SpillSettings {
    /// Spill: the part of `CAPACITY` that the policy uses, 0.5 to 1
    #[arg(long, env = "SPILL_HEADROOM", default_value_t = 0.87, value_parser = number(0.5..=1.0))]
    #[schemars(transform = numbers(0.5, 1.0))]
    #[serde(rename = "headroom")]
    pub spill_headroom: f64,

    /// Spill: the largest weight of burst, in percent, 1 to 100
    #[arg(long, env = "SPILL_MAX", default_value_t = 100, value_parser = whole_number(1..=100))]
    #[schemars(transform = numbers(1, 100))]
    #[serde(rename = "max")]
    pub spill_max: u32,

    /// Spill: the smallest weight of burst, which keeps it warm, in percent, 0 to 50
    #[arg(long, env = "SPILL_PROBE", default_value_t = 1, value_parser = whole_number(0..=50))]
    #[schemars(transform = numbers(0, 50))]
    #[serde(rename = "probe")]
    pub spill_probe: u32,

    /// Spill: the stabilization window. The weight of burst falls only to the largest weight that was needed
    /// within this time, 1s to 10m. Default: 18 times the distance of the samples, 30s to 5m
    #[arg(long, env = "SPILL_STABILIZATION_WINDOW", value_parser = duration_between("1s", "10m"))]
    #[serde(
        rename = "stabilizationWindow",
        with = "duration_text::option",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Option<String>", transform = durations("1s", "10m"))]
    pub spill_stabilization_window: Option<Duration>,

    /// Spill: the tolerance. The weight of burst falls only if it is too large by this many percent of all
    /// traffic or more, 1 to 50
    #[arg(long, env = "SPILL_TOLERANCE", default_value_t = 15, value_parser = whole_number(1..=50))]
    #[schemars(transform = numbers(1, 50))]
    #[serde(rename = "tolerance")]
    pub spill_tolerance: u32,

    /// Spill: the largest step in which the weight of burst falls, in percent of all traffic, 1 to 100
    #[arg(long, env = "SPILL_STEP", default_value_t = 40, value_parser = whole_number(1..=100))]
    #[schemars(transform = numbers(1, 100))]
    #[serde(rename = "step")]
    pub spill_step: u32,

    /// Spill: the time between two such steps, 1s to 1h
    #[arg(long, env = "SPILL_STEP_EVERY", default_value = "5s", value_parser = duration_between("1s", "1h"))]
    #[serde(rename = "stepEvery", with = "duration_text")]
    #[schemars(with = "String", transform = durations("1s", "1h"))]
    pub spill_step_every: Duration,

    /// Spill: how often an hour traffic may come home and return to burst at once, 1 to 60. Each time at or
    /// above this number makes `SPILL_STABILIZATION_WINDOW` twice as long, up to eight times and 10m
    #[arg(long, env = "SPILL_FLAP_BUDGET", default_value_t = 1, value_parser = whole_number(1..=60))]
    #[schemars(transform = numbers(1, 60))]
    #[serde(rename = "flapBudget")]
    pub spill_flap_budget: u32,
}

/// The guards of both policies.
#[derive(Clone, Debug, Args, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct GuardSettings {
    /// Where traffic goes after the rate has been unknown for `FALLBACK_AFTER`: hold (it stays), home, or burst
    #[arg(long, env = "FALLBACK", default_value = "hold", value_enum)]
    pub fallback: Fallback,

    /// How long an unknown rate holds the weights before `FALLBACK` applies, 1s to 24h
    #[arg(long, env = "FALLBACK_AFTER", default_value = "5m", value_parser = duration_between("1s", "24h"))]
    #[serde(with = "duration_text")]
    #[schemars(with = "String", transform = durations("1s", "24h"))]
    pub fallback_after: Duration,

    /// Send all traffic to burst when primary is unhealthy: true or false
    #[arg(long, env = "FAILOVER", default_value_t = false, num_args = 0..=1, require_equals = true,
        default_missing_value = "true", action = clap::ArgAction::Set)]
    pub failover: bool,

    /// A cluster is unhealthy when this share of its requests fails, 0.01 to 1
    #[arg(long, env = "UNHEALTHY_RATIO", default_value_t = 0.2, value_parser = number(0.01..=1.0))]
    #[schemars(transform = numbers(0.01, 1.0))]
    pub unhealthy_ratio: f64,

    /// How long an unhealthy cluster is ejected, 1s to 1h. The time doubles each time that the cluster fails
    /// again, up to ten times this time
    #[arg(long, env = "EJECTION_TIME", default_value = "60s", value_parser = duration_between("1s", "1h"))]
    #[serde(with = "duration_text")]
    #[schemars(with = "String", transform = durations("1s", "1h"))]
    pub ejection_time: Duration,

    /// The weight that a cluster receives when its trial after an ejection begins, in percent, 1 to 100
    #[arg(long, env = "TRIAL_PERCENT", default_value_t = 10, value_parser = whole_number(1..=100))]
    #[schemars(transform = numbers(1, 100))]
    pub trial_percent: u32,

    /// How often a minute the watcher may write the weights, 1 to 60
    #[arg(long, env = "WRITES_PER_MINUTE", default_value_t = 20, value_parser = whole_number(1..=60))]
    #[schemars(transform = numbers(1, 60))]
    pub writes_per_minute: u32,
}

impl Settings {
    /// The rate above which traffic leaves primary, in requests per second, if its capacity is `CAPACITY`.
    #[must_use]
    pub fn leaves_primary_above(&self) -> f64 {
        match self.policy {
            PolicyKind::Threshold => self.threshold.burst_above,
            PolicyKind::Spill => self.capacity.capacity,
        }
    }

    /// Checks the settings against one another.
    ///
    /// # Errors
    /// A line that names the variables, their values, and what is accepted.
    pub fn validate(&self) -> Result<(), String> {
        self.threshold.validate()?;
        self.burst.validate()?;
        self.spill.validate()
    }

    /// Whether these weights send burst more than it has when primary carries all: nothing, or the probe.
    #[must_use]
    pub fn is_bursting(&self, weights: Weights) -> bool {
        let at_rest = match self.policy {
            PolicyKind::Threshold => 0.0,
            PolicyKind::Spill => f64::from(self.spill.spill_probe) / 100.0,
        };
        at_rest + f64::EPSILON < weights.burst_share()
    }
}

impl ThresholdSettings {
    /// The same thresholds for a primary that can carry `scale` times as much.
    #[must_use]
    pub fn scaled(&self, scale: f64) -> Self {
        Self {
            burst_above: self.burst_above * scale,
            home_below: self.home_below * scale,
            home_hold: self.home_hold,
        }
    }

    fn validate(&self) -> Result<(), String> {
        let Self { burst_above, home_below, .. } = self;
        if home_below <= burst_above {
            return Ok(());
        }
        Err(format!(
            "HOME_BELOW: {home_below} is not accepted; accepted: up to BURST_ABOVE, which is {burst_above}"
        ))
    }
}

impl SpillSettings {
    fn validate(&self) -> Result<(), String> {
        let Self { spill_probe, spill_max, .. } = self;
        if spill_probe <= spill_max {
            return Ok(());
        }
        Err(format!(
            "SPILL_PROBE: {spill_probe} is not accepted; accepted: up to SPILL_MAX, which is {spill_max}"
        ))
    }
}

impl fmt::Display for PolicyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Threshold => "threshold",
            Self::Spill => "spill",
        })
    }
}

impl Default for Settings {
    fn default() -> Self {
        defaults::of()
    }
}

impl Default for ThresholdSettings {
    fn default() -> Self {
        defaults::of()
    }
}

impl Default for SpillSettings {
    fn default() -> Self {
        defaults::of()
    }
}

impl Default for GuardSettings {
    fn default() -> Self {
        defaults::of()
    }
}
