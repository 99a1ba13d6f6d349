//! Finds the two weights in the `spec` of a `VirtualService`.

use contract::Cluster;
use json_patch::jsonptr::PointerBuf;
use policy::Weights;
use serde::Deserialize;

/// The paths of the weights in the object.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Paths {
    pub(super) primary: PointerBuf,
    pub(super) burst: PointerBuf,
}

/// The part of the `spec` that the watcher reads.
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

/// The names of the subsets that lead to the clusters.
#[derive(Clone, Debug)]
pub(super) struct Subsets {
    pub(super) primary: String,
    pub(super) burst: String,
}

impl Subsets {
    fn of(&self, cluster: Cluster) -> &str {
        match cluster {
            Cluster::Primary => &self.primary,
            Cluster::Burst => &self.burst,
        }
    }
}

impl Spec {
    /// Finds the routes that are split between the subsets of both clusters of one host. They must all
    /// have the same split, because the watcher moves them together.
    pub(super) fn find_split(&self, subsets: &Subsets) -> Result<(Weights, Vec<Paths>), String> {
        let mut found: Option<(Weights, Vec<Paths>)> = None;
        for (index, route) in self.http.iter().enumerate() {
            let Some((weights, paths)) = route.split(index, subsets)? else { continue };
            match &mut found {
                None => found = Some((weights, vec![paths])),
                Some((first, all)) if first.has_same_split(weights) => all.push(paths),
                Some((first, _)) => {
                    return Err(format!(
                        "spec.http: two routes are split between {} and {}, but not alike: {first}, and {weights}; the watcher moves equal splits together",
                        subsets.primary, subsets.burst
                    ));
                }
            }
        }
        found.ok_or_else(|| self.missing_split(subsets))
    }

    fn missing_split(&self, subsets: &Subsets) -> String {
        let is_missing = |cluster: &Cluster| {
            !self.http.iter().any(|route| route.find(subsets.of(*cluster)).is_some())
        };
        let missing: Vec<_> = Cluster::ALL
            .into_iter()
            .filter(is_missing)
            .map(|cluster| subsets.of(cluster))
            .collect();
        match missing.as_slice() {
            [] => format!(
                "spec.http: the subsets {} and {} are not in one route of one host",
                subsets.primary, subsets.burst
            ),
            missing => {
                format!("spec.http: no route leads to the subset {}", missing.join(" or to "))
            }
        }
    }
}

impl HttpRoute {
    /// The weights of this route, which is the one at `index`; `None` if it is not split between both
    /// clusters.
    fn split(&self, index: usize, subsets: &Subsets) -> Result<Option<(Weights, Paths)>, String> {
        let (Some(primary), Some(burst)) = (self.find(&subsets.primary), self.find(&subsets.burst))
        else {
            return Ok(None);
        };
        if self.route[primary].destination.host != self.route[burst].destination.host {
            return Ok(None);
        }
        let is_third = |(index, destination): (usize, &Destination)| {
            index != primary && index != burst && 0 < destination.weight
        };
        if self.route.iter().enumerate().any(is_third) {
            return Err(format!(
                "spec.http: the route that is split between {} and {} has a third destination with a weight; the watcher moves two",
                subsets.primary, subsets.burst
            ));
        }
        let weights =
            Weights { primary: self.route[primary].weight, burst: self.route[burst].weight };
        let path = |destination: usize| {
            let [index, destination] = [index, destination].map(|number| number.to_string());
            PointerBuf::from_tokens(["spec", "http", &index, "route", &destination, "weight"])
        };
        Ok(Some((weights, Paths { primary: path(primary), burst: path(burst) })))
    }

    fn find(&self, subset: &str) -> Option<usize> {
        self.route.iter().position(|route| route.destination.subset == subset)
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
        let subsets = Subsets { primary: "primary".to_owned(), burst: "burst".to_owned() };
        match (spec.find_split(&subsets), expected) {
            (Ok((weights, paths)), Ok((primary, burst, primary_path, burst_path))) => {
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
        check(json!([]), Err("no route leads to the subset primary or to burst"));
        check(json!([{"route": [primary]}]), Err("no route leads to the subset burst"));
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
        let spec: Spec = serde_json::from_value(json!({ "http": http })).unwrap();
        let subsets = Subsets { primary: "blue".to_owned(), burst: "green".to_owned() };
        let (weights, paths) = spec.find_split(&subsets).unwrap();
        assert!(weights.has_same_split(Weights { primary: 75, burst: 25 }));
        let paths: Vec<_> = paths.iter().map(|paths| paths.burst.as_str()).collect();
        assert_eq!(paths, ["/spec/http/0/route/1/weight", "/spec/http/2/route/1/weight"]);
    }
}
