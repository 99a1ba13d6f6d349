//! A connection to a worker, and one request on it at a time.

use std::io::{self, ErrorKind};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::Instant,
};

use super::answer::{self, Answer};

/// How much is read at once, in bytes: more than an answer has.
const READ: usize = 1024;

/// A connection that waits for its next request.
pub(super) struct Connection {
    stream: TcpStream,
    /// When it was made.
    since: Instant,
    /// What has arrived of the present answer.
    buffer: Vec<u8>,
}

impl Connection {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self { stream, since: Instant::now(), buffer: Vec::with_capacity(READ) }
    }

    /// When it was made.
    pub(super) fn since(&self) -> Instant {
        self.since
    }

    /// Whether the worker has neither closed it nor sent what nobody asked for. This costs no system call while
    /// nothing has happened.
    pub(super) fn is_quiet(&self) -> bool {
        let read = self.stream.try_read(&mut [0]);
        read.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    }

    /// Sends a request, and waits for its answer.
    ///
    /// # Errors
    /// When the connection ends before the answer, or the answer is malformed.
    pub(super) async fn exchange(&mut self, request: &[u8]) -> io::Result<Answer> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        loop {
            self.buffer.reserve(READ);
            let has_ended = self.stream.read_buf(&mut self.buffer).await? == 0;
            let answer = answer::parse(&self.buffer, has_ended);
            if let Some(answer) = answer.map_err(|_| ErrorKind::InvalidData)? {
                return Ok(answer);
            }
        }
    }
}
