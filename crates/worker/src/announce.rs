//! Publishes calculations on Redis, over one connection that mends itself.
//!
//! A calculation is published at most once: one whose fate is unknown, because the connection was
//! lost before Redis answered, is reported as a failure and not sent again.

use std::{convert::Infallible, sync::Arc, time::Duration};

use chassis::{link, probes::Dependency};
use contract::{RedisUrl, calculation::CHANNEL};
use redis::{
    AsyncConnectionConfig, Client, ErrorKind, IntoConnectionInfo as _, ProtocolVersion, PushInfo,
    PushKind, RedisError, RedisResult, aio::MultiplexedConnection,
};
use tokio::{
    sync::{mpsc, watch},
    time::timeout,
};

use crate::metrics::{FailureLabels, Metrics};

/// How long a calculation may wait for a connection and for Redis' answer: less than the second
/// within which a request is answered whatever happens.
const PUBLISH_TIMEOUT: Duration = Duration::from_millis(900);

/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// Publishes calculations. Clones share the connection.
#[derive(Clone)]
pub(crate) struct Announcer {
    connection: watch::Receiver<Option<MultiplexedConnection>>,
    metrics: Arc<Metrics>,
}

/// Why Redis did not take a calculation.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("redis is not connected")]
    NotConnected,
    #[error("redis did not answer within {PUBLISH_TIMEOUT:?}")]
    Timeout,
    #[error("the connection to redis was lost")]
    Lost,
    #[error("redis refused: {0}")]
    Refused(String),
}

/// Returns an announcer, and the task that keeps it connected.
///
/// # Errors
/// When the address makes no sense to the client.
pub(crate) fn announcer(
    redis_url: &RedisUrl,
    dependency: Dependency,
    metrics: Arc<Metrics>,
) -> anyhow::Result<(Announcer, impl Future<Output = Infallible>)> {
    let client = client(redis_url)?;
    let (connected, connection) = watch::channel(None);
    let announcer = Announcer { connection, metrics: Arc::clone(&metrics) };
    let keep_connected = link::keep(
        dependency,
        async move || connect(&client).await,
        async move |(connection, ended)| {
            metrics.redis_connections.inc();
            metrics.redis_connected.set(1);
            connected.send_replace(Some(connection.clone()));
            let why = until_lost(connection, ended).await;
            connected.send_replace(None);
            metrics.redis_connected.set(0);
            why
        },
    );
    Ok((announcer, keep_connected))
}

impl Announcer {
    /// Publishes a calculation, and returns once Redis has taken it.
    pub(crate) async fn publish(&self, calculation: &str) -> Result<(), Failure> {
        let result = self.try_publish(calculation).await;
        if let Err(failure) = &result {
            let reason = failure.reason();
            self.metrics.publish_failures.get_or_create(&FailureLabels { reason }).inc();
        }
        result
    }

    async fn try_publish(&self, calculation: &str) -> Result<(), Failure> {
        let mut sending = false;
        let publish = async {
            let mut connected = self.connection.clone();
            let connection =
                connected.wait_for(Option::is_some).await.ok().and_then(|it| it.clone());
            let mut connection = connection.ok_or(Failure::NotConnected)?;
            sending = true;
            let mut command = redis::cmd("PUBLISH");
            command.arg(CHANNEL).arg(calculation);
            let receivers: u64 =
                command.query_async(&mut connection).await.map_err(Failure::from)?;
            if receivers == 0 {
                self.metrics.without_subscriber.inc();
            }
            Ok(())
        };
        match timeout(PUBLISH_TIMEOUT, publish).await {
            Ok(result) => result,
            Err(_) if sending => Err(Failure::Timeout),
            Err(_) => Err(Failure::NotConnected),
        }
    }
}

impl Failure {
    /// Its kind, as metrics name it.
    fn reason(&self) -> &'static str {
        match self {
            Self::NotConnected => "not_connected",
            Self::Timeout => "timeout",
            Self::Lost => "lost",
            Self::Refused(_) => "refused",
        }
    }
}

impl From<RedisError> for Failure {
    fn from(error: RedisError) -> Self {
        match error.kind() {
            ErrorKind::Io => Self::Lost,
            _ => Self::Refused(error.to_string()),
        }
    }
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
