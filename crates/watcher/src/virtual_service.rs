//! Reads and writes the weights of an Istio `VirtualService`, and nothing else of it.
//!
//! Routes are found by the subset they lead to, never by their place. A write is a JSON Patch that
//! tests the version that was read: `spec.http` is one atomic list, so a merge patch or a server-side
//! apply would own the whole of it.

use std::{env, time::Duration};

use anyhow::Context as _;
use contract::Cluster;
use json_patch::{
    AddOperation, Patch as JsonPatch, PatchOperation, TestOperation, jsonptr::PointerBuf,
};
use kube::{
    Api, Client, Config as ClientConfig,
    api::{DynamicObject, Patch, PatchParams},
    config::{KubeConfigOptions, Kubeconfig},
    core::{ApiResource, GroupVersionKind},
};
use serde::Deserialize;
use serde_json::json;
use tokio::time::timeout;

use crate::{config::Config, decide::Weights};

/// How long the API server may take to answer.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Who we are in the object's `managedFields`.
const FIELD_MANAGER: &str = "istiowatcher";

/// One `VirtualService`, in the API server.
pub(crate) struct VirtualService {
    api: Api<DynamicObject>,
    name: String,
}

/// What was read of it.
#[derive(Debug)]
pub(crate) struct Observed {
    pub(crate) weights: Weights,
    resource_version: String,
    paths: Paths,
}

/// Where in the object the weights are.
#[derive(Debug, PartialEq, Eq)]
struct Paths {
    primary: PointerBuf,
    burst: PointerBuf,
}

/// Why the weights could not be read or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("the API server did not answer within {TIMEOUT:?}")]
    Timeout,
    #[error("the API server answered {code}: {message}")]
    Refused { code: u16, message: String },
    #[error("the API server cannot be reached: {0}")]
    Unreachable(String),
    #[error("{0}")]
    Unusable(String),
}

impl Error {
    /// Its kind, as metrics name it.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Refused { .. } => "refused",
            Self::Unreachable(_) => "unreachable",
            Self::Unusable(_) => "unusable",
        }
    }
}

impl VirtualService {
    /// Finds the API server; does not speak to it yet.
    pub(crate) async fn new(config: &Config) -> anyhow::Result<Self> {
        // Fails only where it has been done before, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut client = match &config.kubeconfig {
            Some(paths) => {
                from_kubeconfig(paths).await.with_context(|| format!("KUBECONFIG: {paths}"))?
            }
            None => ClientConfig::infer()
                .await
                .context("neither a kubeconfig nor a pod's credentials")?,
        };
        // The next tick is the retry, and knows more than this one.
        client.default_retry = false;
        let kind = GroupVersionKind::gvk("networking.istio.io", "v1", "VirtualService");
        let resource = ApiResource::from_gvk(&kind);
        let api = Api::namespaced_with(Client::try_from(client)?, &config.namespace, &resource);
        Ok(Self { api, name: config.virtual_service.clone() })
    }

    /// Reads the weights in force.
    pub(crate) async fn read(&self) -> Result<Observed, Error> {
        let object = within_time(self.api.get(&self.name)).await?;
        let spec = object.data.get("spec").cloned().unwrap_or_default();
        let spec: Spec = serde_json::from_value(spec)
            .map_err(|error| Error::Unusable(format!("spec: {error}")))?;
        let (weights, paths) = spec.split().map_err(Error::Unusable)?;
        let resource_version = object.metadata.resource_version.unwrap_or_default();
        Ok(Observed { weights, resource_version, paths })
    }

    /// Writes weights over those that were observed; an object that has changed since is left alone.
    pub(crate) async fn write(&self, observed: &Observed, weights: Weights) -> Result<(), Error> {
        let patch: Patch<()> = Patch::Json(patch(observed, weights));
        let parameters =
            PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..Default::default() };
        within_time(self.api.patch(&self.name, &parameters, &patch)).await?;
        Ok(())
    }
}

async fn from_kubeconfig(paths: &str) -> anyhow::Result<ClientConfig> {
    let mut merged = Kubeconfig::default();
    for path in env::split_paths(paths).filter(|path| !path.as_os_str().is_empty()) {
        merged = merged.merge(Kubeconfig::read_from(path)?)?;
    }
    Ok(ClientConfig::from_custom_kubeconfig(merged, &KubeConfigOptions::default()).await?)
}

async fn within_time<T>(call: impl Future<Output = kube::Result<T>>) -> Result<T, Error> {
    match timeout(TIMEOUT, call).await {
        Err(_) => Err(Error::Timeout),
        Ok(Ok(value)) => Ok(value),
        Ok(Err(kube::Error::Api(status))) => {
            Err(Error::Refused { code: status.code, message: status.message.clone() })
        }
        Ok(Err(error)) => {
            let mut innermost: &dyn std::error::Error = &error;
            while let Some(source) = innermost.source() {
                innermost = source;
            }
            Err(Error::Unreachable(innermost.to_string()))
        }
    }
}

fn patch(observed: &Observed, weights: Weights) -> JsonPatch {
    let Paths { primary, burst } = &observed.paths;
    let test = |path: PointerBuf, value| PatchOperation::Test(TestOperation { path, value });
    // `add` also replaces, and so serves an object that leaves a weight of 0 unsaid.
    let add = |path: &PointerBuf, weight: u32| {
        PatchOperation::Add(AddOperation { path: path.clone(), value: json!(weight) })
    };
    let version = PointerBuf::from_tokens(["metadata", "resourceVersion"]);
    JsonPatch(vec![
        test(version, json!(observed.resource_version)),
        add(primary, weights.primary),
        add(burst, weights.burst),
    ])
}

/// What matters of a `VirtualService`'s `spec`; the rest is not looked at.
#[derive(Deserialize)]
struct Spec {
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
    fn split(&self) -> Result<(Weights, Paths), String> {
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
    use serde_json::Value;

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
    }

    #[test]
    fn patches_the_two_weights_and_nothing_else() {
        let spec: Spec = serde_json::from_value(json!({"http": [{"route": [
            destination("w", "burst", json!(0)), destination("w", "primary", json!(100)),
        ]}]}))
        .unwrap();
        let (weights, paths) = spec.split().unwrap();
        let observed = Observed { weights, resource_version: "7".to_owned(), paths };
        let patch =
            serde_json::to_value(patch(&observed, Weights::all_to(Cluster::Burst))).unwrap();
        let expected = json!([
            {"op": "test", "path": "/metadata/resourceVersion", "value": "7"},
            {"op": "add", "path": "/spec/http/0/route/1/weight", "value": 0},
            {"op": "add", "path": "/spec/http/0/route/0/weight", "value": 100},
        ]);
        assert_eq!(patch, expected);
    }
}
