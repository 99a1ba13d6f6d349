//! Stands for Redis: a broker that publishes and subscribes, and has almost no other command.

mod client;
mod resp;
mod server_handle;

use std::{
    collections::BTreeMap,
    convert::Infallible,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicU64},
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    net::TcpListener,
    sync::{Notify, mpsc},
    task::JoinSet,
    time::sleep,
};

use client::Client;
use resp::Reply;
pub use server_handle::{FakeRedis, Subscription};

/// The largest number of clients at one time.
const MAX_CLIENTS: usize = 1000;

/// Serves Redis clients for ever. Dropping the future disconnects them.
pub async fn serve_redis(listener: TcpListener) -> Infallible {
    serve(listener, Broker::default()).await
}

async fn serve(listener: TcpListener, broker: Broker) -> Infallible {
    let mut clients = JoinSet::new();
    loop {
        while clients.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, _)) if clients.len() < MAX_CLIENTS => {
                clients.spawn(Client::serve(broker.clone(), stream));
            }
            Ok(_) => tracing::warn!(
                MAX_CLIENTS,
                "the fake Redis refuses a client: it has as many as it accepts"
            ),
            Err(error) => {
                tracing::warn!(%error, "the fake Redis cannot accept a client");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// The subscribers of each channel.
#[derive(Clone, Default)]
struct Broker {
    channels: Arc<Mutex<Channels>>,
    next_client: Arc<AtomicU64>,
    fault: Arc<Mutex<RedisFault>>,
}

/// What a Redis is, or does wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RedisFault {
    /// Nothing: it is the only node, and its users may publish.
    #[default]
    None,
    /// It is one node of a cluster, whose subscribers are at the other nodes.
    SubscribersElsewhere,
    /// It has a replica, and the subscribers are there.
    SubscribersAtReplica,
    /// Its user may not publish.
    NoPermission,
}

type Channels = BTreeMap<Bytes, BTreeMap<u64, Listener>>;

/// How the broker reaches a subscribed client.
#[derive(Clone)]
struct Listener {
    messages: mpsc::Sender<Reply>,
    too_slow: Arc<Notify>,
}

impl Broker {
    fn lock(&self) -> MutexGuard<'_, Channels> {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Publishes a message; returns the number of subscribers that received it.
    fn publish(&self, channel: &Bytes, message: &Bytes) -> usize {
        let mut channels = self.lock();
        let Some(listeners) = channels.get_mut(channel) else { return 0 };
        let message = push("message", Reply::Bulk(channel.clone()), Reply::Bulk(message.clone()));
        listeners.retain(|_, listener| {
            let received = listener.messages.try_send(message.clone()).is_ok();
            if !received {
                listener.too_slow.notify_one();
            }
            received
        });
        listeners.len()
    }

    fn fault(&self) -> RedisFault {
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn subscribe(&self, channel: &Bytes, client: u64, listener: &Listener) {
        self.lock().entry(channel.clone()).or_default().insert(client, listener.clone());
    }

    fn unsubscribe(&self, channel: &Bytes, client: u64) {
        let mut channels = self.lock();
        if let Some(listeners) = channels.get_mut(channel) {
            listeners.remove(&client);
            if listeners.is_empty() {
                channels.remove(channel);
            }
        }
    }
}

fn push(kind: &'static str, channel: Reply, value: Reply) -> Reply {
    Reply::Push(vec![Reply::bulk(kind), channel, value])
}
