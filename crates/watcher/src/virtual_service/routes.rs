//! Finds the two weights in a `VirtualService`'s `spec`.

use contract::Cluster;
use json_patch::jsonptr::PointerBuf;
use serde::Deserialize;

use crate::weights::Weights;

/// Where in the object the weights are.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Paths {
    pub(super) primary: PointerBuf,
    pub(super) burst: PointerBuf,
}

/// What matters of a `VirtualService`'s `spec`; the rest is not looked at.
#[derive(Deserialize)]
pub(super) struct Spec {
    #[serde(default)]
    http: Vec<HttpRoute>,
}

#[derive(Deserialize)]
struct HttpRoute {
    #[serde(default)]
    route: Vec<Destination>,
}

#[derive(Deserialize)]
struct Destination {
    destination: Target,
    #[serde(default)]
    weight: u32,
}

#[derive(Deserialize)]
struct Target {
    host: String,
    #[serde(default)]
    subset: String,
}

impl Spec {
    /// Finds the one route that is split between the subsets of both clusters.
    pub(super) fn split(&self) -> Result<(Weights, Paths), String> {
        let mut splits = self.http.iter().enumerate().filter_map(|(index, route)| {
            let primary = route.find(Cluster::Primary)?;
            let burst = route.find(Cluster::Burst)?;
            (route.route[primary].destination.host == route.route[burst].destination.host)
                .then_some((index, route, primary, burst))
        });
        let (index, route, primary, burst) = splits.next().ok_or_else(|| self.what_is_missing())?;
        if splits.next().is_some() {
            return Err(
                "spec.http: more than one route is split between the subsets primary and burst"
                    .into(),
            );
        }
        let is_third =
            |(at, it): (usize, &Destination)| at != primary && at != burst && 0 < it.weight;
        if route.route.iter().enumerate().any(is_third) {
            return Err(
                "spec.http: the route that is split between primary and burst has a third destination with a weight; the watcher moves two"
                    .into(),
            );
        }
        let weights =
            Weights { primary: route.route[primary].weight, burst: route.route[burst].weight };
        let path = |destination: usize| {
            let [index, destination] = [index, destination].map(|number| number.to_string());
            PointerBuf::from_tokens(["spec", "http", &index, "route", &destination, "weight"])
        };
        Ok((weights, Paths { primary: path(primary), burst: path(burst) }))
    }

    fn what_is_missing(&self) -> String {
        let lacks = |cluster: Cluster| !self.http.iter().any(|route| route.find(cluster).is_some());
        let missing: Vec<_> =
            Cluster::ALL.into_iter().filter(|it| lacks(*it)).map(Cluster::name).collect();
        match missing.as_slice() {
            [] => "spec.http: the subsets primary and burst are not in one route of one host"
                .to_owned(),
            missing => {
                format!("spec.http: no route leads to the subset {}", missing.join(" or to "))
            }
        }
    }
}

impl HttpRoute {
    fn find(&self, cluster: Cluster) -> Option<usize> {
        self.route.iter().position(|it| it.destination.subset == cluster.name())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn destination(host: &str, subset: &str, weight: Value) -> Value {
        json!({"destination": {"host": host, "subset": subset}, "weight": weight})
    }

    #[track_caller]
    fn check(http: Value, expected: Result<(u32, u32, &str, &str), &str>) {
        let spec: Spec = serde_json::from_value(json!({ "http": http })).unwrap();
        match (spec.split(), expected) {
            (Ok((weights, paths)), Ok((primary, burst, primary_path, burst_path))) => {
                assert_eq!(weights, Weights { primary, burst });
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
    fn an_unsaid_weight_is_zero() {
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
        check(json!([]), Err("no route leads to the subset primary or to burst"));
        check(json!([{"route": [primary]}]), Err("no route leads to the subset burst"));
        check(
            json!([{"route": [primary]}, {"route": [burst]}]),
            Err("not in one route of one host"),
        );
        check(json!([{"route": [primary, elsewhere]}]), Err("not in one route of one host"));
        let split = json!({"route": [primary, burst]});
        check(json!([split, split]), Err("more than one route is split"));
        let canary = |weight: u32| destination("w", "canary", json!(weight));
        let third = json!([{"route": [primary, burst, canary(20)]}]);
        check(third, Err("has a third destination with a weight"));
        let paths = ("/spec/http/0/route/0/weight", "/spec/http/0/route/1/weight");
        let third = json!([{"route": [primary, burst, canary(0)]}]);
        check(third, Ok((100, 0, paths.0, paths.1)));
    }
}
