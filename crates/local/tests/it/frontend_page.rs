//! The frontend: the page, what it is served with, and what it is told of the watcher.

use std::{net::SocketAddr, time::Duration};

use axum::{Json, Router, http::StatusCode, routing::get};
use chassis::Shutdown;
use contract::{DecisionRecord, WatcherStatus, WatcherView};
use reqwest::Response;
use serde_json::Value;
use tokio::{sync::watch, time::sleep};

use crate::{
    browser::Browser,
    support::{Frontend, Redis, Running, http, listener, sink, spawn},
};

struct Served {
    frontend: Frontend,
    _redis: Redis,
}

impl Served {
    fn new(arguments: &[&str]) -> Self {
        let (redis, sink) = (Redis::start(), sink());
        let frontend = Frontend::start_with(redis.address, sink.address, arguments);
        Self { frontend, _redis: redis }
    }

    async fn get(&self, path: &str) -> Response {
        let url = format!("http://{}{path}", self.frontend.address);
        http().get(url).header("accept-encoding", "gzip").send().await.unwrap()
    }

    async fn page(&self) -> String {
        let url = format!("http://{}/", self.frontend.address);
        http().get(url).send().await.unwrap().text().await.unwrap()
    }
}

fn assets(page: &str) -> impl Iterator<Item = &str> {
    page.split('"').filter(|part| part.starts_with("/assets/"))
}

#[tokio::test]
async fn the_page_and_all_that_it_links_are_small_and_kept() {
    let served = Served::new(&[]);
    let response = served.get("/").await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["cache-control"], "no-cache", "its links change");
    let mut weight = response.bytes().await.unwrap().len();

    let page = served.page().await;
    assert!(page.contains("<title>String Hashr</title>"));
    assert!(10 <= assets(&page).count(), "ours at least");
    for asset in assets(&page) {
        let response = served.get(asset).await;
        assert_eq!(response.status(), 200, "{asset}");
        let headers = response.headers();
        assert_eq!(headers["content-encoding"], "gzip", "{asset}");
        let expected = if asset.ends_with(".css") { "text/css" } else { "text/javascript" };
        assert_eq!(headers["content-type"], format!("{expected}; charset=utf-8"), "{asset}");
        let cache = headers["cache-control"].to_str().unwrap();
        assert!(cache.contains("immutable") && cache.contains("max-age=31536000"), "{asset}");
        weight += response.bytes().await.unwrap().len();
    }
    assert!(weight <= 150 * 1024, "{weight} bytes");
}

#[tokio::test]
async fn an_asset_of_another_version_is_not_found() {
    let served = Served::new(&[]);
    for path in [
        "/assets/page.js",
        "/assets/another/page.js",
        "/assets/another/nope.js",
        "/assets/a/b/c",
        "/nope",
    ] {
        assert_eq!(served.get(path).await.status(), 404, "{path}");
    }
    assert_eq!(served.get("/_healthz").await.status(), 200);
}

#[tokio::test]
async fn everything_is_served_with_the_headers_that_protect_it() {
    let served = Served::new(&[]);
    let page = served.page().await;
    // Where the build could not embed the libraries, there is one other source.
    let cdn =
        if page.contains("https://cdn.jsdelivr.net/") { " https://cdn.jsdelivr.net" } else { "" };
    for path in [
        "/",
        assets(&page).next().unwrap(),
        "/api/stats",
        "/nope",
        "/socket.io/?EIO=4&transport=polling",
    ] {
        let response = served.get(path).await;
        let header = |name: &str| response.headers().get(name).map(|it| it.to_str().unwrap());
        let policy = header("content-security-policy").unwrap_or_else(|| panic!("{path}"));
        for part in [
            "default-src 'none'".to_owned(),
            format!("script-src 'self'{cdn}"),
            format!("style-src 'self'{cdn}"),
            "frame-ancestors 'none'".to_owned(),
            "connect-src 'self'".to_owned(),
            "img-src 'self' data:".to_owned(),
            "form-action 'none'".to_owned(),
            "base-uri 'none'".to_owned(),
        ] {
            assert!(policy.split("; ").any(|it| it == part), "{path}: {part} is not in {policy}");
        }
        assert_eq!(header("referrer-policy"), Some("no-referrer"), "{path}");
        assert_eq!(header("x-content-type-options"), Some("nosniff"), "{path}");
        assert_eq!(header("x-frame-options"), Some("DENY"), "{path}");
    }
}

