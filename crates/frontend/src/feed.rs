//! The live feed: subscribes to the calculations on Redis, and subscribes again whenever it must.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use chassis::{link, probes::Dependency};
use contract::{RedisUrl, calculation::CHANNEL};
use redis::{
    AsyncConnectionConfig, Client, ErrorKind, FromRedisValue as _, IntoConnectionInfo as _,
    ProtocolVersion, PushInfo, PushKind, RedisResult, aio::MultiplexedConnection,
};
use tokio::sync::mpsc;

/// How many calculations may wait to be read. More are dropped and counted.
const MAX_WAITING: usize = 4096;

/// The largest message that is passed on, in bytes: a calculation is 44 and its prefix.
const MAX_MESSAGE: usize = 1024;

/// How long connecting and subscribing may take, each.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// Calculations as they come.
pub(crate) struct Feed {
    pub(crate) messages: mpsc::Receiver<String>,
    pub(crate) dropped: Dropped,
}

/// Counts messages that were not passed on. Clones are the same count.
#[derive(Clone, Default)]
pub(crate) struct Dropped(Arc<AtomicU64>);

impl Dropped {
    fn count(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// How many there were since this was last asked.
    pub(crate) fn take(&self) -> u64 {
        self.0.swap(0, Ordering::Relaxed)
    }
}

/// Returns the feed, and the task that keeps it subscribed.
///
/// # Errors
/// When the address makes no sense to the client.
pub(crate) fn feed(
    redis_url: &RedisUrl,
    dependency: Dependency,
) -> anyhow::Result<(Feed, impl Future<Output = Infallible>)> {
    // Only the third version of the protocol has messages and answers on one connection.
    let info = redis_url.as_str().into_connection_info()?;
    let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
    let client = Client::open(info.set_redis_settings(settings))?;

    let (messages, receiver) = mpsc::channel(MAX_WAITING);
    let dropped = Dropped::default();
    let inbox = Inbox { messages, dropped: dropped.clone() };
    let keep_subscribed = link::keep(
        dependency,
        async move || subscribe(&client, inbox.clone()).await,
        async |(connection, ended)| until_lost(connection, ended).await,
    );
    Ok((Feed { messages: receiver, dropped }, keep_subscribed))
}

/// Where messages go as they arrive.
#[derive(Clone)]
struct Inbox {
    messages: mpsc::Sender<String>,
    dropped: Dropped,
}

impl Inbox {
    fn put(&self, push: PushInfo) {
        // The channel's name, which is known, then the message.
        let message = push.data.into_iter().nth(1).map(Vec::<u8>::from_redis_value);
        let message = match message {
            Some(Ok(bytes)) if bytes.len() <= MAX_MESSAGE => {
                String::from_utf8_lossy(&bytes).into_owned()
            }
            _ => return self.dropped.count(),
        };
        if self.messages.try_send(message).is_err() {
            self.dropped.count();
        }
    }
}

async fn subscribe(
    client: &Client,
    inbox: Inbox,
) -> RedisResult<(MultiplexedConnection, mpsc::Receiver<()>)> {
    let (end, ended) = mpsc::channel(1);
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT_TIMEOUT))
        .set_response_timeout(Some(CONNECT_TIMEOUT))
        .set_push_sender(move |push: PushInfo| match push.kind {
            PushKind::Disconnection => end.try_send(()),
            PushKind::Message => {
                inbox.put(push);
                Ok(())
            }
            _ => Ok(()),
        });
    let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
    connection.subscribe(CHANNEL).await?;
    Ok((connection, ended))
}

/// Waits until the connection has ended or Redis no longer answers; returns which.
async fn until_lost(connection: MultiplexedConnection, mut ended: mpsc::Receiver<()>) -> String {
    let ping = || {
        let mut connection = connection.clone();
        async move {
            match redis::cmd("PING").query_async::<()>(&mut connection).await {
                Err(error) if error.kind() == ErrorKind::Io => Err(error),
                // It answers, if only to say that it cannot serve now: the subscription is fine.
                _ => Ok(()),
            }
        }
    };
    tokio::select! {
        _ = ended.recv() => "the connection has ended".to_owned(),
        why = link::until_silent(ping) => why,
    }
}
