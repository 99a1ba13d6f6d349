//! The connection to Redis: one for all, kept by [`link::keep`].

use std::{convert::Infallible, sync::Arc, time::Duration};

use chassis::{link, probes::Dependency};
use contract::RedisUrl;
use redis::{
    AsyncConnectionConfig, Client, ErrorKind, IntoConnectionInfo as _, ProtocolVersion, PushInfo,
    PushKind, RedisResult, aio::MultiplexedConnection,
};
use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};

use crate::metrics::Metrics;

/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// A connection, and when it was made.
#[derive(Clone)]
pub(super) struct Connected {
    pub(super) connection: MultiplexedConnection,
    pub(super) since: Instant,
}

/// Returns the connection while there is one, and the task that keeps it.
///
/// # Errors
/// When the address makes no sense to the client.
pub(super) fn connection(
    redis_url: &RedisUrl,
    dependency: Dependency,
    metrics: Arc<Metrics>,
) -> anyhow::Result<(watch::Receiver<Option<Connected>>, impl Future<Output = Infallible>)> {
    let client = client(redis_url)?;
    let (connected, connection) = watch::channel(None);
    let keep_connected = link::keep(
        dependency,
        async move || connect(&client).await,
        async move |(connection, ended)| {
            metrics.redis_connections.inc();
            metrics.redis_connected.set(1);
            let since = Instant::now();
            connected.send_replace(Some(Connected { connection: connection.clone(), since }));
            let why = until_lost(connection, ended).await;
            connected.send_replace(None);
            metrics.redis_connected.set(0);
            why
        },
    );
    Ok((connection, keep_connected))
}

fn client(redis_url: &RedisUrl) -> RedisResult<Client> {
    // Only the third version of the protocol tells at once when a connection has ended.
    let info = redis_url.as_str().into_connection_info()?;
    let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
    Client::open(info.set_redis_settings(settings))
}

async fn connect(client: &Client) -> RedisResult<(MultiplexedConnection, mpsc::Receiver<()>)> {
    let (end, ended) = mpsc::channel(1);
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT_TIMEOUT))
        // Each command has its own, and is told apart from a lost connection.
        .set_response_timeout(None)
        .set_push_sender(move |push: PushInfo| match push.kind {
            PushKind::Disconnection => end.try_send(()),
            _ => Ok(()),
        });
    let connection = client.get_multiplexed_async_connection_with_config(&config).await?;
    Ok((connection, ended))
}

/// Waits until the connection has ended or Redis no longer answers; returns which.
async fn until_lost(connection: MultiplexedConnection, mut ended: mpsc::Receiver<()>) -> String {
    let ping = || {
        let mut connection = connection.clone();
        async move {
            match redis::cmd("PING").query_async::<()>(&mut connection).await {
                Err(error) if error.kind() == ErrorKind::Io => Err(error),
                // It answers, if only to say that it cannot serve now: the connection is fine.
                _ => Ok(()),
            }
        }
    };
    tokio::select! {
        _ = ended.recv() => "the connection has ended".to_owned(),
        why = link::until_silent(ping) => why,
    }
}
