//! The mesh's configuration agrees with the pods, the Services and the programs.

use std::{collections::BTreeSet, time::Duration};

use contract::Cluster;
use k8s_openapi::{
    api::{
        apps::v1::Deployment,
        core::v1::{Service, ServiceAccount},
        networking::v1::{NetworkPolicy, NetworkPolicyIngressRule, NetworkPolicyPeer},
    },
    apimachinery::pkg::util::intstr::IntOrString,
};
use serde_json::json;

use crate::{
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
        let tcp = service.spec.tcp.into_iter().flatten().flat_map(|rule| rule.route);
        let http = service.spec.http.into_iter().flatten().flat_map(|rule| rule.route);
        for Destination { host, port, .. } in http.chain(tcp).map(|route| route.destination) {
            let target = service_with_host(&pods, &host);
            let ports = target.spec.unwrap().ports.unwrap();
            assert!(
                ports.iter().any(|own| own.port == port.number),
                "{name}: {host}: {}",
                port.number
            );
        }
        for gateway in service.spec.gateways.into_iter().flatten() {
            let gateway: Gateway = mesh.get(&gateway);
            assert_eq!(gateway.spec.selector["istio"], "ingressgateway", "as Istio labels it");
        }
        for host in service.spec.hosts.iter().filter(|host| *host != "*") {
            service_with_host(&pods, host);
        }
    }
    for rule in mesh.all::<DestinationRule>() {
        service_with_host(&pods, &rule.spec.host);
    }
}

#[test]
fn each_subset_selects_the_workers_of_its_cluster() {
    let mesh = Documents::read(ISTIO);
    let rule: DestinationRule = mesh.get("worker-destination-rule");
    let subsets = rule.spec.subsets.unwrap();
    let names: Vec<_> = subsets.iter().map(|subset| subset.name.as_str()).collect();
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
    let weighted: Vec<_> = routes
        .iter()
        .map(|route| (route.destination.subset.as_deref().unwrap(), route.weight))
        .collect();
    assert_eq!(weighted, [("primary", Some(100)), ("burst", Some(0))]);
    assert!(routes.iter().all(|route| route.destination.host == rule.spec.host));
}

#[test]
fn the_watchers_queries_count_the_traffic_whose_weights_it_moves() {
    let config = settings::watcher_config();
    let mesh = Documents::read(ISTIO);
    let service: VirtualService = mesh.get(&config.route.route);
    assert_eq!(service.metadata.namespace.as_deref(), Some(config.route.namespace.as_str()));
    let pods = Documents::read(PRIMARY);
    let series = &config.watch.signal.query.series;
    let label = |name: &str| {
        let start = format!("{name}=\"");
        series.split_once(&start).unwrap().1.split('"').next().unwrap()
    };
    assert_eq!(label("destination_service"), service.spec.hosts[0]);
    let frontend: Deployment = pods.get(label("source_workload"));
    let namespace = frontend.metadata.namespace.as_deref();
    assert_eq!(namespace, Some(label("source_workload_namespace")));
    let frontend: Deployment = pods.get("frontend-deployment");
    let labels = frontend.spec.unwrap().template.metadata.unwrap().labels.unwrap();
    assert!(
        config.watch.signal.query.up_series.contains(&format!("app=\"{}\"", labels["app"])),
        "UP_SERIES"
    );
}

#[test]
fn a_request_to_an_unreachable_cluster_takes_at_most_two_seconds() {
    let mesh = Documents::read(ISTIO);
    let service: VirtualService = mesh.get("worker-virtual-service");
    let [http] = &service.spec.http.unwrap()[..] else {
        panic!("the VirtualService needs one route")
    };
    let timeout = humantime::parse_duration(http.timeout.as_deref().unwrap()).unwrap();
    assert_eq!(timeout, fakes::ROUTE_TIMEOUT, "as in the fake mesh");
    assert!(timeout <= Duration::from_secs(2));
    assert!(
        timeout < frontend::REQUEST_TIMEOUT,
        "only then does the mesh count the request as failed"
    );

    let retries = http.retries.as_ref().unwrap();
    assert_eq!(
        retries["retryOn"], "connect-failure,refused-stream",
        "a worker must not receive a request twice"
    );
    let rule: DestinationRule = mesh.get("worker-destination-rule");
    let connect = &rule.spec.traffic_policy["connectionPool"]["tcp"]["connectTimeout"];
    let connect = humantime::parse_duration(connect.as_str().unwrap()).unwrap();
    assert_eq!(connect, fakes::CONNECT_TIMEOUT, "as in the fake mesh");
    let attempts = 1 + u32::try_from(retries["attempts"].as_u64().unwrap()).unwrap();
    assert!(connect * attempts < timeout, "all attempts fit into the timeout");
}

#[test]
fn each_pod_accepts_only_the_clients_that_it_needs() {
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
            .filter(|(_, deployment)| pods::has_labels(deployment, &labels))
            .collect();
        assert!(!chosen.is_empty(), "{name}: no pod has {labels:?}");
        let [rule] = &policy.spec.rules[..] else { panic!("{name} needs one rule") };
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
fn the_files_for_checks_by_hand_differ_only_in_their_weights() {
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

fn routes(mesh: &Documents) -> Vec<crate::mesh_types::Route> {
    let service: VirtualService = mesh.get("worker-virtual-service");
    assert_eq!(service.spec.hosts, [WORKER_SERVICE]);
    service.spec.http.unwrap().remove(0).route
}

/// The Service with this full host name.
fn service_with_host(documents: &Documents, host: &str) -> Service {
    let name = host.strip_suffix(".default.svc.cluster.local");
    documents.get(name.unwrap_or_else(|| panic!("{host} is not the full name of a Service")))
}

#[test]
fn only_the_watcher_and_prometheus_read_the_frontends_proxies() {
    let documents = Documents::read(PRIMARY);
    let policy: NetworkPolicy = documents.get("frontend");
    let spec = policy.spec.unwrap();
    let frontend: Deployment = documents.get("frontend-deployment");
    assert!(pods::has_labels(&frontend, &spec.pod_selector.unwrap().match_labels.unwrap()));
    let port = |number: i32| Some(IntOrString::Int(number));
    let rules = spec.ingress.unwrap();
    let rules_for = |number: i32| {
        let allows = |rule: &&NetworkPolicyIngressRule| {
            rule.ports.iter().flatten().any(|allowed| allowed.port == port(number))
        };
        rules.iter().filter(allows).collect::<Vec<_>>()
    };
    assert!(rules_for(8080)[0].from.is_none(), "everybody reaches the page");
    let [metrics] = &rules_for(15090)[..] else { panic!("one rule is for the metrics") };
    let selectors: Vec<_> = metrics.from.as_ref().unwrap().iter().collect();
    let watcher: Deployment = documents.get("istiowatcher-deployment");
    let labels = selectors[0].pod_selector.as_ref().unwrap().match_labels.as_ref().unwrap();
    assert!(pods::has_labels(&watcher, labels));
    let namespace = |selector: &&NetworkPolicyPeer| {
        let labels = selector.namespace_selector.as_ref()?.match_labels.as_ref()?;
        labels.get("kubernetes.io/metadata.name").cloned()
    };
    let namespaces: Vec<_> = selectors.iter().filter_map(namespace).collect();
    assert_eq!(selectors.len(), 1 + namespaces.len());
    assert_eq!(namespaces, ["istio-system", "istiowatcher-system"]);
}
