//! Whether the watcher can observe and write. The readiness probe reports it.

use std::time::Duration;

use chassis::probes::{Dependency, Readiness};
use policy::RequestHistory;

use crate::{
    config::RouteKind,
    route::{Error, ObservedRoute},
    source::ObservedTraffic,
};

/// The watcher's dependencies. Each logs once when it fails, and once when it recovers.
pub(crate) struct Dependencies {
    rate: Dependency,
    /// Whether the rate has been known since the start.
    has_known_rate: bool,
    route: Dependency,
    write: Dependency,
    overrides: Dependency,
    capacity: Dependency,
    burst_readiness: Dependency,
}

/// What keeps the watcher from its work; `None` each if nothing does.
#[derive(Clone, Debug, Default)]
pub(crate) struct Problems {
    /// Whether anything was observed yet.
    pub(crate) is_observed: bool,
    pub(crate) rate: Option<String>,
    pub(crate) route: Option<String>,
    pub(crate) write: Option<String>,
    pub(crate) overrides: Option<String>,
    pub(crate) capacity: Option<String>,
    pub(crate) burst_readiness: Option<String>,
}

impl Dependencies {
    pub(crate) fn new(readiness: &Readiness, kind: RouteKind) -> Self {
        let [read, write, overrides] = match kind {
            RouteKind::VirtualService => [
                "reading the VirtualService",
                "writing the VirtualService",
                "annotations of the VirtualService",
            ],
            RouteKind::HttpRoute => {
                ["reading the HTTPRoute", "writing the HTTPRoute", "annotations of the HTTPRoute"]
            }
        };
        let (write, overrides) = (readiness.register(write), readiness.register(overrides));
        let capacity = readiness.register("capacity of primary");
        // None has failed yet.
        capacity.up();
        let burst_readiness = readiness.register("readiness of burst");
        burst_readiness.up();
        write.up();
        overrides.up();
        Self {
            rate: readiness.register("request rate"),
            has_known_rate: false,
            route: readiness.register(read),
            write,
            overrides,
            capacity,
            burst_readiness,
        }
    }

    /// Records an observation of primary's capacity.
    pub(crate) fn record_capacity(&self, observed: &Result<f64, String>) {
        match observed {
            Ok(_) => self.capacity.up(),
            Err(problem) => self.capacity.down(problem),
        }
    }

    /// Records an observation of whether burst is ready.
    pub(crate) fn record_burst_readiness(&self, observed: &Result<bool, String>) {
        match observed {
            Ok(_) => self.burst_readiness.up(),
            Err(problem) => self.burst_readiness.down(problem),
        }
    }

    pub(crate) fn record_traffic(
        &mut self,
        now: Duration,
        traffic: &ObservedTraffic,
        requests: &RequestHistory,
    ) {
        match (requests.estimate(now), &traffic.observation) {
            (Ok(_), _) => {
                self.has_known_rate = true;
                self.rate.up();
            }
            // Before the first request there is no rate, which is no reason to be unready.
            (Err("empty"), _) if !self.has_known_rate => self.rate.up(),
            // A source begins with one sample.
            (Err("too_young"), _) => self.rate.up(),
            (Err(_), Err(unknown)) => self.rate.down(unknown),
            (Err("empty"), _) => self.rate.down(
                "Prometheus has no series of SERIES any more, and no new callers explain that",
            ),
            (Err(kind), _) => self.rate.down(format!(
                "no new sample for {:?} ({kind}): nothing reads the callers any more",
                requests.stale_after()
            )),
        }
    }

    pub(crate) fn record_route(&self, route: &Result<ObservedRoute, Error>) {
        match route {
            Ok(route) => {
                self.route.up();
                match &route.invalid_overrides {
                    None => self.overrides.up(),
                    Some(invalid) => self.overrides.down(invalid),
                }
            }
            Err(error) => self.route.down(error),
        }
    }

    pub(crate) fn record_write(&self, result: &Result<(), Error>) {
        match result {
            Ok(()) => self.write.up(),
            Err(error) => self.write.down(error),
        }
    }

    /// Why the watcher is not ready.
    pub(crate) fn problems(&self) -> Problems {
        Problems {
            is_observed: true,
            rate: self.rate.not_ready_reason(),
            route: self.route.not_ready_reason(),
            write: self.write.not_ready_reason(),
            overrides: self.overrides.not_ready_reason(),
            capacity: self.capacity.not_ready_reason(),
            burst_readiness: self.burst_readiness.not_ready_reason(),
        }
    }

    /// The same, one line for each dependency.
    pub(crate) fn not_ready_reasons(&self) -> Vec<String> {
        let describe = |dependency: &Dependency| {
            let reason = dependency.not_ready_reason()?;
            Some(format!("{}: {reason}", dependency.name()))
        };
        let Self { rate, route, write, overrides, capacity, burst_readiness, .. } = self;
        let all = [rate, route, write, overrides, capacity, burst_readiness];
        all.into_iter().filter_map(describe).collect()
    }
}
