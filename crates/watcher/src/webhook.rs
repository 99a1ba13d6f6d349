//! Tells a webhook whether traffic goes to burst: when the watcher begins to decide, and at each change.
//!
//! A message is a `CloudEvent` in the binary mode of HTTP:
//! <https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md>.

use std::{
    convert::Infallible,
    future::pending,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use humantime::format_rfc3339_millis;
use policy::Weights;
use reqwest::{Client, header::CONTENT_TYPE};
use serde_json::{Value, json};
use tokio::{sync::watch, time::sleep};
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument as _;
use value_parsers::SecretUrl;

use crate::{
    config::{RouteSettings, WatchSettings},
    http_clients::{Clients, root_cause},
    metrics::{Results, count},
};

/// How long the receiver may take to answer.
const LIMIT: Duration = Duration::from_secs(5);

/// The wait before the first repetition, and the longest one. Each is twice as long as the one before.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(60)];

/// What the receiver is told.
#[derive(Clone, Debug)]
struct Message {
    is_bursting: bool,
    weights: Weights,
    at: SystemTime,
}

/// A webhook, which a task of its own calls. A slow receiver delays no decision.
pub(crate) struct Webhook {
    /// The newest message. It replaces an older one that the receiver has not taken.
    newest: watch::Sender<Option<Message>>,
    /// What was last told; `None` while this watcher does not decide.
    told: Option<bool>,
    _task: AbortOnDropHandle<()>,
}

impl Webhook {
    /// The webhook about a route, whose calls are counted in `results`; `None` if nobody is to be told. It calls
    /// nobody yet.
    ///
    /// # Errors
    /// When there is no client for its URL.
    pub(crate) fn start(
        settings: &WatchSettings,
        route: &RouteSettings,
        clients: &Clients,
        results: Results,
    ) -> anyhow::Result<Option<Self>> {
        let Some(url) =
            settings.policy.burst.burst_webhook_url.as_ref().filter(|_| !settings.dry_run)
        else {
            return Ok(None);
        };
        let client = clients.of("BURST_WEBHOOK_URL", url.expose())?;
        let (newest, receiver) = watch::channel(None);
        let (url, route) = (url.clone(), route.clone());
        let caller = Caller { client, url, route, results, has_failed: false };
        let task = tokio::spawn(caller.deliver_all(receiver).in_current_span());
        Ok(Some(Self { newest, told: None, _task: AbortOnDropHandle::new(task) }))
    }

    /// Takes the weights in force, and whether they send traffic to burst.
    pub(crate) fn tell(&mut self, is_bursting: bool, weights: Weights) {
        if self.told.replace(is_bursting) != Some(is_bursting) {
            let message = Message { is_bursting, weights, at: SystemTime::now() };
            self.newest.send_replace(Some(message));
        }
    }

    /// Forgets what was told, because another watcher decides now.
    pub(crate) fn forget(&mut self) {
        self.told = None;
        self.newest.send_replace(None);
    }
}

/// Calls the receiver.
struct Caller {
    client: Client,
    url: SecretUrl,
    route: RouteSettings,
    results: Results,
    /// Whether the log says that the receiver does not take messages.
    has_failed: bool,
}

impl Caller {
    /// Delivers the newest message, until there is none any more.
    async fn deliver_all(mut self, mut newest: watch::Receiver<Option<Message>>) {
        loop {
            let message = newest.borrow_and_update().clone();
            let deliver = async {
                if let Some(message) = &message {
                    self.deliver(message).await;
                }
                pending::<Infallible>().await
            };
            tokio::select! {
                never = deliver => match never {},
                // A newer one replaces it.
                changed = newest.changed() => if changed.is_err() { return },
            }
        }
    }

    /// Calls until the receiver takes the message.
    async fn deliver(&mut self, message: &Message) {
        let [mut pause, longest] = PAUSES;
        while let Err(problem) = self.call(message).await {
            count(&self.results, "failed");
            if !std::mem::replace(&mut self.has_failed, true) {
                tracing::warn!(
                    "BURST_WEBHOOK_URL: the receiver does not take messages, so the watcher repeats them: {problem}"
                );
            }
            sleep(pause).await;
            pause = longest.min(pause * 2);
        }
        count(&self.results, "ok");
        if std::mem::take(&mut self.has_failed) {
            tracing::info!("BURST_WEBHOOK_URL: the receiver takes messages again");
        }
    }

    async fn call(&self, message: &Message) -> Result<(), String> {
        let Message { is_bursting, at, .. } = message;
        let RouteSettings { route_kind, namespace, route, .. } = &self.route;
        let millis = at.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let began = if *is_bursting { "began" } else { "ended" };
        let request = self
            .client
            .post(self.url.expose())
            .timeout(LIMIT)
            .header("ce-specversion", "1.0")
            .header("ce-type", format!("dev.istiowatcher.burst.{began}"))
            .header("ce-source", format!("/namespaces/{namespace}/{route_kind}/{route}"))
            .header("ce-id", format!("{millis}-{began}"))
            .header("ce-time", format_rfc3339_millis(*at).to_string())
            .header(CONTENT_TYPE, "application/json")
            .body(self.body(message).to_string());
        let response = request.send().await;
        let response = response.map_err(|error| root_cause(&error.without_url()))?;
        let status = response.status();
        status.is_success().then_some(()).ok_or_else(|| format!("it answers {status}"))
    }

    fn body(&self, message: &Message) -> Value {
        let Message { is_bursting, weights, .. } = message;
        let RouteSettings { route_kind, namespace, route, .. } = &self.route;
        json!({
            "bursting": is_bursting,
            "route": { "kind": route_kind.to_string(), "namespace": namespace, "name": route },
            "weights": { "primary": weights.primary, "burst": weights.burst },
        })
    }
}
