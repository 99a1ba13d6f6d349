//! Spill: primary stays just full, and only what it cannot carry goes to burst.
//!
//! At a rate D, a capacity K and a headroom h, the share `1 - h·K/D` goes to burst. More does so at once, when primary is
//! asked for more than K; less only if no more was needed for a while, in steps.
//!
//! A rate is an estimate: n requests in t seconds come with a chance deviation of √n/t. So a reading is believed at once
//! where chance does not explain it, and else the mean of the readings over two of their windows.

use std::{collections::VecDeque, time::Duration};

use super::Wish;
use crate::{config::SpillSettings, reason::Reason, weights::Weights};

/// How many readings are kept: those of two windows, no closer than a sixtieth of one.
const MAX_READINGS: usize = 128;

/// How many standard deviations of a reading chance is taken to explain. Readings of neighbouring windows overlap, and a window
/// is not all of it covered by samples, so that this is some three in truth.
const CHANCE: f64 = 4.0;

/// A reading is an average, and behind while the rate rises: this part of what it rose by in a third of its window is
/// added. By the closed loop (`scripts/bench watcher`), 0.3 to 0.4 lose little either way.
const LEAD: f64 = 1.0 / 3.0;

/// For how long a flap counts.
const FLAP_MEMORY: Duration = Duration::from_secs(3600);

/// How many flaps are kept: more lengthen nothing any further.
const MAX_FLAPS: usize = 64;

/// How many times as long the window is for each flap beyond the budget.
const FLAP_FACTOR: u32 = 8;

/// The longest that the window becomes.
const MAX_WINDOW: Duration = Duration::from_secs(3600);

#[derive(Debug)]
pub(super) struct Spill {
    settings: SpillSettings,
    /// Over how long a reading averages.
    window: Duration,
    /// Time between two steps to burst: so long that they alone never use up what may be written.
    raise_every: Duration,
    /// When more went to burst than at the look before.
    raised: Option<Duration>,
    readings: VecDeque<(Duration, f64)>,
    /// The highest need of a time, falling: at most one of each percentage.
    needs: VecDeque<Need>,
    /// The share that went to burst at the last look.
    share: Option<f64>,
    /// Whether less to burst was wished at the last look.
    wished_less: bool,
    /// When less went to burst than at the look before, because it was wished; until more does.
    lowered: Option<Duration>,
    /// When traffic had come home in vain.
    flaps: VecDeque<Duration>,
}

/// What should have gone to burst.
#[derive(Clone, Copy, Debug)]
struct Need {
    at: Duration,
    percent: u32,
    rate: f64,
}

impl Spill {
    pub(super) fn new(settings: SpillSettings, window: Duration, writes_per_minute: u32) -> Self {
        Self {
            settings,
            window,
            raise_every: Duration::from_secs(60) / writes_per_minute.max(1),
            raised: None,
            readings: VecDeque::new(),
            needs: VecDeque::new(),
            share: None,
            wished_less: false,
            lowered: None,
            flaps: VecDeque::new(),
        }
    }

    /// Takes a reading.
    pub(super) fn note(&mut self, now: Duration, rate: f64) {
        while self.readings.front().is_some_and(|(at, _)| *at + self.window * 2 <= now) {
            self.readings.pop_front();
        }
        let is_next = |(at, _): &(Duration, f64)| *at + self.window / 60 <= now;
        if self.readings.len() < MAX_READINGS && self.readings.back().is_none_or(is_next) {
            self.readings.push_back((now, rate));
        }
        self.need(Need { at: now, percent: self.percent(rate), rate });
    }

    /// Where traffic should go at the rate that was noted last, and has been known since.
    pub(super) fn wish(
        &mut self,
        now: Duration,
        rate: f64,
        known_since: Duration,
        in_force: Weights,
    ) -> Wish {
        let share = in_force.burst_share();
        self.look(now, share);
        let SpillSettings { capacity, spill_probe, .. } = self.settings;
        let may_raise = self.raised.is_none_or(|at| at + self.raise_every <= now);
        if let Some((rate, burst)) = self.overflow(rate, share).filter(|_| may_raise) {
            self.need(Need { at: now, percent: burst, rate });
            let reason = Reason::Overflow { rate, capacity, burst };
            return Wish { weights: Weights::with_burst(burst), reason };
        }
        if share < f64::from(spill_probe) / 100.0 {
            let reason = Reason::Probe { burst: spill_probe };
            return Wish { weights: Weights::with_burst(spill_probe), reason };
        }
        let stays = |reason| Wish { weights: in_force, reason };
        match self.spare(now, known_since, share) {
            Some(wish) => wish,
            None => {
                stays(self.waits(now, rate, known_since, share).unwrap_or(Reason::Settled { rate }))
            }
        }
    }

    /// Keeps a need until its window ends, or one that is as great comes.
    fn need(&mut self, need: Need) {
        while self.needs.back().is_some_and(|it| it.percent <= need.percent) {
            self.needs.pop_back();
        }
        self.needs.push_back(need);
    }

