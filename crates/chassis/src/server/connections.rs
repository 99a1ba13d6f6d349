//! Accepts connections, and serves each in a task of its own.

use std::{
    convert::Infallible,
    future::poll_fn,
    io::{self, ErrorKind},
    pin::pin,
    sync::Arc,
    task::{Poll, Waker},
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    http::{HeaderValue, Request, Response, StatusCode, header},
};
use hyper::{
    body::Incoming,
    server::conn::http1,
    service::{Service as _, service_fn},
};
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use tokio::{
    net::{TcpListener, TcpStream},
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{sleep, timeout},
};
use tokio_io_timeout::TimeoutStream;
use tokio_util::task::TaskTracker;
use tower_http::{
    body::UnsyncBoxBody,
    catch_panic::{CatchPanic, DefaultResponseForPanic},
    timeout::Timeout,
};

use super::{
    DRAIN_TIMEOUT, Limits, MAX_HEAD, REQUEST_TIMEOUT, WRITE_TIMEOUT,
    body::{Budget, RequestBody},
    core::Core,
    eviction::Eviction,
    refusals::{self, MAX_REFUSALS},
    stage::{SharedStage, Stage},
    stream::ServerStream,
};
use crate::Shutdown;

/// How long the server waits after an error before it accepts again.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// How long a new connection may wait for one that is evicted for it.
const EVICTION_TIMEOUT: Duration = Duration::from_millis(100);

/// How long a connection that has just been made may send its first request, once the process ends.
const LAST_REQUEST: Duration = Duration::from_millis(500);

/// How many connections are accepted at the end: as many as wait in the kernel.
const MAX_LAST: usize = super::BACKLOG as usize;

/// The router with a limit on the time of a request. A panic in a handler becomes a status of 500.
///
/// These are no layers of the router, because each layer would box every request.
type LimitedRouter = CatchPanic<Timeout<Router>, DefaultResponseForPanic>;

/// The open connections of a server.
pub(super) struct Connections {
    http: http1::Builder,
    cores: Vec<Core<TowerToHyperService<LimitedRouter>>>,
    permits: Arc<Semaphore>,
    refusals: Arc<Semaphore>,
    eviction: Eviction,
    budget: Budget,
    open: TaskTracker,
    shutdown: Shutdown,
}

impl Connections {
    pub(super) fn new(cores: Vec<(Handle, Router)>, limits: Limits, shutdown: Shutdown) -> Self {
        let mut http = http1::Builder::new();
        // The stream has the limits of time. A client may end its half after its last request.
        http.max_buf_size(MAX_HEAD).half_close(true);
        let limited = |router| {
            let status = StatusCode::REQUEST_TIMEOUT;
            let router = Timeout::with_status_code(router, status, REQUEST_TIMEOUT);
            TowerToHyperService::new(CatchPanic::new(router))
        };
        let core = |(runtime, router)| Core::new(runtime, limited(router));
        Self {
            http,
            cores: cores.into_iter().map(core).collect(),
            permits: Arc::new(Semaphore::new(limits.connections)),
            refusals: Arc::new(Semaphore::new(MAX_REFUSALS)),
            eviction: Eviction::default(),
            budget: Budget::new(limits.body_bytes),
            open: TaskTracker::new(),
            shutdown,
        }
    }

