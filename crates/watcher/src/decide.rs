//! Decides where the traffic should go.
//!
//! Nothing here waits, reads a clock or touches the network: a [`Decider`] is told the time, the reading, the
//! weights in force and what somebody has ordered, and answers with a [`Decision`], which says why.
//!
//! A policy wishes ([`threshold`], [`spill`]); then come the guards, each of which may only hold or go home: an
//! unknown rate, a rate that is known again for too short a time, a burst that fails ([`trust`]), orders by
//! annotation, and last the [`brakes`]. One guard sends traffic out, if that is allowed: a primary that fails.

mod brakes;
mod reading;
mod spill;
mod threshold;
mod trust;

#[cfg(test)]
mod tests;

use std::time::Duration;

use contract::Cluster;

use crate::{
    config::{Fallback, PolicyKind, PolicySettings},
    reason::Reason,
    weights::Weights,
};

pub use reading::{Clusters, Flow, Reading};

/// What the object's annotations order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Orders {
    /// Nothing is to be written.
    pub pause: bool,
    /// All traffic is to go there.
    pub force: Option<Cluster>,
    /// Traffic is not to come home.
    pub hold_home: bool,
}

/// What one look at the object has shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InForce {
    /// The weights in force.
    pub weights: Weights,
    /// What its annotations order.
    pub orders: Orders,
    /// Who has changed the weights since the last look; `None` if nobody has, beside ourselves.
    pub changed_by: Option<String>,
}

/// Where the traffic should go, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// The weights that should be in force.
    pub weights: Weights,
    /// Whether they are to be written.
    pub is_write: bool,
    /// Why.
    pub reason: Reason,
}

/// What a policy or a guard would have.
#[derive(Clone, Debug, PartialEq)]
struct Wish {
    weights: Weights,
    reason: Reason,
}

/// Applies a policy and its guards, and remembers what they need of the past. The weights in force are no part
/// of that: it is told them each time.
#[derive(Debug)]
pub struct Decider {
    settings: PolicySettings,
    window: Duration,
    policy: Policy,
    /// In burst.
    trust: trust::Trust,
    /// In primary; `None` without `FAILOVER`.
    trust_in_primary: Option<trust::Trust>,
    brakes: brakes::Brakes,
    reading: Reading,
    /// Since when the rate has been known, but for gaps that hide nothing.
    known_since: Duration,
    /// The gap that there is now.
    gap: Option<Gap>,
    /// Until when nobody had asked for anything; `None` once the rate has been known.
    idle_until: Option<Duration>,
}

/// A time in which the rate is not known.
#[derive(Clone, Copy, Debug)]
struct Gap {
    since: Duration,
    /// Whether Prometheus may have lost what it had, so that what it says next is too low.
    is_loss: bool,
}

#[derive(Debug)]
enum Policy {
    Threshold(threshold::Threshold),
    Spill(Box<spill::Spill>),
}

impl Decider {
    /// Starts at `now`, a time that only ever grows, as if after an outage.
    #[must_use]
    pub fn new(settings: PolicySettings, now: Duration) -> Self {
        let window = settings.query.window();
        let policy = match settings.policy {
            PolicyKind::Threshold => {
                Policy::Threshold(threshold::Threshold::new(settings.threshold.clone()))
            }
            PolicyKind::Spill => Policy::Spill(Box::new(spill::Spill::new(
                settings.spill.clone(),
                window,
                settings.guards.writes_per_minute,
            ))),
        };
        let trust_in = |cluster| {
            trust::Trust::new(cluster, settings.guards.clone(), settings.query.clusters_window())
        };
        let trust = trust_in(Cluster::Burst);
        let trust_in_primary = settings.guards.failover.then(|| trust_in(Cluster::Primary));
        let brakes = brakes::Brakes::new(settings.guards.writes_per_minute);
        let reading = Reading { rate: Err("not_asked"), clusters: None };
        Self {
            settings,
            window,
            policy,
            trust,
            trust_in_primary,
            brakes,
            reading,
            known_since: now,
            gap: Some(Gap { since: now, is_loss: true }),
            idle_until: Some(now),
        }
    }

    /// Takes a reading, whether or not there is something to be decided.
    pub fn note(&mut self, now: Duration, reading: &Reading) {
        self.reading = *reading;
        match reading.rate {
            Ok(rate) => {
                self.idle_until = None;
                self.end_gap(now);
                match &mut self.policy {
                    Policy::Threshold(threshold) => threshold.note(now, rate),
                    Policy::Spill(spill) => spill.note(now, rate),
                }
            }
            Err(kind) => {
                let is_empty = kind == "empty";
                let gap = self.gap.get_or_insert(Gap { since: now, is_loss: false });
                gap.is_loss |= is_empty;
                if is_empty && self.idle_until.is_some() {
                    self.idle_until = Some(now);
                }
            }
        }
    }

