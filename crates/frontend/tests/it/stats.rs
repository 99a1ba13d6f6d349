//! The statistics of the frontend.

use contract::calculation::CHANNEL;
use fakes::{FakeBrowser, FakeRedis, FakeWorker};

use crate::support::{HASH, RunningFrontend, is_live};

#[tokio::test]
async fn every_result_of_a_flood_is_counted_and_a_sample_is_published() {
    let (redis, worker) = (FakeRedis::start(), FakeWorker::start());
    let frontend = RunningFrontend::start(redis.address, worker.address);
    let mut browser = FakeBrowser::open(frontend.address).await;
    browser.stats(is_live).await;
    for _ in 0..500 {
        redis.publish(CHANNEL, HASH).await;
    }
    redis.publish(CHANNEL, &"x".repeat(2000)).await;
    let stats = browser
        .stats(|stats| stats["results"]["dropped"] == 1 && stats["results"]["total"] == 500)
        .await;
    let unshown = stats["results"]["unshown"].as_u64().unwrap();
    assert!((100..=400).contains(&unshown), "{unshown}");
}
