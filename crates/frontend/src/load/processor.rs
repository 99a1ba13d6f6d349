//! Sends requests to the worker, each over a connection that has no other request.
//!
//! A request is written and its answer read in one task. A client library would pass both between its tasks, which
//! took about a third of the processor time of a request (`docs/benchmarks.md`).

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::{Workers, connection::Connection, resolver::ShuffledResolver, tally::Failure};
use chassis::HttpUrl;
use contract::Work;
use hyper::{StatusCode, Uri};
use hyper_util::client::legacy::connect::HttpConnector;
use tokio::{
    sync::Semaphore,
    time::{Instant, sleep},
};
use tower_service::Service as _;
use url::Position;

/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// How long a connection is used. Then the name of the worker is looked up again, and a new
/// connection may reach another worker: without a mesh, a connection is what is balanced.
const MAX_AGE: Duration = Duration::from_secs(2);

/// How many idle connections stay open.
const MAX_IDLE: usize = 256;

/// How many connections are made at the same time. A request that waits for its turn takes a connection that
/// becomes idle meanwhile, so a stall does not open a connection for each request.
const MAX_CONNECTING: usize = 32;

/// The length of the random strings.
const TEXT_LENGTH: usize = 11;

/// The worker's address and the connections to it. Clones share them.
#[derive(Clone)]
pub(crate) struct Processor(Arc<Shared>);

struct Shared {
    uri: Uri,
    /// All of a request before the length of its body.
    head: String,
    connector: HttpConnector<ShuffledResolver>,
    connecting: Semaphore,
    /// The connection that was used last is the last.
    idle: Mutex<Vec<Connection>>,
}

