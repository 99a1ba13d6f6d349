//! The rate that visitors request, and the load at that rate.

use std::time::Duration;

use contract::calculation::CHANNEL;
use fakes::{
    FakeBrowser, FakeRedis, FakeWorker,
    testing::{eventually, http},
};
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::support::{HASH, RunningFrontend, is_live};

#[tokio::test]
async fn all_visitors_share_one_rate_and_the_last_request_wins() {
    let (redis, worker) = (FakeRedis::start(), FakeWorker::start());
    let frontend = RunningFrontend::start(redis.address, worker.address);
    let mut first = FakeBrowser::open(frontend.address).await;
    assert_eq!(first.request_rate(json!(20)).await, json!({"freq": 20.0}));
    let mut second = FakeBrowser::open(frontend.address).await;
    second.stats(|stats| stats["freq"] == 20.0 && stats["viewers"] == 2).await;
    assert_eq!(second.request_rate(json!("2.5")).await, json!({"freq": 2.5}));
    first.stats(|stats| stats["freq"] == 2.5).await;
    second.emit("frequency", Some(json!({"freq": "0"}))).await;
    first.stats(|stats| stats["freq"] == 0.0).await;
}

#[tokio::test]
async fn an_invalid_rate_changes_nothing_and_its_sender_receives_the_reason() {
    let (redis, worker) = (FakeRedis::start(), FakeWorker::start());
    let frontend = RunningFrontend::start(redis.address, worker.address);
    let mut browser = FakeBrowser::open(frontend.address).await;
    browser.request_rate(json!(1)).await;
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
        let answer = browser.request_rate(freq.clone()).await;
        let error =
            answer["error"].as_str().unwrap_or_else(|| panic!("{freq} was accepted: {answer}"));
        assert!(error.contains("accepted: 0 to stop, or 0.01 to 1000"), "{error}");
        assert_eq!(browser.event("refused").await, error);
    }
    // Some clients want no acknowledgement, or send no payload.
    for payload in [None, Some(json!(null)), Some(json!(5)), Some(json!("5")), Some(json!([5]))] {
        browser.emit("frequency", payload).await;
        assert!(browser.event("refused").await.as_str().unwrap().contains("it is missing"));
    }
    browser.stats(|stats| stats["freq"] == 1.0).await;
}

#[tokio::test]
async fn an_invalid_rate_sends_no_requests() {
    let (redis, worker) = (FakeRedis::start(), FakeWorker::start());
    let frontend = RunningFrontend::start(redis.address, worker.address);
    let mut browser = FakeBrowser::open(frontend.address).await;
    for freq in [json!(""), json!(0), json!("abc"), json!(-5), json!(null)] {
        browser.request_rate(freq).await;
    }
    sleep(Duration::from_secs(1)).await;
    let stats = browser.stats(|_| true).await;
    assert_eq!((&stats["ledger"]["planned"], worker.requests()), (&json!(0), 0));
}

#[tokio::test]
async fn with_a_token_everybody_may_watch_and_only_some_may_change_the_rate() {
    let (redis, worker) = (FakeRedis::start(), FakeWorker::start());
    let arguments = ["--control-token=correct-horse"];
    let frontend = RunningFrontend::start_with(redis.address, worker.address, &arguments);
    let mut browser = FakeBrowser::open(frontend.address).await;
    let error = browser.request_rate(json!(5)).await["error"].as_str().unwrap().to_owned();
    assert!(error.contains("token: it is missing"), "{error}");
    assert_eq!(browser.event("refused").await, error);
    browser.emit("frequency", Some(json!({"freq": 5, "token": "correct-horse"}))).await;
    let mut viewer = FakeBrowser::open(frontend.address).await;
    viewer.stats(|stats| stats["freq"] == 5.0).await;
    let metrics = http().get(format!("http://{}/metrics", frontend.address)).send().await.unwrap();
    let metrics = metrics.text().await.unwrap();
    for line in [
        "frontend_rate_requests_total{result=\"accepted\"} 1",
        "frontend_rate_requests_total{result=\"unauthorized\"} 1",
    ] {
        assert!(metrics.contains(line), "{line} is not in {metrics}");
    }
}

