//! The spill policy: primary stays just full, and only what it cannot carry goes to burst.
//!
//! At a rate D, a capacity K and a headroom h, the share `1 - h * K / D` goes to burst. If the weights
//! divide only a part of the requests, the weight of burst is larger by as much. It rises at once when
//! primary receives too much, and further while requests wait there. It falls in steps, and only to the
//! largest weight that was needed within the stabilization window.

mod flaps;
mod needs;

use std::time::Duration;

use crate::{
    Estimate, Reason, Settings, SpillSettings, Weights, backlog::Backlog,
    evidence::prove_mean_below, proposal::Proposal, timeline::Timeline,
};
use flaps::Flaps;
use needs::{Need, Needs};

/// The weight of burst rises when primary receives more than this part of the way from
/// `SPILL_HEADROOM * CAPACITY` to `CAPACITY`. In the simulator (`scripts/bench watcher`), less makes
/// many more writes, and more makes queues longer.
const RAISE_AT: f64 = 0.7;

/// A queue raises the weight of burst by at least so many percent of all traffic.
const LEAST_RELIEF: u32 = 8;

/// Once the queue is gone, what it added may stay too large by less than so many percent.
const RELIEF_TOLERANCE: u32 = 2;

/// The stabilization window without a setting: so many times the distance of the samples. In the simulator
/// (`scripts/bench watcher`) a shorter one makes more reversals, and a longer one sends more to burst.
const STABILIZATION_SAMPLES: u32 = 18;

/// The limits of the stabilization window without a setting.
const STABILIZATION_LIMITS: [Duration; 2] = [Duration::from_secs(30), Duration::from_secs(300)];

/// The policy, and what it needs of the past.
#[derive(Debug)]
pub(crate) struct Spill {
    settings: SpillSettings,
    /// What primary can carry, in requests per second.
    pub(crate) capacity: f64,
    /// The time between two rises, so long that rises alone never use up the limit on writes.
    raise_every: Duration,
    /// The stabilization window before any flap.
    window: Duration,
    /// When the weight of burst last rose.
    raised_at: Option<Duration>,
    needs: Needs,
    /// The queue at primary.
    backlog: Backlog,
    /// Whether the weight of burst is larger than it must be, because a queue raised it.
    has_relief: bool,
    /// The share that went to burst at the last observation.
    burst_share: Option<f64>,
    /// Whether the last proposal lowered the weight of burst.
    has_proposed_less: bool,
    /// When this policy last lowered the weight of burst; `None` after a rise.
    lowered_at: Option<Duration>,
    flaps: Flaps,
    /// The share of the requests that the weights divide, 0.5 to 1.
    pub(crate) movable_share: f64,
}

impl Spill {
    pub(crate) fn new(settings: &Settings) -> Self {
        let window = settings.spill.spill_stabilization_window;
        Self {
            window: window.unwrap_or(STABILIZATION_LIMITS[1]),
            settings: settings.spill.clone(),
            capacity: settings.capacity.capacity,
            raise_every: Duration::from_secs(60) / settings.guards.writes_per_minute.max(1),
            raised_at: None,
            needs: Needs::default(),
            backlog: Backlog::default(),
            has_relief: false,
            burst_share: None,
            has_proposed_less: false,
            lowered_at: None,
            flaps: Flaps::default(),
            movable_share: 1.0,
        }
    }

    /// Forgets what it proposed, because another watcher has decided since. What it has observed stays.
    pub(crate) fn forget_decisions(&mut self) {
        (self.raised_at, self.lowered_at) = (None, None);
        (self.has_relief, self.has_proposed_less) = (false, false);
        self.burst_share = None;
    }

    /// Observes the rate.
    pub(crate) fn observe(&mut self, now: Duration, estimate: Estimate) {
        self.needs.record(Need { at: now, percent: self.percent_needed(estimate.rate), estimate });
    }

