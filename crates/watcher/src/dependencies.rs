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
    election: Dependency,
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
        let election = readiness.register("electing the watcher that decides");
        // None has failed yet.
        election.up();
        write.up();
        overrides.up();
        Self {
            rate: readiness.register("request rate"),
            has_known_rate: false,
            route: readiness.register(read),
            write,
            overrides,
            election,
        }
    }

    /// Records why the election does not work; `None` if it does.
    pub(crate) fn record_election(&self, problem: Option<String>) {
        match problem {
            None => self.election.up(),
            Some(problem) => self.election.down(problem),
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

    /// Why the watcher is not ready, one entry for each dependency.
    pub(crate) fn not_ready_reasons(&self) -> Vec<String> {
        let describe = |dependency: &Dependency| {
            let reason = dependency.not_ready_reason()?;
            Some(format!("{}: {reason}", dependency.name()))
        };
        let all = [&self.rate, &self.route, &self.write, &self.overrides];
        all.into_iter().filter_map(describe).collect()
    }
}
