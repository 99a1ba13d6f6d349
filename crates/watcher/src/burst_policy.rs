//! The custom resource `BurstPolicy`: what one route wants of the controller, and what became of it.

mod crd;
mod fields;
mod status;

use kube::{CustomResource, ResourceExt as _, api::DynamicObject};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use value_parsers::schema::add_rule;

use crate::config::{RouteSettings, WatchSettings};
pub use crd::crd;
pub use status::BurstPolicyStatus;
pub(crate) use status::{DecisionSummary, condition};

/// One service whose traffic bursts: its route, where its traffic is seen, and how it is decided.
#[derive(CustomResource, Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "burst.istiowatcher.dev",
    version = "v1alpha1",
    kind = "BurstPolicy",
    namespaced,
    status = "BurstPolicyStatus",
    shortname = "bp",
    doc = "Moves the traffic of one route to a second cluster when the first cannot carry it, and home again",
    printcolumn = r#"{"name":"Route","type":"string","jsonPath":".spec.route.name"}"#,
    printcolumn = r#"{"name":"Rate","type":"string","jsonPath":".status.rate"}"#,
    printcolumn = r#"{"name":"Capacity","type":"string","jsonPath":".status.capacity"}"#,
    printcolumn = r#"{"name":"Primary %","type":"integer","jsonPath":".status.primaryPercent"}"#,
    printcolumn = r#"{"name":"Burst %","type":"integer","jsonPath":".status.burstPercent"}"#,
    printcolumn = r#"{"name":"State","type":"string","jsonPath":".status.state"}"#,
    printcolumn = r#"{"name":"Since","type":"date","jsonPath":".status.since"}"#,
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Reason","type":"string","jsonPath":".status.reason","priority":1}"#
)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = |schema: &mut _| add_rule(
    schema,
    "self.signal.source != 'Callers' || has(self.signal.callersURL)",
    "signal.callersURL: it is missing; accepted with signal.source Callers: http://name:port/path"
))]
pub struct BurstPolicySpec {
    /// The route whose weights the watcher moves
    pub route: RouteSettings,

    /// How the watcher observes and decides
    #[serde(flatten)]
    pub watch: WatchSettings,
}

/// A policy whose settings can be used.
#[derive(Clone, Debug)]
pub(crate) struct ValidPolicy {
    pub(crate) route: RouteSettings,
    pub(crate) watch: WatchSettings,
}

impl ValidPolicy {
    /// Reads a policy, of whatever version of the schema.
    ///
    /// # Errors
    /// What is wrong with it, with the name of the field.
    pub(crate) fn read(object: &DynamicObject) -> Result<Self, String> {
        let spec = object.data.get("spec").cloned().unwrap_or_default();
        let BurstPolicySpec { mut route, mut watch } = serde_path_to_error::deserialize(spec)
            .map_err(|error| format!("spec.{}: {}", error.path(), error.inner()))?;
        route.namespace = object.namespace().unwrap_or_default();
        let callers = &mut watch.signal.source.callers_url;
        *callers = callers.clone().in_namespace(&route.namespace);
        let validate = || {
            route.validate()?;
            watch.validate()
        };
        validate().map_err(|error| fields::with_fields(&error))?;
        Ok(Self { route, watch })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::config::{RouteKind, SourceKind};

    fn read(spec: Value) -> Result<ValidPolicy, String> {
        let object = json!({
            "apiVersion": "burst.istiowatcher.dev/v1alpha1",
            "kind": "BurstPolicy",
            "metadata": { "name": "a", "namespace": "shop" },
            "spec": spec,
        });
        ValidPolicy::read(&serde_json::from_value(object).unwrap())
    }

    #[test]
    fn a_short_policy_has_the_defaults_of_the_flags() {
        let policy = read(json!({
            "route": { "kind": "HTTPRoute", "name": "cart" },
            "signal": { "series": "requests_total{app=\"cart\"}" },
            "policy": "Spill",
            "capacity": { "requestsPerSecond": 40 },
            "spill": { "stepEvery": "1m30s" },
        }));
        let ValidPolicy { route, watch } = policy.unwrap();
        assert_eq!((route.namespace.as_str(), route.route_kind), ("shop", RouteKind::HttpRoute));
        assert_eq!(watch.signal.source.source, SourceKind::Prometheus);
        assert_eq!(watch.policy.capacity.capacity, 40.0);
        assert_eq!(watch.policy.spill.spill_step_every.as_secs(), 90);
        let defaults = WatchSettings::default();
        assert_eq!(watch.interval, defaults.interval);
        assert_eq!(watch.policy.spill.spill_max, defaults.policy.spill.spill_max);
    }

    #[test]
    fn what_is_wrong_is_said_with_the_names_of_the_fields() {
        let route = json!({ "name": "cart" });
        let check = |spec: Value, expected: &str| {
            let error = read(spec).unwrap_err();
            assert!(error.contains(expected), "{error} does not say {expected:?}");
        };
        check(json!({}), "spec.");
        let thresholds = json!({ "burstAbove": 5, "homeBelow": 6 });
        check(
            json!({ "route": route, "threshold": thresholds }),
            "threshold.homeBelow: 6 is not accepted; accepted: up to threshold.burstAbove, which is 5",
        );
        let range = json!({ "series": "rate(a[1m])" });
        check(json!({ "route": route, "signal": range }), "accepted: a PromQL selector without a");
        check(
            json!({ "route": { "name": "cart", "primaryDestination": "burst" } }),
            "route.burstDestination: \"burst\" is not accepted",
        );
    }
}
