//! Turns the samples of counters into the requests of intervals.
//!
//! Every sample is counted once, however often and in whatever order the source repeats it. A
//! caller whose samples are missing makes an interval incomplete; it never counts as zero.

mod caller;
mod series;

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use crate::{
    CallerStates, ClusterTraffic, CounterSeries,
    timeline::{Interval, Timeline},
};
use caller::Caller;
use series::Series;

/// The number of series that are followed. Further series are ignored, and intervals incomplete.
const MAX_SERIES: usize = 100_000;

/// A caller without a sample for so many scrapes is missing.
const MISSING_AFTER_SCRAPES: u32 = 3;

/// A missing caller is given up after this time, even if nothing replaces it.
const GIVEN_UP_AFTER: Duration = Duration::from_secs(5 * 60);

/// How far sample times may run ahead of the watcher's clock from one answer to the next, beside two
/// scrapes. Beyond that, the source's clock has jumped.
const MAX_CLOCK_STEP: Duration = Duration::from_secs(3);

/// All counters of the source.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    callers: HashMap<u64, Caller>,
    /// The number of series of all callers.
    series: usize,
    /// When a sample last arrived, and its time by the source's clock.
    newest: Option<Arrival>,
    /// When samples came again after the source had none: no caller is silent for longer than since then.
    resumed_at: Duration,
    /// The newest time in the last answer, whether new or not.
    answered: Duration,
    /// Samples before this time are from before a jump of the source's clock.
    ignored_before: Duration,
    /// Whether the source names each end of a caller.
    knows_ends: bool,
    /// Whether there may be callers that have never been scraped.
    has_unseen_callers: bool,
    /// Whether a caller has ended since the last interval: what it sent last is unknown.
    has_caller_ended: bool,
}

#[derive(Clone, Copy, Debug)]
struct Arrival {
    arrived: Duration,
    sampled: Duration,
}

impl Counters {
    /// Takes an answer of the source at `now`, and adds what it shows to the timeline.
    pub(crate) fn observe(
        &mut self,
        now: Duration,
        answer: &[CounterSeries],
        timeline: &mut Timeline,
    ) {
        let Some(newest) = newest_sample(answer) else { return };
        if self.has_clock_jumped(now, newest, timeline) {
            self.restart(newest, timeline);
        }
        self.answered = newest;
        let mut scrapes = BTreeMap::<(u64, Duration), Vec<(&CounterSeries, f64)>>::new();
        for series in answer {
            let seen = self.callers.get(&series.caller).map(|caller| caller.last_scrape);
            for (at, count) in &series.samples {
                let is_new = seen.is_none_or(|seen| seen < *at) && self.ignored_before <= *at;
                if is_new && count.is_finite() && 0.0 <= *count {
                    scrapes.entry((series.caller, *at)).or_default().push((series, *count));
                }
            }
        }
        if scrapes.is_empty() {
            return;
        }
        for ((caller, at), samples) in scrapes {
            self.scrape(caller, at, &samples);
        }
        if self.newest.is_none_or(|last| last.sampled < newest) {
            if self.has_resumed(newest, timeline) {
                self.resumed_at = newest;
            }
            self.newest = Some(Arrival { arrived: now, sampled: newest });
        }
        self.forget_replaced_callers(now, timeline);
        self.advance(timeline);
    }

    /// Adds a time without requests up to the scrape `until`: it shows that all callers are new.
    pub(crate) fn observe_new_callers(
        &mut self,
        now: Duration,
        until: Duration,
        timeline: &mut Timeline,
    ) {
        if self.newest.is_some_and(|newest| until <= newest.sampled) {
            return;
        }
        let is_first = !self.callers.is_empty();
        self.callers.clear();
        self.series = 0;
        let from = timeline.end().unwrap_or(until);
        // What the old callers sent after their last sample is unknown.
        let (requests, is_complete) = (ClusterTraffic::default(), !is_first);
        timeline.push(Interval { from, to: until, requests, is_complete });
        self.newest = Some(Arrival { arrived: now, sampled: until });
    }

