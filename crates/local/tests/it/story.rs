//! The whole story, from a visitor's number to the other cluster and back.

use std::time::Duration;

use chassis::{Shutdown, settings::from_arguments};
use local::Demo;
use serde_json::{Value, json};
use tokio::{
    task::JoinHandle,
    time::{Instant, timeout},
};

use crate::{
    browser::Browser,
    support::{Redis, http},
};

pub(crate) struct Running {
    demo: JoinHandle<anyhow::Result<()>>,
    shutdown: Shutdown,
    pub(crate) addresses: local::Addresses,
}

impl Running {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let arguments = [&["--port=0"], arguments].concat();
        let demo = Demo::bind(from_arguments(&arguments).unwrap()).unwrap();
        let (addresses, shutdown) = (demo.addresses().clone(), Shutdown::new());
        Self { demo: tokio::spawn(demo.run(shutdown.clone())), shutdown, addresses }
    }

    pub(crate) async fn stop(self) {
        let start = Instant::now();
        self.shutdown.stop();
        timeout(Duration::from_secs(5), self.demo)
            .await
            .expect("not ended in 5 s")
            .unwrap()
            .unwrap();
        // Nobody needs to be cut off: that would take four.
        assert!(start.elapsed() < Duration::from_secs(3), "ended after {:?}", start.elapsed());
    }
}

/// Waits until only results of the one kind arrive, for a dozen of them.
async fn comes_to(browser: &mut Browser, burst: bool) -> Duration {
    let start = Instant::now();
    let mut in_a_row = 0;
    while in_a_row < 12 {
        let calculation = browser.event("calculation").await;
        let is_burst = calculation.as_str().unwrap().starts_with("bursty-");
        in_a_row = if is_burst == burst { in_a_row + 1 } else { 0 };
        assert!(start.elapsed() < Duration::from_secs(60), "not within a minute");
    }
    start.elapsed()
}

#[tokio::test]
async fn load_bursts_when_it_rises_and_returns_home_when_it_falls() {
    let running = Running::start(&[]);
    let mut browser = Browser::open(running.addresses.page).await;
    browser.ask(json!(5)).await;
    comes_to(&mut browser, false).await;
    browser.ask(json!(20)).await;
    let burst = comes_to(&mut browser, true).await;
    assert!(burst < Duration::from_secs(15), "burst after {burst:?}");
    browser.ask(json!(5)).await;
    let home = comes_to(&mut browser, false).await;
    assert!(home < Duration::from_secs(30), "home after {home:?}");
    let ledger: Value = browser.stats(|_| true).await["ledger"].clone();
    assert!(ledger["failed"].as_object().unwrap().values().all(|count| *count == 0), "{ledger}");
    running.stop().await;
}

#[tokio::test]
async fn ends_within_5_seconds_whoever_is_connected() {
    let running = Running::start(&[]);
    let mut browser = Browser::open(running.addresses.page).await;
    browser.ask(json!(1000)).await;
    browser.stats(|stats| stats["ledger"]["answered"].as_u64().unwrap() > 100).await;
    // One that polls, and is left waiting.
    let polling = format!("http://{}/socket.io/?EIO=4&transport=polling", running.addresses.page);
    let handshake = http().get(&polling).send().await.unwrap().text().await.unwrap();
    let sid: Value = serde_json::from_str(&handshake[1..]).unwrap();
    let sid = sid["sid"].as_str().unwrap().to_owned();
    tokio::spawn(http().get(format!("{polling}&sid={sid}")).send());
    running.stop().await;
}

#[tokio::test]
async fn a_redis_that_is_already_there_can_be_used() {
    let redis = Redis::start();
    let running = Running::start(&[&format!("--redis-url={}", redis.address)]);
    let mut browser = Browser::open(running.addresses.page).await;
    let mut published = redis.subscribe("calculation").await;
    browser.ask(json!(20)).await;
    let calculation = published.message().await;
    assert_eq!(browser.event("calculation").await, calculation.as_str());
    running.stop().await;
}

#[tokio::test]
async fn a_taken_port_is_named_with_the_variable_that_changes_it() {
    let (_taken, address) = crate::support::listener();
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
