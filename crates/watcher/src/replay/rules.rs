//! The rules of a replay, by name.

use policy::{PolicyKind, Settings};
use replay::Rule;

/// A rule with its name in the output.
pub(super) struct NamedRule {
    pub(super) name: &'static str,
    pub(super) rule: Rule,
}

/// The codelab's lower threshold, as a part of the upper one: 10/s of 15/s.
const HOME_BELOW: f64 = 2.0 / 3.0;

impl NamedRule {
    /// The policy as set.
    pub(super) fn as_set(settings: &Settings) -> Self {
        Self { name: "policy as set", rule: Rule::Watcher(Box::new(settings.clone())) }
    }

    /// The policy as set, and what it is compared with, for the same capacity.
    pub(super) fn all(settings: &Settings) -> Vec<Self> {
        let of_kind = |policy| {
            let mut other = Settings { policy, ..Settings::default() };
            let capacity = settings.capacity.capacity;
            other.capacity.capacity = capacity;
            other.threshold.burst_above = capacity;
            other.threshold.home_below = capacity * HOME_BELOW;
            Rule::Watcher(Box::new(other))
        };
        let named = |name, rule| Self { name, rule };
        vec![
            Self::as_set(settings),
            named("threshold", of_kind(PolicyKind::Threshold)),
            named("spill", of_kind(PolicyKind::Spill)),
            named("codelab of 2018", Rule::Codelab),
            named("as an HPA", Rule::Utilization),
            named("always burst", Rule::AlwaysBurst),
            named("never burst", Rule::NeverBurst),
            named("oracle", Rule::Oracle),
        ]
    }
}
