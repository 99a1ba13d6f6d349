//! The frontend: the page, and the rate that visitors ask for.

use std::time::Duration;

use contract::calculation::CHANNEL;
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::{
    browser::Browser,
    support::{Frontend, HASH, Redis, eventually, http, is_live, sink},
};

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
async fn what_is_no_rate_sends_nothing() {
    let (redis, sink) = (Redis::start(), sink());
    let frontend = Frontend::start(redis.address, sink.address);
    let mut browser = Browser::open(frontend.address).await;
    for freq in [json!(""), json!(0), json!("abc"), json!(-5), json!(null)] {
        browser.ask(freq).await;
    }
    sleep(Duration::from_secs(1)).await;
    let stats = browser.stats(|_| true).await;
    assert_eq!((&stats["ledger"]["planned"], sink.requests()), (&json!(0), 0));
}

#[tokio::test]
async fn with_a_token_everybody_watches_and_some_drive() {
    let (redis, sink) = (Redis::start(), sink());
    let arguments = ["--control-token=correct-horse"];
    let frontend = Frontend::start_with(redis.address, sink.address, &arguments);
    let mut browser = Browser::open(frontend.address).await;
    let error = browser.ask(json!(5)).await["error"].as_str().unwrap().to_owned();
    assert!(error.contains("token: it is missing"), "{error}");
    assert_eq!(browser.event("refused").await, error);
    browser.emit("frequency", Some(json!({"freq": 5, "token": "correct-horse"}))).await;
    let mut viewer = Browser::open(frontend.address).await;
    viewer.stats(|stats| stats["freq"] == 5.0).await;
    let metrics = http().get(format!("http://{}/metrics", frontend.address)).send().await.unwrap();
    let metrics = metrics.text().await.unwrap();
    for line in [
        "frontend_asks_total{result=\"accepted\"} 1",
        "frontend_asks_total{result=\"unauthorized\"} 1",
    ] {
        assert!(metrics.contains(line), "{line} is not in {metrics}");
    }
}

#[tokio::test]
async fn pages_of_other_sites_may_not_use_socket_io() {
    let (redis, sink) = (Redis::start(), sink());
    let arguments = ["--allowed-origins=https://dashboard.example"];
    for (arguments, own, friend) in [(&[][..], true, false), (&arguments[..], false, true)] {
        let frontend = Frontend::start_with(redis.address, sink.address, arguments);
        let own_origin = format!("http://{}", frontend.address);
        for (origin, may) in [
            (own_origin.as_str(), own),
            ("https://dashboard.example", friend),
            ("https://evil.example", false),
            ("null", false),
        ] {
            for path in ["/socket.io/", "/socket.io"] {
                let url = format!("{}{path}?EIO=4&transport=", frontend.address);
                let opened = Browser::open_from(origin, &format!("ws://{url}websocket")).await;
                assert_eq!(opened.is_ok(), may, "websocket at {path} from {origin}");
                let polling = format!("http://{url}polling");
                let polled = http().get(polling).header("origin", origin).send().await.unwrap();
                assert_eq!(polled.status() == 200, may, "polling at {path} from {origin}");
                let allowed = polled.headers().get("access-control-allow-origin");
                assert_eq!(allowed.is_some(), may && friend, "CORS at {path} for {origin}");
            }
        }
        let metrics = format!("http://{}/metrics", frontend.address);
        let metrics = http().get(metrics).send().await.unwrap().text().await.unwrap();
        assert!(metrics.contains("frontend_refused_origins_total 12"), "{metrics}");
        // What changes nothing may be read by anybody who is no page.
        let stats = format!("http://{}/api/stats", frontend.address);
        assert_eq!(http().get(stats).send().await.unwrap().status(), 200);
    }
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
