//! An HTTP server with limits, so slow clients, idle clients and too many clients harm no others.
//!
//! [`Limits`] limit what all connections cost together. When all are open, the one that has waited
//! longest for a request makes room for a new one. If all have had a request within
//! the last second, the new one is answered 503.
//!
//! No answer is lost in a reset: an answer to a request whose body was not read says
//! `connection: close`, and the server then reads and discards the rest for a while.

mod body;
mod connections;
mod core;
mod eviction;
mod refusals;
mod stage;
mod stream;

use std::{
    io::{self, ErrorKind},
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use axum::Router;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::{net::TcpListener, runtime::Handle};
use tokio_util::task::AbortOnDropHandle;

use self::connections::Connections;
use crate::Shutdown;

pub use body::Overloaded;
pub(crate) use refusals::count as refused_connections;

/// How long the head of a request may take, and how long a new connection may be silent.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a connection may be idle between two requests. Envoy keeps an idle connection for an
/// hour, and load balancers keep one for up to ten minutes. If the server closed it first, it could
/// do so while a request is on its way.
pub const IDLE_TIMEOUT: Duration = Duration::from_mins(65);

/// How long a client may refuse to read.
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a request may take in all. A long poll, which is answered every 25 seconds, takes less.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// How long the requests in flight may take once the process ends.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(4);

/// The head of a request is at most this large, and so is the buffer of a connection, in bytes.
pub const MAX_HEAD: usize = 16 * 1024;

/// How many connections the kernel keeps until they are accepted.
const BACKLOG: u16 = 1024;

/// What all connections together may cost.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How many connections may be open; a WebSocket counts, too. Each costs up to [`MAX_HEAD`] and
    /// about 8 KiB.
    pub connections: usize,
    /// How much of the bodies of all requests may be in memory, in bytes. A body counts about
    /// twice, because its reader puts its pieces together.
    pub body_bytes: usize,
}

impl Default for Limits {
    /// At most 28 MiB together.
    fn default() -> Self {
        Self { connections: 1024, body_bytes: 4 * 1024 * 1024 }
    }
}

/// Listens on a port of every address of this machine; 0 is any free port.
///
/// # Errors
/// When the port is taken or not allowed. The error names `variable`, the setting of the port.
pub fn listen(variable: &str, port: u16) -> anyhow::Result<TcpListener> {
    // `::` listens for IPv6 and IPv4. Some machines have only one of them.
    match bind(SocketAddr::from(([0_u16; 8], port))) {
        Err(error) if error.kind() != ErrorKind::AddrInUse => {
            bind(SocketAddr::from(([0_u8; 4], port)))
        }
        result => result,
    }
    .with_context(|| cannot_listen(variable, port))
}

/// Listens on a port that only this machine can reach; 0 is any free port.
///
/// # Errors
/// When the port is taken or not allowed. The error names `variable`, the setting of the port.
pub fn listen_locally(variable: &str, port: u16) -> anyhow::Result<TcpListener> {
    // `localhost` may resolve to IPv6. If another process has that port, a client would reach it
    // instead of this one.
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
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        // Some systems are set to IPv6 only.
        socket.set_only_v6(false)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG.into())?;
    TcpListener::from_std(socket.into())
}

/// Serves HTTP/1.1 until the shutdown, within the default [`Limits`].
pub async fn serve(listener: TcpListener, router: Router, shutdown: Shutdown) {
    serve_within(Limits::default(), listener, router, shutdown).await;
}

/// Serves HTTP/1.1 until the shutdown, within these limits, then answers the requests in flight, for at most
/// [`DRAIN_TIMEOUT`].
pub async fn serve_within(
    limits: Limits,
    listener: TcpListener,
    router: Router,
    shutdown: Shutdown,
) {
    let core = vec![(Handle::current(), router)];
    accept_on(Connections::new(core, limits, shutdown.clone()), listener, shutdown).await;
}

/// Serves like [`serve_within`], on one or more runtimes. Each connection stays on one of them, and is answered by its
/// router; a new one goes to the runtime that has the fewest.
pub async fn serve_on(
    cores: Vec<(Handle, Router)>,
    limits: Limits,
    listener: TcpListener,
    shutdown: Shutdown,
) {
    let Some((first, _)) = cores.first() else { return };
    let first = first.clone();
    let accept = accept_on(Connections::new(cores, limits, shutdown.clone()), listener, shutdown);
    // On a core, because a thread of its own would accept more than the cores can serve.
    let _ = AbortOnDropHandle::new(first.spawn(accept)).await;
}

async fn accept_on(connections: Connections, listener: TcpListener, shutdown: Shutdown) {
    let connections = Arc::new(connections);
    tokio::select! {
        never = connections.accept(&listener) => match never {},
        () = shutdown.stopping() => {}
    }
    connections.accept_waiting(&listener).await;
    drop(listener);
    connections.drain().await;
}