#[tokio::test]
async fn pages_of_other_sites_may_not_use_socket_io() {
    let (redis, worker) = (FakeRedis::start(), FakeWorker::start());
    let arguments = ["--allowed-origins=https://dashboard.example"];
    for (arguments, allows_own, allows_dashboard) in
        [(&[][..], true, false), (&arguments[..], false, true)]
    {
        let frontend = RunningFrontend::start_with(redis.address, worker.address, arguments);
        let own_origin = format!("http://{}", frontend.address);
        for (origin, is_allowed) in [
            (own_origin.as_str(), allows_own),
            ("https://dashboard.example", allows_dashboard),
            ("https://evil.example", false),
            ("null", false),
        ] {
            for path in ["/socket.io/", "/socket.io"] {
                let url = format!("{}{path}?EIO=4&transport=", frontend.address);
                let opened = FakeBrowser::open_from(origin, &format!("ws://{url}websocket")).await;
                assert_eq!(opened.is_ok(), is_allowed, "websocket at {path} from {origin}");
                let polling = format!("http://{url}polling");
                let polled = http().get(polling).header("origin", origin).send().await.unwrap();
                assert_eq!(polled.status() == 200, is_allowed, "polling at {path} from {origin}");
                let cors = polled.headers().get("access-control-allow-origin");
                assert_eq!(
                    cors.is_some(),
                    is_allowed && allows_dashboard,
                    "CORS at {path} for {origin}"
                );
            }
        }
        let metrics = format!("http://{}/metrics", frontend.address);
        let metrics = http().get(metrics).send().await.unwrap().text().await.unwrap();
        assert!(metrics.contains("frontend_refused_origins_total 12"), "{metrics}");
        // A client that is no page may read.
        let stats = format!("http://{}/api/stats", frontend.address);
        assert_eq!(http().get(stats).send().await.unwrap().status(), 200);
    }
}

#[tokio::test]
async fn a_visitor_may_change_the_rate_five_times_a_second() {
    let (redis, worker) = (FakeRedis::start(), FakeWorker::start());
    let frontend = RunningFrontend::start(redis.address, worker.address);
    let (mut hasty, mut other) =
        (FakeBrowser::open(frontend.address).await, FakeBrowser::open(frontend.address).await);
    for rate in 1..=5 {
        assert_eq!(hasty.request_rate(json!(rate)).await, json!({"freq": f64::from(rate)}));
    }
    let error = hasty.request_rate(json!(6)).await["error"].as_str().unwrap().to_owned();
    assert!(error.contains("accepted: five in a second"), "{error}");
    assert_eq!(
        other.request_rate(json!(7)).await,
        json!({"freq": 7.0}),
        "each visitor has a limit of its own"
    );
    sleep(Duration::from_secs(1)).await;
    assert_eq!(hasty.request_rate(json!(8)).await, json!({"freq": 8.0}));
}

#[tokio::test]
async fn the_frontend_sends_at_the_requested_rate_and_stops_at_zero() {
    let (redis, worker) = (FakeRedis::start(), FakeWorker::start());
    let frontend = RunningFrontend::start(redis.address, worker.address);
    let mut browser = FakeBrowser::open(frontend.address).await;
    for rate in [20_u64, 300] {
        let (before, start) = (worker.requests(), Instant::now());
        browser.request_rate(json!(rate)).await;
        sleep(Duration::from_secs(3)).await;
        browser.request_rate(json!(0)).await;
        let planned = start.elapsed().as_secs_f64() * rate as f64;
        eventually("all requests are answered", async || {
            let sent = worker.requests();
            sleep(Duration::from_millis(300)).await;
            sent == worker.requests()
        })
        .await;
        let sent = (worker.requests() - before) as f64;
        // A busy machine may miss slots, but the frontend never sends more than requested.
        assert!(sent <= planned + 1.0 && planned * 0.8 < sent, "{sent} of {planned} at {rate}/s");
    }
    let stopped = worker.requests();
    sleep(Duration::from_secs(1)).await;
    assert_eq!(worker.requests(), stopped);
    let stats = browser.stats(|stats| stats["ledger"]["answered"] == stopped).await;
    let ledger = &stats["ledger"];
    let count = |name: &str| ledger[name].as_u64().unwrap();
    assert_eq!(count("planned"), count("sent") + count("missed") + count("shed"));
}

#[tokio::test]
async fn every_message_reaches_every_browser_unchanged() {
    let (redis, worker) = (FakeRedis::start(), FakeWorker::start());
    let frontend = RunningFrontend::start(redis.address, worker.address);
    let mut browsers =
        [FakeBrowser::open(frontend.address).await, FakeBrowser::open(frontend.address).await];
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
