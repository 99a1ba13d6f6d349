//! What the worker accepts, and what it refuses.

use std::time::Duration;

use chassis::Cores;
use contract::calculation::CHANNEL;
use fakes::{
    FakeRedis,
    testing::{eventually, http, pass},
};
use reqwest::{Method, Response, StatusCode};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{Instant, timeout},
};

use crate::support::RunningWorker;

pub(crate) const ABC: &str = "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=";
const EMPTY: &str = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
/// `printf 'a\0\n😀é' | openssl dgst -sha256 -binary | base64`
const ODD: &str = "QxPGZ7wSUlxiWnxlqf7w65kqutvl3botGpeLmgH3yFc=";

pub(crate) async fn post(worker: &RunningWorker, body: impl Into<reqwest::Body>) -> Response {
    let request = http().post(worker.url("/")).header("content-type", "application/json");
    request.body(body).send().await.unwrap()
}

pub(crate) async fn ready_worker(arguments: &[&str]) -> (FakeRedis, RunningWorker) {
    ready_worker_on(Cores::start().unwrap(), arguments).await
}

async fn ready_worker_on(runtimes: Cores, arguments: &[&str]) -> (FakeRedis, RunningWorker) {
    let redis = FakeRedis::start();
    let worker = RunningWorker::start_on(runtimes, redis.address, arguments);
    eventually("the worker is ready", async || worker.is_ready().await).await;
    (redis, worker)
}

/// Checks that the answer is one line, which says what is wrong and what is accepted.
async fn check_refused(response: Response, status: StatusCode, says: &str) {
    assert_eq!(response.status(), status);
    let line = response.text().await.unwrap();
    assert!(line.contains(says), "{line:?} does not say {says:?}");
    assert!(line.contains("accepted: "), "{line:?} does not say what is accepted");
    assert_eq!(line.lines().count(), 1, "{line:?}");
}

