//! Observes and writes the weights of a route, an Istio `VirtualService` or a Gateway API `HTTPRoute`, and
//! nothing else of it.
//!
//! It finds destinations by their name, never by their place. A write is a JSON Patch that tests
//! the version that was read. The rules of both kinds are one atomic list, so a merge patch or a
//! server-side apply would own the whole list.

mod error;
mod events;
mod field_manager;
mod http_route;
mod overrides;
mod patch;
mod split;
mod virtual_service;

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, SystemTime},
};

use contract::RequestsOfHour;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::{
    Api, Resource as _,
    api::{DynamicObject, Patch, PatchParams},
    core::{ApiResource, GroupVersionKind},
};
use policy::{Overrides, Weights};
use serde_json::Value;
use tokio::{sync::watch, time::timeout};

use crate::{
    api_server::ApiServer,
    burst_policy::BurstPolicy,
    config::{RouteKind, RouteSettings},
    metrics::Results,
};
pub(crate) use error::Error;
use events::EventPublisher;
pub(crate) use events::WeightsEvent;
pub(crate) use patch::WeightsPatch;
use split::{Paths, Split};

/// How long the API server may take for a write, and for the check of one: a validating webhook may be slow.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// Our name in the object's `managedFields`.
pub(crate) const FIELD_MANAGER: &str = "istiowatcher";

/// The `BurstPolicy` of a route.
pub(crate) struct PolicyHandle {
    /// Its annotations, as they are now.
    pub(crate) annotations: watch::Receiver<Arc<BTreeMap<String, String>>>,
    /// What Events are about.
    pub(crate) reference: ObjectReference,
    /// What its status says of the budget.
    pub(crate) burst_requests: Option<BurstRequests>,
}

impl PolicyHandle {
    /// A policy whose annotations do not change any more.
    pub(crate) fn as_it_is(object: &DynamicObject) -> Self {
        let annotations = Arc::new(object.metadata.annotations.clone().unwrap_or_default());
        let reference = object.object_ref(&ApiResource::erase::<BurstPolicy>(&()));
        Self { annotations: watch::channel(annotations).1, reference, burst_requests: None }
    }
}

/// The requests that burst received within an hour.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BurstRequests {
    /// The end of the hour, since 1970.
    pub(crate) at: Duration,
    pub(crate) requests: RequestsOfHour,
}

/// A client for one route.
pub(crate) struct RouteClient {
    server: ApiServer,
    settings: RouteSettings,
    /// The `BurstPolicy`, whose annotations are overrides, too; `None` without one.
    policy: Option<PolicyHandle>,
    resource: ApiResource,
    /// How long the API server may take to answer a read.
    timeout: Duration,
    events: EventPublisher,
}

/// What one observation of the object showed.
#[derive(Debug)]
pub(crate) struct ObservedRoute {
    pub(crate) weights: Weights,
    pub(crate) overrides: Overrides,
    /// What is wrong with the annotations; `None` if nothing is.
    pub(crate) invalid_overrides: Option<String>,
    /// The field manager that wrote the weights last; `None` if it is this or another watcher.
    pub(crate) manager: Option<String>,
    annotations: Option<BTreeMap<String, String>>,
    reference: ObjectReference,
    resource_version: String,
    paths: Vec<Paths>,
}

impl RouteClient {
    /// A client of a server that must answer a read within `timeout`.
    pub(crate) fn new(
        server: ApiServer,
        settings: RouteSettings,
        policy: Option<PolicyHandle>,
        timeout: Duration,
        event_results: Results,
    ) -> Self {
        let resource = resource(settings.route_kind);
        let events = EventPublisher::start(server.clone(), timeout, event_results);
        Self { server, settings, policy, resource, timeout, events }
    }

    /// Observes the weights in force and the overrides.
    pub(crate) async fn observe(&self) -> Result<ObservedRoute, Error> {
        self.observe_within(self.timeout).await
    }