    /// A short gap hides nothing, because a reading is an average over longer. After any other, what was known is no more.
    fn end_gap(&mut self, now: Duration) {
        let Some(Gap { since, is_loss }) = self.gap.take() else { return };
        if is_loss || self.settings.query.stale_after() < now.saturating_sub(since) {
            self.known_since = now;
            if let Policy::Threshold(threshold) = &mut self.policy {
                threshold.forget();
            }
        }
    }

    /// Decides by the reading that was noted last.
    pub fn decide(&mut self, now: Duration, seen: &InForce) -> Decision {
        let in_force = seen.weights;
        for trust in [&mut self.trust].into_iter().chain(&mut self.trust_in_primary) {
            trust.note(now, self.reading.clusters.as_ref(), in_force);
        }
        let wish = self.wish(now, in_force);
        let Wish { weights, reason } = obey(seen.orders, wish, in_force);
        if weights.divide_like(in_force) {
            return Decision { weights: in_force, is_write: false, reason };
        }
        if let Some(manager) = &seen.changed_by {
            self.brakes.drifted(now, manager);
        }
        match self.brakes.hold(now, &reason) {
            Some(reason) => Decision { weights, is_write: false, reason },
            None => Decision { weights, is_write: true, reason },
        }
    }

    /// The weights were written at `now`, or may have been.
    pub fn wrote(&mut self, now: Duration) {
        self.brakes.wrote(now);
    }

    fn wish(&mut self, now: Duration, in_force: Weights) -> Wish {
        let for_ = now.saturating_sub(self.known_since);
        let wish = match (self.reading.rate, &mut self.policy) {
            (Err(kind), _) => self.unknown(now, kind, in_force),
            (Ok(rate), Policy::Threshold(threshold)) => threshold.wish(now, rate, in_force),
            (Ok(rate), Policy::Spill(spill)) => spill.wish(now, rate, self.known_since, in_force),
        };
        let is_less = wish.weights.burst_share() < in_force.burst_share();
        // The first readings after an outage are too low: their window is not full yet.
        let wish = if self.reading.rate.is_ok() && is_less && for_ < self.window {
            let left = self.window.saturating_sub(for_);
            Wish { weights: in_force, reason: Reason::Recovering { left } }
        } else {
            wish
        };
        let Some(trust_in_primary) = &mut self.trust_in_primary else {
            return self.trust.limit(now, wish);
        };
        let wish = trust_in_primary.limit(now, wish);
        if trust_in_primary.is_at_rest(now) {
            // There is nothing to be lost by a trial of all.
            self.trust.end_trial(now);
        }
        // Where both fail, home is the better place.
        self.trust.limit(now, wish)
    }

    fn unknown(&self, now: Duration, kind: &'static str, in_force: Weights) -> Wish {
        let guards = &self.settings.guards;
        let since = self.gap.map_or(now, |gap| gap.since);
        // Before the very first request there is nothing to be known, for however long; unless traffic is away from home.
        let idle_until = self.idle_until.filter(|_| in_force.are_all_to(Cluster::Primary));
        let out_for = now.saturating_sub(idle_until.unwrap_or(since).max(since));
        let since = now.saturating_sub(since);
        let to = match guards.fallback {
            _ if out_for < guards.fallback_after => None,
            Fallback::Hold => None,
            Fallback::Home => Some(Cluster::Primary),
            Fallback::Burst => Some(Cluster::Burst),
        };
        match to {
            None => Wish { weights: in_force, reason: Reason::Unknown { kind, since } },
            Some(to) => {
                Wish { weights: Weights::all_to(to), reason: Reason::Fallback { kind, since, to } }
            }
        }
    }
}

/// What somebody has ordered comes before what was worked out.
fn obey(orders: Orders, wish: Wish, in_force: Weights) -> Wish {
    let is_less = wish.weights.burst_share() < in_force.burst_share();
    match orders {
        Orders { pause: true, .. } => Wish { weights: in_force, reason: Reason::Paused },
        Orders { force: Some(to), .. } => {
            Wish { weights: Weights::all_to(to), reason: Reason::Forced { to } }
        }
        Orders { hold_home: true, .. } if is_less => {
            Wish { weights: in_force, reason: Reason::HomeHeld }
        }
        _ => wish,
    }
}
