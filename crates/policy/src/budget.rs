//! The budget: a limit on the requests that burst receives within an hour.

use std::{collections::VecDeque, time::Duration};

use contract::Cluster;

use crate::{Reason, Weights, proposal::Proposal};

const HOUR: Duration = Duration::from_secs(3600);

/// The requests are counted by the minute, so an hour is at most a minute longer.
const PART: Duration = Duration::from_secs(60);

/// A spent budget is used again when this part of it is free, so that traffic does not come and go by the
/// minute.
const FREE_AGAIN: f64 = 0.1;

/// The requests that burst received within the last hour, by the rate and the weights.
#[derive(Debug)]
pub(crate) struct Budget {
    /// `BURST_REQUESTS_PER_HOUR`; `None` is no limit.
    per_hour: Option<f64>,
    /// The start of each minute, and its requests; at most 61.
    parts: VecDeque<(Duration, f64)>,
    /// The last observation: its time, and the requests per second to burst then.
    last: Option<(Duration, f64)>,
    /// The last known rate, in requests per second.
    rate: f64,
    is_spent: bool,
}

impl Budget {
    pub(crate) const fn new(per_hour: Option<f64>) -> Self {
        Self { per_hour, parts: VecDeque::new(), last: None, rate: 0.0, is_spent: false }
    }

    /// Takes the requests of the hour before `at` from a watcher before this one, spread evenly.
    pub(crate) fn restore(&mut self, at: Duration, requests: f64) {
        let count = u32::try_from(HOUR.as_secs() / PART.as_secs()).unwrap_or(1);
        let start = |back: u32| at.saturating_sub(PART * back);
        self.parts =
            (1..=count).rev().map(|back| (start(back), requests / f64::from(count))).collect();
    }

    /// Observes the rate, and the share of it that burst receives. An unknown rate is the last known one.
    pub(crate) fn observe(&mut self, now: Duration, rate: Option<f64>, burst_share: f64) {
        let Some(per_hour) = self.per_hour else { return };
        self.rate = rate.unwrap_or(self.rate);
        let to_burst = self.rate * burst_share;
        if let Some((at, before)) = self.last.replace((now, to_burst)) {
            let requests = before * now.saturating_sub(at).as_secs_f64();
            match self.parts.back_mut() {
                Some((start, sum)) if now < *start + PART => *sum += requests,
                _ => self.parts.push_back((now, requests)),
            }
        }
        while self.parts.front().is_some_and(|(start, _)| *start + HOUR <= now) {
            self.parts.pop_front();
        }
        let most = if self.is_spent { per_hour * (1.0 - FREE_AGAIN) } else { per_hour };
        self.is_spent = most <= self.sum();
    }

    /// The requests of the last hour; `None` without a budget.
    pub(crate) fn requests(&self) -> Option<f64> {
        self.per_hour.map(|_| self.sum())
    }

    /// Sends all traffic home while the budget is spent.
    pub(crate) fn limit(&self, proposal: Proposal) -> Proposal {
        let Some(per_hour) = self.per_hour.filter(|_| self.is_spent) else { return proposal };
        if proposal.weights.burst_share() == 0.0 {
            return proposal;
        }
        let reason = Reason::OverBudget { requests: self.sum(), per_hour };
        Proposal { weights: Weights::all_to(Cluster::Primary), reason }
    }

    fn sum(&self) -> f64 {
        self.parts.iter().map(|(_, requests)| requests).sum()
    }
}