    /// Takes what the source knows of the callers beside their counters.
    pub(crate) fn observe_callers(&mut self, states: &CallerStates) {
        (self.knows_ends, self.has_unseen_callers) = (states.knows_ends, states.has_unseen);
        for ended in &states.ended {
            self.has_caller_ended |= self.callers.remove(ended).is_some();
        }
        self.series = self.callers.values().map(|caller| caller.series.len()).sum();
    }

    /// How long ago the last new sample arrived.
    pub(crate) fn since_new_sample(&self, now: Duration) -> Option<Duration> {
        self.newest.map(|newest| now.saturating_sub(newest.arrived))
    }

    /// How old the newest sample was when it arrived. A constant lag is no fault.
    pub(crate) fn lag(&self) -> Option<Duration> {
        self.newest.map(|newest| newest.arrived.saturating_sub(newest.sampled))
    }

    fn has_clock_jumped(&self, now: Duration, newest: Duration, timeline: &Timeline) -> bool {
        let Some(last) = self.newest else { return false };
        let scrape = timeline.scrape_interval();
        let elapsed = now.saturating_sub(last.arrived);
        let is_ahead = last.sampled + elapsed + scrape * 2 + MAX_CLOCK_STEP < newest;
        let is_behind = newest < last.sampled && self.answered < newest && scrape * 2 < elapsed;
        is_ahead || is_behind
    }

    /// Whether the newest samples end a time without any, and one is of a caller from before: not the callers
    /// were away, but the source.
    fn has_resumed(&self, newest: Duration, timeline: &Timeline) -> bool {
        let Some(Arrival { sampled: last, .. }) = self.newest else { return false };
        let is_from_before =
            |caller: &Caller| caller.first_scrape <= last && last < caller.last_scrape;
        last + timeline.scrape_interval() * MISSING_AFTER_SCRAPES < newest
            && self.callers.values().any(is_from_before)
    }

    /// Forgets all counts, and begins again with the newest samples.
    fn restart(&mut self, newest: Duration, timeline: &mut Timeline) {
        *self = Self { ignored_before: newest, ..Self::default() };
        timeline.clear();
    }

    fn scrape(&mut self, caller: u64, at: Duration, samples: &[(&CounterSeries, f64)]) {
        let is_new_caller = !self.callers.contains_key(&caller);
        let caller = self.callers.entry(caller).or_insert_with(|| Caller::new(at));
        let mut interval = Interval {
            from: caller.last_scrape,
            to: at,
            requests: ClusterTraffic::default(),
            is_complete: true,
        };
        let has_lost_series = caller.has_lost_series(samples);
        for (series, count) in samples {
            if let Some(known) = caller.series.get_mut(&series.series) {
                let (increase, is_complete) = known.increase(at, *count);
                interval.requests.add(known.class, increase);
                interval.is_complete &= is_complete;
                continue;
            }
            if MAX_SERIES <= self.series {
                interval.is_complete = false;
                continue;
            }
            self.series += 1;
            let (class, count) = (series.class, *count);
            caller.series.insert(series.series, Series::new(class, at, count));
            // A series that a known caller did not have before began at zero. What a new caller has
            // counted is history, and so it is where series have other labels than before.
            if has_lost_series {
                interval.is_complete = false;
            } else if !is_new_caller {
                interval.requests.add(class, count);
            }
        }
        caller.last_scrape = at;
        if !is_new_caller {
            caller.pending.push(interval);
        }
    }

