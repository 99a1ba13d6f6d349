//! The custom resource `BurstPolicy`: what one route wants of the controller, and what became of it.

mod crd;
mod fields;
mod status;
mod values;

use anyhow::Context as _;
use kube::{
    Api, CustomResource, ResourceExt as _,
    api::{ApiResource, DynamicObject},
};
use policy::PolicyKind;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use value_parsers::schema::add_rule;

use crate::{
    api_server::ApiServer,
    config::{PolicyName, RouteSettings, SourceKind, WatchSettings},
    route::Error,
};
pub use crd::crd;
pub(crate) use fields::with_fields;
pub use status::BurstPolicyStatus;
pub(crate) use status::{DecisionSummary, condition};
pub(crate) use values::check_known;

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
    printcolumn = r#"{"name":"Dry Run","type":"boolean","jsonPath":".spec.dryRun"}"#,
    printcolumn = r#"{"name":"Reason","type":"string","jsonPath":".status.reason","priority":1}"#
)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = |schema: &mut _| add_rule(
    schema,
    "self.signal.source != 'Callers' || has(self.signal.callersURL)",
    "signal.callersURL: it is missing; accepted with signal.source Callers: http://name:port/path"
))]
#[schemars(transform = |schema: &mut _| add_rule(
    schema,
    "self.signal.source != 'Callers' || has(self.signal.series) || (has(self.signal.callersSeries) && self.signal.callersSeries != '')",
    "signal.callersSeries: it is missing; signal.source Callers needs it, or signal.series"
))]
#[schemars(transform = |schema: &mut _| add_rule(
    schema,
    "self.policy != 'Spill' || (has(self.capacity) && (has(self.capacity.requestsPerSecond) || has(self.capacity.query)))",
    "capacity.requestsPerSecond: it is missing; policy Spill needs it, or capacity.query"
))]
#[schemars(transform = |schema: &mut _| add_rule(
    schema,
    "self.policy != 'Threshold' || (has(self.threshold) && has(self.threshold.burstAbove) && has(self.threshold.homeBelow))",
    "threshold.burstAbove, threshold.homeBelow: one is missing; policy Threshold needs both"
))]
#[schemars(transform = |schema: &mut _| add_rule(
    schema,
    "self.policy != 'Threshold' || !has(self.capacity) || !has(self.capacity.query) || has(self.capacity.requestsPerSecond)",
    "capacity.requestsPerSecond: it is missing; with capacity.query, the thresholds are for this capacity"
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
    /// Gets a policy from the API server, and the object that has it.
    ///
    /// # Errors
    /// When there is none, or when its settings cannot be used.
    pub(crate) async fn get(
        server: &ApiServer,
        policy: &PolicyName,
    ) -> anyhow::Result<(Self, DynamicObject)> {
        let PolicyName { namespace, name } = policy;
        let client = server.client().map_err(anyhow::Error::msg)?;
        let resource = ApiResource::erase::<BurstPolicy>(&());
        let api = Api::<DynamicObject>::namespaced_with(client, namespace, &resource);
        let object = api.get(name).await.map_err(Error::from);
        let object = object.with_context(|| format!("the BurstPolicy {namespace}/{name}"))?;
        Ok((Self::read(&object).map_err(anyhow::Error::msg)?, object))
    }

    /// Reads a policy. The schema in the cluster may be older or newer than this program.
    ///
    /// # Errors
    /// What is wrong with it, with the name of the field.
    pub(crate) fn read(object: &DynamicObject) -> Result<Self, String> {
        let spec = object.data.get("spec").unwrap_or(&Value::Null);
        values::check(spec)?;
        let BurstPolicySpec { mut route, mut watch } = serde_path_to_error::deserialize(spec)
            .map_err(|error| {
                let path = format!("spec.{}", error.path());
                format!("{}: {}", path.trim_end_matches('.'), error.inner())
            })?;
        route.namespace = object.namespace().unwrap_or_default();
        let callers = &mut watch.signal.source.callers_url;
        *callers = callers.clone().in_namespace(&route.namespace);
        let validate = || {
            route.validate()?;
            watch.validate()
        };
        validate().map_err(|error| with_fields(&error))?;
        check_required(spec, &watch)?;
        Ok(Self { route, watch })
    }
}

/// Why the controller does not follow a policy that can be used, by its status; `None` if it does.
pub(crate) fn refusal(object: &DynamicObject) -> Option<&str> {
    let status = object.data.get("status")?;
    let is_about_this = status.get("observedGeneration")?.as_i64() == object.metadata.generation;
    let reason = status.get("reason")?.as_str()?;
    let is_refused = is_about_this && ["Conflict", "TooManyPolicies"].contains(&reason);
    status.get("message")?.as_str().filter(|_| is_refused)
}

