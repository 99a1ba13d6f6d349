//! The world around a rule.

use std::{ops::Range, sync::Arc, time::Duration};

use contract::Cluster;
use policy::{Overrides, Settings, Weights};

use crate::{Fault, Health, Load};

/// The world around a rule.
#[derive(Clone)]
pub struct Scenario {
    /// The load.
    pub load: Load,
    /// How long it lasts.
    pub length: Duration,
    /// The time step of the model: 50 ms shows the phases of scrapes, and a second is enough for days.
    pub step: Duration,
    /// The time between two scrapes.
    pub scrape_every: Duration,
    /// The time of the first scrape.
    pub phase: Duration,
    /// The seed of all that is random.
    pub seed: u64,
    /// The faults of the source, and when they last.
    pub faults: Vec<(Range<Duration>, Fault)>,
    /// How a cluster answers at a time.
    pub health: Arc<dyn Fn(Duration, Cluster) -> Health + Send + Sync>,
    /// The requests per second that primary can carry.
    pub capacity: f64,
    /// The weights at the start.
    pub start: Weights,
    /// How long new weights take to reach the proxies.
    pub propagation: Duration,
    /// Whether the proxies follow the weights at all.
    pub is_obeyed: bool,
    /// How the API server answers a write at a time.
    pub write: Arc<dyn Fn(Duration) -> WriteAnswer + Send + Sync>,
    /// The overrides at a time.
    pub overrides: Arc<dyn Fn(Duration) -> Overrides + Send + Sync>,
    /// When another writer sets which weights.
    pub foreign_writes: Vec<(Duration, Weights)>,
    /// When the watcher is restarted.
    pub restarts: Vec<Duration>,
}

/// How the API server answers a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteAnswer {
    /// It writes.
    Written,
    /// It refuses, and may ask to be left alone for a while.
    Refused(Option<Duration>),
}

impl Scenario {
    /// A load that starts at home, with a scrape every 5 s and no fault.
    #[must_use]
    pub fn new(settings: &Settings, length: Duration, load: Load) -> Self {
        Self {
            load,
            length,
            step: Duration::from_millis(50),
            scrape_every: Duration::from_secs(5),
            phase: Duration::ZERO,
            seed: 1,
            faults: Vec::new(),
            health: Arc::new(|_, _| Health::Well),
            capacity: settings.capacity.capacity,
            start: Weights::all_to(Cluster::Primary),
            propagation: Duration::from_secs(1),
            is_obeyed: true,
            write: Arc::new(|_| WriteAnswer::Written),
            overrides: Arc::new(|_| Overrides::default()),
            foreign_writes: Vec::new(),
            restarts: Vec::new(),
        }
    }

    /// The faults at a time.
    pub(crate) fn faults_at(&self, now: Duration) -> Vec<Fault> {
        let active = self.faults.iter().filter(|(during, _)| during.contains(&now));
        active.map(|(_, fault)| *fault).collect()
    }
}