    /// A caller that ended is forgotten once another one has begun since, or after a while.
    fn forget_replaced_callers(&mut self, now: Duration, timeline: &Timeline) {
        let limit = timeline.scrape_interval() * MISSING_AFTER_SCRAPES;
        let newest = self.newest.map_or(now, |newest| newest.sampled);
        let mut begins: Vec<_> = self.callers.values().map(|caller| caller.first_scrape).collect();
        begins.sort();
        let silent_for =
            |caller: &Caller| newest.saturating_sub(caller.last_scrape.max(self.resumed_at));
        let has_ended = |caller: &Caller| {
            let is_replaced = begins.last().is_some_and(|begin| caller.last_scrape < *begin);
            limit < silent_for(caller) && is_replaced && !self.knows_ends
        };
        let is_given_up = |caller: &Caller| GIVEN_UP_AFTER < silent_for(caller);
        let is_any_given_up =
            self.callers.values().any(|caller| is_given_up(caller) && !has_ended(caller));
        self.callers.retain(|_, caller| !has_ended(caller) && !is_given_up(caller));
        self.has_caller_ended |= is_any_given_up;
        self.series = self.callers.values().map(|caller| caller.series.len()).sum();
    }

    /// Moves what all callers have sent into the timeline, up to the time that all of them cover.
    fn advance(&mut self, timeline: &mut Timeline) {
        let scrape = timeline.scrape_interval();
        let newest = self.callers.values().map(|caller| caller.last_scrape).max();
        let Some(newest) = newest else { return };
        let is_missing =
            |caller: &Caller| caller.last_scrape + scrape * MISSING_AFTER_SCRAPES < newest;
        let present = self.callers.values().filter(|caller| !is_missing(caller));
        let Some(known_until) = present.map(|caller| caller.last_scrape).min() else { return };
        let is_any_missing = self.callers.values().any(is_missing);
        for to in self.boundaries(known_until, timeline) {
            let from = match timeline.end() {
                Some(end) if self.starts().any(|start| start <= end) => end,
                // After a gap, or at first, the timeline begins with the first caller that is known.
                _ => self.starts().min().unwrap_or(to),
            };
            if to <= from {
                continue;
            }
            let mut interval =
                Interval { from, to, requests: ClusterTraffic::default(), is_complete: true };
            for caller in self.callers.values() {
                caller.add_to(&mut interval);
            }
            interval.is_complete &= !is_any_missing && !self.has_unseen_callers;
            interval.is_complete &= !std::mem::take(&mut self.has_caller_ended);
            timeline.push(interval);
        }
        if let Some(end) = timeline.end() {
            for caller in self.callers.values_mut() {
                caller.pending.retain(|pending| end < pending.to);
            }
        }
    }

    /// When the pending requests of each caller begin.
    fn starts(&self) -> impl Iterator<Item = Duration> {
        self.callers.values().filter_map(|caller| caller.pending.first().map(|first| first.from))
    }

    /// The ends of the next intervals: scrape times, at most one in each scrape interval of the
    /// caller that is scraped most often, and none much closer than is usual.
    fn boundaries(&self, known_until: Duration, timeline: &Timeline) -> Vec<Duration> {
        let end = timeline.end();
        let pending = || self.callers.values().flat_map(|caller| &caller.pending);
        let shortest = pending().map(|interval| interval.to.saturating_sub(interval.from)).min();
        let usual = timeline.typical_length().unwrap_or_default() / 2;
        let distance =
            shortest.unwrap_or_else(|| timeline.scrape_interval()).mul_f64(0.9).max(usual);
        let is_next =
            |to: &Duration| *to <= known_until && end.is_none_or(|end| end + distance <= *to);
        let mut times: Vec<_> = pending().map(|interval| interval.to).filter(is_next).collect();
        times.sort();
        let mut kept: Vec<Duration> = Vec::new();
        for time in times.into_iter().rev() {
            if kept.last().is_none_or(|later| time + distance <= *later) {
                kept.push(time);
            }
        }
        kept.reverse();
        kept
    }
}

fn newest_sample(answer: &[CounterSeries]) -> Option<Duration> {
    answer.iter().filter_map(|series| series.samples.last().map(|(at, _)| *at)).max()
}

#[cfg(test)]
mod tests;
