//! The manual names every setting and every metric.

use clap::CommandFactory as _;
use fakes::testing::documentation;

use crate::support::{RunningWatcher, start_both};

const CONTROLLER_MANUAL: &str = include_str!("../../../../docs/burstpolicy.md");

const MANUAL: &str = include_str!("../../../../docs/watcher.md");

#[test]
fn the_manual_has_every_setting_with_its_default() {
    documentation::check_settings(&watcher::Config::command(), MANUAL);
}

#[test]
fn the_manuals_have_every_setting_of_the_controller() {
    for argument in watcher::ControllerConfig::command().get_arguments() {
        let Some(name) = argument.get_env().and_then(|name| name.to_str()) else { continue };
        let is_in = |manual: &str| {
            manual.contains(&format!("| `{name}`")) || manual.contains(&format!(", `{name}` |"))
        };
        assert!(is_in(CONTROLLER_MANUAL) || is_in(MANUAL), "no manual has {name}");
    }
}

#[test]
fn the_manual_of_replay_has_every_option() {
    let manual = include_str!("../../../../docs/policies.md");
    let command = watcher::ReplayConfig::command();
    let own = command.get_arguments().filter(|argument| argument.get_env().is_none());
    for name in own.filter_map(clap::Arg::get_long) {
        assert!(manual.contains(&format!("| `--{name}")), "--{name}");
    }
}

#[tokio::test]
async fn the_manual_has_every_metric() {
    let (prometheus, kubernetes) = start_both();
    let watcher = RunningWatcher::start(prometheus.address, kubernetes.address, &[]);
    prometheus.set_rate(50.0);
    watcher.counts("queries", "ok").await;
    documentation::check_metrics(&watcher.url("/metrics"), MANUAL).await;
}
