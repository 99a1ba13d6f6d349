//! The frontend while its neighbors fail, or while visitors misbehave.

use std::{net::SocketAddr, time::Duration};

use axum::http::StatusCode;
use chassis::server::REQUEST_TIMEOUT;
use contract::calculation::CHANNEL;
use fakes::{
    FakeBrowser, FakeRedis, FakeWorker,
    testing::{free_port, http, pass},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{sleep, timeout},
};

use crate::support::{HASH, RunningFrontend, is_live};

#[tokio::test]
async fn the_frontend_serves_and_reconnects_whenever_redis_is_away() {
    let port = free_port();
    let worker = FakeWorker::start();
    let frontend = RunningFrontend::start(SocketAddr::from(([127, 0, 0, 1], port)), worker.address);
    let mut browser = FakeBrowser::open(frontend.address).await;
    browser.stats(|stats| stats["feed"]["state"] == "away").await;
    let ready = http().get(format!("http://{}/_healthz", frontend.address)).send().await.unwrap();
    assert_eq!(ready.status(), 200, "the page reports that Redis is away");
    for round in 0..3 {
        let redis = FakeRedis::start_on(port);
        browser.stats(is_live).await;
        let message = format!("{round}-{HASH}");
        redis.publish(CHANNEL, &message).await;
        assert_eq!(browser.event("calculation").await, message.as_str());
        redis.stop().await;
        let stats = browser.stats(|stats| !is_live(stats)).await;
        assert!(!stats["feed"]["reason"].as_str().unwrap().is_empty());
    }
}

#[tokio::test]
async fn failures_of_the_worker_are_counted_by_kind_and_the_load_goes_on() {
    let redis = FakeRedis::start();
    let nobody = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let (unavailable, broken) = (
        FakeWorker::start_with(StatusCode::SERVICE_UNAVAILABLE, Duration::ZERO),
        FakeWorker::start_with(StatusCode::INTERNAL_SERVER_ERROR, Duration::ZERO),
    );
    let refusing = FakeWorker::start_with(StatusCode::NOT_FOUND, Duration::ZERO);
    let cases = [
        (nobody, "connect"),
        (unavailable.address, "unavailable"),
        (broken.address, "server_error"),
        (refusing.address, "refused"),
    ];
    for (worker, kind) in cases {
        let frontend = RunningFrontend::start(redis.address, worker);
        let mut browser = FakeBrowser::open(frontend.address).await;
        browser.request_rate(json!(50)).await;
        let stats =
            browser.stats(|stats| stats["ledger"]["failed"][kind].as_u64().unwrap() > 20).await;
        assert_eq!(stats["ledger"]["answered"], 0);
    }
}

#[tokio::test]
async fn a_slow_worker_does_not_make_requests_pile_up() {
    chassis::allow_connections().unwrap();
    let redis = FakeRedis::start();
    let slow = FakeWorker::start_with(StatusCode::OK, Duration::from_secs(60));
    let frontend = RunningFrontend::start(redis.address, slow.address);
    let mut browser = FakeBrowser::open(frontend.address).await;
    browser.request_rate(json!(1000)).await;
    let stats = browser.stats(|stats| stats["ledger"]["shed"].as_u64().unwrap() > 100).await;
    assert!(stats["ledger"]["in_flight"].as_u64().unwrap() <= 1024, "{stats}");
    browser.request_rate(json!(0)).await;
    let stats = browser.stats(|stats| stats["ledger"]["in_flight"] == 0).await;
    assert!(stats["ledger"]["failed"]["timeout"].as_u64().unwrap() > 0, "{stats}");
}

#[tokio::test]
async fn a_browser_that_leaves_at_once_is_not_counted_forever() {
    let (redis, worker) = (FakeRedis::start(), FakeWorker::start());
    let frontend = RunningFrontend::start(redis.address, worker.address);
    for _ in 0..50 {
        FakeBrowser::open_and_leave(frontend.address).await;
    }
    let mut browser = FakeBrowser::open(frontend.address).await;
    browser.stats(|stats| stats["viewers"] == 1).await;
}

#[tokio::test]
async fn the_frontend_does_not_wait_forever_for_a_body() {
    let (redis, worker) = (FakeRedis::start(), FakeWorker::start());
    let frontend = RunningFrontend::start(redis.address, worker.address);
    let polling = format!("http://{}/socket.io/?EIO=4&transport=polling", frontend.address);
    let handshake = http().get(&polling).send().await.unwrap().text().await.unwrap();
    let handshake: Value = serde_json::from_str(&handshake[1..]).unwrap();
    let sid = handshake["sid"].as_str().unwrap();
    let mut stream = TcpStream::connect(frontend.address).await.unwrap();
    let head = format!(
        "POST /socket.io/?EIO=4&transport=polling&sid={sid} HTTP/1.1\r\nhost: f\r\ncontent-length: 9\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    pass(REQUEST_TIMEOUT).await;
    let mut answer = Vec::new();
    timeout(Duration::from_secs(10), stream.read_to_end(&mut answer))
        .await
        .expect("the connection is still open")
        .unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 4"), "{}", String::from_utf8_lossy(&answer));
}

#[tokio::test]
async fn a_payload_that_is_too_large_disconnects_only_its_sender() {
    let (redis, worker) = (FakeRedis::start(), FakeWorker::start());
    let frontend = RunningFrontend::start(redis.address, worker.address);
    let mut good = FakeBrowser::open(frontend.address).await;
    let mut bad = FakeBrowser::open(frontend.address).await;
    good.stats(|stats| stats["viewers"] == 2).await;
    bad.emit("frequency", Some(json!({"freq": "9".repeat(150_000)}))).await;
    good.stats(|stats| stats["viewers"] == 1).await;
    assert_eq!(good.request_rate(json!(1)).await, json!({"freq": 1.0}));
}

#[tokio::test]
async fn a_browser_that_reads_nothing_does_not_delay_the_others() {
    let (redis, worker) = (FakeRedis::start(), FakeWorker::start());
    let frontend = RunningFrontend::start(redis.address, worker.address);
    let mut reading = FakeBrowser::open(frontend.address).await;
    let mut not_reading = Vec::new();
    for _ in 0..10 {
        not_reading.push(FakeBrowser::open_narrow(frontend.address).await);
    }
    reading.stats(|stats| is_live(stats) && stats["viewers"] == 11).await;
    // The frontend publishes a hundred a second, and keeps far fewer for a browser that does not
    // read.
    for round in 0..40 {
        let messages = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
            .map(|number| format!("{round} {number} {}", "x".repeat(900)));
        for message in &messages {
            redis.publish(CHANNEL, message).await;
        }
        for message in messages {
            let received = timeout(Duration::from_secs(5), reading.event("calculation")).await;
            assert_eq!(received.expect("the frontend waits for the other browsers"), message);
        }
        sleep(Duration::from_millis(105)).await;
    }
    let mut seconds = 0;
    while reading.event("stats").await["viewers"] != 1 {
        pass(Duration::from_secs(1)).await;
        seconds += 1;
        assert!(seconds < 60, "they are still connected");
    }
}
