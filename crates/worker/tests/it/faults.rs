//! The worker when Redis is away, restarts, or is silent.

use std::{net::SocketAddr, time::Duration};

use contract::calculation::CHANNEL;
use fakes::{
    FakeRedis, RedisFault,
    testing::{SilentServer, eventually, free_port, http, listener, spawn},
};
use reqwest::StatusCode;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{Instant, sleep},
};

use crate::{
    http::{ABC, post, ready_worker},
    support::RunningWorker,
};

/// A request for work, as a client sends it.
const POST_ABC: &[u8] = b"POST / HTTP/1.1\r\nhost: w\r\ncontent-type: application/json\r\n\
    content-length: 13\r\n\r\n{\"str\":\"abc\"}";

async fn read(client: &mut TcpStream) -> String {
    let mut answer = vec![0; 1024];
    let length = client.read(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer[..length]).into_owned()
}

/// Checks that a request for work is answered 503 within a second, and that the worker is alive.
async fn check_unavailable(worker: &RunningWorker) {
    let request = http().post(worker.url("/")).header("content-type", "application/json");
    let request = request.body(r#"{"str":"abc"}"#);
    let start = Instant::now();
    let response = request.send().await.unwrap();
    assert!(start.elapsed() < Duration::from_secs(1), "took {:?}", start.elapsed());
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.headers()["retry-after"], "1");
    assert!(response.text().await.unwrap().contains("redis"));
    let alive = http().get(worker.url("/")).send().await.unwrap();
    assert_eq!(alive.status(), StatusCode::OK);
}

async fn check_unready(worker: &RunningWorker) {
    let response = http().get(worker.url("/_healthz")).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(response.text().await.unwrap().starts_with("redis: "));
}

