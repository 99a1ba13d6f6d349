//! A rule like that of the Kubernetes Horizontal Pod Autoscaler, for shares instead of replicas. Its numbers are
//! the autoscaler's defaults:
//! <https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/>.

use std::{collections::VecDeque, time::Duration};

use policy::Weights;

use super::Seen;

/// It looks so often.
const LOOK_EVERY: Duration = Duration::from_secs(15);

/// The utilization that it wants.
const TARGET: f64 = 0.8;

/// It does nothing while the utilization is this close to the target, as a part of it.
const TOLERANCE: f64 = 0.1;

/// It lowers the share of burst only to the largest that it wanted within this time.
const STABILIZATION: Duration = Duration::from_secs(300);

/// The rule, with what it wanted before.
pub(crate) struct Utilization {
    capacity: f64,
    looked_at: Duration,
    /// The last sample, and the one before the last look.
    last: Option<(Duration, f64)>,
    before: Option<(Duration, f64)>,
    wanted: VecDeque<(Duration, f64)>,
}

impl Utilization {
    pub(crate) const fn new(capacity: f64) -> Self {
        Self {
            capacity,
            looked_at: Duration::ZERO,
            last: None,
            before: None,
            wanted: VecDeque::new(),
        }
    }

    pub(crate) fn choose(&mut self, seen: &Seen<'_>) -> Option<Weights> {
        let now = seen.now;
        if seen.is_sampled {
            self.last = Some((now, seen.counters.total()));
        }
        if now < self.looked_at + LOOK_EVERY {
            return None;
        }
        self.looked_at = now;
        let (Some((to, last)), before) = (self.last, self.before) else { return None };
        self.before = self.last;
        let (from, first) = before.filter(|(from, _)| *from < to)?;
        let rate = (last - first) / (to - from).as_secs_f64();
        let share = (1.0 - TARGET * self.capacity / rate.max(f64::MIN_POSITIVE)).clamp(0.0, 1.0);
        self.wanted.push_back((now, share));
        while self.wanted.front().is_some_and(|(at, _)| *at + STABILIZATION < now) {
            self.wanted.pop_front();
        }
        let in_force = seen.in_force.burst_share();
        let utilization = rate * (1.0 - in_force) / self.capacity;
        if share > in_force {
            let is_near = utilization <= TARGET * (1.0 + TOLERANCE);
            return (!is_near).then(|| percent(share));
        }
        let most = self.wanted.iter().fold(share, |most, (_, share)| most.max(*share));
        let is_near = TARGET * (1.0 - TOLERANCE) <= utilization;
        (most < in_force && !is_near).then(|| percent(most))
    }
}

fn percent(share: f64) -> Weights {
    Weights::with_burst((share * 100.0).ceil() as u32)
}
