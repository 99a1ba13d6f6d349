//! Every pod has few privileges, limits on its resources, and probes.

use std::collections::BTreeMap;

use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{Container, PodSpec, Probe},
};
use serde_json::{Value, json};

use crate::documents::{BURST, Documents, PRIMARY};

/// Whether the pods of a deployment have all these labels.
pub(crate) fn has_labels(deployment: &Deployment, labels: &BTreeMap<String, String>) -> bool {
    let template = deployment.spec.as_ref().unwrap().template.metadata.as_ref().unwrap();
    let own = template.labels.as_ref().unwrap();
    labels.iter().all(|(name, value)| own.get(name) == Some(value))
}

/// The names and the numbers of the ports of a deployment's pods.
pub(crate) fn ports(deployment: &Deployment) -> Vec<String> {
    let ports = container(deployment).ports.as_deref().unwrap_or_default();
    let names = ports.iter().filter_map(|port| port.name.clone());
    names.chain(ports.iter().map(|port| port.container_port.to_string())).collect()
}

/// The one container of a deployment's pods.
pub(crate) fn container(deployment: &Deployment) -> &Container {
    let [container] = &pod(deployment).containers[..] else { panic!("a pod needs one container") };
    container
}

fn pod(deployment: &Deployment) -> &PodSpec {
    deployment.spec.as_ref().unwrap().template.spec.as_ref().unwrap()
}

#[test]
fn no_pod_has_a_privilege_that_it_does_not_need() {
    for (place, deployment) in deployments() {
        let pod = pod(&deployment);
        let context = serde_json::to_value(&pod.security_context).unwrap();
        assert_eq!(context["runAsNonRoot"], true, "{place}: pod.securityContext.runAsNonRoot");
        assert!(context["runAsUser"].as_i64() > Some(0), "{place}: pod.securityContext.runAsUser");
        assert_eq!(context["seccompProfile"], json!({"type": "RuntimeDefault"}), "{place}");
        let expected = json!({
            "allowPrivilegeEscalation": false,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": true,
        });
        let context = serde_json::to_value(&container(&deployment).security_context).unwrap();
        assert_eq!(context, expected, "{place}: container.securityContext");
        let needs_a_token = place.ends_with("istiowatcher-deployment");
        assert_eq!(pod.automount_service_account_token, Some(needs_a_token), "{place}");
        assert_eq!(pod.enable_service_links, Some(false), "{place}: enableServiceLinks");
    }
}

#[test]
fn every_pod_has_limits_and_an_image_of_a_fixed_version() {
    for (place, deployment) in deployments() {
        let container = container(&deployment);
        let resources = serde_json::to_value(&container.resources).unwrap();
        for field in ["/requests/cpu", "/requests/memory", "/limits/memory"] {
            assert!(resources.pointer(field).is_some_and(Value::is_string), "{place}: {field}");
        }
        let (_, tag) = container.image.as_deref().unwrap().rsplit_once(':').expect("a tag");
        assert!(
            tag != "latest" && tag.starts_with(|first: char| first.is_ascii_digit()),
            "{place}: {tag}"
        );
        assert_eq!(container.image_pull_policy.as_deref(), Some("IfNotPresent"), "{place}");
        assert_eq!(deployment.spec.unwrap().revision_history_limit, Some(5), "{place}");
    }
}

#[test]
fn every_pod_has_all_three_probes() {
    for (place, deployment) in deployments() {
        let container = container(&deployment);
        let ports = ports(&deployment);
        let is_ours = container.image.as_deref().unwrap().starts_with("gcr.io/");
        let check = |name: &str, probe: &Option<Probe>, path: &str| {
            let probe = probe.as_ref().unwrap_or_else(|| panic!("{place}: {name}: missing"));
            let Some(http) = &probe.http_get else { return assert!(!is_ours, "{place}: {name}") };
            assert_eq!(http.path.as_deref(), Some(path), "{place}: {name}.path");
            assert!(ports.contains(&"http".to_owned()), "{place}: {name}.port");
            assert_eq!(serde_json::to_value(&http.port).unwrap(), "http", "{place}: {name}.port");
        };
        check("startupProbe", &container.startup_probe, "/");
        check("livenessProbe", &container.liveness_probe, "/");
        check("readinessProbe", &container.readiness_probe, "/_healthz");
    }
}

/// All deployments of both clusters, each with its place: the folder and the name.
pub(crate) fn deployments() -> Vec<(String, Deployment)> {
    let in_folder = |path: &'static str| {
        let deployments = Documents::read(path).all::<Deployment>();
        deployments.into_iter().map(move |deployment| {
            let name = deployment.metadata.name.clone().unwrap();
            (format!("{path}: {name}"), deployment)
        })
    };
    let all: Vec<_> = in_folder(PRIMARY).chain(in_folder(BURST)).collect();
    assert_eq!(all.len(), 5);
    all
}
