//! The rules: the watcher's policies, and what they are compared with.

mod codelab;
mod utilization;

use std::time::Duration;

use contract::Cluster;
use policy::{Decider, Decision, Observation, Overrides, Route, Settings, Weights};

use crate::signal::Counters;
use codelab::Codelab;
use utilization::Utilization;

/// A rule that divides the traffic.
#[derive(Clone, Debug)]
pub enum Rule {
    /// The watcher with these settings.
    Watcher(Box<Settings>),
    /// The rule of the 2018 workshop: above 15/s all traffic to burst, below 10/s all home; in proportion to
    /// another capacity than 15/s. An unknown rate is zero.
    Codelab,
    /// A rule like that of the Kubernetes Horizontal Pod Autoscaler: it keeps the utilization of primary at a
    /// target, and looks every 15 s.
    Utilization,
    /// All traffic to burst.
    AlwaysBurst,
    /// All traffic at primary.
    NeverBurst,
    /// It knows each second before it comes, and sends to burst only what primary cannot carry. No rule can be
    /// better.
    Oracle,
}

impl Rule {
    /// The weights at the start.
    pub(crate) const fn start(&self) -> Weights {
        match self {
            Self::AlwaysBurst => Weights::all_to(Cluster::Burst),
            _ => Weights::all_to(Cluster::Primary),
        }
    }
}

/// What a rule sees.
pub(crate) struct Seen<'a> {
    pub(crate) now: Duration,
    pub(crate) counters: &'a Counters,
    /// Whether the source took a sample now.
    pub(crate) is_sampled: bool,
    pub(crate) in_force: Weights,
}

/// New weights, and why.
pub(crate) struct Choice {
    pub(crate) weights: Weights,
    pub(crate) name: &'static str,
    pub(crate) text: String,
}

/// A rule at work.
pub(crate) enum Running {
    Watcher(Box<Decider>),
    Codelab(Codelab),
    Utilization(Utilization),
    Fixed,
    Oracle,
}

impl Running {
    pub(crate) fn start(rule: &Rule, capacity: f64, now: Duration) -> Self {
        match rule {
            Rule::Watcher(settings) => {
                Self::Watcher(Box::new(Decider::new((**settings).clone(), None, now)))
            }
            Rule::Codelab => Self::Codelab(Codelab::new(capacity)),
            Rule::Utilization => Self::Utilization(Utilization::new(capacity)),
            Rule::AlwaysBurst | Rule::NeverBurst => Self::Fixed,
            Rule::Oracle => Self::Oracle,
        }
    }

    /// The requests that go to burst, if the rule knows the second before it comes.
    pub(crate) fn knows(&self, requests: f64, capacity: f64) -> Option<f64> {
        matches!(self, Self::Oracle).then(|| (requests - capacity).max(0.0).ceil().min(requests))
    }

    /// Chooses weights other than those in force; `None` to keep them.
    pub(crate) fn choose(&mut self, seen: &Seen<'_>) -> Option<Choice> {
        let weights = match self {
            Self::Watcher(decider) => return decide(decider, seen),
            Self::Codelab(rule) => rule.choose(seen),
            Self::Utilization(rule) => rule.choose(seen),
            Self::Fixed | Self::Oracle => None,
        };
        let weights = weights.filter(|weights| !weights.has_same_split(seen.in_force))?;
        Some(Choice { weights, name: "", text: String::new() })
    }
}

fn decide(decider: &mut Decider, seen: &Seen<'_>) -> Option<Choice> {
    let now = seen.now;
    // A source that has sampled nothing new repeats what is known, which says nothing.
    let samples = if seen.is_sampled { seen.counters.sample(now) } else { Vec::new() };
    let observation = if seen.counters.total() == 0.0 {
        Observation::NoCounters { zero_until: None }
    } else {
        Observation::Counters(samples)
    };
    decider.observe(now, &observation);
    let route = Route { weights: seen.in_force, overrides: Overrides::default(), changed_by: None };
    let Decision { weights, is_write, reason } = decider.decide(now, &route);
    if !is_write {
        return None;
    }
    decider.record_write(now);
    Some(Choice { weights, name: reason.name(), text: reason.to_string() })
}
