//! Follows the `BurstPolicies` of the API server.

use std::{convert::Infallible, pin::pin, time::Duration};

use chassis::probes::Readiness;
use futures_util::StreamExt as _;
use kube::{
    Api,
    api::{ApiResource, DynamicObject},
    runtime::watcher::{self, Event, watcher},
};
use tokio::time::{sleep, timeout};

use super::{
    policies::{Policies, key},
    running::BEGIN_AGAIN_AFTER,
};
use crate::{api_server::ApiServer, burst_policy::BurstPolicy, route};

/// The pause before the API server is asked again.
const RETRY_EVERY: Duration = Duration::from_secs(2);

/// For how long the API server watches, in seconds, before it is asked again. A connection that has died is
/// noticed five seconds later at the latest.
const WATCH_FOR: u32 = 30;

/// Follows the policies of a namespace, or of all, for ever. While the API server does not answer, each policy
/// goes on as it was last known.
pub(super) async fn follow(
    mut server: ApiServer,
    namespace: Option<String>,
    mut policies: Policies,
    readiness: &Readiness,
) -> Infallible {
    let dependency = readiness.register("watching the BurstPolicies");
    server.ready().await;
    loop {
        let problem = match server.client() {
            Err(problem) => problem,
            Ok(client) => {
                let resource = ApiResource::erase::<BurstPolicy>(&());
                let api = match &namespace {
                    None => Api::<DynamicObject>::all_with(client, &resource),
                    Some(name) => Api::namespaced_with(client, name, &resource),
                };
                let config = watcher::Config::default().timeout(WATCH_FOR);
                let mut events = pin!(watcher(api, config));
                let mut listed = Vec::new();
                loop {
                    let Ok(event) = timeout(BEGIN_AGAIN_AFTER, events.next()).await else {
                        policies.reconcile();
                        continue;
                    };
                    match event {
                        Some(Ok(event)) => {
                            // At first the list is only about to be asked for.
                            let is_answer = !matches!(event, Event::Init);
                            take(event, &mut listed, &mut policies);
                            if is_answer {
                                dependency.up();
                            }
                        }
                        Some(Err(error)) => break describe(error, &server),
                        None => break "the API server ended the watch".to_owned(),
                    }
                }
            }
        };
        dependency.down(problem);
        policies.reconcile();
        sleep(RETRY_EVERY).await;
    }
}

/// Takes an event. A list comes in pieces.
fn take(event: Event<DynamicObject>, listed: &mut Vec<DynamicObject>, policies: &mut Policies) {
    match event {
        Event::Init => listed.clear(),
        Event::InitApply(policy) => listed.push(policy),
        Event::InitDone => policies.replace(std::mem::take(listed)),
        Event::Apply(policy) => policies.apply(policy),
        Event::Delete(policy) => policies.delete(&key(&policy)),
    }
}

fn describe(error: watcher::Error, server: &ApiServer) -> String {
    let kube_error = match error {
        watcher::Error::InitialListFailed(error)
        | watcher::Error::WatchStartFailed(error)
        | watcher::Error::WatchFailed(error) => error,
        watcher::Error::WatchError(status) => {
            return format!("the API server ended the watch: {}", status.message);
        }
        watcher::Error::NoResourceVersion => {
            return "the API server named no version of the list".to_owned();
        }
    };
    let error = route::Error::from(kube_error);
    if error.doubts_credentials() {
        server.doubt();
    }
    error.to_string()
}
