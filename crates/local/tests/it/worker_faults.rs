//! The worker without Redis: away, restarting, silent.

use std::{net::SocketAddr, time::Duration};

use contract::calculation::CHANNEL;
use reqwest::StatusCode;
use tokio::{
    io::AsyncWriteExt as _,
    net::TcpStream,
    time::{Instant, sleep},
};

use crate::{
    support::{Redis, Silent, Worker, eventually, free_port, http},
    worker::{ABC, post, ready_worker},
};

/// Asks for work without Redis: 503 within a second, and not ready, but alive.
async fn check_unavailable(worker: &Worker) {
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

async fn check_unready(worker: &Worker) {
    let response = http().get(worker.url("/_healthz")).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(response.text().await.unwrap().starts_with("redis: "));
}

#[tokio::test]
async fn is_unavailable_without_redis_and_serves_the_first_request_once_it_is_back() {
    let port = free_port();
    let worker = Worker::start(SocketAddr::from(([127, 0, 0, 1], port)), &[]);
    check_unavailable(&worker).await;
    check_unready(&worker).await;

    for _ in 0..3 {
        let redis = Redis::start_on(port);
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
async fn a_restart_that_nobody_saw_costs_no_request() {
    let port = free_port();
    let first = Redis::start_on(port);
    let worker = Worker::start(first.address, &[]);
    eventually("the worker is ready", async || worker.is_ready().await).await;
    first.stop().await;
    let _second = Redis::start_on(port);
    let response = post(&worker, r#"{"str":"abc"}"#).await;
    assert_eq!(response.status(), StatusCode::OK);
}

#[tokio::test]
async fn listeners_that_come_back_after_the_worker_miss_nothing() {
    let port = free_port();
    let redis = Redis::start_on(port);
    let worker = Worker::start(redis.address, &[]);
    let mut listener = redis.subscribe(CHANNEL).await;
    eventually("the worker is ready", async || worker.is_ready().await).await;
    assert_eq!(post(&worker, r#"{"str":"abc"}"#).await.status(), StatusCode::OK);
    assert_eq!(listener.message().await, ABC);
    redis.stop().await;
    eventually("the worker is unready", async || !worker.is_ready().await).await;

    let redis = Redis::start_on(port);
    eventually("the worker is ready again", async || worker.is_ready().await).await;
    let (response, mut listener) = tokio::join!(post(&worker, r#"{"str":"abc"}"#), async {
        sleep(Duration::from_millis(400)).await;
        redis.subscribe(CHANNEL).await
    });
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(listener.message().await, ABC);
}

#[tokio::test]
async fn listeners_that_do_not_come_back_are_not_waited_for_for_ever() {
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
async fn a_silent_redis_is_unavailable_within_a_second() {
    let silent = Silent::start();
    let worker = Worker::start(silent.address, &[]);
    check_unavailable(&worker).await;
    check_unready(&worker).await;
}

#[tokio::test]
async fn a_redis_that_falls_silent_is_noticed() {
    // Passes everything on to a Redis until it is told to pass on nothing more.
    let redis = Redis::start();
    let (listener, address) = crate::support::listener();
    let (silence, silent) = tokio::sync::watch::channel(false);
    let _proxy = crate::support::spawn(async move {
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
    let worker = Worker::start(address, &[]);
    eventually("the worker is ready", async || worker.is_ready().await).await;
    silence.send_replace(true);
    check_unavailable(&worker).await;
    eventually("the worker is unready", async || !worker.is_ready().await).await;
    check_unready(&worker).await;
    silence.send_replace(false);
    eventually("the worker is ready again", async || worker.is_ready().await).await;
}

#[tokio::test]
async fn metrics_count_what_happened() {
    let (redis, worker) = ready_worker(&[]).await;
    post(&worker, r#"{"str":"abc"}"#).await;
    post(&worker, "{}").await;
    redis.stop().await;
    eventually("the worker is unready", async || !worker.is_ready().await).await;
    post(&worker, r#"{"str":"abc"}"#).await;
    // One that is waited for by nobody.
    let mut leaving = TcpStream::connect(worker.address).await.unwrap();
    let head = "POST / HTTP/1.1\r\nhost: w\r\ncontent-type: application/json\r\ncontent-length: 13\r\n\r\n";
    leaving.write_all(format!("{head}{{\"str\":\"abc\"}}").as_bytes()).await.unwrap();
    sleep(Duration::from_millis(100)).await;
    drop(leaving);
    sleep(Duration::from_millis(100)).await;
    let metrics = http().get(worker.url("/metrics")).send().await.unwrap().text().await.unwrap();
    for line in [
        "worker_requests_total{code=\"200\"} 1",
        "worker_requests_total{code=\"400\"} 1",
        "worker_requests_total{code=\"503\"} 1",
        "worker_requests_in_flight 0",
        "worker_requests_abandoned_total 1",
        "worker_publish_seconds_count 1",
        "worker_publish_seconds_bucket{le=\"+Inf\"} 1",
        "worker_build_info{version=",
        "worker_published_without_subscriber_total 1",
        "worker_publish_failures_total{reason=\"not_connected\"} 1",
        "worker_redis_connections_total 1",
        "worker_redis_connected 0",
    ] {
        assert!(metrics.contains(line), "{line} is not in\n{metrics}");
    }
}
