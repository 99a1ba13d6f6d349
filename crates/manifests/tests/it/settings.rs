//! The program knows each setting of its manifest, and each value that is not the default has a
//! reason.

use std::collections::BTreeMap;

use chassis::settings::{Settings, from_arguments};
use clap::{ArgAction, CommandFactory as _};
use contract::Cluster;
use k8s_openapi::api::{apps::v1::Deployment, core::v1::Service};

use crate::{
    documents::{Documents, PRIMARY},
    pods::{container, deployments, ports},
};

/// The settings in the manifests that are not the program's default, each with the reason.
const REASONS: [(&str, &str, &str); 6] = [
    ("LOG_FORMAT", "json", "programs read the logs of a cluster"),
    ("PREFIX", Cluster::Burst.prefix(), "it distinguishes burst's hashes from primary's"),
    ("PROCESSOR_URL", "http://worker-service", "it has no default"),
    ("REDIS_URL", "redis-cache-service:6379", "it has no default"),
    ("WATCHER_URL", "http://istiowatcher-service", "it has no default"),
    ("UP_SERIES", UP_SERIES, "the default, which is empty, fits every Prometheus"),
];

const UP_SERIES: &str = r#"up{job="kubernetes-pods",namespace="default",app="frontend"}"#;

#[test]
fn every_setting_is_known_and_has_its_default_or_a_reason() {
    let mut found = Vec::new();
    for (place, deployment) in deployments() {
        let Some(command) = command(&container(&deployment).name) else { continue };
        for (variable, value) in environment(&deployment) {
            let argument = command.get_arguments().find(|argument| {
                argument.get_env().is_some_and(|env| env.to_str() == Some(&variable))
            });
            let argument =
                argument.unwrap_or_else(|| panic!("{place}: {variable} is not a setting"));
            let default = argument.get_default_values().first().and_then(|text| text.to_str());
            let reason =
                REASONS.iter().find(|(name, other, _)| *name == variable && *other == value);
            assert!(
                default == Some(&value) || reason.is_some(),
                "{place}: {variable}: {value:?} is not the default {default:?}, and has no reason"
            );
            found.push(variable);
        }
    }
    for (variable, ..) in REASONS {
        assert!(found.iter().any(|name| name == variable), "no manifest has {variable}");
    }
}

#[test]
fn the_programs_accept_their_settings_and_listen_on_the_ports_of_their_pods() {
    for (place, deployment) in deployments() {
        let port = match container(&deployment).name.as_str() {
            "frontend" => config::<frontend::Config>(&deployment).port,
            "worker" => config::<worker::Config>(&deployment).port,
            "istiowatcher" => config::<watcher::Config>(&deployment).port,
            _ => continue,
        };
        assert_eq!(ports(&deployment), ["http".to_owned(), port.to_string()], "{place}: PORT");
        let metadata = deployment.spec.unwrap().template.metadata.unwrap();
        let expected = [("scrape", "true"), ("port", &port.to_string()), ("path", "/metrics")];
        let expected =
            expected.map(|(name, value)| (format!("prometheus.io/{name}"), value.to_owned()));
        let annotations = metadata.annotations.unwrap();
        for (name, value) in expected {
            assert_eq!(annotations.get(&name), Some(&value), "{place}: {name}");
        }
    }
}

#[test]
fn every_address_in_a_setting_is_the_address_of_a_service() {
    let documents = Documents::read(PRIMARY);
    let frontend: Deployment = documents.get("frontend-deployment");
    let config = config::<frontend::Config>(&frontend);
    let urls =
        [("PROCESSOR_URL", config.processor_url), ("WATCHER_URL", config.watcher_url.unwrap())];
    for (variable, url) in urls {
        let service: Service = documents.get(url.url().host_str().unwrap());
        let port = service.spec.unwrap().ports.unwrap()[0].port;
        assert_eq!(Some(port), url.url().port_or_known_default().map(i32::from), "{variable}");
    }

    let watcher = watcher_config();
    let callers = watcher.watch.signal.source.callers_url.authority();
    let (host, port) = callers.split_once(':').unwrap();
    let spec = documents.get::<Service>(host).spec.unwrap();
    assert_eq!(spec.cluster_ip.as_deref(), Some("None"), "the name lists each proxy");
    assert_eq!(spec.ports.unwrap()[0].port.to_string(), port, "CALLERS_URL");

    for (place, deployment) in deployments() {
        let environment = environment(&deployment);
        let Some(address) = environment.get("REDIS_URL") else { continue };
        let (host, port) = address.split_once(':').unwrap();
        let redis: Service = documents.get(host);
        let expected = redis.spec.unwrap().ports.unwrap()[0].port.to_string();
        assert_eq!(port, expected, "{place}: REDIS_URL");
    }
}

/// The settings of the watcher in its manifest.
pub(crate) fn watcher_config() -> watcher::Config {
    config(&Documents::read(PRIMARY).get("istiowatcher-deployment"))
}

fn command(program: &str) -> Option<clap::Command> {
    match program {
        "frontend" => Some(frontend::Config::command()),
        "worker" => Some(worker::Config::command()),
        "istiowatcher" => Some(watcher::Config::command()),
        "redis" => None,
        other => panic!("{other} is not one of the programs"),
    }
}

fn config<C: Settings>(deployment: &Deployment) -> C {
    let environment = environment(deployment);
    let command = C::command();
    let settings = command.get_arguments().filter_map(|argument| {
        let value = environment.get(argument.get_env()?.to_str()?)?;
        assert!(matches!(argument.get_action(), ArgAction::Set | ArgAction::Append));
        Some(format!("--{}={value}", argument.get_long()?))
    });
    let arguments: Vec<_> = settings.collect();
    assert_eq!(arguments.len(), environment.len(), "{environment:?}");
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    from_arguments(&arguments).unwrap_or_else(|line| panic!("{line}"))
}

fn environment(deployment: &Deployment) -> BTreeMap<String, String> {
    let variables = container(deployment).env.iter().flatten();
    variables
        .map(|variable| (variable.name.clone(), variable.value.clone().unwrap_or_default()))
        .collect()
}
