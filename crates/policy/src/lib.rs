//! Decides where traffic goes.
//!
//! Nothing here waits, reads a clock, reads a file or touches the network; the dependencies in
//! `Cargo.toml` hold it to that. The caller tells a [`Decider`] the time, an [`Observation`] of the
//! traffic and the observed [`Route`], and receives a [`Decision`] with its [`Reason`].
//!
//! Read `decider.rs` first: [`Decider::decide`] is a sequence of named steps, and each step has a
//! module of its own.

mod backlog;
mod budget;
mod burst_readiness;
mod capacity;
mod circuit_breaker;
mod conflict_backoff;
mod counters;
mod decider;
mod estimate;
mod evidence;
mod obedience;
mod observation;
mod proposal;
mod ramp;
mod reason;
mod requests;
mod route;
mod settings;
mod shares;
mod spill;
mod threshold;
mod timeline;
mod weights;
mod write_limit;

pub use circuit_breaker::Ejection;
pub use decider::{Decider, Decision};
pub use estimate::Estimate;
pub use observation::{
    CallerStates, ClusterTraffic, CounterSeries, Observation, RequestClass, Requests,
};
pub use reason::{HumanDuration, Reason};
pub use requests::{CountedInterval, RequestHistory};
pub use route::{Overrides, Route};
pub use settings::{
    BurstSettings, CapacitySettings, Fallback, GuardSettings, PolicyKind, Settings, SpillSettings,
    ThresholdSettings,
};
pub use weights::Weights;
