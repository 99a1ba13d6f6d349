//! Tells by Kubernetes Events what was done to an object.

use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use kube::{
    Client,
    runtime::events::{Event, EventType, Recorder},
};
use tokio::{
    sync::mpsc::{Receiver, Sender, channel},
    task::AbortHandle,
    time::timeout,
};

use super::FIELD_MANAGER;
use crate::metrics::{Results, count};

/// How many Events may wait. More are dropped, and counted.
const QUEUE: usize = 16;

/// What is told.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    /// Whether somebody should see to it.
    pub(crate) is_warning: bool,
    /// The name of the reason. Events of one name within six minutes are one with a count.
    pub(crate) reason: &'static str,
    /// The weight of burst from now on.
    pub(crate) burst: u32,
    /// A sentence.
    pub(crate) note: String,
}

/// Writes Events, one after the other, beside the loop: an API server that is slow with them delays no decision.
pub(crate) struct Events {
    queue: Sender<(ObjectReference, Told)>,
    results: Results,
    task: AbortHandle,
}

impl Events {
    pub(super) fn start(client: Client, limit: Duration, results: Results) -> Self {
        let (queue, waiting) = channel(QUEUE);
        let recorder = Recorder::new(client, FIELD_MANAGER.into());
        let task = tokio::spawn(write(recorder, waiting, results.clone(), limit));
        Self { queue, results, task: task.abort_handle() }
    }

    pub(super) fn tell(&self, reference: ObjectReference, told: Told) {
        if self.queue.try_send((reference, told)).is_err() {
            count(&self.results, "dropped");
        }
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn write(
    recorder: Recorder,
    mut waiting: Receiver<(ObjectReference, Told)>,
    results: Results,
    limit: Duration,
) {
    let mut has_failed = false;
    while let Some((reference, told)) = waiting.recv().await {
        let type_ = if told.is_warning { EventType::Warning } else { EventType::Normal };
        let event = Event {
            type_,
            reason: told.reason.to_owned(),
            note: Some(told.note),
            // What is alike but for this goes into one Event, which keeps the first note.
            action: format!("MoveTraffic{}", told.burst),
            secondary: None,
        };
        let failure = match timeout(limit, recorder.publish(&event, &reference)).await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(super::Error::from(error).to_string()),
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
                    tracing::warn!("an Event could not be written: {why}");
                }
            }
        }
    }
}
