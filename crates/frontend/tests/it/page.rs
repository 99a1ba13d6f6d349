//! The page: its assets, its headers, and its updates from the watcher.

use std::{net::SocketAddr, time::Duration};

use axum::{Json, Router, http::StatusCode, routing::get};
use chassis::Shutdown;
use contract::{DecisionRecord, Observed, WatcherStatus, WatcherView};
use fakes::{
    FakeBrowser, FakeRedis, FakeWorker,
    testing::{BackgroundTask, http, listener, spawn},
};
use reqwest::Response;
use serde_json::Value;
use tokio::{sync::watch, time::sleep};

use crate::support::RunningFrontend;

/// A frontend whose page the tests load.
struct ServedPage {
    frontend: RunningFrontend,
    _redis: FakeRedis,
}

impl ServedPage {
    fn new(arguments: &[&str]) -> Self {
        let (redis, worker) = (FakeRedis::start(), FakeWorker::start());
        let frontend = RunningFrontend::start_with(redis.address, worker.address, arguments);
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

/// The paths of the page's own assets. The page names them without the slash, relative to itself.
fn assets(page: &str) -> impl Iterator<Item = String> {
    page.split('"').filter(|part| part.starts_with("assets/")).map(|part| format!("/{part}"))
}

#[tokio::test]
async fn the_page_and_its_assets_are_small_and_cached() {
    let served = ServedPage::new(&[]);
    let response = served.get("/").await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["cache-control"], "no-cache", "the links of the page change");
    let mut weight = response.bytes().await.unwrap().len();

    let page = served.page().await;
    assert!(page.contains("<title>String Hashr</title>"));
    assert!(10 <= assets(&page).count(), "at least our own files");
    for asset in assets(&page) {
        let response = served.get(&asset).await;
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
    let served = ServedPage::new(&[]);
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
async fn every_response_has_the_headers_that_protect_the_page() {
    let served = ServedPage::new(&[]);
    let page = served.page().await;
    // If the build could not embed the libraries, the page loads them from the CDN.
    let cdn =
        if page.contains("https://cdn.jsdelivr.net/") { " https://cdn.jsdelivr.net" } else { "" };
    for path in [
        "/",
        &assets(&page).next().unwrap(),
        "/api/stats",
        "/nope",
        "/socket.io/?EIO=4&transport=polling",
    ] {
        let response = served.get(path).await;
        let header = |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap());
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
            let has_part = policy.split("; ").any(|policy_part| policy_part == part);
            assert!(has_part, "{path}: {part} is not in {policy}");
        }
        assert_eq!(header("referrer-policy"), Some("no-referrer"), "{path}");
        assert_eq!(header("x-content-type-options"), Some("nosniff"), "{path}");
        assert_eq!(header("x-frame-options"), Some("DENY"), "{path}");
    }
}

/// A watcher whose answers the tests set.
struct FakeWatcher {
    address: SocketAddr,
    answers: watch::Sender<(StatusCode, Value)>,
    _task: BackgroundTask,
}

impl FakeWatcher {
    fn start(status: &WatcherStatus) -> Self {
        let answers = watch::Sender::new((StatusCode::OK, serde_json::to_value(status).unwrap()));
        let current = answers.clone();
        let answer = move || async move {
            let (status, body) = current.borrow().clone();
            if status == StatusCode::GATEWAY_TIMEOUT {
                sleep(Duration::from_secs(3)).await;
            }
            (status, Json(body))
        };
        let (listener, address) = listener();
        let router = Router::new().route("/status", get(answer));
        let task = spawn(chassis::server::serve(listener, router, Shutdown::new()));
        Self { address, answers, _task: task }
    }
}

/// Waits until a browser receives the update that the watcher is away, for this reason.
async fn receives_reason(browser: &mut FakeBrowser, reason: &str) {
    for _ in 0..10 {
        let update = browser.event("watcher").await;
        if update["reason"].as_str().is_some_and(|text| text.contains(reason)) {
            assert_eq!(update["state"], "away");
            return;
        }
    }
    panic!("the browser did not receive: {reason}");
}

#[tokio::test]
async fn browsers_receive_the_status_of_the_watcher_or_why_there_is_none() {
    let mut status =
        WatcherStatus { text: "no change needed at 5.0/s".to_owned(), ..WatcherStatus::default() };
    let decision = |at: usize| DecisionRecord {
        at: at as f64,
        rate: None,
        reason: "NoChange".to_owned(),
        text: String::new(),
        from: Default::default(),
        to: Default::default(),
        outcome: "written".to_owned(),
    };
    status.decisions = (0..WatcherStatus::MAX_DECISIONS).map(decision).collect();
    let watcher = FakeWatcher::start(&status);
    let served = ServedPage::new(&[&format!("--watcher-url=http://{}", watcher.address)]);
    let mut browser = FakeBrowser::open(served.frontend.address).await;
    let mut update = browser.event("watcher").await;
    while update["state"] == "unasked" {
        update = browser.event("watcher").await;
    }
    assert_eq!(update["state"], "known");
    assert_eq!(update["status"]["text"], "no change needed at 5.0/s");
    let decisions = update["status"]["decisions"].as_array().unwrap();
    assert_eq!(decisions.len(), WatcherView::MAX_DECISIONS);
    assert_eq!(
        decisions.last().unwrap()["at"],
        (WatcherStatus::MAX_DECISIONS - 1) as f64,
        "the newest"
    );

    // A browser that connects later receives the status at once, although it has not changed.
    let mut later = FakeBrowser::open(served.frontend.address).await;
    assert_eq!(later.event("watcher").await["state"], "known");

    let good = watcher.answers.borrow().1.clone();
    for (code, body, reason) in [
        (StatusCode::SERVICE_UNAVAILABLE, good.clone(), "it answers 503"),
        (StatusCode::OK, Value::from("<html>"), "does not understand"),
        (StatusCode::OK, Value::from("x".repeat(300 * 1024)), "cannot read"),
        (StatusCode::GATEWAY_TIMEOUT, good, "no answer within 1s"),
    ] {
        watcher.answers.send_replace((code, body));
        receives_reason(&mut browser, reason).await;
    }
    drop(watcher);
    receives_reason(&mut browser, "no connection").await;
}

#[tokio::test]
async fn browsers_receive_the_status_of_the_watcher_that_leads_while_another_one_stands_by() {
    let status = |reason: &str, at| {
        let observed = Observed { at, ..Observed::default() };
        let reason = reason.to_owned();
        serde_json::to_value(WatcherStatus { reason, observed, ..WatcherStatus::default() })
            .unwrap()
    };
    let watcher = FakeWatcher::start(&WatcherStatus::default());
    let served = ServedPage::new(&[&format!("--watcher-url=http://{}", watcher.address)]);
    let mut browser = FakeBrowser::open(served.frontend.address).await;
    let mut received = async |reason: &str| {
        for _ in 0..20 {
            let update = browser.event("watcher").await;
            if update["status"]["reason"] == reason {
                return update["status"]["observed"]["at"].as_f64().unwrap();
            }
            let between = &update["status"]["reason"];
            assert_ne!(between, WatcherStatus::STANDBY, "a leader was just there");
        }
        panic!("the browser did not receive {reason}");
    };
    watcher.answers.send_replace((StatusCode::OK, status("NoChange", 1.0)));
    assert_eq!(received("NoChange").await, 1.0);
    watcher.answers.send_replace((StatusCode::OK, status(WatcherStatus::STANDBY, 2.0)));
    // It is asked once a second.
    sleep(Duration::from_millis(2500)).await;
    watcher.answers.send_replace((StatusCode::OK, status("RateHigh", 3.0)));
    assert_eq!(received("RateHigh").await, 3.0);
}

#[tokio::test]
async fn without_a_watcher_url_browsers_receive_that_there_is_no_watcher() {
    let served = ServedPage::new(&[]);
    let mut browser = FakeBrowser::open(served.frontend.address).await;
    assert_eq!(browser.event("watcher").await, serde_json::json!({"state": "unset"}));
}

#[tokio::test]
async fn browsers_receive_visitor_numbers_and_who_requested_the_rate() {
    let served = ServedPage::new(&[]);
    let mut first = FakeBrowser::open(served.frontend.address).await;
    assert_eq!(first.event("visitor").await, 1);
    assert_eq!(first.stats(|_| true).await["requested"], Value::Null);
    let mut second = FakeBrowser::open(served.frontend.address).await;
    assert_eq!(second.event("visitor").await, 2);
    second.request_rate(serde_json::json!(3)).await;
    let stats = first.stats(|stats| stats["freq"] == 3.0).await;
    assert_eq!(stats["requested"]["by"], 2);
    assert!(stats["requested"]["seconds_ago"].as_f64().unwrap() < 5.0, "{stats}");
}
