//! Callers that a decider follows, second by second.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use chassis::settings::from_arguments;
use policy::{Decider, Overrides, Route, Weights};

use super::{Callers, Lookup, ObservedCallers, Scraper, ScriptedCaller, text};
use crate::Config;

/// What the name of the callers resolves to, or why it does not.
type Names = Arc<Mutex<Result<Vec<SocketAddr>, &'static str>>>;

/// Callers, and a decider by what is read of them.
pub(super) struct Played {
    pub(super) living: Vec<(ScriptedCaller, [f64; 2])>,
    names: Names,
    callers: Callers,
    pub(super) decider: Decider,
    pub(super) now: Duration,
    pub(super) in_force: Weights,
    pub(super) observed: ObservedCallers,
}

impl Played {
    pub(super) async fn with_callers(number: usize, in_force: Weights) -> Self {
        Self::with_settings(number, in_force, &[]).await
    }

    pub(super) async fn with_settings(number: usize, in_force: Weights, settings: &[&str]) -> Self {
        let config: Config = from_arguments(&[&["--source=callers"], settings].concat()).unwrap();
        let settings = config.watch;
        let names: Names = Arc::new(Mutex::new(Ok(Vec::new())));
        let resolved = Arc::clone(&names);
        let lookup = Lookup::new(Arc::new(move || {
            let names = resolved.lock().unwrap_or_else(PoisonError::into_inner).clone();
            Box::pin(async move { names.map_err(io::Error::other) })
        }));
        let (source, query) = (&settings.signal.source, settings.signal.query.clone());
        let now = Duration::from_secs(1000);
        let (interval, scraper) = (settings.interval, Arc::new(Scraper::new().unwrap()));
        let mut callers = Callers::with_lookup(source, query, interval, scraper, lookup).unwrap();
        // The ticks of a test follow one another at once.
        callers.max_age = Duration::ZERO;
        let mut played = Self {
            living: Vec::new(),
            names,
            callers,
            decider: Decider::new(settings.policy, None, now),
            now,
            in_force,
            observed: ObservedCallers::default(),
        };
        for _ in 0..number {
            played.start_caller().await;
        }
        played.list_living();
        played
    }

    pub(super) async fn start_caller(&mut self) {
        self.living.push((ScriptedCaller::start().await, [0.0; 2]));
    }

    pub(super) fn list(&self, names: Result<Vec<SocketAddr>, &'static str>) {
        *self.names.lock().unwrap() = names;
    }

    pub(super) fn list_living(&self) {
        self.list(Ok(self.living.iter().map(|(caller, _)| caller.address).collect()));
    }

    /// A second in which the callers send requests at a rate, and at its end are read.
    pub(super) async fn second(&mut self, rate: f64) {
        let share = rate / self.living.len().max(1) as f64;
        for (caller, counts) in &mut self.living {
            counts[0] += share * (1.0 - self.in_force.burst_share());
            counts[1] += share * self.in_force.burst_share();
            caller.set_text(text(*counts));
        }
        self.now += Duration::from_secs(1);
        self.observed = self.callers.observe(self.now).await;
        self.decider.observe_callers(&self.observed.states);
        if let Ok(observation) = self.observed.observation() {
            self.decider.observe(self.now, &observation);
        }
        let route =
            Route { weights: self.in_force, overrides: Overrides::default(), changed_by: None };
        let decision = self.decider.decide(self.now, &route);
        if decision.is_write {
            self.in_force = decision.weights;
        }
    }

    pub(super) async fn seconds(&mut self, number: usize, rate: f64) {
        for _ in 0..number {
            self.second(rate).await;
        }
    }

    /// Plays until the weights are `weights`, and returns the seconds that it took.
    pub(super) async fn until(&mut self, weights: Weights, rate: f64) -> usize {
        for second in 1..=120 {
            self.second(rate).await;
            if self.in_force == weights {
                return second;
            }
        }
        panic!("the weights stay {}", self.in_force);
    }

    pub(super) fn rate(&self) -> f64 {
        self.decider.requests().estimate(self.now).unwrap().rate
    }

    pub(super) fn silent_kinds(&self) -> Vec<&'static str> {
        self.observed.silent.iter().map(|silent| silent.error.kind()).collect()
    }
}
