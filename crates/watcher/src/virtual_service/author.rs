//! Who has changed an object.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta};

use super::FIELD_MANAGER;

/// How much of a manager's name is used.
const MAX_NAME: usize = 64;

/// The field manager that has last changed the object's `spec`, beside ourselves; `None` if there is no other.
pub(super) fn of(metadata: &ObjectMeta) -> Option<String> {
    let entries = metadata.managed_fields.as_deref().unwrap_or_default();
    let has_spec = |entry: &&ManagedFieldsEntry| {
        entry.fields_v1.as_ref().is_none_or(|fields| fields.0.get("f:spec").is_some())
    };
    let is_other = |entry: &&ManagedFieldsEntry| entry.manager.as_deref() != Some(FIELD_MANAGER);
    let last = entries.iter().filter(has_spec).filter(is_other).max_by_key(|entry| &entry.time);
    let manager = last.and_then(|entry| entry.manager.as_ref())?;
    Some(manager.chars().take(MAX_NAME).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[track_caller]
    fn check(managed_fields: Value, expected: Option<&str>) {
        let metadata = serde_json::from_value(json!({"managedFields": managed_fields})).unwrap();
        assert_eq!(of(&metadata).as_deref(), expected);
    }

    #[test]
    fn the_last_to_change_the_spec_is_named() {
        let entry = |manager: &str, time: &str, field: &str| {
            json!({"manager": manager, "operation": "Update", "apiVersion": "networking.istio.io/v1",
                "time": time, "fieldsType": "FieldsV1", "fieldsV1": {field: {}}})
        };
        let ours = entry("istiowatcher", "2026-11-23T12:00:00Z", "f:spec");
        let kubectl = entry("kubectl-client-side-apply", "2026-11-23T10:00:00Z", "f:spec");
        let argo = entry("argocd-controller", "2026-11-23T11:00:00Z", "f:spec");
        let label = entry("kubectl-label", "2026-11-23T11:30:00Z", "f:metadata");
        check(json!([kubectl, ours]), Some("kubectl-client-side-apply"));
        check(json!([argo, kubectl, label, ours]), Some("argocd-controller"));
        check(json!([ours]), None);
        check(json!([]), None);
    }
}
