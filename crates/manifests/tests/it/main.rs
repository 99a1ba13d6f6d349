//! The manifests agree with their types, with each other, and with the programs.
//!
//! A failure names the file, the object and the field.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

mod controller;
mod documents;
mod images;
mod mesh;
mod mesh_types;
mod pods;
mod settings;

use documents::{BURST, Documents, ISTIO, PRIMARY, WEIGHTS, folder, text};
use k8s_openapi::api::{
    apps::v1::Deployment,
    autoscaling::v2::HorizontalPodAutoscaler,
    core::v1::{Service, ServiceAccount},
    policy::v1::PodDisruptionBudget,
    rbac::v1::{PolicyRule, Role, RoleBinding},
};

#[test]
fn every_document_fits_its_type_and_names_its_namespace() {
    for path in [PRIMARY, BURST, ISTIO, WEIGHTS] {
        let documents = Documents::read(path);
        assert!(documents.len() >= 3, "{path}");
        documents.check_types("default");
    }
}

#[test]
fn kubectl_applies_every_file_of_a_folder() {
    for path in [PRIMARY, BURST, ISTIO, WEIGHTS] {
        for file in folder(path) {
            assert!(file.ends_with(".yaml"), "kubectl does not apply {path}/{file}");
            assert_ne!(file, "kustomization.yaml", "{path}: kubectl apply -f fails");
        }
    }
}

#[test]
fn both_clusters_have_the_same_services() {
    for file in ["worker-service.yaml", "redis-service.yaml"] {
        assert_eq!(
            text(&format!("{PRIMARY}/{file}")),
            text(&format!("{BURST}/{file}")),
            "k8s/{file}"
        );
    }
}

#[test]
fn the_workers_of_both_clusters_differ_only_where_they_must() {
    let mut burst: Deployment = Documents::read(BURST).get("worker-deployment");
    let primary: Deployment = Documents::read(PRIMARY).get("worker-deployment");
    let relabel = |labels: &mut std::collections::BTreeMap<String, String>| {
        let before = labels.insert("cluster-type".to_owned(), "primary-cluster".to_owned());
        assert_eq!(before.as_deref(), Some("burst-cluster"));
    };
    relabel(burst.metadata.labels.as_mut().unwrap());
    let spec = burst.spec.as_mut().unwrap();
    relabel(spec.selector.match_labels.as_mut().unwrap());
    relabel(spec.template.metadata.as_mut().unwrap().labels.as_mut().unwrap());
    let container = &mut spec.template.spec.as_mut().unwrap().containers[0];
    container.env.as_mut().unwrap().retain(|variable| variable.name != "PREFIX");
    assert_eq!(spec.replicas.take(), None, "the autoscaler sets the number");
    spec.replicas = primary.spec.as_ref().unwrap().replicas;
    assert_eq!(burst, primary);
}

#[test]
fn every_service_leads_to_a_port_of_a_pod() {
    for path in [PRIMARY, BURST] {
        let documents = Documents::read(path);
        let deployments = documents.all::<Deployment>();
        for service in documents.all::<Service>() {
            let name = service.metadata.name.clone().unwrap();
            let spec = service.spec.unwrap();
            let selector = spec.selector.unwrap();
            let chosen =
                deployments.iter().find(|deployment| pods::has_labels(deployment, &selector));
            let Some(deployment) = chosen else {
                assert_eq!((path, name.as_str()), (BURST, "redis-cache-service"), "{path}: no pod");
                continue;
            };
            let [port] = &spec.ports.unwrap()[..] else { panic!("{path}: {name} needs one port") };
            let target = format!("{:?}", port.target_port.as_ref().unwrap());
            let mut ports = pods::ports(deployment);
            // The sidecar's own port for its metrics, which only the watcher reads.
            ports.extend((name == "frontend-proxies").then(|| "15090".to_owned()));
            assert!(
                ports.iter().any(|port| target.contains(port)),
                "{path}: {name}: {target}: {ports:?}"
            );
            let protocol = port.name.as_deref().unwrap().split('-').next().unwrap();
            assert!(
                ["http", "tcp"].contains(&protocol),
                "{path}: {name}: Istio reads the port's name"
            );
        }
    }
}

#[test]
fn every_reference_to_an_object_leads_to_it() {
    for path in [PRIMARY, BURST] {
        let documents = Documents::read(path);
        let deployments = documents.all::<Deployment>();
        for deployment in &deployments {
            let template = deployment.spec.as_ref().unwrap();
            let labels = template.selector.match_labels.as_ref().unwrap();
            assert!(
                pods::has_labels(deployment, labels),
                "{path}: the selector chooses other pods"
            );
            let pod = template.template.spec.as_ref().unwrap();
            let _: ServiceAccount = documents.get(pod.service_account_name.as_deref().unwrap());
        }
        for budget in documents.all::<PodDisruptionBudget>() {
            let selector = budget.spec.unwrap().selector.unwrap().match_labels.unwrap();
            let chosen =
                deployments.iter().find(|deployment| pods::has_labels(deployment, &selector));
            let replicas =
                chosen.expect("the budget is for no pods").spec.as_ref().unwrap().replicas;
            assert!(replicas != Some(1), "{path}: a budget for one pod would only block drains");
        }
        for scaler in documents.all::<HorizontalPodAutoscaler>() {
            let spec = scaler.spec.unwrap();
            let target: Deployment = documents.get(&spec.scale_target_ref.name);
            let containers = target.spec.unwrap().template.spec.unwrap().containers;
            let measured = spec.metrics.unwrap()[0].container_resource.clone().unwrap();
            assert_eq!(measured.container, containers[0].name, "{path}");
        }
    }
}

#[test]
fn the_watcher_has_only_the_permissions_that_it_needs() {
    let documents = Documents::read(PRIMARY);
    let role: Role = documents.get("istiowatcher");
    let config = settings::watcher_config();
    let list = |items: &[&str]| items.iter().map(|&item| item.to_owned()).collect::<Vec<_>>();
    let rule = |group: &str, resource: &str, names: Option<&str>, verbs: &[&str]| PolicyRule {
        api_groups: Some(list(&[group])),
        resources: Some(list(&[resource])),
        resource_names: names.map(|name| list(&[name])),
        verbs: list(verbs),
        ..PolicyRule::default()
    };
    let service = Some(config.route.route.as_str());
    let expected = [
        rule("networking.istio.io", "virtualservices", service, &["get", "patch"]),
        rule("events.k8s.io", "events", None, &["create", "patch"]),
    ];
    assert_eq!(role.rules.as_deref(), Some(&expected[..]));

    let [binding] = &documents.all::<RoleBinding>()[..] else { panic!("one RoleBinding") };
    assert_eq!(binding.role_ref.name, "istiowatcher");
    let [subject] = &binding.subjects.as_ref().unwrap()[..] else { panic!("one subject") };
    let deployment: Deployment = documents.get("istiowatcher-deployment");
    let pod = deployment.spec.unwrap().template.spec.unwrap();
    assert_eq!(Some(&subject.name), pod.service_account_name.as_ref());
}