#[tokio::test]
async fn publishes_the_hash_of_any_text_and_then_answers_ok() {
    for prefix in ["", "bursty-"] {
        let (redis, worker) = ready_worker(&[&format!("--prefix={prefix}")]).await;
        let mut published = redis.subscribe(CHANNEL).await;
        for (body, hash) in [
            (r#"{"str":"abc"}"#, ABC),
            (r#"{"str":""}"#, EMPTY),
            (r#"{"str":"a\u0000\n\ud83d\ude00é"}"#, ODD),
            (r#"{"freq":[{}],"str":"abc","more":{"str":1}}"#, ABC),
        ] {
            let response = post(&worker, body).await;
            assert_eq!(response.status(), StatusCode::OK, "{body}");
            let calculation = format!("{prefix}{hash}");
            assert_eq!(response.headers()["x-calculation"], calculation.as_str());
            assert_eq!(response.text().await.unwrap(), "OK");
            assert_eq!(published.message().await, calculation);
        }
    }
}

#[tokio::test]
async fn refuses_a_malformed_body_and_publishes_nothing() {
    let (redis, worker) = ready_worker(&[]).await;
    let mut published = redis.subscribe(CHANNEL).await;
    let deep = format!("{}1{}", "[".repeat(10_000), "]".repeat(10_000));
    let bodies = [
        ("", "body"),
        ("abc", "body"),
        (r#"{"str":"#, "body"),
        ("{}", "missing field `str`"),
        (r#"{"str":null}"#, "null"),
        (r#"{"str":5}"#, "integer"),
        (r#"{"str":true}"#, "boolean"),
        (r#"{"str":["abc"]}"#, "sequence"),
        (r#"{"str":{}}"#, "map"),
        (r#"["abc"]"#, "sequence"),
        (r#""abc""#, "string"),
        ("null", "null"),
        (r#"{"str":"\ud800"}"#, "body"),
        (r#"{"str":"\udc00"}"#, "surrogate"),
        (r#"{"str":"a","str":"b"}"#, "duplicate field `str`"),
        (r#"{"str":"a"} and more"#, "trailing characters"),
        (&format!(r#"{{"str":{deep}}}"#), "sequence"),
    ];
    for (body, says) in bodies {
        check_refused(post(&worker, body.to_owned()).await, StatusCode::BAD_REQUEST, says).await;
    }
    let invalid = b"{\"str\":\"\xff\"}".to_vec();
    check_refused(post(&worker, invalid).await, StatusCode::BAD_REQUEST, "utf-8").await;
    published.check_silent(&redis, CHANNEL).await;

    let beside = format!(r#"{{"deep":{deep},"str":"abc"}}"#);
    let status = post(&worker, beside).await.status();
    assert!([StatusCode::OK, StatusCode::BAD_REQUEST].contains(&status), "{status}");
    assert!(worker.is_ready().await);
}

#[tokio::test]
async fn refuses_content_types_other_than_json() {
    let (_redis, worker) = ready_worker(&[]).await;
    let post_with = async |headers: &[(&str, &str)]| {
        let mut request = http().post(worker.url("/")).body(r#"{"str":"abc"}"#);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.unwrap()
    };
    for accepted in
        ["application/json", "Application/JSON; charset=UTF-8", "application/vnd.x+json"]
    {
        assert_eq!(
            post_with(&[("content-type", accepted)]).await.status(),
            StatusCode::OK,
            "{accepted}"
        );
    }
    for refused in
        ["", "text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin1"]
    {
        let response = post_with(&[("content-type", refused)]).await;
        check_refused(response, StatusCode::UNSUPPORTED_MEDIA_TYPE, "content-type").await;
    }
    check_refused(post_with(&[]).await, StatusCode::UNSUPPORTED_MEDIA_TYPE, "content-type").await;
    let gzip =
        post_with(&[("content-type", "application/json"), ("content-encoding", "gzip")]).await;
    check_refused(gzip, StatusCode::UNSUPPORTED_MEDIA_TYPE, "content-encoding").await;
}

#[tokio::test]
async fn refuses_a_large_body_without_reading_it() {
    let (_redis, worker) = ready_worker(&[]).await;
    let fits = format!(r#"{{"str":"{}"}}"#, "a".repeat(100 * 1024 - 10));
    assert_eq!(fits.len(), 100 * 1024);
    assert_eq!(post(&worker, fits.clone()).await.status(), StatusCode::OK);
    let response = post(&worker, format!("{fits} ")).await;
    check_refused(response, StatusCode::PAYLOAD_TOO_LARGE, "body").await;

    let mut stream = TcpStream::connect(worker.address).await.unwrap();
    let head = "POST / HTTP/1.1\r\nhost: w\r\ncontent-type: application/json\r\ncontent-length: 9999999999\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let answer = read_to_end(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "before any body: {answer}");

    let mut stream = TcpStream::connect(worker.address).await.unwrap();
    let head = "POST / HTTP/1.1\r\nhost: w\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let chunk = format!("4000\r\n{}\r\n", "a".repeat(0x4000));
    let mut written = 0;
    while written < 1000 && stream.write_all(chunk.as_bytes()).await.is_ok() {
        written += 1;
    }
    assert!(written < 1000, "the worker read on in a body without end");
    let mut answer = [0; 12];
    // A client that writes on without end may lose the answer in the reset that ends it.
    if stream.read_exact(&mut answer).await.is_ok() {
        assert_eq!(&answer, b"HTTP/1.1 413");
    }

    let (_redis, worker) = ready_worker(&["--max-body=16B"]).await;
    assert_eq!(post(&worker, r#"{"str":"abc"}"#).await.status(), StatusCode::OK);
    assert_eq!(post(&worker, r#"{"str":"abcdef"}"#.to_owned() + " ").await.status(), 413);
}

async fn read_to_end(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let read = timeout(Duration::from_secs(60), stream.read_to_end(&mut answer)).await;
    read.expect("the connection is still open").unwrap();
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn answers_probes_preflights_and_wrong_paths_and_methods() {
    let (_redis, worker) = ready_worker(&[]).await;
    for path in ["/", "/_healthz"] {
        let response = http().get(worker.url(path)).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.text().await.unwrap(), "ok");
    }
    assert_eq!(
        http().get(worker.url("/nope")).send().await.unwrap().status(),
        StatusCode::NOT_FOUND
    );
    for method in [Method::PUT, Method::DELETE, Method::PATCH] {
        let response = http().request(method, worker.url("/")).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
        let allow = response.headers()["allow"].to_str().unwrap();
        assert!(allow.contains("GET") && allow.contains("POST"), "{allow}");
    }

    let preflight = http()
        .request(Method::OPTIONS, worker.url("/"))
        .header("origin", "https://example.com")
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "content-type,x-mine");
    let response = preflight.send().await.unwrap();
    assert_eq!(response.status(), StatusCode::NO_CONTENT);
    let headers = response.headers();
    assert_eq!(headers["access-control-allow-origin"], "*");
    assert!(headers["access-control-allow-methods"].to_str().unwrap().contains("POST"));
    assert_eq!(headers["access-control-allow-headers"], "content-type,x-mine");
    let response = http().post(worker.url("/")).header("origin", "https://example.com");
    let response = response.header("content-type", "application/json").body(r#"{"str":"abc"}"#);
    let response = response.send().await.unwrap();
    assert_eq!(response.headers()["access-control-allow-origin"], "*");
    assert_eq!(response.headers()["access-control-expose-headers"], "x-calculation");
}

#[tokio::test]
async fn a_slow_body_is_refused_and_other_clients_do_not_wait() {
    let (_redis, worker) = ready_worker_on(Cores::of_caller(), &[]).await;
    let start = Instant::now();
    let body = "POST / HTTP/1.1\r\nhost: w\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{";
    let mut slow_body = TcpStream::connect(worker.address).await.unwrap();
    slow_body.write_all(body.as_bytes()).await.unwrap();
    let mut slow_heads = Vec::new();
    for _ in 0..100 {
        let mut slow = TcpStream::connect(worker.address).await.unwrap();
        slow.write_all(b"POST / HTTP/1.1\r\nhost").await.unwrap();
        slow_heads.push(slow);
    }
    assert_eq!(post(&worker, r#"{"str":"abc"}"#).await.status(), StatusCode::OK);
    assert!(start.elapsed() < Duration::from_secs(5), "other clients waited {:?}", start.elapsed());

    pass(Duration::from_secs(10)).await;
    let start = Instant::now();
    let answer = read_to_end(&mut slow_body).await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(start.elapsed() < Duration::from_secs(5), "{:?} later", start.elapsed());
}

#[tokio::test]
async fn long_calculations_do_not_delay_the_probe() {
    let (redis, worker) = ready_worker(&["--rounds=20000"]).await;
    let mut published = redis.subscribe(CHANNEL).await;
    let busy: Vec<_> = (0..16)
        .map(|number| {
            let url = worker.url("/");
            let body = format!(r#"{{"str":"{number}"}}"#);
            tokio::spawn(async move {
                let request =
                    http().post(url).header("content-type", "application/json").body(body);
                request.send().await.unwrap().status()
            })
        })
        .collect();
    published.message().await;
    let start = Instant::now();
    assert!(worker.is_ready().await);
    assert!(start.elapsed() < Duration::from_secs(1), "the probe took {:?}", start.elapsed());
    for request in busy {
        assert_eq!(request.await.unwrap(), StatusCode::OK);
    }
}
