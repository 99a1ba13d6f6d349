//! `watcher explain`: observes once, and prints what the watcher sees, what it would do, and what
//! would change that.

use std::{
    fmt::Write as _,
    io::Write as _,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::Context as _;
use policy::{Decider, Decision, HumanDuration, PolicyKind, RequestHistory, Requests, Route};
use tokio::time::{Instant, sleep};

use crate::{
    api_server::ApiServer,
    callers::{ObservedCallers, Scraper},
    cluster_sources::ClusterSources,
    config::{Config, SourceKind, WatchSettings},
    http_clients::Clients,
    metrics::Results,
    prometheus::{Connection, Finding, Prometheus, Unknown},
    route::{ObservedRoute, RouteClient},
    source::{ObservedTraffic, Source},
    status::CLUSTERS_WINDOW,
};

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
    let settings = &config.watch;
    let (query, limit) = (settings.signal.query.clone(), settings.timeout());
    let connection = Arc::new(Connection::new(&config.prometheus)?);
    let prometheus = Arc::new(Prometheus::new(connection, query, limit));
    let server = ApiServer::start(config.kubeconfig.as_deref())?;
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
        RouteClient::new(server, config.route.clone(), None, limit, Results::default());
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
            if let Err(error) = &write_check {
                let _ = writeln!(text, "  The watcher could not write the weights: {error}.");
            }
            let ObservedRoute { weights, overrides, .. } = *observed;
            let route = Route { weights, overrides, changed_by: None };
            decider.restore(now, &observed.ejections());
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

// Writing to a String does not fail, so the results of write! are ignored below.

fn describe_traffic(
    config: &Config,
    traffic: &ObservedTraffic,
    requests: &RequestHistory,
    now: Duration,
    finding: &Finding,
) -> String {
    let mut text = String::new();
    let _ = match traffic.source {
        SourceKind::Prometheus => {
            write!(text, "What it sees\n  Prometheus at {}: ", config.prometheus.prometheus_url)
        }
        SourceKind::Callers => {
            write!(
                text,
                "What it sees\n  The callers at {}: ",
                config.watch.signal.source.callers_url
            )
        }
    };
    let _ = match (requests.estimate(now), &traffic.observation) {
        (Ok(estimate), _) => write!(text, "{estimate}"),
        (Err(_), Err(unknown)) => write!(text, "the rate is unknown: {unknown}"),
        (Err(kind), _) => write!(text, "the rate is unknown ({kind})"),
    };
    if let (Some(lag), Some(scrape)) = (requests.lag(), requests.scrape_interval()) {
        let _ = write!(
            text,
            "; a sample every {}, the newest {} old",
            HumanDuration(scrape),
            HumanDuration(lag)
        );
    }
    text += ".\n";
    if let Some(unknown) = &traffic.unknown_clusters {
        let _ = writeln!(text, "  The watcher cannot see whether a cluster fails: {unknown}.");
    }
    if let Some(clusters) = requests.recent(CLUSTERS_WINDOW) {
        let describe = |name: &str, requests: Requests| {
            format!("{:.1}/s to {name} ({:.1}/s fail)", requests.total, requests.failed)
        };
        let _ = writeln!(
            text,
            "  {}, {}, {}.",
            describe("primary", clusters.primary),
            describe("burst", clusters.burst),
            describe("no known cluster", clusters.unattributed)
        );
    }
    let _ = writeln!(text, "  {finding}.");
    text
}

fn describe_route(config: &Config, route: &ObservedRoute) -> String {
    let ObservedRoute { weights, overrides, invalid_overrides, manager, .. } = route;
    let mut text = String::new();
    let _ = writeln!(
        text,
        "What is in force\n  {} {} in {}: {weights}.",
        config.route.route_kind, config.route.route, config.route.namespace
    );
    if let Some(manager) = manager {
        let _ = writeln!(text, "  {manager} wrote the weights last.");
    }
    if overrides.pause {
        text += "  Annotation istiowatcher/pause or pause-until: the watcher writes nothing.\n";
    }
    if overrides.hold_home {
        text += "  Annotation istiowatcher/hold-home: traffic does not come home.\n";
    }
    if let Some(to) = overrides.force {
        let _ = writeln!(text, "  Annotation istiowatcher/force: all traffic goes to {to}.");
    }
    if let Some(invalid) = invalid_overrides {
        let _ = writeln!(text, "  {invalid}. Until it is corrected, it holds what it concerns.");
    }
    text
}

fn describe_decision(settings: &WatchSettings, decision: &Decision) -> String {
    let Decision { weights, is_write, reason } = decision;
    let action = match (is_write, settings.dry_run) {
        (true, true) => format!(" It would write {weights}."),
        (true, false) => format!(" It writes {weights}."),
        (false, _) => String::new(),
    };
    format!("What it would do\n  Now: {reason}.{action}\n")
}

/// Describes under which conditions the watcher would decide otherwise.
fn describe_conditions(settings: &WatchSettings, route: &Route) -> String {
    let mut text = String::from("What would change that\n");
    if route.overrides.pause || route.overrides.force.is_some() {
        text += "  Only the annotation: remove it with kubectl annotate.\n";
        return text;
    }
    let policy = &settings.policy;
    let (threshold, spill, guards) = (&policy.threshold, &policy.spill, &policy.guards);
    let _ = match policy.policy {
        PolicyKind::Threshold => writeln!(
            text,
            "  More than {}/s (BURST_ABOVE), proven by enough requests: all traffic goes to burst. Less than {}/s (HOME_BELOW), proven for {} (HOME_HOLD): all traffic comes home.",
            threshold.burst_above,
            threshold.home_below,
            HumanDuration(threshold.home_hold)
        ),
        PolicyKind::Spill => writeln!(
            text,
            "  More than {}/s to primary (CAPACITY), which receives {:.0} % of the traffic now: more goes to burst. {} percent less than burst receives now (SPILL_TOLERANCE), for {} (SPILL_STABILIZATION_WINDOW): less goes to burst.",
            settings.policy.capacity.capacity,
            (1.0 - route.weights.burst_share()) * 100.0,
            spill.spill_tolerance,
            spill.spill_stabilization_window.map_or_else(
                || "18 times the distance of the samples".to_owned(),
                |window| HumanDuration(window).to_string()
            )
        ),
    };
    let _ = writeln!(
        text,
        "  More than {:.0} % of burst's requests fail (UNHEALTHY_RATIO), proven by enough of them: all traffic comes home for {} (EJECTION_TIME). The rate is unknown for {} (FALLBACK_AFTER): FALLBACK applies.",
        guards.unhealthy_ratio * 100.0,
        HumanDuration(guards.ejection_time),
        HumanDuration(guards.fallback_after)
    );
    if guards.failover {
        text += "  The same share of primary's requests fails: all traffic goes to burst for the same time, because FAILOVER is true.\n";
    } else {
        text += "  Failures of primary change nothing, because FAILOVER is false.\n";
    }
    text += "A running watcher also knows the past: GET /status shows its last decisions and their reasons.\n";
    text
}

#[cfg(test)]
mod tests {
    use chassis::settings::from_arguments;
    use contract::Cluster;
    use policy::{Overrides, Weights};

    use super::*;

    #[test]
    fn explains_whether_failures_of_primary_matter() {
        let weights = Weights::all_to(Cluster::Primary);
        let route = Route { weights, overrides: Overrides::default(), changed_by: None };
        for (arguments, expected) in [
            (&[][..], "Failures of primary change nothing, because FAILOVER is false."),
            (&["--failover"], "The same share of primary's requests fails: all traffic goes to"),
        ] {
            let config = from_arguments::<Config>(arguments).unwrap();
            let text = describe_conditions(&config.watch, &route);
            assert!(text.contains(expected), "{text}");
        }
    }
}
