//! The names of the settings: as variables, and as fields of a `BurstPolicy`.

/// Each setting of a policy: its variable, and its field in `spec`.
pub(super) const FIELDS: &[(&str, &str)] = &[
    ("ROUTE_KIND", "route.kind"),
    ("ROUTE_RULE", "route.rule"),
    ("ROUTE", "route.name"),
    ("PRIMARY_DESTINATION", "route.primaryDestination"),
    ("BURST_DESTINATION", "route.burstDestination"),
    ("INTERVAL", "interval"),
    ("SOURCE", "signal.source"),
    ("CALLERS_URL", "signal.callersURL"),
    ("CALLERS_SERIES", "signal.callersSeries"),
    ("SERIES", "signal.series"),
    ("UP_SERIES", "signal.upSeries"),
    ("CLUSTER_LABEL", "signal.clusterLabels"),
    ("PRIMARY_CLUSTER", "signal.primaryClusters"),
    ("BURST_CLUSTER", "signal.burstClusters"),
    ("QUERY", "signal.query"),
    ("CLUSTERS_QUERY", "signal.clustersQuery"),
    ("WINDOW", "signal.window"),
    ("STALE_AFTER", "signal.staleAfter"),
    ("POLICY", "policy"),
    ("CAPACITY", "capacity.requestsPerSecond"),
    ("CAPACITY_SERVICE", "capacity.service"),
    ("CAPACITY_QUERY", "capacity.query"),
    ("BURST_ABOVE", "threshold.burstAbove"),
    ("HOME_BELOW", "threshold.homeBelow"),
    ("HOME_HOLD", "threshold.homeHold"),
    ("SPILL_HEADROOM", "spill.headroom"),
    ("SPILL_MAX", "spill.max"),
    ("SPILL_PROBE", "spill.probe"),
    ("SPILL_STABILIZATION_WINDOW", "spill.stabilizationWindow"),
    ("SPILL_TOLERANCE", "spill.tolerance"),
    ("SPILL_STEP", "spill.step"),
    ("SPILL_STEP_EVERY", "spill.stepEvery"),
    ("SPILL_FLAP_BUDGET", "spill.flapBudget"),
    ("BURST_READY_QUERY", "burst.readyQuery"),
    ("BURST_READY_URL", "burst.readyURL"),
    ("BURST_STEP", "burst.step"),
    ("BURST_STEP_EVERY", "burst.stepEvery"),
    ("BURST_REQUESTS_PER_HOUR", "burst.requestsPerHour"),
    ("BURST_WEBHOOK_URL", "burst.webhookURL"),
    ("FALLBACK", "guards.fallback"),
    ("FALLBACK_AFTER", "guards.fallbackAfter"),
    ("FAILOVER", "guards.failover"),
    ("UNHEALTHY_RATIO", "guards.unhealthyRatio"),
    ("EJECTION_TIME", "guards.ejectionTime"),
    ("TRIAL_PERCENT", "guards.trialPercent"),
    ("WRITES_PER_MINUTE", "guards.writesPerMinute"),
    ("DRY_RUN", "dryRun"),
];

/// What is no setting of a policy, but in messages.
const OTHERS: &[(&str, &str)] = &[("NAMESPACE", "metadata.namespace")];

/// Values, which begin with a capital in a policy.
const VALUES: &[(&str, &str)] = &[
    ("SOURCE=callers", "signal.source: Callers"),
    ("POLICY=spill", "policy: Spill"),
    ("FAILOVER=true", "guards.failover: true"),
];

/// The same text, with the names of fields instead of those of variables.
pub(crate) fn with_fields(text: &str) -> String {
    let mut text = text.to_owned();
    for (setting, field) in VALUES {
        text = text.replace(setting, field);
    }
    let text = text.as_str();
    let is_name = |letter: char| letter.is_ascii_uppercase() || letter == '_';
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(is_name) {
        let (before, from) = rest.split_at(start);
        let end = from.find(|letter| !is_name(letter)).unwrap_or(from.len());
        let (word, after) = from.split_at(end);
        let field = FIELDS.iter().chain(OTHERS).find(|(variable, _)| *variable == word);
        result.push_str(before);
        result.push_str(field.map_or(word, |(_, field)| field));
        rest = after;
    }
    result + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manual_has_each_field() {
        let manual = include_str!("../../../../docs/burstpolicy.md");
        for (variable, field) in FIELDS {
            let row = format!("| `{field}` | `{variable}` |");
            assert!(manual.contains(&row), "{row}");
        }
    }

    #[test]
    fn variables_become_fields() {
        assert_eq!(
            with_fields("HOME_BELOW: 6; up to BURST_ABOVE, as PromQL has it in UTC"),
            "threshold.homeBelow: 6; up to threshold.burstAbove, as PromQL has it in UTC"
        );
        assert_eq!(with_fields("ROUTE"), "route.name");
    }
}
