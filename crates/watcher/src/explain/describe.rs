//! The parts of the explanation, as text.

use std::{fmt::Write as _, time::Duration};

use policy::{Decision, HumanDuration, PolicyKind, RequestHistory, Requests, Route};

use crate::{
    config::{Config, SourceKind, WatchSettings},
    prometheus::Finding,
    route::ObservedRoute,
    source::ObservedTraffic,
    status::CLUSTERS_WINDOW,
};

// Writing to a String does not fail, so the results of write! are ignored below.

pub(super) fn describe_traffic(
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

pub(super) fn describe_route(config: &Config, route: &ObservedRoute) -> String {
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
    if let Some(by) = overrides.pause {
        let _ = writeln!(text, "  Annotation {by}: the watcher writes nothing.");
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

pub(super) fn describe_decision(settings: &WatchSettings, decision: &Decision) -> String {
    let Decision { weights, is_write, reason } = decision;
    let action = match (is_write, settings.dry_run) {
        (true, true) => format!(" It would write {weights}."),
        (true, false) => format!(" It writes {weights}."),
        (false, _) => String::new(),
    };
    format!("What it would do\n  Now: {reason}.{action}\n")
}

/// Describes under which conditions the watcher would decide otherwise.
pub(super) fn describe_conditions(settings: &WatchSettings, route: &Route) -> String {
    let mut text = String::from("What would change that\n");
    if route.overrides.pause.is_some() || route.overrides.force.is_some() {
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
