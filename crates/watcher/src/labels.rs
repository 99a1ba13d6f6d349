//! What the labels of a series say: which cluster it counts, and whether the requests failed.

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash as _, Hasher as _},
};

use contract::Cluster;
use policy::RequestClass;

use crate::config::QuerySettings;

/// The labels of a series.
pub(crate) type Labels = BTreeMap<String, String>;

/// The labels that hold the HTTP status, of Istio, of Envoy, of Linkerd, and of others; the first that a
/// series has counts.
const CODE_LABELS: [&str; 6] =
    ["response_code", "envoy_response_code", "http_status", "status_code", "status", "code"];

/// The labels that hold the status of gRPC, of Istio and of Linkerd.
const GRPC_LABELS: [&str; 2] = ["grpc_response_status", "grpc_status"];

/// The statuses of gRPC with which a server fails, as numbers and as names. The others are the caller's, or
/// part of the protocol.
const GRPC_FAILURES: [&str; 10] = [
    "2",
    "4",
    "13",
    "14",
    "15",
    "UNKNOWN",
    "DEADLINE_EXCEEDED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
];

/// Identifies labels.
pub(crate) fn hash<'a>(labels: impl Iterator<Item = (&'a String, &'a String)>) -> u64 {
    let mut hasher = DefaultHasher::new();
    for label in labels {
        label.hash(&mut hasher);
    }
    hasher.finish()
}

/// The name of the cluster that a series counts; `None` if it has none of the labels.
pub(crate) fn cluster_name<'a>(labels: &'a Labels, settings: &QuerySettings) -> Option<&'a str> {
    settings.cluster_label.iter().find_map(|name| labels.get(name)).map(String::as_str)
}

/// What a series counts.
pub(crate) fn class(labels: &Labels, settings: &QuerySettings) -> RequestClass {
    let first =
        |names: &[&str]| names.iter().find_map(|name| labels.get(*name)).map_or("", String::as_str);
    let has = |names: &[String], name: &str| names.iter().any(|one| one == name);
    let cluster = match cluster_name(labels, settings) {
        Some(name) if has(&settings.primary_cluster, name) => Some(Cluster::Primary),
        Some(name) if has(&settings.burst_cluster, name) => Some(Cluster::Burst),
        _ => None,
    };
    // Envoy reports code 0 for a request without an answer. If the client left, that is no failure of
    // the cluster.
    let has_client_left =
        first(&["response_flags"]).split(',').any(|flag| flag == "DC" || flag == "DR");
    let is_http_failure = match first(&CODE_LABELS).as_bytes() {
        [b'5', ..] => true,
        b"0" => !has_client_left,
        _ => false,
    };
    let is_grpc_failure = GRPC_FAILURES.contains(&first(&GRPC_LABELS));
    RequestClass { cluster, is_failure: is_http_failure || is_grpc_failure }
}

#[cfg(test)]
mod tests {
    use chassis::settings::from_arguments;

    use super::*;
    use crate::Config;

    #[track_caller]
    fn check(labels: &[(&str, &str)], cluster: Option<Cluster>, is_failure: bool) {
        let arguments = ["--burst-cluster=cloud,b|w", "--cluster-label=destination_cluster,to"];
        let settings = from_arguments::<Config>(&arguments).unwrap().watch.signal.query;
        let labels = labels.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        let class = class(&labels.collect(), &settings);
        assert_eq!((class.cluster, class.is_failure), (cluster, is_failure));
    }

    #[test]
    fn clusters_have_the_names_of_the_settings() {
        check(&[("destination_cluster", "primary")], Some(Cluster::Primary), false);
        check(&[("destination_cluster", "cloud")], Some(Cluster::Burst), false);
        check(&[("destination_cluster", "burst")], None, false);
        check(&[("destination_cluster", "unknown")], None, false);
        check(&[("to", "b|w")], Some(Cluster::Burst), false);
        check(
            &[("destination_cluster", "primary"), ("to", "cloud")],
            Some(Cluster::Primary),
            false,
        );
        check(&[], None, false);
    }

    #[test]
    fn a_failure_is_the_clusters_and_not_the_clients() {
        check(&[("response_code", "200")], None, false);
        check(&[("response_code", "404")], None, false);
        check(&[("response_code", "503")], None, true);
        check(&[("response_code", "0")], None, true);
        check(&[("http_status", "502")], None, true);
        check(&[("code", "500")], None, true);
        check(&[("grpc_status", "UNAVAILABLE")], None, true);
        check(&[("grpc_status", "NOT_FOUND")], None, false);
        check(&[("response_code", "0"), ("response_flags", "UF,URX")], None, true);
        check(&[("response_code", "0"), ("response_flags", "DC")], None, false);
        for (status, is_failure) in [("0", false), ("5", false), ("14", true), ("2", true)] {
            let labels = [("response_code", "200"), ("grpc_response_status", status)];
            check(&labels, None, is_failure);
        }
    }
}