    /// Proposes weights for the present rate. The requests are known without a gap since
    /// `known_since`.
    pub(crate) fn propose(
        &mut self,
        now: Duration,
        estimate: Estimate,
        timeline: &Timeline,
        in_force: Weights,
    ) -> Proposal {
        let known_since = timeline.known_since().unwrap_or(now);
        let [shortest, longest] = STABILIZATION_LIMITS;
        let by_samples = timeline.scrape_interval() * STABILIZATION_SAMPLES;
        let window = self.settings.spill_stabilization_window;
        self.window = window.unwrap_or(by_samples.clamp(shortest, longest));
        let share = in_force.burst_share();
        self.observe_share(now, share);
        self.backlog.observe(timeline, self.capacity, 1.0 - share);
        let SpillSettings { spill_probe, spill_max, .. } = self.settings;
        if f64::from(spill_max) / 100.0 < share {
            // Somebody else, or FALLBACK, has sent more to burst than it may have.
            let reason = Reason::SpillMax { burst: spill_max };
            return Proposal { weights: Weights::with_burst(spill_max), reason };
        }
        if let Some(proposal) = self.raise(now, estimate, share, in_force) {
            return proposal;
        }
        let (capacity, burst) = (self.capacity, self.percent_needed(estimate.rate));
        if share < f64::from(spill_probe) / 100.0 {
            let reason = Reason::Probe { burst: spill_probe };
            return Proposal { weights: Weights::with_burst(spill_probe), reason };
        }
        if capacity < self.at_primary(estimate.rate, share) && spill_max <= burst {
            return Proposal::keep(in_force, Reason::Saturated { estimate, capacity, burst });
        }
        if let Some(proposal) = self.lower(now, timeline, known_since, share) {
            return proposal;
        }
        let waiting = self.reason_to_wait(now, estimate, known_since, share);
        Proposal::keep(in_force, waiting.unwrap_or(Reason::NoChange { estimate }))
    }

    /// Proposes a larger weight of burst, if primary receives too much or requests wait there.
    fn raise(
        &mut self,
        now: Duration,
        estimate: Estimate,
        share: f64,
        in_force: Weights,
    ) -> Option<Proposal> {
        let capacity = self.capacity;
        let by_rate = self.percent_needed(estimate.rate);
        // Nobody has seen burst carry more than its probe yet, so the first rise is no larger than it must be.
        let is_first = share * 100.0 <= f64::from(self.settings.spill_probe);
        let relief = if is_first { 0.0 } else { self.backlog.relief(capacity) };
        let burst = self.percent_that_keeps(self.kept() - relief, estimate.rate);
        let is_too_much = self.is_too_much_for_primary(estimate.rate, share)
            && share * 100.0 < f64::from(by_rate);
        let waiting = self.backlog.waiting(capacity);
        let waiting =
            waiting.filter(|_| share * 100.0 + f64::from(LEAST_RELIEF) < f64::from(burst));
        if !is_too_much && waiting.is_none() {
            return None;
        }
        self.needs.record(Need { at: now, percent: by_rate, estimate });
        if let Some(left) = self.until_next_rise(now) {
            let reason = Reason::OverflowWaiting { estimate, burst, left };
            return Some(Proposal::keep(in_force, reason));
        }
        self.has_relief = by_rate < burst;
        let reason = match waiting {
            Some(waiting) => Reason::Backlog { estimate, waiting, burst },
            None => Reason::Overflow { estimate, capacity, burst },
        };
        Some(Proposal { weights: Weights::with_burst(burst), reason })
    }

    fn is_too_much_for_primary(&self, rate: f64, burst_share: f64) -> bool {
        let spill_headroom = self.settings.spill_headroom;
        let limit = self.capacity * (spill_headroom + RAISE_AT * (1.0 - spill_headroom));
        limit < self.at_primary(rate, burst_share)
    }

    /// The part of a rate that primary receives.
    fn at_primary(&self, rate: f64, burst_share: f64) -> f64 {
        rate * (1.0 - burst_share * self.movable_share)
    }

    /// Observes which way traffic has moved, whoever moved it.
    fn observe_share(&mut self, now: Duration, share: f64) {
        let before = self.burst_share.replace(share).unwrap_or(share);
        let is_own = std::mem::take(&mut self.has_proposed_less);
        if share < before {
            // If a guard or another writer sent traffic home, that says nothing about the load.
            self.lowered_at = is_own.then_some(now);
        } else if before < share {
            self.raised_at = Some(now);
            let is_recent = |at: Duration| now <= at + self.window * 2;
            if self.lowered_at.take().is_some_and(is_recent) {
                self.flaps.record(now);
            }
        }
        self.flaps.forget(now);
        self.needs.forget(now, self.stabilization_window());
    }

