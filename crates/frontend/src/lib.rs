//! The frontend: the page, the live feed, the load.
//!
//! [`socket`] receives a visitor's request for a rate, [`rate_requests`] validates it, and
//! [`control`] puts it in force. [`load`] sends requests at that rate, counts them, and measures
//! their times. [`feed`] receives the results from Redis. [`stream`] publishes to every browser:
//! the results, a [`snapshot`] of all numbers, and the status of the [`watcher`].

mod auto_stop;
mod base_path;
mod config;
mod control;
mod control_token;
mod feed;
mod handshake;
mod headers;
mod history;
mod http;
mod load;
mod metrics;
mod origins;
mod page;
mod rate_limit;
mod rate_requests;
mod snapshot;
mod socket;
mod stream;
mod viewers;
mod watcher;

use chassis::{
    Shutdown,
    probes::Readiness,
    server::{self, Limits},
};
use tokio::{net::TcpListener, task::JoinSet};

pub use base_path::BasePath;
pub use config::{Config, VisitorSettings, plain_url};
pub use control_token::ControlToken;
pub use load::{Outcome, REQUEST_TIMEOUT, drive, per_second};
pub use origins::Origin;

/// At most 39 MiB together. With the largest message on each connection (`socket::MAX_PAYLOAD`) it is
/// 231 MiB, of a pod's 256.
const LIMITS: Limits = Limits { connections: 1536, body_bytes: 4 * 1024 * 1024 };

/// Serves until the shutdown, then waits for the requests in flight.
///
/// # Errors
/// When an address in the settings is not valid. It is no error if Redis or a worker is away: the
/// page reports it.
pub async fn run(config: Config, listener: TcpListener, shutdown: Shutdown) -> anyhow::Result<()> {
    let VisitorSettings { max_rate, control_token, allowed_origins } = config.visitors;
    let (control, viewers) = (control::Control::new(), viewers::Viewers::default());
    let (tally, history) = (load::SharedTally::new(), history::History::default());
    let processor = load::processor::Processor::new(&config.processor_url)?;
    // Without these the frontend is ready, too: its page reports them.
    let neighbors = Readiness::new(shutdown.clone());
    let (redis, workers) = (neighbors.register("redis"), neighbors.register("workers"));
    let (feed, keep_subscribed) = feed::start(&config.redis_url, tally.clone(), redis.clone())?;
    let (updates, keep_asking) =
        watcher::start(config.watcher_url.as_ref(), neighbors.register("watcher"))?;
    let settings = page::PageSettings { max_rate, is_token_needed: control_token.is_some() };
    let requests = rate_requests::RateRequests::new(control.clone(), max_rate, control_token);
    let origins = origins::AllowedOrigins::new(allowed_origins);
    let (sockets, browsers) = socket::start(viewers.clone(), requests.clone(), updates.clone());
    let snapshots =
        snapshot::Snapshots::new(control.clone(), viewers.clone(), tally.clone(), redis);

    let metrics = metrics::Metrics::new(tally.clone(), control.clone(), viewers.clone());
    let registry = metrics::registry(metrics, &requests, &origins);
    let router = http::router(http::Parts {
        base_path: config.base_path,
        settings,
        snapshots: snapshots.clone(),
        history: history.clone(),
        sockets,
        origins,
        readiness: Readiness::new(shutdown.clone()),
        registry,
    })?;

    tracing::info!(address = %listener.local_addr()?, max_rate, "frontend is listening");
    // These are tasks, so that many browsers do not delay the load. They end with this function.
    let mut streams = JoinSet::new();
    streams.spawn(stream::relay(feed.messages, browsers.clone(), tally.clone()));
    let reports = stream::Reports {
        browsers: browsers.clone(),
        snapshots,
        history,
        tally: tally.clone(),
        dropped: feed.dropped,
        workers,
    };
    streams.spawn(reports.run());
    streams.spawn(browsers.clone().publish_watcher(updates));
    let auto_stop = auto_stop::AutoStop::new(control.clone(), viewers, tally.clone());
    let until_shutdown = async {
        tokio::join!(
            server::serve_within(LIMITS, listener, router, shutdown.clone()),
            load::run(processor, control.rates(), tally, load::MAX_IN_FLIGHT, shutdown.clone()),
        )
    };
    tokio::select! {
        ((), load) = until_shutdown => load,
        never = keep_subscribed => match never {},
        never = keep_asking => match never {},
        _ = streams.join_next() => anyhow::bail!("the stream to the browsers has ended"),
        never = auto_stop.run() => match never {},
        never = browsers.disconnect_on(shutdown.clone()) => match never {},
    }
}
