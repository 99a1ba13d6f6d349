//! The socket.io side: what browsers may say, and what they are told.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use crate::{
    asks::{Asks, Visitor},
    control::Control,
    snapshot::Snapshots,
};
use contract::{WatcherView, events};
use serde::Serialize;
use serde_json::Value;
use socketioxide::{
    SocketIo,
    extract::{AckSender, SocketRef, TryData},
};
use tokio::sync::watch;

pub(crate) use socketioxide::layer::SocketIoLayer;

/// The largest thing that a browser may say, in bytes. Asking for a rate takes some thirty.
const MAX_PAYLOAD: usize = 4096;

/// How many packets may wait for a slow browser. Further ones are lost to it, and to nobody else.
const MAX_WAITING: usize = 512;

/// How many may watch at once.
const MAX_VIEWERS: usize = 1000;

/// How often a silent browser is tried, and how long it may take to answer.
const PING_EVERY: Duration = Duration::from_secs(25);
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// How long a connection may take to become a browser's.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Speaks to all browsers. Clones are the same.
#[derive(Clone)]
pub(crate) struct Browsers {
    io: SocketIo,
    control: Control,
}

/// Returns the layer that answers `/socket.io/`, and the way to speak to all who are connected.
///
/// Those who come are told what the watcher has said last.
pub(crate) fn browsers(
    control: Control,
    asks: Asks,
    watcher: watch::Receiver<WatcherView>,
) -> (SocketIoLayer, Browsers) {
    let (layer, io) = SocketIo::builder()
        .max_payload(MAX_PAYLOAD as u64)
        .ws_max_message_size(MAX_PAYLOAD)
        .ws_max_frame_size(MAX_PAYLOAD)
        .max_buffer_size(MAX_WAITING)
        .connect_timeout(CONNECT_TIMEOUT)
        .ping_interval(PING_EVERY)
        .ping_timeout(PING_TIMEOUT)
        .build_layer();
    let browsers = Browsers { io: io.clone(), control: control.clone() };
    io.ns("/", async move |socket: SocketRef| {
        if let Some(visitor) = welcome(&socket, &control) {
            // Fails only when the browser has gone.
            let _ = socket.emit(events::WATCHER, &*watcher.borrow());
            listen(&socket, &asks, visitor);
        }
    });
    (layer, browsers)
}

/// Counts a browser and tells it its number, or refuses it.
fn welcome(socket: &SocketRef, control: &Control) -> Option<Visitor> {
    let Some(viewer) = control.enter(MAX_VIEWERS) else {
        let _ = socket.emit(events::REFUSED, &format!("{MAX_VIEWERS} are watching already"));
        let _ = socket.clone().disconnect();
        return None;
    };
    let visitor = Visitor::new(viewer.number);
    let _ = socket.emit(events::VISITOR, &viewer.number);
    // The handler is dropped with the socket, whether it was called or not: somebody may have left before
    // it was here.
    let viewer = Arc::new(viewer);
    socket.on_disconnect(async move || drop(viewer));
    Some(visitor)
}

/// Takes what a browser asks for.
fn listen(socket: &SocketRef, asks: &Asks, visitor: Visitor) {
    let asks = asks.clone();
    let visitor = Arc::new(Mutex::new(visitor));
    socket.on(
        events::FREQUENCY,
        async move |socket: SocketRef, TryData(payload): TryData<Value>, ack: AckSender| {
            let answer = {
                let mut visitor = visitor.lock().unwrap_or_else(PoisonError::into_inner);
                asks.ask(&payload.unwrap_or_default(), &mut visitor, asks.now())
            };
            if let events::Answer::Refused { error } = &answer {
                // For clients that ask for no acknowledgement.
                let _ = socket.emit(events::REFUSED, error);
            }
            // Fails only when the browser has gone.
            let _ = ack.send(&answer);
        },
    );
}

impl Browsers {
    /// Shows a calculation to everybody.
    pub(crate) async fn show(&self, calculation: &str) {
        self.emit(events::CALCULATION, calculation).await;
    }

    /// Tells everybody how things stand, if there is anybody.
    pub(crate) async fn tell(&self, snapshots: &Snapshots) {
        if 0 < self.control.viewers() {
            self.emit(events::STATS, &snapshots.take()).await;
        }
    }

    /// Tells everybody what the watcher says, whenever that changes.
    pub(crate) async fn tell_of_watcher(
        self,
        mut views: watch::Receiver<WatcherView>,
    ) -> Infallible {
        while views.changed().await.is_ok() {
            let view = views.borrow_and_update().clone();
            self.emit(events::WATCHER, &view).await;
        }
        // Not before the task that asks the watcher has ended, which it never does.
        std::future::pending().await
    }

    async fn emit<T: Serialize + ?Sized>(&self, event: &str, argument: &T) {
        // None once goodbye has been said.
        if let Some(everybody) = self.io.of("/") {
            // An error means that some browser is too slow: it lost this one, the others did not.
            let _ = everybody.emit(event, argument).await;
        }
    }

    /// Waits for the shutdown, then says goodbye to everybody.
    pub(crate) async fn leave_on(self, shutdown: chassis::Shutdown) -> Infallible {
        shutdown.stopping().await;
        self.io.close().await;
        std::future::pending().await
    }
}
