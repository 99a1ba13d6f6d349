//! A connection with its limits of time, and with an end that loses no answer.

use std::{
    io::{self, ErrorKind, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Instant, Sleep, sleep},
};

use super::{
    HEAD_TIMEOUT, IDLE_TIMEOUT,
    core::Place,
    eviction::{Eviction, Waiter},
    stage::{SharedStage, Stage},
};

/// How long the server reads and discards what arrives after its last answer. Without that, the
/// system would reset the connection, and the client could lose the answer.
const LINGER_TIME: Duration = Duration::from_secs(2);

/// How much the server discards after its last answer, in bytes.
const LINGER_BYTES: usize = 8 * 1024 * 1024;

/// A connection that has waited this long between two requests may be evicted. One that has not made
/// a request yet may be evicted at once.
const EVICT_AFTER: Duration = Duration::from_secs(1);

/// A connection of a server. It keeps its place when it becomes a WebSocket.
pub(super) struct ServerStream {
    stream: TcpStream,
    stage: SharedStage,
    /// Since when the connection waits for a head, if it does.
    waiting: Option<Waiting>,
    /// Wakes a waiting or a lingering connection.
    timer: Pin<Box<Sleep>>,
    waiter: Waiter,
    /// Since the server has sent its last answer: how much it may still discard.
    linger: Option<usize>,
    _place: Place,
}

#[derive(Clone, Copy)]
struct Waiting {
    stage: Stage,
    since: Instant,
}

impl ServerStream {
    pub(super) fn new(
        stream: TcpStream,
        stage: SharedStage,
        eviction: &Eviction,
        place: Place,
    ) -> Self {
        Self {
            stream,
            waiting: None,
            timer: Box::pin(sleep(HEAD_TIMEOUT)),
            waiter: eviction.waiter(stage.clone()),
            stage,
            linger: None,
            _place: place,
        }
    }

    /// Ends a connection that waits too long for a head, or that has to make room for another one.
    fn poll_wait(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let stage = self.stage.get();
        let limit = match stage {
            Stage::Request | Stage::Upgraded => {
                self.end_waiting();
                return Poll::Pending;
            }
            Stage::New | Stage::Head => HEAD_TIMEOUT,
            Stage::Idle => IDLE_TIMEOUT,
        };
        let since = match self.waiting {
            Some(waiting) if waiting.stage == stage => waiting.since,
            _ => self.begin_waiting(stage),
        };
        while self.timer.as_mut().poll(cx).is_ready() {
            let waited = since.elapsed();
            if limit <= waited {
                return self.end(ErrorKind::TimedOut);
            }
            let next = if stage == Stage::Idle && waited < EVICT_AFTER {
                EVICT_AFTER
            } else {
                self.waiter.register();
                limit
            };
            self.timer.as_mut().reset(since + next);
        }
        ready!(self.waiter.poll_evicted(cx));
        self.end(ErrorKind::ConnectionAborted)
    }

    /// Ends a connection without an answer, so that there is nothing to wait for.
    fn end(&mut self, kind: ErrorKind) -> Poll<io::Result<()>> {
        self.linger = Some(0);
        self.timer.as_mut().reset(Instant::now());
        Poll::Ready(Err(kind.into()))
    }

    fn begin_waiting(&mut self, stage: Stage) -> Instant {
        self.end_waiting();
        let since = Instant::now();
        self.waiting = Some(Waiting { stage, since });
        let next = if stage == Stage::Idle {
            EVICT_AFTER
        } else {
            // Many new connections may come at once, and nobody may wait for them.
            self.waiter.register();
            HEAD_TIMEOUT
        };
        // A timer that wakes too early costs less than a timer that is set for each request.
        if since + next < self.timer.deadline() {
            self.timer.as_mut().reset(since + next);
        }
        since
    }

    fn end_waiting(&mut self) {
        self.waiting = None;
        self.waiter.leave();
    }

    /// Reads and discards what arrives, until the client closes the connection or a limit is
    /// reached.
    fn poll_linger(&mut self, cx: &mut Context<'_>, mut left: usize) -> Poll<()> {
        let mut discarded = [0; 8192];
        while self.timer.as_mut().poll(cx).is_pending() {
            let mut buffer = ReadBuf::new(&mut discarded);
            let result = ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer));
            let length = buffer.filled().len();
            if result.is_err() || length == 0 || left < length {
                break;
            }
            left -= length;
            self.linger = Some(left);
        }
        Poll::Ready(())
    }
}

impl AsyncRead for ServerStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        match Pin::new(&mut self.stream).poll_read(cx, buffer) {
            Poll::Ready(result) => {
                if before < buffer.filled().len() && self.stage.receive() {
                    self.end_waiting();
                }
                Poll::Ready(result)
            }
            Poll::Pending => self.poll_wait(cx),
        }
    }
}

impl AsyncWrite for ServerStream {
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
        let left = match self.linger {
            Some(left) => left,
            None => {
                ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
                self.end_waiting();
                self.timer.as_mut().reset(Instant::now() + LINGER_TIME);
                LINGER_BYTES
            }
        };
        self.linger = Some(left);
        self.poll_linger(cx, left).map(Ok)
    }
}
