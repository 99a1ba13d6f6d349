//! The rules of an `HTTPRoute` of Gateway API.

use serde::Deserialize;
use serde_json::Value;

use super::split::{Destination, Rule};

/// The part of the `spec` that the watcher reads.
#[derive(Deserialize)]
struct Spec {
    #[serde(default)]
    rules: Vec<HttpRouteRule>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct HttpRouteRule {
    #[serde(default)]
    name: String,
    #[serde(default)]
    backend_refs: Vec<BackendRef>,
}

#[derive(Deserialize)]
struct BackendRef {
    name: String,
    /// Gateway API takes a weight that is not given for 1.
    #[serde(default = "one")]
    weight: u32,
}

const fn one() -> u32 {
    1
}

/// The rules of a `spec`.
pub(super) fn rules(spec: Value) -> serde_json::Result<Vec<Rule>> {
    let spec: Spec = serde_json::from_value(spec)?;
    let rules = spec.rules.into_iter().map(|HttpRouteRule { name, backend_refs }| {
        let destinations = backend_refs.into_iter().map(Destination::from).collect();
        Rule { name, destinations }
    });
    Ok(rules.collect())
}

impl From<BackendRef> for Destination {
    fn from(BackendRef { name, weight }: BackendRef) -> Self {
        Self { name, group: String::new(), weight }
    }
}

#[cfg(test)]
mod tests {
    use chassis::settings::from_arguments;
    use policy::Weights;
    use serde_json::json;

    use super::super::{find_split, split::Split};
    use super::*;
    use crate::config::Config;

    fn find(rules: Value) -> Result<Split, String> {
        let arguments = [
            "--route-kind=HTTPRoute",
            "--primary-destination=worker",
            "--burst-destination=worker-burst",
        ];
        let settings = from_arguments::<Config>(&arguments).unwrap().route;
        find_split(json!({ "rules": rules }), &settings)
    }

    #[test]
    fn services_stand_for_the_clusters() {
        let backend = |name: &str| json!({"name": name, "port": 8080});
        let other = json!({"backendRefs": [backend("other")]});
        let mut burst = backend("worker-burst");
        burst["weight"] = json!(0);
        let rules = json!([other, {"backendRefs": [burst, backend("worker")]}]);
        let Split { weights, paths } = find(rules).unwrap();
        assert_eq!(weights, Weights { primary: 1, burst: 0 }, "a weight is 1 unless it is given");
        assert_eq!(paths[0].primary.as_str(), "/spec/rules/1/backendRefs/1/weight");
        assert_eq!(paths[0].burst.as_str(), "/spec/rules/1/backendRefs/0/weight");
    }

    #[test]
    fn says_what_is_missing_in_the_words_of_gateway_api() {
        let only = |name: &str| json!({"backendRefs": [{"name": name}]});
        let check = |rules: Value, expected: &str| assert_eq!(find(rules).unwrap_err(), expected);
        check(
            json!([]),
            "spec.rules: no rule leads to the Service worker or to worker-burst, which PRIMARY_DESTINATION and BURST_DESTINATION name; it leads to nothing",
        );
        check(
            json!([only("worker")]),
            "spec.rules: no rule leads to the Service worker-burst, which PRIMARY_DESTINATION and BURST_DESTINATION name; it leads to worker",
        );
        let apart = json!([only("worker"), only("worker-burst")]);
        check(apart, "spec.rules: worker and worker-burst are not in one rule");
    }
}
