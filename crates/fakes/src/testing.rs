//! What the integration tests of all crates share: waiting, ports, background tasks, HTTP.

pub mod documentation;

use std::{
    net::SocketAddr,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use chassis::server::listen_locally;
use tokio::{
    net::{TcpListener, TcpSocket},
    time::{Instant, sleep},
};
use tokio_util::task::AbortOnDropHandle;

/// A task that ends with the test that started it.
pub type BackgroundTask = AbortOnDropHandle<()>;

/// How long [`eventually`] waits.
const PATIENCE: Duration = Duration::from_secs(45);

/// Runs a future in the background, until the returned handle is dropped.
pub fn spawn<T>(future: impl Future<Output = T> + Send + 'static) -> BackgroundTask {
    AbortOnDropHandle::new(tokio::spawn(async move {
        future.await;
    }))
}

/// Waits until something is true, for up to 45 seconds: other tests need the processors, too, and the watcher repeats some
/// checks after 30 seconds.
///
/// # Panics
/// When it is not true in time; the message names `what`.
pub async fn eventually(what: &str, mut is_true: impl AsyncFnMut() -> bool) {
    let start = Instant::now();
    while !is_true().await {
        assert!(start.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        sleep(Duration::from_millis(20)).await;
    }
}

/// Lets time pass at once for all that runs on this test's runtime.
#[cfg(feature = "virtual-time")]
pub async fn pass(time: Duration) {
    // What has arrived is handled before.
    sleep(Duration::from_millis(50)).await;
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

/// Returns a port on which nobody listens, and which a caller may listen on.
///
/// # Panics
/// When the machine has no free port.
#[must_use]
pub fn free_port() -> u16 {
    // A bound socket that does not listen: the system gives its port to nobody who lets it choose.
    static RESERVED: Mutex<Vec<TcpSocket>> = Mutex::new(Vec::new());
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let port = socket.local_addr().unwrap().port();
    RESERVED.lock().unwrap_or_else(PoisonError::into_inner).push(socket);
    port
}

/// Listens on a free port of this machine; returns the listener and its address.
///
/// # Panics
/// When the machine has no free port.
#[must_use]
pub fn listener() -> (TcpListener, SocketAddr) {
    let listener = listen_locally("test", 0).unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Returns an HTTP client.
///
/// # Panics
/// When there can be no client.
#[must_use]
pub fn http() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    // To read the certificates of the machine takes longer than most requests.
    reqwest::Client::builder().tls_certs_only([]).build().unwrap()
}

/// A server that accepts connections and never answers.
pub struct SilentServer {
    /// Where it listens.
    pub address: SocketAddr,
    _task: BackgroundTask,
}

impl SilentServer {
    /// Starts one on a free port.
    ///
    /// # Panics
    /// When the machine has no free port.
    #[must_use]
    pub fn start() -> Self {
        let (listener, address) = listener();
        let task = spawn(async move {
            let mut streams = Vec::new();
            while let Ok((stream, _)) = listener.accept().await {
                streams.push(stream);
            }
        });
        Self { address, _task: task }
    }
}
