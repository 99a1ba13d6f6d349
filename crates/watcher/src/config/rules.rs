//! What the watcher makes of what it sees: the rule, and what guards it.

use std::{fmt, time::Duration};

use chassis::settings::{not_negative, whole_number};
use clap::{Args, ValueEnum};

use super::parse::{number, time};

/// Which rule decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PolicyKind {
    /// All to burst above one rate, all home below another: the codelab's.
    Threshold,
    /// Only what primary cannot carry goes to burst.
    Spill,
}

/// Where traffic goes once the rate has not been known for long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Fallback {
    /// It stays where it is.
    Hold,
    /// All home to primary.
    Home,
    /// All to burst.
    Burst,
}

/// The codelab's rule.
#[derive(Clone, Debug, Args)]
pub struct ThresholdSettings {
    /// Above this rate, in requests per second, all traffic goes to burst
    #[arg(long, env = "BURST_ABOVE", default_value_t = 15.0, value_parser = not_negative)]
    pub burst_above: f64,

    /// Below this rate, in requests per second, all traffic comes home to primary
    #[arg(long, env = "HOME_BELOW", default_value_t = 10.0, value_parser = not_negative)]
    pub home_below: f64,

    /// How long the rate must have been below `HOME_BELOW` before traffic comes home, up to 1h
    #[arg(long, env = "HOME_HOLD", default_value = "10s", value_parser = time("0s", "1h"))]
    pub home_hold: Duration,
}

/// `POLICY=spill`: primary stays just full.
#[derive(Clone, Debug, Args)]
pub struct SpillSettings {
    /// Spill: what primary carries, in requests per second, 0.001 to 1000000
    #[arg(long, env = "CAPACITY", default_value_t = 15.0, value_parser = number(0.001..=1_000_000.0))]
    pub capacity: f64,

    /// Spill: the part of `CAPACITY` that primary is filled to, 0.5 to 1
    #[arg(long, env = "SPILL_HEADROOM", default_value_t = 0.98, value_parser = number(0.5..=1.0))]
    pub spill_headroom: f64,

    /// Spill: the most that goes to burst, in percent, 1 to 100
    #[arg(long, env = "SPILL_MAX", default_value_t = 100, value_parser = whole_number(1..=100))]
    pub spill_max: u32,

    /// Spill: what always goes to burst and keeps it warm and proven, in percent, 0 to 50
    #[arg(long, env = "SPILL_PROBE", default_value_t = 1, value_parser = whole_number(0..=50))]
    pub spill_probe: u32,

    /// Spill: less goes to burst only if no more was needed for this long, 1s to 1h
    #[arg(long, env = "SPILL_WINDOW", default_value = "60s", value_parser = time("1s", "1h"))]
    pub spill_window: Duration,

    /// Spill: and only if it is less by this many percent of all traffic or more, 1 to 50
    #[arg(long, env = "SPILL_DEAD_BAND", default_value_t = 15, value_parser = whole_number(1..=50))]
    pub spill_dead_band: u32,

    /// Spill: how many percent of all traffic come home at once, 1 to 100
    #[arg(long, env = "SPILL_STEP", default_value_t = 20, value_parser = whole_number(1..=100))]
    pub spill_step: u32,

    /// Spill: time between two such steps, 1s to 1h
    #[arg(long, env = "SPILL_STEP_EVERY", default_value = "5s", value_parser = time("1s", "1h"))]
    pub spill_step_every: Duration,

    /// Spill: how often an hour traffic may come home in vain, 1 to 60: this time and each that follows makes `SPILL_WINDOW` eight times as long, up to 1h
    #[arg(long, env = "SPILL_FLAP_BUDGET", default_value_t = 1, value_parser = whole_number(1..=60))]
    pub spill_flap_budget: u32,
}

/// What keeps either rule from doing harm.
#[derive(Clone, Debug, Args)]
pub struct GuardSettings {
    /// Where traffic goes once the rate has not been known for `FALLBACK_AFTER`
    #[arg(long, env = "FALLBACK", default_value = "hold", value_enum)]
    pub fallback: Fallback,

    /// How long an unknown rate holds the weights before `FALLBACK`, 1s to 24h
    #[arg(long, env = "FALLBACK_AFTER", default_value = "5m", value_parser = time("1s", "24h"))]
    pub fallback_after: Duration,

    /// Whether all traffic goes to burst when primary fails, as measured by `BURST_ERRORS`: true or false
    #[arg(long, env = "FAILOVER", default_value_t = false, num_args = 0..=1, require_equals = true,
        default_missing_value = "true", action = clap::ArgAction::Set)]
    pub failover: bool,

    /// Share of a cluster's requests that may fail before traffic leaves it, 0.01 to 1
    #[arg(long, env = "BURST_ERRORS", default_value_t = 0.2, value_parser = number(0.01..=1.0))]
    pub burst_errors: f64,

    /// How long a cluster that has failed is left alone, 1s to 1h; doubled each time that it fails again, up to ten times
    #[arg(long, env = "BURST_REST", default_value = "60s", value_parser = time("1s", "1h"))]
    pub burst_rest: Duration,

    /// What a cluster that has failed is tried with, in percent, 1 to 100
    #[arg(long, env = "BURST_TRIAL", default_value_t = 10, value_parser = whole_number(1..=100))]
    pub burst_trial: u32,

    /// How often a minute the weights may be written, 1 to 60
    #[arg(long, env = "WRITES_PER_MINUTE", default_value_t = 20, value_parser = whole_number(1..=60))]
    pub writes_per_minute: u32,
}

impl ThresholdSettings {
    pub(super) fn check(&self) -> Result<(), String> {
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
    pub(super) fn check(&self) -> Result<(), String> {
        let Self { spill_probe, spill_max, .. } = self;
        if spill_probe <= spill_max {
            return Ok(());
        }
        Err(format!(
            "SPILL_PROBE: {spill_probe} is not accepted; accepted: up to SPILL_MAX, which is {spill_max}"
        ))
    }
}

impl GuardSettings {
    /// A burst at rest is judged by what it does when it is tried, so what it did before must be out of sight.
    pub(super) fn check(&self, window: Duration) -> Result<(), String> {
        if window <= self.burst_rest {
            return Ok(());
        }
        Err(format!(
            "BURST_REST: {:?} is not accepted; accepted: the window of CLUSTERS_QUERY and STALE_AFTER together or more, which is {window:?}",
            self.burst_rest
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
