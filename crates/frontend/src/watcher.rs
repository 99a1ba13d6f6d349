//! What the watcher says, for the page: asked once a second.

use std::{convert::Infallible, time::Duration};

use bytes::Bytes;
use chassis::{HttpUrl, probes::Dependency};
use contract::{WatcherStatus, WatcherView};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::{StatusCode, Uri};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use tokio::{
    sync::watch,
    time::{MissedTickBehavior, interval, timeout},
};

/// How often it is asked: as often as it looks itself.
const ASK_EVERY: Duration = Duration::from_secs(1);

/// How long its answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);

/// How much of its answer is read, in bytes. Fifty decisions are some fifteen thousand.
const MAX_ANSWER: usize = 256 * 1024;

/// How long a connection is kept for the next time.
const IDLE_TIMEOUT: Duration = Duration::from_secs(5);

/// Returns what it says, now and whenever that changes, and the task that asks it.
///
/// # Errors
/// When its address is not a URI by the rules of HTTP.
pub(crate) fn watcher(
    url: Option<&HttpUrl>,
    dependency: Dependency,
) -> anyhow::Result<(watch::Receiver<WatcherView>, impl Future<Output = Infallible>)> {
    let uri = url.map(|url| url.join("status").as_str().parse()).transpose()?;
    let first = if uri.is_some() { WatcherView::Unasked } else { WatcherView::Unset };
    let (sender, views) = watch::channel(first);
    let keep_asking = async move {
        match uri {
            Some(uri) => ask_for_ever(uri, &sender, &dependency).await,
            None => std::future::pending().await,
        }
    };
    Ok((views, keep_asking))
}

async fn ask_for_ever(
    uri: Uri,
    views: &watch::Sender<WatcherView>,
    dependency: &Dependency,
) -> Infallible {
    let client = Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE_TIMEOUT)
        .build(HttpConnector::new());
    let mut ticks = interval(ASK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let answer = timeout(ANSWER_TIMEOUT, ask(&client, uri.clone())).await;
        let answer = answer.unwrap_or_else(|_| Err(format!("no answer within {ANSWER_TIMEOUT:?}")));
        let view = match answer {
            Ok(status) => {
                dependency.up();
                WatcherView::Known { status: Box::new(status) }
            }
            Err(reason) => {
                dependency.down(&reason);
                WatcherView::Away { reason }
            }
        };
        views.send_if_modified(|old| {
            let has_changed = *old != view;
            *old = view;
            has_changed
        });
    }
}

async fn ask(
    client: &Client<HttpConnector, Empty<Bytes>>,
    uri: Uri,
) -> Result<WatcherStatus, String> {
    let response = client.get(uri).await.map_err(|error| {
        if error.is_connect() { "no connection" } else { "the connection was lost" }.to_owned()
    })?;
    if response.status() != StatusCode::OK {
        return Err(format!("it answers {}", response.status()));
    }
    let body = Limited::new(response.into_body(), MAX_ANSWER).collect().await;
    let body = body.map_err(|error| format!("its answer cannot be read: {error}"))?.to_bytes();
    let mut status: WatcherStatus = serde_json::from_slice(&body)
        .map_err(|error| format!("its answer is not understood: {error}"))?;
    let older = status.decisions.len().saturating_sub(WatcherView::MAX_DECISIONS);
    status.decisions.drain(..older);
    Ok(status)
}
