//! The worker's connections to Redis, which [`link::keep`] renews.

use std::{convert::Infallible, sync::Arc, time::Duration};

use chassis::{link, probes::Dependency};
use contract::RedisUrl;
use futures_util::future::select_all;
use redis::{
    AsyncConnectionConfig, Client, ErrorKind, IntoConnectionInfo as _, ProtocolVersion, PushInfo,
    PushKind, RedisResult, aio::MultiplexedConnection,
};
use tokio::{
    runtime::Handle,
    sync::watch,
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    log::PublishLog,
    node::{self, Node},
};
use crate::metrics::Metrics;

/// How long connecting may take, and how long what follows it.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// The connection of a core to Redis; `None` while there is none.
pub(crate) type Connection = watch::Receiver<Option<Connected>>;

/// A connection, and when it was made.
#[derive(Clone)]
pub(crate) struct Connected {
    pub(super) connection: MultiplexedConnection,
    pub(super) since: Instant,
    /// Whether a count of no listeners means that nobody listens.
    pub(super) knows_all_listeners: bool,
    /// Cancelled once the connection has ended.
    ended: CancellationToken,
}

impl Connected {
    /// Whether the connection has ended. A core knows that before the task that renews all connections.
    pub(super) fn has_ended(&self) -> bool {
        self.ended.is_cancelled()
    }
}

/// Connects each core to Redis, and all of them again whenever a connection is lost.
pub(crate) struct Connector {
    client: Client,
    dependency: Dependency,
    metrics: Arc<Metrics>,
    log: PublishLog,
    cores: Vec<Core>,
}

/// A runtime, and its connection.
struct Core {
    runtime: Handle,
    connected: watch::Sender<Option<Connected>>,
}

impl Connector {
    /// Does not connect yet.
    ///
    /// # Errors
    /// When the client does not accept the address.
    pub(crate) fn new(
        redis_url: &RedisUrl,
        dependency: Dependency,
        log: PublishLog,
        metrics: Arc<Metrics>,
    ) -> anyhow::Result<Self> {
        let client = client(redis_url)?;
        Ok(Self { client, dependency, metrics, log, cores: Vec::new() })
    }

    /// The connection that will be driven on this runtime.
    pub(crate) fn connection(&mut self, runtime: &Handle) -> Connection {
        let (connected, connection) = watch::channel(None);
        self.cores.push(Core { runtime: runtime.clone(), connected });
        connection
    }

    /// Keeps Redis connected, forever.
    pub(crate) async fn run(self) -> Infallible {
        let Self { client, dependency, metrics, log, cores } = self;
        let runtimes: Vec<_> = cores.iter().map(|core| core.runtime.clone()).collect();
        let connect = async move || connect_each(&client, &runtimes).await;
        let hold = async move |connections: Vec<Connected>| {
            metrics.redis_connections.inc_by(connections.len() as u64);
            metrics.redis_connected.set(1);
            log.forget_refusal();
            let mut held = Vec::new();
            for (core, connected) in cores.iter().zip(connections) {
                core.connected.send_replace(Some(connected.clone()));
                held.push(Box::pin(until_lost(connected, log.clone())));
            }
            let (reason, _, _) = select_all(held).await;
            for core in &cores {
                core.connected.send_replace(None);
            }
            metrics.redis_connected.set(0);
            reason
        };
        link::keep(dependency, connect, hold).await
    }
}

/// Connects on each runtime, which then drives its connection.
async fn connect_each(client: &Client, runtimes: &[Handle]) -> RedisResult<Vec<Connected>> {
    let connect = |runtime: &Handle| runtime.spawn(connect(client.clone()));
    let connecting: Vec<_> = runtimes.iter().map(connect).collect();
    let mut connections = Vec::new();
    for connection in connecting {
        let ended = || (ErrorKind::Io, "the runtime has ended").into();
        connections.push(connection.await.unwrap_or_else(|_| Err(ended()))?);
    }
    Ok(connections)
}

fn client(redis_url: &RedisUrl) -> RedisResult<Client> {
    // Only RESP3 reports at once that a connection has ended.
    let info = redis_url.as_str().into_connection_info()?;
    let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
    Client::open(info.set_redis_settings(settings))
}

/// Connects, and checks that calculations may be published.
async fn connect(client: Client) -> RedisResult<Connected> {
    let ended = CancellationToken::new();
    let end = ended.clone();
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT_TIMEOUT))
        // Each command has its own timeout, which the metrics tell apart from a lost connection.
        .set_response_timeout(None)
        .set_push_sender(move |push: PushInfo| {
            if push.kind == PushKind::Disconnection {
                end.cancel();
            }
            Ok::<_, Infallible>(())
        });
    let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
    let silent = || (ErrorKind::Io, "silent while it connected").into();
    let examined = timeout(CONNECT_TIMEOUT, node::examine(&mut connection)).await;
    let Node { knows_all_listeners } = examined.unwrap_or_else(|_| Err(silent()))?;
    Ok(Connected { connection, since: Instant::now(), knows_all_listeners, ended })
}

/// Waits until the connection has ended, or Redis no longer answers, or refuses calculations;
/// returns the reason. A new connection finds out whether Redis still refuses.
async fn until_lost(connected: Connected, log: PublishLog) -> String {
    let ping = || {
        let mut connection = connected.connection.clone();
        let refusal = log.refusal();
        async move {
            if let Some(reason) = refusal {
                return Err(format!("it refuses calculations: {reason}"));
            }
            match redis::cmd("PING").query_async::<()>(&mut connection).await {
                Err(error) if error.kind() == ErrorKind::Io => Err(error.to_string()),
                // Any answer, even a refusal, shows that the connection works.
                _ => Ok(()),
            }
        }
    };
    tokio::select! {
        () = connected.ended.cancelled() => "the connection has ended".to_owned(),
        reason = link::until_silent(ping) => reason,
    }
}
