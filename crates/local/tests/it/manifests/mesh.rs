//! The mesh's configuration agrees with the pods, the Services and what the programs ask for.

use std::{collections::BTreeSet, time::Duration};

use contract::Cluster;
use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{Service, ServiceAccount},
};
use serde_json::json;

use super::{
    documents::{BURST, Documents, ISTIO, PRIMARY, WEIGHTS, folder},
    mesh_types::{
        AuthorizationPolicy, Destination, DestinationRule, Gateway, PeerAuthentication,
        VirtualService,
    },
    pods, settings,
};

const WORKER_SERVICE: &str = "worker-service.default.svc.cluster.local";

#[test]
fn every_route_leads_to_a_port_of_a_service() {
    let (mesh, pods) = (Documents::read(ISTIO), Documents::read(PRIMARY));
    for service in mesh.all::<VirtualService>() {
        let name = service.metadata.name.unwrap();
        let tcp = service.spec.tcp.into_iter().flatten().flat_map(|it| it.route);
        let http = service.spec.http.into_iter().flatten().flat_map(|it| it.route);
        for Destination { host, port, .. } in http.chain(tcp).map(|route| route.destination) {
            let target = service_of(&pods, &host);
            let ports = target.spec.unwrap().ports.unwrap();
            assert!(
                ports.iter().any(|it| it.port == port.number),
                "{name}: {host}: {}",
                port.number
            );
        }
        for gateway in service.spec.gateways.into_iter().flatten() {
            let gateway: Gateway = mesh.get(&gateway);
            assert_eq!(gateway.spec.selector["istio"], "ingressgateway", "as Istio labels it");
        }
        for host in service.spec.hosts.iter().filter(|host| *host != "*") {
            service_of(&pods, host);
        }
    }
    for rule in mesh.all::<DestinationRule>() {
        service_of(&pods, &rule.spec.host);
    }
}

#[test]
fn each_subset_is_the_workers_of_its_cluster() {
    let mesh = Documents::read(ISTIO);
    let rule: DestinationRule = mesh.get("worker-destination-rule");
    let subsets = rule.spec.subsets.unwrap();
    let names: Vec<_> = subsets.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, Cluster::ALL.map(Cluster::name));
    for (subset, path) in subsets.iter().zip([PRIMARY, BURST]) {
        for (other, deployment) in pods::deployments() {
            let expected = other == format!("{path}: worker-deployment");
            assert_eq!(
                pods::has_labels(&deployment, &subset.labels),
                expected,
                "{} {other}",
                subset.name
            );
        }
    }

    let routes = routes(&mesh);
    let weighted: Vec<_> =
        routes.iter().map(|it| (it.destination.subset.as_deref().unwrap(), it.weight)).collect();
    assert_eq!(weighted, [("primary", Some(100)), ("burst", Some(0))]);
    assert!(routes.iter().all(|it| it.destination.host == rule.spec.host));
}

#[test]
fn the_watcher_moves_what_it_counts() {
    let config = settings::of_the_watcher();
    let mesh = Documents::read(ISTIO);
    let service: VirtualService = mesh.get(&config.virtual_service);
    assert_eq!(service.metadata.namespace.as_deref(), Some(config.namespace.as_str()));
    let pods = Documents::read(PRIMARY);
    for query in [&config.policy.query.query, &config.policy.query.clusters_query] {
        let label = |name: &str| {
            let start = format!("{name}=\"");
            query.split_once(&start).unwrap().1.split('"').next().unwrap()
        };
        assert_eq!(label("destination_service"), service.spec.hosts[0]);
        let frontend: Deployment = pods.get(label("source_workload"));
        assert_eq!(
            frontend.metadata.namespace.as_deref(),
            Some(label("source_workload_namespace"))
        );
    }
    let frontend: Deployment = pods.get("frontend-deployment");
    let labels = frontend.spec.unwrap().template.metadata.unwrap().labels.unwrap();
    assert!(
        config.policy.query.up_query.contains(&format!("app=\"{}\"", labels["app"])),
        "UP_QUERY"
    );
}