    /// How long the next rise must wait; `None` if it may come now.
    fn until_next_rise(&self, now: Duration) -> Option<Duration> {
        let next = self.raised_at? + self.raise_every;
        (now < next).then(|| next.saturating_sub(now))
    }

    /// Proposes a smaller weight of burst, if that is enough.
    fn lower(
        &mut self,
        now: Duration,
        timeline: &Timeline,
        known_since: Duration,
        share: f64,
    ) -> Option<Proposal> {
        let SpillSettings { spill_probe, spill_step, spill_step_every, .. } = self.settings;
        let tolerance = self.tolerance();
        if self.backlog.waiting(self.capacity).is_some() {
            return None;
        }
        let window = self.stabilization_window();
        let is_known = known_since + window <= now;
        let has_waited = self.lowered_at.is_none_or(|at| at + spill_step_every <= now);
        let Need { percent, estimate, .. } = self.needs.largest()?;
        let share = in_percent(share);
        let is_all = percent <= spill_probe && percent < share;
        if !is_known || !has_waited || !(is_all || percent + tolerance <= share) {
            return None;
        }
        let less = f64::from(share.saturating_sub(tolerance)) / 100.0;
        let limit = self.kept() / self.at_primary(1.0, less);
        if !prove_mean_below(timeline, limit, window) {
            return None;
        }
        let burst = percent.max(share.saturating_sub(spill_step));
        self.has_proposed_less = true;
        self.has_relief &= percent < burst;
        let reason = Reason::Spare { estimate, burst, window };
        Some(Proposal { weights: Weights::with_burst(burst), reason })
    }

    /// How much too large the weight of burst may stay, in percent. What a queue needed is not needed once the
    /// queue is gone.
    fn tolerance(&self) -> u32 {
        if self.has_relief { RELIEF_TOLERANCE } else { self.settings.spill_tolerance }
    }

    /// Returns why the weight of burst stays too large for now; `None` if it is right.
    fn reason_to_wait(
        &self,
        now: Duration,
        estimate: Estimate,
        known_since: Duration,
        share: f64,
    ) -> Option<Reason> {
        let burst = in_percent(share);
        let needed = self.percent_needed(estimate.rate);
        let is_less = needed + self.tolerance() <= burst;
        if let Some(waiting) = self.backlog.waiting(self.capacity).filter(|_| is_less) {
            return Some(Reason::BacklogDraining { estimate, waiting, burst });
        }
        let since = self.needs.largest()?.at.max(known_since);
        let step = self.lowered_at.map_or(now, |at| at + self.settings.spill_step_every);
        let left = (since + self.stabilization_window()).max(step).saturating_sub(now);
        is_less.then_some(Reason::SpareStabilizing { estimate, burst, left })
    }

    /// The stabilization window, which is longer after flaps.
    fn stabilization_window(&self) -> Duration {
        self.flaps.lengthened(self.window, self.settings.spill_flap_budget)
    }

    /// What primary should receive, in requests per second.
    fn kept(&self) -> f64 {
        self.settings.spill_headroom * self.capacity
    }

    /// The weight of burst that a rate needs, in percent.
    fn percent_needed(&self, rate: f64) -> u32 {
        self.percent_that_keeps(self.kept(), rate)
    }

    /// The weight of burst with which primary receives so much of a rate, in percent.
    fn percent_that_keeps(&self, kept: f64, rate: f64) -> u32 {
        let SpillSettings { spill_max, spill_probe, .. } = self.settings;
        let kept = kept.max(0.0) / rate.max(f64::MIN_POSITIVE);
        in_percent((1.0 - kept) / self.movable_share).clamp(spill_probe, spill_max)
    }
}

/// A share in whole percent, rounded up; at least 0.
fn in_percent(share: f64) -> u32 {
    (100.0 * share - 1e-9).ceil().clamp(0.0, 100.0) as u32
}
