//! Publishes Kubernetes Events about the weights.

use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use kube::runtime::events::{Event, EventType, Recorder};
use tokio::{
    sync::mpsc::{Receiver, Sender, channel},
    task::AbortHandle,
    time::timeout,
};
use tracing::Instrument as _;

use super::{Error, FIELD_MANAGER};
use crate::{
    api_server::ApiServer,
    metrics::{Results, count},
};

/// The number of Events that may wait. Further Events are dropped and counted.
const QUEUE: usize = 16;

/// An Event about a write of the weights.
#[derive(Clone, Debug)]
pub(crate) struct WeightsEvent {
    /// Whether an operator should look at it.
    pub(crate) is_warning: bool,
    /// The name of the reason. The API merges Events of one name within six minutes into one with a count.
    pub(crate) reason: &'static str,
    /// The new weight of burst.
    pub(crate) burst: u32,
    /// The reason as a sentence, with the weights.
    pub(crate) note: String,
}

/// Publishes Events one after the other in a task of its own, so a slow API server delays no decision.
pub(crate) struct EventPublisher {
    queue: Sender<(ObjectReference, WeightsEvent)>,
    results: Results,
    task: AbortHandle,
}

impl EventPublisher {
    pub(super) fn start(server: ApiServer, limit: Duration, results: Results) -> Self {
        let (queue, waiting) = channel(QUEUE);
        let task =
            tokio::spawn(publish_all(server, waiting, results.clone(), limit).in_current_span());
        Self { queue, results, task: task.abort_handle() }
    }

    pub(super) fn publish(&self, reference: ObjectReference, event: WeightsEvent) {
        if self.queue.try_send((reference, event)).is_err() {
            count(&self.results, "dropped");
        }
    }
}

impl Drop for EventPublisher {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn publish_all(
    mut server: ApiServer,
    mut waiting: Receiver<(ObjectReference, WeightsEvent)>,
    results: Results,
    limit: Duration,
) {
    let mut has_failed = false;
    let mut recorder = None;
    while let Some((reference, event)) = waiting.recv().await {
        let type_ = if event.is_warning { EventType::Warning } else { EventType::Normal };
        let event = Event {
            type_,
            reason: event.reason.to_owned(),
            note: Some(event.note),
            // The API merges Events that differ in nothing else, and keeps the first note.
            action: format!("MoveTraffic{}", event.burst),
            secondary: None,
        };
        // A recorder merges Events that it has seen, so it is kept as long as its client.
        if server.has_changed() || recorder.is_none() {
            let client = server.client().ok();
            recorder = client.map(|client| Recorder::new(client, FIELD_MANAGER.into()));
        }
        let publish = async {
            match &recorder {
                Some(recorder) => recorder.publish(&event, &reference).await.map_err(Error::from),
                None => Err(Error::Unreachable("there is no client".to_owned())),
            }
        };
        let failure = match timeout(limit, publish).await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some(format!("the API server did not answer within {limit:?}")),
        };
        match failure {
            None => {
                has_failed = false;
                count(&results, "ok");
            }
            Some(why) => {
                count(&results, "failed");
                if !std::mem::replace(&mut has_failed, true) {
                    tracing::warn!("the watcher cannot publish Events: {why}");
                }
            }
        }
    }
}