#[tokio::test]
async fn without_redis_requests_are_answered_503_and_after_its_return_the_first_is_published() {
    let port = free_port();
    let worker = RunningWorker::start(SocketAddr::from(([127, 0, 0, 1], port)), &[]);
    check_unavailable(&worker).await;
    check_unready(&worker).await;

    for _ in 0..3 {
        let redis = FakeRedis::start_on(port);
        let mut published = redis.subscribe(CHANNEL).await;
        let response = post(&worker, r#"{"str":"abc"}"#).await;
        assert_eq!(response.status(), StatusCode::OK, "the next request is published");
        assert_eq!(published.message().await, ABC);
        assert!(worker.is_ready().await);
        redis.stop().await;
        eventually("the worker is unready", async || !worker.is_ready().await).await;
        check_unavailable(&worker).await;
    }
}

#[tokio::test]
async fn a_redis_restart_between_requests_costs_no_request() {
    let port = free_port();
    let first = FakeRedis::start_on(port);
    let worker = RunningWorker::start(first.address, &[]);
    eventually("the worker is ready", async || worker.is_ready().await).await;
    first.stop().await;
    let _second = FakeRedis::start_on(port);
    let response = post(&worker, r#"{"str":"abc"}"#).await;
    assert_eq!(response.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_request_that_finds_an_ended_connection_waits_for_the_next() {
    let port = free_port();
    let first = FakeRedis::start_on(port);
    let worker = RunningWorker::start(first.address, &[]);
    eventually("the worker is ready", async || worker.is_ready().await).await;
    // A core has this client already.
    let mut client = TcpStream::connect(worker.address).await.unwrap();
    client.write_all(POST_ABC).await.unwrap();
    assert!(read(&mut client).await.starts_with("HTTP/1.1 200"));
    first.stop().await;
    // The task that renews the connections runs on this runtime, and cannot do so meanwhile. The cores run.
    let moment = Duration::from_millis(50);
    std::thread::sleep(moment);
    assert_eq!(client.try_write(POST_ABC).unwrap(), POST_ABC.len());
    std::thread::sleep(moment);

    let _second = FakeRedis::start_on(port);
    let answer = read(&mut client).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn listeners_that_reconnect_after_the_worker_miss_nothing() {
    let port = free_port();
    let redis = FakeRedis::start_on(port);
    let worker = RunningWorker::start(redis.address, &[]);
    let mut listener = redis.subscribe(CHANNEL).await;
    eventually("the worker is ready", async || worker.is_ready().await).await;
    assert_eq!(post(&worker, r#"{"str":"abc"}"#).await.status(), StatusCode::OK);
    assert_eq!(listener.message().await, ABC);
    redis.stop().await;
    eventually("the worker is unready", async || !worker.is_ready().await).await;

    let redis = FakeRedis::start_on(port);
    eventually("the worker is ready again", async || worker.is_ready().await).await;
    let (response, mut listener) = tokio::join!(post(&worker, r#"{"str":"abc"}"#), async {
        sleep(Duration::from_millis(400)).await;
        redis.subscribe(CHANNEL).await
    });
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(listener.message().await, ABC);
}

#[tokio::test]
async fn the_worker_stops_waiting_for_listeners_that_have_left() {
    let (redis, worker) = ready_worker(&[]).await;
    let mut listener = redis.subscribe(CHANNEL).await;
    assert_eq!(post(&worker, r#"{"str":"abc"}"#).await.status(), StatusCode::OK);
    assert_eq!(listener.message().await, ABC);
    drop(listener);
    check_unavailable(&worker).await;
    let start = Instant::now();
    eventually("nobody is expected any more", async || {
        post(&worker, r#"{"str":"abc"}"#).await.status() == StatusCode::OK
    })
    .await;
    assert!(start.elapsed() < Duration::from_secs(7), "took {:?}", start.elapsed());
}

#[tokio::test]
async fn with_a_silent_redis_requests_are_answered_503_within_a_second() {
    let silent = SilentServer::start();
    let worker = RunningWorker::start(silent.address, &[]);
    check_unavailable(&worker).await;
    check_unready(&worker).await;
}

#[tokio::test]
async fn a_redis_that_falls_silent_makes_the_worker_unready() {
    // This proxy forwards everything to Redis until it is told to fall silent.
    let redis = FakeRedis::start();
    let (listener, address) = listener();
    let (silence, silent) = tokio::sync::watch::channel(false);
    let _proxy = spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let mut silent = silent.clone();
            let redis = redis.address;
            tokio::spawn(async move {
                let mut server = TcpStream::connect(redis).await.unwrap();
                let falls_silent = async { silent.wait_for(|silent| *silent).await.is_ok() };
                let fallen_silent = tokio::select! {
                    _ = tokio::io::copy_bidirectional(&mut client, &mut server) => false,
                    fallen_silent = falls_silent => fallen_silent,
                };
                if fallen_silent {
                    std::future::pending::<()>().await;
                }
            });
        }
    });
    let worker = RunningWorker::start(address, &[]);
    eventually("the worker is ready", async || worker.is_ready().await).await;
    silence.send_replace(true);
    check_unavailable(&worker).await;
    eventually("the worker is unready", async || !worker.is_ready().await).await;
    check_unready(&worker).await;
    silence.send_replace(false);
    eventually("the worker is ready again", async || worker.is_ready().await).await;
}

#[tokio::test]
async fn a_worker_that_may_not_publish_is_not_ready_and_says_why() {
    let redis = FakeRedis::start();
    redis.set_fault(RedisFault::NoPermission);
    let worker = RunningWorker::start(redis.address, &[]);
    let reason =
        async || http().get(worker.url("/_healthz")).send().await.unwrap().text().await.unwrap();
    eventually("the reason is known", async || reason().await.contains("'publish'")).await;
    let mut published = redis.subscribe(CHANNEL).await;
    redis.set_fault(RedisFault::None);
    eventually("the worker is ready", async || worker.is_ready().await).await;
    published.check_silent(&redis, CHANNEL).await;
    // The right is taken away while the worker runs.
    redis.set_fault(RedisFault::NoPermission);
    assert_eq!(post(&worker, r#"{"str":"abc"}"#).await.status(), StatusCode::SERVICE_UNAVAILABLE);
    eventually("the worker is not ready", async || !worker.is_ready().await).await;
    redis.set_fault(RedisFault::None);
    eventually("the worker is ready again", async || worker.is_ready().await).await;
    assert_eq!(post(&worker, r#"{"str":"abc"}"#).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_node_that_does_not_know_all_listeners_is_not_believed_that_nobody_listens() {
    for fault in [RedisFault::SubscribersElsewhere, RedisFault::SubscribersAtReplica] {
        let port = free_port();
        let redis = FakeRedis::start_on(port);
        let worker = RunningWorker::start(redis.address, &[]);
        eventually("the worker is ready", async || worker.is_ready().await).await;
        let mut published = redis.subscribe(CHANNEL).await;
        // Somebody has heard a calculation, so listeners are expected back.
        assert_eq!(post(&worker, r#"{"str":"abc"}"#).await.status(), StatusCode::OK);
        assert_eq!(published.message().await, ABC);
        // The worker meets the node that knows less at its next connection.
        redis.stop().await;
        let redis = FakeRedis::start_on(port);
        redis.set_fault(fault);
        let mut published = redis.subscribe(CHANNEL).await;
        eventually("the worker is ready", async || worker.is_ready().await).await;
        assert_eq!(post(&worker, r#"{"str":"abc"}"#).await.status(), StatusCode::OK, "{fault:?}");
        assert_eq!(published.message().await, ABC);
        published.check_silent(&redis, CHANNEL).await;
    }
}

#[tokio::test]
async fn the_metrics_count_requests_and_publications() {
    let (redis, worker) = ready_worker(&[]).await;
    post(&worker, r#"{"str":"abc"}"#).await;
    post(&worker, "{}").await;
    redis.stop().await;
    eventually("the worker is unready", async || !worker.is_ready().await).await;
    post(&worker, r#"{"str":"abc"}"#).await;
    // A client that has ended its half is answered, too, even if it has gone.
    let mut leaving = TcpStream::connect(worker.address).await.unwrap();
    leaving.write_all(POST_ABC).await.unwrap();
    drop(leaving);
    sleep(Duration::from_millis(1200)).await;
    let connections = format!("worker_redis_connections_total {}", worker.cores);
    let metrics = http().get(worker.url("/metrics")).send().await.unwrap().text().await.unwrap();
    for line in [
        "worker_requests_total{code=\"200\"} 1",
        "worker_requests_total{code=\"400\"} 1",
        "worker_requests_total{code=\"503\"} 2",
        "worker_requests_in_flight 0",
        "worker_requests_abandoned_total 0",
        "worker_publish_seconds_count 1",
        "worker_publish_seconds_bucket{le=\"+Inf\"} 1",
        "worker_build_info{version=",
        "worker_published_without_subscriber_total 1",
        "worker_publish_failures_total{reason=\"not_connected\"} 2",
        &connections,
        "worker_redis_connected 0",
    ] {
        assert!(metrics.contains(line), "{line} is not in\n{metrics}");
    }
}
