//! What clients and proxies do that the page does not.

use std::{net::SocketAddr, sync::Arc};

use fakes::{
    FakeBrowser, FakeRedis, FakeWorker,
    testing::{eventually, http},
};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
};

use crate::support::{HASH, RunningFrontend, is_live};

/// A frontend and its neighbors.
struct Edge {
    frontend: RunningFrontend,
    redis: FakeRedis,
    _worker: FakeWorker,
}

impl Edge {
    fn new(arguments: &[&str]) -> Self {
        let (redis, worker) = (FakeRedis::start(), FakeWorker::start());
        let frontend = RunningFrontend::start_with(redis.address, worker.address, arguments);
        Self { frontend, redis, _worker: worker }
    }

    fn address(&self) -> SocketAddr {
        self.frontend.address
    }

    /// Sends the head of a request; returns what is answered until the connection closes or rests.
    async fn answer(&self, path: &str, headers: &[&str]) -> String {
        let mut stream = TcpStream::connect(self.address()).await.unwrap();
        let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
        let request =
            format!("GET {path} HTTP/1.1\r\nhost: f\r\nconnection: close\r\n{headers}\r\n");
        let request = if headers.to_lowercase().contains("connection:") {
            request.replace("connection: close\r\n", "")
        } else {
            request
        };
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = vec![0; 4096];
        let length = stream.read(&mut answer).await.unwrap();
        String::from_utf8_lossy(&answer[..length]).into_owned()
    }
}

const SOCKET: &str = "/socket.io/?EIO=4&transport=websocket";
const KEY: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";

#[tokio::test]
async fn a_handshake_that_is_none_is_refused_in_words() {
    let edge = Edge::new(&[]);
    let upgrade = ["Connection: Upgrade", "Upgrade: websocket"];
    let version = "Sec-WebSocket-Version: 13";
    let check = async |path: &str, headers: &[&str], status: &str, words: &str| {
        let answer = edge.answer(path, headers).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{headers:?}: {answer}");
        assert!(answer.to_lowercase().contains(words), "{headers:?}: {answer}");
    };
    check(SOCKET, &[upgrade[0], upgrade[1], KEY, version], "101", "sec-websocket-accept").await;
    check(
        SOCKET,
        &["Connection: keep-alive, upgrade", "Upgrade: WebSocket", KEY, version],
        "101",
        "",
    )
    .await;
    check(SOCKET, &[KEY, version], "400", "accepted for a websocket").await;
    check(SOCKET, &[upgrade[0], KEY, version], "400", "accepted for a websocket").await;
    check(SOCKET, &[], "400", "accepted for a websocket").await;
    let old = "Sec-WebSocket-Version: 8";
    check(SOCKET, &[upgrade[0], upgrade[1], KEY, old], "426", "sec-websocket-version: 13").await;
    check(SOCKET, &[upgrade[0], upgrade[1], KEY], "426", "accepted: 13").await;
    check(SOCKET, &[upgrade[0], upgrade[1], version], "400", "sec-websocket-key").await;
    let short = "Sec-WebSocket-Key: short";
    check(SOCKET, &[upgrade[0], upgrade[1], short, version], "400", "sec-websocket-key").await;
    let jsonp = "/socket.io/?EIO=3&transport=polling&j=0";
    check(jsonp, &[], "400", "jsonp is not supported; accepted").await;
    check("/socket.io/?EIO=4&transport=polling", &[], "200", "").await;
}

#[tokio::test]
async fn a_long_frequency_is_refused_in_words() {
    let edge = Edge::new(&[]);
    let mut browser = FakeBrowser::open(edge.address()).await;
    for length in [5_000, 20_000, 100_000] {
        let answer = browser.request_rate(json!("9".repeat(length))).await;
        let error = answer["error"].as_str().unwrap();
        assert!(error.contains("is not accepted; accepted: 0 to stop"), "{error}");
        assert!(error.len() < 200, "{error}");
    }
}

#[tokio::test]
async fn a_frequency_is_read_as_people_type_it() {
    let edge = Edge::new(&[]);
    let mut browser = FakeBrowser::open(edge.address()).await;
    assert_eq!(browser.request_rate(json!("2,5")).await, json!({"freq": 2.5}));
    assert_eq!(browser.request_rate(json!("٢٠")).await, json!({"freq": 20.0}));
    let refused = browser.request_rate(json!("1,000")).await;
    assert!(refused["error"].as_str().unwrap().contains("\"1,000\" is not accepted"), "{refused}");
}

