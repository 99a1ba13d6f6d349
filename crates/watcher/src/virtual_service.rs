//! Reads and writes the weights of an Istio `VirtualService`, and nothing else of it.
//!
//! Routes are found by the subset they lead to, never by their place. A write is a JSON Patch that
//! tests the version that was read: `spec.http` is one atomic list, so a merge patch or a server-side
//! apply would own the whole of it.

mod routes;

use std::{env, time::Duration};

use anyhow::anyhow;
use json_patch::{
    AddOperation, Patch as JsonPatch, PatchOperation, TestOperation, jsonptr::PointerBuf,
};
use kube::{
    Api, Client, Config as ClientConfig,
    api::{DynamicObject, Patch, PatchParams},
    config::{KubeConfigOptions, Kubeconfig, KubeconfigError},
    core::{ApiResource, GroupVersionKind},
};
use serde_json::json;
use tokio::time::timeout;

use crate::{config::Config, decide::Weights};
use routes::{Paths, Spec};

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
        // As kubectl has it, an empty one is none.
        let mut client = match config.kubeconfig.as_deref().filter(|paths| !paths.is_empty()) {
            Some(paths) => from_kubeconfig(paths)
                .await
                .map_err(|error| anyhow!("KUBECONFIG: {paths}: {error}"))?,
            None => infer().await?,
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

/// The current context, or in a pod its own credentials.
async fn infer() -> anyhow::Result<ClientConfig> {
    let options = KubeConfigOptions::default();
    match ClientConfig::from_kubeconfig(&options).await {
        Ok(config) => Ok(config),
        Err(kubeconfig) => ClientConfig::incluster().map_err(|in_cluster| {
            anyhow!("KUBECONFIG: missing; there is no current context ({kubeconfig}), and this is no pod ({in_cluster})")
        }),
    }
}

async fn from_kubeconfig(paths: &str) -> Result<ClientConfig, KubeconfigError> {
    let mut merged = Kubeconfig::default();
    for path in env::split_paths(paths).filter(|path| !path.as_os_str().is_empty()) {
        merged = merged.merge(Kubeconfig::read_from(path)?)?;
    }
    ClientConfig::from_custom_kubeconfig(merged, &KubeConfigOptions::default()).await
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

#[cfg(test)]
mod tests {
    use contract::Cluster;

    use super::*;

    #[test]
    fn patches_the_two_weights_and_nothing_else() {
        let route = |subset: &str, weight: u32| json!({"destination": {"host": "w", "subset": subset}, "weight": weight});
        let http = json!([{"route": [route("burst", 0), route("primary", 100)]}]);
        let spec: Spec = serde_json::from_value(json!({ "http": http })).unwrap();
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
