//! The rules of a `VirtualService`.

use serde::Deserialize;
use serde_json::Value;

use super::split::{Destination, Rule};

/// The part of the `spec` that the watcher reads.
#[derive(Deserialize)]
struct Spec {
    #[serde(default)]
    http: Vec<HttpRoute>,
}

#[derive(Deserialize)]
struct HttpRoute {
    #[serde(default)]
    name: String,
    #[serde(default)]
    route: Vec<Weighted>,
}

#[derive(Deserialize)]
struct Weighted {
    destination: Target,
    /// Istio leaves a weight of 0 out.
    #[serde(default)]
    weight: u32,
}

#[derive(Deserialize)]
struct Target {
    host: String,
    #[serde(default)]
    subset: String,
}

/// The rules of a `spec`.
pub(super) fn rules(spec: Value) -> serde_json::Result<Vec<Rule>> {
    let spec: Spec = serde_json::from_value(spec)?;
    let rules = spec.http.into_iter().map(|HttpRoute { name, route }| {
        let destinations = route.into_iter().map(Destination::from).collect();
        Rule { name, destinations }
    });
    Ok(rules.collect())
}

impl From<Weighted> for Destination {
    fn from(weighted: Weighted) -> Self {
        let Weighted { destination: Target { host, subset }, weight } = weighted;
        if subset.is_empty() {
            return Self { name: host, group: String::new(), weight };
        }
        Self { name: subset, group: host, weight }
    }
}

#[cfg(test)]
mod tests {
    use chassis::settings::from_arguments;
    use serde_json::{Value, json};

    use super::super::{find_split, split::Split};
    use crate::config::Config;

    use policy::Weights;

    fn find(http: Value, arguments: &[&str]) -> Result<Split, String> {
        let settings = from_arguments::<Config>(arguments).unwrap().route;
        find_split(json!({ "http": http }), &settings)
    }

    fn destination(host: &str, subset: &str, weight: Value) -> Value {
        json!({"destination": {"host": host, "subset": subset}, "weight": weight})
    }

    #[track_caller]
    fn check(http: Value, expected: Result<(u32, u32, &str, &str), &str>) {
        match (find(http, &[]), expected) {
            (Ok(Split { weights, paths }), Ok((primary, burst, primary_path, burst_path))) => {
                assert_eq!(weights, Weights { primary, burst });
                let [paths] = &paths[..] else { panic!("{paths:?}") };
                assert_eq!(
                    (paths.primary.as_str(), paths.burst.as_str()),
                    (primary_path, burst_path)
                );
            }
            (Err(error), Err(part)) => {
                assert!(error.contains(part), "{error} does not say {part:?}")
            }
            (actual, expected) => panic!("{actual:?} instead of {expected:?}"),
        }
    }

    #[test]
    fn finds_routes_by_subset_wherever_they_are() {
        let primary = destination("w", "primary", json!(90));
        let burst = destination("w", "burst", json!(10));
        let paths = ("/spec/http/0/route/0/weight", "/spec/http/0/route/1/weight");
        check(json!([{"route": [primary, burst]}]), Ok((90, 10, paths.0, paths.1)));
        check(json!([{"route": [burst, primary]}]), Ok((90, 10, paths.1, paths.0)));
        let other = json!({"route": [destination("w", "canary", json!(100))]});
        let split = json!({"route": [primary, burst]});
        let paths = ("/spec/http/1/route/0/weight", "/spec/http/1/route/1/weight");
        check(json!([other, split]), Ok((90, 10, paths.0, paths.1)));
    }

    #[test]
    fn an_omitted_weight_is_zero() {
        let burst = json!({"destination": {"host": "w", "subset": "burst"}});
        let paths = ("/spec/http/0/route/0/weight", "/spec/http/0/route/1/weight");
        let primary = destination("w", "primary", json!(100));
        check(json!([{"route": [primary, burst]}]), Ok((100, 0, paths.0, paths.1)));
    }

    #[test]
    fn says_what_is_missing() {
        let primary = destination("w", "primary", json!(100));
        let burst = destination("w", "burst", json!(0));
        let elsewhere = destination("other", "burst", json!(0));
        check(json!([]), Err("no route leads to the subset or host primary or to burst"));
        check(json!([{"route": [primary]}]), Err("no route leads to the subset or host burst"));
        check(
            json!([{"route": [primary]}, {"route": [burst]}]),
            Err("not in one route of one host"),
        );
        check(json!([{"route": [primary, elsewhere]}]), Err("not in one route of one host"));
        let split = json!({"route": [primary, burst]});
        let other = json!({"route": [destination("w", "primary", json!(50)), destination("w", "burst", json!(50))]});
        check(json!([split, other]), Err("but not alike"));
        let canary = |weight: u32| destination("w", "canary", json!(weight));
        let third = json!([{"route": [primary, burst, canary(20)]}]);
        check(third, Err("has a third destination with a weight"));
        let paths = ("/spec/http/0/route/0/weight", "/spec/http/0/route/1/weight");
        let third = json!([{"route": [primary, burst, canary(0)]}]);
        check(third, Ok((100, 0, paths.0, paths.1)));
    }

    #[test]
    fn equal_splits_are_found_together() {
        let split = |primary: u32, burst: u32| json!({"route": [destination("w", "blue", json!(primary)), destination("w", "green", json!(burst))]});
        let pinned = json!({"route": [destination("w", "blue", json!(100))]});
        let http = json!([split(3, 1), pinned, split(75, 25)]);
        let arguments = ["--primary-destination=blue", "--burst-destination=green"];
        let Split { weights, paths } = find(http, &arguments).unwrap();
        assert!(weights.has_same_split(Weights { primary: 75, burst: 25 }));
        let paths: Vec<_> = paths.iter().map(|paths| paths.burst.as_str()).collect();
        assert_eq!(paths, ["/spec/http/0/route/1/weight", "/spec/http/2/route/1/weight"]);
    }

    #[test]
    fn hosts_of_their_own_may_stand_for_the_clusters() {
        let host =
            |host: &str, weight: u32| json!({"destination": {"host": host}, "weight": weight});
        let http = json!([{"route": [host("w.burst.example", 20), host("w.example", 80)]}]);
        let arguments = ["--primary-destination=w.example", "--burst-destination=w.burst.example"];
        let Split { weights, paths } = find(http, &arguments).unwrap();
        assert_eq!(weights, Weights { primary: 80, burst: 20 });
        assert_eq!(paths[0].burst.as_str(), "/spec/http/0/route/0/weight");
    }

    #[test]
    fn a_rule_can_be_chosen_by_its_name() {
        let split = |name: &str, burst: u32| {
            let route = [
                destination("w", "primary", json!(100 - burst)),
                destination("w", "burst", json!(burst)),
            ];
            json!({"name": name, "route": route})
        };
        let http = json!([split("read", 10), split("write", 0)]);
        let Split { weights, paths } = find(http.clone(), &["--route-rule=read"]).unwrap();
        assert_eq!((weights.burst, paths.len()), (10, 1));
        let error = find(http, &["--route-rule=other"]).unwrap_err();
        assert_eq!(error, "spec.http: no route has the name other, which ROUTE_RULE names");
    }
}
