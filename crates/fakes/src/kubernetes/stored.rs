//! The objects that the fake API server holds: routes, usually one, and their Events.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use contract::Cluster;
use json_patch::Patch;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Refusal, policies::Policies};

/// How an API server words that a JSON Patch does not fit.
const PATCH_DOES_NOT_FIT: &str = "the server rejected our request due to an error in our request";

const MANIFEST: &str = include_str!("../../../../istio/worker-virtualservice.yaml");

/// Stands for the API server of primary. The fake mesh reads the weights from it. Clones share the objects.
#[derive(Clone)]
pub struct FakeKubernetes(Arc<Mutex<Stored>>);

/// What is stored.
pub(super) struct Stored {
    /// The routes. The fake mesh follows the first.
    routes: Vec<Value>,
    /// The `BurstPolicies`.
    pub(super) policies: Policies,
    /// The Events about all, oldest first: at most [`MAX_EVENTS`].
    pub(super) events: Vec<Value>,
    /// The Leases by name: at most [`MAX_LEASES`].
    pub(super) leases: BTreeMap<String, Value>,
    /// Whether the Role allows no access to Leases.
    pub(super) refuses_leases: bool,
}

/// How many Leases are kept.
pub(super) const MAX_LEASES: usize = 16;

/// The path of an object in the API.
#[derive(Deserialize)]
pub(super) struct ObjectPath {
    group: String,
    plural: String,
    namespace: String,
    name: String,
}

/// How many Events are kept.
pub(super) const MAX_EVENTS: usize = 100;

/// The weights of the route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredWeights {
    /// The weight of the subset `primary`.
    pub primary: u64,
    /// The weight of the subset `burst`.
    pub burst: u64,
}

impl FakeKubernetes {
    /// Holds the `VirtualService` of `istio/`.
    ///
    /// # Errors
    /// When Istio would not accept that file.
    pub fn from_manifest() -> anyhow::Result<Self> {
        Self::holding(serde_saphyr::from_str(MANIFEST)?)
    }

    /// Holds an `HTTPRoute` of the same name, which leads to the Services `worker-primary` and
    /// `worker-burst`.
    ///
    /// # Errors
    /// Never: the object is always the same.
    pub fn with_http_route() -> anyhow::Result<Self> {
        let backend =
            |name: &str, weight: u64| json!({"name": name, "port": 8080, "weight": weight});
        Self::holding(json!({
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "HTTPRoute",
            "metadata": {"name": "worker-virtual-service", "namespace": "default"},
            "spec": {"rules": [{"backendRefs": [backend("worker-primary", 100), backend("worker-burst", 0)]}]},
        }))
    }

    fn holding(mut object: Value) -> anyhow::Result<Self> {
        check(&object).map_err(anyhow::Error::msg)?;
        object["metadata"]["resourceVersion"] = json!("1");
        object["metadata"]["generation"] = json!(1);
        object["metadata"]["uid"] = json!("00000000-0000-4000-8000-000000000000");
        Ok(Self(Arc::new(Mutex::new(Stored {
            routes: vec![object],
            policies: Policies::default(),
            events: Vec::new(),
            leases: BTreeMap::new(),
            refuses_leases: false,
        }))))
    }

    /// The weights in force.
    #[must_use]
    pub fn weights(&self) -> StoredWeights {
        let stored = self.lock();
        let weight = |cluster| weight(&stored.routes[0], cluster).unwrap_or(0);
        StoredWeights { primary: weight(Cluster::Primary), burst: weight(Cluster::Burst) }
    }

    /// The Events about the object, oldest first.
    #[must_use]
    pub fn events(&self) -> Vec<Value> {
        self.lock().events.clone()
    }

    /// Allows access to Leases, or refuses it.
    pub fn refuse_leases(&self, refuses: bool) {
        self.lock().refuses_leases = refuses;
    }

