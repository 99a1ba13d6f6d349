//! The frontend: what it does when its neighbours fail, and when visitors misbehave.

use std::{net::SocketAddr, time::Duration};

use contract::calculation::CHANNEL;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{sleep, timeout},
};

use crate::{
    browser::Browser,
    support::{Frontend, HASH, Redis, Sink, allow_connections, free_port, http, is_live, sink},
};

#[tokio::test]
async fn redis_may_be_away_at_the_start_and_at_any_time() {
    let port = free_port();
    let sink = sink();
    let frontend = Frontend::start(SocketAddr::from(([127, 0, 0, 1], port)), sink.address);
    let mut browser = Browser::open(frontend.address).await;
    browser.stats(|stats| stats["feed"]["state"] == "away").await;
    let ready = http().get(format!("http://{}/_healthz", frontend.address)).send().await.unwrap();
    assert_eq!(ready.status(), 200, "the page is there to say so");
    for round in 0..3 {
        let redis = Redis::start_on(port);
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
async fn failures_of_the_worker_are_counted_by_kind_and_load_goes_on() {
    let redis = Redis::start();
    let nobody = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let (unavailable, broken) =
        (Sink::start(503, Duration::ZERO), Sink::start(500, Duration::ZERO));
    let refusing = Sink::start(404, Duration::ZERO);
    let cases = [
        (nobody, "connect"),
        (unavailable.address, "unavailable"),
        (broken.address, "server_error"),
        (refusing.address, "refused"),
    ];
    for (worker, kind) in cases {
        let frontend = Frontend::start(redis.address, worker);
        let mut browser = Browser::open(frontend.address).await;
        browser.ask(json!(50)).await;
        let stats =
            browser.stats(|stats| stats["ledger"]["failed"][kind].as_u64().unwrap() > 20).await;
        assert_eq!(stats["ledger"]["answered"], 0);
    }
}

#[tokio::test]
async fn a_slow_worker_makes_no_pile_of_requests() {
    allow_connections();
    let redis = Redis::start();
    let slow = Sink::start(200, Duration::from_secs(60));
    let frontend = Frontend::start(redis.address, slow.address);
    let mut browser = Browser::open(frontend.address).await;
    browser.ask(json!(1000)).await;
    let stats = browser.stats(|stats| stats["ledger"]["shed"].as_u64().unwrap() > 100).await;
    assert!(stats["ledger"]["in_flight"].as_u64().unwrap() <= 1024, "{stats}");
    browser.ask(json!(0)).await;
    let stats = browser.stats(|stats| stats["ledger"]["in_flight"] == 0).await;
    assert!(stats["ledger"]["failed"]["timeout"].as_u64().unwrap() > 0, "{stats}");
}

#[tokio::test]
async fn who_leaves_at_once_is_not_counted_for_ever() {
    let (redis, sink) = (Redis::start(), sink());
    let frontend = Frontend::start(redis.address, sink.address);
    for _ in 0..50 {
        Browser::open_and_leave(frontend.address).await;
    }
    let mut browser = Browser::open(frontend.address).await;
    browser.stats(|stats| stats["viewers"] == 1).await;
}

#[tokio::test]
async fn bodies_that_never_come_are_not_waited_for() {
    let (redis, sink) = (Redis::start(), sink());
    let frontend = Frontend::start(redis.address, sink.address);
    let polling = format!("http://{}/socket.io/?EIO=4&transport=polling", frontend.address);
    let handshake = http().get(&polling).send().await.unwrap().text().await.unwrap();
    let handshake: Value = serde_json::from_str(&handshake[1..]).unwrap();
    let sid = handshake["sid"].as_str().unwrap();
    let mut stream = TcpStream::connect(frontend.address).await.unwrap();
    let head = format!(
        "POST /socket.io/?EIO=4&transport=polling&sid={sid} HTTP/1.1\r\nhost: f\r\ncontent-length: 9\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    timeout(Duration::from_secs(45), stream.read_to_end(&mut answer))
        .await
        .expect("still open")
        .unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 4"), "{}", String::from_utf8_lossy(&answer));
}

#[tokio::test]
async fn too_large_a_payload_costs_only_its_sender() {
    let (redis, sink) = (Redis::start(), sink());
    let frontend = Frontend::start(redis.address, sink.address);
    let mut good = Browser::open(frontend.address).await;
    let mut bad = Browser::open(frontend.address).await;
    good.stats(|stats| stats["viewers"] == 2).await;
    bad.emit("frequency", Some(json!({"freq": "9".repeat(100_000)}))).await;
    good.stats(|stats| stats["viewers"] == 1).await;
    assert_eq!(good.ask(json!(1)).await, json!({"freq": 1.0}));
}

#[tokio::test]
async fn a_browser_that_reads_nothing_costs_the_others_nothing() {
    let (redis, sink) = (Redis::start(), sink());
    let frontend = Frontend::start(redis.address, sink.address);
    let mut reading = Browser::open(frontend.address).await;
    let mut deaf = Vec::new();
    for _ in 0..10 {
        deaf.push(Browser::open_narrow(frontend.address).await);
    }
    reading.stats(|stats| is_live(stats) && stats["viewers"] == 11).await;
    // A hundred a second are shown: much more than is kept for anybody who does not read.
    for number in 0..900 {
        let message = format!("{number} {}", "x".repeat(900));
        redis.publish(CHANNEL, &message).await;
        let seen = timeout(Duration::from_secs(5), reading.event("calculation")).await;
        assert_eq!(seen.expect("it waits for the others"), message);
        sleep(Duration::from_millis(11)).await;
    }
    let let_go = async { while reading.event("stats").await["viewers"] != 1 {} };
    timeout(Duration::from_secs(45), let_go).await.expect("they are still waited for");
}
