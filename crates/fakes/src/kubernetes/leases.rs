//! Leases: as the API server does, it refuses to replace another version than the present one.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use serde_json::{Value, json};

use super::{FakeKubernetes, Refusal, stored::MAX_LEASES};

pub(super) const LEASES: &str = "/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases";

pub(super) async fn create(
    State(kubernetes): State<FakeKubernetes>,
    Json(mut lease): Json<Value>,
) -> Result<(StatusCode, Json<Value>), Refusal> {
    let leases = &mut kubernetes.lock().leases;
    let name = lease["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    if leases.contains_key(&name) || MAX_LEASES <= leases.len() {
        return Err(conflict(&name, "it exists already"));
    }
    lease["metadata"]["resourceVersion"] = json!("1");
    leases.insert(name, lease.clone());
    Ok((StatusCode::CREATED, Json(lease)))
}

pub(super) async fn read(
    State(kubernetes): State<FakeKubernetes>,
    Path((_, name)): Path<(String, String)>,
) -> Result<Json<Value>, Refusal> {
    let stored = kubernetes.lock();
    if stored.refuses_leases {
        let message =
            format!("leases.coordination.k8s.io {name:?} is forbidden: User \"u\" cannot get it");
        return Err(Refusal { status: StatusCode::FORBIDDEN, reason: "Forbidden", message });
    }
    let lease = stored.leases.get(&name).cloned();
    lease
        .map(Json)
        .ok_or_else(|| Refusal::not_found(&format!("leases.coordination.k8s.io {name:?}")))
}

pub(super) async fn replace(
    State(kubernetes): State<FakeKubernetes>,
    Path((_, name)): Path<(String, String)>,
    Json(mut lease): Json<Value>,
) -> Result<Json<Value>, Refusal> {
    let leases = &mut kubernetes.lock().leases;
    let not_found = || Refusal::not_found(&format!("leases.coordination.k8s.io {name:?}"));
    let present = leases.get_mut(&name).ok_or_else(not_found)?;
    let version = present["metadata"]["resourceVersion"].clone();
    if lease["metadata"]["resourceVersion"] != version {
        return Err(conflict(&name, "the object has been modified"));
    }
    let version: u64 = version.as_str().and_then(|text| text.parse().ok()).unwrap_or(0);
    lease["metadata"]["resourceVersion"] = json!((version + 1).to_string());
    *present = lease.clone();
    Ok(Json(lease))
}

fn conflict(name: &str, why: &str) -> Refusal {
    let message = format!("leases.coordination.k8s.io {name:?}: {why}");
    Refusal { status: StatusCode::CONFLICT, reason: "Conflict", message }
}
