//! The README names what there is: every setting, and every metric.

use clap::CommandFactory as _;
use serde_json::json;

use crate::{browser::Browser, story::Running, support::http};

const README: &str = include_str!("../../../../README.md");

#[test]
fn the_readme_names_every_setting_of_the_services() {
    let commands =
        [worker::Config::command(), frontend::Config::command(), watcher::Config::command()];
    for command in commands {
        let variables: Vec<_> = command.get_arguments().filter_map(|arg| arg.get_env()).collect();
        assert!(variables.len() > 5);
        for variable in variables {
            let quoted = format!("`{}`", variable.to_str().unwrap());
            assert!(README.contains(&quoted), "{} {quoted}", command.get_name());
        }
    }
}

#[tokio::test]
async fn the_readme_names_every_metric() {
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
            assert!(README.contains(&format!("`{name}")), "{name}");
        }
    }
    running.stop().await;
}
