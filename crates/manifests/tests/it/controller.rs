//! The manifests of the controller.

use k8s_openapi::api::{
    apps::v1::Deployment,
    rbac::v1::{ClusterRole, Role},
};
use serde_json::Value;

use crate::documents::{Documents, PRIMARY, folder, text};

const CONTROLLER: &str = "k8s/controller";
const SYSTEM: &str = "istiowatcher-system";

fn read(files: &[&str]) -> Documents {
    Documents::read_files(files.iter().map(|file| format!("{CONTROLLER}/{file}")))
}

#[test]
fn the_definition_is_what_the_watcher_prints() {
    let file = text(&format!("{CONTROLLER}/base/burstpolicy-crd.yaml"));
    assert!(file == watcher::crd(), "write it again: cargo run --bin watcher -- crd");
}

#[test]
fn every_document_fits_its_type_and_names_its_namespace() {
    read(&["base/controller.yaml", "cluster-role.yaml"]).check_types(SYSTEM);
    read(&["namespaced/role.yaml"]).check_types("default");
}

#[test]
fn every_file_is_in_a_kustomization() {
    for (path, others) in [("base", 0), ("namespaced", 1), (".", 1)] {
        let kustomization = text(&format!("{CONTROLLER}/{path}/kustomization.yaml"));
        let kustomization: Value = serde_saphyr::from_str(&kustomization).unwrap();
        let mut resources = folder(&format!("{CONTROLLER}/{path}"));
        resources.retain(|file| file != "kustomization.yaml");
        let named = kustomization["resources"].as_array().unwrap();
        assert_eq!(named.len(), resources.len() + others, "{path}");
        for file in resources {
            assert!(named.iter().any(|name| name == file.as_str()), "{path}: {file}");
        }
    }
}

#[test]
fn both_ways_to_install_give_the_same_rights() {
    let everywhere: ClusterRole = read(&["cluster-role.yaml"]).get("istiowatcher-controller");
    let in_one: Role = read(&["namespaced/role.yaml"]).get("istiowatcher-controller");
    assert_eq!(everywhere.rules, in_one.rules);
}

#[test]
fn the_pod_is_that_of_the_watcher_of_one_route_but_for_its_name_and_its_size() {
    let mut ours: Deployment = read(&["base/controller.yaml"]).get("istiowatcher-controller");
    let mut other: Deployment = Documents::read(PRIMARY).get("istiowatcher-deployment");
    let pod = |deployment: &mut Deployment| deployment.spec.take().unwrap().template.spec.unwrap();
    let (ours, other) = (pod(&mut ours), pod(&mut other));
    assert_eq!(ours.security_context, other.security_context);
    let (ours, other) = (&ours.containers[0], &other.containers[0]);
    assert_eq!(ours.args.as_deref(), Some(&["controller".to_owned()][..]));
    assert_eq!(ours.image, other.image);
    assert_eq!(ours.security_context, other.security_context);
    assert_eq!(ours.liveness_probe, other.liveness_probe);
    assert_eq!(ours.readiness_probe, other.readiness_probe);
    assert_eq!(ours.startup_probe, other.startup_probe);
}