/// Checks that what only an operator knows is there. The schema asks for it, too, but not of a file.
fn check_required(spec: &Value, watch: &WatchSettings) -> Result<(), String> {
    // The API server adds the defaults, which are empty.
    let is_empty = |value: &Value| value.is_null() || value == "";
    let has = |field: &&str| {
        let value = spec.pointer(&format!("/{}", field.replace('.', "/")));
        value.is_some_and(|value| !is_empty(value))
    };
    // One of the fields is enough.
    let needs = |fields: &[&str], who: &str| {
        if fields.iter().any(has) {
            return Ok(());
        }
        Err(format!("{}: it is missing; {who} needs {}", fields[0], fields.join(" or ")))
    };
    needs(&["signal.series", "signal.query"], "a policy")?;
    if watch.signal.source.source == SourceKind::Callers {
        needs(&["signal.callersURL"], "signal.source Callers")?;
        needs(&["signal.callersSeries", "signal.series"], "signal.source Callers")?;
    }
    match watch.policy.policy {
        PolicyKind::Spill => {
            needs(&["capacity.requestsPerSecond", "capacity.query"], "policy Spill")
        }
        PolicyKind::Threshold => {
            if has(&"capacity.query") {
                needs(&["capacity.requestsPerSecond"], "policy Threshold with capacity.query")?;
            }
            needs(&["threshold.burstAbove"], "policy Threshold")?;
            needs(&["threshold.homeBelow"], "policy Threshold")
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::RouteKind;

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
    fn a_refusal_is_that_of_the_present_generation() {
        let refused = |reason: &str, observed: u32| {
            let object = json!({
                "apiVersion": "burst.istiowatcher.dev/v1alpha1",
                "kind": "BurstPolicy",
                "metadata": { "name": "a", "generation": 2 },
                "status": { "reason": reason, "message": "why", "observedGeneration": observed },
            });
            refusal(&serde_json::from_value(object).unwrap()).map(str::to_owned)
        };
        assert_eq!(refused("Conflict", 2).as_deref(), Some("why"));
        assert_eq!(refused("Conflict", 1), None);
        assert_eq!(refused("RateHigh", 2), None);
    }

    #[test]
    fn what_is_wrong_is_said_with_the_names_of_the_fields() {
        let route = json!({ "name": "cart" });
        let check = |spec: Value, expected: &str| {
            let error = read(spec).unwrap_err();
            assert!(error.contains(expected), "{error} does not say {expected:?}");
        };
        check(json!({}), "spec: missing field `route`");
        let thresholds = json!({ "burstAbove": 5, "homeBelow": 6 });
        check(
            json!({ "route": route, "threshold": thresholds }),
            "threshold.homeBelow: 6 is not accepted; accepted: up to threshold.burstAbove, which is 5",
        );
        let range = json!({ "series": "rate(a[1m])" });
        check(
            json!({ "route": route, "signal": range }),
            "signal.series: \"rate(a[1m])\" is not accepted; accepted: a PromQL selector without a",
        );
        let open = json!({ "series": "a{b=\"c\"" });
        check(json!({ "route": route, "signal": open }), "a PromQL selector without a range");
        check(
            json!({ "route": { "name": "cart", "primaryDestination": "burst" } }),
            "route.burstDestination: \"burst\" is not accepted",
        );
    }

    #[test]
    fn what_only_an_operator_knows_must_be_there() {
        for (signal, more, field) in [
            (json!({}), json!({}), "signal.series: it is missing; a policy needs"),
            (json!({ "query": "a", "source": "Callers" }), json!({}), "signal.callersURL: it is"),
            (
                json!({ "query": "a", "source": "Callers", "callersURL": "http://a/", "callersSeries": "" }),
                json!({}),
                "signal.callersSeries: it is missing; signal.source Callers needs \
                 signal.callersSeries or signal.series",
            ),
            (json!({ "query": "a" }), json!({}), "threshold.burstAbove: it is missing; policy"),
            (
                json!({ "series": "a" }),
                json!({ "capacity": { "query": "b" } }),
                "capacity.requestsPerSecond: it is missing; policy Threshold with capacity.query",
            ),
            (
                json!({ "series": "a" }),
                json!({ "policy": "Spill", "capacity": { "service": "cart" } }),
                "capacity.requestsPerSecond: it is missing; policy Spill",
            ),
        ] {
            let mut spec = json!({ "route": { "name": "cart" }, "signal": signal });
            spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            let error = read(spec).expect_err(field);
            assert!(error.starts_with(field), "{error} does not begin with {field:?}");
        }
    }
}
