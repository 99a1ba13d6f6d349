//! The worker as a process, whose log nobody reads.

use std::{
    net::SocketAddr,
    os::unix::process::ExitStatusExt as _,
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use fakes::{
    FakeRedis,
    testing::{eventually, free_port, http},
};
use tokio::time::{Instant, sleep};

/// A worker in a process of its own, which logs as much as it can.
struct Process {
    child: Child,
    port: u16,
}

impl Process {
    fn start(redis: SocketAddr, log: Stdio) -> Self {
        let port = free_port();
        let mut command = Command::new(env!("CARGO_BIN_EXE_worker"));
        command.env("REDIS_URL", redis.to_string()).env("PORT", port.to_string());
        command.env("ACCESS_LOG", "1000").env("RUST_LOG", "debug");
        Self { child: command.stderr(log).spawn().unwrap(), port }
    }

    async fn is_ready(&self) -> bool {
        let answer = http().get(format!("http://127.0.0.1:{}/_healthz", self.port)).send().await;
        answer.is_ok_and(|answer| answer.status() == 200)
    }

    /// Sends requests for work; returns how many are answered 200 within a second.
    async fn work(&self, requests: usize) -> usize {
        let client = http();
        let mut answered = 0;
        for _ in 0..requests {
            let request = client.post(format!("http://127.0.0.1:{}/", self.port));
            let request = request.header("content-type", "application/json").body(r#"{"str":"a"}"#);
            let answer = request.timeout(Duration::from_secs(1)).send().await;
            answered += usize::from(answer.is_ok_and(|answer| answer.status() == 200));
        }
        answered
    }

    /// The value of a metric.
    async fn metric(&self, name: &str) -> f64 {
        let url = format!("http://127.0.0.1:{}/metrics", self.port);
        let text = http().get(url).send().await.unwrap().text().await.unwrap();
        let value = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("0");
        value.trim().parse().unwrap()
    }

    /// Sends SIGTERM, and waits for the end.
    async fn terminate(&mut self) -> (ExitStatus, Duration) {
        let start = Instant::now();
        let kill = Command::new("sh").args(["-c", &format!("kill {}", self.child.id())]).status();
        assert!(kill.unwrap().success());
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return (status, start.elapsed());
            }
            assert!(start.elapsed() < Duration::from_secs(10), "SIGTERM is ignored");
            sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn a_log_whose_reader_has_gone_costs_no_request_and_is_counted() {
    let redis = FakeRedis::start();
    let mut worker = Process::start(redis.address, Stdio::piped());
    drop(worker.child.stderr.take());
    eventually("the worker is ready", async || worker.is_ready().await).await;
    assert_eq!(worker.work(100).await, 100);
    assert!(0.0 < worker.metric("worker_log_lines_lost_total").await);
    // The log now says that Redis is away.
    drop(redis);
    eventually("the worker is not ready", async || !worker.is_ready().await).await;
    assert_eq!(worker.work(3).await, 0);
    let (status, _) = worker.terminate().await;
    assert_eq!((status.code(), status.signal()), (Some(0), None));
}

#[tokio::test]
async fn a_log_that_nobody_reads_delays_no_request_no_probe_and_no_end() {
    let redis = FakeRedis::start();
    // The pipe stays open and becomes full.
    let mut worker = Process::start(redis.address, Stdio::piped());
    eventually("the worker is ready", async || worker.is_ready().await).await;
    assert_eq!(worker.work(1500).await, 1500);
    assert!(worker.is_ready().await);
    let (status, duration) = worker.terminate().await;
    assert_eq!(status.code(), Some(0));
    assert!(duration < Duration::from_secs(5), "{duration:?}");
}
