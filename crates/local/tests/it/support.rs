//! Parts that the tests start, break and mend.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use chassis::{Shutdown, server::listen_locally, settings::from_arguments};
use futures_util::FutureExt as _;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};

/// A task that ends with the test.
pub(crate) struct Running(JoinHandle<()>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Running {
    /// Ends it, and waits until it has.
    pub(crate) async fn end(mut self) {
        self.0.abort();
        let _ = (&mut self.0).await;
    }
}

pub(crate) fn spawn<T>(future: impl Future<Output = T> + Send + 'static) -> Running {
    Running(tokio::spawn(future.map(|_| ())))
}

/// Waits for something to become true, for up to ten seconds.
pub(crate) async fn eventually(what: &str, mut is_true: impl AsyncFnMut() -> bool) {
    let start = Instant::now();
    while !is_true().await {
        assert!(start.elapsed() < Duration::from_secs(10), "not within 10 s: {what}");
        sleep(Duration::from_millis(20)).await;
    }
}

/// A port of this machine that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    listen_locally("test", 0).unwrap().local_addr().unwrap().port()
}

/// The embedded Redis, on a port of its own; it is gone when this is dropped.
pub(crate) struct Redis {
    pub(crate) address: SocketAddr,
    running: Running,
}

impl Redis {
    pub(crate) fn start() -> Self {
        Self::start_on(0)
    }

    pub(crate) fn start_on(port: u16) -> Self {
        let listener = listen_locally("test", port).unwrap();
        let address = listener.local_addr().unwrap();
        Self { address, running: spawn(local::redis::serve(listener)) }
    }

    pub(crate) async fn stop(self) {
        self.running.end().await;
    }

    /// Listens to a channel as the simplest of clients does.
    pub(crate) async fn subscribe(&self, channel: &str) -> Subscriber {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let command = format!("*2\r\n$9\r\nSUBSCRIBE\r\n${}\r\n{channel}\r\n", channel.len());
        stream.write_all(command.as_bytes()).await.unwrap();
        let mut subscriber = Subscriber(stream, String::new());
        subscriber.read_until("subscribe\r\n").await;
        subscriber.read_until(":1\r\n").await;
        subscriber
    }

    pub(crate) async fn publish(&self, channel: &str, message: &str) {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let lengths = (channel.len(), message.len());
        let command = format!(
            "*3\r\n$7\r\nPUBLISH\r\n${}\r\n{channel}\r\n${}\r\n{message}\r\n",
            lengths.0, lengths.1
        );
        stream.write_all(command.as_bytes()).await.unwrap();
        let mut reply = [0; 1];
        stream.read_exact(&mut reply).await.unwrap();
        assert_eq!(&reply, b":");
    }
}

pub(crate) struct Subscriber(TcpStream, String);

impl Subscriber {
    async fn read_until(&mut self, end: &str) -> String {
        loop {
            if let Some(at) = self.1.find(end) {
                let rest = self.1.split_off(at + end.len());
                return std::mem::replace(&mut self.1, rest);
            }
            let mut bytes = [0; 4096];
            let read = timeout(Duration::from_secs(10), self.0.read(&mut bytes)).await;
            let read = read.expect("nothing was published").unwrap();
            assert_ne!(read, 0, "the subscription has ended");
            self.1.push_str(std::str::from_utf8(&bytes[..read]).unwrap());
        }
    }

    /// The next message.
    pub(crate) async fn message(&mut self) -> String {
        self.read_until("$7\r\nmessage\r\n").await;
        self.read_until("\r\n").await;
        self.read_until("\r\n").await;
        let length: usize =
            self.read_until("\r\n").await.trim_start_matches('$').trim().parse().unwrap();
        let message = self.read_until("\r\n").await;
        assert_eq!(message.len(), length + 2);
        message.trim_end().to_owned()
    }

    /// Nothing has been published since the last message, up to one that is published now.
    pub(crate) async fn check_silent(&mut self, redis: &Redis, channel: &str) {
        redis.publish(channel, "the end").await;
        assert_eq!(self.message().await, "the end");
    }
}

/// A server that accepts connections, reads what it is sent, and never says a word.
pub(crate) struct Silent {
    pub(crate) address: SocketAddr,
    _running: Running,
}

impl Silent {
    pub(crate) fn start() -> Self {
        let listener = listen_locally("test", 0).unwrap();
        let address = listener.local_addr().unwrap();
        let running = spawn(async move {
            let mut streams = Vec::new();
            while let Ok((stream, _)) = listener.accept().await {
                streams.push(stream);
            }
        });
        Self { address, _running: running }
    }
}

/// A worker of ours.
pub(crate) struct Worker {
    pub(crate) address: SocketAddr,
    _running: Running,
}

impl Worker {
    pub(crate) fn start(redis: SocketAddr, arguments: &[&str]) -> Self {
        let redis = format!("--redis-url={redis}");
        let arguments = [&[redis.as_str()], arguments].concat();
        let config = from_arguments(&arguments).unwrap();
        let (listener, address) = listener();
        Self { address, _running: spawn(worker::run(config, listener, Shutdown::new())) }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) async fn is_ready(&self) -> bool {
        http().get(self.url("/_healthz")).send().await.is_ok_and(|answer| answer.status() == 200)
    }
}

/// A frontend of ours.
pub(crate) struct Frontend {
    pub(crate) address: SocketAddr,
    _running: Running,
}

impl Frontend {
    pub(crate) fn start(redis: SocketAddr, processor: SocketAddr) -> Self {
        Self::start_with(redis, processor, &[])
    }

    pub(crate) fn start_with(redis: SocketAddr, processor: SocketAddr, arguments: &[&str]) -> Self {
        let neighbours =
            [format!("--redis-url={redis}"), format!("--processor-url=http://{processor}")];
        let arguments = [&neighbours.each_ref().map(String::as_str), arguments].concat();
        let config = from_arguments(&arguments).unwrap();
        let (listener, address) = listener();
        Self { address, _running: spawn(frontend::run(config, listener, Shutdown::new())) }
    }
}

/// What a worker of primary answers.
pub(crate) const HASH: &str = "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=";

/// Whether the feed is there, by what a frontend reports.
pub(crate) fn is_live(stats: &serde_json::Value) -> bool {
    stats["feed"]["state"] == "live"
}

/// Workers that answer at once.
pub(crate) fn sink() -> Sink {
    Sink::start(200, Duration::ZERO)
}

/// In the place of a worker: answers every request alike after a while, and counts them.
pub(crate) struct Sink {
    pub(crate) address: SocketAddr,
    requests: Arc<AtomicU64>,
    _running: Running,
}

impl Sink {
    pub(crate) fn start(status: u16, delay: Duration) -> Self {
        let requests = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&requests);
        let status = axum::http::StatusCode::from_u16(status).unwrap();
        let router = axum::Router::new().fallback(async move || {
            count.fetch_add(1, Ordering::Relaxed);
            sleep(delay).await;
            status
        });
        let (listener, address) = listener();
        let running = spawn(chassis::server::serve(listener, router, Shutdown::new()));
        Self { address, requests, _running: running }
    }

    pub(crate) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }
}

/// Raises the limit of open files, as every program of ours does.
pub(crate) fn allow_connections() {
    chassis::allow_connections().unwrap();
}

pub(crate) fn listener() -> (TcpListener, SocketAddr) {
    let listener = listen_locally("test", 0).unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

pub(crate) fn http() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::new()
}