/// In the place of a watcher: answers what it is told to.
struct FakeWatcher {
    address: SocketAddr,
    answers: watch::Sender<(StatusCode, Value)>,
    _running: Running,
}

impl FakeWatcher {
    fn start(status: &WatcherStatus) -> Self {
        let answers = watch::Sender::new((StatusCode::OK, serde_json::to_value(status).unwrap()));
        let told = answers.clone();
        let answer = move || async move {
            let (status, body) = told.borrow().clone();
            if status == StatusCode::GATEWAY_TIMEOUT {
                sleep(Duration::from_secs(3)).await;
            }
            (status, Json(body))
        };
        let (listener, address) = listener();
        let router = Router::new().route("/status", get(answer));
        let running = spawn(chassis::server::serve(listener, router, Shutdown::new()));
        Self { address, answers, _running: running }
    }
}

/// Waits until browsers are told that the watcher is away, for a reason.
async fn is_told(browser: &mut Browser, reason: &str) {
    for _ in 0..10 {
        let view = browser.event("watcher").await;
        if view["reason"].as_str().is_some_and(|it| it.contains(reason)) {
            assert_eq!(view["state"], "away");
            return;
        }
    }
    panic!("not told: {reason}");
}

#[tokio::test]
async fn browsers_are_told_what_the_watcher_says_and_why_it_says_nothing() {
    let mut status = WatcherStatus { text: "all is well".to_owned(), ..WatcherStatus::default() };
    let decision = |at: usize| DecisionRecord {
        at: at as f64,
        rate: None,
        reason: "Settled".to_owned(),
        text: String::new(),
        from: Default::default(),
        to: Default::default(),
        outcome: "written".to_owned(),
    };
    status.decisions = (0..WatcherStatus::MAX_DECISIONS).map(decision).collect();
    let watcher = FakeWatcher::start(&status);
    let served = Served::new(&[&format!("--watcher-url=http://{}", watcher.address)]);
    let mut browser = Browser::open(served.frontend.address).await;
    let mut view = browser.event("watcher").await;
    while view["state"] == "unasked" {
        view = browser.event("watcher").await;
    }
    assert_eq!(view["state"], "known");
    assert_eq!(view["status"]["text"], "all is well");
    let decisions = view["status"]["decisions"].as_array().unwrap();
    assert_eq!(decisions.len(), WatcherView::MAX_DECISIONS);
    assert_eq!(
        decisions.last().unwrap()["at"],
        (WatcherStatus::MAX_DECISIONS - 1) as f64,
        "the newest"
    );

    // One who comes later is told at once, though nothing changes.
    let mut later = Browser::open(served.frontend.address).await;
    assert_eq!(later.event("watcher").await["state"], "known");

    let well = watcher.answers.borrow().1.clone();
    for (code, body, reason) in [
        (StatusCode::SERVICE_UNAVAILABLE, well.clone(), "it answers 503"),
        (StatusCode::OK, Value::from("<html>"), "not understood"),
        (StatusCode::OK, Value::from("x".repeat(300 * 1024)), "cannot be read"),
        (StatusCode::GATEWAY_TIMEOUT, well, "no answer within 1s"),
    ] {
        watcher.answers.send_replace((code, body));
        is_told(&mut browser, reason).await;
    }
    drop(watcher);
    is_told(&mut browser, "no connection").await;
}

#[tokio::test]
async fn without_a_watcher_browsers_are_told_that_there_is_none() {
    let served = Served::new(&[]);
    let mut browser = Browser::open(served.frontend.address).await;
    assert_eq!(browser.event("watcher").await, serde_json::json!({"state": "unset"}));
}

#[tokio::test]
async fn browsers_have_numbers_and_all_are_told_who_asked() {
    let served = Served::new(&[]);
    let mut first = Browser::open(served.frontend.address).await;
    assert_eq!(first.event("visitor").await, 1);
    assert_eq!(first.stats(|_| true).await["asked"], Value::Null);
    let mut second = Browser::open(served.frontend.address).await;
    assert_eq!(second.event("visitor").await, 2);
    second.ask(serde_json::json!(3)).await;
    let stats = first.stats(|stats| stats["freq"] == 3.0).await;
    assert_eq!(stats["asked"]["by"], 2);
    assert!(stats["asked"]["ago"].as_f64().unwrap() < 5.0, "{stats}");
}