    async fn observe_within(&self, limit: Duration) -> Result<ObservedRoute, Error> {
        let object = self.within(limit, async |api| api.get(&self.settings.route).await).await?;
        let manager = field_manager::of_weights(&object.metadata, self.settings.route_kind);
        let now = SystemTime::now();
        let of_policy = self.policy.as_ref().map(|policy| Arc::clone(&policy.annotations.borrow()));
        let (overrides, invalid_overrides) = overrides::merge(
            overrides::parse(of_policy.as_deref(), now),
            overrides::parse(object.metadata.annotations.as_ref(), now),
        );
        let reference = object.object_ref(&self.resource);
        let spec = object.data.get("spec").cloned().unwrap_or_default();
        let Split { weights, paths } = find_split(spec, &self.settings).map_err(Error::Unusable)?;
        let resource_version = object.metadata.resource_version.unwrap_or_default();
        Ok(ObservedRoute {
            weights,
            overrides,
            invalid_overrides,
            manager,
            annotations: object.metadata.annotations,
            reference,
            resource_version,
            paths,
        })
    }

    /// Writes weights, and the ejections that should outlive this watcher. It fails if the object has
    /// changed since the observation.
    pub(crate) async fn write(&self, patch: WeightsPatch) -> Result<(), Error> {
        self.patch(patch, false).await
    }

    /// Tries a write of the weights in force, as a dry run of the server: it shows whether the Role and
    /// the webhooks allow one.
    pub(crate) async fn check_write(&self) -> Result<(), Error> {
        let observed = self.observe_within(WRITE_TIMEOUT).await?;
        let ejections = observed.ejections();
        let result = self.patch(observed.patch(observed.weights, &ejections), true).await;
        // The object changed meanwhile, which says nothing about the right to write.
        match result {
            Err(error) if error.is_conflict() => Ok(()),
            result => result,
        }
    }

    async fn patch(&self, WeightsPatch(patch): WeightsPatch, dry_run: bool) -> Result<(), Error> {
        let patch: Patch<()> = Patch::Json(patch);
        let parameters = PatchParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            dry_run,
            ..Default::default()
        };
        let patch = async |api: Api<DynamicObject>| {
            api.patch(&self.settings.route, &parameters, &patch).await
        };
        self.within(WRITE_TIMEOUT, patch).await?;
        Ok(())
    }

    /// Waits until the API server can be asked, or until it is known why it cannot.
    pub(crate) async fn ready(&self) {
        self.server.clone().ready().await;
    }

    /// Calls the API server, which must answer within `limit`.
    async fn within<T>(
        &self,
        limit: Duration,
        call: impl AsyncFnOnce(Api<DynamicObject>) -> kube::Result<T>,
    ) -> Result<T, Error> {
        let client = self.server.client().map_err(Error::Unreachable)?;
        let api = Api::namespaced_with(client, &self.settings.namespace, &self.resource);
        let result = match timeout(limit, call(api)).await {
            Err(_) => Err(Error::Timeout(limit)),
            Ok(result) => result.map_err(Error::from),
        };
        let result = result.map_err(|error| error.through(self.server.proxy()));
        if result.as_ref().is_err_and(Error::doubts_credentials) {
            self.server.doubt();
        }
        result
    }

    /// Publishes an Event about the policy, or about the route if there is none, without waiting for it.
    pub(crate) fn publish_event(&self, observed: &ObservedRoute, event: WeightsEvent) {
        let about = self.policy.as_ref().map_or(&observed.reference, |policy| &policy.reference);
        self.events.publish(about.clone(), event);
    }
}

/// How the API server names a kind of routes.
fn resource(kind: RouteKind) -> ApiResource {
    let (group, plural) = match kind {
        RouteKind::VirtualService => ("networking.istio.io", "virtualservices"),
        RouteKind::HttpRoute => ("gateway.networking.k8s.io", "httproutes"),
    };
    let kind = GroupVersionKind::gvk(group, "v1", kind.name());
    ApiResource::from_gvk_with_plural(&kind, plural)
}

/// Finds the weights in the `spec` of a route.
fn find_split(spec: Value, settings: &RouteSettings) -> Result<Split, String> {
    let rules = match settings.route_kind {
        RouteKind::VirtualService => virtual_service::rules(spec),
        RouteKind::HttpRoute => http_route::rules(spec),
    };
    split::find(&rules.map_err(|error| format!("spec: {error}"))?, settings)
}
