//! The source of the watcher: it scrapes the mesh's counters, and can be wrong in many ways.

use std::time::Duration;

use fakes::promql;
use policy::{CounterSeries, Observation, RequestClass};

/// How far back an answer reaches.
const RANGE: Duration = Duration::from_secs(60);

/// The samples that are kept of a series.
const MAX_SAMPLES: usize = 256;

/// A fault of the source, or of what it scrapes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fault {
    /// It gives no answer; the gap is of this kind.
    Silent(&'static str),
    /// It answers, but does not scrape.
    ScrapesNothing,
    /// It has lost all samples, at the beginning of the fault.
    LosesSamples,
    /// It repeats its last answer.
    Caches,
    /// Its answers are this old.
    Lags(Duration),
    /// Every other answer comes from a second server, which began when the fault did.
    HasTwoServers,
    /// The first sample of the fault is of a counter that began again, and the next is right.
    HasOneWrongSample,
    /// The labels of the counters change at the beginning, so that the series end and begin again.
    LabelsChange,
    /// The series end at the beginning, and the callers are the same.
    SeriesEnd,
    /// The caller is replaced at the beginning; the new one has counted nothing.
    CallerIsReplaced,
}

/// The counters of one caller, and what was scraped of them.
#[derive(Default)]
pub(crate) struct Prometheus {
    counters: Vec<Counter>,
    first: Server,
    second: Server,
    /// Distinguishes series and callers before and after a change.
    generation: u64,
    has_ended: bool,
    is_caller_new: bool,
    /// When the callers were scraped last.
    scraped: Duration,
    cached: Option<Observation>,
    answers: u64,
    active: Vec<Fault>,
}

struct Counter {
    class: RequestClass,
    count: u64,
}

/// A server and its samples, by counter and generation.
#[derive(Default)]
struct Server(Vec<Scraped>);

struct Scraped {
    class: RequestClass,
    generation: u64,
    caller: u64,
    samples: Vec<(Duration, f64)>,
}

impl Prometheus {
    /// Counts requests that ended.
    pub(crate) fn count(&mut self, ended: &[(RequestClass, u64)]) {
        for (class, number) in ended {
            match self.counters.iter_mut().find(|counter| counter.class == *class) {
                Some(counter) => counter.count += number,
                None => self.counters.push(Counter { class: *class, count: *number }),
            }
        }
    }

    /// Begins and ends faults.
    pub(crate) fn set_faults(&mut self, active: &[Fault]) {
        for fault in active.iter().filter(|fault| !self.active.contains(fault)) {
            match fault {
                Fault::LosesSamples => self.first = Server::default(),
                Fault::HasTwoServers => self.second = Server::default(),
                Fault::LabelsChange => self.generation += 1,
                Fault::SeriesEnd => self.has_ended = true,
                Fault::CallerIsReplaced => {
                    self.generation += 1;
                    self.counters.clear();
                    self.is_caller_new = true;
                }
                _ => {}
            }
        }
        if self.has_ended && !active.contains(&Fault::SeriesEnd) {
            self.has_ended = false;
        }
        self.active = active.to_vec();
    }

    pub(crate) fn scrape(&mut self, now: Duration) {
        if self.active.contains(&Fault::ScrapesNothing) || self.has_ended {
            return;
        }
        self.scraped = now;
        let is_wrong = self.active.contains(&Fault::HasOneWrongSample);
        let caller = if self.is_caller_new { self.generation } else { 0 };
        for counter in &self.counters {
            let count = if is_wrong { counter.count % 7 } else { counter.count } as f64;
            for server in [&mut self.first, &mut self.second] {
                server.scrape(now, counter.class, self.generation, caller, count);
            }
        }
    }

    /// Answers the watcher.
    pub(crate) fn answer(&mut self, now: Duration) -> Observation {
        self.answers += 1;
        let mut lag = Duration::ZERO;
        let mut is_cached = false;
        for fault in &self.active {
            match fault {
                Fault::Silent(kind) => return Observation::Unknown(kind),
                Fault::Lags(by) => lag = *by,
                Fault::Caches => is_cached = true,
                _ => {}
            }
        }
        if is_cached && let Some(cached) = &self.cached {
            return cached.clone();
        }
        let has_two = self.active.contains(&Fault::HasTwoServers);
        let server =
            if has_two && self.answers.is_multiple_of(2) { &self.second } else { &self.first };
        let series = server.series(now.saturating_sub(lag));
        let observation = if series.is_empty() {
            Observation::NoCounters { zero_until: self.is_caller_new.then_some(self.scraped) }
        } else {
            Observation::Counters(series)
        };
        self.cached = Some(observation.clone());
        observation
    }

    /// The rate as Prometheus extrapolates it over a window.
    pub(crate) fn rate(&self, now: Duration, window: Duration) -> Option<f64> {
        if self.active.iter().any(|fault| matches!(fault, Fault::Silent(_))) {
            return None;
        }
        let rates = self.first.0.iter().filter_map(|scraped| {
            let samples = scraped.samples.iter().map(|(at, count)| (*at, *count as u64));
            promql::rate(samples, now, window)
        });
        rates.reduce(|sum, rate| sum + rate)
    }
}

impl Server {
    fn scrape(
        &mut self,
        now: Duration,
        class: RequestClass,
        generation: u64,
        caller: u64,
        count: f64,
    ) {
        let is_same =
            |scraped: &&mut Scraped| scraped.class == class && scraped.generation == generation;
        let scraped = match self.0.iter_mut().find(is_same) {
            Some(scraped) => scraped,
            None => {
                self.0.push(Scraped { class, generation, caller, samples: Vec::new() });
                self.0.last_mut().unwrap_or_else(|| unreachable!("it was pushed just now"))
            }
        };
        scraped.samples.push((now, count));
        if MAX_SAMPLES < scraped.samples.len() {
            scraped.samples.remove(0);
        }
    }

    fn series(&self, now: Duration) -> Vec<CounterSeries> {
        let start = now.saturating_sub(RANGE);
        let series = self.0.iter().enumerate().map(|(index, scraped)| {
            let is_inside = |(at, _): &&(Duration, f64)| start < *at && *at <= now;
            let samples = scraped.samples.iter().filter(is_inside).copied().collect();
            let (class, caller) = (scraped.class, scraped.caller);
            let series = class_id(class) + 10 * scraped.generation;
            let _ = index;
            CounterSeries { series, caller, class, samples }
        });
        series.filter(|series| !series.samples.is_empty()).collect()
    }
}

fn class_id(class: RequestClass) -> u64 {
    let cluster = match class.cluster {
        None => 0,
        Some(contract::Cluster::Primary) => 1,
        Some(contract::Cluster::Burst) => 2,
    };
    2 * cluster + u64::from(class.is_failure)
}
