//! `watcher explain`: one look, in sentences: what it sees, what it would do, why, and what would change its mind.

use std::{fmt::Write as _, io::Write as _, time::Duration};

use anyhow::Context as _;

use crate::{
    config::{Config, PolicyKind, PolicySettings},
    decide::{Decider, InForce, Reading},
    metrics::Results,
    prometheus::{Finding, Look, Prometheus},
    reason::Said,
    virtual_service::{Observed, VirtualService},
    watch::reading,
};

/// How far ahead it says what would come, if all went on as it is.
const HORIZON: Duration = Duration::from_secs(15 * 60);

/// Looks once, and prints what there is to say on standard output. Writes nothing else anywhere.
///
/// # Errors
/// When the settings name no API server, the object cannot be read, the rate is not known though there are series, or
/// nobody reads the output.
pub async fn explain(config: &Config) -> anyhow::Result<()> {
    let policy = &config.policy;
    let (query, timeout) = (policy.query.clone(), policy.timeout());
    let prometheus = Prometheus::new(&config.prometheus_url, query, timeout)?;
    let virtual_service = VirtualService::new(config, Results::default()).await?;
    let (look, observed, finding) =
        tokio::join!(prometheus.look(), virtual_service.read(), prometheus.check());
    let mut text = what_it_sees(config, &look, &finding);
    match &observed {
        Ok(observed) => {
            text += &what_is_in_force(config, observed);
            let seen =
                InForce { weights: observed.weights, orders: observed.orders, changed_by: None };
            text += &what_it_would_do(policy, &reading(&look), &seen);
            text += &what_would_change_its_mind(policy, &seen);
        }
        Err(error) => {
            let _ =
                writeln!(text, "The VirtualService cannot be read: {error}. So it does nothing.");
        }
    }
    std::io::stdout().write_all(text.as_bytes()).context("printing the explanation")?;
    // Before the first request nothing is known, and nothing is wrong.
    let is_blind = look.rate.as_ref().is_err_and(|unknown| unknown.kind() != "empty");
    anyhow::ensure!(observed.is_ok(), "the VirtualService cannot be read");
    anyhow::ensure!(!is_blind, "the rate is not known");
    Ok(())
}

// Writing to a String does not fail.

fn what_it_sees(config: &Config, look: &Look, finding: &Finding) -> String {
    let mut text = String::new();
    let _ = write!(text, "What it sees\n  Prometheus at {}: ", config.prometheus_url);
    let _ = match &look.rate {
        Ok(rate) => write!(text, "{rate:.1} requests per second"),
        Err(unknown) => write!(text, "the rate is not known: {unknown}"),
    };
    if let Some(age) = look.age {
        let _ = write!(text, "; the newest sample is {} old", Said(age));
    }
    text += ".\n";
    let _ = match &look.clusters {
        None => writeln!(text, "  Whether burst fails is not asked: CLUSTERS_QUERY is empty."),
        Some(Err(unknown)) => writeln!(text, "  Whether burst fails is not known: {unknown}."),
        Some(Ok(clusters)) => {
            let [primary, burst, elsewhere] = clusters.rates();
            let [primary_failing, burst_failing, elsewhere_failing] =
                [clusters.primary, clusters.burst, clusters.elsewhere].map(|flow| flow.failing);
            writeln!(
                text,
                "  To primary {primary:.1}/s, of which {primary_failing:.1}/s fail; to burst {burst:.1}/s, of which {burst_failing:.1}/s fail; to no known cluster {elsewhere:.1}/s, of which {elsewhere_failing:.1}/s fail."
            )
        }
    };
    let _ = writeln!(text, "  {finding}.");
    text
}

fn what_is_in_force(config: &Config, observed: &Observed) -> String {
    let Observed { weights, orders, wrong_orders, manager, .. } = observed;
    let mut text = String::new();
    let _ = writeln!(
        text,
        "What is in force\n  VirtualService {} in {}: {weights}.",
        config.virtual_service, config.namespace
    );
    if let Some(manager) = manager {
        let _ = writeln!(text, "  {manager} has written the weights last.");
    }
    for (is_there, order) in [
        (orders.pause, "istiowatcher/pause: nothing is written".to_owned()),
        (orders.hold_home, "istiowatcher/hold-home: traffic does not come home".to_owned()),
        (
            orders.force.is_some(),
            format!("istiowatcher/force: all to {}", orders.force.map_or("", |to| to.name())),
        ),
    ] {
        if is_there {
            let _ = writeln!(text, "  Annotation {order}.");
        }
    }
    if let Some(wrong) = wrong_orders {
        let _ = writeln!(text, "  {wrong}; until then it holds what it is about.");
    }
    text
}

