//! Finds who changed the weights of an object.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta};

use super::FIELD_MANAGER;
use crate::config::RouteKind;

/// The longest part of a manager's name that the watcher uses, in characters.
const MAX_NAME: usize = 64;

/// Returns the field manager that wrote the weights last; `None` if it is a watcher, or unknown.
/// The rules are one atomic list, so whoever wrote it last owns it.
pub(super) fn of_weights(metadata: &ObjectMeta, kind: RouteKind) -> Option<String> {
    let list = match kind {
        RouteKind::VirtualService => "f:http",
        RouteKind::HttpRoute => "f:rules",
    };
    let entries = metadata.managed_fields.as_deref().unwrap_or_default();
    let has_rules = |entry: &&ManagedFieldsEntry| {
        entry.fields_v1.as_ref().is_some_and(|fields| !fields.0["f:spec"][list].is_null())
    };
    let last = entries.iter().filter(has_rules).max_by_key(|entry| &entry.time);
    let manager = last.and_then(|entry| entry.manager.as_ref()).filter(|name| !name.is_empty())?;
    (manager != FIELD_MANAGER).then(|| manager.chars().take(MAX_NAME).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[track_caller]
    fn check(managed_fields: Value, expected: Option<&str>) {
        let metadata = serde_json::from_value(json!({"managedFields": managed_fields})).unwrap();
        assert_eq!(of_weights(&metadata, RouteKind::VirtualService).as_deref(), expected);
    }

    #[test]
    fn the_owner_of_the_routes_is_named() {
        let entry = |manager: &str, time: &str, fields: Value| {
            json!({"manager": manager, "operation": "Update", "apiVersion": "networking.istio.io/v1",
                "time": time, "fieldsType": "FieldsV1", "fieldsV1": fields})
        };
        let (http, hosts) = (json!({"f:spec": {"f:http": {}}}), json!({"f:spec": {"f:hosts": {}}}));
        let ours = entry("istiowatcher", "2026-11-23T12:00:00Z", http.clone());
        let kubectl = entry("kubectl-client-side-apply", "2026-11-23T13:00:00Z", hosts.clone());
        let label = entry("kubectl-label", "2026-11-23T14:00:00Z", json!({"f:metadata": {}}));
        check(json!([kubectl, ours, label]), None);
        let argo = entry("argocd-controller", "2026-11-23T11:00:00Z", http);
        let ours = entry("istiowatcher", "2026-11-23T12:00:00Z", hosts);
        check(json!([argo, kubectl, label, ours]), Some("argocd-controller"));
        check(json!([ours]), None);
        check(json!([]), None);
    }
}
