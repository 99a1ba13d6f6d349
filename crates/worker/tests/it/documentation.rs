//! The manual names every setting and every metric.

use clap::CommandFactory as _;
use fakes::testing::documentation;

use crate::http::{post, ready_worker};

const MANUAL: &str = include_str!("../../../../docs/worker.md");

#[test]
fn the_manual_has_every_setting_with_its_default() {
    documentation::check_settings(&worker::Config::command(), MANUAL);
}

#[tokio::test]
async fn the_manual_has_every_metric() {
    let (_redis, worker) = ready_worker(&[]).await;
    post(&worker, r#"{"str":"abc"}"#).await;
    documentation::check_metrics(&worker.url("/metrics"), MANUAL).await;
}