    /// Accepts connections, forever.
    pub(super) async fn accept(self: &Arc<Self>, listener: &TcpListener) -> Infallible {
        let mut is_failing = false;
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    is_failing = false;
                    self.admit(stream);
                }
                Err(error) if is_caused_by_client(&error) => {}
                Err(error) => {
                    if !std::mem::replace(&mut is_failing, true) {
                        tracing::error!(%error, "cannot accept connections, trying again");
                    }
                    // Most likely the process has no file descriptor left until a connection ends.
                    sleep(ACCEPT_RETRY).await;
                }
            }
        }
    }

    /// Accepts those that have connected already, so that closing the listener resets none of them.
    pub(super) async fn accept_waiting(self: &Arc<Self>, listener: &TcpListener) {
        for _ in 0..MAX_LAST {
            let Ok(Ok((stream, _))) = timeout(Duration::ZERO, listener.accept()).await else {
                return;
            };
            self.admit(stream);
        }
    }

    /// Waits until the open connections have ended, and cuts them off after [`DRAIN_TIMEOUT`].
    pub(super) async fn drain(&self) {
        self.open.close();
        if timeout(DRAIN_TIMEOUT, self.open.wait()).await.is_err() {
            tracing::warn!(timeout = ?DRAIN_TIMEOUT, "cut off requests that were still in flight");
        }
    }

    /// Serves a connection if there is room for it, or once another one has made room.
    fn admit(self: &Arc<Self>, stream: TcpStream) {
        if let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() {
            return self.spawn(stream, permit);
        }
        // Whoever waits for room may not keep others from being accepted.
        let Ok(refusal) = Arc::clone(&self.refusals).try_acquire_owned() else {
            return refusals::record();
        };
        let connections = Arc::clone(self);
        self.open.spawn(async move {
            match connections.permit().await {
                Some(permit) => connections.spawn(stream, permit),
                None => {
                    refusals::record();
                    refusals::refuse(stream).await;
                }
            }
            drop(refusal);
        });
    }

    async fn permit(&self) -> Option<OwnedSemaphorePermit> {
        if !self.eviction.evict() {
            return None;
        }
        timeout(EVICTION_TIMEOUT, Arc::clone(&self.permits).acquire_owned()).await.ok()?.ok()
    }

    /// Serves a connection on one of the cores.
    fn spawn(&self, stream: TcpStream, permit: OwnedSemaphorePermit) {
        let Some(core) = Core::least_busy(&self.cores) else { return refusals::record() };
        // Answers are small, and clients wait for them: none should wait for the next one.
        let _ = stream.set_nodelay(true);
        // The stream belongs to the runtime that has accepted it, until it moves.
        let Ok(stream) = stream.into_std() else { return refusals::record() };
        let stage = SharedStage::new();
        let requests = Requests {
            service: core.service.clone(),
            budget: self.budget.clone(),
            stage: stage.clone(),
            shutdown: self.shutdown.clone(),
        };
        let (http, eviction) = (self.http.clone(), self.eviction.clone());
        let place = core.take_place(permit);
        let connection = async move {
            let Ok(stream) = TcpStream::from_std(stream) else { return refusals::record() };
            let stream = ServerStream::new(stream, stage, &eviction, place);
            serve(http, stream, requests).await;
        };
        self.open.spawn_on(connection, &core.runtime);
    }
}

/// Serves the requests of one connection until it ends, or until the shutdown.
async fn serve(http: http1::Builder, stream: ServerStream, requests: Requests) {
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(WRITE_TIMEOUT));
    let requests = Arc::new(requests);
    let Requests { shutdown, stage, .. } = &*requests;
    let answer = service_fn(|request| Arc::clone(&requests).answer(request));
    let connection = http.serve_connection(TokioIo::new(Box::pin(stream)), answer).with_upgrades();
    let mut connection = pin!(connection);
    let mut stopping = pin!(stopping(shutdown, stage));
    let mut asked_by = None;
    // This is polled twice for each request, and asks only when there is news.
    let stopping = poll_fn(|cx| {
        let is_asked = asked_by.as_ref().is_some_and(|waker: &Waker| waker.will_wake(cx.waker()));
        if is_asked && !shutdown.is_stopping() {
            return Poll::Pending;
        }
        asked_by = Some(cx.waker().clone());
        stopping.as_mut().poll(cx)
    });
    // The connection is first, so that a request that has arrived is answered.
    let result = tokio::select! {
        biased;
        result = connection.as_mut() => result,
        () = stopping => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    // The client broke the connection. Its requests were counted when they arrived.
    if let Err(error) = result {
        tracing::debug!(%error, "a connection ended early");
    }
}

/// Waits until a connection should end. One that is new may send its request first.
async fn stopping(shutdown: &Shutdown, stage: &SharedStage) {
    shutdown.stopping().await;
    if stage.get() == Stage::New {
        sleep(LAST_REQUEST).await;
    }
}

/// Answers the requests of one connection.
struct Requests {
    service: TowerToHyperService<LimitedRouter>,
    budget: Budget,
    stage: SharedStage,
    shutdown: Shutdown,
}

impl Requests {
    fn answer(self: Arc<Self>, request: Request<Incoming>) -> impl Future<Output = Answer> + use<> {
        self.stage.set(Stage::Request);
        let request = request.map(|body| RequestBody::new(body, &self.budget));
        let received = request.body().received();
        let answer = self.service.call(request);
        async move {
            let mut response = answer.await?;
            if response.status() == StatusCode::SWITCHING_PROTOCOLS {
                self.stage.set(Stage::Upgraded);
                return Ok(response);
            }
            self.stage.set(Stage::Idle);
            // The rest of a body would be taken for the next request.
            let is_unread = received.is_some_and(|received| !received.is_complete());
            if is_unread || self.shutdown.is_draining() {
                let close = HeaderValue::from_static("close");
                response.headers_mut().insert(header::CONNECTION, close);
            }
            Ok(response)
        }
    }
}

/// The answer of the router. Its body is in a box of `tower_http`.
type Answer = Result<Response<UnsyncBoxBody<Bytes, axum::BoxError>>, Infallible>;

fn is_caused_by_client(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionAborted | ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset
    )
}
