//! The manual names every setting and every metric.

use clap::CommandFactory as _;
use fakes::testing::documentation;

use crate::support::{RunningWatcher, start_both};

const MANUAL: &str = include_str!("../../../../docs/watcher.md");

#[test]
fn the_manual_has_every_setting_with_its_default() {
    documentation::check_settings(&watcher::Config::command(), MANUAL);
}

#[tokio::test]
async fn the_manual_has_every_metric() {
    let (prometheus, kubernetes) = start_both();
    let watcher = RunningWatcher::start(prometheus.address, kubernetes.address, &[]);
    prometheus.set_rate(50.0);
    watcher.counts("queries", "ok").await;
    documentation::check_metrics(&watcher.url("/metrics"), MANUAL).await;
}