    /// An annotation of the object.
    #[must_use]
    pub fn annotation(&self, name: &str) -> Option<String> {
        self.lock().routes[0]["metadata"]["annotations"][name].as_str().map(str::to_owned)
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Stored> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the object, if it is of this kind and has this name.
    pub(super) fn get(&self, wanted: &ObjectPath) -> Result<Value, Refusal> {
        let index = self.find(wanted)?;
        Ok(self.lock().routes[index].clone())
    }

    /// Returns the place of a route of this kind and name.
    pub(super) fn find(&self, wanted: &ObjectPath) -> Result<usize, Refusal> {
        let ObjectPath { group, plural, namespace, name } = wanted;
        let is_wanted = |object: &Value| {
            let metadata = &object["metadata"];
            let is_of_group = object["apiVersion"] == format!("{group}/v1").as_str();
            let kind = object["kind"].as_str().unwrap_or_default();
            let is_of_kind = format!("{}s", kind.to_lowercase()) == *plural;
            let has_name =
                metadata["namespace"] == namespace.as_str() && metadata["name"] == name.as_str();
            is_of_group && is_of_kind && has_name
        };
        let index = self.lock().routes.iter().position(is_wanted);
        index.ok_or_else(|| Refusal::not_found(&format!("{plural}.{group} \"{name}\"")))
    }

    /// Adds copies of the first route, `worker-0`, `worker-1` and so on, each with a `BurstPolicy`.
    pub fn add_copies_with_policies(&self, count: u32) {
        for name in (0..count).map(|number| format!("worker-{number}")) {
            let routes = &mut self.lock().routes;
            let mut copy = routes[0].clone();
            copy["metadata"]["name"] = json!(name);
            routes.push(copy);
        }
        for name in (0..count).map(|number| format!("worker-{number}")) {
            self.apply_policy(
                &name,
                json!({
                    "route": {"name": name}, "signal": {"series": "istio_requests_total"},
                    "threshold": {"burstAbove": 15, "homeBelow": 10},
                }),
            );
        }
    }

    /// Changes the object as another field manager does.
    ///
    /// # Errors
    /// The message with which the API server refuses the change.
    pub fn change(&self, patch: Value, manager: &str) -> Result<(), String> {
        let patch = serde_json::from_value(patch).map_err(|error| error.to_string())?;
        self.patch(&patch, manager).map(|_| ()).map_err(|refusal| refusal.message)
    }

    pub(super) fn patch(&self, patch: &Patch, manager: &str) -> Result<Value, Refusal> {
        self.patch_at(0, patch, manager)
    }

    pub(super) fn patch_at(
        &self,
        index: usize,
        patch: &Patch,
        manager: &str,
    ) -> Result<Value, Refusal> {
        let object = &mut self.lock().routes[index];
        let mut patched = object.clone();
        json_patch::patch(&mut patched, patch)
            .map_err(|_| Refusal::invalid(PATCH_DOES_NOT_FIT.to_owned()))?;
        check(&patched).map_err(Refusal::invalid)?;
        if patched != *object {
            let metadata = &mut patched["metadata"];
            manage(metadata, manager);
            let next = |value: &Value| {
                value.as_str().and_then(|text| text.parse::<u64>().ok()).unwrap_or(0) + 1
            };
            metadata["resourceVersion"] = json!(next(&metadata["resourceVersion"]).to_string());
            metadata["generation"] = json!(metadata["generation"].as_u64().unwrap_or(0) + 1);
        }
        *object = patched.clone();
        Ok(patched)
    }
}

/// Records who changed the object, and when.
fn manage(metadata: &mut Value, manager: &str) {
    let manager: String = manager.chars().take(128).collect();
    let entry = json!({
        "manager": manager, "operation": "Update", "apiVersion": "networking.istio.io/v1",
        "time": humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
        "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": {"f:http": {}, "f:rules": {}}},
    });
    let managers = metadata["managedFields"].as_array().cloned().unwrap_or_default();
    let others = managers.into_iter().filter(|other| other["manager"] != entry["manager"]);
    // The list of routes is atomic: whoever writes it owns it.
    let disowned = |mut entry: Value| {
        entry["fieldsV1"] = json!({"f:spec": {"f:hosts": {}}});
        entry
    };
    let mut managers: Vec<_> = others.map(disowned).collect();
    managers.push(entry);
    // The API server keeps ten without a name of their own, too.
    let first = managers.len().saturating_sub(10);
    metadata["managedFields"] = json!(managers[first..]);
}

/// The weight of the first rule's destination in a cluster. In a `VirtualService` an unsaid weight is 0, and
/// in an `HTTPRoute` 1.
fn weight(object: &Value, cluster: Cluster) -> Option<u64> {
    let spec = &object["spec"];
    if let Some(backends) = spec["rules"][0]["backendRefs"].as_array() {
        let name = format!("worker-{cluster}");
        let backend = backends.iter().find(|backend| backend["name"] == name.as_str())?;
        return backend.get("weight").map_or(Some(1), Value::as_u64);
    }
    let route = spec["http"][0]["route"].as_array()?;
    let route = route.iter().find(|route| route["destination"]["subset"] == cluster.name())?;
    route.get("weight").map_or(Some(0), Value::as_u64)
}

fn check(object: &Value) -> Result<(), String> {
    let mut total = 0;
    for cluster in Cluster::ALL {
        total += weight(object, cluster).ok_or_else(|| {
            format!("spec: the first rule has no destination with a weight in {cluster}")
        })?;
    }
    if total == 0 { Err("spec: total destination weight = 0".to_owned()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;

    use super::*;

    fn patch(kubernetes: &FakeKubernetes, patch: Value) -> Result<Value, Refusal> {
        kubernetes.patch(&serde_json::from_value(patch).unwrap(), "test")
    }

    fn weight(index: usize, weight: i64) -> Value {
        json!({"op": "add", "path": format!("/spec/http/0/route/{index}/weight"), "value": weight})
    }

    #[test]
    fn starts_with_all_traffic_at_home() {
        let kubernetes = FakeKubernetes::from_manifest().unwrap();
        assert_eq!(kubernetes.weights(), StoredWeights { primary: 100, burst: 0 });
    }

    #[test]
    fn a_patch_changes_the_weights_and_the_version() {
        let kubernetes = FakeKubernetes::from_manifest().unwrap();
        let test = |version: &str| json!({"op": "test", "path": "/metadata/resourceVersion", "value": version});
        let patched =
            patch(&kubernetes, json!([test("1"), weight(0, 0), weight(1, 100)])).ok().unwrap();
        assert_eq!(patched["metadata"]["resourceVersion"], "2");
        assert_eq!(kubernetes.weights(), StoredWeights { primary: 0, burst: 100 });

        let refusal = patch(&kubernetes, json!([test("1"), weight(0, 100)])).err().unwrap();
        assert_eq!(refusal.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(kubernetes.weights(), StoredWeights { primary: 0, burst: 100 });
    }

    #[test]
    fn refuses_what_the_webhook_refuses() {
        let kubernetes = FakeKubernetes::from_manifest().unwrap();
        let nothing = json!({"op": "remove", "path": "/spec/http/0/route"});
        for wrong in [json!([weight(0, 0)]), json!([weight(1, -5)]), json!([nothing])] {
            let refusal = patch(&kubernetes, wrong).err().unwrap();
            assert_eq!(refusal.status, StatusCode::UNPROCESSABLE_ENTITY);
        }
        assert_eq!(kubernetes.weights(), StoredWeights { primary: 100, burst: 0 });
    }
}
