//! `BurstPolicies`: they can be listed, watched, and their status patched.

use std::{collections::BTreeMap, convert::Infallible, time::Duration};

use axum::{
    Json,
    body::{Body, Bytes},
    extract::{Path, Query, State},
    response::{IntoResponse as _, Response},
};
use futures_util::stream;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::{FakeKubernetes, Refusal};

pub(super) const ALL: &str = "/apis/burst.istiowatcher.dev/v1alpha1/burstpolicies";
pub(super) const ONE: &str =
    "/apis/burst.istiowatcher.dev/v1alpha1/namespaces/{namespace}/burstpolicies/{name}";
pub(super) const STATUS: &str =
    "/apis/burst.istiowatcher.dev/v1alpha1/namespaces/{namespace}/burstpolicies/{name}/status";

/// How many changes a watch may be behind.
const MAX_CHANGES: usize = 10_000;

/// How often a watch looks for changes.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The policies, and their last changes.
#[derive(Default)]
pub(super) struct Policies {
    version: u64,
    objects: BTreeMap<(String, String), Value>,
    changes: Vec<(u64, Value)>,
    /// How often the status of any was patched.
    status_writes: usize,
    /// Whether the custom resource is not defined.
    is_undefined: bool,
}

impl Policies {
    fn record(&mut self, kind: &str, mut object: Value) -> Value {
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        if self.changes.len() == MAX_CHANGES {
            self.changes.remove(0);
        }
        self.changes.push((self.version, json!({"type": kind, "object": object})));
        object
    }
}

impl FakeKubernetes {
    /// Creates a policy in the namespace `default`, or gives it another `spec`.
    pub fn apply_policy(&self, name: &str, spec: Value) {
        let policies = &mut self.lock().policies;
        let key = ("default".to_owned(), name.to_owned());
        let before = policies.objects.get(&key).cloned();
        let mut object = before.clone().unwrap_or_else(|| {
            let created = 1_700_000_000 + policies.objects.len();
            let created = humantime::format_rfc3339_seconds(
                std::time::UNIX_EPOCH + Duration::from_secs(created as u64),
            );
            json!({
                "apiVersion": "burst.istiowatcher.dev/v1alpha1", "kind": "BurstPolicy",
                "metadata": {
                    "namespace": "default", "name": name, "uid": format!("uid-{name}-{created}"),
                    "generation": 0, "creationTimestamp": created.to_string(),
                },
            })
        });
        let generation = object["metadata"]["generation"].as_u64().unwrap_or(0);
        object["metadata"]["generation"] = json!(generation + 1);
        object["spec"] = spec;
        let object = policies.record(if before.is_some() { "MODIFIED" } else { "ADDED" }, object);
        policies.objects.insert(key, object);
    }

    /// Annotates a policy.
    pub fn annotate_policy(&self, name: &str, annotations: Value) {
        let policies = &mut self.lock().policies;
        let key = ("default".to_owned(), name.to_owned());
        let Some(mut object) = policies.objects.get(&key).cloned() else { return };
        object["metadata"]["annotations"] = annotations;
        let object = policies.record("MODIFIED", object);
        policies.objects.insert(key, object);
    }

    /// Deletes a policy.
    pub fn delete_policy(&self, name: &str) {
        let policies = &mut self.lock().policies;
        if let Some(object) = policies.objects.remove(&("default".to_owned(), name.to_owned())) {
            policies.record("DELETED", object);
        }
    }

    /// Deletes the definition of the custom resource, and with it all policies; or defines it again.
    pub fn define_policies(&self, is_defined: bool) {
        let policies = &mut self.lock().policies;
        policies.is_undefined = !is_defined;
        for object in std::mem::take(&mut policies.objects).into_values() {
            policies.record("DELETED", object);
        }
    }

    /// The status of a policy.
    #[must_use]
    pub fn policy_status(&self, name: &str) -> Option<Value> {
        let key = ("default".to_owned(), name.to_owned());
        self.lock().policies.objects.get(&key)?.get("status").cloned()
    }

    /// How often the status of any policy was written.
    #[must_use]
    pub fn status_writes(&self) -> usize {
        self.lock().policies.status_writes
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ListParameters {
    #[serde(default)]
    watch: bool,
    #[serde(default)]
    resource_version: String,
}

pub(super) async fn list(
    State(kubernetes): State<FakeKubernetes>,
    Query(parameters): Query<ListParameters>,
) -> Result<Response, Refusal> {
    let policies = &kubernetes.lock().policies;
    if policies.is_undefined {
        return Err(Refusal::not_found("the requested resource"));
    }
    if parameters.watch {
        let after = parameters.resource_version.parse().unwrap_or(policies.version);
        return Ok(watch(kubernetes.clone(), after));
    }
    let items: Vec<_> = policies.objects.values().cloned().collect();
    let list = json!({
        "apiVersion": "burst.istiowatcher.dev/v1alpha1", "kind": "BurstPolicyList",
        "metadata": {"resourceVersion": policies.version.to_string()}, "items": items,
    });
    Ok(Json(list).into_response())
}

/// Sends each change after a version, for as long as somebody reads.
fn watch(kubernetes: FakeKubernetes, after: u64) -> Response {
    let changes = stream::unfold(after, move |after| {
        let kubernetes = kubernetes.clone();
        async move {
            loop {
                let (text, newest) = {
                    let policies = &kubernetes.lock().policies;
                    let new = policies.changes.iter().filter(|(version, _)| after < *version);
                    let text: String = new.map(|(_, change)| format!("{change}\n")).collect();
                    (text, policies.version)
                };
                if !text.is_empty() {
                    return Some((Ok::<_, Infallible>(Bytes::from(text)), newest));
                }
                sleep(LOOK_EVERY).await;
            }
        }
    });
    Body::from_stream(changes).into_response()
}

pub(super) async fn get(
    State(kubernetes): State<FakeKubernetes>,
    Path(key): Path<(String, String)>,
) -> Result<Json<Value>, Refusal> {
    let object = kubernetes.lock().policies.objects.get(&key).cloned();
    object.map(Json).ok_or_else(|| Refusal::not_found(&format!("burstpolicies {:?}", key.1)))
}

/// Patches the status, as a merge patch that has nothing else.
pub(super) async fn patch_status(
    State(kubernetes): State<FakeKubernetes>,
    Path(key): Path<(String, String)>,
    Json(patch): Json<Value>,
) -> Result<Json<Value>, Refusal> {
    let policies = &mut kubernetes.lock().policies;
    let not_found = || Refusal::not_found(&format!("burstpolicies {:?}", key.1));
    let mut object = policies.objects.get(&key).cloned().ok_or_else(not_found)?;
    json_patch::merge(&mut object["status"], &patch["status"]);
    policies.status_writes += 1;
    let object = policies.record("MODIFIED", object);
    policies.objects.insert(key, object.clone());
    Ok(Json(object))
}