impl Processor {
    /// Prepares to send requests to `url`.
    ///
    /// # Errors
    /// When the address is not a URI by the rules of HTTP.
    pub(crate) fn new(url: &HttpUrl) -> anyhow::Result<Self> {
        let url = url.url();
        let mut connector = HttpConnector::new_with_resolver(ShuffledResolver::default());
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        connector.set_nodelay(true);
        let (host, path) = (&url[Position::BeforeHost..Position::AfterPort], url.path());
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\ncontent-length: "
        );
        Ok(Self(Arc::new(Shared {
            uri: url.as_str().parse()?,
            head,
            connector,
            connecting: Semaphore::new(MAX_CONNECTING),
            idle: Mutex::default(),
        })))
    }

    /// Closes the connections that have become too old, forever.
    pub(super) async fn close_old(&self) {
        loop {
            // The runtime of the load then always has a timer that is earlier than the timeout of a request. Without
            // one, tokio would wake itself up for each request.
            sleep(MAX_AGE / 4).await;
            let now = Instant::now();
            self.idle().retain(|connection| !is_old(connection, now));
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.0.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection that is idle.
    fn idle_connection(&self) -> Option<Connection> {
        let (mut idle, now) = (self.idle(), Instant::now());
        while let Some(connection) = idle.pop() {
            if !is_old(&connection, now) && connection.is_quiet() {
                return Some(connection);
            }
        }
        None
    }

    /// A connection that is idle, or a new one.
    async fn connection(&self) -> Result<Connection, Failure> {
        match self.idle_connection() {
            Some(connection) => Ok(connection),
            // In a box, so that the task of each request is smaller.
            None => Box::pin(self.connect()).await,
        }
    }

    async fn connect(&self) -> Result<Connection, Failure> {
        let _permit = self.0.connecting.acquire().await.map_err(|_| Failure::Connect)?;
        if let Some(connection) = self.idle_connection() {
            return Ok(connection);
        }
        let connected = self.0.connector.clone().call(self.0.uri.clone()).await;
        Ok(Connection::new(connected.map_err(|_| Failure::Connect)?.into_inner()))
    }

    fn keep(&self, connection: Connection) {
        let mut idle = self.idle();
        if idle.len() < MAX_IDLE {
            idle.push(connection);
        }
    }

    fn request(&self) -> String {
        let text: String = (0..TEXT_LENGTH).map(|_| fastrand::alphanumeric()).collect();
        let body = serde_json::to_string(&Work { text: text.into() }).unwrap_or_default();
        format!("{}{}\r\n\r\n{body}", self.0.head, body.len())
    }
}

fn is_old(connection: &Connection, now: Instant) -> bool {
    MAX_AGE <= now.saturating_duration_since(connection.since())
}

impl Workers for Processor {
    async fn process(&self) -> Result<Option<String>, Failure> {
        let request = self.request();
        let mut connection = self.connection().await?;
        let answer = connection.exchange(request.as_bytes()).await.map_err(|_| Failure::Reset)?;
        if answer.is_reusable {
            self.keep(connection);
        }
        if answer.status == StatusCode::OK.as_u16() {
            Ok(answer.calculation)
        } else {
            Err(Failure::Status(answer.status))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use fakes::testing::{BackgroundTask, eventually, listener, pass, spawn};
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpStream,
        task::JoinSet,
    };

    use super::*;

    /// A worker that answers each request at once.
    struct Worker {
        processor: Processor,
        accepted: Arc<AtomicUsize>,
        open: Arc<AtomicUsize>,
        _task: BackgroundTask,
    }

    impl Worker {
        /// It closes a connection after so many answers, and does not say so.
        fn start(answers: usize) -> Self {
            let (listener, address) = listener();
            let (accepted, open) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
            let (all, now) = (accepted.clone(), open.clone());
            let task = spawn(async move {
                let mut connections = JoinSet::new();
                while let Ok((stream, _)) = listener.accept().await {
                    all.fetch_add(1, Ordering::Relaxed);
                    now.fetch_add(1, Ordering::Relaxed);
                    let now = now.clone();
                    connections.spawn(async move {
                        answer(stream, answers).await;
                        now.fetch_sub(1, Ordering::Relaxed);
                    });
                }
            });
            let url = format!("http://{address}/").parse().unwrap();
            Self { processor: Processor::new(&url).unwrap(), accepted, open, _task: task }
        }
    }

    async fn answer(mut stream: TcpStream, answers: usize) {
        let mut request = [0; 1024];
        for _ in 0..answers {
            if stream.read(&mut request).await.unwrap_or(0) == 0 {
                return;
            }
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
            stream.write_all(answer).await.unwrap();
        }
    }

    #[tokio::test]
    async fn many_requests_at_once_do_not_open_a_connection_each() {
        let worker = Worker::start(usize::MAX);
        let mut requests = JoinSet::new();
        for _ in 0..500 {
            let processor = worker.processor.clone();
            requests.spawn(async move { processor.process().await });
        }
        assert!(requests.join_all().await.iter().all(Result::is_ok));
        let accepted = worker.accepted.load(Ordering::Relaxed);
        assert!(accepted <= 4 * MAX_CONNECTING, "{accepted} connections");
    }

    #[tokio::test]
    async fn a_connection_that_the_worker_has_closed_gets_no_request() {
        let worker = Worker::start(1);
        for number in 1..=5 {
            assert_eq!(worker.processor.process().await, Ok(None));
            assert_eq!(worker.accepted.load(Ordering::Relaxed), number);
            eventually("the worker closes", async || worker.open.load(Ordering::Relaxed) == 0)
                .await;
            sleep(Duration::from_millis(20)).await;
        }
    }

    #[tokio::test]
    async fn an_idle_connection_is_closed_when_it_is_old() {
        let worker = Worker::start(usize::MAX);
        let processor = worker.processor.clone();
        let _closing = spawn(async move { processor.close_old().await });
        worker.processor.process().await.unwrap();
        pass(MAX_AGE / 2).await;
        assert_eq!(worker.open.load(Ordering::Relaxed), 1);
        for _ in 0..4 {
            pass(MAX_AGE / 4).await;
        }
        eventually("it is closed", async || worker.open.load(Ordering::Relaxed) == 0).await;
    }
}
