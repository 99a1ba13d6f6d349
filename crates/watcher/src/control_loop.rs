//! The control loop: observe, decide, apply, once an interval.
//!
//! It observes the weights in force on every tick. A failed write, a restart, or a change by
//! another writer is therefore corrected on the next tick.

use std::{
    convert::Infallible,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use policy::{Decider, Decision, Route};
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::{
    change_detector::{Change, ChangeDetector},
    claim::Claim,
    cluster_sources::ClusterSources,
    config::WatchSettings,
    dependencies::Dependencies,
    lease::Leadership,
    recorder::{Outcome, Recorder},
    route::{BurstRequests, Error, ObservedRoute, RouteClient, WeightsEvent},
    source::Source,
    webhook::Webhook,
    writer::{Write, Writer},
};

/// The name of a field manager that the object does not name.
const UNNAMED_MANAGER: &str = "another istiowatcher";

/// What the loop observes beside the route.
pub(crate) struct Sources {
    pub(crate) traffic: Source,
    pub(crate) clusters: ClusterSources,
    /// The requests that burst received before the start; `None` if nobody knows.
    pub(crate) burst_requests: Option<BurstRequests>,
}

/// The loop, with all that a tick needs.
pub(crate) struct ControlLoop {
    sources: Sources,
    webhook: Option<Webhook>,
    route_client: Arc<RouteClient>,
    decider: Decider,
    /// Whether the ejections of a watcher before this one are known.
    is_restored: bool,
    is_dry_run: bool,
    recorder: Recorder,
    dependencies: Dependencies,
    changes: ChangeDetector,
    writer: Writer,
    leadership: Leadership,
    claim: Claim,
    /// The time since 1970 at the start, which the monotonic clock continues.
    start: Duration,
}

impl ControlLoop {
    pub(crate) fn new(
        settings: &WatchSettings,
        sources: Sources,
        route_client: Arc<RouteClient>,
        webhook: Option<Webhook>,
        leadership: Leadership,
        recorder: Recorder,
        dependencies: Dependencies,
    ) -> Self {
        let start = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let stale_after = settings.signal.query.stale_after;
        let mut decider = Decider::new(settings.policy.clone(), stale_after, start);
        if let Some(BurstRequests { at, requests }) = sources.burst_requests {
            decider.restore_budget(at.min(start), requests);
        }
        Self {
            sources,
            webhook,
            writer: Writer::new(Arc::clone(&route_client), settings.timeout()),
            route_client,
            decider,
            is_restored: false,
            is_dry_run: settings.dry_run,
            recorder,
            dependencies,
            changes: ChangeDetector::default(),
            leadership,
            claim: Claim::default(),
            start,
        }
    }

    /// Runs for ever.
    pub(crate) async fn run(mut self, every: Duration) -> Infallible {
        let clock = Instant::now();
        let mut ticks = interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut last_tick = Duration::ZERO;
        loop {
            let late = ticks.tick().await.elapsed();
            let elapsed = clock.elapsed();
            self.tick(self.start + elapsed, elapsed.saturating_sub(last_tick)).await;
            last_tick = elapsed;
            let duration = clock.elapsed().saturating_sub(elapsed);
            self.recorder.record_tick(late, duration, &self.dependencies);
        }
    }

    async fn tick(&mut self, now: Duration, since_last_tick: Duration) {
        let (traffic, route, capacity, is_burst_ready) = tokio::join!(
            self.sources.traffic.observe(now),
            self.route_client.observe(),
            self.sources.clusters.capacity.observe(now),
            self.sources.clusters.burst_readiness.observe(now),
        );
        self.observe_capacity(now, capacity);
        if let Some(observed) = is_burst_ready {
            self.dependencies.record_burst_readiness(&observed);
            self.decider.observe_burst_readiness(now, observed.ok());
        }
        if traffic.is_new_source {
            self.decider.change_source();
        }
        self.decider.observe_callers(&traffic.caller_states());
        self.decider.observe(now, &traffic.for_policy());
        let requests = self.decider.requests();
        self.dependencies.record_traffic(now, &traffic, requests);
        self.recorder.record_traffic(now, &traffic, requests);
        self.dependencies.record_route(&route);
        self.recorder.record_route(&route);
        let Ok(route) = route else {
            // Whoever has the Lease leads, although it cannot read the route.
            self.recorder.record_lead(self.leadership.is_held());
            return;
        };
        if !self.leads(now, &route).await {
            return;
        }
        self.restore(now, &route);
        if let Some(webhook) = &mut self.webhook {
            webhook.tell(self.decider.is_bursting(route.weights), route.weights);
        }
        let changed_by = self.detect_change(&route);
        let ObservedRoute { weights, overrides, .. } = route;
        let decision = self.decider.decide(now, &Route { weights, overrides, changed_by });
        let outcome = self.apply(now, route, &decision).await;
        self.recorder.record_decision(&decision, weights, &outcome, since_last_tick);
    }

    fn observe_capacity(&mut self, now: Duration, observed: Option<Result<f64, String>>) {
        if let Some(observed) = observed {
            self.dependencies.record_capacity(&observed);
            self.decider.observe_capacity(now, observed.ok());
        }
        self.recorder.record_capacity(self.decider.leaves_primary_above(now));
        self.recorder.record_burst_requests(self.decider.burst_requests(now));
    }

    /// Whether this watcher decides. While another one does, this one only follows what happens.
    async fn leads(&mut self, now: Duration, route: &ObservedRoute) -> bool {
        if !self.leadership.is_held() {
            self.is_restored = false;
            self.changes = ChangeDetector::default();
            self.claim = Claim::default();
            self.writer.abandon();
            self.webhook.iter_mut().for_each(Webhook::forget);
            self.decider.follow(now, route.weights);
            self.recorder.record_standby(&self.leadership.describe());
            return false;
        }
        let is_named = self.leadership.identity().is_none_or(|own| route.leader() == Some(own));
        // Who writes nothing takes the route from nobody.
        if is_named || self.is_dry_run || route.overrides.pause.is_some() {
            self.recorder.record_lead(true);
            return true;
        }
        self.name_leader(now, route).await;
        false
    }

    /// Names this watcher on the route. A later tick decides, by the version of the object that this makes.
    async fn name_leader(&mut self, now: Duration, route: &ObservedRoute) {
        // Whoever the route names may have decided. If it names nobody, somebody has replaced it.
        self.is_restored &= route.leader().is_none();
        self.decider.follow(now, route.weights);
        let Some(identity) = self.leadership.identity() else { return };
        if !self.writer.is_busy() {
            let rival = self.claim.rival(now, route.leader());
            let hold = self.decider.write_hold(now).map(|reason| reason.to_string());
            if let Some(why) = rival.or(hold) {
                self.recorder.record_standby(&why);
                return;
            }
            self.decider.record_write(now);
            self.writer.start_claim(route, identity);
        }
        self.finish_write(now).await;
    }

    /// Continues the ejections of a watcher before this one, once.
    fn restore(&mut self, now: Duration, route: &ObservedRoute) {
        if std::mem::replace(&mut self.is_restored, true) {
            return;
        }
        let ejections = route.ejections();
        for ejection in &ejections {
            let (cluster, failures) = (ejection.cluster, ejection.failures);
            tracing::info!(%cluster, failures, "the watcher before this one ejected {cluster}");
        }
        self.decider.take_over(now, &ejections);
    }

    /// Returns the field manager that changed the weights since the last tick; `None` if no other
    /// writer did, or if this watcher writes nothing itself.
    fn detect_change(&mut self, route: &ObservedRoute) -> Option<String> {
        match self.changes.observe(route.weights) {
            Change::None | Change::OwnWrite => None,
            Change::Foreign { before } => {
                let manager = route.manager.clone().unwrap_or_else(|| UNNAMED_MANAGER.to_owned());
                self.recorder.record_foreign_change(&manager, before, route.weights);
                (!self.is_dry_run).then_some(manager)
            }
        }
    }

    async fn apply(&mut self, now: Duration, route: ObservedRoute, decision: &Decision) -> Outcome {
        let Decision { weights, is_write, reason } = decision;
        if self.writer.is_busy() {
            // One write at a time. If that of an earlier tick has ended now, the next tick may write.
            if let Some((Write::Weights { decision, route }, outcome)) =
                self.finish_write(now).await
            {
                self.recorder.record_outcome(&decision, route.weights, &outcome);
            }
            return Outcome::Pending;
        }
        if !is_write {
            let is_held = !weights.has_same_split(route.weights) || reason.is_hold();
            if !is_held {
                // An earlier failure is over only when nothing needs to be written.
                self.dependencies.record_write(&Ok(()));
            }
            return if is_held { Outcome::Held } else { Outcome::NothingToWrite };
        }
        if self.is_dry_run {
            return Outcome::DryRun;
        }
        self.decider.record_write(now);
        self.changes.record_attempt(*weights);
        self.writer.start(decision.clone(), Arc::new(route), &self.decider.ejections());
        self.finish_write(now).await.map_or(Outcome::Pending, |(_, outcome)| outcome)
    }

    /// Takes the result of a write; `None` if it has not ended.
    async fn finish_write(&mut self, now: Duration) -> Option<(Write, Outcome)> {
        let (write, result) = self.writer.finish().await?;
        self.dependencies.record_write(&result);
        if let Write::Weights { .. } = write {
            self.recorder.record_write(&result);
        }
        match result {
            Ok(()) => {
                match &write {
                    Write::Claim => self.claim.record(now),
                    Write::Weights { decision, route } => {
                        self.changes.record_write(decision.weights);
                        self.publish_event(route, decision);
                    }
                }
                Some((write, Outcome::Written))
            }
            Err(error) => {
                if !error.is_uncertain() {
                    self.changes.forget_attempt();
                }
                let retry_after = match error {
                    Error::Refused { retry_after, .. } => retry_after,
                    _ => None,
                };
                self.decider.record_failed_write(now, retry_after);
                Some((write, Outcome::Failed(error.to_string())))
            }
        }
    }

    fn publish_event(&self, route: &ObservedRoute, decision: &Decision) {
        let Decision { weights, reason, .. } = decision;
        let note = format!("{reason}. Weights: {weights}; before: {}", route.weights);
        let (is_warning, reason) = (reason.is_warning(), reason.name());
        let event = WeightsEvent { is_warning, reason, burst: weights.burst, note };
        self.route_client.publish_event(route, event);
    }
}