/// What a watcher would do that has seen the same for as long as it takes.
fn what_it_would_do(policy: &PolicySettings, reading: &Reading, seen: &InForce) -> String {
    let mut text = String::from("What it would do\n");
    let mut decider = Decider::new(policy.clone(), Duration::ZERO);
    let mut now = Duration::ZERO;
    let mut last = "";
    while now <= HORIZON.max(policy.interval * 2) {
        decider.note(now, reading);
        let decision = decider.decide(now, seen);
        if last != decision.reason.name() {
            last = decision.reason.name();
            let _ = match now {
                Duration::ZERO => write!(text, "  Now: {}", decision.reason),
                _ => write!(text, "  After {} like this: {}", Said(now), decision.reason),
            };
            let _ = match decision.is_write {
                true if policy.dry_run => writeln!(text, ". It would write {}.", decision.weights),
                true => writeln!(text, ". It writes {}.", decision.weights),
                false => writeln!(text, "."),
            };
        }
        if decision.is_write {
            return text;
        }
        now += policy.interval.max(Duration::from_secs(1));
    }
    let _ = writeln!(text, "  If all goes on like this, it writes nothing for {}.", Said(HORIZON));
    text
}

fn what_would_change_its_mind(policy: &PolicySettings, seen: &InForce) -> String {
    let mut text = String::from("What would change its mind\n");
    if seen.orders.pause || seen.orders.force.is_some() {
        text += "  Nothing but the annotation: take it away with kubectl annotate.\n";
        return text;
    }
    let threshold = &policy.threshold;
    let spill = &policy.spill;
    let _ = match policy.policy {
        PolicyKind::Threshold => writeln!(
            text,
            "  More than {}/s (BURST_ABOVE): all to burst. Less than {}/s (HOME_BELOW) for {} (HOME_HOLD): all home.",
            threshold.burst_above,
            threshold.home_below,
            Said(threshold.home_hold)
        ),
        PolicyKind::Spill => {
            writeln!(
                text,
                "  More than {}/s for primary, which gets {:.0} % now (CAPACITY): more to burst. A need of {} percent less for {} (SPILL_WINDOW): fewer.",
                spill.capacity,
                (1.0 - seen.weights.burst_share()) * 100.0,
                spill.spill_dead_band,
                Said(spill.spill_window)
            )
        }
    };
    let guards = &policy.guards;
    let _ = writeln!(
        text,
        "  {:.0} % of burst's requests failing (BURST_ERRORS): all home for {} (BURST_REST). An unknown rate: nothing for {} (FALLBACK_AFTER), then FALLBACK.",
        guards.burst_errors * 100.0,
        Said(guards.burst_rest),
        Said(guards.fallback_after)
    );
    text += match guards.failover {
        true => {
            "  As many of primary's requests failing: all to burst for as long, which is FAILOVER.\n"
        }
        false => "  Not primary's requests failing: FAILOVER is false.\n",
    };
    text += "A watcher that is running also knows what went before: GET /status says what it has decided, and why.\n";
    text
}

#[cfg(test)]
mod tests {
    use chassis::settings::from_arguments;
    use contract::Cluster;

    use super::*;
    use crate::{decide::Orders, weights::Weights};

    fn would_do(rate: Result<f64, &'static str>, in_force: Weights, orders: Orders) -> String {
        let config = from_arguments::<Config>(&[]).unwrap();
        let seen = InForce { weights: in_force, orders, changed_by: None };
        what_it_would_do(&config.policy, &Reading { rate, clusters: None }, &seen)
    }

    #[test]
    fn says_what_comes_if_all_goes_on() {
        let (home, burst) = (Weights::all_to(Cluster::Primary), Weights::all_to(Cluster::Burst));
        let text = would_do(Ok(20.0), home, Orders::default());
        assert!(
            text.contains(
                "Now: all to burst: 20.0/s is above 15/s. It writes primary 0, burst 100."
            ),
            "{text}"
        );
        let text = would_do(Ok(5.0), burst, Orders::default());
        assert!(
            text.contains("Now: holding: 5.0/s is below 10/s, but must be for another 10 s"),
            "{text}"
        );
        assert!(text.contains("After 30 s like this: all home: 5.0/s"), "{text}");
        let text = would_do(Err("timeout"), burst, Orders::default());
        assert!(text.contains("Now: holding: the rate has not been known"), "{text}");
        assert!(text.contains("writes nothing for 900 s"), "{text}");
        let pause = Orders { pause: true, ..Orders::default() };
        assert!(would_do(Ok(20.0), home, pause).contains("istiowatcher/pause"));
    }

    #[test]
    fn says_whether_a_primary_that_fails_would_change_its_mind() {
        let weights = Weights::all_to(Cluster::Primary);
        let seen = InForce { weights, orders: Orders::default(), changed_by: None };
        for (arguments, expected) in [
            (&[][..], "Not primary's requests failing: FAILOVER is false."),
            (&["--failover"], "As many of primary's requests failing: all to burst"),
        ] {
            let config = from_arguments::<Config>(arguments).unwrap();
            let text = what_would_change_its_mind(&config.policy, &seen);
            assert!(text.contains(expected), "{text}");
        }
    }
}
