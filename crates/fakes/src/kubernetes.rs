//! Stands for the API server of primary: it reads and patches routes, and stores Events and `BurstPolicies`.
//!
//! It usually starts with the `VirtualService` of `istio/`. It checks each write as Istio's webhook does, and refuses
//! the same writes.

mod leases;
mod policies;
mod stored;

use axum::{
    Json, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Path, Query, State},
    http::{HeaderMap, StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::get,
};
use serde::Deserialize;
use serde_json::{Value, json};

pub use stored::{FakeKubernetes, StoredWeights};
use stored::{MAX_EVENTS, ObjectPath};

/// The largest patch, in bytes; the API server takes 3 MiB.
const MAX_PATCH: usize = 64 * 1024;

/// A refusal, in the form of a Kubernetes `Status`.
struct Refusal {
    status: StatusCode,
    reason: &'static str,
    message: String,
}

impl Refusal {
    fn not_found(what: &str) -> Self {
        let message = format!("{what} not found");
        Self { status: StatusCode::NOT_FOUND, reason: "NotFound", message }
    }

    fn invalid(message: String) -> Self {
        Self { status: StatusCode::UNPROCESSABLE_ENTITY, reason: "Invalid", message }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let Self { status, reason, message } = self;
        let body = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": message, "reason": reason, "code": status.as_u16(),
        });
        (status, Json(body)).into_response()
    }
}

impl FakeKubernetes {
    /// Serves the API, as far as the watcher and a curious visitor need it.
    pub fn router(self) -> Router {
        let object = "/apis/{group}/v1/namespaces/{namespace}/{plural}/{name}";
        Router::new()
            .route(object, get(read).patch(patch))
            .route(EVENTS, get(list_events).post(create_event))
            .route(&format!("{EVENTS}/{{name}}"), axum::routing::patch(update_event))
            .route(leases::LEASES, axum::routing::post(leases::create))
            .route(&format!("{}/{{name}}", leases::LEASES), get(leases::read).put(leases::replace))
            .route(policies::ALL, get(policies::list))
            .route(policies::ONE, get(policies::get))
            .route(policies::STATUS, axum::routing::patch(policies::patch_status))
            .layer(DefaultBodyLimit::max(MAX_PATCH))
            .with_state(self)
    }
}

const EVENTS: &str = "/apis/events.k8s.io/v1/namespaces/{namespace}/events";

async fn list_events(State(kubernetes): State<FakeKubernetes>) -> Json<Value> {
    let items = kubernetes.events();
    Json(
        json!({"apiVersion": "events.k8s.io/v1", "kind": "EventList", "metadata": {}, "items": items}),
    )
}

async fn create_event(
    State(kubernetes): State<FakeKubernetes>,
    Json(event): Json<Value>,
) -> (StatusCode, Json<Value>) {
    let events = &mut kubernetes.lock().events;
    if MAX_EVENTS <= events.len() {
        events.remove(0);
    }
    events.push(event.clone());
    (StatusCode::CREATED, Json(event))
}

async fn update_event(
    State(kubernetes): State<FakeKubernetes>,
    Path((_, name)): Path<(String, String)>,
    Json(event): Json<Value>,
) -> Result<Json<Value>, Refusal> {
    let events = &mut kubernetes.lock().events;
    let known = events.iter_mut().find(|event| event["metadata"]["name"] == name.as_str());
    let known =
        known.ok_or_else(|| Refusal::not_found(&format!("events.events.k8s.io {name:?}")))?;
    known["series"] = event["series"].clone();
    Ok(Json(known.clone()))
}

async fn read(
    State(kubernetes): State<FakeKubernetes>,
    Path(path): Path<ObjectPath>,
) -> Result<Json<Value>, Refusal> {
    kubernetes.get(&path).map(Json)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PatchParameters {
    #[serde(default)]
    field_manager: String,
}

async fn patch(
    State(kubernetes): State<FakeKubernetes>,
    Path(path): Path<ObjectPath>,
    Query(parameters): Query<PatchParameters>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, Refusal> {
    let index = kubernetes.find(&path)?;
    let content_type =
        headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if content_type != "application/json-patch+json" {
        return Err(Refusal {
            status: StatusCode::UNSUPPORTED_MEDIA_TYPE,
            reason: "UnsupportedMediaType",
            message: format!(
                "content-type: {content_type:?}; accepted: application/json-patch+json"
            ),
        });
    }
    let patch = serde_json::from_slice(&body).map_err(|error| Refusal {
        status: StatusCode::BAD_REQUEST,
        reason: "BadRequest",
        message: format!("body: {error}"),
    })?;
    kubernetes.patch_at(index, &patch, &parameters.field_manager).map(Json)
}
