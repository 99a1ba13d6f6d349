//! The budget: a limit on the requests that burst receives within an hour.

use std::{collections::VecDeque, time::Duration};

use contract::{Cluster, RequestsOfHour};

use crate::{Reason, Weights, proposal::Proposal};

const HOUR: Duration = Duration::from_secs(3600);

/// The requests are counted by the minute, so an hour is at most a minute longer.
const PART: Duration = Duration::from_secs(60);

const TEN_MINUTES: Duration = Duration::from_secs(600);

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

    /// Takes the requests of the hour before `at` from a watcher before this one. They count as if all came in the
    /// last of the ten minutes, so that none leaves the hour too early.
    pub(crate) fn restore(&mut self, at: Duration, requests: RequestsOfHour) {
        let newest = TEN_MINUTES * (ten_minutes(at) + 1) - Duration::from_secs(1);
        let starts = (0..).map(|back| newest.saturating_sub(TEN_MINUTES * back).min(at));
        self.parts = starts.zip(requests).filter(|(_, requests)| 0.0 < *requests).collect();
        self.parts.make_contiguous().reverse();
    }

    /// The requests of the last hour; `None` without a budget.
    pub(crate) fn requests(&self, now: Duration) -> Option<RequestsOfHour> {
        self.per_hour?;
        let mut requests = RequestsOfHour::default();
        for (start, sum) in &self.parts {
            let back = ten_minutes(now).saturating_sub(ten_minutes(*start)) as usize;
            requests[back.min(requests.len() - 1)] += sum;
        }
        Some(requests)
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

/// The number of ten minutes of the clock before this time.
fn ten_minutes(time: Duration) -> u32 {
    u32::try_from(time.as_secs() / TEN_MINUTES.as_secs()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn requests_leave_the_hour_once_however_often_they_are_restored() {
        let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
        let mut budget = Budget::new(Some(1000.0));
        // Thirty a minute from minute 3 to minute 33.
        for minute in 3..=33 {
            budget.observe(minutes(minute), Some(0.5), 1.0);
        }
        budget.observe(minutes(33), Some(0.0), 1.0);
        assert_eq!(budget.requests(minutes(33)).unwrap()[..4], [120.0, 300.0, 300.0, 180.0]);
        let mut left = BTreeMap::new();
        for minute in 34..=110 {
            let requests = budget.requests(minutes(minute)).unwrap();
            budget = Budget::new(Some(1000.0));
            budget.restore(minutes(minute), requests);
            budget.observe(minutes(minute + 1), Some(0.0), 1.0);
            left.insert(minute + 1, budget.sum());
        }
        // Those of minute 4 have left an hour later, and so on; nine minutes later at most.
        assert_eq!([left[&63], left[&70], left[&92], left[&102]], [900.0, 720.0, 120.0, 0.0]);
    }
}
