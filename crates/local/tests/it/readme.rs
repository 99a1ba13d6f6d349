//! The documentation names what there is: every setting, and every metric.

use clap::CommandFactory as _;
use serde_json::json;

use crate::{browser::Browser, story::Running, support::http};

const README: &str = include_str!("../../../../README.md");
const WATCHER: &str = include_str!("../../../../docs/watcher.md");

#[test]
fn the_readme_names_every_setting_of_the_worker_and_the_frontend() {
    for command in [worker::Config::command(), frontend::Config::command()] {
        let variables: Vec<_> = command.get_arguments().filter_map(|arg| arg.get_env()).collect();
        assert!(variables.len() > 5);
        for variable in variables {
            let quoted = format!("`{}`", variable.to_str().unwrap());
            assert!(README.contains(&quoted), "{} {quoted}", command.get_name());
        }
    }
}

#[test]
fn the_watchers_document_has_every_setting_with_its_default() {
    let command = watcher::Config::command();
    let arguments: Vec<_> = command.get_arguments().filter(|arg| arg.get_env().is_some()).collect();
    assert!(arguments.len() > 25);
    for argument in arguments {
        let variable = argument.get_env().unwrap().to_str().unwrap();
        let start = format!("| `{variable}` | ");
        let row = WATCHER.lines().find(|line| line.starts_with(&start));
        let row = row.unwrap_or_else(|| panic!("{variable} has no row"));
        let default = argument.get_default_values().first().map_or("", |it| it.to_str().unwrap());
        let default = default.split(",kube_client").next().unwrap();
        let is_described = default.starts_with("sum");
        let says = row[start.len()..].split('|').next().unwrap().trim();
        assert!(is_described || says == default, "{row} does not say {default:?}");
    }
}

#[tokio::test]
async fn the_documents_name_every_metric() {
    let running = Running::start(&[]);
    let mut browser = Browser::open(running.addresses.page).await;
    browser.ask(json!(50)).await;
    browser.stats(|stats| stats["ledger"]["answered"].as_u64().unwrap() > 10).await;
    let worker = std::net::SocketAddr::from(([127, 0, 0, 1], running.addresses.workers.primary));
    for address in [running.addresses.page, worker, running.addresses.watcher] {
        let metrics = http()
            .get(format!("http://{address}/metrics"))
            .send()
            .await
            .unwrap()
            .text()
            .await
            .unwrap();
        let names: Vec<_> =
            metrics.lines().filter_map(|line| line.strip_prefix("# HELP ")).collect();
        assert!(names.len() > 2, "{metrics}");
        for name in names.iter().map(|line| line.split(' ').next().unwrap()) {
            let quoted = format!("`{name}");
            assert!(README.contains(&quoted) || WATCHER.contains(&quoted), "{name}");
        }
    }
    running.stop().await;
}
