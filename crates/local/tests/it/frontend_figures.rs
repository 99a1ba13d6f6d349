//! The frontend: the figures that it tells.

use contract::calculation::CHANNEL;
use serde_json::{Value, json};

use crate::{
    browser::Browser,
    support::{Frontend, HASH, Redis, Worker, eventually, http, is_live, sink},
};

#[tokio::test]
async fn the_figures_can_be_had_without_a_browser() {
    let redis = Redis::start();
    let worker = Worker::start(redis.address, &["--prefix=bursty-"]);
    eventually("the worker is ready", async || worker.is_ready().await).await;
    let frontend = Frontend::start(redis.address, worker.address);
    let mut browser = Browser::open(frontend.address).await;
    browser.stats(is_live).await;
    browser.ask(json!(100)).await;
    let url = |path: &str| format!("http://{}{path}", frontend.address);
    eventually("there are a hundred results", async || {
        let stats = http().get(url("/api/stats")).send().await.unwrap().text().await.unwrap();
        let stats: Value = serde_json::from_str(&stats).unwrap();
        let count = |pointer: &str| stats.pointer(pointer).and_then(Value::as_u64).unwrap_or(0);
        let trips =
            ["lost", "doubled", "foreign"].map(|kind| count(&format!("/results/trips/{kind}")));
        assert_eq!(trips, [0, 0, 0], "{stats}");
        let times = ["corrected", "service", "lateness", "trip"];
        let is_timed = times.iter().all(|time| 0 < count(&format!("/latencies/{time}/count")));
        is_timed
            && 100 < count("/results/trips/matched")
            && 100 < count("/by_prefix/bursty-/answered")
    })
    .await;
    eventually("there is a history", async || {
        let csv = http().get(url("/api/history.csv")).send().await.unwrap().text().await.unwrap();
        let mut lines =
            csv.lines().map(|line| line.split(',').map(str::to_owned).collect::<Vec<_>>());
        let header = lines.next().unwrap();
        let column = header.iter().position(|name| name == "results_burst").unwrap();
        lines.any(|row| row[column].parse::<u64>().unwrap() > 50)
    })
    .await;
    let metrics = http().get(url("/metrics")).send().await.unwrap().text().await.unwrap();
    let value = |line: &str| -> f64 {
        let found = metrics.lines().find_map(|it| it.strip_prefix(line));
        found.unwrap_or_else(|| panic!("{line} is not in\n{metrics}")).trim().parse().unwrap()
    };
    let sent = value("frontend_slots_total{outcome=\"sent\"}");
    assert!(100.0 < sent);
    assert!(value("frontend_send_lateness_seconds_bucket{le=\"+Inf\"}") >= sent);
    for kind in ["corrected", "service", "trip"] {
        let labels = format!("kind=\"{kind}\",prefix=\"bursty-\"");
        let of = |what: &str| value(&format!("frontend_answer_latency_seconds_{what}"));
        let count = of(&format!("count{{{labels}}}"));
        assert!(100.0 < count);
        assert_eq!(of(&format!("bucket{{le=\"+Inf\",{labels}}}")), count);
        assert!(0.0 < of(&format!("sum{{{labels}}}")));
    }
    // Neither changes anything.
    assert_eq!(http().post(url("/api/stats")).send().await.unwrap().status(), 405);
}

#[tokio::test]
async fn another_frontends_results_are_foreign() {
    let redis = Redis::start();
    let worker = Worker::start(redis.address, &[]);
    eventually("the worker is ready", async || worker.is_ready().await).await;
    let (driving, watching) = (
        Frontend::start(redis.address, worker.address),
        Frontend::start(redis.address, worker.address),
    );
    let (mut driver, mut watcher) =
        (Browser::open(driving.address).await, Browser::open(watching.address).await);
    driver.stats(is_live).await;
    watcher.stats(is_live).await;
    driver.ask(json!(50)).await;
    let foreign = |stats: &Value| stats["results"]["trips"]["foreign"].as_u64().unwrap();
    let seen = watcher.stats(|stats| foreign(stats) > 20).await;
    assert_eq!(seen["freq"], 0.0, "each frontend has a rate of its own");
    assert_eq!(foreign(&driver.stats(|_| true).await), 0);
}

#[tokio::test]
async fn a_flood_of_results_is_counted_and_a_sample_is_shown() {
    let (redis, sink) = (Redis::start(), sink());
    let frontend = Frontend::start(redis.address, sink.address);
    let mut browser = Browser::open(frontend.address).await;
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
