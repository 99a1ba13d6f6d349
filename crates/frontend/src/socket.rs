//! The socket.io side: what browsers may say, and what they are told.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use crate::{asks::Asks, control::Control, snapshot::Snapshots, stops::ChangeLimit};
use contract::events;
use serde::Serialize;
use serde_json::Value;
use socketioxide::{
    SocketIo,
    extract::{AckSender, SocketRef, TryData},
};

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
pub(crate) fn browsers(control: Control, asks: Asks) -> (SocketIoLayer, Browsers) {
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
    io.ns("/", async move |socket: SocketRef| welcome(&socket, &control, &asks));
    (layer, browsers)
}

fn welcome(socket: &SocketRef, control: &Control, asks: &Asks) {
    let Some(viewer) = control.enter(MAX_VIEWERS) else {
        let _ = socket.emit(events::REFUSED, &format!("{MAX_VIEWERS} are watching already"));
        let _ = socket.clone().disconnect();
        return;
    };
    // The handler is dropped with the socket, whether it was called or not: somebody may have left before
    // it was here.
    let viewer = Arc::new(viewer);
    socket.on_disconnect(async move || drop(viewer));
    let asks = asks.clone();
    let changes = Arc::new(Mutex::new(ChangeLimit::default()));
    socket.on(
        events::FREQUENCY,
        async move |socket: SocketRef, TryData(payload): TryData<Value>, ack: AckSender| {
            let answer = {
                let mut changes = changes.lock().unwrap_or_else(PoisonError::into_inner);
                asks.ask(&payload.unwrap_or_default(), &mut changes, asks.now())
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
