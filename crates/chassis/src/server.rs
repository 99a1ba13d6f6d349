//! An HTTP server with limits: slow clients, idle ones and too many of them cost the others nothing.

use std::{
    convert::Infallible,
    io::{self, ErrorKind, IoSlice},
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use anyhow::Context as _;
use axum::{Router, http::StatusCode};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpSocket, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{sleep, timeout},
};
use tokio_io_timeout::TimeoutStream;
use tokio_util::task::TaskTracker;
use tower_http::{
    catch_panic::{CatchPanic, DefaultResponseForPanic},
    timeout::Timeout,
};

use crate::Shutdown;

/// How long the head of a request may take, and a connection stay idle before it.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a client may leave us unable to write to it.
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a request may take in all: longer than a long poll, which is told something every 25 seconds.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// How many connections are open at most, `WebSocket`s among them; further ones wait to be accepted.
pub const MAX_CONNECTIONS: usize = 10_240;

/// How long what is in flight may take once the process is to end.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(4);

/// The head of a request, and what is buffered of its body, in bytes.
const MAX_BUFFER: usize = 64 * 1024;

/// Connections that wait to be accepted, kept by the kernel.
const BACKLOG: u32 = 1024;

/// Listens on a port of every address of this machine, or a free port if it is 0.
///
/// # Errors
/// Names `variable`, the setting that chose the port.
pub fn listen(variable: &str, port: u16) -> anyhow::Result<TcpListener> {
    // `::` takes both families where there are both; some machines have only one.
    match bind(SocketAddr::from(([0_u16; 8], port))) {
        Err(error) if error.kind() != ErrorKind::AddrInUse => {
            bind(SocketAddr::from(([0_u8; 4], port)))
        }
        result => result,
    }
    .with_context(|| cannot_listen(variable, port))
}

/// Listens on a port that only this machine can reach, or a free port if it is 0.
///
/// # Errors
/// Names `variable`, the setting that chose the port.
pub fn listen_locally(variable: &str, port: u16) -> anyhow::Result<TcpListener> {
    // `localhost` may be either: one that is somebody else's would be reached in our place.
    match bind(SocketAddr::from((Ipv6Addr::LOCALHOST, port))) {
        Err(error) if error.kind() == ErrorKind::AddrInUse => Err(error),
        _ => bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))),
    }
    .with_context(|| cannot_listen(variable, port))
}

fn cannot_listen(variable: &str, port: u16) -> String {
    format!("cannot listen on port {port}; {variable} chooses another")
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv6() { TcpSocket::new_v6()? } else { TcpSocket::new_v4()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Serves HTTP/1.1 until the shutdown, then answers what is in flight, for at most [`DRAIN_TIMEOUT`].
pub async fn serve(listener: TcpListener, router: Router, shutdown: Shutdown) {
    let connections = Connections {
        http: http(),
        service: TowerToHyperService::new(limited(router)),
        permits: Arc::new(Semaphore::new(MAX_CONNECTIONS)),
        open: TaskTracker::new(),
        shutdown: shutdown.clone(),
    };
    tokio::select! {
        never = connections.accept(&listener) => match never {},
        () = shutdown.stopping() => drop(listener),
    }
    connections.open.close();
    if timeout(DRAIN_TIMEOUT, connections.open.wait()).await.is_err() {
        tracing::warn!(timeout = ?DRAIN_TIMEOUT, "cut off requests that were still in flight");
    }
}

/// Not layers of the router, which would box each request once for each of them.
type Limited = CatchPanic<Timeout<Router>, DefaultResponseForPanic>;

fn limited(router: Router) -> Limited {
    let status = StatusCode::REQUEST_TIMEOUT;
    CatchPanic::new(Timeout::with_status_code(router, status, REQUEST_TIMEOUT))
}

fn http() -> http1::Builder {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(MAX_BUFFER);
    http
}

struct Connections {
    http: http1::Builder,
    service: TowerToHyperService<Limited>,
    permits: Arc<Semaphore>,
    open: TaskTracker,
    shutdown: Shutdown,
}

impl Connections {
    async fn accept(&self, listener: &TcpListener) -> Infallible {
        let mut failing = false;
        loop {
            // Never closed, so never an error.
            let permit = Arc::clone(&self.permits).acquire_owned().await;
            match (listener.accept().await, permit) {
                (Ok((stream, _)), Ok(permit)) => {
                    failing = false;
                    self.spawn(stream, permit);
                }
                (Err(error), _) if is_the_clients(&error) => {}
                (Err(error), _) => {
                    if !std::mem::replace(&mut failing, true) {
                        tracing::error!(%error, "cannot accept connections, trying again");
                    }
                    // Most likely out of file descriptors: some will be closed.
                    sleep(Duration::from_millis(100)).await;
                }
                (Ok(_), Err(_)) => {}
            }
        }
    }

    fn spawn(&self, stream: TcpStream, permit: OwnedSemaphorePermit) {
        // Answers are small and awaited: none should wait to be joined by the next one.
        let _ = stream.set_nodelay(true);
        let mut stream = TimeoutStream::new(Permitted { stream, _permit: permit });
        stream.set_write_timeout(Some(WRITE_TIMEOUT));
        let connection = self
            .http
            .serve_connection(TokioIo::new(Box::pin(stream)), self.service.clone())
            .with_upgrades();
        let shutdown = self.shutdown.clone();
        self.open.spawn(async move {
            let mut connection = pin!(connection);
            let result = tokio::select! {
                result = connection.as_mut() => result,
                () = shutdown.stopping() => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            };
            // A connection that breaks is the client's affair; its requests were counted as they came.
            if let Err(error) = result {
                tracing::debug!(%error, "a connection ended early");
            }
        });
    }
}

/// A connection and its place among those that may be open, which it keeps when it becomes a WebSocket.
struct Permitted {
    stream: TcpStream,
    _permit: OwnedSemaphorePermit,
}

impl AsyncRead for Permitted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Permitted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

fn is_the_clients(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionAborted | ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset
    )
}
