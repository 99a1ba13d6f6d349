//! The manual lists every setting and every metric.

use clap::CommandFactory as _;
use fakes::testing::documentation;
use fakes::{FakeBrowser, FakeRedis, FakeWorker};
use serde_json::json;

use crate::support::RunningFrontend;

const MANUAL: &str = include_str!("../../../../docs/frontend.md");

#[test]
fn the_manual_lists_every_setting_with_its_default() {
    documentation::check_settings(&frontend::Config::command(), MANUAL);
}

#[tokio::test]
async fn the_manual_lists_every_metric() {
    let (redis, worker) = (FakeRedis::start(), FakeWorker::start());
    let frontend = RunningFrontend::start(redis.address, worker.address);
    let mut browser = FakeBrowser::open(frontend.address).await;
    browser.request_rate(json!(50)).await;
    browser.stats(|stats| stats["ledger"]["answered"].as_u64().unwrap() > 10).await;
    documentation::check_metrics(&format!("http://{}/metrics", frontend.address), MANUAL).await;
}
