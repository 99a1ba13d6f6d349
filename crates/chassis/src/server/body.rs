//! The body of a request: whether it was read to its end, and how much of all bodies is in memory.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
};

use axum::{BoxError, body::Bytes};
use hyper::body::{Body, Frame, Incoming, SizeHint};

/// What a piece of a body costs beside its bytes: its place in a list, and its allocation.
const PIECE_COST: usize = 128;

/// A smaller piece is copied. Otherwise it would keep a whole buffer of the connection in memory.
const LEAST_SHARED: usize = 4096;

/// The size of such a buffer, in bytes, or a multiple of it.
const BUFFER: usize = 8192;

/// The requests that are being received are too large together.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the server receives too much at once; try again")]
pub struct Overloaded;

/// So much of each body counts with its connection, in bytes: what all connections count together is contended.
const FREE: usize = 1024;

/// How much of all bodies may be in memory. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Budget {
    used: Arc<AtomicUsize>,
    limit: usize,
}

impl Budget {
    pub(super) fn new(limit: usize) -> Self {
        Self { used: Arc::default(), limit }
    }
}

/// What is known of a body. It outlives the body: a handler keeps what it has read.
#[derive(Debug)]
pub(super) struct Received {
    budget: Budget,
    cost: AtomicUsize,
    is_complete: AtomicBool,
}

impl Received {
    /// Whether the body was read to its end.
    pub(super) fn is_complete(&self) -> bool {
        self.is_complete.load(Ordering::Relaxed)
    }

    /// Adds a piece. The handler may copy all pieces into one, so each counts twice.
    fn add(&self, length: usize) -> Result<(), Overloaded> {
        let kept = if length < LEAST_SHARED { length } else { length.next_multiple_of(BUFFER) };
        let cost = PIECE_COST + kept + length;
        let before = self.cost.fetch_add(cost, Ordering::Relaxed);
        let counted = Self::counted(before + cost) - Self::counted(before);
        if counted == 0 {
            return Ok(());
        }
        let used = self.budget.used.fetch_add(counted, Ordering::Relaxed) + counted;
        if used <= self.budget.limit { Ok(()) } else { Err(Overloaded) }
    }

    /// What counts of a body that costs so much.
    fn counted(cost: usize) -> usize {
        cost.saturating_sub(FREE)
    }
}

impl Drop for Received {
    fn drop(&mut self) {
        let counted = Self::counted(*self.cost.get_mut());
        if counted > 0 {
            self.budget.used.fetch_sub(counted, Ordering::Relaxed);
        }
    }
}

/// The body of a request.
pub(super) struct RequestBody {
    body: Incoming,
    /// `None` if the request has no body.
    received: Option<Arc<Received>>,
}

impl RequestBody {
    pub(super) fn new(body: Incoming, budget: &Budget) -> Self {
        let received = (!body.is_end_stream()).then(|| {
            let (cost, is_complete) = (AtomicUsize::new(0), AtomicBool::new(false));
            Arc::new(Received { budget: budget.clone(), cost, is_complete })
        });
        Self { body, received }
    }

    /// What is known of the body; `None` if the request has none.
    pub(super) fn received(&self) -> Option<Arc<Received>> {
        self.received.clone()
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx)).transpose()?;
        let frame = frame.map(|frame| frame.map_data(own));
        if let Some(received) = &self.received {
            if let Some(data) = frame.as_ref().and_then(Frame::data_ref) {
                received.add(data.len())?;
            }
            if frame.is_none() || self.body.is_end_stream() {
                received.is_complete.store(true, Ordering::Relaxed);
            }
        }
        Poll::Ready(frame.map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A piece that keeps no larger buffer in memory.
fn own(piece: Bytes) -> Bytes {
    if piece.len() < LEAST_SHARED { Bytes::copy_from_slice(&piece) } else { piece }
}