#[tokio::test]
async fn everything_works_under_a_path() {
    let edge = Edge::new(&["--base-path=/hashr"]);
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
    let _ = http();
    let client = client.build().unwrap();
    let get = async |path: &str| {
        client.get(format!("http://{}{path}", edge.address())).send().await.unwrap()
    };
    let page = get("/hashr/").await.text().await.unwrap();
    let asset = page.split('"').find(|part| part.starts_with("assets/")).unwrap();
    for path in ["/hashr/api/stats", "/hashr/api/history.csv", "/_healthz", "/", "/metrics"] {
        assert_eq!(get(path).await.status(), 200, "{path}");
    }
    assert_eq!(get(&format!("/hashr/{asset}")).await.status(), 200);
    let redirect = get("/hashr?a=b").await;
    assert_eq!(
        (redirect.status().as_u16(), &redirect.headers()["location"]),
        (308, &"/hashr/?a=b".parse().unwrap())
    );
    assert_eq!(get("/hashrs/").await.status(), 404);

    let url = format!("ws://{}/hashr/socket.io/?EIO=4&transport=websocket", edge.address());
    let own = format!("http://{}", edge.address());
    FakeBrowser::open_from(&own, &url).await.unwrap();
    assert!(FakeBrowser::open_from("https://evil.example", &url).await.is_err());
    let mut browser = FakeBrowser::open(edge.address()).await;
    browser.stats(is_live).await;
    edge.redis.publish("calculation", HASH).await;
    assert_eq!(browser.event("calculation").await, HASH);
}

#[tokio::test]
async fn an_origin_with_a_default_port_is_the_same_origin() {
    let edge = Edge::new(&[]);
    eventually("the frontend answers", async || {
        edge.answer("/_healthz", &[]).await.starts_with("HTTP/1.1 200")
    })
    .await;
    let polling = "/socket.io/?EIO=4&transport=polling";
    let from = async |host: &str, origin: &str| {
        let mut stream = TcpStream::connect(edge.address()).await.unwrap();
        let head = format!("GET {polling} HTTP/1.1\r\nhost: {host}\r\norigin: {origin}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = vec![0; 2048];
        let length = stream.read(&mut answer).await.unwrap();
        String::from_utf8_lossy(&answer[..length]).into_owned()
    };
    for host in ["h", "h:443", "h:80", "H:443", "h."] {
        assert!(from(host, "https://h").await.starts_with("HTTP/1.1 200 "), "{host}");
    }
    let refused = from("h:8443", "https://h").await;
    assert!(refused.starts_with("HTTP/1.1 403 "), "{refused}");
    assert!(refused.contains("ALLOWED_ORIGINS"), "{refused}");
}

#[tokio::test]
async fn a_subscription_that_redis_forgot_is_renewed_and_the_page_says_so() {
    let edge = Edge::new(&[]);
    let mut browser = FakeBrowser::open(edge.address()).await;
    browser.stats(is_live).await;
    browser.request_rate(json!(20)).await;
    edge.redis.publish("calculation", HASH).await;
    assert_eq!(browser.event("calculation").await, HASH);
    // The worker goes on to answer, and nothing arrives any more.
    edge.redis.forget_subscriptions();
    let away = browser.stats(|stats| stats["feed"]["state"] == "away").await;
    let reason = away["feed"]["reason"].as_str().unwrap();
    assert!(reason.contains("results do not arrive"), "{reason}");
    // What is published reaches the new subscription.
    let publish = async {
        loop {
            edge.redis.publish("calculation", HASH).await;
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    };
    let live = browser.stats(is_live);
    tokio::select! {
        _ = live => {}
        () = publish => {}
    }
}

#[tokio::test]
async fn connections_are_renewed_so_that_they_reach_every_worker() {
    let (redis, first) = (FakeRedis::start(), FakeWorker::start());
    let (listener, address) = fakes::testing::listener();
    let second = FakeWorker::start();
    // Stands for a Service: each new connection reaches the next worker.
    let balancer = fakes::testing::spawn({
        let workers = [first.address, second.address];
        async move {
            let mut connections = tokio::task::JoinSet::new();
            for worker in workers.into_iter().cycle() {
                let (mut client, _) = listener.accept().await.unwrap();
                connections.spawn(async move {
                    let mut worker = TcpStream::connect(worker).await.unwrap();
                    let _ = tokio::io::copy_bidirectional(&mut client, &mut worker).await;
                });
            }
        }
    });
    let frontend = RunningFrontend::start(redis.address, address);
    let mut browser = FakeBrowser::open(frontend.address).await;
    browser.request_rate(json!(50)).await;
    let answered = |stats: &serde_json::Value| 300 <= stats["ledger"]["answered"].as_u64().unwrap();
    let stats = browser.stats(answered).await;
    assert_eq!(stats["ledger"]["failed"]["reset"], 0, "{stats}");
    assert!(60 < first.requests() && 60 < second.requests(), "{}", first.requests());
    drop(balancer);
}

#[tokio::test]
async fn sessions_are_limited_and_keep_nobody_from_the_page() {
    let edge = Arc::new(Edge::new(&[]));
    let mut answers = Vec::new();
    // A process may have a thousand open files.
    for _ in 0..26 {
        let mut fifty = JoinSet::new();
        for _ in 0..50 {
            let edge = Arc::clone(&edge);
            let path = "/socket.io/?EIO=4&transport=polling";
            fifty.spawn(async move { edge.answer(path, &[]).await });
        }
        answers.extend(fifty.join_all().await);
    }
    let answered = |status: &str| answers.iter().filter(|answer| answer.contains(status)).count();
    let refused = answered("1280 sessions are open; try again later");
    // Ten seconds later, a session that nobody joined has ended.
    assert!(0 < refused && 1280 <= answered("HTTP/1.1 200 "), "{refused} are refused");
    assert_eq!(refused, answered("HTTP/1.1 503 "));
    assert!(edge.answer("/", &[]).await.starts_with("HTTP/1.1 200 "));
}
