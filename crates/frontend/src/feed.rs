//! The live feed: subscribes to the calculations on Redis, and subscribes again after each loss.
//!
//! A connection that answers may have lost its subscription. So the feed is judged by what it
//! brings, too ([`silence`]).

mod silence;

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
use tokio::{sync::mpsc, time::timeout};

use self::silence::{Arrivals, Silence};
use crate::load::SharedTally;

/// How many calculations may wait. The feed drops and counts those beyond.
const MAX_WAITING: usize = 4096;

/// The largest message that the feed accepts, in bytes. A calculation has 44 bytes and its prefix.
const MAX_MESSAGE: usize = 1024;

/// How long connecting may take, and how long subscribing may take as well.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// The calculations as they arrive.
pub(crate) struct Feed {
    pub(crate) messages: mpsc::Receiver<String>,
    pub(crate) dropped: Dropped,
}

/// Counts the messages that the feed drops. Clones share the count.
#[derive(Clone, Default)]
pub(crate) struct Dropped(Arc<AtomicU64>);

impl Dropped {
    fn record(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the count since the last call.
    pub(crate) fn take(&self) -> u64 {
        self.0.swap(0, Ordering::Relaxed)
    }
}

/// Returns the feed, and the task that keeps it subscribed.
///
/// # Errors
/// When the client does not accept the address.
pub(crate) fn start(
    redis_url: &RedisUrl,
    tally: SharedTally,
    dependency: Dependency,
) -> anyhow::Result<(Feed, impl Future<Output = Infallible>)> {
    // Only version 3 of the protocol has messages and responses on one connection.
    let info = redis_url.as_str().into_connection_info()?;
    let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
    let client = Client::open(info.set_redis_settings(settings))?;

    let (messages, receiver) = mpsc::channel(MAX_WAITING);
    let dropped = Dropped::default();
    let arrivals = Arrivals::default();
    let inbox = Inbox { messages, dropped: dropped.clone(), arrivals: arrivals.clone() };
    let silence = Silence::new(tally, arrivals);
    let connecting = silence.clone();
    let keep_subscribed = link::keep(
        dependency,
        async move || {
            let subscribed = timeout(CONNECT_TIMEOUT * 2, subscribe(&client, inbox.clone()));
            let subscribed = subscribed.await.map_err(|_| "it does not answer".to_owned())?;
            let subscribed = subscribed.map_err(|error| error.to_string())?;
            connecting.check_again().await?;
            Ok::<_, String>(subscribed)
        },
        async move |(connection, ended)| until_lost(connection, ended, &silence).await,
    );
    Ok((Feed { messages: receiver, dropped }, keep_subscribed))
}

/// Passes messages on as they arrive.
#[derive(Clone)]
struct Inbox {
    messages: mpsc::Sender<String>,
    dropped: Dropped,
    arrivals: Arrivals,
}

impl Inbox {
    fn put(&self, push: PushInfo) {
        self.arrivals.record();
        // The first item is the name of the channel.
        let message = push.data.into_iter().nth(1).map(Vec::<u8>::from_redis_value);
        let message = match message {
            Some(Ok(bytes)) if bytes.len() <= MAX_MESSAGE => {
                String::from_utf8_lossy(&bytes).into_owned()
            }
            _ => return self.dropped.record(),
        };
        if self.messages.try_send(message).is_err() {
            self.dropped.record();
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
        // Each use of the connection has a limit of its own.
        .set_response_timeout(None)
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

/// Waits until the connection ends, or Redis no longer answers, or brings nothing; returns why.
async fn until_lost(
    connection: MultiplexedConnection,
    mut ended: mpsc::Receiver<()>,
    silence: &Silence,
) -> String {
    let ping = || {
        let mut connection = connection.clone();
        async move {
            match redis::cmd("PING").query_async::<()>(&mut connection).await {
                Err(error) if error.kind() == ErrorKind::Io => Err(error),
                // Redis answers, if only with an error: the subscription works.
                _ => Ok(()),
            }
        }
    };
    tokio::select! {
        _ = ended.recv() => "the connection has ended".to_owned(),
        reason = link::until_silent(ping) => reason,
        reason = silence.begins() => reason,
    }
}
