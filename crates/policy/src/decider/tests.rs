//! The policies and their guards, second by second.

mod burst;
mod health;
mod invariants;
mod observed;
mod spill;
mod threshold;
mod unknown;
mod writing;

use clap::Parser;

use super::*;
use crate::{CounterSeries, Overrides, RequestClass};

const HOME: Weights = Weights::all_to(Cluster::Primary);
const BURST: Weights = Weights::all_to(Cluster::Burst);
const EVEN: Weights = Weights { primary: 50, burst: 50 };

/// The settings of a test, from arguments as the watcher takes them.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(flatten)]
    settings: Settings,
}

/// How a cluster answers.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Answers {
    Well,
    /// This share fails.
    Fails(f64),
    /// Istio counts its requests for no cluster.
    HasNoPods,
}

/// A decider between a caller that counts evenly paced requests and a route that follows at once. The
/// source scrapes every five seconds, and is asked every second.
struct Played {
    decider: Decider,
    now: u64,
    in_force: Weights,
    overrides: Overrides,
    changed_by: Option<String>,
    /// How primary and burst answer.
    answers: [Answers; 2],
    /// The share of the requests that go to primary, whatever the weights are.
    pinned: f64,
    /// What the source says instead of its samples; `None` if it answers.
    gap: Option<&'static str>,
    scrape_every: u64,
    /// How far the source's clock is behind.
    clock_behind: u64,
    counts: Vec<(RequestClass, f64)>,
    samples: Vec<CounterSeries>,
    is_written: bool,
}

impl Played {
    /// Starts with a minute at 5 requests per second, or at `rate`.
    fn after_a_minute(arguments: &[&str], rate: f64, in_force: Weights) -> Self {
        let mut played = Self::new(arguments, in_force);
        played.overrides.pause = Some("istiowatcher/pause");
        played.seconds(60, rate);
        played.overrides.pause = None;
        played
    }

    fn new(arguments: &[&str], in_force: Weights) -> Self {
        let arguments = ["test"].iter().chain(arguments);
        let Arguments { settings } = Arguments::try_parse_from(arguments).unwrap();
        Self {
            decider: Decider::new(settings, None, Duration::from_secs(1000)),
            now: 1000,
            in_force,
            overrides: Overrides::default(),
            changed_by: None,
            answers: [Answers::Well; 2],
            pinned: 0.0,
            gap: None,
            scrape_every: 5,
            clock_behind: 0,
            counts: Vec::new(),
            samples: Vec::new(),
            is_written: true,
        }
    }

    fn now(&self) -> Duration {
        Duration::from_secs(self.now)
    }

    /// Counts the requests of a second.
    fn send(&mut self, rate: f64) {
        for (cluster, answers) in Cluster::ALL.into_iter().zip(self.answers) {
            let pinned = if cluster == Cluster::Primary { self.pinned } else { 0.0 };
            let share = pinned + (1.0 - self.pinned) * self.in_force.share_of(cluster);
            let requests = rate * share;
            let failed = match answers {
                Answers::Well => 0.0,
                Answers::Fails(ratio) => requests * ratio,
                Answers::HasNoPods => requests,
            };
            let known = (answers != Answers::HasNoPods).then_some(cluster);
            for (is_failure, count) in [(true, failed), (false, requests - failed)] {
                let class = RequestClass { cluster: known, is_failure };
                match self.counts.iter_mut().find(|(other, _)| *other == class) {
                    Some((_, total)) => *total += count,
                    None if 0.0 < count => self.counts.push((class, count)),
                    None => {}
                }
            }
        }
    }

    fn scrape(&mut self) {
        let now = Duration::from_secs(self.now - self.clock_behind);
        for (index, (class, count)) in self.counts.iter().enumerate() {
            if self.samples.len() <= index {
                let (series, caller, class) = (index as u64, 1, *class);
                self.samples.push(CounterSeries { series, caller, class, samples: Vec::new() });
            }
            let samples = &mut self.samples[index].samples;
            samples.push((now, *count));
            if 20 < samples.len() {
                samples.remove(0);
            }
        }
    }

    /// Plays a second.
    fn second(&mut self, rate: f64) -> Decision {
        self.observe_second(rate);
        let now = self.now();
        let (overrides, changed_by) = (self.overrides, self.changed_by.take());
        let route = Route { weights: self.in_force, overrides, changed_by };
        let decision = self.decider.decide(now, &route);
        if decision.is_write {
            self.decider.record_write(now);
            if self.is_written {
                self.in_force = decision.weights;
            }
        }
        decision
    }

    /// Plays so many seconds in which another watcher decides.
    fn follow(&mut self, seconds: u64, rate: f64) {
        for _ in 0..seconds {
            self.observe_second(rate);
            self.decider.follow(self.now(), self.in_force);
        }
    }

    fn observe_second(&mut self, rate: f64) {
        self.now += 1;
        self.send(rate);
        if self.now.is_multiple_of(self.scrape_every) && self.gap.is_none() {
            self.scrape();
        }
        let observation = match self.gap {
            Some(kind) => Observation::Unknown(kind),
            None if self.samples.is_empty() => Observation::NoCounters { zero_until: None },
            None => Observation::Counters(self.samples.clone()),
        };
        self.decider.observe(self.now(), &observation);
    }

    /// Plays so many seconds; returns the last decision.
    fn seconds(&mut self, seconds: u64, rate: f64) -> Decision {
        (0..seconds).map(|_| self.second(rate)).last().unwrap()
    }

    /// Plays until the weights are these; returns the seconds that it took, and the reason.
    #[track_caller]
    fn until(&mut self, weights: Weights, rate: f64) -> (u64, String) {
        self.until_within(600, weights, rate)
    }

    /// The same, within so many seconds.
    #[track_caller]
    fn until_within(&mut self, limit: u64, weights: Weights, rate: f64) -> (u64, String) {
        for seconds in 1..=limit {
            let decision = self.second(rate);
            if self.in_force.has_same_split(weights) {
                return (seconds, name_with_cluster(&decision.reason));
            }
        }
        panic!("never {weights}, but {} at {}", self.in_force, self.now);
    }

    /// Expects a reason (with its cluster, where it names one) and weights after so many seconds.
    #[track_caller]
    fn expect(&mut self, seconds: u64, rate: f64, reason: &str, in_force: Weights) {
        let decision = self.seconds(seconds, rate);
        let name = name_with_cluster(&decision.reason);
        assert_eq!((name.as_str(), self.in_force), (reason, in_force), "{}", decision.reason);
    }
}

fn name_with_cluster(reason: &Reason) -> String {
    match reason.name() {
        name if name.starts_with("Cluster") => format!("{name} {}", reason.detail()),
        name => name.to_owned(),
    }
}

fn spilt(burst: u32) -> Weights {
    Weights::with_burst(burst)
}
