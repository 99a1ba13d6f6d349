//! Each setting in a manifest is one that the program knows, and has a reason to be there.

use std::collections::BTreeMap;

use chassis::settings::{Settings, from_arguments};
use clap::{ArgAction, CommandFactory as _};
use k8s_openapi::api::{apps::v1::Deployment, core::v1::Service};

use super::{
    documents::{Documents, PRIMARY},
    pods::{container, deployments, ports},
};

/// Settings that are not the program's default, and why. All others in the manifests are.
const REASONS: [(&str, &str, &str); 6] = [
    ("LOG_FORMAT", "json", "a cluster's logs are read by programs"),
    ("PREFIX", "bursty-", "what tells burst's hashes from primary's"),
    ("PROCESSOR_URL", "http://worker-service", "has no default"),
    ("REDIS_URL", "redis-cache-service:6379", "has no default"),
    ("WATCHER_URL", "http://istiowatcher-service", "has no default"),
    ("UP_QUERY", UP_QUERY, "its default fits every Prometheus: nothing"),
];

const UP_QUERY: &str = r#"sum(up{job="kubernetes-pods",namespace="default",app="frontend"})"#;

#[test]
fn every_setting_is_known_and_is_the_default_or_has_a_reason() {
    let mut met = Vec::new();
    for (place, deployment) in deployments() {
        let Some(command) = command(&container(&deployment).name) else { continue };
        for (variable, value) in environment(&deployment) {
            let argument = command
                .get_arguments()
                .find(|it| it.get_env().is_some_and(|env| env.to_str() == Some(&variable)));
            let argument = argument.unwrap_or_else(|| panic!("{place}: {variable}: not a setting"));
            let default = argument.get_default_values().first().and_then(|it| it.to_str());
            let reason =
                REASONS.iter().find(|(name, other, _)| *name == variable && *other == value);
            assert!(
                default == Some(&value) || reason.is_some(),
                "{place}: {variable}: {value:?} is neither the default {default:?} nor has a reason"
            );
            met.push(variable);
        }
    }
    for (variable, ..) in REASONS {
        assert!(met.iter().any(|it| it == variable), "{variable}: in no manifest");
    }
}

#[test]
fn the_programs_accept_their_settings_and_listen_where_the_pods_say() {
    for (place, deployment) in deployments() {
        let port = match container(&deployment).name.as_str() {
            "frontend" => parsed::<frontend::Config>(&deployment).port,
            "worker" => parsed::<worker::Config>(&deployment).port,
            "istiowatcher" => parsed::<watcher::Config>(&deployment).port,
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
fn addresses_in_settings_are_those_of_services() {
    let documents = Documents::read(PRIMARY);
    let frontend: Deployment = documents.get("frontend-deployment");
    let config = parsed::<frontend::Config>(&frontend);
    let urls =
        [("PROCESSOR_URL", config.processor_url), ("WATCHER_URL", config.watcher_url.unwrap())];
    for (variable, url) in urls {
        let service: Service = documents.get(url.url().host_str().unwrap());
        let port = service.spec.unwrap().ports.unwrap()[0].port;
        assert_eq!(Some(port), url.url().port_or_known_default().map(i32::from), "{variable}");
    }

    for (place, deployment) in deployments() {
        let environment = environment(&deployment);
        let Some(address) = environment.get("REDIS_URL") else { continue };
        let (host, port) = address.split_once(':').unwrap();
        let redis: Service = documents.get(host);
        let expected = redis.spec.unwrap().ports.unwrap()[0].port.to_string();
        assert_eq!(port, expected, "{place}: REDIS_URL");
    }
}

/// The watcher's settings in its manifest.
pub(crate) fn of_the_watcher() -> watcher::Config {
    parsed(&Documents::read(PRIMARY).get("istiowatcher-deployment"))
}

fn command(program: &str) -> Option<clap::Command> {
    match program {
        "frontend" => Some(frontend::Config::command()),
        "worker" => Some(worker::Config::command()),
        "istiowatcher" => Some(watcher::Config::command()),
        "redis" => None,
        other => panic!("{other}: not a program of ours"),
    }
}

fn parsed<C: Settings>(deployment: &Deployment) -> C {
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
    variables.map(|it| (it.name.clone(), it.value.clone().unwrap_or_default())).collect()
}