#[test]
fn a_cluster_that_is_cut_off_costs_a_caller_two_seconds() {
    let mesh = Documents::read(ISTIO);
    let service: VirtualService = mesh.get("worker-virtual-service");
    let [http] = &service.spec.http.unwrap()[..] else { panic!("one route") };
    let timeout = humantime::parse_duration(http.timeout.as_deref().unwrap()).unwrap();
    assert_eq!(timeout, local::mesh::ROUTE_TIMEOUT, "the demo's mesh");
    assert!(timeout <= Duration::from_secs(2));
    assert!(timeout < frontend::REQUEST_TIMEOUT, "the mesh counts only what it ends itself");

    let retries = http.retries.as_ref().unwrap();
    assert_eq!(retries["retryOn"], "connect-failure,refused-stream", "never what may be worked on");
    let rule: DestinationRule = mesh.get("worker-destination-rule");
    let connect = &rule.spec.traffic_policy["connectionPool"]["tcp"]["connectTimeout"];
    let connect = humantime::parse_duration(connect.as_str().unwrap()).unwrap();
    assert_eq!(connect, local::mesh::CONNECT_TIMEOUT, "the demo's mesh");
    let attempts = 1 + u32::try_from(retries["attempts"].as_u64().unwrap()).unwrap();
    assert!(connect * attempts < timeout, "there is time to try elsewhere");
}

#[test]
fn only_those_who_need_it_may_speak_to_a_pod() {
    let mesh = Documents::read(ISTIO);
    let [peers] = &mesh.all::<PeerAuthentication>()[..] else { panic!("one PeerAuthentication") };
    assert_eq!(peers.spec.mtls, json!({"mode": "STRICT"}));

    let mut guarded = BTreeSet::new();
    for policy in mesh.all::<AuthorizationPolicy>() {
        let name = policy.metadata.name.unwrap();
        assert_eq!(policy.spec.action, "ALLOW", "{name}");
        let labels = policy.spec.selector.match_labels;
        let chosen: Vec<_> = pods::deployments()
            .into_iter()
            .filter(|(_, it)| pods::has_labels(it, &labels))
            .collect();
        assert!(!chosen.is_empty(), "{name}: {labels:?}: no pod");
        let [rule] = &policy.spec.rules[..] else { panic!("{name}: one rule") };
        for (place, deployment) in chosen {
            let port = rule.to[0].operation["ports"][0].as_str().unwrap().to_owned();
            assert!(pods::ports(&deployment).contains(&port), "{name}: {place}: {port}");
            guarded.insert(place);
        }
        for principal in rule.from.iter().flat_map(|from| &from.source.principals) {
            let parts: Vec<_> = principal.split('/').collect();
            let ["cluster.local", "ns", namespace, "sa", account] = parts[..] else {
                panic!("{name}: {principal}")
            };
            if namespace == "default" {
                let _: ServiceAccount = Documents::read(PRIMARY).get(account);
            } else {
                assert_eq!((namespace, name.as_str()), ("istio-system", "frontend"), "{principal}");
            }
        }
    }
    assert_eq!(guarded.len(), pods::deployments().len(), "{guarded:?}");
}

#[test]
fn the_weights_for_checks_by_hand_differ_in_their_weights_only() {
    let own: VirtualService = Documents::read(ISTIO).get("worker-virtual-service");
    let files = folder(WEIGHTS);
    assert_eq!(files, ["burst.yaml", "even.yaml", "natural.yaml"]);
    let all = Documents::read(WEIGHTS).all::<VirtualService>();
    for (mut service, weights) in all.into_iter().zip([[0, 100], [50, 50], [100, 0]]) {
        let http = &mut service.spec.http.as_mut().unwrap()[0];
        let found: Vec<_> = http.route.iter().map(|route| route.weight.unwrap()).collect();
        assert_eq!(found, weights);
        http.route[0].weight = Some(100);
        http.route[1].weight = Some(0);
        assert_eq!(service, own);
    }
}

fn routes(mesh: &Documents) -> Vec<super::mesh_types::Route> {
    let service: VirtualService = mesh.get("worker-virtual-service");
    assert_eq!(service.spec.hosts, [WORKER_SERVICE]);
    service.spec.http.unwrap().remove(0).route
}

/// The Service of a host's full name.
fn service_of(documents: &Documents, host: &str) -> Service {
    let name = host.strip_suffix(".default.svc.cluster.local");
    documents.get(name.unwrap_or_else(|| panic!("{host}: not the full name of a Service")))
}