    /// Sees which way traffic has moved, whoever has moved it.
    fn look(&mut self, now: Duration, share: f64) {
        let before = self.share.replace(share).unwrap_or(share);
        let was_wished = std::mem::take(&mut self.wished_less);
        if share < before {
            // A guard or somebody else that sends traffic home says nothing about the load.
            self.lowered = was_wished.then_some(now);
        } else if before < share {
            self.raised = Some(now);
            let lately = |at: Duration| now <= at + self.settings.spill_window * 2;
            if self.lowered.take().is_some_and(lately) {
                self.flaps.push_back(now);
            }
        }
        let is_over = |at: &Duration| *at + FLAP_MEMORY <= now;
        while self.flaps.front().is_some_and(is_over) || MAX_FLAPS < self.flaps.len() {
            self.flaps.pop_front();
        }
        let window = self.down_window();
        while 1 < self.needs.len() && self.needs[0].at + window <= now {
            self.needs.pop_front();
        }
    }

    /// The rate and what should go to burst, if primary is asked for more than it carries.
    fn overflow(&self, rate: f64, share: f64) -> Option<(f64, u32)> {
        let mean = self.mean();
        let chance = CHANCE * (mean.max(1.0) / self.window.as_secs_f64()).sqrt();
        let rate = match rate {
            rate if mean + chance < rate => rate + LEAD * (rate - self.earlier()).max(0.0),
            rate if rate < mean - chance => rate,
            _ => mean,
        };
        let is_over = self.settings.capacity < rate * (1.0 - share);
        let burst = self.percent(rate);
        (is_over && share * 100.0 < f64::from(burst)).then_some((rate, burst))
    }

    /// Fewer to burst, if that is enough.
    fn spare(&mut self, now: Duration, known_since: Duration, share: f64) -> Option<Wish> {
        let SpillSettings { spill_probe, spill_dead_band, spill_step, spill_step_every, .. } =
            self.settings;
        let window = self.down_window();
        let is_known = known_since + window <= now;
        let has_waited = self.lowered.is_none_or(|at| at + spill_step_every <= now);
        let Need { percent, rate, .. } = *self.needs.front()?;
        let share = in_percent(share);
        let is_all = percent <= spill_probe && percent < share;
        if !is_known || !has_waited || !(is_all || percent + spill_dead_band <= share) {
            return None;
        }
        let burst = percent.max(share.saturating_sub(spill_step));
        self.wished_less = true;
        let reason = Reason::Spare { rate, burst, window };
        Some(Wish { weights: Weights::with_burst(burst), reason })
    }

    /// Why what is not needed stays in burst.
    fn waits(&self, now: Duration, rate: f64, known_since: Duration, share: f64) -> Option<Reason> {
        let burst = in_percent(share);
        let is_less = self.percent(rate) + self.settings.spill_dead_band <= burst;
        let since = self.needs.front()?.at.max(known_since);
        let step = self.lowered.map_or(now, |at| at + self.settings.spill_step_every);
        let left = (since + self.down_window()).max(step).saturating_sub(now);
        is_less.then_some(Reason::SpareNotForLong { rate, burst, left })
    }

    /// For how long no more must have been needed: longer where traffic keeps coming home in vain.
    fn down_window(&self) -> Duration {
        let flaps = u32::try_from(self.flaps.len()).unwrap_or(u32::MAX);
        let beyond = (flaps + 1).saturating_sub(self.settings.spill_flap_budget);
        let longer = FLAP_FACTOR.saturating_pow(if flaps == 0 { 0 } else { beyond });
        self.settings.spill_window.saturating_mul(longer).min(MAX_WINDOW)
    }

    /// What should go to burst at a rate, in percent.
    fn percent(&self, rate: f64) -> u32 {
        let SpillSettings { capacity, spill_headroom, spill_max, spill_probe, .. } = self.settings;
        let kept = spill_headroom * capacity / rate.max(f64::MIN_POSITIVE);
        in_percent(1.0 - kept).clamp(spill_probe, spill_max)
    }

    fn mean(&self) -> f64 {
        let sum: f64 = self.readings.iter().map(|(_, rate)| rate).sum();
        sum / self.readings.len().max(1) as f64
    }

    /// The reading of a third of a window before the last.
    fn earlier(&self) -> f64 {
        let Some((last, rate)) = self.readings.back() else { return 0.0 };
        let is_earlier = |(at, _): &&(Duration, f64)| *at + self.window / 3 <= *last;
        self.readings.iter().rev().find(is_earlier).map_or(*rate, |(_, rate)| *rate)
    }
}

/// A share in percent: of what is no whole one, the next above. Below 0 it is 0.
fn in_percent(share: f64) -> u32 {
    (100.0 * share - 1e-9).ceil().clamp(0.0, 100.0) as u32
}
