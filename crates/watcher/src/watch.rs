//! One route under watch: the control loop, and the checks that go on beside it.

use std::{convert::Infallible, sync::Arc, time::Duration};

use chassis::probes::Readiness;
use tokio::time::{sleep, timeout};

use crate::{
    api_server::ApiServer,
    callers::Scraper,
    cluster_sources::ClusterSources,
    config::{PrometheusSettings, RouteSettings, SourceKind, WatchSettings},
    control_loop::{ControlLoop, Sources},
    dependencies::Dependencies,
    http_clients::Clients,
    lease::Leadership,
    metrics::Metrics,
    prometheus::{Connection, Prometheus},
    recorder::Recorder,
    route::{PolicyHandle, RouteClient},
    source::Source,
    status::Status,
    webhook::Webhook,
};

/// How long the first tick waits for the credentials of the API server.
const FIRST_TICK_WITHIN: Duration = Duration::from_secs(1);

/// The time between two checks of the query, and of the right to write.
const CHECK_EVERY: Duration = Duration::from_secs(3600);

/// The time between two checks before the first traffic, and while the watcher may not write.
const CHECK_SOON: Duration = Duration::from_secs(30);

/// The number of checks at the start that are so soon: the labels may be new, because the route is.
const FIRST_CHECKS: u32 = 4;

/// What all watched routes of a process share.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) server: ApiServer,
    pub(crate) prometheus: Arc<Connection>,
    pub(crate) scraper: Arc<Scraper>,
    pub(crate) leadership: Leadership,
    /// The clients of `BURST_READY_URL` and `BURST_WEBHOOK_URL`.
    pub(crate) clients: Clients,
}

impl Shared {
    /// # Errors
    /// When the settings of Prometheus cannot be used.
    pub(crate) fn new(
        server: ApiServer,
        prometheus: &PrometheusSettings,
        leadership: Leadership,
    ) -> anyhow::Result<Self> {
        let prometheus = Arc::new(Connection::new(prometheus)?);
        let scraper = Arc::new(Scraper::new()?);
        let clients = Clients::new()?;
        Ok(Self { server, prometheus, scraper, leadership, clients })
    }
}

/// Where a watched route is recorded.
#[derive(Clone)]
pub(crate) struct Records {
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) status: Status,
    pub(crate) readiness: Readiness,
}

impl Records {
    fn recorder(&self) -> Recorder {
        Recorder::new(Arc::clone(&self.metrics), self.status.clone())
    }
}

/// One route under watch.
pub(crate) struct Watch {
    settings: WatchSettings,
    control_loop: ControlLoop,
    prometheus: Arc<Prometheus>,
    route_client: Arc<RouteClient>,
    records: Records,
}

impl Watch {
    /// # Errors
    /// When the settings cannot be used.
    pub(crate) fn new(
        shared: &Shared,
        route: &RouteSettings,
        settings: &WatchSettings,
        policy: Option<PolicyHandle>,
        records: Records,
    ) -> anyhow::Result<Self> {
        let Shared { server, prometheus, scraper, leadership, clients } = shared.clone();
        let limit = settings.timeout();
        let prometheus = Prometheus::new(prometheus, settings.signal.query.clone(), limit);
        let prometheus = Arc::new(prometheus);
        let events = records.metrics.events.clone();
        let results = records.metrics.burst.webhook_calls.clone();
        let webhook = Webhook::start(settings, route, &clients, results)?;
        let burst_requests = policy.as_ref().and_then(|policy| policy.burst_requests);
        let route_client = RouteClient::new(server.clone(), route.clone(), policy, limit, events);
        let route_client = Arc::new(route_client);
        let (policy, namespace) = (&settings.policy, route.namespace.as_str());
        let clusters = ClusterSources::new(
            policy,
            server,
            namespace,
            Arc::clone(&prometheus),
            &clients,
            limit,
        )?;
        let observed = Sources {
            traffic: Source::new(settings, Arc::clone(&prometheus), scraper)?,
            clusters,
            burst_requests,
        };
        let control_loop = ControlLoop::new(
            settings,
            observed,
            Arc::clone(&route_client),
            webhook,
            leadership,
            records.recorder(),
            Dependencies::new(&records.readiness, route.route_kind),
        );
        Ok(Self { settings: settings.clone(), control_loop, prometheus, route_client, records })
    }

    /// Watches for ever.
    pub(crate) async fn run(self) -> Infallible {
        let Self { settings, control_loop, prometheus, route_client, records } = self;
        let watch = async {
            // Usually the credentials are there at once, and then the first tick finds them.
            let _ = timeout(FIRST_TICK_WITHIN, route_client.ready()).await;
            control_loop.run(settings.interval).await
        };
        tokio::select! {
            never = Box::pin(watch) => match never {},
            never = check_query(&settings, &prometheus, records.recorder()) => match never {},
            never = check_write(&route_client, records.recorder()) => match never {},
        }
    }
}

/// Checks `SERIES` or `QUERY` for ever. What the callers themselves show, each tick checks.
async fn check_query(
    settings: &WatchSettings,
    prometheus: &Prometheus,
    recorder: Recorder,
) -> Infallible {
    if settings.signal.source.source == SourceKind::Callers {
        return std::future::pending().await;
    }
    let mut checks = 0_u32;
    loop {
        let finding = prometheus.check().await;
        recorder.record_query_check(&finding);
        checks = checks.saturating_add(1);
        let is_soon = finding.is_preliminary() || checks < FIRST_CHECKS;
        sleep(if is_soon { CHECK_SOON } else { CHECK_EVERY }).await;
    }
}

/// Tries a write for ever, as a dry run of the API server: an operator learns before the first burst that
/// the watcher could not write.
async fn check_write(route_client: &RouteClient, recorder: Recorder) -> Infallible {
    route_client.ready().await;
    loop {
        let result = route_client.check_write().await;
        recorder.record_write_check(&result);
        sleep(if result.is_ok() { CHECK_EVERY } else { CHECK_SOON }).await;
    }
}
