//! The socket.io server: receives requests for a rate, and publishes to browsers.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use contract::{WatcherView, events};
use serde::Serialize;
use serde_json::Value;
use socketioxide::{
    ParserConfig, SocketIo,
    extract::{AckSender, SocketRef, TryData},
};
use tokio::sync::watch;

use crate::{
    rate_requests::{RateRequests, Visitor},
    snapshot::Snapshots,
    viewers::Viewers,
};

pub(crate) use socketioxide::layer::SocketIoLayer;

/// The largest message of a browser, in bytes. A request for a rate has about thirty; a longer one is
/// refused in words. What is larger ends the connection.
const MAX_PAYLOAD: usize = 128 * 1024;

/// How many packets may wait for a slow browser. That browser, and no other, loses those beyond.
const MAX_WAITING: usize = 512;

/// How many browsers may watch at the same time.
pub(crate) const MAX_VIEWERS: usize = 1000;

/// The time between two pings of a browser, and the time in which it must answer one.
const PING_EVERY: Duration = Duration::from_secs(25);
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// How long a connection may take to join socket.io.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// All connected browsers. Clones are the same browsers.
#[derive(Clone)]
pub(crate) struct Browsers {
    io: SocketIo,
    viewers: Viewers,
}

/// Returns the layer that answers `/socket.io/`, and the browsers that connect to it.
///
/// A browser that connects receives the last update of the watcher.
pub(crate) fn start(
    viewers: Viewers,
    requests: RateRequests,
    updates: watch::Receiver<WatcherView>,
) -> (SocketIoLayer, Browsers) {
    // No message is binary, and the library would keep what it has of one.
    let parser = ParserConfig::common().max_incoming_binaries(0).max_incoming_binary_buf_size(0);
    let (layer, io) = SocketIo::builder()
        .max_payload(MAX_PAYLOAD as u64)
        .ws_max_message_size(MAX_PAYLOAD)
        .ws_max_frame_size(MAX_PAYLOAD)
        .max_buffer_size(MAX_WAITING)
        .with_parser(parser)
        .connect_timeout(CONNECT_TIMEOUT)
        .ping_interval(PING_EVERY)
        .ping_timeout(PING_TIMEOUT)
        .build_layer();
    let browsers = Browsers { io: io.clone(), viewers: viewers.clone() };
    io.ns("/", async move |socket: SocketRef| {
        if let Some(visitor) = admit(&socket, &viewers) {
            // Fails only when the browser has left.
            let _ = socket.emit(events::WATCHER, &*updates.borrow());
            answer_requests(&socket, &requests, visitor);
        }
    });
    (layer, browsers)
}

/// Counts a browser and sends it its visitor number, or refuses it.
fn admit(socket: &SocketRef, viewers: &Viewers) -> Option<Visitor> {
    let Some(viewer) = viewers.admit(MAX_VIEWERS) else {
        let _ = socket.emit(events::REFUSED, &format!("{MAX_VIEWERS} are watching already"));
        let _ = socket.clone().disconnect();
        return None;
    };
    let visitor = Visitor::new(viewer.number);
    let _ = socket.emit(events::VISITOR, &viewer.number);
    // The handler is dropped with the socket, even if it is never called: a browser may have left
    // before the handler was registered.
    let viewer = Arc::new(viewer);
    socket.on_disconnect(async move || drop(viewer));
    Some(visitor)
}

/// Answers the browser's requests for a rate.
fn answer_requests(socket: &SocketRef, requests: &RateRequests, visitor: Visitor) {
    let requests = requests.clone();
    let visitor = Arc::new(Mutex::new(visitor));
    socket.on(
        events::FREQUENCY,
        async move |socket: SocketRef, TryData(payload): TryData<Value>, ack: AckSender| {
            let answer = {
                let mut visitor = visitor.lock().unwrap_or_else(PoisonError::into_inner);
                requests.answer(&payload.unwrap_or_default(), &mut visitor, requests.now())
            };
            if let events::Answer::Refused { error } = &answer {
                // For clients that want no acknowledgement.
                let _ = socket.emit(events::REFUSED, error);
            }
            // Fails only when the browser has left.
            let _ = ack.send(&answer);
        },
    );
}

impl Browsers {
    /// Publishes calculations to all browsers.
    pub(crate) async fn publish_calculations(&self, calculations: &[String]) {
        for calculation in calculations {
            self.publish(events::CALCULATION, calculation).await;
        }
    }

    /// Publishes a snapshot to all browsers, if there are any.
    pub(crate) async fn publish_stats(&self, snapshots: &Snapshots) {
        if 0 < self.viewers.count() {
            self.publish(events::STATS, &snapshots.take()).await;
        }
    }

    /// Publishes each update of the watcher to all browsers.
    pub(crate) async fn publish_watcher(
        self,
        mut updates: watch::Receiver<WatcherView>,
    ) -> Infallible {
        while updates.changed().await.is_ok() {
            let update = updates.borrow_and_update().clone();
            self.publish(events::WATCHER, &update).await;
        }
        // The task that asks the watcher has ended, which it does only with the process.
        std::future::pending().await
    }

    async fn publish<T: Serialize + ?Sized>(&self, event: &str, argument: &T) {
        // `None` after the disconnection.
        if let Some(all) = self.io.of("/") {
            // An error means that a slow browser lost this message. The others received it.
            let _ = all.emit(event, argument).await;
        }
    }

    /// Waits for the shutdown, then disconnects all browsers.
    pub(crate) async fn disconnect_on(self, shutdown: chassis::Shutdown) -> Infallible {
        shutdown.stopping().await;
        self.io.close().await;
        std::future::pending().await
    }
}
