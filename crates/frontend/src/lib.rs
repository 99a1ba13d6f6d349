//! The frontend: the page, the live feed, the load.
//!
//! [`socket`] takes the rate that a visitor asks for to [`control`]; [`load`] sends requests at that rate,
//! and counts and times them; [`feed`] hears of the results, and [`stream`] shows them to every browser,
//! with a [`snapshot`] of all the figures, and with what the [`watcher`] says.

mod access;
mod asks;
mod config;
mod control;
mod feed;
mod headers;
mod http;
mod load;
mod metrics;
mod page;
mod snapshot;
mod socket;
mod stops;
mod stream;
mod watcher;

use std::sync::Arc;

use chassis::{
    Shutdown,
    probes::{self, Readiness},
};
use tokio::{net::TcpListener, task::JoinSet};

pub use access::{ControlToken, Origin};
pub use config::{Config, VisitorSettings, plain_url};
pub use load::{Outcome, REQUEST_TIMEOUT, drive, per_second};

/// Serves until the shutdown, then waits for what is in flight.
///
/// # Errors
/// When the settings name an address that cannot be one. A Redis or a worker that is away is no error:
/// the page says so.
pub async fn run(config: Config, listener: TcpListener, shutdown: Shutdown) -> anyhow::Result<()> {
    let VisitorSettings { max_rate, control_token, allowed_origins } = config.visitors;
    let control = control::Control::new();
    let tally = load::SharedTally::new();
    let processor = load::processor::Processor::new(&config.processor_url)?;
    // Not a part of the probe's readiness: without Redis or workers, the page is there to say so.
    let neighbours = Readiness::new(shutdown.clone());
    let (redis, workers) = (neighbours.register("redis"), neighbours.register("workers"));
    let (feed, keep_subscribed) = feed::feed(&config.redis_url, redis.clone())?;
    let shown = page::Shown { max_rate, asks_for_token: control_token.is_some() };
    let asks = asks::Asks::new(control.clone(), max_rate, control_token);
    let gate = access::Gate::new(allowed_origins);
    let (views, keep_asking) =
        watcher::watcher(config.watcher_url.as_ref(), neighbours.register("watcher"))?;
    let (sockets, browsers) = socket::browsers(control.clone(), asks.clone(), views.clone());

    let snapshots = snapshot::Snapshots::new(control.clone(), tally.clone(), redis);
    let mut registry = probes::registry("frontend", env!("CARGO_PKG_VERSION"));
    registry.register("asks", "Times that somebody asked for a rate, by result", asks.counts());
    registry.register(
        "refused_origins",
        "Requests of pages of other sites that were refused",
        gate.refused(),
    );
    let metrics = metrics::Metrics { tally: tally.clone(), control: control.clone() };
    registry.register_collector(Box::new(metrics));
    let readiness = Readiness::new(shutdown.clone());
    let router =
        http::router(shown, snapshots.clone(), sockets, gate, readiness, Arc::new(registry))?;

    tracing::info!(address = %listener.local_addr()?, max_rate, "frontend is listening");
    // Tasks of their own, so that many browsers do not keep the load waiting. They end with this function.
    let mut streams = JoinSet::new();
    streams.spawn(stream::relay(feed.messages, browsers.clone(), tally.clone()));
    streams.spawn(stream::report(stream::Report {
        browsers: browsers.clone(),
        snapshots: snapshots.clone(),
        tally: tally.clone(),
        dropped: feed.dropped,
        workers,
    }));
    streams.spawn(browsers.clone().tell_of_watcher(views));
    let until_shutdown = async {
        tokio::join!(
            chassis::server::serve(listener, router, shutdown.clone()),
            load::run(processor, control.rates(), tally.clone(), shutdown.clone()),
        )
    };
    tokio::select! {
        ((), load) = until_shutdown => load,
        never = keep_subscribed => match never {},
        never = keep_asking => match never {},
        _ = streams.join_next() => anyhow::bail!("the stream to the browsers has ended"),
        never = control.clone().end_in_time(tally.clone()) => match never {},
        never = browsers.leave_on(shutdown.clone()) => match never {},
    }
}
