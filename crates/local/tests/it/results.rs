//! Frontends and a worker together: how the results are matched with the requests.

use std::net::SocketAddr;

use chassis::{Cores, Shutdown, settings::from_arguments};
use fakes::{
    FakeBrowser, FakeRedis,
    testing::{BackgroundTask, eventually, http, listener, spawn},
};
use serde_json::{Value, json};

struct Service {
    address: SocketAddr,
    _task: BackgroundTask,
}

fn frontend(redis: SocketAddr, worker: SocketAddr) -> Service {
    let arguments = [format!("--redis-url={redis}"), format!("--processor-url=http://{worker}")];
    let config = from_arguments(&arguments.each_ref().map(String::as_str)).unwrap();
    let (listener, address) = listener();
    Service { address, _task: spawn(frontend::run(config, listener, Shutdown::new())) }
}

async fn ready_worker(redis: SocketAddr, prefix: &str) -> Service {
    let arguments = [format!("--redis-url={redis}"), format!("--prefix={prefix}")];
    let config = from_arguments(&arguments.each_ref().map(String::as_str)).unwrap();
    let (listener, address) = listener();
    let worker = Service {
        address,
        _task: spawn(worker::run(config, Cores::of_caller(), listener, Shutdown::new())),
    };
    let url = format!("http://{address}/_healthz");
    eventually("the worker is ready", async || {
        http().get(&url).send().await.is_ok_and(|answer| answer.status() == 200)
    })
    .await;
    worker
}

fn is_live(stats: &Value) -> bool {
    stats["feed"]["state"] == "live"
}

#[tokio::test]
async fn statistics_history_and_metrics_agree() {
    let redis = FakeRedis::start();
    let worker = ready_worker(redis.address, "bursty-").await;
    let frontend = frontend(redis.address, worker.address);
    let mut browser = FakeBrowser::open(frontend.address).await;
    browser.stats(is_live).await;
    browser.request_rate(json!(100)).await;
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
        let found = metrics.lines().find_map(|text| text.strip_prefix(line));
        found.unwrap_or_else(|| panic!("{line} is not in\n{metrics}")).trim().parse().unwrap()
    };
    let sent = value("frontend_slots_total{outcome=\"sent\"}");
    assert!(100.0 < sent);
    assert!(value("frontend_send_lateness_seconds_bucket{le=\"+Inf\"}") >= sent);
    for kind in ["corrected", "service", "trip"] {
        let labels = format!("kind=\"{kind}\",prefix=\"bursty-\"");
        let metric = |what: &str| value(&format!("frontend_answer_latency_seconds_{what}"));
        let count = metric(&format!("count{{{labels}}}"));
        assert!(100.0 < count);
        assert_eq!(metric(&format!("bucket{{le=\"+Inf\",{labels}}}")), count);
        assert!(0.0 < metric(&format!("sum{{{labels}}}")));
    }
    // Neither changes anything.
    assert_eq!(http().post(url("/api/stats")).send().await.unwrap().status(), 405);
}

#[tokio::test]
async fn the_results_of_another_frontend_are_foreign() {
    let redis = FakeRedis::start();
    let worker = ready_worker(redis.address, "").await;
    let (driving, watching) =
        (frontend(redis.address, worker.address), frontend(redis.address, worker.address));
    let (mut driver, mut watcher) =
        (FakeBrowser::open(driving.address).await, FakeBrowser::open(watching.address).await);
    driver.stats(is_live).await;
    watcher.stats(is_live).await;
    driver.request_rate(json!(50)).await;
    let foreign = |stats: &Value| stats["results"]["trips"]["foreign"].as_u64().unwrap();
    let seen = watcher.stats(|stats| foreign(stats) > 20).await;
    assert_eq!(seen["freq"], 0.0, "each frontend has a rate of its own");
    assert_eq!(foreign(&driver.stats(|_| true).await), 0);
}
