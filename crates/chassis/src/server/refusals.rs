//! Answers the connections that a server has no room for, and counts them.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

/// How many connections may be refused at the same time. Further ones are closed without an answer.
pub(super) const MAX_REFUSALS: usize = 256;

/// How long the client has to read that it is refused.
const LINGER_TIME: Duration = Duration::from_millis(500);

/// How much of its request is discarded meanwhile, in bytes.
const LINGER_BYTES: u64 = 64 * 1024;

const ANSWER: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\n\
    retry-after: 1\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 45\r\n\r\n\
    too many connections are open; try again soon";

static COUNT: AtomicU64 = AtomicU64::new(0);

/// Counts a connection that is refused.
pub(super) fn record() {
    COUNT.fetch_add(1, Ordering::Relaxed);
}

/// How many connections were refused since the start.
pub(crate) fn count() -> u64 {
    COUNT.load(Ordering::Relaxed)
}

/// Answers 503, and discards what arrives for a while: the system would reset the connection
/// otherwise, and the client could lose the answer.
pub(super) async fn refuse(mut stream: TcpStream) {
    let linger = async {
        stream.write_all(ANSWER).await?;
        stream.shutdown().await?;
        tokio::io::copy(&mut stream.take(LINGER_BYTES), &mut tokio::io::sink()).await
    };
    // A client that has gone is no concern of ours.
    let _ = timeout(LINGER_TIME, linger).await;
}
