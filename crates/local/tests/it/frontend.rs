//! The frontend: the rate that visitors ask for, the feed, and what it does when its neighbours fail.

use std::{net::SocketAddr, time::Duration};

use contract::calculation::CHANNEL;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{Instant, sleep, timeout},
};

use crate::{
    browser::Browser,
    support::{Frontend, Redis, Sink, Worker, allow_connections, eventually, free_port, http},
};

const HASH: &str = "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=";

fn is_live(stats: &Value) -> bool {
    stats["feed"]["state"] == "live"
}

fn sink() -> Sink {
    Sink::start(200, Duration::ZERO)
}

#[tokio::test]
async fn serves_the_page_and_its_assets() {
    let (redis, sink) = (Redis::start(), sink());
    let frontend = Frontend::start(redis.address, sink.address);
    let get = async |path: &str| {
        http().get(format!("http://{}{path}", frontend.address)).send().await.unwrap()
    };
    let page = get("/").await;
    assert_eq!(page.status(), 200);
    let page = page.text().await.unwrap();
    assert!(page.contains("<title>String Hashr</title>"));
    for asset in page.split('"').filter(|part| part.starts_with("/assets/")) {
        let response = get(asset).await;
        assert_eq!(response.status(), 200, "{asset}");
        assert!(response.headers()["cache-control"].to_str().unwrap().contains("immutable"));
    }
    let without_version = get("/assets/page.js").await;
    assert_eq!(without_version.headers()["cache-control"], "no-cache");
    assert_eq!(get("/assets/nope.js").await.status(), 404);
    assert_eq!(get("/nope").await.status(), 404);
    assert_eq!(get("/_healthz").await.status(), 200);
}

#[tokio::test]
async fn the_rate_is_one_for_all_and_the_last_visitor_wins() {
    let (redis, sink) = (Redis::start(), sink());
    let frontend = Frontend::start(redis.address, sink.address);
    let mut first = Browser::open(frontend.address).await;
    assert_eq!(first.ask(json!(20)).await, json!({"freq": 20.0}));
    let mut second = Browser::open(frontend.address).await;
    second.stats(|stats| stats["freq"] == 20.0 && stats["viewers"] == 2).await;
    assert_eq!(second.ask(json!("2.5")).await, json!({"freq": 2.5}));
    first.stats(|stats| stats["freq"] == 2.5).await;
    second.emit("frequency", Some(json!({"freq": "0"}))).await;
    first.stats(|stats| stats["freq"] == 0.0).await;
}

#[tokio::test]
async fn what_is_no_rate_changes_nothing_and_its_sender_is_told_why() {
    let (redis, sink) = (Redis::start(), sink());
    let frontend = Frontend::start(redis.address, sink.address);
    let mut browser = Browser::open(frontend.address).await;
    browser.ask(json!(1)).await;
    let wrong = [
        json!(-1),
        json!("abc"),
        json!(""),
        json!(null),
        json!("NaN"),
        json!(1001),
        json!([]),
        json!({}),
    ];
    for freq in wrong {
        let answer = browser.ask(freq.clone()).await;
        let error =
            answer["error"].as_str().unwrap_or_else(|| panic!("{freq} was accepted: {answer}"));
        assert!(error.contains("accepted: 0 to stop, or 0.001 to 1000"), "{error}");
        assert_eq!(browser.event("refused").await, error);
    }
    // As the clients do that ask for no acknowledgement, or say nothing at all.
    for payload in [None, Some(json!(null)), Some(json!(5)), Some(json!("5")), Some(json!([5]))] {
        browser.emit("frequency", payload).await;
        assert!(browser.event("refused").await.as_str().unwrap().contains("it is missing"));
    }
    browser.stats(|stats| stats["freq"] == 1.0).await;
}

#[tokio::test]
async fn one_visitor_changes_the_rate_five_times_a_second_at_most() {
    let (redis, sink) = (Redis::start(), sink());
    let frontend = Frontend::start(redis.address, sink.address);
    let (mut hasty, mut other) =
        (Browser::open(frontend.address).await, Browser::open(frontend.address).await);
    for rate in 1..=5 {
        assert_eq!(hasty.ask(json!(rate)).await, json!({"freq": f64::from(rate)}));
    }
    let error = hasty.ask(json!(6)).await["error"].as_str().unwrap().to_owned();
    assert!(error.contains("accepted: five in a second"), "{error}");
    assert_eq!(other.ask(json!(7)).await, json!({"freq": 7.0}), "another visitor's are another's");
    sleep(Duration::from_secs(1)).await;
    assert_eq!(hasty.ask(json!(8)).await, json!({"freq": 8.0}));
}

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
async fn sends_at_the_rate_that_is_asked_and_stops_at_zero() {
    let (redis, sink) = (Redis::start(), sink());
    let frontend = Frontend::start(redis.address, sink.address);
    let mut browser = Browser::open(frontend.address).await;
    for rate in [20_u64, 300] {
        let (before, start) = (sink.requests(), Instant::now());
        browser.ask(json!(rate)).await;
        sleep(Duration::from_secs(3)).await;
        browser.ask(json!(0)).await;
        let planned = start.elapsed().as_secs_f64() * rate as f64;
        eventually("all is answered", async || {
            let sent = sink.requests();
            sleep(Duration::from_millis(100)).await;
            sent == sink.requests()
        })
        .await;
        let sent = (sink.requests() - before) as f64;
        // A loaded machine may miss slots; it never sends more than it was asked.
        assert!(sent <= planned + 1.0 && planned * 0.8 < sent, "{sent} of {planned} at {rate}/s");
    }
    let stopped = sink.requests();
    sleep(Duration::from_secs(1)).await;
    assert_eq!(sink.requests(), stopped);
    let stats = browser.stats(|stats| stats["ledger"]["answered"] == stopped).await;
    let ledger = &stats["ledger"];
    let count = |name: &str| ledger[name].as_u64().unwrap();
    assert_eq!(count("planned"), count("sent") + count("missed") + count("shed"));
}

#[tokio::test]
async fn every_message_reaches_every_browser_as_it_is() {
    let (redis, sink) = (Redis::start(), sink());
    let frontend = Frontend::start(redis.address, sink.address);
    let mut browsers =
        [Browser::open(frontend.address).await, Browser::open(frontend.address).await];
    browsers[0].stats(is_live).await;
    let messages = [HASH, &format!("bursty-{HASH}"), "<img src=x onerror=alert(1)>", "", "é\n\"😀"];
    for message in messages {
        redis.publish(CHANNEL, message).await;
    }
    redis.publish("another", HASH).await;
    redis.publish(CHANNEL, "last").await;
    for browser in &mut browsers {
        for message in messages.iter().chain(&["last"]) {
            assert_eq!(browser.event("calculation").await, *message);
        }
    }
    let stats = browsers[0].stats(|stats| stats["results"]["total"] == 6).await;
    assert_eq!(stats["results"]["by_prefix"], json!({"": 1, "bursty-": 1, "other": 4}));
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
