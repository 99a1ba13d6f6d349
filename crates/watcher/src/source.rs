//! Chooses where the traffic is observed: in the callers' metrics while they can be read, otherwise in
//! Prometheus.

use std::{sync::Arc, time::Duration};

use policy::{CallerStates, Observation};

use crate::{
    callers::{Callers, ObservedCallers, Scraper},
    config::{SourceKind, WatchSettings},
    prometheus::{Prometheus, SeenCounters, Unknown},
};

/// The watcher asks Prometheus when it could not read all callers for this time.
const FALL_BACK_AFTER: Duration = Duration::from_secs(10);

/// The watcher reads the callers again when all have answered so many times in a row.
const RETURN_AFTER_ROUNDS: u32 = 3;

/// What one observation of the traffic showed.
#[derive(Debug)]
pub(crate) struct ObservedTraffic {
    /// What the policy takes, or why there is nothing.
    pub(crate) observation: Result<Observation, Unknown>,
    /// Why the requests by cluster are unknown, if they are asked for and unknown.
    pub(crate) unknown_clusters: Option<Unknown>,
    /// Where it was observed.
    pub(crate) source: SourceKind,
    /// Whether that is another source than before.
    pub(crate) is_new_source: bool,
    /// What the callers showed; `None` without `SOURCE=callers`.
    pub(crate) callers: Option<ObservedCallers>,
}

impl ObservedTraffic {
    /// What Prometheus showed.
    pub(crate) fn of_prometheus(
        observation: Result<Observation, Unknown>,
        unknown_clusters: Option<Unknown>,
    ) -> Self {
        let source = SourceKind::Prometheus;
        Self { observation, unknown_clusters, source, is_new_source: false, callers: None }
    }

    /// The result of the observation, as metrics name it.
    pub(crate) fn result(&self) -> &'static str {
        match &self.observation {
            Ok(Observation::NoCounters { zero_until: None }) => "empty",
            Ok(_) => "ok",
            Err(unknown) => unknown.kind(),
        }
    }

    /// What the policy decides by.
    pub(crate) fn for_policy(&self) -> Observation {
        match &self.observation {
            Ok(observation) => observation.clone(),
            Err(unknown) => Observation::Unknown(unknown.kind()),
        }
    }

    /// What the policy must know of the callers.
    pub(crate) fn caller_states(&self) -> CallerStates {
        match (&self.callers, self.source) {
            (Some(callers), SourceKind::Callers) => callers.states.clone(),
            _ => CallerStates::default(),
        }
    }
}

/// Prometheus, and perhaps the callers.
pub(crate) struct Source {
    prometheus: Arc<Prometheus>,
    seen_counters: SeenCounters,
    callers: Option<Callers>,
    choice: Choice,
}

impl Source {
    pub(crate) fn new(
        settings: &WatchSettings,
        prometheus: Arc<Prometheus>,
        scraper: Arc<Scraper>,
    ) -> anyhow::Result<Self> {
        let source = &settings.signal.source;
        let callers = match source.source {
            SourceKind::Prometheus => None,
            SourceKind::Callers => {
                let query = settings.signal.query.clone();
                Some(Callers::new(source, query, settings.interval, scraper)?)
            }
        };
        let choice = Choice::new(source.source);
        Ok(Self { prometheus, seen_counters: SeenCounters::default(), callers, choice })
    }

    /// Asks Prometheus, whatever the callers answer.
    pub(crate) async fn ask_prometheus(&mut self) -> ObservedTraffic {
        self.prometheus.observe(&mut SeenCounters::default()).await
    }

    /// Observes the traffic once, at `now`.
    pub(crate) async fn observe(&mut self, now: Duration) -> ObservedTraffic {
        let Some(callers) = &mut self.callers else {
            return self.prometheus.observe(&mut self.seen_counters).await;
        };
        let observed = callers.observe(now).await;
        let before = self.choice.present;
        let present = self.choice.choose(now, observed.is_complete());
        let mut traffic = match present {
            SourceKind::Prometheus => self.prometheus.observe(&mut self.seen_counters).await,
            SourceKind::Callers => {
                self.seen_counters = SeenCounters::default();
                ObservedTraffic {
                    observation: observed.observation().map_err(Unknown::NoCaller),
                    unknown_clusters: None,
                    source: SourceKind::Callers,
                    is_new_source: false,
                    callers: None,
                }
            }
        };
        traffic.is_new_source = present != before;
        traffic.callers = Some(observed);
        traffic
    }
}

/// The source in use.
#[derive(Debug)]
struct Choice {
    present: SourceKind,
    /// Since when not all callers have answered; `None` if they did at the last time.
    incomplete_since: Option<Duration>,
    /// How many times in a row all callers have answered.
    rounds: u32,
}

impl Choice {
    const fn new(present: SourceKind) -> Self {
        Self { present, incomplete_since: None, rounds: 0 }
    }

    /// Chooses by whether all callers have answered at `now`.
    fn choose(&mut self, now: Duration, is_complete: bool) -> SourceKind {
        if is_complete {
            self.incomplete_since = None;
            self.rounds = self.rounds.saturating_add(1);
            if RETURN_AFTER_ROUNDS <= self.rounds {
                self.present = SourceKind::Callers;
            }
        } else {
            self.rounds = 0;
            if *self.incomplete_since.get_or_insert(now) + FALL_BACK_AFTER <= now {
                self.present = SourceKind::Prometheus;
            }
        }
        self.present
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_source_changes_after_a_silence_and_returns_after_some_rounds() {
        let mut choice = Choice::new(SourceKind::Callers);
        let mut choose = |second: u64, is_complete: bool| {
            choice.choose(Duration::from_secs(second), is_complete)
        };
        assert_eq!(choose(0, true), SourceKind::Callers);
        for second in 1..11 {
            assert_eq!(choose(second, false), SourceKind::Callers, "{second}");
        }
        assert_eq!(choose(11, false), SourceKind::Prometheus);
        assert_eq!(choose(12, true), SourceKind::Prometheus);
        assert_eq!(choose(13, false), SourceKind::Prometheus, "once is not enough");
        assert_eq!(choose(14, true), SourceKind::Prometheus);
        assert_eq!(choose(15, true), SourceKind::Prometheus);
        assert_eq!(choose(16, true), SourceKind::Callers);
        assert_eq!(choose(17, false), SourceKind::Callers, "a lone silence");
    }
}
