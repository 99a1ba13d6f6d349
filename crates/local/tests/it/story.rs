//! The whole story: a visitor's rate moves the traffic to the other cluster and back.

use std::time::Duration;

use chassis::{Shutdown, settings::from_arguments};
use contract::Cluster;
use fakes::{
    FakeBrowser, FakeRedis,
    testing::{http, listener},
};
use local::Demo;
use serde_json::{Value, json};
use tokio::{
    task::JoinHandle,
    time::{Instant, timeout},
};

/// A demo that runs in the background.
struct RunningDemo {
    demo: JoinHandle<anyhow::Result<()>>,
    shutdown: Shutdown,
    addresses: local::Addresses,
}

impl RunningDemo {
    fn start(arguments: &[&str]) -> Self {
        let arguments = [&["--port=0"], arguments].concat();
        let demo = Demo::bind(from_arguments(&arguments).unwrap()).unwrap();
        let (addresses, shutdown) = (demo.addresses().clone(), Shutdown::new());
        Self { demo: tokio::spawn(demo.run(shutdown.clone())), shutdown, addresses }
    }

    async fn stop(self) {
        let start = Instant::now();
        self.shutdown.stop();
        timeout(Duration::from_secs(5), self.demo)
            .await
            .expect("not ended in 5 s")
            .unwrap()
            .unwrap();
        // To cut off a client would take four seconds.
        assert!(start.elapsed() < Duration::from_secs(3), "ended after {:?}", start.elapsed());
    }
}

/// Waits until twelve results in a row are of a cluster; returns how long that took.
async fn wait_for_results_of(cluster: Cluster, browser: &mut FakeBrowser) -> Duration {
    let start = Instant::now();
    let mut in_a_row = 0;
    while in_a_row < 12 {
        let calculation = browser.event("calculation").await;
        let is_burst = calculation.as_str().unwrap().starts_with(Cluster::Burst.prefix());
        let from = if is_burst { Cluster::Burst } else { Cluster::Primary };
        in_a_row = if from == cluster { in_a_row + 1 } else { 0 };
        assert!(start.elapsed() < Duration::from_secs(60), "not within a minute");
    }
    start.elapsed()
}

#[tokio::test]
async fn traffic_bursts_when_the_load_rises_and_returns_home_when_it_falls() {
    // e2e/tests/story.test.mjs plays it with the usual settings.
    let running = RunningDemo::start(&["--home-hold=2s", "--interval=250ms"]);
    let mut browser = FakeBrowser::open(running.addresses.page).await;
    browser.request_rate(json!(5)).await;
    wait_for_results_of(Cluster::Primary, &mut browser).await;
    browser.request_rate(json!(20)).await;
    let burst = wait_for_results_of(Cluster::Burst, &mut browser).await;
    assert!(burst < Duration::from_secs(15), "burst after {burst:?}");
    browser.request_rate(json!(5)).await;
    let home = wait_for_results_of(Cluster::Primary, &mut browser).await;
    assert!(home < Duration::from_secs(30), "home after {home:?}");
    let ledger: Value = browser.stats(|_| true).await["ledger"].clone();
    assert!(ledger["failed"].as_object().unwrap().values().all(|count| *count == 0), "{ledger}");
    running.stop().await;
}

#[tokio::test]
async fn the_demo_ends_within_five_seconds_while_clients_are_connected() {
    let running = RunningDemo::start(&[]);
    let mut browser = FakeBrowser::open(running.addresses.page).await;
    browser.request_rate(json!(1000)).await;
    browser.stats(|stats| stats["ledger"]["answered"].as_u64().unwrap() > 100).await;
    // This client polls, and still waits for its answer at the end.
    let polling = format!("http://{}/socket.io/?EIO=4&transport=polling", running.addresses.page);
    let handshake = http().get(&polling).send().await.unwrap().text().await.unwrap();
    let sid: Value = serde_json::from_str(&handshake[1..]).unwrap();
    let sid = sid["sid"].as_str().unwrap().to_owned();
    tokio::spawn(http().get(format!("{polling}&sid={sid}")).send());
    running.stop().await;
}

#[tokio::test]
async fn the_demo_can_use_another_redis() {
    let redis = FakeRedis::start();
    let running = RunningDemo::start(&[&format!("--redis-url={}", redis.address)]);
    let mut browser = FakeBrowser::open(running.addresses.page).await;
    let mut published = redis.subscribe("calculation").await;
    browser.request_rate(json!(20)).await;
    let calculation = published.message().await;
    assert_eq!(browser.event("calculation").await, calculation.as_str());
    running.stop().await;
}

#[tokio::test]
async fn the_error_of_a_taken_port_names_the_variable_of_the_port() {
    let (_taken, address) = listener();
    for (argument, variable) in [
        ("--port", "PORT"),
        ("--redis-port", "REDIS_PORT"),
        ("--mesh-port", "MESH_PORT"),
        ("--prometheus-port", "PROMETHEUS_PORT"),
        ("--kubernetes-port", "KUBERNETES_PORT"),
        ("--watcher-port", "WATCHER_PORT"),
        ("--worker-primary-port", "WORKER_PRIMARY_PORT"),
        ("--worker-burst-port", "WORKER_BURST_PORT"),
    ] {
        let argument = format!("{argument}={}", address.port());
        let arguments =
            if variable == "PORT" { vec![&*argument] } else { vec!["--port=0", &*argument] };
        let error = Demo::bind(from_arguments(&arguments).unwrap()).err().unwrap();
        let error = format!("{error:#}");
        let expected =
            format!("cannot listen on port {}; {variable} chooses another: ", address.port());
        assert!(error.starts_with(&expected), "{error}");
    }
}
