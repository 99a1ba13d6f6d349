//! Reads and writes the weights of an Istio `VirtualService`, and nothing else of it.
//!
//! Routes are found by the subset they lead to, never by their place. A write is a JSON Patch that
//! tests the version that was read: `spec.http` is one atomic list, so a merge patch or a server-side
//! apply would own the whole of it.

mod author;
mod events;
mod orders;
mod routes;

use std::{env, time::Duration};

use anyhow::anyhow;
use json_patch::{
    AddOperation, Patch as JsonPatch, PatchOperation, TestOperation, jsonptr::PointerBuf,
};
use k8s_openapi::api::core::v1::ObjectReference;
use kube::{
    Api, Client, Config as ClientConfig, Resource as _,
    api::{DynamicObject, Patch, PatchParams},
    config::{KubeConfigOptions, Kubeconfig, KubeconfigError},
    core::{ApiResource, GroupVersionKind},
};
use serde_json::json;
use tokio::time::timeout;

use crate::{config::Config, decide::Orders, metrics::Results, weights::Weights};
use events::Events;
pub(crate) use events::Told;
use routes::{Paths, Spec};

/// How much of what the API server says of a refusal is repeated.
const MAX_MESSAGE: usize = 200;

/// Who we are in the object's `managedFields`.
const FIELD_MANAGER: &str = "istiowatcher";

/// One `VirtualService`, in the API server.
pub(crate) struct VirtualService {
    api: Api<DynamicObject>,
    resource: ApiResource,
    name: String,
    /// How long the API server may take to answer.
    timeout: Duration,
    events: Events,
}

/// What was read of it.
#[derive(Debug)]
pub(crate) struct Observed {
    pub(crate) weights: Weights,
    pub(crate) orders: Orders,
    /// What is wrong with the annotations.
    pub(crate) wrong_orders: Option<String>,
    /// Who has written the weights last; `None` if that was this watcher or another.
    pub(crate) manager: Option<String>,
    reference: ObjectReference,
    resource_version: String,
    paths: Paths,
}

/// Why the weights could not be read or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("the API server did not answer within {0:?}")]
    Timeout(Duration),
    #[error("the API server answered {code}: {message}{}", hint(*.code))]
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
            Self::Timeout(_) => "timeout",
            Self::Refused { code: 401, .. } => "unauthorized",
            Self::Refused { code: 403, .. } => "forbidden",
            Self::Refused { code: 404, .. } => "not_found",
            Self::Refused { code: 409, .. } => "conflict",
            Self::Refused { code: 422, .. } => "invalid",
            Self::Refused { code: 429, .. } => "too_many_requests",
            Self::Refused { code: 500.., .. } => "server_error",
            Self::Refused { .. } => "refused",
            Self::Unreachable(_) => "unreachable",
            Self::Unusable(_) => "unusable",
        }
    }

    /// Whether what was asked for may have been done in spite of it.
    pub(crate) fn is_uncertain(&self) -> bool {
        matches!(self, Self::Timeout(_) | Self::Unreachable(_))
            || matches!(self, Self::Refused { code: 500.., .. })
    }
}

/// What to do about a refusal, where that is known.
fn hint(code: u16) -> &'static str {
    match code {
        401 => "; its credentials are not, or no longer, good",
        403 => "; its Role must allow get and patch of this VirtualService",
        404 => "; apply it, or correct NAMESPACE and VIRTUAL_SERVICE",
        409 | 422 => "; it is read and decided again",
        _ => "",
    }
}

impl VirtualService {
    /// Finds the API server; does not speak to it yet.
    pub(crate) async fn new(config: &Config, events: Results) -> anyhow::Result<Self> {
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
        let client = Client::try_from(client)?;
        let kind = GroupVersionKind::gvk("networking.istio.io", "v1", "VirtualService");
        let resource = ApiResource::from_gvk(&kind);
        let api = Api::namespaced_with(client.clone(), &config.namespace, &resource);
        let (name, timeout) = (config.virtual_service.clone(), config.policy.timeout());
        Ok(Self { api, resource, name, timeout, events: Events::start(client, timeout, events) })
    }

    /// Reads the weights in force.
    pub(crate) async fn read(&self) -> Result<Observed, Error> {
        let object = self.within_time(self.api.get(&self.name)).await?;
        let manager = author::of(&object.metadata);
        let (orders, wrong_orders) = orders::of(&object.metadata);
        let reference = object.object_ref(&self.resource);
        let spec = object.data.get("spec").cloned().unwrap_or_default();
        let spec: Spec = serde_json::from_value(spec)
            .map_err(|error| Error::Unusable(format!("spec: {error}")))?;
        let (weights, paths) = spec.split().map_err(Error::Unusable)?;
        let resource_version = object.metadata.resource_version.unwrap_or_default();
        Ok(Observed { weights, orders, wrong_orders, manager, reference, resource_version, paths })
    }

    /// Writes weights over those that were observed; an object that has changed since is left alone.
    pub(crate) async fn write(&self, observed: &Observed, weights: Weights) -> Result<(), Error> {
        let patch: Patch<()> = Patch::Json(patch(observed, weights));
        let parameters =
            PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..Default::default() };
        self.within_time(self.api.patch(&self.name, &parameters, &patch)).await?;
        Ok(())
    }

    /// Tells those who look at the object what was done to it. Does not wait.
    pub(crate) fn tell(&self, observed: &Observed, told: Told) {
        self.events.tell(observed.reference.clone(), told);
    }

    async fn within_time<T>(
        &self,
        call: impl Future<Output = kube::Result<T>>,
    ) -> Result<T, Error> {
        match timeout(self.timeout, call).await {
            Err(_) => Err(Error::Timeout(self.timeout)),
            Ok(result) => result.map_err(Error::from),
        }
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

impl From<kube::Error> for Error {
    fn from(error: kube::Error) -> Self {
        if let kube::Error::Api(status) = error {
            let line = status.message.lines().next().unwrap_or_default();
            let message = line.chars().take(MAX_MESSAGE).collect();
            return Self::Refused { code: status.code, message };
        }
        Self::Unreachable(crate::what_happened(&error))
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
        let observed = Observed {
            weights,
            orders: Orders::default(),
            wrong_orders: None,
            manager: None,
            reference: ObjectReference::default(),
            resource_version: "7".to_owned(),
            paths,
        };
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
