//! `watcher explain`: observes once, and prints what the watcher sees, what it would do, and what
//! would change that.

mod describe;

use std::{
    fmt::Write as _,
    io::Write as _,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::Context as _;
use policy::{Decider, Route};
use tokio::time::{Instant, sleep};

use crate::{
    api_server::ApiServer,
    burst_policy::{ValidPolicy, refusal, with_fields},
    callers::{ObservedCallers, Scraper},
    cluster_sources::ClusterSources,
    config::{Config, SourceKind, WatchSettings},
    http_clients::Clients,
    metrics::Results,
    prometheus::{Connection, Prometheus, Unknown},
    route::{ObservedRoute, PolicyHandle, RouteClient},
    source::{ObservedTraffic, Source},
};
use describe::{describe_conditions, describe_decision, describe_route, describe_traffic};

/// How often the callers are read.
const READS_OF_CALLERS: u32 = 4;

/// The longest time between two reads.
const MAX_PAUSE: Duration = Duration::from_secs(1);

/// Observes once, and prints an explanation on standard output. It writes nothing else anywhere.
///
/// # Errors
/// When the settings name no API server, when the object cannot be read, when the rate is unknown
/// although there are series, or when nobody reads the output.
pub async fn explain(config: &Config) -> anyhow::Result<()> {
    let server = ApiServer::start(config.kubeconfig.as_deref())?;
    let (mut config, mut handle, mut refused) = (config.clone(), None, String::new());
    if let Some(name) = &config.burst_policy {
        // Each clone waits for itself.
        server.clone().ready().await;
        let (ValidPolicy { route, watch }, object) = ValidPolicy::get(&server, name).await?;
        (config.route, config.watch) = (route, watch);
        if let Some(why) = refusal(&object) {
            refused = format!("  The controller does not follow this BurstPolicy: {why}.\n");
        }
        handle = Some(PolicyHandle::as_it_is(&object));
    }
    let config = &config;
    let settings = &config.watch;
    let (query, limit) = (settings.signal.query.clone(), settings.timeout());
    let connection = Arc::new(Connection::new(&config.prometheus)?);
    let prometheus = Arc::new(Prometheus::new(connection, query, limit));
    let (policy, namespace) = (&settings.policy, config.route.namespace.as_str());
    let mut clusters = ClusterSources::new(
        policy,
        server.clone(),
        namespace,
        Arc::clone(&prometheus),
        &Clients::new()?,
        limit,
    )?;
    let route_client =
        RouteClient::new(server, config.route.clone(), handle, limit, Results::default());
    route_client.ready().await;
    let start = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut decider =
        Decider::new(settings.policy.clone(), settings.signal.query.stale_after, start);
    let mut source = Source::new(settings, Arc::clone(&prometheus), Arc::new(Scraper::new()?))?;
    let ((now, traffic), route, finding, write_check, capacity) = tokio::join!(
        observe_traffic(settings, &mut source, &mut decider, start),
        route_client.observe(),
        prometheus.check(),
        route_client.check_write(),
        clusters.capacity.observe(start),
    );
    if let Some(observed) = &capacity {
        decider.observe_capacity(now, observed.as_ref().ok().copied());
    }
    let finding = traffic.callers.as_ref().map_or(finding, ObservedCallers::finding);
    let estimate = decider.requests().estimate(now);
    let mut text = describe_traffic(config, &traffic, decider.requests(), now, &finding);
    if let Some(observed) = clusters.burst_readiness.observe(start).await {
        decider.observe_burst_readiness(now, observed.ok());
    }
    if let Some(Err(problem)) = &capacity {
        let _ = writeln!(text, "  The capacity of primary is unknown: {problem}.");
    }
    match &route {
        Ok(observed) => {
            text += &describe_route(config, observed);
            text += &refused;
            if let Err(error) = &write_check {
                let _ = writeln!(text, "  The watcher could not write the weights: {error}.");
            }
            let ObservedRoute { weights, overrides, .. } = *observed;
            let route = Route { weights, overrides, changed_by: None };
            decider.take_over(now, &observed.ejections());
            text += &describe_decision(settings, &decider.decide(now, &route));
            text += &describe_conditions(settings, &route);
        }
        Err(error) => {
            let _ = writeln!(
                text,
                "The watcher cannot read the {}: {error}. So it does nothing.",
                config.route.route_kind
            );
        }
    }
    if config.burst_policy.is_some() {
        text = with_fields(&text);
    }
    std::io::stdout().write_all(text.as_bytes()).context("printing the explanation")?;
    let kind = config.route.route_kind;
    anyhow::ensure!(route.is_ok(), "the watcher cannot read the {kind}");
    // Before the first request the rate is unknown, and nothing is wrong.
    let is_blind = estimate.is_err_and(|kind| !["empty", "too_young"].contains(&kind));
    anyhow::ensure!(!is_blind, "the rate is unknown");
    Ok(())
}

/// Observes the traffic, until the rate is known or should be. Callers show a rate only between two reads.
async fn observe_traffic(
    settings: &WatchSettings,
    source: &mut Source,
    decider: &mut Decider,
    start: Duration,
) -> (Duration, ObservedTraffic) {
    let clock = Instant::now();
    let rounds = match settings.signal.source.source {
        SourceKind::Prometheus => 1,
        SourceKind::Callers => READS_OF_CALLERS,
    };
    let mut round = 1;
    loop {
        let now = start + clock.elapsed();
        let mut traffic = source.observe(now).await;
        let is_last = rounds <= round;
        if is_last && matches!(traffic.observation, Err(Unknown::NoCaller(_))) {
            // A running watcher asks Prometheus after a while.
            let callers = traffic.callers;
            traffic = ObservedTraffic { callers, ..source.ask_prometheus().await };
            decider.change_source();
        }
        decider.observe_callers(&traffic.caller_states());
        decider.observe(now, &traffic.for_policy());
        if is_last {
            return (now, traffic);
        }
        round += 1;
        sleep(settings.interval.min(MAX_PAUSE)).await;
    }
}
