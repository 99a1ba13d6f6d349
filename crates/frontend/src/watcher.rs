//! Asks the watcher for its status once a second, for the page.

use std::{convert::Infallible, time::Duration};

use bytes::Bytes;
use chassis::{HttpUrl, probes::Dependency};
use contract::{WatcherStatus, WatcherView};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::{StatusCode, Uri};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::{
    sync::watch,
    time::{Instant, MissedTickBehavior, interval, timeout},
};

/// The time between two requests: as long as between two decisions of the watcher.
const ASK_EVERY: Duration = Duration::from_secs(1);

/// How long an answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);

/// The largest answer, in bytes. Fifty decisions have about fifteen thousand.
const MAX_ANSWER: usize = 256 * 1024;

/// For so long the page keeps the leader's last status, while only watchers that stand by answer. Behind a Service, chance
/// chooses who answers.
const LEADER_SHOWN_FOR: Duration = Duration::from_secs(30);

/// Returns the updates of the watcher's status, and the task that asks for it.
///
/// # Errors
/// When the address is not a URI by the rules of HTTP.
pub(crate) fn start(
    url: Option<&HttpUrl>,
    dependency: Dependency,
) -> anyhow::Result<(watch::Receiver<WatcherView>, impl Future<Output = Infallible>)> {
    let uri = url.map(|url| url.join("status").as_str().parse()).transpose()?;
    let first = if uri.is_some() { WatcherView::Unasked } else { WatcherView::Unset };
    let (sender, updates) = watch::channel(first);
    let task = async move {
        match uri {
            Some(uri) => keep_asking(uri, &sender, &dependency).await,
            None => std::future::pending().await,
        }
    };
    Ok((updates, task))
}

async fn keep_asking(
    uri: Uri,
    updates: &watch::Sender<WatcherView>,
    dependency: &Dependency,
) -> Infallible {
    // A connection that stays open could lead to a watcher that stands by, for ever.
    let client =
        Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(HttpConnector::new());
    let mut leader = LastLeader::default();
    let mut ticks = interval(ASK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let answer = timeout(ANSWER_TIMEOUT, ask(&client, uri.clone())).await;
        let answer = answer.unwrap_or_else(|_| Err(format!("no answer within {ANSWER_TIMEOUT:?}")));
        let update = match answer {
            Ok(status) => {
                dependency.up();
                if !leader.lets_show(&status) {
                    continue;
                }
                WatcherView::Known { status: Box::new(status) }
            }
            Err(reason) => {
                dependency.down(&reason);
                leader = LastLeader::default();
                WatcherView::Away { reason }
            }
        };
        updates.send_if_modified(|last| {
            let has_changed = *last != update;
            *last = update;
            has_changed
        });
    }
}

/// When the watcher that leads answered last; `None` if its status is not shown.
#[derive(Default)]
struct LastLeader(Option<Instant>);

impl LastLeader {
    /// Whether to show a status, which may be that of a watcher that stands by.
    fn lets_show(&mut self, status: &WatcherStatus) -> bool {
        if status.reason != WatcherStatus::STANDBY {
            self.0 = Some(Instant::now());
            return true;
        }
        self.0.is_none_or(|at| LEADER_SHOWN_FOR <= at.elapsed())
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
    let body =
        body.map_err(|error| format!("the frontend cannot read its answer: {error}"))?.to_bytes();
    let mut status: WatcherStatus = serde_json::from_slice(&body)
        .map_err(|error| format!("the frontend does not understand its answer: {error}"))?;
    let older = status.decisions.len().saturating_sub(WatcherView::MAX_DECISIONS);
    status.decisions.drain(..older);
    Ok(status)
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_watcher_that_stands_by_is_shown_only_without_a_leader() {
        let status =
            |reason: &str| WatcherStatus { reason: reason.to_owned(), ..WatcherStatus::default() };
        let (leading, standby) = (status("NoChange"), status(WatcherStatus::STANDBY));
        let mut leader = LastLeader::default();
        assert!(leader.lets_show(&standby), "nobody has led");
        assert!(leader.lets_show(&leading));
        advance(LEADER_SHOWN_FOR / 2).await;
        assert!(!leader.lets_show(&standby));
        assert!(leader.lets_show(&leading));
        advance(LEADER_SHOWN_FOR).await;
        assert!(leader.lets_show(&standby));
    }
}
